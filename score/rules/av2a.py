"""AV²A's rule (docs/design.md 4): its parameters are ScoreConfig; kernels are imported when they are needed."""

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from feature_cache import FeatureCache, TextSet
from score.config import ScoreConfig
from score.reading import Reading
from score.rules.base import Rule, ScoresClips, SweepsSettings, TracesClips
from score.settings import fitting, settings_for

if TYPE_CHECKING:
    from score.tuning.space import Space


def _scorer(config: ScoreConfig, text: TextSet, segments: int) -> ScoresClips:
    from score.kernels.scorer import Scorer

    return Scorer(config, text, segments)


def _tracer(config: ScoreConfig, text: TextSet, segments: int) -> TracesClips:
    from score.kernels.tracer import Tracer

    return Tracer(config, text, segments)


def _sweep(settings: NDArray[Any], space: "Space", cache: FeatureCache, reading: Reading) -> SweepsSettings:
    from score.tuning.sweep import Sweep

    return Sweep(settings, space, cache, reading)


def _workspace_bytes(labels: int, segments: int, sounds: int) -> int:
    from score.tuning.sweep import least_workspace

    return least_workspace(labels, segments, sounds)


def _check(cache: FeatureCache, space: "Space") -> None:
    for method in space.method:
        fitting(cache, space.start.replace(method=method))


AV2A = Rule(
    name="av2a",
    about="label selection, label shift within a clip, refinement of candidates as a whole (CVPR 2025)",
    parameters=ScoreConfig,
    slowest_first=(
        "method", "fusion", "filter_threshold", "alpha", "threshold_stage1", "gamma", "threshold_stage2",
    ),
    fitting=fitting,
    settings=settings_for,
    check=_check,
    scorer=_scorer,
    sweep=_sweep,
    reference="score.reference.scoring",
    workspace_bytes=_workspace_bytes,
    tracer=_tracer,
)  # fmt: skip
