"""What rows may hold: names, flags and values, checked before anything is written."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feature_cache import layout
from feature_cache.errors import CacheError
from feature_cache.layout import NO_PICTURE, NO_SOUND
from feature_cache.names import MOST_CHARACTERS, escaped, shortened, why_not_a_name

MOST_LOST = 0.01
"""Share of a vector's norm that storing it may cost; float16 costs normal values 0.0005 at most."""

_AT_ONCE = 32 << 20
"""Bytes of values that are looked at together: what is found out of them takes several times as much."""
MOST_SECONDS = 1e9
"""No time reaches it."""
_MOST_SIZE = 1 << 31
"""No size reaches it."""
_WIDER = 'store float32 (`dtype="float32"`)'


def check_clip_ids(clip_ids: Sequence[str]) -> list[str]:
    """The names as a list, refused if there are none, one is doubled, or one is none (:mod:`feature_cache.names`)."""
    ids = [str(clip) for clip in clip_ids]
    if not ids:
        raise CacheError("a cache needs at least one clip")
    short = all(ids) and max(map(len, ids)) <= MOST_CHARACTERS
    if short and len(set(ids)) == len(ids) and "".join(ids).isprintable():
        return ids  # what is printable may be in a name; a million are looked at one by one for a second
    seen: set[str] = set()
    for clip in ids:
        why = why_not_a_name(clip) or (None if escaped(clip) == clip else "it is not UTF-8")
        if why is not None:
            raise CacheError(f"'{escaped(shortened(clip, 100))}' is no clip id: {why}; name the clip otherwise")
        if clip in seen:
            raise CacheError(f"clip id {shortened(clip, 100)!r} occurs twice")
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
    """Refuse values that are not finite, do not fit the dtype, or are no probabilities where they must be.

    Embeddings fit a dtype if no value overflows it, and no vector (last axis) loses more than MOST_LOST of its norm
    to it: a few tiny values among normal ones do no harm, but vectors whose every value is near float16's smallest,
    6e-8, lose their direction.

    Args:
        name: the array's name in a cache.
        values: (n, ..., D).
        dtype: as stored.
        clip_ids: n names.
    """
    if dtype not in layout.DTYPES or not values.size:
        return  # the dtype is refused where the cache is made
    step = max(1, _AT_ONCE * len(values) // values.nbytes)
    for start in range(0, len(values), step):
        _check_some(name, values[start : start + step], dtype, clip_ids[start : start + step])


def _check_some(name: str, values: NDArray[Any], dtype: str, clip_ids: Sequence[str]) -> None:
    unit = name.endswith("_probability")
    what = name.replace("_", " ") if unit else f"{name} embedding"
    low, high = float(values.min()), float(values.max())
    limit = 1.0 if unit else float(np.finfo(dtype).max)
    if not (np.isfinite(low) and np.isfinite(high) and (0.0 if unit else -limit) <= low and high <= limit):
        flat = values.reshape(len(values), -1).astype(np.float64)
        worst = np.where(flat < 0, np.inf, flat).max(axis=1) if unit else np.abs(flat).max(axis=1)
        bad = int(np.flatnonzero(~(worst <= limit))[0])
        if not np.isfinite(flat[bad]).all():
            raise CacheError(f"{what} of clip {clip_ids[bad]}: a value is not finite")
        if unit:
            outside = flat[bad][(flat[bad] < 0) | (flat[bad] > 1)][0]
            raise CacheError(f"{what} of clip {clip_ids[bad]}: {outside:g} does not lie in [0, 1]")
        mend = f": {_WIDER}" if dtype == "float16" else ""
        raise CacheError(f"{what} of clip {clip_ids[bad]}: {worst[bad]:g} does not fit {dtype}{mend}")
    lost = None if unit else _lost_vector(values, dtype)
    if lost is not None:
        row, norm, share = lost
        raise CacheError(
            f"{what} of clip {clip_ids[row]}: a vector of norm {norm:.3g} is too small for {dtype}, which loses "
            f"{share:.0%} of it: {_WIDER if dtype == 'float16' else 'scale the embeddings up'}"
        )


def _lost_vector(values: NDArray[Any], dtype: str) -> tuple[int, float, float] | None:
    """The first vector of which a dtype loses more than MOST_LOST: its row, its norm, and the share that is lost."""
    if values.dtype.kind != "f" or values.dtype.itemsize <= np.dtype(dtype).itemsize:
        return None  # whole numbers are not small, and what is as narrow loses nothing
    vectors = values.reshape(-1, values.shape[-1])
    # rounding costs a value half a smallest step at most: longer vectors than these lose less than MOST_LOST
    step = float(np.finfo(dtype).smallest_subnormal)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    small = np.flatnonzero(squares <= vectors.shape[1] * (step / MOST_LOST) ** 2)
    if not len(small):
        return None
    exact = vectors[small].astype(np.float64)
    scale = np.abs(exact).max(axis=1)  # squares of tiny numbers are zero
    scale[scale == 0] = 1
    error = np.linalg.norm((exact - exact.astype(dtype)) / scale[:, None], axis=1)
    length = np.linalg.norm(exact / scale[:, None], axis=1)
    bad = np.flatnonzero(error > MOST_LOST * length)
    if not len(bad):
        return None
    first = int(bad[0])
    row = int(small[first]) // (len(vectors) // len(values))
    return row, float(length[first] * scale[first]), float(error[first] / length[first])


def as_origin(entry: Any) -> tuple[str, float, float | None] | None:
    """Where a clip was cut from: the file, the second at which it begins there, and that at which its content ends.

    Args:
        entry: a clip's value in ``clips_from``: [file, begin], or, where the clip is padded, [file, begin, end].

    Returns:
        None where it is something else.
    """
    numbers = list(entry[1:]) if isinstance(entry, list | tuple) and len(entry) in (2, 3) else []
    good = [isinstance(x, int | float) and not isinstance(x, bool) and abs(x) < MOST_SECONDS for x in numbers]
    if not numbers or not all(good) or not isinstance(entry[0], str) or numbers[0] < 0:
        return None
    return entry[0], float(numbers[0]), float(numbers[1]) if len(numbers) > 1 else None


def check_size(name: str, value: Any, least: int) -> None:
    """Refuse a size, as a header has them, that is no whole number or out of range."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise CacheError(f"{name} must be a whole number, got {short(value)}")
    if not least <= value < _MOST_SIZE:
        raise CacheError(
            f"{name} must be {f'at least {least}' if value < least else f'below {_MOST_SIZE}'}, got {short(value)}"
        )


def short(value: Any) -> str:
    """A value as Python writes it, in ASCII and in few characters, for errors."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # a number of too many digits, lists in lists
        text = type(value).__name__
    return text if len(text) <= 120 else text[:117] + "..."
