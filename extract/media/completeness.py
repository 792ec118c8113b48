"""Is a file whole: what it says of its length, where that is a statement and no guess, against what is there.

FFmpeg gives a length for every file. It is a guess from the bit rate where nobody wrote one down (ADTS, MP3 without
a Xing header), what the last packet happens to say (FLV, MPEG-TS), or the end of the longest track, subtitles
included. None of these refuses a file.
"""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from av.container import InputContainer

from extract.errors import MediaError

_MAY_MISS, _MAY_MISS_SECONDS, _MAY_MISS_OF_A_FILE = 0.05, 0.25, 0.5
CONTAINER_TICK = 1e-6
_BY_TRACK = ("aiff", "asf", "au", "avi", "caf", "flac", "w64", "wav")
"""Formats whose header gives the length of a track; AVI's and WAV's sizes are looked at in bytes, too."""
_BOXES = frozenset(
    b"emsg free ftyp imda mdat meta mfra moof moov pdin pnot prft sidx skip ssix styp udta uuid wide".split()
)
"""What an MP4 consists of; other things behind its last box are somebody's tag or padding."""
_UNKNOWN = ((0, 0), (0x7F000000, 0x80010000), (0xFFFF0000, 0xFFFFFFFF))
"""Sizes that programs write to a pipe, where they cannot know better: none, the most that fits, or nearly so."""
_LARGE_TAG = 1 << 20
_LONGEST_FRAME = 4096


def may_be_missing(seconds: float) -> float:
    """Seconds of a length that nobody misses: 5 %, at least a quarter of a second."""
    return max(_MAY_MISS_SECONDS, _MAY_MISS * seconds)


def cut_off(path: Path, there: float, whole: float) -> MediaError:
    """What is said of a file whose end is missing."""
    return MediaError(path, f"it is cut off: {there:.1f} of {whole:.1f} s are there; get it again")


def check_bytes(container: InputContainer, path: Path) -> None:
    """Refuse a WAV or AVI file, or an MP4 in fragments, that is shorter than its headers say.

    FFmpeg takes what is there for the whole; of other MP4s it knows each sample's place (:func:`check_samples`).

    Raises:
        MediaError: over 5 % of its bytes are missing.
    """
    with path.open("rb") as file:
        riff = file.read(4) == b"RIFF"
    fragments = "mov" in container.format.name and not any(stream.frames for stream in container.streams)
    there, declared = path.stat().st_size, declared_bytes(path) if riff or fragments else None
    if declared is not None and there < declared * (1 - _MAY_MISS):
        raise MediaError(path, f"it is cut off: {there} of {declared} bytes are there; get it again")


def declared_bytes(path: Path) -> int | None:
    """How long a WAV, AVI, MP4 or MOV file is by its own word; None: it does not say."""
    there = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] == b"RIFF":
            size = int.from_bytes(head[4:], "little")
            unknown = len(head) < 8 or any(low <= size <= high for low, high in _UNKNOWN)
            return None if unknown else size + 8
        if head[4:] != b"ftyp":
            return None
        end = 0
        while len(head) == 8 and end < there:  # from box to box
            if head[4:] not in _BOXES and b"moof" not in file.read(_LARGE_TAG):
                break  # no box, and none behind it
            file.seek(end + 8)
            size = int.from_bytes(head[:4], "big")
            if size == 1:
                size = int.from_bytes(file.read(8), "big")
            if size < 8:  # 0: up to the end of the file
                return None
            end += size
            file.seek(end)
            head = file.read(8)
        return end


def check_samples(container: InputContainer, path: Path, streams: Iterable[Any]) -> None:
    """Refuse an MP4 whose list of samples goes on behind the file's end.

    Args:
        container: of an MP4, MOV or the like.
        path: the file.
        streams: those that are used.

    Raises:
        MediaError: over 5 % and a quarter of a second of a stream are not there.
    """
    size = path.stat().st_size
    for stream in streams:
        inside = [entry.pos + entry.size <= size for entry in stream.index_entries]
        if not all(inside):
            length = float((stream.duration or 0) * stream.time_base)
            there = sum(inside) / len(inside) * length
            if length - there > may_be_missing(length):
                raise cut_off(path, there, length)


