"""Predictions and truth as one label a segment: which label that is, and what it is worth (docs/design.md 4.8)."""

import numpy as np

from score.choices import NO_ROW, NOTHING
from score.kernels.bitmask import trailing_zeros
from score.kernels.f1 import count_events, count_segments, f1
from score.kernels.jit import inner, kernel
from score.kernels.types import F64, I64


@inner
def take_free(classes: I64, label: int, start: int, end: int) -> None:
    """Give a label those of the segments that have none yet."""
    for t in range(start, end):
        if classes[t] == NOTHING:
            classes[t] = label


@inner
def no_background(label: int, background: int) -> int:
    """A label, NOTHING for the one that means it."""
    return NOTHING if label == background else label


@inner
def class_bits(classes: I64, label: int, background: int) -> np.uint64:
    """The segments of a label."""
    bits = np.uint64(0)
    for t in range(classes.shape[0]):
        if no_background(classes[t], background) == label:
            bits |= np.uint64(1) << np.uint64(t)
    return bits


@inner
def share_right(predicted: I64, true: I64, background: int) -> float:
    """Accuracy: the share of segments whose class is the true one, nothing being a class."""
    right = 0
    for t in range(predicted.shape[0]):
        right += no_background(predicted[t], background) == true[t]
    return right / predicted.shape[0]


@inner
def rows_right(predicted: I64, true: I64, background: int) -> float:
    """Accuracies against each of a clip's rows, int64 (R, T), added up."""
    total = 0.0
    for row in range(true.shape[0]):
        if true[row, 0] != NO_ROW:
            total += share_right(predicted, true[row], background)
    return total


@inner
def class_figures(predicted: I64, true: I64, background: int, counts: I64, out: F64) -> None:
    """Accuracy, segment F1 and event F1 of one clip, means over the classes that occur, nothing being one.

    Args:
        predicted: int64 (T,), labels.
        true: int64 (T,), likewise.
        background: the label that means nothing; NOTHING where there is no such label.
        counts: int64 (3,), overwritten.
        out: float64 (3,), written.
    """
    segments = predicted.shape[0]
    segment = 0.0
    event = 0.0
    classes = 0
    for side in range(2):
        here = predicted if side == 0 else true
        rest = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - segments)
        while rest != 0:
            label = no_background(here[trailing_zeros(rest)], background)
            guess = class_bits(predicted, label, background)
            truth = class_bits(true, label, background)
            rest &= ~(guess if side == 0 else truth)
            if side == 1 and guess != 0:
                continue  # it was counted with the predictions
            counts[:] = 0
            count_segments(guess, truth, counts)
            segment += f1(counts)
            counts[:] = 0
            count_events(guess, truth, counts)
            event += f1(counts)
            classes += 1
    out[0] = share_right(predicted, true, background)
    out[1] = segment / classes
    out[2] = event / classes


@kernel
def label_of_segments(clip: I64, label: I64, start: I64, end: I64, classes: I64) -> None:
    """Give each segment the first label that covers it.

    Args:
        clip: int64 (E,), the number of each event's clip; of one clip the best events come first.
        label: int64 (E,).
        start: int64 (E,), first segment.
        end: int64 (E,), one past the last.
        classes: int64 (n, T), NOTHING, written.
    """
    for e in range(clip.shape[0]):
        take_free(classes[clip[e]], label[e], start[e], end[e])


@kernel
def figures_of_clips(predicted: I64, true: I64, background: int, out: F64) -> None:
    """:func:`class_figures` of n clips.

    Args:
        predicted: int64 (n, T).
        true: int64 (n, R, T); the first row counts.
        background: see :func:`class_figures`.
        out: float64 (n, 3), written.
    """
    counts = np.zeros(3, np.int64)
    for i in range(predicted.shape[0]):
        class_figures(predicted[i], true[i, 0], background, counts, out[i])


@kernel
def rows_right_of_clips(predicted: I64, true: I64, background: int, out: F64) -> None:
    """:func:`rows_right` of n clips: int64 (n, T) and (n, R, T), into float64 (n,)."""
    for i in range(predicted.shape[0]):
        out[i] = rows_right(predicted[i], true[i], background)
