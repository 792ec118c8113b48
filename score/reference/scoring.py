"""Scoring in plain NumPy: docs/design.md 4, sentence by sentence. Slow, and what the kernels are compared with.

Sums run in a fixed order and exp is the C library's, as in the kernels, so that equality can be exact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from feature_cache import NO_PICTURE, NO_SOUND, window_index
from score.config import ScoreConfig

if TYPE_CHECKING:
    from score.logits import Logits

Floats = NDArray[np.float64]
Span = tuple[int, int, int]
"""A candidate: label number, first segment, one past the last segment."""

_exp = np.frompyfunc(math.exp, 1, 1)


@dataclass(frozen=True)
class ClipLogits:
    """Logits of one clip over C labels.

    Attributes:
        image: float64 (T, C).
        video: float64 (W, F, C); W = 1 for the whole clip alone, 0 for none.
        audio: float64 (W, C), likewise.
        cosine: float64 (T - 1,), similarity of each image with the next.
        missing: 0, NO_PICTURE or NO_SOUND; the logits of what is missing say nothing.
        sound: float64 (T, C), of each segment's own sound; None where there is only the clip's.
        given: whether ``image`` and ``sound`` are a detector's probabilities and no logits.
        joint: float64 (W, C), of joint embeddings of the windows; None where the audiovisual stream is mixed.
        joint_segments: float64 (T, C), of what follows from them of each segment.
    """

    image: Floats
    video: Floats
    audio: Floats
    cosine: Floats
    missing: int = 0
    sound: Floats | None = None
    given: bool = False
    joint: Floats | None = None
    joint_segments: Floats | None = None

    @classmethod
    def of(cls, batch: "Logits", i: int) -> Self:
        """Those of one clip of a batch."""
        own, joint = batch.given or batch.sound.shape[1] > 1, batch.joint.shape[1] > 0
        return cls(
            image=batch.image[i], video=batch.video[i], audio=batch.audio[i], cosine=batch.cosine[i],
            missing=int(batch.missing[i]), sound=batch.sound[i] if own else None, given=batch.given,
            joint=batch.joint[i] if joint else None, joint_segments=batch.joint_segments[i] if joint else None,
        )  # fmt: skip


@dataclass
class Trace:
    """What a stream went through: the labels in play and, a segment a row, probabilities and thresholds."""

    labels: list[int] = field(default_factory=list)
    probabilities: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    thresholds: Floats = field(default_factory=lambda: np.zeros((0, 0)))


def clip_logits(
    image: NDArray[Any],
    video: NDArray[Any],
    audio: NDArray[Any],
    text_visual: NDArray[Any],
    text_audio: NDArray[Any],
    missing: int = 0,
    sound_rows: NDArray[Any] | None = None,
) -> ClipLogits:
    """Logits of embeddings (T, Dv), (W, F, Dv), (W, Da), (T, Da) with text embeddings (C, Dv), (C, Da)."""
    picture, sound = text_visual.astype(np.float64), text_audio.astype(np.float64)
    rows = image.astype(np.float64)
    norms = np.maximum(np.sqrt(_inner(rows, rows)), 1e-8)
    return ClipLogits(
        image=_inner(rows[:, None], picture),
        video=_inner(video.astype(np.float64)[:, :, None], picture),
        audio=_inner(audio.astype(np.float64)[:, None], sound),
        cosine=_inner(rows[:-1], rows[1:]) / (norms[:-1] * norms[1:]),
        missing=missing,
        sound=None if sound_rows is None else _inner(sound_rows.astype(np.float64)[:, None], sound),
    )


def standing_stream(missing: int, stream: str) -> str | None:
    """4.7: the stream that is parsed in a stream's place in a clip without picture or sound; None: no events."""
    if not missing:
        return stream
    left = "audio" if missing == NO_PICTURE else "visual"
    return left if stream in (left, "audiovisual") else None


def standing_clip(clip: ClipLogits, standing: str, config: ScoreConfig) -> tuple[ClipLogits, str]:
    """4.3: what is parsed as a stream; the audiovisual one of joint embeddings is the visual one of them."""
    if standing != "audiovisual" or config.audiovisual != "joint":
        return clip, standing
    assert clip.joint is not None
    assert clip.joint_segments is not None
    return replace(clip, image=clip.joint_segments, video=clip.joint[:, None]), "visual"


