"""Rows that are added and removed, so that a kill at any moment leaves a cache that can be gone on with.

Which clips there are is said by the root, written in one piece. While it changes, arrays may be as before or as after.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from feature_cache.arrays import arrays_json
from feature_cache.header import Header
from feature_cache.layout import DONE, PENDING, ROWS
from feature_cache.root import Root, write_columns
from feature_cache.row_state import RowState
from feature_cache.seals import digest_of
from feature_cache.shard_rows import ShardRows
from feature_cache.shards import Shards
from feature_cache.storage.durable import SafeStore
from feature_cache.stored_rows import StoredRows

Declare = Callable[[Root], None]
"""Writes a root in the place of the one before."""


def change_clips(store: SafeStore, root: Root, header: Header, declare: Declare, moved: Sequence[int] = ()) -> Root:
    """Give a cache other clips, or other places of them.

    Args:
        store: the cache's.
        root: of now.
        header: of afterwards.
        declare: writes a root.
        moved: rows that are pending until the new root is declared, and done then.

    Returns:
        The root of afterwards.
    """
    columns, made = write_columns(store, header, root)
    after = arrays_json(len(header), header.shapes, header.dtype, header.shard_size)
    kept = {f"{column.array}/zarr.json" for column in columns.values()}
    left = {file: allowed for file, allowed in root.files.items() if not file.startswith("clip_") or file in kept}
    digests = {file: digest_of(raw) for file, raw in after.items()}
    now = {file: digest_of(store.read(file) or b"") for file in digests}
    both = {file: tuple(dict.fromkeys((now[file], digest))) for file, digest in digests.items()}
    new = {file: (digest_of(raw),) for file, raw in made.items()}
    between = replace(root, header=header, columns=columns, files={**left, **both, **new}, moved=tuple(moved))
    declare(between)
    for file, raw in after.items():
        if len(both[file]) > 1:
            store.write(file, raw)
    done = replace(between, files={**between.files, **{file: (digest,) for file, digest in digests.items()}})
    declare(done)
    for column in root.columns.values():
        if column.array not in {each.array for each in columns.values()}:
            store.remove(column.array)
    return done


def clear_rows(store: SafeStore, header: Header, after: int) -> None:
    """Make rows that no clip has yet pending, whatever an earlier clip left there.

    Args:
        store: the cache's.
        header: of now.
        after: how many rows there will be.
    """
    n, each = len(header), header.shard_size
    rows = StoredRows(store, header)
    if n % each:
        last = n // each
        state = rows.state(last * each, n)
        rows.put_state(last, state)  # what follows it in the chunk is zeros
    for array in (ROWS, *header.shapes):  # first that which declares
        for chunk in store.names(f"{array}/c"):
            if chunk.isdecimal() and -(-n // each) <= int(chunk) < -(-after // each):
                store.remove(f"{array}/c/{chunk}")


def moves_for(ids: Sequence[str], leaving: set[str]) -> tuple[list[tuple[int, int]], int]:
    """(hole, row from the end that takes its place) for the rows that leave, and how many rows stay."""
    found: list[tuple[int, int]] = []
    stay = len(ids) - len(leaving)
    last = len(ids) - 1
    for hole in range(stay):
        if ids[hole] not in leaving:
            continue
        while ids[last] in leaving:
            last -= 1
        found.append((hole, last))
        last -= 1
    return found, stay


def drop_rows(shards: Shards, store: SafeStore, root: Root, gone: set[str], declare: Declare) -> Root:
    """Remove rows: rows from the end take their places, then the arrays are cut.

    A moved row is pending in its new place until the root names its clip there.

    Args:
        shards: the cache's rows.
        store: its store.
        root: of now.
        gone: the clips to remove; at least one other clip stays.
        declare: writes a root.

    Returns:
        The root of afterwards.
    """
    header = root.header
    moves, stay = moves_for(header.clip_ids, gone)
    ids = list(header.clip_ids[:stay])
    done: list[int] = []
    for shard in sorted({hole // header.shard_size for hole, _ in moves}):
        inside = [(hole, source) for hole, source in moves if hole // header.shard_size == shard]
        done += _fill(shards, shard, inside)
        for hole, source in inside:
            ids[hole] = header.clip_ids[source]
    after = header.with_clips(ids)
    found = change_clips(store, root, after, declare, done)
    clear_rows(store, after, len(header))
    return adopt(replace(shards, header=after, source=StoredRows(store, after)), found, declare)


def _fill(shards: Shards, shard: int, moves: Sequence[tuple[int, int]]) -> list[int]:
    """Put rows into holes of a shard, pending; those that were done are returned."""
    rows = shards.rows(shard)
    made = shards.stored(shard)
    done: list[int] = []
    holes = np.zeros(len(rows), dtype=np.bool_)
    states = made.state
    names = list(made.clip_ids)
    read: dict[int, ShardRows] = {}
    for hole, source in moves:
        home = source // shards.header.shard_size
        if home not in read:
            read = {home: shards.stored(home)}
        other, at, to = read[home], source - shards.rows(home).start, hole - rows.start
        holes[to] = True
        names[to] = other.clip_ids[at]
        for name, values in made.arrays.items():
            made.arrays[name] = values if values.flags.writeable else values.copy()
            made.arrays[name][to] = other.arrays[name][at]
        for part in ("status", "missing", "digest", "reason"):
            getattr(states, part)[to] = getattr(other.state, part)[at]
        if states.status[to] != PENDING:
            done.append(hole)
    waiting = RowState(states.status.copy(), states.missing, states.digest, states.reason)
    waiting.status[holes] = PENDING
    shards.put(shard, ShardRows(names, made.arrays, waiting))
    return done


def adopt(shards: Shards, root: Root, declare: Declare) -> Root:
    """Declare moved rows what they were; those that a kill left pending, too.

    Args:
        shards: the cache's rows.
        root: whose ``moved`` rows are named by now.
        declare: writes a root.

    Returns:
        The same root without ``moved`` rows.
    """
    if not root.moved:
        return root
    each = shards.header.shard_size
    for shard in sorted({row // each for row in root.moved}):
        found = shards.stored(shard)
        inside = [row - shard * each for row in root.moved if row // each == shard]
        for status in (DONE, DONE + 1):  # done or failed: the digest says which
            trial = found.state.status.copy()
            trial[inside] = status
            tried = ShardRows(found.clip_ids, found.arrays, replace(found.state, status=trial))
            right = ~tried.differing()
            fits = [at for at in inside if right[at] and found.state.status[at] == PENDING]
            found.state.status[fits] = status
        shards.put_state(shard, found.state)
    without = replace(root, moved=())
    declare(without)
    return without
