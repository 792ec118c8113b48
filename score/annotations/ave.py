"""AVE's annotation files: Annotations.txt with a list a split, or one JSON file a split."""

import json
from pathlib import Path
from typing import Any

from score.annotations.truth import Annotation, as_number
from score.errors import AnnotationError

EVENTS_FILE = "Annotations.txt"


def read_ave(path: Path, split: str) -> dict[str, Any]:
    """Fields of :class:`score.Annotations`; an AVE event is seen and heard at once.

    Args:
        path: a folder with Annotations.txt and <split>Set.txt, or with <split>_AVE.json; or such a JSON file.
        split: "train", "val" or "test".

    Raises:
        AnnotationError: a file or a value is missing or wrong.
    """
    if path.is_file():
        clips, events, origin = _read_json(path)
    else:
        table, single = path / EVENTS_FILE, path / f"{split}_AVE.json"
        if not table.exists() and single.exists():
            clips, events, origin = _read_json(single)
        else:
            clips, events, origin = _read_lists(table, path / f"{split}Set.txt")
    return {"clip_ids": clips, "visual": events, "audio": events, "origin": origin}


Read = tuple[tuple[str, ...], dict[str, list[Annotation]], dict[str, str]]


def _read_json(file: Path) -> Read:
    """{clip: [{"class", "start", "end"}, ...]}."""
    try:
        found = json.loads(_text(file))
    except ValueError as error:
        raise AnnotationError(f"{file} is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise AnnotationError(f"{file}: clip names with lists of events are expected")
    events: dict[str, list[Annotation]] = {}
    origin: dict[str, str] = {}
    for clip, records in found.items():
        where = f"{file}, {clip}"
        if not isinstance(records, list):
            raise AnnotationError(f"{where}: a list of events is expected")
        for record in records:
            missing = {"class", "start", "end"} - (record.keys() if isinstance(record, dict) else set())
            if missing:
                raise AnnotationError(f"{where}: an event has no {sorted(missing)[0]!r}")
            _add(events, origin, clip, record["class"], (record["start"], record["end"]), where)
    return tuple(found), events, origin


def _read_lists(table: Path, listing: Path) -> Read:
    """Category&VideoID&Quality&StartTime&EndTime, in both files."""
    split: dict[str, int] = {}
    for line, cells in _cells(listing):
        split.setdefault(cells[1], line)
    events: dict[str, list[Annotation]] = {}
    origin: dict[str, str] = {}
    for line, (label, clip, _, start, end) in _cells(table):
        if clip in split:
            _add(events, origin, clip, label, (start, end), f"{table} line {line}")
    for clip, line in split.items():
        if clip not in events:
            raise AnnotationError(f"{listing} line {line}: {clip} is not in {table}")
    return tuple(split), events, origin


def _add(
    events: dict[str, list[Annotation]],
    origin: dict[str, str],
    clip: str,
    label: Any,
    times: tuple[Any, Any],
    where: str,
) -> None:
    start, end = as_number(times[0], where, "start"), as_number(times[1], where, "end")
    if start >= end:
        raise AnnotationError(f"{where}: start {start:g} is not before end {end:g}")
    if not isinstance(label, str) or not label.strip():
        raise AnnotationError(f"{where}: no class")
    origin.setdefault(label.strip(), where)
    events.setdefault(clip, []).append((label.strip(), start, end))


def _cells(file: Path) -> list[tuple[int, list[str]]]:
    rows = []
    for number, line in enumerate(_text(file).splitlines(), start=1):
        cells = [cell.strip() for cell in line.split("&")]
        if not line.strip() or (number == 1 and cells[0].lower() == "category"):
            continue
        if len(cells) != 5:
            raise AnnotationError(
                f"{file} line {number}: {len(cells)} columns, expected Category&VideoID&Quality&StartTime&EndTime"
            )
        rows.append((number, cells))
    return rows


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise AnnotationError(
            f"{file} is not there: AVE needs {EVENTS_FILE} and a list a split, or a JSON file"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{file} cannot be read ({error})") from error
