"""Shapes: which arrays a cache has, and what each one holds of a row (docs/design.md 3)."""

from collections.abc import Mapping

from feature_cache.errors import CacheError
from feature_cache.windows import window_count

WINDOWS_KEPT = ("all", "whole", "none")
"""Which windows' embeddings a cache has: every one, that of the whole clip alone (window 0), or none."""

DIMENSIONS = {
    "image": ("segment", "dim"),
    "video": ("window", "frame", "dim"),
    "audio": ("window", "dim"),
    "audio_segments": ("segment", "dim"),
    "visual_probability": ("segment", "label"),
    "audio_probability": ("segment", "label"),
}

Shapes = dict[str, tuple[int, ...]]
"""By name, the shape of one row of each array, in the order in which arrays are written."""


def kept_count(kept: str, segments: int) -> int:
    """Number of windows kept of a clip of ``segments`` segments."""
    return {"all": window_count(segments), "whole": 1, "none": 0}[kept]


def kept_name(count: int, segments: int) -> str:
    """The inverse of :func:`kept_count`."""
    return "none" if count == 0 else "all" if count == window_count(segments) else "whole"


def embedding_shapes(
    *,
    segments: int,
    visual_dim: int,
    audio_dim: int,
    frames_per_window: int,
    windows: str,
    audio_windows: str,
    audio_per_segment: bool,
) -> Shapes:
    """Rows of a cache of embeddings.

    Raises:
        CacheError: no such windows, or nothing of the sound is kept.
    """
    for kept in (windows, audio_windows):
        if kept not in WINDOWS_KEPT:
            raise CacheError(f"windows {kept!r}: use one of {', '.join(WINDOWS_KEPT)}")
    if audio_windows == "none" and not audio_per_segment:
        raise CacheError("a cache needs sound: audio windows, the whole clip's audio, or audio a segment")
    found: Shapes = {"image": (segments, visual_dim)}
    if windows != "none":
        found["video"] = (kept_count(windows, segments), frames_per_window, visual_dim)
    if audio_windows != "none":
        found["audio"] = (kept_count(audio_windows, segments), audio_dim)
    if audio_per_segment:
        found["audio_segments"] = (segments, audio_dim)
    return found


def probability_shapes(segments: int, labels: int, visual_dim: int) -> Shapes:
    """Rows of a cache of probabilities; ``visual_dim`` is 0 where there are no image embeddings."""
    found: Shapes = {"visual_probability": (segments, labels), "audio_probability": (segments, labels)}
    return {"image": (segments, visual_dim), **found} if visual_dim else found


def window_rows(shapes: Mapping[str, tuple[int, ...]], name: str) -> int:
    """Number of windows that an array, "video" or "audio", has; 0 if it is not there."""
    return shapes[name][0] if name in shapes else 0
