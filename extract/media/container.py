"""Media files through PyAV: opening, streams, packets of a whole file and of a part.

PyAV brings its own FFmpeg. Codecs run in one thread: clips are decoded side by side instead, and what a
damaged stream is patched up to does not depend on the number of cores. A file is read as what it is, never as
a list of other files or addresses.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from extract.errors import MediaError
from extract.media.clock import Clock, SampleClock, counts_samples, packet_time
from extract.media.completeness import CONTAINER_TICK, declared_bytes
from extract.media.limits import MOST_PIXELS, TimeLimit, check_picture

_FORMATS = (
    "3gp,aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,dv,eac3,flac,flv,gif,gxf,h264,hevc,ivf,m4v,matroska,mov,mp3,mp4,mpeg,"
    "mpegts,mpegvideo,mxf,nut,ogg,rm,tta,w64,wav,webm,wv"
)
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
_SLACK = 30.0
_STEPS_BACK = (0.0, 10.0, 60.0)


@contextmanager
def opened(path: Path, limit: TimeLimit | None = None) -> Iterator[InputContainer]:
    """A file's container.

    Args:
        path: the file.
        limit: reading that hangs ends with it.

    Raises:
        MediaError: it is not there, empty, nothing that FFmpeg can read, or a list of other files.
    """
    try:
        if path.stat().st_size == 0:
            raise MediaError(path, "it is empty (0 bytes); get it again")
        container = av.open(
            f"file:{path}",  # a name such as "concat:a" is a name
            metadata_errors="replace",
            options=dict(_OPTIONS),
            timeout=None if limit is None else limit.seconds,
        )
    except (av.FFmpegError, OSError) as error:
        raise MediaError(path, _why_not(path, error)) from error
    with container:
        yield container


def first_stream(container: InputContainer, kind: str, path: Path) -> Any | None:
    """The first "video" or "audio" stream; a cover picture is no video.

    Raises:
        MediaError: there is one, but it cannot be decoded.
    """
    unknown = False
    for stream in container.streams:
        if stream.type != kind or stream.disposition & av.stream.Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            unknown = True
            continue
        stream.codec_context.thread_count = 1
        if kind == "video":
            codec: Any = stream.codec_context
            check_picture(path, codec.width, codec.height)
            codec.options = {"max_pixels": str(MOST_PIXELS)}
        return stream
    if unknown:
        what = {"video": "picture", "audio": "sound"}[kind]
        raise MediaError(path, f"its {what} is in a codec that is not known here; convert it")
    return None


def clock_of(container: InputContainer, path: Path, shifts: tuple[float, ...]) -> Clock | None:
    """What lays the packets of a file, read from its start, end to end; None where its clock does not jump.

    Args:
        container: the file.
        path: the same.
        shifts: of its sections.
    """
    if len(shifts) == 1:
        return None
    kinds = (first_stream(container, kind, path) for kind in ("video", "audio"))
    streams = [stream for stream in kinds if stream is not None]
    return SampleClock(streams) if counts_samples(container) else Clock(container, streams, shifts)


class Packets:
    """Packets of some streams of a file, in its order, up to where it can be read.

    The last packet of each stream is the empty one that makes its codec give back what it holds.

    Attributes:
        failure: what FFmpeg said where reading ended before the file's end; None: it did not.
    """

    def __init__(
        self,
        container: InputContainer,
        streams: Iterable[Any] = (),
        limit: TimeLimit | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Begin where the container stands.

        Args:
            container: the file.
            streams: those whose packets are wanted; all, if none are given.
            limit: on the time it takes.
            clock: lays their times where they belong; None: they stay as they are in the file.
        """
        self.failure: str | None = None
        self._container, self._streams, self._limit, self._clock = container, tuple(streams), limit, clock

    def __iter__(self) -> Iterator[Any]:
        """Each packet.

        Raises:
            MediaError: the time is over.
        """
        try:
            for packet in self._container.demux(*self._streams):
                if self._limit is not None:
                    self._limit.check()
                if self._clock is not None:
                    self._clock.lay(packet)
                yield packet
        except (av.FFmpegError, OSError) as error:
            if self._limit is not None:
                self._limit.check()
            self.failure = _said(error)


def stream_of(packet: Any) -> int:
    """Which stream a packet belongs to; PyAV numbers empty ones 0."""
    index: int = packet.stream_index if packet.size else packet.stream.index
    return index


def stretch(
    path: Path,
    kind: str,
    begin: float,
    end: float,
    limit: TimeLimit | None = None,
    shifts: tuple[float, ...] = (0.0,),
) -> Iterator[Any]:
    """Packets of the first stream of a kind around some seconds of a file, which is not read from its start.

    A file whose clock jumps is: in it a time says nothing of a place.

    Args:
        path: the file.
        kind: "video" (from the key frame on that comes before ``begin``) or "audio".
        begin: seconds of the file's clock.
        end: the same; no packet follows the first that is to be decoded later.
        limit: on the time it takes.
        shifts: of the file's sections, as its :class:`extract.media.timeline.Timeline` has them.

    Yields:
        Packets; none, if there is no such stream.

    Raises:
        MediaError: the file cannot be opened, or the time is over.
    """
    for back in (*(_STEPS_BACK if len(shifts) == 1 else ()), None):
        with opened(path, limit) as container:
            stream = first_stream(container, kind, path)
            if stream is None:
                return
            if back is not None and not _sought(container, stream, begin - back):
                continue
            started = False
            for packet in Packets(container, limit=limit, clock=clock_of(container, path, shifts)):
                at = packet_time(packet)
                if stream_of(packet) != stream.index:
                    if started and at is not None and at > end + _SLACK:
                        return  # this stream is over
                    continue
                if not started and back is not None:
                    if not packet.size or (kind == "video" and not packet.is_keyframe):
                        continue
                    if at is None or (at > begin and at > _first_time(stream)):
                        break  # further back
                started = True
                yield packet
                if packet.dts is not None and float(packet.dts * packet.time_base) >= end:
                    return
            else:
                if started or back is None:
                    return


def start_time(container: InputContainer, streams: Iterable[Any]) -> float:
    """When the first of some streams begins, in seconds of the file's clock."""
    starts = [float(s.start_time * s.time_base) for s in streams if s.start_time is not None and s.time_base]
    return min(starts, default=(container.start_time or 0) * CONTAINER_TICK)


def _sought(container: InputContainer, stream: Any, seconds: float) -> bool:
    first = _first_time(stream)
    try:
        container.seek(int(max(seconds, first) / stream.time_base), stream=stream)
    except (av.FFmpegError, OSError, OverflowError):
        return False
    return True


def _first_time(stream: Any) -> float:
    return float((stream.start_time or 0) * stream.time_base)


def decode(packet: Any) -> list[Any] | None:
    """Frames of a packet, maybe none yet; None if it is damaged."""
    try:
        return list(packet.decode())
    except (av.FFmpegError, OSError):
        return None


def _why_not(path: Path, error: Exception) -> str:
    """What is said of a file that FFmpeg does not open."""
    try:
        there, declared = path.stat().st_size, declared_bytes(path)
    except OSError:
        declared = None
    if declared is not None and there < declared:
        return f"it is cut off: {there} of {declared} bytes are there; get it again"
    if isinstance(error, av.ArgumentError):  # no format of those above
        return "it cannot be read: it is of none of the kinds that av2a takes; convert it, to MP4 or WAV for example"
    return f"it cannot be read ({_said(error)}); get it again"


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
