"""The pictures of media files: which times they have, and the chosen ones at the encoders' size.

Only the chosen frames are converted, each at once to what the encoder takes, so memory does not grow with
the picture or with the file.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from torch import Tensor

from extract.errors import MediaError
from extract.media.clock import packet_ticks
from extract.media.container import Packets, clock_of, decode, first_stream, opened, stream_of, stretch
from extract.media.limits import TimeLimit, check_picture
from extract.media.sampling import FramePlan

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


class Chosen:
    """The frames of a plan, each viewed as it comes.

    Attributes:
        wanted: int64 (k,), sorted numbers of the frames.
        image_index: int64 (T,), row in ``images`` of each segment's frame.
        video_index: int64 (W, F), rows in ``videos`` (or ``images``) of each window's frames.
    """

    def __init__(self, plan: FramePlan, views: Views) -> None:
        """Nothing is there yet."""
        self.wanted = plan.frames
        every = np.arange(len(plan.frames))
        seen = every if views.video is None else np.unique(plan.image)
        self._images = _Rows(views.image, seen)
        self.image_index = np.searchsorted(seen, plan.image)
        self._videos: _Rows | None = None
        if views.video is None:
            self.video_index = plan.video
        else:
            moving = np.unique(plan.video)
            self._videos = _Rows(views.video, moving)
            self.video_index = np.searchsorted(moving, plan.video)

    @property
    def images(self) -> Tensor:
        """(k, ...), the image view of each frame that is needed as one."""
        return self._images.stacked()

    @property
    def videos(self) -> Tensor | None:
        """(m, ...), the video view of each frame of the windows; None: they take images."""
        return None if self._videos is None else self._videos.stacked()

    def take(self, place: int, frame: Tensor) -> None:
        """The frame at a place of the plan's: uint8 (1, 3, H, W)."""
        self._images.take(place, frame)
        if self._videos is not None:
            self._videos.take(place, frame)


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


@dataclass
class Shown:
    """Frames that came out of a decoder.

    Attributes:
        ticks: when each is presented, in ticks of the stream; None: it is not known.
        fields: some are two fields of an interlaced picture, which may be a packet each.
    """

    ticks: list[int | None] = field(default_factory=list)
    fields: bool = False

    def add(self, frame: Any, ticks: int | None) -> None:
        """Count a frame in."""
        self.ticks.append(ticks)
        self.fields |= bool(frame.interlaced_frame)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.ticks)


