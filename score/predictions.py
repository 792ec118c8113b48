"""Events to be compared with annotations: av2a's own files, and files that list events, by any other system."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from feature_cache.names import nearest, shortened
from score.choices import LABELS, STREAMS
from score.datasets import Annotations, Dataset, find_dataset
from score.datasets.clip_lists import read_clip_list
from score.datasets.match import LabelNumbers, match_clips
from score.errors import AnnotationError
from score.event_blocks import EventBlocks
from score.event_facts import EventFacts
from score.formats import FORMATS, kind_of
from score.formats.base import EventBlock, Progress
from score.lists import EventList, read_list

SEGMENTS, SEGMENT_SECONDS = 10, 1.0
"""Of the clips of every data set whose figures are of clips."""
_TOLERANCE = 1e-9
_BLOCK = 1 << 16


def read_predictions(
    path: str | PathLike[str],
    annotations: Annotations,
    *,
    clips: str | PathLike[str] | Iterable[str] | None = None,
    partial: bool = False,
    stream: str | None = None,
    format: str | None = None,
    progress: Progress = lambda done, size: None,
) -> EventBlocks:
    """Events of a file, ready for :func:`score.evaluate`: of av2a's own formats, or of one that lists events.

    A list cannot name a clip without events: every clip of the split counts as one that was looked at, unless the file
    does name its clips, or ``clips`` or ``partial`` says otherwise. Its clips and labels may be written in every way
    that :meth:`score.Annotations.align` knows; events of clips that are not in the split are passed over, and
    ``notes`` of what comes back counts them.

    Args:
        path: the file: JSON, JSON lines or Parquet of av2a's, which say all this themselves; or CSV, DCASE TSV,
            ActivityNet JSON, Audacity labels, ...
        annotations: what it will be compared with.
        clips: the clips that were looked at, or a text file of them (or a table whose first column they are).
        partial: only clips with events were looked at.
        stream: the stream of events for which the file names none; by default "audiovisual".
        format: the file's format, whatever its ending.
        progress: called with how much is read, and of how much.

    Raises:
        ScoreError: the file is missing, damaged, or something else, or a time, a stream or a name in it is none.
        AnnotationError: no clip of it is in the split, one is named in two ways, a label is unknown, or scores are
            missing where events are ranked.

    Example:
        >>> annotations = read_annotations("llp", "LLP/annotations", split="test")
        >>> report = evaluate(read_predictions("theirs.csv", annotations), annotations)
    """
    known = FORMATS.get(format or kind_of(path))
    if known is not None and known.read is not None:
        found = EventBlocks.read(path, progress)
        found.notes = tuple(f"{path}: {note}" for note in _not_annotated(found.facts, annotations))
        return found
    return _laid(read_list(path, stream, format, progress), annotations, clips, partial)


def _not_annotated(facts: EventFacts, annotations: Annotations) -> list[str]:
    """A note of scored clips that your own annotations do not have: a list cannot name those without events."""
    if not find_dataset(annotations.kind).any_labels:
        return []
    left = len(facts.clip_ids) - len(match_clips(annotations.clip_ids, facts.clip_ids))
    if not left:
        return []
    return [f"{_counted(left, 'clip')} not in the truth left out; name all clips that are annotated: `clips`"]


def _laid(
    found: EventList, annotations: Annotations, clips: str | PathLike[str] | Iterable[str] | None, partial: bool
) -> EventBlocks:
    """Listed events as those of the split's clips."""
    dataset = find_dataset(annotations.kind)
    by_name = _clips_by_name(found, annotations)
    looked_at = _looked_at(found, annotations, clips, partial, by_name)
    rows, notes = _of_the_split(found, annotations, by_name, looked_at)
    labels, numbers = _labels(found, annotations, dataset, rows)
    notes += _labels_of_its_own(labels, annotations)
    if found.without_length:
        notes.append(f"{_counted(found.without_length, 'event')} without length passed over")
    place = np.full(len(found.clips), -1, dtype=np.int32)
    order = {clip: number for number, clip in enumerate(looked_at)}
    for name, number in by_name.items():
        place[number] = order.get(name, -1)
    others = np.unique(found.block.clip[rows])
    others = others[place[others] < 0]
    place[others] = len(order) + np.arange(len(others))
    some = found.block.part(rows)
    block = EventBlock(place[some.clip], some.stream, numbers[some.label], some.onset, some.offset, some.score)
    if dataset.measure is not None:
        block = _in_segments(found, rows, block)
        if dataset.reading.code != LABELS:
            _check_ranked(found, rows, block, dataset)
    facts = EventFacts(
        config=None,
        clip_ids=(*looked_at, *(found.clips[number] for number in others.tolist())),
        labels=labels,
        segments=SEGMENTS,
        segment_seconds=SEGMENT_SECONDS,
        cache={},
        left_out={},
        stitched=dataset.measure is None,
    )
    if len(block) and dataset.reading.code == LABELS:
        notes += _streams_without_events(block, dataset, annotations)
    parts = (block.part(slice(at, at + _BLOCK)) for at in range(0, len(block), _BLOCK))
    return EventBlocks(facts, parts, tuple(f"{found.path}: {note}" for note in notes))


