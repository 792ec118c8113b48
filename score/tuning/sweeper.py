"""Sweeper: figures of any batch of settings over all clips of a split, in threads."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import DONE, FeatureCache, Features, stopping
from score.choices import NOTHING, ONE_LABEL
from score.datasets import Annotations, Truth
from score.datasets.base import Floats, Measured
from score.datasets.match import match_clips
from score.datasets.measured import added_up
from score.datasets.one_label import background_of
from score.errors import ScoreError
from score.evaluation import check_coverage
from score.kernels.sweep_passes import ONE_LABEL_FIGURES, UNIMODAL_FIGURES
from score.logits import Logits, alphabetical, part_of
from score.rules import find_rule
from score.rules.base import Makes, Split, SweepsSettings
from score.tuning.clips import Arrays, Clips, InMemory, Spilled, row_bytes
from score.tuning.held import HeldSplit
from score.tuning.memory import ROWS_AT_ONCE, BatchNeeds, Room, SplitNeeds
from score.tuning.space import Space

_LAID_AT_ONCE = 4096
BLOCKS = 32
"""Clips are summed in so many blocks, in order, so that sums do not depend on the number of threads."""


class Sweeper(HeldSplit):
    """Holds the logits and the truth of a split, and scores batches of settings on them.

    Attributes:
        clip_ids: the clips that were found, in order.
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
        """Find the clips; they are read by :meth:`load`, or when figures are first asked for.

        Raises:
            AnnotationError: clips of the split are missing from the cache, or labels do not fit.
            CacheError: the cache cannot be read.
        """
        super().__init__(cache, annotations, text, threads)
        done = np.flatnonzero(cache.status() == DONE)
        names = cache.clip_ids
        ids = [names[row] for row in done.tolist()]
        self._found = match_clips(annotations.clip_ids, ids)
        missing = [clip for clip in annotations.clip_ids if clip not in self._found]
        check_coverage(missing, annotations, partial)
        self.n_found = len(self._found)
        self.clip_ids = [ids[row] for row in self._found.values()]
        self._rows = done[np.fromiter(self._found.values(), np.int64, self.n_found)]
        self._clips: Clips | None = None
        self._make: Makes | None = None
        self._prepared: tuple[str, dict[str, Any]] | None = None
        self._names = hashlib.sha256("\n".join([*self.clip_ids, *self.labels]).encode())

    @property
    def defined(self) -> tuple[str, ...]:
        """Those of :attr:`metric_names` for which the annotations have what they need."""
        self._loaded()
        found = self._from_sums(np.zeros_like(self._weights_sum), self._weights_sum)
        return tuple(name for name, value in zip(self.metric_names, found.tolist(), strict=True) if value == value)

    @property
    def needs(self) -> SplitNeeds:
        """The memory that all clips take."""
        return SplitNeeds(self.n_found, sum(map(row_bytes, self._like.values())), self.n_split)

    def batch_needs(self, settings: int, space: Space) -> BatchNeeds:
        """As :meth:`HeldSplit.batch_needs`."""
        setting = space.dtype.itemsize
        columns = max(UNIMODAL_FIGURES, ONE_LABEL_FIGURES * self.dataset.reading.groups)
        sounds = self._like["sound"].shape[1]
        return BatchNeeds(
            settings * (BLOCKS * columns * 8 + 6 * setting),
            settings * 8 * 5 * columns,
            find_rule(space.rule).workspace_bytes(len(self.labels), self._cache.segments, sounds),
        )

    @property
    def truth_digest(self) -> str:
        """Of the clips' names, the labels and the truth: 64 hex digits."""
        self._loaded()
        return self._truth.hexdigest()

    def load(
        self, room: Room, *, in_memory: bool = True, folder: Path | None = None, kept: dict[str, Any] | None = None
    ) -> None:
        """As :meth:`HeldSplit.load`: their logits and their truth."""
        like, self._truth = self._like, self._names.copy()
        self._weights = np.empty((self.n_found, self.dataset.reading.columns))
        table = InMemory(self.n_found, like) if in_memory or folder is None else Spilled(self.n_found, like, folder)
        for rows, truth in self._lay():
            table.write(rows, truth)
        self._weights_sum = self._weights.sum(axis=0)
        for rows, logits in self._gather(room):
            table.write(rows, logits)
        rest = {
            "label_order": alphabetical(self.labels),
            "segments": self._cache.segments,
            "background": background_of(self.labels) if self.dataset.reading.code == ONE_LABEL else NOTHING,
            "thread_bytes": room.thread_bytes,
            "kept": {} if kept is None else kept,
        }
        self.threads = room.threads
        self._clips = Clips(table, self.n_found, room.clips, self._given, rest)

    def metrics(self, settings: NDArray[Any], space: Space) -> NDArray[np.float64]:
        """As :meth:`HeldSplit.metrics`."""
        sweep = self.sweep(settings, space)
        return self._from_sums(self._sum(lambda _, parts: sweep.sums(parts)), self._weights_sum)

    def metrics_and_ceiling(
        self, settings: NDArray[Any], space: Space, objective: int, ceiling: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """As :meth:`HeldSplit.metrics_and_ceiling`."""
        sweep = self.sweep(settings, space)

        def work(start: int, parts: Iterator[Split]) -> NDArray[np.float64]:
            total = np.zeros((len(settings), self.dataset.reading.columns))
            for clip, alone in enumerate(_one_by_one(parts), start=start):
                values = sweep.sums([alone])
                best = self._from_sums(values, self._weights[clip])[:, objective].max()  # NaN: the figure is of others
                ceiling[clip] = best if np.isnan(best) else max(ceiling[clip], best)
                total += values
            return total

        return self._from_sums(self._sum(work), self._weights_sum)

    def measured(self, setting: NDArray[Any], space: Space) -> Measured:
        """As :meth:`HeldSplit.measured`; none by label."""
        sweep = self.sweep(setting, space)
        found = np.empty((self.n_found, self.dataset.reading.columns))

        def look(start: int, part: Split) -> None:
            for clip, alone in enumerate(_one_by_one([part]), start=start):
                found[clip] = sweep.sums([alone])[0]

        self.each_part(look)
        return added_up(self.dataset, found, self._weights, {})

    def each_part(self, look: Callable[[int, Split], None]) -> None:
        """Show all clips, in threads: to be called with the number of the first clip of a part, and the part."""

        def work(start: int, parts: Iterator[Split]) -> NDArray[np.float64]:
            for part in parts:
                look(start, part)
                start += len(part)
            return np.zeros(0)

        self._sum(work)

    def sweep(self, settings: NDArray[Any], space: Space) -> SweepsSettings:
        """Settings, structured (S,) of the space's dtype, ready for clips.

        Raises:
            ScoreError: the cache does not hold enough for the space.
        """
        self.check(space)
        self.prepare(space)
        return find_rule(space.rule).sweep(settings, space, self._cache, self._text, self.dataset.reading)

    @property
    def weights(self) -> NDArray[np.float64]:
        """What each clip counts in its sums, (clips, columns of the reading)."""
        self._loaded()
        return self._weights

    def _from_sums(self, sums: Floats, weights: Floats) -> Floats:
        assert self.dataset.from_sums is not None
        return self.dataset.from_sums(sums, weights)

    def prepare(self, space: Space) -> None:
        """As :meth:`HeldSplit.prepare`."""
        rule = find_rule(space.rule)
        wanted = space.rule, {name: space.fixed[name] for name in rule.inputs_by}
        if wanted == self._prepared:
            return
        self._make = rule.inputs(rule.fitting(self._cache, space.start), self._text, self._cache)
        self._prepared, self._clips = wanted, None
        self.__dict__.pop("_like", None)

    def _inputs(self, features: Features) -> Logits:
        if self._make is None:
            raise ScoreError("clips are read for a space: `prepare` comes first")
        return self._make(features)

    @cached_property
    def _like(self) -> Arrays:
        """What is kept of a clip, of none."""
        logits = self._inputs(self._cache.read([]))
        self._given = logits.given
        truth = self.annotations.truth({}, self.labels, self._cache.segments, self._cache.segment_seconds)
        return {**logits.arrays, **_arrays(truth)}

    def _loaded(self) -> Clips:
        if self._clips is None:
            self.load(Room(self.threads))
        assert self._clips is not None
        return self._clips

    def _lay(self) -> Iterator[tuple[NDArray[np.int64], Arrays]]:
        """Numbers and truth of clip after clip."""
        later: list[Arrays] = []
        clips = list(self._found)
        for start in range(0, self.n_found, _LAID_AT_ONCE):
            some = {clip: self._found[clip] for clip in clips[start : start + _LAID_AT_ONCE]}
            truth = self.annotations.truth(some, self.labels, self._cache.segments, self._cache.segment_seconds)
            arrays = _arrays(truth)
            self._truth.update(arrays["true"].tobytes())
            self._weights[start : start + len(some)] = self.dataset.weights(truth)
            later.append(arrays)
            yield np.arange(start, start + len(some)), arrays
        for name in ("first", "classes", *(["group"] if self.dataset.reading.groups > 1 else [])):
            for arrays in later:
                self._truth.update(arrays[name].tobytes())

    def _gather(self, room: Room) -> Iterator[tuple[NDArray[np.int64], Arrays]]:
        """Numbers and logits of all clips, in the order of the cache's shards: each is read once."""
        order = np.argsort(self._rows, kind="stable")
        with stopping.threads(room.reads) as pool:
            waiting: deque[tuple[NDArray[np.int64], Future[Features]]] = deque()
            for numbers in _by_shards(order, self._rows, self._cache.shard_size, room.rows):
                waiting.append((numbers, pool.submit(self._cache.read, self._rows[numbers])))
                if len(waiting) >= room.reads:
                    yield from self._made(*waiting.popleft())
            while waiting:
                yield from self._made(*waiting.popleft())

    def _made(
        self, numbers: NDArray[np.int64], read: Future[Features]
    ) -> Iterator[tuple[NDArray[np.int64], Arrays]]:  # fmt: skip
        features = read.result()
        for start in range(0, len(numbers), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            yield numbers[rows], self._inputs(part_of(features, rows)).arrays

    def _sum(self, work: Callable[[int, Iterator[Split]], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Sum over blocks in their order, in threads; ``work`` gets a block's first clip and its clips."""
        clips = self._loaded()
        count = min(BLOCKS, self.n_found)
        edges = [self.n_found * block // count for block in range(count + 1)]
        stopped = Event()

        def block(number: int) -> NDArray[np.float64]:
            return work(edges[number], clips.parts(edges[number], edges[number + 1], stopped))

        with stopping.threads(self.threads) as pool:
            try:
                found = pool.map(block, range(count))
                total = next(found)
                for part in found:
                    total = total + part
            except BaseException:
                stopped.set()
                raise
        return total


def _arrays(truth: Truth) -> Arrays:
    return {"true": truth.timelines, "first": truth.first, "classes": truth.classes, "group": truth.group}


def _one_by_one(parts: Iterable[Split]) -> Iterator[Split]:
    for part in parts:
        for clip in range(len(part)):
            yield part.part(clip, clip + 1)


def _by_shards(
    order: NDArray[np.int64], rows: NDArray[np.int64], shard_size: int, at_once: int
) -> Iterator[NDArray[np.int64]]:  # fmt: skip
    """``order`` in parts of whole shards, each of about ``at_once`` rows at most."""
    shards = rows[order] // shard_size
    ends = [*(np.flatnonzero(np.diff(shards)) + 1).tolist(), len(order)]
    start = last = 0
    for end in ends:
        if end - start > at_once and last > start:
            yield order[start:last]
            start = last
        last = end
    yield order[start:last]
