"""What makes two drawings of one thing differ: place, size, tilt, colours, tempo."""

from dataclasses import dataclass

import numpy as np

from extract.demo.pen import Colour


@dataclass(frozen=True)
class Look:
    """How one thing looks in one clip.

    x, y, size: centre and unit in px; drift: (dx, dy) in px of a slow swing; tempo: cycles a second of the
    thing's own motion; phase: where in its cycle it starts, 0…1; variety: 8 numbers in 0…1 that drawings
    use as they like.
    """

    x: float
    y: float
    size: float
    angle: float
    mirror: bool
    drift: tuple[float, float]
    tempo: float
    phase: float
    variety: tuple[float, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator, x: float, y: float, size: float) -> "Look":
        """A random look at a given place and size."""
        return cls(
            x=x,
            y=y,
            size=size,
            angle=float(rng.uniform(-0.22, 0.22)),
            mirror=bool(rng.random() < 0.5),
            drift=(float(rng.uniform(-0.22, 0.22) * size), float(rng.uniform(-0.15, 0.15) * size)),
            tempo=float(rng.uniform(0.7, 2.2)),
            phase=float(rng.random()),
            variety=tuple(float(v) for v in rng.random(8)),
        )

    def swing(self, time: float, rate: float = 1.0) -> float:
        """The thing's own motion at `time` (s): a sine, -1…1, `rate` times its tempo."""
        return float(np.sin(2 * np.pi * (self.tempo * rate * time + self.phase)))

    def turn(self, time: float, rate: float = 1.0) -> float:
        """The same motion as a growing angle in radians."""
        return 2 * np.pi * (self.tempo * rate * time + self.phase)

    def tint(self, colour: Colour, spread: float = 40.0) -> Colour:
        """A colour near `colour`, the same throughout the clip."""
        r, g, b = (min(255.0, max(0.0, c + spread * (v - 0.5) * 2)) for c, v in zip(colour, self.variety, strict=False))
        return r, g, b
