"""Settings of a cache: which apply to it, and where they come from; files of them (docs/design.md 3, 4)."""

import json
import tomllib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from feature_cache import FeatureCache
from feature_cache.names import shortened
from feature_cache.text_files import TextFileError, read_text
from score.errors import ScoreError
from score.parameters import Parameters, describe
from score.rules import RULES, USUAL, Rule, find_rule, rule_of

MOST_BYTES = 100_000
"""Of a file of settings."""
MOST_IN_A_LINE = 1000
"""Characters: reading a dotted key takes time that grows with the square of its parts."""


def settings_for(
    cache: FeatureCache, file: str | PathLike[str] | None = None, rule: str | None = None, **given: Any
) -> Any:
    """Settings to score a cache with: what is given first, then a file's, what the cache's kind needs, the published.

    Args:
        cache: an open cache.
        file: a TOML or JSON file with some or all parameters; None: there is none.
        rule: name of the decision rule; None: the file's, or else AV²A's.
        given: parameters by name; None counts as not given.

    Returns:
        The rule's parameters, :class:`score.ScoreConfig` for AV²A's.

    Raises:
        ScoreError: an unknown parameter, a value out of its range, a file that cannot be read or is of another rule, or
            nothing published for the cache's backbone where a parameter is not given.

    Example:
        >>> settings_for(cache, alpha=0.4).alpha
        0.4
    """
    of_file, chosen = (None, {}) if file is None else read_parameters(file, rule)
    found = find_rule(rule or of_file or USUAL)
    given = {name: value for name, value in given.items() if value is not None}
    check_given(found, given)
    return found.settings(cache, {**chosen, **given})


def check_given(rule: Rule, given: Mapping[str, Any]) -> None:
    """Refuse parameters of other rules.

    Raises:
        ScoreError: so; names the rules that have it.
    """
    known = describe(rule.parameters)
    for name in given:
        if name not in known:
            others = [other.name for other in RULES.values() if name in describe(other.parameters)]
            if not others:
                raise ScoreError(f"unknown parameter {shortened(name, 60)!r}: there are {', '.join(known)}")
            raise ScoreError(
                f"`{name}` is no parameter of rule {rule.name}, but of {', '.join(others)}: leave it out, or use "
                f"`rule={others[0]!r}`"
            )


def read_parameters(path: str | PathLike[str], rule: str | None = None) -> tuple[str, dict[str, Any]]:
    """A rule's name and its parameters from a TOML file, or a JSON file if its name ends so; not all need be given.

    Args:
        path: the file; its ``rule`` names the decision rule, AV²A's where there is none.
        rule: the only rule that it may be of; None: any.

    Raises:
        ScoreError: the file cannot be read, holds something else than parameters of its rule, or is of another rule.
    """
    file = Path(path)
    try:
        text = read_text(file, MOST_BYTES)
    except TextFileError as error:
        raise ScoreError(str(error)) from error
    try:
        found = _from_json(text) if file.suffix.lower() == ".json" else _from_toml(text)
    except RecursionError as error:
        raise ScoreError(f"{file} is nested too deeply: parameters are single values, such as alpha = 0.5") from error
    except ValueError as error:
        raise ScoreError(f"{file} cannot be read: {shortened(str(error), 120)}: correct it there") from error
    if not isinstance(found, dict):
        raise ScoreError(f"{file}: a table of parameters is expected, such as alpha = 0.5")
    if not found:
        raise ScoreError(f"{file} is empty, or was cut off: a parameter is expected, such as alpha = 0.5")
    own = found.pop("rule", rule or USUAL)
    if not isinstance(own, str) or own not in RULES:
        raise ScoreError(f"{file}: no rule {shortened(str(own), 60)!r}: there are {', '.join(RULES)}")
    if rule not in (None, own):
        raise ScoreError(f"{file} has parameters of rule {own}, not of {rule}: take another file, or `rule={own!r}`")
    names = describe(find_rule(own).parameters)
    try:
        check_given(find_rule(own), found)
        return own, {name: names[name].check(value) for name, value in found.items()}
    except ScoreError as error:
        raise ScoreError(f"{file}: {error}") from error


def _from_toml(text: str) -> dict[str, Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MOST_IN_A_LINE and not line.lstrip().startswith("#"):
            raise ValueError(f"line {number} has {len(line):,} characters, at most {MOST_IN_A_LINE:,} are read")
    return tomllib.loads(text)


def _from_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shortened(name, 60)!r} is there twice")
        found[name] = value
    return found


def to_toml(config: Parameters, comments: list[str]) -> str:
    """A configuration as :func:`read_parameters` reads it, under comment lines."""
    lines = [f"# {comment}" for comment in comments]
    rule = rule_of(config).name
    lines += [] if rule == USUAL else [f"rule = {json.dumps(rule)}"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in config.to_dict().items()]
    return "\n".join(lines) + "\n"
