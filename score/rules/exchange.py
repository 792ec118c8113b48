"""The exchange rule (docs/rules.md): each modality lowers the other's thresholds for the labels it is sure of."""

from functools import cache as kept
from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from feature_cache import FeatureCache, TextSet
from score.common_parameters import check_sound, sound_of
from score.reading import Reading
from score.rule_parameters import ExchangeConfig
from score.rules.base import Rule, ScoresClips, SweepsSettings
from score.rules.segmentwise import Kernel, SegmentScorer, SegmentSweep, check_start, columns_of, settings_of

if TYPE_CHECKING:
    from score.tuning.space import Space


@kept
def exchange_kernel() -> Kernel:
    """The rule's kernel, compiled when it is first used."""
    from score.centers import find_center
    from score.cosines import cosines_of, label_sides
    from score.kernels.exchange import SLOPE, empty_carried, exchange_clips, exchange_workspace

    def sides(config: ExchangeConfig, text: TextSet, cache: FeatureCache) -> Any:
        return label_sides(text, find_center(config.center, cache, text, config.sound), config.center_labels)

    def constants(config: ExchangeConfig, text: TextSet, cache: FeatureCache) -> tuple[Any, ...]:
        found = label_sides(text, find_center("none", cache, text, config.sound), config.center_labels)
        # no centre of embeddings changes them
        return found.visual.gram, found.audio.gram, empty_carried(len(text.labels), config.carry)

    return Kernel(
        name="exchange",
        clips=lambda logits: (logits.image, logits.sound, logits.missing),
        run=exchange_clips,
        workspace=exchange_workspace,
        constants=constants,
        inputs=lambda config, text, cache: cosines_of(sides(config, text, cache), text, config.sound),
        columns=partial(columns_of, names=("cost", "eta", "run_penalty", "alpha", "fusion")),
        slope=SLOPE,
    )


def fitting(cache: FeatureCache, config: ExchangeConfig) -> ExchangeConfig:
    """The settings as they are, of a cache that holds what they need.

    Raises:
        ScoreError: it does not.
    """
    from score.cosines import check_embeddings

    check_embeddings(cache, "exchange")
    check_sound(cache, config.sound)
    return config


def _scorer(config: ExchangeConfig, text: TextSet, cache: FeatureCache) -> ScoresClips:
    return SegmentScorer(exchange_kernel(), config, text, cache)


def _sweep(
    settings: NDArray[Any], space: "Space", cache: FeatureCache, text: TextSet, reading: Reading
) -> SweepsSettings:
    return SegmentSweep(exchange_kernel(), settings, space, cache, text, reading)


EXCHANGE = Rule(
    name="exchange",
    about="each modality lowers the other's thresholds for the labels it is sure of; a penalty a run",
    parameters=ExchangeConfig,
    slowest_first=("cost", "eta", "run_penalty", "fusion", "alpha"),
    fitting=fitting,
    settings=settings_of(ExchangeConfig, lambda cache: {"sound": sound_of(cache)}),
    check=check_start(fitting),
    scorer=_scorer,
    inputs=lambda config, text, cache: exchange_kernel().inputs(config, text, cache),
    sweep=_sweep,
    kernel=lambda cache, reading: "exchange.exchange_clips",
    reference="score.reference.exchange",
    carrier=lambda config, text, cache: SegmentScorer(exchange_kernel(), config, text, cache),
    tuning=lambda given: {"cost": "0.3,0.8", "eta": "0,16", "run_penalty": "0,0.8"},
)
