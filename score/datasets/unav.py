"""UnAV-100, and whatever is annotated as ActivityNet is: events in files of any length (docs/design.md 4.8).

The annotation file is JSON: {"database": {file: {"subset", "duration", "annotations": [{"segment", "label"}]}}}.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from feature_cache.names import shortened
from score.datasets.base import Dataset, Table
from score.datasets.mean_ap import AP_FIGURES, THRESHOLDS, measure_ranked
from score.datasets.values import Annotation, Places, as_name, as_number, read_json_text, told
from score.errors import AnnotationError

FILE = "unav100_annotations.json"
SUBSETS = {"training": "train", "validation": "val", "testing": "test"}
"""Splits by their names in the files; other names stand for themselves."""
EQUAL_SECONDS = 1e-3
"""Events of one label whose ends differ by no more are one."""
_MOST_BYTES = 64 << 20
_NEEDED = f"UnAV-100 needs {FILE}, in a folder or named itself"
_EXAMPLE = '{"database": {"video": {"subset": "test", "annotations": [{"segment": [0.5, 3.2], "label": "dog"}]}}}'


class _File(msgspec.Struct):
    database: dict[str, msgspec.Raw] | None = None
    results: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    segment: Any = None
    label: Any = None
    label_id: Any = None


class _Video(msgspec.Struct):
    subset: Any = None
    duration: Any = None
    annotations: list[_Event] | None = None


def read_unav(path: Path, split: str) -> dict[str, Any]:
    """Fields of :class:`score.Annotations`: events that are seen and heard, in seconds.

    Labels are those of all subsets, by their numbers where the file has numbers. Of events of one file and label whose
    ends are equal within a millisecond the first counts.

    Raises:
        AnnotationError: the file, a video or a value of it is missing or wrong.
    """
    file = _found(path)
    database = _database(file)
    places, labels = Places(), _Labels()
    events: dict[str, list[Annotation]] = {}
    seconds: dict[str, float] = {}
    subsets: dict[str, int] = {}
    ignored = 0
    for name, raw in database.items():
        where = f"{file}, {shortened(name, 100)}"
        video = _decoded(raw, where)
        subset = video.subset.strip().lower() if isinstance(video.subset, str) else ""
        if not subset:
            raise AnnotationError(f"{where}: subset {told(video.subset)} is no name: write train, validation or test")
        subsets[subset] = subsets.get(subset, 0) + 1
        mine = SUBSETS.get(subset, subset) == split
        found: list[Annotation] = []
        for event in video.annotations or ():
            label = labels.take(event, where)
            places.labels.setdefault(label, where)
            if mine:
                found.append((label, *_times(event.segment, where)))
        if not mine:
            continue
        clip = as_name(name, where, "name")
        if clip in events:
            raise AnnotationError(f"{where}: {shortened(clip, 100)} is there already: remove one of the two")
        events[clip] = distinct(found)
        ignored += len(found) - len(events[clip])
        if video.duration is not None:
            seconds[clip] = as_number(video.duration, where, "duration")
        for label, _, offset in events[clip]:
            places.note(label, offset, where)
    if not events:
        there = ", ".join(f"{shortened(subset, 30)} ({count})" for subset, count in list(subsets.items())[:5])
        raise AnnotationError(f"{file} has no videos of the {split} split: there are {there or 'none at all'}")
    return {
        "clip_ids": tuple(events),
        "visual": events,
        "audio": events,
        "audiovisual": events,
        "labels": labels.ordered,
        "numbered": labels.numbers,
        "seconds": seconds,
        "origin": places.labels,
        "latest": places.latest,
        "ignored": ignored,
    }


def distinct(events: Sequence[Annotation]) -> list[Annotation]:
    """Events without those that repeat an earlier one: of its label, both ends within EQUAL_SECONDS."""
    kept: dict[tuple[str, float, float], list[Annotation]] = {}
    found = []
    width = 2 * EQUAL_SECONDS  # an equal one lies in the same cell or the next
    for event in events:
        label, onset, offset = event
        column, row = onset // width, offset // width
        near = (kept.get((label, column + i, row + j), ()) for i in (-1, 0, 1) for j in (-1, 0, 1))
        if not any(
            abs(onset - other[1]) <= EQUAL_SECONDS and abs(offset - other[2]) <= EQUAL_SECONDS
            for some in near
            for other in some
        ):
            kept.setdefault((label, column, row), []).append(event)
            found.append(event)
    return found


class _Labels:
    """Labels as they are met, and the numbers that the file gives them."""

    def __init__(self) -> None:
        self.numbers: dict[int, str] = {}
        self._number_of: dict[str, int] = {}
        self._as_written: dict[str, str] = {}

    def take(self, event: _Event, where: str) -> str:
        """An event's label.

        Raises:
            AnnotationError: it is none, or has another number elsewhere.
        """
        written, number = event.label, event.label_id
        label = self._as_written.get(written) if isinstance(written, str) else None
        if label is None:
            label = self._as_written[written] = as_name(written, where, "label")
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or abs(number) > 1 << 31):
            raise AnnotationError(f"{where}: label_id {told(number)} of {told(label)} is no number: correct it")
        if number is not None:
            of_label, of_number = self._number_of.setdefault(label, number), self.numbers.setdefault(number, label)
            if of_label != number or of_number != label:
                other = f"it is {told(of_number)}" if of_number != label else f"{told(label)} has {of_label}"
                raise AnnotationError(f"{where}: label_id {number} is {told(label)}, elsewhere {other}: correct one")
        return label

    @property
    def ordered(self) -> tuple[str, ...]:
        """By number where all have one, else as they were met."""
        known = dict.fromkeys(self._as_written.values())
        if len(self.numbers) == len(known):
            return tuple(self.numbers[number] for number in sorted(self.numbers))
        return tuple(known)


def _found(path: Path) -> Path:
    """The annotation file of a folder, or the file itself."""
    if not path.is_dir() or (path / FILE).exists():
        return path / FILE if path.is_dir() else path
    files = sorted(path.glob("*.json"))
    if len(files) != 1:
        what = f"{len(files)} JSON files" if files else "no JSON file"
        raise AnnotationError(f"{path} holds no {FILE} and {what} otherwise: name the annotation file itself")
    return files[0]


def _database(file: Path) -> dict[str, msgspec.Raw]:
    """What the file has of each video."""
    text = read_json_text(file, _NEEDED, _MOST_BYTES)
    try:
        found = msgspec.json.decode(text, type=_File)
        json.loads(text, object_pairs_hook=_refuse_twice)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        why = shortened(str(error), 100)
        raise AnnotationError(f"{file} is no annotation file ({why}): {_EXAMPLE} is expected") from error
    if found.database is None:
        why = "it lists predictions under 'results'" if bytes(found.results) else "'database' is missing"
        raise AnnotationError(f"{file} is no annotation file ({why}): {_EXAMPLE} is expected")
    return found.database


def _refuse_twice(pairs: list[tuple[str, Any]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) < len(pairs):
        names_before: set[str] = set()
        for name, _ in pairs:
            if name in names_before:
                raise ValueError(f"{shortened(name, 60)!r} is there twice")
            names_before.add(name)


def _decoded(raw: msgspec.Raw, where: str) -> _Video:
    try:
        return msgspec.json.decode(raw, type=_Video)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        why = shortened(str(error), 100)
        raise AnnotationError(f"{where}: {why}: write subset, duration and a list of annotations there") from error


def _times(segment: Any, where: str) -> tuple[float, float]:
    """Onset and offset. One that does not come after the other is kept: nothing matches such an event."""
    if not isinstance(segment, list) or len(segment) != 2:
        raise AnnotationError(f"{where}: segment {told(segment)} is not [onset, offset]: write both in seconds")
    return as_number(segment[0], where, "onset"), as_number(segment[1], where, "offset")


def _tables(
    metrics: Mapping[str, float], per_class: Mapping[str, Mapping[str, float]] | None, mark: str
) -> list[Table]:
    heads = (f"IoU{mark}", *map(str, THRESHOLDS), "mean")
    found: list[Table] = [(heads, [("mAP %", *(metrics[name] for name in AP_FIGURES))])]
    if per_class is not None:
        rows: list[tuple[Any, ...]] = [
            (label, values["ap-0.5"], values["ap"], int(values["events-true"]), int(values["events-said"]))
            for label, values in per_class.items()
        ]
        found.append((("AP % of a label", "0.5", "mean", "true events", "predicted"), rows))
    return found


UNAV_100 = Dataset(
    name="unav-100",
    title="UnAV-100",
    labels="",
    read=read_unav,
    figures=AP_FIGURES,
    objective="map",
    measure_seconds=measure_ranked,
    streams=("audiovisual",),
    whole_files=True,
    others_count=True,
    left_out="annotations that repeat another one of their file",
    tables=_tables,
)
