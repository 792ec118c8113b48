"""The Zarr arrays of a cache, as every reader of Zarr knows them (docs/design.md 3)."""

import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from feature_cache.layout import DIMENSIONS, ROW_BYTES, ROWS, Shapes


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


def array_json(name: str, shape: tuple[int, ...], dtype: str, rows: int, dimensions: tuple[str, ...]) -> bytes:
    """The zarr.json of an array of :func:`add_array`."""
    files: dict[str, Buffer] = {}
    group = zarr.open_group(MemoryStore(files), mode="w", zarr_format=3)
    add_array(group, name, shape=shape, dtype=dtype, rows=rows, dimensions=dimensions)
    return files[f"{name}/zarr.json"].to_bytes()


def arrays_json(n: int, shapes: Shapes, dtype: str, shard_size: int) -> dict[str, bytes]:
    """The zarr.json of every array of a cache's ``n`` rows, by file."""
    found = {
        name: array_json(name, (n, *shape), dtype, shard_size, ("clip", *DIMENSIONS[name]))
        for name, shape in shapes.items()
    }
    found[ROWS] = array_json(ROWS, (n, ROW_BYTES), "uint8", shard_size, ("clip", "byte"))
    return {f"{name}/zarr.json": raw for name, raw in found.items()}
