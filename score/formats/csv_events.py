"""CSV: one row an event, all streams in one file."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from feature_cache.text_files import Text, TextFileError
from score.errors import ScoreError
from score.formats.base import EventBlock, Facts, Format, Listed, NamedEvents, Progress

COLUMNS = ("clip", "stream", "label", "onset", "offset", "score")
_NEEDED = ("clip", "label", "onset", "offset")
_BLOCK = 1 << 14


def write_csv(facts: Facts, blocks: Iterable[EventBlock], files: Sequence[BinaryIO]) -> None:
    """One file with a header line; a last column says of every event what is approximate, if anything is."""
    text = io.TextIOWrapper(files[0], "utf-8", newline="")
    more = {"approximate": facts["approximation"]} if facts["approximate"] else {}
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *more))
    for block in blocks:
        writer.writerows((*row, *more.values()) for row in block.rows(facts))
    text.detach()


def read_csv(path: Path, progress: Progress) -> Listed:
    """Events of a table whose header names the columns; stream and score may be absent.

    Raises:
        ScoreError: it cannot be read, a column is missing, or a value is no number.
    """
    return Listed(_blocks(path))


def _blocks(path: Path) -> Iterator[NamedEvents]:
    try:
        rows = csv.reader(Text(path).lines(), strict=True)
        header = [cell.strip() for cell in next(rows, [])]
        for name in _NEEDED:
            if header.count(name) != 1:
                raise ScoreError(f"{path} line 1: no column {name!r}, or several: write {','.join(COLUMNS)}")
        places = [header.index(name) if name in header else -1 for name in COLUMNS]
        held: list[list[object]] = []
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            cells = [row[at].strip() if 0 <= at < len(row) else "" for at in places]
            where = f"{path} line {rows.line_num}"
            numbers = [_number(cell, where, name) for cell, name in zip(cells[3:], COLUMNS[3:], strict=True)]
            held.append([*cells[:3], *numbers])
            if len(held) == _BLOCK:
                yield NamedEvents(*map(list, zip(*held, strict=True)))
                held = []
        if held:
            yield NamedEvents(*map(list, zip(*held, strict=True)))
    except (csv.Error, TextFileError) as error:
        raise ScoreError(str(error)) from error


def _number(cell: str, where: str, name: str) -> float:
    if not cell and name == "score":
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise ScoreError(f"{where}: {name} {cell[:60]!r} is no number: correct it") from None


CSV = Format("csv", write_csv, read_list=read_csv)