def _clips_by_name(found: EventList, annotations: Annotations) -> Mapping[str, int]:
    """Numbers of the file's clips by annotated name.

    Raises:
        AnnotationError: none of them is annotated, or one is named in two ways.
    """
    by_name = _matched(found, annotations, found.clips)
    taken = set(by_name.values())
    rest = [clip for number, clip in enumerate(found.clips) if number not in taken]
    for name, number in _matched(found, annotations, rest).items():
        if name in by_name:
            first = shortened(found.clips[by_name[name]], 60)
            raise AnnotationError(
                f"{found.path}: clip {shortened(name, 60)} is named in two ways, {first!r} and "
                f"{shortened(rest[number], 60)!r}: write one of them"
            )
    if found.clips and not by_name:
        raise AnnotationError(
            f"{found.path}: none of its {len(found.clips)} clips (first: {shortened(found.clips[0], 60)}) is one of "
            f"{_split(annotations)}'s {len(annotations.clip_ids)} (first: {shortened(annotations.clip_ids[0], 60)}): "
            "are these its events?"
        )
    return by_name


def _matched(found: EventList, annotations: Annotations, clips: Sequence[str]) -> dict[str, int]:
    try:
        return match_clips(annotations.clip_ids, clips)
    except AnnotationError as error:
        raise AnnotationError(f"{found.path}: {error}") from error


def _looked_at(
    found: EventList,
    annotations: Annotations,
    clips: str | PathLike[str] | Iterable[str] | None,
    partial: bool,
    by_name: Mapping[str, int],
) -> dict[str, None]:
    """The clips of the split that were looked at, in its order."""
    dataset = find_dataset(annotations.kind)
    if clips is not None:
        named = read_clip_list(clips) if isinstance(clips, str | PathLike) else tuple(clips)
        return dict.fromkeys(_matched(found, annotations, tuple(dict.fromkeys(named))))
    if found.named is not None and (partial or not dataset.others_count):
        also = _matched(found, annotations, found.named)
        return dict.fromkeys(clip for clip in annotations.clip_ids if clip in by_name or clip in also)
    return dict.fromkeys(by_name if partial else annotations.clip_ids)


def _of_the_split(
    found: EventList, annotations: Annotations, by_name: Mapping[str, int], looked_at: Mapping[str, None]
) -> tuple[NDArray[np.int64], list[str]]:
    """Rows of events that count, and what is to be said of the others.

    Raises:
        AnnotationError: an event is of a clip of the split that was not looked at.
    """
    wanted = np.zeros(len(found.clips), dtype=bool)
    for name, number in by_name.items():
        if name not in looked_at:
            raise AnnotationError(
                f"{found.path}: it has events of clip {shortened(name, 60)}, which is not among the clips that were "
                "looked at (`clips`): add it there, or remove them"
            )
        wanted[number] = True
    keep = wanted[found.block.clip]
    if keep.all() or find_dataset(annotations.kind).others_count:
        return np.arange(len(keep)), []
    first = shortened(found.clips[int(np.flatnonzero(~wanted)[0])], 60)
    events, clips = _counted(int((~keep).sum()), "event"), _counted(int((~wanted).sum()), "clip")
    mend = "" if annotations.split else "; name all clips that are annotated: `clips`"
    return np.flatnonzero(keep), [f"{events} of {clips} not in {_split(annotations)} passed over ({first}{mend})"]


