"""Segment scores: what the rule compared, a probability and a threshold a segment, stream and label (4.3, 4.4)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache
from feature_cache.names import shortened
from score.choices import STREAMS
from score.config import ScoreConfig
from score.errors import ScoreError
from score.event_facts import EventFacts
from score.passes import Pass, Progress, begin_pass
from score.rules.base import Traced, TracesClips


class SegmentScore(NamedTuple):
    """One segment of one stream and label: seconds, what was compared, and whether the probability is the larger."""

    onset: float
    offset: float
    probability: float
    threshold: float
    positive: bool


@dataclass(frozen=True, eq=False)
class ClipScores:
    """What was compared in one clip of T segments with C labels; streams in the order of ``STREAMS``.

    Attributes:
        clip_id: the clip.
        labels: C class names.
        edges: float64 (T + 1,), seconds of the clip at which segments begin, and the last one ends.
        probability: float64 (3, T, C), NaN where a label is not in play.
        threshold: float64 (3, T, C), likewise.
        positive: bool (3, T, C), whether the probability exceeds the threshold: candidates come from these (4.5).
    """

    clip_id: str
    labels: tuple[str, ...]
    edges: NDArray[np.float64]
    probability: NDArray[np.float64]
    threshold: NDArray[np.float64]
    positive: NDArray[np.bool_]

    def kept(self, stream: str) -> tuple[str, ...]:
        """The labels in play in a stream: those that label selection kept (4.2).

        Raises:
            ScoreError: no such stream.
        """
        there = ~np.isnan(self.threshold[_stream(stream), 0])
        return tuple(label for label, kept in zip(self.labels, there.tolist(), strict=True) if kept)

    def segments(self, stream: str, label: str) -> list[SegmentScore]:
        """What was compared, segment by segment.

        Args:
            stream: "audiovisual", "visual" or "audio".
            label: as the user wrote it.

        Raises:
            ScoreError: no such stream or label.
        """
        at = _stream(stream)
        if label not in self.labels:
            raise ScoreError(f"no label {shortened(label, 60)!r} in clip {shortened(self.clip_id, 60)}")
        k, edges = self.labels.index(label), self.edges.tolist()
        columns = (each[at, :, k].tolist() for each in (self.probability, self.threshold, self.positive))
        return [SegmentScore(*each) for each in zip(edges[:-1], edges[1:], *columns, strict=True)]


@dataclass(frozen=True, eq=False)
class SegmentScores:
    """What was compared in n clips of T segments with C labels; streams in the order of ``STREAMS``.

    A label that label selection dropped has neither probability nor threshold, nor has a stream that a clip without
    picture or sound does not have, nor the audiovisual one under late fusion, which is made of the others' events
    (4.7). Behind a segment whose logits are all equal there are no thresholds.

    Attributes:
        facts: what is known of all the clips that are scored: names, labels, settings.
        clip: int32 (n,), numbers of the clips in the facts.
        probability: float64 (n, 3, T, C), NaN where there is none.
        threshold: float64 (n, 3, T, C), NaN where there is none.
        words: uint64 (n, 3, C), positive segments as bits.
    """

    facts: EventFacts
    clip: NDArray[np.int32]
    probability: NDArray[np.float64]
    threshold: NDArray[np.float64]
    words: NDArray[np.uint64]

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clip)

    @property
    def clip_ids(self) -> tuple[str, ...]:
        """Names of the n clips."""
        return tuple(self.facts.clip_ids[number] for number in self.clip.tolist())

    @property
    def labels(self) -> tuple[str, ...]:
        """C class names."""
        return self.facts.labels

    @property
    def edges(self) -> NDArray[np.float64]:
        """float64 (T + 1,), seconds of a clip at which segments begin, and the last one ends."""
        return segment_edges(self.facts)

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Bool (n, 3, T, C), whether the probability exceeds the threshold."""
        return _unpacked(self.words, self.facts.segments)

    def __iter__(self) -> Iterator[ClipScores]:
        """Each clip."""
        return map(self._at, range(len(self)))

    def __getitem__(self, clip_id: str) -> ClipScores:
        """One clip, by name.

        Raises:
            ScoreError: it is none of them.
        """
        names = self.clip_ids
        if clip_id not in names:
            raise ScoreError(f"no scores of clip {shortened(clip_id, 60)!r} here: it lies in another block")
        return self._at(names.index(clip_id))

    def _at(self, row: int) -> ClipScores:
        return ClipScores(
            self.facts.clip_ids[self.clip[row]],
            self.facts.labels,
            self.edges,
            self.probability[row],
            self.threshold[row],
            _unpacked(self.words[row], self.facts.segments),
        )


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
        from score.score_files import scores_output

        if not self.facts.clip_ids:
            raise ScoreError(f"{path}: there is no clip whose scores could be written")
        with scores_output(path) as take:
            for block in self:
                take(block)


def segment_scores(
    cache: FeatureCache,
    config: ScoreConfig,
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
    known = {clip: number for number, clip in enumerate(begun.facts.clip_ids)}
    for clip in clips:
        if clip not in known:
            raise ScoreError(f"{cache.path}: no clip {shortened(clip, 60)!r} that is done")
    names = tuple(dict.fromkeys(clips))
    lacking = {clip: what for clip, what in begun.facts.missing.items() if clip in names}
    facts = replace(begun.facts, clip_ids=names, missing=lacking)
    return SegmentScoreBlocks(facts, _of_clips(begun, facts, tracer, [known[clip] for clip in names]))


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
    make: Callable[..., TracesClips] | None = begun.rule.tracer
    if make is None:
        raise ScoreError(
            f"the rule {begun.rule.name} compares no segments with thresholds: there are no scores of them"
        )
    return make(begun.config, begun.text, begun.cache.segments)


def numbered(facts: EventFacts, clip: NDArray[np.int32], traced: Traced) -> SegmentScores:
    """What was traced, of those rows that have a number.

    Args:
        facts: of the clips.
        clip: int32 (n,), their numbers, -1 for none.
        traced: of the n rows.
    """
    known = slice(None) if (clip >= 0).all() else clip >= 0
    return SegmentScores(facts, clip[known], traced.probability[known], traced.threshold[known], traced.positive[known])


def segment_edges(facts: EventFacts) -> NDArray[np.float64]:
    """float64 (T + 1,), seconds of a clip at which segments begin, and the last one ends."""
    return np.arange(facts.segments + 1, dtype=np.float64) * facts.segment_seconds


def _stream(name: str) -> int:
    if name not in STREAMS:
        raise ScoreError(f"no stream {name!r}: there are {', '.join(STREAMS)}")
    return STREAMS.index(name)


def _unpacked(words: NDArray[np.uint64], segments: int) -> NDArray[np.bool_]:
    """Bits of (..., C) as (..., T, C)."""
    bits = np.arange(segments, dtype=np.uint64)[:, None]
    found: NDArray[np.bool_] = (words[..., None, :] >> bits & np.uint64(1)).astype(np.bool_)
    return found
