"""What the rule compared in clips: a probability and a threshold a segment, stream and label (docs/design.md 4.11)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_cache.names import shortened
from score.bitmasks import unpacked
from score.choices import STREAMS
from score.errors import ScoreError
from score.event_facts import EventFacts
from score.rules.base import Traced


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
        return unpacked(self.words, self.facts.segments)

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
            unpacked(self.words[row], self.facts.segments),
        )


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
