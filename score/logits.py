"""Logits of a whole batch of clips: what scoring and search start from, made once."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import NO_SOUND, Features, TextSet
from score.checks import check_array, check_features, check_joint
from score.choices import JOINT, MIXED
from score.common_parameters import CLIP, WINDOWS
from score.errors import ScoreError
from score.kernels.similarity import cosines, logits, pad_text, padded, stored_bits
from score.sound import window_rows, window_sound

_ROWS_AT_ONCE = 10


@dataclass(frozen=True, eq=False)
class Logits:
    """Logits of n clips over C labels, float64.

    Attributes:
        rows: int64 (n,), the clips' rows in the cache.
        image: (n, T, C), or probabilities.
        video: (n, W, F, C), W as kept in the cache.
        audio: (n, W, C), likewise.
        sound: (n, R, C), or probabilities; R = T where each segment has its own sound, 1 where window 0's stands for
            all.
        given: whether image and sound are probabilities.
        cosine: (n, T - 1), similarity of each image with the next.
        missing: uint8 (n,), 0, NO_PICTURE or NO_SOUND.
        joint: (n, W, C), of joint embeddings of every window; W = 0 where the audiovisual stream is not read from them.
        joint_segments: (n, T, C), of what follows from them of each segment; (n, 0, C) likewise.

    Raises:
        ScoreError: shapes or dtypes are others.
    """

    rows: NDArray[np.int64]
    image: NDArray[np.float64]
    video: NDArray[np.float64]
    audio: NDArray[np.float64]
    sound: NDArray[np.float64]
    given: bool
    cosine: NDArray[np.float64]
    missing: NDArray[np.uint8]
    joint: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0, 0)))
    joint_segments: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0, 0)))

    def __post_init__(self) -> None:
        """Compare shapes."""
        check_array("image", self.image, (len(self.rows), None, None), np.float64)
        n, segments, labels = self.image.shape
        for name in ("joint", "joint_segments"):
            if np.shape(getattr(self, name)) == (0, 0, 0):
                object.__setattr__(self, name, np.empty((n, 0, labels)))
        check_array("joint", self.joint, (n, None, labels), np.float64)
        check_array(
            "joint_segments", self.joint_segments, (n, segments if self.joint.shape[1] else 0, labels), np.float64
        )
        check_array("video", self.video, (n, None, None, labels), np.float64)
        check_array("audio", self.audio, (n, None, labels), np.float64)
        sounds = segments if len(np.shape(self.sound)) == 3 and self.sound.shape[1] == segments else 1
        check_array("sound", self.sound, (n, sounds, labels), np.float64)
        check_array("cosine", self.cosine, (n, segments - 1), np.float64)
        check_array("missing", self.missing, (n,), np.uint8)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What there is of each clip, by name: (n, ...)."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "given"}

    @property
    def joint_alone(self) -> "Logits":
        """Joint embeddings in the pictures' place, and no sound: as its visual stream the audiovisual one is parsed."""
        return replace(
            self,
            image=self.joint_segments,
            video=self.joint[:, :, None],
            missing=np.full(len(self.rows), NO_SOUND, np.uint8),
        )

    def part(self, clips: slice) -> "Logits":
        """Those of some of the clips; nothing is copied."""
        found: dict[str, Any] = {name: values[clips] for name, values in self.arrays.items()}
        return replace(self, **found)


