"""What a rule is to the rest of the house."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, Features, TextSet
from score.checks import check_classes, check_segments, check_truth
from score.errors import ScoreError
from score.parameters import Parameters
from score.reading import Reading

if TYPE_CHECKING:
    from score.explaining.why import Why
    from score.logits import Logits
    from score.tuning.space import Space

Part = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Cache rows scored; events as (E, 5): place among the rows, stream, label, start, end; their scores."""


class ScoresClips(Protocol):
    """One setting and one text set, ready for batches of clips from any number of threads."""

    def score(self, features: Features) -> Part:
        """Events of a batch of clips, in the order of docs/design.md 4.5."""


class CarriesClips(ScoresClips, Protocol):
    """The same for the clips of one file after the other, in order, in one thread."""

    def begin_file(self) -> None:
        """Forget the clips of the file before."""


class Traced(NamedTuple):
    """What a rule compares in n clips; streams in the order of ``STREAMS``.

    Attributes:
        rows: int64 (n,), the clips' rows in the cache.
        probability: float64 (n, 3, T, C), NaN where a label is not in play.
        threshold: float64 (n, 3, T, C), likewise.
        positive: uint64 (n, 3, C), segments whose probability exceeds the threshold, as bits.
    """

    rows: NDArray[np.int64]
    probability: NDArray[np.float64]
    threshold: NDArray[np.float64]
    positive: NDArray[np.uint64]


class TracesClips(Protocol):
    """One setting and one text set, ready to say what it compares, for any number of threads."""

    def trace(self, features: Features) -> Traced:
        """Probabilities and thresholds of a batch of clips (docs/design.md 4.3, 4.4)."""


class Explains(Protocol):
    """One setting and one label set, ready to say why a clip has events or none, for any number of threads."""

    def explain(self, features: Features, label: int) -> "Why":
        """Why there are events of a label in one clip, or none.

        Args:
            features: of one clip of the cache.
            label: its number.

        Raises:
            ScoreError: they are of other than one clip, there is no such label, or what does not fit the label set.
        """


class MakesExplainer(Protocol):
    """What makes explanations ready."""

    def __call__(self, config: Any, text: TextSet, cache: FeatureCache, inputs: "Makes | None" = None) -> Explains:
        """Of a setting that fits, a label set and a cache.

        Args:
            config: the setting.
            text: the label set.
            cache: the cache.
            inputs: what :attr:`Rule.inputs` gives for these, where it is there already; such as what looks clips up
                that are in memory.

        Raises:
            ScoreError: what is known of labels runs on over a file's clips; or as ``Rule.inputs``.
        """


@dataclass(frozen=True, eq=False)
class Split:
    """What a search compares: n clips of a split with their truth.

    Attributes:
        logits: of the n clips.
        true: uint64 (n, 3, C), annotated segments as bits; streams visual, audio, audiovisual.
        first: int64 (n, 3), label, start and end of each clip's first annotation; -1 where there is none.
        label_order: int64 (C,), labels in alphabetical order.
        segments: T.
        classes: int64 (n, R, T), the label of each segment in each of a clip's rows (:class:`score.datasets.Truth`).
        group: int64 (n,), which of the split's groups a clip belongs to.
        background: number of the label that means nothing; NOTHING where there is none.
        thread_bytes: what working memory that grows with what it has may take at most, a thread.
        kept: by rule, what it keeps from batch to batch, such as working memory of its threads.

    Raises:
        ScoreError: the truth is not of the logits' clips and labels, or the segments are not theirs.
    """

    logits: "Logits"
    true: NDArray[np.uint64]
    first: NDArray[np.int64]
    label_order: NDArray[np.int64]
    segments: int
    classes: NDArray[np.int64]
    group: NDArray[np.int64]
    background: int
    thread_bytes: int
    kept: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compare shapes."""
        check_segments(self.segments)
        clips, segments, labels = self.logits.image.shape
        if segments != self.segments:
            raise ScoreError(f"logits of {segments} segments a clip, expected {self.segments}")
        check_truth(self.true, self.first, self.label_order, (clips, labels))
        check_classes(self.classes, self.group, (clips, segments, labels))

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.true)

    def part(self, start: int, end: int) -> "Split":
        """The clips ``start`` … ``end - 1``; nothing is copied."""
        rows = slice(start, end)
        return replace(
            self,
            logits=self.logits.part(rows),
            true=self.true[rows],
            first=self.first[rows],
            classes=self.classes[rows],
            group=self.group[rows],
        )


class SweepsSettings(Protocol):
    """A batch of S settings, ready for clips from any number of threads."""

    def sums(self, parts: Iterable[Split]) -> NDArray[np.float64]:
        """Sums over the clips of all parts, one clip after another, as fractions: float64 (S, columns of the reading).

        How the clips are parted changes no bit.
        """


Makes = Callable[[Features], "Logits"]
"""What a search compares clips by, of a batch of clips."""


@dataclass(frozen=True)
class Rule:
    """A decision rule.

    Attributes:
        name: as people write it.
        about: a few words.
        parameters: their class; options, spaces and files follow from it.
        slowest_first: the parameters that a search varies, in the order of a grid: neighbours share most of the work.
        fitting: the settings as they apply to a cache; refuses those for which it does not hold enough.
        settings: settings of a cache from parameters that are given, by name; the rest as its kind and backbone decide.
        check: refuses a space for whose settings a cache does not hold enough.
        scorer: a setting that fits, a label set and a cache, ready to score its clips.
        explainer: the same, ready to say why a clip has events of a label, or none.
        tracer: a setting and so on, ready to say what is compared segment by segment; None where nothing is.
        inputs: what a search with such a setting, label set and cache keeps of each clip.
        inputs_by: the parameters from which that follows; settings that differ in others share it.
        sweep: a batch of settings, structured (S,), of a space, with the cache, the label set and how predictions are
            read, ready.
        kernel: "file.name" of the kernel that scores a cache, or sweeps it where a code of ``READINGS`` is given.
        reference: module of the same rule in plain NumPy.
        workspace_bytes: the least working memory of a thread that sweeps clips of so many labels, segments and rows of
            sound.
        carrier: the same as ``scorer``, for settings whose knowledge of labels runs on over a file's clips; None where
            nothing does.
        inferred: what of it its source leaves open, a line; empty for nothing.
        tuning: ranges over which it is tuned beside other rules (docs/rules.md), as a :class:`score.Space` takes them,
            from parameters that are given, by name; none: it stays as it is.
    """

    name: str
    about: str
    parameters: type[Parameters]
    slowest_first: Sequence[str]
    fitting: Callable[[FeatureCache, Any], Any]
    settings: Callable[[FeatureCache, Mapping[str, Any]], Any]
    check: Callable[[FeatureCache, "Space"], None]
    scorer: Callable[[Any, TextSet, FeatureCache], ScoresClips]
    inputs: Callable[[Any, TextSet, FeatureCache], Makes]
    sweep: Callable[["NDArray[Any]", "Space", FeatureCache, TextSet, Reading], SweepsSettings]
    kernel: Callable[[FeatureCache, int | None], str]
    reference: str
    inputs_by: Sequence[str] = ()
    workspace_bytes: Callable[[int, int, int], int] = lambda labels, segments, sounds: 0
    tracer: Callable[[Any, TextSet, FeatureCache], TracesClips] | None = None
    carrier: Callable[[Any, TextSet, FeatureCache], CarriesClips] | None = None
    explainer: MakesExplainer | None = None
    inferred: str = ""
    tuning: Callable[[Mapping[str, Any]], Mapping[str, str]] = lambda given: {}
