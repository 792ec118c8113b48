"""Frames to pixels of the encoder's size, exactly as the official transforms give them.

Rules: docs/design.md 5. Bicubic with antialias, computed in float32 and rounded back to uint8, so that a
frame is kept as S×S×3 bytes and all later arithmetic starts from equal integers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def resized_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width after scaling the shorter side to ``size``; the longer one is cut to an integer."""
    if height <= width:
        return size, int(size * width / height)
    return int(size * height / width), size


def check_frames(frames: Tensor) -> None:
    """Refuse what are no frames.

    Raises:
        ValueError: another type or shape than uint8 (n, 3, H, W).
    """
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[1] != 3:
        raise ValueError(f"frames must be uint8 (n, 3, H, W), got {frames.dtype} {tuple(frames.shape)}")


def fit_frames(frames: Tensor, size: int) -> Tensor:
    """Scale the shorter side to ``size`` and cut the centre square.

    Args:
        frames: uint8 (n, 3, H, W), RGB.
        size: S, side of the square in pixels.

    Returns:
        uint8 (n, 3, S, S).

    Raises:
        ValueError: frames of another type or shape.
    """
    check_frames(frames)
    shape = resized_shape(int(frames.shape[2]), int(frames.shape[3]), size)
    if frames.shape[2:] != shape:
        wide = functional.interpolate(frames.float(), shape, mode="bicubic", antialias=True)
        frames = wide.round_().clamp_(0, 255).to(torch.uint8)
    top, left = (round((side - size) / 2) for side in shape)
    return frames[:, :, top : top + size, left : left + size].contiguous()


def normalise(frames: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 (n, 3, S, S) to float32 (n, 3, S, S): a channel c becomes (v / 255 - mean[c]) / std[c]."""
    shift = torch.tensor(mean, dtype=torch.float32, device=frames.device).view(1, 3, 1, 1)
    scale = torch.tensor(std, dtype=torch.float32, device=frames.device).view(1, 3, 1, 1)
    return frames.to(torch.float32).div_(255).sub_(shift).div_(scale)
