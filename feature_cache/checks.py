"""What rows may hold: names, flags and values, checked before anything is written."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feature_cache import layout
from feature_cache.errors import CacheError
from feature_cache.layout import NO_PICTURE, NO_SOUND


def check_clip_ids(clip_ids: Sequence[str]) -> list[str]:
    """The names as a list, refused if there are none, or one is empty, doubled or not printable."""
    ids = [str(clip) for clip in clip_ids]
    if not ids:
        raise CacheError("a cache needs at least one clip")
    seen: set[str] = set()
    for clip in ids:
        if not clip or not clip.isprintable():
            raise CacheError(f"{clip!r} is no clip id: ids are printable, non-empty text")
        if clip in seen:
            raise CacheError(f"clip id {clip!r} occurs twice")
        seen.add(clip)
    return ids


def check_missing(missing: ArrayLike | None, clip_ids: Sequence[str]) -> NDArray[np.uint8]:
    """What each clip does not have, uint8 (n,); refused if one has neither picture nor sound."""
    n = len(clip_ids)
    if missing is None:
        return np.zeros(n, dtype=np.uint8)
    found = np.asarray(missing)
    both = NO_PICTURE | NO_SOUND
    if found.shape != (n,) or not np.isin(found, (0, NO_PICTURE, NO_SOUND, both)).all():
        raise CacheError(f"missing needs {n} values of 0, {NO_PICTURE} (no picture) or {NO_SOUND} (no sound)")
    for row in np.flatnonzero(found == both).tolist():
        raise CacheError(f"clip {clip_ids[row]} has neither picture nor sound: its row is a failed one")
    return found.astype(np.uint8)


def check_values(name: str, values: NDArray[Any], dtype: str, clip_ids: Sequence[str]) -> None:
    """Refuse values of n rows that are not finite, do not fit the dtype, or are no probabilities where they must be."""
    if dtype not in layout.DTYPES or not values.size:
        return  # the dtype is refused where the cache is made
    unit = name.endswith("_probability")
    what = name.replace("_", " ") if unit else f"{name} embedding"
    low, high = float(values.min()), float(values.max())
    limit = 1.0 if unit else float(np.finfo(dtype).max)
    if np.isfinite(low) and np.isfinite(high) and (0.0 if unit else -limit) <= low and high <= limit:
        return
    flat = values.reshape(len(values), -1).astype(np.float64)
    worst = np.where(flat < 0, np.inf, flat).max(axis=1) if unit else np.abs(flat).max(axis=1)
    bad = int(np.flatnonzero(~(worst <= limit))[0])
    if not np.isfinite(flat[bad]).all():
        raise CacheError(f"{what} of clip {clip_ids[bad]}: a value is not finite")
    if unit:
        outside = flat[bad][(flat[bad] < 0) | (flat[bad] > 1)][0]
        raise CacheError(f"{what} of clip {clip_ids[bad]}: {outside:g} does not lie in [0, 1]")
    mend = ": store float32" if dtype == "float16" else ""
    raise CacheError(f"{what} of clip {clip_ids[bad]}: {worst[bad]:g} does not fit {dtype}{mend}")
