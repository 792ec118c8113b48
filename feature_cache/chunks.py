"""Chunks of arrays: one file each, little-endian, zstd, crc32c; unpacked to their declared size or not at all.

What Zarr would read and write, without its way through an event loop, and without room for what a chunk claims to be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from feature_cache.storage.durable import SafeStore

_ZSTD = Zstd(level=1)
_MAGIC = b"\x28\xb5\x2f\xfd"
_CRC_BYTES = 4


class ChunkError(ValueError):
    """A chunk is not as it was written."""


def pack(values: NDArray[Any]) -> bytes:
    """A chunk's bytes, of an array in C order."""
    raw = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    packed = bytes(_ZSTD.encode(raw.reshape(-1).view(np.uint8)))
    return packed + _crc(packed)


def unpack(raw: bytes, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """The inverse of :func:`pack`.

    Raises:
        ChunkError: the checksum is wrong, or it does not hold just this shape.
    """
    packed = raw[:-_CRC_BYTES]
    if len(raw) <= _CRC_BYTES or _crc(packed) != raw[-_CRC_BYTES:]:
        raise ChunkError("its checksum is wrong")
    size = prod(shape) * np.dtype(dtype).itemsize
    if _content_size(packed) != size:
        raise ChunkError(f"it does not unpack to {size} bytes")
    found = np.empty(size, dtype=np.uint8)
    try:
        _ZSTD.decode(packed, found)
    except (RuntimeError, ValueError) as error:
        raise ChunkError("it cannot be unpacked") from error
    return found.view(np.dtype(dtype).newbyteorder("<")).reshape(shape)


def _crc(packed: bytes) -> bytes:
    return int(google_crc32c.value(packed)).to_bytes(_CRC_BYTES, "little")


def _content_size(packed: bytes) -> int | None:
    """The size that a zstd frame declares (RFC 8878, 3.1.1.1); None where it declares none, or is no frame."""
    if packed[:4] != _MAGIC or len(packed) < 6:
        return None
    descriptor = packed[4]
    flag, single = descriptor >> 6, descriptor >> 5 & 1
    width = (1 if single else 0, 2, 4, 8)[flag]
    begin = 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
    if not width or len(packed) < begin + width:
        return None
    return int.from_bytes(packed[begin : begin + width], "little") + (256 if flag == 1 else 0)


@dataclass(frozen=True)
class ChunkedRows:
    """An array whose chunks are whole rows, so many a file.

    Attributes:
        store: where.
        name: the array's.
        row: shape of a row.
        dtype: of the values.
        rows: how many there are.
        each: rows a chunk; the last chunk is padded with zeros.
    """

    store: SafeStore
    name: str
    row: tuple[int, ...]
    dtype: str
    rows: int
    each: int

    def key(self, chunk: int) -> str:
        """The file of a chunk."""
        return f"{self.name}/c/{'/'.join([str(chunk), *['0'] * len(self.row)])}"

    def chunk(self, number: int) -> NDArray[Any] | None:
        """The rows of a chunk, (n, …); None where nothing was written yet.

        Raises:
            ChunkError: it is damaged.
        """
        raw = self.store.read(self.key(number))
        if raw is None:
            return None
        return unpack(raw, (self.each, *self.row), self.dtype)[: self.rows - number * self.each]

    def there(self, number: int) -> bool:
        """Whether a chunk was written."""
        return self.store.has(self.key(number))

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop), zeros where nothing was written yet.

        Raises:
            ChunkError: a chunk is damaged; its file is named.
        """
        found: NDArray[Any] | None = None
        for number, rows in self.pieces(start, stop):
            try:
                values = self.chunk(number)
            except ChunkError as error:
                raise ChunkError(f"{self.key(number)}: {error}") from error
            begin = number * self.each
            if found is None and values is not None and rows == range(start, stop):
                return values[rows.start - begin : rows.stop - begin]
            if found is None:  # after a whole chunk was there: its size is real
                found = np.zeros((stop - start, *self.row), dtype=self.dtype)
            if values is not None:
                found[rows.start - start : rows.stop - start] = values[rows.start - begin : rows.stop - begin]
        return np.zeros((0, *self.row), dtype=self.dtype) if found is None else found

    def write(self, number: int, values: NDArray[Any]) -> None:
        """Write the rows of a chunk, (n, …); fewer than a chunk has are followed by zeros."""
        whole = values
        if len(values) < self.each:
            whole = np.zeros((self.each, *self.row), dtype=self.dtype)
            whole[: len(values)] = values
        self.store.write(self.key(number), pack(whole.astype(self.dtype, copy=False)))

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, range]]:
        """The chunks that rows [start, stop) lie in, and which of those rows."""
        for number in range(start // self.each, -(-stop // self.each) if stop > start else start // self.each):
            yield number, range(max(start, number * self.each), min(stop, (number + 1) * self.each))
