"""The cache of a run: made anew, or gone on with if it was made in the same way."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from extract.backbones.base import Backbone, VideoBackbone
from extract.errors import ExtractError
from feature_cache import CacheError, FeatureCache

_MAY_DIFFER = {"batch_size", "device", "file", "origin", "packages"}
"""Facts that are recorded, but may differ when a run is gone on with: they change no more than rounding
(hashes tell weights apart, whatever their files are called)."""


def open_or_create(
    output: str | PathLike[str],
    *,
    clip_ids: Sequence[str],
    backbone: Backbone,
    dtype: str,
    shard_size: int,
    facts: dict[str, Any],
    overwrite: bool,
) -> FeatureCache:
    """A cache to write the clips' embeddings to.

    Raises:
        ExtractError: a cache is there that was made of other clips or in another way.
        CacheError: something else is there, or a damaged cache, or one of another version.
    """
    if not overwrite and _is_there(output):
        cache = FeatureCache.open(output, "r+")
        _compare(cache, clip_ids, backbone, dtype, facts)
        return cache
    return FeatureCache.create(
        output,
        clip_ids=clip_ids,
        backbone=backbone.name,
        visual_dim=backbone.visual_dim,
        audio_dim=backbone.audio_dim,
        frames_per_window=1 if isinstance(backbone, VideoBackbone) else backbone.frames_per_window,
        dtype=dtype,
        shard_size=shard_size,
        attributes=facts,
        overwrite=overwrite,
    )


def _is_there(output: str | PathLike[str]) -> bool:
    text = str(output)
    if "://" not in text:
        path = Path(text)
        return path.is_file() or (path.is_dir() and any(path.iterdir()))
    try:
        FeatureCache.open(output)
    except CacheError as error:
        if "is not there" in str(error):
            return False
        raise
    return True


def _compare(
    cache: FeatureCache, clip_ids: Sequence[str], backbone: Backbone, dtype: str, facts: dict[str, Any]
) -> None:
    differing = [
        f"{name} {before!r}, now {now!r}"
        for name, before, now in (
            ("backbone", cache.backbone, backbone.name),
            ("dtype", cache.dtype, dtype),
        )
        if before != now
    ]
    if not differing:
        differing += differences(cache.attributes, facts)
    gone, new = sorted(set(cache.clip_ids) - set(clip_ids)), sorted(set(clip_ids) - set(cache.clip_ids))
    for what, names in (("clips that are gone", gone), ("clips that are new", new)):
        if names:
            differing.append(f"{len(names)} {what} ({names[0]}{', …' if len(names) > 1 else ''})")
    if differing:
        raise ExtractError(
            f"{cache.path} is there, made differently ({'; '.join(differing)}): "
            "use another --output, or --overwrite to make it anew"
        )


def differences(before: Any, now: Any, path: str = "", *, only_new: bool = False) -> list[str]:
    """Leaves in which two nested facts differ, as text, but for those that may.

    Args:
        before: facts of a cache.
        now: facts of the present.
        path: where in the facts these are.
        only_new: leave out facts that are in ``before`` alone.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        found = []
        for key in now if only_new else [*before, *(key for key in now if key not in before)]:
            if key not in _MAY_DIFFER:
                below = f"{path}.{key}" if path else key
                found += differences(before.get(key), now.get(key), below, only_new=only_new)
        return found
    if before == now:
        return []
    return [f"{path} {_short(before)}, now {_short(now)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
