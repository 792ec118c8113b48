"""What a rule says of one clip, segment by segment, and what that is worth: for rules whose streams are bitmasks."""

import math
from typing import NamedTuple

import numpy as np

from score.choices import AUDIO, AUDIOVISUAL, FIRST_EVENT, LABELS, NOTHING, VISUAL
from score.kernels.bitmask import first_run, span, trailing_zeros
from score.kernels.jit import inner, lean
from score.kernels.one_label import class_figures, rows_right
from score.kernels.running_f1 import (
    RunningF1,
    TrueCounts,
    add_bitmask,
    added_mean_f1,
    empty_running_f1,
    empty_truth,
    mean_f1,
    reset_f1,
    set_truth,
)
from score.kernels.types import F64, I64, U64


class Said(NamedTuple):
    """What a rule says of one clip; streams visual, audio, audiovisual."""

    on: U64  # (3, C), segments
    value: F64  # (3, C, T), of which an event's score is the mean over its segments (:func:`event_score`)
    slope: float


class ClipsTruth(NamedTuple):
    """What n clips are compared with, and how."""

    true: U64  # (n, 3, C)
    first: I64  # (n, 3), label, start and end of the first annotation
    classes: I64  # (n, R, T), the label of each segment in each of a clip's rows
    group: I64  # (n,)
    reading: int
    background: int


class JudgeWorkspace(NamedTuple):
    """Workspace of one thread."""

    visual: RunningF1
    audio: RunningF1
    both: RunningF1
    true_visual: TrueCounts
    true_audio: TrueCounts
    true_both: TrueCounts
    means: F64  # (2,)
    row: F64  # (8,), figures of the last setting
    classes: I64  # (T,)
    best: F64  # (T,)
    counts: I64  # (3,)
    either: I64  # (1,), labels in the truth of picture or sound


def judge_workspace(labels: int, segments: int) -> JudgeWorkspace:
    """A workspace for clips of C labels and T segments."""
    return JudgeWorkspace(
        visual=empty_running_f1(labels),
        audio=empty_running_f1(labels),
        both=empty_running_f1(labels),
        true_visual=empty_truth(labels),
        true_audio=empty_truth(labels),
        true_both=empty_truth(labels),
        means=np.zeros(2),
        row=np.zeros(8),
        classes=np.full(segments, NOTHING),
        best=np.zeros(segments),
        counts=np.zeros(3, np.int64),
        either=np.zeros(1, np.int64),
    )


def said_nothing(labels: int, segments: int, slope: float) -> Said:
    """No segment of C labels on."""
    return Said(np.zeros((3, labels), np.uint64), np.zeros((3, labels, segments)), slope)


@inner
def copy(source: F64, target: F64) -> None:
    """One row onto another; Numba would allocate for a plain assignment."""
    for t in range(source.shape[0]):
        target[t] = source[t]


@lean
def write_said(said: Said, on: U64, value: F64) -> None:
    """What a rule says of a clip into uint64 (3, C) and, where a label is on, float64 (3, C, T)."""
    for stream in range(on.shape[0]):
        for k in range(on.shape[1]):
            on[stream, k] = said.on[stream, k]
            if on[stream, k] != 0:
                copy(said.value[stream, k], value[stream, k])


@lean
def begin_clip(truth: ClipsTruth, i: int, workspace: JudgeWorkspace) -> None:
    """Take the truth of a clip, where streams are compared."""
    if truth.reading != LABELS:
        return
    set_truth(workspace.true_visual, truth.true[i, VISUAL])
    set_truth(workspace.true_audio, truth.true[i, AUDIO])
    set_truth(workspace.true_both, truth.true[i, AUDIOVISUAL])
    either = 0
    for k in range(truth.true.shape[2]):
        either += truth.true[i, VISUAL, k] != 0 or truth.true[i, AUDIO, k] != 0
    workspace.either[0] = either


@inner
def _take(on: U64, running: RunningF1, true: TrueCounts) -> None:
    reset_f1(running)
    for k in range(on.shape[0]):
        if on[k] != 0:
            add_bitmask(running, true, k, on[k])


@lean
def judge_unimodal(on: U64, workspace: JudgeWorkspace) -> None:
    """Figures of picture, of sound and of both counted together into the row, from segments (3, C) that are on."""
    visual, audio, means, row = workspace.visual, workspace.audio, workspace.means, workspace.row
    _take(on[VISUAL], visual, workspace.true_visual)
    _take(on[AUDIO], audio, workspace.true_audio)
    mean_f1(visual, workspace.true_visual, means)
    row[0], row[4] = means[0], means[1]
    mean_f1(audio, workspace.true_audio, means)
    row[1], row[5] = means[0], means[1]
    added_mean_f1(visual, workspace.true_visual, audio, workspace.true_audio, workspace.either[0], means)
    row[3], row[7] = means[0], means[1]


