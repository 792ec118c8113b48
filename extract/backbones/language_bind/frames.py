"""Frames to pixels as LanguageBind's transforms give them, without a random flip (docs/design.md 5).

Images and video frames are treated in two ways: images are scaled with bicubic and antialias, without
rounding or clamping, and normalised then; video frames are normalised, then scaled bilinearly without
antialias.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from extract.backbones.pixels import check_frames, resized_shape

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def prepare_images(frames: Tensor, size: int = 224) -> Tensor:
    """Images as LanguageBind's image transform gives them.

    Args:
        frames: uint8 (n, 3, H, W), RGB.
        size: S, side of the square in pixels.

    Returns:
        float32 (n, 3, S, S); values may overshoot those of the frames.

    Raises:
        ValueError: frames of another type or shape.
    """
    check_frames(frames)
    pixels = frames.float().div_(255)
    shape = resized_shape(int(frames.shape[2]), int(frames.shape[3]), size)
    if frames.shape[2:] != shape:
        pixels = functional.interpolate(pixels, shape, mode="bicubic", antialias=True)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return _centre(pixels, size).sub(mean).div_(std)


def prepare_video_frames(frames: Tensor, size: int = 224, *, half_up: bool = False) -> Tensor:
    """Frames of a window as LanguageBind's video transform gives them, not flipped.

    Bilinear scaling without antialias looks at four pixels for each of the result's: only those are
    normalised.

    Args:
        frames: uint8 (n, 3, H, W), RGB.
        size: S, side of the square in pixels.
        half_up: where the square cannot lie in the middle, cut the larger part away before it, as ImageBind does.

    Returns:
        float32 (n, 3, S, S).

    Raises:
        ValueError: frames of another type or shape.
    """
    check_frames(frames)
    sides = int(frames.shape[2]), int(frames.shape[3])
    (y0, y1, fy), (x0, x1, fx) = (
        _neighbours(side, scaled, size, half_up=half_up)
        for side, scaled in zip(sides, _video_shape(*sides, size), strict=True)
    )
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    rows = torch.cat([y0, y1])
    near = frames.index_select(2, rows)
    corners = near.index_select(3, torch.cat([x0, x1])).float().div_(255).sub_(mean).div_(std)
    across = torch.lerp(corners[..., :size], corners[..., size:], fx)
    return torch.lerp(across[..., :size, :], across[..., size:, :], fy[:, None])


def _neighbours(side: int, scaled: int, size: int, *, half_up: bool) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel of the centre square along one side: the two pixels it lies between, and how far along.

    Centres are aligned, in float32: int64 (S,), int64 (S,), float32 (S,).
    """
    first = (scaled - size + 1) // 2 if half_up else _offset(scaled, size)
    places = torch.arange(scaled, dtype=torch.float32)[first:][:size]
    at = ((places + 0.5) * torch.tensor(side / scaled, dtype=torch.float32) - 0.5).clamp_(min=0)
    low = at.long().clamp_(max=side - 1)
    return low, (low + 1).clamp_(max=side - 1), at - low


def _video_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width after scaling; not always those of :func:`extract.backbones.pixels.resized_shape`."""
    if width < height:
        return math.floor(height / width * size), size
    return size, math.floor(width / height * size)


def _offset(side: int, size: int) -> int:
    return round((side - size) / 2)


def _centre(pixels: Tensor, size: int) -> Tensor:
    top, left = (_offset(int(side), size) for side in pixels.shape[2:])
    return pixels[:, :, top : top + size, left : left + size]
