"""What annotation readers share: text of a file, numbers in it, and where labels were met."""

import csv
import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from score.errors import AnnotationError

Annotation = tuple[str, float, float]
"""Label, onset and offset in seconds."""


@dataclass
class Places:
    """Where annotations came from, for messages about what only shows beside the events.

    Attributes:
        labels: file and line at which a label first occurred.
        latest: the greatest offset in seconds, and where it is.
    """

    labels: dict[str, str] = field(default_factory=dict)
    latest: tuple[float, str] = (0.0, "")

    def note(self, label: str, offset: float, where: str) -> None:
        """Take an annotation into account."""
        self.labels.setdefault(label, where)
        if offset > self.latest[0]:
            self.latest = (offset, where)


def as_number(value: Any, where: str, column: str) -> float:
    """A time in seconds from a file or from Python.

    Raises:
        AnnotationError: it is no number, or a negative or infinite one.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (number >= 0 and math.isfinite(number)):
        raise AnnotationError(f"{where}: {column} {value!r} is not a time in seconds: write a number from 0 up")
    return number


def read_text(file: Path, needed: str) -> str:
    """Text of an annotation file, line ends as \\n.

    Args:
        file: the file.
        needed: what the data set needs, for the message if the file is missing.

    Raises:
        AnnotationError: it is missing, or no text.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise AnnotationError(f"{file} is not there: {needed}") from error
    except OSError as error:
        raise AnnotationError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{file} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error


def table(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Line numbers and cells of the rows of a table, spaces around cells dropped; rows without a text are left out.

    Cells may stand in double quotes, as spreadsheets and pandas write them. Where quotes do not pair up, they are
    taken for a part of the text.
    """
    try:
        return _rows(text, delimiter, csv.QUOTE_MINIMAL)
    except csv.Error:
        return _rows(text, delimiter, csv.QUOTE_NONE)


def _rows(text: str, delimiter: str, quoting: Literal[0, 3]) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, quoting=quoting, strict=True)
    rows = []
    first = 1
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells):
            rows.append((first, cells))
        first = reader.line_num + 1
    return rows
