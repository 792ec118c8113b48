"""What a setting is worth on a split: figures with percentile bootstrap intervals over clips."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.bootstrap import RESAMPLES, interval_ends
from score.tuning.held import HeldSplit
from score.tuning.space import Space


@dataclass(frozen=True)
class SplitReport:
    """Figures of one setting on one split.

    Attributes:
        split: the split's name.
        n_found: clips scored.
        n_split: clips of the split.
        figures: by name, mean and the ends of its 95 % interval over clips, in percent.
        resampled: float64 (R, figures), of resamples; those of other settings are of equal clips where the clips and
            the seed are equal.
    """

    split: str
    n_found: int
    n_split: int
    figures: dict[str, tuple[float, float, float]]
    resampled: NDArray[np.float64] = field(repr=False, compare=False)


@dataclass(frozen=True)
class SearchReport:
    """Figures of the best setting: on the split that was tuned on, then on the one that was kept aside, if any."""

    splits: tuple[SplitReport, ...]

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows for people: a row a figure, a column a split."""
        header = ("figure", *(f"{each.split or 'annotated'} ({each.n_found} clips)" for each in self.splits))
        return header, [
            (name, *(figure_text(*each.figures[name]) for each in self.splits)) for name in self.splits[0].figures
        ]

    def __str__(self) -> str:
        """The table, columns aligned."""
        return aligned(*self.table())


def report_split(
    held: HeldSplit, split: str, config: Any, space: Space, *, resamples: int = RESAMPLES, seed: int = 0
) -> SplitReport:
    """Figures of a setting on a split's clips, with percentile bootstrap intervals over them."""
    measured = held.measured(space.settings([config]), space)
    found = measured.resampled(resamples, seed, held.threads)
    ends = interval_ends(found)
    figures = {
        name: (measured.metrics[name], float(ends[k, 0]), float(ends[k, 1])) for k, name in enumerate(held.metric_names)
    }
    return SplitReport(split, held.n_found, held.n_split, figures, found)


def figure_text(figure: float, low: float, high: float) -> str:
    """A figure with its interval, for people."""
    return "-" if math.isnan(figure) else f"{figure:.1f} [{low:.1f}, {high:.1f}]"


def aligned(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A table as text: numbers with two digits, columns to the right."""
    lines = [header, *([f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows)]
    widths = [max(len(str(line[column])) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(str(cell).rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )
