"""Images at the encoder's size by Pillow's bicubic on 8-bit values, bit for bit (docs/design.md 5)."""

from torch import Tensor

from extract.backbones.pillow import scaled
from extract.backbones.pixels import check_frames, resized_shape


def prepare_images(frames: Tensor, size: int = 224) -> Tensor:
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
    height, width = (int(side) for side in frames.shape[2:])
    return scaled(frames, resized_shape(height, width, size), (size, size))
