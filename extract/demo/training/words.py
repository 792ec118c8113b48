"""Labels to train with: sets of things, and the names that people may write for them."""

from collections.abc import Sequence

import numpy as np

from extract.backbones.clip_clap.backbone import AUDIO_PROMPT, VISUAL_PROMPT
from extract.demo.things import THINGS

DEMO = [index for index, thing in enumerate(THINGS) if thing.in_demo]


def label_set(rng: np.random.Generator) -> list[int]:
    """Indices into THINGS: the demo's things two times in three, else six or more of all."""
    if rng.random() < 0.66:
        return list(DEMO)
    return [int(index) for index in rng.permutation(len(THINGS))[: rng.integers(6, len(THINGS) + 1)]]


def any_name(rng: np.random.Generator, count: int) -> tuple[list[int], list[str]]:
    """`count` indices into THINGS and a label for each: its own half the time, else any name in any writing."""
    things = [int(index) for index in rng.integers(0, len(THINGS), count)]
    return things, [
        THINGS[index].label
        if rng.random() < 0.5
        else _written(rng, str(rng.choice([THINGS[index].label, *THINGS[index].also])))
        for index in things
    ]


def _written(rng: np.random.Generator, label: str) -> str:
    """The label as one of the ways in which people write labels."""
    way = rng.integers(4)
    if way == 0:
        return label.lower()
    if way == 1:
        return label.capitalize().replace(" ", "_")
    if way == 2:
        return label.capitalize()
    return label.title()


def every_prompt() -> list[str]:
    """Prompts of all things under all names, for making a tokenizer's vocabulary."""
    names = [name for thing in THINGS for name in (thing.label, *thing.also)]
    ways = [
        way for name in names for way in (name, name.lower(), name.capitalize(), name.capitalize().replace(" ", "_"))
    ]
    return [prompt.format(label=way) for way in ways for prompt in (VISUAL_PROMPT, AUDIO_PROMPT)]


def prompts(template: str, labels: Sequence[str]) -> list[str]:
    """The labels put into a prompt."""
    return [template.format(label=label) for label in labels]
