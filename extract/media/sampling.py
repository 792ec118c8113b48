"""Which frames and which samples stand for a segment or a window (docs/design.md 5)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import windows

ROUNDING = 0.002
"""Seconds by which containers round time stamps."""
_MOST_FRAMES = 10_000

WindowFrames = Callable[[int, float], NDArray[np.int64]]
"""Chooses frames of a window, by the number of its frames and its length in seconds: int64, F in all, any shape."""


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


def frame_plan(
    count: int,
    *,
    segments: int = 10,
    segment_seconds: float = 1.0,
    frames_per_window: int = 8,
    window_frames: WindowFrames | None = None,
    whole_only: bool = False,
) -> FramePlan:
    """Choose frames of a clip of ``count`` frames, by their number alone.

    Args:
        count: n, frames in all.
        segments: T.
        segment_seconds: length of a segment in seconds.
        frames_per_window: F.
        window_frames: chooses them; None: evenly spread.
        whole_only: window 0 and no other.

    Raises:
        ValueError: fewer frames than segments.
    """
    if count < segments:
        raise ValueError(f"{count} frames are too few for {segments} segments")
    step = count // segments
    image = np.linspace(0, count - 1, segments).astype(np.int64)
    stretches = _windows(segments, whole_only)
    video = np.empty((len(stretches), frames_per_window), dtype=np.int64)
    choose = window_frames or _evenly(frames_per_window)
    for row, (start, end) in enumerate(stretches.tolist()):
        first, inside = (0, count) if row == 0 else (start * step, (end - start) * step)
        video[row] = choose(inside, (end - start) * segment_seconds).ravel() + first
    return _plan(image, video)


def timed_frame_plan(
    times: NDArray[np.float64],
    *,
    segments: int = 10,
    segment_seconds: float = 1.0,
    frames_per_window: int = 8,
    window_frames: WindowFrames | None = None,
    whole_only: bool = False,
) -> FramePlan:
    """Choose frames of a clip by when they are presented.

    A segment's frames are those presented in it. Of them, and of those of a window, the same are chosen as by
    :func:`frame_plan`, so that both agree where the rate is constant and the clip as long as its segments. A
    segment without frames of its own has the one that is still on display. Before the first frame and after
    the last one these are repeated at the frames' usual distance.

    Args:
        times: float64 (n,), sorted, n > 0: seconds from the clip's begin; those before it are on display there.
        segments: T.
        segment_seconds: length of a segment in seconds.
        frames_per_window: F.
        window_frames: chooses them; None: evenly spread.
        whole_only: window 0 and no other.
    """
    edges = np.arange(segments + 1) * segment_seconds - ROUNDING
    first = int(np.searchsorted(times, edges[0]))
    usual = float(np.median(np.diff(times))) if len(times) > 1 else segment_seconds
    usual = min(max(usual, segments * segment_seconds / _MOST_FRAMES), segment_seconds)
    inside = times[first : int(np.searchsorted(times, edges[-1]))]
    numbers = np.arange(first, first + len(inside))
    before = after = np.empty(0)
    if first:  # one is on display when the clip begins
        before = np.array([-np.inf])
    elif len(inside):
        before = inside[0] - usual * np.arange(int((inside[0] - edges[0]) / usual), 0, -1)
    if len(inside):
        after = np.arange(inside[-1] + usual, edges[-1], usual)
    shown = np.concatenate([before, inside, after])
    held = numbers[-1] if len(numbers) else 0
    numbers = np.concatenate([np.full(len(before), max(0, first - 1)), numbers, np.full(len(after), held)])
    if not len(shown):  # all frames come later
        shown, numbers = np.array([-np.inf]), np.array([0])
    bounds = np.searchsorted(shown, edges)

    image = np.empty(segments, dtype=np.int64)
    for segment in range(segments):
        low, high = bounds[segment], bounds[segment + 1]
        count = max(1, high - low)
        place = int(np.linspace(0, segments * count - 1, segments)[segment]) - segment * count
        image[segment] = max(0, low - 1) if high == low else low + min(max(place, 0), count - 1)
    stretches = _windows(segments, whole_only)
    video = np.empty((len(stretches), frames_per_window), dtype=np.int64)
    choose = window_frames or _evenly(frames_per_window)
    for row, (start, end) in enumerate(stretches.tolist()):
        low, high = int(bounds[start]), int(bounds[end])
        if high == low:
            video[row] = max(0, low - 1)
        else:
            video[row] = choose(high - low, (end - start) * segment_seconds).ravel() + low
    return _plan(numbers[image], numbers[video])


def is_regular(times: NDArray[np.float64], segment_seconds: float = 1.0) -> bool:
    """Whether frames lie where a constant rate would put them.

    Args:
        times: float64 (n,), sorted, in seconds.
        segment_seconds: length of a segment in seconds.

    Returns:
        False if a frame is over a tenth of a segment (and one and a half frames) from its place.
    """
    if len(times) < 3:
        return True
    even = np.linspace(times[0], times[-1], len(times))
    usual = float(np.median(np.diff(times)))
    return bool(np.abs(times - even).max() <= max(0.1 * segment_seconds, 1.5 * usual))


def _evenly(frames_per_window: int) -> WindowFrames:
    return lambda frames, seconds: np.linspace(0, frames - 1, frames_per_window).astype(np.int64)


def _windows(segments: int, whole_only: bool) -> NDArray[np.int64]:
    return windows(segments)[:1] if whole_only else windows(segments)


def _plan(image: NDArray[np.int64], video: NDArray[np.int64]) -> FramePlan:
    frames, places = np.unique(np.concatenate([image, video.ravel()]), return_inverse=True)
    places = places.astype(np.int64)
    return FramePlan(frames.astype(np.int64), places[: len(image)], places[len(image) :].reshape(video.shape))


def sample_plan(
    samples: int, rate: int, *, segments: int = 10, segment_seconds: float = 1.0, whole_only: bool = False
) -> NDArray[np.int64]:
    """Choose samples of a clip's sound.

    Args:
        samples: length of the clip's waveform.
        rate: its samples a second.
        segments: T.
        segment_seconds: length of a segment in seconds.
        whole_only: window 0 and no other.

    Returns:
        int64 (W, 2): begin and end of each window in the waveform, both cut at its end; window 0 is all of
        it. A window past the end is empty.
    """
    plan = _samples(_windows(segments, whole_only), samples, rate, segment_seconds)
    plan[0] = 0, samples
    return plan


def segment_plan(samples: int, rate: int, *, segments: int = 10, segment_seconds: float = 1.0) -> NDArray[np.int64]:
    """Choose samples of each segment, as :func:`sample_plan` would for a window as long.

    Args:
        samples: length of the clip's waveform.
        rate: its samples a second.
        segments: T.
        segment_seconds: length of a segment in seconds.

    Returns:
        int64 (T, 2): begin and end of each segment in the waveform, both cut at its end. A segment past the end is
        empty.
    """
    edges = np.arange(segments)
    return _samples(np.stack([edges, edges + 1], axis=1), samples, rate, segment_seconds)


def _samples(stretches: NDArray[Any], samples: int, rate: int, segment_seconds: float) -> NDArray[np.int64]:
    """Begin and end of stretches of segments in a waveform."""
    plan = [[int(edge * segment_seconds * rate) for edge in stretch] for stretch in stretches.tolist()]
    return np.minimum(np.array(plan, dtype=np.int64), samples)


def sampling_facts(
    segments: int, frames_per_window: int, *, audio_segments: bool = False, frame_rule: str | None = None
) -> dict[str, Any]:
    """The rules above, to be recorded in a cache.

    Args:
        segments: T.
        frames_per_window: F.
        audio_segments: whether it has the sound of each segment.
        frame_rule: how a window's frames are chosen, in words; None: evenly spread.
    """
    heard = {"segment_samples": "[int(t*rate), int((t+1)*rate)) cut at the end"} if audio_segments else {}
    return {
        "segment_images": f"int(linspace(0, n-1, {segments}))",
        "window_0_frames": frame_rule or f"int(linspace(0, n-1, {frames_per_window}))",
        "window_frames": (
            f"{frame_rule or f'int(linspace(0, (e-s)*f-1, {frames_per_window}))'} + s*f, f = n//{segments}"
        ),
        "window_samples": "[int(s*rate), int(e*rate)) cut at the end; window 0: all",
        **heard,
        "timed": "the same numbers, n and f counted by time stamps, for parts of files and uneven rates",
    }
