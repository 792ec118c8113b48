"""Clips through a detector: probabilities of labels, frame by frame, pooled to the segments of a cache."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from extract.backbones.base import Backbone
from extract.backbones.detector import Detector
from extract.errors import ExtractError
from extract.label_sets import LabelSet
from extract.media.audio_windows import SoundWindows
from extract.media.clip import ClipMedia
from extract.run.encode import ClipEmbeddings, ClipInputs
from extract.run.open_cache import CacheKind
from feature_cache import NO_PICTURE, FeatureCache

DTYPE = "float32"
"""How probabilities are stored where nothing else is said, as imported ones are."""
_AT_ONCE = 128


@dataclass(frozen=True)
class Wanted:
    """What a detector listens for; picklable.

    Attributes:
        name: of the label set in the cache.
        labels: C labels.
        sentences: what is made of them.
        pooling: one of :data:`extract.options.POOLING`.
    """

    name: str
    labels: tuple[str, ...]
    sentences: tuple[str, ...]
    pooling: str = "mean"

    @classmethod
    def of(cls, detector: Detector, found: LabelSet, name: str, pooling: str) -> "Wanted":
        """A label set for a detector, in the set's own prompt, or the detector's.

        Raises:
            ExtractError: the set brings several prompts.
        """
        prompts = found.audio_prompts or (detector.text.audio_prompt,)
        if len(prompts) > 1:
            raise ExtractError(f"label set {found.name!r} brings {len(prompts)} prompts: {detector.name} takes one")
        plain = detector.text.plain_labels
        words = [label.replace("_", " ").lower() if plain else label for label in found.labels]
        return cls(name, tuple(found.labels), tuple(prompts[0].replace("{label}", word) for word in words), pooling)

    def kind(self, kind: CacheKind, detector: Detector, dtype: str | None, clip_seconds: float) -> CacheKind:
        """How the cache is made: as one of embeddings would be, but with probabilities of these labels.

        Raises:
            ExtractError: clips are longer than the detector hears.
        """
        if clip_seconds > detector.longest_seconds:
            raise ExtractError(
                f"`clip_seconds={clip_seconds:g}`: {detector.name} hears {detector.longest_seconds:g} s at once; cut "
                "into shorter clips"
            )
        detected = {"frames_per_second": detector.frames_per_second, "pooling": self.pooling}
        facts = {**{name: fact for name, fact in kind.facts.items() if name != "sampling"}, "detected": detected}
        return replace(
            kind, dtype=dtype or DTYPE, facts=facts, windows="none", audio_segments=False,
            labels=self.labels, text_name=self.name, prompts={"audio": list(self.sentences)},
        )  # fmt: skip

    def words(self, detector: Backbone) -> Tensor:
        """The sentences as the detector takes them, (C, ...)."""
        parts = range(0, len(self.sentences), _AT_ONCE)
        return torch.cat([detector.encode_audio_text(self.sentences[at : at + _AT_ONCE]) for at in parts])

    def check(self, cache: FeatureCache) -> None:
        """Refuse a cache of other labels: a detector hears only what it is asked for.

        Raises:
            ExtractError: it is one.
        """
        there = cache.text()
        if (there.name, there.labels) == (self.name, self.labels) and there.prompts == {"audio": list(self.sentences)}:
            return
        what = "prompts" if there.labels == self.labels and there.name == self.name else f"labels ({there.name!r})"
        raise ExtractError(
            f"{cache.path} holds what a detector heard of other {what}: use another `output`, or `overwrite=True` to "
            "make it anew"
        )


def prepare_sound(detector: Detector, media: ClipMedia) -> ClipInputs:
    """What a detector takes of a decoded clip: all of its sound, with silence to the end of the last segment."""
    sound = media.segments
    assert sound is not None  # a clip without sound is refused where pictures are not looked at
    assert sound.rate is not None
    samples = round(len(sound) * _seconds(sound) * sound.rate)
    wave = functional.pad(sound.wave[:samples], (0, max(0, samples - len(sound.wave))))
    return ClipInputs(replace(media, windows=None), None, segment_sounds=detector.prepare_audio([wave]))


def detect_clips(
    detector: Detector, clips: Sequence[ClipInputs], device: torch.device, batch_size: int, words: Tensor, pooling: str
) -> list[ClipEmbeddings]:
    """Probabilities of each clip's segments.

    Args:
        detector: the encoders.
        clips: as :func:`prepare_sound` made them, equally long.
        device: the encoders'.
        batch_size: clips in one pass, at most.
        words: (C, ...), on the device.
        pooling: one of :data:`extract.options.POOLING`.
    """
    sounds = [clip.segment_sounds for clip in clips if clip.segment_sounds is not None]
    batches = torch.split(torch.cat(sounds).to(device, non_blocking=True), batch_size)
    frames = torch.cat([detector.detect(batch, words) for batch in batches]).cpu().numpy()
    none, found = np.zeros((0, 0), dtype=np.float32), []
    for clip, values in zip(clips, frames, strict=True):
        sound = clip.media.segments
        assert sound is not None
        heard = pool_frames(values, len(sound), _seconds(sound) * detector.frames_per_second, pooling)
        unseen = np.zeros_like(heard)
        found.append(ClipEmbeddings(none, none, none, NO_PICTURE, visual_probability=unseen, audio_probability=heard))
    return found


def _seconds(sound: SoundWindows) -> float:
    assert sound.seconds is not None  # of segments it is known
    return sound.seconds


def pool_frames(frames: NDArray[np.float32], segments: int, each: float, pooling: str) -> NDArray[np.float32]:
    """Frames' probabilities to segments'.

    A frame counts for the segment in which its middle lies.

    Args:
        frames: float32 (F, C), from the clip's beginning to its end.
        segments: T.
        each: frames a segment; a segment in which no frame's middle lies takes the one at its own middle.
        pooling: "mean" or "max".

    Returns:
        float32 (T, C); means are taken in float64.
    """
    found = np.empty((segments, frames.shape[1]), dtype=np.float32)
    for segment in range(segments):
        begin, end = (int(np.ceil(round(edge * each - 0.5, 6))) for edge in (segment, segment + 1))
        if end <= begin:
            begin = int((segment + 0.5) * each)
            end = begin + 1
        there = frames[begin:end]
        found[segment] = there.max(0) if pooling == "max" else there.mean(0, dtype=np.float64)
    return found
