"""Which frames and which samples ImageBind looks at in a stretch: clips of two seconds (docs/design.md 5)."""

from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

SECONDS = 2
PICTURES, SOUNDS = 5, 3
"""Clips that a stretch is seen, and heard, in."""


def window_frames(frames: int, seconds: float) -> NDArray[np.int64]:
    """The first and the last frame of each of five clips, evenly spread.

    All arithmetic is exact. A stretch of two seconds or less is five times the same clip.

    Args:
        frames: of the stretch, at least one.
        seconds: its length.

    Returns:
        int64 (5, 2), from 0 to frames - 1.
    """
    rate = frames / Fraction(seconds)
    spare = max(Fraction(seconds) - SECONDS, Fraction(0))
    found = []
    for number in range(PICTURES):
        start = spare * number / (PICTURES - 1)
        last = min(ceil(rate * (start + SECONDS)), frames) - 1
        found.append((min(ceil(rate * start), last), last))
    return np.array(found, dtype=np.int64)


def sound_cuts(samples: int, rate: int) -> NDArray[np.int64]:
    """Begin and end of each of three clips, evenly spread, cut at the stretch's end.

    The length in seconds is a float64 number, from which on all arithmetic is exact: by the reference's own rule a
    start may lie a sample before the nearest one.

    Args:
        samples: of the stretch.
        rate: samples a second.

    Returns:
        int64 (3, 2).
    """
    spare = Fraction(max(samples / rate - SECONDS, 0.0))
    found = []
    for number in range(SOUNDS):
        start = spare * number / (SOUNDS - 1)
        found.append((int(start * rate), min(int((start + SECONDS) * rate), samples)))
    return np.array(found, dtype=np.int64)
