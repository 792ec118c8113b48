"""Windows of one waveform: a sequence of stretches that knows where they lie."""

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class SoundWindows(Sequence[Tensor]):
    """n stretches of one waveform: a sequence of float32 (samples,) tensors that knows where they lie.

    Attributes:
        wave: float32 (samples,) or (channels, samples), the whole.
        stretches: int64 (n, 2), begin and end of each in ``wave``.
        rate: samples a second, where it is known.
        seconds: of stretches that stand for a clip's segments, the length of a segment: they may be shorter where the
            waveform ends. None: of windows.
    """

    def __init__(
        self, wave: Tensor, stretches: NDArray[np.int64], rate: int | None = None, seconds: float | None = None
    ) -> None:
        self.wave = wave
        self.stretches = stretches
        self.rate = rate
        self.seconds = seconds

    def of(self, wave: Tensor) -> "SoundWindows":
        """The same stretches of a copy of the waveform, on another device."""
        return SoundWindows(wave, self.stretches, self.rate, self.seconds)

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.stretches)

    @overload
    def __getitem__(self, item: int) -> Tensor: ...

    @overload
    def __getitem__(self, item: slice) -> "SoundWindows": ...

    def __getitem__(self, item: int | slice) -> "Tensor | SoundWindows":
        """One window's samples, or fewer windows of the same waveform."""
        if isinstance(item, slice):
            return SoundWindows(self.wave, self.stretches[item], self.rate, self.seconds)
        begin, end = self.stretches[item]
        return self.wave[..., int(begin) : int(end)]
