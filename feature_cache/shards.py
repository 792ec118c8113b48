"""Shards: the rows of a cache, read, checked and written a shard at a time (docs/design.md 3)."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feature_cache.checks import check_values
from feature_cache.errors import DAMAGE, CacheError
from feature_cache.features import Features
from feature_cache.header import Header
from feature_cache.layout import DONE, PENDING, STATUS_NAMES, Shapes, decode_reason
from feature_cache.row_state import RowState
from feature_cache.shard_rows import ShardRows
from feature_cache.stored_rows import RowSource, StoredRows
from feature_cache.tables import first_line

_BLOCK = 4096
"""Rows whose state is read as one."""


@dataclass(frozen=True)
class Shards:
    """The rows of an open cache.

    Attributes:
        path: the cache, for errors.
        header: its header.
        source: where its rows lie.
        before_write: called before anything is written; raises where it must not be.
    """

    path: str
    header: Header
    source: RowSource
    before_write: Callable[[], object] = field(default=lambda: None)

    def rows(self, shard: int) -> range:
        """Rows of a shard.

        Raises:
            CacheError: there is no such shard.
        """
        try:
            return self.header.shard_rows(shard)
        except CacheError as error:
            raise CacheError(f"{self.path}: {error}") from error

    def part(self, shard: int) -> slice:
        """The same as a slice."""
        rows = self.rows(shard)
        return slice(rows.start, rows.stop)

    # --- read -----------------------------------------------------------------------------------------------

    def values(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop) of one array.

        Raises:
            CacheError: it is damaged, or not as the header says.
        """
        found: NDArray[Any] = self._read(lambda: self.source.values(name, start, stop), name, start, stop)
        return found

    def state(self, start: int, stop: int) -> RowState:
        """What is kept beside rows [start, stop).

        Raises:
            CacheError: it is damaged.
        """
        found: RowState = self._read(lambda: self.source.state(start, stop), "rows", start, stop)
        return found

    def _read(self, read: Callable[[], Any], name: str, start: int, stop: int) -> Any:
        try:
            return read()
        except CacheError:
            raise
        except DAMAGE as error:
            raise CacheError(
                f"{self.path}: array {name!r} is damaged or missing in rows {start} to {stop - 1} "
                f"({first_line(error)}): `verify({self.path!r}, repair=True)` tells what, then extract again"
            ) from error

    def states(self) -> Iterator[tuple[int, RowState]]:
        """What is kept beside all rows, block by block in order, each with its first row."""
        n = len(self.header.clip_ids)  # as many rows as there are clips, whatever the header counts
        each = max(1, _BLOCK // self.header.shard_size) * self.header.shard_size
        starts = range(0, n, each)

        def read(start: int) -> RowState:
            return self.state(start, min(start + each, n))

        if len(starts) < 2:
            yield from ((start, read(start)) for start in starts)
            return
        with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
            waiting: deque[Future[RowState]] = deque()
            at = 0
            for start in starts:
                waiting.append(pool.submit(read, start))
                if len(waiting) > 16:
                    yield at, waiting.popleft().result()
                    at += each
            while waiting:
                yield at, waiting.popleft().result()
                at += each

    def column(self, *names: str) -> tuple[NDArray[np.uint8], ...]:
        """Of all rows: "status" or "missing", uint8 (N,), or "digest", uint8 (N, 16)."""
        parts = [[getattr(state, name) for name in names] for _, state in self.states()]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def reasons(self) -> Iterator[tuple[int, str]]:
        """Why rows failed, with the row."""
        for start, state in self.states():
            for row in np.flatnonzero(state.reason.any(axis=1)).tolist():
                yield start + row, decode_reason(state.reason[row])

    def stored(self, shard: int, state: RowState | None = None) -> ShardRows:
        """A shard's rows with all that is kept beside them, which may be known already; unchecked."""
        rows = self.rows(shard)
        arrays = {name: self.values(name, rows.start, rows.stop) for name in self.header.shapes}
        beside = self.state(rows.start, rows.stop) if state is None else state
        return ShardRows(self.header.clip_ids[rows.start : rows.stop], arrays, beside)

    def checked(
        self, shard: int, wanted: NDArray[np.bool_] | None = None, *, state: RowState | None = None
    ) -> ShardRows:
        """A shard's rows, those that are wanted compared with their digests; all that are done if None.

        Args:
            shard: its number.
            wanted: bool (n,).
            state: what is kept beside them, if it was read just now.

        Raises:
            CacheError: a row is damaged, or another clip's.
        """
        found = self.stored(shard, state)
        differing = self._differing(found, wanted)
        if differing.any():  # somebody may have written meanwhile: once more
            found = self.stored(shard)
            differing = self._differing(found, wanted)
        for row in np.flatnonzero(differing)[:1].tolist():
            raise CacheError(
                f"{self.path}: clip {found.clip_ids[row]} is not what was written for it (damaged, or another clip's): "
                f"`verify({self.path!r}, repair=True)` tells more, then extract again"
            )
        return found

    def _differing(self, found: ShardRows, wanted: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        differing: NDArray[np.bool_] = self.source.differing(found) & (found.state.status == DONE)
        if wanted is not None:
            differing &= wanted
        return differing

    def select(self, rows: Sequence[int] | NDArray[np.integer[Any]] | slice | None) -> Features:
        """Features of rows that are done, in the given order; of all of them if None.

        Raises:
            CacheError: a row is out of range or not done, or the cache is damaged.
        """
        n = len(self.header)
        if rows is None:
            wanted = np.flatnonzero(self.column("status")[0] == DONE)
        elif isinstance(rows, slice):
            wanted = np.arange(n)[rows]
        else:
            wanted = np.asarray(rows, dtype=np.int64).reshape(-1)
        outside = (wanted < 0) | (wanted >= n)
        if outside.any():
            raise CacheError(f"{self.path}: row {wanted[outside][0]} of {n}")
        home = wanted // self.header.shard_size
        found: dict[str, NDArray[Any]] = {}
        missing = np.zeros(len(wanted), dtype=np.uint8)
        for shard in np.unique(home).tolist():
            at = np.flatnonzero(home == shard)
            inside = wanted[at] - shard * self.header.shard_size
            asked = np.zeros(len(self.rows(shard)), dtype=np.bool_)
            asked[inside] = True
            stored = self.checked(shard, asked)
            for row in inside[stored.state.status[inside] != DONE][:1].tolist():
                name = STATUS_NAMES[min(int(stored.state.status[row]), 2)]
                raise CacheError(f"{self.path}: clip {stored.clip_ids[row]} is {name}, not done")
            missing[at] = stored.state.missing[inside]
            for name, source in stored.arrays.items():
                if name not in found:  # not before its shape is known to be the file's, too
                    found[name] = np.empty((len(wanted), *source.shape[1:]), dtype=source.dtype)
                found[name][at] = source[inside]
        for name, shape in self.header.shapes.items():
            found.setdefault(name, np.empty((0, *shape), dtype=self.header.dtype))
        return self._features(wanted.astype(np.int64), found, missing)

    def iterate(self, read_ahead: int) -> Iterator[Features]:
        """Features of all rows that are done, shard by shard in order; the next shards are read meanwhile."""
        with ThreadPoolExecutor(max_workers=max(1, read_ahead)) as pool:
            waiting: deque[tuple[int, Future[ShardRows | None]]] = deque()
            shards = iter(range(self.header.n_shards))
            while True:
                while len(waiting) <= read_ahead and (shard := next(shards, None)) is not None:
                    waiting.append((shard, pool.submit(self._any_done, shard)))
                if not waiting:
                    return
                shard, future = waiting.popleft()
                found = future.result()
                if found is None:
                    continue
                inside = np.flatnonzero(found.state.status == DONE)
                arrays, missing = found.arrays, found.state.missing
                if len(inside) < len(self.rows(shard)):
                    arrays = {name: values[inside] for name, values in arrays.items()}
                    missing = missing[inside]
                yield self._features((inside + self.rows(shard).start).astype(np.int64), arrays, missing)

    def _any_done(self, shard: int) -> ShardRows | None:
        rows = self.rows(shard)
        state = self.state(rows.start, rows.stop)
        return self.checked(shard, state=state) if (state.status == DONE).any() else None

    def _features(
        self, rows: NDArray[np.int64], arrays: dict[str, NDArray[Any]], missing: NDArray[np.uint8]
    ) -> Features:
        """Arrays that the cache does not have are empty."""
        header = self.header
        empty: Shapes = {
            "image": (header.segments, 0),
            "video": (0, header.frames_per_window, header.visual_dim),
            "audio": (0, header.audio_dim),
        }
        none = {
            name: np.empty((len(rows), *shape), header.dtype) for name, shape in empty.items() if name not in arrays
        }
        return Features(rows, **none, **arrays, missing=missing)

    # --- written --------------------------------------------------------------------------------------------

    def write(
        self,
        shard: int,
        tables: Mapping[str, ArrayLike],
        status: ArrayLike,
        reasons: Sequence[str] | None = None,
        missing: ArrayLike | None = None,
    ) -> None:
        """Write all rows of a shard: the values first, then the state that declares them there.

        Raises:
            CacheError: as :meth:`ShardRows.checked`.
        """
        try:
            made = ShardRows.checked(self.header, self.rows(shard), tables, status, reasons, missing)
        except CacheError as error:
            raise CacheError(f"{self.path}: shard {shard}: {error}") from error
        self.put(shard, made)

    def write_all(self, tables: Mapping[str, NDArray[Any]], missing: NDArray[np.uint8]) -> None:
        """Write every row of the cache, done.

        Args:
            tables: by array, (N, …).
            missing: uint8 (N,), 0, NO_PICTURE or NO_SOUND.
        """
        for shard in range(self.header.n_shards):
            part = self.part(shard)
            done = np.full(len(missing[part]), DONE, dtype=np.uint8)
            self.write(shard, {name: table[part] for name, table in tables.items()}, done, None, missing[part])

    def put(self, shard: int, made: ShardRows) -> None:
        """Write rows of a shard as they are; meanwhile only rows that stay as they are are declared."""
        target, rows = self._writable(), self.rows(shard)
        before = self._state_or_none(rows)
        changes = (before.records() != made.state.records()).any(axis=1) & (before.status != PENDING)
        if changes.any():
            target.put_state(shard, before.forget(changes))
        for name, values in made.arrays.items():
            target.put_values(shard, name, values)
        target.put_state(shard, made.state)

    def is_missing(self, name: str, shard: int) -> bool:
        """Whether an array's file of a shard is not there."""
        return isinstance(self.source, StoredRows) and not self.source.array(name).there(shard)

    def put_state(self, shard: int, state: RowState) -> None:
        """Write what is kept beside a shard's rows."""
        self._writable().put_state(shard, state)

    def write_rows(
        self,
        shard: int,
        inside: Sequence[int],
        tables: Mapping[str, NDArray[Any]],
        status: ArrayLike,
        reasons: Sequence[str],
        missing: ArrayLike,
    ) -> None:
        """Write some rows of a shard, those at the positions ``inside``; the others stay as they are.

        Raises:
            CacheError: as :meth:`write`.
        """
        rows, at = self.rows(shard), list(inside)
        if at == list(range(len(rows))):
            self.write(shard, tables, status, reasons, missing)
            return
        header, state = self.header, self.state(rows.start, rows.stop)
        codes, absent = state.status.copy(), state.missing.copy()
        texts = [decode_reason(row) for row in state.reason]
        if (codes == DONE).any():
            values = {name: table.copy() for name, table in self.checked(shard).arrays.items()}
        else:
            values = {name: np.zeros((len(rows), *shape), header.dtype) for name, shape in header.shapes.items()}
        for name, table in tables.items():
            check_values(name, table, header.dtype, [header.clip_ids[rows.start + row] for row in at])
            values[name][at] = table
        codes[at], absent[at] = np.asarray(status, np.uint8), np.asarray(missing, np.uint8)
        for row, reason in zip(at, reasons, strict=True):
            texts[row] = reason
        self.write(shard, values, codes, texts, absent)

    def _writable(self) -> StoredRows:
        self.before_write()
        if not isinstance(self.source, StoredRows):
            raise CacheError(
                f"{self.path} has cache format {self.header.version}, which is read and not written any more: "
                f"`upgrade({self.path!r})` makes it the present one"
            )
        return self.source

    def _state_or_none(self, rows: range) -> RowState:
        """A shard's state; where it is damaged, nothing is known of its rows."""
        try:
            return self.source.state(rows.start, rows.stop)
        except DAMAGE as error:
            if isinstance(error, CacheError):
                raise
            return RowState.pending(len(rows))
