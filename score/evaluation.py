"""evaluate(): events against annotations (docs/design.md 4.8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.choices import KERNEL_STREAMS, MOST_SEGMENTS, STREAMS
from score.datasets.annotations import Annotations, Truth
from score.errors import AnnotationError, ScoreError
from score.events import Events
from score.kernels.f1 import figures, label_counts

LEVELS = ("segment", "event")
LLP_FIGURES = tuple(
    f"{level}-{kind}" for level in LEVELS for kind in ("audio", "visual", "audiovisual", "type-av", "event-av")
)
"""The ten figures of LLP, in the order in which tables give them."""

Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Report:
    """What events are worth against annotations.

    Attributes:
        kind: "llp" or "ave".
        split: the split's name.
        metrics: figures in percent, by name: LLP_FIGURES, or "accuracy" for AVE.
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

    def tables(self, per_class: bool = False) -> list[Table]:
        """Tables for people: a header and rows each; the first header says what is approximate."""
        mark = f" (approximate: {self.approximation.partition(':')[0]})" if self.approximation else ""
        if self.kind == "ave":
            found: list[Table] = [((f"AVE{mark}", "accuracy %"), [("all", self.metrics["accuracy"])])]
            if per_class:
                by_label: list[tuple[Any, ...]] = [
                    (label, values["accuracy"], values["clips"]) for label, values in self.per_class.items()
                ]
                found.append((("label", "accuracy %", "clips"), by_label))
            return found
        names = ("audio", "visual", "audiovisual", "type-av", "event-av")
        heads = ("audio", "visual", "audiovisual", "Type@AV", "Event@AV")
        found = [
            (
                (f"F1 %{mark}", *heads),
                [(f"{level} level", *(self.metrics[f"{level}-{name}"] for name in names)) for level in LEVELS],
            )
        ]
        if per_class:
            for level in LEVELS:
                by_stream: list[tuple[Any, ...]] = [
                    (label, *(values[f"{level}-{stream}-f1"] for stream in STREAMS))
                    for label, values in self.per_class.items()
                ]
                found.append(((f"F1 % of a label, {level} level", *STREAMS), by_stream))
        return found


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
    """
    if events.seconds is not None:
        raise ScoreError(
            "these events lie on the timelines of whole files, annotations and metrics are of clips: score again with "
            "--no-stitch"
        )
    missing = annotations.missing(events.clip_ids)
    check_coverage(missing, annotations, partial)
    truth = annotations.align(events.clip_ids, events.labels, events.segments, events.segment_seconds)
    if annotations.kind == "ave":
        if paper_protocol:
            raise AnnotationError("the paper protocol is one of LLP's metrics: AVE accuracy has none")
        metrics, per_class = _accuracy(events, truth)
    else:
        metrics, per_class = _llp_figures(timelines(events)[truth.rows], truth, events.labels, paper_protocol)
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
            "score them, or accept a partial split (--partial)"
        )


def timelines(events: Events) -> NDArray[np.uint64]:
    """Events as words: uint64 (n, 3, C), streams visual, audio, audiovisual; bit s is segment s.

    Raises:
        ScoreError: an event does not lie in its clip, or a clip has more segments than a word has bits.
    """
    if events.segments > MOST_SEGMENTS:
        raise ScoreError(f"events of clips of {events.segments} segments: at most {MOST_SEGMENTS} can be evaluated")
    start, end = events.start.astype(np.int64), events.end.astype(np.int64)
    wrong = np.flatnonzero((start < 0) | (start >= end) | (end > events.segments))
    if len(wrong):
        row = wrong[0]
        raise ScoreError(
            f"clip {events.clip_ids[events.clip[row]]}: an event in segments {start[row]} to {end[row]} is none of "
            f"a clip of {events.segments} segments: score again"
        )
    words = np.zeros((len(events.clip_ids), 3, len(events.labels)), dtype=np.uint64)
    order = np.array([KERNEL_STREAMS.index(name) for name in STREAMS])
    full = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
    spans = (full >> (64 - (end - start)).astype(np.uint64)) << start.astype(np.uint64)
    np.bitwise_or.at(words, (events.clip, order[events.stream_number], events.label), spans)
    return words


def true_words(truth: Truth) -> NDArray[np.uint64]:
    """Annotations as words, as :func:`timelines`; audiovisual is seen and heard."""
    return np.ascontiguousarray(np.stack([truth.visual, truth.audio, truth.visual & truth.audio], axis=1))


def name_figures(segment: NDArray[np.float64], event: NDArray[np.float64]) -> NDArray[np.float64]:
    """LLP_FIGURES in percent from means as kernels give them.

    Args:
        segment: float64 (..., 4): visual, audio, audiovisual, Event@AV, as fractions.
        event: float64 (..., 4), likewise.

    Returns:
        float64 (..., 10).
    """
    columns = []
    for level in (segment, event):
        visual, audio, both, added = (100.0 * level[..., part] for part in range(4))
        columns += [audio, visual, both, (audio + visual + both) / 3.0, added]
    return np.stack(columns, axis=-1)


def _llp_figures(
    words: NDArray[np.uint64], truth: Truth, labels: Sequence[str], paper_protocol: bool
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    true = true_words(truth)
    segment, event = np.empty((len(words), 4)), np.empty((len(words), 4))
    figures(words, true, paper_protocol, segment, event)
    metrics = name_figures(segment.mean(axis=0), event.mean(axis=0))
    counts = np.zeros((len(labels), 3, 2, 3), dtype=np.int64)
    label_counts(words, true, paper_protocol, counts)
    per_class: dict[str, dict[str, float]] = {}
    for label, of_label in zip(labels, counts, strict=True):
        values = per_class.setdefault(label, {})
        for level, name in enumerate(LEVELS):
            for stream in STREAMS:
                tp, fp, fn = (int(count) for count in of_label[KERNEL_STREAMS.index(stream), level])
                for key, value in _rates(tp, fp, fn).items():
                    values[f"{name}-{stream}-{key}"] = value
    return dict(zip(LLP_FIGURES, metrics.tolist(), strict=True)), per_class


def _rates(tp: int, fp: int, fn: int) -> dict[str, float]:
    """Precision, recall and F1 in percent, 0 where there is nothing to divide by, and the counts."""
    return {
        "precision": 100.0 * tp / max(tp + fp, 1),
        "recall": 100.0 * tp / max(tp + fn, 1),
        "f1": 200.0 * tp / max(2 * tp + fp + fn, 1),
        "tp": tp,
        "fp": fp,
        "fn": fn,
    }


def first_events(events: Events) -> NDArray[np.int64]:
    """The first audiovisual event of each clip: int64 (n, 3) label, start, end; -1 where there is none."""
    found = np.full((len(events.clip_ids), 3), -1, dtype=np.int64)
    rows = np.flatnonzero(events.stream_number == STREAMS.index("audiovisual"))[::-1]
    found[events.clip[rows]] = np.column_stack([events.label[rows], events.start[rows], events.end[rows]])
    return found


def segment_classes(first: NDArray[np.int64], segments: int) -> NDArray[np.int64]:
    """The class of each segment, int64 (n, T), -1 for nothing, of clips with one event (label, start, end)."""
    at = np.arange(segments)
    inside = (at >= first[:, 1:2]) & (at < first[:, 2:3])
    return np.where(inside, first[:, :1], -1)


def _accuracy(events: Events, truth: Truth) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    predicted = segment_classes(first_events(events)[truth.rows], events.segments)
    right = (predicted == segment_classes(truth.first, events.segments)).mean(axis=1)
    per_class = {}
    for number, label in enumerate(events.labels):
        mine = truth.first[:, 0] == number
        if mine.any():
            per_class[label] = {"accuracy": 100.0 * float(right[mine].mean()), "clips": int(mine.sum())}
    return {"accuracy": 100.0 * float(right.mean())}, per_class
