"""Dynamic thresholds: within-video label shift (docs/design.md 4.4), as bitmasks of positive segments.

BBSE needs w with (M'M + I) w = M'q, M = P'Y / (t + 1). M's column j is the sum of the rows at which label j was
positive, so M'M and M'q are sums of inner products between rows of P: the Gram matrix of the rows, made once, is all
that is needed, and a step costs nothing for labels that were never positive (their w is 0).

Where more labels than segments were positive, the same w comes from as many unknowns as there are segments: as
M'(M M' + I) is (M'M + I) M', it is Y'v / (t + 1) where (I + G B) v = P q. G is the rows' Gram matrix over (t + 1)^2,
B = Y Y' the number of labels that two segments have in common.
"""

import math
from typing import NamedTuple

import numpy as np

from score.kernels.bitmask import ONE, bit, popcount
from score.kernels.jit import inner, lean
from score.kernels.types import F64, I64, U64


class ShiftWorkspace(NamedTuple):
    """Workspace of the passes, for K labels and T segments."""

    active: I64  # (K,)
    counts: I64  # (K,)
    theta: F64  # (K,)
    sums: F64  # (K, T): for an active label, row sums of the Gram matrix over its positive segments
    normal: F64  # (K, K): M'M (t + 1)^2
    factor: F64  # (K, K): L below the diagonal
    inverse: F64  # (K,): 1 / D
    row: F64  # (K,)
    here: F64  # (K,): 1 where an active label is positive now
    weights: F64  # (K,)
    rows: U64  # (T, ceil(K / 64)): which active labels are positive in a segment
    common: F64  # (T, T): how many active labels two segments have in common, B
    product: F64  # (T, T): G B (t + 1)^2
    system: F64  # (T, T)
    solution: F64  # (T,)


def shift_workspace(labels: int, segments: int) -> ShiftWorkspace:
    """A workspace for ``labels`` labels and ``segments`` segments."""
    return ShiftWorkspace(
        active=np.zeros(labels, np.int64),
        counts=np.zeros(labels, np.int64),
        theta=np.zeros(labels),
        sums=np.zeros((labels, segments)),
        normal=np.zeros((labels, labels)),
        factor=np.zeros((labels, labels)),
        inverse=np.zeros(labels),
        row=np.zeros(labels),
        here=np.zeros(labels),
        weights=np.zeros(labels),
        rows=np.zeros((segments, -(-labels // 64)), np.uint64),
        common=np.zeros((segments, segments)),
        product=np.zeros((segments, segments)),
        system=np.zeros((segments, segments)),
        solution=np.zeros(segments),
    )


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


@lean
def add_common_segment(gram: F64, t: int, n: int, bitmasks: U64, workspace: ShiftWorkspace) -> None:
    """Bring what segments have in common, and G B, from the segments before ``t`` to those before ``t + 1``."""
    rows, common, product = workspace.rows, workspace.common, workspace.product
    words = rows.shape[1]
    for q in range(words):
        word = np.uint64(0)
        for x in range(64 * q, min(n, 64 * q + 64)):
            word |= ((bitmasks[workspace.active[x]] >> np.uint64(t)) & ONE) << np.uint64(x - 64 * q)
        rows[t, q] = word
    for s in range(t + 1):
        count = 0.0
        for q in range(words):
            count += np.float64(popcount(rows[s, q] & rows[t, q]))
        common[s, t] = common[t, s] = count
    for s in range(t):
        for u in range(t):
            product[s, u] += gram[s, t] * common[t, u]
    for s in range(t + 1):
        value = 0.0
        other = 0.0
        for u in range(t + 1):
            value += gram[s, u] * common[u, t]
            other += gram[t, u] * common[u, s]
        product[s, t] = value
        product[t, s] = other


@lean
def solve_common(gram: F64, t: int, n: int, scale: float, bitmasks: U64, workspace: ShiftWorkspace) -> None:
    """The weights of n active labels by Gauss with pivots, into ``workspace.weights``."""
    a, v = workspace.system, workspace.solution
    square = scale * scale
    size = t + 1
    for x in range(size):
        for y in range(size):
            a[x, y] = workspace.product[x, y] * square
        a[x, x] += 1.0
        v[x] = gram[x, t + 1]
    for x in range(size):
        best = x
        for y in range(x + 1, size):
            if abs(a[y, x]) > abs(a[best, x]):
                best = y
        if best != x:
            for z in range(x, size):
                a[x, z], a[best, z] = a[best, z], a[x, z]
            v[x], v[best] = v[best], v[x]
        for y in range(x + 1, size):
            factor = a[y, x] / a[x, x]
            for z in range(x + 1, size):
                a[y, z] -= factor * a[x, z]
            v[y] -= factor * v[x]
    for x in range(size - 1, -1, -1):
        value = v[x]
        for z in range(x + 1, size):
            value -= a[x, z] * v[z]
        v[x] = value / a[x, x]
    known = np.uint64(0)
    weight = 0.0
    for x in range(n):
        bitmask = bitmasks[workspace.active[x]]
        if bitmask != known:  # many labels have equal ones
            known = bitmask
            weight = 0.0
            for s in range(size):
                if (bitmask >> np.uint64(s)) & ONE:
                    weight += v[s]
            weight *= scale
        workspace.weights[x] = weight


@lean
def solve_many(gram: F64, t: int, n: int, counted: int, bitmasks: U64, workspace: ShiftWorkspace) -> None:
    """:func:`add_segment` and :func:`solve_ridge` for more labels than segments; the first ``counted`` are known."""
    for s in range(counted, t + 1):
        add_common_segment(gram, s, n, bitmasks, workspace)
    solve_common(gram, t, n, 1.0 / (t + 1), bitmasks, workspace)
    for x in range(n):
        workspace.counts[workspace.active[x]] += np.int64((bitmasks[workspace.active[x]] >> np.uint64(t)) & ONE)


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
    good = segments
    for t in range(segments):
        if gram[t, t] != gram[t, t]:
            good = t
            break
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
