"""Pictures of a search: heat maps of pairs of parameters, a line a parameter, segment level against event level."""

import io
from itertools import combinations
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.storage.atomic import write_outputs
from score.errors import ScoreError
from score.parameters import describe
from score.tuning.result import SearchResult, pareto_rows

BINS = 12


def plot_search(result: SearchResult, folder: str | PathLike[str]) -> list[str]:
    """Draw PNG files into a folder; returns their names.

    Values are the best objective that any setting reaches with the parameters shown, so that what is not shown is at
    its best. Each picture says what is approximate, if anything is.

    Raises:
        ScoreError: matplotlib is not installed, or nothing varies.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ScoreError("pictures need matplotlib: pip install 'av2a[search]'") from error

    varied = [name for name in result.space.numbers if len(np.unique(result.parameters[name])) > 1]
    if not varied:
        raise ScoreError("nothing to draw: only one value of each parameter was tried")
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Any] = {"parameters": _lines(Figure, result, varied)}
    for first, second in combinations(varied, 2):
        pictures[f"{first}_{second}"] = _heat_map(Figure, result, first, second)
    if "event-type-av" in result.metric_names:
        pictures["segment_event"] = _trade_off(Figure, result)
    written: dict[Path, bytes] = {}
    for name, figure in pictures.items():
        if result.remarks:
            said = "\n".join(f"{what}: {remark}" for what, remark in result.remarks.items())
            figure.supxlabel(said, fontsize=6, color="tab:red")
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=120, format="png")
        written[place / f"{name}.png"] = drawn.getvalue()
    write_outputs(written)
    return [str(file) for file in written]


def _title(result: SearchResult, name: str) -> str:
    return describe(result.space.parameters)[name].title


def _levels(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The level of each value and the levels' centres: the values themselves, or equal bins of many."""
    distinct, level = np.unique(values, return_inverse=True)
    if len(distinct) <= 2 * BINS:
        return level.astype(np.int64), distinct
    edges = np.linspace(distinct[0], distinct[-1], BINS + 1)
    return np.clip(np.searchsorted(edges, values, "right") - 1, 0, BINS - 1), (edges[1:] + edges[:-1]) / 2


def _lines(new: Any, result: SearchResult, varied: list[str]) -> Any:
    values = result.column(result.objectives[0])
    figure = new(figsize=(3.4 * len(varied) + 0.6, 3.6), layout="constrained")
    axes = figure.subplots(1, len(varied), sharey=True, squeeze=False)
    for axis, name in zip(axes[0], varied, strict=True):
        level, centres = _levels(result.parameters[name])
        groups = [values[level == k] for k in range(len(centres))]
        shown = [k for k, group in enumerate(groups) if len(group)]
        quantiles = np.array([np.percentile(groups[k], [25, 50, 75, 100]) for k in shown])
        axis.fill_between(centres[shown], quantiles[:, 0], quantiles[:, 2], alpha=0.25, label="middle half")
        axis.plot(centres[shown], quantiles[:, 1], "--", label="median")
        axis.plot(centres[shown], quantiles[:, 3], "o-", label="best")
        axis.set_xlabel(_title(result, name))
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel(f"{result.objectives[0]} (%)")
    axes[0][0].legend(fontsize=8)
    figure.suptitle(f"{result.objectives[0]} by parameter, {len(result):,} settings on {result.n_found:,} clips")
    return figure


def _heat_map(new: Any, result: SearchResult, first: str, second: str) -> Any:
    values = result.column(result.objectives[0])
    rows, row_centres = _levels(result.parameters[first])
    columns, column_centres = _levels(result.parameters[second])
    table = np.full((len(row_centres), len(column_centres)), -np.inf)
    np.maximum.at(table, (rows, columns), values)
    shown = np.where(np.isfinite(table), table, np.nan)
    height, width = 1.8 + 0.34 * len(row_centres), 2.8 + 0.5 * len(column_centres)
    figure = new(figsize=(max(width, 5.5), max(height, 4.0)), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(shown, origin="lower", aspect="auto", cmap="viridis")
    axis.set_xticks(range(len(column_centres)), [f"{value:.3g}" for value in column_centres], rotation=45)
    axis.set_yticks(range(len(row_centres)), [f"{value:.3g}" for value in row_centres])
    axis.set_xlabel(_title(result, second))
    axis.set_ylabel(_title(result, first))
    middle = (np.nanmin(shown) + np.nanmax(shown)) / 2
    for (row, column), value in np.ndenumerate(shown):
        if np.isfinite(value):
            colour = "white" if value < middle else "black"
            axis.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(image, label=f"best {result.objectives[0]} (%)")
    axis.set_title(f"Best {result.objectives[0]} for each pair", fontsize=11)
    return figure


def _trade_off(new: Any, result: SearchResult) -> Any:
    names = ("segment-type-av", "event-type-av")
    table = np.column_stack([result.column(name) for name in names])
    front = np.array(pareto_rows(table))
    some = np.linspace(0, len(table) - 1, min(len(table), 20_000)).astype(np.int64)
    figure = new(figsize=(6.0, 5.0), layout="constrained")
    axis = figure.subplots()
    axis.scatter(table[some, 0], table[some, 1], s=4, alpha=0.3, linewidths=0, label="settings tried")
    axis.plot(table[front, 0], table[front, 1], "o-", color="tab:red", markersize=4, label="not beaten in both")
    axis.set_xlabel("segment-level Type@AV (%)")
    axis.set_ylabel("event-level Type@AV (%)")
    axis.set_title("Segment level against event level")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure
