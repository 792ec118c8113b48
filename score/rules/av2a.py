"""AV²A's rule (docs/design.md 4): its parameters are ScoreConfig; kernels are imported when they are needed."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from feature_cache import FeatureCache, TextSet
from score.choices import FUSIONS, JOINT, LABELS, LATE
from score.common_parameters import CLIP, SEGMENTS, check_sound
from score.config import ScoreConfig
from score.errors import ScoreError
from score.reading import Reading
from score.rules.base import CarriesClips, Explains, Makes, Rule, ScoresClips, SweepsSettings, TracesClips

if TYPE_CHECKING:
    from score.tuning.space import Space


def fitting(cache: FeatureCache, config: ScoreConfig) -> ScoreConfig:
    """The settings as they apply to a cache.

    Without the windows' embeddings an event's score can only be pooled, even where nothing is refined by it.

    Raises:
        ScoreError: refinement without windows, label shift by `cosine` without images, or sound or joint embeddings
            that are not there.
    """
    _check_audiovisual(cache, config)
    if config.sound == CLIP and "audio" not in cache.arrays and cache.kind != "probabilities":
        config = config.replace(sound=SEGMENTS)
    check_sound(cache, config.sound)
    if "cosine" in config.method and not cache.has_images:
        raise ScoreError(
            f"{cache.path} holds no image embeddings, which method {config.method} compares: use `method='bbse'`"
        )
    if cache.windows_kept == "all" or config.pooled_windows:
        return config
    if config.refinement:
        if cache.kind == "probabilities":
            raise ScoreError(
                f"{cache.path} holds probabilities of segments, no windows that refinement needs: use "
                "`refinement=False`, or `pooled_windows=True` (approximate)"
            )
        raise ScoreError(
            f"{cache.path} does not hold every window, which refinement needs: "
            "`extract_videos(..., windows='all')`, or use `pooled_windows=True` (approximate) or `refinement=False`"
        )
    return config.replace(pooled_windows=True)


def _check_audiovisual(cache: FeatureCache, config: ScoreConfig) -> None:
    """Refuse joint embeddings that a cache does not hold, and those that would be of no effect.

    Raises:
        ScoreError: so.
    """
    if config.audiovisual != JOINT:
        return
    if config.fusion == FUSIONS[LATE]:
        raise ScoreError(
            "`audiovisual='joint'` and `fusion='late'` do not go together, as late fusion takes the events of picture "
            "and of sound: use `fusion='early'`, or `audiovisual='mixed'`"
        )
    if cache.joint_windows == "all":
        return
    if not cache.joint_dim:
        raise ScoreError(
            f"{cache.path} holds no joint embeddings of picture and sound: `extract_videos(..., joint=True)` makes a "
            "cache with them, or use `audiovisual='mixed'`"
        )
    raise ScoreError(
        f"{cache.path} does not hold joint embeddings of every window, from which those of segments are made: "
        "`extract_videos(..., windows='all')`, or use `audiovisual='mixed'`"
    )


def usual_sound(cache: FeatureCache) -> str:
    """The whole clip's sound, as in the paper; the segments' own where there is no other, or somebody imported it."""
    own = cache.kind == "probabilities" or "audio_segments" in cache.arrays
    return SEGMENTS if own and ("audio" not in cache.arrays or "sampling" not in cache.attributes) else CLIP


def defaults_for(cache: FeatureCache, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that are not given and that a cache's kind decides, not its backbone.

    A cache of probabilities is scored without refinement, and without the images' cosine if it holds no images.

    Args:
        cache: an open cache.
        given: parameters that are given, by name.
    """
    found: dict[str, Any] = {"sound": usual_sound(cache)}
    if not cache.has_images:
        found["method"] = "bbse"
    if cache.kind == "probabilities" and not given.get("pooled_windows"):
        found["refinement"] = False
        if not given.get("refinement"):
            found["threshold_stage2"] = 0.5  # of no effect
    return {name: value for name, value in found.items() if given.get(name) is None}


def _settings(cache: FeatureCache, given: Mapping[str, Any]) -> ScoreConfig:
    return ScoreConfig.for_backbone(cache.backbone, {**defaults_for(cache, given), **given})


def _scorer(config: ScoreConfig, text: TextSet, cache: FeatureCache) -> ScoresClips:
    from score.kernels.scorer import Scorer

    return Scorer(config, text, cache.segments)


def _tracer(config: ScoreConfig, text: TextSet, cache: FeatureCache) -> TracesClips:
    from score.kernels.tracer import Tracer

    return Tracer(config, text, cache.segments)


def _carrier(config: ScoreConfig, text: TextSet, _: FeatureCache) -> CarriesClips:
    from score.reference.carrier import PlainCarrier

    return PlainCarrier(config, text)


def _explainer(config: ScoreConfig, text: TextSet, cache: FeatureCache, inputs: Makes | None = None) -> Explains:
    from score.explaining.av2a import AV2AExplainer

    return AV2AExplainer(config, text, cache, inputs or _inputs(config, text, cache))


def _inputs(config: ScoreConfig, text: TextSet, _: FeatureCache) -> Makes:
    from score.logits import make_logits

    return partial(make_logits, text=text, sound=config.sound, audiovisual=config.audiovisual)


def _sweep(
    settings: NDArray[Any], space: "Space", cache: FeatureCache, _: TextSet, reading: Reading
) -> SweepsSettings:  # fmt: skip
    from score.tuning.sweep import Sweep

    return Sweep(settings, fitting(cache, space.start.replace(method="naive")), reading, cache.segments)


def _workspace_bytes(labels: int, segments: int, sounds: int) -> int:
    from score.tuning.sweep import least_workspace

    return least_workspace(labels, segments, sounds)


def _check(cache: FeatureCache, space: "Space") -> None:
    for method in space.method:
        fitting(cache, space.start.replace(method=method))
    for fusion in space.fusion:
        fitting(cache, space.start.replace(fusion=fusion))


def _kernel(cache: FeatureCache, reading: int | None) -> str:
    if reading is not None:
        return "sweep.sweep_clips" if reading == LABELS else "sweep_one_label.sweep_one_label"
    plain = cache.kind == "embeddings" and usual_sound(cache) == CLIP and "video" in cache.arrays
    return "from_embeddings.score_embeddings" if plain else "from_logits.score_clips"


_TUNING = {
    "alpha": "0,1",
    "filter_threshold": "0,0.6",
    "threshold_stage1": "0.5,0.95",
    "threshold_stage2": "0.5,0.95",
    "gamma": "0,5",
}
"""Method and fusion stay as published."""

AV2A = Rule(
    name="av2a",
    about="label selection, label shift within a clip, refinement of candidates as a whole (CVPR 2025)",
    parameters=ScoreConfig,
    slowest_first=(
        "method", "fusion", "filter_threshold", "alpha", "threshold_stage1", "gamma", "threshold_stage2",
    ),
    fitting=fitting,
    settings=_settings,
    check=_check,
    scorer=_scorer,
    inputs=_inputs,
    inputs_by=("sound", "audiovisual"),
    sweep=_sweep,
    kernel=_kernel,
    reference="score.reference.scoring",
    workspace_bytes=_workspace_bytes,
    tracer=_tracer,
    carrier=_carrier,
    explainer=_explainer,
    tuning=lambda given: _TUNING,
)  # fmt: skip
