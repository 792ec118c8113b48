"""evaluate(): events against annotations (docs/design.md 4.8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from score.datasets import Annotations, find_dataset
from score.datasets.base import Table
from score.errors import AnnotationError, ScoreError
from score.events import Events


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
    events: Events, annotations: Annotations, *, partial: bool = False, paper_protocol: bool = False
) -> Report:
    """Compare events with the annotations of a split.

    Args:
        events: what was found.
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
    if events.seconds is not None:
        raise ScoreError(
            "these events lie on the timelines of whole files, annotations and metrics are of clips: score again: "
            "`score(..., stitched=False)`"
        )
    missing = annotations.missing(events.clip_ids)
    check_coverage(missing, annotations, partial)
    truth = annotations.align(events.clip_ids, events.labels, events.segments, events.segment_seconds)
    dataset = find_dataset(annotations.kind)
    if paper_protocol and not dataset.paper_protocol:
        raise AnnotationError(f"the paper protocol is one of LLP's metrics: {dataset.title}'s figures have none")
    metrics, per_class = dataset.measure(events, truth, paper_protocol)
    return Report(
        kind=annotations.kind,
        split=annotations.split,
        metrics=metrics,
        per_class=per_class,
        n_found=len(truth.rows),
        n_split=len(annotations.clip_ids),
        missing=tuple(missing),
        ignored=annotations.ignored,
        paper_protocol=paper_protocol,
        config=events.config.to_dict(),
        approximation=events.config.approximation,
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
