"""Pictures scaled as Pillow does it on 8-bit values, bit for bit (docs/design.md 5).

Pillow goes over rows first, rounds and clamps, and then over columns. Its weights are whole numbers of 22 bits, so that
the sums are the same on every processor.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BITS = 22
_A = -0.5


def scaled(frames: Tensor, shape: tuple[int, int], cut: tuple[int, int], how: str = "bicubic") -> Tensor:
    """Scale pictures and cut their middle.

    Args:
        frames: uint8 (n, 3, H, W).
        shape: height and width after scaling.
        cut: height and width of the middle that is kept, at most those of ``shape``.
        how: "bicubic" or "bilinear", with antialias.

    Returns:
        uint8 (n, 3, *cut).
    """
    across = _scaled_rows(frames.transpose(2, 3).contiguous(), shape[1], cut[1], how)
    return _scaled_rows(across.transpose(2, 3).contiguous(), shape[0], cut[0], how).contiguous()


def _scaled_rows(frames: Tensor, new: int, size: int, how: str) -> Tensor:
    """uint8 (n, 3, old, M) with its rows scaled to ``new`` and cut to the middle ``size``: uint8 (n, 3, size, M)."""
    old, first = int(frames.shape[2]), round((new - size) / 2)
    if new == old:
        return frames[:, :, first : first + size]
    places, weights = _taps(old, new, first, size, how)
    total = frames.new_full((*frames.shape[:2], size, frames.shape[3]), 1 << (_BITS - 1), dtype=torch.int32)
    for place, weight in zip(places, weights, strict=True):
        total += frames.index_select(2, place).int() * weight[:, None]
    return (total >> _BITS).clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=16)
def _taps(old: int, new: int, first: int, size: int, how: str) -> tuple[Tensor, Tensor]:
    """For each tap of the filter the row that it takes and its weight: int64 and int32 (taps, size).

    The weights' magnitudes add up to under 1.3 · 2^22, so that their sums with 8-bit values fit into 31 bits.
    """
    support, shape = _FILTERS[how]
    scale = old / new
    stretch = max(scale, 1.0)
    reach = support * stretch
    centre = (np.arange(first, first + size) + 0.5) * scale
    begin = np.maximum(0, (centre - reach + 0.5).astype(np.int64))
    end = np.minimum(old, (centre + reach + 0.5).astype(np.int64))
    row = begin[:, None] + np.arange((end - begin).max())
    weight = np.where(row < end[:, None], shape((row - centre[:, None] + 0.5) / stretch), 0.0)
    weight = weight / _summed(weight)[:, None] * (1 << _BITS)
    whole = np.trunc(weight + np.copysign(0.5, weight)).astype(np.int32)
    return torch.from_numpy(np.minimum(row, old - 1).T.copy()), torch.from_numpy(whole.T.copy())


def _summed(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of rows, one weight after the other, as a loop would add them."""
    total = np.zeros(len(weights))
    for column in weights.T:
        total = total + column
    return total


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(x)
    near = ((_A + 2.0) * x - (_A + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * _A
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(1.0 - np.abs(x), 0.0)


_FILTERS: dict[str, tuple[float, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "bicubic": (2.0, _cubic),
    "bilinear": (1.0, _triangle),
}
"""Reach of each filter, and its weights."""
