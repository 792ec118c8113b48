"""Rescorer: figures that are no sums over clips. The events of each setting are found and measured, as on their own.

A batch of settings goes through the cache once.
"""

import hashlib
import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_cache import DONE, FeatureCache, Features, stopping
from score.choices import STREAMS
from score.datasets import Annotations
from score.datasets.base import Floats, Measured
from score.datasets.match import match_clips
from score.evaluation import check_coverage
from score.event_facts import origins_in
from score.formats.base import EventBlock
from score.logits import part_of
from score.merging import touching
from score.rules import find_rule
from score.stitching import FilePlaces, cut_from_longer
from score.timelines import Spans
from score.tuning.held import HeldSplit
from score.tuning.memory import BatchNeeds, Room, SplitNeeds
from score.tuning.space import Space

SETTINGS_AT_ONCE = 64
"""Settings a batch: so often is progress told and kept."""
_CLIPS_AT_ONCE = 32
_EVENTS = 20
"""Of a clip, in streams that are measured, as most settings find them."""
_HELD, _MEASURED = 20, 250
"""Bytes of an event: while others are found, and while it is measured."""


class _Found(NamedTuple):
    """E events of clips: numbers of clips and labels, segments, scores, (E,) each."""

    clip: NDArray[np.int32]
    stream: NDArray[np.int8]
    label: NDArray[np.int32]
    start: NDArray[np.int8]
    end: NDArray[np.int8]
    score: NDArray[np.float64]


_NONE: tuple[Any, ...] = tuple(np.empty(0, dtype) for dtype in (np.int32, np.int8, np.int32, np.int8, np.int8, float))


class _TooManyError(Exception):
    """A batch of settings finds more events than are held at once."""


