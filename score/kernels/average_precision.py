"""Average precision of ranked events: which of them match, and what that is worth (docs/design.md 4.8)."""

from typing import Any

import numpy as np

from score.kernels.jit import lean
from score.kernels.types import F64, I64


@lean
def mark_matches(
    group: I64, onset: F64, offset: F64, first: I64, true_onset: F64, true_offset: F64, thresholds: F64,
    taken: Any, best: I64, best_iou: F64, matches: Any,
) -> None:  # fmt: skip
    """Match ranked events with true ones: each takes the true event of its group with the largest IoU that is free.

    Args:
        group: int64 (E,), the clip and class of each event, best events first; -1 where nothing is true.
        onset: float64 (E,), seconds.
        offset: float64 (E,), likewise.
        first: int64 (G + 1,), where the true events of each group begin.
        true_onset: float64 (M,).
        true_offset: float64 (M,).
        thresholds: float64 (H,), the least IoU of a match, rising; at most 16.
        taken: uint16 (M,), zeros; a bit for each threshold, written.
        best: int64 (H,), overwritten.
        best_iou: float64 (H,), likewise.
        matches: uint16 (E,), a bit for each threshold at which the event matches, written.
    """
    for e in range(group.shape[0]):
        matches[e] = 0
        if group[e] < 0:
            continue
        best[:] = -1
        best_iou[:] = 0.0
        for m in range(first[group[e]], first[group[e] + 1]):
            common = max(0.0, min(offset[e], true_offset[m]) - max(onset[e], true_onset[m]))
            iou = common / ((true_offset[m] - true_onset[m]) + (offset[e] - onset[e]) - common)
            for h in range(thresholds.shape[0]):
                if not iou >= thresholds[h]:
                    break
                if iou > best_iou[h] and not (taken[m] >> np.uint16(h)) & np.uint16(1):
                    best[h] = m
                    best_iou[h] = iou
        for h in range(thresholds.shape[0]):
            if best[h] >= 0:
                taken[best[h]] |= np.uint16(1 << h)
                matches[e] |= np.uint16(1 << h)


@lean
def average_precisions(
    counts: Any, clip: I64, first: I64, matches: Any, true_clip: I64, true_first: I64, at: I64, weight: I64, out: F64
) -> None:
    """Average precisions of the classes, in R samples in which each clip occurs so many times.

    A clip that occurs twice is two clips of equal events: its events follow each other in the ranking. Precision is
    taken as the largest from there on (VOC), recall over the true events of the class.

    Args:
        counts: int32 (R, n + 1), how often each clip occurs; the last column is that of events of other clips.
        clip: int64 (E,), of each event; the classes after each other, in each the best event first.
        first: int64 (C + 1,), where the events of each class begin.
        matches: uint16 (E,), a bit for each threshold.
        true_clip: int64 (M,), of each true event.
        true_first: int64 (C + 1,), where the true events of each class begin.
        at: int64 (E,), overwritten.
        weight: int64 (E,), likewise.
        out: float64 (R, C, H), written; NaN where nothing of the class is true.
    """
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            true = 0
            for m in range(true_first[c], true_first[c + 1]):
                true += counts[r, true_clip[m]]
            if true == 0:
                out[r, c] = np.nan
                continue
            events = 0
            some = 0
            for e in range(first[c], first[c + 1]):
                events += counts[r, clip[e]]
                if matches[e] and counts[r, clip[e]]:
                    at[some] = e
                    weight[some] = events
                    some += 1
            for h in range(out.shape[2]):
                bit = np.uint16(1 << h)
                right = 0
                for i in range(some):
                    if matches[at[i]] & bit:
                        right += counts[r, clip[at[i]]]
                highest = 0.0
                area = 0.0
                for i in range(some - 1, -1, -1):
                    if matches[at[i]] & bit:
                        times = counts[r, clip[at[i]]]
                        highest = max(highest, right / weight[i])
                        area += times / true * highest
                        right -= times
                out[r, c, h] = area
