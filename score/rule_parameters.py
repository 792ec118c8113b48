"""Parameters of the rules beside AV²A's (docs/rules.md); imported by the command for its options, without NumPy."""

from dataclasses import dataclass

from score.choices import FUSIONS
from score.common_parameters import carry_parameter, center_parameter, sound_parameter
from score.config import ScoreConfig
from score.parameters import Parameters, choice, count, fixed_choice, flag, number

SMOOTHINGS = ("penalty", "median", "runs", "none")
"""How the threshold rule smooths: a penalty a run, a median filter, AV²A's run rule, not at all."""
COMPARED = ("probability", "cosine")


class RuleParameters(Parameters):
    """Base of the parameters below."""

    @property
    def approximation(self) -> str:
        """What is approximate under these settings: nothing."""
        return ""


def _alpha() -> float:
    found: float = number(
        low=0, high=1, default=0.5, help="weight of the sound, 0 to 1", title="alpha (weight of the sound)"
    )
    return found


def _run_penalty(default: float) -> float:
    found: float = number(low=0, default=default, help="what a run of segments has to gain", title="run penalty")
    return found


def _late() -> str:
    found: str = choice("late", names=FUSIONS, help="how the audiovisual stream is made")
    return found


@dataclass(frozen=True)
class ExchangeConfig(RuleParameters):
    """Parameters of the exchange rule.

    Attributes:
        cost: λ, twice the cosine that a label has to exceed, on average over labels.
        eta: η, how much what one modality gives to a label lowers its cost in the other.
        run_penalty: π, what the margins of a run have to gain.
        alpha: weight of the sound in the audiovisual stream of early fusion.
        fusion: "late", both at once, segment by segment; "early", the same decoding of mixed margins.
        sound: what a segment's sound is.
        center: what is subtracted from unit embeddings: "none", "cache", another cache or an .npz file.
        center_labels: whether labels' vectors are taken from their mean.
        carry: whether what a modality gives to labels is the mean over a file's clips so far.

    Example:
        >>> ExchangeConfig(cost=0.4).eta
        4.0
    """

    cost: float = number(
        low=0, high=2, default=0.5, help="twice the cosine that labels exceed on average", title="cost"
    )
    eta: float = number(
        low=0, high=64, default=4.0, help="how much the modalities lower each other's costs", title="eta"
    )
    run_penalty: float = _run_penalty(0.3)
    alpha: float = _alpha()
    fusion: str = _late()
    sound: str = sound_parameter()
    center: str = center_parameter()
    center_labels: bool = flag(False, help="take labels from their mean", off="no-center-labels")
    carry: bool = carry_parameter()


@dataclass(frozen=True)
class IntervalsConfig(RuleParameters):
    """Parameters of the intervals rule: disjoint windows with the largest sum of length · (p − τ) less a penalty each.

    Attributes:
        threshold: τ, the probability that pays.
        window_penalty: what a window has to gain, in segments.
        filter_threshold: labels stay in play if their whole-clip probability exceeds it; 0: all.
        alpha: weight of the sound in the audiovisual probability.
        fusion: "early", windows of mixed probabilities; "late", both at once.

    Example:
        >>> IntervalsConfig(threshold=0.8).window_penalty
        0.5
    """

    threshold: float = number(low=-1, high=1, default=0.75, help="probability or cosine that pays", title="threshold")
    window_penalty: float = number(low=0, default=0.5, help="what a window has to gain, in segments", title="penalty")
    filter_threshold: float = number(
        low=0, high=1, default=0.0, help="whole-clip probability that keeps a label", title="filter threshold"
    )
    alpha: float = _alpha()
    fusion: str = choice("early", names=FUSIONS, help="how the audiovisual stream is made")


@dataclass(frozen=True)
class ThresholdConfig(RuleParameters):
    """Parameters of the threshold rule: one threshold on probabilities or cosines of segments.

    Attributes:
        threshold: what a segment exceeds.
        run_penalty: what the margins of a run have to gain, with smoothing "penalty".
        alpha: weight of the sound in the audiovisual stream of early fusion.
        fusion: "late", both at once, segment by segment; "early", the same of mixed values.
        smoothing: "penalty", "median", "runs" (AV²A's run rule) or "none".
        compared: "probability", the sigmoid of the z-score over labels (4.1), or "cosine".
        median: segments of the median filter.
        sound: what a segment's sound is.
        center: as of the exchange rule, for cosines.
        center_labels: likewise.

    Example:
        >>> ThresholdConfig(threshold=0.8, smoothing="median").median
        3
    """

    threshold: float = number(low=-1, high=1, default=0.75, help="probability or cosine that pays", title="threshold")
    run_penalty: float = _run_penalty(0.1)
    alpha: float = _alpha()
    fusion: str = _late()
    smoothing: str = choice("penalty", names=SMOOTHINGS, help="what smooths a stream in time")
    compared: str = fixed_choice("probability", names=COMPARED, help="what the threshold is of")
    median: int = count(3, low=1, high=63, help="segments of the median filter")
    sound: str = sound_parameter()
    center: str = center_parameter()
    center_labels: bool = flag(False, help="take labels from their mean", off="no-center-labels")


PARAMETERS: dict[str, type[Parameters]] = {
    "av2a": ScoreConfig,
    "exchange": ExchangeConfig,
    "intervals": IntervalsConfig,
    "threshold": ThresholdConfig,
}
"""Those of every rule by its name, the usual one first."""
