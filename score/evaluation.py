"""evaluate(): events against annotations (docs/design.md 4.8)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.datasets import Annotations, Truth, find_dataset
from score.datasets.base import Table
from score.datasets.match import match_clips
from score.errors import AnnotationError, ScoreError
from score.event_blocks import EventBlocks
from score.event_facts import EventFacts
from score.events import Events
from score.formats.base import EventBlock

CLIPS = 1 << 14
"""Clips that are compared at once."""


@dataclass(frozen=True)
class Report:
    """What events are worth against annotations.

    Attributes:
        kind: name of the data set.
        split: the split's name.
        metrics: figures in percent, by name, as the data set has them.
        per_class: by label, figures in percent and counts of that label over all clips.
        n_found: clips of the split that were scored.
        n_split: clips of the split.
        missing: those that were not.
        ignored: annotation rows without length.
        paper_protocol: whether visual predictions stood in for the audio ones.
        config: the settings of the events.
        approximation: what is approximate in the events, one line; empty where nothing is.
    """

    kind: str
    split: str
    metrics: Mapping[str, float]
    per_class: Mapping[str, Mapping[str, float]]
    n_found: int
    n_split: int
    missing: tuple[str, ...]
    ignored: int
    paper_protocol: bool
    config: Mapping[str, Any]
    approximation: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return {
            "dataset": self.kind,
            "split": self.split,
            "clips_found": self.n_found,
            "clips_in_split": self.n_split,
            "missing": list(self.missing),
            "annotation_rows_without_length": self.ignored,
            "paper_protocol": self.paper_protocol,
            "approximate": bool(self.approximation),
            **({"approximation": self.approximation} if self.approximation else {}),
            "metrics": dict(self.metrics),
            "per_class": {label: dict(values) for label, values in self.per_class.items()},
            "config": dict(self.config),
        }

    def tables(self, per_class: bool = False) -> Sequence[Table]:
        """Tables for people: a header and rows each; the first header says what is approximate."""
        mark = f" (approximate: {self.approximation.partition(':')[0]})" if self.approximation else ""
        return find_dataset(self.kind).tables(self.metrics, self.per_class if per_class else None, mark)


def evaluate(
    events: Events | EventBlocks, annotations: Annotations, *, partial: bool = False, paper_protocol: bool = False
) -> Report:
    """Compare events with the annotations of a split.

    Args:
        events: what was found; of blocks, no more is kept than the events of the split's clips, at 14 bytes each.
        annotations: what is there.
        partial: accept that clips of the split were not scored; they are left out.
        paper_protocol: as the official script, take visual predictions as the audio ones (LLP).

    Returns:
        Figures in percent.

    Raises:
        AnnotationError: clips of the split were not scored, or annotations do not fit the events.
        ScoreError: an event does not lie in its clip, or the events are stitched.

    Example:
        >>> report = evaluate(events, read_annotations("llp", "LLP/annotations", split="test"))
        >>> report.metrics["segment-type-av"]
        43.8
    """
    facts = events.facts
    if facts.stitched:
        raise ScoreError(
            "these events lie on the timelines of whole files, annotations and metrics are of clips: score again: "
            "`score(..., stitched=False)`"
        )
    found = match_clips(annotations.clip_ids, facts.clip_ids)
    missing = [clip for clip in annotations.clip_ids if clip not in found]
    check_coverage(missing, annotations, partial)
    dataset = find_dataset(annotations.kind)
    if paper_protocol and not dataset.paper_protocol:
        raise AnnotationError(f"the paper protocol is one of LLP's metrics: {dataset.title}'s figures have none")
    if isinstance(events, Events):
        events.check_spans()
        spans = _Spans(events.clip, events.stream_number, events.label, events.start, events.end)
    else:
        spans = _Spans.gathered(facts, events, found)
    parts = _blocks(facts, spans, annotations, found)
    metrics, per_class = dataset.measure(parts, facts.labels, paper_protocol)
    return Report(
        kind=annotations.kind,
        split=annotations.split,
        metrics=metrics,
        per_class=per_class,
        n_found=len(found),
        n_split=len(annotations.clip_ids),
        missing=tuple(missing),
        ignored=annotations.ignored,
        paper_protocol=paper_protocol,
        config=facts.config.to_dict(),
        approximation=facts.config.approximation,
    )


def check_coverage(missing: Sequence[str], annotations: Annotations, partial: bool) -> None:
    """Refuse a split of which clips were not scored, unless that is wanted.

    Raises:
        AnnotationError: some are missing and ``partial`` is not set, or all are.
    """
    n, name = len(annotations.clip_ids), annotations.split or "annotated"
    if len(missing) == n:
        raise AnnotationError(
            f"none of the {n} clips of the {name} split was scored (first: {missing[0]}): are these its events?"
        )
    if missing and not partial:
        raise AnnotationError(
            f"{len(missing)} of {n} clips of the {name} split were not scored (first: {missing[0]}): extract and "
            "score them, or accept a partial split: `partial=True`"
        )


@dataclass(frozen=True, eq=False)
class _Spans:
    """What is compared of events: numbers of clips, streams, labels, first segments and ends, (E,) each."""

    clip: NDArray[np.int32]
    stream: NDArray[np.int8]
    label: NDArray[np.int32]
    start: NDArray[np.int16]
    end: NDArray[np.int16]

    @classmethod
    def gathered(cls, facts: EventFacts, blocks: Iterable[EventBlock], found: Mapping[str, int]) -> "_Spans":
        """Those of the clips that were found."""
        wanted = np.zeros(len(facts.clip_ids), dtype=bool)
        wanted[list(found.values())] = True
        kept: list[tuple[NDArray[Any], ...]] = [
            tuple(np.empty(0, dtype) for dtype in (np.int32, np.int8, np.int32, np.int16, np.int16))
        ]
        for block in blocks:
            mine = block.part(wanted[block.clip])
            start, end = facts.spans(mine)
            kept.append((mine.clip, mine.stream, mine.label, start.astype(np.int16), end.astype(np.int16)))
        return cls(*map(np.concatenate, zip(*kept, strict=True)))


def _blocks(
    facts: EventFacts, spans: _Spans, annotations: Annotations, found: Mapping[str, int]
) -> Iterator[tuple[Events, Truth]]:
    """Blocks of the clips that were found, in the annotations' order, with their events and their truth."""
    place = np.full(len(facts.clip_ids), len(found), dtype=np.int64)
    place[np.fromiter(found.values(), np.int64, len(found))] = np.arange(len(found))
    places = place[spans.clip]
    order = np.argsort(places, kind="stable")
    edges = np.searchsorted(places, np.arange(0, len(found) + CLIPS, CLIPS).clip(max=len(found)), sorter=order)
    names = iter(found.items())
    for first, last, begin in zip(edges[:-1], edges[1:], range(0, len(found), CLIPS), strict=True):
        part = dict(islice(names, CLIPS))
        mine = order[first:last]
        events = Events(
            config=facts.config,
            clip_ids=tuple(facts.clip_ids[number] for number in part.values()),
            labels=facts.labels,
            clip=(places[mine] - begin).astype(np.int32),
            stream_number=spans.stream[mine],
            label=spans.label[mine],
            start=spans.start[mine],
            end=spans.end[mine],
            score=np.zeros(len(mine)),
            segments=facts.segments,
            segment_seconds=facts.segment_seconds,
            cache=facts.cache,
            left_out=facts.left_out,
        )
        yield events, annotations.truth(part, facts.labels, facts.segments, facts.segment_seconds)