def probability(logits: Floats) -> Floats:
    """4.1: sigmoid of the z-score along the last axis; NaN for a row without spread."""
    k = logits.shape[-1]
    mean = _sum(logits)[..., None] / k
    std = np.sqrt(_sum((logits - mean) ** 2) / max(k - 1, 1))[..., None]
    flat = (logits.max(axis=-1, keepdims=True) == logits.min(axis=-1, keepdims=True)) if k > 1 else True
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(flat, np.nan, (logits - mean) / std)
    return 1.0 / (1.0 + np.asarray(_exp(-z), dtype=np.float64))


def rates(clip: ClipLogits, logits: Floats) -> Floats:
    """Probabilities of rows: by 4.1, or as a detector gave them."""
    return logits if clip.given else probability(logits)


def row_mean(rows: Floats) -> Floats:
    """Mean of rows, summed in order, (K,)."""
    total: Floats = np.add.accumulate(rows, axis=0)[-1]
    return total / len(rows)


def window_probability(clip: ClipLogits, stream: str, alpha: float, window: int, kept: Sequence[int]) -> Floats:
    """4.1: a window's probability over the kept labels, (K,)."""
    columns = list(kept)
    if stream == "audio":
        return probability(clip.audio[window][columns])
    frames = probability(clip.video[window][:, columns])
    visual = row_mean(frames)
    if stream == "visual":
        return visual
    return (1 - alpha) * visual + alpha * probability(clip.audio[window][columns])


def whole_probability(clip: ClipLogits, stream: str, alpha: float) -> Floats:
    """4.2: the whole clip's probability over all labels, (C,): window 0's, or the mean over segments without one."""
    everything = slice(None)
    if stream != "audio":
        visual = row_mean(probability(clip.video[0]) if len(clip.video) else rates(clip, clip.image))
    if stream != "visual":
        audio = probability(clip.audio[0]) if len(clip.audio) else row_mean(sound_rows(clip, everything))
    if stream == "audiovisual":
        return (1 - alpha) * visual + alpha * audio
    return visual if stream == "visual" else audio


def sound_rows(clip: ClipLogits, columns: Any) -> Floats:
    """4.3: audio segment probabilities; (T, K), or (1, K) where the clip's own stands for every segment."""
    return rates(clip, (clip.audio[:1] if clip.sound is None else clip.sound)[:, columns])


def pooled_probability(
    clip: ClipLogits, stream: str, alpha: float, start: int, end: int, kept: Sequence[int]
) -> Floats:
    """4.6: in place of a window's probability, the mean of its segments', (K,)."""
    columns = list(kept)
    rows = sound_rows(clip, columns)
    audio = rows[0] if len(rows) == 1 else row_mean(rows[start:end])
    if stream == "audio":
        return audio
    visual = row_mean(rates(clip, clip.image[start:end, columns]))
    return visual if stream == "visual" else (1 - alpha) * visual + alpha * audio


def select_labels(clip: ClipLogits, stream: str, config: ScoreConfig) -> list[int]:
    """4.2: the labels that a stream keeps."""
    everything = range(clip.image.shape[1])
    if not config.label_selection:
        return list(everything)
    whole = whole_probability(clip, stream, config.alpha)
    return [k for k in everything if whole[k] > config.filter_threshold]


def segment_probability(clip: ClipLogits, stream: str, alpha: float, kept: Sequence[int]) -> Floats:
    """4.3: (T, K) over the kept labels."""
    columns = list(kept)
    rows = sound_rows(clip, columns)
    audio = np.tile(rows, (len(clip.image), 1)) if len(rows) == 1 else rows
    if stream == "audio":
        return audio
    visual = rates(clip, clip.image[:, columns])
    return visual if stream == "visual" else (1 - alpha) * visual + alpha * audio


@dataclass
class Carried:
    """4.9: how far label shift has come in the clips of a file before this one, by stream and label number.

    Attributes:
        theta: the last threshold.
        n: how often the label was positive.
    """

    theta: dict[tuple[str, int], float] = field(default_factory=dict)
    n: dict[tuple[str, int], float] = field(default_factory=dict)


