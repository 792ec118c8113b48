"""Percentile bootstrap over clips: what a figure may be worth on other clips of the same kind."""

import os

import numpy as np
from numpy.typing import NDArray

from feature_cache import stopping
from score.checks import check_array
from score.errors import ScoreError
from score.kernels.resampling import STEP, resampled_counts, resampled_means

RESAMPLES = 10_000
_RESAMPLES_AT_ONCE = 100


def resample_means(
    values: NDArray[np.float64], resamples: int = RESAMPLES, seed: int = 0, threads: int | None = None
) -> NDArray[np.float64]:
    """Column means of resamples of the rows, with replacement; equal seeds draw equal rows from tables of equal length.

    Args:
        values: float64 (n, k), a row a clip.
        resamples: R, their number.
        seed: equal seeds give equal results.
        threads: threads to use, by default one a core; the result does not depend on them.

    Returns:
        float64 (R, k).

    Raises:
        ScoreError: there are no clips.
    """
    check_array("values", values, (None, None), "f")
    if not len(values):
        raise ScoreError("no clips, no intervals")
    means = np.empty((resamples, values.shape[1]))
    table = np.ascontiguousarray(values, dtype=np.float64)
    start = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])

    def work(first: int) -> None:
        state = np.uint64(_state(start, first, len(table)))
        resampled_means(table, state, means[first : first + _RESAMPLES_AT_ONCE])

    with stopping.threads(threads or os.cpu_count() or 1) as pool:
        for _ in pool.map(work, range(0, resamples, _RESAMPLES_AT_ONCE)):
            pass
    return means


def resample_counts(n: int, first: int, last: int, seed: int = 0) -> NDArray[np.int32]:
    """How often each of n clips occurs in the resamples ``first`` … ``last - 1`` of :func:`resample_means`.

    Returns:
        int32 (last - first, n).

    Raises:
        ScoreError: there are no clips.
    """
    if not n:
        raise ScoreError("no clips, no intervals")
    start = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
    counts = np.empty((last - first, n), dtype=np.int32)
    resampled_counts(n, np.uint64(_state(start, first, n)), counts)
    return counts


def interval_ends(resampled: NDArray[np.float64], level: float = 0.95) -> NDArray[np.float64]:
    """Lower and upper ends of percentile intervals, float64 (k, 2), of figures of resamples, float64 (R, k).

    Resamples in which a figure is not defined (NaN) do not count; without any others the ends are NaN.
    """
    tail = 50.0 * (1.0 - level)
    undefined = np.isnan(resampled)
    known = ~undefined.all(axis=0)
    ends = np.full((resampled.shape[1], 2), np.nan)
    if known.any():
        percentile = np.nanpercentile if undefined.any() else np.percentile
        ends[known] = percentile(resampled[:, known], [tail, 100.0 - tail], axis=0).T
    return ends


def confidence_intervals(
    values: NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Percentile bootstrap intervals of column means.

    Args:
        values: float64 (n, k), a row a clip.
        level: share of the resamples inside.
        resamples: number of resamples.
        seed: equal seeds give equal intervals.
        threads: threads to use, by default one a core; the result does not depend on them.

    Returns:
        float64 (k, 2), lower and upper ends.

    Raises:
        ScoreError: there are no clips.
    """
    return interval_ends(resample_means(values, resamples, seed, threads), level)


def _state(start: int, resample: int, n: int) -> int:
    """The generator's state before a resample."""
    return (start + resample * n * STEP) % (1 << 64)
