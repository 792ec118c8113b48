"""OV-AVEBench: one event class a clip, seen and heard at once, of classes seen or unseen in training (design 4.8).

Its annotation files are a table that lists clips with split and class, a JSON file with ten zeros and ones a clip, and
a list of the categories, whose last one means background.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from feature_cache.names import shortened
from score.choices import NOTHING, ONE_LABEL
from score.datasets.base import Dataset, Floats, PerClass, Table
from score.datasets.one_label import background_of, labels_of_segments
from score.datasets.values import Annotation, Places, as_name, read_json_text, table, told
from score.errors import AnnotationError
from score.reading import Reading

if TYPE_CHECKING:
    from score.datasets.annotations import Truth
    from score.events import Events

META_FILE = "ovave_dataset_meta.csv"
ANNOTATION_FILES = ("released_ovavel_dataset_anno.json", "ovavel_dataset_anno.json")
CATEGORIES_FILE = "ovave_total_close_open_categories.csv"
COLUMNS = ("split", "cls_name", "cls_type", "vid_name")
GROUPS = ("seen", "unseen")
TYPES = {"close": 0, "open": 1}
"""Groups by their names in the files."""
SUBSETS = ("total", *GROUPS)
KINDS = ("accuracy", "segment", "event", "average")
FIGURES = tuple(f"{subset}-{kind}" for subset in SUBSETS for kind in KINDS)
_NEEDED = f"OV-AVEBench needs {META_FILE}, {ANNOTATION_FILES[0]} and {CATEGORIES_FILE} in one folder"


class _Clip(msgspec.Struct):
    category: str
    label: str | list[int]


def read_ov_avebench(folder: Path, split: str) -> dict[str, Any]:
    """Fields of :class:`score.Annotations`: an event is seen and heard at once, runs of ones are events.

    Clips whose values are all 0 have no event, whatever class the table gives them.

    Raises:
        AnnotationError: a file, a column or a value is missing or wrong.
    """
    if folder.is_file():
        raise AnnotationError(f"{folder} is one file: name the folder that holds OV-AVEBench's three")
    categories = [_label(line, cells, folder / CATEGORIES_FILE) for line, cells in _rows(folder / CATEGORIES_FILE)]
    if len(set(categories)) < len(categories) or background_of(categories) != len(categories) - 1:
        raise AnnotationError(f"{folder / CATEGORIES_FILE}: each category once is expected, the last one 'other'")
    file = next((folder / name for name in ANNOTATION_FILES if (folder / name).exists()), folder / ANNOTATION_FILES[0])
    segments = read_segments(file)
    events: dict[str, list[Annotation]] = {}
    rows: dict[str, list[list[Annotation]]] = {}
    groups: dict[str, int] = {}
    classes: dict[str, str] = {}
    places = Places()
    known = set(categories)
    for line, cells in _meta_rows(folder / META_FILE):
        where = f"{folder / META_FILE} line {line}"
        if cells["split"] != split:
            continue
        clip, category = as_name(cells["vid_name"], where, "vid_name"), cells["cls_name"]
        if category not in known:
            raise AnnotationError(f"{where}: cls_name {told(category)} is no line of {CATEGORIES_FILE}: correct it")
        if cells["cls_type"] not in TYPES:
            raise AnnotationError(f"{where}: cls_type {told(cells['cls_type'])} is neither close nor open: correct it")
        if clip in events:
            raise AnnotationError(f"{where}: {shortened(clip, 100)} is there already: remove one of the lines")
        if clip not in segments:
            raise AnnotationError(f"{where}: {shortened(clip, 100)} is not in {file}: add its label there")
        events[clip] = [(category, float(start), float(end)) for start, end in _runs(segments[clip])]
        rows[clip] = [events[clip]]
        groups[clip] = TYPES[cells["cls_type"]]
        classes[clip] = category
        for label, _, offset in events[clip]:
            places.note(label, offset, where)
    return {
        "clip_ids": tuple(events),
        "visual": events,
        "audio": events,
        "listed": rows,
        "groups": groups,
        "categories": classes,
        "labels": tuple(categories),
        "origin": places.labels,
        "latest": places.latest,
    }


def read_segments(file: Path) -> dict[str, list[int]]:
    """By clip, zeros and ones, one a segment: a list, or a text that holds one.

    Raises:
        AnnotationError: it cannot be read, or holds something else.
    """
    example = '{"clip": {"category": "dog bark", "label": "[0, 1, 1]"}}'
    try:
        found = msgspec.json.decode(read_json_text(file, _NEEDED), type=dict[str, _Clip])
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        why = shortened(str(error), 100)
        raise AnnotationError(f"{file} is not OV-AVEBench's annotations ({why}): {example} is expected") from error
    segments = {}
    for clip, each in found.items():
        try:
            values = json.loads(each.label) if isinstance(each.label, str) else each.label
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, list) or any(value not in (0, 1) or isinstance(value, bool) for value in values):
            raise AnnotationError(
                f"{file}, {shortened(clip, 100)}: label {told(each.label)} is no list of zeros and ones"
            )
        segments[clip] = values
    return segments


def _runs(values: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of ones: first, and one past the last."""
    edges = np.flatnonzero(np.diff(np.array([0, *values, 0])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    return table(file, ",", _NEEDED)


def _label(line: int, cells: list[str], file: Path) -> str:
    """A category; one with a comma in it is several cells."""
    return as_name(", ".join(cells), f"{file} line {line}", "category")


def _meta_rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    rows = _rows(file)
    line, header = next(rows, (1, [""]))
    if tuple(header) != COLUMNS:
        raise AnnotationError(f"{file} line {line}: columns {told(','.join(header))}, expected {','.join(COLUMNS)}")
    for number, cells in rows:
        if len(cells) != len(COLUMNS):
            raise AnnotationError(
                f"{file} line {number}: {len(cells)} columns, expected {','.join(COLUMNS)}: correct it"
            )
        yield number, dict(zip(COLUMNS, cells, strict=True))


def _measure(
    blocks: Iterable[tuple["Events", "Truth"]], labels: Sequence[str], paper_protocol: bool
) -> tuple[Floats, PerClass]:
    from score.kernels.one_label import figures_of_clips  # compiled: of no use to who only reads annotations

    background = background_of(labels)
    sums, counts = [np.empty((0, 6))], np.zeros((len(labels), 3), dtype=np.int64)
    for events, truth in blocks:
        predicted, figures = labels_of_segments(events), np.zeros((len(events.clip_ids), 3))
        figures_of_clips(predicted, truth.classes, background, figures)
        apart = np.zeros((len(figures), len(GROUPS), 3))
        apart[np.arange(len(figures)), truth.group] = figures
        sums.append(apart.reshape(len(figures), -1))
        true = truth.classes[:, 0]
        for label, part in ((predicted, 0), (true, 1), (np.where(predicted == true, true, NOTHING), 2)):
            np.add.at(counts[:, part], label[label != NOTHING], 1)
    return np.concatenate(sums), _by_label(labels, counts)


def _by_label(labels: Sequence[str], counts: Any) -> PerClass:
    """Segments of each label that were said, are true, are both; background is no label here."""
    found = {}
    for label, (said, true, hits) in zip(labels, counts.tolist(), strict=True):
        if (said or true) and background_of([label]) == NOTHING:
            found[label] = {
                "precision": 100.0 * hits / max(said, 1),
                "recall": 100.0 * hits / max(true, 1),
                "f1": 200.0 * hits / (said + true),
                "segments-said": said,
                "segments-true": true,
            }
    return found


def _weights(truth: "Truth") -> Floats:
    """Each clip once, in its group."""
    return np.repeat(np.eye(len(GROUPS))[truth.group], 3, axis=1)


def _from_sums(sums: Floats, weights: Floats) -> Floats:
    shape = (*sums.shape[:-1], len(GROUPS), 3)
    by_group, counts = sums.reshape(shape), np.broadcast_to(weights, sums.shape).reshape(shape)
    columns = []
    for part in (slice(0, 2), slice(0, 1), slice(1, 2)):
        with np.errstate(invalid="ignore"):
            three = 100.0 * by_group[..., part, :].sum(axis=-2) / counts[..., part, :].sum(axis=-2)
        columns += [three, three.mean(axis=-1, keepdims=True)]
    return np.concatenate(columns, axis=-1)


def _tables(
    metrics: Mapping[str, float], per_class: Mapping[str, Mapping[str, float]] | None, mark: str
) -> list[Table]:
    rows: list[tuple[Any, ...]] = [(subset, *(metrics[f"{subset}-{kind}"] for kind in KINDS)) for subset in SUBSETS]
    found: list[Table] = [((f"OV-AVEBench %{mark}", "accuracy", "segment F1", "event F1", "average"), rows)]
    if per_class is not None:
        by_label: list[tuple[Any, ...]] = [(label, *values.values()) for label, values in per_class.items()]
        found.append((("label", "precision", "recall", "F1", "segments said", "segments true"), by_label))
    return found


OV_AVEBENCH = Dataset(
    name="ov-avebench",
    title="OV-AVEBench",
    labels="ov-avebench",
    read=read_ov_avebench,
    reading=Reading(ONE_LABEL, len(GROUPS)),
    figures=FIGURES,
    objective="total-average",
    decision="threshold",
    measure=_measure,
    weights=_weights,
    from_sums=_from_sums,
    tables=_tables,
)
