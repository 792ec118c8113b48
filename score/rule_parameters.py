"""Parameters of the rules beside AV²A's (docs/rules.md); imported by the command for its options, without NumPy."""

from dataclasses import dataclass

from score.choices import FUSIONS
from score.common_parameters import OWN_CENTER, carry_parameter, center_parameter, sound_parameter
from score.config import ScoreConfig
from score.parameters import Parameters, choice, count, fixed_choice, flag, number

SMOOTHINGS = ("penalty", "median", "runs", "none")
"""How the threshold rule smooths: a penalty a run, a median filter, AV²A's run rule, not at all."""
COMPARED = ("probability", "cosine")
EXCHANGE_FORMS = ("exp", "reciprocal")
"""How costs of the scope rule fall with what is given: exp(-x), 1 / (1 + x)."""
CELL_RULES = ("runs", "causal", "none")
"""How the scope rule smooths: AV²A's run rule, a cell beside another one that is on, not at all."""


class RuleParameters(Parameters):
    """Base of the parameters below."""

    @property
    def approximation(self) -> str:
        """What is approximate under these settings: nothing."""
        return ""


def _alpha(default: float = 0.5) -> float:
    found: float = number(
        low=0, high=1, default=default, help="weight of the sound, 0 to 1", title="alpha (weight of the sound)"
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


@dataclass(frozen=True)
class ScopeConfig(RuleParameters):
    """Parameters of SCoPE's rule.

    Attributes:
        cost: λ0, what a label costs in the competition, on average over labels.
        eta_visual_to_audio: η, how much what the picture gives to a label lowers its cost in the sound.
        eta_audio_to_visual: the other way round.
        alpha: weight of the sound in the audiovisual stream.
        support: the weight that labels of a row have to exceed.
        memory_seconds: what is given counts over so many seconds up to a segment; 0: over the whole clip.
        exchange_form: "exp", exp(-x), or "reciprocal", 1 / (1 + x).
        smoothing: "runs" (AV²A's run rule), "causal" (a segment beside another one that is on) or "none".
        sound: what a segment's sound is.
        center: what is subtracted from unit embeddings: "none", "cache", another cache or an .npz file.
        center_labels: whether labels' vectors are taken from their mean.
        carry: whether what is given counts over a file's clips so far, or over the seconds of `memory_seconds` in them.

    Example:
        >>> ScopeConfig(cost=0.2).eta_visual_to_audio
        16.0
    """

    cost: float = number(low=0.001, high=2, default=0.3, help="cost of a label, on average over labels", title="cost")
    eta_visual_to_audio: float = number(
        low=0, high=64, default=16.0, help="how much the picture lowers the sound's costs", title="eta, visual to audio"
    )
    eta_audio_to_visual: float = number(
        low=0, high=64, default=16.0, help="how much the sound lowers the picture's costs", title="eta, audio to visual"
    )
    alpha: float = _alpha(0.45)
    support: float = number(low=0, high=1, default=1e-6, help="weight that labels have to exceed", title="support")
    memory_seconds: float = number(
        low=0, high=86400, default=0.0, help="seconds that the exchange looks back; 0: the clip", title="memory (s)"
    )
    exchange_form: str = choice("exp", names=EXCHANGE_FORMS, help="how costs fall with what is given")
    smoothing: str = choice("runs", names=CELL_RULES, help="what smooths a stream in time")
    sound: str = sound_parameter()
    center: str = center_parameter(OWN_CENTER)
    center_labels: bool = flag(True, help="take labels from their mean", off="no-center-labels")
    carry: bool = carry_parameter()


PARAMETERS: dict[str, type[Parameters]] = {
    "av2a": ScoreConfig,
    "exchange": ExchangeConfig,
    "scope": ScopeConfig,
    "intervals": IntervalsConfig,
    "threshold": ThresholdConfig,
}
"""Those of every rule by its name, the usual one first."""
