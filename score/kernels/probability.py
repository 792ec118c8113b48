"""Probabilities of a row of logits over the labels in play (docs/design.md 4.1)."""

import math

import numpy as np

from score.kernels.jit import inner, lean
from score.kernels.types import F64, I64


@inner
def moments(row: F64, kept: I64, size: int, out: F64) -> None:
    """Mean and standard deviation (K - 1) of ``row[kept[:size]]``, into float64 (2,); without spread the latter is NaN.

    Sums run left to right, as in the reference.

    Args:
        row: float64 (C,) logits.
        kept: int64 (C,), the first ``size`` are the labels in play, ascending.
        size: number of labels in play.
        out: float64 (2,), written.
    """
    low = np.inf
    high = -np.inf
    total = 0.0
    for i in range(size):
        value = row[kept[i]]
        total += value
        low = min(low, value)
        high = max(high, value)
    mean = total / size
    square = 0.0
    for i in range(size):
        off = row[kept[i]] - mean
        square += off * off
    out[0] = mean
    out[1] = np.nan if size < 2 or low == high else math.sqrt(square / (size - 1))


@inner
def standardised(value: float, mean: float, std: float) -> float:
    """Sigmoid of a z-score."""
    return 1.0 / (1.0 + math.exp(-((value - mean) / std)))


@lean
def standardise(row: F64, kept: I64, size: int, out: F64) -> None:
    """Sigmoid of the z-score (K - 1) of ``row[kept[:size]]``, into ``out[:size]``.

    A row without spread, or of one label, has no z-score: NaN. Sums run left to right, as in the reference.

    Args:
        row: float64 (C,) logits.
        kept: int64 (C,), the first ``size`` are the labels in play, ascending.
        size: number of labels in play.
        out: float64 (>= size,), written.
    """
    low = np.inf
    high = -np.inf
    total = 0.0
    for i in range(size):
        value = row[kept[i]]
        total += value
        low = min(low, value)
        high = max(high, value)
    if size < 2 or low == high:
        for i in range(size):
            out[i] = np.nan
        return
    mean = total / size
    square = 0.0
    for i in range(size):
        off = row[kept[i]] - mean
        square += off * off
    std = math.sqrt(square / (size - 1))
    for i in range(size):
        out[i] = standardised(row[kept[i]], mean, std)


@lean
def standardise_frames(rows: F64, kept: I64, size: int, out: F64, spare: F64) -> None:
    """Mean over F frame rows of their probabilities, each standardised on its own.

    Args:
        rows: float64 (F, C) logits.
        kept: int64 (C,), labels in play.
        size: number of labels in play.
        out: float64 (>= size,), written.
        spare: float64 (>= size,), workspace.
    """
    standardise(rows[0], kept, size, out)
    frames = rows.shape[0]
    if frames == 1:
        return
    for f in range(1, frames):
        standardise(rows[f], kept, size, spare)
        for i in range(size):
            out[i] += spare[i]
    for i in range(size):
        out[i] /= frames


@inner
def blend(alpha: float, visual: float, audio: float) -> float:
    """The audiovisual probability: (1 - alpha) visual + alpha audio."""
    return (1.0 - alpha) * visual + alpha * audio
