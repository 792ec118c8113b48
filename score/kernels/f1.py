"""Figures of one clip from timelines as bitmasks: segment-level and event-level F1 (docs/design.md 4.8)."""

import numpy as np

from score.kernels.bitmask import first_run, popcount, span
from score.kernels.jit import inner, kernel
from score.kernels.types import F64, I64, U64

TP, FP, FN = 0, 1, 2


@inner
def count_segments(predicted: np.uint64, true: np.uint64, counts: I64) -> None:
    """Add one label's segment counts to int64 (3,) TP, FP, FN."""
    counts[TP] += np.int64(popcount(predicted & true))
    counts[FP] += np.int64(popcount(predicted & ~true))
    counts[FN] += np.int64(popcount(true & ~predicted))


@inner
def has_match(start: int, end: int, others: np.uint64) -> bool:
    """Whether some run of ``others`` has an IoU of at least 0.5 with [start, end)."""
    own = span(start, end)
    rest = others
    while rest != 0:
        first, last = first_run(rest)
        rest &= ~span(first, last)
        common = np.int64(popcount(own & span(first, last)))
        if 2 * common >= (end - start) + (last - first) - common:
            return True
    return False


@inner
def count_events(predicted: np.uint64, true: np.uint64, counts: I64) -> None:
    """Add one label's event counts to int64 (3,): events are runs, matched at IoU 0.5."""
    rest = predicted
    while rest != 0:
        start, end = first_run(rest)
        rest &= ~span(start, end)
        if has_match(start, end, true):
            counts[TP] += 1
        else:
            counts[FP] += 1
    rest = true
    while rest != 0:
        start, end = first_run(rest)
        rest &= ~span(start, end)
        if not has_match(start, end, predicted):
            counts[FN] += 1


@inner
def f1(counts: I64) -> float:
    """2 TP / (2 TP + FP + FN) of a label that occurs."""
    return 2.0 * counts[TP] / (2.0 * counts[TP] + counts[FP] + counts[FN])


@kernel
def clip_figures(predicted: U64, true: U64, paper_protocol: bool, segment: F64, event: F64) -> None:
    """Mean F1 over the labels that occur in one clip, 1.0 if none does.

    Args:
        predicted: uint64 (3, C), visual, audio and audiovisual timelines.
        true: uint64 (3, C), likewise.
        paper_protocol: take the visual predictions as the audio ones too, as the official script does.
        segment: float64 (4,), written: visual, audio, audiovisual, and visual and audio counts added up.
        event: float64 (4,), written likewise.
    """
    counts = np.zeros(3, np.int64)
    both = np.zeros(3, np.int64)
    for out, by_events in ((segment, False), (event, True)):
        for part in range(4):
            total = 0.0
            labels = 0
            for k in range(predicted.shape[1]):
                counts[:] = 0
                for stream in (0, 1) if part == 3 else (part, -1):
                    if stream < 0:
                        continue
                    guess = predicted[0 if paper_protocol and stream == 1 else stream, k]
                    if by_events:
                        both[:] = 0
                        count_events(guess, true[stream, k], both)
                        counts += both
                    else:
                        count_segments(guess, true[stream, k], counts)
                if counts[TP] + counts[FP] + counts[FN] > 0:
                    total += f1(counts)
                    labels += 1
            out[part] = total / labels if labels > 0 else 1.0


@kernel
def figures(predicted: U64, true: U64, paper_protocol: bool, segment: F64, event: F64) -> None:
    """:func:`clip_figures` of n clips.

    Args:
        predicted: uint64 (n, 3, C).
        true: uint64 (n, 3, C).
        paper_protocol: see :func:`clip_figures`.
        segment: float64 (n, 4), written.
        event: float64 (n, 4), written.
    """
    for i in range(predicted.shape[0]):
        clip_figures(predicted[i], true[i], paper_protocol, segment[i], event[i])


@kernel
def label_counts(predicted: U64, true: U64, paper_protocol: bool, counts: I64) -> None:
    """Counts of each label over all clips.

    Args:
        predicted: uint64 (n, 3, C).
        true: uint64 (n, 3, C).
        paper_protocol: see :func:`clip_figures`.
        counts: int64 (C, 3, 2, 3), added to: stream, segment or event, TP FP FN.
    """
    for i in range(predicted.shape[0]):
        for stream in range(3):
            guess = 0 if paper_protocol and stream == 1 else stream
            for k in range(predicted.shape[2]):
                count_segments(predicted[i, guess, k], true[i, stream, k], counts[k, stream, 0])
                count_events(predicted[i, guess, k], true[i, stream, k], counts[k, stream, 1])
