"""Runs of any length on any number of timelines: joined, and laid over each other; all timelines at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Runs:
    """R stretches of timelines, by timeline and start; those of a timeline neither overlap nor touch.

    Attributes:
        key: int64 (R,), number of the timeline.
        start: float64 (R,).
        end: float64 (R,), greater.
    """

    key: Ints
    start: Floats
    end: Floats

    def __len__(self) -> int:
        """Number of runs."""
        return len(self.key)

    @property
    def length(self) -> Floats:
        """float64 (R,)."""
        return self.end - self.start


@dataclass(frozen=True, eq=False)
class Overlaps:
    """P pairs of runs that overlap.

    Attributes:
        ours: int64 (P,), number of the one.
        theirs: int64 (P,), number of the other.
        common: where both are; two runs of a timeline have one stretch in common.
    """

    ours: Ints
    theirs: Ints
    common: Runs


def joined_runs(key: Ints, start: Floats, end: Floats) -> Runs:
    """Stretches in any order, those of a timeline that overlap or touch made one.

    Args:
        key: int64 (E,), numbers of timelines.
        start: float64 (E,).
        end: float64 (E,), greater.
    """
    if not len(key):
        return Runs(np.empty(0, np.int64), np.empty(0), np.empty(0))
    order = np.lexsort((start, key))
    key, start, end = key[order], start[order], end[order]
    places = _Places(key, start, end)
    furthest = np.maximum.accumulate(places.of(key, end))
    first = np.flatnonzero(np.append(True, places.of(key, start)[1:] > furthest[:-1]))
    last = np.append(first[1:], len(key)) - 1
    return Runs(key[first], start[first], places.position(furthest[last]))


def overlaps(ours: Runs, theirs: Runs) -> Overlaps:
    """All pairs of runs of one timeline that have a stretch in common, in the order of ours, then theirs."""
    places = _Places(
        np.concatenate([ours.key, theirs.key]),
        np.concatenate([ours.start, theirs.start]),
        np.concatenate([ours.end, theirs.end]),
    )
    first = np.searchsorted(places.of(theirs.key, theirs.end), places.of(ours.key, ours.start), side="right")
    last = np.searchsorted(places.of(theirs.key, theirs.start), places.of(ours.key, ours.end), side="left")
    one, other = ranges(first, last)
    common = Runs(
        ours.key[one], np.maximum(ours.start[one], theirs.start[other]), np.minimum(ours.end[one], theirs.end[other])
    )
    return Overlaps(one, other, common)


def ranges(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """All i and first[i] … last[i] - 1, beside each other."""
    counts = np.maximum(last - first, 0)
    one = np.repeat(np.arange(len(first)), counts)
    return one, np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts) + first[one]


class _Places:
    """Positions on many timelines as whole numbers that grow along each timeline, and from one to the next."""

    def __init__(self, key: Ints, start: Floats, end: Floats) -> None:
        self._keys = np.unique(key)
        self._positions = np.unique(np.concatenate([start, end]))

    def of(self, key: Ints, position: Floats) -> Ints:
        found: Ints = np.searchsorted(self._keys, key) * len(self._positions)
        return found + np.searchsorted(self._positions, position)

    def position(self, place: Ints) -> Floats:
        return self._positions[place % len(self._positions)]
