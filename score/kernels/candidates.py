"""Candidates of a stream: runs of positive segments (docs/design.md 4.5)."""

from typing import NamedTuple

import numpy as np

from score.kernels.bitmask import first_run, smooth, span, trailing_zeros
from score.kernels.jit import inner
from score.kernels.types import F64, I64, U64, Bools


class Candidates(NamedTuple):
    """Candidates of one stream of one clip."""

    slot: I64  # (most,), position of the label among those in play
    start: I64  # (most,), first segment
    end: I64  # (most,), one past the last segment
    probability: F64  # (most,), of the candidate's own window and label
    stays: Bools  # (most,)
    rank: I64  # (most,), candidates by falling probability
    order: I64  # (K,), labels by first positive segment


def empty_candidates(labels: int, segments: int) -> Candidates:
    """Places for every candidate that ``labels`` labels of ``segments`` segments can have."""
    most = labels * (segments // 4 + 1)
    return Candidates(
        slot=np.zeros(most, np.int64),
        start=np.zeros(most, np.int64),
        end=np.zeros(most, np.int64),
        probability=np.zeros(most),
        stays=np.zeros(most, np.bool_),
        rank=np.zeros(most, np.int64),
        order=np.zeros(labels, np.int64),
    )


@inner
def find_candidates(bitmasks: U64, size: int, candidates: Candidates) -> int:
    """Fill slot, start and end in the order of 4.5; returns how many.

    Args:
        bitmasks: uint64 (>= size,), positive segments a label.
        size: labels in play.
        candidates: Candidates.
    """
    order = candidates.order
    labels = 0
    for j in range(size):
        if smooth(bitmasks[j]) == 0:
            continue
        first = trailing_zeros(bitmasks[j])
        x = labels
        while x > 0 and trailing_zeros(bitmasks[order[x - 1]]) > first:
            order[x] = order[x - 1]
            x -= 1
        order[x] = j
        labels += 1
    n = 0
    for x in range(labels):
        bitmask = smooth(bitmasks[order[x]])
        while bitmask != 0:
            start, end = first_run(bitmask)
            candidates.slot[n] = order[x]
            candidates.start[n] = start
            candidates.end[n] = end
            n += 1
            bitmask &= ~span(start, end)
    return n


@inner
def window_row(start: int, end: int, segments: int) -> int:
    """Row of the window [start, end), as ``feature_cache.window_index``."""
    return 1 + start * (segments - 1) - start * (start - 1) // 2 + end - start - 2


@inner
def rank_candidates(candidates: Candidates, n: int) -> None:
    """Sort into ``rank`` by falling probability, equals in order."""
    for x in range(n):
        value = candidates.probability[x]
        y = x
        while y > 0:
            if value <= candidates.probability[candidates.rank[y - 1]]:
                break
            candidates.rank[y] = candidates.rank[y - 1]
            y -= 1
        candidates.rank[y] = x


@inner
def count_staying(candidates: Candidates, n: int, tau: float, before: int) -> int:
    """How many of the ranked candidates stay in refinement by threshold (4.6): the first so many.

    ``before`` of them stay at a higher threshold, as is known already; 0 if nothing is.
    """
    if n <= 1:
        return n
    stay = before
    while stay < n and candidates.probability[candidates.rank[stay]] > tau:
        stay += 1
    return max(stay, 1)
