"""SearchResult: every setting tried with its figures, and the best of them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from feature_cache.storage.atomic import write_outputs
from score.datasets import find_dataset
from score.errors import ScoreError
from score.rules import find_rule
from score.tuning.report import SearchReport, aligned
from score.tuning.space import Space
from score.tuning.store import read_search

if TYPE_CHECKING:
    from score.tuning.per_clip import PerClipReport

_ROWS_AT_ONCE = 8192
"""Rows of a table that become Python's own numbers, which take seven times the room."""


@dataclass(frozen=True)
class Tried:
    """One setting of a search.

    Attributes:
        index: its row in the result.
        config: the setting.
        metrics: its figures in percent, by name.
    """

    index: int
    config: Any
    metrics: dict[str, float]


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Attributes:
        parameters: structured (S,), one row a setting: alpha, filter_threshold, threshold_stage1, threshold_stage2,
            gamma, method, fusion.
        metrics: float64 (S, 10) in percent ((S, 1) for AVE), a column for each of ``metric_names``.
        metric_names: names of the columns.
        objectives: what was looked for; several give a Pareto set.
        space: the space that was searched.
        n_found: clips scored; 0: not recorded, as in folders of an early av2a.
        n_split: clips of the split, likewise.
        complete: whether the search went to its end.
        ceiling: float64 (clips,), the best objective that any setting reaches for each clip, in percent; None if
            it was not asked for.
        report: the best setting's figures with 95 % intervals; None if it was not asked for.
        per_clip: what a setting for each clip is worth beside it, likewise.
        seconds: that settings were tried.
    """

    parameters: NDArray[Any]
    metrics: NDArray[np.float64]
    metric_names: tuple[str, ...]
    objectives: tuple[str, ...]
    space: Space
    n_found: int
    n_split: int
    complete: bool = True
    ceiling: NDArray[np.float64] | None = None
    report: SearchReport | None = None
    per_clip: "PerClipReport | None" = None
    seconds: float = 0.0

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Self:
        """What a search has kept in a folder so far, finished or not; without ceiling and reports.

        Args:
            path: the folder that was the search's output.

        Raises:
            ScoreError: it is no search's folder, damaged, or holds no setting yet.

        Example:
            >>> result = SearchResult.open("search.zarr")
            >>> result.best.config
        """
        kept = read_search(path)
        if not len(kept.settings):
            raise ScoreError(f"{path} holds no setting yet: search again")
        dataset = find_dataset(kept.identity["dataset"])
        return cls(
            parameters=kept.settings,
            metrics=kept.metrics,
            metric_names=kept.metric_names,
            objectives=tuple(kept.facts.get("objectives", (dataset.objective,))),
            space=kept.space,
            n_found=int(kept.facts.get("clips_found", 0)),
            n_split=int(kept.facts.get("clips_in_split", 0)),
            complete=len(kept.settings) >= int(kept.identity["samples"]),
        )

    def __len__(self) -> int:
        """Number of settings tried."""
        return len(self.parameters)

    def column(self, name: str) -> NDArray[np.float64]:
        """One figure of every setting, float64 (S,).

        Raises:
            ScoreError: no such figure.
        """
        found: NDArray[np.float64] = self.metrics[:, self.metric_names.index(check_objective(name, self.metric_names))]
        return found

    def tried(self, index: int) -> Tried:
        """The setting in a row."""
        return Tried(
            int(index),
            self.space.config(self.parameters[index]),
            dict(zip(self.metric_names, self.metrics[index].tolist(), strict=True)),
        )

    @property
    def best(self) -> Tried:
        """The setting with the largest (first) objective; the first of equals."""
        return self.top(1)[0]

    def top(self, n: int = 10, objective: str | None = None) -> list[Tried]:
        """The best settings by one objective, best first; equals in the order of the rows."""
        if not len(self):
            raise ScoreError("no setting was tried")
        values = self.column(objective or self.objectives[0])
        return [self.tried(index) for index in np.argsort(-values, kind="stable")[:n]]

    def pareto(self, objectives: Sequence[str] | None = None) -> list[Tried]:
        """Settings that no other beats in one objective without losing in another, by falling first objective.

        Of settings with equal figures the first stands for all.
        """
        names = tuple(objectives or self.objectives)
        table = np.column_stack([self.column(name) for name in names])
        return [self.tried(index) for index in pareto_rows(table)]

    @property
    def mean_ceiling(self) -> float:
        """The mean of ``ceiling`` over the clips that the objective is of; NaN where it was not asked for."""
        return float("nan") if self.ceiling is None else float(np.nanmean(self.ceiling))

    @property
    def approximation(self) -> str:
        """What is approximate in all figures, one line; empty where nothing is."""
        return str(self.space.start.approximation)

    @property
    def inferred(self) -> str:
        """What of the rule its source leaves open, one line; empty for nothing."""
        return find_rule(self.space.rule).inferred

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write all settings and figures as one table; last columns say what is approximate or inferred, if so."""
        write_outputs({Path(path): self.as_csv()})

    def to_parquet(self, path: str | PathLike[str]) -> None:
        """Write all settings and figures as one Parquet table (needs pyarrow)."""
        write_outputs({Path(path): self.as_parquet()})

    @property
    def remarks(self) -> dict[str, str]:
        """What is "approximate" or "inferred" in all figures, a line each; what is not, is not there."""
        found = {"approximate": self.approximation, "inferred": self.inferred}
        return {what: remark for what, remark in found.items() if remark}

    def as_csv(self) -> bytes:
        """The table of :meth:`to_csv`."""
        more = self.remarks
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*(self.parameters.dtype.names or ()), *self.metric_names, *more])
        for first in range(0, len(self), _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            for setting, figures in zip(self.parameters[rows].tolist(), self.metrics[rows].tolist(), strict=True):
                writer.writerow([*setting, *figures, *more.values()])
        return stream.getvalue().encode()

    def as_parquet(self) -> bytes:
        """The table of :meth:`to_parquet`."""
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ModuleNotFoundError as error:
            raise ScoreError("Parquet needs pyarrow: pip install 'av2a[search]'") from error
        columns: dict[str, Any] = {name: self.parameters[name] for name in (self.parameters.dtype.names or ())}
        columns |= {name: self.metrics[:, k] for k, name in enumerate(self.metric_names)}
        columns |= {what: [remark] * len(self) for what, remark in self.remarks.items()}
        stream = io.BytesIO()
        pq.write_table(pa.table(columns), stream)
        return stream.getvalue()

    def table(self, tried: Sequence[Tried]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Header and rows for people: the parameters that vary, the objectives and the summary figures."""
        varied = [name for name in (self.parameters.dtype.names or ()) if len(getattr(self.space, name)) > 1]
        figures = dict.fromkeys([*self.objectives, *(name for name in SUMMARY if name in self.metric_names)])
        rows = [
            (
                number,
                *(_shown(getattr(one.config, name)) for name in varied),
                *(one.metrics[name] for name in figures),
            )
            for number, one in enumerate(tried, start=1)
        ]
        mark = f"# (approximate: {self.approximation.partition(':')[0]})" if self.approximation else "#"
        return (mark, *varied, *figures), rows

    def __str__(self) -> str:
        """The ten best settings as a table."""
        return aligned(*self.table(self.top(10)))


SUMMARY = ("segment-type-av", "segment-event-av", "event-type-av", "event-event-av")
"""Figures that tables give beside the objective, where a data set has them."""


def check_objective(name: str, names: Sequence[str]) -> str:
    """The name, if it is one of the figures.

    Raises:
        ScoreError: it is none.
    """
    if name not in names:
        raise ScoreError(f"no objective {name!r}: there are {', '.join(names)}")
    return name


def pareto_rows(table: NDArray[np.float64]) -> list[int]:
    """Rows of (S, objectives) that no other row dominates, by falling first column; larger is better."""
    order = np.lexsort([np.arange(len(table)), *(-table[:, column] for column in range(table.shape[1] - 1, -1, -1))])
    front: list[int] = []
    kept = np.empty_like(table)
    for row in order:
        if not (kept[: len(front)] >= table[row]).all(axis=1).any():
            kept[len(front)] = table[row]
            front.append(int(row))
    return front


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
