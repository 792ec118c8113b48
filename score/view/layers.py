"""Several systems' events over the same clips and labels, and what is true beside them, under common numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_cache.names import composed
from score.datasets import Annotations
from score.datasets.match import LabelNumbers, match_clips
from score.errors import ScoreError
from score.event_facts import EventFacts, Origin
from score.formats.base import EventBlock
from score.stitching import cut_from_longer
from score.view.clip_rows import renumbered
from score.view.true_events import annotated_labels, true_events


@dataclass(frozen=True, eq=False)
class Layers:
    """Events of L systems, over n clips and C labels.

    Attributes:
        names: of the systems.
        facts: of each system.
        clip_ids: the clips of all systems, as the first that has one calls it; files where events are stitched.
        labels: the labels of all systems and of the annotations.
        events: of each system, sorted by clip, numbers being of ``clip_ids`` and ``labels``.
        absent: of each system, numbers of the clips that it does not have.
        truth: what is annotated, sorted by clip; None where nothing is known to be true.
        annotated: numbers of clips by annotated name.
        seconds: float64 (n,), length of each clip as far as is known.
        stitched: whether clips are whole files.
    """

    names: tuple[str, ...]
    facts: tuple[EventFacts, ...]
    clip_ids: tuple[str, ...]
    labels: tuple[str, ...]
    events: tuple[EventBlock, ...]
    absent: tuple[list[int], ...]
    truth: EventBlock | None
    annotated: Mapping[str, int]
    seconds: NDArray[np.float64]
    stitched: bool

    @property
    def origins(self) -> dict[str, Origin]:
        """Where clips were cut from longer files; none of stitched events."""
        if self.stitched:
            return {}
        found: dict[str, Origin] = {}
        for facts in reversed(self.facts):
            found |= facts.clips_from
        return found

    @property
    def missing(self) -> dict[str, str]:
        """By clip id, "picture" or "sound": what a clip was scored without."""
        found: dict[str, str] = {}
        for facts in reversed(self.facts):
            found |= facts.missing
        return {clip: found[clip] for clip in self.clip_ids if clip in found}


def lay(
    systems: Mapping[str, tuple[EventFacts, EventBlock]], annotations: Annotations | None
) -> Layers:  # fmt: skip
    """Lay the events of systems over each other, and what is true beside them.

    Args:
        systems: facts and events, by the systems' names.
        annotations: what is true.

    Raises:
        ScoreError: events of clips beside events of whole files from which the clips were cut.
        AnnotationError: an annotated clip may be several.
    """
    facts = [each for each, _ in systems.values()]
    stitched = any(each.stitched for each in facts)
    for name, each in zip(systems, facts, strict=True):
        if stitched and not each.stitched and cut_from_longer(each.clips_from):
            raise ScoreError(f"{name}: events of clips, beside others of whole files: score all of them the same way")
    names, numbers, annotated = _clip_numbers(facts, annotations)
    labels = _Labels(facts[0].labels)
    events = tuple(
        renumbered(block, clips, labels.numbers(each.labels))
        for (each, block), clips in zip(systems.values(), numbers, strict=True)
    )
    truth = None
    if annotations is not None:
        words = annotated_labels(annotations, annotated)
        truth = true_events(annotations, annotated, dict(zip(words, labels.numbers(words).tolist(), strict=True)))
        truth = truth.part(np.argsort(truth.clip, kind="stable"))
    everywhere = set(range(len(names)))
    return Layers(
        names=tuple(systems),
        facts=tuple(facts),
        clip_ids=names,
        labels=tuple(labels.names),
        events=events,
        absent=tuple(sorted(everywhere - set(clips.tolist())) for clips in numbers),
        truth=truth,
        annotated=annotated,
        seconds=_seconds(facts, numbers, [*events, *([] if truth is None else [truth])], names, annotations, annotated),
        stitched=stitched,
    )


def _clip_numbers(
    facts: Sequence[EventFacts], annotations: Annotations | None
) -> tuple[tuple[str, ...], list[NDArray[np.int64]], dict[str, int]]:
    """All clips, their numbers for each system's, and for the annotations' names."""
    clips: dict[str, str] = {}
    places: dict[str, int] = {}
    annotated: dict[str, int] = {}
    numbers = []
    for each in facts:
        found = {} if annotations is None else match_clips(annotations.clip_ids, each.clip_ids)
        by_number = {number: name for name, number in found.items()}
        mine = np.empty(len(each.clip_ids), dtype=np.int64)
        for at, clip in enumerate(each.clip_ids):
            name = by_number.get(at)
            place = annotated.get(name, -1) if name is not None else -1
            if place < 0:
                key = composed(clip)
                place = places.setdefault(key, len(places))
                clips.setdefault(key, clip)
            if name is not None:
                annotated.setdefault(name, place)
            mine[at] = place
        numbers.append(mine)
    return tuple(clips.values()), numbers, annotated


class _Labels:
    """Labels under common numbers; those of others that are alike, case and Unicode form aside, are the same."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)

    def numbers(self, labels: Sequence[str]) -> NDArray[np.int64]:
        known = LabelNumbers(tuple(self.names), {})
        found = np.empty(len(labels), dtype=np.int64)
        for at, label in enumerate(labels):
            like = known.like(label)
            if len(like) == 1:
                found[at] = like[0]
            else:
                found[at] = len(self.names)
                self.names.append(label)
        return found


def _seconds(
    facts: Sequence[EventFacts], numbers: Sequence[NDArray[np.int64]], blocks: Sequence[EventBlock],
    names: Sequence[str], annotations: Annotations | None, annotated: Mapping[str, int],
) -> NDArray[np.float64]:  # fmt: skip
    """How long clips are: what is said of them, and no shorter than their events."""
    found = np.zeros(len(names))
    for each, clips in zip(facts, numbers, strict=True):
        whole = each.segments * each.segment_seconds
        if not each.stitched:
            found[clips] = np.maximum(found[clips], whole)
            continue
        if each.config is None:  # listed by others: nothing is said of lengths
            continue
        ends = dict.fromkeys(each.clip_ids, 0.0)
        for file, begin, end in each.clips_from.values():
            ends[file] = max(ends.get(file, 0.0), begin + whole if end is None else end)
        known = np.array([ends[file] or whole for file in each.clip_ids])
        found[clips] = np.maximum(found[clips], known)
    for name, number in annotated.items():
        assert annotations is not None
        found[number] = max(found[number], annotations.seconds.get(name, 0.0))
    for block in blocks:
        np.maximum.at(found, block.clip, block.offset)
    found[found == 0] = facts[0].segments * facts[0].segment_seconds
    return found