def _labels(
    found: EventList, annotations: Annotations, dataset: Dataset, rows: NDArray[np.int64]
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """All labels that count, and for each of the file's its number among them.

    Raises:
        AnnotationError: the data set knows none like it, or several.
    """
    known = list(annotations.labels or annotations.origin)
    index = LabelNumbers(known, {})
    numbers = np.full(len(found.labels), -1, dtype=np.int32)
    for number in np.unique(found.block.label[rows]).tolist():
        label = found.labels[number]
        if label[:1] == "#" and label[1:].isdecimal():
            label = annotations.numbered.get(int(label[1:]), label)
        like = index.like(label)
        if len(like) > 1:
            several = " and ".join(repr(known[each]) for each in like[:3])
            raise AnnotationError(f"{found.path}: label {label!r} may be {several}: write it as one of them")
        if like:
            numbers[number] = like[0]
        elif not dataset.any_labels:
            raise AnnotationError(
                f"{found.path}: label {shortened(label, 60)!r} is none of the {len(known)} of the {dataset.title} "
                f"annotations{_nearest(label, known)}: correct it, or remove its events"
            )
    extra: dict[str, int] = {}
    for number in np.unique(found.block.label[rows]).tolist():
        if numbers[number] < 0:
            numbers[number] = len(known) + extra.setdefault(found.labels[number], len(extra))
    return (*known, *extra), numbers


def _labels_of_its_own(labels: Sequence[str], annotations: Annotations) -> list[str]:
    """A note of labels that are nowhere true: one may be another's misspelling."""
    known = list(annotations.labels or annotations.origin)
    own = labels[len(known) :]
    if not own:
        return []
    some = ", ".join(f"{shortened(label, 40)!r}{_nearest(label, known)}" for label in own[:3])
    return [f"{_counted(len(own), 'label')} that the truth does not have: {some}{', ...' if len(own) > 3 else ''}"]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _nearest(label: str, known: Sequence[str]) -> str:
    """The label that was meant, perhaps."""
    near = nearest(label, known)
    return f" (nearest: {shortened(near[0], 60)!r})" if near else ""


def _in_segments(found: EventList, rows: NDArray[np.int64], block: EventBlock) -> EventBlock:
    """Events from whole segments to whole segments, as annotations are: onsets rounded down, offsets up.

    Raises:
        AnnotationError: an event lies behind its clip's end.
    """
    length = SEGMENTS * SEGMENT_SECONDS
    behind = block.onset >= length - _TOLERANCE
    late = behind | (block.offset > length + SEGMENT_SECONDS + _TOLERANCE)
    for row in np.flatnonzero(late)[:1].tolist():
        what = "begins after" if behind[row] else "lasts until long after"
        raise AnnotationError(
            f"{found.path}: {found.told(rows[row])} {what} the clip's end at {length:g} s: write seconds from the "
            "clip's own beginning"
        )
    start = np.floor(block.onset / SEGMENT_SECONDS + _TOLERANCE)
    end = np.minimum(np.ceil(block.offset / SEGMENT_SECONDS - _TOLERANCE), SEGMENTS)
    onset, offset = start * SEGMENT_SECONDS, np.maximum(end, start + 1) * SEGMENT_SECONDS
    return EventBlock(block.clip, block.stream, block.label, onset, offset, block.score)


def _check_ranked(found: EventList, rows: NDArray[np.int64], block: EventBlock, dataset: Dataset) -> None:
    """Where a segment has one label, several events there are told apart by their scores.

    Raises:
        AnnotationError: one of them has none.
    """
    both = np.flatnonzero(block.stream == STREAMS.index("audiovisual"))
    if not np.isnan(block.score[both]).any():
        return
    start, end = (np.rint(each[both] / SEGMENT_SECONDS).astype(np.int64) for each in (block.onset, block.offset))
    place = np.repeat(np.arange(len(both)), end - start)
    segment = np.arange(len(place)) - np.repeat(np.cumsum(end - start) - end, end - start)
    at = block.clip[both][place].astype(np.int64) * SEGMENTS + segment
    table = np.unique(np.column_stack([at, block.label[both][place]]), axis=0)
    several, labels = np.unique(table[:, 0], return_counts=True)
    unsaid = np.isnan(block.score[both])[place] & np.isin(at, several[labels > 1])
    for each in np.flatnonzero(unsaid)[:1].tolist():
        row = int(rows[both[place[each]]])
        raise AnnotationError(
            f"{found.path}: {found.told(row)} has no score and is not alone there: {dataset.title} reads one label a "
            "segment, the best: write scores, or one event at a time"
        )


def _streams_without_events(block: EventBlock, dataset: Dataset, annotations: Annotations) -> list[str]:
    lacking = [
        name
        for number, name in enumerate(STREAMS)
        if name in dataset.streams and name in annotations.streams and not (block.stream == number).any()
    ]
    return [f"no {' and no '.join(lacking)} events are in it"] if lacking else []


def _split(annotations: Annotations) -> str:
    return f"the {annotations.split} split" if annotations.split else "the truth"
