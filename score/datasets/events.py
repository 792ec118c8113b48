"""Your own annotations: a file of events in any format that is read, with any labels, on timelines of any length.

LLP's figures (docs/design.md 4.8) of the streams that are annotated, and those of sound event detection (`score.sed`).
"""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_cache.names import shortened
from score.choices import KERNEL_STREAMS, STREAMS
from score.datasets.base import Dataset, Floats, Measured, PerClass, Table
from score.datasets.clip_lists import read_clip_list
from score.datasets.llp import LLP_FIGURES, by_label, llp_from_sums, llp_tables
from score.datasets.match import LabelNumbers, bare, match_clips
from score.datasets.measured import added_up
from score.datasets.values import Annotation
from score.errors import AnnotationError, ScoreError
from score.formats import FORMATS, kind_of
from score.lists import EventList, read_list
from score.run_figures import figures_of_runs
from score.runs import joined_runs, overlaps
from score.sed import Columns, Counts, event_counts, mean_rates, rates, segment_counts, segment_runs

if TYPE_CHECKING:
    from score.datasets.annotations import Annotations, Truth
    from score.timelines import Spans

COLLAR = "sed-collar-seconds"


def read_truth(
    path: Path,
    clips: str | PathLike[str] | Iterable[str] | None = None,
    stream: str | None = None,
    collar: float | None = None,
) -> dict[str, Any]:
    """Fields of :class:`score.Annotations` from a file of events.

    What is seen and heard is what the file says of it, or, where it has events that are seen and others that are heard
    alone, where both are.

    Args:
        path: the file.
        clips: clips that are annotated beside those that the file names, or a text file of them.
        stream: of events for which the file names none; by default "audiovisual".
        collar: seconds, 0.2 by default.

    Raises:
        AnnotationError: it cannot be read, has no clips, or names one in two ways.
    """
    try:
        found = read_list(path, stream)
        own = (known := FORMATS.get(kind_of(path))) is not None and known.read is not None
    except ScoreError as error:
        raise AnnotationError(str(error)) from error
    if collar is not None and not 0 < collar < np.inf:
        raise AnnotationError(f"`collar={collar:g}` is no tolerance: give seconds above 0")
    block = found.block
    sides: list[dict[str, list[Annotation]]] = [{} for _ in STREAMS]
    columns = (block.clip, block.stream, block.label, block.onset, block.offset)
    for clip, side, label, onset, offset in zip(*(column.tolist() for column in columns), strict=True):
        sides[side].setdefault(found.clips[clip], []).append((found.labels[label], onset, offset))
    present = {name for name, events in zip(STREAMS, sides, strict=True) if events}
    if own or present >= {"visual", "audio"}:
        present = set(STREAMS)
    elif not present:
        present = {stream or "audiovisual"}
    last = int(block.offset.argmax()) if len(block) else -1
    audiovisual, visual, audio = sides
    return {
        "clip_ids": _clips(found, clips),
        "visual": visual,
        "audio": audio,
        "audiovisual": audiovisual if audiovisual or present == {"audiovisual"} else None,
        "labels": found.labels,
        "origin": dict.fromkeys(found.labels, found.path),
        "latest": (float(block.offset[last]), f"{found.path}, {found.told(last)}") if last >= 0 else (0.0, ""),
        "streams": tuple(name for name in STREAMS if name in present),
        **({} if collar is None else {"collar": float(collar)}),
    }


def _clips(found: EventList, also: str | PathLike[str] | Iterable[str] | None) -> tuple[str, ...]:
    """The clips that are annotated."""
    clips = dict.fromkeys([*(found.named or ()), *found.clips])
    forms: dict[str, str] = {}
    for clip in clips:
        other = forms.setdefault(bare(clip), clip)
        if other != clip:
            raise AnnotationError(
                f"{found.path}: one clip is named in two ways, {shortened(other, 60)!r} and {shortened(clip, 60)!r}: "
                "write one of them"
            )
    if also is not None:
        named = tuple(dict.fromkeys(read_clip_list(also) if isinstance(also, str | PathLike) else also))
        there = set(match_clips(tuple(clips), named).values())
        clips.update(dict.fromkeys(clip for number, clip in enumerate(named) if number not in there))
    if not clips:
        raise AnnotationError(f"{found.path} has no events: which clips are annotated? name them in a list (`clips`)")
    return tuple(clips)


def _measure(spans: "Spans", annotations: "Annotations", labels: Sequence[str]) -> Measured:
    clips, size = len(spans.clips), len(labels)
    true = _true_events(spans.clips, annotations, labels)
    found = {}
    for number, name in enumerate(STREAMS):
        mine = spans.stream == number
        clip, label = (column[mine].astype(np.int64) for column in (spans.clip, spans.label))
        found[name] = Columns(clip, label, spans.onset[mine], spans.offset[mine])
    segments = [
        [segment_runs(side[name], size, spans.segment_seconds) for name in KERNEL_STREAMS] for side in (found, true)
    ]
    if annotations.audiovisual is None:
        segments[1][2] = overlaps(segments[1][0], segments[1][1]).common
    sums, counts = figures_of_runs(segments[0], segments[1], clips, size)
    measured = added_up(EVENTS, sums * _defined(annotations.streams), np.ones_like(sums), {})
    metrics, by_clip = dict(measured.metrics), dict(measured.by_clip)
    per_class = _only_annotated(by_label(labels, counts), annotations.streams)
    metrics[COLLAR] = annotations.collar
    for name in annotations.streams:
        for level, counted in (
            ("event", event_counts(true[name], found[name], clips, size, annotations.collar)),
            ("segment", segment_counts(true[name], found[name], clips, size, spans.segment_seconds)),
        ):
            _add(f"sed-{level}-{name}", counted, labels, metrics, by_clip, per_class)
    return Measured(metrics, per_class, by_clip, measured.resampled)


