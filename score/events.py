"""Events: what scoring found, per clip and stream, and the file that keeps it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from feature_cache.checks import as_origin
from score.choices import KERNEL_STREAMS, MOST_SEGMENTS, STREAMS
from score.config import ScoreConfig
from score.errors import ScoreError
from score.formats import read_events, write_events
from score.rules import USUAL, find_rule, rule_of

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

    def timelines(self) -> NDArray[np.uint64]:
        """Events as words: uint64 (n, 3, C), streams visual, audio, audiovisual; bit s is segment s.

        Raises:
            ScoreError: an event does not lie in its clip, or a clip has more segments than a word has bits.
        """
        if self.segments > MOST_SEGMENTS:
            raise ScoreError(f"events of clips of {self.segments} segments: at most {MOST_SEGMENTS} can be evaluated")
        start, end = self.start.astype(np.int64), self.end.astype(np.int64)
        wrong = np.flatnonzero((start < 0) | (start >= end) | (end > self.segments))
        if len(wrong):
            row = wrong[0]
            raise ScoreError(
                f"clip {self.clip_ids[self.clip[row]]}: an event in segments {start[row]} to {end[row]} is none of "
                f"a clip of {self.segments} segments: score again"
            )
        words = np.zeros((len(self.clip_ids), 3, len(self.labels)), dtype=np.uint64)
        order = np.array([KERNEL_STREAMS.index(name) for name in STREAMS])
        full = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
        spans = (full >> (64 - (end - start)).astype(np.uint64)) << start.astype(np.uint64)
        np.bitwise_or.at(words, (self.clip, order[self.stream_number], self.label), spans)
        return words

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-able: the settings, the cache's identity, clips, labels, and :meth:`records` as "events"."""
        approximation, rule = self.config.approximation, rule_of(self.config).name
        return {
            **({} if rule == USUAL else {"rule": rule}),
            "config": self.config.to_dict(),
            "approximate": bool(approximation),
            **({"approximation": approximation} if approximation else {}),
            "cache": self.cache,
            "segments": self.segments,
            "segment_seconds": self.segment_seconds,
            "left_out": self.left_out,
            "missing": self.missing,
            "stitched": self.seconds is not None,
            "clips_from": {
                clip: [part for part in place if part is not None] for clip, place in self.clips_from.items()
            },
            "labels": list(self.labels),
            "clips": list(self.clip_ids),
            "events": list(self.records()),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`.

        Raises:
            ScoreError: it is something else, or damaged.
        """
        try:
            return cls(**_fields(found))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ScoreError(f"damaged ({type(error).__name__}: {error}): score again") from error

    def write(self, path: str | PathLike[str], format: str | None = None) -> list[str]:
        """Write a file, whole or not at all; returns the names of the files written.

        Args:
            path: the file; its ending says the format unless ``format`` does.
            format: "json", "csv" or "tsv" (DCASE style, one file a stream).

        Raises:
            ScoreError: no such format, or a file cannot be written.
        """
        return write_events(self.to_dict(), path, format)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """Read what :meth:`write` wrote as JSON.

        Raises:
            ScoreError: the file is missing, damaged, or something else.
        """
        found = read_events(path)
        try:
            return cls.from_dict(found)
        except ScoreError as error:
            raise ScoreError(f"{path}: {error}") from error

    def _event(self, row: Any) -> Event:
        if self.seconds is not None:
            onset, offset = self.seconds[row].tolist()
        else:
            onset, offset = (float(at[row]) * self.segment_seconds for at in (self.start, self.end))
        return self.labels[self.label[row]], onset, offset, float(self.score[row])


def read_origins(raw: Any) -> dict[str, Origin]:
    """Where clips were cut from: the value of a cache's attribute ``clips_from``.

    Args:
        raw: by clip id, the file's id and the second at which the clip begins in it; a third number is the second at
            which the clip's own content ends, where it is padded.

    Raises:
        ScoreError: it is something else.
    """
    found: dict[str, Origin] = {}
    if not isinstance(raw, Mapping):
        raise ScoreError("clips_from must give a file and the second at which the clip begins, by clip id")
    for clip, entry in raw.items():
        origin = as_origin(entry)
        if origin is None:
            raise ScoreError(f"clips_from of clip {clip} is {entry!r}: expected [file, begin] or [file, begin, end]")
        found[clip] = origin
    return found


def _fields(found: Mapping[str, Any]) -> dict[str, Any]:
    clips = {clip: number for number, clip in enumerate(found["clips"])}
    labels = {label: number for number, label in enumerate(found["labels"])}
    segments, seconds = int(found["segments"]), float(found["segment_seconds"])
    stitched = bool(found.get("stitched", False))
    rows, times = [], []
    for record in found["events"]:
        onset, offset = float(record["onset"]), float(record["offset"])
        start, end = (0, 0) if stitched else (round(onset / seconds), round(offset / seconds))
        if not (0 <= onset < offset < math.inf if stitched else 0 <= start < end <= segments):
            raise ValueError(f"event from {record['onset']} to {record['offset']} s in clip {record['clip']}")
        times.append((onset, offset))
        stream = STREAMS.index(record["stream"])
        rows.append((clips[record["clip"]], stream, labels[record["label"]], start, end, float(record["score"])))
    columns = list(zip(*rows, strict=True)) or [()] * 6
    return {
        "config": find_rule(found.get("rule", USUAL)).parameters.from_dict(found["config"]),
        "clip_ids": tuple(clips),
        "labels": tuple(labels),
        "clip": np.array(columns[0], dtype=np.int32),
        "stream_number": np.array(columns[1], dtype=np.int8),
        "label": np.array(columns[2], dtype=np.int32),
        "start": np.array(columns[3], dtype=np.int16),
        "end": np.array(columns[4], dtype=np.int16),
        "score": np.array(columns[5], dtype=np.float64),
        "segments": segments,
        "segment_seconds": seconds,
        "cache": dict(found["cache"]),
        "left_out": dict(found["left_out"]),
        "missing": dict(found.get("missing", {})),
        "clips_from": read_origins(found.get("clips_from", {})),
        "seconds": np.array(times, dtype=np.float64).reshape(-1, 2) if stitched else None,
    }
