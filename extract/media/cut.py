"""Cutting a stretch out of a media file: streams are copied where key frames allow, else encoded (docs/scores.md)."""

import errno
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer

from extract.errors import MediaError
from extract.media.container import first_stream, opened, stretch
from extract.media.cut_encode import Encoded, encoded_picture, encoded_sound
from extract.media.cut_plan import ROUNDING, CutPlan, plan_cut
from extract.media.limits import TimeLimit, default_timeout
from extract.media.timeline import timeline_of
from feature_cache.storage.atomic import whole_file

COPIED, ENCODED = "copied", "encoded"
_LEAST = 0.001
_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EFBIG)
"""What is wrong with the disk, and not with the file that is cut."""

Timed = Iterator[tuple[float, Any]]
"""Packets, each with the second at which it is decoded."""


@dataclass(frozen=True)
class Cut:
    """A file that was cut.

    Attributes:
        path: the file.
        picture: "copied" or "encoded"; "" if there is none.
        sound: likewise.
        begin: where it begins, in seconds of the content of the file it is from: at a key frame within a frame of what
            was asked for, where the picture is copied.
        end: where it ends, at most.
    """

    path: Path
    picture: str
    sound: str
    begin: float
    end: float


def cut_stretch(path: Path, begin: float, end: float, target: Path, timeout: float | None = None) -> Cut:
    """Cut some seconds out of a file, into a file of their own, which is there whole or not at all.

    Args:
        path: the file.
        begin: seconds of its content: 0 is where the first of picture and sound begins.
        end: the same; what lies behind the content's end is not there.
        target: the file to make, without an ending: that depends on what is in it.
        timeout: seconds that this may take; None: as extraction would give a clip of the length.

    Raises:
        MediaError: the file cannot be used, or has nothing there.
        OSError: the target cannot be written.
    """
    limit = TimeLimit(path, default_timeout(max(0.0, end - begin)) if timeout is None else timeout)
    timeline = timeline_of(path, limit)
    first, last = timeline.start + begin, min(timeline.start + end, timeline.end)
    if last - first < _LEAST:
        raise MediaError(path, f"it ends at {timeline.seconds:.1f} s, before second {begin:g}; get it again")
    plan = plan_cut(path, first, last, timeline, limit)
    said = ""
    for picture, sound in _ways(plan):
        try:
            found = _write(plan, target.with_name(target.name + plan.kind.ending), picture, sound, limit)
        except (av.FFmpegError, ValueError) as error:
            if getattr(error, "errno", None) in _OUTPUT:
                raise OSError(error.errno, error.strerror, str(target.parent)) from error  # type: ignore[union-attr]
            said = (str(getattr(error, "strerror", None) or error).splitlines() or [""])[0]
            continue
        at = found.begin - timeline.start
        return Cut(found.path, found.picture, found.sound, at, last - timeline.start)
    raise MediaError(path, f"it cannot be cut ({said[:100]}); convert it")


def _ways(plan: CutPlan) -> list[tuple[bool, bool]]:
    """Whether picture and sound are copied, in the order in which it is tried: a container may refuse a codec."""
    picture, sound = plan.copied is not None, plan.copies_sound
    return list(dict.fromkeys([(picture, sound), (picture, False), (False, sound), (False, False)]))


def _write(plan: CutPlan, target: Path, copy_picture: bool, copy_sound: bool, limit: TimeLimit) -> Cut:
    first = plan.first
    with opened(plan.path, limit) as source, whole_file(target) as partial:
        video, audio = (first_stream(source, kind, plan.path) for kind in ("video", "audio"))
        if copy_picture and plan.copied is not None:
            first = float(min(plan.copied) * video.time_base)  # type: ignore[union-attr]
        with av.open(f"file:{partial}", "w", format=plan.kind.container) as out:
            tracks: list[Timed] = []
            picture = sound = ""
            if plan.has_picture and video is not None:
                made = _copied_picture(plan, video, out, limit) if copy_picture else None
                encoded = None if copy_picture else encoded_picture(plan, video, out, limit)
                if made is not None or encoded is not None:
                    tracks.append(made if made is not None else _timed(encoded))
                    picture = COPIED if copy_picture else ENCODED
            if plan.has_sound and audio is not None:
                track = _sound(plan, audio, out, first, copy_sound, limit)
                if track is not None:
                    tracks.append(track)
                    sound = COPIED if copy_sound else ENCODED
            if not tracks:
                raise MediaError(plan.path, "it has neither picture nor sound there; get it again")
            for _, packet in heapq.merge(*tracks, key=lambda each: each[0]):
                out.mux(packet)
    return Cut(target, picture, sound, first, plan.last)


def _timed(encoded: Encoded | None) -> Timed:
    for packet in encoded or ():
        yield float((packet.dts if packet.dts is not None else packet.pts or 0) * packet.time_base), packet


def _copied_picture(plan: CutPlan, video: Any, out: OutputContainer, limit: TimeLimit) -> Timed | None:
    stream = out.add_stream_from_template(video, opaque=True)
    copied = dict(plan.copied or {})
    zero, final = min(copied), max(copied)

    def packets() -> Timed:
        started = False
        for packet in stretch(plan.path, "video", plan.first, plan.last, limit):
            started = started or bool(packet.size and packet.is_keyframe and packet.pts == zero)
            decoded = copied.pop(packet.pts, None) if started and packet.size and packet.pts is not None else None
            if decoded is not None:  # what follows a key frame and is shown before it needs others
                if packet.pts == final and packet.duration:  # of an uneven rate it may last long
                    packet.duration = max(1, min(packet.duration, round(plan.last / packet.time_base) - final))
                packet.pts, packet.dts = packet.pts - zero, decoded - zero
                at = float(packet.dts * packet.time_base)
                packet.stream = stream
                yield at, packet
            if not copied:
                return

    return packets()


def _sound(plan: CutPlan, audio: Any, out: OutputContainer, first: float, copy: bool, limit: TimeLimit) -> Timed | None:
    """The sound of the stretch; None where there is none."""
    if not copy:
        encoded = encoded_sound(plan, audio, out, first, limit)
        return None if encoded is None else _timed(encoded)
    packets = _sound_packets(plan, first, limit)
    one = next(packets, None)
    if one is None:
        return None
    stream = out.add_stream_from_template(audio, opaque=True)
    return _on(stream, one, packets, first)


def _on(stream: Any, one: Any, packets: Iterator[Any], first: float) -> Timed:
    """Packets of sound on a stream of their own, in seconds of the stretch."""
    zero = round(first / one.time_base)
    packet: Any = one
    while packet is not None:
        packet.pts = packet.dts = max(packet.pts - zero, 0)
        at = float(packet.pts * packet.time_base)
        packet.stream = stream
        yield at, packet
        packet = next(packets, None)


def _sound_packets(plan: CutPlan, first: float, limit: TimeLimit) -> Iterator[Any]:
    """Packets that begin in the stretch, and of which at least a half lies in it."""
    for packet in stretch(plan.path, "audio", first - 1.0, plan.last, limit):
        if not packet.size or packet.pts is None:
            continue
        at, half = float(packet.pts * packet.time_base), float((packet.duration or 0) * packet.time_base) / 2
        if at >= first - ROUNDING and at + half < plan.last:
            yield packet
