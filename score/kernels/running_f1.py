"""Running F1 of a stream of one clip while candidates are added one by one (docs/design.md 4.8).

Counts are those of ``f1.py``. A label adds to a mean if it occurs in truth or prediction, so that only labels
with a prediction have to be looked at: the others count with an F1 of 0.
"""

from typing import NamedTuple

import numpy as np

from score.kernels.bitmask import popcount, span
from score.kernels.f1 import FN, FP, TP, count_events
from score.kernels.jit import inner
from score.kernels.types import F64, I64, U64


class RunningF1(NamedTuple):
    """Predictions of one stream of one clip, and their counts."""

    bitmasks: U64  # (C,), predicted segments
    touched: I64  # (C,), the first ``state[0]`` are the labels with a prediction
    state: I64  # (2,), number of labels touched, and of those that are not in the truth
    segment: I64  # (C, 3), TP FP FN of labels touched
    event: I64  # (C, 3)


class TrueCounts(NamedTuple):
    """Truth of one stream of one clip."""

    bitmasks: U64  # (C,)
    segments: I64  # (C,), segments a label
    events: I64  # (C,), runs a label
    labels: I64  # (1,), labels that occur


def empty_running_f1(labels: int) -> RunningF1:
    """No predictions of C labels."""
    return RunningF1(
        bitmasks=np.zeros(labels, np.uint64),
        touched=np.zeros(labels, np.int64),
        state=np.zeros(2, np.int64),
        segment=np.zeros((labels, 3), np.int64),
        event=np.zeros((labels, 3), np.int64),
    )


def empty_truth(labels: int) -> TrueCounts:
    """Places for the truth of C labels."""
    return TrueCounts(
        bitmasks=np.zeros(labels, np.uint64),
        segments=np.zeros(labels, np.int64),
        events=np.zeros(labels, np.int64),
        labels=np.zeros(1, np.int64),
    )


@inner
def set_truth(true: TrueCounts, bitmasks: U64) -> None:
    """Take the truth of a clip, uint64 (C,)."""
    true.labels[0] = 0
    for k in range(bitmasks.shape[0]):
        bitmask = bitmasks[k]
        true.bitmasks[k] = bitmask
        true.segments[k] = np.int64(popcount(bitmask))
        true.events[k] = np.int64(popcount(bitmask & ~(bitmask << np.uint64(1))))
        if bitmask != 0:
            true.labels[0] += 1


@inner
def reset_f1(running: RunningF1) -> None:
    """Drop all predictions."""
    for x in range(running.state[0]):
        running.bitmasks[running.touched[x]] = 0
    running.state[0] = 0
    running.state[1] = 0


@inner
def add_bitmask(running: RunningF1, true: TrueCounts, label: int, bitmask: np.uint64) -> None:
    """Add predicted segments of a label; ``bitmask`` is not 0."""
    if running.bitmasks[label] == 0:
        running.touched[running.state[0]] = label
        running.state[0] += 1
        if true.bitmasks[label] == 0:
            running.state[1] += 1
    running.bitmasks[label] |= bitmask
    whole = running.bitmasks[label]
    hit = np.int64(popcount(whole & true.bitmasks[label]))
    running.segment[label, TP] = hit
    running.segment[label, FP] = np.int64(popcount(whole)) - hit
    running.segment[label, FN] = true.segments[label] - hit
    running.event[label] = 0
    count_events(whole, true.bitmasks[label], running.event[label])


@inner
def add_candidate(running: RunningF1, true: TrueCounts, label: int, start: int, end: int) -> None:
    """Add a predicted event."""
    add_bitmask(running, true, label, span(start, end))


@inner
def mean_f1(running: RunningF1, true: TrueCounts, out: F64) -> None:
    """Mean F1 over the labels that occur: float64 (2,), segment level and event level."""
    labels = true.labels[0] + running.state[1]
    if labels == 0:
        out[0] = 1.0
        out[1] = 1.0
        return
    segment = 0.0
    event = 0.0
    for x in range(running.state[0]):
        k = running.touched[x]
        tp, rest = running.segment[k, TP], running.segment[k, FP] + running.segment[k, FN]
        if tp > 0:
            segment += 2.0 * tp / (2.0 * tp + rest)
        tp, rest = running.event[k, TP], running.event[k, FP] + running.event[k, FN]
        if tp > 0:
            event += 2.0 * tp / (2.0 * tp + rest)
    out[0] = segment / labels
    out[1] = event / labels


@inner
def added_mean_f1(
    visual: RunningF1, visual_true: TrueCounts, audio: RunningF1, audio_true: TrueCounts, either: int, out: F64
) -> None:
    """:func:`mean_f1` of the counts of picture and sound added up (Event@AV).

    Args:
        visual: RunningF1.
        visual_true: TrueCounts.
        audio: RunningF1.
        audio_true: TrueCounts.
        either: number of labels in the truth of picture or sound.
        out: float64 (2,), written.
    """
    labels = either
    segment = 0.0
    event = 0.0
    for side in range(2):
        running = visual if side == 0 else audio
        for x in range(running.state[0]):
            k = running.touched[x]
            if side == 1 and visual.bitmasks[k] != 0:
                continue  # counted with the picture
            if visual_true.bitmasks[k] == 0 and audio_true.bitmasks[k] == 0:
                labels += 1
                continue
            tp = rest = event_tp = event_rest = 0
            if visual.bitmasks[k] != 0:
                tp += visual.segment[k, TP]
                rest += visual.segment[k, FP] + visual.segment[k, FN]
                event_tp += visual.event[k, TP]
                event_rest += visual.event[k, FP] + visual.event[k, FN]
            else:
                rest += visual_true.segments[k]
                event_rest += visual_true.events[k]
            if audio.bitmasks[k] != 0:
                tp += audio.segment[k, TP]
                rest += audio.segment[k, FP] + audio.segment[k, FN]
                event_tp += audio.event[k, TP]
                event_rest += audio.event[k, FP] + audio.event[k, FN]
            else:
                rest += audio_true.segments[k]
                event_rest += audio_true.events[k]
            if tp > 0:
                segment += 2.0 * tp / (2.0 * tp + rest)
            if event_tp > 0:
                event += 2.0 * event_tp / (2.0 * event_tp + event_rest)
    if labels == 0:
        out[0] = 1.0
        out[1] = 1.0
        return
    out[0] = segment / labels
    out[1] = event / labels
