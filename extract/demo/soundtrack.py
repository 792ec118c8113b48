"""A clip's sound: its things' sounds over background noise, each at a level of its own."""

from collections.abc import Sequence

import numpy as np

from extract.demo.script import Span
from extract.demo.synth import Wave, fade, level_to, noise, samples, slow
from extract.demo.things import Thing

LEVELS_DB = (-24.0, -14.0)
"""Range of a thing's level: RMS of its louder tenths of a second, relative to full scale."""
NOISE_DB = (-52.0, -36.0)
"""Range of the background's RMS, relative to full scale."""


def background(rng: np.random.Generator, n: int) -> Wave:
    """`n` samples of background: coloured noise that swells slowly, as a room or a street has it."""
    level = 10 ** (rng.uniform(*NOISE_DB) / 20)
    wave = noise(rng, n, 30, rng.uniform(2500, 15000), rng.uniform(-1.0, 0.0))
    wave *= np.float32(0.6) + np.float32(0.8) * slow(rng, n, 0.5)
    return wave * np.float32(level)


def sound_of(rng: np.random.Generator, thing: Thing, seconds: float) -> Wave:
    """One thing's sound at a random level."""
    level = 10 ** (rng.uniform(*LEVELS_DB) / 20)
    return fade(level_to(thing.sound(rng, samples(seconds)), level))


def soundtrack(rng: np.random.Generator, heard: Sequence[tuple[Thing, Sequence[Span]]], seconds: float) -> Wave:
    """float32 (samples,) in −1…1: the things' sounds in their spans (s) over the background."""
    track = background(rng, samples(seconds))
    for thing, spans in heard:
        for onset, offset in spans:
            piece = sound_of(rng, thing, offset - onset)
            start = samples(onset)
            track[start : start + len(piece)] += piece
    peak = float(np.abs(track).max())
    return track * np.float32(min(1.0, 0.98 / max(peak, 1e-9)))
