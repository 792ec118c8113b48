"""A cache again, from the HDF5 file that :func:`export_hdf5` wrote."""

import json
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from feature_cache import stopping
from feature_cache.cache import FeatureCache
from feature_cache.checks import check_clip_ids
from feature_cache.digests import text_digest
from feature_cache.errors import CacheError
from feature_cache.exchange.hdf5_export import HDF5_VERSION
from feature_cache.exchange.hdf5_files import Hdf5Table, find_dataset, read_strings
from feature_cache.format_2 import old_differing
from feature_cache.header import Header
from feature_cache.layout import (
    DIGEST_BYTES,
    FAILED,
    FORMAT,
    FORMAT_VERSION,
    OLD_VERSION,
    TEXT_GROUP,
    encode_reason,
)
from feature_cache.place import whole_cache
from feature_cache.readable import identity_of
from feature_cache.row_state import RowState
from feature_cache.shard_rows import ShardRows
from feature_cache.tables import check_blocks
from feature_cache.text import SIDES, check_text

Progress = Callable[[int, int], None]


def is_export(file: h5py.File) -> bool:
    """Whether :func:`export_hdf5` wrote a file."""
    try:
        return "hdf5_version" in file.attrs and bool(file.attrs.get("format") == FORMAT)
    except (OSError, RuntimeError, ValueError, TypeError):
        return False


def restore_hdf5(
    file: h5py.File, path: str | PathLike[str], *, overwrite: bool = False, progress: Progress | None = None
) -> FeatureCache:
    """Make the cache that an export was made of: equal arrays, status, reasons, text sets, attributes and identity.

    Args:
        file: an open file.
        path: the cache to make.
        overwrite: replace a cache that is there.
        progress: called with (clips written, all clips).

    Raises:
        CacheError: the file is damaged, or of another version.
    """
    name = file.filename
    for what, found, read in (
        ("HDF5 export version", file.attrs.get("hdf5_version"), (HDF5_VERSION,)),
        ("cache format", file.attrs.get("format_version"), (OLD_VERSION, FORMAT_VERSION)),
    ):
        if found not in read:
            versions = " and ".join(map(str, read))
            raise CacheError(f"{name} has {what} {found}, this av2a reads {versions}: use the av2a that made it")
    try:
        ids = check_clip_ids(_texts(file, "clip_ids"))
    except CacheError as error:
        raise CacheError(f"{name}: {error}" if name not in str(error) else str(error)) from error
    stated = _texts(file, "facts")
    try:
        header = Header.from_dict({**json.loads(stated[0]), "clip_ids": ids})
        identity = str(file.attrs["identity"])
    except (KeyError, ValueError, TypeError, IndexError, RecursionError, CacheError) as error:
        raise CacheError(f"{name}: its facts are damaged ({error}): export it again") from error
    tables = _tables(file, header)
    check_blocks(list(tables.values()), min(header.shard_size, len(header)))
    with whole_cache(path, overwrite=overwrite) as target, stopping.settled():
        cache = FeatureCache.begin(target, header.of_this_format(), overwrite=overwrite)
        found = _copy_rows(file, header, cache, tables, progress)
        _copy_texts(file, cache)
        if found != identity:
            raise CacheError(
                f"{name} does not give the cache that was exported (identity {found}, expected {identity}): "
                "export it again"
            )
        cache.finish()
    return FeatureCache.open(path)


def _tables(file: h5py.File, header: Header) -> dict[str, Hdf5Table]:
    n = len(header)
    expected: dict[str, tuple[tuple[int, ...], str]] = {
        name: ((n, *shape), header.dtype) for name, shape in header.shapes.items()
    }
    expected |= {"status": ((n,), "uint8"), "missing": ((n,), "uint8"), "digest": ((n, DIGEST_BYTES), "uint8")}
    found = {}
    for name, (shape, kind) in expected.items():
        dataset = find_dataset(file, name)
        if dataset is None:
            raise CacheError(f"{file.filename} has no dataset {name!r}: export it again")
        if dataset.shape != shape or dataset.dtype != np.dtype(kind):
            raise CacheError(
                f"{file.filename}: dataset {name!r} is {dataset.dtype} {dataset.shape}, expected {kind} {shape}"
            )
        found[name] = Hdf5Table(file.filename, name, dataset)
    return found


