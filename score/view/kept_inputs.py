"""What rules compare single clips by, kept while sliders move that do not change it."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from feature_cache import FeatureCache, Features, TextSet
from score.rules.base import Makes, Rule

if TYPE_CHECKING:
    from score.logits import Logits

_KINDS = 3
_CLIPS = 8


class KeptInputs:
    """By label set, rule and :attr:`score.rules.base.Rule.inputs_by`: what makes inputs, and those of the last clips.

    Methods may be called from any thread.
    """

    def __init__(self) -> None:
        """Nothing is kept yet."""
        self._makes: OrderedDict[Hashable, Makes] = OrderedDict()
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget all, as of a cache that is opened again."""
        with self._lock:
            self._makes.clear()

    def of(self, rule: Rule, config: Any, text: TextSet, cache: FeatureCache) -> Makes:
        """What :attr:`score.rules.base.Rule.inputs` gives, made once.

        Args:
            rule: the rule.
            config: a setting that fits.
            text: the label set.
            cache: the cache.

        Raises:
            ScoreError: the cache does not hold enough.
            CacheError: it cannot be read.
        """
        key = text.name, rule.name, tuple(getattr(config, name) for name in rule.inputs_by)
        with self._lock:
            found = self._makes.get(key)
        if found is None:
            found = _Remembering(rule.inputs(config, text, cache))
        with self._lock:
            self._makes[key] = found
            self._makes.move_to_end(key)
            while len(self._makes) > _KINDS:
                self._makes.popitem(last=False)
        return found


class _Remembering:
    """The same inputs, of the last clips without making them again."""

    def __init__(self, makes: Makes) -> None:
        self._makes = makes
        self._found: OrderedDict[tuple[int, ...], Logits] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, features: Features) -> "Logits":
        key = tuple(features.rows.tolist())
        with self._lock:
            found = self._found.get(key)
        if found is None:
            found = self._makes(features)
        with self._lock:
            self._found[key] = found
            self._found.move_to_end(key)
            while len(self._found) > _CLIPS:
                self._found.popitem(last=False)
        return found
