"""Resampling by a windowed sinc, to the rules that LanguageBind's sound was made with (docs/design.md 5)."""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from extract.backbones import float_steps

_ZEROS = 6  # of the sinc to either side
_ROLLOFF = 0.99
_MANY_PHASES = 1000
_SAMPLES_AT_ONCE = 1 << 16


def resample(wave: Tensor, rate: int, new_rate: int) -> Tensor:
    """Bring waveforms to another rate.

    A sinc of six zeros to either side under a Hann window, cut off at 0.99 of the lower rate's half. Its taps
    are float32 at every step, as those of the official front end are: in float64 they differ enough to show in
    near-silent bands.

    Args:
        wave: float32 (..., samples).
        rate: its samples a second.
        new_rate: those to reach.

    Returns:
        float32 (..., ceil(samples * new_rate / rate)); ``wave`` itself if the rates are equal.

    Raises:
        ValueError: a rate below 1.
    """
    if rate < 1 or new_rate < 1:
        raise ValueError(f"rates must be at least 1 Hz, got {rate} and {new_rate}")
    if rate == new_rate:
        return wave
    divisor = math.gcd(rate, new_rate)
    old, new = rate // divisor, new_rate // divisor
    samples = int(wave.shape[-1])
    length = -(-new * samples // old)
    if not samples:
        return wave
    rows = wave.reshape(-1, samples)
    if new > _MANY_PHASES:
        return _by_sample(rows, old, new, length).reshape(*wave.shape[:-1], length)
    width = _width(old, new)
    padded = functional.pad(rows, (width, width + old))
    found = functional.conv1d(padded[:, None], _taps(old, new), stride=old)
    joined = found.transpose(1, 2).reshape(len(rows), -1)[:, :length]
    return joined.reshape(*wave.shape[:-1], length)


def _by_sample(rows: Tensor, old: int, new: int, length: int) -> Tensor:
    """The same with the taps of each sample by themselves, in float64: for rates with next to no common divisor.

    Filters for all phases would be long and nearly all zeros there.
    """
    base, width = _base(old, new), _width(old, new)
    padded = functional.pad(rows, (width, width + 1))
    taps = torch.arange(-width, width + 2)
    parts = []
    for first in range(0, length, _SAMPLES_AT_ONCE):
        number = torch.arange(first, min(length, first + _SAMPLES_AT_ONCE))
        whole, rest = number * old // new, number * old % new
        time = (taps[None] - (rest / new).double()[:, None]) * (base / old)
        weights = _exact_filter(time, base / old).float()
        near = padded[:, (whole[:, None] + taps[None] + width).clamp_(max=padded.shape[1] - 1)]
        parts.append((near * weights).sum(-1))
    return torch.cat(parts, dim=1)


def _base(old: int, new: int) -> float:
    return _ROLLOFF * min(old, new)


def _width(old: int, new: int) -> int:
    return math.ceil(_ZEROS * old / _base(old, new))


@lru_cache(maxsize=8)
def _taps(old: int, new: int) -> Tensor:
    """The filters of all phases: float32 (new, 1, taps)."""
    base, width = _base(old, new), _width(old, new)
    place = np.arange(-width, width + old, dtype=np.float32)[None, None] / np.float32(old)
    phase = np.arange(0, -new, -1, dtype=np.float32)[:, None, None] / np.float32(new)
    return torch.from_numpy(_filter((phase + place) * np.float32(base), base / old))


def _filter(time: float_steps.Floats, scale: float) -> float_steps.Floats:
    """Scaled sinc under its window, at distances in zeros of the sinc."""
    zeros = np.float32(_ZEROS)
    time = time.clip(-zeros, zeros)
    angle = time * np.float32(math.pi)
    window = float_steps.cos(angle / zeros / np.float32(2)) ** 2
    sinc = np.divide(float_steps.sin(angle), angle, out=np.ones_like(angle), where=angle != 0)
    found: float_steps.Floats = sinc * (window * np.float32(scale))
    return found


def _exact_filter(time: Tensor, scale: float) -> Tensor:
    """The same in float64."""
    time = time.clamp(-_ZEROS, _ZEROS)
    window = torch.cos(time * math.pi / _ZEROS / 2) ** 2
    angle = time * math.pi
    return torch.where(angle == 0, torch.ones_like(angle), angle.sin() / angle) * (window * scale)
