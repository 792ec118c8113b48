"""Caches of an older format, made anew in the present one."""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import place
from feature_cache.cache import FeatureCache
from feature_cache.errors import DAMAGE, CacheError
from feature_cache.layout import FORMAT_VERSION, OLD_VERSION, PENDING
from feature_cache.shard_rows import ShardRows
from feature_cache.storage.durable import StoreError
from feature_cache.storage.urls import local_folder, shown
from feature_cache.text import TextSet


@dataclass(frozen=True)
class Upgrade:
    """What :func:`upgrade` did.

    Attributes:
        path: the cache in the present format.
        clips: how many it has.
        left_out: clips whose rows were damaged: they are pending.
        lost_texts: label sets that were damaged, and are not there any more.
    """

    path: str
    clips: int
    left_out: tuple[str, ...]
    lost_texts: tuple[str, ...]


def upgrade(
    path: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Upgrade:
    """Make a cache of an older format one of the present format.

    Rows that are damaged are left out: they are pending, and extracted again. Until the new cache is whole the old one
    stays as it is; it takes as much room again meanwhile.

    Args:
        path: the cache.
        output: where the new one goes; None: into its place.
        overwrite: replace a cache that is at ``output``.
        progress: called with (clips written, all clips).

    Raises:
        CacheError: there is none, it is of the present format already, or it cannot be written.

    Example::

        upgrade("llp.zarr").left_out  # ()
    """
    place.put_back(path)
    old, target = FeatureCache.open(path), path if output is None else output
    if old.header.version != OLD_VERSION:
        raise CacheError(f"{shown(path)} has cache format {FORMAT_VERSION}, the present one: there is nothing to do")
    if output is None and local_folder(path) is None:
        raise CacheError(
            f"{shown(path)} is no folder, which could change its name: `output` says where the new one goes"
        )
    left_out: list[str] = []
    texts, lost = _texts(old)
    with place.whole_cache(target, overwrite=overwrite or output is None) as where:
        new = FeatureCache.begin(where, old.header.of_this_format())
        for shard in range(old.n_shards):
            rows = _rows(old, shard)
            if rows is None:
                left_out += old.clip_ids[old.shards.part(shard)]
            else:
                left_out += [clip for clip, bad in zip(rows.clip_ids, rows.bad, strict=True) if bad]
                new.shards.put(shard, rows.good)
            if progress is not None:
                progress(old.shard_rows(shard).stop, len(old))
        for text in texts:
            new.put_text(text)
        new.finish()
    return Upgrade(shown(target), len(old), tuple(left_out), lost)


@dataclass(frozen=True)
class _Copied:
    clip_ids: list[str]
    good: ShardRows
    bad: NDArray[np.bool_]


def _rows(old: FeatureCache, shard: int) -> _Copied | None:
    """A shard's rows in the present format; None where they cannot be read."""
    try:
        found = old.shards.stored(shard)
        bad = old.shards.source.differing(found)
    except StoreError:
        raise
    except (CacheError, *DAMAGE):
        return None
    state = found.state
    status = np.where(bad | (state.status > 2), PENDING, state.status).astype(np.uint8)
    arrays = {name: np.where(_like(status != PENDING, values), values, 0) for name, values in found.arrays.items()}
    kept = {name: values.astype(found.arrays[name].dtype, copy=False) for name, values in arrays.items()}
    made = ShardRows.sealed(found.clip_ids, kept, status, state.missing, state.reason)
    return _Copied(list(found.clip_ids), made, bad)


def _like(rows: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[np.bool_]:
    return rows.reshape(len(rows), *[1] * (values.ndim - 1))


def _texts(old: FeatureCache) -> tuple[list[TextSet], tuple[str, ...]]:
    found, lost = [], []
    for name in old.text_names:
        try:
            found.append(old.text(name))
        except StoreError:
            raise
        except CacheError:
            if old.kind == "probabilities":
                raise  # its labels belong to its values
            lost.append(name)
    return found, tuple(lost)
