"""Encoding a stretch anew: pictures from the one on display at its begin, sound sample by sample."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

from extract.media.audio import read_part
from extract.media.container import decode, stretch
from extract.media.cut_plan import ROUNDING, CutPlan
from extract.media.frames import as_shown, times_of_part
from extract.media.limits import TimeLimit, check_picture

Encoded = Iterator[Any]
"""Packets, ready to be written."""

_TICK = Fraction(1, 90_000)
_USUAL_RATE = 25
_PIECE_SECONDS = 20.0
_OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "18", "bf": "0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "5", "crf": "30", "b": "0", "lag-in-frames": "0"},
}
_RATES = {
    "aac": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
    "libopus": (48000,),
}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}


@dataclass(frozen=True)
class _Shown:
    """A frame, and when it is on display, in seconds of the stretch."""

    frame: av.VideoFrame
    begin: float
    end: float


def encoded_picture(plan: CutPlan, video: Any, out: OutputContainer, limit: TimeLimit) -> Encoded | None:
    """A new track with the pictures of a stretch; None where there are none.

    Frames keep their times. They are turned as the file says they are to be shown.
    """
    frames = _frames(plan, limit)
    one = next(frames, None)
    if one is None:
        return None
    turned = _upright(one.frame)
    width, height = (max(2, size // 2 * 2) for size in (turned.width, turned.height))
    stream: Any = out.add_stream(plan.kind.picture, rate=_rate(video))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.time_base = _TICK
    stream.options = dict(_OPTIONS.get(plan.kind.picture, {}))
    aspect = video.sample_aspect_ratio
    if aspect:
        on_its_side = (turned.width > turned.height) != (one.frame.width > one.frame.height)
        stream.codec_context.sample_aspect_ratio = 1 / aspect if on_its_side else aspect
    return _encode_frames(stream, itertools.chain([one], frames), (width, height), plan, limit)


def _encode_frames(
    stream: Any, frames: Iterator[_Shown], size: tuple[int, int], plan: CutPlan, limit: TimeLimit
) -> Encoded:
    reformatter, lengths, last = VideoReformatter(), dict[int, int](), -1
    for shown in frames:
        limit.check()
        check_picture(plan.path, shown.frame.width, shown.frame.height)
        frame = reformatter.reformat(_upright(shown.frame), width=size[0], height=size[1], format="yuv420p", threads=1)
        frame.pts, frame.time_base = max(round(shown.begin / _TICK), last + 1), _TICK
        frame.pict_type = 0
        last = frame.pts
        lengths[last] = max(1, round(shown.end / _TICK) - last)
        yield from _lasting(stream.encode(frame), lengths)
    yield from _lasting(stream.encode(None), lengths)


def _lasting(packets: list[Any], lengths: dict[int, int]) -> Iterator[Any]:
    for packet in packets:
        length = lengths.pop(packet.pts, None)
        if length is not None and packet.time_base:
            packet.duration = round(length * _TICK / packet.time_base)
        yield packet


def _frames(plan: CutPlan, limit: TimeLimit) -> Iterator[_Shown]:
    """Frames that are on display in a stretch, the first from its begin on."""
    held: tuple[Any, float, float] | None = None
    for frame, at, length in _decoded(plan, limit):
        if held is not None and at > plan.first + ROUNDING:
            yield _Shown(held[0], max(0.0, held[1] - plan.first), min(at, plan.last) - plan.first)
        if at >= plan.last - ROUNDING:
            return
        held = frame, at, length
    if held is not None and held[1] + held[2] > plan.first + ROUNDING:
        begin = max(0.0, held[1] - plan.first)
        yield _Shown(held[0], begin, min(held[1] + held[2], plan.last) - plan.first)


def _decoded(plan: CutPlan, limit: TimeLimit) -> Iterator[tuple[Any, float, float]]:
    """Frames from the key frame before a stretch on, the second of each on the file's clock, and its length."""
    times = times_of_part(plan.path, plan.first, plan.last, limit, plan.shifts)
    if not len(times):
        return
    ticks, seconds = times.ticks, times.seconds
    steps = np.diff(seconds)
    usual = float(np.median(steps)) if len(steps) else times.end - float(seconds[-1])
    number = 0
    for packet in stretch(plan.path, "video", plan.first, np.inf, limit, plan.shifts):
        for frame in decode(packet) or ():
            by_order = packet.stream.container.format.name == "avi"
            tick = float(packet.stream.time_base)
            place = min(number, len(ticks) - 1)
            at = float(seconds[place]) if by_order or frame.pts is None else frame.pts * tick
            number += 1
            yield frame, at, (frame.duration or 0) * tick or usual


def _upright(frame: av.VideoFrame) -> av.VideoFrame:
    """A frame as the file says it is to be shown."""
    beside: Any = frame.side_data
    if beside.get(Type.DISPLAYMATRIX) is None:
        return frame
    turned = as_shown(frame.to_ndarray(format="rgb24"), frame)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(turned), format="rgb24")


def _rate(video: Any) -> Fraction:
    rate = video.average_rate or video.guessed_rate
    return Fraction(rate).limit_denominator(65_535) if rate and 1 <= rate <= 240 else Fraction(_USUAL_RATE)


def encoded_sound(plan: CutPlan, audio: Any, out: OutputContainer, first: float, limit: TimeLimit) -> Encoded | None:
    """A new track with the sound of a stretch, silence in its holes; None where there is none.

    Args:
        plan: the stretch.
        audio: the file's track.
        out: where the new one goes.
        first: second of the file's clock at which it begins.
        limit: on the time it takes.
    """
    pieces = _pieces(plan, first, limit)
    one = next(pieces, None)
    if one is None:
        return None
    name = plan.kind.sound
    rate = one.sample_rate if name not in _RATES else min(_RATES[name], key=lambda each: abs(each - one.sample_rate))
    if name == "pcm_s16le" and audio.codec_context.name.startswith("pcm_"):
        name = audio.codec_context.name
    stream: Any = out.add_stream(name, rate=rate)
    stream.layout = one.layout.name
    return _encode_sound(stream, itertools.chain([one], pieces))


def _encode_sound(stream: Any, pieces: Iterator[av.AudioFrame]) -> Encoded:
    for piece in pieces:
        yield from stream.encode(piece)
    yield from stream.encode(None)


def _pieces(plan: CutPlan, first: float, limit: TimeLimit) -> Iterator[av.AudioFrame]:
    """The sound of a stretch, some seconds at a time, sample behind sample."""
    at = first
    while at < plan.last - ROUNDING:
        seconds = min(_PIECE_SECONDS, plan.last - at)
        found = read_part(plan.path, None, at, seconds, limit)
        if found is not None:
            wave, rate = found
            values = wave.numpy()
            if len(values) not in _LAYOUTS:
                values = values.mean(axis=0, keepdims=True)
            frame: Any = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(values), format="fltp", layout=_LAYOUTS[len(values)]
            )
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round((at - first) * rate)
            yield frame
        at += seconds
