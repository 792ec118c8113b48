"""Space: which settings a search tries."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.choices import FUSIONS, METHODS
from score.config import ScoreConfig
from score.errors import ScoreError

NUMBERS = ("alpha", "filter_threshold", "threshold_stage1", "threshold_stage2", "gamma")
CHOICES = ("method", "fusion")
SLOWEST_FIRST = ("method", "fusion", "filter_threshold", "alpha", "threshold_stage1", "gamma", "threshold_stage2")
"""The order of a grid: neighbours share most of the work."""
PARAMETERS = np.dtype([*((name, np.float64) for name in NUMBERS), ("method", "U11"), ("fusion", "U5")])
"""A setting of a search, one field a parameter that it varies."""

MOST_SETTINGS = 20_000_000


@dataclass(frozen=True)
class Space:
    """Values of each parameter to try, and what stays fixed.

    Attributes:
        alpha: values in [0, 1].
        filter_threshold: values in [0, 1].
        threshold_stage1: values in [0, 1].
        threshold_stage2: values in [0, 1].
        gamma: values, at least 0.
        method: methods of label shift.
        fusion: "early", "late".
        label_selection: whether labels are selected.
        refinement: whether candidates are checked as a whole.
        decision: "threshold" or "argmax".
        label_shift_iters: passes over the segments.
        pooled_windows: whether a window's probability is the mean of its segments', an approximation.

    A grid tries every combination. A sampler draws each number between the least and the largest value given.

    Raises:
        ScoreError: a list is empty, or a value is out of its range.
    """

    alpha: Sequence[float]
    filter_threshold: Sequence[float]
    threshold_stage1: Sequence[float]
    threshold_stage2: Sequence[float]
    gamma: Sequence[float]
    method: Sequence[str] = ("bbse-cosine",)
    fusion: Sequence[str] = ("early",)
    label_selection: bool = True
    refinement: bool = True
    decision: str = "threshold"
    label_shift_iters: int = 1
    pooled_windows: bool = False

    def __post_init__(self) -> None:
        """Take lists, arrays and single values alike, and check them."""
        for name in (*NUMBERS, *CHOICES):
            given = getattr(self, name)
            values = [given] if isinstance(given, str | float | int) else list(given)
            if not values:
                raise ScoreError(f"{name}: no value to try")
            if name in CHOICES:
                known = METHODS if name == "method" else FUSIONS
                for value in values:
                    if value not in known:
                        raise ScoreError(f"{name} must be one of {', '.join(known)}, got {value!r}")
                object.__setattr__(self, name, tuple(dict.fromkeys(values)))
            else:
                object.__setattr__(self, name, tuple(dict.fromkeys(float(value) for value in values)))
        for name in NUMBERS:
            for value in getattr(self, name):
                self._config({**{other: getattr(self, other)[0] for other in NUMBERS}, name: value})

    def _config(self, values: Mapping[str, Any]) -> ScoreConfig:
        return ScoreConfig(
            **{"method": self.method[0], "fusion": self.fusion[0], **values},
            label_selection=self.label_selection,
            refinement=self.refinement,
            decision=self.decision,
            label_shift_iters=self.label_shift_iters,
            pooled_windows=self.pooled_windows,
        )

    @property
    def start(self) -> ScoreConfig:
        """The setting of the first values."""
        return self._config({name: getattr(self, name)[0] for name in NUMBERS})

    def config(self, setting: Any) -> ScoreConfig:
        """A setting of this space, a row of dtype ``PARAMETERS``, as a configuration."""
        return self._config(
            {name: float(setting[name]) for name in NUMBERS} | {name: str(setting[name]) for name in CHOICES}
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        lists = {name: list(getattr(self, name)) for name in (*NUMBERS, *CHOICES)}
        return {
            **lists,
            "label_selection": self.label_selection,
            "refinement": self.refinement,
            "decision": self.decision,
            "label_shift_iters": self.label_shift_iters,
            "pooled_windows": self.pooled_windows,
        }

    @property
    def size(self) -> int:
        """Number of combinations."""
        return math.prod(len(getattr(self, name)) for name in SLOWEST_FIRST)

    def grid(self) -> NDArray[Any]:
        """Every combination, structured (S,) of dtype ``PARAMETERS``, in the order of ``SLOWEST_FIRST``.

        Raises:
            ScoreError: more settings than can be kept.
        """
        lists = [getattr(self, name) for name in SLOWEST_FIRST]
        size = self.size
        if size > MOST_SETTINGS:
            raise ScoreError(f"{size:,} settings: at most {MOST_SETTINGS:,} at a time, use coarser steps")
        found = np.zeros(size, dtype=PARAMETERS)
        shape = tuple(len(values) for values in lists)
        places = np.unravel_index(np.arange(size), shape)
        for name, values, place in zip(SLOWEST_FIRST, lists, places, strict=True):
            found[name] = np.array(values)[place]
        return found

    def spread(self, units: NDArray[np.float64]) -> NDArray[Any]:
        """Settings from points of the unit cube, (S, 7): numbers between the extremes given, choices in equal parts.

        The settings come sorted by label selection, so that neighbours share work.
        """
        found = np.zeros(len(units), dtype=PARAMETERS)
        for column, name in enumerate(NUMBERS):
            low, high = min(getattr(self, name)), max(getattr(self, name))
            found[name] = low + units[:, column] * (high - low)
        for column, name in enumerate(CHOICES, start=len(NUMBERS)):
            values = np.array(getattr(self, name))
            found[name] = values[np.minimum((units[:, column] * len(values)).astype(int), len(values) - 1)]
        return found[np.argsort(found["filter_threshold"], kind="stable")]


def space_for(backbone: str, dataset: str, given: Mapping[str, Any]) -> Space:
    """A space from texts such as `0:1:0.1`; what is not given stays as published for the backbone.

    Args:
        backbone: whose published values to take.
        dataset: "llp" or "ave"; AVE's refinement takes the best label unless ``given`` says otherwise.
        given: by parameter, a text, a number, None, or what a :class:`Space` takes.

    Raises:
        ScoreError: a text is no list of values, or nothing is published and a parameter is missing.
    """
    texts = {name: value for name, value in given.items() if value is not None}
    values: dict[str, Any] = {name: parse_values(name, str(texts[name])) for name in NUMBERS if name in texts}
    start = ScoreConfig.for_backbone(backbone, {name: numbers[0] for name, numbers in values.items()})
    for name in NUMBERS:
        values.setdefault(name, (getattr(start, name),))
    for name in CHOICES:
        values[name] = tuple(texts[name].split(",")) if name in texts else (getattr(start, name),)
    for name in ("label_selection", "refinement", "label_shift_iters", "pooled_windows"):
        if name in texts:
            values[name] = texts[name]
    values["decision"] = texts.get("decision", "argmax" if dataset == "ave" else "threshold")
    return Space(**values)


def parse_values(name: str, text: str) -> tuple[float, ...]:
    """`a:b:step` with both ends, `a,b,c`, or one value.

    Raises:
        ScoreError: no numbers, an empty or reversed range, or a step that does not fit.
    """
    parts = text.split(":")
    try:
        numbers = [float(part) for part in (parts if len(parts) > 1 else text.split(","))]
    except ValueError:
        raise ScoreError(f"{name} {text!r}: use a:b:step, a,b,c or one number") from None
    if not np.isfinite(numbers).all():
        raise ScoreError(f"{name} {text!r}: use finite numbers")
    if len(parts) == 1:
        return tuple(numbers)
    if len(parts) != 3:
        raise ScoreError(f"{name} {text!r}: a range is a:b:step")
    low, high, step = numbers
    if step <= 0:
        raise ScoreError(f"{name} {text!r}: the step must be above 0")
    if high < low:
        raise ScoreError(f"{name} {text!r}: the range is empty, its end {high:g} lies before its start {low:g}")
    steps = (high - low) / step
    if abs(steps - round(steps)) > 1e-6:
        raise ScoreError(f"{name} {text!r}: a step of {step:g} does not lead from {low:g} to {high:g}")
    if round(steps) >= MOST_SETTINGS:
        raise ScoreError(f"{name} {text!r}: {round(steps):,} values are too many")
    return tuple(float(value) for value in np.round(np.linspace(low, high, round(steps) + 1), 12))
