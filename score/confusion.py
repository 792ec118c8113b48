"""Which label was said where which was true, and how many events each clip has (docs/design.md 4.8).

Counted while events and truth pass by a block at a time, in memory that grows with the labels alone.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from score.choices import KERNEL_STREAMS, LABELS, NO_ROW, NOTHING, ONE_LABEL, STREAMS
from score.datasets.base import Dataset, Table
from score.datasets.one_label import background_of, labels_of_segments

if TYPE_CHECKING:
    from score.datasets import Annotations, Truth
    from score.events import Events
    from score.timelines import Spans

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
"""Timelines: bit s of a word is segment s."""
NOTHING_WORD = "(nothing)"
COLUMNS = ("stream", "true", "said", "segments")
_PAIRS = 1 << 22
"""Pairs of labels that are looked at at once."""
_BITS = np.array([number.bit_count() for number in range(256)], dtype=np.int64)
_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Confusion:
    """Segments by the label that is true and the label that was said.

    A true label that was said is a hit. One that was said and is not true is put down against each true label that was
    missed in the segment, or against nothing if none was; a true label that was missed where nothing wrong was said,
    against nothing.

    Attributes:
        labels: C names.
        streams: S names.
        counts: int64 (S, C + 1, C + 1), stream, true and said; the last label is nothing.
    """

    labels: tuple[str, ...]
    streams: tuple[str, ...]
    counts: Ints

    def pairs(self) -> Iterator[tuple[str, str, str, int]]:
        """Stream, true, said and segments of whatever occurred, hits too, the most frequent first."""
        names = (*self.labels, NOTHING_WORD)
        where = np.argwhere(self.counts)
        sizes = self.counts[tuple(where.T)]
        for row in np.argsort(-sizes, kind="stable").tolist():
            stream, true, said = where[row].tolist()
            yield self.streams[stream], names[true], names[said], int(sizes[row])

    def csv(self) -> str:
        """All of :meth:`pairs` under a header line."""
        return as_csv(COLUMNS, self.pairs())

    def table(self, most: int = _SHOWN) -> Table:
        """The labels that were most often said for others."""
        others = (pair for pair in self.pairs() if pair[1] != pair[2] and NOTHING_WORD not in pair[1:3])
        rows: list[tuple[object, ...]] = [
            (true, said, stream, size) for (stream, true, said, size), _ in zip(others, range(most), strict=False)
        ]
        return ("true", "said for it", "stream", "segments"), rows


def as_csv(header: Sequence[str], rows: Iterator[Sequence[object]]) -> str:
    """Rows as CSV; names stay as they are."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


@dataclass(frozen=True, eq=False)
class Details:
    """What is known of clips beside their figures.

    Attributes:
        true_events: int64 (n,), annotated events of each clip, of all streams: runs of segments of a label.
        said_events: int64 (n,), those that were said.
        confusion: of labels; None where a data set measures in seconds.
    """

    true_events: Ints
    said_events: Ints
    confusion: Confusion | None = None


def counted_spans(spans: "Spans", annotations: "Annotations") -> Details:
    """The numbers of events in seconds alone, as they are listed: labels may overlap there in any way."""
    sides = [annotations.visual, annotations.audio]
    if annotations.audiovisual is not None:
        sides.append(annotations.audiovisual)
    if all(side is sides[0] for side in sides):
        del sides[1:]  # each is seen and heard at once
    true = [sum(len(side.get(clip, ())) for side in sides) for clip in spans.clips]
    said = np.bincount(spans.clip, minlength=len(spans.clips))
    return Details(np.array(true, dtype=np.int64), said.astype(np.int64))


