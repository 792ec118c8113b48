"""The intervals rule (docs/rules.md): disjoint windows whose probabilities pay for their length."""

from functools import cache as kept
from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from feature_cache import FeatureCache, TextSet
from score.common_parameters import CLIP
from score.errors import ScoreError
from score.reading import Reading
from score.rule_parameters import IntervalsConfig
from score.rules.base import Makes, Rule, ScoresClips, SweepsSettings
from score.rules.segmentwise import Kernel, SegmentScorer, SegmentSweep, check_start, columns_of, settings_of

if TYPE_CHECKING:
    from score.tuning.space import Space

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
        columns=partial(columns_of, names=_COLUMNS),
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


def _scorer(config: IntervalsConfig, text: TextSet, cache: FeatureCache) -> ScoresClips:
    return SegmentScorer(intervals_kernel(), config, text, cache)


def _sweep(
    settings: NDArray[Any], space: "Space", cache: FeatureCache, text: TextSet, reading: Reading
) -> SweepsSettings:
    return SegmentSweep(intervals_kernel(), settings, space, cache, text, reading)


INTERVALS = Rule(
    name="intervals",
    about="disjoint windows with the largest sum of length times probability above a threshold, less a penalty each",
    parameters=IntervalsConfig,
    slowest_first=_NAMES,
    fitting=fitting,
    settings=settings_of(IntervalsConfig, lambda cache: {}),
    check=check_start(fitting),
    scorer=_scorer,
    inputs=_inputs,
    sweep=_sweep,
    kernel=lambda cache, reading: "intervals.intervals_clips",
    reference="score.reference.intervals",
    tuning=lambda given: {
        "threshold": "0.5,0.95",
        "window_penalty": "0,2",
        "alpha": "0,1",
        "filter_threshold": "0,0.6",
    },
)
