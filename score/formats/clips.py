"""Events of one clip after the other, as formats need them that keep a clip's together."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from score.errors import ScoreError
from score.formats.base import ClipEvents, EventBlock, Facts, joined

_NONE = joined([])


def by_clip(facts: Facts, blocks: Iterable[EventBlock]) -> Iterator[ClipEvents]:
    """Every clip and its events, clips without any too, in the order of the facts' "clips".

    Args:
        facts: of the events.
        blocks: the events, those of a clip together, clips in their order.

    Raises:
        ScoreError: clips come in another order.
    """
    clips, lengths, at = facts["clips"], _lengths(facts), 0
    usual = facts["segments"] * facts["segment_seconds"]

    def of(number: int, events: EventBlock) -> ClipEvents:
        """At least as long as its events reach."""
        length = max(lengths.get(clips[number], usual), float(events.offset.max(initial=0.0)))
        return ClipEvents(clips[number], number, length, events)

    for number, events in _grouped(facts, blocks):
        yield from (of(empty, _NONE) for empty in range(at, number))
        yield of(number, events)
        at = number + 1
    yield from (of(empty, _NONE) for empty in range(at, len(clips)))


def _grouped(facts: Facts, blocks: Iterable[EventBlock]) -> Iterator[tuple[int, EventBlock]]:
    """The clips that have events."""
    past, held = -1, _NONE
    for block in blocks:
        if not len(block):
            continue
        together = joined([held, block]) if len(held) else block
        numbers = together.clip
        if numbers[0] <= past or (np.diff(numbers) < 0).any():
            late = 0 if numbers[0] <= past else int(np.argmax(np.diff(numbers) < 0)) + 1
            name = facts["clips"][int(numbers[late])]
            raise ScoreError(f"events of clip {name[:100]} come after those of later ones: `Events.write` sorts them")
        starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(together)]
        *whole, held = (together.part(slice(begin, end)) for begin, end in pairwise(starts))
        for found in whole:
            past = int(found.clip[0])
            yield past, found
    if len(held):
        yield int(held.clip[0]), held


def _lengths(facts: Facts) -> dict[str, float]:
    """Seconds of files of which clips were cut: to the end of the last one."""
    found: dict[str, float] = {}
    if facts["stitched"]:
        for file, begin, *end in facts["clips_from"].values():
            until = end[0] if end else begin + facts["segments"] * facts["segment_seconds"]
            found[file] = max(found.get(file, 0.0), until)
    return found