def _add(
    head: str, counted: Counts, labels: Sequence[str], metrics: dict[str, float], by_clip: dict[str, Floats],
    per_class: PerClass,
) -> None:  # fmt: skip
    """Figures of sound event detection of one stream: of all events, means over labels, of each clip and label."""
    metrics.update({f"{head}-{name}": float(value) for name, value in rates(counted.by_clip.sum(axis=0)).items()})
    metrics.update({f"{head}-class-{name}": value for name, value in mean_rates(counted.by_label).items()})
    of_clips, of_labels = rates(counted.by_clip), rates(counted.by_label)
    for name in ("f1", "error-rate"):
        by_clip[f"{head}-{name}"] = of_clips[name]
        for label, value in zip(labels, of_labels[name].tolist(), strict=True):
            per_class[label][f"{head}-{name}"] = value


def _true_events(clips: Sequence[str], annotations: "Annotations", labels: Sequence[str]) -> dict[str, Columns]:
    """True events by stream; those that are seen and heard, where nothing says so, are where both are."""
    numbers = LabelNumbers(labels, annotations.origin)
    found = {}
    for name, events in (
        ("visual", annotations.visual), ("audio", annotations.audio), ("audiovisual", annotations.audiovisual or {})
    ):  # fmt: skip
        rows = [
            (number, numbers[label], onset, offset)
            for number, clip in enumerate(clips)
            for label, onset, offset in events.get(clip, ())
        ]
        table = np.array(rows, dtype=np.float64).reshape(-1, 4)
        found[name] = Columns(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3])
    if annotations.audiovisual is None:
        seen, heard = (
            joined_runs(each.clip * len(labels) + each.label, each.onset, each.offset)
            for each in (found["visual"], found["audio"])
        )
        both = overlaps(seen, heard).common
        size = max(len(labels), 1)
        found["audiovisual"] = Columns(both.key // size, both.key % size, both.start, both.end)
    return found


def _defined(streams: Sequence[str]) -> Floats:
    """float64 (8,), 1 for each of the sums of LLP's figures, NaN where it is of a stream that is not annotated."""
    alone = [1.0 if name in streams else np.nan for name in KERNEL_STREAMS]
    return np.array([*alone, alone[0] * alone[1]] * 2)


def _weights(truth: "Truth") -> Floats:
    """Every clip once, where its stream is annotated."""
    return np.tile(_defined(truth.streams), (len(truth.rows), 1))


def _only_annotated(per_class: PerClass, streams: Sequence[str]) -> PerClass:
    """Figures of each label; those of streams that are not annotated are not defined."""
    return {
        label: {name: value if name.split("-")[1] in streams else np.nan for name, value in values.items()}
        for label, values in per_class.items()
    }


def _read(path: Path, split: str) -> dict[str, Any]:
    return read_truth(path)


def _tables(
    metrics: Mapping[str, float], per_class: Mapping[str, Mapping[str, float]] | None, mark: str
) -> list[Table]:
    streams = [name for name in STREAMS if f"sed-event-{name}-f1" in metrics]
    found = llp_tables(metrics, per_class, mark)
    collar = f"within {metrics[COLLAR]:g} s" if COLLAR in metrics else ""
    names = ("f1", "precision", "recall", "error-rate", "class-f1", "class-error-rate")
    rows: list[tuple[Any, ...]] = [
        (f"{what}, {name}", *(_rate(metrics[f"sed-{level}-{name}-{each}"], each) for each in names))
        for level, what in (("event", f"events {collar}"), ("segment", "segments"))
        for name in streams
    ]
    heads = ("F1 %", "P %", "R %", "ER", "class F1 %", "class ER")
    if rows:
        found.append(((f"sed_eval's figures{mark}", *heads), rows))
    for level, what in (("event", f"events {collar}"), ("segment", "segments")) if per_class is not None else ():
        by_stream: list[tuple[Any, ...]] = [
            (label, *(values[f"sed-{level}-{name}-f1"] for name in streams))
            for label, values in (per_class or {}).items()
        ]
        found.append(((f"sed_eval's F1 % of a label, {what}", *streams), by_stream))
    return found


def _rate(value: float, name: str) -> float | str:
    """Error rates with two digits, as people write them."""
    return f"{value:.2f}" if "error" in name and value == value else value


EVENTS = Dataset(
    name="events",
    title="your own",
    labels="",
    read=_read,
    figures=LLP_FIGURES,
    objective="segment-type-av",
    weights=_weights,
    from_sums=llp_from_sums,
    measure_seconds=_measure,
    tables=_tables,
    splits=(),
    any_labels=True,
)
