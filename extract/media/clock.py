"""Clocks of files: where time stamps start again, what follows is laid behind what was before.

Recordings are joined by putting files behind each other (MPEG-TS, chained Ogg), or the device starts anew: a file's
time stamps then jump. FFmpeg's own tools take such jumps out for formats in which they are usual; so does this.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from av.container import InputContainer
from av.format import Flags

_AHEAD, _AHEAD_ELSEWHERE = 10.0, 12 * 3600.0
"""Seconds: a larger step forward of the whole file is a jump; in formats that may jump, and in others."""
_BACK, _BACK_ELSEWHERE = 0.1, 1.0
_GOES_ON = 32
"""Packets of another track that go on as before: then a track's jump is its own fault, and no new beginning."""


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


@dataclass
class _Track:
    """How far a track is: its section, when its last packet was decoded, and when that one ends."""

    section: int = -1
    last: float = 0.0
    end: float = 0.0


@dataclass
class _Section:
    """Packets between two jumps.

    Attributes:
        opened: number of the packet with which it began.
        begin: when its first content is presented; seconds as they stand in the file.
        end: when its last one is over.
        latest: decoding time of its newest packet.
        seen: number of the last packet of each track.
    """

    opened: int = 0
    begin: float = float("inf")
    end: float = float("-inf")
    latest: float = 0.0
    seen: dict[int, int] = field(default_factory=dict)


class Clock:
    """Follows the packets of a file's picture and sound, in the file's order, and finds where their times jump."""

    def __init__(self, container: InputContainer, streams: Iterable[Any], shifts: tuple[float, ...] = (0.0,)) -> None:
        """Begin at the file's start.

        Args:
            container: the file.
            streams: its picture and its sound.
            shifts: seconds by which each section is moved, as an earlier pass found them.
        """
        usual: Any = Flags.ts_discont
        jumps = bool(container.format.flags & usual.value)
        self._ahead, self._back = (_AHEAD, _BACK) if jumps else (_AHEAD_ELSEWHERE, _BACK_ELSEWHERE)
        self._tracks = {stream.index: _Track() for stream in streams}
        self._sections = [_Section()]
        self._shifts = shifts
        self._count = 0

    def see(self, packet: Any) -> int | None:
        """The section of a packet; None: it is of no track that counts."""
        track = self._tracks.get(packet.stream_index) if packet.size else None
        if track is None:
            return None
        self._count += 1
        base = packet.time_base
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is not None and base is not None:
            at = ticks * base.numerator / base.denominator
            self._follow(track, at)
            section = self._sections[track.section]
            section.latest = track.last = at
            track.end = at + (packet.duration or 0) * base.numerator / base.denominator
            section.seen[packet.stream_index] = self._count
            shown = packet_time(packet)
            if shown is not None and not packet.is_discard:
                section.begin = min(section.begin, shown)
                section.end = max(section.end, shown + track.end - at)
        return max(track.section, 0)

    def _follow(self, track: _Track, at: float) -> None:
        newest = len(self._sections) - 1
        if track.section < 0:  # its first packet
            track.section = newest if self._near(newest, at) else 0
            return
        back, ahead = at < track.last - self._back, at > track.end + self._ahead
        if not (back or ahead):
            return
        if track.section < newest and self._near(newest, at):  # another track was there before
            track.section = newest
        elif back or not any(
            other is not track and other.section == track.section and abs(at - other.last) < _AHEAD
            for other in self._tracks.values()
        ):
            self._sections.append(_Section(opened=self._count))
            track.section = newest + 1

    def _near(self, section: int, at: float) -> bool:
        return abs(at - self._sections[section].latest) < _AHEAD

    def lay(self, packet: Any) -> None:
        """Move a packet's time stamps to where its content lies on the file's one clock."""
        section = self.see(packet)
        if section is None or section >= len(self._shifts) or not self._shifts[section]:
            return
        ticks = round(self._shifts[section] / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks

    def shifts(self) -> tuple[float, ...]:
        """Seconds by which each section is to be moved, so that it begins where the one before ends."""
        found, end = [0.0], self._sections[0].end
        for number, section in enumerate(self._sections[1:], start=1):
            alone = any(  # another track goes on in the section before
                index not in section.seen
                and max(one.seen.get(index, 0) for one in self._sections[:number]) > section.opened + _GOES_ON
                for index in self._tracks
            )
            found.append(found[-1] if alone else end - section.begin)
            end = max(end, section.end + found[number])
        return tuple(found)

    def extent(self) -> tuple[float, float] | None:
        """When content begins and ends on the file's one clock, in seconds; None: there is none."""
        pairs = [(section, shift) for section, shift in zip(self._sections, self.shifts(), strict=True) if section.seen]
        pairs = [(section, shift) for section, shift in pairs if section.end > float("-inf")]
        if not pairs:
            return None
        return min(one.begin + shift for one, shift in pairs), max(one.end + shift for one, shift in pairs)


_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_ADTS_SAMPLES = 1024


def counts_samples(container: InputContainer) -> bool:
    """Whether a file has no times of its own, and FFmpeg's are made with the first packet's rate: bare AAC (ADTS)."""
    return bool(container.format.name == "aac")


class SampleClock(Clock):
    """Times of bare AAC by the rate that each packet's header gives: it may change where files were joined."""

    def __init__(self, streams: Iterable[Any]) -> None:
        """Begin at the file's start."""
        self._indices = {stream.index for stream in streams}
        self._seconds = 0.0
        self._rates: set[int] = set()

    def see(self, packet: Any) -> int | None:
        """Count a packet in."""
        if not packet.size or packet.stream_index not in self._indices:
            return None
        head = bytes(memoryview(packet)[:7])
        number = (head[2] >> 2) & 15 if len(head) == 7 and head[0] == 0xFF and head[1] >> 4 == 0xF else len(_ADTS_RATES)
        if number < len(_ADTS_RATES):
            self._rates.add(_ADTS_RATES[number])
            self._seconds += _ADTS_SAMPLES * ((head[6] & 3) + 1) / _ADTS_RATES[number]
        return 0

    def lay(self, packet: Any) -> None:
        """Set a packet's time to where the samples before it end."""
        begin = self._seconds
        if self.see(packet) is not None:
            packet.pts = packet.dts = round(begin / packet.time_base)
            packet.duration = round((self._seconds - begin) / packet.time_base)

    def shifts(self) -> tuple[float, ...]:
        """Nothing is moved; two sections where the rate changes, as a time then says nothing of a place."""
        return (0.0,) if len(self._rates) < 2 else (0.0, 0.0)

    def extent(self) -> tuple[float, float] | None:
        """When content begins and ends, in seconds."""
        return (0.0, self._seconds) if self._seconds else None
