"""score(): a cache and a setting in, events out (docs/design.md 4)."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from feature_cache import DONE, FAILED, MISSING_NAMES, PENDING, FeatureCache, stopping
from score.config import ScoreConfig
from score.errors import ScoreError
from score.event_blocks import EventBlocks
from score.event_facts import EventFacts, read_origins
from score.events import Events
from score.formats.base import EventBlock
from score.rules import rule_of
from score.rules.base import Part, ScoresClips
from score.stitching import cut_from_longer, stitch_blocks

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
    found = score_blocks(cache, config, text, threads, stitched)
    return Events.gathered(found.facts, found)


def score_blocks(
    cache: FeatureCache,
    config: ScoreConfig,
    text: str | None = None,
    threads: int | None = None,
    stitched: bool | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EventBlocks:
    """The events of :func:`score`, a shard's at a time: memory does not grow with their number.

    Of stitched events, a file's come once its last clip was scored.

    Args:
        cache: see :func:`score`.
        config: see :func:`score`.
        text: see :func:`score`.
        threads: see :func:`score`.
        stitched: see :func:`score`.
        progress: called with the number of clips scored, and of all to score.

    Raises:
        ScoreError: as :func:`score`; while events come, too: the cache changes meanwhile.
        CacheError: as :func:`score`; while events come, too.

    Example:
        >>> events = score_blocks(FeatureCache.open("features.zarr"), ScoreConfig.published("clip_clap"))
        >>> events.write("events.parquet")
        ['events.parquet']
    """
    if threads is not None and threads < 1:
        raise ScoreError(f"threads must be at least 1, got {threads}")
    if threads is not None and threads > MOST_THREADS:
        raise ScoreError(f"threads must be at most {MOST_THREADS}, got {threads}")
    labels = cache.text(text)
    rule = rule_of(config)
    config = rule.fitting(cache, config)
    scorer = rule.scorer(config, labels, cache.segments)
    try:
        origins = read_origins(cache.attributes.get("clips_from", {}))
    except ScoreError as error:
        raise ScoreError(f"{cache.path}: {error}: extract again") from error
    state, ids = cache.progress(), cache.clip_ids
    status, missing = state.status, state.missing
    done = status == DONE
    facts = EventFacts(
        config=config,
        clip_ids=tuple(ids[row] for row in np.flatnonzero(done).tolist()),
        labels=labels.labels,
        segments=cache.segments,
        segment_seconds=cache.segment_seconds,
        cache={"identity": state.identity, "backbone": cache.backbone, "text": labels.name},
        left_out={"pending": int((status == PENDING).sum()), "failed": int((status == FAILED).sum())},
        missing={ids[row]: MISSING_NAMES[missing[row]] for row in np.flatnonzero(done & (missing > 0)).tolist()},
        clips_from=origins,
    )
    found = EventBlocks(facts, _found(cache, scorer, done, threads or os.cpu_count() or 1, progress))
    wanted = cut_from_longer(origins) if stitched is None else stitched
    return stitch_blocks(found) if origins and wanted else found


def _found(
    cache: FeatureCache,
    scorer: ScoresClips,
    done: NDArray[np.bool_],
    workers: int,
    progress: Callable[[int, int], None],
) -> Iterator[EventBlock]:
    """Events of the rows that are done, shard by shard in order."""
    total, seen = int(done.sum()), 0
    number = np.where(done, np.cumsum(done) - 1, -1).astype(np.int32)
    seconds = cache.segment_seconds
    for rows, table, scores in _parts(cache, scorer, workers):
        clip = number[rows]
        known = clip[clip >= 0]  # the others were not done when this began
        if (known != np.arange(seen, seen + len(known))).any():
            break
        seen += len(known)
        found = EventBlock(
            clip=clip[table[:, 0]],
            stream=table[:, 1].astype(np.int8),
            label=table[:, 2].astype(np.int32),
            onset=table[:, 3].astype(np.float64) * seconds,
            offset=table[:, 4].astype(np.float64) * seconds,
            score=scores,
        )
        yield found if len(known) == len(clip) else found.part(found.clip >= 0)
        progress(seen, total)
    if seen < total:
        raise ScoreError(f"{cache.path} was changed while it was scored: wait until it is complete, then score again")


def _parts(cache: FeatureCache, scorer: ScoresClips, workers: int) -> Iterator[Part]:
    with stopping.threads(workers) as pool:
        waiting: deque[Future[Part]] = deque()
        for features in cache.iter_shards():
            waiting.append(pool.submit(scorer.score, features))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
