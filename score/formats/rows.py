"""Tables of events, CSV and the DCASE tools' TSV, by whomever: columns by their names, in any order."""

import csv
import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from feature_cache.names import escaped
from score.errors import ScoreError
from score.formats.base import Listed, NamedEvents, Progress
from score.formats.named import shown, stream_named, stream_of_file, wrong_numbers
from score.formats.sources import read_source_lines

NAMES = {
    "clip": ("clip", "filename", "file", "video", "video_id", "audio_filename", "file_name", "vid", "uri"),
    "stream": ("stream",),
    "label": ("label", "event_label", "event_labels", "class", "label_id"),
    "onset": ("onset", "t_start", "start", "start_time", "begin"),
    "offset": ("offset", "t_end", "end", "end_time"),
    "score": ("score", "confidence", "scores"),
}
"""Names of each column, the first that is there; - and spaces count as _."""
_NEEDED = ("clip", "label", "onset", "offset")
_DCASE = ("clip", "onset", "offset", "label", "score")
"""Columns of a table without a header."""
_ROWS = 1 << 12
"""Read together: of more, Python's search for garbage takes as long as they themselves."""
_SEPARATORS = ("\t", ",", ";")


class _Table(NamedTuple):
    columns: dict[str, int]
    separator: str
    has_header: bool
    numbered: bool = False
    """Whether labels are numbers of classes."""
    spaced: bool = False
    """Whether a space follows each separator."""


def read_rows(path: Path, progress: Progress) -> Listed:
    """A table with a header line, or without one the columns filename, onset, offset, event_label and perhaps score.

    Raises:
        ScoreError: columns are missing, or a row cannot be read, while events come, too.
    """
    lines = chain.from_iterable(read_source_lines(path, progress))
    before = 0
    for line in lines:
        before += 1
        if line.strip():
            break
    else:
        raise ScoreError(f"{path} is empty: a table has the columns {', '.join(_NEEDED)} at least")
    table = _table(path, before, line)
    if table.has_header:
        return Listed(_events(path, table, lines, before))
    return Listed(_events(path, table, chain([line], lines), before - 1))


def _table(path: Path, number: int, line: str) -> _Table:
    """What a table's first line says of it."""
    rows = {separator: next(csv.reader([line], delimiter=separator), []) for separator in _SEPARATORS}
    for separator, row in rows.items():
        names = [name.strip().casefold().replace("-", "_").replace(" ", "_") for name in row]
        found = {what: next((name for name in known if name in names), None) for what, known in NAMES.items()}
        if all(found[what] for what in _NEEDED):
            for name in found.values():
                if name and names.count(name) > 1:
                    raise ScoreError(f"{path} line {number}: column {shown(name)} is there twice: take one out")
            columns = {what: names.index(name) for what, name in found.items() if name}
            spaced = all(name.startswith(" ") for name in row[1:])
            return _Table(columns, separator, True, found["label"] == "label_id", spaced)
    row = rows["\t"]
    if len(row) in (4, 5) and _is_number(row[1]) and _is_number(row[2]):
        return _Table({what: at for at, what in enumerate(_DCASE[: len(row)])}, "\t", False)
    row = max(rows.values(), key=len)
    there = ", ".join(escaped(name)[:20] for name in row[:8])
    raise ScoreError(
        f"{path} line {number}: a table of events has the columns {', '.join(_NEEDED)} (stream and score may be, too), "
        f"and this one {there}: name its columns so"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _events(path: Path, table: _Table, lines: Iterator[str], before: int) -> Iterator[NamedEvents]:
    """Events a block at a time.

    Args:
        path: the file.
        table: its columns.
        lines: those of the events.
        before: number of lines before them.
    """
    reader = csv.reader(lines, delimiter=table.separator, skipinitialspace=table.spaced)
    while True:
        first = before + reader.line_num
        try:
            rows = list(islice(reader, _ROWS))
        except csv.Error as error:
            where = f"{path} line {before + reader.line_num}"
            raise ScoreError(f"{where}: {error}: look for a quote that is not closed") from error
        if not rows:
            return
        try:
            yield _plain(table, rows, stream_of_file(path))
        except (IndexError, ValueError, ScoreError):
            yield _one_by_one(path, table, rows, first)


def _plain(table: _Table, rows: Sequence[list[str]], stream: str) -> NamedEvents:
    """A block of rows of which none needs a look.

    Raises:
        IndexError: one is too short.
        ValueError: one has no name, or numbers that are none.
        ScoreError: one has no stream.
    """
    at, columns = table.columns, list(zip(*rows, strict=False))
    clips, labels = columns[at["clip"]], columns[at["label"]]
    onset, offset = (np.array(list(map(float, columns[at[what]]))) for what in ("onset", "offset"))
    if not (np.isfinite(onset) & np.isfinite(offset)).all() or not all(clips) or not all(labels):
        raise ValueError
    if "score" in at:
        score = np.array([float(text.strip() or "nan") for text in columns[at["score"]]])
        if np.isinf(score).any():
            raise ValueError
    else:
        score = np.full(len(rows), math.nan)
    streams = [stream] * len(rows)
    if "stream" in at:
        words = columns[at["stream"]]
        known = {word: stream_named(word) or stream for word in set(words)}
        streams = [known[word] for word in words]
    if table.numbered:
        labels = tuple(f"#{label}" for label in labels)
    return NamedEvents(clips, streams, labels, onset.tolist(), offset.tolist(), score.tolist())


def _one_by_one(path: Path, table: _Table, rows: Sequence[list[str]], before: int) -> NamedEvents:
    """The same where something is wrong, a row is empty, or one names a clip that has no event."""
    kept: list[list[str]] = []
    line = before
    for row in rows:
        line += 1
        try:
            if row and not _names_a_clip(table, row):
                _check(table, row)
                kept.append(row)
        except ScoreError as error:
            raise ScoreError(f"{path} line {line}: {error}") from error
        line += sum(cell.count("\n") for cell in row)
    return _plain(table, kept, stream_of_file(path)) if kept else NamedEvents([], [], [], [], [], [])


def _names_a_clip(table: _Table, row: list[str]) -> bool:
    """Whether a row has a clip and nothing of an event, as DCASE's lists have it for clips without any."""
    cells = [cell.strip() for cell in row]
    at = table.columns
    rest = [cells[at[what]] for what in ("label", "onset", "offset") if at[what] < len(cells)]
    return len(cells) <= max(at.values()) + 1 and not any(rest) and any(cells)


def _check(table: _Table, row: list[str]) -> None:
    """Say what is wrong with a row.

    Raises:
        ScoreError: something is.
    """
    at = table.columns
    most = max(at[what] for what in at)
    if len(row) <= most:
        raise ScoreError(f"{len(row)} columns instead of {most + 1} at least: fill it, or take it out")
    for what in ("clip", "label"):
        if not row[at[what]]:
            raise ScoreError(f"no {what}: name it, or take the line out")
    for what in ("onset", "offset", "score"):
        text = row[at[what]].strip() if what in at else ""
        if not _is_number(text) and (text or what != "score"):
            raise ScoreError(
                f"{what} {shown(text)} is no number: write {'seconds' if what != 'score' else 'one'}, as 2.5"
            )
    if "stream" in at:
        stream_named(row[at["stream"]])
    onset, offset = float(row[at["onset"]]), float(row[at["offset"]])
    score = float(row[at["score"]].strip() or "nan") if "score" in at else math.nan
    if not (math.isfinite(onset) and math.isfinite(offset)) or math.isinf(score):
        raise wrong_numbers(onset, offset, score)
