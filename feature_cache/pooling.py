"""Several vectors a segment, as frames and grids give them, averaged: one a segment."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.errors import CacheError
from feature_cache.tables import Table, absent_rows, check_block, check_numbers
from feature_cache.windows import window_count

SEGMENTS = 10
"""Of a clip of LLP and AVE, and of those that extraction makes."""
_OF_WINDOWS = ("video", "joint")
"""Arrays that have no row a segment."""


class PooledTable:
    """Means of the vectors of each segment; :class:`feature_cache.tables.Table`.

    Attributes:
        absent: bool (N,), clips without an array.
        each: vectors that are averaged, a segment.
    """

    def __init__(self, table: Table, segments: int) -> None:
        """Wrap (N, kT, ..., D); rows are (N, T, D), float64."""
        self.source = table.source
        self.shape: tuple[int, ...] = (table.shape[0], segments, table.shape[-1])
        self.dtype: np.dtype[Any] = np.dtype(np.float64)
        self.absent = absent_rows(table)
        self.each = int(np.prod(table.shape[1:-1], dtype=object)) // segments
        self.stored = table.stored
        self._table = table

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop)."""
        found = self._table.rows(start, stop)
        segments, width = self.shape[1:]
        means: NDArray[np.float64] = found.reshape(len(found), segments, -1, width).mean(axis=2, dtype=np.float64)
        return means


def pooled(tables: Mapping[str, Table], segments: int | None, rows: int) -> tuple[dict[str, Table], dict[str, int]]:
    """Tables with one vector a segment, and how many were averaged for it, by the names of those that had several.

    Windows' and whole clips' vectors stay as they are.

    Args:
        tables: by the name that the array has in a cache.
        segments: T; None: 10 if every table's rows can be cut into 10, else the fewest rows that a table has.
        rows: rows read at once.

    Raises:
        CacheError: the rows of some clip cannot be cut into T segments, or a table is no (N, rows, ..., D).
    """
    for name, table in tables.items():
        check_numbers(table)
        if name not in _OF_WINDOWS:
            _check_grid(table)
    found = _segments(tables, segments)
    if found is None:
        counts = ", ".join(f"{table.source} {table.shape}" for table in tables.values() if len(table.shape) > 2)
        into = f"{segments} segments" if segments else f"{SEGMENTS} segments, nor into the fewest"
        raise CacheError(f"rows of a clip that cannot be cut into {into}: {counts}: name `segments`")
    made, each = dict(tables), {}
    for name, table in tables.items():
        if name in _OF_WINDOWS or len(table.shape) < 3 or (len(table.shape) == 3 and _fits(name, table, found)):
            continue
        check_block(table, min(rows, table.shape[0]))
        averaged = PooledTable(table, found)
        made[name], each[name] = averaged, averaged.each
    return made, each


def pool_hint(tables: Mapping[str, Table]) -> str:
    """What :func:`pooled` would make of tables that do not fit each other, for errors; empty if it would not help."""
    segments = _segments(tables, None)
    if segments is None:
        return ""
    several = [
        f"{table.source} has {table.shape[1] // segments} rows a segment"
        for name, table in tables.items()
        if name not in _OF_WINDOWS and len(table.shape) == 3 and not _fits(name, table, segments)
    ]
    if not several:
        return ""
    return f"; of {segments} segments, {' and '.join(several)}: `pool=True` averages them"


def _segments(tables: Mapping[str, Table], wanted: int | None) -> int | None:
    """T that all tables fit or can be cut into."""
    counts = {table.shape[1] for name, table in tables.items() if name not in _OF_WINDOWS and len(table.shape) > 2}
    likely = [wanted] if wanted is not None else [SEGMENTS, *sorted(counts)]
    for segments in likely:
        if segments >= 2 and all(
            _fits(name, table, segments) or _can_be_cut(name, table, segments) for name, table in tables.items()
        ):
            return segments
    return None


def _can_be_cut(name: str, table: Table, segments: int) -> bool:
    return name not in _OF_WINDOWS and table.shape[1] > 0 and table.shape[1] % segments == 0


def _fits(name: str, table: Table, segments: int) -> bool:
    """Whether a table has one vector for each of so many segments, or for their windows, or for whole clips."""
    if name in ("audio", "joint") and len(table.shape) == 2:
        return True
    if name in ("audio", *_OF_WINDOWS) and table.shape[1] in (1, window_count(segments)):
        return True
    return name not in _OF_WINDOWS and table.shape[1] == segments


def _check_grid(table: Table) -> None:
    """Refuse grids whose vectors do not come last, whose mean would be taken over the wrong axes."""
    grid = table.shape[2:-1]
    if grid and max(grid) > table.shape[-1]:
        raise CacheError(
            f"{table.source} is {table.shape}: vectors of {table.shape[-1]} on a grid of "
            f"{' × '.join(map(str, grid))}? Move the axis of the vectors to the end: numpy.moveaxis(values, 2, -1)"
        )
