"""LLP: several events a clip, seen and heard apart; F1 of segments and events (docs/design.md 4.8).

Its annotation files are tab-separated: one for what is seen, one for what is heard, one a split.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from score.checks import check_array
from score.choices import KERNEL_STREAMS, STREAMS
from score.datasets.base import Dataset, Metrics, PerClass, Table
from score.datasets.match import Listed
from score.datasets.values import Annotation, Places, as_number, read_text, table
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
        name = row["filename"]
        if not name:
            raise AnnotationError(f"{listing} line {line}: no filename: write one, or remove the line")
        if name in clips:
            raise AnnotationError(f"{listing} line {line}: {name} is there already in line {clips[name]}: remove one")
        clips[name] = line
    listed = Listed(clips)
    places = Places()
    sides: dict[str, dict[str, list[Annotation]]] = {}
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
            places.note(label, offset, where)
            found.setdefault(clip, []).append((label, onset, offset))
    return {
        "clip_ids": tuple(clips),
        "visual": sides["visual"],
        "audio": sides["audio"],
        "origin": places.labels,
        "latest": places.latest,
        "ignored": ignored,
    }


def _rows(file: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and rows; every one has the columns."""
    found = table(read_text(file, "LLP's annotation files are needed in one folder"), "\t")
    line, header = found[0] if found else (1, [""])
    for name in columns:
        if name not in header:
            raise AnnotationError(
                f"{file} line {line}: no column {name!r} in {' '.join(header)!r}: "
                f"write tab-separated {' '.join(columns)} there"
            )
    needed = 1 + max(header.index(name) for name in columns)
    rows = []
    for number, cells in found[1:]:
        if len(cells) < needed:
            raise AnnotationError(
                f"{file} line {number}: {len(cells)} columns, expected {len(header)}: separate them by tabs"
            )
        rows.append((number, dict(zip(header, cells, strict=False))))
    return rows


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


def _measure(events: "Events", truth: "Truth", paper_protocol: bool) -> tuple[Metrics, PerClass]:
    from score.kernels.f1 import figures, label_counts  # compiled: of no use to who only reads annotations

    words, labels, true = events.timelines()[truth.rows], events.labels, truth.timelines
    for name, timelines in (("timelines of the events", words), ("timelines of the annotations", true)):
        check_array(name, timelines, (len(words), 3, len(labels)), np.uint64)
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


def _from_sums(means: NDArray[np.float64]) -> NDArray[np.float64]:
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
    predictions="labels",
    figures=LLP_FIGURES,
    objective="segment-type-av",
    decision="threshold",
    measure=_measure,
    from_sums=_from_sums,
    tables=_tables,
    paper_protocol=True,
)
