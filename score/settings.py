"""What settings need of a cache, and settings for a cache that holds less than others (docs/design.md 3, 4)."""

from collections.abc import Mapping
from typing import Any

from feature_cache import FeatureCache
from score.config import ScoreConfig
from score.errors import ScoreError


def fitting(cache: FeatureCache, config: ScoreConfig) -> ScoreConfig:
    """The settings as they apply to a cache.

    Without the windows' embeddings an event's score can only be pooled, even where nothing is refined by it.

    Raises:
        ScoreError: refinement without windows, or label shift by `cosine` without images.
    """
    if "cosine" in config.method and not cache.has_images:
        raise ScoreError(
            f"{cache.path} holds no image embeddings, which method {config.method} compares: use --method bbse"
        )
    if cache.windows_kept == "all" or config.pooled_windows:
        return config
    if config.refinement:
        if cache.kind == "probabilities":
            raise ScoreError(
                f"{cache.path} holds probabilities of segments, no windows that refinement needs: use --no-refinement, "
                "or --pooled-windows (approximate)"
            )
        raise ScoreError(
            f"{cache.path} does not hold every window, which refinement needs: `av2a extract --windows all`, or use "
            "--pooled-windows (approximate) or --no-refinement"
        )
    return config.replace(pooled_windows=True)


def defaults_for(cache: FeatureCache, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that are not given and that a cache's kind decides, not its backbone.

    A cache of probabilities is scored without refinement, and without the images' cosine if it holds no images.

    Args:
        cache: an open cache.
        given: parameters that are given, by name.
    """
    found: dict[str, Any] = {}
    if not cache.has_images:
        found["method"] = "bbse"
    if cache.kind == "probabilities" and not given.get("pooled_windows"):
        found["refinement"] = False
        if not given.get("refinement"):
            found["threshold_stage2"] = 0.5  # of no effect
    return {name: value for name, value in found.items() if given.get(name) is None}
