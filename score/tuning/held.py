"""What a search goes through: a split of a cache, ready for batches of settings."""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from feature_cache import FeatureCache
from score.datasets import Annotations, find_dataset
from score.datasets.base import Dataset, Floats, Measured
from score.errors import ScoreError
from score.parameters import describe
from score.rules import find_rule
from score.tuning.memory import BatchNeeds, Room, SplitNeeds
from score.tuning.space import Space


class HeldSplit(ABC):
    """The clips of a split in a cache, and their truth.

    Attributes:
        annotations: of the split.
        dataset: whose figures are computed.
        labels: C labels.
        n_found: clips (or files) of the split that were found.
        n_split: clips (or files) of the split.
        threads: that work on clips.
        text_bytes: what makes the label set this one.
        at_once: settings a batch at most; None: as the sampler has it.
    """

    n_found: int
    at_once: int | None = None

    def __init__(
        self, cache: FeatureCache, annotations: Annotations, text: str | None = None, threads: int | None = None
    ) -> None:
        """Open the label set.

        Raises:
            CacheError: the cache holds no such set.
        """
        self.annotations = annotations
        self.dataset = find_dataset(annotations.kind)
        self.n_split = len(annotations.clip_ids)
        self.threads = threads or os.cpu_count() or 1
        self._cache = cache
        self._text = cache.text(text)
        self.labels = self._text.labels
        tables = (self._text.visual, self._text.audio, self._text.joint)
        self.text_bytes = b"".join(table.tobytes() for table in tables if table is not None)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the columns of :meth:`metrics`."""
        return self.dataset.figures

    @property
    def defined(self) -> tuple[str, ...]:
        """Those of :attr:`metric_names` for which the annotations have what they need."""
        return self.metric_names

    @property
    @abstractmethod
    def needs(self) -> SplitNeeds:
        """The memory that all clips take."""

    @abstractmethod
    def batch_needs(self, settings: int, space: Space) -> BatchNeeds:
        """The memory that a batch of so many settings takes."""

    @property
    @abstractmethod
    def truth_digest(self) -> str:
        """Of the clips' names, the labels and the truth: 64 hex digits."""

    def prepare(self, space: Space) -> None:  # noqa: B027
        """Take the space whose settings are to be tried, before anything else is asked for.

        What is kept of a clip follows from what is the same in all its settings.

        Raises:
            ScoreError: the cache does not hold enough for it.
        """

    @abstractmethod
    def load(
        self, room: Room, *, in_memory: bool = True, folder: Path | None = None, kept: dict[str, Any] | None = None
    ) -> None:
        """Read all clips.

        Args:
            room: what may be spent on it, and how clips are gone through.
            in_memory: whether they stay in memory.
            folder: where they lie otherwise, if they are kept at all.
            kept: what rules keep from batch to batch (:class:`score.rules.base.Split`), shared with another split.

        Raises:
            AnnotationError: labels do not fit.
            CacheError: the cache cannot be read.
            ScoreError: the disk has no room.
        """

    @abstractmethod
    def metrics(self, settings: NDArray[Any], space: Space) -> Floats:
        """Figures of each setting in percent, float64 (S, figures).

        Args:
            settings: structured (S,) of the space's dtype.
            space: for what is fixed.
        """

    def check_ceiling(self, argument: str = "per_clip_ceiling") -> None:
        """Refuse to look for the best of each clip where there is no such thing.

        Args:
            argument: that asks for it.

        Raises:
            ScoreError: so.
        """
        if self.dataset.from_sums is None:
            raise ScoreError(
                f"{self.dataset.title}'s figures are no means over clips, so that no clip has a best setting of its "
                f"own: search without `{argument}=True`"
            )

    def metrics_and_ceiling(self, settings: NDArray[Any], space: Space, objective: int, ceiling: Floats) -> Floats:
        """:meth:`metrics`, and each clip's best objective, where :meth:`check_ceiling` lets it be.

        Args:
            settings: structured (S,) of the space's dtype.
            space: for what is fixed.
            objective: number of the figure.
            ceiling: float64 (clips,), raised where a setting does better.
        """
        raise NotImplementedError

    @abstractmethod
    def measured(self, setting: NDArray[Any], space: Space) -> Measured:
        """Figures of one setting, a structured (1,), of all clips, of each, and of resamples."""

    def completed(self, space: Space) -> Space:
        """A space with what is published for the cache's backbone where nothing is given.

        Raises:
            ScoreError: nothing is published, or the cache does not hold enough for the space.
        """
        return completed_space(self._cache, self.dataset, space)

    def check(self, space: Space) -> None:
        """Refuse a space of which the cache does not hold enough.

        Raises:
            ScoreError: refinement without windows, or a method by `cosine` without images.
        """
        if space.fixed.get("carry"):
            raise ScoreError("a search looks at clips on their own: search without `carry=True`, then score with it")
        find_rule(space.rule).check(self._cache, space)


def completed_space(cache: FeatureCache, dataset: Dataset, space: Space) -> Space:
    """As :meth:`HeldSplit.completed`."""
    rule = find_rule(space.rule)
    first = {name: values[0] if isinstance(values, tuple) else values for name, values in space.given.items()}
    given = {"decision": dataset.decision, **first} if "decision" in describe(rule.parameters) else first
    return space.completed(rule.settings(cache, given).to_dict())
