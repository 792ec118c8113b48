"""After-processing: events that lie close together become one, short ones are dropped (docs/design.md 4.10)."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from score.errors import ScoreError
from score.event_blocks import EventBlocks
from score.formats.base import EventBlock, joined
from score.merging import TOUCH_SECONDS, by_time, merged


def after_processing(
    events: EventBlocks, merge_gap: float | None = None, min_duration: float | None = None
) -> EventBlocks:
    """Merge events that lie close together, then drop those that are short.

    Args:
        events: of clips or stitched, sorted by clip; a clip's may come in several blocks.
        merge_gap: seconds: events of one clip, stream and label that lie no further apart become one, whose score is
            the largest of theirs; None: they stay as they are.
        min_duration: seconds: shorter events are dropped; None: none is.

    Raises:
        ScoreError: a value is no number of seconds; while events come: they are not sorted by clip.
    """
    wanted = {"merge_gap": merge_gap, "min_duration": min_duration}
    used = {name: float(value) for name, value in wanted.items() if value is not None}
    for name, value in used.items():
        if not 0 <= value < math.inf:
            raise ScoreError(f"`{name}` must be seconds from 0 on, got {value:g}")
    if not used:
        return events
    facts = replace(events.facts, after_processing={**events.facts.after_processing, **used})
    return EventBlocks(facts, _processed(iter(events), merge_gap, min_duration, in_order=not facts.stitched))


def _processed(
    blocks: Iterator[EventBlock], gap: float | None, least: float | None, in_order: bool
) -> Iterator[EventBlock]:
    for block in blocks if gap is None else _whole_clips(blocks):
        found = block
        if gap is not None:
            found, place = merged(block, gap)
            found = found.part(np.argsort(place, kind="stable")) if in_order else by_time(found)
        if least is not None:
            found = found.part(found.offset - found.onset >= least - TOUCH_SECONDS)
        yield found


def _whole_clips(blocks: Iterator[EventBlock]) -> Iterator[EventBlock]:
    """The same events; no clip's are parted."""
    held: list[EventBlock] = []
    for block in blocks:
        if not len(block):
            continue
        before = held[-1].clip[-1] if held else block.clip[0]
        if block.clip[0] < before or (np.diff(block.clip) < 0).any():
            raise ScoreError("events are not sorted by clip: read them whole, and write them again")
        held.append(block)
        if block.clip[-1] > before or len(held) == 1:
            together = joined(held)
            last = together.clip == together.clip[-1]
            if not last.all():
                yield together.part(~last)
            held = [together.part(last)]
    if held:
        yield joined(held)
