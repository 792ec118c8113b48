"""Events of clips cut from longer files, on one timeline a file (docs/design.md 4.9)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from score.event_blocks import EventBlocks
from score.event_facts import Origin
from score.events import Events
from score.formats.base import EventBlock, joined
from score.merging import touching

_DIGITS = 6
_HELD = 1 << 16
"""Events that are kept before files that are complete are looked for."""


def cut_from_longer(origins: Mapping[str, Origin]) -> bool:
    """Whether a clip is a part of a longer file; the others are whole files that were padded."""
    return any(file != clip for clip, (file, _, _) in origins.items())


def stitch(events: Events) -> Events:
    """Put the events of clips that were cut from one file onto the file's timeline.

    Events of one stream and label that touch or overlap become one, whose score is the largest of theirs. A clip that
    was not cut from a file is a file of its own, from second 0 on.

    Args:
        events: of clips; ``clips_from`` says where they were cut. Stitched ones are given back as they are.

    Returns:
        Events whose ``clip_ids`` are files, in the order of their first clips, and whose ``seconds`` are those of the
        file; sorted by file, stream, onset, offset and label.

    Example:
        >>> events = stitch(score(cache, config, stitched=False))
        >>> events.stream("visual")  # by file
    """
    if events.seconds is not None:
        return events
    order = np.argsort(events.clip, kind="stable")
    found = stitch_blocks(EventBlocks(events.facts, iter([events.block.part(order)])))
    return Events.gathered(found.facts, found)


def stitch_blocks(events: EventBlocks, held: int = _HELD) -> EventBlocks:
    """The same of events that come sorted by clip; a file's go on once its last clip and all files before it are past.

    Args:
        events: of clips.
        held: events that are kept before complete files are looked for.
    """
    places = FilePlaces.of(events.facts.clip_ids, events.facts.clips_from)
    stitched = replace(events.facts, clip_ids=places.files, stitched=True)
    return EventBlocks(stitched, _stitched(iter(events), places, held))


@dataclass(frozen=True, eq=False)
class FilePlaces:
    """Where n clips lie in the files that they were cut from.

    Attributes:
        files: their names, in the order of their first clips.
        number: int32 (n,), number of the file.
        begin: float64 (n,), the second at which the clip begins in it.
        end: float64 (n,), the second at which its content ends; infinite where it is not padded.
    """

    files: tuple[str, ...]
    number: NDArray[np.int32]
    begin: NDArray[np.float64]
    end: NDArray[np.float64]

    @classmethod
    def of(cls, clips: Sequence[str], origins: Mapping[str, Origin]) -> Self:
        """Those of clips; one that was not cut from a file is a file of its own."""
        files: dict[str, int] = {}
        number = np.empty(len(clips), dtype=np.int32)
        begin, end = np.zeros(len(number)), np.full(len(number), np.inf)
        for at, clip in enumerate(clips):
            file, begin[at], stop = origins.get(clip, (clip, 0.0, None))
            number[at] = files.setdefault(file, len(files))
            if stop is not None:
                end[at] = stop
        return cls(tuple(files), number, begin, end)

    def bounds(self, seconds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds of the files for seconds of the clips, (n, B) of (B,): of onsets, and of offsets."""
        moved = self.begin[:, None] + seconds
        return _rounded(moved), _rounded(np.minimum(moved, self.end[:, None]))


def _stitched(blocks: Iterator[EventBlock], places: FilePlaces, at_most: int) -> Iterator[EventBlock]:
    file = places.number
    last = np.zeros(len(places.files), dtype=np.int64)
    last[file] = np.arange(len(file))  # of equal places the last is kept
    past = np.maximum.accumulate(last)
    held: list[EventBlock] = []
    for block in blocks:
        if not len(block):
            continue
        held.append(_moved(block, places))
        ready = int(np.searchsorted(past, block.clip[-1], side="left"))  # files whose clips lie before this one
        if sum(map(len, held)) > at_most:
            together = joined(held)
            whole = together.clip < ready
            if whole.any():
                yield touching(together.part(whole))
            held = [together.part(~whole)]
    if held:
        yield touching(joined(held))


def _moved(block: EventBlock, places: FilePlaces) -> EventBlock:
    """Events on the timelines of their files; those that lie in what a clip was padded with are gone."""
    shift = places.begin[block.clip]
    onset = _rounded(shift + block.onset)
    offset = _rounded(np.minimum(shift + block.offset, places.end[block.clip]))
    there = onset < offset
    moved = EventBlock(places.number[block.clip], block.stream, block.label, onset, offset, block.score)
    return moved.part(there)


def _rounded(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """As Python rounds; NumPy's last digit may differ."""
    rounded = np.array([round(each, _DIGITS) for each in seconds.ravel().tolist()], dtype=np.float64)
    return rounded.reshape(seconds.shape)
