"""How long files are, found out without decoding them."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from extract.errors import MediaError
from extract.limits import TimeLimit
from extract.media_file import declared_seconds, first_stream, opened, packet_time, packets, start_time, track_seconds

_TRUSTED = ("asf", "avi", "matroska", "mov", "mpeg", "mpegts", "ogg", "wav")
"""Formats that say how long they are; others' length is FFmpeg's guess from the bit rate."""
_LEAST_BYTES = 25.0
"""Bytes a second below which a declared length is not believed."""
_LONGEST, _LONGEST_PACKET = 12 * 3600.0, 600.0
_LOOK_BACK, _MAY_MISS = 3.0, 0.5
_CONTAINER_TICK = 1e-6


def file_seconds(path: Path, limit: TimeLimit | None = None, *, whole: float = 0.0) -> float:
    """Length of a file's picture and sound: declared, or found by reading its packets.

    A declared length is not believed if it is over 12 hours or more than the file's bytes can hold.

    Args:
        path: the file.
        limit: on the time it takes.
        whole: files up to this many seconds are read whole later, so that their end is not looked at here.

    Raises:
        MediaError: the file cannot be read or is cut off, or its time stamps are absurd.
    """
    most = path.stat().st_size / _LEAST_BYTES if path.exists() else 0.0
    with opened(path, limit) as container:
        found = (first_stream(container, kind, path) for kind in ("video", "audio"))
        streams = [stream for stream in found if stream is not None]
        start, declared = start_time(container, streams), declared_seconds(container)
        tracks_declare = bool(streams) and all(track_seconds(stream) for stream in streams)
        if tracks_declare:  # there may be others, with data
            declared = max(start_time(container, [stream]) - start + track_seconds(stream) for stream in streams)
        if 0 < declared <= min(most, _LONGEST) and any(name in container.format.name for name in _TRUSTED):
            if declared > whole and not tracks_declare:
                _check_end(container, path, start, declared, limit)
            return declared
        first, last, count = _extent(container, streams, limit)
    seconds = max(0.0, last - first)
    if seconds > max(1.0, most) or seconds > count * _LONGEST_PACKET:
        raise MediaError(path, f"it claims to last {seconds:.0f} s with {count} packets; get it again")
    return seconds


def _extent(container: InputContainer, streams: Iterable[Any], limit: TimeLimit | None) -> tuple[float, float, int]:
    """Where packets begin and end, in seconds of the file's clock, and their number."""
    first, last, count = float("inf"), float("-inf"), 0
    for packet in packets(container, streams, limit):
        at = packet_time(packet)
        if at is not None and packet.size:
            count += 1
            first, last = min(first, at), max(last, at + float((packet.duration or 0) * packet.time_base))
    return first, last, count


def _check_end(container: InputContainer, path: Path, start: float, declared: float, limit: TimeLimit | None) -> None:
    with suppress(av.FFmpegError, OSError):
        container.seek(int((start + declared - _LOOK_BACK) / _CONTAINER_TICK))
    there = max(0.0, _extent(container, (), limit)[1] - start)
    if declared - there > _MAY_MISS:
        raise MediaError(path, f"it is cut off: it ends before {declared:.1f} s; get it again")
