"""Photographs (pictures/LICENCES.md) and made sounds, for encoders that know the world."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from extract.checking.kit import SECONDS, CheckClip, Kit
from extract.demo import sounds
from extract.demo.synth import Wave, fade, level_to, samples

_FOLDER = Path(__file__).with_name("pictures")
_LEVEL = 0.15
"""RMS of a sound's louder tenths of a second; full scale is 1."""
_SEEN = ("Cat", "Cup of coffee", "Rocket", "Bicycle", "Piano", "Banana", "Sailing boat", "Tree")
_HEARD = ("Siren", "Church bell", "Rain", "Dog barking", "Laughter", "Guitar", "Speech", "Sneeze")


def kit() -> Kit:
    """Three photographs and three sounds, each against eight labels."""
    clips = (
        CheckClip("Cat", "Siren", partial(_photograph, "cat"), partial(_made, sounds.siren, 1)),
        CheckClip("Cup of coffee", "Church bell", partial(_photograph, "coffee"), partial(_made, sounds.bell, 2)),
        CheckClip("Rocket", "Rain", partial(_photograph, "rocket"), partial(_made, sounds.rain, 3)),
    )
    return Kit(clips, _SEEN, _HEARD)


def _photograph(name: str) -> NDArray[np.uint8]:
    with av.open(_FOLDER / f"{name}.jpg") as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), dtype=np.uint8)


def _made(sound: Callable[[np.random.Generator, int], Wave], seed: int) -> Wave:
    wave = fade(level_to(sound(np.random.default_rng(seed), samples(SECONDS)), _LEVEL))
    return wave * np.float32(min(1.0, 0.98 / float(np.abs(wave).max())))
