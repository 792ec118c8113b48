"""What a setting is worth on a split: figures with percentile bootstrap intervals over clips."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import stopping
from score.checks import check_array
from score.errors import ScoreError
from score.kernels.jit import kernel
from score.tuning.space import Space
from score.tuning.sweeper import Sweeper

RESAMPLES = 10_000
_RESAMPLES_AT_ONCE = 100
_STEP = 0x9E3779B97F4A7C15
"""Of splitmix64's state."""


@dataclass(frozen=True)
class SplitReport:
    """Figures of one setting on one split.

    Attributes:
        split: the split's name.
        n_found: clips scored.
        n_split: clips of the split.
        figures: by name, mean and the ends of its 95 % interval over clips, in percent.
    """

    split: str
    n_found: int
    n_split: int
    figures: dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class SearchReport:
    """Figures of the best setting: on the split that was tuned on, then on the one that was kept aside, if any."""

    splits: tuple[SplitReport, ...]

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows for people: a row a figure, a column a split."""
        header = ("figure", *(f"{each.split or 'annotated'} ({each.n_found} clips)" for each in self.splits))
        return header, [
            (name, *("{:.1f} [{:.1f}, {:.1f}]".format(*each.figures[name]) for each in self.splits))
            for name in self.splits[0].figures
        ]

    def __str__(self) -> str:
        """The table, columns aligned."""
        return aligned(*self.table())


def report_split(
    sweeper: Sweeper, split: str, config: Any, space: Space, *, resamples: int = RESAMPLES, seed: int = 0
) -> SplitReport:
    """Figures of a setting on a sweeper's clips, with percentile bootstrap intervals over them."""
    values = sweeper.per_clip(space.settings([config]), space)
    ends = confidence_intervals(values, resamples=resamples, seed=seed, threads=sweeper.threads)
    means = values.mean(axis=0)
    figures = {
        name: (float(means[k]), float(ends[k, 0]), float(ends[k, 1])) for k, name in enumerate(sweeper.metric_names)
    }
    return SplitReport(split, sweeper.n_found, sweeper.n_split, figures)


def aligned(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A table as text: numbers with two digits, columns to the right."""
    lines = [header, *([f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows)]
    widths = [max(len(str(line[column])) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(str(cell).rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )


@kernel
def _resample_means(values: Any, seed: Any, out: Any) -> None:
    """Means of resamples of (n, k) values with replacement, into (R, k)."""
    n, k = values.shape
    state = seed
    for r in range(out.shape[0]):
        for column in range(k):
            out[r, column] = 0.0
        for _ in range(n):
            state = state + np.uint64(_STEP)  # splitmix64
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
    check_array("values", values, (None, None), "f")
    if not len(values):
        raise ScoreError("no clips, no intervals")
    means = np.empty((resamples, values.shape[1]))
    table = np.ascontiguousarray(values, dtype=np.float64)
    start = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])

    def work(first: int) -> None:
        """Some resamples: the generator's state before each is known."""
        state = (start + first * len(table) * _STEP) % (1 << 64)
        _resample_means(table, np.uint64(state), means[first : first + _RESAMPLES_AT_ONCE])

    with stopping.threads(threads or os.cpu_count() or 1) as pool:
        for _ in pool.map(work, range(0, resamples, _RESAMPLES_AT_ONCE)):
            pass
    tail = 50.0 * (1.0 - level)
    return np.percentile(means, [tail, 100.0 - tail], axis=0).T
