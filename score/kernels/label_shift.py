"""Dynamic thresholds: within-video label shift (docs/design.md 4.4), as bitmasks of positive segments.

BBSE needs w with (M'M + I) w = M'q, M = P'Y / (t + 1). M's column j is the sum of the rows at which label j was
positive, so M'M and M'q are sums of inner products between rows of P: the Gram matrix of the rows, made once, is all
that is needed, and a step costs nothing for labels that were never positive (their w is 0). Where more labels
than segments were positive, ``many_labels.py`` finds the same w.
"""

import math

import numpy as np

from score.kernels.bitmask import ONE, bit
from score.kernels.jit import inner, lean
from score.kernels.many_labels import solve_many
from score.kernels.shift_workspace import ShiftWorkspace
from score.kernels.types import F64, U64


def decay_table(gamma: float, segments: int, iterations: int) -> F64:
    """exp(-gamma n) for every count n that can occur, float64 (segments * iterations + 1,)."""
    return np.array([math.exp(-gamma * n) for n in range(segments * iterations + 1)])


@lean
def simple_shift(
    p: F64,
    size: int,
    cosine: F64,
    use_cosine: bool,
    tau: float,
    decay: F64,
    passes: int,
    bitmasks: U64,
    trace: F64 | None = None,
) -> None:
    """Methods `naive` (passes = 0) and `cosine`: each label on its own.

    Args:
        p: float64 (T, >= size) probabilities.
        size: labels in play.
        cosine: float64 (T - 1,), similarity of neighbouring images.
        use_cosine: whether the factor applies (not to the audio stream).
        tau: first threshold.
        decay: exp(-gamma n), float64.
        passes: label-shift passes; 0 keeps the threshold.
        bitmasks: uint64 (>= size,), written: the positive segments.
        trace: float64 (T, >= size), written: the thresholds; None where nobody asks for them.
    """
    segments = p.shape[0]
    for j in range(size):
        bitmask = np.uint64(0)
        count = 0
        for _ in range(max(passes, 1)):
            theta = tau
            bitmask = np.uint64(0)
            for t in range(segments):
                if trace is not None:
                    trace[t, j] = theta
                if p[t, j] > theta:
                    bitmask |= bit(t)
                    if t + 1 < segments:
                        count += 1
                if passes > 0 and t + 1 < segments:
                    offset = tau * decay[count]
                    if use_cosine:
                        offset *= cosine[t]
                    theta -= offset
        bitmasks[j] = bitmask


@inner
def solve_ridge(workspace: ShiftWorkspace, size: int, scale: float, segment: int) -> None:
    """(normal * scale^2 + I) w = sums[:, segment] * scale by L D L', into ``workspace.weights``."""
    low, inverse, row, w = workspace.factor, workspace.inverse, workspace.row, workspace.weights
    square = scale * scale
    for x in range(size):
        pivot = workspace.normal[x, x] * square + 1.0
        right = workspace.sums[x, segment] * scale
        for z in range(x):
            value = workspace.normal[x, z] * square
            for y in range(z):
                value -= row[y] * low[z, y]
            row[z] = value
            low[x, z] = value * inverse[z]
            pivot -= value * low[x, z]
            right -= low[x, z] * w[z]
        inverse[x] = 1.0 / pivot
        w[x] = right
    for x in range(size):
        w[x] *= inverse[x]
    for x in range(size - 1, -1, -1):
        value = w[x]
        for y in range(x):
            w[y] -= low[x, y] * value


@inner
def add_segment(gram: F64, t: int, n: int, bitmasks: U64, workspace: ShiftWorkspace) -> None:
    """Bring the sums of n active labels and M'M from the segments before ``t`` to those before ``t + 1``."""
    active, sums, normal, here = workspace.active, workspace.sums, workspace.normal, workspace.here
    for x in range(n):
        here[x] = np.float64((bitmasks[active[x]] >> np.uint64(t)) & ONE)
    for x in range(n):
        for z in range(x + 1):
            normal[x, z] += here[x] * (sums[z, t] + here[z] * gram[t, t]) + here[z] * sums[x, t]
    for x in range(n):
        if here[x] > 0.0:
            workspace.counts[active[x]] += 1
            for v in range(t + 1, gram.shape[0]):  # the past is not asked for again
                sums[x, v] += gram[t, v]


@inner
def begin_trace(trace: F64, size: int, tau: float, good: int) -> None:
    """Thresholds before any label shift; behind the first row without spread, ``good``, there are none."""
    for t in range(trace.shape[0]):
        for j in range(size):
            trace[t, j] = tau if t == 0 or t < good else np.nan


@inner
def rows_with_spread(gram: F64) -> int:
    """Rows before the first that is NaN."""
    for t in range(gram.shape[0]):
        if gram[t, t] != gram[t, t]:
            return t
    return gram.shape[0]


