"""Decision rules: how a clip's embeddings become events. A rule is one file here and one line below."""

from score.errors import ScoreError
from score.parameters import Parameters
from score.rules.av2a import AV2A
from score.rules.base import Rule
from score.rules.exchange import EXCHANGE
from score.rules.intervals import INTERVALS
from score.rules.scope import SCOPE
from score.rules.threshold import THRESHOLD

RULES: dict[str, Rule] = {rule.name: rule for rule in (AV2A, EXCHANGE, SCOPE, INTERVALS, THRESHOLD)}
"""Every rule by name, the usual one first."""
USUAL = next(iter(RULES))

__all__ = ["RULES", "USUAL", "Rule", "find_rule", "rule_of"]


def find_rule(name: str) -> Rule:
    """A rule by name.

    Raises:
        ScoreError: there is none.
    """
    if name not in RULES:
        raise ScoreError(f"no rule {name!r}: there are {', '.join(RULES)}")
    return RULES[name]


def rule_of(config: Parameters) -> Rule:
    """The rule whose parameters these are.

    Raises:
        ScoreError: none has such.
    """
    for rule in RULES.values():
        if type(config) is rule.parameters:
            return rule
    raise ScoreError(f"{type(config).__name__} are the parameters of no rule: there are {', '.join(RULES)}")
