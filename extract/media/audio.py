"""Sound of media files: decoded, laid on its time stamps, channels averaged, resampled (docs/design.md 5)."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
import torch
from av.filter import Graph
from numpy.typing import NDArray
from torch import Tensor

from extract.errors import MediaError
from extract.media.clock import packet_time
from extract.media.completeness import Coverage
from extract.media.container import Packets, clock_of, decode, first_stream, opened, stream_of, stretch
from extract.media.limits import TimeLimit, check_sound
from extract.media.timeline import timeline_of

_MAY_BE_LOST = 0.1
_ENCODER_DELAY = 0.05
_RUN_UP = 1.0
_SLACK = 20.0
_TOGETHER, _BLOCK = 64, 16_384
"""Frames that are laid before samples are taken; samples in one piece. Both larger are no faster."""
LONGEST = 120.0
"""Seconds of sound that a file of one clip may have, unless its clip is longer."""

Sound = tuple[Tensor, int]
"""Float32 (samples,), or (channels, samples), and samples a second."""


class SoundTrack:
    """A sound track, taken in packet by packet.

    FFmpeg's own filter (aresample=async) lays it on its time stamps: where packets were lost, or a recording paused,
    there is silence; where they overlap, what is there twice is cut. A rate, a layout or a format of samples that
    changes on the way becomes the first one.

    Attributes:
        stream: the track.
        begin: when its first sample is heard, in seconds of the file's clock; None: there is none yet.
        end: when its last one is.
    """

    def __init__(
        self, stream: Any, path: Path, *, mono: bool = True, counts_from: float = -np.inf, longest: float = LONGEST
    ) -> None:
        """Begin with nothing.

        Args:
            stream: the track.
            path: the file, for messages.
            mono: whether its channels are averaged.
            counts_from: second of the file's clock before which damage does not matter.
            longest: seconds of sound that are taken in at most.
        """
        self.stream = stream
        self.begin: float | None = None
        self.end = 0.0
        self._path, self._mono, self._counts_from, self._longest = path, mono, counts_from, longest
        self._graph: Graph | None = None
        self._kind: tuple[Any, ...] = ()
        self._form: tuple[int, str] = (0, "")
        self._pieces: list[NDArray[np.float32]] = []
        self._rate = self._channels = 0
        self._length = self._waiting = self._bad = 0
        self._decoded = self._lost = 0.0

    def take(self, packet: Any) -> None:
        """Decode a packet of the track; silence stands for a damaged one.

        Raises:
            MediaError: the sound is too long, or no sound.
        """
        frames = decode(packet)
        if frames is None:
            self._lose(packet)
            return
        for frame in frames:
            self._lay(frame)
            self._decoded += frame.samples / frame.sample_rate

    def _lay(self, frame: Any) -> None:
        rate, pts, base = frame.sample_rate, frame.pts, frame.time_base
        check_sound(self._path, rate, 0, 0.0, self._longest)
        at = self.end if pts is None or not base else pts * base.numerator / base.denominator
        if self.begin is None:
            self.begin = at
            self._rate, self._channels = rate, frame.layout.nb_channels
            self._form = rate, frame.layout.name
        self._check(at + frame.samples / rate - self.begin)
        kind = (rate, frame.format.name, frame.layout.name, base)
        if kind != self._kind:
            self._open(kind)
        assert self._graph is not None
        self._graph.push(frame)
        self.end = at + frame.samples / rate
        self._waiting += 1
        if self._waiting >= _TOGETHER:
            self._collect()

    def _open(self, kind: tuple[Any, ...]) -> None:
        """What takes frames of one kind, and goes on where those of another kind ended."""
        self._close()
        self._kind = kind
        (rate, samples, layout, base), (first_rate, first_layout) = kind, self._form
        graph = Graph()
        source = graph.add_abuffer(sample_rate=rate, format=samples, layout=layout, time_base=base)
        so_far = (self.begin or 0.0) + self._length / first_rate
        goes_on = f":first_pts={round(so_far * rate)}" if self._length else ""  # in samples of what comes in
        other = f":channel_layouts={first_layout}" if layout != first_layout else ""
        steps = [
            graph.add("aresample", f"{first_rate}:async=1{goes_on}"),
            graph.add("aformat", f"sample_fmts=dbl{other}"),
        ]
        steps += [graph.add("asetnsamples", f"n={_BLOCK}:p=0"), graph.add("abuffersink")]
        graph.link_nodes(source, *steps).configure()
        self._graph = graph

    def _close(self) -> None:
        if self._graph is not None:
            self._graph.push(None)
            self._collect()
            self._graph, self._kind = None, ()

    def _collect(self) -> None:
        """Take what has been laid."""
        self._waiting = 0
        assert self._graph is not None
        while True:
            try:
                frame: Any = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            channels = np.ascontiguousarray(frame.to_ndarray().reshape(-1, self._channels).T)
            self._length += channels.shape[1]
            self._pieces.append(to_mono(channels) if self._mono else channels.astype(np.float32))

    def _lose(self, packet: Any) -> None:
        self._bad += 1
        if not (packet.duration and packet.time_base):
            return
        seconds, at = float(packet.duration * packet.time_base), packet_time(packet)
        begin = self.end if at is None else at
        if begin + seconds > self._counts_from:
            self._lost += seconds
        samples = int(seconds * self._rate)
        if not self._kind or not 0 < samples <= self._rate:
            return
        rate, form, layout, _ = self._kind
        silence: Any = av.AudioFrame(format=form, layout=layout, samples=int(seconds * rate))
        for plane in silence.planes:
            plane.update((b"\x80" if form.startswith("u8") else b"\0") * plane.buffer_size)
        silence.sample_rate, silence.time_base = rate, packet.time_base
        silence.pts = round(begin / packet.time_base)
        self._lay(silence)

    def _check(self, seconds: float) -> None:
        values = int(seconds * self._rate) * (1 if self._mono else max(1, self._channels))
        check_sound(self._path, self._rate, values, seconds, self._longest)

    def whole(self, rate: int | None, start: float | None = None) -> Sound | None:
        """All of it so far.

        Args:
            rate: Hz of the mono sound; None where the track is not averaged.
            start: where the clip begins on the file's clock: a track that begins over 50 ms later (less is an
                encoder's delay) has silence in front.

        Returns:
            The sound, None if there is none.

        Raises:
            MediaError: over a tenth of it is damaged.
        """
        wave = self._joined()
        if wave is None or self.begin is None:
            return None
        if start is not None and self.begin - start > _ENCODER_DELAY:
            late = int((self.begin - start) * self._rate)
            self._check(self.end - start)
            wave = np.concatenate([np.zeros((*wave.shape[:-1], late), dtype=np.float32), wave], axis=-1)
        return self._resampled(wave, rate)

    def part(self, rate: int | None, begin: float, seconds: float) -> Sound | None:
        """Some seconds of it, silence where it has none.

        Args:
            rate: as in :meth:`whole`.
            begin: seconds of the file's clock.
            seconds: length of the part.

        Returns:
            The sound, ``seconds`` long; None if all of it lies elsewhere.

        Raises:
            MediaError: over a tenth of it is damaged.
        """
        wave = self._joined()
        if wave is None or self.begin is None:
            return None
        length, first = round(seconds * self._rate), round((self.begin - begin) * self._rate)
        low, high = max(first, 0), min(first + wave.shape[-1], length)
        if high <= low:
            return None
        placed = np.zeros((*wave.shape[:-1], length), dtype=np.float32)
        placed[..., low:high] = wave[..., low - first : high - first]
        found, at_rate = self._resampled(placed, rate)
        exact = round(seconds * at_rate)
        return torch.nn.functional.pad(found, (0, max(0, exact - found.shape[-1])))[..., :exact], at_rate

    def silence(self, rate: int | None, seconds: float) -> Sound:
        """What a hole in the track sounds like; arguments as of :meth:`part`."""
        codec = self.stream.codec_context
        at_rate: int = rate or self._rate or codec.sample_rate
        channels = () if self._mono else (self._channels or codec.layout.nb_channels,)
        return torch.zeros((*channels, round(seconds * at_rate))), at_rate

    def _joined(self) -> NDArray[np.float32] | None:
        there, whole = self._decoded, self._decoded + self._lost
        nothing = self._bad and not self._decoded and self._counts_from == -np.inf
        if nothing or self._lost > whole * _MAY_BE_LOST:
            raise MediaError(
                self._path, f"its sound is damaged: {there:.1f} of {whole:.1f} s can be decoded; get it again"
            )
        self._close()
        if not self._length:
            return None
        wave: NDArray[np.float32] = np.concatenate(self._pieces, axis=-1)
        self._pieces = [wave]
        return wave

    def _resampled(self, wave: NDArray[np.float32], rate: int | None) -> Sound:
        if rate is not None and self._rate != rate:
            wave = np.asarray(soxr.resample(wave, self._rate, rate, quality="HQ"), dtype=np.float32)
        return torch.from_numpy(np.ascontiguousarray(wave)), rate or self._rate


def read_sound(path: Path, rate: int | None, limit: TimeLimit | None = None, longest: float = LONGEST) -> Sound:
    """The sound of a file (WAV, or whatever FFmpeg knows), and its rate.

    Args:
        path: the file.
        rate: mono at this rate in Hz; None: rate and channels as they are.
        limit: on the time it takes.
        longest: seconds of sound that it may have.

    Returns:
        float32 (samples,), or (channels, samples); samples a second.

    Raises:
        MediaError: the file cannot be used, or has no sound.
    """
    shifts = timeline_of(path, limit).shifts
    with opened(path, limit) as container:
        stream = first_stream(container, "audio", path)
        if stream is None:
            raise MediaError(path, "it has no sound; give one that has")
        track, coverage = SoundTrack(stream, path, mono=rate is not None, longest=longest), Coverage(container)
        packets = Packets(container, limit=limit, clock=clock_of(container, path, shifts))
        for packet in packets:
            coverage.add(packet, packet_time(packet))
            if stream_of(packet) == stream.index:
                track.take(packet)
        coverage.check(path, [stream], packets.failure)
    sound = track.whole(rate)
    if sound is None:
        raise MediaError(path, "it has no sound; give one that has")
    return sound


def read_part(
    path: Path, rate: int | None, begin: float, seconds: float, limit: TimeLimit | None = None
) -> Sound | None:
    """Some seconds of a file's sound, silence where it has none.

    Args:
        path: the file.
        rate: as in :func:`read_sound`.
        begin: seconds of the file's clock.
        seconds: length of the part.
        limit: on the time it takes.

    Returns:
        The sound, None if there is none in that time.

    Raises:
        MediaError: the file cannot be used.
    """
    track: SoundTrack | None = None
    before = after = False
    end = begin + seconds
    shifts = timeline_of(path, limit).shifts
    for packet in stretch(path, "audio", begin - _RUN_UP, end + _RUN_UP / 4, limit, shifts):
        if track is None:
            track = SoundTrack(packet.stream, path, mono=rate is not None, counts_from=begin, longest=seconds + _SLACK)
        at = packet_time(packet)
        if at is not None and packet.size:
            before, after = before or at < begin, after or at >= end
        if at is None or begin - _RUN_UP <= at < end + _RUN_UP:
            track.take(packet)
    if track is None:
        return None
    return track.part(rate, begin, seconds) or (track.silence(rate, seconds) if before and after else None)


def to_mono(channels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Channels averaged: float32 (samples,)."""
    mono: NDArray[np.float32] = channels.mean(axis=0).astype(np.float32)
    return mono
