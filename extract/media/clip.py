"""Media files to what the encoders take: the chosen frames at the encoder's size, the sound at its rate.

A file that is one clip is read once: its frames are counted and its sound is decoded, then its picture; of a
longer file only a clip's own part is read. Damaged packets are skipped; a file that lacks much of what it
declares is refused, since its events would be placed at wrong times. A side that a clip does not have is left
out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray
from torch import Tensor

from extract.errors import MediaError
from extract.media.audio import LONGEST, Sound, SoundTrack, read_part, read_sound
from extract.media.audio_windows import SoundWindows
from extract.media.clock import packet_time
from extract.media.completeness import Coverage
from extract.media.container import Packets, clock_of, first_stream, opened, stream_of
from extract.media.frames import (
    Chosen,
    FrameTimes,
    Views,
    damaged,
    decode_all,
    decode_part,
    picture_packets,
    times_of_part,
)
from extract.media.limits import TimeLimit
from extract.media.sampling import (
    ROUNDING,
    WindowFrames,
    frame_plan,
    is_regular,
    sample_plan,
    segment_plan,
    timed_frame_plan,
)
from extract.media.timeline import timeline_of

__all__ = ["ClipMedia", "Views", "decode_clip"]

_SAME_TIME = 0.05
"""Seconds by which streams may be apart without a picture or a sound being moved: encoders' delays."""
_MOST_KEPT = 32 << 20
"""Bytes of a picture's packets that are kept until its frames are counted; of more, the file is read again."""


@dataclass(frozen=True)
class ClipMedia:
    """A decoded clip.

    Attributes:
        images: (k, ...), the image view of each distinct frame that is needed as one, in order; None: the
            clip has no picture.
        videos: (m, ...), the video view of each distinct frame of the windows; None: windows take images.
        image_index: int64 (T,), row in ``images`` of each segment's frame.
        video_index: int64 (W, F), rows in ``videos`` (or ``images``) of each window's frames.
        windows: the sound of each window, as stretches of the whole; None: the clip has no sound.
        frame_count: n, frames in the clip.
        segments: the sound of each segment, likewise.
    """

    images: Tensor | None
    videos: Tensor | None
    image_index: NDArray[np.int64]
    video_index: NDArray[np.int64]
    windows: SoundWindows | None
    frame_count: int
    segments: SoundWindows | None = None


def decode_clip(
    path: Path,
    *,
    views: Views,
    sample_rate: int | None,
    frames_per_window: int = 8,
    window_frames: WindowFrames | None = None,
    segments: int = 10,
    segment_seconds: float = 1.0,
    sound_path: Path | None = None,
    begin: float | None = None,
    whole_only: bool = False,
    sound_only: bool = False,
    timeout: float | None = None,
) -> ClipMedia:
    """Decode one clip.

    Args:
        path: the video (or sound) file.
        views: what becomes of its frames.
        sample_rate: rate in Hz of mono sound; None: rate and channels as they are.
        frames_per_window: F.
        window_frames: chooses them; None: evenly spread.
        segments: T.
        segment_seconds: length of a segment in seconds.
        sound_path: take the sound from this file instead of the video's own.
        begin: the clip is T segments from this second of the file on, chosen by time stamps; None: it is the
            whole file, chosen by counting frames (docs/design.md 5).
        whole_only: prepare window 0 (and the segments' images) alone.
        sound_only: decode no picture; the sound is the same.
        timeout: seconds that this may take; None: as long as it takes.

    Raises:
        MediaError: a file cannot be used; says why, and what would mend it.
    """
    clip = _Clip(
        path, sound_path, views, sample_rate, frames_per_window, window_frames, segments, segment_seconds, whole_only,
        sound_only, TimeLimit(path, timeout),
    )  # fmt: skip
    return clip.whole() if begin is None else clip.part(begin)