@lean
def judge_audiovisual(on: U64, workspace: JudgeWorkspace) -> None:
    """Figures of the audiovisual stream into the row."""
    _take(on[AUDIOVISUAL], workspace.both, workspace.true_both)
    mean_f1(workspace.both, workspace.true_both, workspace.means)
    workspace.row[2], workspace.row[6] = workspace.means[0], workspace.means[1]


@lean
def judge_one_label(said: Said, truth: ClipsTruth, i: int, workspace: JudgeWorkspace) -> None:
    """Figures of one label a segment, and of the first event, into the row (docs/design.md 4.8)."""
    on, classes, best, row = said.on[AUDIOVISUAL], workspace.classes, workspace.best, workspace.row
    segments = classes.shape[0]
    classes[:] = NOTHING
    first, leading = NOTHING, segments
    for k in range(on.shape[0]):
        if on[k] == 0:
            continue
        began = np.int64(trailing_zeros(on[k]))
        if began < leading:
            first, leading = k, began
        rest = on[k]
        while rest != 0:
            start, end = first_run(rest)
            rest &= ~span(start, end)
            score = event_score(said.value[AUDIOVISUAL, k], start, end, said.slope)
            for t in range(start, end):
                # of equal scores the event that comes first: by its label's first segment, then by label
                other = classes[t]
                better = other == NOTHING or score > best[t]
                if not better and score == best[t]:
                    better = began < np.int64(trailing_zeros(on[other]))
                if better:
                    classes[t] = k
                    best[t] = score
    if truth.reading == FIRST_EVENT:
        start, end = (0, 0) if first == NOTHING else first_run(on[first])
        right = 0
        for t in range(segments):
            guess = first if start <= t < end else NOTHING
            true = truth.first[i, 0] if truth.first[i, 1] <= t < truth.first[i, 2] else NOTHING
            right += guess == true
        row[0] = right / segments
        row[1] = rows_right(classes, truth.classes[i], truth.background)
    else:
        class_figures(classes, truth.classes[i, 0], truth.background, workspace.counts, row)


@inner
def event_score(value: F64, start: int, end: int, slope: float) -> float:
    """Mean over the segments start ... end - 1, added up in order; where there is a slope, through a sigmoid."""
    total = 0.0
    for t in range(start, end):
        total += value[t]
    mean = total / (end - start)
    return 1.0 / (1.0 + math.exp(-slope * mean)) if slope > 0.0 else mean


@lean
def add_row(truth: ClipsTruth, i: int, workspace: JudgeWorkspace, out: F64) -> None:
    """Add a clip's figures to a setting's sums, float64 (columns of the reading,)."""
    row = workspace.row
    if truth.reading == LABELS:
        for x in range(8):
            out[x] += row[x]
    elif truth.reading == FIRST_EVENT:
        out[0] += row[0]
        out[1] += row[1]
    else:
        at = 3 * truth.group[i]
        for x in range(3):
            out[at + x] += row[x]


@lean
def list_events(on: U64, value: F64, slope: float, streams: I64, table: I64, score: F64) -> int:
    """Events of n clips, one a row, in the order of docs/design.md 4.5; returns how many.

    Args:
        on: uint64 (n, 3, C).
        value: float64 (n, 3, C, T).
        slope: see :func:`event_score`.
        streams: int64 (3,), the streams in the order wanted.
        table: int64 (E, 5), written as far as it goes: place of the clip, place in ``streams``, label, start, end.
        score: float64 (E,), likewise.
    """
    clips, _, labels = on.shape
    found = 0
    for i in range(clips):
        for place in range(streams.shape[0]):
            stream = streams[place]
            for first in range(value.shape[3]):
                for k in range(labels):
                    bits = on[i, stream, k]
                    if bits == 0 or np.int64(trailing_zeros(bits)) != first:
                        continue
                    while bits != 0:
                        start, end = first_run(bits)
                        bits &= ~span(start, end)
                        if found < score.shape[0]:
                            table[found, 0], table[found, 1], table[found, 2] = i, place, k
                            table[found, 3], table[found, 4] = start, end
                            score[found] = event_score(value[i, stream, k], start, end, slope)
                        found += 1
    return found
