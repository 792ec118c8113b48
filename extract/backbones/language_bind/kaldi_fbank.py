"""Log-mel spectrograms to Kaldi's rules, as LanguageBind takes them (docs/design.md 5).

Window and filters are float32 at every step, as those of the official front end are.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from extract.backbones import float_steps

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
    frames = (frames - _PRE_EMPHASIS * before) * window()
    power = torch.fft.rfft(frames, n=_FFT).abs().pow(2.0)
    energy: Tensor = power[:, :-1] @ filter_bank(bins).T
    return energy.clamp_(min=_EPSILON).log_()


@lru_cache(maxsize=1)
def window() -> Tensor:
    """Symmetric Hann window: float32 (400,)."""
    angle = np.arange(FRAME, dtype=np.float32) * np.float32(2 * math.pi / (FRAME - 1))
    half = np.float32(0.5)
    return torch.from_numpy(half - half * float_steps.cos(angle))


@lru_cache(maxsize=4)
def filter_bank(bins: int = 112) -> Tensor:
    """Triangles of equal height, linear on Kaldi's mel scale: float32 (bins, 256), Nyquist's bin left out."""
    low, high = _mel(_LOWEST), _mel(_HIGHEST)
    step = (high - low) / (bins + 1)
    number = np.arange(bins, dtype=np.float32)[:, None]
    left, centre, right = (np.float32(low) + (number + np.float32(add)) * np.float32(step) for add in (0, 1, 2))
    hertz = np.float32(RATE / _FFT) * np.arange(_FFT // 2, dtype=np.float32)
    mel = np.float32(1127) * float_steps.log(np.float32(1) + hertz / np.float32(700))
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    return torch.from_numpy(np.maximum(np.minimum(rising, falling), np.float32(0)))


def _mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)
