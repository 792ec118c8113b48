"""Comparing log-mel spectrograms in what matters: the amplitude of each band, not its logarithm near silence.

A band's amplitude, the root of its energy, is a norm of the spectrum. Rounding to float32 in each of the s stages of a
Fourier transform leaves in every place of the spectrum an error of about s half units in the last place of the frame's
own norm, whatever is there; a band of weight w takes up the root of w times as much. Two spectrograms by two processors
may differ by twice that. Beyond it only relative errors are left: those of the sums over a band.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HALF_UNIT = 2.0**-24
"""Half a unit in the last place of a float32 number, relative."""
_LONGEST_SUM = 64
_FAULT = 1.01

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bands:
    """What bounds the error of amplitudes (frames, bands).

    Attributes:
        weights: (bands,), sums of the bands' filters over the spectrum.
        norms: (frames,), of the frames before their transform.
        size: samples of a transform.
    """

    weights: Floats
    norms: Floats
    size: int

    def equal(self, found: Floats, expected: Floats) -> NDArray[np.bool_]:
        """Which amplitudes are equal but for float32, (frames, bands)."""
        noise = 2 * np.log2(self.size) * HALF_UNIT * np.sqrt(self.weights) * self.norms[:, None]
        equal: NDArray[np.bool_] = np.abs(found - expected) <= noise + 2 * _LONGEST_SUM * HALF_UNIT * expected
        return equal

    def check(self, found: Floats, expected: Floats) -> None:
        """All are; and would not be, were the energy of any one frame or of any one band off by 1 %."""
        assert self.equal(found, expected).all()
        wrong = ~self.equal(found * np.sqrt(_FAULT), expected)
        assert wrong.any(axis=1).all()
        assert wrong.any(axis=0).all()