def thresholds(
    p: Floats, cosine: Floats, stream: str, config: ScoreConfig, begin: Floats | None = None, n: Floats | None = None
) -> Floats:
    """4.4: dynamic thresholds, (T, K); from ``begin`` and counts ``n`` on, where label shift is carried over (4.9)."""
    segments, k = p.shape
    theta = np.full((segments, k), config.threshold_stage1)
    if config.method == "naive":
        return theta
    n = np.zeros(k) if n is None else n
    if begin is not None:
        theta[0] = begin
    most = segments * config.label_shift_iters + int(n.max(initial=0))
    decay = np.array([math.exp(-config.gamma * c) for c in range(most + 1)])
    for _ in range(config.label_shift_iters):
        for t in range(segments - 1):
            n += p[t] > theta[t]
            offset = config.threshold_stage1 * decay[n.astype(np.int64)]
            if "cosine" in config.method and stream != "audio":
                offset = offset * cosine[t]
            if "bbse" in config.method:
                rows = p[: t + 1]
                m = rows.T @ (rows > theta[: t + 1]).astype(np.float64) / (t + 1)
                q = p[t + 1]
                offset = offset * np.linalg.solve(m.T @ m + np.eye(k), m.T @ q) * q
            theta[t + 1] = theta[t] - offset
    return theta


def candidates(positive: NDArray[np.bool_]) -> list[Span]:
    """4.5: joined runs of positive segments, (T, K), as (column, start, end)."""
    segments = len(positive)
    found: list[Span] = []
    first = {k: int(np.argmax(positive[:, k])) for k in range(positive.shape[1]) if positive[:, k].any()}
    for k in sorted(first, key=lambda column: (first[column], column)):
        runs: list[list[int]] = []
        start = None
        for t in range(segments + 1):
            on = t < segments and bool(positive[t, k])
            if on and start is None:
                start = t
            elif not on and start is not None:
                if t - start > 1:
                    if runs and start <= runs[-1][1] + 1:
                        runs[-1][1] = t
                    else:
                        runs.append([start, t])
                start = None
        found += [(k, start, end) for start, end in runs]
    return found


def candidate_windows(
    clip: ClipLogits, stream: str, config: ScoreConfig, found: Sequence[Span], kept: Sequence[int]
) -> list[Floats]:
    """4.6: each candidate's window probability over the kept labels, (K,) each."""
    segments, known = len(clip.image), dict[tuple[int, int], Floats]()
    for start, end in dict.fromkeys((start, end) for _, start, end in found):
        if config.pooled_windows:
            known[start, end] = pooled_probability(clip, stream, config.alpha, start, end, kept)
        else:
            window = window_index(start, end, segments)
            known[start, end] = window_probability(clip, stream, config.alpha, window, kept)
    return [known[start, end] for _, start, end in found]


def holds(span: Span, window: Floats, config: ScoreConfig) -> bool:
    """4.6: whether a candidate stays by its window's probability over the kept labels."""
    if config.decision == "threshold":
        return own_probability(span, window) > config.threshold_stage2
    return not np.isnan(window).any() and int(np.argmax(window)) == span[0]


def refine(found: Sequence[Span], windows: Sequence[Floats], config: ScoreConfig) -> list[int]:
    """4.6: which candidates stay, given each one's window probability over the kept labels."""
    if len(found) <= 1 or not config.refinement:
        return list(range(len(found)))
    pairs = list(zip(found, windows, strict=True))
    stay = [i for i, (span, window) in enumerate(pairs) if holds(span, window, config)]
    return stay or [int(np.argmax([own_probability(span, window) for span, window in pairs]))]


def carried_thresholds(
    p: Floats, cosine: Floats, standing: str, config: ScoreConfig, kept: Sequence[int], stream: str, carried: Carried
) -> Floats:
    """4.9: thresholds that go on where the clip before ended; what they come to is kept for the next one."""
    places = [(stream, k) for k in kept]
    begin = np.array([carried.theta.get(place, config.threshold_stage1) for place in places])
    n = np.array([carried.n.get(place, 0.0) for place in places])
    theta = thresholds(p, cosine, standing, config, begin, n)  # n goes up
    n += p[-1] > theta[-1]
    carried.theta.update(zip(places, theta[-1].tolist(), strict=True))
    carried.n.update(zip(places, n.tolist(), strict=True))
    return theta


