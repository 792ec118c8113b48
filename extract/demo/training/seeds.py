"""Random numbers for training, apart from the demo's by construction."""

import numpy as np

from extract.demo.script import FIRST_TRAINING_SEED


def training_rng(seed: int, *place: int) -> np.random.Generator:
    """A generator for one place in the training (part, item …), never one that a demo clip is made from.

    Demo clips take seeds below `FIRST_TRAINING_SEED` as the first word of their entropy; this one takes
    `FIRST_TRAINING_SEED + seed`. Raises ValueError for a negative seed.
    """
    if seed < 0:
        raise ValueError(f"the training seed must be 0 or more, not {seed}")
    first = FIRST_TRAINING_SEED + seed
    assert first >= FIRST_TRAINING_SEED
    return np.random.default_rng((first, *place))
