"""LLP's annotation files: tab-separated, one file for what is seen, one for what is heard, one a split."""

import csv
from pathlib import Path
from typing import Any

from score.annotations.truth import Annotation, as_number
from score.errors import AnnotationError

EVENT_COLUMNS = ("filename", "onset", "offset", "event_labels")
SPLIT_COLUMNS = ("filename",)


def read_llp(directory: Path, split: str) -> dict[str, Any]:
    """Fields of :class:`score.Annotations` from AVVP_eval_audio.csv, AVVP_eval_visual.csv, AVVP_<split>_pd.csv.

    Raises:
        AnnotationError: a file, a column or a value is missing or wrong.
    """
    clips: dict[str, int] = {}
    listing = directory / f"AVVP_{split}_pd.csv"
    for line, row in _rows(listing, SPLIT_COLUMNS):
        name = row["filename"]
        if name in clips:
            raise AnnotationError(f"{listing} line {line}: {name} is there already in line {clips[name]}: remove one")
        clips[name] = line
    origin: dict[str, str] = {}
    sides: dict[str, dict[str, list[Annotation]]] = {}
    ignored = 0
    for side in ("visual", "audio"):
        found = sides.setdefault(side, {})
        file = directory / f"AVVP_eval_{side}.csv"
        for line, row in _rows(file, EVENT_COLUMNS):
            where = f"{file} line {line}"
            onset, offset = (as_number(row[name], where, name) for name in ("onset", "offset"))
            if row["filename"] not in clips:
                continue
            if onset >= offset:
                ignored += 1
                continue
            label = row["event_labels"]
            if not label:
                raise AnnotationError(f"{where}: no label")
            origin.setdefault(label, where)
            found.setdefault(row["filename"], []).append((label, onset, offset))
    return {
        "clip_ids": tuple(clips),
        "visual": sides["visual"],
        "audio": sides["audio"],
        "origin": origin,
        "ignored": ignored,
    }


def _rows(file: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and rows; every one has the columns."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise AnnotationError(f"{file} is not there: LLP's annotation files are needed in one folder") from error
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{file} cannot be read ({error})") from error
    lines = list(csv.reader(text.splitlines(), delimiter="\t"))
    header = [name.strip() for name in lines[0]] if lines else []
    for name in columns:
        if name not in header:
            raise AnnotationError(
                f"{file}: no column {name!r} in its first line (tab-separated {' '.join(columns)} is expected)"
            )
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) < len(header) and len(cells) <= max(header.index(name) for name in columns):
            raise AnnotationError(f"{file} line {number}: {len(cells)} columns, expected {len(header)}")
        rows.append((number, {name: cell.strip() for name, cell in zip(header, cells, strict=False)}))
    return rows
