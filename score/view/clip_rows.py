"""Clips for a list, and their events as numbers: what pages show of events, as JSON."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.choices import STREAMS
from score.formats.base import EventBlock
from score.runs import Runs, joined_runs, overlaps

Floats = NDArray[np.float64]
_DIGITS, _SCORE_DIGITS = 6, 4


def renumbered(block: EventBlock, clips: NDArray[np.int64], labels: NDArray[np.int64]) -> EventBlock:
    """Events under other numbers, sorted by clip.

    Args:
        block: the events.
        clips: int64, the new number of each clip; events of clips whose number is negative are left out.
        labels: int64, the new number of each label.
    """
    clip = clips[block.clip]
    kept = np.flatnonzero(clip >= 0)
    kept = kept[np.argsort(clip[kept], kind="stable")]
    return EventBlock(
        clip[kept].astype(np.int32), block.stream[kept], labels[block.label[kept]].astype(np.int32), block.onset[kept],
        block.offset[kept], block.score[kept],
    )  # fmt: skip


def flat_events(block: EventBlock, n: int, *, scores: bool = True) -> list[list[Any]]:
    """Events of each clip as one list of numbers, event after event: stream, label, onset, offset, score.

    Args:
        block: events sorted by clip.
        n: number of clips.
        scores: whether scores are in it, None where there is none; else an event is four numbers.

    Example:
        >>> flat_events(block, 2)
        [[1, 0, 0, 3.5, 0.9134], []]
    """
    edges = np.searchsorted(block.clip, np.arange(n + 1)).tolist()
    columns: list[list[Any]] = [block.stream.tolist(), block.label.tolist(), _times(block.onset), _times(block.offset)]
    if scores:
        columns.append(_short(block.score, _SCORE_DIGITS))
    rows = list(zip(*columns, strict=True))
    return [[value for row in rows[first:last] for value in row] for first, last in pairwise(edges)]


def clip_columns(block: EventBlock, n: int) -> dict[str, list[Any]]:
    """What a list of n clips says of each, as columns.

    Args:
        block: events sorted by clip.
        n: number of clips.

    Returns:
        "counts", numbers of events in the order of ``STREAMS``, three a clip; "score", the best one; "labels", lists of
        numbers of the labels that have events.
    """
    counts = np.zeros((n, len(STREAMS)), dtype=np.int64)
    np.add.at(counts, (block.clip, block.stream), 1)
    best = np.full(n, np.nan)
    np.fmax.at(best, block.clip, block.score)
    return {
        "counts": counts.ravel().tolist(),
        "score": _short(best, _SCORE_DIGITS),
        "labels": labels_by_clip([block], n),
    }


def labels_by_clip(blocks: Sequence[EventBlock], n: int) -> list[list[int]]:
    """Numbers of the labels that have events in each of n clips, in any of some blocks."""
    found: list[list[int]] = [[] for _ in range(n)]
    if blocks:
        pairs = np.concatenate([np.stack([block.clip, block.label], axis=1) for block in blocks])
        for clip, label in np.unique(pairs, axis=0).tolist():
            found[clip].append(label)
    return found


def differences(blocks: Sequence[EventBlock], n: int, labels: int) -> Floats:
    """How much of the time that events of some layers cover is not covered by all of them.

    Args:
        blocks: events of each layer.
        n: number of clips.
        labels: number of labels.

    Returns:
        float64 (n,) in percent; 0 where no layer has events.
    """
    size = len(STREAMS) * labels
    layers = [
        joined_runs(block.clip.astype(np.int64) * size + block.stream * labels + block.label, block.onset, block.offset)
        for block in blocks
    ]
    covered = joined_runs(*(np.concatenate(each) for each in zip(*map(_columns, layers), strict=True)))
    common = layers[0]
    for layer in layers[1:]:
        common = overlaps(common, layer).common
    by_all, by_any = (np.bincount(each.key // size, weights=each.length, minlength=n) for each in (common, covered))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_any > 0, 100.0 * (1.0 - by_all / by_any), 0.0)


def disagreement(by_clip: Mapping[str, Floats], objective: str, figures: Sequence[str]) -> tuple[str, Floats] | None:
    """How far each clip is from its annotations: 100 less a figure of it alone.

    Args:
        by_clip: figures of clips in percent, by name.
        objective: the figure that is meant where clips have it.
        figures: names of others, the best known first.

    Returns:
        The figure's name, and float64 (n,) in percent, NaN where a clip has none; None where no figure is of clips.
    """
    for name in (objective, *figures, *by_clip):
        found = by_clip.get(name)
        if found is not None and not np.isnan(found).all():
            return name, 100.0 - found
    return None


def percents(values: Floats) -> list[float | None]:
    """With one digit; None where there is none."""
    return _short(values, 1)


def _columns(runs: Runs) -> tuple[NDArray[Any], ...]:
    return runs.key, runs.start, runs.end


def _times(seconds: Floats) -> list[int | float]:
    return [int(value) if value.is_integer() else round(value, _DIGITS) for value in seconds.tolist()]


def _short(values: Floats, digits: int) -> list[float | None]:
    return [None if value != value else round(value, digits) for value in values.tolist()]