def parse_stream(
    clip: ClipLogits, stream: str, config: ScoreConfig, trace: Trace | None = None, carried: Carried | None = None
) -> list[tuple[int, int, int, float]]:
    """4.2 to 4.6 for one stream: events as (label number, start, end, probability), in order."""
    own = stream
    standing = standing_stream(clip.missing, stream)
    if standing is None:
        return []
    clip, stream = standing_clip(clip, standing, config)
    kept = select_labels(clip, stream, config)
    if len(kept) < (1 if clip.given else 2):
        return []
    p = segment_probability(clip, stream, config.alpha, kept)
    if carried is None:
        theta = thresholds(p, clip.cosine, stream, config)
    else:
        theta = carried_thresholds(p, clip.cosine, stream, config, kept, own, carried)
    if trace is not None:
        trace.labels, trace.probabilities, trace.thresholds = kept, p, theta
    found = candidates(p > theta)
    windows = candidate_windows(clip, stream, config, found, kept)
    return [
        (kept[found[i][0]], found[i][1], found[i][2], own_probability(found[i], windows[i]))
        for i in refine(found, windows, config)
    ]


def fuse_late(
    visual: Sequence[tuple[int, int, int, float]],
    audio: Sequence[tuple[int, int, int, float]],
    labels: Sequence[str],
    segments: int,
    missing: int = 0,
) -> list[tuple[int, int, int, float]]:
    """4.7: where both streams have an event of the same label; the probability is the smaller of the two.

    What is missing has no say: there the other stream's events stay as they are.
    """
    found = []
    for k in sorted(range(len(labels)), key=lambda number: (labels[number].lower(), labels[number])):
        both = np.full((2, segments), np.nan)
        both[[row for row, bit in enumerate((NO_PICTURE, NO_SOUND)) if missing & bit]] = 1.0
        for row, events in enumerate((visual, audio)):
            for label, start, end, value in events:
                if label == k:
                    both[row, start:end] = value
        on = ~np.isnan(both).any(axis=0)
        t = 0
        while t < segments:
            if on[t]:
                end = t
                while end < segments and on[end]:
                    end += 1
                found.append((k, t, end, float(both[:, t:end].min())))
                t = end
            t += 1
    return found


def score_clip(
    clip: ClipLogits, labels: Sequence[str], config: ScoreConfig, carried: Carried | None = None
) -> dict[str, list[tuple[int, int, int, float]]]:
    """All three streams of one clip: events as (label number, start, end, probability), in order."""
    visual, audio = (parse_stream(clip, stream, config, carried=carried) for stream in ("visual", "audio"))
    if config.fusion == "late":
        both = fuse_late(visual, audio, labels, len(clip.image), clip.missing)
    else:
        both = parse_stream(clip, "audiovisual", config, carried=carried)
    return {"audiovisual": both, "visual": visual, "audio": audio}


def own_probability(span: Span, window: Floats) -> float:
    """4.6: a candidate's own probability; 0 where its window has no spread."""
    value = float(window[span[0]])
    return 0.0 if math.isnan(value) else value


def _inner(a: Floats, b: Floats) -> Floats:
    """Inner products along the last axis: eight partial sums, of every eighth product each, then their halves added."""
    sums = np.zeros((*np.broadcast_shapes(a.shape[:-1], b.shape[:-1]), 8))
    for d in range(0, a.shape[-1], 8):
        products = a[..., d : d + 8] * b[..., d : d + 8]
        sums[..., : products.shape[-1]] += products
    for half in (4, 2, 1):
        sums = sums[..., :half] + sums[..., half:]
    return sums[..., 0]


def _sum(values: Floats) -> Floats:
    """Sum along the last axis, left to right."""
    found: Floats = np.add.accumulate(values, axis=-1)[..., -1]
    return found
