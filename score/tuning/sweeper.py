"""Sweeper: figures of any batch of settings over all clips of a split, in threads."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import DONE, FeatureCache, stopping
from score.datasets import Annotations, find_dataset
from score.evaluation import check_coverage
from score.logits import Logits, alphabetical, make_logits
from score.parameters import describe
from score.rules import find_rule
from score.rules.base import Split, SweepsSettings
from score.tuning.space import Space

_COLUMNS = 9
BLOCKS = 32
"""Clips are summed in so many blocks, in order, so that sums do not depend on the number of threads."""


def gather_logits(cache: FeatureCache, text: str | None, rows: NDArray[np.int64]) -> Logits:
    """Logits of the given rows of a cache, in that order."""
    labels = cache.text(text)
    parts: list[Logits] = []
    for start in range(0, len(rows), 256):
        parts.append(make_logits(cache.read(rows[start : start + 256]), labels))
    names = [name for name in Logits.__dataclass_fields__ if name != "given"]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Logits(**joined, given=parts[0].given)


class Sweeper:
    """Holds the logits and the truth of a split, and scores batches of settings on them.

    Attributes:
        annotations: of the split.
        dataset: whose figures are computed.
        split: the clips.
        labels: C labels.
        clip_ids: the clips that were found, in order.
        n_found: their number.
        n_split: clips of the split.
    """

    def __init__(
        self,
        cache: FeatureCache,
        annotations: Annotations,
        text: str | None = None,
        *,
        partial: bool = False,
        threads: int | None = None,
    ) -> None:
        """Read what is needed, once.

        Raises:
            AnnotationError: clips of the split are missing from the cache, or labels do not fit.
            CacheError: the cache cannot be read.
        """
        labels = cache.text(text)
        done = np.flatnonzero(cache.status() == DONE)
        ids = [cache.clip_ids[row] for row in done]
        missing = annotations.missing(ids)
        check_coverage(missing, annotations, partial)
        truth = annotations.align(ids, labels.labels, cache.segments, cache.segment_seconds)
        self.annotations = annotations
        self.dataset = find_dataset(annotations.kind)
        self.labels = labels.labels
        self.text_bytes = labels.visual.tobytes() + labels.audio.tobytes()
        self.n_found = len(truth.rows)
        self.n_split = len(annotations.clip_ids)
        self.clip_ids = [ids[row] for row in truth.rows]
        self.split = Split(
            logits=gather_logits(cache, labels.name, done[truth.rows]),
            true=truth.timelines,
            first=truth.first,
            label_order=alphabetical(labels.labels),
            segments=cache.segments,
            one_event=self.dataset.predictions == "label",
        )
        self.threads = threads or os.cpu_count() or 1
        self._cache = cache

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the columns of :meth:`metrics`."""
        return self.dataset.figures

    def metrics(self, settings: NDArray[Any], space: Space) -> NDArray[np.float64]:
        """Figures of each setting in percent, float64 (S, figures).

        Args:
            settings: structured (S,) of the space's dtype.
            space: for what is fixed.
        """
        sweep = self._sweep(settings, space)
        edges = self._edges()

        def work(block: int) -> NDArray[np.float64]:
            return sweep.sums(self.split, edges[block], edges[block + 1])

        return self.dataset.from_sums(self._sum(work, len(edges) - 1) / self.n_found)

    def metrics_and_ceiling(
        self, settings: NDArray[Any], space: Space, objective: int, ceiling: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """:meth:`metrics`, and each clip's best objective.

        Args:
            settings: structured (S,) of the space's dtype.
            space: for what is fixed.
            objective: number of the figure.
            ceiling: float64 (clips,), raised where a setting does better.
        """
        sweep = self._sweep(settings, space)
        edges = self._edges()

        def work(block: int) -> NDArray[np.float64]:
            total = np.zeros((len(settings), _COLUMNS))
            for clip in range(edges[block], edges[block + 1]):
                values = sweep.sums(self.split, clip, clip + 1)
                ceiling[clip] = max(ceiling[clip], self.dataset.from_sums(values)[:, objective].max())
                total += values
            return total

        return self.dataset.from_sums(self._sum(work, len(edges) - 1) / self.n_found)

    def per_clip(self, setting: NDArray[Any], space: Space) -> NDArray[np.float64]:
        """Figures of one setting, a structured (1,), for each clip: float64 (clips, figures) in percent."""
        sweep = self._sweep(setting, space)
        values = [sweep.sums(self.split, clip, clip + 1) for clip in range(self.n_found)]
        return self.dataset.from_sums(np.concatenate(values))

    def completed(self, space: Space) -> Space:
        """A space with what is published for the cache's backbone where nothing is given.

        Raises:
            ScoreError: nothing is published, or the cache does not hold enough for the space.
        """
        rule = find_rule(space.rule)
        first = {name: values[0] if isinstance(values, tuple) else values for name, values in space.given.items()}
        given = {"decision": self.dataset.decision, **first} if "decision" in describe(rule.parameters) else first
        return space.completed(rule.settings(self._cache, **given).to_dict())

    def check(self, space: Space) -> None:
        """Refuse a space of which the cache does not hold enough.

        Raises:
            ScoreError: refinement without windows, or a method by `cosine` without images.
        """
        find_rule(space.rule).check(self._cache, space)

    def _sweep(self, settings: NDArray[Any], space: Space) -> SweepsSettings:
        self.check(space)
        return find_rule(space.rule).sweep(settings, space, self._cache)

    def _edges(self) -> list[int]:
        count = min(BLOCKS, self.n_found)
        return [self.n_found * block // count for block in range(count + 1)]

    def _sum(self, work: Callable[[int], NDArray[np.float64]], blocks: int) -> NDArray[np.float64]:
        """Sum over blocks in their order, in threads."""
        with stopping.threads(self.threads) as pool:
            found = pool.map(work, range(blocks))
            total = next(found)
            for part in found:
                total = total + part
        return total