class FrameTimes:
    """When the frames of a track, or of a part of it, are presented, as its packets say."""

    def __init__(self) -> None:
        """None yet."""
        self._last = 0
        self._tick = 0.0
        self._ticks: list[int] = []
        self._undecodable = 0
        self._key: int | None = None
        self._by_order = False

    def __len__(self) -> int:
        """Number of frames; of packets, where those hold fields or nothing to be shown."""
        return len(self._ticks)

    def add(self, packet: Any) -> None:
        """Count a packet in, if it holds a frame."""
        if not packet.size:
            return
        ticks = packet_ticks(packet)
        if ticks is None:  # after the one before
            ticks = self._ticks[-1] + (packet.duration or 1) if self._ticks else 0
        if packet.is_keyframe and self._key is None:
            self._key, self._undecodable = ticks, len(self._ticks)
        if packet.is_discard:
            return
        if not self._tick:
            self._tick = float(packet.time_base or 0)
            self._by_order = packet.stream.container.format.name == "avi"
        self._ticks.append(ticks)
        self._last = packet.duration or 0

    @property
    def end(self) -> float:
        """When the last one is over, in seconds of the file's clock."""
        return float(self.seconds[-1]) + self._last * self._tick if len(self) else -np.inf

    @property
    def ticks(self) -> NDArray[np.int64]:
        """int64 (n,), sorted, in ticks of the stream."""
        return np.sort(np.array(self._ticks, dtype=np.int64))

    def without_leading(self) -> "FrameTimes":
        """Those from the first key frame on: frames shown before it need others that were not read."""
        if self._key is not None:
            self._ticks = [ticks for ticks in self._ticks[self._undecodable :] if ticks >= self._key]
            self._undecodable = 0
        return self

    def out_of(self, shown: Shown) -> "FrameTimes":
        """Those at which frames came out of the decoder, if they tell."""
        found = FrameTimes()
        found._ticks = [ticks for ticks in shown.ticks if ticks is not None]
        if self._by_order or len(found) < len(shown) or not len(shown):
            return self
        found._tick, found._last = self._tick, self._last
        return found

    @property
    def seconds(self) -> NDArray[np.float64]:
        """float64 (n,), sorted, in seconds of the file's clock."""
        return self.ticks.astype(np.float64) * self._tick

    def check(self, shown: Shown, path: Path, first: int | None = None, last: int | None = None) -> None:
        """Refuse a file too few of whose frames came out.

        A frame need not be a packet: two fields may be one each, and some hold nothing to be shown. A packet's time is
        therefore looked for on display: in a frame that began at most three quarters of a frame before.

        Args:
            shown: what came out.
            path: the file.
            first: ticks from which on frames count.
            last: ticks up to which they do.

        Raises:
            MediaError: under 90 % of the packets' times are on display.
        """
        expected = np.sort(np.array(self._ticks[self._undecodable :], dtype=np.int64))
        if self._key is not None and first is None:
            expected = expected[expected >= self._key]
        low = 0 if first is None else int(np.searchsorted(expected, first))
        high = len(expected) if last is None else int(np.searchsorted(expected, last, "right"))
        expected = expected[low:high]
        if self._by_order or None in shown.ticks:
            found = min(len(expected), len(shown) * (2 if shown.fields and 2 * len(shown) <= len(expected) + 1 else 1))
        else:
            found = _on_display(expected, np.sort(np.array(shown.ticks, dtype=np.int64)), fields=shown.fields)
        if found < len(expected) * _ENOUGH_FRAMES:
            raise damaged(path, found, len(expected))


def _on_display(expected: NDArray[np.int64], shown: NDArray[np.int64], *, fields: bool) -> int:
    """How many of some times frames are on display that began then or, as far as packets go, a little before."""
    if not len(shown):
        return 0
    usual = _usual_step(expected)
    if fields and _usual_step(shown) >= 1.5 * usual:
        usual *= 2
    before = np.searchsorted(shown, expected + 0.25 * usual, "right") - 1
    return int(((before >= 0) & (expected - shown[before] <= 0.75 * usual)).sum())


def _usual_step(ticks: NDArray[np.int64]) -> float:
    steps = np.diff(np.unique(ticks))
    return float(np.median(steps)) if len(steps) else 1.0


def times_of_part(
    path: Path, begin: float, end: float, limit: TimeLimit | None, shifts: tuple[float, ...] = (0.0,)
) -> FrameTimes:
    """The frames of a part of a file, from the key frame on that comes before it.

    Args:
        path: the file.
        begin: seconds of the file's clock.
        end: the same; some frames behind it are included.
        limit: on the time it takes.
        shifts: of the file's sections.
    """
    times = FrameTimes()
    for packet in stretch(path, "video", begin, end, limit, shifts):
        times.add(packet)
    return times.without_leading()


def picture_packets(path: Path, limit: TimeLimit | None, shifts: tuple[float, ...] = (0.0,)) -> Iterator[Any]:
    """All packets of a file's picture, from its start."""
    with opened(path, limit) as container:
        stream, clock = first_stream(container, "video", path), clock_of(container, path, shifts)
        for packet in Packets(container, [stream] if clock is None else (), limit, clock):
            if stream is not None and stream_of(packet) == stream.index:
                yield packet


