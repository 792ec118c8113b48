"""evaluate(): events against annotations (docs/design.md 4.8)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from score.bootstrap import RESAMPLES, interval_ends
from score.choices import LABELS
from score.confusion import Confusion, Details, Tally, as_csv, counted_spans
from score.datasets import Annotations, Truth, find_dataset
from score.datasets.base import Dataset, Floats, Measured, Table
from score.datasets.match import match_clips
from score.datasets.measured import added_up
from score.errors import AnnotationError, ScoreError
from score.event_blocks import EventBlocks
from score.event_facts import EventFacts
from score.events import Events
from score.stitching import cut_from_longer
from score.timelines import Segments, Spans

CLIPS = 1 << 14
"""Clips that are compared at once."""


@dataclass(frozen=True)
class Report:
    """What events are worth against annotations.

    Attributes:
        kind: name of the data set.
        split: the split's name.
        clips: the clips of the split that were scored, in its order.
        measured: figures of them all, of each of them, of each label, and of resamples.
        n_split: clips of the split.
        missing: those that were not.
        ignored: annotation rows that say nothing, as those without length.
        paper_protocol: whether visual predictions stood in for the audio ones.
        config: the settings of the events; empty for those that a file lists without saying how they were found.
        approximation: what is approximate in the events, one line; empty where nothing is.
        inferred: what of their rule its source leaves open, likewise.
        details: events of each clip, and the labels that were taken for others; None: they were not asked for.
    """

    kind: str
    split: str
    clips: tuple[str, ...]
    measured: Measured
    n_split: int
    missing: tuple[str, ...]
    ignored: int
    paper_protocol: bool
    config: Mapping[str, Any]
    approximation: str = ""
    inferred: str = ""
    details: Details | None = None

    @property
    def metrics(self) -> Mapping[str, float]:
        """Figures by name, as the data set has them; in percent but for rates that can exceed one."""
        return self.measured.metrics

    @property
    def per_class(self) -> Mapping[str, Mapping[str, float]]:
        """By label, figures and counts of that label over all clips."""
        return self.measured.per_class

    @property
    def by_clip(self) -> Mapping[str, Floats]:
        """Figures of each of ``clips`` alone, by name: float64 (n,), NaN where a clip has none."""
        return self.measured.by_clip

    @property
    def left_out(self) -> str:
        """What the annotations that do not count are, for people."""
        return find_dataset(self.kind).left_out

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever reads the figures should know, a line each."""
        return self.measured.notes

    @property
    def confusion(self) -> Confusion | None:
        """The labels that were taken for others; None where they were not asked for, or are not counted."""
        return None if self.details is None else self.details.confusion

    @property
    def n_found(self) -> int:
        """Clips of the split that were scored."""
        return len(self.clips)

    def intervals(
        self, resamples: int = RESAMPLES, seed: int = 0, threads: int | None = None
    ) -> dict[str, tuple[float, float]]:
        """95 % intervals of the figures, by name: percentile bootstraps over clips; NaN where a figure is.

        Args:
            resamples: their number.
            seed: equal seeds give equal intervals.
            threads: threads to use, by default one a core; the result does not depend on them.
        """
        ends = interval_ends(self.measured.resampled(resamples, seed, threads))
        return {name: (low, high) for name, (low, high) in zip(self._figures, ends.tolist(), strict=True)}

    @property
    def _figures(self) -> tuple[str, ...]:
        return find_dataset(self.kind).figures

    def per_clip_csv(self) -> str:
        """A line a clip: its figures and numbers of events, the worst by the data set's objective first, ties by name.

        A figure that a clip does not have is an empty cell. Names stay as they are.

        Raises:
            ScoreError: the report was made without details.
        """
        if self.details is None:
            raise ScoreError("this report has no details of clips: `evaluate(..., details=True)`")
        worst = self.by_clip.get(find_dataset(self.kind).objective, np.full(self.n_found, np.nan))
        first = [math.inf if math.isnan(value) else value for value in worst.tolist()]
        order = sorted(range(self.n_found), key=lambda row: (first[row], self.clips[row]))
        columns = [["" if math.isnan(value) else value for value in found.tolist()] for found in self.by_clip.values()]
        columns += [self.details.true_events.tolist(), self.details.said_events.tolist()]
        header = ("clip", *self.by_clip, "true-events", "said-events")
        return as_csv(header, ((self.clips[row], *(column[row] for column in columns)) for row in order))

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
            **({"inferred": self.inferred} if self.inferred else {}),
            **({"notes": list(self.notes)} if self.notes else {}),
            "metrics": as_json_numbers(self.metrics),
            "per_class": {label: as_json_numbers(values) for label, values in self.per_class.items()},
            "config": dict(self.config),
        }

    def tables(self, per_class: bool = False) -> Sequence[Table]:
        """Tables for people: a header and rows each; the first header says what is approximate."""
        mark = f" (approximate: {self.approximation.partition(':')[0]})" if self.approximation else ""
        found = find_dataset(self.kind).tables(self.metrics, self.per_class if per_class else None, mark)
        if not per_class or self.confusion is None or not (table := self.confusion.table())[1]:
            return found
        return [*found, table]


