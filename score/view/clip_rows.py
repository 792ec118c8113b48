"""What lists of clips say of each: how many events, the best score, labels, and how far it is from its annotations."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from score.choices import STREAMS
from score.datasets import Annotations
from score.datasets.match import LabelNumbers
from score.events import Events

_DIGITS = 4


def empty_rows(clip_ids: Sequence[str], missing: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows of clips whose events are not known yet, JSON-able.

    Args:
        clip_ids: n clips.
        missing: by clip id, "picture" or "sound": what a clip does not have.
    """
    nothing: dict[str, Any] = {"counts": None, "score": None, "labels": [], "wrong": None}
    return [{"id": clip, **nothing, "missing": missing.get(clip)} for clip in clip_ids]


def clip_rows(events: Events, wrong: Mapping[str, float]) -> list[dict[str, Any]]:
    """A row for each clip of events, JSON-able.

    Args:
        events: of n clips.
        wrong: by clip id, 0 to 100, how far a clip is from its annotations; NaN or nothing where that is not known.

    Returns:
        counts (of ``STREAMS``), score (the best; None: no event), labels (numbers), wrong.
    """
    n = len(events.clip_ids)
    counts = np.zeros((n, len(STREAMS)), np.int64)
    np.add.at(counts, (events.clip, events.stream_number), 1)
    best = np.full(n, -np.inf)
    np.maximum.at(best, events.clip, events.score)
    labels: list[set[int]] = [set() for _ in range(n)]
    for clip, label in zip(events.clip.tolist(), events.label.tolist(), strict=True):
        labels[clip].add(label)
    rows = zip(events.clip_ids, counts.tolist(), best.tolist(), labels, strict=True)
    return [
        {
            "counts": count,
            "score": round(score, _DIGITS) if score > -np.inf else None,
            "labels": sorted(some),
            "wrong": _rounded(wrong.get(clip)),
        }
        for clip, count, score, some in rows
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, 2)


def true_events(
    annotations: Annotations, clip: str, labels: Sequence[str], begins: float, duration: float
) -> list[list[Any]]:
    """What is annotated in a clip: stream, label, onset, offset; labels that are none of these are left out.

    Args:
        annotations: of the clip's split.
        clip: as the annotations name it.
        labels: C labels.
        begins: second of the annotated file at which the clip begins.
        duration: seconds of the clip.
    """
    numbers = LabelNumbers(labels, annotations.origin)
    sides: dict[str, list[tuple[int, float, float]]] = {}
    for stream, side in (("visual", annotations.visual), ("audio", annotations.audio)):
        sides[stream] = _spans(side.get(clip, ()), numbers)
    if annotations.audiovisual is not None:
        sides["audiovisual"] = _spans(annotations.audiovisual.get(clip, ()), numbers)
    else:
        sides["audiovisual"] = _both(sides["visual"], sides["audio"])
    found = []
    for number, stream in enumerate(STREAMS):
        for label, onset, offset in sorted(sides[stream]):
            start, end = max(0.0, onset - begins), min(duration, offset - begins)
            if stream in annotations.streams and start < end:
                found.append([number, label, round(start, 6), round(end, 6)])
    return found


def _spans(events: Sequence[Any], numbers: LabelNumbers) -> list[tuple[int, float, float]]:
    found = []
    for label, onset, offset in events:
        like = numbers.like(label)
        if len(like) == 1:
            found.append((like[0], float(onset), float(offset)))
    return found


def _both(
    seen: Sequence[tuple[int, float, float]], heard: Sequence[tuple[int, float, float]]
) -> list[tuple[int, float, float]]:
    """When a label is seen and heard."""
    return [
        (label, max(start, onset), min(end, offset))
        for label, start, end in seen
        for other, onset, offset in heard
        if other == label and max(start, onset) < min(end, offset)
    ]
