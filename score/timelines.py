"""Events of the clips that are compared, as they are kept meanwhile: in segments of clips, or in seconds of files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from score.event_facts import EventFacts
from score.formats.base import EventBlock


@dataclass(frozen=True, eq=False)
class Segments:
    """E events by segments: numbers of clips (among the facts'), streams and labels, spans and scores, (E,) each."""

    clip: NDArray[np.int32]
    stream: NDArray[np.int8]
    label: NDArray[np.int32]
    start: NDArray[np.int16]
    end: NDArray[np.int16]
    score: NDArray[np.float64]

    @classmethod
    def gathered(
        cls, facts: EventFacts, blocks: Iterable[EventBlock], found: Mapping[str, int], *, scores: bool
    ) -> Self:
        """Those of the clips that were found.

        Args:
            facts: of the events.
            blocks: the events.
            found: numbers of clips by annotated name.
            scores: whether scores are kept; zeros without memory else.
        """
        dtypes = (np.int32, np.int8, np.int32, np.int16, np.int16, np.float64)
        kept: list[tuple[NDArray[Any], ...]] = [tuple(np.empty(0, dtype) for dtype in dtypes[: 5 + scores])]
        for mine in _wanted(facts, blocks, found):
            start, end = facts.spans(mine)
            all_six = (mine.clip, mine.stream, mine.label, start.astype(np.int16), end.astype(np.int16), mine.score)
            kept.append(all_six[: 5 + scores])
        columns: list[Any] = [np.concatenate(each) for each in zip(*kept, strict=True)]
        return cls(*columns, *(() if scores else (np.broadcast_to(0.0, len(columns[0])),)))


@dataclass(frozen=True, eq=False)
class Spans:
    """E events by seconds, on timelines of any length.

    Attributes:
        clips: n clips, or files, that are compared, as the annotations name them.
        clip: int32 (E,), number of the clip among these.
        stream: int8 (E,), number of the stream in ``STREAMS``.
        label: int32 (E,), number of the label.
        onset: float64 (E,), seconds.
        offset: float64 (E,), seconds.
        score: float64 (E,), NaN where there is none.
        segment_seconds: length of a segment of the clips that were scored.
    """

    clips: tuple[str, ...]
    clip: NDArray[np.int32]
    stream: NDArray[np.int8]
    label: NDArray[np.int32]
    onset: NDArray[np.float64]
    offset: NDArray[np.float64]
    score: NDArray[np.float64]
    segment_seconds: float = 1.0

    @classmethod
    def gathered(cls, facts: EventFacts, blocks: Iterable[EventBlock], found: Mapping[str, int]) -> Self:
        """Those of the clips that were found.

        Args:
            facts: of the events.
            blocks: the events.
            found: numbers of clips by annotated name.
        """
        dtypes = (np.int32, np.int8, np.int32, np.float64, np.float64, np.float64)
        kept: list[tuple[NDArray[Any], ...]] = [tuple(np.empty(0, dtype) for dtype in dtypes)]
        kept += (mine.columns for mine in _wanted(facts, blocks, found))
        clip, stream, label, onset, offset, score = (np.concatenate(each) for each in zip(*kept, strict=True))
        place = _places(facts, found)[clip].astype(np.int32)
        return cls(tuple(found), place, stream, label, onset, offset, score, facts.segment_seconds)


def _wanted(facts: EventFacts, blocks: Iterable[EventBlock], found: Mapping[str, int]) -> Iterable[EventBlock]:
    wanted = _places(facts, found) < len(found)
    return (block.part(wanted[block.clip]) for block in blocks)


def _places(facts: EventFacts, found: Mapping[str, int]) -> NDArray[np.int64]:
    """Of each of the facts' clips its place among those found; their number where it is none of them."""
    place = np.full(len(facts.clip_ids), len(found), dtype=np.int64)
    place[np.fromiter(found.values(), np.int64, len(found))] = np.arange(len(found))
    return place
