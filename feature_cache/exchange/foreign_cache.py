"""Fitted tables written as a cache."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.cache import FeatureCache
from feature_cache.fit import Fitted
from feature_cache.layout import DONE, MISSING_BIT
from feature_cache.shapes import kept_name

Progress = Callable[[int, int], None]


def create_embeddings(
    place: str | PathLike[str], fitted: Fitted, backbone: str, dtype: str, common: Mapping[str, Any]
) -> FeatureCache:
    """An empty cache for embeddings of these shapes, unfinished until they are written.

    Args:
        place: where to make it.
        fitted: the tables.
        backbone: name of what made them.
        dtype: "float16" or "float32", as stored.
        common: what else :meth:`FeatureCache.create` needs.
    """
    shapes = fitted.shapes
    kept = {name: kept_name(shapes[name][0] if name in shapes else 0, fitted.segments) for name in ("video", "audio")}
    return FeatureCache.create(
        place,
        backbone=backbone,
        visual_dim=shapes["image"][1],
        audio_dim=shapes["audio" if "audio" in shapes else "audio_segments"][1],
        frames_per_window=shapes["video"][1] if "video" in shapes else 1,
        segments=fitted.segments,
        dtype=dtype,
        windows=kept["video"],
        audio_windows=kept["audio"],
        audio_per_segment="audio_segments" in shapes,
        finished=False,
        **common,
    )


def write_embeddings(
    cache: FeatureCache, fitted: Fitted, missing: NDArray[np.uint8], progress: Progress | None
) -> None:
    """Fill a cache shard by shard, so that memory does not grow with the number of clips, and finish it.

    Args:
        cache: a cache of :func:`create_embeddings`.
        fitted: the tables.
        missing: uint8 (N,), 0, NO_PICTURE or NO_SOUND.
        progress: called with (clips written, all clips).

    Raises:
        CacheError: rows cannot be read, or hold values that a cache may not.
    """
    for shard in range(cache.n_shards):
        rows = cache.shard_rows(shard)
        bits = missing[rows.start : rows.stop]
        values = {
            name: fitted.rows(name, rows.start, rows.stop, cache.clip_ids, bits & MISSING_BIT[name] == 0, cache.dtype)
            for name in fitted.tables
        }
        cache.write_shard(
            shard,
            values["image"],
            values.get("video"),
            values.get("audio"),
            np.full(len(rows), DONE, dtype=np.uint8),
            missing=bits,
            audio_segments=values.get("audio_segments"),
        )
        if progress is not None:
            progress(rows.stop, len(cache))
    cache.finish()


def write_probabilities(
    place: str | PathLike[str],
    fitted: Fitted,
    missing: NDArray[np.uint8],
    ids: Sequence[str],
    labels: Sequence[str],
    text_name: str,
    source: str | None,
    dtype: str,
    common: Mapping[str, Any],
    progress: Progress | None,
) -> None:
    """Make a cache of probabilities, all at once: they are small.

    Args:
        place: where to make it.
        fitted: the tables.
        missing: uint8 (N,), 0, NO_PICTURE or NO_SOUND.
        ids: N clip ids.
        labels: C class names.
        text_name: the label set's name.
        source: name of the detector.
        dtype: "float16" or "float32", as stored.
        common: what else :meth:`FeatureCache.from_probabilities` needs.
        progress: called with (clips written, all clips).

    Raises:
        CacheError: rows cannot be read, or values do not lie in [0, 1].
    """
    n = len(ids)
    values = {name: fitted.rows(name, 0, n, ids, missing & MISSING_BIT[name] == 0, dtype) for name in fitted.tables}
    FeatureCache.from_probabilities(
        place,
        labels=labels,
        visual=values.get("visual_probability"),
        audio=values.get("audio_probability"),
        image=values.get("image"),
        missing=missing,
        source=source or "probabilities",
        text_name=text_name,
        dtype=dtype,
        **common,
    )
    if progress is not None:
        progress(n, n)
