"""Sound to log-mel spectrograms, as CLAP's front end makes them, batched on any device.

Rules: docs/design.md 5. Windows are repeated or cut to one length, then STFT, Slaney mel bands, decibels.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from extract.backbones.clip_clap.shared_frames import gather, share_frames
from extract.media.audio_windows import SoundWindows

_FLOOR = 1e-10


@dataclass(frozen=True)
class MelConfig:
    """What a log-mel front end needs to know.

    Attributes:
        sample_rate: Hz.
        window_samples: samples that one spectrogram covers.
        fft_size: samples of one Fourier transform.
        hop: samples between two transforms.
        bands: number of mel bands.
        lowest: lower edge of the first band in Hz.
        highest: upper edge of the last band in Hz.
    """

    sample_rate: int = 48_000
    window_samples: int = 480_000
    fft_size: int = 1024
    hop: int = 480
    bands: int = 64
    lowest: float = 50.0
    highest: float = 14_000.0

    @classmethod
    def from_preprocessor(cls, stored: Mapping[str, Any]) -> Self:
        """Read a checkpoint's preprocessor_config.json.

        A file without ``frequency_min`` means CLAP's 50 Hz (the 0 Hz that transformers would assume is what
        no published model was trained with).

        Raises:
            KeyError, TypeError, ValueError: a value is missing or no number.
        """
        rate = int(stored["sampling_rate"])
        return cls(
            sample_rate=rate,
            window_samples=int(stored["max_length_s"]) * rate,
            fft_size=int(stored["fft_window_size"]),
            hop=int(stored["hop_length"]),
            bands=int(stored["feature_size"]),
            lowest=float(stored.get("frequency_min", 50)),
            highest=float(stored["frequency_max"]),
        )


def fit_window(wave: Tensor, samples: int) -> Tensor:
    """Bring a stretch of sound to a fixed length.

    Shorter: repeated as many whole times as fit, then zeros. Longer: the centre. Empty: silence.

    Args:
        wave: float32 (n,).
        samples: length to reach.

    Returns:
        float32 (samples,).
    """
    length = int(wave.shape[0])
    if length >= samples:
        start = (length - samples) // 2
        return wave[start : start + samples]
    if length:
        wave = wave.repeat(samples // length)
    return functional.pad(wave, (0, samples - int(wave.shape[0])))


def slaney_filters(config: MelConfig) -> Tensor:
    """Triangular mel bands on Slaney's scale, each of unit area.

    Returns:
        float32 (fft_size // 2 + 1, bands): weight of a frequency bin in a band.
    """
    edges = _from_mel(
        torch.linspace(_to_mel(config.lowest), _to_mel(config.highest), config.bands + 2, dtype=torch.float64)
    )
    return (_triangles(config, edges) * 2 / (edges[2:] - edges[:-2])).float()


def htk_filters(config: MelConfig) -> Tensor:
    """Triangular mel bands on HTK's scale, each of height 1, as CLAPs with fusion have them.

    Returns:
        float32 (fft_size // 2 + 1, bands): weight of a frequency bin in a band.
    """
    low, high = (2595.0 * math.log10(1.0 + hertz / 700.0) for hertz in (config.lowest, config.highest))
    mels = torch.linspace(low, high, config.bands + 2, dtype=torch.float64)
    return _triangles(config, 700.0 * (10.0 ** (mels / 2595.0) - 1.0)).float()


def _triangles(config: MelConfig, edges: Tensor) -> Tensor:
    """Bands between three neighbouring edges, Hz, each of height 1: float64 (fft_size // 2 + 1, bands)."""
    hertz = torch.linspace(0, config.sample_rate / 2, config.fft_size // 2 + 1, dtype=torch.float64)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (hertz - low) / (centre - low)
    falling = (high - hertz) / (high - centre)
    return torch.minimum(rising, falling).clamp(min=0)


class LogMel:
    """Waveforms to log-mel spectrograms.

    The Fourier transforms run in float64: in float32 their noise shows in near-silent bands (5e-3 dB).
    """

    def __init__(self, config: MelConfig, device: torch.device | str = "cpu", scale: str = "slaney") -> None:
        """Prepare window and filters on a device; ``scale`` of the bands: "slaney" or "htk"."""
        self.config = config
        self._window = torch.hann_window(config.fft_size, periodic=True, dtype=torch.float64, device=device)
        self._filters = (htk_filters if scale == "htk" else slaney_filters)(config).to(device)
        self._at_once = 65_536 if self._window.is_cuda else 2048  # few at a time stay in a CPU's cache

    def __call__(self, waves: Tensor) -> Tensor:
        """Log-mel spectrograms in decibels, floor -100.

        Args:
            waves: float32 (n, samples) on this object's device.

        Returns:
            float32 (n, 1 + samples // hop, bands).
        """
        size = self.config.fft_size
        padded = functional.pad(waves[:, None], (size // 2, size // 2), mode="reflect")[:, 0]
        return torch.stack([self._decibels(wave.unfold(0, size, self.config.hop)) for wave in padded])

    def of_windows(self, windows: SoundWindows) -> Tensor:
        """The same of each window after :func:`fit_window`, every distinct transform done once.

        Args:
            windows: n stretches of one waveform on this object's device.

        Returns:
            float32 (n, 1 + window_samples // hop, bands).
        """
        size = self.config.fft_size
        shared = share_frames(windows.stretches, self.config.window_samples, size, self.config.hop)
        table = self._decibels(gather(windows.wave, shared, size))
        return table[torch.from_numpy(shared.index).to(table.device)]

    def _decibels(self, frames: Tensor) -> Tensor:
        """Runs of samples (n, fft_size) to decibels in the mel bands (n, bands)."""
        return torch.cat([self._few(part) for part in torch.split(frames, self._at_once)])

    def _few(self, frames: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(frames * self._window)
        power = torch.view_as_real(spectrum).square_().sum(-1).float()
        return (power @ self._filters).clamp_(min=_FLOOR).log10_().mul_(10)


# Slaney's scale: linear to 1 kHz (15 mels), then logarithmic, 27 steps to a factor of 6.4
_HZ_A_MEL = 200 / 3
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = math.log(6.4) / 27


def _to_mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _HZ_A_MEL
    return _BREAK_MEL + math.log(hertz / _BREAK_HZ) / _LOG_STEP


def _from_mel(mel: Tensor) -> Tensor:
    curved = _BREAK_HZ * torch.exp((mel - _BREAK_MEL) * _LOG_STEP)
    return torch.where(mel < _BREAK_MEL, mel * _HZ_A_MEL, curved)
