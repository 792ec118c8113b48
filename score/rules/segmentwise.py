"""Rules whose streams are decided segment by segment, by one kernel each that scores clips and sweeps settings.

Such a kernel takes clips, settings as rows of numbers and a truth; it adds figures up, or writes what one setting says
(``score/kernels/judge.py``). What is particular to a rule is a :class:`Kernel`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, Features, TextSet
from score.checks import check_segments, check_text
from score.choices import KERNEL_STREAMS, LABELS, NOTHING, ONE_LABEL, STREAMS
from score.common_parameters import check_sound, sound_of
from score.errors import ScoreError
from score.parameters import Parameters, describe
from score.reading import Reading
from score.rules.base import Explains, Makes, Part, Rule, Split

if TYPE_CHECKING:
    from score.logits import Logits
    from score.tuning.space import Space

_ORDER = np.array([KERNEL_STREAMS.index(name) for name in STREAMS])
Constants = tuple[Any, ...]
"""What a kernel is given beside clips and settings: Gram matrices of the labels, say."""


@dataclass(frozen=True)
class Kernel:
    """What is particular to a rule.

    Attributes:
        name: of the rule.
        clips: arrays of clips that the compiled function is given first.
        run: the compiled function: clips' arrays, constants, settings, truth, workspace, sums, on, value.
        workspace: a thread's, for so many labels and segments.
        constants: from a setting, a label set and a cache.
        inputs: what is kept of each clip, likewise.
        columns: settings as numbers, float64 (S, P), from arrays or values by name; the first columns vary slowest.
        slope: of scores (``judge.event_score``).
    """

    name: str
    clips: Callable[["Logits"], tuple[NDArray[Any], ...]]
    run: Callable[..., None]
    workspace: Callable[[int, int], Any]
    constants: Callable[[Any, TextSet, FeatureCache], Constants]
    inputs: Callable[[Any, TextSet, FeatureCache], Makes]
    columns: Callable[[Mapping[str, Any]], NDArray[np.float64]]
    slope: float


def columns_of_one(kernel: Kernel, config: Parameters) -> NDArray[np.float64]:
    """A setting as the kernel takes it, float64 (1, P)."""
    return kernel.columns({name: np.array([value]) for name, value in config.to_dict().items()})


class SegmentScorer:
    """One setting and one label set, ready for batches of clips (:class:`score.rules.base.ScoresClips`)."""

    def __init__(self, kernel: Kernel, config: Any, text: TextSet, cache: FeatureCache) -> None:
        """Prepare.

        Raises:
            ScoreError: the label set or the cache does not do.
        """
        check_segments(cache.segments)
        check_text(text)
        self._kernel, self._given = kernel, (config, text, cache)
        self._make = kernel.inputs(config, text, cache)
        self._constants = kernel.constants(*self._given)
        self._settings = columns_of_one(kernel, config)

    def begin_file(self) -> None:
        """As :class:`score.rules.base.CarriesClips`."""
        self._constants = self._kernel.constants(*self._given)

    def score(self, features: Features) -> Part:
        """Events of a batch of clips, in the order of docs/design.md 4.5.

        Raises:
            ScoreError: shapes or dtypes do not fit each other or the label set.
        """
        from score.kernels.judge import list_events

        on, value = say(self._kernel, self._make(features), self._constants, self._settings)
        table, scores = np.empty((0, 5), np.int64), np.empty(0)
        count = list_events(on, value, self._kernel.slope, _ORDER, table, scores)
        table, scores = np.empty((count, 5), np.int64), np.empty(count)
        list_events(on, value, self._kernel.slope, _ORDER, table, scores)
        return features.rows, table, scores


def say(
    kernel: Kernel, batch: "Logits", constants: Constants, setting: NDArray[np.float64], workspace: Any = None
) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """What a rule says of n clips.

    Args:
        kernel: the rule's.
        batch: of n clips.
        constants: as the kernel makes them.
        setting: float64 (1, P), as the kernel makes it.
        workspace: as the kernel makes it, for whoever looks into it afterwards; None: one is made.

    Returns:
        uint64 (n, 3, C), segments that are on; float64 (n, 3, C, T), of which scores are made, where labels are on.
    """
    n, segments, labels = batch.image.shape
    on, value = np.zeros((n, 3, labels), np.uint64), np.zeros((n, 3, labels, segments))
    if n:
        kernel.run(
            *kernel.clips(batch), *constants, setting, _no_truth(labels, segments),
            kernel.workspace(labels, segments) if workspace is None else workspace, np.zeros((1, 8)), on, value,
        )  # fmt: skip
    return on, value


def _no_truth(labels: int, segments: int) -> NamedTuple:
    from score.kernels.judge import ClipsTruth

    return ClipsTruth(
        np.zeros((0, 3, labels), np.uint64), np.zeros((0, 3), np.int64), np.zeros((0, 0, segments), np.int64),
        np.zeros(0, np.int64), LABELS, NOTHING,
    )  # fmt: skip


class SegmentSweep:
    """A batch of S settings, ready for clips from any number of threads (:class:`score.rules.base.SweepsSettings`)."""

    def __init__(
        self,
        kernel: Kernel,
        settings: NDArray[Any],
        space: "Space",
        cache: FeatureCache,
        text: TextSet,
        reading: Reading,
    ) -> None:
        """Plan it: settings are sorted so that neighbours share most."""
        self._kernel, self._reading, self._segments = kernel, reading, cache.segments
        self._constants = kernel.constants(space.start, text, cache)
        fixed = {name: np.array([value]) for name, value in space.fixed.items()}
        columns = kernel.columns({name: settings[name] for name in settings.dtype.names or ()} | fixed)
        self._order = np.lexsort(columns.T[::-1])
        self._columns = np.ascontiguousarray(columns[self._order])

    def sums(self, parts: Iterable[Split]) -> NDArray[np.float64]:
        """As :meth:`score.rules.base.SweepsSettings.sums`.

        Raises:
            ScoreError: clips of another number of segments, or without what they are compared with.
        """
        found = np.zeros((len(self._columns), self._reading.columns))
        for part in parts:
            self._add(part, found)
        out = np.empty_like(found)
        out[self._order] = found
        return out

    def _add(self, part: Split, sums: NDArray[np.float64]) -> None:
        from score.kernels.judge import ClipsTruth

        if part.segments != self._segments:
            raise ScoreError(f"clips of {part.segments} segments, expected {self._segments} as the cache has")
        if part.group.max(initial=0) >= self._reading.groups:
            raise ScoreError(f"group {part.group.max()} of a clip, expected one below {self._reading.groups}")
        if self._reading.code == ONE_LABEL and not part.classes.shape[1]:
            raise ScoreError("no labels of segments to compare with")
        labels = len(part.label_order)
        truth = ClipsTruth(part.true, part.first, part.classes, part.group, self._reading.code, part.background)
        workspaces = part.kept.setdefault(self._kernel.name, SimpleQueue())
        try:
            workspace = workspaces.get_nowait()
        except Empty:
            workspace = self._kernel.workspace(labels, part.segments)
        try:
            self._kernel.run(
                *self._kernel.clips(part.logits), *self._constants, self._columns, truth, workspace, sums,
                np.zeros((0, 3, labels), np.uint64), np.zeros((0, 3, labels, part.segments)),
            )  # fmt: skip
        finally:
            workspaces.put(workspace)


def columns_from(
    parameters: type[Parameters], names: tuple[str, ...]
) -> Callable[[Mapping[str, Any]], NDArray[np.float64]]:
    """What makes columns of parameters, float64 (S, P), in the order of ``names``; choices are their numbers.

    One value stands for all settings.
    """
    known = describe(parameters)

    def columns(values: Mapping[str, Any]) -> NDArray[np.float64]:
        rows = []
        for name in names:
            column = values[name]
            if known[name].kind == "choice":
                column = [known[name].names.index(str(each)) for each in column]
            rows.append(np.asarray(column, np.float64))
        return np.column_stack(np.broadcast_arrays(*rows))

    return columns


def fitting_cosines(rule: str) -> Callable[[FeatureCache, Any], Any]:
    """Takes the settings of a rule of cosines as they are; refuses a cache that does not hold what they need."""

    def fitting(cache: FeatureCache, config: Any) -> Any:
        from score.cosines import check_embeddings

        check_embeddings(cache, rule)
        check_sound(cache, config.sound)
        return config

    return fitting


def segment_rule(
    name: str,
    kernel: Callable[[], Kernel],
    parameters: type[Parameters],
    fitting: Callable[[FeatureCache, Any], Any],
    explainer: Callable[[Any, TextSet, FeatureCache, Makes], Explains],
    **facts: Any,
) -> Rule:
    """A rule of one kernel, ``score.kernels.<name>.<name>_clips``; its plain reading is ``score.reference.<name>``.

    A parameter that is not given is as the cache's kind decides (its finest sound), else its default.

    Args:
        name: of the rule.
        kernel: gives its kernel, when it is first needed.
        parameters: their class.
        fitting: as of :class:`Rule`; what is fixed in a space decides.
        explainer: as of :class:`Rule`, given what clips are compared by.
        facts: the rest of a :class:`Rule`.
    """
    known = describe(parameters)

    def settings(cache: FeatureCache, given: Mapping[str, Any]) -> Any:
        usual = {"sound": sound_of(cache)} if "sound" in known else {}
        return parameters.from_dict({**usual, **given})

    def check(cache: FeatureCache, space: "Space") -> None:
        fitting(cache, space.start)

    def scorer(config: Any, text: TextSet, cache: FeatureCache) -> SegmentScorer:
        return SegmentScorer(kernel(), config, text, cache)

    def make_inputs(config: Any, text: TextSet, cache: FeatureCache) -> Makes:
        return kernel().inputs(config, text, cache)

    def sweep(
        settings: NDArray[Any], space: "Space", cache: FeatureCache, text: TextSet, reading: Reading
    ) -> SegmentSweep:
        return SegmentSweep(kernel(), settings, space, cache, text, reading)

    def explain(config: Any, text: TextSet, cache: FeatureCache, inputs: Makes | None = None) -> Explains:
        return explainer(config, text, cache, inputs or make_inputs(config, text, cache))

    return Rule(
        name=name,
        parameters=parameters,
        fitting=fitting,
        settings=settings,
        check=check,
        scorer=scorer,
        inputs=make_inputs,
        sweep=sweep,
        kernel=lambda cache, reading: f"{name}.{name}_clips",
        reference=f"score.reference.{name}",
        inputs_by=tuple(each for each in ("compared", "sound", "center", "center_labels") if each in known),
        explainer=explain,
        carrier=scorer if "carry" in known else None,
        **facts,
    )
