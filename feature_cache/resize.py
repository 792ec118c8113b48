"""Rows that are added and removed, so that a kill at any moment leaves a cache that can be gone on with.

Which clips there are is said by one attribute, written in one piece; arrays may have more rows than that.
"""

from collections.abc import Callable, Sequence

import numpy as np
import zarr

from feature_cache.arrays import array, read_rows
from feature_cache.errors import CacheError
from feature_cache.header import Header
from feature_cache.layout import PENDING

_BESIDE = ("missing", "reason", "digest")


def add_rows(group: zarr.Group, header: Header, after: int) -> None:
    """Make room for further rows, pending; they are none before the header names their clips.

    Args:
        group: a cache's group, writable.
        header: its header.
        after: how many rows there will be.

    Raises:
        CacheError: an array's chunks are not the cache's shards, as in caches of an early av2a.
    """
    for name in (*header.shapes, *_BESIDE, "status"):
        found = array(group, name)
        if found.chunks[0] != header.shard_size:
            raise CacheError(f"clips cannot be added to this cache: {name} has chunks of {found.chunks[0]} rows")
        if found.shape[0] < after:
            found.resize((after, *found.shape[1:]))
    _reset(group, len(header), after, header.shard_size)


def drop_rows(group: zarr.Group, header: Header, gone: Sequence[str], declare: Callable[[list[str]], None]) -> None:
    """Remove rows: rows from the end take their places, a shard at a time; then the arrays are cut.

    A moved row is pending while its old place has lost its name and the new one is not declared yet, so a
    kill leaves at most one shard's rows to be done again.

    Args:
        group: a cache's group, writable.
        header: its header.
        gone: the clips to remove; at least one other clip stays.
        declare: called with the clips after each step, to name them in the header.
    """
    clip_ids = ids = list(header.clip_ids)
    leaving = set(gone)
    everything = (*header.shapes, *_BESIDE)
    shard_size = header.shard_size
    status = array(group, "status")
    while any(clip in leaving for clip in ids):
        hole = next(row for row, clip in enumerate(ids) if clip in leaving)
        shard = range(hole // shard_size * shard_size, min((hole // shard_size + 1) * shard_size, len(ids)))
        moves = _moves(ids, leaving, shard)
        rows = slice(shard.start, shard.stop)
        values = {name: np.array(read_rows(group, name, rows)) for name in (*everything, "status")}
        after = values.pop("status")
        named = list(ids)
        for target, source in moves:
            for name, table in values.items():
                table[target - shard.start] = read_rows(group, name, slice(source, source + 1))[0]
            after[target - shard.start] = read_rows(group, "status", slice(source, source + 1))[0]
            named[target] = clip_ids[source]
        clip_ids = ids = named[: len(named) - _tail(named, leaving, moves)]
        if moves:
            meanwhile = after.copy()
            meanwhile[[target - shard.start for target, _ in moves]] = PENDING
            status[rows] = meanwhile
            for name, table in values.items():
                array(group, name)[rows] = table
            declare(ids)
            kept = slice(rows.start, min(rows.stop, len(ids)))
            status[kept] = after[: kept.stop - kept.start]
        else:
            declare(ids)
    _reset(group, len(ids), status.shape[0], shard_size)
    for name in ("status", *everything):
        found = array(group, name)
        found.resize((len(ids), *found.shape[1:]))


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


def _reset(group: zarr.Group, start: int, stop: int, shard_size: int) -> None:
    """Rows without a clip are pending, whatever an earlier clip left there."""
    status = array(group, "status")
    at = start
    while at < stop:
        end = min(stop, (at // shard_size + 1) * shard_size)
        if np.asarray(status[at:end]).any():
            status[at:end] = np.full(end - at, PENDING, dtype=np.uint8)
        at = end
