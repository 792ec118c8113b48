"""LLP's figures of runs of segments on timelines of any length (docs/design.md 4.8)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from score.choices import AUDIO, AUDIOVISUAL, VISUAL
from score.runs import Runs, overlaps

Floats = NDArray[np.float64]
TP, FP, FN = range(3)


def figures_of_runs(
    found: Sequence[Runs], true: Sequence[Runs], clips: int, labels: int
) -> tuple[Floats, NDArray[np.int64]]:
    """F1 of segments and events of each clip: means over the labels that occur in it, 1 where none does.

    Args:
        found: runs of segments, visual, audio and audiovisual; a timeline's number is clip · C + label.
        true: likewise.
        clips: n.
        labels: C.

    Returns:
        float64 (n, 8), segments visual, audio, audiovisual, visual and audio counts added up, then events likewise; and
        int64 (C, 3, 2, 3), counts TP, FP, FN of each label over all clips, by stream, of segments and events.
    """
    sums = np.empty((clips, 8))
    by_label = np.zeros((labels, 3, 2, 3), dtype=np.int64)
    counted = []
    for stream in (VISUAL, AUDIO, AUDIOVISUAL):
        key, counts = _counts(found[stream], true[stream])
        counted.append((key, counts))
        for level in range(2):
            sums[:, 4 * level + stream] = _mean_f1(key // max(labels, 1), counts[:, level], clips)
        np.add.at(by_label[:, stream], key % max(labels, 1), counts.astype(np.int64))
    key, at = np.unique(np.concatenate([counted[VISUAL][0], counted[AUDIO][0]]), return_inverse=True)
    added = np.zeros((len(key), 2, 3))
    np.add.at(added, at, np.concatenate([counted[VISUAL][1], counted[AUDIO][1]]))
    for level in range(2):
        sums[:, 4 * level + 3] = _mean_f1(key // max(labels, 1), added[:, level], clips)
    return sums, by_label


def _counts(found: Runs, true: Runs) -> tuple[NDArray[np.int64], Floats]:
    """Of each timeline that has a run: its number, and float64 (., 2, 3) TP, FP, FN of segments and of events."""
    key = np.union1d(found.key, true.key)
    ours, theirs = np.searchsorted(key, found.key), np.searchsorted(key, true.key)
    pairs = overlaps(found, true)
    common = pairs.common.length
    alike = 2 * common >= found.length[pairs.ours] + true.length[pairs.theirs] - common
    hit, seen = np.zeros(len(found), bool), np.zeros(len(true), bool)
    hit[pairs.ours[alike]] = True
    seen[pairs.theirs[alike]] = True
    counts = np.zeros((len(key), 2, 3))
    size = len(key)
    counts[:, 0, TP] = np.bincount(ours[pairs.ours], weights=common, minlength=size)
    counts[:, 0, FP] = np.bincount(ours, weights=found.length, minlength=size) - counts[:, 0, TP]
    counts[:, 0, FN] = np.bincount(theirs, weights=true.length, minlength=size) - counts[:, 0, TP]
    counts[:, 1, TP] = np.bincount(ours[hit], minlength=size)
    counts[:, 1, FP] = np.bincount(ours[~hit], minlength=size)
    counts[:, 1, FN] = np.bincount(theirs[~seen], minlength=size)
    return key, counts


def _mean_f1(clip: NDArray[np.int64], counts: Floats, clips: int) -> Floats:
    f1 = 2.0 * counts[:, TP] / (2.0 * counts[:, TP] + counts[:, FP] + counts[:, FN])
    there = np.bincount(clip, minlength=clips)
    total = np.bincount(clip, weights=f1, minlength=clips)
    return np.where(there > 0, total / np.maximum(there, 1), 1.0)
