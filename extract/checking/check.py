"""A backbone's weights tried on clips whose picture and sound are plain, through extraction itself."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray

from extract.backbones import describe_backbone, licence_notes
from extract.checking.kit import CheckClip, Kit, kit_of
from extract.device import check_precision, resolve_device
from extract.errors import ExtractError
from extract.pipeline import extract_videos
from extract.summary import Summary
from feature_cache import FeatureCache, TextSet
from feature_cache.text import SIDES

Table = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Verdict:
    """What an encoder says of one clip.

    Attributes:
        right: the label that has to win; several, where any of them may.
        array: which embeddings of the cache were compared with the labels'.
        probabilities: of each label, the likeliest first.
        cosines: of the embedding with each label's; none of a detector.
    """

    right: Sequence[str]
    array: str
    probabilities: Mapping[str, float]
    cosines: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether a right label wins."""
        return next(iter(self.probabilities)) in self.right and all(map(np.isfinite, self.cosines.values()))


@dataclass(frozen=True)
class Checked:
    """How a check ended.

    Attributes:
        backbone: its name.
        device: where it computed.
        precision: of its arithmetic.
        verdicts: of each clip and encoder.
        fingerprint: 16 hex digits of all embeddings, equal where they are equal to the bit.
        repeated: whether a clip that is there twice has equal embeddings.
        load_seconds: until the first clip was begun: weights, labels.
        first_seconds: the first clip's.
        clip_seconds: a later clip's, the median.
        memory: the process's peak in bytes; None where the system does not say.
        gpu_memory: that of PyTorch's tensors on the GPU; None without one.
        facts: what the cache of it says of weights, packages and device.
        notes: what else a person should know, a line each.
    """

    backbone: str
    device: str
    precision: str
    verdicts: Sequence[Verdict]
    fingerprint: str
    repeated: bool
    load_seconds: float
    first_seconds: float
    clip_seconds: float
    memory: int | None
    gpu_memory: int | None
    facts: Mapping[str, Any]
    notes: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Whether every right label wins."""
        return all(verdict.passed for verdict in self.verdicts)

    def plain(self) -> dict[str, Any]:
        """All of it, JSON-able; None for what is no number."""
        verdicts = [
            {**asdict(each), "passed": each.passed}
            | {
                name: _plain(values)
                for name, values in (("probabilities", each.probabilities), ("cosines", each.cosines))
            }
            for each in self.verdicts
        ]
        return {"passed": self.passed, **asdict(self), "verdicts": verdicts}


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


@dataclass
class _Clock:
    """When clips were finished."""

    progress: Callable[[int, int], None]
    began: float = field(default_factory=time.perf_counter)
    times: list[float] = field(default_factory=list)

    def __call__(self, done: int, total: int) -> None:
        self.times.append(time.perf_counter())
        self.progress(done, total)

    @property
    def clips(self) -> list[float]:
        """Seconds of each clip."""
        return [after - before for before, after in zip(self.times, self.times[1:], strict=False)]


def check_backbone(
    name: str,
    checkpoint: Path | str | None = None,
    *,
    clap_checkpoint: Path | str | None = None,
    image_model: str | None = None,
    audio_model: str | None = None,
    device: str = "auto",
    precision: str = "float32",
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Run clips that come with the package through a backbone, and see whether right labels win.

    The clips are written as files and extracted as any others; what is judged is what is in the cache then: the mean
    over the segments' pictures, and window 0's picture (of a video encoder) and sound.

    Args:
        name: of the backbone.
        checkpoint: folder with local weights.
        clap_checkpoint: a .pt file of laion_clap for the sound.
        image_model: as of :class:`extract.ExtractOptions`.
        audio_model: likewise.
        device: "auto", "cpu", "cuda" or "cuda:i".
        precision: "float32", "float16" or "bfloat16".
        progress: called with (clips finished, clips in all).

    Raises:
        ExtractError: no such backbone or device, packages or weights that are missing, or a clip that failed.

    Example:
        >>> check_backbone("tiny").passed
        True
    """
    info = describe_backbone(name)
    if not info.installed:
        raise ExtractError(f"backbone {name} needs {info.extra}: pip install '{info.extra}'")
    where, kit = resolve_device(device), kit_of(name)
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    with tempfile.TemporaryDirectory(prefix="av2a-check-") as folder:
        _write(kit, Path(folder))
        clock = _Clock(progress or (lambda done, total: None))
        summary = extract_videos(
            Path(folder, "videos"),
            Path(folder, "check.zarr"),
            backbone=name,
            checkpoint=checkpoint,
            clap_checkpoint=clap_checkpoint,
            image_model=image_model,
            audio_model=audio_model,
            labels=Path(folder, "labels.txt"),
            device=str(where),
            precision=check_precision(precision),
            dtype="float32",
            joint=True if info.joint_dim else None,
            shard_size=1,  # each clip by itself, so that each is timed
            workers=1,
            progress=clock,
        )
        cache = FeatureCache.open(summary.path)
        values, text = _arrays(cache, summary), cache.text()
        facts = cache.attributes
    return Checked(
        backbone=name,
        device=str(facts["device"]),
        precision=precision,
        verdicts=[each for row, clip in enumerate(kit.clips) for each in _verdicts(kit, clip, text, values, row)],
        fingerprint=_fingerprint(values, text),
        repeated=all(np.array_equal(table[0], table[-1]) for table in values.values()),
        load_seconds=clock.times[0] - clock.began,
        first_seconds=clock.clips[0],
        clip_seconds=statistics.median(clock.clips[1:]),
        memory=_peak_memory(),
        gpu_memory=torch.cuda.max_memory_allocated(where) if where.type == "cuda" else None,
        facts={key: value for key, value in facts.items() if key not in ("files", "stamps", "clips", "clips_from")},
        notes=licence_notes(name),
    )


