"""Windows of sound to what LanguageBind's audio tower takes (docs/design.md 5)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from extract.backbones.language_bind.kaldi_fbank import FRAME, RATE, fbank
from extract.backbones.language_bind.sinc_resample import resample

_CHANNELS = 3


def window_inputs(
    wave: Tensor,
    rate: int,
    stretches: NDArray[np.int64],
    *,
    bins: int = 112,
    target: int = 1036,
    mean: float = -4.2677393,
    std: float = 4.5689974,
    random: np.random.RandomState | None = None,
) -> Tensor:
    """Inputs of the audio tower, one a window.

    Each window is cut from the waveform at its own rate and then treated by itself, as the official code does
    with a segment of a file: resampled to 16 kHz, freed of the mean over channels and samples (of a copy),
    its channel 0 made a log-mel spectrogram, which :func:`fused` brings to a fixed length. A window too short
    for one frame of 25 ms is filled up with silence (the official code fails on it).

    Args:
        wave: float32 (channels, samples).
        rate: samples a second.
        stretches: int64 (W, 2), begin and end of each window in ``wave``.
        bins: mel bands.
        target: spectrogram frames that the tower sees.
        mean: what is subtracted from the spectrogram.
        std: by twice this it is divided.
        random: makes the official random choice of stretches in a spectrogram that is too long.

    Returns:
        float32 (W, 3, bins, target).
    """
    found = [fused(_spectrogram(wave[:, begin:end], rate, bins), target, random) for begin, end in stretches.tolist()]
    return torch.stack(found).sub_(mean).div_(2 * std)


def fused(mel: Tensor, target: int = 1036, random: np.random.RandomState | None = None) -> Tensor:
    """A spectrogram at the length that the tower sees, three times.

    Shorter: repeated and cut; the three are equal. Longer: three stretches, at the beginning, in the middle
    and at the end, or with ``random`` one from each third of the possible ones, as the official code draws
    them.

    Args:
        mel: float32 (frames, bins), at least one frame.
        target: frames to reach.
        random: draws the stretches.

    Returns:
        float32 (3, bins, target).
    """
    frames = int(mel.shape[0])
    if frames <= target:
        tiled = mel.repeat(-(-target // frames), 1)[:target]
        return tiled.T.expand(_CHANNELS, -1, -1)
    starts = _starts(frames - target + 1, random)
    return torch.stack([mel[start : start + target].T for start in starts])


def _starts(count: int, random: np.random.RandomState | None) -> list[int]:
    """Where the three stretches begin, of ``count`` possible places."""
    if random is None:
        return [0, (count - 1) // 2, count - 1]
    thirds: list[NDArray[Any]] = np.array_split(np.arange(count), _CHANNELS)
    return [int(random.choice(third)) if len(third) else int(random.choice([0])) for third in thirds]


def _spectrogram(wave: Tensor, rate: int, bins: int) -> Tensor:
    """Of channel 0 of a window, at least one frame."""
    wave = resample(wave, rate, RATE) if wave.shape[-1] else wave
    if wave.shape[-1] < FRAME:
        wave = functional.pad(wave, (0, FRAME - int(wave.shape[-1])))
    return fbank(wave[0] - wave.mean(), bins)
