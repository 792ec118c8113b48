"""Space: which settings a search tries."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.names import shortened
from score.errors import ScoreError
from score.parameters import Parameter, Parameters, describe
from score.rules import USUAL, find_rule
from score.settings import check_given

MOST_SETTINGS = 20_000_000
MOST_VALUES = 1_000_000
"""Of one parameter."""


def searched(parameters: type[Parameters], kind: str | None = None) -> tuple[str, ...]:
    """Names of the parameters that searches vary: numbers first, then choices, each in the order of the fields.

    Args:
        parameters: a rule's.
        kind: "number" or "choice" alone.
    """
    known = describe(parameters).values()
    return tuple(
        each.name
        for wanted in ("number", "choice")
        if kind in (None, wanted)
        for each in known
        if each.kind == wanted and each.searched
    )


def setting_dtype(parameters: type[Parameters]) -> np.dtype[Any]:
    """A setting of a search: one field a parameter that it varies, names as wide as the longest."""
    known = describe(parameters)
    names = searched(parameters, "choice")
    widths = {name: max(len(each) for each in known[name].names) for name in names}
    return np.dtype(
        [
            *((name, np.float64) for name in searched(parameters, "number")),
            *((name, f"U{widths[name]}") for name in names),
        ]
    )


class Space:
    """Values of each parameter to try, and what stays fixed.

    A number takes one value, several, or a text such as ``"0:1:0.1"`` (both ends) or ``"0.3,0.5"``; a choice takes one
    name or several, also with commas; flags and counts take one value. A parameter that is left out stays as it is
    published for the cache's backbone, or at its default. A grid tries every combination; a sampler draws each number
    between the least and the largest value given.

    Attributes:
        rule: name of the rule.
        given: by parameter, what was given: tuples of what varies, the values of what is fixed.

    Raises:
        ScoreError: an unknown parameter, no value to try, or one that is out of its range.

    Example:
        >>> Space(alpha="0:1:0.1", gamma=[0.5, 1], method="bbse,bbse-cosine").alpha[:3]
        (0.0, 0.1, 0.2)
    """

    def __init__(self, *values: Any, rule: str = USUAL, **given: Any) -> None:
        """Take lists, arrays, texts and single values alike, in the parameters' order or by name, and check them."""
        self.rule = rule
        known = describe(self.parameters)
        given = {**dict(zip(known, values, strict=False)), **given}
        check_given(find_rule(rule), given)
        self.given: dict[str, Any] = {
            name: _values(known[name], value) if known[name].searched else known[name].check(value)
            for name, value in given.items()
        }

    @property
    def parameters(self) -> type[Parameters]:
        """The rule's parameters."""
        return find_rule(self.rule).parameters

    @property
    def missing(self) -> list[str]:
        """Parameters that are not given and have no default."""
        return [name for name in self.parameters.needed() if name not in self.given]

    def __getattr__(self, name: str) -> Any:
        """What is tried of a parameter: a tuple of what varies, else the value."""
        known = (
            describe(self.parameters).get(name) if not name.startswith("_") and name not in ("rule", "given") else None
        )
        if known is None:
            raise AttributeError(f"'Space' object has no attribute {name!r}")
        if name in self.given:
            return self.given[name]
        if known.default is None:
            raise AttributeError(f"{name} is not given: a search takes what is published for the cache's backbone")
        return (known.default,) if known.searched else known.default

    def __eq__(self, other: object) -> bool:
        """Whether both try the same."""
        return isinstance(other, Space) and (self.rule, self.to_dict()) == (other.rule, other.to_dict())

    def __hash__(self) -> int:
        """Of what is tried."""
        return hash((self.rule, tuple(sorted((name, repr(value)) for name, value in self.given.items()))))

    def __repr__(self) -> str:
        """What was given."""
        return f"Space({', '.join(f'{name}={value!r}' for name, value in self.given.items())})"

    def completed(self, values: Mapping[str, Any]) -> "Space":
        """This space with values for what is not given.

        Args:
            values: one value by parameter, as of a configuration.
        """
        more = {name: value for name, value in values.items() if name not in self.given}
        return Space(rule=self.rule, **more, **self.given)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the numbers that vary."""
        return searched(self.parameters, "number")

    @property
    def choices(self) -> tuple[str, ...]:
        """Names of the choices that vary."""
        return searched(self.parameters, "choice")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a setting: a field each of ``numbers`` and ``choices``."""
        return setting_dtype(self.parameters)

    @property
    def fixed(self) -> dict[str, Any]:
        """What is the same in all settings, by parameter."""
        return {name: getattr(self, name) for name, each in describe(self.parameters).items() if not each.searched}

    @property
    def start(self) -> Any:
        """The setting of the first values, as the rule's parameters."""
        first = {name: getattr(self, name)[0] for name in (*self.numbers, *self.choices)}
        return self.parameters(**first, **self.fixed)

    def config(self, setting: Any) -> Any:
        """A setting of this space, a row of ``dtype``, as the rule's parameters."""
        found = {name: float(setting[name]) for name in self.numbers} | {
            name: str(setting[name]) for name in self.choices
        }
        return self.parameters(**found, **self.fixed)

    def settings(self, configs: Iterable[Any]) -> NDArray[Any]:
        """Configurations as settings, structured (S,) of ``dtype``."""
        rows = [tuple(getattr(config, name) for name in (*self.numbers, *self.choices)) for config in configs]
        return np.array(rows, dtype=self.dtype)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        lists = {name: list(getattr(self, name)) for name in (*self.numbers, *self.choices)}
        return {**({} if self.rule == USUAL else {"rule": self.rule}), **lists, **self.fixed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Space":
        """The inverse of :meth:`to_dict`."""
        return cls(**values)

    @property
    def size(self) -> int:
        """Number of combinations."""
        return math.prod(len(getattr(self, name)) for name in (*self.numbers, *self.choices))

    def checked_size(self) -> int:
        """:attr:`size`.

        Raises:
            ScoreError: more settings than can be kept.
        """
        size = self.size
        if size > MOST_SETTINGS:
            raise ScoreError(f"{size:,} settings: at most {MOST_SETTINGS:,} at a time, use coarser steps")
        return size

    def grid(self, start: int = 0, end: int | None = None) -> NDArray[Any]:
        """Every combination, structured (S,) of ``dtype``, in the rule's order: neighbours share most of the work.

        Args:
            start: the first one wanted.
            end: one past the last; None: all that follow.

        Raises:
            ScoreError: more settings than can be kept.
        """
        names = find_rule(self.rule).slowest_first
        lists = [getattr(self, name) for name in names]
        rows = np.arange(*slice(start, end).indices(self.checked_size()))
        found = np.zeros(len(rows), dtype=self.dtype)
        shape = tuple(len(values) for values in lists)
        places = np.unravel_index(rows, shape)
        for name, values, place in zip(names, lists, places, strict=True):
            found[name] = np.array(values)[place]
        return found

    def spread(self, units: NDArray[np.float64]) -> NDArray[Any]:
        """Settings from points of the unit cube, (S, 7): numbers between the extremes given, choices in equal parts.

        The settings come sorted by the slowest number, so that neighbours share work.
        """
        found = np.zeros(len(units), dtype=self.dtype)
        for column, name in enumerate(self.numbers):
            low, high = min(getattr(self, name)), max(getattr(self, name))
            found[name] = low + units[:, column] * (high - low)
        for column, name in enumerate(self.choices, start=len(self.numbers)):
            values = np.array(getattr(self, name))
            found[name] = values[np.minimum((units[:, column] * len(values)).astype(int), len(values) - 1)]
        slowest = next(name for name in find_rule(self.rule).slowest_first if name in self.numbers)
        return found[np.argsort(found[slowest], kind="stable")]


def _values(known: Parameter, given: Any) -> tuple[Any, ...]:
    """Values to try of a parameter, each once."""
    if isinstance(given, str):
        values: list[Any] = list(parse_values(known.name, given)) if known.kind == "number" else given.split(",")
    else:
        values = [given] if isinstance(given, float | int) else list(given)
    if not values:
        raise ScoreError(f"{known.name}: no value to try")
    if known.kind == "number":
        values = [float(value) for value in values]
    return tuple(dict.fromkeys(known.check(value) for value in values))


def parse_values(name: str, text: str) -> tuple[float, ...]:
    """`a:b:step` with both ends, `a,b,c`, or one value.

    Raises:
        ScoreError: no numbers, an empty or reversed range, or a step that does not fit.
    """
    parts = text.split(":")
    if text.count(",") >= MOST_VALUES:
        raise ScoreError(f"{name}: {text.count(',') + 1:,} values are too many")
    text, given = shortened(text, 60), text
    try:
        numbers = [float(part) for part in (parts if len(parts) > 1 else given.split(","))]
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
    if not steps < MOST_VALUES:  # infinite, perhaps
        raise ScoreError(f"{name} {text!r}: over {MOST_VALUES:,} values are too many: use a larger step")
    if abs(steps - round(steps)) > 1e-6:
        raise ScoreError(f"{name} {text!r}: a step of {step:g} does not lead from {low:g} to {high:g}")
    return tuple(float(value) for value in np.round(np.linspace(low, high, round(steps) + 1), 12))
