"""Tables: arrays with one row a clip, wherever they lie, read a few rows at a time."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from feature_cache.errors import CacheError

MOST_BYTES = 2 << 30
"""A block of rows that is read at once may not exceed it: what a file declares is not to be trusted."""
FREE_BYTES = 256 << 20
"""Nor this, if the file itself is smaller by MOST_PACKED: real features do not pack like that, and zeros do."""
MOST_PACKED = 32
_LONGEST = 160


class Table(Protocol):
    """N rows, one a clip.

    Attributes:
        source: file and dataset, as errors name them.
        shape: (N, ...).
        dtype: of the numbers.
        stored: bytes that they take in the file, packed or not.
    """

    source: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: int

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop); callers ask in order, from row 0.

        Raises:
            CacheError: they cannot be read.
        """
        ...


@runtime_checkable
class PartialTable(Protocol):
    """A table that may be without the rows of some clips.

    Attributes:
        absent: bool (N,), clips without a row; theirs are zeros.
    """

    absent: NDArray[np.bool_]


def absent_rows(table: Table) -> NDArray[np.bool_]:
    """bool (N,): clips of which a table has nothing."""
    return table.absent if isinstance(table, PartialTable) else np.zeros(table.shape[0], dtype=np.bool_)


def first_line(error: BaseException) -> str:
    """What an error of a library says, in one line, and not a long one: some quote the file."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def check_numbers(table: Table) -> None:
    """Refuse a table that holds anything but real numbers."""
    if table.dtype.kind not in "fiub":
        kind = str(table.dtype)
        raise CacheError(f"{table.source} holds {kind if len(kind) <= 40 else table.dtype.name}, expected numbers")


def check_block(table: Table, rows: int) -> None:
    """Refuse blocks of rows that memory may not hold, or that no file of that size has."""
    check_blocks([table], rows)


def check_blocks(tables: Sequence[Table], rows: int) -> None:
    """:func:`check_block` of tables of which a block each is held at the same time."""
    sizes = [min(rows, table.shape[0] if table.shape else 1) * _row_bytes(table) for table in tables]
    for table, size in zip(tables, sizes, strict=True):
        if size > MOST_BYTES:
            raise CacheError(
                f"{table.source} is {table.shape}: {rows} rows take {size / 2**30:.1f} GiB of memory: "
                "use smaller shards"
            )
    check_packed(
        f"{' and '.join(table.source for table in tables[:2])}: blocks of {rows} rows",
        sum(sizes),
        sum(table.stored for table in tables),
    )


def check_packed(what: str, size: int, stored: int) -> None:
    """Refuse what unpacks to far more than a file that holds features does.

    Args:
        what: for errors.
        size: bytes in memory.
        stored: bytes in the file.
    """
    if size > FREE_BYTES and size > MOST_PACKED * stored:
        raise CacheError(
            f"{what} take {size / 2**30:.1f} GiB of memory, and the file has {stored / 2**20:.1f} MiB for them: it is "
            "damaged, or made to fill memory"
        )


def _row_bytes(table: Table) -> int:
    return int(np.prod(table.shape[1:], dtype=object)) * table.dtype.itemsize
