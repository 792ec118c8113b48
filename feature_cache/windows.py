"""Windows: the stretches of segments that are embedded (docs/design.md 1)."""

from typing import TYPE_CHECKING

from feature_cache.errors import CacheError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def window_count(segments: int) -> int:
    """Number of windows of a clip of ``segments`` segments: 1 + T(T-1)/2.

    Example::

        window_count(10)  # 46
        window_count(2)  # 2
    """
    return 1 + segments * (segments - 1) // 2


def windows(segments: int = 10) -> "NDArray[np.int64]":
    """All windows of a clip, in the order in which they are stored.

    Args:
        segments: T, the number of segments of a clip, at least 2.

    Returns:
        int64 (1 + T(T-1)/2, 2): row 0 is the whole clip (0, T); then every [start, end) of at least
        two segments, by start, then end.

    Raises:
        CacheError: T is under 2.

    Example::

        windows(3).tolist()  # [[0, 3], [0, 2], [0, 3], [1, 3]]
        start, end = windows(10)[window_index(2, 5)]
    """
    import numpy as np  # the package is imported by the command for its errors: without NumPy that is quick

    if segments < 2:
        raise CacheError(f"a clip needs at least 2 segments, got {segments}")
    rows = [(0, segments)]
    rows += [(start, end) for start in range(segments - 1) for end in range(start + 2, segments + 1)]
    return np.array(rows, dtype=np.int64)


def window_index(start: int, end: int, segments: int = 10) -> int:
    """Row of the window [start, end) in :func:`windows`; never 0, which is the clip as it is.

    Raises:
        CacheError: no such window (under two segments long, or outside the clip).

    Example::

        row = window_index(2, 5)
        embeddings = cache.read([0]).video[0, row]
    """
    if not (start >= 0 and start + 2 <= end <= segments):
        raise CacheError(f"no window [{start}, {end}) in a clip of {segments} segments")
    before = start * (segments - 1) - start * (start - 1) // 2
    return 1 + before + end - start - 2
