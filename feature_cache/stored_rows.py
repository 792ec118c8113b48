"""Where rows lie: the chunks of a cache of this format, a shard each (docs/design.md 3)."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from feature_cache.chunks import ChunkedRows
from feature_cache.errors import CacheError
from feature_cache.header import Header
from feature_cache.layout import ROW_BYTES, ROWS
from feature_cache.row_state import RowState
from feature_cache.shard_rows import ShardRows
from feature_cache.storage.durable import SafeStore


class RowSource(Protocol):
    """Rows of a cache, of whatever format. Damage is a ValueError of any kind."""

    def values(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop) of an array in the header."""

    def state(self, start: int, stop: int) -> RowState:
        """What is kept beside rows [start, stop)."""

    def differing(self, rows: ShardRows) -> NDArray[np.bool_]:
        """bool (n,): rows that are not what their digest says."""


class StoredRows:
    """Rows of a cache of this format: :class:`RowSource`, and written."""

    def __init__(self, store: SafeStore, header: Header) -> None:
        """The rows that a header speaks of."""
        n, each = len(header), header.shard_size
        self._arrays = {
            name: ChunkedRows(store, name, shape, header.dtype, n, each) for name, shape in header.shapes.items()
        }
        self._state = ChunkedRows(store, ROWS, (ROW_BYTES,), "uint8", n, each)

    def array(self, name: str) -> ChunkedRows:
        """One of the arrays, that of the rows' state among them.

        Raises:
            CacheError: there is no such array.
        """
        if name != ROWS and name not in self._arrays:
            raise CacheError(f"no array {name!r}")
        return self._state if name == ROWS else self._arrays[name]

    def values(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop) of an array in the header."""
        return self.array(name).read(start, stop)

    def state(self, start: int, stop: int) -> RowState:
        """What is kept beside rows [start, stop)."""
        return RowState.of_records(self._state.read(start, stop))

    def differing(self, rows: ShardRows) -> NDArray[np.bool_]:
        """bool (n,): rows that are not what their digest says, or are another clip's."""
        return rows.differing()

    def put_values(self, shard: int, name: str, values: NDArray[Any]) -> None:
        """Write an array's rows of a shard."""
        self._arrays[name].write(shard, values)

    def put_state(self, shard: int, state: RowState) -> None:
        """Write what is kept beside a shard's rows, in one piece."""
        self._state.write(shard, state.records())
