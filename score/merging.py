"""Events of one clip, stream and label that lie close together, as one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.formats.base import EventBlock

TOUCH_SECONDS = 1e-6
"""Events that lie no further apart than this touch; seconds are compared to within it."""


def merged(block: EventBlock, gap: float = 0.0) -> tuple[EventBlock, NDArray[np.int64]]:
    """Events of one clip, stream and label that overlap, touch, or lie no further apart than a gap, as one.

    It lasts from the first onset to the last offset; its score is the largest of theirs.

    Args:
        block: the events, of whole clips.
        gap: seconds.

    Returns:
        The events, and int64 (E,): the first place in ``block`` that each of them comes from.
    """
    if not len(block):
        return block, np.zeros(0, dtype=np.int64)
    order = np.lexsort((block.score, block.offset, block.onset, block.label, block.stream, block.clip))
    block = block.part(order)
    fresh = np.ones(len(block), dtype=bool)
    fresh[1:] = _changes(block.clip) | _changes(block.stream) | _changes(block.label)
    furthest = _furthest(block.offset, np.cumsum(fresh))
    fresh[1:] |= block.onset[1:] > furthest[:-1] + gap + TOUCH_SECONDS
    first = np.flatnonzero(fresh)
    final = np.append(first[1:], len(block)) - 1
    found = EventBlock(
        block.clip[first],
        block.stream[first],
        block.label[first],
        block.onset[first],
        furthest[final],
        np.maximum.reduceat(block.score, first),
    )
    return found, np.minimum.reduceat(order, first).astype(np.int64)


def by_time(block: EventBlock) -> EventBlock:
    """Events sorted by clip, stream, onset, offset and label, as those of files are."""
    return block.part(np.lexsort((block.label, block.offset, block.onset, block.stream, block.clip)))


def touching(block: EventBlock) -> EventBlock:
    """Events on the timelines of files, in any order, as those of files are: what touches or overlaps is one."""
    return by_time(merged(block)[0])


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = values[1:] != values[:-1]
    return found


def _furthest(offsets: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """The largest offset so far within each group of neighbours; by ranks, as groups must not see each other's.

    Where a gap lies between events of a group, all offsets before it are smaller than those behind it.
    """
    order, rank = np.unique(offsets, return_inverse=True)
    highest = np.maximum.accumulate(rank + group * len(order))
    found: NDArray[np.float64] = order[highest - group * len(order)]
    return found
