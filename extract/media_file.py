"""Media files through PyAV: opening, reading packets, and telling when a file is damaged or cut off.

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
from extract.limits import MOST_PIXELS, TimeLimit, check_picture

_CONTAINER_TICK = 1e-6
_MAY_MISS = 0.05
_FORMATS = (
    "3gp,aac,aiff,amr,asf,avi,caf,dv,flac,flv,gxf,h264,hevc,ivf,m4v,matroska,mov,mp3,mp4,mpeg,mpegts,mpegvideo,mxf,"
    "nut,ogg,rm,w64,wav,webm"
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
    there, declared = 0, None
    try:
        there, declared = path.stat().st_size, _declared_bytes(path)
        if there == 0:
            raise MediaError(path, "it is empty (0 bytes); get it again")
        if declared is None or there >= declared * (1 - _MAY_MISS):
            container = av.open(
                f"file:{path}",  # a name such as "concat:a" is a name
                metadata_errors="replace",
                options=dict(_OPTIONS),
                timeout=None if limit is None else limit.seconds,
            )
        else:
            raise EOFError
    except (av.FFmpegError, OSError, EOFError) as error:
        reason = f"it cannot be read ({_said(error)})"
        if declared is not None and there < declared:
            reason = f"it is cut off: {there} of {declared} bytes are there"
        raise MediaError(path, f"{reason}; get it again") from error
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


def packets(container: InputContainer, streams: Iterable[Any] = (), limit: TimeLimit | None = None) -> Iterator[Any]:
    """Packets of the given streams (of all, if none are given), up to where the file can be read.

    The last packet of each stream is the empty one that makes its codec give back what it holds.

    Raises:
        MediaError: the time is over.
    """
    try:
        for packet in container.demux(*streams):
            if limit is not None:
                limit.check()
            yield packet
    except (av.FFmpegError, OSError):
        if limit is not None:
            limit.check()


def stream_of(packet: Any) -> int:
    """Which stream a packet belongs to; PyAV numbers empty ones 0."""
    index: int = packet.stream_index if packet.size else packet.stream.index
    return index


def packet_ticks(packet: Any) -> int | None:
    """When a packet's content is presented, in ticks of its stream.

    AVI knows the order of decoding only: there the ticks count frames.
    """
    if packet.pts is None or packet.stream.container.format.name == "avi":
        ticks: int | None = packet.dts
    else:
        ticks = packet.pts
    return ticks


def packet_time(packet: Any) -> float | None:
    """The same in seconds of the file's clock."""
    ticks, base = packet_ticks(packet), packet.time_base
    return None if ticks is None or base is None else ticks * base.numerator / base.denominator


def stretch(path: Path, kind: str, begin: float, end: float, limit: TimeLimit | None = None) -> Iterator[Any]:
    """Packets of the first stream of a kind around some seconds of a file, which is not read from its start.

    Args:
        path: the file.
        kind: "video" (from the key frame on that comes before ``begin``) or "audio".
        begin: seconds of the file's clock.
        end: the same; no packet follows the first that is to be decoded later.
        limit: on the time it takes.

    Yields:
        Packets; none, if there is no such stream.

    Raises:
        MediaError: the file cannot be opened, or the time is over.
    """
    for back in (*_STEPS_BACK, None):
        with opened(path, limit) as container:
            stream = first_stream(container, kind, path)
            if stream is None:
                return
            if back is not None and not _sought(container, stream, begin - back):
                continue
            started = False
            for packet in packets(container, limit=limit):
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
    return min(starts, default=(container.start_time or 0) * _CONTAINER_TICK)


def declared_seconds(container: InputContainer) -> float:
    """How long a file says it is; 0: it does not."""
    return max(0.0, (container.duration or 0) * _CONTAINER_TICK)


def track_seconds(stream: Any) -> float:
    """How long a stream says it is; 0: it does not, as in Matroska (what FFmpeg gives there is a guess)."""
    if not stream.duration or "matroska" in stream.container.format.name:
        return 0.0
    return float(stream.duration * stream.time_base)


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


class Coverage:
    """How much of what a file declares its packets cover."""

    def __init__(self, container: InputContainer) -> None:
        """Begin with nothing seen."""
        self._container_seconds = declared_seconds(container)
        self._edges: dict[int, tuple[int, int]] = {}
        self._ticks: dict[int, float] = {}

    def add(self, packet: Any) -> None:
        """Count a packet in."""
        begin, index = packet_ticks(packet), packet.stream_index
        if begin is None or not packet.size:
            return
        end = begin + (packet.duration or 0)
        if index in self._edges:
            low, high = self._edges[index]
            self._edges[index] = min(low, begin), max(high, end)
        else:
            self._edges[index] = begin, end
            self._ticks[index] = float(packet.time_base or 0)

    def check(self, path: Path, wanted: Iterable[Any]) -> None:
        """Refuse a file that ends well before its declared end.

        A stream that declares no length of its own (Matroska) is held to the file's, which the longest
        stream must reach.

        Args:
            path: the file.
            wanted: the streams that are used.

        Raises:
            MediaError: more than 5 % and a quarter of a second is missing.
        """
        seconds = {index: (high - low) * self._ticks[index] for index, (low, high) in self._edges.items()}
        for stream in wanted:
            there = seconds.get(stream.index, 0.0)
            declared = track_seconds(stream)
            if not declared:
                there, declared = max(seconds.values(), default=0.0), self._container_seconds
            if declared - there > max(0.25, _MAY_MISS * declared):
                raise MediaError(path, f"it is cut off: {there:.1f} of {declared:.1f} s are there; get it again")


def _declared_bytes(path: Path) -> int | None:
    """How long a WAV, AVI, MP4 or MOV file is by its own word; FFmpeg may take what is there for the whole."""
    there = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] == b"RIFF":
            size = int.from_bytes(head[4:], "little")
            return None if size in (0, 0xFFFFFFFF) else size + 8  # those: written to a pipe
        if head[4:] != b"ftyp":
            return None
        end = 0
        while len(head) == 8 and end < there:  # from box to box
            size = int.from_bytes(head[:4], "big")
            if size == 1:
                size = int.from_bytes(file.read(8), "big")
            if size < 8:  # 0: up to the end of the file
                return None
            end += size
            file.seek(end)
            head = file.read(8)
        return end


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
