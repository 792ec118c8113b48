"""The arrays of a cache as they are made, and as they must be found again."""

import json
from typing import Any

import zarr
from zarr.core.buffer import Buffer
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from feature_cache import layout
from feature_cache.shapes import DIMENSIONS, Shapes
from feature_cache.storage.durable import SafeStore

BESIDE = ("missing", "reason", "digest", "status")
"""What is kept of each row beside its embeddings; the status is always written last."""


def _add_arrays(group: zarr.Group, n: int, shapes: Shapes, dtype: str, shard_size: int) -> None:
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
    """The arrays of a cache of ``n`` clips, empty, and the group for its text sets: what each zarr.json must say."""

    def __init__(self, n: int, shapes: Shapes, dtype: str, shard_size: int) -> None:
        """Make them in memory."""
        self._files: dict[str, Buffer] = {}
        self._group = zarr.open_group(MemoryStore(self._files), mode="w", zarr_format=3)
        _add_arrays(self._group, n, shapes, dtype, shard_size)
        self._group.create_group(layout.TEXT_GROUP)

    def write(self, store: SafeStore, name: str | None = None) -> None:
        """Write the zarr.json of an array, or all of them, but for the root's."""
        wanted = [key for key in self._files if key != "zarr.json" and name in (None, key.partition("/")[0])]
        for key in wanted:
            sync(store.set(key, self._files[key]))

    def fits(self, name: str, found: zarr.Array[Any]) -> bool:
        """Whether an array is as this one, which may have fewer rows."""
        return same_kind(layout.array(self._group, name), found)


def same_kind(expected: zarr.Array[Any], found: zarr.Array[Any]) -> bool:
    """Whether two arrays are alike in all but how many more rows ``found`` has."""
    before, after = (json.loads(json.dumps(each.metadata.to_dict(), default=str)) for each in (expected, found))
    rows, more = before.pop("shape"), after.pop("shape")
    return bool(before == after and rows[1:] == more[1:] and rows[0] <= more[0])
