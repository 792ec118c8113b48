"""The threshold rule (docs/rules.md): segments above one threshold on probabilities or cosines, smoothed in time."""

from collections.abc import Mapping
from functools import cache as kept
from typing import Any

import numpy as np

from feature_cache import FeatureCache, Features, TextSet
from score.common_parameters import NO_CENTER, check_sound
from score.errors import ScoreError
from score.rule_parameters import ThresholdConfig
from score.rules.base import Explains, Makes
from score.rules.segmentwise import Kernel, columns_from, segment_rule

_NAMES = ("smoothing", "threshold", "run_penalty", "fusion", "alpha")


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
    from score.cosines import cosine_inputs
    from score.kernels.threshold import threshold_clips, threshold_workspace

    def inputs(config: ThresholdConfig, text: TextSet, cache: FeatureCache) -> Makes:
        if config.compared == "probability":
            return _probabilities(config, text)
        return cosine_inputs(config, text, cache)

    return Kernel(
        name="threshold",
        clips=lambda logits: (logits.image, logits.sound, logits.missing),
        run=threshold_clips,
        workspace=threshold_workspace,
        constants=lambda config, text, cache: (config.median, 0.0 if config.compared == "probability" else -1.0),
        inputs=inputs,
        columns=columns_from(ThresholdConfig, _NAMES),
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
    elif config.center != NO_CENTER or config.center_labels:
        raise ScoreError("`center` and `center_labels` are of cosines: leave them out, or use `compared='cosine'`")
    check_sound(cache, config.sound)
    return config


def _tuning(given: Mapping[str, Any]) -> Mapping[str, str]:
    """Cosines lie lower and closer than probabilities do; a penalty is of the one smoothing that has it."""
    cosine = given.get("compared") == "cosine"
    found = {"threshold": "0,0.6" if cosine else "0.5,0.95"}
    if given.get("smoothing", "penalty") == "penalty":
        found["run_penalty"] = "0,0.8" if cosine else "0,1"
    return found


def _explainer(config: ThresholdConfig, text: TextSet, cache: FeatureCache, inputs: Makes) -> Explains:
    from score.explaining.threshold import ThresholdExplainer

    return ThresholdExplainer(config, text, cache, inputs)


THRESHOLD = segment_rule(
    "threshold",
    threshold_kernel,
    ThresholdConfig,
    fitting,
    _explainer,
    about="one threshold on probabilities or cosines of segments, a run penalty or a median filter",
    slowest_first=_NAMES,
    tuning=_tuning,
)