def make_logits(features: Features, text: TextSet, sound: str, audiovisual: str = MIXED) -> Logits:
    """Inner products of embeddings with a text set's; probabilities as they are.

    Args:
        features: of n clips.
        text: C labels.
        sound: what a segment's sound is, of ``SOUNDS``.
        audiovisual: what the audiovisual stream is read from, of ``AUDIOVISUALS``.

    Raises:
        ScoreError: more than 64 segments a clip, arrays that do not fit each other, or no joint embeddings where they
            are asked for.
    """
    check_features(features, text)
    joint: tuple[NDArray[np.float64], ...] = _joint(features, text) if audiovisual == JOINT else ()
    cosine = _cosines(features)
    missing = missing_bits(features)
    if features.visual_probability is not None and features.audio_probability is not None:
        seen = np.ascontiguousarray(features.visual_probability, dtype=np.float64)
        heard = np.ascontiguousarray(features.audio_probability, dtype=np.float64)
        n, labels = len(features), seen.shape[2]
        return Logits(
            features.rows, seen, np.empty((n, 0, 1, labels)), np.empty((n, 0, labels)), heard, True, cosine, missing
        )
    visual, audio = pad_text(text.visual), pad_text(text.audio)
    windows = _products(features.audio, audio)
    if sound == CLIP:
        heard = np.ascontiguousarray(windows[:, :1])
    elif sound == WINDOWS:
        heard = window_sound(features, text, np.zeros(features.audio.shape[2])).logits
    elif features.audio_segments is None:
        raise ScoreError("there is no sound of segments: use `sound='clip'`")
    else:
        heard = _products(features.audio_segments, audio)
    return Logits(
        features.rows,
        _products(features.image, visual),
        _products(features.video, visual),
        windows,
        heard,
        False,
        cosine,
        missing,
        *joint,
    )


def joint_logits(features: Features, text: TextSet, *, windows: bool = True) -> Logits:
    """:attr:`Logits.joint_alone` of clips, and nothing else of them.

    Args:
        features: of n clips.
        text: C labels.
        windows: whether refinement may ask for any window; else window 0 alone is there.

    Raises:
        ScoreError: there are no joint embeddings, or not of every window.
    """
    rows, segments = _joint(features, text, windows=windows)
    n, _, labels = rows.shape
    return Logits(
        features.rows,
        segments,
        rows[:, :, None],
        np.empty((n, 0, labels)),
        np.zeros((n, 1, labels)),
        False,
        _cosines(features),
        np.full(n, NO_SOUND, np.uint8),
    )


def _joint(
    features: Features, text: TextSet, *, windows: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits of joint embeddings: of windows, (n, W, C) or (n, 1, C), and of segments, (n, T, C)."""
    joint, words = check_joint(features, text)
    segments = window_rows(joint, features.image.shape[1], words, np.zeros(joint.shape[2])).logits
    return _products(joint if windows else joint[:, :1], pad_text(words)), segments


def _cosines(features: Features) -> NDArray[np.float64]:
    """Similarity of each image with the next, (n, T - 1); zeros where there are no images, as no method uses them."""
    segments = features.image.shape[1]
    out = np.zeros((len(features), segments - 1))
    if features.image.shape[2]:
        image = stored_bits(features.image)
        workspace = np.zeros((segments, padded(image.shape[2])))
        cosines(image, np.arange(segments, dtype=np.int64), workspace, np.empty((segments, segments)), out)
    return out


def part_of(features: Features, clips: slice) -> Features:
    """Features of some of the clips; nothing is copied."""
    found: dict[str, Any] = {each.name: getattr(features, each.name) for each in fields(features)}
    there = {name: values[clips] for name, values in found.items() if values is not None}
    return Features(**there)


def missing_bits(features: Features) -> NDArray[np.uint8]:
    """What each clip does not have: uint8 (n,)."""
    return np.zeros(len(features), np.uint8) if features.missing is None else features.missing


def _products(embeddings: NDArray[Any], text: NDArray[np.float32]) -> NDArray[np.float64]:
    flat = stored_bits(embeddings).reshape(-1, embeddings.shape[-1])
    out = np.empty((len(flat), len(text)))
    if not len(flat):
        return out.reshape(*embeddings.shape[:-1], len(text))
    picks, workspace = np.arange(len(text), dtype=np.int64), np.zeros((_ROWS_AT_ONCE, padded(embeddings.shape[-1])))
    logits(flat, text, picks, workspace, out)
    return out.reshape(*embeddings.shape[:-1], len(text))


def alphabetical(labels: tuple[str, ...]) -> NDArray[np.int64]:
    """Label numbers in alphabetical order, case aside: int64 (C,)."""
    order = sorted(range(len(labels)), key=lambda number: (labels[number].lower(), labels[number]))
    return np.array(order, dtype=np.int64)
