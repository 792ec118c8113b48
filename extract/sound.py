"""Sound of media files: decoded, channels averaged, resampled (docs/design.md 5)."""

from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from av.container import InputContainer
from numpy.typing import NDArray
from torch import Tensor

from extract.errors import MediaError
from extract.media_file import Coverage, decode, first_stream, opened, packets

_MAY_BE_LOST = 0.1


class SoundTrack:
    """The first sound track of an open file, taken in packet by packet."""

    def __init__(self, container: InputContainer, path: Path, *, mono: bool = True) -> None:
        """Choose the track, and whether its channels are averaged.

        Raises:
            MediaError: there is none.
        """
        self._path, self._mono = path, mono
        self.stream: Any = first_stream(container, "audio")
        if self.stream is None:
            raise MediaError(path, "it has no sound; give a WAV file of the same name in --audio-dir")
        self._pieces: list[NDArray[np.float32]] = []
        self._rate = self._channels = 0
        self._samples = self._lost = 0

    def take(self, packet: Any) -> None:
        """Decode a packet of the track; silence stands for a damaged one, so that the rest stays in place."""
        frames = decode(packet)
        if frames is None:
            self._lose(packet)
            return
        for frame in frames:
            self._rate = self._rate or frame.sample_rate
            channels = to_channels(frame)
            self._channels = self._channels or len(channels)
            if frame.sample_rate != self._rate or len(channels) != self._channels:
                self._lose(packet)  # what a damaged header looks like
                continue
            self._samples += frame.samples
            self._pieces.append(to_mono(channels) if self._mono else channels.astype(np.float32))

    def _lose(self, packet: Any) -> None:
        if self._rate and packet.duration and packet.time_base:
            gap = int(packet.duration * packet.time_base * self._rate)
            self._lost += gap
            self._pieces.append(np.zeros(gap if self._mono else (self._channels, gap), dtype=np.float32))

    def wave(self, rate: int | None) -> tuple[Tensor, int]:
        """All of it so far, and its rate: mono at the given rate, or as it is.

        Args:
            rate: Hz of the mono sound; None where the track is not averaged.

        Returns:
            float32 (samples,), or (channels, samples); samples a second.

        Raises:
            MediaError: over a tenth of it is damaged.
        """
        if self._lost > (self._samples + self._lost) * _MAY_BE_LOST or not self._samples:
            there, whole = self._samples / (self._rate or 1), (self._samples + self._lost) / (self._rate or 1)
            raise MediaError(
                self._path, f"its sound is damaged: {there:.1f} of {whole:.1f} s can be decoded; get it again"
            )
        wave: NDArray[np.float32] = np.concatenate(self._pieces, axis=-1)
        if rate is not None and self._rate != rate:
            wave = np.asarray(soxr.resample(wave, self._rate, rate, quality="HQ"), dtype=np.float32)
        return torch.from_numpy(np.ascontiguousarray(wave)), rate or self._rate


def read_sound(path: Path, rate: int | None) -> tuple[Tensor, int]:
    """The sound of a file (WAV, or whatever FFmpeg knows), and its rate.

    Args:
        path: the file.
        rate: mono at this rate in Hz; None: rate and channels as they are.

    Returns:
        float32 (samples,), or (channels, samples); samples a second.

    Raises:
        MediaError: the file cannot be used.
    """
    with opened(path) as container:
        track, coverage = SoundTrack(container, path, mono=rate is not None), Coverage(container)
        for packet in packets(container, [track.stream]):
            coverage.add(packet)
            track.take(packet)
        coverage.check(path, [track.stream])
    return track.wave(rate)


def to_channels(frame: Any) -> NDArray[np.float64]:
    """The channels of an audio frame, full scale 1.0: float64 (channels, samples)."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, len(frame.layout.channels)).T
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
