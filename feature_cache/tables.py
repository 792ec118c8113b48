"""Tables: arrays with one row a clip, wherever they lie, read a few rows at a time."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from feature_cache.errors import CacheError

MOST_BYTES = 2 << 30
"""A block of rows that is read at once may not exceed it: what a file declares is not to be trusted."""


class Table(Protocol):
    """N rows, one a clip.

    Attributes:
        source: file and dataset, as errors name them.
        shape: (N, ...).
        dtype: of the numbers.
    """

    source: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

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
    """What an error of a library says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def check_numbers(table: Table) -> None:
    """Refuse a table that holds anything but real numbers."""
    if table.dtype.kind not in "fiub":
        raise CacheError(f"{table.source} holds {table.dtype}, expected numbers")


def check_block(table: Table, rows: int) -> None:
    """Refuse blocks of rows that memory may not hold."""
    size = rows * int(np.prod(table.shape[1:], dtype=object)) * table.dtype.itemsize
    if size > MOST_BYTES:
        raise CacheError(
            f"{table.source} is {table.shape}: {rows} rows take {size / 2**30:.1f} GiB of memory: use smaller shards"
        )
