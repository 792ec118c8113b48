"""Resamples of clips, with replacement, by splitmix64: a resample's draws do not depend on the others'."""

from typing import Any

import numpy as np

from score.kernels.jit import inner, kernel

STEP = 0x9E3779B97F4A7C15
"""By which the generator's state grows from draw to draw."""


@inner
def drawn(state: np.uint64, n: int) -> np.int64:
    """The number below n that a state of splitmix64 gives; see STEP."""
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.int64((z >> np.uint64(11)) % np.uint64(n))


@kernel
def resampled_means(values: Any, seed: Any, out: Any) -> None:
    """Means of resamples of (n, k) values with replacement, into (R, k)."""
    n, k = values.shape
    state = seed
    for r in range(out.shape[0]):
        for column in range(k):
            out[r, column] = 0.0
        for _ in range(n):
            state = state + np.uint64(STEP)
            row = drawn(state, n)
            for column in range(k):
                out[r, column] += values[row, column]
        for column in range(k):
            out[r, column] /= n


@kernel
def resampled_counts(n: Any, seed: Any, out: Any) -> None:
    """How often each of n clips is drawn, into (R, n), by the draws of :func:`resampled_means`."""
    state = seed
    for r in range(out.shape[0]):
        out[r] = 0
        for _ in range(n):
            state = state + np.uint64(STEP)
            out[r, drawn(state, n)] += 1