def _copy_rows(
    file: h5py.File,
    header: Header,
    cache: FeatureCache,
    tables: Mapping[str, Hdf5Table],
    progress: Progress | None,
) -> str:
    """Write every row that the file has; returns the identity of what was exported."""
    reasons = _texts(file, "reason")
    if len(reasons) != len(cache):
        raise CacheError(f"{file.filename}: dataset 'reason' has {len(reasons)} texts for {len(cache)} clips")
    status, digests = [], []
    for shard in range(cache.n_shards):
        rows = cache.shard_rows(shard)
        part = slice(rows.start, rows.stop)
        values = {name: table.rows(rows.start, rows.stop) for name, table in tables.items()}
        beside = {name: values.pop(name) for name in ("digest", "missing", "status")}
        reason = np.stack([encode_reason(text) for text in reasons[part]])
        stored = ShardRows(cache.clip_ids[part], values, RowState(**beside, reason=reason))
        status.append(stored.state.status.tobytes())
        digests.append(stored.state.digest.tobytes())
        if stored.ever_written:
            _check(header, stored, file.filename)
            state = stored.state
            made = ShardRows.sealed(stored.clip_ids, values, state.status, state.missing, state.reason)
            cache.shards.put(shard, made)
        if progress is not None:
            progress(rows.stop, len(cache))
    return identity_of(header, b"".join(status), b"".join(digests))


def _check(header: Header, stored: ShardRows, file: str) -> None:
    if (stored.state.status > FAILED).any():
        raise CacheError(f"{file}: dataset 'status': {stored.state.status.max()} is no status")
    wrong = old_differing(stored) if header.version == OLD_VERSION else stored.differing()
    for row in np.flatnonzero(wrong)[:1].tolist():
        raise CacheError(
            f"{file}: array data of clip {stored.clip_ids[row]} differ from their digest (damaged): export again"
        )
    try:
        stored.check_values()
    except CacheError as error:
        raise CacheError(f"{file}: {error}") from error


def _copy_texts(file: h5py.File, cache: FeatureCache) -> None:
    texts = file.get(TEXT_GROUP) if isinstance(file.get(TEXT_GROUP, getlink=True), h5py.HardLink) else None
    if not isinstance(texts, h5py.Group):
        return
    dims = cache.header.text_dims
    for name in texts:
        where = f"{TEXT_GROUP}/{name}"
        labels = _texts(file, f"{where}/labels")
        sides: dict[str, NDArray[Any]] = {}
        for side, width in zip(SIDES, dims, strict=True):
            dataset = find_dataset(file, f"{where}/{side}")
            if dataset is not None:
                if dataset.shape != (len(labels), width):
                    raise CacheError(
                        f"{file.filename}: dataset {where + '/' + side!r} is {dataset.shape}, "
                        f"expected {(len(labels), width)}"
                    )
                sides[side] = Hdf5Table(file.filename, f"{where}/{side}", dataset).rows(0, len(labels))
        sides.setdefault("visual", np.zeros((len(labels), 0), dtype=np.float32))
        try:
            prompts = json.loads(_texts(file, f"{where}/prompts")[0])
            cache.put_text(check_text(name, labels, sides, prompts, dims))
        except (ValueError, IndexError, TypeError, AttributeError, RecursionError, CacheError) as error:
            if isinstance(error, CacheError) and file.filename in str(error):
                raise
            raise CacheError(f"{file.filename}: text set {name!r}: {error}") from error


def _texts(file: h5py.File, name: str) -> list[str]:
    """Strings as the export wrote them, checked against their digest."""
    dataset = find_dataset(file, name)
    if dataset is None:
        raise CacheError(f"{file.filename} has no dataset {name!r}: export it again")
    found = read_strings(file, name, dataset)
    if dataset.attrs.get("blake2b") != text_digest(found):
        raise CacheError(f"{file.filename}: dataset {name!r} differs from its digest (damaged): export it again")
    return found
