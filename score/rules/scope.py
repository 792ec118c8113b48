"""SCoPE's rule (docs/rules.md): labels compete for rows, the modalities change each other's costs, a gap decides."""

from collections.abc import Mapping
from functools import cache as kept
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, TextSet
from score.common_parameters import NO_CENTER, check_sound, sound_of
from score.reading import Reading
from score.rule_parameters import CELL_RULES, EXCHANGE_FORMS, ScopeConfig
from score.rules.base import Rule, ScoresClips, SweepsSettings
from score.rules.segmentwise import Kernel, SegmentScorer, SegmentSweep, check_start, settings_of

if TYPE_CHECKING:
    from score.tuning.space import Space

COLUMNS = (
    "cost", "memory_seconds", "exchange_form", "eta_visual_to_audio", "eta_audio_to_visual", "support", "smoothing",
    "alpha",
)  # fmt: skip
"""Parameters in the order of the kernel's columns."""
_CODES = {"exchange_form": EXCHANGE_FORMS, "smoothing": CELL_RULES}


def columns_of(values: Mapping[str, Any]) -> NDArray[np.float64]:
    """Parameters as columns, float64 (S, 8); one value stands for all settings."""
    rows = [
        np.array([_CODES[name].index(str(each)) for each in values[name]] if name in _CODES else values[name], float)
        for name in COLUMNS
    ]
    return np.column_stack(np.broadcast_arrays(*rows))


@kept
def _kernel() -> Kernel:
    from score.centers import find_center
    from score.cosines import cosines_of, label_sides
    from score.kernels.competition import empty_carried
    from score.kernels.scope import SLOPE, remembered_segments, scope_clips, scope_workspace

    def sides(config: ScopeConfig, text: TextSet, cache: FeatureCache, center: str) -> Any:
        return label_sides(text, find_center(center, cache, text, config.sound), config.center_labels)

    def constants(config: ScopeConfig, text: TextSet, cache: FeatureCache) -> tuple[Any, ...]:
        found = sides(config, text, cache, NO_CENTER)  # no centre of embeddings changes them
        seconds = float(cache.segment_seconds)
        remembered = remembered_segments(config.memory_seconds, seconds) if config.carry else 0
        carried = empty_carried(len(text.labels), remembered, config.carry)
        return found.visual.gram, found.audio.gram, seconds, carried

    return Kernel(
        name="scope",
        clips=lambda logits: (logits.image, logits.sound, logits.missing),
        run=scope_clips,
        workspace=scope_workspace,
        constants=constants,
        inputs=lambda config, text, cache: cosines_of(sides(config, text, cache, config.center), text, config.sound),
        columns=columns_of,
        slope=SLOPE,
    )


def fitting(cache: FeatureCache, config: ScopeConfig) -> ScopeConfig:
    """The settings as they are, of a cache that holds what they need.

    Raises:
        ScoreError: it does not.
    """
    from score.cosines import check_embeddings

    check_embeddings(cache, "scope")
    check_sound(cache, config.sound)
    return config


def _scorer(config: ScopeConfig, text: TextSet, cache: FeatureCache) -> ScoresClips:
    return SegmentScorer(_kernel(), config, text, cache)


def _sweep(
    settings: NDArray[Any], space: "Space", cache: FeatureCache, text: TextSet, reading: Reading
) -> SweepsSettings:
    return SegmentSweep(_kernel(), settings, space, cache, text, reading)


def _workspace_bytes(labels: int, segments: int, _: int) -> int:
    from score.kernels.scope import scope_workspace_bytes

    return scope_workspace_bytes(labels, segments)


SCOPE = Rule(
    name="scope",
    about="SCoPE: labels compete for each row, the modalities change each other's costs, the largest gap decides",
    parameters=ScopeConfig,
    slowest_first=COLUMNS,
    fitting=fitting,
    settings=settings_of(ScopeConfig, lambda cache: {"sound": sound_of(cache)}),
    check=check_start(fitting),
    scorer=_scorer,
    inputs=lambda config, text, cache: _kernel().inputs(config, text, cache),
    sweep=_sweep,
    kernel=lambda cache, reading: "scope.scope_clips",
    reference="score.reference.scope",
    workspace_bytes=_workspace_bytes,
    carrier=lambda config, text, cache: SegmentScorer(_kernel(), config, text, cache),
    tuning=lambda given: {
        "cost": "0.05,0.5",
        "eta_visual_to_audio": "0,16",
        "eta_audio_to_visual": "0,16",
        "alpha": "0,1",
    },
    inferred=(
        "partly inferred: the form of the exchange, both etas, alpha, the support and the rule of time of whole clips "
        "are not stated in public (arXiv 2608.07923)"
    ),
)