@lean
def bbse_shift(
    p: F64,
    size: int,
    gram: F64,
    peak: F64,
    cosine: F64,
    use_cosine: bool,
    tau: float,
    decay: F64,
    passes: int,
    bitmasks: U64,
    workspace: ShiftWorkspace,
    trace: F64 | None = None,
) -> None:
    """Methods `bbse` and `bbse-cosine`.

    Args:
        p: float64 (T, >= size) probabilities; a row without spread is NaN, and no segment from it on is positive.
        size: labels in play.
        gram: float64 (T, T), inner products of the rows of ``p``.
        peak: float64 (>= size,), each label's largest probability.
        cosine: float64 (T - 1,), similarity of neighbouring images.
        use_cosine: whether the factor applies.
        tau: first threshold.
        decay: exp(-gamma n), float64.
        passes: label-shift passes, at least 1.
        bitmasks: uint64 (>= size,), written: the positive segments.
        workspace: ShiftWorkspace.
        trace: float64 (T, >= size), written: the thresholds; None where nobody asks for them.
    """
    segments = p.shape[0]
    good = rows_with_spread(gram)
    if trace is not None:
        begin_trace(trace, size, tau, good)
    possible = 0
    for j in range(size):
        bitmasks[j] = 0
        workspace.counts[j] = 0
        if good < segments or peak[j] > tau:
            possible += 1
    if possible == 0:
        return
    active, counts, theta = workspace.active, workspace.counts, workspace.theta
    sums, normal = workspace.sums, workspace.normal
    for number in range(passes):
        n = 0
        counted = 0  # segments whose common labels are known
        if number > 0:
            for j in range(size):
                bitmasks[j] = 0
            if trace is not None:
                begin_trace(trace, size, tau, good)
        for t in range(good):
            for x in range(n):
                if p[t, active[x]] > theta[x]:
                    bitmasks[active[x]] |= bit(t)
            if n < possible:
                for j in range(size):
                    if bitmasks[j] == 0 and p[t, j] > tau:
                        bitmasks[j] = bit(t)
                        active[n] = j
                        theta[n] = tau
                        for v in range(segments):
                            sums[n, v] = 0.0
                        for x in range(n + 1):
                            normal[n, x] = 0.0
                        n += 1
            if t + 1 >= good:
                if good < segments:  # its count still matters to a later pass
                    for x in range(n):
                        if (bitmasks[active[x]] >> np.uint64(t)) & ONE:
                            counts[active[x]] += 1
                break
            if n == 0:
                continue
            if n <= segments:
                add_segment(gram, t, n, bitmasks, workspace)
                solve_ridge(workspace, n, 1.0 / (t + 1), t + 1)
            else:
                solve_many(gram, t, n, counted, bitmasks, workspace)
                counted = t + 1
            factor = tau
            if use_cosine:
                factor *= cosine[t]
            for x in range(n):
                j = active[x]
                theta[x] -= factor * decay[counts[j]] * workspace.weights[x] * p[t + 1, j]
                if trace is not None:
                    trace[t + 1, j] = theta[x]


@inner
def bbse_shift_constant(
    p: F64,
    size: int,
    segments: int,
    norm: float,
    tau: float,
    decay: F64,
    passes: int,
    bitmasks: U64,
    workspace: ShiftWorkspace,
    trace: F64 | None = None,
) -> None:
    """:func:`bbse_shift` where all rows are the same: M has rank one and w a closed form (Sherman-Morrison).

    Args:
        p: float64 (>= size,), the row.
        size: labels in play.
        segments: T.
        norm: inner product of the row with itself.
        tau: first threshold.
        decay: exp(-gamma n), float64.
        passes: label-shift passes, at least 1.
        bitmasks: uint64 (>= size,), written.
        workspace: ShiftWorkspace; its counts, theta, active and weights are used.
        trace: float64 (T, >= size), written: the thresholds; None where nobody asks for them.
    """
    n = 0
    if trace is not None:
        begin_trace(trace, size, tau, 0 if norm != norm else segments)
    active, counts, theta, positives = workspace.active, workspace.counts, workspace.theta, workspace.weights
    for j in range(size):
        bitmasks[j] = 0
        if p[j] > tau:
            active[n] = j
            counts[n] = 0
            n += 1
    if n == 0:
        return
    for _ in range(passes):
        for x in range(n):
            bitmasks[active[x]] = 0
            theta[x] = tau
            positives[x] = 0.0
        for t in range(segments):
            square = 0.0
            for x in range(n):
                if p[active[x]] > theta[x]:
                    bitmasks[active[x]] |= bit(t)
                    positives[x] += 1.0
                    if t + 1 < segments:
                        counts[x] += 1
                square += positives[x] * positives[x]
            if t + 1 == segments:
                break
            scale = 1.0 / (t + 1)
            common = norm * scale / (1.0 + norm * square * scale * scale)
            for x in range(n):
                theta[x] -= tau * decay[counts[x]] * positives[x] * common * p[active[x]]
                if trace is not None:
                    trace[t + 1, active[x]] = theta[x]
