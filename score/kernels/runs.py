"""Which segments are on, from a margin a segment: paths with a penalty a run, medians (docs/rules.md)."""

import numpy as np

from score.kernels.bitmask import ONE, popcount, span
from score.kernels.jit import inner, lean
from score.kernels.types import F64


@lean
def largest_of(x: F64, out: F64) -> None:
    """Each label's largest value, (C,), of rows (R, C)."""
    for c in range(x.shape[1]):
        most = x[0, c]
        for r in range(1, x.shape[0]):
            most = max(most, x[r, c])
        out[c] = most


@lean
def best_runs(margins: F64, penalty: float) -> np.uint64:
    """The segments that are on along the best path: the sum of their margins less ``penalty`` for each run.

    Two states a segment, off and on; of equal paths the one that is off, or begins anew, the later.

    Args:
        margins: float64 (T,).
        penalty: of a run, at least 0.
    """
    segments = margins.shape[0]
    off = 0.0
    on = -np.inf
    began = np.uint64(0)  # bit t: the best path that is on at t begins there
    ended = np.uint64(0)  # bit t: the best path that is off at t was on before
    for t in range(segments):
        start = off - penalty
        bit = ONE << np.uint64(t)
        next_off = off
        if on > off:
            next_off = on
            ended |= bit
        if start >= on:
            began |= bit
            on = start + margins[t]
        else:
            on = on + margins[t]
        off = next_off
    found = np.uint64(0)
    state = on > off
    for t in range(segments - 1, -1, -1):
        bit = ONE << np.uint64(t)
        if state:
            found |= bit
            state = (began & bit) == 0
        else:
            state = (ended & bit) != 0
    return found


@inner
def positive(margins: F64) -> np.uint64:
    """The segments whose margin exceeds 0."""
    found = np.uint64(0)
    for t in range(margins.shape[0]):
        if margins[t] > 0.0:
            found |= ONE << np.uint64(t)
    return found


@lean
def median(bitmask: np.uint64, segments: int, width: int) -> np.uint64:
    """Each segment as more than half of the ``width`` segments around it are; windows are cut at the clip's ends."""
    found = np.uint64(0)
    for t in range(segments):
        first, last = max(0, t - width // 2), min(segments, t + width // 2 + 1)
        if 2 * np.int64(popcount(bitmask & span(first, last))) > last - first:
            found |= ONE << np.uint64(t)
    return found


@inner
def supported(bitmask: np.uint64) -> np.uint64:
    """Segments beside which another one is on."""
    return bitmask & ((bitmask << ONE) | (bitmask >> ONE))
