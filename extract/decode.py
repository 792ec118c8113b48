"""Media files to what the encoders take: the chosen frames at the encoder's size, the sound at its rate.

A file is read once to count its frames and decode its sound, then once more to decode the picture; only
the chosen frames are converted, each at once to what the encoder takes, so memory does not grow with the
picture. Damaged packets are skipped; a file that lacks much of what it declares is refused, since its
events would be placed at wrong times.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from torch import Tensor

from extract.errors import MediaError
from extract.media_file import Coverage, decode, first_stream, opened, packets
from extract.sampling import FramePlan, frame_plan, sample_plan
from extract.sound import SoundTrack, read_sound
from extract.sound_windows import SoundWindows

_ENOUGH_FRAMES = 0.9


@dataclass(frozen=True)
class Views:
    """What becomes of a decoded frame, at once: uint8 (1, 3, H, W) to (1, ...).

    Attributes:
        image: for the segments' images, and for windows that are seen frame by frame.
        video: for the windows of a video encoder; None: windows take ``image``.
    """

    image: Callable[[Tensor], Tensor]
    video: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class ClipMedia:
    """A decoded clip.

    Attributes:
        images: (k, ...), the image view of each distinct frame that is needed as one, in order.
        videos: (m, ...), the video view of each distinct frame of the windows; None: windows take images.
        image_index: int64 (T,), row in ``images`` of each segment's frame.
        video_index: int64 (W, F), rows in ``videos`` (or ``images``) of each window's frames.
        windows: the sound of each window, as stretches of the whole.
        frame_count: n, frames in the file.
    """

    images: Tensor
    videos: Tensor | None
    image_index: NDArray[np.int64]
    video_index: NDArray[np.int64]
    windows: SoundWindows
    frame_count: int


def decode_clip(
    path: Path,
    *,
    views: Views,
    sample_rate: int | None,
    frames_per_window: int = 8,
    segments: int = 10,
    segment_seconds: float = 1.0,
    sound_path: Path | None = None,
) -> ClipMedia:
    """Decode one clip.

    Args:
        path: the video file.
        views: what becomes of its frames.
        sample_rate: rate in Hz of mono sound; None: rate and channels as they are.
        frames_per_window: F.
        segments: T.
        segment_seconds: length of a segment in seconds.
        sound_path: take the sound from this file instead of the video's own.

    Raises:
        MediaError: a file cannot be used; says why, and what would mend it.
    """
    count, sound = _read(path, sample_rate, own_sound=sound_path is None)
    if sound_path is not None:
        sound = read_sound(sound_path, sample_rate)
    assert sound is not None
    wave, rate = sound
    for expected in (count, None):
        _check_count(path, count, segments)
        plan = frame_plan(count, segments=segments, frames_per_window=frames_per_window)
        chosen = _Chosen(plan, views)
        found = _frames(path, chosen)
        # packets and frames need not match: some packets hold no frame of their own, or are damaged
        if found == count:
            break
        if expected is None or found < count * _ENOUGH_FRAMES:
            raise MediaError(path, f"it is damaged: {found} of {count} frames can be decoded; get it again")
        count = found
    stretches = sample_plan(int(wave.shape[-1]), rate, segments=segments, segment_seconds=segment_seconds)
    return ClipMedia(
        chosen.images.stacked(),
        None if chosen.videos is None else chosen.videos.stacked(),
        chosen.image_index,
        chosen.video_index,
        SoundWindows(wave, stretches, rate),
        count,
    )


class _Chosen:
    """The frames of a plan, each viewed as it comes."""

    def __init__(self, plan: FramePlan, views: Views) -> None:
        self.wanted = plan.frames
        every = np.arange(len(plan.frames))
        seen = every if views.video is None else np.unique(plan.image)
        self.images = _Rows(views.image, seen)
        self.image_index = np.searchsorted(seen, plan.image)
        if views.video is None:
            self.videos, self.video_index = None, plan.video
        else:
            moving = np.unique(plan.video)
            self.videos = _Rows(views.video, moving)
            self.video_index = np.searchsorted(moving, plan.video)

    def take(self, place: int, frame: Tensor) -> None:
        """The frame at a place of the plan's."""
        self.images.take(place, frame)
        if self.videos is not None:
            self.videos.take(place, frame)


class _Rows:
    """One view of the chosen frames at some places, in one tensor."""

    def __init__(self, view: Callable[[Tensor], Tensor], places: NDArray[np.int64]) -> None:
        self._view, self._row = view, {int(place): row for row, place in enumerate(places)}
        self._rows: Tensor | None = None

    def take(self, place: int, frame: Tensor) -> None:
        row = self._row.get(place)
        if row is None:
            return
        viewed = self._view(frame)[0]
        if self._rows is None:
            self._rows = viewed.new_zeros((len(self._row), *viewed.shape))
        self._rows[row] = viewed

    def stacked(self) -> Tensor:
        assert self._rows is not None
        return self._rows


def _read(path: Path, sample_rate: int | None, *, own_sound: bool) -> tuple[int, tuple[Tensor, int] | None]:
    """Number of frames by counting packets, and the sound and its rate if it is wanted from here."""
    with opened(path) as container:
        video = _video(container, path)
        track = SoundTrack(container, path, mono=sample_rate is not None) if own_sound else None
        coverage = Coverage(container)
        count = 0
        for packet in packets(container):
            coverage.add(packet)
            if packet.stream_index == video.index:
                count += bool(packet.size) and not packet.is_discard
            elif track is not None and packet.stream_index == track.stream.index:
                track.take(packet)
        coverage.check(path, [video, track.stream] if track else [video])
    return count, None if track is None else track.wave(sample_rate)


def _frames(path: Path, chosen: _Chosen) -> int:
    """Decode the file, hand over the frames that are wanted; how many frames it has."""
    number = place = 0
    reformatter = VideoReformatter()
    with opened(path) as container:
        for packet in packets(container, [_video(container, path)]):
            for frame in decode(packet) or ():
                if place < len(chosen.wanted) and number == chosen.wanted[place]:
                    chosen.take(place, _rgb(reformatter, frame))
                    place += 1
                number += 1
    return number


def _rgb(reformatter: VideoReformatter, frame: av.VideoFrame) -> Tensor:
    """uint8 (1, 3, H, W)."""
    rgb = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    return torch.from_numpy(rgb).permute(2, 0, 1)[None]


def _video(container: InputContainer, path: Path) -> Any:
    stream = first_stream(container, "video")
    if stream is None:
        raise MediaError(path, "it has no picture; only videos with sound can be used")
    return stream


def _check_count(path: Path, count: int, segments: int) -> None:
    if count < segments:
        raise MediaError(path, f"it has {count} frames, at least {segments} are needed")
