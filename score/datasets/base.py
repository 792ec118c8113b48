"""What a data set is to the rest of the house."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from score.choices import LABELS
from score.errors import AnnotationError
from score.reading import Reading

if TYPE_CHECKING:
    from score.datasets.annotations import Annotations, Truth
    from score.events import Events
    from score.timelines import Spans

Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]
"""For people: a header, and rows."""
Metrics = dict[str, float]
PerClass = dict[str, dict[str, float]]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """What events of n clips are worth against their truth.

    Attributes:
        metrics: figures, by name; in percent but for rates that can exceed one.
        per_class: by label, figures and counts of that label over all clips.
        by_clip: figures of each clip alone, float64 (n,) by name; NaN where a clip has none.
        resampled: the data set's figures, float64 (R, figures), of resamples of the clips: given R, a seed (equal ones
            draw equal clips) and a number of threads (None: all cores).
    """

    metrics: Metrics
    per_class: PerClass
    by_clip: Mapping[str, Floats]
    resampled: Callable[[int, int, int | None], Floats]


def _each_once(truth: "Truth") -> Floats:
    return np.ones((len(truth.rows), Reading(LABELS).columns))


@dataclass(frozen=True)
class Dataset:
    """A data set: its files, and what is measured on it.

    Figures come in two ways. Those that are sums over clips (``measure``, ``from_sums``) are swept by a search; a data
    set whose figures are not, or whose files are longer than clips, measures events in seconds (``measure_seconds``).

    Attributes:
        name: as people write it.
        title: as it is printed.
        labels: name of its label set, as extraction knows it; empty where there is none.
        read: fields of :class:`score.Annotations` from a folder (or file) and a split.
        figures: names of the figures that a search can look for, in the order in which tables give them.
        objective: the figure that a search maximises by default.
        tables: tables for people from figures, figures by label (None: not asked for) and a mark for the first header.
        decision: the decision of refinement that suits it (docs/design.md 4.6).
        reading: how predictions are read; its groups are parts of a split that have figures of their own.
        measure: sums of figures and their weights of blocks of clips, each with its events and its truth, which has the
            clips in their order; given the labels, and whether visual predictions stand in for the audio ones. Returns
            float64 (n, K) sums and figures and counts by label, in percent.
        weights: what each clip counts in its sums, float64 (n, K).
        from_sums: figures, float64 (..., figures), from sums and weights over clips, float64 (..., K) each; NaN where
            nothing counts.
        measure_seconds: figures of events on timelines of any length.
        splits: names of its splits.
        paper_protocol: whether it has a script that evaluates visual predictions as audio ones.
    """

    name: str
    title: str
    labels: str
    read: Callable[[Path, str], dict[str, Any]]
    figures: tuple[str, ...]
    objective: str
    tables: Callable[[Mapping[str, float], Mapping[str, Mapping[str, float]] | None, str], Sequence[Table]]
    decision: str = "threshold"
    reading: Reading = Reading(LABELS)  # noqa: RUF009
    measure: Callable[[Iterable[tuple["Events", "Truth"]], Sequence[str], bool], tuple[Floats, PerClass]] | None = None
    weights: Callable[["Truth"], Floats] = _each_once
    from_sums: Callable[[Floats, Floats], Floats] | None = None
    measure_seconds: Callable[["Spans", "Annotations", Sequence[str]], Measured] | None = None
    splits: tuple[str, ...] = ("train", "val", "test")
    paper_protocol: bool = False


DATASETS: dict[str, Dataset] = {}
"""Every data set by name; ``score/datasets/__init__.py`` lists them."""


def find_dataset(name: str) -> Dataset:
    """A data set by name.

    Raises:
        AnnotationError: there is none.
    """
    if name not in DATASETS:
        raise AnnotationError(f"no data set {name!r}: there are {', '.join(DATASETS)}")
    return DATASETS[name]
