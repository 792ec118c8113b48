"""Sound of segments: which rows stand for it (docs/design.md 4.3)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_cache import Features, TextSet, window_index
from score.common_parameters import SEGMENTS, WINDOWS
from score.kernels.norms import neighbour_products, norms_and_parts
from score.kernels.similarity import SMALLEST_NORM, logits, pad_text, padded, stored_bits

_ROWS_AT_ONCE = 10


@dataclass(frozen=True, eq=False)
class Rows:
    """Embeddings of n clips, R rows each, as they are seen from labels and from a vector: all float64.

    Attributes:
        logits: (n, R, C), inner products with a text set's embeddings.
        norm: (n, R), lengths.
        part: (n, R), inner products with the vector.
    """

    logits: NDArray[np.float64]
    norm: NDArray[np.float64]
    part: NDArray[np.float64]


def embedding_rows(embeddings: NDArray[np.floating], text: NDArray[np.floating], vector: NDArray[np.float64]) -> Rows:
    """What rows are to labels and to a vector.

    Args:
        embeddings: (n, R, D), float16 or float32.
        text: (C, D).
        vector: float64 (D,).
    """
    n, count, dims = embeddings.shape
    flat = stored_bits(embeddings).reshape(-1, dims)
    found = Rows(np.empty((n, count, len(text))), np.empty((n, count)), np.empty((n, count)))
    if flat.size:
        picks, workspace = np.arange(len(text), dtype=np.int64), np.zeros((_ROWS_AT_ONCE, padded(dims)))
        logits(flat, pad_text(text), picks, workspace, found.logits.reshape(len(flat), -1))
        norms_and_parts(flat, vector, found.norm.reshape(-1), found.part.reshape(-1))
    return found


def _pairs(segments: int) -> list[int]:
    """Rows of the windows of two segments, by the segment at which they begin."""
    return [window_index(start, start + 2, segments) for start in range(segments - 1)]


def window_rows(
    windows: NDArray[np.floating], segments: int, text: NDArray[np.floating], vector: NDArray[np.float64]
) -> Rows:
    """Segments from windows: the mean of the unit embeddings of the one or two 2-segment windows that hold each.

    Args:
        windows: (n, W, D), every window of n clips.
        segments: T.
        text: (C, D).
        vector: float64 (D,).

    Returns:
        The mean's logits, length and part, R = T; zeros where the embeddings are.
    """
    pairs = _pairs(segments)
    both = np.ascontiguousarray(windows[:, pairs])
    each = embedding_rows(both, text, vector)
    products = np.empty((len(both), len(pairs) - 1))
    neighbour_products(stored_bits(both), products)
    length = np.where(each.norm < SMALLEST_NORM, np.inf, each.norm)  # what has no direction adds nothing
    unit = Rows(each.logits / length[..., None], (each.norm / length), each.part / length)
    cosine = products / (length[:, :-1] * length[:, 1:])
    square = 0.25 * (unit.norm[:, :-1] ** 2 + unit.norm[:, 1:] ** 2 + 2 * cosine)

    def mean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([rows[:, :1], 0.5 * (rows[:, :-1] + rows[:, 1:]), rows[:, -1:]], axis=1)

    norm = np.concatenate([unit.norm[:, :1], np.sqrt(np.maximum(square, 0.0)), unit.norm[:, -1:]], axis=1)
    return Rows(mean(unit.logits), norm, mean(unit.part))


def window_sound(features: Features, text: TextSet, vector: NDArray[np.float64]) -> Rows:
    """A segment's sound from windows (:func:`window_rows`).

    Args:
        features: of n clips with every window.
        text: C labels.
        vector: float64 (Da,).
    """
    return window_rows(features.audio, features.image.shape[1], text.audio, vector)


def mean_windows(features: Features) -> NDArray[np.float64]:
    """What :func:`window_sound` sees from labels, as embeddings: float64 (n, T, Da)."""
    segments = features.image.shape[1]
    pairs = _pairs(segments)
    windows = features.audio[:, pairs].astype(np.float64)
    norm = np.sqrt(np.add.accumulate(windows * windows, axis=2)[..., -1:])
    unit = windows / np.where(norm < SMALLEST_NORM, np.inf, norm)
    return np.concatenate([unit[:, :1], 0.5 * (unit[:, :-1] + unit[:, 1:]), unit[:, -1:]], axis=1)


def sound_rows(features: Features, text: TextSet, sound: str, vector: NDArray[np.float64]) -> Rows:
    """The rows that stand for the segments' sound: R = T, or 1 where window 0's stands for all.

    Args:
        features: of n clips.
        text: C labels.
        sound: of ``SOUNDS``; "clip" is the whole clip's.
        vector: float64 (Da,).
    """
    if sound == WINDOWS:
        return window_sound(features, text, vector)
    rows = features.audio_segments if sound == SEGMENTS else features.audio[:, :1]
    assert rows is not None
    return embedding_rows(rows, text.audio, vector)
