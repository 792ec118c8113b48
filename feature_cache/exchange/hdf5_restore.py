"""A cache again, from the HDF5 file that :func:`export_hdf5` wrote."""

import json
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from feature_cache import layout
from feature_cache.cache import FeatureCache
from feature_cache.checks import check_clip_ids, check_missing, check_values
from feature_cache.digests import text_digest
from feature_cache.errors import CacheError
from feature_cache.exchange.hdf5_export import HDF5_VERSION, check_rows
from feature_cache.exchange.hdf5_files import Hdf5Table, find_dataset, read_strings
from feature_cache.layout import DIGEST_BYTES, DONE, FAILED, MISSING_BIT, PENDING
from feature_cache.shapes import Shapes, embedding_shapes, kept_name, probability_shapes, window_rows
from feature_cache.storage.outputs import whole_cache
from feature_cache.tables import check_block
from feature_cache.text import write_text

Progress = Callable[[int, int], None]

_OWN = {"format", "format_version", "segments", "windows", "arrays", "dtype", "attributes"}
"""Facts that a cache is made from or states by itself; the others are handed on as they are."""


def is_export(file: h5py.File) -> bool:
    """Whether :func:`export_hdf5` wrote a file."""
    try:
        return bool(file.attrs.get("format") == layout.FORMAT)
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
        ("HDF5 export version", file.attrs.get("hdf5_version"), HDF5_VERSION),
        ("cache format", file.attrs.get("format_version"), layout.FORMAT_VERSION),
    ):
        if found != read:
            raise CacheError(f"{name} has {what} {found}, this av2a reads {read}: use the av2a that made it")
    try:
        facts = json.loads(_texts(file, "facts")[0])
        if facts["format"] != layout.FORMAT or facts["format_version"] != layout.FORMAT_VERSION:
            raise ValueError("format differs from the file's")
        shapes = _shapes(facts)
        identity = str(file.attrs["identity"])
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise CacheError(f"{name}: its facts are damaged ({type(error).__name__}: {error}): export it again") from error
    try:
        ids = check_clip_ids(_texts(file, "clip_ids"))
    except CacheError as error:
        raise CacheError(f"{name}: {error}" if name not in str(error) else str(error)) from error
    tables = _tables(file, facts["dtype"], len(ids), shapes)
    for table in tables.values():
        check_block(table, min(facts["shard_size"], len(ids)))
    with whole_cache(path, overwrite=overwrite) as place:
        cache = FeatureCache._begin(
            place,
            ids,
            facts["segments"],
            shapes,
            {key: value for key, value in facts.items() if key not in _OWN},
            facts["dtype"],
            facts["attributes"],
            overwrite,
        )
        _copy_rows(file, cache, tables, progress)
        _copy_texts(file, cache)
        if cache.identity != identity:
            raise CacheError(
                f"{name} does not give the cache that was exported (identity {cache.identity}, expected {identity}): "
                "export it again"
            )
        cache.finish()
    return FeatureCache.open(path)


def _shapes(facts: Mapping[str, Any]) -> Shapes:
    """The arrays' shapes as facts state them, refused if their kind has others."""
    stated = {name: tuple(int(size) for size in shape) for name, shape in facts["arrays"].items()}
    for name, least in (
        ("segments", 2),
        ("shard_size", 1),
        ("frames_per_window", 1),
        ("visual_dim", 0),
        ("audio_dim", 0),
    ):
        if not isinstance(facts[name], int) or isinstance(facts[name], bool) or not least <= facts[name] < 1 << 31:
            raise ValueError(f"{name} is {facts[name]!r}")
    if not isinstance(facts["backbone"], str) or facts["dtype"] not in layout.DTYPES:
        raise ValueError(f"backbone {facts['backbone']!r}, dtype {facts['dtype']!r}")
    if not isinstance(facts["segment_seconds"], int | float) or not isinstance(facts["attributes"], dict):
        raise ValueError("segment_seconds is no number, or attributes no table")
    segments = facts["segments"]
    if facts["kind"] == "embeddings":
        expected = embedding_shapes(
            segments=segments,
            visual_dim=facts["visual_dim"],
            audio_dim=facts["audio_dim"],
            frames_per_window=facts["frames_per_window"],
            windows=kept_name(window_rows(stated, "video"), segments),
            audio_windows=kept_name(window_rows(stated, "audio"), segments),
            audio_per_segment="audio_segments" in stated,
        )
    elif facts["kind"] == "probabilities":
        expected = probability_shapes(segments, stated["visual_probability"][1], facts["visual_dim"])
    else:
        raise ValueError(f"kind {facts['kind']!r}")
    if stated != expected:
        raise ValueError(f"arrays are {stated}, expected {expected}")
    return expected


