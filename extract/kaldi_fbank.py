"""Log-mel spectrograms to Kaldi's rules, as LanguageBind takes them (docs/design.md 5)."""

import math
from functools import lru_cache

import torch
from torch import Tensor

RATE = 16_000
FRAME = 400
HOP = 160
_FFT = 512
_LOWEST, _HIGHEST = 20.0, 8000.0
_PRE_EMPHASIS = 0.97
_EPSILON = 1.1920928955078125e-07


def frame_count(samples: int) -> int:
    """Whole frames of 25 ms in a waveform at 16 kHz, one every 10 ms."""
    return 0 if samples < FRAME else 1 + (samples - FRAME) // HOP


def fbank(wave: Tensor, bins: int = 112) -> Tensor:
    """Logarithms of the energy in mel bands.

    Each frame has its mean subtracted, is pre-emphasised and put under a symmetric Hann window; edges are not
    padded and nothing is dithered.

    Args:
        wave: float32 (samples,) at 16 kHz, full scale 1.0.
        bins: mel bands from 20 Hz to 8 kHz.

    Returns:
        float32 (frames, bins), floor log(1.19e-7).
    """
    if frame_count(int(wave.shape[0])) == 0:
        return wave.new_zeros((0, bins))
    frames = wave.unfold(0, FRAME, HOP)
    frames = frames - frames.mean(dim=1, keepdim=True)
    before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    frames = (frames - _PRE_EMPHASIS * before) * _window()
    power = torch.fft.rfft(frames, n=_FFT).abs().pow(2.0)
    energy: Tensor = power[:, :-1] @ filter_bank(bins).T
    return energy.clamp_(min=_EPSILON).log_()


@lru_cache(maxsize=1)
def _window() -> Tensor:
    return torch.hann_window(FRAME, periodic=False, dtype=torch.float32)


@lru_cache(maxsize=4)
def filter_bank(bins: int = 112) -> Tensor:
    """Triangles of equal height, linear on Kaldi's mel scale: float32 (bins, 256), Nyquist's bin left out."""
    low, high = _mel(_LOWEST), _mel(_HIGHEST)
    step = (high - low) / (bins + 1)
    number = torch.arange(bins, dtype=torch.float32)[:, None]
    left, centre, right = (low + (number + add) * step for add in (0.0, 1.0, 2.0))
    hertz = (RATE / _FFT) * torch.arange(_FFT // 2, dtype=torch.float32)
    mel = 1127.0 * (1.0 + hertz / 700.0).log()
    return torch.minimum((mel - left) / (centre - left), (right - mel) / (right - centre)).clamp_(min=0)


def _mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)