class Rescorer(HeldSplit):
    """Holds the embeddings of a split, scores settings on them and measures the events, on the timelines of files."""

    at_once = SETTINGS_AT_ONCE

    def __init__(
        self,
        cache: FeatureCache,
        annotations: Annotations,
        text: str | None = None,
        *,
        partial: bool = False,
        threads: int | None = None,
    ) -> None:
        """Find the clips of the split's files.

        Raises:
            AnnotationError: files of the split are missing from the cache.
            CacheError: the cache cannot be read.
            ScoreError: the cache's record of what clips were cut from is damaged.
        """
        super().__init__(cache, annotations, text, threads)
        done, names = np.flatnonzero(cache.status() == DONE), cache.clip_ids
        origins = origins_in(cache)
        self._stitched = cut_from_longer(origins)
        places = FilePlaces.of([names[row] for row in done.tolist()], origins if self._stitched else {})
        found = match_clips(annotations.clip_ids, places.files)
        check_coverage([clip for clip in annotations.clip_ids if clip not in found], annotations, partial)
        self.n_found = len(found)
        self._files = tuple(found)
        place = np.full(len(places.files), -1, dtype=np.int32)
        place[list(found.values())] = np.arange(len(found))
        mine = place[places.number] >= 0
        self._rows = done[mine]
        self._number, self._place = places.number[mine], place
        seconds = np.arange(cache.segments + 1).astype(np.float64) * cache.segment_seconds
        if self._stitched:
            self._onsets, self._offsets = (each[mine] for each in places.bounds(seconds))
        else:
            self._onsets = self._offsets = np.broadcast_to(seconds, (len(self._rows), len(seconds)))
        self._streams = np.isin(STREAMS, self.dataset.streams)
        self._chunk = 512
        self._in_memory = False
        self._kept: list[Features] | None = None
        self._settings = SETTINGS_AT_ONCE
        self._alone = threading.Lock()

    @property
    def needs(self) -> SplitNeeds:
        """The memory that all clips take."""
        size = sum(math.prod(shape) for shape in self._cache.row_shapes.values()) * np.dtype(self._cache.dtype).itemsize
        return SplitNeeds(len(self._rows), size, self.n_split)

    def batch_needs(self, settings: int, space: Space) -> BatchNeeds:
        """As :meth:`HeldSplit.batch_needs`; a setting that finds more than most do is measured while no other is."""
        labels, segments = len(self.labels), self._cache.segments
        windows = max(math.prod(self._cache.row_shapes.get(name, (1, 1))[:-1]) for name in ("video", "audio", "image"))
        scoring = 8 * labels * (4 * windows + 12 * _CLIPS_AT_ONCE * segments) + 8 * sum(
            math.prod(shape) for shape in self._cache.row_shapes.values()
        )
        events = _EVENTS * len(self._rows)
        return BatchNeeds(8 * _HELD * events, 0, scoring + _MEASURED * events)

    @property
    def truth_digest(self) -> str:
        """Of the files' names, the labels and the truth: 64 hex digits."""
        sides = (self.annotations.visual, self.annotations.audio, self.annotations.audiovisual or {})
        digest = hashlib.sha256("\n".join([*self._files, *self.labels]).encode())
        for side in sides:
            for file in self._files:
                digest.update(repr([tuple(event) for event in side.get(file, ())]).encode())
        return digest.hexdigest()

    def load(
        self, room: Room, *, in_memory: bool = True, folder: Path | None = None, kept: dict[str, Any] | None = None
    ) -> None:
        """As :meth:`HeldSplit.load`; what does not stay in memory is read from the cache for each batch."""
        self.threads, self._in_memory = room.threads, in_memory
        self._chunk = max(_CLIPS_AT_ONCE, room.clips)
        self._kept = None
        self._measure([_Found(*_NONE)])  # refuses annotations that do not fit before anything is written

    def metrics(self, settings: NDArray[Any], space: Space) -> Floats:
        """As :meth:`HeldSplit.metrics`."""
        self.check(space)
        found = np.empty((len(settings), len(self.metric_names)))
        first = 0
        while first < len(settings):
            part = slice(first, first + self._settings)
            try:
                some = self._each(self._configs(settings[part], space), len(found[part]) > 1)
            except _TooManyError:
                self._settings = max(1, len(found[part]) // 2)
                continue
            for row, measured in enumerate(some, start=first):
                found[row] = [measured[name] for name in self.metric_names]
            first += len(some)
        return found

    def measured(self, setting: NDArray[Any], space: Space) -> Measured:
        """As :meth:`HeldSplit.measured`."""
        self.check(space)
        [config] = self._configs(setting, space)
        return self._measure([self._score(config, chunk) for chunk in self._chunks()])

    def _configs(self, settings: NDArray[Any], space: Space) -> list[Any]:
        rule = find_rule(space.rule)
        return [(rule, rule.fitting(self._cache, space.config(setting))) for setting in settings]

    def _each(self, configs: Sequence[Any], may_stop: bool) -> list[dict[str, float]]:
        """Figures of settings.

        Raises:
            _TooManyError: they find more events than are held, and ``may_stop`` is set.
        """
        most = 8 * _HELD * _EVENTS * len(self._rows)
        held: list[list[_Found]] = [[] for _ in configs]
        size = 0
        with stopping.threads(self.threads) as pool:
            for chunk in self._chunks():
                some = pool.map(self._score, configs, [chunk] * len(configs))
                for mine, found in zip(held, some, strict=True):
                    mine.append(found)
                    size += sum(column.nbytes for column in found)
                if size > most and may_stop:
                    raise _TooManyError
            return list(pool.map(self._figures, held))

    def _figures(self, found: list[_Found]) -> dict[str, float]:
        if sum(len(part.clip) for part in found) <= _EVENTS * len(self._rows):
            return self._measure(found).metrics
        with self._alone:
            return self._measure(found).metrics

    def _chunks(self) -> Iterator[tuple[int, Features]]:
        """Numbers of first clips, and embeddings from there on, in the order of the cache."""
        first = 0
        if self._kept is not None:
            for features in self._kept:
                yield first, features
                first += len(features)
            return
        kept: list[Features] = []
        for first in range(0, len(self._rows), self._chunk):
            features = self._cache.read(self._rows[first : first + self._chunk])
            if self._in_memory:
                kept.append(features)
            yield first, features
        if self._in_memory:
            self._kept = kept

    def _score(self, config: tuple[Any, Any], chunk: tuple[int, Features]) -> _Found:
        """Events of one setting in some clips."""
        (rule, parameters), (first, features) = config, chunk
        scorer = rule.scorer(parameters, self._text, self._cache)
        parts = []
        for start in range(0, len(features), _CLIPS_AT_ONCE):
            _, table, scores = scorer.score(part_of(features, slice(start, start + _CLIPS_AT_ONCE)))
            mine = np.flatnonzero(self._streams[table[:, 1]])
            place, stream, label, begin, end = table[mine].T
            parts.append(
                _Found(
                    (place + (first + start)).astype(np.int32), stream.astype(np.int8), label.astype(np.int32),
                    begin.astype(np.int8), end.astype(np.int8), scores[mine],
                )
            )  # fmt: skip
        return _joined(parts)

    def _measure(self, found: Sequence[_Found]) -> Measured:
        """What events are worth, moved onto the timelines of files."""
        each = _joined(found)
        file = self._number[each.clip]
        onset, offset = self._onsets[each.clip, each.start], self._offsets[each.clip, each.end]
        block = EventBlock(file, each.stream, each.label, onset, offset, each.score)
        if self._stitched:
            block = touching(block.part(onset < offset))
        _, stream, label, onset, offset, scores = block.columns
        place, seconds = self._place[block.clip], self._cache.segment_seconds
        spans = Spans(self._files, place, stream, label, onset, offset, scores, seconds)
        assert self.dataset.measure_seconds is not None
        return self.dataset.measure_seconds(spans, self.annotations, self.labels)


def _joined(parts: Sequence[_Found]) -> _Found:
    if len(parts) == 1:
        return parts[0]
    return _Found(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
