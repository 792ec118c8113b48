"""Timelines as bits of one word, taken apart."""

import numpy as np
from numpy.typing import NDArray


def unpacked(words: NDArray[np.uint64], segments: int) -> NDArray[np.bool_]:
    """Bits of words (..., C), a segment each, as bool (..., T, C)."""
    bits = np.arange(segments, dtype=np.uint64)[:, None]
    found: NDArray[np.bool_] = (words[..., None, :] >> bits & np.uint64(1)).astype(np.bool_)
    return found
