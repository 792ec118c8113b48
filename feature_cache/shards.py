"""Shards: the rows of a cache, read, checked, digested and written a shard at a time (docs/design.md 3)."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray

from feature_cache.arrays import array
from feature_cache.checks import check_missing, check_values
from feature_cache.digests import row_digests
from feature_cache.errors import CacheError
from feature_cache.features import Features
from feature_cache.header import Header
from feature_cache.layout import (
    BESIDE,
    DIGEST_BYTES,
    DONE,
    FAILED,
    MISSING_BIT,
    PENDING,
    REASON_BYTES,
    STATUS_NAMES,
    Shapes,
    decode_reason,
    encode_reason,
)
from feature_cache.tables import first_line

_BESIDE_ROWS: Shapes = {"missing": (), "reason": (REASON_BYTES,), "digest": (DIGEST_BYTES,), "status": ()}


@dataclass(frozen=True)
class ShardRows:
    """n rows as they are stored.

    Attributes:
        arrays: by name, (n, …) in the cache's dtype.
        digest: uint8 (n, 16), of a row's values and of what it does not have.
        reason: uint8 (n, 512), why a row failed.
        missing: uint8 (n,), what a row that is done does not have.
        status: uint8 (n,): PENDING, DONE or FAILED.
    """

    arrays: dict[str, NDArray[Any]]
    digest: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    missing: NDArray[np.uint8]
    status: NDArray[np.uint8]

    @classmethod
    def checked(
        cls,
        header: Header,
        rows: range,
        tables: Mapping[str, ArrayLike],
        status: ArrayLike,
        reasons: Sequence[str] | None,
        missing: ArrayLike | None,
    ) -> Self:
        """Rows of values that are given; what is not there is stored as zeros.

        Args:
            header: the cache's.
            rows: which n rows these are.
            tables: (n, …) by array, all arrays of the cache.
            status: n codes.
            reasons: n texts; a failed row needs one.
            missing: n flags; None: nothing is missing.

        Raises:
            CacheError: shapes or arrays do not fit, a done row has values that cannot be stored or neither picture
                nor sound, a failed row has no reason.
        """
        clip_ids, n = header.clip_ids[rows.start : rows.stop], len(rows)
        codes = np.asarray(status, dtype=np.uint8)
        if codes.shape != (n,) or (codes > FAILED).any():
            raise CacheError(f"{n} status values of 0, 1 or 2 are needed")
        texts = [""] * n if reasons is None else list(reasons)
        for clip, code, reason in zip(clip_ids, codes, texts, strict=True):
            if code == FAILED and not reason.strip():
                raise CacheError(f"clip {clip} failed without a reason")
        absent = np.where(codes == DONE, check_missing(missing, clip_ids), 0).astype(np.uint8)
        if set(tables) != set(header.shapes):
            wrong = sorted(set(tables) ^ set(header.shapes))[0]
            raise CacheError(f"{wrong} {'is needed' if wrong in header.shapes else 'is no array of this cache'}")
        arrays = {}
        for name, row_shape in header.shapes.items():
            found = np.asarray(tables[name])
            if found.shape != (n, *row_shape):
                raise CacheError(f"{name} is {found.shape}, expected {(n, *row_shape)}")
            there = (codes == DONE) & (absent & MISSING_BIT[name] == 0)
            kept = [clip for clip, has in zip(clip_ids, there, strict=True) if has]
            check_values(name, found[there], header.dtype, kept)
            arrays[name] = np.zeros(found.shape, dtype=header.dtype)
            arrays[name][there] = found[there]
        lines = [reason if code == FAILED else "" for code, reason in zip(codes, texts, strict=True)]
        return cls(
            arrays, row_digests(absent, arrays), np.stack([encode_reason(line) for line in lines]), absent, codes
        )

    @property
    def ever_written(self) -> bool:
        """Whether something was ever written there."""
        return bool((self.status != PENDING).any() or self.digest.any())

    def differing(self) -> NDArray[np.bool_]:
        """bool (n,): rows whose values are not what their digest says."""
        found: NDArray[np.bool_] = (row_digests(self.missing, self.arrays) != self.digest).any(axis=1)
        return found

    def check_digests(self, clip_ids: Sequence[str], where: str, mend: str) -> None:
        """Refuse rows that are done and not what their digest says.

        Args:
            clip_ids: n names.
            where: what is read, for errors.
            mend: what makes it whole again: this, done again.

        Raises:
            CacheError: a row differs.
        """
        for row in np.flatnonzero(self.differing() & (self.status == DONE)).tolist():
            raise CacheError(f"{where} of clip {clip_ids[row]} differ from their digest (damaged): {mend} again")

    def check_values(self, clip_ids: Sequence[str]) -> None:
        """Refuse rows that are done with values that a cache may not have, or neither picture nor sound.

        Raises:
            CacheError: a row of the ``clip_ids``, n names, is such a one.
        """
        done = np.flatnonzero(self.status == DONE)
        names = [clip_ids[row] for row in done.tolist()]
        missing = check_missing(self.missing[done], names)
        for name, values in self.arrays.items():
            there = missing & MISSING_BIT[name] == 0
            kept = [clip for clip, is_there in zip(names, there.tolist(), strict=True) if is_there]
            check_values(name, values[done][there], str(values.dtype), kept)


@dataclass(frozen=True)
class Shards:
    """The rows of an open cache.

    Attributes:
        path: the cache, for errors.
        group: its group.
        header: its header.
    """

    path: str
    group: zarr.Group
    header: Header

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

    def read(self, name: str, part: slice = slice(None)) -> NDArray[Any]:
        """Rows of one array, that of a name in the header, or "status", "missing", "reason", "digest".

        Raises:
            CacheError: it is damaged, or not as the header says.
        """
        start, stop = part.start or 0, len(self.header) if part.stop is None else part.stop
        shape = self.header.shapes.get(name, _BESIDE_ROWS.get(name, ()))
        dtype = "uint8" if name in BESIDE else self.header.dtype
        try:
            found = array(self.group, name)
            if found.shape[1:] != shape or found.dtype != np.dtype(dtype):
                raise ValueError(f"it is {found.dtype} {found.shape}, expected {dtype} {(len(self.header), *shape)}")
            # there may be more rows, of clips that are being added or were removed
            return np.asarray(found[start:stop])
        except (ValueError, KeyError, RuntimeError, TypeError) as error:
            raise CacheError(
                f"{self.path}: array {name!r} is damaged or missing in rows {start} to {stop - 1} "
                f"({first_line(error)}): `verify({self.path!r}, repair=True)` tells what, then extract again"
            ) from error

    def status(self) -> NDArray[np.uint8]:
        """uint8 (N,): PENDING, DONE or FAILED."""
        return self.read("status")

    def arrays(self, shard: int) -> dict[str, NDArray[Any]]:
        """A shard's rows by array, whatever their status."""
        part = self.part(shard)
        return {name: self.read(name, part) for name in self.header.shapes}

    def stored(self, shard: int, status: NDArray[np.uint8] | None = None) -> ShardRows:
        """A shard's rows with all that is kept beside them.

        Args:
            shard: the shard's number.
            status: uint8 (N,), if it is known already.
        """
        part = self.part(shard)
        beside = {name: self.read(name, part) for name in ("digest", "reason", "missing")}
        codes = self.read("status", part) if status is None else status[part]
        return ShardRows(self.arrays(shard), **beside, status=codes)

    def missing(self, status: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (N,): what each row that is done does not have: 0, NO_PICTURE or NO_SOUND."""
        return np.where(status == DONE, self.read("missing"), 0).astype(np.uint8)

    def select(self, rows: Sequence[int] | NDArray[np.integer[Any]] | slice | None) -> Features:
        """Features of rows that are done, in the given order; of all of them if None.

        Raises:
            CacheError: a row is out of range or not done, or the cache is damaged.
        """
        n, status = len(self.header), self.status()
        if rows is None:
            wanted = np.flatnonzero(status == DONE)
        elif isinstance(rows, slice):
            wanted = np.arange(n)[rows]
        else:
            wanted = np.asarray(rows, dtype=np.int64).reshape(-1)
        outside = (wanted < 0) | (wanted >= n)
        if outside.any():
            raise CacheError(f"{self.path}: row {wanted[outside][0]} of {n}")
        for row in wanted[status[wanted] != DONE][:1].tolist():
            raise CacheError(f"{self.path}: clip {self.header.clip_ids[row]} is {STATUS_NAMES[status[row]]}, not done")
        home = wanted // self.header.shard_size
        found: dict[str, NDArray[Any]] = {}
        for shard in np.unique(home).tolist():
            at = np.flatnonzero(home == shard)
            for name, source in self.arrays(shard).items():
                if name not in found:  # not before its shape is known to be the file's, too
                    found[name] = np.empty((len(wanted), *source.shape[1:]), dtype=source.dtype)
                found[name][at] = source[wanted[at] - shard * self.header.shard_size]
        for name, shape in self.header.shapes.items():
            found.setdefault(name, np.empty((0, *shape), dtype=self.header.dtype))
        return self._features(wanted.astype(np.int64), found, self.missing(status)[wanted])

    def iterate(self, read_ahead: int) -> Iterator[Features]:
        """Features of all rows that are done, shard by shard in order; the next shards are read meanwhile."""
        status = self.status()
        missing = self.missing(status)
        done = {shard: np.flatnonzero(status[self.part(shard)] == DONE) for shard in range(self.header.n_shards)}
        shards = deque(shard for shard, inside in done.items() if len(inside))
        with ThreadPoolExecutor(max_workers=max(1, read_ahead)) as pool:
            waiting: deque[tuple[int, Future[dict[str, NDArray[Any]]]]] = deque()
            while shards or waiting:
                while shards and len(waiting) <= read_ahead:
                    shard = shards.popleft()
                    waiting.append((shard, pool.submit(self.arrays, shard)))
                shard, future = waiting.popleft()
                arrays, inside = future.result(), done[shard]
                if len(inside) < len(self.rows(shard)):
                    arrays = {name: values[inside] for name, values in arrays.items()}
                rows = (inside + self.rows(shard).start).astype(np.int64)
                yield self._features(rows, arrays, missing[rows])

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
        """Write all rows of a shard: the values first, then the status that declares them there.

        Raises:
            CacheError: as :meth:`ShardRows.checked`.
        """
        part = self.part(shard)
        try:
            made = ShardRows.checked(self.header, self.rows(shard), tables, status, reasons, missing)
        except CacheError as error:
            raise CacheError(f"{self.path}: shard {shard}: {error}") from error
        before = self.status()[part]
        if (before != PENDING).any():  # done again: meanwhile only rows that stay as they are are declared
            same = before == made.status
            for name in ("digest", "reason"):
                same &= (self.read(name, part) == getattr(made, name)).all(axis=1)
            array(self.group, "status")[part] = np.where(same, before, PENDING).astype(np.uint8)
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
        """Write rows of a shard as they are, the status last."""
        part = self.part(shard)
        for name, values in made.arrays.items():
            array(self.group, name)[part] = values
        for name in ("digest", "reason", "missing", "status"):
            array(self.group, name)[part] = getattr(made, name)

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
        header, part = self.header, self.part(shard)
        codes, absent = self.status()[part].copy(), self.read("missing", part).copy()
        texts = [decode_reason(row) for row in self.read("reason", part)]
        if (codes == DONE).any():
            values = {name: table.copy() for name, table in self.arrays(shard).items()}
        else:
            values = {name: np.zeros((len(rows), *shape), header.dtype) for name, shape in header.shapes.items()}
        for name, table in tables.items():
            check_values(name, table, header.dtype, [header.clip_ids[rows.start + row] for row in at])
            values[name][at] = table
        codes[at], absent[at] = np.asarray(status, np.uint8), np.asarray(missing, np.uint8)
        for row, reason in zip(at, reasons, strict=True):
            texts[row] = reason
        self.write(shard, values, codes, texts, absent)