def as_json_numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    """JSON-able: what is not defined is null."""
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def evaluate(
    events: Events | EventBlocks,
    annotations: Annotations,
    *,
    partial: bool = False,
    paper_protocol: bool = False,
    details: bool = False,
) -> Report:
    """Compare events with the annotations of a split.

    Args:
        events: what was found; of blocks, no more is kept than the events of the split's clips, at 14 bytes each.
        annotations: what is there.
        partial: accept that clips of the split were not scored; they are left out.
        paper_protocol: as the official script, take visual predictions as the audio ones (LLP).
        details: count the events of each clip, too, and which labels were taken for others.

    Returns:
        Figures in percent.

    Raises:
        AnnotationError: clips of the split were not scored, or annotations do not fit the events.
        ScoreError: an event does not lie in its clip, or events are stitched where clips are annotated, or are not
            where files are.

    Example:
        >>> report = evaluate(events, read_annotations("llp", "LLP/annotations", split="test"))
        >>> report.metrics["segment-type-av"]
        43.8
    """
    facts, dataset = events.facts, find_dataset(annotations.kind)
    _check_timelines(facts, dataset)
    found = match_clips(annotations.clip_ids, facts.clip_ids)
    missing = [clip for clip in annotations.clip_ids if clip not in found]
    check_coverage(missing, annotations, partial)
    if paper_protocol and not dataset.paper_protocol:
        raise AnnotationError(f"the paper protocol is one of LLP's metrics: {dataset.title}'s figures have none")
    measured, found_details = _measured(events, annotations, dataset, found, paper_protocol, details)
    return Report(
        kind=annotations.kind,
        split=annotations.split,
        clips=tuple(found),
        measured=measured,
        n_split=len(annotations.clip_ids),
        missing=tuple(missing),
        ignored=annotations.ignored,
        paper_protocol=paper_protocol,
        config=facts.settings,
        approximation=facts.approximation,
        inferred=facts.inferred,
        details=found_details,
    )


def _check_timelines(facts: EventFacts, dataset: Dataset) -> None:
    if facts.stitched and dataset.measure is not None:
        raise ScoreError(
            "these events lie on the timelines of whole files, annotations and metrics are of clips: score again: "
            "`score(..., stitched=False)`"
        )
    if dataset.whole_files and not facts.stitched and cut_from_longer(facts.clips_from):
        raise ScoreError(
            f"these events are of clips cut from longer files, {dataset.title}'s annotations are of whole files: score "
            "again: `score(..., stitched=True)`"
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


def _measured(
    events: Events | EventBlocks,
    annotations: Annotations,
    dataset: Dataset,
    found: Mapping[str, int],
    paper_protocol: bool,
    details: bool,
) -> tuple[Measured, Details | None]:
    facts = events.facts
    if isinstance(events, Events):
        if not facts.stitched:
            events.check_spans()
        events = events.blocks()
    if dataset.measure is None:
        assert dataset.measure_seconds is not None
        in_seconds = Spans.gathered(facts, events, found, others=dataset.others_count)
        measured = dataset.measure_seconds(in_seconds, annotations, facts.labels)
        return measured, counted_spans(in_seconds, annotations) if details else None
    tally = Tally(dataset, facts.labels, paper_protocol) if details else None
    weights: list[Floats] = []

    def weighed() -> Iterator[tuple[Events, Truth]]:
        for part, truth in _blocks(facts, spans, annotations, found):
            weights.append(dataset.weights(truth))
            if tally is not None:
                tally.add(part, truth)
            yield part, truth

    spans = Segments.gathered(facts, events, found, scores=dataset.reading.code != LABELS)
    sums, per_class = dataset.measure(weighed(), facts.labels, paper_protocol)
    measured = added_up(dataset, sums, np.concatenate(weights), per_class)
    return measured, None if tally is None else tally.details()


def _blocks(
    facts: EventFacts, spans: Segments, annotations: Annotations, found: Mapping[str, int]
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
            score=spans.score[mine],
            segments=facts.segments,
            segment_seconds=facts.segment_seconds,
            cache=facts.cache,
            left_out=facts.left_out,
        )
        yield events, annotations.truth(part, facts.labels, facts.segments, facts.segment_seconds)
