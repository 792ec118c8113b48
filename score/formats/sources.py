"""Files of events, opened to be read."""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from feature_cache.text_files import MOST_IN_A_LINE, MOST_LINES
from score.errors import ScoreError
from score.formats.base import Progress

MOST_JSON = 256 << 20
"""Bytes of a JSON file that is read at once."""
_AT_ONCE = 1 << 20
"""Characters."""
_OTHER_TEXT = (b"\xff\xfe", b"\xfe\xff")


class _Source(io.FileIO):
    """Closed when nobody has it any more: what reads it may be given up at any time."""

    def __del__(self) -> None:
        self.close()


def open_source(path: Path) -> tuple[io.FileIO, int]:
    """A file that can be read twice, and its size in bytes; what is a pipe is kept aside first.

    Raises:
        ScoreError: it cannot be read.
    """
    try:
        file = _Source(path)
        if not file.seekable():
            with tempfile.TemporaryFile(buffering=0) as aside:
                shutil.copyfileobj(file, aside)
                file = _Source(os.dup(aside.fileno()))
            file.seek(0)
        return file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ScoreError(error.strerror or str(error)) from error


def read_json_bytes(path: Path, progress: Progress) -> bytes:
    """All of a JSON file, without a byte-order mark.

    Raises:
        ScoreError: it cannot be read, or is too large; with its name.
    """
    try:
        file, size = open_source(path)
    except ScoreError as error:
        raise ScoreError(f"{path}: {error}") from error
    with file:
        data = file.read(MOST_JSON + 1) or b""  # a device may have no end
    if len(data) > MOST_JSON:
        raise ScoreError(f"{path} has over {MOST_JSON / 1e6:,.0f} MB, which is more JSON than is read: split it")
    progress(len(data), size)
    return data.removeprefix(b"\xef\xbb\xbf")


def read_source_lines(path: Path, progress: Progress) -> Iterator[list[str]]:
    """Lines of a text file of any size, without their ends, many at a time.

    Raises:
        ScoreError: it cannot be read, is no UTF-8 text, or has too many or too long lines; with its name.
    """
    try:
        file, size = open_source(path)
        mark = file.read(2)
        file.seek(0)
    except (OSError, ScoreError) as error:
        raise ScoreError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if mark in _OTHER_TEXT:
        raise ScoreError(f"{path} is not UTF-8 text but UTF-16: save it as UTF-8")
    number, rest = 0, ""
    try:
        with io.TextIOWrapper(io.BufferedReader(file, _AT_ONCE), encoding="utf-8-sig") as text:
            while piece := text.read(_AT_ONCE):
                *lines, rest = (rest + piece).split("\n")
                _check_lines(path, number, [*lines, rest])
                number += len(lines)
                progress(file.tell(), size)
                yield lines
    except UnicodeDecodeError as error:
        raise ScoreError(f"{path} is not UTF-8 text after line {number}: save it as UTF-8") from error
    except OSError as error:
        raise ScoreError(f"{path}: {error.strerror or error}") from error
    if rest:
        yield [rest]


def _check_lines(path: Path, before: int, lines: list[str]) -> None:
    if max(map(len, lines)) > MOST_IN_A_LINE:
        number = before + next(at for at, line in enumerate(lines, 1) if len(line) > MOST_IN_A_LINE)
        raise ScoreError(f"{path} line {number} has over {MOST_IN_A_LINE:,} characters: break it")
    if before + len(lines) > MOST_LINES + 2:  # a header, and what follows the last line
        raise ScoreError(f"{path} has over {MOST_LINES:,} lines: split it")
