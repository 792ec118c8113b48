"""What annotation readers share: rows of a file, times and names in them, and where labels were met."""

import csv
import math
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from feature_cache.names import shortened, why_not_a_name
from feature_cache.text_files import Text, TextFileError, read_text
from score.errors import AnnotationError

MOST_JSON = 16 << 20
"""Bytes of annotations in JSON, which are parsed as one; tables may be longer."""

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
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (number >= 0 and math.isfinite(number)):
        raise AnnotationError(f"{where}: {column} {told(value)} is not a time in seconds: write a number from 0 up")
    return number


def as_name(value: Any, where: str, column: str) -> str:
    """A clip's name or a label from a file, without spaces around it.

    Raises:
        AnnotationError: it is no text, or none that can name something (:mod:`feature_cache.names`).
    """
    if not isinstance(value, str) or not value.strip():
        raise AnnotationError(f"{where}: {column} {told(value)} is no name: write one, or remove the line")
    name = value.strip()
    why = why_not_a_name(name)
    if why is not None:
        raise AnnotationError(f"{where}: {column} {told(name)} is none that can be used: {why}; correct it")
    return name


def told(value: Any) -> str:
    """A value for a message, whatever it is."""
    if isinstance(value, int) and abs(value) >= 10**60:
        return "a number of over 60 digits"
    return repr(shortened(value, 60)) if isinstance(value, str) else shortened(reprlib.repr(value), 60)


def read_json_text(file: Path, needed: str, most_bytes: int = MOST_JSON) -> str:
    """Text of a JSON file.

    Args:
        file: the file.
        needed: what the data set needs, for the message if the file is missing.
        most_bytes: a larger one is refused.

    Raises:
        AnnotationError: it cannot be read.
    """
    with _annotation_errors(file, needed):
        return read_text(file, most_bytes)


def table(file: Path, delimiter: str, needed: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the rows of a table, spaces around cells dropped; rows without a text are left out.

    Cells may stand in double quotes, as spreadsheets and pandas write them. Where quotes do not pair up, they are
    taken for a part of the text.

    Args:
        file: the file.
        delimiter: between cells.
        needed: what the data set needs, for the message if the file is missing.

    Raises:
        AnnotationError: it cannot be read, is no text or too long.
    """
    with _annotation_errors(file, needed):
        text = Text(file)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if '"' in text and _quotes_pair_up(text, delimiter) else csv.QUOTE_NONE
    reader = csv.reader(text.lines(), delimiter=delimiter, quoting=quoting, strict=True)
    first = 1
    with _annotation_errors(file, needed):
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield first, cells
            first = reader.line_num + 1


def _quotes_pair_up(text: Text, delimiter: str) -> bool:
    try:
        for _ in csv.reader(text.lines(), delimiter=delimiter, strict=True):
            pass
    except (csv.Error, TextFileError):
        return False
    return True


@contextmanager
def _annotation_errors(file: Path, needed: str) -> Iterator[None]:
    try:
        yield
    except TextFileError as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        raise AnnotationError(f"{error}: {needed}" if missing else str(error)) from error
    except csv.Error as error:
        raise AnnotationError(f"{file} cannot be read as a table ({error}): write it again") from error
