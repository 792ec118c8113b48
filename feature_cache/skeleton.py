"""The arrays of a cache as they are made, and as they must be found again."""

import json
from typing import Any

import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from feature_cache import layout
from feature_cache.shapes import DIMENSIONS, Shapes

BESIDE = ("missing", "reason", "digest", "status")
"""What is kept of each row beside its embeddings; the status is always written last."""


def add_arrays(group: zarr.Group, n: int, shapes: Shapes, dtype: str, shard_size: int) -> None:
    """Make the arrays of a cache of ``n`` clips, empty."""
    for name, shape in shapes.items():
        layout.add_array(
            group, name, shape=(n, *shape), dtype=dtype, rows=shard_size, dimensions=("clip", *DIMENSIONS[name])
        )
    for name in ("missing", "status"):
        layout.add_array(group, name, shape=(n,), dtype="uint8", rows=shard_size, dimensions=("clip",))
    for name, width in (("reason", layout.REASON_BYTES), ("digest", layout.DIGEST_BYTES)):
        layout.add_array(group, name, shape=(n, width), dtype="uint8", rows=shard_size, dimensions=("clip", "byte"))


class Template:
    """What the zarr.json of each array of a cache must say."""

    def __init__(self, n: int, shapes: Shapes, dtype: str, shard_size: int) -> None:
        """Make the arrays in memory."""
        self._store = MemoryStore()
        self._group = zarr.open_group(self._store, mode="w", zarr_format=3)
        add_arrays(self._group, n, shapes, dtype, shard_size)

    def fits(self, name: str, found: zarr.Array[Any]) -> bool:
        """Whether an array is as this one, which may have fewer rows."""
        return same_kind(layout.array(self._group, name), found)

    def text(self, name: str) -> str:
        """The zarr.json of an array."""
        key = f"{name}/zarr.json"
        value = sync(self._store.get(key, prototype=default_buffer_prototype()))
        assert value is not None
        return value.to_bytes().decode()


def same_kind(expected: zarr.Array[Any], found: zarr.Array[Any]) -> bool:
    """Whether two arrays are alike in all but how many more rows ``found`` has."""
    before, after = (json.loads(json.dumps(each.metadata.to_dict(), default=str)) for each in (expected, found))
    rows, more = before.pop("shape"), after.pop("shape")
    return bool(before == after and rows[1:] == more[1:] and rows[0] <= more[0])