def decode_all(found: Iterable[Any], path: Path, chosen: Chosen, limit: TimeLimit | None) -> Shown:
    """Decode a picture from its start; frames are chosen by their number.

    Args:
        found: all its packets.
        path: the file.
        chosen: which frames.
        limit: on the time it takes.

    Returns:
        The frames that there are.
    """
    shown, place = Shown(), 0
    wanted = chosen.wanted.tolist()
    reformatter = VideoReformatter()
    for packet in found:
        if limit is not None:
            limit.check()
        for frame in decode(packet) or ():
            if place < len(wanted) and len(shown) == wanted[place]:
                chosen.take(place, _rgb(reformatter, frame, path))
                place += 1
            shown.add(frame, frame.pts)
    return shown


def decode_part(
    path: Path,
    chosen: Chosen,
    times: FrameTimes,
    begin: float,
    limit: TimeLimit | None,
    shifts: tuple[float, ...] = (0.0,),
) -> None:
    """Decode a part of a file up to the last frame that is wanted; frames are chosen by their times.

    For a frame that cannot be decoded the one before it stands in.

    Args:
        path: the file.
        chosen: which frames, by their rows in ``times``.
        times: of the part's frames, from its first key frame on.
        begin: seconds of the file's clock, as in :func:`times_of_part`.
        limit: on the time it takes.
        shifts: of the file's sections.

    Raises:
        MediaError: the file cannot be opened, or under 90 % of the frames can be decoded.
    """
    ticks = times.ticks
    wanted = ticks[chosen.wanted]
    reformatter = VideoReformatter()
    before: av.VideoFrame | None = None
    place = number = 0
    shown = Shown()
    for packet in stretch(path, "video", begin, np.inf, limit, shifts):
        by_order = packet.stream.container.format.name == "avi"
        for frame in decode(packet) or ():
            told = by_order or frame.pts is None
            at = int(ticks[min(number, len(ticks) - 1)]) if told else frame.pts
            number += 1
            if wanted[0] <= at <= wanted[-1] or not len(shown):
                shown.add(frame, at)
            while place < len(wanted) and wanted[place] <= at:
                seen = frame if wanted[place] == at or before is None else before
                chosen.take(place, _rgb(reformatter, seen, path))
                place += 1
            before = frame
        if place == len(wanted):
            break
    while before is not None and place < len(wanted):
        chosen.take(place, _rgb(reformatter, before, path))
        place += 1
    times.check(shown, path, int(wanted[0]), int(wanted[-1]))


def damaged(path: Path, found: int, count: int) -> MediaError:
    """What is said about a file too few of whose frames can be decoded."""
    return MediaError(path, f"it is damaged: {found} of {count} frames can be decoded; get it again")


def _rgb(reformatter: VideoReformatter, frame: av.VideoFrame, path: Path) -> Tensor:
    """uint8 (1, 3, H, W), turned and mirrored as the file says it is to be shown."""
    check_picture(path, frame.width, frame.height)
    rgb: NDArray[Any] = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    return torch.from_numpy(np.ascontiguousarray(as_shown(rgb, frame))).permute(2, 0, 1)[None]


def as_shown(rgb: NDArray[Any], frame: av.VideoFrame) -> NDArray[Any]:
    """A picture (H, W, 3) as its display matrix has it: quarter turns and mirrors, the nearest for other angles.

    The matrix takes a pixel (x, y) to (a·x + c·y, b·x + d·y), as FFmpeg's libavutil/display.h says.
    """
    beside: Any = frame.side_data
    given = beside.get(Type.DISPLAYMATRIX)
    if given is None:
        return rgb
    a, b, _, c, d = np.frombuffer(given, dtype=np.int32)[:5].tolist()
    if a * d - b * c == 0:  # no picture would be left
        return rgb
    across, down = a, d
    if abs(b) + abs(c) > abs(a) + abs(d):
        rgb = rgb.transpose(1, 0, 2)
        across, down = c, b
    return rgb[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
