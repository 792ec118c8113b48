"""Events: what scoring found, per clip and stream, and the file that keeps it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from score.choices import KERNEL_STREAMS, MOST_SEGMENTS, STREAMS
from score.errors import ScoreError
from score.event_blocks import EventBlocks
from score.event_facts import EventFacts, Origin
from score.formats import FORMATS, format_of
from score.formats.base import EventBlock, joined
from score.formats.json_records import Record, named

Event = tuple[str, float, float, float]
"""Label, onset and offset in seconds, score."""
_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False)
class Events:
    """Events of n clips, one record an event, sorted by clip, then stream, in the order of docs/design.md 4.5.

    Attributes:
        config: the settings that gave them; None where they are not known.
        clip_ids: the clips that were scored, events or not.
        labels: C class names as the user wrote them.
        clip: int32 (E,), number of the clip.
        stream_number: int8 (E,), number of the stream in ``STREAMS``.
        label: int32 (E,), number of the label.
        start: int16 (E,), first segment.
        end: int16 (E,), one past the last segment.
        score: float64 (E,), the probability of the event's window (4.6).
        segments: T, segments a clip.
        segment_seconds: length of a segment in seconds.
        cache: identity, backbone and text set of the cache that was scored.
        left_out: number of the cache's clips that were not scored, by status.
        missing: by clip id, "picture" or "sound": what a clip was scored without.
        clips_from: by clip id, where clips were cut from longer files.
        seconds: float64 (E, 2), onset and offset in seconds of the file, of stitched events: their ``clip_ids`` are
            files, and ``start`` and ``end`` are zeros. None for events of clips.
        after_processing: what was done with them once they were found, by name, in seconds (4.10).
    """

    config: Any
    clip_ids: tuple[str, ...]
    labels: tuple[str, ...]
    clip: NDArray[np.int32]
    stream_number: NDArray[np.int8]
    label: NDArray[np.int32]
    start: NDArray[np.int16]
    end: NDArray[np.int16]
    score: NDArray[np.float64]
    segments: int
    segment_seconds: float
    cache: dict[str, str]
    left_out: dict[str, int]
    missing: dict[str, str] = field(default_factory=dict)
    clips_from: dict[str, Origin] = field(default_factory=dict)
    seconds: NDArray[np.float64] | None = None
    after_processing: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of events, all streams together."""
        return len(self.clip)

    def __repr__(self) -> str:
        """One line with the numbers of events and clips."""
        return f"Events({len(self)} events in {len(self.clip_ids)} clips)"

    def stream(self, name: str) -> dict[str, list[Event]]:
        """Events of one stream, by clip id; a clip without events has an empty list.

        Args:
            name: "audiovisual", "visual" or "audio".

        Raises:
            ScoreError: no such stream.
        """
        if name not in STREAMS:
            raise ScoreError(f"no stream {name!r}: there are {', '.join(STREAMS)}")
        found: dict[str, list[Event]] = {clip: [] for clip in self.clip_ids}
        for row in np.flatnonzero(self.stream_number == STREAMS.index(name)):
            found[self.clip_ids[self.clip[row]]].append(self._event(row))
        return found

    def records(self) -> Iterator[dict[str, Any]]:
        """One dictionary an event: clip, stream, label, onset, offset, score."""
        for row in range(len(self)):
            label, onset, offset, score = self._event(row)
            yield {
                "clip": self.clip_ids[self.clip[row]],
                "stream": STREAMS[self.stream_number[row]],
                "label": label,
                "onset": onset,
                "offset": offset,
                "score": score,
            }

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Number of events by label, in the streams audiovisual, visual and audio."""
        table = np.zeros((len(self.labels), len(STREAMS)), dtype=np.int64)
        np.add.at(table, (self.label, self.stream_number), 1)
        return {label: (int(row[0]), int(row[1]), int(row[2])) for label, row in zip(self.labels, table, strict=True)}

    def check_spans(self) -> None:
        """Refuse what has no timelines.

        Raises:
            ScoreError: an event does not lie in its clip, or a clip has more segments than a word has bits.
        """
        if self.segments > MOST_SEGMENTS:
            raise ScoreError(f"events of clips of {self.segments} segments: at most {MOST_SEGMENTS} can be evaluated")
        for row in np.flatnonzero((self.start < 0) | (self.start >= self.end) | (self.end > self.segments))[:1]:
            raise ScoreError(
                f"clip {self.clip_ids[self.clip[row]]}: an event in segments {self.start[row]} to {self.end[row]} is "
                f"none of a clip of {self.segments} segments: score again"
            )

    def timelines(self) -> NDArray[np.uint64]:
        """Events as words: uint64 (n, 3, C), streams visual, audio, audiovisual; bit s is segment s.

        Raises:
            ScoreError: an event does not lie in its clip, or a clip has more segments than a word has bits.
        """
        self.check_spans()
        start, end = self.start.astype(np.int64), self.end.astype(np.int64)
        words = np.zeros((len(self.clip_ids), 3, len(self.labels)), dtype=np.uint64)
        order = np.array([KERNEL_STREAMS.index(name) for name in STREAMS])
        full = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
        spans = (full >> (64 - (end - start)).astype(np.uint64)) << start.astype(np.uint64)
        np.bitwise_or.at(words, (self.clip, order[self.stream_number], self.label), spans)
        return words

    @property
    def facts(self) -> EventFacts:
        """What is known of them beside themselves."""
        return EventFacts(
            config=self.config,
            clip_ids=self.clip_ids,
            labels=self.labels,
            segments=self.segments,
            segment_seconds=self.segment_seconds,
            cache=self.cache,
            left_out=self.left_out,
            missing=self.missing,
            clips_from=self.clips_from,
            stitched=self.seconds is not None,
            after_processing=self.after_processing,
        )

    @property
    def block(self) -> EventBlock:
        """All of them as one block."""
        if self.seconds is not None:
            onset, offset = np.ascontiguousarray(self.seconds.T)
        else:
            onset, offset = (at.astype(np.float64) * self.segment_seconds for at in (self.start, self.end))
        return EventBlock(self.clip, self.stream_number, self.label, onset, offset, self.score)

    @classmethod
    def gathered(cls, facts: EventFacts, blocks: Iterable[EventBlock]) -> Self:
        """Events that come a block at a time, in memory.

        Args:
            facts: what is known of them.
            blocks: the events.
        """
        found = joined(list(blocks))
        start, end = (np.zeros(len(found)),) * 2 if facts.stitched else facts.spans(found)
        return cls(
            config=facts.config,
            clip_ids=facts.clip_ids,
            labels=facts.labels,
            clip=found.clip,
            stream_number=found.stream,
            label=found.label,
            start=start.astype(np.int16),
            end=end.astype(np.int16),
            score=found.score,
            segments=facts.segments,
            segment_seconds=facts.segment_seconds,
            cache=facts.cache,
            left_out=facts.left_out,
            missing=facts.missing,
            clips_from=facts.clips_from,
            seconds=np.column_stack([found.onset, found.offset]) if facts.stitched else None,
            after_processing=facts.after_processing,
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-able: the settings, the cache's identity, clips, labels, and :meth:`records` as "events"."""
        return {**self.facts.to_dict(), "events": list(self.records())}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`.

        Raises:
            ScoreError: it is something else, or damaged.
        """
        facts = EventFacts.from_dict(found)
        try:
            records = msgspec.convert(found.get("events"), list[Record])
        except (msgspec.ValidationError, RecursionError) as error:
            raise ScoreError(f"damaged (events: {error}): score again") from error
        return cls.gathered(facts, facts.numbered([named(records)]))

    def blocks(self) -> EventBlocks:
        """They, a block at a time."""
        whole = self.block
        return EventBlocks(self.facts, (whole.part(slice(at, at + _BLOCK)) for at in range(0, len(self), _BLOCK)))

    def write(self, path: str | PathLike[str], format: str | None = None, score_column: bool = False) -> list[str]:
        """Write files, all or none of them; returns the names of the files, or of the folder, written.

        Args:
            path: the file; its ending says the format unless ``format`` does. Formats of a file a clip take it for a
                folder, less an ending that a format has.
            format: a name of ``score.formats.FORMATS``: "json", "jsonl", "csv", "tsv" (DCASE style, one file a stream),
                "parquet" (needs pyarrow), "activitynet", "audacity", "vtt", "srt", "textgrid", "eaf", "label-studio" or
                "rttm"; docs/formats.md says what each is.
            score_column: write scores where a format leaves them out.

        Raises:
            ScoreError: no such format, it has no room for scores, or a file cannot be written.
        """
        blocks = self.blocks()
        if FORMATS[format_of(Path(path), format)].sorted_by_clip and (np.diff(self.clip) < 0).any():
            blocks = EventBlocks(self.facts, iter([self.block.part(np.argsort(self.clip, kind="stable"))]))
        return blocks.write(path, format, score_column)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """Read what :meth:`write` wrote as JSON, JSON lines or Parquet.

        Raises:
            ScoreError: the file is missing, damaged, or something else.
        """
        found = EventBlocks.read(path)
        return cls.gathered(found.facts, found)

    def _event(self, row: Any) -> Event:
        if self.seconds is not None:
            onset, offset = self.seconds[row].tolist()
        else:
            onset, offset = (float(at[row]) * self.segment_seconds for at in (self.start, self.end))
        return self.labels[self.label[row]], onset, offset, float(self.score[row])