class Coverage:
    """How much of what a file declares its packets cover."""

    def __init__(self, container: InputContainer) -> None:
        """Begin with nothing seen."""
        self._container = container
        self._edges: dict[int, tuple[float, float]] = {}
        self._first_byte: dict[int, int] = {}

    def add(self, packet: Any, begin: float | None) -> None:
        """Count a packet in that is presented at ``begin`` seconds."""
        if begin is None or not packet.size:
            return
        index, end = packet.stream_index, begin + float((packet.duration or 0) * packet.time_base)
        low, high = self._edges.get(index, (begin, end))
        self._edges[index] = min(low, begin), max(high, end)
        self._first_byte.setdefault(index, packet.pos or 0)

    def check(self, path: Path, wanted: Iterable[Any], failure: str | None) -> None:
        """Refuse a file that ends well before the end that it declares.

        Args:
            path: the file.
            wanted: the streams that are used.
            failure: what FFmpeg said where reading ended early; None: it came to the file's end.

        Raises:
            MediaError: more than 5 % and a quarter of a second is missing, or reading ended early.
        """
        lengths = {index: high - low for index, (low, high) in self._edges.items()}
        longest = max(lengths.values(), default=0.0)
        covered = False
        for stream in wanted:
            there, declared = lengths.get(stream.index, 0.0), self._track_seconds(stream, path)
            if declared and self._from_zero:
                there = max(there, self._edges.get(stream.index, (0.0, 0.0))[1])
            lacking = may_be_missing(declared)
            if not declared:
                there, declared = longest, self._file_seconds(path)
                lacking = min(may_be_missing(declared), _MAY_MISS_OF_A_FILE)
            if declared - there > lacking:
                raise cut_off(path, there, declared)
            covered |= declared > 0
        if failure is not None and not covered:
            raise MediaError(path, f"it is damaged: it can be read up to {longest:.1f} s ({failure}); get it again")

    @property
    def _from_zero(self) -> bool:
        """Whether a track's length is counted from the file's start: an MP4's edit list may begin with nothing."""
        return any(name in self._container.format.name for name in ("matroska", "mov"))

    def _track_seconds(self, stream: Any, path: Path) -> float:
        name = self._container.format.name
        if "matroska" in name:  # subtitles may go on for longer: then a track's own statistics count
            others = any(each.type not in ("video", "audio") for each in self._container.streams)
            return _clock(stream.metadata.get("DURATION", "")) if others else 0.0
        if name == "mp3":
            return self._counted_seconds(stream, path)
        if not stream.duration or not (name in _BY_TRACK or "mov" in name):
            return 0.0
        seconds = float(stream.duration * stream.time_base)
        codec = stream.codec_context
        if name == "avi" and declared_bytes(path) is None:  # written to a pipe: other numbers are made up, too
            return 0.0
        size = seconds * (codec.bit_rate or 0) / 8
        if codec.name.startswith("pcm_") and any(low <= size <= high for low, high in _UNKNOWN):
            return 0.0
        return seconds

    def _file_seconds(self, path: Path) -> float:
        name = self._container.format.name
        if name == "flv":
            return _flv_seconds(path)
        if "matroska" in name or name == "asf":
            return max(0.0, (self._container.duration or 0) * CONTAINER_TICK)
        return 0.0

    def _counted_seconds(self, stream: Any, path: Path) -> float:
        """What an MP3's first frame says, where it counts the others; FFmpeg gives no packet of it."""
        first, rate = self._first_byte.get(stream.index, 0), stream.codec_context.sample_rate
        with path.open("rb") as file:
            file.seek(max(0, first - _LONGEST_FRAME))
            before = file.read(min(first, _LONGEST_FRAME))
        for name, place in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
            at = before.rfind(name)
            frames = before[at + place : at + place + 4]
            if at >= 0 and len(frames) == 4 and rate and (name == b"VBRI" or before[at + 7] & 1):
                return int.from_bytes(frames, "big") * (1152 if rate >= 32_000 else 576) / float(rate)
        return 0.0


def _clock(text: str) -> float:
    """Seconds of "hh:mm:ss.fraction", as Matroska's statistics have it; 0: it is none."""
    try:
        hours, minutes, seconds = text.split(":")
        return max(0.0, int(hours) * 3600 + int(minutes) * 60 + float(seconds))
    except ValueError:
        return 0.0


def _flv_seconds(path: Path) -> float:
    """What an FLV's first tag says; FFmpeg takes the last tag's time where it says nothing."""
    with path.open("rb") as file:
        head = file.read(_LARGE_TAG)
    at = head.find(b"\x00\x08duration\x00")
    if at < 0 or len(head) < at + 19:
        return 0.0
    (seconds,) = struct.unpack(">d", head[at + 11 : at + 19])
    return float(seconds) if 0 < seconds < 1e9 else 0.0
