"""What of a stretch of a file can be copied, packet by packet, and what has to be encoded anew."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.container import InputContainer

from extract.media.clock import packet_ticks
from extract.media.container import first_stream, opened, stretch
from extract.media.limits import TimeLimit
from extract.media.timeline import Timeline

ROUNDING = 0.0015
"""Seconds: Matroska counts in thousandths."""
_MOST_APART = 0.1
"""Seconds by which a key frame may lie beside the onset, if a frame is so long."""


@dataclass(frozen=True)
class Kind:
    """What a file is written as.

    Attributes:
        container: name of the format.
        ending: of the file.
        picture: name of the encoder of what cannot be copied.
        sound: the same.
    """

    container: str
    ending: str
    picture: str
    sound: str


@dataclass(frozen=True)
class CutPlan:
    """How a stretch of a file is cut out of it.

    Attributes:
        path: the file.
        first: where the stretch begins, in seconds of the file's clock.
        last: where it ends.
        shifts: of the file's sections.
        kind: what is written.
        has_picture: whether there is a picture in the stretch.
        has_sound: whether the file has sound.
        copied: packets of the picture that are copied, when each is to be decoded by when it is shown, in ticks of the
            track; the first in order is the key frame with which the cut begins. None: the picture is encoded.
        copies_sound: whether packets of sound can be copied.
    """

    path: Path
    first: float
    last: float
    shifts: tuple[float, ...]
    kind: Kind
    has_picture: bool
    has_sound: bool
    copied: dict[int, int] | None
    copies_sound: bool


def plan_cut(path: Path, first: float, last: float, timeline: Timeline, limit: TimeLimit) -> CutPlan:
    """Find out how a stretch can be cut out of a file.

    Args:
        path: the file.
        first: second of the file's clock.
        last: the same.
        timeline: of the file.
        limit: on the time it takes.

    Raises:
        MediaError: the file cannot be read.
    """
    with opened(path, limit) as container:
        video, audio = (first_stream(container, kind, path) for kind in ("video", "audio"))
        kind = _kind(container, path, with_picture=video is not None)
        timed = len(timeline.shifts) == 1 and container.format.name != "avi"
        tick = float(video.time_base) if video is not None else 0.0
        plain = audio is not None and audio.codec_context.name.startswith("pcm_")
    copied, seen = None, False
    if video is not None:
        packets = _packets(path, first, last, timeline, limit)
        seen = any(ticks * tick < last - ROUNDING for ticks, _ in packets)
        copied = _copied(packets, first, last, tick) if timed else None
    return CutPlan(path, first, last, timeline.shifts, kind, seen, audio is not None, copied, timed and not plain)


def _kind(container: InputContainer, path: Path, *, with_picture: bool) -> Kind:
    """The kind of a file's own family; Matroska, which takes everything, for others."""
    name = container.format.name
    if name.startswith("mov,"):
        return Kind("mp4", ".mp4" if with_picture else ".m4a", "libx264", "aac")
    if "webm" in name and path.suffix.lower() in (".webm", ".weba"):
        return Kind("webm", ".webm", "libvpx-vp9", "libopus")
    if name == "wav" and not with_picture:
        return Kind("wav", ".wav", "", "pcm_s16le")
    return Kind("matroska", ".mkv" if with_picture else ".mka", "libx264", "aac" if with_picture else "flac")


def _packets(path: Path, first: float, last: float, timeline: Timeline, limit: TimeLimit) -> list[tuple[int, bool]]:
    """When each packet of the picture around a stretch is shown, in ticks, and whether it is a key frame's."""
    found = []
    for packet in stretch(path, "video", first, last, limit, timeline.shifts):
        ticks = packet_ticks(packet) if packet.size else None
        if ticks is not None:
            found.append((ticks, bool(packet.is_keyframe)))
    return found


def _copied(packets: list[tuple[int, bool]], first: float, last: float, tick: float) -> dict[int, int] | None:
    """The packets that are copied: a key frame within a frame of the stretch's begin, and nothing long behind its end.

    Frames that are shown later may have to be there for those before to be decoded: then nothing is copied. Not every
    format says when a packet is to be decoded: in the order in which they come, none after it is shown.
    """
    ticks = [each for each, _ in packets]
    shown = np.array(ticks, dtype=np.int64) * tick
    steps = np.diff(np.unique(shown))
    step = float(np.median(steps)) if len(steps) else 0.0
    near = [at for at, (_, key) in enumerate(packets) if key and abs(shown[at] - first) <= min(step, _MOST_APART)]
    if not near:
        return None
    begin = min(near, key=lambda at: abs(shown[at] - first))
    inside = [at for at in range(begin, len(packets)) if shown[begin] <= shown[at] < last - ROUNDING]
    if not inside or max(shown[begin : inside[-1] + 1]) >= last + step - ROUNDING:
        return None
    kept = [each for each in ticks[begin : inside[-1] + 1] if each >= ticks[begin]]
    if len({*kept}) < len(kept):
        return None
    early = max(by_time - each for by_time, each in zip(sorted(kept), kept, strict=True))
    return {each: by_time - early for by_time, each in zip(sorted(kept), kept, strict=True)}
