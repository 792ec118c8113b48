"""Events of clips cut from longer files, on one timeline a file (docs/design.md 4.9)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from score.event_blocks import EventBlocks
from score.event_facts import Origin
from score.events import Events
from score.formats.base import EventBlock, joined
from score.merging import by_time, merged

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
    facts = events.facts
    files: dict[str, int] = {}
    number = np.empty(len(facts.clip_ids), dtype=np.int32)
    begin, end = np.zeros(len(number)), np.full(len(number), np.inf)
    for at, clip in enumerate(facts.clip_ids):
        file, begin[at], stop = facts.clips_from.get(clip, (clip, 0.0, None))
        number[at] = files.setdefault(file, len(files))
        if stop is not None:
            end[at] = stop
    stitched = replace(facts, clip_ids=tuple(files), stitched=True)
    return EventBlocks(stitched, _stitched(iter(events), number, begin, end, held))


def _stitched(
    blocks: Iterator[EventBlock],
    file: NDArray[np.int32],
    begin: NDArray[np.float64],
    end: NDArray[np.float64],
    at_most: int,
) -> Iterator[EventBlock]:
    last = np.zeros(int(file.max(initial=-1)) + 1, dtype=np.int64)
    last[file] = np.arange(len(file))  # of equal places the last is kept
    past = np.maximum.accumulate(last)
    held: list[EventBlock] = []
    for block in blocks:
        if not len(block):
            continue
        held.append(_moved(block, file, begin, end))
        ready = int(np.searchsorted(past, block.clip[-1], side="left"))  # files whose clips lie before this one
        if sum(map(len, held)) > at_most:
            together = joined(held)
            whole = together.clip < ready
            if whole.any():
                yield _touching(together.part(whole))
            held = [together.part(~whole)]
    if held:
        yield _touching(joined(held))


def _moved(
    block: EventBlock, file: NDArray[np.int32], begin: NDArray[np.float64], end: NDArray[np.float64]
) -> EventBlock:
    """Events on the timelines of their files; those that lie in what a clip was padded with are gone."""
    shift = begin[block.clip]
    onset = _rounded(shift + block.onset)
    offset = _rounded(np.minimum(shift + block.offset, end[block.clip]))
    there = onset < offset
    moved = EventBlock(file[block.clip], block.stream, block.label, onset, offset, block.score)
    return moved.part(there)


def _rounded(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """As Python rounds; NumPy's last digit may differ."""
    return np.array([round(each, _DIGITS) for each in seconds.tolist()], dtype=np.float64)


def _touching(block: EventBlock) -> EventBlock:
    """Events of whole files, those of one stream and label that touch or overlap as one."""
    return by_time(merged(block)[0])