@dataclass(frozen=True)
class _Clip:
    path: Path
    sound_path: Path | None
    views: Views
    sample_rate: int | None
    frames_per_window: int
    window_frames: WindowFrames | None
    segments: int
    segment_seconds: float
    whole_only: bool
    sound_only: bool
    limit: TimeLimit

    @property
    def _longest(self) -> float:
        return max(LONGEST, 2 * self.segments * self.segment_seconds)

    def whole(self) -> ClipMedia:
        """The whole file as one clip."""
        shifts = timeline_of(self.path, self.limit).shifts
        with opened(self.path, self.limit) as container:
            return self._whole(container, shifts)

    def _whole(self, container: InputContainer, shifts: tuple[float, ...]) -> ClipMedia:
        times, track, picture = self._read(container, shifts)
        sound: Sound | None
        starts = [float(times.seconds[0])] if len(times) else []
        if track is not None and track.begin is not None:
            starts.append(track.begin)
        start = min(starts, default=0.0)
        if self.sound_path is not None:
            sound = read_sound(self.sound_path, self.sample_rate, self.limit, self._longest)
        else:
            sound = None if track is None else track.whole(self.sample_rate, start)
        if not len(times) or self.sound_only:
            return self._media(None, sound, 0)
        if times.end - start > self._longest:
            raise MediaError(
                self.path, f"its picture goes on for {times.end - start:.0f} s, far longer than the clip; cut it"
            )
        if not self._by_number(times, start):
            return self._media(self._timed(times, start, shifts), sound, len(times))
        chosen, count = self._counted(times, picture, start, shifts)
        return self._media(chosen, sound, count)

    def _by_number(self, times: FrameTimes, start: float) -> bool:
        """Whether a whole file's frames may be chosen by their number: enough, at a constant rate, from the start."""
        late = times.seconds[0] - start
        return len(times) >= self.segments and late <= _SAME_TIME and is_regular(times.seconds, self.segment_seconds)

    def part(self, begin: float) -> ClipMedia:
        """A part of the file."""
        seconds = self.segments * self.segment_seconds
        timeline = timeline_of(self.path, self.limit)
        first, last = timeline.start + begin, timeline.start + begin + seconds
        if begin and timeline.end <= first:
            raise MediaError(
                self.path, f"it is cut off: it ends at {timeline.seconds:.1f} s, before second {begin:g}; get it again"
            )
        times = FrameTimes()
        if not self.sound_only:
            times = times_of_part(self.path, first, last, self.limit, timeline.shifts)
        if self.sound_path is None:
            sound = read_part(self.path, self.sample_rate, first, seconds, self.limit)
        else:
            sound = read_part(self.sound_path, self.sample_rate, begin, seconds, self.limit)
        if self.sound_only:
            return self._media(None, sound, 0)
        shown = times.seconds
        count = int(((shown >= first - ROUNDING) & (shown < last - ROUNDING)).sum())
        held = len(shown) and shown[0] < first and (shown[-1] >= last - ROUNDING or times.end > first)
        return self._media(self._timed(times, first, timeline.shifts) if count or held else None, sound, count)

    def _read(
        self, container: InputContainer, shifts: tuple[float, ...]
    ) -> tuple[FrameTimes, SoundTrack | None, list[Any] | None]:
        """When the frames of the file are, by its packets; its sound if wanted from here; the picture's packets.

        These last are not kept of a file with very many bytes.
        """
        times = FrameTimes()
        video = first_stream(container, "video", self.path)
        audio = None if self.sound_path is not None else first_stream(container, "audio", self.path)
        track = (
            None
            if audio is None
            else SoundTrack(audio, self.path, mono=self.sample_rate is not None, longest=self._longest)
        )
        shown, heard = (-1 if stream is None else stream.index for stream in (video, audio))
        coverage = Coverage(container)
        picture: list[Any] | None = []
        size = 0
        packets = Packets(container, limit=self.limit, clock=clock_of(container, self.path, shifts))
        for packet in packets:
            coverage.add(packet, packet_time(packet))
            index = stream_of(packet)
            if index == shown:
                times.add(packet)
                size += packet.size
                if picture is not None and size <= _MOST_KEPT:
                    picture.append(packet)
                else:
                    picture = None
            elif track is not None and index == heard:
                track.take(packet)
        coverage.check(self.path, [stream for stream in (video, audio) if stream is not None], packets.failure)
        return times, track, picture

    def _counted(
        self, times: FrameTimes, picture: list[Any] | None, start: float, shifts: tuple[float, ...]
    ) -> tuple[Chosen, int]:
        """Frames by their number, and how many there are: as many as packets, or as come out."""
        count = len(times)
        for again in (False, True):
            plan = frame_plan(
                count,
                segments=self.segments,
                segment_seconds=self.segment_seconds,
                frames_per_window=self.frames_per_window,
                window_frames=self.window_frames,
                whole_only=self.whole_only,
            )
            chosen = Chosen(plan, self.views)
            kept = picture_packets(self.path, self.limit, shifts) if again or picture is None else picture
            shown = decode_all(kept, self.path, chosen, self.limit)
            if not again:
                times.check(shown, self.path)
            if len(shown) == count:
                return chosen, count
            there = times.out_of(shown)
            if len(shown) < self.segments or not self._by_number(there, start):
                return self._timed(there, start, shifts), len(shown)
            before, count = count, len(shown)
        raise damaged(self.path, count, before)

    def _timed(self, times: FrameTimes, begin: float, shifts: tuple[float, ...]) -> Chosen:
        """Frames by their times."""
        plan = timed_frame_plan(
            times.seconds - begin,
            segments=self.segments,
            segment_seconds=self.segment_seconds,
            frames_per_window=self.frames_per_window,
            window_frames=self.window_frames,
            whole_only=self.whole_only,
        )
        chosen = Chosen(plan, self.views)
        decode_part(self.path, chosen, times, begin, self.limit, shifts)
        return chosen

    def _media(self, chosen: Chosen | None, sound: Sound | None, count: int) -> ClipMedia:
        windows = segments = None
        if sound is not None:
            wave, rate = sound
            samples, seconds = int(wave.shape[-1]), self.segment_seconds
            stretches = sample_plan(
                samples, rate, segments=self.segments, segment_seconds=seconds, whole_only=self.whole_only
            )
            windows = SoundWindows(wave, stretches, rate)
            each = segment_plan(samples, rate, segments=self.segments, segment_seconds=seconds)
            segments = SoundWindows(wave, each, rate, seconds)
        if chosen is not None:
            frames = chosen.images, chosen.videos, chosen.image_index, chosen.video_index
            return ClipMedia(*frames, windows, count, segments)
        if windows is None:
            lacks = "no sound" if self.sound_only else "neither picture nor sound"
            raise MediaError(self.path, f"it has {lacks}; get it again")
        none = np.zeros((len(windows), self.frames_per_window), dtype=np.int64)
        return ClipMedia(None, None, np.zeros(self.segments, dtype=np.int64), none, windows, 0, segments)
