"""The Zarr arrays of a cache: as they are made, as they must be found again, and as they are read."""

import json
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.buffer import Buffer
from zarr.core.metadata import ArrayV3Metadata
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from feature_cache.layout import DIGEST_BYTES, DIMENSIONS, REASON_BYTES, TEXT_GROUP, Shapes
from feature_cache.storage.durable import SafeStore


def add_array(
    group: zarr.Group,
    name: str,
    *,
    shape: tuple[int, ...],
    dtype: str,
    rows: int,
    dimensions: tuple[str, ...],
) -> None:
    """Create an array cut along its first axis into chunks of ``rows`` rows, each one file.

    zstd makes frames that several windows share cheap; the crc32c around it covers every stored byte.
    Chunks of zeros are written too, so that a missing file is always a loss.
    """
    group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(rows, *shape[1:]),
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        fill_value=0,
        dimension_names=dimensions,
        config={"write_empty_chunks": True},
    )


def array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """The array of that name; KeyError where there is none."""
    found = group[name]
    if not isinstance(found, zarr.Array) or not isinstance(found.metadata, ArrayV3Metadata):
        raise KeyError(name)
    # as Array.with_config, which zarr 3.1.5 does not have: newer ones need numpy 2, and laion_clap an older one
    return zarr.Array(zarr.AsyncArray(found.metadata, found.store_path, {"write_empty_chunks": True}))


def read_rows(group: zarr.Group, name: str, rows: slice = slice(None)) -> NDArray[Any]:
    """Rows of an array as NumPy."""
    return np.asarray(array(group, name)[rows])


def _add_arrays(group: zarr.Group, n: int, shapes: Shapes, dtype: str, shard_size: int) -> None:
    """Make the arrays of a cache of ``n`` clips, empty."""
    for name, shape in shapes.items():
        add_array(group, name, shape=(n, *shape), dtype=dtype, rows=shard_size, dimensions=("clip", *DIMENSIONS[name]))
    for name in ("missing", "status"):
        add_array(group, name, shape=(n,), dtype="uint8", rows=shard_size, dimensions=("clip",))
    for name, width in (("reason", REASON_BYTES), ("digest", DIGEST_BYTES)):
        add_array(group, name, shape=(n, width), dtype="uint8", rows=shard_size, dimensions=("clip", "byte"))


class ArrayTemplates:
    """The arrays of a cache of ``n`` clips, empty, and the group for its text sets: what each zarr.json must say."""

    def __init__(self, n: int, shapes: Shapes, dtype: str, shard_size: int) -> None:
        """Make them in memory."""
        self._files: dict[str, Buffer] = {}
        self._group = zarr.open_group(MemoryStore(self._files), mode="w", zarr_format=3)
        _add_arrays(self._group, n, shapes, dtype, shard_size)
        self._group.create_group(TEXT_GROUP)

    def write(self, store: SafeStore, name: str | None = None) -> None:
        """Write the zarr.json of an array, or all of them, but for the root's."""
        wanted = [key for key in self._files if key != "zarr.json" and name in (None, key.partition("/")[0])]
        for key in wanted:
            sync(store.set(key, self._files[key]))

    def fits(self, name: str, found: zarr.Array[Any]) -> bool:
        """Whether an array is as this one, which may have fewer rows."""
        return same_kind(array(self._group, name), found)


def same_kind(expected: zarr.Array[Any], found: zarr.Array[Any]) -> bool:
    """Whether two arrays are alike in all but how many more rows ``found`` has."""
    before, after = (json.loads(json.dumps(each.metadata.to_dict(), default=str)) for each in (expected, found))
    rows, more = before.pop("shape"), after.pop("shape")
    return bool(before == after and rows[1:] == more[1:] and rows[0] <= more[0])
