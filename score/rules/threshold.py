"""The threshold rule (docs/rules.md): segments above one threshold on probabilities or cosines, smoothed in time."""

from collections.abc import Mapping
from functools import cache as kept
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, Features, TextSet
from score.common_parameters import check_sound, sound_of
from score.errors import ScoreError
from score.reading import Reading
from score.rule_parameters import SMOOTHINGS, ThresholdConfig
from score.rules.base import Makes, Rule, ScoresClips, SweepsSettings
from score.rules.segmentwise import Kernel, SegmentScorer, SegmentSweep, check_start, columns_of, settings_of

if TYPE_CHECKING:
    from score.tuning.space import Space

_NAMES = ("smoothing", "threshold", "run_penalty", "fusion", "alpha")


def _columns(values: Mapping[str, Any]) -> NDArray[np.float64]:
    numbers = [float(SMOOTHINGS.index(str(name))) for name in np.atleast_1d(values["smoothing"])]
    return columns_of({**values, "smoothing": np.array(numbers)}, _NAMES)


def _probabilities(config: ThresholdConfig, text: TextSet) -> Makes:
    """Segments' probabilities over all labels (4.1) in the place of logits."""
    from dataclasses import replace

    from score.kernels.threshold import segment_probabilities
    from score.logits import Logits, make_logits

    def make(features: Features) -> Logits:
        found = make_logits(features, text, config.sound)
        n, _, labels = found.image.shape
        tables = [found.image.copy(), found.sound.copy()]
        for table in tables if not found.given else []:
            segment_probabilities(table.reshape(-1, labels), np.arange(labels), np.empty(labels))
        return replace(
            found, image=tables[0], sound=tables[1], video=np.empty((n, 0, 1, labels)), audio=np.empty((n, 0, labels))
        )

    return make


@kept
def threshold_kernel() -> Kernel:
    """The rule's kernel, compiled when it is first used."""
    from score.centers import find_center
    from score.cosines import cosines_of, label_sides
    from score.kernels.threshold import threshold_clips, threshold_workspace

    def inputs(config: ThresholdConfig, text: TextSet, cache: FeatureCache) -> Makes:
        if config.compared == "probability":
            return _probabilities(config, text)
        sides = label_sides(text, find_center(config.center, cache, text, config.sound), config.center_labels)
        return cosines_of(sides, text, config.sound)

    return Kernel(
        name="threshold",
        clips=lambda logits: (logits.image, logits.sound, logits.missing),
        run=threshold_clips,
        workspace=threshold_workspace,
        constants=lambda config, text, cache: (config.median, 0.0 if config.compared == "probability" else -1.0),
        inputs=inputs,
        columns=_columns,
        slope=0.0,
    )


def fitting(cache: FeatureCache, config: ThresholdConfig) -> ThresholdConfig:
    """The settings as they are, of a cache that holds what they need.

    Raises:
        ScoreError: it does not; or cosines are centred where none are compared; or a median of an even number.
    """
    from score.cosines import check_embeddings

    if config.median % 2 == 0:
        raise ScoreError(f"median must be odd, got {config.median}")
    if config.compared == "cosine":
        check_embeddings(cache, "threshold with `compared='cosine'`")
    elif config.center != "none" or config.center_labels:
        raise ScoreError("`center` and `center_labels` are of cosines: leave them out, or use `compared='cosine'`")
    check_sound(cache, config.sound)
    return config


def _scorer(config: ThresholdConfig, text: TextSet, cache: FeatureCache) -> ScoresClips:
    return SegmentScorer(threshold_kernel(), config, text, cache)


def _sweep(
    settings: NDArray[Any], space: "Space", cache: FeatureCache, text: TextSet, reading: Reading
) -> SweepsSettings:
    return SegmentSweep(threshold_kernel(), settings, space, cache, text, reading)


def _tuning(given: Mapping[str, Any]) -> Mapping[str, str]:
    """Cosines lie lower and closer than probabilities do; a penalty is of the one smoothing that has it."""
    cosine = given.get("compared") == "cosine"
    found = {"threshold": "0,0.6" if cosine else "0.5,0.95"}
    if given.get("smoothing", "penalty") == "penalty":
        found["run_penalty"] = "0,0.8" if cosine else "0,1"
    return found


THRESHOLD = Rule(
    name="threshold",
    about="one threshold on probabilities or cosines of segments, a run penalty or a median filter",
    parameters=ThresholdConfig,
    slowest_first=_NAMES,
    fitting=fitting,
    settings=settings_of(ThresholdConfig, lambda cache: {"sound": sound_of(cache)}),
    check=check_start(fitting),
    scorer=_scorer,
    inputs=lambda config, text, cache: threshold_kernel().inputs(config, text, cache),
    sweep=_sweep,
    kernel=lambda cache, reading: "threshold.threshold_clips",
    reference="score.reference.threshold",
    tuning=_tuning,
)
