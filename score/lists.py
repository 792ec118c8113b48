"""Events that a file lists and of which it says nothing else, in memory, with numbers for names."""

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.names import shortened, why_not_a_name
from score.choices import STREAMS
from score.errors import ScoreError
from score.formats import read_listed
from score.formats.base import EventBlock, NamedEvents, Progress, joined
from score.formats.named import stream_named

USUAL_STREAM = "audiovisual"


@dataclass(frozen=True, eq=False)
class EventList:
    """E events of a file.

    Attributes:
        path: the file, for messages.
        clips: the clips of its events, in the order in which they occur.
        named: the clips that it names whether they have events or not; None where it names those of its events.
        labels: the labels of its events, likewise.
        block: the events; numbers are of ``clips``, ``STREAMS`` and ``labels``, a score may be NaN.
        without_length: number of events that begin where they end: they are not in ``block``.
    """

    path: str
    clips: tuple[str, ...]
    named: tuple[str, ...] | None
    labels: tuple[str, ...]
    block: EventBlock
    without_length: int = 0

    def told(self, row: int) -> str:
        """An event, for messages."""
        label, clip = self.labels[self.block.label[row]], self.clips[self.block.clip[row]]
        times = f"{self.block.onset[row]:g} to {self.block.offset[row]:g} s"
        return f"{shortened(label, 40)!r} from {times} in clip {shortened(clip, 60)}"


def read_list(
    path: str | PathLike[str],
    stream: str | None = None,
    format: str | None = None,
    progress: Progress = lambda done, size: None,
) -> EventList:
    """All events of a file, or a folder, that lists them.

    Args:
        path: the file, of any format that is read.
        stream: the stream of events for which the file names none, neither in a column nor in its own name; by default
            "audiovisual".
        format: its format, whatever its ending.
        progress: called with how much is read, and of how much.

    Raises:
        ScoreError: it cannot be read, or a name, a stream or a time is none.
    """
    usual = stream_number(USUAL_STREAM if stream is None else stream)
    found = read_listed(path, format, progress)
    clips: dict[str, int] = {}
    labels: dict[str, int] = {}
    blocks, without_length = [], 0
    for events in found.events:
        numbers = [
            _numbers(path, what, names, known)
            for what, names, known in (("clip", events.clip, clips), ("label", events.label, labels))
        ]
        block = EventBlock(
            numbers[0],
            _streams(path, events, usual),
            numbers[1],
            *(np.asarray(each, dtype=np.float64) for each in (events.onset, events.offset, events.score)),
        )
        _check(path, block, events)
        blocks.append(block.part(block.onset < block.offset))
        without_length += len(block) - len(blocks[-1])
    named = None if found.clips is None else tuple(dict.fromkeys(found.clips))
    for clip in named or ():
        _check_name(path, "clip", clip)
    return EventList(str(path), tuple(clips), named, tuple(labels), joined(blocks), without_length)


def stream_number(name: str) -> int:
    """Number of a stream in ``STREAMS`` by one of its words.

    Raises:
        ScoreError: there is none of that name.
    """
    found = stream_named(name)
    if not found:
        raise ScoreError(f"no stream is named: use one of {', '.join(STREAMS)}")
    return STREAMS.index(found)


def _numbers(path: Any, what: str, names: Any, known: dict[str, int]) -> NDArray[np.int32]:
    """Numbers of names; those that are new are checked and take the next ones."""
    before = len(known)
    found = np.fromiter((known.setdefault(name, len(known)) for name in names), np.int32, len(names))
    for name in list(known)[before:]:
        _check_name(path, what, name)
    return found


def _check_name(path: Any, what: str, name: str) -> None:
    why = why_not_a_name(name)
    if why is not None:
        raise ScoreError(f"{path}: {what} {shortened(name, 60)!r} is none that can be used: {why}; correct it")


def _streams(path: Any, events: NamedEvents, usual: int) -> NDArray[np.int8]:
    try:
        words = {name: stream_number(name) if name else usual for name in set(events.stream)}
    except ScoreError as error:
        raise ScoreError(f"{path}: {error}: write one of {', '.join(STREAMS)}") from error
    return np.fromiter((words[name] for name in events.stream), np.int8, len(events.stream))


def _check(path: Any, block: EventBlock, events: NamedEvents) -> None:
    """Times lie on a timeline, scores can be ranked."""
    where = "{}: {!r} in clip {}"
    good = (block.onset >= 0) & (block.onset <= block.offset) & (block.offset < np.inf)
    for row in np.flatnonzero(~good)[:1].tolist():
        event = where.format(path, shortened(events.label[row], 40), shortened(events.clip[row], 60))
        raise ScoreError(
            f"{event} from {block.onset[row]:g} to {block.offset[row]:g} s: write seconds from 0 up, the onset "
            "before the offset"
        )
    for row in np.flatnonzero(np.isinf(block.score))[:1].tolist():
        event = where.format(path, shortened(events.label[row], 40), shortened(events.clip[row], 60))
        raise ScoreError(f"{event}: score {block.score[row]} cannot be ranked: write a number, or none")
