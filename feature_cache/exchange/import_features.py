"""A cache of what was computed elsewhere: embeddings, or a detector's probabilities (docs/exchange.md)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from feature_cache import stopping
from feature_cache.cache import FeatureCache
from feature_cache.checks import check_clip_ids
from feature_cache.errors import CacheError
from feature_cache.exchange.clips import Clips
from feature_cache.exchange.hdf5_restore import is_export, restore_hdf5
from feature_cache.exchange.ids_and_labels import (
    USUAL_NAMES,
    clip_names,
    given_missing,
    label_names,
    set_name,
    text_tables,
)
from feature_cache.exchange.limits import MOST_ROWS
from feature_cache.exchange.repeated import SelectedTable, check_equal, distinct_ids
from feature_cache.exchange.sources import Sources
from feature_cache.fit import CLIP_RANKS, Fitted, check_counts, fit_embeddings, fit_probabilities, missing_bits
from feature_cache.header import Header
from feature_cache.layout import DONE, MISSING_BIT
from feature_cache.place import whole_cache
from feature_cache.pooling import pooled
from feature_cache.tables import Table
from feature_cache.text import SIDES, check_text

Progress = Callable[[int, int], None]

_EMBEDDINGS = ("image", "video", "audio", "audio_segments", "joint")
_PROBABILITIES = ("visual_probability", "audio_probability")
_ARGUMENTS = {"visual_probability": "visual_probabilities", "audio_probability": "audio_probabilities"}


def import_features(
    path: str | PathLike[str],
    files: Sequence[str | PathLike[str]] = (),
    *,
    image: str | None = None,
    video: str | None = None,
    audio: str | None = None,
    audio_segments: str | None = None,
    joint: str | None = None,
    visual_probabilities: str | None = None,
    audio_probabilities: str | None = None,
    missing: str | None = None,
    clips: str | None = None,
    labels: str | None = None,
    text_visual: str | None = None,
    text_audio: str | None = None,
    text_joint: str | None = None,
    text_name: str | None = None,
    backbone: str | None = None,
    segment_seconds: float = 1.0,
    dtype: str | None = None,
    shard_size: int = 32,
    pool: bool = False,
    segments: int | None = None,
    repeated_clips: str = "refuse",
    allow_missing: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FeatureCache:
    """Make a cache of features computed elsewhere, or again of a file that :func:`export_hdf5` wrote.

    An array is named by its name in one of the files, as a .npy file, as a folder with one .npy a clip (the stem is
    the clip's id), as a file that holds one array, or one a clip (its name is the clip's id), or as FILE:NAME, where
    NAME may be a group of arrays a clip; without an argument it is looked for in the files under its own name. Rows are
    read a shard at a time; the cache is there when it is whole.

    Args:
        path: the cache to make.
        files: HDF5, .npz or .npy files.
        image: (N, T, Dv), a vector a segment.
        video: (N, W, F, Dv) or (N, W, Dv), W all windows or 1; without it only scoring without windows is possible.
        audio: (N, W, Da), (N, T, Da) or (N, Da).
        audio_segments: (N, T, Da), where ``audio`` is given, too.
        joint: (N, W, Dj) or (N, Dj), of picture and sound at once.
        visual_probabilities: (N, T, C) in [0, 1], what a detector sees, in place of embeddings but the images'.
        audio_probabilities: (N, T, C) in [0, 1], what a detector hears.
        missing: (N,) of 0, 1 (no picture), 2 (no sound).
        clips: N texts, or a text file with one id a line, or AVE's list; needed unless arrays a clip give the ids.
        labels: C texts, or a text file with one label a line.
        text_visual: (C, Dv), the labels' text embeddings for the visual side.
        text_audio: (C, Da), the same for the sound; not needed where the visual ones serve both.
        text_joint: (C, Dj), the same for joint embeddings.
        text_name: the label set's name in the cache.
        backbone: what made the features; a known name brings its published settings.
        segment_seconds: length of a segment in seconds.
        dtype: "float16" (embeddings' default) or "float32" (probabilities').
        shard_size: rows a shard.
        pool: average the vectors of each segment where there are several, as frames (N, kT, D) and grids
            (N, T, ..., D) give them; the attribute ``pooled`` says of which arrays, and how many.
        segments: T, where ``pool`` averages; None: 10 if all arrays can be cut into 10, else the fewest rows of one.
        repeated_clips: what becomes of an id that occurs more than once: "refuse"; "first" takes the first row of
            each, if all are equal; "number" keeps all, as id, id~2, id~3.
        allow_missing: take clips without a file in a folder for clips without that modality.
        overwrite: replace a cache that is there.
        progress: called with (clips written, all clips).

    Returns:
        The cache, open to read.

    Raises:
        CacheError: something is not there, does not fit, or is damaged; the message names file, array and shape.

    Example::

        cache = import_features("ave.zarr", ["ave.h5"], clips="ids.txt", pool=True)
        print(cache.describe())
    """
    wanted = {
        "image": image, "video": video, "audio": audio, "audio_segments": audio_segments, "joint": joint,
        "visual_probability": visual_probabilities, "audio_probability": audio_probabilities,
        "missing": missing, "clips": clips, "labels": labels, "text_visual": text_visual, "text_audio": text_audio,
        "text_joint": text_joint,
    }  # fmt: skip
    with Sources(files) as sources:
        exported = sources.only_hdf5()
        if exported is not None and is_export(exported):
            more: dict[str, object] = {
                "text_name": text_name, "backbone": backbone, "dtype": dtype, "pool": pool or None,
                "segments": segments, "repeated_clips": None if repeated_clips == "refuse" else repeated_clips,
            }  # fmt: skip
            _check_alone(exported, {**wanted, **more})
            return restore_hdf5(exported, path, overwrite=overwrite, progress=progress)
        if shard_size < 1:
            raise CacheError(f"shard_size must be at least 1, got {shard_size}")
        if shard_size > MOST_ROWS:
            raise CacheError(f"shard_size must be at most {MOST_ROWS}, got {shard_size}")
        if segments is not None and (segments < 2 or not pool):
            raise CacheError(f"`segments={segments}`: it goes with `pool=True`, from 2 on")
        found = _rows(sources, wanted, repeated_clips, shard_size, allow_missing=allow_missing)
        tables, attributes = found.tables, found.attributes
        if pool:
            tables, each = pooled(tables, segments, shard_size)
            attributes |= {"pooled": each} if each else {}
        label_set = label_names(sources, labels)
        texts: dict[str, NDArray[Any]] = {}
        probabilities = any(name in tables for name in _PROBABILITIES)
        if probabilities:
            if label_set is None:
                raise CacheError('probabilities need the labels\' names: `labels="FILE"`, one a line')
            fitted = fit_probabilities(tables, found.clip_ids, len(label_set), shard_size)
        else:
            fitted = fit_embeddings(tables, found.clip_ids, shard_size)
            named = {side: wanted[f"text_{side}"] for side in SIDES}
            texts = text_tables(sources, label_set, named, fitted, needed=labels is not None)
        absent = missing_bits(fitted, found.missing, found.clip_ids)
        facts: dict[str, Any] = {
            "clip_ids": found.clip_ids,
            "segment_seconds": segment_seconds,
            "shard_size": shard_size,
            "attributes": attributes,
            "overwrite": overwrite,
        }
        name = text_name or set_name(labels)
        with whole_cache(path, overwrite=overwrite) as target, stopping.settled():
            if probabilities and label_set is not None:
                given = {"source": backbone or "probabilities", "dtype": dtype or "float32", "text_name": name, **facts}
                _write_probabilities(target, fitted, absent, label_set, given, progress)
            else:
                given = {"backbone": backbone or "imported", "dtype": dtype or "float16", **facts}
                cache = _begin_embeddings(target, fitted, given)
                if label_set is not None and texts:
                    cache.put_text(check_text(name, label_set, texts, {}, cache.header.text_dims))
                _write_embeddings(cache, fitted, absent, progress)
        return FeatureCache.open(path)


@dataclass(frozen=True)
class _Rows:
    """What files have of the clips.

    Attributes:
        clip_ids: N names, none of them twice.
        tables: by the name that the array has in a cache, N rows each.
        missing: uint8 (N,), as is given; None if nothing is.
        attributes: where it comes from, for the cache.
    """

    clip_ids: list[str]
    tables: dict[str, Table]
    missing: NDArray[np.uint8] | None
    attributes: dict[str, Any]


def _rows(
    sources: Sources, wanted: Mapping[str, str | None], repeated: str, shard_size: int, *, allow_missing: bool
) -> _Rows:
    found = {
        name: sources.table(_argument(name), wanted[name], USUAL_NAMES[name], CLIP_RANKS[name])
        for name in (*_EMBEDDINGS, *_PROBABILITIES)
    }
    arrays = {name: table for name, table in found.items() if table is not None}
    _check_kind(arrays, sources)
    rows_of, origin = clip_names(sources, wanted["clips"], arrays)
    flat = {name: table for name, table in arrays.items() if not isinstance(table, Clips)}
    check_counts(flat, rows_of, origin)
    ids, chosen = distinct_ids(rows_of, origin, repeated)
    try:
        check_clip_ids(ids)
    except CacheError as error:
        raise CacheError(f"{origin}: {error}") from error
    bits = given_missing(sources, wanted["missing"], len(rows_of))
    if len(ids) < len(rows_of):
        check_equal(flat, rows_of, shard_size)
        flat = {name: SelectedTable(table, chosen) for name, table in flat.items()}
        bits = None if bits is None else bits[chosen]
    by_row = [rows_of[row] for row in chosen]
    tables = {
        name: table.table(by_row, allow_missing=allow_missing) if isinstance(table, Clips) else flat[name]
        for name, table in arrays.items()
    }
    attributes: dict[str, Any] = {"imported": {name: _file_name(table.source) for name, table in tables.items()}}
    if ids != rows_of:
        attributes["repeated_clips"] = {"kept": repeated, "rows": len(rows_of), "ids": len(set(rows_of))}
    return _Rows(ids, tables, bits, attributes)


def _check_alone(exported: h5py.File, given: Mapping[str, object]) -> None:
    """An export needs no arguments, and takes none."""
    for name, value in given.items():
        if value is not None:
            raise CacheError(f"{exported.filename} is an export and has all of its own: leave {_argument(name)} out")


def _argument(name: str) -> str:
    return f"`{_ARGUMENTS.get(name, name)}`"


def _file_name(source: str) -> str:
    """A table's source without its folders, which are nobody's business."""
    file, colon, rest = source.partition(": ")
    return Path(file).name + colon + rest


def _check_kind(arrays: Mapping[str, object], sources: Sources) -> None:
    offers = f"; {sources.offers()}" if sources.archives else ""
    probabilities = [name for name in _PROBABILITIES if name in arrays]
    extra = [name for name in _EMBEDDINGS[1:] if name in arrays]
    if probabilities and extra:
        both = f"{_argument(probabilities[0])} and {_argument(extra[0])}"
        raise CacheError(f"{both}: a cache holds probabilities or embeddings, not both")
    if probabilities:
        return
    if "image" not in arrays:
        raise CacheError(f"no image embeddings (N, T, Dv): name them with `image`{offers}")
    if not {"audio", "audio_segments"} & set(extra):
        raise CacheError(f"no audio embeddings (N, W, Da), (N, T, Da) or (N, Da): name them with `audio`{offers}")


def _begin_embeddings(target: str | PathLike[str], fitted: Fitted, given: dict[str, Any]) -> FeatureCache:
    overwrite = given.pop("overwrite")
    return FeatureCache.begin(target, Header.of_rows(fitted.shapes, **given), overwrite=overwrite)


def _write_embeddings(
    cache: FeatureCache, fitted: Fitted, missing: NDArray[np.uint8], progress: Progress | None
) -> None:
    """Fill a cache shard by shard, so that memory does not grow with the number of clips, and finish it."""
    for shard in range(cache.n_shards):
        rows = cache.shard_rows(shard)
        bits = missing[rows.start : rows.stop]
        values = {
            name: fitted.rows(name, rows.start, rows.stop, cache.clip_ids, bits & MISSING_BIT[name] == 0, cache.dtype)
            for name in fitted.tables
        }
        cache.shards.write(shard, values, np.full(len(rows), DONE, dtype=np.uint8), None, bits)
        if progress is not None:
            progress(rows.stop, len(cache))
    cache.finish()


def _write_probabilities(
    target: str | PathLike[str],
    fitted: Fitted,
    missing: NDArray[np.uint8],
    labels: Sequence[str],
    given: dict[str, Any],
    progress: Progress | None,
) -> None:
    """Make a cache of probabilities, all at once: they are small."""
    ids, dtype = given["clip_ids"], given["dtype"]
    n = len(ids)
    values = {name: fitted.rows(name, 0, n, ids, missing & MISSING_BIT[name] == 0, dtype) for name in fitted.tables}
    FeatureCache.from_probabilities(
        target,
        labels=labels,
        visual=values.get("visual_probability"),
        audio=values.get("audio_probability"),
        image=values.get("image"),
        missing=missing,
        **given,
    )
    if progress is not None:
        progress(n, n)
