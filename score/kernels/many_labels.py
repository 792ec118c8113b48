"""Label shift where more labels than segments were positive (docs/design.md 4.4).

The weights of ``label_shift.py`` from as many unknowns as there are segments: as M'(M M' + I) is (M'M + I) M', w is
Y'v / (t + 1) where (I + G B) v = P q. G is the rows' Gram matrix over (t + 1)^2, B = Y Y' the number of labels that two
segments have in common.
"""

import numpy as np

from score.kernels.bitmask import ONE, popcount
from score.kernels.jit import lean
from score.kernels.shift_workspace import ShiftWorkspace
from score.kernels.types import F64, U64


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
