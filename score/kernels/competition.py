"""What SCoPE's rule computes of rows of one modality, and gives to the other (docs/rules.md)."""

import math
from typing import NamedTuple

import numpy as np

from score.kernels.jit import lean
from score.kernels.lasso import LassoWorkspace, solve_lasso
from score.kernels.types import F64, I64

EXPONENTIAL, RECIPROCAL = range(2)
_SMALLEST = 1e-8
"""Added to the largest weight of a row that others are divided by."""


@lean
def share_rows(x: F64, gram: F64, cost: float, costs: F64, lasso: LassoWorkspace, out: F64) -> None:
    """What each row gives to each label: q(t) s(t, c) of the first stage.

    Args:
        x: float64 (R, C), cosines.
        gram: float64 (C, C), of the labels.
        cost: of a label.
        costs: float64 (C,), overwritten.
        lasso: LassoWorkspace.
        out: float64 (>= R, C), written.
    """
    rows, labels = x.shape
    costs[:] = cost
    for r in range(rows):
        size = solve_lasso(x[r], costs, gram, lasso)
        most, along, square = 0.0, 0.0, 0.0
        for k in range(size):
            c, w = lasso.label[k], lasso.value[k]
            most = max(most, w)
            along += w * x[r, c]
            for j in range(size):
                square += w * gram[c, lasso.label[j]] * lasso.value[j]
        for c in range(labels):
            out[r, c] = 0.0
        q = min(1.0, max(0.0, along / math.sqrt(square))) if square > 0.0 else 0.0
        for k in range(size):
            out[r, lasso.label[k]] = q * (lasso.value[k] / (most + _SMALLEST))


class Carried(NamedTuple):
    """What the clips of a file before this one gave to labels; kept from call to call. Of picture and sound."""

    given: F64  # (2, H, C), of the last H segments, in turn; or, with H = 1, of all clips, added up
    held: I64  # (2, 2), how many segments (or clips) are in it, and the place of the next; (0, 2): nothing is carried


def empty_carried(labels: int, remembered: int, carry: bool) -> Carried:
    """Nothing so far; ``remembered`` segments, 0: all clips."""
    return Carried(np.zeros((2, max(remembered, 1), labels)), np.zeros((2 if carry else 0, 2), np.int64))


@lean
def give_on(share: F64, rows: int, segments: int, remembered: int, carried: Carried, side: int, out: F64) -> int:
    """As :func:`give`, where what the clips of a file before gave counts, too.

    Args:
        share: float64 (>= R, C).
        rows: R.
        segments: T.
        remembered: segments, with the present one; 0: all clips so far, this one among them.
        carried: Carried, gone on with.
        side: 0 for the picture, 1 for the sound.
        out: float64 (>= T, C), written.

    Returns:
        The rows written: 1 where one stands for all segments.
    """
    labels, kept, count = share.shape[1], carried.given[side], carried.held[side]
    if remembered == 0:
        give(share, rows, 0, out)
        count[0] += 1
        for c in range(labels):
            kept[0, c] += out[0, c]
            out[0, c] = kept[0, c] / count[0]
        return 1
    for t in range(segments):
        for c in range(labels):
            kept[count[1], c] = share[t if rows > 1 else 0, c]
        count[1] = (count[1] + 1) % remembered
        count[0] = min(count[0] + 1, remembered)
        for c in range(labels):
            total = 0.0
            for back in range(count[0], 0, -1):  # the oldest first, as within a clip
                total += kept[(count[1] - back) % remembered, c]
            out[t, c] = total / count[0]
    return segments


@lean
def give(share: F64, rows: int, remembered: int, out: F64) -> int:
    """How much is given to each label: the mean over the clip, or at each segment over those up to it.

    Args:
        share: float64 (>= R, C).
        rows: R.
        remembered: segments, with the present one; 0: the whole clip.
        out: float64 (>= R, C), written.

    Returns:
        The rows written: 1 where one stands for all segments.
    """
    labels = share.shape[1]
    written = 1 if remembered == 0 else rows
    for t in range(written):
        first = max(0, t + 1 - remembered) if remembered > 0 else 0
        last = t + 1 if remembered > 0 else rows
        for c in range(labels):
            out[t, c] = 0.0
        for r in range(first, last):
            for c in range(labels):
                out[t, c] += share[r, c]
        for c in range(labels):
            out[t, c] /= last - first
    return written


@lean
def exchanged_costs(given: F64, cost: float, eta: float, form: float, out: F64) -> None:
    """Costs of labels by what the other modality gives to each: their mean stays ``cost``.

    Args:
        given: float64 (C,), of the other modality.
        cost: their mean.
        eta: how much is exchanged.
        form: EXPONENTIAL, exp(-x), or RECIPROCAL, 1 / (1 + x).
        out: float64 (C,), written.
    """
    labels = given.shape[0]
    total = 0.0
    for c in range(labels):
        x = eta * given[c]
        out[c] = 1.0
        if x != 0.0:
            out[c] = math.exp(-x) if form == EXPONENTIAL else 1.0 / (1.0 + x)
        total += out[c]
    mean = total / labels
    for c in range(labels):
        out[c] = cost * out[c] / mean
