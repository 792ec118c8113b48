"""The non-negative Lasso: which labels explain a row together, each at a cost (docs/rules.md).

An active set whose weights are solved exactly; where rounding keeps it from its end, coordinate descent from there.
"""

import math
from typing import NamedTuple

import numpy as np

from score.kernels.jit import inner, lean
from score.kernels.types import F64, I64

SOLVED = 1e-10
"""Largest residual of a solution (:func:`worst_residual`)."""
_ENTERS = 0.2 * SOLVED
_DEPENDENT = 1e-14
"""Squared distance of a unit vector from the span of others below which it counts as one of theirs."""
_SWEEPS, _SWEEPS_AT_ONCE = 20_000, 10


class LassoWorkspace(NamedTuple):
    """Workspace of one thread for C labels; a solution is left in ``label`` and ``value``."""

    label: I64  # (C,), labels whose weight exceeds 0: ascending
    value: F64  # (C,), their weights
    target: F64  # (C,), b - cost / 2
    residual: F64  # (C,), target - Gw
    factor: F64  # (C, C), Cholesky's, of the Gram matrix of the labels in the set
    solved: F64  # (C,), of the labels in the set
    weight: F64  # (C,), of all labels


def lasso_workspace(labels: int) -> LassoWorkspace:
    """A workspace for C labels."""
    return LassoWorkspace(
        label=np.zeros(labels, np.int64),
        value=np.zeros(labels),
        target=np.zeros(labels),
        residual=np.zeros(labels),
        factor=np.zeros((labels, labels)),
        solved=np.zeros(labels),
        weight=np.zeros(labels),
    )


@lean
def solve_lasso(b: F64, cost: F64, gram: F64, workspace: LassoWorkspace) -> int:
    """The weights w >= 0 with the least |z - sum of w_c v_c|^2 + sum of cost_c w_c; returns how many exceed 0.

    Args:
        b: float64 (C,), cosines of the row z with the labels' unit vectors v_c.
        cost: float64 (C,).
        gram: float64 (C, C), of the vectors; of any rank.
        workspace: takes the labels whose weights exceed 0, ascending, and their weights.
    """
    label, value, target, residual = workspace.label, workspace.value, workspace.target, workspace.residual
    labels = b.shape[0]
    for c in range(labels):
        target[c] = b[c] - 0.5 * cost[c]
        residual[c] = target[c]
    size = 0
    for _ in range(4 * labels + 50):
        best = 0
        for c in range(1, labels):
            if residual[c] > residual[best]:
                best = c
        if residual[best] <= _ENTERS or _holds(label, size, best):
            break
        size = _enter(best, size, gram, workspace)
        if size < 0:
            break
        _take_residual(size, gram, workspace)
    if size < 0 or worst_residual(size, workspace) > SOLVED:
        return _descend(~size if size < 0 else size, gram, workspace)
    for i in range(1, size):  # ascending
        c, w = label[i], value[i]
        k = i
        while k > 0 and label[k - 1] > c:
            label[k], value[k] = label[k - 1], value[k - 1]
            k -= 1
        label[k], value[k] = c, w
    return size


@inner
def _holds(label: I64, size: int, c: int) -> bool:
    found = False
    for i in range(size):
        found |= label[i] == c
    return found


@inner
def _take_residual(size: int, gram: F64, workspace: LassoWorkspace) -> None:
    residual, target = workspace.residual, workspace.target
    for c in range(target.shape[0]):
        residual[c] = target[c]
    for i in range(size):
        c, w = workspace.label[i], workspace.value[i]
        for d in range(target.shape[0]):
            residual[d] -= gram[c, d] * w


@inner
def worst_residual(size: int, workspace: LassoWorkspace) -> float:
    """By how much the conditions of a solution are missed (Karush, Kuhn, Tucker).

    That is |2 (Gw - b) + cost| where a weight exceeds 0, and what of 2 (Gw - b) + cost is below 0 elsewhere.
    """
    worst = 0.0
    for c in range(workspace.residual.shape[0]):
        worst = max(worst, 2.0 * workspace.residual[c])
    for i in range(size):
        worst = max(worst, -2.0 * workspace.residual[workspace.label[i]])
    return worst


