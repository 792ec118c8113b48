"""Tallies: F1 of a stream of one clip while candidates are added one by one (docs/design.md 4.8).

Counts are those of ``figures.py``. A label adds to a mean if it occurs in truth or prediction, so that only labels
with a prediction have to be looked at: the others count with an F1 of 0.
"""

from typing import Any, NamedTuple

import numpy as np

from score.kernels.bitmask import popcount, span
from score.kernels.f1 import FN, FP, TP, count_events
from score.kernels.jit import inner


class Tally(NamedTuple):
    """Predictions of one stream of one clip, and their counts."""

    words: Any  # uint64 (C,), predicted segments
    touched: Any  # int64 (C,), the first ``state[0]`` are the labels with a prediction
    state: Any  # int64 (2,), number of labels touched, and of those that are not in the truth
    segment: Any  # int64 (C, 3), TP FP FN of labels touched
    event: Any  # int64 (C, 3)


class TrueCounts(NamedTuple):
    """Truth of one stream of one clip."""

    words: Any  # uint64 (C,)
    segments: Any  # int64 (C,), segments a label
    events: Any  # int64 (C,), runs a label
    labels: Any  # int64 (1,), labels that occur


def tally_room(labels: int) -> Tally:
    """Room for C labels."""
    return Tally(
        np.zeros(labels, np.uint64),
        np.zeros(labels, np.int64),
        np.zeros(2, np.int64),
        np.zeros((labels, 3), np.int64),
        np.zeros((labels, 3), np.int64),
    )


def true_room(labels: int) -> TrueCounts:
    """Room for the truth of C labels."""
    return TrueCounts(
        np.zeros(labels, np.uint64),
        np.zeros(labels, np.int64),
        np.zeros(labels, np.int64),
        np.zeros(1, np.int64),
    )


@inner
def set_truth(room: Any, words: Any) -> None:
    """Take the truth of a clip, uint64 (C,)."""
    room.labels[0] = 0
    for k in range(words.shape[0]):
        word = words[k]
        room.words[k] = word
        room.segments[k] = np.int64(popcount(word))
        room.events[k] = np.int64(popcount(word & ~(word << np.uint64(1))))
        if word != 0:
            room.labels[0] += 1


@inner
def clear_tally(tally: Any) -> None:
    """Forget all predictions."""
    for x in range(tally.state[0]):
        tally.words[tally.touched[x]] = 0
    tally.state[0] = 0
    tally.state[1] = 0


@inner
def add_word(tally: Any, true: Any, label: int, word: Any) -> None:
    """Add predicted segments of a label; ``word`` is not 0."""
    if tally.words[label] == 0:
        tally.touched[tally.state[0]] = label
        tally.state[0] += 1
        if true.words[label] == 0:
            tally.state[1] += 1
    tally.words[label] |= word
    whole = tally.words[label]
    hit = np.int64(popcount(whole & true.words[label]))
    tally.segment[label, TP] = hit
    tally.segment[label, FP] = np.int64(popcount(whole)) - hit
    tally.segment[label, FN] = true.segments[label] - hit
    tally.event[label] = 0
    count_events(whole, true.words[label], tally.event[label])


@inner
def add_candidate(tally: Any, true: Any, label: int, start: int, end: int) -> None:
    """Add a predicted event."""
    add_word(tally, true, label, span(start, end))


@inner
def tally_means(tally: Any, true: Any, out: Any) -> None:
    """Mean F1 over the labels that occur: float64 (2,), segment level and event level."""
    labels = true.labels[0] + tally.state[1]
    if labels == 0:
        out[0] = 1.0
        out[1] = 1.0
        return
    segment = 0.0
    event = 0.0
    for x in range(tally.state[0]):
        k = tally.touched[x]
        tp, rest = tally.segment[k, TP], tally.segment[k, FP] + tally.segment[k, FN]
        if tp > 0:
            segment += 2.0 * tp / (2.0 * tp + rest)
        tp, rest = tally.event[k, TP], tally.event[k, FP] + tally.event[k, FN]
        if tp > 0:
            event += 2.0 * tp / (2.0 * tp + rest)
    out[0] = segment / labels
    out[1] = event / labels


@inner
def added_means(visual: Any, visual_true: Any, audio: Any, audio_true: Any, either: int, out: Any) -> None:
    """:func:`tally_means` of the counts of picture and sound added up (Event@AV).

    Args:
        visual: Tally.
        visual_true: TrueCounts.
        audio: Tally.
        audio_true: TrueCounts.
        either: number of labels in the truth of picture or sound.
        out: float64 (2,), written.
    """
    labels = either
    segment = 0.0
    event = 0.0
    for side in range(2):
        tally = visual if side == 0 else audio
        for x in range(tally.state[0]):
            k = tally.touched[x]
            if side == 1 and visual.words[k] != 0:
                continue  # counted with the picture
            if visual_true.words[k] == 0 and audio_true.words[k] == 0:
                labels += 1
                continue
            tp = rest = event_tp = event_rest = 0
            if visual.words[k] != 0:
                tp += visual.segment[k, TP]
                rest += visual.segment[k, FP] + visual.segment[k, FN]
                event_tp += visual.event[k, TP]
                event_rest += visual.event[k, FP] + visual.event[k, FN]
            else:
                rest += visual_true.segments[k]
                event_rest += visual_true.events[k]
            if audio.words[k] != 0:
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
