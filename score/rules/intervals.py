"""The intervals rule (docs/rules.md): disjoint windows whose probabilities pay for their length."""

from functools import cache as kept
from functools import partial

from feature_cache import FeatureCache, TextSet
from score.common_parameters import CLIP
from score.errors import ScoreError
from score.rule_parameters import IntervalsConfig
from score.rules.base import Explains, Makes
from score.rules.segmentwise import Kernel, columns_from, segment_rule

_NAMES = ("filter_threshold", "fusion", "alpha", "threshold", "window_penalty")
_COLUMNS = ("filter_threshold", "threshold", "window_penalty", "fusion", "alpha")


def _inputs(_: IntervalsConfig, text: TextSet, __: FeatureCache) -> Makes:
    from score.logits import make_logits

    return partial(make_logits, text=text, sound=CLIP)


@kept
def intervals_kernel() -> Kernel:
    """The rule's kernel, compiled when it is first used."""
    from score.kernels.intervals import intervals_clips, intervals_workspace

    return Kernel(
        name="intervals",
        clips=lambda logits: (logits.video, logits.audio, logits.missing),
        run=intervals_clips,
        workspace=intervals_workspace,
        constants=lambda config, text, cache: (),
        inputs=_inputs,
        columns=columns_from(IntervalsConfig, _COLUMNS),
        slope=0.0,
    )


def fitting(cache: FeatureCache, config: IntervalsConfig) -> IntervalsConfig:
    """The settings as they are, of a cache that holds every window.

    Raises:
        ScoreError: it does not.
    """
    if cache.windows_kept != "all":
        raise ScoreError(
            f"{cache.path} does not hold every window, which rule intervals chooses from: `extract_videos(..., "
            "windows='all')`, or use `rule='threshold'`"
        )
    return config


def _explainer(config: IntervalsConfig, text: TextSet, cache: FeatureCache, inputs: Makes) -> Explains:
    from score.explaining.intervals import IntervalsExplainer

    return IntervalsExplainer(config, text, cache, inputs)


INTERVALS = segment_rule(
    "intervals",
    intervals_kernel,
    IntervalsConfig,
    fitting,
    _explainer,
    about="disjoint windows with the largest sum of length times probability above a threshold, less a penalty each",
    slowest_first=_NAMES,
    tuning=lambda given: {
        "threshold": "0.5,0.95",
        "window_penalty": "0,2",
        "alpha": "0,1",
        "filter_threshold": "0,0.6",
    },
)
