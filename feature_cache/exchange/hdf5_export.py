"""A cache as one HDF5 file, for whoever has HDF5 and not Zarr (docs/exchange.md)."""

import json
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from feature_cache.cache import FeatureCache
from feature_cache.digests import text_digest
from feature_cache.errors import CacheError
from feature_cache.exchange.hdf5_stream import Hdf5Stream
from feature_cache.layout import DIGEST_BYTES, DIMENSIONS, MISSING_NAMES, STATUS_NAMES, TEXT_GROUP, decode_reason
from feature_cache.storage.atomic import new_file
from feature_cache.tables import first_line

HDF5_VERSION = 1
"""Of this file's own arrangement; the cache's format version is kept beside it."""
COMPRESSIONS = ("gzip", "lzf", "none")
CHUNK_BYTES = 1 << 20
LONGEST_ATTRIBUTE = 30_000
"""Bytes; an HDF5 attribute may not exceed 64 KiB. Longer ones are in ``facts`` alone."""

Progress = Callable[[int, int], None]


def export_hdf5(
    cache: FeatureCache,
    path: str | PathLike[str],
    *,
    compression: str = "gzip",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a cache as one HDF5 file, from which :func:`import_features` makes an equal cache.

    Rows are copied shard by shard, whatever their status; the file has its name when it is whole.

    Args:
        cache: an open cache.
        path: the file.
        compression: "gzip", which every HDF5 reads; "lzf", faster, larger, h5py's own; "none".
        overwrite: replace a file that is there.
        progress: called with (clips written, all clips).

    Returns:
        The file.

    Raises:
        CacheError: the cache cannot be read, a row is not what its digest says, the cache changes meanwhile, or the
            file cannot be written.

    Example::

        cache = FeatureCache.open("llp.zarr")
        export_hdf5(cache, "llp.h5")
    """
    if compression not in COMPRESSIONS:
        raise CacheError(f"compression {compression!r}: use one of {', '.join(COMPRESSIONS)}")
    with new_file(path, overwrite=overwrite) as partial:
        identity = cache.identity
        try:
            with Hdf5Stream(partial) as stream:

                def written(done: int, total: int) -> None:
                    stream.check()
                    if progress is not None:
                        progress(done, total)

                with h5py.File(stream, "w") as file:
                    _write_facts(file, cache, identity)
                    _write_texts(file, cache, compression)
                    _write_rows(file, cache, compression, written)
                stream.check()
        except (OSError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
            raise CacheError(f"{path} cannot be written ({why})") from error
        if cache.identity != identity:
            raise CacheError(
                f"{cache.path} was changed while it was exported: export it again when nobody writes to it"
            )
    return Path(path)


def _write_facts(file: h5py.File, cache: FeatureCache, identity: str) -> None:
    facts = {name: value for name, value in cache.header.to_dict().items() if name != "clip_ids"}
    file.attrs["hdf5_version"] = HDF5_VERSION
    file.attrs["identity"] = identity
    for name, value in facts.items():
        if isinstance(value, str | int | float) and _fits(name, value):
            file.attrs[name] = value
    readable = file.create_group("attributes")
    for name, value in cache.attributes.items():
        plain = value if isinstance(value, str | bool | int | float) else json.dumps(value, ensure_ascii=False)
        if _fits(name, plain):
            readable.attrs[name] = plain
    write_strings(file, "facts", [json.dumps(facts)])
    write_strings(file, "clip_ids", cache.clip_ids)


def _fits(name: str, value: Any) -> bool:
    """Whether HDF5 takes a value as an attribute of that name."""
    if not name or "\0" in name:
        return False
    if isinstance(value, str):
        return len(value.encode(errors="replace")) <= LONGEST_ATTRIBUTE and "\0" not in value
    return not isinstance(value, int) or -(1 << 63) <= value < 1 << 63


def _write_texts(file: h5py.File, cache: FeatureCache, compression: str) -> None:
    for name in cache.text_names:
        found = cache.text(name)
        group = file.create_group(f"{TEXT_GROUP}/{name}")
        group.attrs["one_table"] = found.audio is found.visual
        write_strings(group, "labels", found.labels)
        write_strings(group, "prompts", [json.dumps(dict(found.prompts))])
        for side, table in found.tables.items():
            if table.size:
                target = _dataset(group, side, table.shape, table.dtype, len(table), compression, ("label", "dim"))
                target[:] = table


def _write_rows(file: h5py.File, cache: FeatureCache, compression: str, progress: Progress | None) -> None:
    n = len(cache)
    shapes: dict[str, tuple[tuple[int, ...], str, tuple[str, ...]]] = {
        name: (shape, cache.dtype, DIMENSIONS[name]) for name, shape in cache.row_shapes.items()
    }
    shapes |= {"status": ((), "uint8", ()), "missing": ((), "uint8", ())}
    shapes["digest"] = ((DIGEST_BYTES,), "uint8", ("byte",))
    targets = {
        name: _dataset(file, name, (n, *shape), np.dtype(dtype), cache.shard_size, compression, ("clip", *dimensions))
        for name, (shape, dtype, dimensions) in shapes.items()
    }
    targets["status"].attrs["meaning"] = [f"{code} {name}" for code, name in enumerate(STATUS_NAMES)]
    targets["missing"].attrs["meaning"] = ["0 nothing", *(f"{bit} {name}" for bit, name in MISSING_NAMES.items())]
    reasons: list[str] = []
    for shard in range(cache.n_shards):
        part = cache.shards.part(shard)
        stored = cache.shards.checked(shard)
        state = stored.state
        reasons += [decode_reason(raw) for raw in state.reason]
        if stored.ever_written:
            beside = {"missing": state.missing, "digest": state.digest, "status": state.status}
            for name, rows in {**stored.arrays, **beside}.items():
                targets[name][part] = rows
        if progress is not None:
            progress(part.stop, n)
    write_strings(file, "reason", reasons)


def _dataset(
    group: h5py.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    shard: int,
    compression: str,
    dimensions: tuple[str, ...],
) -> h5py.Dataset:
    """A dataset in chunks that shards are made of, so that no chunk is written twice."""
    row_bytes = int(np.prod(shape[1:])) * dtype.itemsize
    fitting = [rows for rows in range(1, shard + 1) if shard % rows == 0 and rows * row_bytes <= CHUNK_BYTES]
    found = group.create_dataset(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(min(max(fitting, default=1), shape[0]), *shape[1:]),
        compression=None if compression == "none" else compression,
        compression_opts=1 if compression == "gzip" else None,
        shuffle=compression != "none",
        fletcher32=True,
    )
    for axis, dimension in enumerate(dimensions):
        found.dims[axis].label = dimension
    return found


def write_strings(group: h5py.Group, name: str, texts: Sequence[str]) -> None:
    """Strings of variable length in UTF-8; HDF5 has no checksum for them, so they get a digest."""
    found = group.create_dataset(name, shape=(len(texts),), dtype=h5py.string_dtype())
    found[:] = np.array(texts, dtype=object)
    found.attrs["blake2b"] = text_digest(texts)
