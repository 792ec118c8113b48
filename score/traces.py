"""segment_scores(): a cache and a setting in, what the rule compares out (docs/design.md 4.11)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from os import PathLike

import numpy as np

from feature_cache import FeatureCache
from score.carrying import carries
from score.clip_scores import SegmentScores, numbered
from score.errors import ScoreError
from score.event_facts import EventFacts
from score.parameters import Parameters
from score.passes import Pass, Progress, begin_pass
from score.rules.base import TracesClips
from score.score_files import scores_output


class SegmentScoreBlocks:
    """Segment scores that come a block of clips at a time, once.

    Attributes:
        facts: what is known of the clips before they come.
    """

    def __init__(self, facts: EventFacts, blocks: Iterator[SegmentScores]) -> None:
        """Facts, and the blocks to come."""
        self.facts = facts
        self._blocks = blocks

    def __iter__(self) -> Iterator[SegmentScores]:
        """The blocks, once."""
        return self._blocks

    def write(self, path: str | PathLike[str]) -> None:
        """Write them as they come, whole or not at all.

        Args:
            path: a folder for TSV files, or a file that ends in .npz or .parquet (docs/scores.md).

        Raises:
            ScoreError: no such format, no clip, or a file cannot be written.

        Example:
            >>> segment_scores(cache, config).write("scores.npz")
        """
        if not self.facts.clip_ids:
            raise ScoreError(f"{path}: there is no clip whose scores could be written")
        with scores_output(path) as take:
            for block in self:
                take(block)


def segment_scores(
    cache: FeatureCache,
    config: Parameters,
    text: str | None = None,
    threads: int | None = None,
    clips: Sequence[str] | None = None,
    progress: Progress = lambda done, total: None,
) -> SegmentScoreBlocks:
    """What the rule compares: a probability and a threshold for each clip, stream, segment and label (4.3, 4.4).

    Clips of longer files are clips here, too: seconds are the clip's own.

    Args:
        cache: an open feature cache.
        config: the settings.
        text: name of the label set in the cache; None if there is one only.
        threads: threads to use, by default one a core; the result does not depend on it.
        clips: names of the clips that are wanted, of which nothing else is read; None: all that are done.
        progress: called with the number of clips done with, and of all; not where clips are named.

    Returns:
        Blocks of n clips, float64 (n, 3, T, C) each for probability and threshold, as they are asked for; memory does
        not grow with the number of clips.

    Raises:
        ScoreError: the clips cannot be scored, or not with these settings; a name is none of a clip that is done;
            while blocks come, too: the cache changes meanwhile.
        CacheError: the cache cannot be read, or holds no such text set; while blocks come, too.

    Example:
        >>> [found] = segment_scores(cache, config, clips=["a"])
        >>> found["a"].segments("audiovisual", "dog")[0]
        SegmentScore(onset=0.0, offset=1.0, probability=0.81, threshold=0.75, positive=True)
    """
    begun = begin_pass(cache, config, text, threads)
    tracer = tracer_of(begun)
    if clips is None:
        made = begun.shards(tracer.trace, progress)
        return SegmentScoreBlocks(begun.facts, (numbered(begun.facts, clip, traced) for clip, traced in made))
    names = tuple(dict.fromkeys(clips))
    numbers = begun.numbers(names)
    lacking = {clip: what for clip, what in begun.facts.missing.items() if clip in names}
    facts = replace(begun.facts, clip_ids=names, missing=lacking)
    return SegmentScoreBlocks(facts, _of_clips(begun, facts, tracer, numbers))


def _of_clips(begun: Pass, facts: EventFacts, tracer: TracesClips, numbers: list[int]) -> Iterator[SegmentScores]:
    seen = 0
    for traced in begun.clips(numbers, tracer.trace):
        yield numbered(facts, np.arange(seen, seen + len(traced.rows), dtype=np.int32), traced)
        seen += len(traced.rows)


def tracer_of(begun: Pass) -> TracesClips:
    """What says what the rule of a pass compares.

    Raises:
        ScoreError: the rule compares nothing segment by segment.
    """
    if carries(begun):
        raise ScoreError("segment scores are of clips on their own: leave out `carry=True`")
    make: Callable[..., TracesClips] | None = begun.rule.tracer
    if make is None:
        raise ScoreError(
            f"the rule {begun.rule.name} compares no segments with thresholds: there are no scores of them"
        )
    return make(begun.config, begun.text, begun.cache)
