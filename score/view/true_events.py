"""Annotations as events in seconds, of seen, heard and both."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from feature_cache.names import shortened
from score.choices import KERNEL_STREAMS, STREAMS
from score.datasets import Annotations, find_dataset
from score.datasets.match import LabelNumbers
from score.datasets.values import Annotation
from score.formats.base import EventBlock, joined
from score.runs import Runs, joined_runs, overlaps


def true_events(annotations: Annotations, clips: Mapping[str, int], labels: Mapping[str, int]) -> EventBlock:
    """What is annotated in clips, of the streams that are and that count; what touches or overlaps is one.

    Where nobody says what is both seen and heard, it is what is each at the same time.

    Args:
        annotations: of a split.
        clips: numbers of clips by annotated name.
        labels: numbers of labels by annotated name; events of others are left out.

    Returns:
        Events sorted by stream, clip, label and time; scores are NaN.
    """
    size = max(labels.values(), default=-1) + 1
    sides: Sequence[Mapping[str, Sequence[Annotation]]] = (annotations.visual, annotations.audio)
    visual, audio = (_runs(side, clips, labels, size) for side in sides)
    both = overlaps(visual, audio).common
    if annotations.audiovisual is not None:
        both = _runs(annotations.audiovisual, clips, labels, size)
    found = dict(zip(KERNEL_STREAMS, (visual, audio, both), strict=True))
    counted = {*annotations.streams} & {*find_dataset(annotations.kind).streams}
    streams = ((number, name) for number, name in enumerate(STREAMS) if name in counted)
    return joined([_block(number, found[name], size) for number, name in streams])


def annotated_labels(annotations: Annotations, clips: Iterable[str]) -> list[str]:
    """The labels that occur in clips, by the order in which they do."""
    sides = [annotations.visual, annotations.audio, annotations.audiovisual or {}]
    return list(dict.fromkeys(label for clip in clips for side in sides for label, _, _ in side.get(clip, ())))


def what_lacks(annotations: Annotations, clips: Iterable[str], labels: Sequence[str]) -> str:
    """Which annotated labels of clips are none of some labels, a line; empty where all are.

    Args:
        annotations: of a split.
        clips: as the annotations name them.
        labels: C labels.
    """
    numbers = LabelNumbers(labels, annotations.origin)
    lacking = [label for label in annotated_labels(annotations, clips) if not numbers.like(label)]
    if not lacking:
        return ""
    return (
        f"{len(lacking)} of the annotated labels, such as {shortened(lacking[0], 60)!r}, are none of this label set: "
        "there are no figures with it"
    )


def _runs(
    side: Mapping[str, Sequence[Annotation]], clips: Mapping[str, int], labels: Mapping[str, int], size: int
) -> Runs:  # fmt: skip
    rows = [
        (number * size + labels[label], onset, offset)
        for clip, number in clips.items()
        for label, onset, offset in side.get(clip, ())
        if onset < offset and label in labels
    ]
    key, onset, offset = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return joined_runs(key.astype(np.int64), onset, offset)


def _block(stream: int, runs: Runs, size: int) -> EventBlock:
    n = len(runs)
    clip, label = np.divmod(runs.key, max(size, 1))
    return EventBlock(
        clip.astype(np.int32),
        np.full(n, stream, dtype=np.int8),
        label.astype(np.int32),
        runs.start,
        runs.end,
        np.full(n, np.nan),
    )