def _write(kit: Kit, folder: Path) -> None:
    """The kit's clips as files in their order, the first one again as the last, and its labels."""
    videos = folder / "videos"
    videos.mkdir()
    (folder / "labels.txt").write_text("\n".join(kit.labels) + "\n", encoding="utf-8")
    for number, clip in enumerate((*kit.clips, kit.clips[0])):
        clip.write(videos / f"{number:03d}.mp4")


def _arrays(cache: FeatureCache, summary: Summary) -> dict[str, Table]:
    for clip, reason in summary.failed.items():
        raise ExtractError(f"backbone {cache.backbone!r}: clip {clip} of the check failed: {reason}")
    features = cache.read()
    return {name: getattr(features, name) for name in cache.arrays}


def _verdicts(kit: Kit, clip: CheckClip, text: TextSet, values: Mapping[str, Table], row: int) -> list[Verdict]:
    """Of a clip: its pictures one by one; as a window, where that is another encoder's work; its sound; both at once.

    Of a detector: what it hears. Of both at once, what is seen or what is heard may win.
    """
    if "audio_probability" in values:
        return [_heard((clip.heard,), values["audio_probability"][row], text.labels, kit.heard)]
    found = [_verdict((clip.seen,), "image", values["image"][row], text.visual, text.labels, kit.seen)]
    if values["video"].shape[2] == 1:
        found.append(_verdict((clip.seen,), "video", values["video"][row, 0], text.visual, text.labels, kit.seen))
    found.append(_verdict((clip.heard,), "audio", values["audio"][row, :1], text.audio, text.labels, kit.heard))
    if text.joint is not None:
        both = clip.seen, clip.heard
        found.append(_verdict(both, "joint", values["joint"][row, :1], text.joint, text.labels, kit.labels))
    return found


def _verdict(
    right: Sequence[str], array: str, vectors: Table, table: Table, labels: Sequence[str], among: Sequence[str]
) -> Verdict:
    """What embeddings (n, D), the mean taken over them, say of the labels ``among`` those of a table (C, D)."""
    rows = [labels.index(label) for label in among]
    left, words = vectors.astype(np.float64), table[rows].astype(np.float64)
    logits = left @ words.T
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        spread = (logits - logits.mean(1, keepdims=True)) / logits.std(1, ddof=1, keepdims=True)
        likely = (1 / (1 + np.exp(-spread))).mean(0)  # docs/design.md 4.1
        norms = np.linalg.norm(left, axis=1, keepdims=True) * np.linalg.norm(words, axis=1)
        cosines = (logits / norms).mean(0)
    order = np.argsort(-likely, kind="stable")
    return Verdict(
        right,
        array,
        {among[place]: float(likely[place]) for place in order},
        {label: float(cosine) for label, cosine in zip(among, cosines, strict=True)},
    )


def _heard(right: Sequence[str], heard: Table, labels: Sequence[str], among: Sequence[str]) -> Verdict:
    """What a detector's probabilities (T, C), the mean taken over the segments, say of some of its labels."""
    likely = heard.astype(np.float64).mean(0)
    found = {label: float(likely[labels.index(label)]) for label in among}
    return Verdict(right, "audio_probability", dict(sorted(found.items(), key=lambda each: -each[1])), {})


def _fingerprint(values: Mapping[str, Table], text: TextSet) -> str:
    digest = xxhash.xxh3_64()
    texts = {f"text/{side}": table for side in SIDES if (table := getattr(text, side)) is not None}
    for name, table in {**values, **texts}.items():
        digest.update(f"{name} {table.shape}".encode())
        digest.update(np.ascontiguousarray(table, dtype="<f4").tobytes())
    return digest.hexdigest()


def _peak_memory() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)
