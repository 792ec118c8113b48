"""score(): a cache and a setting in, events out (docs/design.md 4)."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from feature_cache import FAILED, PENDING, FeatureCache, Features, TextSet
from score.config import ScoreConfig
from score.errors import ScoreError
from score.events import STREAMS, Events
from score.kernels.clips import Found, Setting, found_room, score_clips
from score.kernels.decks import deck_room
from score.kernels.label_shift import METHOD_CODES, decay_table
from score.kernels.streams import DECISION_CODES, stream_room
from score.logits import make_logits

_KERNEL_STREAMS = ("visual", "audio", "audiovisual")
_DECKS = 4  # one setting needs a deck a stream


def score(cache: FeatureCache, config: ScoreConfig, text: str | None = None, threads: int | None = None) -> Events:
    """Find the events of every clip of a cache that is done.

    Args:
        cache: an open feature cache.
        config: the settings.
        text: name of the label set in the cache; None if there is one only.
        threads: threads to use, by default one a core; the result does not depend on it.

    Returns:
        The events of all three streams.

    Raises:
        ScoreError: the clips cannot be scored.
        CacheError: the cache cannot be read, or holds no such text set.
    """
    if threads is not None and threads < 1:
        raise ScoreError(f"threads must be at least 1, got {threads}")
    labels = cache.text(text)
    setting = kernel_setting(config, cache.segments)
    alphabet = alphabetical(labels.labels)
    status = cache.status()
    parts: list[NDArray[np.float64]] = []
    rows: list[NDArray[np.int64]] = []
    workers = threads or os.cpu_count() or 1

    def work(features: Features) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return features.rows, _score_features(features, labels, setting, alphabet)

    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[tuple[NDArray[np.int64], NDArray[np.float64]]]] = deque()
        for features in _bounded(cache):
            waiting.append(pool.submit(work, features))
            if len(waiting) > 2 * workers:
                _collect(waiting, rows, parts)
        while waiting:
            _collect(waiting, rows, parts)
    table = np.concatenate(parts) if parts else np.zeros((0, 6))
    done = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    return Events(
        config=config,
        clip_ids=tuple(cache.clip_ids[row] for row in done),
        labels=labels.labels,
        clip=np.searchsorted(done, table[:, 0]).astype(np.int32),
        stream_number=table[:, 1].astype(np.int8),
        label=table[:, 2].astype(np.int32),
        start=table[:, 3].astype(np.int16),
        end=table[:, 4].astype(np.int16),
        score=table[:, 5].copy(),
        segments=cache.segments,
        segment_seconds=cache.segment_seconds,
        cache={"identity": cache.identity, "backbone": cache.backbone, "text": labels.name},
        left_out={
            "pending": int((status == PENDING).sum()),
            "failed": int((status == FAILED).sum()),
        },
    )


def kernel_setting(config: ScoreConfig, segments: int) -> Setting:
    """A configuration as the kernels take it."""
    return Setting(
        config.alpha,
        config.filter_threshold,
        config.threshold_stage1,
        config.threshold_stage2,
        decay_table(config.gamma, segments, config.label_shift_iters),
        METHOD_CODES[config.method],
        config.fusion == "late",
        config.label_selection,
        config.refinement,
        DECISION_CODES[config.decision],
        config.label_shift_iters,
    )


def alphabetical(labels: tuple[str, ...]) -> NDArray[np.int64]:
    """Label numbers in alphabetical order, case aside: int64 (C,)."""
    order = sorted(range(len(labels)), key=lambda number: (labels[number].lower(), labels[number]))
    return np.array(order, dtype=np.int64)


def _bounded(cache: FeatureCache) -> Iterator[Features]:
    yield from cache.iter_shards()


def _collect(
    waiting: deque[Future[tuple[NDArray[np.int64], NDArray[np.float64]]]],
    rows: list[NDArray[np.int64]],
    parts: list[NDArray[np.float64]],
) -> None:
    done, part = waiting.popleft().result()
    rows.append(done)
    parts.append(part)


def _score_features(
    features: Features, text: TextSet, setting: Setting, alphabet: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Events of a shard, (E, 6): cache row, stream, label, start, end, probability."""
    made = make_logits(features, text)
    clips, segments, labels = made.image.shape
    found = found_room(clips, labels, segments)
    score_clips(
        made.image,
        made.video,
        made.audio,
        made.cosine,
        setting,
        alphabet,
        deck_room(labels, segments, made.audio.shape[1], _DECKS),
        stream_room(labels, segments),
        found,
    )
    return _gather(features.rows, found)


def _gather(rows: NDArray[np.int64], found: Found) -> NDArray[np.float64]:
    streams = [_KERNEL_STREAMS.index(name) for name in STREAMS]
    counts = found.count[:, streams]
    most = found.label.shape[2]
    filled = np.arange(most) < counts[:, :, None]
    clip, stream, _ = np.nonzero(filled)
    columns = [values[:, streams][filled] for values in (found.label, found.start, found.end, found.probability)]
    return np.column_stack([rows[clip], stream, *columns]).astype(np.float64).reshape(-1, 6)
