"""Sweeper: figures of any batch of settings over all clips of a split, in threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import DONE, FeatureCache
from score.choices import DECISIONS
from score.datasets.annotations import Annotations
from score.evaluation import LLP_FIGURES, check_coverage, name_figures, true_words
from score.kernels.sweep import MIXED_FIGURES, SIDE_FIGURES, Fixed, SweepRoom, sweep_clips, sweep_room
from score.logits import Logits, make_logits
from score.scoring import alphabetical
from score.settings import fitting
from score.tuning.plan import Plan, make_plan
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
    """Holds the logits and the truth of a split, and scores batches of settings on them."""

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
        self.kind = annotations.kind
        self.labels = labels.labels
        self.text_bytes = labels.visual.tobytes() + labels.audio.tobytes()
        self.n_found = len(truth.rows)
        self.n_split = len(annotations.clip_ids)
        self.clip_ids = [ids[row] for row in truth.rows]
        self.segments = cache.segments
        self._cache = cache
        self.logits = gather_logits(cache, labels.name, done[truth.rows])
        self.true = true_words(truth)
        self.first = truth.first
        self.alphabet = alphabetical(labels.labels)
        self.threads = threads or os.cpu_count() or 1
        self._rooms: SimpleQueue[SweepRoom] = SimpleQueue()
        for _ in range(self.threads):
            self._rooms.put(sweep_room(len(self.labels), self.segments, self.logits.sound.shape[1]))

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the columns of :meth:`metrics`."""
        return ("accuracy",) if self.kind == "ave" else LLP_FIGURES

    def metrics(self, settings: NDArray[Any], space: Space) -> NDArray[np.float64]:
        """Figures of each setting in percent, float64 (S, 10), or (S, 1) for AVE.

        Args:
            settings: structured (S,) of dtype ``PARAMETERS``.
            space: for what is fixed.
        """
        plan, fixed = self._plan(settings, space)
        edges = self._edges()

        def work(block: int) -> NDArray[np.float64]:
            return self._sweep(edges[block], edges[block + 1], plan, fixed)

        return self._figures(self._sum(work, len(edges) - 1) / self.n_found)

    def metrics_and_ceiling(
        self, settings: NDArray[Any], space: Space, objective: int, ceiling: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """:meth:`metrics`, and each clip's best objective.

        Args:
            settings: structured (S,) of dtype ``PARAMETERS``.
            space: for what is fixed.
            objective: number of the figure.
            ceiling: float64 (clips,), raised where a setting does better.
        """
        plan, fixed = self._plan(settings, space)
        edges = self._edges()

        def work(block: int) -> NDArray[np.float64]:
            total = np.zeros((len(settings), _COLUMNS))
            for clip in range(edges[block], edges[block + 1]):
                values = self._sweep(clip, clip + 1, plan, fixed)
                ceiling[clip] = max(ceiling[clip], self._figures(values)[:, objective].max())
                total += values
            return total

        return self._figures(self._sum(work, len(edges) - 1) / self.n_found)

    def per_clip(self, setting: NDArray[Any], space: Space) -> NDArray[np.float64]:
        """Figures of one setting, a structured (1,), for each clip: float64 (clips, figures) in percent."""
        plan, fixed = self._plan(setting, space)
        return self._figures(np.concatenate([self._sweep(clip, clip + 1, plan, fixed) for clip in range(self.n_found)]))

    def check(self, space: Space) -> None:
        """Refuse a space of which the cache does not hold enough.

        Raises:
            ScoreError: refinement without windows, or a method by `cosine` without images.
        """
        for method in space.method:
            fitting(self._cache, space.start.replace(method=method))

    def _plan(self, settings: NDArray[Any], space: Space) -> tuple[Plan, Fixed]:
        self.check(space)
        fixed = Fixed(
            space.label_selection,
            space.refinement,
            DECISIONS.index(space.decision),
            space.label_shift_iters,
            self.kind == "ave",
            fitting(self._cache, space.start.replace(method="naive")).pooled_windows,
        )
        return make_plan(settings, space, self.segments), fixed

    def _edges(self) -> list[int]:
        count = min(BLOCKS, self.n_found)
        return [self.n_found * block // count for block in range(count + 1)]

    def _sum(self, work: Callable[[int], NDArray[np.float64]], blocks: int) -> NDArray[np.float64]:
        """Sum over blocks in their order, in threads."""
        with ThreadPoolExecutor(self.threads) as pool:
            found = pool.map(work, range(blocks))
            try:
                total = next(found)
                for part in found:
                    total = total + part
            except KeyboardInterrupt:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return total

    def _sweep(self, start: int, end: int, plan: Plan, fixed: Fixed) -> NDArray[np.float64]:
        """Sums over some clips, as fractions: float64 (S, 9).

        Segment level visual, audio, audiovisual, Event@AV; event level likewise; accuracy.
        """
        part = slice(start, end)
        side = np.zeros((len(plan.sides.threshold_stage2), SIDE_FIGURES))
        mixed = np.zeros((len(plan.mixed.threshold_stage2), MIXED_FIGURES))
        room = self._rooms.get()
        try:
            sweep_clips(
                self.logits.image[part],
                self.logits.video[part],
                self.logits.audio[part],
                self.logits.sound[part],
                self.logits.given,
                self.logits.cosine[part],
                self.logits.missing[part],
                self.true[part],
                self.first[part],
                plan.sides,
                plan.mixed,
                plan.decays,
                fixed,
                self.alphabet,
                room,
                side,
                mixed,
            )
        finally:
            self._rooms.put(room)
        sides = side[plan.side_leaf]
        both = sides[:, 6:9].copy()
        early = plan.mixed_leaf >= 0
        both[early] = mixed[plan.mixed_leaf[early]]
        columns = [*sides.T[:2], both[:, 0], *sides.T[2:5], both[:, 1], sides[:, 5], both[:, 2]]
        return np.column_stack(columns)

    def _figures(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.kind == "ave":
            return 100.0 * means[..., 8:9]
        return name_figures(means[..., 0:4], means[..., 4:8])
