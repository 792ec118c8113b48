"""Clip ids that occur more than once: a data set may list a video once for each of its classes, as AVE does."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.errors import CacheError
from feature_cache.tables import Table

WAYS = ("refuse", "first", "number")
CLOSE = 1e-3
"""Rows are equal if they differ by this share of the greatest value at most; float16 tells no less apart."""
_MOST_HELD = 256 << 20


class SelectedTable:
    """Some rows of a table; :class:`feature_cache.tables.Table`."""

    def __init__(self, table: Table, chosen: Sequence[int]) -> None:
        """Wrap a table; ``chosen`` is ascending."""
        self.source, self.dtype = table.source, table.dtype
        self.shape: tuple[int, ...] = (len(chosen), *table.shape[1:])
        self.stored = table.stored
        self._table, self._chosen = table, np.asarray(chosen)
        self._next = 0

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop); the table's are read in order, those between the chosen ones too."""
        wanted = self._chosen[start:stop]
        first, last, size = int(wanted[0]), int(wanted[-1]) + 1, len(wanted)
        at, parts = min(first, self._next), []
        if start == 0:
            at = 0
        while at < last:
            end = min(at + size, last)
            block = self._table.rows(at, end)
            parts.append(block[wanted[(wanted >= at) & (wanted < end)] - at])
            at = end
        self._next = last
        return np.concatenate(parts)


def distinct_ids(clip_ids: Sequence[str], origin: str, how: str) -> tuple[list[str], list[int]]:
    """Names that occur once, and the rows that they are of.

    Args:
        clip_ids: N names.
        origin: where they come from, for errors.
        how: "refuse" repeated ones, take the "first" row of each, or "number" them: id, id~2, id~3.

    Raises:
        CacheError: an id occurs twice, and that is to be refused; or there is no such way.
    """
    if how not in WAYS:
        raise CacheError(f"repeated clips {how!r}: use one of {', '.join(WAYS)}")
    rows = _rows_by_id(clip_ids)
    if len(rows) == len(clip_ids):
        return list(clip_ids), list(range(len(clip_ids)))
    if how == "first":
        return list(rows), [found[0] for found in rows.values()]
    if how == "number":
        names, taken = list(clip_ids), set(rows)
        for clip, found in rows.items():
            number = 1
            for row in found[1:]:
                number += 1
                while f"{clip}~{number}" in taken:
                    number += 1
                names[row] = f"{clip}~{number}"
                taken.add(names[row])
        return names, list(range(len(clip_ids)))
    clip, found = next((clip, found) for clip, found in rows.items() if len(found) > 1)
    times = "twice" if len(found) == 2 else f"{len(found)} times"
    raise CacheError(
        f"{origin}: clip id {clip!r} occurs {times} (rows {found[0] + 1} and {found[1] + 1}; {len(clip_ids)} rows, "
        f'{len(rows)} ids): `repeated_clips="first"` takes one row of each, if they are equal; number names them '
        f"{clip}, {clip}~2"
    )


def check_equal(tables: Mapping[str, Table], clip_ids: Sequence[str], block: int) -> None:
    """Refuse rows of one id that differ by more than CLOSE.

    Args:
        tables: those with a row for each of the ids.
        clip_ids: N names, some of them repeated.
        block: rows read at once.

    Raises:
        CacheError: rows of one id differ, or cannot be read.
    """
    repeated = [found for found in _rows_by_id(clip_ids).values() if len(found) > 1]
    for table in tables.values():
        size = int(np.prod(table.shape[1:], dtype=object)) * table.dtype.itemsize
        step = max(1, _MOST_HELD // max(1, size))
        for start in range(0, len(repeated), step):
            _check_some(table, repeated[start : start + step], clip_ids, block)


def _check_some(table: Table, repeated: Sequence[Sequence[int]], clip_ids: Sequence[str], block: int) -> None:
    firsts = {row: found[0] for found in repeated for row in found}
    held: dict[int, NDArray[Any]] = {}
    for row, values in _in_order(table, sorted(firsts), block):
        first = held.setdefault(firsts[row], values)
        if not _close(values, first):
            raise CacheError(
                f"{table.source}: rows {firsts[row] + 1} and {row + 1} of clip id {clip_ids[row]!r} differ: keep both "
                'with `repeated_clips="number"`, or remove one'
            )


def _close(values: NDArray[Any], first: NDArray[Any]) -> bool:
    if np.array_equal(values, first, equal_nan=values.dtype.kind == "f"):
        return True
    ours, theirs = values.astype(np.float64), first.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.abs(ours - theirs).max() <= CLOSE * np.abs(theirs).max())


def _in_order(table: Table, rows: Sequence[int], block: int) -> Iterator[tuple[int, NDArray[Any]]]:
    wanted = iter(rows)
    row = next(wanted, None)
    for start in range(0, table.shape[0], block):
        if row is None:
            return
        stop = min(start + block, table.shape[0])
        values = table.rows(start, stop)
        while row is not None and row < stop:
            yield row, np.array(values[row - start])
            row = next(wanted, None)


def _rows_by_id(clip_ids: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row, clip in enumerate(clip_ids):
        found.setdefault(clip, []).append(row)
    return found
