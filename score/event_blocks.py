"""Events that come a block at a time: from a cache that is being scored, or from a file."""

from collections.abc import Collection, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np

from score.choices import STREAMS
from score.errors import ScoreError
from score.event_facts import EventFacts
from score.formats import FORMATS, format_of, read_events, write_events
from score.formats.base import EventBlock, Progress

_MOST = 300
"""Characters of an error."""


class EventBlocks:
    """Events that come a block at a time, once.

    Attributes:
        facts: what is known of them before they come.
        counts: int64 (C, 3), how many have come, by label and stream, in the order of ``STREAMS``.
        notes: what a person should know of the file that they come from, a line each.
    """

    def __init__(self, facts: EventFacts, blocks: Iterator[EventBlock], notes: Sequence[str] = ()) -> None:
        """Facts, the blocks to come, and what is to be said of them."""
        self.facts = facts
        self.notes = tuple(notes)
        self.counts = np.zeros((len(facts.labels), len(STREAMS)), dtype=np.int64)
        self._blocks = blocks

    def __iter__(self) -> Iterator[EventBlock]:
        """The blocks, once."""
        for block in self._blocks:
            np.add.at(self.counts, (block.label, block.stream), 1)
            yield block

    def keep(self, streams: Collection[str]) -> list[EventBlock]:
        """A list that gets the events of some streams as they come, beside whoever takes them all."""
        numbers, kept = [STREAMS.index(name) for name in streams], list[EventBlock]()

        def watched(blocks: Iterator[EventBlock]) -> Iterator[EventBlock]:
            for block in blocks:
                kept.append(block.part(np.isin(block.stream, numbers)))
                yield block

        self._blocks = watched(self._blocks)
        return kept

    def write(self, path: str | PathLike[str], format: str | None = None, score_column: bool = False) -> list[str]:
        """Write files as they come, all or none of them; returns the names of the files, or of the folder, written.

        Args:
            path: the file; its ending says the format unless ``format`` does. Formats of a file a clip take it for a
                folder, less an ending that a format has.
            format: a name of ``score.formats.FORMATS``: "json", "jsonl", "csv", "tsv" (DCASE style, one file a stream),
                "parquet" (needs pyarrow), "activitynet", "audacity", "vtt", "srt", "textgrid", "eaf", "label-studio" or
                "rttm"; docs/formats.md says what each is.
            score_column: write scores where a format leaves them out.

        Raises:
            ScoreError: no such format, it has no room for scores, or for events without settings, or a file cannot be
                written.

        Example:
            >>> score_blocks(cache, config).write("events.jsonl")
            ['events.jsonl']
        """
        name = format_of(Path(path), format)
        if self.facts.config is None and FORMATS[name].read is not None:
            raise ScoreError(f"{path}: {name} keeps the settings of events, and nothing says those of these: write csv")
        return write_events(self.facts.to_dict(), self, path, format, score_column)

    @classmethod
    def read(cls, path: str | PathLike[str], progress: Progress = lambda done, size: None) -> Self:
        """Events that were written as JSON, JSON lines or Parquet, checked as they come.

        Args:
            path: the file.
            progress: called with the bytes read, and all of them.

        Raises:
            ScoreError: the file is missing, damaged, or something else; while events come, too.

        Example:
            >>> events = EventBlocks.read("events.json")
            >>> sum(map(len, events))
            1234
        """
        if not Path(path).exists():
            raise ScoreError(f"{path} is not there: `score(...)` makes it")
        try:
            raw, named = read_events(path, progress)
            facts = EventFacts.from_dict(raw)
        except ScoreError as error:
            raise _named(path, error) from error
        return cls(facts, _of_file(path, facts.numbered(named)))


def _of_file(path: str | PathLike[str], blocks: Iterator[EventBlock]) -> Iterator[EventBlock]:
    try:
        yield from blocks
    except ScoreError as error:
        raise _named(path, error) from error
    except OSError as error:
        raise ScoreError(f"{path}: {error.strerror or error}") from error


def _named(path: str | PathLike[str], error: ScoreError) -> ScoreError:
    """What an error says of a file holds what stands in it, which may be long."""
    text = str(error)
    return ScoreError(f"{path}: {text if len(text) <= _MOST else text[: _MOST - 3] + '...'}")
