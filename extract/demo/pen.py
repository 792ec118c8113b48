"""Drawing with signed distances: smooth shapes into a float image, no picture library needed."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Field: TypeAlias = npt.NDArray[np.float32]
Colour: TypeAlias = tuple[float, float, float]

_REACH = 1.5  # things may paint this far from their centre, in their own units


class Pen:
    """Paints one thing into an image, in the thing's own coordinates.

    x points right, y points down, and the thing lies within [-1, 1] in both; `image` is float32
    (H, W, 3) in 0…255, changed in place. `x`, `y` (px) is the thing's centre, `size` (px) its unit,
    `angle` (radians) turns it and `mirror` swaps left and right.
    """

    def __init__(self, image: Field, x: float, y: float, size: float, angle: float = 0.0, mirror: bool = False) -> None:
        """Find the part of the image that the thing may reach, and its coordinates there."""
        height, width = image.shape[:2]
        reach = size * _REACH
        left, right = max(0, int(x - reach)), min(width, max(0, int(x + reach) + 2))
        top, bottom = max(0, int(y - reach)), min(height, max(0, int(y + reach) + 2))
        self.area = image[top:bottom, left:right]
        self.size = size
        rows = ((np.arange(top, max(top, bottom)) + 0.5 - y) / size).astype(np.float32)[:, None]
        columns = ((np.arange(left, max(left, right)) + 0.5 - x) / size).astype(np.float32)[None, :]
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        self.x: Field = columns * cos + rows * sin
        self.y: Field = rows * cos - columns * sin
        if mirror:
            self.x = -self.x

    def fill(self, distance: Field, colour: Colour, opacity: float = 1.0) -> None:
        """Paint where `distance` (own units, negative inside) is below zero, with a soft edge one pixel wide."""
        cover = np.clip(0.5 - distance * np.float32(self.size), 0.0, 1.0)
        cover *= np.float32(opacity)
        self.area += cover[..., None] * (np.asarray(colour, dtype=np.float32) - self.area)

    def disc(self, x: float, y: float, radius: float, colour: Colour, opacity: float = 1.0) -> None:
        """A filled circle."""
        self.fill(np.hypot(self.x - np.float32(x), self.y - np.float32(y)) - np.float32(radius), colour, opacity)

    def ring(self, x: float, y: float, radius: float, width: float, colour: Colour) -> None:
        """A circle's outline."""
        away = np.hypot(self.x - np.float32(x), self.y - np.float32(y))
        self.fill(np.abs(away - np.float32(radius)) - np.float32(width / 2), colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour, opacity: float = 1.0) -> None:
        """A filled ellipse with its axes along x and y."""
        away = np.hypot((self.x - np.float32(x)) / np.float32(rx), (self.y - np.float32(y)) / np.float32(ry))
        self.fill((away - np.float32(1.0)) * np.float32(min(rx, ry)), colour, opacity)

    def box(self, x: float, y: float, half_x: float, half_y: float, colour: Colour, round_by: float = 0.0) -> None:
        """A filled rectangle, its corners rounded by `round_by`."""
        across = np.abs(self.x - np.float32(x)) - np.float32(half_x - round_by)
        down = np.abs(self.y - np.float32(y)) - np.float32(half_y - round_by)
        outside = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
        self.fill(outside + np.minimum(np.maximum(across, down), 0) - np.float32(round_by), colour)

    def line(
        self, x0: float, y0: float, x1: float, y1: float, width: float, colour: Colour, opacity: float = 1.0
    ) -> None:
        """A stroke with round ends."""
        dx, dy = np.float32(x1 - x0), np.float32(y1 - y0)
        px, py = self.x - np.float32(x0), self.y - np.float32(y0)
        along = np.clip((px * dx + py * dy) / max(float(dx * dx + dy * dy), 1e-9), 0.0, 1.0).astype(np.float32)
        self.fill(np.hypot(px - along * dx, py - along * dy) - np.float32(width / 2), colour, opacity)

    def polygon(self, corners: list[tuple[float, float]], colour: Colour, opacity: float = 1.0) -> None:
        """A filled convex polygon, its corners in either turning order."""
        area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True))
        sign = 1.0 if area > 0 else -1.0
        distance: Field | None = None
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
            length = float(np.hypot(x1 - x0, y1 - y0)) or 1e-9
            nx, ny = sign * (y1 - y0) / length, -sign * (x1 - x0) / length
            side = (self.x - np.float32(x0)) * np.float32(nx) + (self.y - np.float32(y0)) * np.float32(ny)
            distance = side if distance is None else np.maximum(distance, side)
        if distance is not None:
            self.fill(distance, colour, opacity)
