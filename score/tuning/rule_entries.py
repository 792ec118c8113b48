"""What a comparison of rules is of: a rule with the settings that are given of it, and what is tuned of the rest."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from feature_cache import FeatureCache
from score.comparison import short_names
from score.datasets.base import Dataset
from score.errors import ScoreError
from score.parameters import describe
from score.rules import RULES, find_rule
from score.settings import read_parameters
from score.tuning.held import completed_space
from score.tuning.space import Space


@dataclass(frozen=True)
class Entry:
    """A rule as it takes part.

    Attributes:
        name: of its row.
        rule: name of the rule.
        given: parameters that are given, by name: they are not tuned.
        required: whether a cache that does not hold enough for it is refused; else the rule is left out.
    """

    name: str
    rule: str
    given: Mapping[str, Any] = field(default_factory=dict)
    required: bool = True

    def ranges(self) -> dict[str, str]:
        """What is tuned of it, and over which range."""
        found = find_rule(self.rule).tuning(self.given)
        return {name: values for name, values in found.items() if name not in self.given}

    def space(self, cache: FeatureCache, dataset: Dataset, *, tuned: bool) -> Space:
        """The settings to try: one, if nothing is tuned.

        Raises:
            ScoreError: the cache does not hold enough for the rule.
        """
        ranges: dict[str, Any] = dict(self.ranges()) if tuned else {}
        space = completed_space(cache, dataset, Space(rule=self.rule, **ranges, **self.given))
        find_rule(self.rule).check(cache, space)
        return space


def make_entries(
    rules: Sequence[str] | None = None, files: Sequence[str | PathLike[str]] = (), sound: str | None = None
) -> list[Entry]:
    """Rules that take part, each once for each file of settings that is of it.

    Args:
        rules: names of rules; None: all, of which those are left out for which a cache does not hold enough.
        files: TOML or JSON files of settings, each of one rule.
        sound: for rules that have such a parameter and are not given another.

    Raises:
        ScoreError: no such rule, a file that cannot be read, or one of a rule that takes no part.

    Example:
        >>> [entry.name for entry in make_entries(["av2a", "exchange"])]
        ['av2a', 'exchange']
    """
    names = list(RULES) if rules is None else [find_rule(name).name for name in dict.fromkeys(rules)]
    read = [read_parameters(file) for file in files]
    for file, (rule, _) in zip(files, read, strict=True):
        if rule not in names:
            raise ScoreError(f"{file} has settings of rule {rule}, which takes no part: name it in `rules`, too")
    often, short = Counter(rule for rule, _ in read), short_names([Path(file) for file in files]) if files else []
    found = []
    for name in names:
        own = [(way, given) for way, (rule, given) in zip(short, read, strict=True) if rule == name]
        hears = "sound" in describe(find_rule(name).parameters)
        for way, given in own or [("", {})]:
            more = {"sound": sound} if sound is not None and hears and "sound" not in given else {}
            title = f"{name} ({way})" if often[name] > 1 else name
            found.append(Entry(title, name, {**given, **more}, rules is not None or bool(own)))
    return found
