"""When a file's picture and sound are there, found out without decoding them.

An MP4's index and the header of plain sound say it; of other files every packet is looked at, once.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from av.container import InputContainer

from extract.errors import MediaError
from extract.media.clock import Clock, SampleClock, counts_samples, packet_time
from extract.media.completeness import Coverage, check_bytes, check_samples, cut_off, may_be_missing
from extract.media.container import Packets, first_stream, opened, start_time, stream_of
from extract.media.limits import TimeLimit

_PLAIN_SOUND = ("aiff", "au", "caf", "w64", "wav")
_LEAST_BYTES = 25.0
"""Bytes a second below which a length is not believed."""
_LONGEST, _LONGEST_PACKET = 12 * 3600.0, 600.0
_MOST_KEPT = 1 << 17


@dataclass(frozen=True)
class Timeline:
    """When a file's picture and sound are there.

    Attributes:
        start: when the first of them begins, in seconds of the file's clock.
        end: when the last one is over.
        shifts: seconds by which the time stamps of each section are moved, where the file's clock starts again;
            one section that is not moved in most files.
    """

    start: float
    end: float
    shifts: tuple[float, ...] = (0.0,)

    @property
    def seconds(self) -> float:
        """How long the content is."""
        return max(0.0, self.end - self.start)

    @property
    def jumps(self) -> int:
        """How often the file's clock starts again."""
        return sum(before != after for before, after in zip(self.shifts, self.shifts[1:], strict=False))


def timeline_of(path: Path, limit: TimeLimit | None = None) -> Timeline:
    """When a file's content is there; what was found out of a file is kept.

    Args:
        path: the file.
        limit: on the time it takes.

    Raises:
        MediaError: the file cannot be read, is cut off, or its time stamps are absurd.
    """
    key = _key(path)
    if key is not None and (kept := _kept.get(key)) is not None:
        return kept
    found = _found(path, limit)
    if key is not None:
        _kept.put(key, found)
    return found


_Key = tuple[str, int, int]


class _Kept:
    """Timelines of the files looked at last: planning and decoding ask for the same ones."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: OrderedDict[_Key, Timeline] = OrderedDict()

    def get(self, key: _Key) -> Timeline | None:
        with self._lock:
            return self._found.get(key)

    def put(self, key: _Key, found: Timeline) -> None:
        with self._lock:
            self._found[key] = found
            if len(self._found) > _MOST_KEPT:
                self._found.popitem(last=False)


_kept = _Kept()


def _key(path: Path) -> _Key | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return str(path.absolute()), facts.st_size, facts.st_mtime_ns


def _found(path: Path, limit: TimeLimit | None) -> Timeline:
    with opened(path, limit) as container:
        check_bytes(container, path)
        kinds = (first_stream(container, kind, path) for kind in ("video", "audio"))
        streams = [stream for stream in kinds if stream is not None]
        name, most = container.format.name, min(_LONGEST, path.stat().st_size / _LEAST_BYTES)
        found: Timeline | None = None
        if "mov" in name and streams and all(stream.frames for stream in streams):
            check_samples(container, path, streams)
            found = _by_index(container, path, streams)
        elif name in _PLAIN_SOUND and streams and streams[0].codec_context.name.startswith("pcm_"):
            start, seconds = start_time(container, streams), float((streams[0].duration or 0) * streams[0].time_base)
            if seconds * (streams[0].codec_context.bit_rate or 0) / 8 <= path.stat().st_size:
                found = Timeline(start, start + seconds)
        if found is not None and 0 < found.seconds <= most:
            return found
        return _by_packets(container, path, streams, limit)


def _by_index(container: InputContainer, path: Path, streams: Sequence[Any]) -> Timeline | None:
    """What an MP4's list of samples says; None where an edit leaves pictures out: it has decoding times only."""
    start, ends = start_time(container, streams), []
    for stream in streams:
        entries = list(stream.index_entries)
        ticks = [entry.timestamp for entry in entries if not entry.is_discard]
        if stream.type == "video" and len(ticks) < len(entries):
            return None
        if ticks:
            first, last = min(ticks), max(ticks)
            one = (last - first) / max(1, len(ticks) - 1)  # the index does not say how long the last sample is
            begin = first if stream.start_time is None else stream.start_time
            end = float((begin + last - first + one) * float(stream.time_base))
            declared = float((stream.duration or 0) * stream.time_base)
            if declared - end > may_be_missing(declared):
                raise cut_off(path, end, declared)
            ends.append(end)
    return Timeline(start, max(ends, default=start))


def _by_packets(container: InputContainer, path: Path, streams: Sequence[Any], limit: TimeLimit | None) -> Timeline:
    clock = SampleClock(streams) if counts_samples(container) else Clock(container, streams)
    coverage, count, untimed = Coverage(container), 0, 0.0
    packets = Packets(container, limit=limit)
    for packet in packets:
        clock.see(packet)
        coverage.add(packet, packet_time(packet))
        count += bool(packet.size)
        if streams and stream_of(packet) == streams[0].index:
            untimed += float((packet.duration or 0) * (packet.time_base or 0))
    coverage.check(path, streams, packets.failure)
    extent, shifts = clock.extent(), clock.shifts()
    start = start_time(container, streams)
    if extent is None:  # a bare stream of pictures has no times
        return Timeline(start, start + untimed)
    start = extent[0] if len(shifts) > 1 else min(start, extent[1])
    found = Timeline(start, extent[1], shifts)
    if found.seconds > max(1.0, path.stat().st_size / _LEAST_BYTES) or found.seconds > count * _LONGEST_PACKET:
        raise MediaError(path, f"it claims to last {found.seconds:.0f} s with {count} packets; get it again")
    return found
