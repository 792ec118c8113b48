"""AVE: one event a clip, seen and heard at once; accuracy of segments (docs/design.md 4.8).

Its annotation files are Annotations.txt with a list a split, or one JSON file a split. What is listed are rows, and a
video may have several, of which its split lists some.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.names import shortened
from score.choices import FIRST_EVENT, NO_ROW, NOTHING, STREAMS
from score.datasets.base import Dataset, Floats, PerClass, Table
from score.datasets.match import Listed
from score.datasets.one_label import labels_of_segments
from score.datasets.values import Annotation, Places, as_name, as_number, read_json_text, table, told
from score.errors import AnnotationError
from score.reading import Reading

if TYPE_CHECKING:
    from score.datasets.annotations import Truth
    from score.events import Events

EVENTS_FILE = "Annotations.txt"
MOST_ROWS = 5_000_000
COLUMNS = "Category&VideoID&Quality&StartTime&EndTime"


def read_ave(path: Path, split: str) -> dict[str, Any]:
    """Fields of :class:`score.Annotations`; an AVE event is seen and heard at once.

    AVE lists a clip once for each of its classes: the lines of a clip are put together, in the file's order. Lines
    whose start is not before their end say nothing (AVE's own file holds such), and are counted.

    Args:
        path: a folder with Annotations.txt and <split>Set.txt or <split>_order.h5 (numbers of its rows), or with
            <split>_AVE.json; or Annotations.txt itself, or a JSON file of that form, which may be a stream.
        split: "train", "val" or "test".

    Raises:
        AnnotationError: a file or a value is missing or wrong.
    """
    if path.is_file() and path.suffix.lower() != ".json":
        if path.name != EVENTS_FILE:
            raise AnnotationError(
                f"{path} is neither {EVENTS_FILE} nor a .json file: name one of them, or their folder"
            )
        path = path.parent
    reader = _Reader()
    if path.exists() and not path.is_dir():
        reader.read_json(path)
    elif not (path / EVENTS_FILE).exists() and (path / f"{split}_AVE.json").exists():
        reader.read_json(path / f"{split}_AVE.json")
    else:
        listing = path / f"{split}Set.txt"
        if not listing.exists() and listing.with_name(f"{split}_order.h5").exists():
            listing = listing.with_name(f"{split}_order.h5")
        reader.read_lists(path / EVENTS_FILE, listing)
    return {
        "clip_ids": tuple(reader.events),
        "visual": reader.events,
        "audio": reader.events,
        "listed": reader.rows,
        "labels": tuple(reader.labels),
        "origin": reader.places.labels,
        "latest": reader.places.latest,
        "ignored": reader.ignored,
    }


class _Reader:
    """Collects the clips of a split with their events."""

    def __init__(self) -> None:
        self.events: dict[str, list[Annotation]] = {}
        self.rows: dict[str, list[list[Annotation]]] = {}
        self.labels: dict[str, None] = {}
        self.places = Places()
        self.ignored = 0

    def read_json(self, file: Path) -> None:
        """{clip: [{"class", "start", "end"}, ...]}."""
        try:
            found = json.loads(read_json_text(file, _NEEDED), object_pairs_hook=_Pairs)
        except RecursionError as error:
            raise AnnotationError(f"{file} is nested too deeply: write it as in {_JSON_EXAMPLE}") from error
        except ValueError as error:
            raise AnnotationError(f"{file} is not JSON ({shortened(str(error), 120)}): write it again") from error
        if not isinstance(found, _Pairs):
            raise AnnotationError(f"{file}: clip names with lists of events are expected, as in {_JSON_EXAMPLE}")
        for clip, records in found:
            where = f"{file}, {shortened(clip, 100)}"
            clip = as_name(clip, where, "clip")
            if clip in self.events:
                raise AnnotationError(f"{where}: the clip is there twice: put its events into one list")
            if not isinstance(records, list) or isinstance(records, _Pairs):
                raise AnnotationError(f"{where}: a list of events is expected, as in {_JSON_EXAMPLE}")
            self.events[clip] = []
            self.rows[clip] = []
            for record in records:
                values = dict(record) if isinstance(record, _Pairs) else {}
                for name in ("class", "start", "end"):
                    if name not in values:
                        raise AnnotationError(f"{where}: an event has no {name!r}: write it as in {_JSON_EXAMPLE}")
                found = self._event(values["class"], values["start"], values["end"], where)
                self._add(clip, found, where)
                self.rows[clip].append(found)
                self.labels.update(dict.fromkeys(label for label, _, _ in found))
            self.rows[clip] = self.rows[clip] or [[]]

    def read_lists(self, events: Path, listing: Path) -> None:
        """Category&VideoID&Quality&StartTime&EndTime, in both files, a first line with these names or not."""
        split: dict[str, int] = {}
        for line, where, (label, name, _, start, end) in _listed(listing, events):
            clip = as_name(name, where, "VideoID")
            split.setdefault(clip, line)
            self.rows.setdefault(clip, []).append(self._event(label, start, end, where))
        self.events = {clip: [] for clip in split}
        missing = dict(split)
        listed = Listed(split)
        for line, (label, name, _, start, end) in _cells(events):
            self.labels.setdefault(label)
            named = listed.find(name, f"{events} line {line}")
            if named is not None:
                missing.pop(named, None)
                self._add(named, self._event(label, start, end, f"{events} line {line}"), f"{events} line {line}")
        for clip, line in missing.items():
            raise AnnotationError(
                f"{listing} line {line}: {shortened(clip, 100)} is not in {events}: add its event there"
            )

    def _event(self, label: Any, start: Any, end: Any, where: str) -> list[Annotation]:
        """The event of a row: none where it has no length."""
        onset, offset = as_number(start, where, "start"), as_number(end, where, "end")
        if not isinstance(label, str) or not label.strip():
            raise AnnotationError(f"{where}: class {told(label)} is no label: write its name")
        if onset >= offset:
            return []
        return [(as_name(label, where, "class"), onset, offset)]

    def _add(self, clip: str, found: list[Annotation], where: str) -> None:
        for label, _, offset in found:
            self.places.note(label, offset, where)
        self.events[clip] += found
        self.ignored += not found


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it stands in the file, so that a name that is there twice shows."""


_NEEDED = f"AVE needs {EVENTS_FILE} and a list a split, or a JSON file"
_JSON_EXAMPLE = '{"clip": [{"class": "bark", "start": 0, "end": 4}]}'


def _listed(listing: Path, events: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Lines of a split: their numbers, where they are, and their cells; a split may also be numbers of rows."""
    if listing.suffix != ".h5":
        for line, cells in _cells(listing):
            yield line, f"{listing} line {line}", cells
        return
    rows = list(_cells(events))
    for number in read_order(listing):
        if number >= len(rows):
            raise AnnotationError(f"{listing}: row {number} is none of the {len(rows)} in {events}: are they one set?")
        yield rows[number][0], f"{events} line {rows[number][0]}", rows[number][1]


def read_order(file: Path) -> list[int]:
    """Numbers of rows, from 0 on: the data set "order" of an HDF5 file.

    Raises:
        AnnotationError: it cannot be read, or holds something else.
    """
    import h5py  # slow to import, and seldom needed

    try:
        with h5py.File(file, "r") as opened:
            order = opened.get("order")
            if not isinstance(order, h5py.Dataset) or order.ndim != 1 or order.dtype.kind not in "iu":
                raise AnnotationError(f"{file} has no whole numbers under 'order': it is no split of {EVENTS_FILE}")
            if order.size > MOST_ROWS:
                raise AnnotationError(f"{file} has {order.size:,} rows, at most {MOST_ROWS:,} are read")
            found: list[int] = order[:].tolist()
    except OSError as error:
        raise AnnotationError(f"{file} cannot be read as HDF5 ({shortened(str(error), 100)}): get it again") from error
    if not found or min(found) < 0:
        raise AnnotationError(f"{file}: 'order' is empty, or holds a negative row: get it again")
    return found


def _cells(file: Path) -> Iterator[tuple[int, list[str]]]:
    for number, cells in table(file, "&", _NEEDED):
        if number == 1 and cells[0].lower() == "category":
            continue
        if len(cells) != 5:
            raise AnnotationError(f"{file} line {number}: {len(cells)} columns, expected {COLUMNS}: correct the line")
        if not cells[1]:
            raise AnnotationError(f"{file} line {number}: no VideoID: write one, or remove the line")
        yield number, cells


def first_events(events: "Events") -> NDArray[np.int64]:
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


def _measure(
    blocks: Iterable[tuple["Events", "Truth"]], labels: Sequence[str], paper_protocol: bool
) -> tuple[Floats, PerClass]:
    from score.kernels.one_label import rows_right_of_clips  # compiled: of no use to who only reads annotations

    sums, classes = [np.empty((0, 2))], [np.empty(0, np.int64)]
    for events, truth in blocks:
        first = segment_classes(first_events(events), events.segments)
        by_row = np.empty(len(first))
        rows_right_of_clips(labels_of_segments(events), truth.classes, NOTHING, by_row)
        by_video = (first == segment_classes(truth.first, events.segments)).mean(axis=1)
        sums.append(np.column_stack([by_video, by_row]))
        classes.append(truth.first[:, 0])
    found, true = np.concatenate(sums), np.concatenate(classes)
    per_class = {}
    for number, label in enumerate(labels):
        mine = true == number
        if mine.any():
            per_class[label] = {"accuracy": 100.0 * float(found[mine, 0].mean()), "clips": int(mine.sum())}
    return found, per_class


def _weights(truth: "Truth") -> Floats:
    """Every clip once by video, each of its rows by row."""
    rows = (truth.classes[:, :, 0] != NO_ROW).sum(axis=1)
    return np.column_stack([np.ones(len(rows)), rows.astype(np.float64)])


def _from_sums(sums: Floats, weights: Floats) -> Floats:
    return 100.0 * sums / weights


def _tables(
    metrics: Mapping[str, float], per_class: Mapping[str, Mapping[str, float]] | None, mark: str
) -> list[Table]:
    rows: list[tuple[Any, ...]] = [
        ("by video, its first annotation and event (AV²A)", metrics["accuracy"]),
        ("by row, a label a segment (the data set's own)", metrics["accuracy-by-row"]),
    ]
    found: list[Table] = [((f"AVE{mark}", "accuracy %"), rows)]
    if per_class is not None:
        by_label: list[tuple[Any, ...]] = [
            (label, values["accuracy"], values["clips"]) for label, values in per_class.items()
        ]
        found.append((("label", "accuracy %", "clips"), by_label))
    return found


AVE = Dataset(
    name="ave",
    title="AVE",
    labels="ave",
    read=read_ave,
    reading=Reading(FIRST_EVENT),
    figures=("accuracy", "accuracy-by-row"),
    objective="accuracy",
    decision="argmax",
    measure=_measure,
    weights=_weights,
    from_sums=_from_sums,
    tables=_tables,
)
