"""The pictures of media files: which times they have, and the chosen ones at the encoders' size.

Only the chosen frames are converted, each at once to what the encoder takes, so memory does not grow with
the picture or with the file.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from torch import Tensor

from extract.errors import MediaError
from extract.limits import TimeLimit, check_picture
from extract.media_file import decode, first_stream, opened, packet_ticks, packets, stretch
from extract.sampling import FramePlan

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


class FrameTimes:
    """When the frames of a track, or of a part of it, are presented."""

    def __init__(self) -> None:
        """None yet."""
        self._last = 0
        self._tick = 0.0
        self._ticks: list[int] = []

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._ticks)

    def add(self, packet: Any) -> None:
        """Count a packet in, if it holds a frame."""
        if not packet.size or packet.is_discard:
            return
        ticks = packet_ticks(packet)
        if ticks is None:  # after the one before
            ticks = self._ticks[-1] + (packet.duration or 1) if self._ticks else 0
        self._tick = self._tick or float(packet.time_base or 0)
        self._ticks.append(ticks)
        self._last = packet.duration or 0

    @property
    def end(self) -> float:
        """When the last one is over, in seconds of the file's clock."""
        return float(self.seconds[-1]) + self._last * self._tick if self._ticks else -np.inf

    @property
    def ticks(self) -> NDArray[np.int64]:
        """int64 (n,), sorted, in ticks of the stream."""
        return np.sort(np.array(self._ticks, dtype=np.int64))

    def without_leading(self) -> "FrameTimes":
        """Those from the first packet's on: frames shown before a key frame need others that were not read."""
        self._ticks = [ticks for ticks in self._ticks if ticks >= self._ticks[0]]
        return self

    @property
    def seconds(self) -> NDArray[np.float64]:
        """float64 (n,), sorted, in seconds of the file's clock."""
        return self.ticks.astype(np.float64) * self._tick


def times_of_part(path: Path, begin: float, end: float, limit: TimeLimit | None) -> FrameTimes:
    """The frames of a part of a file, from the key frame on that comes before it.

    Args:
        path: the file.
        begin: seconds of the file's clock.
        end: the same; some frames behind it are included.
        limit: on the time it takes.
    """
    times = FrameTimes()
    for packet in stretch(path, "video", begin, end, limit):
        times.add(packet)
    return times.without_leading()


def picture_packets(path: Path, limit: TimeLimit | None) -> Iterator[Any]:
    """All packets of a file's picture, from its start."""
    with opened(path, limit) as container:
        yield from packets(container, [first_stream(container, "video", path)], limit)


def decode_all(found: Iterable[Any], path: Path, chosen: Chosen, limit: TimeLimit | None) -> int:
    """Decode a picture from its start; frames are chosen by their number.

    Args:
        found: all its packets.
        path: the file.
        chosen: which frames.
        limit: on the time it takes.

    Returns:
        How many frames there are.
    """
    number = place = 0
    wanted = chosen.wanted.tolist()
    reformatter = VideoReformatter()
    for packet in found:
        if limit is not None:
            limit.check()
        for frame in decode(packet) or ():
            if place < len(wanted) and number == wanted[place]:
                chosen.take(place, _rgb(reformatter, frame, path))
                place += 1
            number += 1
    return number


def decode_part(path: Path, chosen: Chosen, ticks: NDArray[np.int64], begin: float, limit: TimeLimit | None) -> None:
    """Decode a part of a file up to the last frame that is wanted; frames are chosen by their times.

    For a frame that cannot be decoded the one before it stands in.

    Args:
        path: the file.
        chosen: which frames, by their rows in ``ticks``.
        ticks: int64 (n,), sorted times of the part's frames, from its first key frame on.
        begin: seconds of the file's clock, as in :func:`times_of_part`.
        limit: on the time it takes.

    Raises:
        MediaError: the file cannot be opened, or under 90 % of the frames can be decoded.
    """
    wanted = ticks[chosen.wanted]
    low, high = int(np.searchsorted(ticks, wanted[0])), int(np.searchsorted(ticks, wanted[-1], "right"))
    reformatter = VideoReformatter()
    before: av.VideoFrame | None = None
    place = number = found = 0
    for packet in stretch(path, "video", begin, np.inf, limit):
        by_order = packet.stream.container.format.name == "avi"
        for frame in decode(packet) or ():
            told = by_order or frame.pts is None
            at = int(ticks[min(number, len(ticks) - 1)]) if told else frame.pts
            number += 1
            found += wanted[0] <= at <= wanted[-1]
            while place < len(wanted) and wanted[place] <= at:
                shown = frame if wanted[place] == at or before is None else before
                chosen.take(place, _rgb(reformatter, shown, path))
                place += 1
            before = frame
        if place == len(wanted):
            break
    while before is not None and place < len(wanted):
        chosen.take(place, _rgb(reformatter, before, path))
        place += 1
    if found < (high - low) * _ENOUGH_FRAMES:
        raise damaged(path, found, high - low)


def damaged(path: Path, found: int, count: int) -> MediaError:
    """What is said about a file too few of whose frames can be decoded."""
    return MediaError(path, f"it is damaged: {found} of {count} frames can be decoded; get it again")


def enough(found: int, count: int) -> bool:
    """Whether so many frames of ``count`` will do: 90 %."""
    return found >= count * _ENOUGH_FRAMES


def _rgb(reformatter: VideoReformatter, frame: av.VideoFrame, path: Path) -> Tensor:
    """uint8 (1, 3, H, W), turned as the file says it is to be shown."""
    check_picture(path, frame.width, frame.height)
    rgb: NDArray[Any] = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    if turns := round(frame.rotation / 90) % 4:
        rgb = np.ascontiguousarray(np.rot90(rgb, turns))
    return torch.from_numpy(rgb).permute(2, 0, 1)[None]
