"""Events: what scoring found, per clip and stream, and the file that keeps it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from score.choices import STREAMS
from score.config import ScoreConfig
from score.errors import ScoreError

Event = tuple[str, float, float, float]
"""Label, onset and offset in seconds, score."""
Origin = tuple[str, float, float | None]
"""The file a clip was cut from, the second at which it begins there, and that at which its content ends, if padded."""


@dataclass(frozen=True, eq=False)
class Events:
    """Events of n clips, one record an event, sorted by clip, then stream, in the order of docs/design.md 4.5.

    Attributes:
        config: the settings that gave them.
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
    """

    config: ScoreConfig
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

    def write(self, path: str | PathLike[str], format: str | None = None) -> list[str]:
        """Write a file, whole or not at all; returns the names of the files written.

        Args:
            path: the file; its ending says the format unless ``format`` does.
            format: "json", "csv" or "tsv" (DCASE style, one file a stream).

        Raises:
            ScoreError: no such format, or a file cannot be written.
        """
        from score.formats import write_events

        return write_events(self, path, format)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """Read what :meth:`write` wrote as JSON.

        Raises:
            ScoreError: the file is missing, damaged, or something else.
        """
        from score.formats.json_events import read_json

        return cls(**read_json(path))

    def _event(self, row: Any) -> Event:
        if self.seconds is not None:
            onset, offset = self.seconds[row].tolist()
        else:
            onset, offset = (float(at[row]) * self.segment_seconds for at in (self.start, self.end))
        return self.labels[self.label[row]], onset, offset, float(self.score[row])
