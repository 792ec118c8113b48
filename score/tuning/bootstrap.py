"""Bootstrap over clips: how far a mean might lie elsewhere on other clips of the same kind."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.kernels.jit import kernel

RESAMPLES = 10_000


@kernel
def _resample_means(values: Any, seed: Any, out: Any) -> None:
    """Means of resamples of (n, k) values with replacement, into (R, k)."""
    n, k = values.shape
    state = seed
    for r in range(out.shape[0]):
        for column in range(k):
            out[r, column] = 0.0
        for _ in range(n):
            state = state + np.uint64(0x9E3779B97F4A7C15)  # splitmix64
            z = state
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
            row = np.int64((z >> np.uint64(11)) % np.uint64(n))
            for column in range(k):
                out[r, column] += values[row, column]
        for column in range(k):
            out[r, column] /= n


def confidence_intervals(
    values: NDArray[np.float64], *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Percentile bootstrap intervals of column means.

    Args:
        values: float64 (n, k), a row a clip.
        level: share of the resamples inside.
        resamples: number of resamples.
        seed: equal seeds give equal intervals.

    Returns:
        float64 (k, 2), lower and upper ends.
    """
    means = np.empty((resamples, values.shape[1]))
    start = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    _resample_means(np.ascontiguousarray(values, dtype=np.float64), start, means)
    tail = 50.0 * (1.0 - level)
    return np.percentile(means, [tail, 100.0 - tail], axis=0).T
