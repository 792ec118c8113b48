"""SCoPE's rule (docs/rules.md): labels compete for rows, the modalities change each other's costs, a gap decides."""

from functools import cache as kept
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, TextSet
from score.rule_parameters import ScopeConfig
from score.rules.base import Explains, Makes
from score.rules.segmentwise import Kernel, columns_from, columns_of_one, fitting_cosines, say, segment_rule

if TYPE_CHECKING:
    from score.kernels.scope import ScopeWorkspace
    from score.logits import Logits

COLUMNS = (
    "cost", "memory_seconds", "exchange_form", "eta_visual_to_audio", "eta_audio_to_visual", "support", "smoothing",
    "alpha",
)  # fmt: skip
"""Parameters in the order of the kernel's columns."""
columns_of = columns_from(ScopeConfig, COLUMNS)


@kept
def _kernel() -> Kernel:
    from score.cosines import cosine_inputs, gram_matrices
    from score.kernels.competition import empty_carried
    from score.kernels.scope import SLOPE, remembered_segments, scope_clips, scope_workspace

    def constants(config: ScopeConfig, text: TextSet, cache: FeatureCache) -> tuple[Any, ...]:
        seconds = float(cache.segment_seconds)
        remembered = remembered_segments(config.memory_seconds, seconds) if config.carry else 0
        carried = empty_carried(len(text.labels), remembered, config.carry)
        return *gram_matrices(config, text, cache), seconds, carried

    return Kernel(
        name="scope",
        clips=lambda logits: (logits.image, logits.sound, logits.missing),
        run=scope_clips,
        workspace=scope_workspace,
        constants=constants,
        inputs=cosine_inputs,
        columns=columns_of,
        slope=SLOPE,
    )


def _workspace_bytes(labels: int, segments: int, _: int) -> int:
    from score.kernels.scope import scope_workspace_bytes

    return scope_workspace_bytes(labels, segments)


def _explainer(config: ScopeConfig, text: TextSet, cache: FeatureCache, inputs: Makes) -> Explains:
    from score.explaining.scope import ScopeExplainer
    from score.kernels.scope import scope_workspace

    kernel = _kernel()
    constants, setting = kernel.constants(config, text, cache), columns_of_one(kernel, config)

    def run(batch: "Logits") -> tuple[NDArray[np.uint64], "ScopeWorkspace"]:
        workspace = scope_workspace(len(text.labels), cache.segments)
        return say(kernel, batch, constants, setting, workspace)[0], workspace

    return ScopeExplainer(config, text, cache, inputs, run)


SCOPE = segment_rule(
    "scope",
    _kernel,
    ScopeConfig,
    fitting_cosines("scope"),
    _explainer,
    about="SCoPE: labels compete for each row, the modalities change each other's costs, the largest gap decides",
    slowest_first=COLUMNS,
    workspace_bytes=_workspace_bytes,
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
