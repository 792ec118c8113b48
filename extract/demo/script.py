"""What happens in a clip: which things are seen and heard, and in which whole seconds."""

from dataclasses import dataclass

import numpy as np

from extract.demo.things import DEMO_LABELS

SECONDS = 10
"""Length of a clip, which is also its number of segments."""
SPLITS = ("val", "test")
FIRST_TRAINING_SEED = 1 << 32
"""Demo clips come from seeds below this one, training from seeds at or above it: they never meet."""

Span = tuple[int, int]


@dataclass(frozen=True)
class Happening:
    """One thing in a clip; seen and heard are spans [onset, offset) in whole seconds, sorted, apart."""

    label: str
    seen: tuple[Span, ...]
    heard: tuple[Span, ...]


@dataclass(frozen=True)
class Script:
    """All that happens in a clip of `SECONDS` seconds, and the seed words that its noise is drawn from."""

    clip_id: str
    happenings: tuple[Happening, ...]
    entropy: tuple[int, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that are seen or heard, in the script's order."""
        return tuple(happening.label for happening in self.happenings)


def write_scripts(split: str, clips: int, seed: int) -> list[Script]:
    """The scripts of one split: the same for the same arguments, and no two clips alike.

    Labels take turns, so that each occurs about equally often. Raises ValueError for an unknown split or a
    seed of the training's range.
    """
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}: it is one of {', '.join(SPLITS)}")
    if not 0 <= seed < FIRST_TRAINING_SEED:
        raise ValueError(f"the seed must be from 0 to {FIRST_TRAINING_SEED - 1}, not {seed}")
    which = SPLITS.index(split)
    rng = np.random.default_rng((seed, which))
    waiting: list[str] = []
    scripts = []
    for clip in range(clips):
        count = int(rng.choice((1, 2, 3), p=(0.3, 0.45, 0.25)))
        if len(waiting) < count:
            again = [str(label) for label in rng.permutation(DEMO_LABELS)]
            waiting += [label for label in again if label not in waiting[-2:]]
        labels, waiting = waiting[:count], waiting[count:]
        happenings = tuple(_happening(rng, label) for label in labels)
        scripts.append(Script(f"demo_{split}_{clip:03d}", happenings, (seed, which, clip)))
    return scripts


def _happening(rng: np.random.Generator, label: str) -> Happening:
    """A thing seen and heard (6 in 10, half of them at the same times), only seen or only heard (2 in 10 each)."""
    kind = rng.random()
    if kind < 0.2:
        return Happening(label, seen=_seen(rng), heard=())
    heard = _heard(rng)
    if kind < 0.4:
        return Happening(label, seen=(), heard=heard)
    return Happening(label, seen=heard if kind < 0.7 else _seen(rng), heard=heard)


def _heard(rng: np.random.Generator) -> tuple[Span, ...]:
    """Sound lasts the whole clip in two of three cases, else 5 to 9 seconds."""
    if rng.random() < 0.67:
        return ((0, SECONDS),)
    return (_span(rng, 5, SECONDS - 1),)


def _seen(rng: np.random.Generator) -> tuple[Span, ...]:
    """Sight lasts the whole clip in two of five cases, else 3 to 9 seconds, or comes back after a break."""
    draw = rng.random()
    if draw < 0.4:
        return ((0, SECONDS),)
    if draw < 0.85:
        return (_span(rng, 3, SECONDS - 1),)
    leaves = int(rng.integers(2, 5))
    returns = leaves + int(rng.integers(2, 4))
    return ((0, leaves), (returns, SECONDS))


def _span(rng: np.random.Generator, shortest: int, longest: int) -> Span:
    length = int(rng.integers(shortest, longest + 1))
    onset = int(rng.integers(0, SECONDS - length + 1))
    return (onset, onset + length)
