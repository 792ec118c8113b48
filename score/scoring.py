"""score(): a cache and a setting in, events out (docs/design.md 4)."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, Features
from score.after import after_processing
from score.carrying import carried, carries
from score.clip_scores import SegmentScores, numbered
from score.event_blocks import EventBlocks
from score.events import Events
from score.formats.base import EventBlock
from score.parameters import Parameters
from score.passes import Pass, Progress, begin_pass
from score.rules.base import Part, ScoresClips, Traced, TracesClips
from score.stitching import cut_from_longer, stitch_blocks
from score.traces import tracer_of


def score(
    cache: FeatureCache,
    config: Parameters,
    text: str | None = None,
    threads: int | None = None,
    stitched: bool | None = None,
    merge_gap: float | None = None,
    min_duration: float | None = None,
) -> Events:
    """Find the events of every clip of a cache that is done.

    Args:
        cache: an open feature cache.
        config: the settings.
        text: name of the label set in the cache; None if there is one only.
        threads: threads to use, by default one a core; the result does not depend on it.
        stitched: whether events are put on the timelines of the files that clips were cut from, and cut at their ends
            (4.9); by default if there are clips of longer files.
        merge_gap: seconds: events of one clip, stream and label that lie no further apart become one (4.10); None:
            they stay as they are.
        min_duration: seconds: shorter events are dropped, after that; None: none is.

    Returns:
        The events of all three streams.

    Raises:
        ScoreError: the clips cannot be scored, or not with these settings.
        CacheError: the cache cannot be read, or holds no such text set.

    Example:
        >>> events = score(FeatureCache.open("features.zarr"), ScoreConfig.published("clip_clap"))
        >>> events.stream("audiovisual")  # {clip_id: [(label, onset, offset, score), ...]}
    """
    found = score_blocks(cache, config, text, threads, stitched, merge_gap=merge_gap, min_duration=min_duration)
    return Events.gathered(found.facts, found)


def score_blocks(
    cache: FeatureCache,
    config: Parameters,
    text: str | None = None,
    threads: int | None = None,
    stitched: bool | None = None,
    progress: Progress = lambda done, total: None,
    merge_gap: float | None = None,
    min_duration: float | None = None,
    segment_scores: Callable[[SegmentScores], None] | None = None,
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
        merge_gap: see :func:`score`.
        min_duration: see :func:`score`.
        segment_scores: called with what was compared in each shard's clips, before its events come; as
            :func:`score.segment_scores` gives it, in the same pass.

    Raises:
        ScoreError: as :func:`score`; while events come, too: the cache changes meanwhile.
        CacheError: as :func:`score`; while events come, too.

    Example:
        >>> events = score_blocks(FeatureCache.open("features.zarr"), ScoreConfig.published("clip_clap"))
        >>> events.write("events.parquet")
        ['events.parquet']
    """
    begun = begin_pass(cache, config, text, threads)
    tracer = None if segment_scores is None else tracer_of(begun)
    if carries(begun):
        made = carried(begun, progress)
    else:
        scorer = begun.rule.scorer(begun.config, begun.text, cache)
        made = begun.shards(lambda features: _made(scorer, tracer, features), progress)
    found = EventBlocks(begun.facts, _found(begun, made, segment_scores))
    origins = begun.facts.clips_from
    wanted = cut_from_longer(origins) if stitched is None else stitched
    return after_processing(stitch_blocks(found) if origins and wanted else found, merge_gap, min_duration)


def _made(scorer: ScoresClips, tracer: TracesClips | None, features: Features) -> tuple[Part, Traced | None]:
    return scorer.score(features), None if tracer is None else tracer.trace(features)


def _found(
    begun: Pass,
    made: Iterator[tuple[NDArray[np.int32], tuple[Part, Traced | None]]],
    segment_scores: Callable[[SegmentScores], None] | None,
) -> Iterator[EventBlock]:
    """Events of the rows that are done, shard by shard in order."""
    seconds = begun.cache.segment_seconds
    for clip, ((_, table, scores), traced) in made:
        if segment_scores is not None and traced is not None:
            segment_scores(numbered(begun.facts, clip, traced))
        found = EventBlock(
            clip=clip[table[:, 0]],
            stream=table[:, 1].astype(np.int8),
            label=table[:, 2].astype(np.int32),
            onset=table[:, 3].astype(np.float64) * seconds,
            offset=table[:, 4].astype(np.float64) * seconds,
            score=scores,
        )
        yield found if (clip >= 0).all() else found.part(found.clip >= 0)
