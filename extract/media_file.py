"""Media files through PyAV: opening, reading packets, and telling when a file is damaged or cut off.

PyAV brings its own FFmpeg. Codecs run in one thread: clips are decoded side by side instead, and what a
damaged stream is patched up to does not depend on the number of cores.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from extract.errors import MediaError

_CONTAINER_TICK = 1e-6
_MAY_MISS = 0.05


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """A file's container.

    Raises:
        MediaError: it is not there, empty, or nothing that FFmpeg can read.
    """
    there, declared = 0, None
    try:
        there, declared = path.stat().st_size, _declared_bytes(path)
        if there == 0:
            raise MediaError(path, "it is empty (0 bytes); get it again")
        if declared is None or there >= declared * (1 - _MAY_MISS):
            container = av.open(str(path), metadata_errors="replace")
        else:
            raise EOFError
    except (av.FFmpegError, OSError, EOFError) as error:
        reason = f"it cannot be read ({_said(error)})"
        if declared is not None and there < declared:
            reason = f"it is cut off: {there} of {declared} bytes are there"
        raise MediaError(path, f"{reason}; get it again") from error
    with container:
        yield container


def first_stream(container: InputContainer, kind: str) -> Any | None:
    """The first "video" or "audio" stream that can be decoded; a cover picture is no video."""
    for stream in container.streams:
        if stream.type == kind and stream.codec_context is not None:
            if stream.disposition & av.stream.Disposition.attached_pic:
                continue
            stream.codec_context.thread_count = 1
            return stream
    return None


def packets(container: InputContainer, streams: Iterable[Any] = ()) -> Iterator[Any]:
    """Packets of the given streams (of all, if none are given), up to where the file can be read.

    The last packet of each stream is the empty one that makes its codec give back what it holds.
    """
    try:
        yield from container.demux(*streams)
    except (av.FFmpegError, OSError):
        return


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
        self._container_seconds = (container.duration or 0) * _CONTAINER_TICK
        self._streams: dict[int, Any] = {}
        self._edges: dict[int, tuple[float, float]] = {}

    def add(self, packet: Any) -> None:
        """Count a packet in."""
        if packet.pts is None or packet.time_base is None or not packet.size:
            return
        begin = float(packet.pts * packet.time_base)
        end = begin + float((packet.duration or 0) * packet.time_base)
        low, high = self._edges.get(packet.stream_index, (begin, end))
        self._edges[packet.stream_index] = min(low, begin), max(high, end)
        self._streams[packet.stream_index] = packet.stream

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
        seconds = {index: high - low for index, (low, high) in self._edges.items()}
        for stream in wanted:
            there = seconds.get(stream.index, 0.0)
            declared = float((stream.duration or 0) * (stream.time_base or 0))
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