def _tables(file: h5py.File, dtype: str, n: int, shapes: Shapes) -> dict[str, Hdf5Table]:
    expected: dict[str, tuple[tuple[int, ...], str]] = {name: ((n, *shape), dtype) for name, shape in shapes.items()}
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
    file: h5py.File, cache: FeatureCache, tables: Mapping[str, Hdf5Table], progress: Progress | None
) -> None:
    reasons = _texts(file, "reason")
    if len(reasons) != len(cache):
        raise CacheError(f"{file.filename}: dataset 'reason' has {len(reasons)} texts for {len(cache)} clips")
    for shard in range(cache.n_shards):
        rows = cache.shard_rows(shard)
        part = slice(rows.start, rows.stop)
        values = {name: table.rows(rows.start, rows.stop) for name, table in tables.items()}
        status = values.pop("status")
        if (status != PENDING).any() or values["digest"].any():  # else nothing was ever written there
            _check(cache, values, status, part, file.filename)
            for name, found in values.items():
                layout.array(cache._group, name)[part] = found
            layout.array(cache._group, "reason")[part] = np.stack(
                [layout.encode_reason(text) for text in reasons[part]]
            )
            layout.array(cache._group, "status")[part] = status
        if progress is not None:
            progress(rows.stop, len(cache))


def _check(
    cache: FeatureCache, values: dict[str, NDArray[Any]], status: NDArray[np.uint8], part: slice, file: str
) -> None:
    ids = cache.clip_ids[part]
    if (status > FAILED).any():
        raise CacheError(f"{file}: dataset 'status': {status.max()} is no status")
    done = np.flatnonzero(status == DONE)
    check_rows(values, status, ids, cache.arrays, f"{file}: array data", "export")
    names = [ids[row] for row in done.tolist()]
    try:
        missing = check_missing(values["missing"][done], names)
        for name in cache.arrays:
            there = missing & MISSING_BIT[name] == 0
            kept = [clip for clip, is_there in zip(names, there.tolist(), strict=True) if is_there]
            check_values(name, values[name][done][there], cache.dtype, kept)
    except CacheError as error:
        raise CacheError(f"{file}: {error}") from error


def _copy_texts(file: h5py.File, cache: FeatureCache) -> None:
    texts = (
        file.get(layout.TEXT_GROUP) if isinstance(file.get(layout.TEXT_GROUP, getlink=True), h5py.HardLink) else None
    )
    if not isinstance(texts, h5py.Group):
        return
    dims = (0, 0) if cache.kind == "probabilities" else (cache.visual_dim, cache.audio_dim)
    for name in texts:
        where = f"{layout.TEXT_GROUP}/{name}"
        labels = _texts(file, f"{where}/labels")
        sides: dict[str, NDArray[Any]] = {}
        for side, width in zip(("visual", "audio"), dims, strict=True):
            dataset = find_dataset(file, f"{where}/{side}")
            if dataset is not None:
                if dataset.shape != (len(labels), width):
                    raise CacheError(
                        f"{file.filename}: dataset {where + '/' + side!r} is {dataset.shape}, "
                        f"expected {(len(labels), width)}"
                    )
                sides[side] = Hdf5Table(file.filename, f"{where}/{side}", dataset).rows(0, len(labels))
        visual = sides.get("visual", np.zeros((len(labels), 0), dtype=np.float32))
        try:
            prompts = json.loads(_texts(file, f"{where}/prompts")[0])
            write_text(cache._group, name, labels, visual, sides.get("audio"), prompts, dims=dims, overwrite=False)
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
