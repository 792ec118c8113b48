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
from extract.limits import TimeLimit
from extract.media_file import (
    Coverage,
    declared_seconds,
    first_stream,
    opened,
    packets,
    start_time,
    stream_of,
    track_seconds,
)
from extract.pictures import (
    Chosen,
    FrameTimes,
    Views,
    damaged,
    decode_all,
    decode_part,
    enough,
    picture_packets,
    times_of_part,
)
from extract.sampling import ROUNDING, frame_plan, is_regular, sample_plan, timed_frame_plan
from extract.sound import LONGEST, Sound, SoundTrack, read_part, read_sound
from extract.sound_windows import SoundWindows

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
    """

    images: Tensor | None
    videos: Tensor | None
    image_index: NDArray[np.int64]
    video_index: NDArray[np.int64]
    windows: SoundWindows | None
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
    begin: float | None = None,
    whole_only: bool = False,
    timeout: float | None = None,
) -> ClipMedia:
    """Decode one clip.

    Args:
        path: the video (or sound) file.
        views: what becomes of its frames.
        sample_rate: rate in Hz of mono sound; None: rate and channels as they are.
        frames_per_window: F.
        segments: T.
        segment_seconds: length of a segment in seconds.
        sound_path: take the sound from this file instead of the video's own.
        begin: the clip is T segments from this second of the file on, chosen by time stamps; None: it is the
            whole file, chosen by counting frames (docs/design.md 5).
        whole_only: prepare window 0 (and the segments' images) alone.
        timeout: seconds that this may take; None: as long as it takes.

    Raises:
        MediaError: a file cannot be used; says why, and what would mend it.
    """
    clip = _Clip(
        path, sound_path, views, sample_rate, frames_per_window, segments, segment_seconds, whole_only,
        TimeLimit(path, timeout),
    )  # fmt: skip
    return clip.whole() if begin is None else clip.part(begin)


@dataclass(frozen=True)
class _Clip:
    path: Path
    sound_path: Path | None
    views: Views
    sample_rate: int | None
    frames_per_window: int
    segments: int
    segment_seconds: float
    whole_only: bool
    limit: TimeLimit

    @property
    def _longest(self) -> float:
        return max(LONGEST, 2 * self.segments * self.segment_seconds)

    def whole(self) -> ClipMedia:
        """The whole file as one clip."""
        with opened(self.path, self.limit) as container:
            return self._whole(container)

    def _whole(self, container: InputContainer) -> ClipMedia:
        times, track, picture = self._read(container)
        sound: Sound | None
        starts = [float(times.seconds[0])] if len(times) else []
        if track is not None and track.begin is not None:
            starts.append(track.begin)
        start = min(starts, default=0.0)
        if self.sound_path is not None:
            sound = read_sound(self.sound_path, self.sample_rate, self.limit, self._longest)
        else:
            sound = None if track is None else track.whole(self.sample_rate, start)
        if not len(times):
            return self._media(None, sound, 0)
        if times.end - start > self._longest:
            raise MediaError(
                self.path, f"its picture goes on for {times.end - start:.0f} s, far longer than the clip; cut it"
            )
        late = times.seconds[0] - start
        few = len(times) < self.segments
        if few or late > _SAME_TIME or not is_regular(times.seconds, self.segment_seconds):
            return self._media(self._timed(times, start), sound, len(times))
        chosen, count = self._counted(len(times), picture)
        return self._media(chosen, sound, count)

    def part(self, begin: float) -> ClipMedia:
        """A part of the file."""
        seconds = self.segments * self.segment_seconds
        with opened(self.path, self.limit) as container:
            kinds = ("video", "audio") if self.sound_path is None else ("video",)
            streams = [first_stream(container, kind, self.path) for kind in kinds]
            start = start_time(container, [stream for stream in streams if stream is not None])
            declared = declared_seconds(container)
            all_declare = all(stream is None or track_seconds(stream) for stream in streams)
        first, last = start + begin, start + begin + seconds
        times = times_of_part(self.path, first, last, self.limit)
        end = times.end
        if self.sound_path is None:
            sound, heard_to = read_part(self.path, self.sample_rate, first, seconds, self.limit)
            end = max(end, heard_to)
        else:
            sound, _ = read_part(self.sound_path, self.sample_rate, begin, seconds, self.limit)
        # a track that says how long it is may be shorter; where none does, the longest reaches the file's end
        expected = first if all_declare or not declared else min(last, start + declared)
        if expected - end > max(0.25, 0.05 * seconds):
            there = f"it ends before second {begin:g}" if end < first else f"it ends at {end - start:.1f} s"
            raise MediaError(self.path, f"it is cut off: {there}, and should last {declared:.1f} s; get it again")
        shown = times.seconds
        count = int(((shown >= first - ROUNDING) & (shown < last - ROUNDING)).sum())
        held = len(shown) and shown[0] < first and (shown[-1] >= last - ROUNDING or times.end > first)
        return self._media(self._timed(times, first) if count or held else None, sound, count)

    def _read(self, container: InputContainer) -> tuple[FrameTimes, SoundTrack | None, list[Any] | None]:
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
        for packet in packets(container, limit=self.limit):
            coverage.add(packet)
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
        coverage.check(self.path, [stream for stream in (video, audio) if stream is not None])
        return times, track, picture

    def _counted(self, count: int, picture: list[Any] | None) -> tuple[Chosen, int]:
        """Frames by their number, and how many there are."""
        for expected in (count, None):
            if count < self.segments:
                raise MediaError(self.path, f"{count} frames of it can be decoded, too few; get it again")
            plan = frame_plan(
                count,
                segments=self.segments,
                frames_per_window=self.frames_per_window,
                whole_only=self.whole_only,
            )
            chosen = Chosen(plan, self.views)
            kept = picture if expected is not None and picture is not None else picture_packets(self.path, self.limit)
            found = decode_all(kept, self.path, chosen, self.limit)
            # packets and frames need not match: some packets hold no frame of their own, or are damaged
            if found == count:
                break
            if expected is None or not enough(found, count):
                raise damaged(self.path, found, count)
            count = found
        return chosen, count

    def _timed(self, times: FrameTimes, begin: float) -> Chosen:
        """Frames by their times."""
        plan = timed_frame_plan(
            times.seconds - begin,
            segments=self.segments,
            segment_seconds=self.segment_seconds,
            frames_per_window=self.frames_per_window,
            whole_only=self.whole_only,
        )
        chosen = Chosen(plan, self.views)
        decode_part(self.path, chosen, times.ticks, begin, self.limit)
        return chosen

    def _media(self, chosen: Chosen | None, sound: Sound | None, count: int) -> ClipMedia:
        windows = None
        if sound is not None:
            wave, rate = sound
            stretches = sample_plan(
                int(wave.shape[-1]),
                rate,
                segments=self.segments,
                segment_seconds=self.segment_seconds,
                whole_only=self.whole_only,
            )
            windows = SoundWindows(wave, stretches, rate)
        if chosen is not None:
            return ClipMedia(chosen.images, chosen.videos, chosen.image_index, chosen.video_index, windows, count)
        if windows is None:
            raise MediaError(self.path, "it has neither picture nor sound; get it again")
        none = np.zeros((len(windows), self.frames_per_window), dtype=np.int64)
        return ClipMedia(None, None, np.zeros(self.segments, dtype=np.int64), none, windows, 0)
