"""Names, versions, codes and shapes of what a cache holds on disk (docs/design.md 3). Needs NumPy alone."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from feature_cache.errors import CacheError
from feature_cache.names import escaped
from feature_cache.windows import window_count

FORMAT = "av2a-features"
FORMAT_VERSION = 3
OLD_VERSION = 2
"""Read, and not written."""

PENDING, DONE, FAILED = 0, 1, 2
STATUS_NAMES = ("pending", "done", "failed")

NO_PICTURE, NO_SOUND = 1, 2
"""Bits of ``missing``: what a clip that is done does not have."""
MISSING_NAMES = {NO_PICTURE: "picture", NO_SOUND: "sound"}

REASON_BYTES = 512
"""Room for a failed row's reason, UTF-8, zero padded."""

DIGEST_BYTES = 16

FEATURE_ARRAYS = ("image", "video", "audio", "audio_segments", "joint", "visual_probability", "audio_probability")
"""Arrays that a cache may have, in the order in which they are written; ``FeatureCache.arrays`` names those it has."""
MISSING_BIT = {
    "image": NO_PICTURE,
    "video": NO_PICTURE,
    "visual_probability": NO_PICTURE,
    "audio": NO_SOUND,
    "audio_segments": NO_SOUND,
    "joint": NO_PICTURE | NO_SOUND,
    "audio_probability": NO_SOUND,
}
"""The bits of ``missing`` under any of which an array's row is zeros."""
TEXT_GROUP = "text"
UNFINISHED = "unfinished"
"""Attribute of a group that is being made."""
ATTRIBUTE_DIGEST = "seal"
"""Attribute with a digest of all the others."""
DTYPES = ("float16", "float32")
KINDS = ("embeddings", "probabilities")

ROWS = "rows"
"""The array with what is kept of each row beside its embeddings; it is always written last."""
BESIDE = (("status", 1), ("missing", 1), ("digest", DIGEST_BYTES), ("reason", REASON_BYTES))
"""Its columns, in order, with their bytes."""
ROW_BYTES = 2 + DIGEST_BYTES + REASON_BYTES

WINDOWS_KEPT = ("all", "whole", "none")
"""Which windows' embeddings a cache has: every one, that of the whole clip alone (window 0), or none."""

DIMENSIONS = {
    "image": ("segment", "dim"),
    "video": ("window", "frame", "dim"),
    "audio": ("window", "dim"),
    "audio_segments": ("segment", "dim"),
    "joint": ("window", "dim"),
    "visual_probability": ("segment", "label"),
    "audio_probability": ("segment", "label"),
}

Shapes = dict[str, tuple[int, ...]]
"""By name, the shape of one row of each array, in the order in which arrays are written."""


def kept_name(count: int, segments: int) -> str:
    """Which windows are kept where there are ``count``: "all", "whole" (window 0) or "none"."""
    return "none" if count == 0 else "all" if count == window_count(segments) else "whole"


def possible_rows(
    segments: int,
    *,
    visual_dim: int = 0,
    audio_dim: int = 0,
    frames_per_window: int = 1,
    joint_dim: int = 0,
    labels: int = 0,
) -> dict[str, tuple[tuple[int, ...], ...]]:
    """The shapes that a row of each array may have, by name: how arrays of a cache fit each other.

    "video", "audio" and "joint" may have every window, or window 0 alone, in the order of :data:`WINDOWS_KEPT`.
    """
    every = window_count(segments)
    unit = ((segments, labels),)
    return {
        "image": ((segments, visual_dim),),
        "video": tuple((rows, frames_per_window, visual_dim) for rows in (every, 1)),
        "audio": tuple((rows, audio_dim) for rows in (every, 1)),
        "audio_segments": ((segments, audio_dim),),
        "joint": tuple((rows, joint_dim) for rows in (every, 1)),
        "visual_probability": unit,
        "audio_probability": unit,
    }


def embedding_shapes(
    *,
    segments: int,
    visual_dim: int,
    audio_dim: int,
    frames_per_window: int,
    windows: str,
    audio_windows: str,
    audio_per_segment: bool,
    joint_dim: int = 0,
    joint_windows: str = "none",
) -> Shapes:
    """Rows of a cache of embeddings; ``joint_dim`` is 0 where there are no joint embeddings.

    Raises:
        CacheError: no such windows, nothing of the sound is kept, or joint embeddings are of no window.
    """
    for kept in (windows, audio_windows, joint_windows):
        if kept not in WINDOWS_KEPT:
            raise CacheError(f"windows {kept!r}: use one of {', '.join(WINDOWS_KEPT)}")
    if audio_windows == "none" and not audio_per_segment:
        raise CacheError("a cache needs sound: audio windows, the whole clip's audio, or audio a segment")
    if joint_dim and joint_windows == "none":
        raise CacheError(f"joint_dim {joint_dim}: joint embeddings are of windows, and none are kept")
    possible = possible_rows(
        segments, visual_dim=visual_dim, audio_dim=audio_dim, frames_per_window=frames_per_window, joint_dim=joint_dim
    )
    found = {"image": possible["image"][0]}
    for name, kept in (("video", windows), ("audio", audio_windows)):
        if kept != "none":
            found[name] = possible[name][WINDOWS_KEPT.index(kept)]
    if audio_per_segment:
        found["audio_segments"] = possible["audio_segments"][0]
    if joint_dim:
        found["joint"] = possible["joint"][WINDOWS_KEPT.index(joint_windows)]
    return found


def probability_shapes(segments: int, labels: int, visual_dim: int) -> Shapes:
    """Rows of a cache of probabilities; ``visual_dim`` is 0 where there are no image embeddings."""
    possible = possible_rows(segments, visual_dim=visual_dim, labels=labels)
    names = ("image", "visual_probability", "audio_probability") if visual_dim else tuple(possible)[-2:]
    return {name: possible[name][0] for name in names}


def window_rows(shapes: Mapping[str, tuple[int, ...]], name: str) -> int:
    """Number of windows that an array, "video", "audio" or "joint", has; 0 if it is not there."""
    return shapes[name][0] if name in shapes else 0


def encode_reason(reason: str) -> NDArray[np.uint8]:
    """One line of UTF-8 in a fixed number of bytes, cut at a whole character."""
    raw = escaped(" ".join(reason.split())).encode()[:REASON_BYTES]
    raw = raw.decode(errors="ignore").encode()
    return np.frombuffer(raw.ljust(REASON_BYTES, b"\0"), dtype=np.uint8)


def decode_reason(raw: NDArray[np.uint8]) -> str:
    """The inverse of :func:`encode_reason`; whoever wrote it, it can be shown."""
    return escaped(raw.tobytes().rstrip(b"\0").decode(errors="replace"))
