"""explain(): why a clip has events of a label, or none."""

from feature_cache import FeatureCache
from feature_cache.names import shortened
from score.errors import ScoreError
from score.explaining.why import Why
from score.parameters import Parameters
from score.passes import begin_pass


def explain(cache: FeatureCache, config: Parameters, clip: str, label: str, text: str | None = None) -> Why:
    """Why a clip has events of a label or none, segment by segment, in each stream; for every rule.

    Of many clips or settings, what a :class:`score.rules.Rule` gives as its ``explainer`` is looked up once.

    Args:
        cache: an open feature cache.
        config: the settings; those that run on over the clips of a file (``carry``) are refused.
        clip: name of a clip that is done; one of a longer file is a clip here, too, and seconds are its own.
        label: as the user wrote it.
        text: name of the label set in the cache; None if there is one only.

    Returns:
        By stream what is compared and what it has to exceed, float64 (T,) each, segments that are on as
        :func:`score.score` finds them, bool (T,), and what the rule did, in sentences.

    Raises:
        ScoreError: the clip cannot be scored, or not with these settings; no such clip or label.
        CacheError: the cache cannot be read, or holds no such text set.

    Example:
        >>> why = explain(cache, config, "a", "dog")
        >>> print(*why.streams["visual"].steps, sep="\\n")
    """
    begun = begin_pass(cache, config, text, 1)
    [number] = begun.numbers([clip])
    make = begun.rule.explainer
    if make is None:
        raise ScoreError(f"the rule {begun.rule.name} has no explanations")
    if label not in begun.text.labels:
        raise ScoreError(
            f"no label {shortened(label, 60)!r} in text set {begun.text.name!r}: it has {len(begun.text.labels)} others"
        )
    explainer = make(begun.config, begun.text, cache)
    [features] = begun.clips([number], lambda features: features)
    return explainer.explain(features, begun.text.labels.index(label))
