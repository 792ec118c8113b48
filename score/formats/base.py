"""What a format of events is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from score.choices import STREAMS

Facts = Mapping[str, Any]
"""What is known of events beside themselves, by name, as :meth:`score.event_facts.EventFacts.to_dict` gives it."""
Progress = Callable[[int, int], None]
"""Called with how much of a file was read, and its size, in bytes."""


def remarks(facts: Facts) -> dict[str, str]:
    """What readers of any file of the events should know: what is "approximate" or "inferred", if anything is."""
    found = {"approximate": facts.get("approximation", ""), "inferred": facts.get("inferred", "")}
    return {what: remark for what, remark in found.items() if remark}


@dataclass(frozen=True, eq=False)
class EventBlock:
    """E events, as columns.

    Attributes:
        clip: int32 (E,), number of the clip (or file) in the facts' "clips".
        stream: int8 (E,), number of the stream in ``STREAMS``.
        label: int32 (E,), number of the label in the facts' "labels".
        onset: float64 (E,), seconds.
        offset: float64 (E,), seconds.
        score: float64 (E,), 0 to 1.
    """

    clip: NDArray[np.int32]
    stream: NDArray[np.int8]
    label: NDArray[np.int32]
    onset: NDArray[np.float64]
    offset: NDArray[np.float64]
    score: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of events."""
        return len(self.clip)

    def rows(self, facts: Facts) -> Iterator[tuple[str, str, str, float, float, float]]:
        """The events as clip, stream, label, onset, offset, score."""
        clips, labels = facts["clips"], facts["labels"]
        for clip, stream, label, *numbers in zip(*(column.tolist() for column in self.columns), strict=True):
            yield clips[clip], STREAMS[stream], labels[label], *numbers

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """The columns in the order of the attributes."""
        return self.clip, self.stream, self.label, self.onset, self.offset, self.score

    def part(self, which: Any) -> "EventBlock":
        """Some of the events: a slice, or an array of numbers or of booleans."""
        return EventBlock(*(column[which] for column in self.columns))


class NamedEvents(NamedTuple):
    """E events as a file has them: names, and numbers that nobody checked but for their type."""

    clip: Sequence[str]
    stream: Sequence[str]
    label: Sequence[str]
    onset: Sequence[float]
    offset: Sequence[float]
    score: Sequence[float]


Reader = Callable[[Path, Progress], tuple[Facts, Iterator[NamedEvents]]]
"""The facts of a file, unchecked, and its events a block at a time; raises ScoreError without the file's name."""


class Listed(NamedTuple):
    """A file that lists events and says nothing else of them: other systems' results, or a person's annotations.

    Attributes:
        events: a block at a time; a stream is "" where the file has none, a score NaN where it has none. Nobody has
            compared anything with anything: names may be any, an event may end before it begins.
        clips: the clips that the file names whether they have events or not; None where it names those of its events.
    """

    events: Iterator[NamedEvents]
    clips: Sequence[str] | None = None


ListReader = Callable[[Path, Progress], Listed]
"""The events that a file, or a folder, lists; raises ScoreError with the file's name, and the line if it has lines."""


Writer = Callable[[Facts, Iterable[EventBlock], Sequence[BinaryIO]], None]
"""From facts and blocks of events to the open files that :attr:`Format.files` names."""


class ClipEvents(NamedTuple):
    """A clip (or file) and its events.

    Attributes:
        clip: its id.
        number: of the clip in the facts' "clips".
        seconds: how long it is, as far as is known.
        events: in any order.
    """

    clip: str
    number: int
    seconds: float
    events: EventBlock


ClipWriter = Callable[[Facts, ClipEvents], Mapping[str, str]]
"""From facts and a clip with its events to the texts of its files, by what their names end in after the clip's."""


@dataclass(frozen=True)
class Format:
    """A file format of events. It is written by one of ``write`` and ``write_clip``.

    Attributes:
        name: as people write it.
        write: to files of all clips.
        write_clip: to files of one clip, which lie in a folder.
        with_scores: as ``write``, with scores where it leaves them out.
        read: the inverse of ``write``, from a file; None where not all of it is written.
        read_list: events from a file of this format by whomever; None where it is not read.
        ending: files that end so are of this format; "" where the ending is another format's.
        files: the files that are written where a person named a path.
        sorted_by_clip: whether the events of a clip have to come together, and clips in their order.
        has_scores: whether scores are written.
    """

    name: str
    write: Writer | None = None
    write_clip: ClipWriter | None = None
    with_scores: Writer | None = None
    read: Reader | None = None
    read_list: ListReader | None = None
    ending: str = ""
    files: Callable[[Path], Sequence[Path]] = lambda path: (path,)
    sorted_by_clip: bool = False
    has_scores: bool = True


def stream_files(path: Path, ending: str) -> list[Path]:
    """NAME_audiovisual.tsv, NAME_visual.tsv and NAME_audio.tsv beside the path given.

    Args:
        path: as a person named it.
        ending: of the files where the path has none.
    """
    return [path.with_name(f"{path.stem}_{stream}{path.suffix or ending}") for stream in STREAMS]


def larger(blocks: Iterable[EventBlock], size: int) -> Iterator[EventBlock]:
    """The same events in blocks of at least ``size``, but for the last."""
    held: list[EventBlock] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= size:
            yield joined(held)
            held = []
    if any(map(len, held)):
        yield joined(held)


def joined(blocks: Sequence[EventBlock]) -> EventBlock:
    """Blocks as one; of none, one without events."""
    if len(blocks) == 1:
        return blocks[0]
    dtypes = (np.int32, np.int8, np.int32, np.float64, np.float64, np.float64)
    columns: list[Any] = [np.empty(0, dtype) for dtype in dtypes]
    for at, empty in enumerate(columns):
        columns[at] = np.concatenate([empty, *(block.columns[at] for block in blocks)])
    return EventBlock(*columns)
