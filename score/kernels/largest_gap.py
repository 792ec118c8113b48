"""Labels above the largest gap of a row's weights, and what time makes of them (docs/rules.md)."""

from typing import NamedTuple

import numpy as np

from score.kernels.bitmask import smooth
from score.kernels.jit import inner, lean
from score.kernels.runs import supported
from score.kernels.types import F64, I64

RUNS, CAUSAL, UNSMOOTHED = range(3)


class Sparse(NamedTuple):
    """Weights above 0 of rows of labels, in several places."""

    rows: I64  # (P,), T, or 1 where one row stands for all segments
    size: I64  # (P, T), how many
    label: I64  # (P, T, C), ascending
    value: F64  # (P, T, C)


@inner
def least_on(value: F64, count: int, support: float, order: F64) -> float:
    """The least weight that is on: above the largest gap among those above ``support``, by size, and 0.

    Of equal gaps the first; infinite where none exceeds ``support``.
    """
    size = 0
    for k in range(count):
        if value[k] > support:
            j = size
            while j > 0 and order[j - 1] < value[k]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = value[k]
            size += 1
    least, widest = np.inf, 0.0
    for j in range(size):
        gap = order[j] - order[j + 1] if j + 1 < size else order[j]
        if gap > widest:
            widest = gap
            least = order[j]
    return least


@inner
def smoothed(bitmask: np.uint64, smoothing: float) -> np.uint64:
    """Segments of a label after the rule of time: RUNS, CAUSAL or UNSMOOTHED."""
    if smoothing == RUNS:
        return smooth(bitmask)
    return supported(bitmask) if smoothing == CAUSAL else bitmask


@lean
def write_values(place: int, weights: Sparse, out: F64) -> None:
    """Weights w in a place as w / (1 + w) into float64 (C, T)."""
    out[:] = 0.0
    for t in range(out.shape[1]):
        r = t if weights.rows[place] > 1 else 0
        for k in range(weights.size[place, r]):
            w = weights.value[place, r, k]
            out[weights.label[place, r, k], t] = w / (1.0 + w)
