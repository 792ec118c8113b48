"""What label shift keeps meanwhile (docs/design.md 4.4)."""

from typing import NamedTuple

import numpy as np

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
