"""Parameters of a rule, each said once: its range, its words, and how a search varies it.

A field of a :class:`Parameters` class, made by :func:`number`, :func:`choice`, :func:`flag`, :func:`count` or
:func:`free_text`, is all
that has to be said of a parameter: options of the command, spaces of a search, TOML and JSON files follow from it.
"""

import math
import reprlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import cache
from typing import Any, Literal, Self, cast

from feature_cache.names import shortened
from score.errors import ScoreError

Kind = Literal["number", "choice", "flag", "count", "text"]
MOST_CHARACTERS = 1000
"""Of a text."""


@dataclass(frozen=True)
class Parameter:
    """What is known of one parameter.

    Attributes:
        name: of the field.
        kind: "number" (searches vary it within a range), "choice" (searches vary it by name), "flag", "count" or "text"
            (the same for all settings of a search).
        help: a phrase for people, at most 50 characters.
        title: its name in pictures.
        default: its value where none is given; None: one is needed.
        low: least value of a number or count.
        high: largest one, infinity for none.
        names: what a choice can be, in the order of their codes.
        off: what a flag is called where it is not set, as in "no-refinement".
        metavar: what a text stands for, as in "none|cache|FILE".
        fixed: a choice that is the same for all settings of a search.
    """

    name: str
    kind: Kind
    help: str
    title: str = ""
    default: Any = None
    low: float = 0.0
    high: float = math.inf
    names: tuple[str, ...] = ()
    off: str = ""
    metavar: str = ""
    fixed: bool = False

    @property
    def searched(self) -> bool:
        """Whether a search varies it."""
        return self.kind in ("number", "choice") and not self.fixed

    def check(self, value: Any) -> Any:
        """The value as it is kept.

        Raises:
            ScoreError: it is of another type, or out of range; the message says the range.
        """
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if self.kind == "number":
            if not number:
                raise ScoreError(f"{self.name} must be a number, got {_told(value)}")
            if not (self.low <= value <= self.high and abs(value) < math.inf and _is_a_float(value)):
                raise ScoreError(f"{self.name} must lie in {self._range}, got {_told(value, as_float=True)}")
            return float(value)
        if self.kind == "choice":
            if not isinstance(value, str) or value not in self.names:
                raise ScoreError(f"{self.name} must be one of {', '.join(self.names)}, got {_told(value)}")
        elif self.kind == "text":
            if not isinstance(value, str) or not 0 < len(value) <= MOST_CHARACTERS or not value.isprintable():
                raise ScoreError(f"{self.name} must be {self.metavar}, a text, got {_told(value)}")
        elif self.kind == "flag":
            if not isinstance(value, bool):
                raise ScoreError(f"{self.name} must be true or false, got {_told(value)}")
        elif not number or not isinstance(value, int) or not self.low <= value <= self.high:
            raise ScoreError(f"{self.name} must be a whole number in {self._range}, got {_told(value)}")
        return value

    @property
    def _range(self) -> str:
        return f"[{self.low:g}, {self.high:g}]" if math.isfinite(self.high) else f"[{self.low:g}, inf)"


def _is_a_float(value: int | float) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _told(value: Any, as_float: bool = False) -> str:
    """A value for a message, whatever it is."""
    if isinstance(value, float) or (as_float and _is_a_float(value)):
        return str(float(value))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**60:
        return "a number of over 60 digits"
    return shortened(reprlib.repr(value), 60)


def number(*, low: float, high: float = math.inf, help: str, title: str, default: float | None = None) -> Any:
    """A field for a number that a search varies."""
    return _field(default, kind="number", low=low, high=high, help=help, title=title)


def choice(default: str, *, names: Sequence[str], help: str) -> Any:
    """A field for one of some names, which a search varies."""
    return _field(default, kind="choice", names=tuple(names), help=help)


def flag(default: bool, *, help: str, off: str) -> Any:
    """A field for yes or no; ``off`` is what no is called."""
    return _field(default, kind="flag", help=help, off=off)


def count(default: int, *, low: int, high: int, help: str) -> Any:
    """A field for a whole number."""
    return _field(default, kind="count", low=low, high=high, help=help)


def free_text(default: str, *, metavar: str, help: str) -> Any:
    """A field for a text, such as a name or a file."""
    return _field(default, kind="text", metavar=metavar, help=help)


def fixed_choice(default: str, *, names: Sequence[str], help: str) -> Any:
    """A field for one of some names that is the same for all settings of a search."""
    return _field(default, kind="choice", names=tuple(names), help=help, fixed=True)


def _field(default: Any, **facts: Any) -> Any:
    return field(default=MISSING if default is None else default, metadata={"parameter": facts})


@dataclass(frozen=True)
class Parameters:
    """Base of a rule's parameters: a frozen dataclass whose fields are made by the functions above.

    Raises:
        ScoreError: a value is out of its range.
    """

    def __post_init__(self) -> None:
        """Check every value."""
        for name, known in describe(type(self)).items():
            object.__setattr__(self, name, known.check(getattr(self, name)))

    @classmethod
    def needed(cls) -> list[str]:
        """Names of the parameters that have no default."""
        return [name for name, known in describe(cls).items() if known.default is None]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`; what has a default may be left out.

        Raises:
            ScoreError: an unknown or missing parameter, or a value out of range.
        """
        known = describe(cls)
        unknown = [name for name in values if name not in known]
        if unknown:
            raise ScoreError(f"unknown parameter {unknown[0]!r}: there are {', '.join(known)}")
        missing = [name for name in cls.needed() if name not in values]
        if missing:
            raise ScoreError(f"parameter {missing[0]!r} is missing")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All parameters by name, JSON-able."""
        return asdict(self)

    def replace(self, **changes: Any) -> Self:
        """A copy with some parameters changed, checked again."""
        return replace(self, **changes)


def describe(parameters: type[Parameters]) -> dict[str, Parameter]:
    """What is known of each parameter, by name, in the order of the fields."""
    return _described(cast("Hashable", parameters))


@cache
def _described(parameters: Any) -> dict[str, Parameter]:
    found = {}
    for each in fields(parameters):
        facts = dict(cast("Mapping[str, Any]", each.metadata["parameter"]))
        found[each.name] = Parameter(each.name, default=None if each.default is MISSING else each.default, **facts)
    return found
