"""score(): a cache and a setting in, events out (docs/design.md 4)."""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from feature_cache import FAILED, MISSING_NAMES, PENDING, FeatureCache, Features, TextSet
from score.choices import DECISIONS, KERNEL_STREAMS, METHODS, STREAMS
from score.config import ScoreConfig
from score.errors import ScoreError
from score.events import Events
from score.kernels.from_embeddings import DirectRoom, direct_room, score_embeddings
from score.kernels.from_logits import Found, Setting, clip_room, found_room, gather, score_clips
from score.kernels.label_shift import decay_table
from score.kernels.similarity import pad_text, stored_bits
from score.logits import check_segments, make_logits, missing_bits
from score.settings import fitting
from score.stitching import cut_from_longer, read_origins, stitch

_ORDER = np.array([KERNEL_STREAMS.index(name) for name in STREAMS])

Part = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Cache rows scored; events as (E, 5): place among the rows, stream, label, start, end; their scores."""


def score(
    cache: FeatureCache,
    config: ScoreConfig,
    text: str | None = None,
    threads: int | None = None,
    stitched: bool | None = None,
) -> Events:
    """Find the events of every clip of a cache that is done.

    Args:
        cache: an open feature cache.
        config: the settings.
        text: name of the label set in the cache; None if there is one only.
        threads: threads to use, by default one a core; the result does not depend on it.
        stitched: whether events are put on the timelines of the files that clips were cut from, and cut at their ends
            (4.9); by default if there are clips of longer files.

    Returns:
        The events of all three streams.

    Raises:
        ScoreError: the clips cannot be scored, or not with these settings.
        CacheError: the cache cannot be read, or holds no such text set.
    """
    if threads is not None and threads < 1:
        raise ScoreError(f"threads must be at least 1, got {threads}")
    labels = cache.text(text)
    config = fitting(cache, config)
    workers = threads or os.cpu_count() or 1
    scorer = Scorer(config, labels, cache.segments)
    try:
        origins = read_origins(cache.attributes.get("clips_from", {}))
    except ScoreError as error:
        raise ScoreError(f"{cache.path}: {error}: extract again") from error
    status = cache.status()
    parts: list[Part] = []
    missing: dict[str, str] = {}
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Part]] = deque()
        for features in cache.iter_shards():
            bits = missing_bits(features)
            missing |= {cache.clip_ids[features.rows[i]]: MISSING_NAMES[int(bits[i])] for i in np.flatnonzero(bits)}
            waiting.append(pool.submit(scorer.score, features))
            if len(waiting) > 2 * workers:
                parts.append(waiting.popleft().result())
        parts += [future.result() for future in waiting]
    rows, table, scores = _join(parts)
    events = Events(
        config=config,
        clip_ids=tuple(cache.clip_ids[row] for row in rows),
        labels=labels.labels,
        clip=table[:, 0].astype(np.int32),
        stream_number=table[:, 1].astype(np.int8),
        label=table[:, 2].astype(np.int32),
        start=table[:, 3].astype(np.int16),
        end=table[:, 4].astype(np.int16),
        score=scores,
        segments=cache.segments,
        segment_seconds=cache.segment_seconds,
        cache={"identity": cache.identity, "backbone": cache.backbone, "text": labels.name},
        left_out={
            "pending": int((status == PENDING).sum()),
            "failed": int((status == FAILED).sum()),
        },
        missing=missing,
        clips_from=origins,
    )
    wanted = cut_from_longer(origins) if stitched is None else stitched
    return stitch(events) if origins and wanted else events


def kernel_for(cache: FeatureCache) -> str:
    """Name of the kernel that scores such a cache, for whoever wants to know whether it is compiled."""
    plain = cache.kind == "embeddings" and "audio_segments" not in cache.arrays and "video" in cache.arrays
    return "score_embeddings" if plain else "score_clips"


class Scorer:
    """One setting and one text set, ready for batches of clips from any number of threads."""

    def __init__(self, config: ScoreConfig, text: TextSet, segments: int) -> None:
        """Prepare.

        Raises:
            ScoreError: more than 64 segments a clip.
        """
        check_segments(segments)
        self._text = text
        self._setting = kernel_setting(config, segments)
        self._alphabet = alphabetical(text.labels)
        self._visual, self._audio = pad_text(text.visual), pad_text(text.audio)
        self._rooms: SimpleQueue[tuple[DirectRoom, Found]] = SimpleQueue()

    def score(self, features: Features) -> Part:
        """Events of a batch of clips."""
        if features.visual_probability is not None or features.audio_segments is not None or not features.video.size:
            return self._score_segments(features)
        room, found = self._room(features)
        score_embeddings(
            stored_bits(features.image),
            stored_bits(features.video),
            stored_bits(features.audio)[:, :, None],
            missing_bits(features),
            self._visual,
            self._audio,
            self._setting,
            self._alphabet,
            room,
            found,
        )
        part = self._part(features, found)
        self._rooms.put((room, found))
        return part

    def _score_segments(self, features: Features) -> Part:
        """Events of clips of which more than windows is known, or less: from logits on, as a search does."""
        batch = make_logits(features, self._text)
        clips, segments, labels = batch.image.shape
        found = found_room(clips, labels, segments)
        score_clips(
            batch.image,
            batch.video,
            batch.audio,
            batch.sound,
            batch.given,
            batch.cosine,
            batch.missing,
            self._setting,
            self._alphabet,
            clip_room(labels, segments, batch.sound.shape[1]),
            found,
        )
        return self._part(features, found)

    @staticmethod
    def _part(features: Features, found: Found) -> Part:
        clips = len(features)
        events = int(found.count[:clips].sum())
        table, scores = np.empty((events, 5), np.int64), np.empty(events)
        gather(found, clips, _ORDER, table, scores)
        return features.rows, table, scores

    def _room(self, features: Features) -> tuple[DirectRoom, Found]:
        clips, segments, visual_dim = features.image.shape
        _, windows, audio_dim = features.audio.shape
        labels = len(self._alphabet)
        with suppress(Empty):
            room, found = self._rooms.get_nowait()
            if len(found.count) >= clips:
                return room, found
        return (
            direct_room(labels, segments, windows, features.video.shape[2], visual_dim, audio_dim),
            found_room(clips, labels, segments),
        )


def _join(parts: list[Part]) -> Part:
    if not parts:
        return np.zeros(0, np.int64), np.zeros((0, 5), np.int64), np.zeros(0)
    clips = 0
    for rows, table, _ in parts:
        table[:, 0] += clips
        clips += len(rows)
    rows, table, scores = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return rows, table, scores


def kernel_setting(config: ScoreConfig, segments: int) -> Setting:
    """A configuration as the kernels take it."""
    return Setting(
        config.alpha,
        config.filter_threshold,
        config.threshold_stage1,
        config.threshold_stage2,
        decay_table(config.gamma, segments, config.label_shift_iters),
        METHODS.index(config.method),
        config.fusion == "late",
        config.label_selection,
        config.refinement,
        DECISIONS.index(config.decision),
        config.label_shift_iters,
        config.pooled_windows,
    )


def alphabetical(labels: tuple[str, ...]) -> NDArray[np.int64]:
    """Label numbers in alphabetical order, case aside: int64 (C,)."""
    order = sorted(range(len(labels)), key=lambda number: (labels[number].lower(), labels[number]))
    return np.array(order, dtype=np.int64)
