"""Frames to an image model's pixels as its own configuration says: what open_clip's transform does (design.md 5)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from torch import Tensor
from torch.nn import functional

from extract.backbones.pillow import scaled
from extract.backbones.pixels import check_frames, resized_shape

INTERPOLATIONS = ("bicubic", "bilinear")
RESIZE_MODES = ("shortest", "longest", "squash")


@dataclass(frozen=True)
class Fitting:
    """What becomes of a picture before an image model sees it.

    Attributes:
        height: of what the model sees, in pixels.
        width: likewise.
        mean: of each channel, of values from 0 to 1.
        std: likewise.
        interpolation: "bicubic" or "bilinear", both with antialias.
        resize_mode: "shortest" (scaled until it covers the model's shape, the middle cut out), "longest" (scaled until
            it lies within, the rest filled) or "squash" (scaled to the shape, whatever its own).
        fill_color: what fills, 0 to 255.
    """

    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation {self.interpolation!r} is none of {', '.join(INTERPOLATIONS)}")
        if self.resize_mode not in RESIZE_MODES:
            raise ValueError(f"resize_mode {self.resize_mode!r} is none of {', '.join(RESIZE_MODES)}")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(self.std):
            raise ValueError(f"mean {self.mean} and std {self.std} are not three numbers each")
        if not 0 <= self.fill_color <= 255:
            raise ValueError(f"fill_color {self.fill_color} is not within 0 and 255")

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Read what open_clip keeps of a model (``visual.preprocess_cfg``).

        Raises:
            KeyError, TypeError, ValueError: a value is missing or none that can be used.
        """
        size = stored["size"]
        height, width = (size, size) if isinstance(size, int) else (size[0], size[-1])
        how = stored["interpolation"] or "bicubic"
        return cls(
            height=int(height),
            width=int(width),
            mean=_three(stored["mean"]),
            std=_three(stored["std"]),
            interpolation="bicubic" if how == "random" else how,  # open_clip's own reading of it
            resize_mode=stored["resize_mode"] or "shortest",
            fill_color=int(stored.get("fill_color") or 0),
        )

    def __call__(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W), RGB, to uint8 (n, 3, height, width).

        Raises:
            ValueError: frames of another type or shape.
        """
        check_frames(frames)
        size = (self.height, self.width)
        shape, how = self._shape(int(frames.shape[2]), int(frames.shape[3]))
        cut = (min(shape[0], size[0]), min(shape[1], size[1]))
        found = scaled(frames, shape, cut, how)
        down, across = size[0] - cut[0], size[1] - cut[1]
        if not down and not across:
            return found
        sides = (across // 2, (across + 1) // 2, down // 2, (down + 1) // 2)
        return functional.pad(found, sides, value=self.fill_color)

    def _shape(self, height: int, width: int) -> tuple[tuple[int, int], str]:
        """Height and width after scaling, and by which filter."""
        if self.resize_mode == "squash":
            return (self.height, self.width), self.interpolation
        if self.resize_mode == "shortest" and self.height == self.width:
            return resized_shape(height, width, self.height), self.interpolation
        ratios = height / self.height, width / self.width
        longest = self.resize_mode == "longest"
        ratio = max(ratios) if longest else min(ratios)
        shape = max(1, round(height / ratio)), max(1, round(width / ratio))
        return shape, self.interpolation if longest else "bicubic"  # as open_clip has it

    def facts(self) -> dict[str, Any]:
        """What identifies it, as JSON has it."""
        facts = asdict(self)
        return {
            "image_size": [facts.pop("height"), facts.pop("width")],
            **{name: list(value) if isinstance(value, tuple) else value for name, value in facts.items()},
            "resize": "as Pillow scales 8-bit values, to the bit",
        }


def _three(values: Any) -> tuple[float, ...]:
    """Three numbers, of which one may stand for all."""
    if isinstance(values, int | float):
        return (float(values),) * 3
    return tuple(float(value) for value in values)
