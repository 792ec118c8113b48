"""Events of clips cut from longer files, on one timeline a file (docs/design.md 4.9)."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from score.events import Events, Origin

TOUCH_SECONDS = 1e-6
"""Events that lie no further apart than this touch."""

_DIGITS = 6

_Span = tuple[int, int, int, float, float, float]
"""File, stream, label, onset, offset, score."""


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
    files: dict[str, int] = {}
    places = []
    for clip in events.clip_ids:
        file, begin, end = events.clips_from.get(clip, (clip, 0.0, None))
        places.append((files.setdefault(file, len(files)), begin, math.inf if end is None else end))
    spans: list[_Span] = []
    for row in range(len(events)):
        number, begin, end = places[events.clip[row]]
        onset = round(begin + float(events.start[row]) * events.segment_seconds, _DIGITS)
        offset = round(min(begin + float(events.end[row]) * events.segment_seconds, end), _DIGITS)
        if onset < offset:  # else it lies in what a clip was padded with
            stream, label = int(events.stream_number[row]), int(events.label[row])
            spans.append((number, stream, label, onset, offset, float(events.score[row])))
    merged = _merge(spans)
    columns = list(zip(*merged, strict=True)) or [()] * 6
    none = np.zeros(len(merged), dtype=np.int16)
    return replace(
        events,
        clip_ids=tuple(files),
        clip=np.array(columns[0], dtype=np.int32),
        stream_number=np.array(columns[1], dtype=np.int8),
        label=np.array(columns[2], dtype=np.int32),
        start=none,
        end=none.copy(),
        score=np.array(columns[5], dtype=np.float64),
        seconds=np.array(columns[3:5], dtype=np.float64).T.reshape(-1, 2),
    )


def _merge(spans: list[_Span]) -> list[_Span]:
    merged: list[_Span] = []
    for span in sorted(spans):
        if merged and merged[-1][:3] == span[:3] and span[3] <= merged[-1][4] + TOUCH_SECONDS:
            file, stream, label, onset, offset, score = merged[-1]
            merged[-1] = (file, stream, label, onset, max(offset, span[4]), max(score, span[5]))
        else:
            merged.append(span)
    return sorted(merged, key=lambda span: (span[0], span[1], span[3], span[4], span[2]))
