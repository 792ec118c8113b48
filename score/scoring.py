"""score(): a cache and a setting in, events out (docs/design.md 4)."""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from feature_cache import FAILED, MISSING_NAMES, PENDING, FeatureCache
from score.config import ScoreConfig
from score.errors import ScoreError
from score.events import Events, read_origins
from score.logits import missing_bits
from score.rules import rule_of
from score.rules.base import Part
from score.stitching import cut_from_longer, stitch

MOST_THREADS = 1024


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

    Example:
        >>> events = score(FeatureCache.open("features.zarr"), ScoreConfig.published("clip_clap"))
        >>> events.stream("audiovisual")  # {clip_id: [(label, onset, offset, score), ...]}
    """
    if threads is not None and threads < 1:
        raise ScoreError(f"threads must be at least 1, got {threads}")
    if threads is not None and threads > MOST_THREADS:
        raise ScoreError(f"threads must be at most {MOST_THREADS}, got {threads}")
    labels = cache.text(text)
    rule = rule_of(config)
    config = rule.fitting(cache, config)
    workers = threads or os.cpu_count() or 1
    scorer = rule.scorer(config, labels, cache.segments)
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


def _join(parts: list[Part]) -> Part:
    if not parts:
        return np.zeros(0, np.int64), np.zeros((0, 5), np.int64), np.zeros(0)
    clips = 0
    for rows, table, _ in parts:
        table[:, 0] += clips
        clips += len(rows)
    rows, table, scores = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return rows, table, scores