@inner
def _factor_row(c: int, i: int, gram: F64, workspace: LassoWorkspace) -> float:
    """Row i of the factor, of label c, but for the diagonal; returns the square of that."""
    label, factor = workspace.label, workspace.factor
    square = gram[c, c]
    for j in range(i):
        total = gram[c, label[j]]
        for k in range(j):
            total -= factor[i, k] * factor[j, k]
        factor[i, j] = total / factor[j, j]
        square -= factor[i, j] * factor[i, j]
    return square


@inner
def _factorise(size: int, gram: F64, workspace: LassoWorkspace) -> bool:
    """The factor of the labels in the set; False where they depend on each other."""
    for i in range(size):
        square = _factor_row(workspace.label[i], i, gram, workspace)
        if square <= 0.1 * _DEPENDENT:
            return False
        workspace.factor[i, i] = math.sqrt(square)
    return True


@lean
def _enter(c: int, size: int, gram: F64, workspace: LassoWorkspace) -> int:
    """Take a label into the set, and others out that then would fall below 0; returns its size, ~size for a failure."""
    label, value, solved, factor = workspace.label, workspace.value, workspace.solved, workspace.factor
    square = _factor_row(c, size, gram, workspace)
    if square > _DEPENDENT:
        factor[size, size] = math.sqrt(square)
        label[size], value[size] = c, 0.0
        size += 1
    else:
        size = _exchange(c, size, gram, workspace)
    while size > 0:
        for i in range(size):
            total = workspace.target[label[i]]
            for k in range(i):
                total -= factor[i, k] * solved[k]
            solved[i] = total / factor[i, i]
        step = 2.0
        for i in range(size - 1, -1, -1):
            total = solved[i]
            for k in range(i + 1, size):
                total -= factor[k, i] * solved[k]
            solved[i] = total / factor[i, i]
            if solved[i] <= 0.0:
                step = min(step, value[i] / (value[i] - solved[i]) if value[i] > 0.0 else 0.0)
        if step > 1.0:
            for i in range(size):
                value[i] = solved[i]
            return size
        for i in range(size):
            solved[i] = solved[i] - value[i]
        before = size
        size = _move(step, size, workspace)
        if size == before or not _factorise(size, gram, workspace):
            return ~size
    return size


@inner
def _move(step: float, size: int, workspace: LassoWorkspace) -> int:
    """Go along ``solved`` until a weight is 0, which leaves the set; returns the size of what stays."""
    label, value, solved = workspace.label, workspace.value, workspace.solved
    kept = 0
    for i in range(size):
        moved = value[i] + step * solved[i]
        if solved[i] < 0.0 and (moved <= 0.0 or value[i] <= -step * solved[i] * (1.0 + 1e-14)):
            continue
        label[kept], value[kept] = label[i], moved
        kept += 1
    return kept


@lean
def _exchange(c: int, size: int, gram: F64, workspace: LassoWorkspace) -> int:
    """Take a label into the set that the others can make up for: one of them leaves; ~size where none can."""
    label, value, solved, factor = workspace.label, workspace.value, workspace.solved, workspace.factor
    step = np.inf
    for i in range(size - 1, -1, -1):
        total = -factor[size, i]
        for k in range(i + 1, size):
            total -= factor[k, i] * solved[k]
        solved[i] = total / factor[i, i]
        if solved[i] < 0.0:
            step = min(step, value[i] / -solved[i])
    if step == np.inf:
        return ~size
    kept = _move(step, size, workspace)
    label[kept], value[kept] = c, step
    kept += 1
    return kept if _factorise(kept, gram, workspace) else ~kept


@lean
def _descend(size: int, gram: F64, workspace: LassoWorkspace) -> int:
    """Coordinate descent from the weights of the set."""
    label, value, weight, residual = workspace.label, workspace.value, workspace.weight, workspace.residual
    labels = weight.shape[0]
    weight[:] = 0.0
    for i in range(size):
        weight[label[i]] = value[i]
    for _ in range(_SWEEPS // _SWEEPS_AT_ONCE):
        for _ in range(_SWEEPS_AT_ONCE):
            for c in range(labels):
                step = max(0.0, weight[c] + residual[c] / gram[c, c]) - weight[c]
                if step != 0.0:
                    weight[c] += step
                    for d in range(labels):
                        residual[d] -= step * gram[c, d]
        size = 0
        for c in range(labels):
            if weight[c] > 0.0:
                label[size], value[size] = c, weight[c]
                size += 1
        _take_residual(size, gram, workspace)
        if worst_residual(size, workspace) <= SOLVED:
            break
    return size
