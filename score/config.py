"""ScoreConfig: the parameters of AV²A's rule (docs/design.md 4), and what is published of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from score.choices import AUDIOVISUALS, DECISIONS, FUSIONS, METHODS, MIXED
from score.common_parameters import carry_parameter, sound_parameter
from score.errors import ScoreError
from score.parameters import Parameters, choice, count, fixed_choice, flag, number

POOLED = "pooled windows: a window's probability is the mean of its segments' probabilities"


@dataclass(frozen=True)
class ScoreConfig(Parameters):
    """Parameters of scoring.

    Attributes:
        alpha: weight of the sound in the audiovisual probability, 0 to 1 (4.1).
        filter_threshold: a stream keeps the labels whose whole-clip probability exceeds it, 0 to 1 (4.2).
        threshold_stage1: where segment thresholds start, 0 to 1 (4.4).
        threshold_stage2: a candidate stays if its own probability exceeds it, 0 to 1 (4.6).
        gamma: how fast label shift dies away with each positive segment, at least 0 (4.4).
        method: "naive", "cosine", "bbse" or "bbse-cosine" (4.4).
        fusion: "early" or "late" (4.7).
        label_selection: whether labels are selected at all (4.2).
        refinement: whether candidates are checked as a whole (4.6).
        decision: "threshold", or "argmax" for single-label work such as AVE (4.6).
        label_shift_iters: passes over the segments; 1 is the paper (4.4).
        sound: "clip" (the paper's), "windows" or "segments": what a segment's sound is (4.3).
        carry: whether label shift runs on over the clips of a file (4.9).
        pooled_windows: whether a window's probability is the mean of its segments', an approximation (4.6).
        audiovisual: "mixed" (the paper's), both by ``alpha``, or "joint", embeddings of both at once (4.3).

    Raises:
        ScoreError: a value is out of its range; the message says the range.

    Example:
        >>> ScoreConfig.published("clip_clap").replace(alpha=0.4).gamma
        1.0
    """

    alpha: float = number(low=0, high=1, help="weight of the sound, 0 to 1", title="alpha (weight of the sound)")
    filter_threshold: float = number(
        low=0, high=1, help="whole-clip probability that keeps a label", title="filter threshold"
    )
    threshold_stage1: float = number(low=0, high=1, help="where segment thresholds start", title="stage-1 threshold")
    threshold_stage2: float = number(
        low=0, high=1, help="probability a candidate must exceed", title="stage-2 threshold"
    )
    gamma: float = number(low=0, help="how fast thresholds stop falling", title="gamma")
    method: str = choice("bbse-cosine", names=METHODS, help="label shift within a clip")
    fusion: str = choice("early", names=FUSIONS, help="how the audiovisual stream is made")
    label_selection: bool = flag(True, help="drop unlikely labels first", off="no-label-selection")
    refinement: bool = flag(True, help="check each candidate as a whole", off="no-refinement")
    decision: str = fixed_choice("threshold", names=DECISIONS, help="several events at a time, or the best alone")
    label_shift_iters: int = count(1, low=1, high=1000, help="passes over the segments")
    sound: str = sound_parameter()
    carry: bool = carry_parameter()
    pooled_windows: bool = flag(False, help="windows as means of segments (approximate)", off="exact-windows")
    audiovisual: str = fixed_choice(MIXED, names=AUDIOVISUALS, help="what the audiovisual stream is read from")

    @classmethod
    def published(cls, backbone: str) -> Self:
        """The settings published for a backbone; for `tiny` those chosen on its validation clips.

        Raises:
            ScoreError: none are known for that backbone.
        """
        return cls.for_backbone(backbone, {})

    @classmethod
    def for_backbone(cls, backbone: str, given: Mapping[str, Any]) -> Self:
        """The parameters given, the rest as published for a backbone.

        Raises:
            ScoreError: nothing is published and a parameter is missing, or a value is out of range.
        """
        known = _published()
        missing = [name for name in cls.needed() if name not in given]
        if backbone not in known and missing:
            raise ScoreError(
                f"no published settings for backbone {backbone!r} (only {', '.join(known)}): "
                f"give {', '.join(missing)} too"
            )
        return cls.from_dict({**known.get(backbone, {}), **given})

    @property
    def approximation(self) -> str:
        """What is approximate under these settings, one line; empty where nothing is."""
        return POOLED if self.pooled_windows else ""


@cache
def _published() -> dict[str, dict[str, Any]]:
    from importlib import resources  # the command imports this module whatever it does

    found: dict[str, dict[str, Any]] = json.loads(
        resources.files("score").joinpath("published.json").read_text("utf-8")
    )
    return found
