"""A scene: a background with texture and clutter, and things placed in it that may be seen or not at any time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from extract.demo.look import Look
from extract.demo.pen import Colour, Field, Pen
from extract.demo.things import Thing

_GRAIN_MARGIN = 48


@dataclass(frozen=True)
class _Clutter:
    """A plain shape that means nothing: kind, place (px), size (px), colour, speed (px/s)."""

    kind: int
    x: float
    y: float
    size: float
    angle: float
    colour: Colour
    speed: tuple[float, float]

    def paint(self, image: Field, time: float) -> None:
        height, width = image.shape[:2]
        x = (self.x + self.speed[0] * time) % width
        y = (self.y + self.speed[1] * time) % height
        pen = Pen(image, x, y, self.size, self.angle)
        if self.kind == 0:
            pen.disc(0, 0, 0.8, self.colour)
        elif self.kind == 1:
            pen.box(0, 0, 0.9, 0.5, self.colour)
        elif self.kind == 2:
            pen.polygon([(-0.8, 0.6), (0.8, 0.6), (0.0, -0.9)], self.colour)
        elif self.kind == 3:
            pen.line(-1, -0.3, 1, 0.3, 0.16, self.colour)
        else:
            pen.ring(0, 0, 0.7, 0.2, self.colour)


class Scene:
    """Everything that stays the same through a clip's pictures.

    `things` are placed in the central square, so that a centre crop keeps them; `size` is (width, height)
    in px.
    """

    def __init__(self, rng: np.random.Generator, things: Sequence[Thing], size: tuple[int, int]) -> None:
        """Draw places, looks, background and clutter."""
        self.width, self.height = size
        self.things = tuple(things)
        self.looks = _places(rng, len(things), size)
        self._background = _background(rng, size)
        self._clutter = [_clutter(rng, size) for _ in range(int(rng.integers(0, 5)))]
        shape = (self.height + _GRAIN_MARGIN, self.width + _GRAIN_MARGIN, 3)
        self._grain = rng.standard_normal(shape, dtype=np.float32) * np.float32(rng.uniform(1.0, 9.0))
        self._gain = float(rng.uniform(0.8, 1.15))
        self._sway = float(rng.uniform(0.05, 0.25))

    def frame(self, rng: np.random.Generator, time: float, seen: Collection[str]) -> npt.NDArray[np.uint8]:
        """The picture at `time` (s), uint8 (height, width, 3), with the things whose labels are in `seen`."""
        image = self._background.copy()
        for clutter in self._clutter:
            clutter.paint(image, time)
        for thing, look in zip(self.things, self.looks, strict=True):
            if thing.label in seen:
                swing = float(np.sin(2 * np.pi * (self._sway * time + look.phase)))
                x, y = look.x + look.drift[0] * swing, look.y + look.drift[1] * swing
                thing.draw(Pen(image, x, y, look.size, look.angle, look.mirror), look, time)
        top, left = rng.integers(0, _GRAIN_MARGIN, 2)
        image *= np.float32(self._gain)
        image += self._grain[top : top + self.height, left : left + self.width]
        return np.clip(image, 0, 255).astype(np.uint8)


def _places(rng: np.random.Generator, count: int, size: tuple[int, int]) -> list[Look]:
    """A look for each of `count` things, apart from one another in the central square."""
    width, height = size
    side = min(width, height)
    largest = {1: 0.36, 2: 0.27, 3: 0.23}.get(count, 0.2)
    best: list[tuple[float, float, float]] = []
    best_gap = -np.inf
    for _ in range(30):
        radii = side * rng.uniform(0.72 * largest, largest, count)
        margin = 0.95 * radii
        xs = (width - side) / 2 + margin + rng.random(count) * (side - 2 * margin)
        ys = (height - side) / 2 + margin + rng.random(count) * (side - 2 * margin)
        gap = min(
            (
                float(np.hypot(xs[i] - xs[j], ys[i] - ys[j]) - 0.95 * (radii[i] + radii[j]))
                for i in range(count)
                for j in range(i)
            ),
            default=0.0,
        )
        if gap > best_gap:
            best_gap, best = gap, [(float(x), float(y), float(r)) for x, y, r in zip(xs, ys, radii, strict=True)]
        if gap >= 0:
            break
    return [Look.draw(rng, x, y, radius) for x, y, radius in best]


def _colour(rng: np.random.Generator, low: float = 20, high: float = 235) -> Colour:
    """A colour, most often a muted one."""
    mixed = rng.uniform(low, high, 3)
    r, g, b = mixed + (mixed.mean() - mixed) * rng.uniform(0, 0.9)
    return float(r), float(g), float(b)


def _clutter(rng: np.random.Generator, size: tuple[int, int]) -> _Clutter:
    return _Clutter(
        kind=int(rng.integers(0, 5)),
        x=float(rng.uniform(0, size[0])),
        y=float(rng.uniform(0, size[1])),
        size=float(rng.uniform(0.05, 0.16) * size[1]),
        angle=float(rng.uniform(0, np.pi)),
        colour=_colour(rng),
        speed=(float(rng.uniform(-9, 9)), float(rng.uniform(-4, 4))),
    )


def _background(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    """A gradient between two colours with blotches, and sometimes stripes, checks or a floor."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = (columns / width - 0.5) * np.float32(np.cos(angle)) + (rows / height - 0.5) * np.float32(np.sin(angle))
    ramp = np.clip(ramp + 0.5, 0, 1)[..., None]
    first = np.array(_colour(rng), dtype=np.float32)
    second = first + rng.uniform(-70, 70, 3).astype(np.float32)
    image: Field = first + (second - first) * ramp
    for cells in (3, 9):
        image += _blotches(rng, cells, size)[..., None] * rng.uniform(-26, 26, 3).astype(np.float32)
    pattern = rng.random()
    if pattern < 0.2:
        turn = rng.uniform(0, np.pi)
        stripe = np.sin((columns * np.cos(turn) + rows * np.sin(turn)) * rng.uniform(0.15, 0.7))
        image += stripe[..., None].astype(np.float32) * rng.uniform(-22, 22, 3).astype(np.float32)
    elif pattern < 0.35:
        cell = int(rng.integers(6, 24))
        check = ((columns // cell + rows // cell) % 2)[..., None]
        image += check * rng.uniform(-30, 30, 3).astype(np.float32)
    elif pattern < 0.55:
        horizon = int(rng.uniform(0.55, 0.9) * height)
        image[horizon:] += rng.uniform(-60, 60, 3).astype(np.float32)
    return np.clip(image, 0, 255).astype(np.float32)


def _blotches(rng: np.random.Generator, cells: int, size: tuple[int, int]) -> Field:
    """Smooth random values in about −1…1, `cells` of them across, (height, width)."""
    width, height = size
    grid = rng.uniform(-1, 1, (cells + 1, cells + 1)).astype(np.float32)
    at_x = np.linspace(0, cells, width, endpoint=False)
    at_y = np.linspace(0, cells, height, endpoint=False)
    x0, y0 = at_x.astype(np.int64), at_y.astype(np.int64)
    fx = (at_x - x0).astype(np.float32)[None, :]
    fy = (at_y - y0).astype(np.float32)[:, None]
    upper = grid[y0][:, x0] * (1 - fx) + grid[y0][:, x0 + 1] * fx
    lower = grid[y0 + 1][:, x0] * (1 - fx) + grid[y0 + 1][:, x0 + 1] * fx
    return (upper * (1 - fy) + lower * fy).astype(np.float32)
