"""What a stranger's file may ask of memory and time. All limits of import have their home here."""

import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from feature_cache.errors import CacheError
from feature_cache.names import escaped

MOST_HEADER = 10_000
"""Bytes of a .npy file's header, which is Python to be parsed; those of plain numbers take 128."""
MOST_AXES = 32
MOST_NUMBERS = 1 << 60
"""Numbers that an array may be said to have."""
MOST_TEXTS = 2_000_000
"""Texts of a list: clip ids, labels."""
MOST_CHARACTERS = 10_000
"""Characters of one of them, or of a line of a text file."""
MOST_ROWS = 1_000_000
"""Rows of a shard."""
MANY = 100_000
"""Arrays in a file from which on not each of them is looked at before it is read."""
_FEW = 1000
"""Of as many, so many are looked at to know their kind."""
_SHOWN = 60


def some_of(names: Sequence[str]) -> Sequence[str]:
    """Those of a file's names that are looked at to know what it holds: all, or the first of very many."""
    return names if len(names) <= MANY else names[:_FEW]


def shown(name: str) -> str:
    """An array's name as errors give it: without control characters, and short."""
    text = escaped(name)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def bytes_on_disk(path: str | PathLike[str]) -> int:
    """Bytes that a file takes, holes aside; 0 where it is not there."""
    try:
        found = Path(path).stat()
    except OSError:
        return 0
    blocks = getattr(found, "st_blocks", 0) * 512
    return min(found.st_size, blocks) if blocks else found.st_size


def check_regular(path: str | PathLike[str]) -> None:
    """Refuse what would be waited for or never ends: pipes, devices, sockets."""
    if Path(path).exists() and not Path(path).is_file():
        raise CacheError(f"{os.fspath(path)} is no regular file (a pipe or a device): save its content to a file first")


def check_shape(shape: Sequence[object], itemsize: int) -> None:
    """Refuse an array's shape as a file states it, if no array can have it.

    Raises:
        ValueError: an axis is negative or no whole number, there are too many, or more numbers than any file has.
    """
    if len(shape) > MOST_AXES:
        raise ValueError(f"{len(shape)} axes, more than {MOST_AXES}")
    numbers = max(1, itemsize)
    for length in shape:
        if type(length) is not int or length < 0:
            raise ValueError(f"an axis of length {str(length)[:40]}")
        numbers *= max(1, length)
        if numbers > MOST_NUMBERS:
            raise ValueError(f"shape {shorter(shape)}: more numbers than a file can hold")


def shorter(shape: Sequence[object]) -> str:
    """A shape in few characters."""
    text = str(tuple(shape))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 2]}…)"


def check_texts(source: str, count: int, width: int) -> None:
    """Refuse a list of texts that is too long, before it is read.

    Args:
        source: where it is, for errors.
        count: number of texts.
        width: characters for which each has room; 0 where that is not known.
    """
    if count > MOST_TEXTS:
        raise CacheError(f"{source} has {count} texts, more than {MOST_TEXTS}")
    if width > MOST_CHARACTERS:
        raise CacheError(f"{source} has room for texts of {width} characters, more than {MOST_CHARACTERS}")


def check_text(source: str, text: str, number: int) -> str:
    """A text of a list, refused if it is no name or label but a book."""
    if len(text) > MOST_CHARACTERS:
        raise CacheError(f"{source}: text {number + 1} has {len(text)} characters, more than {MOST_CHARACTERS}")
    return text