class Tally:
    """Counts what passes by; :meth:`details` gives it."""

    def __init__(self, dataset: Dataset, labels: Sequence[str], paper_protocol: bool = False) -> None:
        """Nothing was counted yet.

        Args:
            dataset: says how predictions are read.
            labels: C names.
            paper_protocol: visual predictions stand in for the audio ones.
        """
        self._by_labels = dataset.reading.code == LABELS
        self._background = background_of(labels) if dataset.reading.code == ONE_LABEL else NOTHING
        self._labels = tuple(labels)
        self._streams = STREAMS if self._by_labels else (STREAMS[0],)
        self._paper_protocol = paper_protocol
        self._counts = np.zeros((len(self._streams), len(labels) + 1, len(labels) + 1), dtype=np.int64)
        self._events: list[tuple[Ints, Ints]] = [(np.empty(0, np.int64), np.empty(0, np.int64))]

    def add(self, events: "Events", truth: "Truth") -> None:
        """Count a block of clips."""
        if not self._by_labels:
            self._events.append(self._one_label(labels_of_segments(events), truth.classes))
            return
        said, true = events.timelines(), truth.timelines
        at_once = max(1, _PAIRS // (len(self._labels) ** 2 or 1))
        for first in range(0, len(said), at_once):
            part = slice(first, first + at_once)
            self._events.append(self._all_labels(said[part], true[part]))

    def details(self) -> Details:
        """All that was counted."""
        true, said = (np.concatenate(side) for side in zip(*self._events, strict=True))
        return Details(true, said, Confusion(self._labels, self._streams, self._counts))

    def _all_labels(self, said: Words, true: Words) -> tuple[Ints, Ints]:
        """Count timelines, uint64 (n, 3, C) each; returns the events of each clip."""
        totals = np.zeros((2, len(said)), dtype=np.int64)
        for number, stream in enumerate(self._streams):
            theirs = KERNEL_STREAMS.index(stream)
            ours = KERNEL_STREAMS.index("visual") if self._paper_protocol and stream == "audio" else theirs
            clip, label = np.nonzero(said[:, ours] | true[:, theirs])
            is_true, was_said = true[clip, theirs, label], said[clip, ours, label]
            for total, words in zip(totals, (is_true, was_said), strict=True):
                np.add.at(total, clip, _popcount(words & ~(words << np.uint64(1))))
            self._count(self._counts[number], clip, label, is_true, was_said)
        return totals[0], totals[1]

    def _count(self, counts: Ints, clip: Ints, label: Ints, true: Words, said: Words) -> None:
        """Count the labels of clips, in the clips' order: (E,) each."""
        missed, wrong = true & ~said, said & ~true
        np.add.at(counts, (label, label), _popcount(true & said))
        np.add.at(counts[:, -1], label, _popcount(missed & ~_of_clips(clip, wrong)))
        np.add.at(counts[-1], label, _popcount(wrong & ~_of_clips(clip, missed)))
        those, others = np.flatnonzero(missed), np.flatnonzero(wrong)
        first, last = (np.searchsorted(clip[others], clip[those], side) for side in ("left", "right"))
        many = last - first
        rows = np.repeat(those, many)
        columns = others[np.arange(many.sum()) - np.repeat(many.cumsum() - many - first, many)]
        np.add.at(counts, (label[rows], label[columns]), _popcount(missed[rows] & wrong[columns]))

    def _one_label(self, said: Ints, true: Ints) -> tuple[Ints, Ints]:
        """Count labels of segments, int64 (n, T), against a clip's rows, (n, R, T); returns the events of each clip."""
        ours, rows = (np.where(labels == self._background, NOTHING, labels) for labels in (said, true))
        for row in np.moveaxis(rows, 1, 0):
            there = row[:, 0] != NO_ROW
            np.add.at(self._counts[0], (row[there], ours[there]), 1)  # NOTHING is the last one
        self._counts[0, -1, -1] = 0
        return _runs(rows).sum(axis=1), _runs(ours)


def _of_clips(clip: Ints, words: Words) -> Words:
    """For each word, all that are of its clip put together; those of a clip lie side by side."""
    if not len(words):
        return words
    begins = np.flatnonzero(np.diff(clip, prepend=-1))
    return np.repeat(np.bitwise_or.reduceat(words, begins), np.diff(begins, append=len(clip)))


def _popcount(words: Words) -> Ints:
    """Numbers of segments."""
    found: Ints = _BITS[np.ascontiguousarray(words).view(np.uint8)].reshape(-1, 8).sum(axis=1)
    return found


def _runs(labels: Ints) -> Ints:
    """Runs of a label along the last axis."""
    named = labels >= 0
    found: Ints = named[..., 0] + (named[..., 1:] & (labels[..., 1:] != labels[..., :-1])).sum(axis=-1)
    return found
