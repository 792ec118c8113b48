"""Sound of media files: decoded, channels averaged, put in its place, resampled (docs/design.md 5)."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.errors import MediaError
from extract.limits import TimeLimit, check_sound
from extract.media_file import Coverage, decode, first_stream, opened, packet_time, packets, stretch

_MAY_BE_LOST = 0.1
_ENCODER_DELAY = 0.05
_LONGEST_GAP = 10.0
_RUN_UP = 1.0
_MANY = 8
"""Channels from which on PyAV reads behind a planar frame's last one, and may crash: those are interleaved first."""
_JOINED = 64
LONGEST = 120.0
"""Seconds of sound that a file of one clip may have, unless its clip is longer."""

Sound = tuple[Tensor, int]
"""Float32 (samples,), or (channels, samples), and samples a second."""


class SoundTrack:
    """A sound track, taken in packet by packet.

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
        self._pieces: list[NDArray[np.float32]] = []
        self._raw: list[NDArray[Any]] = []  # as decoded; joined some at a time, which is faster
        self._rate = self._channels = 0
        self._length = self._samples = self._lost = 0

    def take(self, packet: Any) -> None:
        """Decode a packet of the track; silence stands for a damaged one, so that the rest stays in place.

        Raises:
            MediaError: the sound is too long, or no sound.
        """
        frames = decode(packet)
        if frames is None:
            self._lose(packet)
            return
        for frame in frames:
            self._rate = self._rate or frame.sample_rate
            self._check(0)
            raw = channels_of(frame)
            self._channels = self._channels or len(raw)
            if frame.sample_rate != self._rate or len(raw) != self._channels:
                self._lose(packet)  # what a damaged header looks like
                continue
            pts, base = frame.pts, frame.time_base
            at = self.end if pts is None or not base else pts * base.numerator / base.denominator
            if self.begin is None:
                self.begin = at
            elif _ENCODER_DELAY < at - self.end <= _LONGEST_GAP:
                self._silence(int((at - self.end) * self._rate))
            samples = raw.shape[1]
            self._samples += samples
            self._count(samples)
            if self._raw and (self._raw[0].dtype != raw.dtype or len(self._raw) == _JOINED):
                self._join()
            self._raw.append(raw)
            self.end = at + samples / self._rate

    def _lose(self, packet: Any) -> None:
        if not (self._rate and packet.duration and packet.time_base):
            return
        seconds = float(packet.duration * packet.time_base)
        at = packet_time(packet)
        if self.begin is None:
            self.begin = self.end = self.end if at is None else at
        if self.end + seconds > self._counts_from:
            self._lost += int(seconds * self._rate)
        self._silence(int(seconds * self._rate))
        self.end += seconds

    def _silence(self, samples: int) -> None:
        self._count(samples)
        self._join()
        self._pieces.append(np.zeros(samples if self._mono else (self._channels, samples), dtype=np.float32))

    def _count(self, samples: int) -> None:
        self._check(samples)
        self._length += samples

    def _join(self) -> None:
        if self._raw:
            channels = to_full_scale(np.concatenate(self._raw, axis=1))
            self._pieces.append(to_mono(channels) if self._mono else channels.astype(np.float32))
            self._raw.clear()

    def _check(self, more: int) -> None:
        length = self._length + more
        values = length * (1 if self._mono else max(1, self._channels))
        check_sound(self._path, self._rate, values, length / max(1, self._rate), self._longest)

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
            self._check(late)
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

    def _joined(self) -> NDArray[np.float32] | None:
        if self._lost > (self._samples + self._lost) * _MAY_BE_LOST:
            there, whole = self._samples / (self._rate or 1), (self._samples + self._lost) / (self._rate or 1)
            raise MediaError(
                self._path, f"its sound is damaged: {there:.1f} of {whole:.1f} s can be decoded; get it again"
            )
        if not self._samples:
            return None
        self._join()
        wave: NDArray[np.float32] = np.concatenate(self._pieces, axis=-1)
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
    with opened(path, limit) as container:
        stream = first_stream(container, "audio", path)
        if stream is None:
            raise MediaError(path, "it has no sound; give one that has")
        track, coverage = SoundTrack(stream, path, mono=rate is not None, longest=longest), Coverage(container)
        for packet in packets(container, [stream], limit):
            coverage.add(packet)
            track.take(packet)
        coverage.check(path, [stream])
    sound = track.whole(rate)
    if sound is None:
        raise MediaError(path, "it has no sound; give one that has")
    return sound


def read_part(
    path: Path, rate: int | None, begin: float, seconds: float, limit: TimeLimit | None = None
) -> tuple[Sound | None, float]:
    """Some seconds of a file's sound, silence where it has none.

    Args:
        path: the file.
        rate: as in :func:`read_sound`.
        begin: seconds of the file's clock.
        seconds: length of the part.
        limit: on the time it takes.

    Returns:
        The sound, None if there is none in that time; where on the file's clock what was read ends.

    Raises:
        MediaError: the file cannot be used.
    """
    track: SoundTrack | None = None
    for packet in stretch(path, "audio", begin - _RUN_UP, begin + seconds + _RUN_UP / 4, limit):
        if track is None:
            track = SoundTrack(
                packet.stream, path, mono=rate is not None, counts_from=begin, longest=seconds + 2 * _LONGEST_GAP
            )
        at = packet_time(packet)
        if at is None or at >= begin - _RUN_UP:
            track.take(packet)
    if track is None:
        return None, -np.inf
    return track.part(rate, begin, seconds), track.end


def channels_of(frame: Any) -> NDArray[Any]:
    """The channels of an audio frame as they are: (channels, samples)."""
    if frame.format.is_planar and frame.layout.nb_channels >= _MANY:
        (frame,) = av.AudioResampler(format=frame.format.packed.name).resample(frame)
    values: NDArray[Any] = frame.to_ndarray()
    return values if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels).T


def to_full_scale(values: NDArray[Any]) -> NDArray[np.float64]:
    """Samples of any type as float64 of the same shape, full scale 1.0."""
    kind = values.dtype
    channels: NDArray[np.float64] = values.astype(np.float64)
    if kind == np.uint8:
        channels = (channels - 128) / 128
    elif kind.kind == "i":
        channels = channels / -float(np.iinfo(kind).min)
    return channels


def to_mono(channels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Channels averaged: float32 (samples,)."""
    mono: NDArray[np.float32] = channels.mean(axis=0).astype(np.float32)
    return mono
