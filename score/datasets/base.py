"""What a data set is to the rest of the house."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from score.errors import AnnotationError

if TYPE_CHECKING:
    from score.datasets.annotations import Truth
    from score.events import Events

Predictions = Literal["labels", "label"]
"""How predictions are read: several labels a segment, or one event of one label a clip."""
Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]
"""For people: a header, and rows."""
Metrics = dict[str, float]
PerClass = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Dataset:
    """A data set: its files, and what is measured on it.

    Attributes:
        name: as people write it.
        title: as it is printed.
        labels: name of its label set, as extraction knows it.
        read: fields of :class:`score.Annotations` from a folder (or file) and a split.
        splits: names of its splits.
        predictions: how predictions are read.
        figures: names of its figures, in percent, in the order in which tables give them.
        objective: the figure that a search maximises by default.
        decision: the decision of refinement that suits it (docs/design.md 4.6).
        measure: figures of events, and figures and counts by label, in percent; given blocks of clips, each with its
            events and its truth, which has the clips in their order, the labels, and whether visual predictions stand
            in for the audio ones.
        from_sums: figures, float64 (..., figures), from means of a sweep's sums, float64 (..., 9).
        tables: tables for people from figures, figures by label (None: not asked for) and a mark for the first header.
        paper_protocol: whether it has a script that evaluates visual predictions as audio ones.
    """

    name: str
    title: str
    labels: str
    read: Callable[[Path, str], dict[str, Any]]
    predictions: Predictions
    figures: tuple[str, ...]
    objective: str
    decision: str
    measure: Callable[[Iterable[tuple["Events", "Truth"]], Sequence[str], bool], tuple[Metrics, PerClass]]
    from_sums: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    tables: Callable[[Mapping[str, float], Mapping[str, Mapping[str, float]] | None, str], Sequence[Table]]
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
