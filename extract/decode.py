"""Media files to what the encoders take: the chosen frames at the encoder's size, the sound at its rate.

A file is read once to count its frames and decode its sound, then once more to decode the picture; only
the chosen frames are converted, each at once to the encoder's size, so memory does not grow with the
picture. Damaged packets are skipped; a file that lacks much of what it declares is refused, since its
events would be placed at wrong times.
"""

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
from extract.preprocess import fit_frames
from extract.sampling import FramePlan, frame_plan, sample_plan
from extract.sound import SoundTrack, read_sound
from extract.sound_windows import SoundWindows

_ENOUGH_FRAMES = 0.9


@dataclass(frozen=True)
class ClipMedia:
    """A decoded clip.

    Attributes:
        frames: uint8 (k, 3, S, S), the distinct frames that are needed, in order.
        plan: which frames of the file they are, and where each is used.
        windows: the sound of each window, as stretches of the whole: mono, at the encoder's rate.
        frame_count: n, frames in the file.
    """

    frames: Tensor
    plan: FramePlan
    windows: SoundWindows
    frame_count: int


def decode_clip(
    path: Path,
    *,
    image_size: int,
    sample_rate: int,
    frames_per_window: int = 8,
    segments: int = 10,
    segment_seconds: float = 1.0,
    sound_path: Path | None = None,
) -> ClipMedia:
    """Decode one clip.

    Args:
        path: the video file.
        image_size: S, side of the frames in pixels.
        sample_rate: rate of the sound in Hz.
        frames_per_window: F.
        segments: T.
        segment_seconds: length of a segment in seconds.
        sound_path: take the sound from this file instead of the video's own.

    Raises:
        MediaError: a file cannot be used; says why, and what would mend it.
    """
    count, wave = _read(path, sample_rate, own_sound=sound_path is None)
    if sound_path is not None:
        wave = read_sound(sound_path, sample_rate)
    assert wave is not None
    for expected in (count, None):
        _check_count(path, count, segments)
        plan = frame_plan(count, segments=segments, frames_per_window=frames_per_window)
        frames, found = _frames(path, plan.frames, image_size)
        # packets and frames need not match: some packets hold no frame of their own, or are damaged
        if found == count:
            break
        if expected is None or found < count * _ENOUGH_FRAMES:
            raise MediaError(path, f"it is damaged: {found} of {count} frames can be decoded; get it again")
        count = found
    stretches = sample_plan(int(wave.shape[0]), sample_rate, segments=segments, segment_seconds=segment_seconds)
    return ClipMedia(frames, plan, SoundWindows(wave, stretches), count)


def _read(path: Path, sample_rate: int, *, own_sound: bool) -> tuple[int, Tensor | None]:
    """Number of frames by counting packets, and the sound if it is wanted from here."""
    with opened(path) as container:
        video = _video(container, path)
        track = SoundTrack(container, path) if own_sound else None
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


def _frames(path: Path, wanted: NDArray[np.int64], size: int) -> tuple[Tensor, int]:
    """Frames of the given (sorted) numbers, fitted to the size, and how many the file has."""
    frames = torch.empty((len(wanted), 3, size, size), dtype=torch.uint8)
    number = place = 0
    reformatter = VideoReformatter()
    with opened(path) as container:
        for packet in packets(container, [_video(container, path)]):
            for frame in decode(packet) or ():
                if place < len(wanted) and number == wanted[place]:
                    frames[place] = _fitted(reformatter, frame, size)
                    place += 1
                number += 1
    return frames, number


def _fitted(reformatter: VideoReformatter, frame: av.VideoFrame, size: int) -> Tensor:
    rgb = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    return fit_frames(torch.from_numpy(rgb).permute(2, 0, 1)[None], size)[0]


def _video(container: InputContainer, path: Path) -> Any:
    stream = first_stream(container, "video")
    if stream is None:
        raise MediaError(path, "it has no picture; only videos with sound can be used")
    return stream


def _check_count(path: Path, count: int, segments: int) -> None:
    if count < segments:
        raise MediaError(path, f"it has {count} frames, at least {segments} are needed")
