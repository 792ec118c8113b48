"""Annotations of a split, and how they are laid beside scored clips."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from score.choices import FIRST_EVENT, LABELS, MOST_SEGMENTS, NO_ROW, NOTHING, STREAMS
from score.datasets.base import find_dataset
from score.datasets.match import LabelNumbers, match_clips
from score.datasets.values import Annotation, Places, as_number
from score.errors import AnnotationError


@dataclass(frozen=True, eq=False)
class Truth:
    """Annotations laid beside n clips and C labels; bit s of a word is segment s.

    Attributes:
        rows: int64 (n,), for each clip of the split that was found, its number among the scored clips.
        visual: uint64 (n, C), segments in which a label is seen.
        audio: uint64 (n, C), segments in which it is heard.
        first: int64 (n, 3), label, start and end of the clip's first visual annotation; -1 where there is none.
        classes: int64 (n, R, T), the one label of each segment in each of a clip's rows, NOTHING or, in rows that it
            does not have, NO_ROW; R is 0 where a data set has no rows.
        group: int64 (n,), which of the data set's groups a clip belongs to.
        audiovisual: uint64 (n, C), segments in which a label is seen and heard.
        streams: those that are annotated.
    """

    rows: NDArray[np.int64]
    visual: NDArray[np.uint64]
    audio: NDArray[np.uint64]
    first: NDArray[np.int64]
    classes: NDArray[np.int64]
    group: NDArray[np.int64]
    audiovisual: NDArray[np.uint64]
    streams: tuple[str, ...] = STREAMS

    @property
    def timelines(self) -> NDArray[np.uint64]:
        """uint64 (n, 3, C), as :meth:`score.Events.timelines`."""
        return np.ascontiguousarray(np.stack([self.visual, self.audio, self.audiovisual], axis=1))


@dataclass(frozen=True)
class Annotations:
    """Annotated events of the clips of one split.

    Attributes:
        kind: name of the data set, as "llp" or "ave".
        split: "train", "val" or "test"; empty for annotations from Python.
        clip_ids: the clips of the split, annotated or not.
        visual: what is seen, by clip id.
        audio: what is heard, by clip id.
        audiovisual: what is seen and heard, by clip id; None where that follows from the two.
        listed: rows of a clip as its split lists them, each of events of one label at a time, by clip id.
        groups: which of the data set's groups a clip belongs to, by clip id; the first where it is not here.
        categories: the class that a data set's files give a clip whatever happens in it, by clip id.
        labels: every label that the data set's files know, in their order; empty where they do not say.
        numbered: labels by the numbers that the data set's files give them, where they do.
        seconds: length of the file of a clip, by clip id, where the data set gives it.
        origin: file and line at which a label first occurred, for messages.
        latest: the greatest offset in seconds, and where it is, for messages.
        ignored: rows that say nothing: their onset is not before their offset (LLP's and AVE's own files hold some), or
            they repeat another one (UnAV-100).
        streams: those that are annotated; figures of others are not defined.
        collar: seconds by which an event may begin elsewhere, for figures that allow it.
    """

    kind: str
    split: str
    clip_ids: tuple[str, ...]
    visual: Mapping[str, Sequence[Annotation]]
    audio: Mapping[str, Sequence[Annotation]]
    audiovisual: Mapping[str, Sequence[Annotation]] | None = None
    listed: Mapping[str, Sequence[Sequence[Annotation]]] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    categories: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    numbered: Mapping[int, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    latest: tuple[float, str] = (0.0, "")
    ignored: int = 0
    streams: tuple[str, ...] = STREAMS
    collar: float = 0.2

    @classmethod
    def from_events(
        cls,
        events: Mapping[str, Mapping[str, Iterable[Annotation]]],
        labels: Sequence[str] | None = None,
        kind: str = "llp",
    ) -> Self:
        """Annotations from Python.

        Args:
            events: by clip id, lists of (label, onset, offset) under "visual" and "audio".
            labels: if given, every label must be one of these, as :meth:`align` compares them.
            kind: name of the data set whose figures are meant.

        Raises:
            AnnotationError: a label is unknown, or an event is not (label, onset, offset) with onset before offset.
        """
        dataset = find_dataset(kind)
        if not events:
            raise AnnotationError("no clips are annotated: give a dictionary with clip ids")
        sides: dict[str, dict[str, list[Annotation]]] = {"visual": {}, "audio": {}}
        places = Places()
        for clip, by_side in events.items():
            where = f"clip {clip}"
            if not isinstance(by_side, Mapping):
                raise AnnotationError(f"{where}: give lists of (label, onset, offset) under 'visual' and 'audio'")
            for side, found in by_side.items():
                if side not in sides:
                    raise AnnotationError(f"{where}: {side!r} is neither 'visual' nor 'audio'")
                if not isinstance(found, Iterable):
                    raise AnnotationError(f"{where}: {side} is {found!r}, not a list of (label, onset, offset)")
                for record in found:
                    event = _event(record, where)
                    places.note(event[0], event[2], where)
                    sides[side].setdefault(clip, []).append(event)
        if labels is not None:
            numbers = LabelNumbers(labels, places.labels)
            for label in places.labels:
                numbers[label]
        return cls(
            kind=kind,
            split="",
            clip_ids=tuple(events),
            visual=sides["visual"],
            audio=sides["audio"],
            listed=rows_of(dataset.reading.code, tuple(events), sides["visual"]),
            origin=places.labels,
            latest=places.latest,
        )

    def align(
        self, clip_ids: Sequence[str], labels: Sequence[str], segments: int = 10, segment_seconds: float = 1.0
    ) -> Truth:
        """Lay the annotations beside scored clips.

        An annotated name is that of a scored clip, or becomes it without folders, a media ending or LLP's
        `_<start>_<end>` (:func:`score.datasets.match.match_clips`). A label equals an annotated one, case and
        Unicode form aside and with '_' for a space; an exact equal goes first. A segment counts if some of the event
        lies in it: onsets are rounded down to whole segments, offsets up.

        Args:
            clip_ids: the scored clips.
            labels: the labels they were scored with.
            segments: T, segments a clip.
            segment_seconds: length of a segment in seconds.

        Raises:
            AnnotationError: an annotated label is not among the labels, an event ends after the clips do, or two
                annotated clips are one scored clip; names file and line.
        """
        return self.truth(match_clips(self.clip_ids, clip_ids), labels, segments, segment_seconds)

    def truth(
        self, found: Mapping[str, int], labels: Sequence[str], segments: int = 10, segment_seconds: float = 1.0
    ) -> Truth:
        """The same of clips that were found: of all of them, or of a part.

        Args:
            found: numbers of scored clips by annotated name, as :func:`score.datasets.match.match_clips` gives them.
            labels: see :meth:`align`.
            segments: see :meth:`align`.
            segment_seconds: see :meth:`align`.

        Raises:
            AnnotationError: see :meth:`align`.
        """
        if segments > MOST_SEGMENTS:
            raise AnnotationError(f"clips of {segments} segments: at most {MOST_SEGMENTS} can be evaluated")
        length = segments * segment_seconds
        if self.latest[0] > length + 1e-9:
            offset, where = self.latest
            raise AnnotationError(f"{where}: offset {offset:g} is after the clip's end at {length:g} s: correct it")
        numbers = LabelNumbers(labels, self.origin)
        words = np.zeros((3, len(found), len(labels)), dtype=np.uint64)
        first = np.full((len(found), 3), -1, dtype=np.int64)
        for side, by_clip in enumerate((self.visual, self.audio, self.audiovisual or {})):
            for number, clip in enumerate(found):
                for label, start, end in _in_segments(by_clip.get(clip, ()), segments, segment_seconds):
                    k = numbers[label]
                    words[side, number, k] |= np.uint64(((1 << (end - start)) - 1) << start)
                    if side == 0 and first[number, 0] < 0:
                        first[number] = k, start, end
        classes = np.full((len(found), self._most_rows, segments), NO_ROW, dtype=np.int64)
        for number, clip in enumerate(found):
            for row, events in enumerate(self.listed.get(clip, ())):
                classes[number, row] = NOTHING
                for label, start, end in _in_segments(events, segments, segment_seconds):
                    classes[number, row, start:end] = numbers[label]
        return Truth(
            rows=np.array(list(found.values()), dtype=np.int64),
            visual=words[0],
            audio=words[1],
            first=first,
            classes=classes,
            group=np.array([self.groups.get(clip, 0) for clip in found], dtype=np.int64),
            audiovisual=words[0] & words[1] if self.audiovisual is None else words[2],
            streams=self.streams,
        )

    @cached_property
    def _most_rows(self) -> int:
        return max(map(len, self.listed.values()), default=0)

    def sample(self, clips: int, seed: int = 0) -> Self:
        """Some clips of the split, in its order, drawn from every class by its share, at least one of each.

        A clip's class is what the files say, or else that of its first listed row, or the first that is seen, or heard
        in it; clips without any are a class of their own.

        Args:
            clips: how many; all where there are no more.
            seed: equal seeds draw equal clips.

        Raises:
            AnnotationError: fewer than one clip, or than there are classes.
        """
        classes: dict[str, list[str]] = {}
        for clip in self.clip_ids:
            classes.setdefault(self.category(clip), []).append(clip)
        if clips < len(classes):
            raise AnnotationError(
                f"`sample_clips={clips}`: the {self.split or 'annotated'} split has {len(classes)} classes: draw "
                "at least one clip of each"
            )
        drawn: set[str] = set()
        random = np.random.default_rng(seed)
        for share, found in zip(
            _shares([len(each) for each in classes.values()], clips), classes.values(), strict=True
        ):
            drawn.update(found[number] for number in random.permutation(len(found))[:share].tolist())
        return replace(self, clip_ids=tuple(clip for clip in self.clip_ids if clip in drawn))

    def category(self, clip: str) -> str:
        """The class of a clip, as :meth:`sample` has it; empty where it has none."""
        if clip in self.categories:
            return self.categories[clip]
        rows = [event for row in self.listed.get(clip, ()) for event in row]
        for events in (
            rows,
            self.visual.get(clip, ()),
            self.audio.get(clip, ()),
            (self.audiovisual or {}).get(clip, ()),
        ):
            for label, _, _ in events:
                return label
        return ""

    def missing(self, clip_ids: Sequence[str]) -> list[str]:
        """Clips of the split that are not among these.

        Raises:
            AnnotationError: two annotated clips are one of these.
        """
        found = match_clips(self.clip_ids, clip_ids)
        return [clip for clip in self.clip_ids if clip not in found]


def rows_of(
    reading: int, clips: Iterable[str], events: Mapping[str, Sequence[Annotation]]
) -> dict[str, list[list[Annotation]]]:  # fmt: skip
    """Rows of clips that none is listed of, as a reading needs them: an event each, or all of a clip in one."""
    if reading == LABELS:
        return {}
    found = {clip: events.get(clip, ()) for clip in clips}
    if reading == FIRST_EVENT:
        return {clip: [[event] for event in some] or [[]] for clip, some in found.items()}
    return {clip: [list(some)] for clip, some in found.items()}


def _in_segments(
    events: Iterable[Annotation], segments: int, segment_seconds: float
) -> Iterator[tuple[str, int, int]]:  # fmt: skip
    """Events as label, first segment and one past the last; what lies in no segment is left out."""
    for label, onset, offset in events:
        start = max(0, math.floor(onset / segment_seconds + 1e-9))
        end = min(segments, math.ceil(offset / segment_seconds - 1e-9))
        if start < end:
            yield label, start, end


def _shares(sizes: Sequence[int], total: int) -> list[int]:
    """``total`` parted by sizes: at least one each, no more than there are, the largest remainders first."""
    total = min(total, sum(sizes))
    exact = [total * size / sum(sizes) for size in sizes]
    found = [max(1, math.floor(share)) for share in exact]
    by_rest = sorted(range(len(sizes)), key=lambda number: (found[number] - exact[number], number))
    while (left := total - sum(found)) != 0:
        for number in by_rest if left > 0 else reversed(by_rest):
            if left > 0 and found[number] < sizes[number]:
                found[number] += 1
                left -= 1
            elif left < 0 and found[number] > 1:
                found[number] -= 1
                left += 1
            if not left:
                break
    return found


def _event(record: Any, where: str) -> Annotation:
    """One event from Python, checked."""
    if not isinstance(record, Sequence) or isinstance(record, str) or len(record) != 3:
        raise AnnotationError(f"{where}: {record!r} is not (label, onset, offset)")
    label = record[0]
    onset, offset = as_number(record[1], where, "onset"), as_number(record[2], where, "offset")
    if not isinstance(label, str) or not label:
        raise AnnotationError(f"{where}: {label!r} is no label")
    if onset >= offset:
        raise AnnotationError(f"{where}: {label} from {onset:g} to {offset:g} s has no length")
    return label, onset, offset
