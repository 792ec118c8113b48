"""LLP: several events a clip, seen and heard apart; F1 of segments and events (docs/design.md 4.8).

Its annotation files are tab-separated: one for what is seen, one for what is heard, one a split.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_cache.names import shortened
from score.checks import check_array
from score.choices import KERNEL_STREAMS, STREAMS
from score.datasets.base import Dataset, Floats, PerClass, Table
from score.datasets.match import Listed
from score.datasets.values import Annotation, Places, as_name, as_number, table, told
from score.errors import AnnotationError

if TYPE_CHECKING:
    from score.datasets.annotations import Truth
    from score.events import Events

LEVELS = ("segment", "event")
LLP_FIGURES = tuple(
    f"{level}-{kind}" for level in LEVELS for kind in ("audio", "visual", "audiovisual", "type-av", "event-av")
)
"""The ten figures of LLP, in the order in which tables give them."""

EVENT_COLUMNS = ("filename", "onset", "offset", "event_labels")
SPLIT_COLUMNS = ("filename",)
_MOST_KEPT = 100_000


def read_llp(directory: Path, split: str) -> dict[str, Any]:
    """Fields of :class:`score.Annotations` from AVVP_eval_audio.csv, AVVP_eval_visual.csv, AVVP_<split>_pd.csv.

    The event files hold both splits; the split's file says which clips count. Rows whose onset is not before their
    offset say nothing, as in the official script, and are counted: LLP's own files hold six.

    Raises:
        AnnotationError: a file, a column or a value is missing or wrong.
    """
    if directory.is_file():
        raise AnnotationError(f"{directory} is one file: name the folder that holds LLP's three")
    listing = directory / f"AVVP_{split}_pd.csv"
    clips: dict[str, int] = {}
    for line, row in _rows(listing, SPLIT_COLUMNS):
        if not row["filename"]:
            raise AnnotationError(f"{listing} line {line}: no filename: write one, or remove the line")
        name = as_name(row["filename"], f"{listing} line {line}", "filename")
        if name in clips:
            raise AnnotationError(
                f"{listing} line {line}: {shortened(name, 100)} is there already in line {clips[name]}: remove one"
            )
        clips[name] = line
    listed = Listed(clips)
    places = Places()
    sides: dict[str, dict[str, list[Annotation]]] = {}
    known: dict[str, str] = {}
    events: dict[Annotation, Annotation] = {}
    ignored = 0
    for side in ("visual", "audio"):
        found = sides.setdefault(side, {})
        file = directory / f"AVVP_eval_{side}.csv"
        for line, row in _rows(file, EVENT_COLUMNS):
            where = f"{file} line {line}"
            onset, offset = (as_number(row[name], where, name) for name in ("onset", "offset"))
            label = row["event_labels"]
            if not label:
                raise AnnotationError(f"{where}: no label: write one under event_labels, or remove the line")
            clip = listed.find(row["filename"], where)
            if clip is None:
                continue
            if onset >= offset:
                ignored += 1
                continue
            label = known[label] if label in known else known.setdefault(label, as_name(label, where, "event_labels"))
            places.note(label, offset, where)
            event = (label, onset, offset)
            if len(events) < _MOST_KEPT:  # most are equal to others, as times are whole seconds
                event = events.setdefault(event, event)
            found.setdefault(clip, []).append(event)
    return {
        "clip_ids": tuple(clips),
        "visual": sides["visual"],
        "audio": sides["audio"],
        "origin": places.labels,
        "latest": places.latest,
        "ignored": ignored,
    }


def _rows(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and rows, the columns alone."""
    found = table(file, "\t", "LLP's annotation files are needed in one folder")
    line, header = next(found, (1, [""]))
    for name in columns:
        if header.count(name) != 1:
            what = f"{header.count(name)} columns" if name in header else "no column"
            raise AnnotationError(
                f"{file} line {line}: {what} {name!r} in {told(' '.join(header))}: "
                f"write tab-separated {' '.join(columns)} there"
            )
    places = [header.index(name) for name in columns]
    needed = 1 + max(places)
    for number, cells in found:
        if len(cells) < needed:
            raise AnnotationError(
                f"{file} line {number}: {len(cells)} columns, expected {len(header)}: separate them by tabs"
            )
        yield number, {name: cells[place] for name, place in zip(columns, places, strict=True)}


def name_figures(segment: Floats, event: Floats) -> Floats:
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


def _measure(
    blocks: Iterable[tuple["Events", "Truth"]], labels: Sequence[str], paper_protocol: bool
) -> tuple[Floats, PerClass]:
    from score.kernels.f1 import figures, label_counts  # compiled: of no use to who only reads annotations

    segments, by_event = [np.empty((0, 4))], [np.empty((0, 4))]
    counts = np.zeros((len(labels), 3, 2, 3), dtype=np.int64)
    for events, truth in blocks:
        words, true = events.timelines(), truth.timelines
        for name, timelines in (("timelines of the events", words), ("timelines of the annotations", true)):
            check_array(name, timelines, (len(words), 3, len(labels)), np.uint64)
        segments.append(np.empty((len(words), 4)))
        by_event.append(np.empty((len(words), 4)))
        figures(words, true, paper_protocol, segments[-1], by_event[-1])
        label_counts(words, true, paper_protocol, counts)
    per_class: dict[str, dict[str, float]] = {}
    for label, of_label in zip(labels, counts, strict=True):
        values = per_class.setdefault(label, {})
        for level, name in enumerate(LEVELS):
            for stream in STREAMS:
                tp, fp, fn = (int(count) for count in of_label[KERNEL_STREAMS.index(stream), level])
                for key, value in _rates(tp, fp, fn).items():
                    values[f"{name}-{stream}-{key}"] = value
    return np.concatenate([np.concatenate(segments), np.concatenate(by_event)], axis=1), per_class


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


def _from_sums(sums: Floats, weights: Floats) -> Floats:
    means = sums / weights
    return name_figures(means[..., 0:4], means[..., 4:8])


def _tables(
    metrics: Mapping[str, float], per_class: Mapping[str, Mapping[str, float]] | None, mark: str
) -> list[Table]:
    names = ("audio", "visual", "audiovisual", "type-av", "event-av")
    heads = ("audio", "visual", "audiovisual", "Type@AV", "Event@AV")
    rows: list[tuple[Any, ...]] = [
        (f"{level} level", *(metrics[f"{level}-{name}"] for name in names)) for level in LEVELS
    ]
    found: list[Table] = [((f"F1 %{mark}", *heads), rows)]
    for level in LEVELS if per_class is not None else ():
        by_stream: list[tuple[Any, ...]] = [
            (label, *(values[f"{level}-{stream}-f1"] for stream in STREAMS))
            for label, values in (per_class or {}).items()
        ]
        found.append(((f"F1 % of a label, {level} level", *STREAMS), by_stream))
    return found


LLP = Dataset(
    name="llp",
    title="LLP",
    labels="llp",
    read=read_llp,
    figures=LLP_FIGURES,
    objective="segment-type-av",
    decision="threshold",
    measure=_measure,
    from_sums=_from_sums,
    tables=_tables,
    paper_protocol=True,
)
