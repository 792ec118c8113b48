"""Rows that are added and removed, so that a kill at any moment leaves a cache that can be gone on with.

Which clips there are is said by one attribute, written in one piece; arrays may have more rows than that.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from feature_cache import layout
from feature_cache.errors import CacheError
from feature_cache.layout import PENDING
from feature_cache.storage.group import set_attributes

_BESIDE = ("missing", "reason", "digest")


def add_rows(group: zarr.Group, names: Sequence[str], clip_ids: Sequence[str], more: Sequence[str]) -> None:
    """Append pending rows: room first, then their status, then their names.

    Args:
        group: a cache's group, writable.
        names: its arrays of embeddings.
        clip_ids: the clips it has.
        more: clips to add, none of them there yet.

    Raises:
        CacheError: an array's chunks are not the cache's shards, as in caches of an early av2a.
    """
    before, after = len(clip_ids), len(clip_ids) + len(more)
    shard_size = int(str(group.attrs["shard_size"]))
    for name in (*names, *_BESIDE, "status"):
        array = layout.array(group, name)
        if array.chunks[0] != shard_size:
            raise CacheError(f"clips cannot be added to this cache: {name} has chunks of {array.chunks[0]} rows")
        if array.shape[0] < after:
            array.resize((after, *array.shape[1:]))
    _forget(group, before, after, shard_size)
    _name(group, [*clip_ids, *more])


def drop_rows(
    group: zarr.Group, names: Sequence[str], clip_ids: Sequence[str], gone: Sequence[str]
) -> Iterator[list[str]]:
    """Remove rows: rows from the end take their places, a shard at a time; then the arrays are cut.

    A moved row is pending while its old place has lost its name and the new one is not declared yet, so a
    kill leaves at most one shard's rows to be done again.

    Args:
        group: a cache's group, writable.
        names: its arrays of embeddings.
        clip_ids: the clips it has.
        gone: the clips to remove; at least one other clip stays.

    Yields:
        The clips after each step.
    """
    ids, leaving = list(clip_ids), set(gone)
    everything = (*names, *_BESIDE)
    shard_size = int(str(group.attrs["shard_size"]))
    status = layout.array(group, "status")
    while any(clip in leaving for clip in ids):
        hole = next(row for row, clip in enumerate(ids) if clip in leaving)
        shard = range(hole // shard_size * shard_size, min((hole // shard_size + 1) * shard_size, len(ids)))
        moves = _moves(ids, leaving, shard)
        rows = slice(shard.start, shard.stop)
        values = {name: np.array(array_rows(group, name, rows)) for name in (*everything, "status")}
        after = values.pop("status")
        for target, source in moves:
            for name, table in values.items():
                table[target - shard.start] = array_rows(group, name, slice(source, source + 1))[0]
            after[target - shard.start] = array_rows(group, "status", slice(source, source + 1))[0]
            ids[target] = clip_ids[source]
        clip_ids = ids = ids[: len(ids) - _tail(ids, leaving, moves)]
        if moves:
            meanwhile = after.copy()
            meanwhile[[target - shard.start for target, _ in moves]] = PENDING
            status[rows] = meanwhile
            for name, table in values.items():
                layout.array(group, name)[rows] = table
            _name(group, ids)
            kept = slice(rows.start, min(rows.stop, len(ids)))
            status[kept] = after[: kept.stop - kept.start]
        else:
            _name(group, ids)
        yield ids
    _forget(group, len(ids), status.shape[0], shard_size)
    for name in ("status", *everything):
        array = layout.array(group, name)
        array.resize((len(ids), *array.shape[1:]))


def _moves(ids: Sequence[str], leaving: set[str], shard: range) -> list[tuple[int, int]]:
    """(hole, row from the end that takes its place) for a shard's holes."""
    found, last = [], len(ids) - 1
    for hole in shard:
        if ids[hole] not in leaving:
            continue
        while last > hole and ids[last] in leaving:
            last -= 1
        if last <= hole:
            break
        found.append((hole, last))
        last -= 1
    return found


def _tail(ids: Sequence[str], leaving: set[str], moves: Sequence[tuple[int, int]]) -> int:
    """Rows at the end that are moved or leave."""
    moved, count = {source for _, source in moves}, 0
    for row in range(len(ids) - 1, -1, -1):
        if row not in moved and ids[row] not in leaving:
            break
        count += 1
    return count


def array_rows(group: zarr.Group, name: str, rows: slice) -> NDArray[Any]:
    """Rows of one array."""
    return layout.read_rows(group, name, rows)


def _forget(group: zarr.Group, start: int, stop: int, shard_size: int) -> None:
    """Rows without a clip are pending, whatever an earlier clip left there."""
    status = layout.array(group, "status")
    at = start
    while at < stop:
        end = min(stop, (at // shard_size + 1) * shard_size)
        if np.asarray(status[at:end]).any():
            status[at:end] = np.full(end - at, PENDING, dtype=np.uint8)
        at = end


def _name(group: zarr.Group, clip_ids: Sequence[str]) -> None:
    set_attributes(group, {**group.attrs.asdict(), "clip_ids": list(clip_ids)})
