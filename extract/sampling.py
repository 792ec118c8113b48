"""Which frames and which samples stand for a segment or a window (docs/design.md 5)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import windows


@dataclass(frozen=True)
class FramePlan:
    """Which frames of a clip are needed, and where each is used.

    Attributes:
        frames: int64 (k,), sorted numbers of the distinct frames.
        image: int64 (T,), position in ``frames`` of each segment's image.
        video: int64 (W, F), positions in ``frames`` of each window's frames.
    """

    frames: NDArray[np.int64]
    image: NDArray[np.int64]
    video: NDArray[np.int64]


def frame_plan(count: int, *, segments: int = 10, frames_per_window: int = 8) -> FramePlan:
    """Choose frames of a clip of ``count`` frames.

    Raises:
        ValueError: fewer frames than segments.
    """
    if count < segments:
        raise ValueError(f"{count} frames are too few for {segments} segments")
    step = count // segments
    image = np.linspace(0, count - 1, segments).astype(np.int64)
    video = np.empty((len(windows(segments)), frames_per_window), dtype=np.int64)
    for row, (start, end) in enumerate(windows(segments)):
        if row == 0:
            video[row] = np.linspace(0, count - 1, frames_per_window).astype(np.int64)
        else:
            inside = np.linspace(0, (end - start) * step - 1, frames_per_window)
            video[row] = inside.astype(np.int64) + start * step
    frames, places = np.unique(np.concatenate([image, video.ravel()]), return_inverse=True)
    places = places.astype(np.int64)
    return FramePlan(frames, places[:segments], places[segments:].reshape(video.shape))


def sample_plan(samples: int, rate: int, *, segments: int = 10, segment_seconds: float = 1.0) -> NDArray[np.int64]:
    """Choose samples of a clip's sound.

    Args:
        samples: length of the clip's waveform.
        rate: its samples a second.
        segments: T.
        segment_seconds: length of a segment in seconds.

    Returns:
        int64 (W, 2): begin and end of each window in the waveform, both cut at its end; window 0 is all of
        it. A window past the end is empty.
    """
    plan = np.array(
        [[int(edge * segment_seconds * rate) for edge in window] for window in windows(segments).tolist()],
        dtype=np.int64,
    )
    plan[0] = 0, samples
    return np.minimum(plan, samples)


def sampling_facts(segments: int, frames_per_window: int) -> dict[str, Any]:
    """The rules above, to be recorded in a cache."""
    return {
        "segment_images": f"int(linspace(0, n-1, {segments}))",
        "window_0_frames": f"int(linspace(0, n-1, {frames_per_window}))",
        "window_frames": f"int(linspace(0, (e-s)*f-1, {frames_per_window})) + s*f, f = n//{segments}",
        "window_samples": "[int(s*rate), int(e*rate)) cut at the end; window 0: all",
    }
