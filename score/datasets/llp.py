"""LLP's annotation files: tab-separated, one file for what is seen, one for what is heard, one a split."""

from pathlib import Path
from typing import Any

from score.datasets.match import Listed
from score.datasets.values import Annotation, Places, as_number, read_text, table
from score.errors import AnnotationError

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
