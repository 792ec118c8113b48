"""ScoreConfig: every parameter of scoring, in one place (docs/design.md 4)."""

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any, Self

from score.choices import DECISIONS, FUSIONS, METHODS
from score.errors import ScoreError

POOLED = "pooled windows: a window's probability is the mean of its segments' probabilities"

_UNIT = ("alpha", "filter_threshold", "threshold_stage1", "threshold_stage2")
_CHOICES = {"method": METHODS, "fusion": FUSIONS, "decision": DECISIONS}


@dataclass(frozen=True)
class ScoreConfig:
    """Parameters of scoring.

    Attributes:
        alpha: weight of the sound in the audiovisual probability, 0 to 1 (4.1).
        filter_threshold: a stream keeps the labels whose whole-clip probability exceeds it, 0 to 1 (4.2).
        threshold_stage1: where segment thresholds start, 0 to 1 (4.4).
        threshold_stage2: a candidate stays if its own probability exceeds it, 0 to 1 (4.6).
        gamma: how fast label shift dies away with each positive segment, at least 0 (4.4).
        method: "naive", "cosine", "bbse" or "bbse-cosine" (4.4).
        fusion: "early" or "late" (4.7).
        label_selection: whether labels are selected at all (4.2).
        refinement: whether candidates are checked as a whole (4.6).
        decision: "threshold", or "argmax" for single-label work such as AVE (4.6).
        label_shift_iters: passes over the segments; 1 is the paper (4.4).
        pooled_windows: whether a window's probability is the mean of its segments', an approximation (4.6).

    Raises:
        ScoreError: a value is out of its range; the message says the range.
    """

    alpha: float
    filter_threshold: float
    threshold_stage1: float
    threshold_stage2: float
    gamma: float
    method: str = "bbse-cosine"
    fusion: str = "early"
    label_selection: bool = True
    refinement: bool = True
    decision: str = "threshold"
    label_shift_iters: int = 1
    pooled_windows: bool = False

    def __post_init__(self) -> None:
        """Check every value."""
        for name in (*_UNIT, "gamma"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ScoreError(f"{name} must be a number, got {value!r}")
            object.__setattr__(self, name, float(value))
        for name in _UNIT:
            if not 0 <= getattr(self, name) <= 1:
                raise ScoreError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if not (self.gamma >= 0 and math.isfinite(self.gamma)):
            raise ScoreError(f"gamma must lie in [0, inf), got {self.gamma}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ScoreError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name in ("label_selection", "refinement", "pooled_windows"):
            if not isinstance(getattr(self, name), bool):
                raise ScoreError(f"{name} must be true or false, got {getattr(self, name)!r}")
        passes = self.label_shift_iters
        if isinstance(passes, bool) or not isinstance(passes, int) or not 1 <= passes <= 1000:
            raise ScoreError(f"label_shift_iters must be a whole number in [1, 1000], got {passes!r}")

    @classmethod
    def published(cls, backbone: str) -> Self:
        """The settings published for a backbone; for `tiny` those chosen on its validation clips.

        Raises:
            ScoreError: none are known for that backbone.
        """
        return cls.for_backbone(backbone, {})

    @classmethod
    def for_backbone(cls, backbone: str, given: Mapping[str, Any]) -> Self:
        """The parameters given, the rest as published for a backbone.

        Raises:
            ScoreError: nothing is published and a parameter is missing, or a value is out of range.
        """
        known = _published()
        missing = [name for name in (*_UNIT, "gamma") if name not in given]
        if backbone not in known and missing:
            raise ScoreError(
                f"no published settings for backbone {backbone!r} (only {', '.join(known)}): "
                f"give {', '.join(missing)} too"
            )
        return cls.from_dict({**known.get(backbone, {}), **given})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`; the five numbers are needed, the rest has defaults.

        Raises:
            ScoreError: an unknown or missing parameter, or a value out of range.
        """
        names = [field.name for field in fields(cls)]
        unknown = [name for name in values if name not in names]
        if unknown:
            raise ScoreError(f"unknown parameter {unknown[0]!r}: there are {', '.join(names)}")
        missing = [name for name in (*_UNIT, "gamma") if name not in values]
        if missing:
            raise ScoreError(f"parameter {missing[0]!r} is missing")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All parameters by name, JSON-able."""
        return asdict(self)

    @property
    def approximation(self) -> str:
        """What is approximate under these settings, one line; empty where nothing is."""
        return POOLED if self.pooled_windows else ""

    def replace(self, **changes: Any) -> Self:
        """A copy with some parameters changed, checked again."""
        return replace(self, **changes)


@cache
def _published() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(
        resources.files("score").joinpath("published.json").read_text("utf-8")
    )
    return found


def read_parameters(path: str | PathLike[str]) -> dict[str, Any]:
    """Scoring parameters from a TOML file, or a JSON file if its name ends so; not all need be given.

    Raises:
        ScoreError: the file cannot be read, or holds something else than scoring parameters.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
        found = json.loads(text) if file.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ScoreError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ScoreError(f"{file} is no UTF-8 text: save it as such") from error
    except ValueError as error:
        raise ScoreError(f"{file}: {error}") from error
    names = [field.name for field in fields(ScoreConfig)]
    if not isinstance(found, dict):
        raise ScoreError(f"{file}: a table of parameters is expected, such as alpha = 0.5")
    if not found:
        raise ScoreError(f"{file} is empty, or was cut off: a parameter is expected, such as alpha = 0.5")
    for name in found:
        if name not in names:
            raise ScoreError(f"{file}: unknown parameter {name!r}: there are {', '.join(names)}")
    return found
