"""Sounds to train on: single sounds as mel power, mixed anew for every batch.

Powers of independent sounds add, so a mixture's spectrogram is made from those of its parts without a new
Fourier transform; the windows of the real pipeline (a stretch of the clip, repeated to 10 s, docs/design.md
5) are cut and repeated in mel frames, 100 a second.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr
import torch
from torch import Tensor

from extract.backbones.clip_clap.log_mel import LogMel, MelConfig
from extract.demo.script import SECONDS
from extract.demo.soundtrack import background, sound_of
from extract.demo.synth import RATE, samples
from extract.demo.things import THINGS
from extract.demo.training.seeds import training_rng

_A_SECOND = 100
_FRAMES = SECONDS * _A_SECOND + 1
_THINGS_HEARD = (0.15, 0.32, 0.31, 0.22)
_FLOOR = 1e-10


@dataclass(frozen=True)
class Stems:
    """Spectrograms in decibels, float16 (·, 1000, 64): `things` (number of THINGS, per thing, …), `noise`."""

    things: Tensor
    noise: Tensor


def make_stems(seed: int, part: int, per_thing: int) -> Stems:
    """`per_thing` sounds of each thing, and twice as many backgrounds; `part` keeps training and checking apart."""
    config = MelConfig()
    log_mel = LogMel(config)

    def spectrogram(wave: npt.NDArray[np.float32]) -> Tensor:
        resampled = torch.from_numpy(soxr.resample(wave, RATE, config.sample_rate))
        return log_mel(resampled[None])[0, : _FRAMES - 1].half()

    things = []
    for index, thing in enumerate(THINGS):
        rng = training_rng(seed, 2, part, index)
        things.append(torch.stack([spectrogram(sound_of(rng, thing, SECONDS)) for _ in range(per_thing)]))
    rng = training_rng(seed, 2, part, len(THINGS))
    noise = [spectrogram(background(rng, samples(SECONDS))) for _ in range(2 * per_thing)]
    return Stems(torch.stack(things), torch.stack(noise))


def mix(rng: np.random.Generator, stems: Stems, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """`count` windows of made soundtracks.

    Returns (decibels, float32 (count, 1001, 64)), (heard, bool (count, number of THINGS)), and (certain, bool
    of that shape: False where a thing is heard for less than a second of the window).
    """
    loud = torch.empty((count, _FRAMES, stems.noise.shape[-1]))
    heard = torch.zeros((count, len(THINGS)), dtype=torch.bool)
    certain = torch.ones((count, len(THINGS)), dtype=torch.bool)
    for row in range(count):
        power = _power(rng, stems.noise[rng.integers(len(stems.noise))], spread=3.0)
        start, end = _window(rng)
        for thing in rng.permutation(len(THINGS))[: rng.choice(4, p=_THINGS_HEARD)]:
            stem = stems.things[thing, rng.integers(stems.things.shape[1])]
            onset, offset = _span(rng)
            power[onset * _A_SECOND : offset * _A_SECOND] += _power(rng, stem, spread=3.0)[
                : (offset - onset) * _A_SECOND
            ]
            overlap = min(end, offset) - max(start, onset)
            heard[row, thing] = overlap >= 1
            certain[row, thing] = overlap >= 1 or overlap <= 0
        piece = power[start * _A_SECOND : end * _A_SECOND]
        times = SECONDS // (end - start)
        whole = torch.zeros((_FRAMES, power.shape[1]))
        whole[: times * len(piece)] = piece.repeat(times, 1)
        if times * (end - start) == SECONDS:
            whole[-1] = piece[-1]
        loud[row] = whole.clamp_(min=_FLOOR).log10_().mul_(10)
    return loud, heard, certain


def _power(rng: np.random.Generator, decibels: Tensor, spread: float) -> Tensor:
    """Mel power of a stem, turned in time, louder or softer, a little brighter or darker."""
    bands = torch.linspace(-1, 1, decibels.shape[1])
    change = rng.uniform(-spread, spread) + rng.uniform(-spread, spread) * bands
    turned = torch.roll(decibels.float(), int(rng.integers(len(decibels))), 0)
    return torch.pow(10.0, (turned + change) / 10)


def _window(rng: np.random.Generator) -> tuple[int, int]:
    """The whole clip, or two to nine seconds of it."""
    if rng.random() < 0.5:
        return 0, SECONDS
    length = int(rng.integers(2, SECONDS))
    start = int(rng.integers(0, SECONDS - length + 1))
    return start, start + length


def _span(rng: np.random.Generator) -> tuple[int, int]:
    """When a thing is heard: the whole clip, or 3 to 9 seconds of it."""
    if rng.random() < 0.6:
        return 0, SECONDS
    length = int(rng.integers(3, SECONDS))
    onset = int(rng.integers(0, SECONDS - length + 1))
    return onset, onset + length
