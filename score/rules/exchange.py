"""The exchange rule (docs/rules.md): each modality lowers the other's thresholds for the labels it is sure of."""

from functools import cache as kept
from typing import Any

from feature_cache import FeatureCache, TextSet
from score.rule_parameters import ExchangeConfig
from score.rules.base import Explains, Makes
from score.rules.segmentwise import Kernel, columns_from, fitting_cosines, segment_rule


@kept
def exchange_kernel() -> Kernel:
    """The rule's kernel, compiled when it is first used."""
    from score.cosines import cosine_inputs, gram_matrices
    from score.kernels.exchange import SLOPE, empty_carried, exchange_clips, exchange_workspace

    def constants(config: ExchangeConfig, text: TextSet, cache: FeatureCache) -> tuple[Any, ...]:
        return *gram_matrices(config, text, cache), empty_carried(len(text.labels), config.carry)

    return Kernel(
        name="exchange",
        clips=lambda logits: (logits.image, logits.sound, logits.missing),
        run=exchange_clips,
        workspace=exchange_workspace,
        constants=constants,
        inputs=cosine_inputs,
        columns=columns_from(ExchangeConfig, ("cost", "eta", "run_penalty", "alpha", "fusion")),
        slope=SLOPE,
    )


def _explainer(config: ExchangeConfig, text: TextSet, cache: FeatureCache, inputs: Makes) -> Explains:
    from score.explaining.exchange import ExchangeExplainer

    return ExchangeExplainer(config, text, cache, inputs)


EXCHANGE = segment_rule(
    "exchange",
    exchange_kernel,
    ExchangeConfig,
    fitting_cosines("exchange"),
    _explainer,
    about="each modality lowers the other's thresholds for the labels it is sure of; a penalty a run",
    slowest_first=("cost", "eta", "run_penalty", "fusion", "alpha"),
    tuning=lambda given: {"cost": "0.3,0.8", "eta": "0,16", "run_penalty": "0,0.8"},
)
