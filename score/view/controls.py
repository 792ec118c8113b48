"""What the page has to know of rules and their parameters to make controls of them; nothing here names one."""

from collections.abc import Mapping
from typing import Any

from feature_cache import FeatureCache
from score.errors import ScoreError
from score.parameters import Parameter, describe
from score.rules import RULES, Rule

_STEPS = 100
_WIDEST = 100.0
"""A range that is wider is shown up to where rules are tuned: a slider's width has so many places only."""
_TIMES = 4.0
"""The default, times this, ends a range without an end."""


def described_rules(cache: FeatureCache, usual: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every rule with its parameters, JSON-able.

    Args:
        cache: that is scored.
        usual: by rule, its settings of this cache, or why there are none (a :class:`ScoreError`).

    Returns:
        Name, about, inferred, why_not (None: the cache holds enough for it) and parameters of each.
    """
    return [_described(rule, cache, usual[name]) for name, rule in RULES.items()]


def _described(rule: Rule, cache: FeatureCache, usual: Any) -> dict[str, Any]:
    lacking = isinstance(usual, ScoreError)
    return {
        "name": rule.name,
        "about": rule.about,
        "inferred": rule.inferred,
        "why_not": str(usual) if lacking else None,
        "parameters": [
            _parameter(each, rule, {} if lacking else _refused(each, rule, cache, usual))
            for each in describe(rule.parameters).values()
        ],
    }


def _parameter(each: Parameter, rule: Rule, refused: Mapping[str, str]) -> dict[str, Any]:
    values = choices_of(each)
    left = [value for value in values if _key(value) not in refused]
    return {
        "name": each.name,
        "kind": each.kind,
        "title": each.title or each.name.replace("_", " "),
        "help": each.help,
        "low": each.low,
        "high": each.high if each.high < float("inf") else None,
        "slider": _slider(each, rule) if each.kind == "number" else None,
        "names": list(each.names),
        "off": each.off,
        "metavar": each.metavar,
        "searched": each.searched,
        "tuned": each.name in rule.tuning({}),
        "default": each.default,
        "refused": dict(refused),
        "why_not": next(iter(refused.values())) if len(values) > 1 and len(left) < 2 else None,
    }


def _slider(each: Parameter, rule: Rule) -> dict[str, float]:
    """The range that a slider goes over, and its step; a number beside it takes any value."""
    low, high = each.low, each.high
    if high - low > _WIDEST:
        tuned = [float(part) for part in rule.tuning({}).get(each.name, "").split(",") if part]
        default = abs(float(each.default or 0.0))
        high = max(tuned) if tuned else low + max(1.0, _TIMES * default)
    return {"low": low, "high": high, "step": step_of(low, high)}


def step_of(low: float, high: float) -> float:
    """A round step, of which there are at least a hundred from low to high.

    Example:
        >>> step_of(0.0, 1.0), step_of(0.0, 64.0)
        (0.01, 0.5)
    """
    rough = (high - low) / _STEPS
    power = 1e-9
    while power * 10 <= rough * (1 + 1e-9):
        power *= 10
    return float(f"{max(times * power for times in (1, 2, 5) if times * power <= rough * (1 + 1e-9)):.6g}")


def _refused(each: Parameter, rule: Rule, cache: FeatureCache, usual: Any) -> dict[str, str]:
    """Values for which a cache does not hold enough, and why."""
    found = {}
    for value in choices_of(each):
        try:
            rule.fitting(cache, usual.replace(**{each.name: value}))
        except ScoreError as error:
            found[_key(value)] = str(error)
    return found


def choices_of(each: Parameter) -> list[Any]:
    """What a parameter can be, where that can be listed."""
    return [True, False] if each.kind == "flag" else list(each.names)


def _key(value: Any) -> str:
    """A value as JSON names it."""
    return value if isinstance(value, str) else str(value).lower()
