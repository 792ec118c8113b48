"""Candidates of a stream: runs of positive segments (docs/design.md 4.5)."""

from typing import Any, NamedTuple

import numpy as np

from score.kernels.bitmask import first_run, smooth, span, trailing_zeros
from score.kernels.jit import inner


class CandidateRoom(NamedTuple):
    """Candidates of one stream of one clip."""

    slot: Any  # int64 (most,), position of the label among those in play
    start: Any  # int64 (most,), first segment
    end: Any  # int64 (most,), one past the last segment
    probability: Any  # float64 (most,), of the candidate's own window and label
    stays: Any  # bool (most,)
    rank: Any  # int64 (most,), candidates by falling probability
    order: Any  # int64 (K,), labels by first positive segment


def candidate_room(labels: int, segments: int) -> CandidateRoom:
    """Room for every candidate that ``labels`` labels of ``segments`` segments can have."""
    most = labels * (segments // 4 + 1)
    return CandidateRoom(
        np.zeros(most, np.int64),
        np.zeros(most, np.int64),
        np.zeros(most, np.int64),
        np.zeros(most),
        np.zeros(most, np.bool_),
        np.zeros(most, np.int64),
        np.zeros(labels, np.int64),
    )


@inner
def find_candidates(words: Any, size: int, room: Any) -> int:
    """Fill slot, start and end in the order of 4.5; returns how many.

    Args:
        words: uint64 (>= size,), positive segments a label.
        size: labels in play.
        room: CandidateRoom.
    """
    order = room.order
    labels = 0
    for j in range(size):
        if smooth(words[j]) == 0:
            continue
        first = trailing_zeros(words[j])
        x = labels
        while x > 0 and trailing_zeros(words[order[x - 1]]) > first:
            order[x] = order[x - 1]
            x -= 1
        order[x] = j
        labels += 1
    n = 0
    for x in range(labels):
        word = smooth(words[order[x]])
        while word != 0:
            start, end = first_run(word)
            room.slot[n] = order[x]
            room.start[n] = start
            room.end[n] = end
            n += 1
            word &= ~span(start, end)
    return n


@inner
def window_row(start: int, end: int, segments: int) -> int:
    """Row of the window [start, end), as ``feature_cache.window_index``."""
    return 1 + start * (segments - 1) - start * (start - 1) // 2 + end - start - 2


@inner
def rank_candidates(room: Any, n: int) -> None:
    """Sort into ``rank`` by falling probability, equals in order."""
    for x in range(n):
        value = room.probability[x]
        y = x
        while y > 0:
            if value <= room.probability[room.rank[y - 1]]:
                break
            room.rank[y] = room.rank[y - 1]
            y -= 1
        room.rank[y] = x


@inner
def count_staying(room: Any, n: int, tau: float) -> int:
    """How many of the ranked candidates stay in refinement by threshold (4.6): the first so many."""
    if n <= 1:
        return n
    stay = 0
    while stay < n and room.probability[room.rank[stay]] > tau:
        stay += 1
    return max(stay, 1)
