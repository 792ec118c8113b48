"""The threshold rule (docs/rules.md): segments above one threshold, smoothed in time."""

from typing import NamedTuple

import numpy as np

from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.choices import AUDIO, AUDIOVISUAL, LABELS, LATE, VISUAL
from score.kernels.bitmask import smooth
from score.kernels.fusion import both_at_once, stand_in
from score.kernels.jit import lean
from score.kernels.judge import (
    ClipsTruth,
    JudgeWorkspace,
    Said,
    add_row,
    begin_clip,
    judge_audiovisual,
    judge_one_label,
    judge_unimodal,
    judge_workspace,
    said_nothing,
    write_said,
)
from score.kernels.probability import standardise
from score.kernels.runs import best_runs, largest_of, median, positive
from score.kernels.types import F64, I64, U8, U64

SMOOTHING, THRESHOLD, PENALTY, FUSION, ALPHA = range(5)
"""Columns of a setting."""
BY_PENALTY, BY_MEDIAN, BY_RUNS = range(3)
"""What smooths, by number; any other: nothing."""
NEVER_ON = -1e9
"""The value of a segment that has none: a row without spread."""
NEARLY = 1e-9
"""More than sums of margins differ by in another order."""


class ThresholdWorkspace(NamedTuple):
    """Workspace of one thread."""

    said: Said
    judge: JudgeWorkspace
    largest: F64  # (2, C), each label's largest value
    gain: F64  # (C,), what no path of a label exceeds
    mixed: F64  # (T,)
    margins: F64  # (T,)


def threshold_workspace(labels: int, segments: int) -> ThresholdWorkspace:
    """A workspace for clips of C labels and T segments."""
    return ThresholdWorkspace(
        said=said_nothing(labels, segments, 0.0),
        judge=judge_workspace(labels, segments),
        largest=np.zeros((2, labels)),
        gain=np.zeros(labels),
        mixed=np.zeros(segments),
        margins=np.zeros(segments),
    )


@lean
def segment_probabilities(rows: F64, labels: I64, spare: F64) -> None:
    """Rows of logits become probabilities over all labels (4.1); NEVER_ON where a row has no spread.

    Args:
        rows: float64 (n, C), overwritten.
        labels: int64 (C,), 0, 1, 2 ...
        spare: float64 (C,), workspace.
    """
    for r in range(rows.shape[0]):
        standardise(rows[r], labels, labels.shape[0], spare)
        for c in range(rows.shape[1]):
            rows[r, c] = spare[c] if spare[c] == spare[c] else NEVER_ON


@lean
def decode_values(values: F64, setting: F64, width: int, margins: F64) -> np.uint64:
    """The segments of a label that are on.

    Args:
        values: float64 (T,).
        setting: float64 (5,).
        width: of the median filter.
        margins: float64 (T,), overwritten.
    """
    for t in range(values.shape[0]):
        margins[t] = values[t] - setting[THRESHOLD]
    if setting[SMOOTHING] == BY_PENALTY:
        return best_runs(margins, setting[PENALTY])
    bits = positive(margins)
    if bits != 0 and setting[SMOOTHING] == BY_MEDIAN:
        return median(bits, values.shape[0], width)
    return smooth(bits) if setting[SMOOTHING] == BY_RUNS else bits


@lean
def most_gained(image: F64, sound: F64, alpha: float, threshold: float, segments: int, gain: F64) -> None:
    """The sum of each label's margins above 0: no path gains more.

    Args:
        image: float64 (T, C).
        sound: float64 (R, C).
        alpha: weight of the sound.
        threshold: what margins are from.
        segments: T.
        gain: float64 (C,), written.
    """
    step = 1 if sound.shape[0] > 1 else 0
    gain[:] = 0.0
    for t in range(segments):
        if alpha == 0.0:
            for c in range(gain.shape[0]):
                gain[c] += max(0.0, image[t, c] - threshold)
        elif alpha == 1.0:
            for c in range(gain.shape[0]):
                gain[c] += max(0.0, sound[step * t, c] - threshold)
        else:
            for c in range(gain.shape[0]):
                gain[c] += max(0.0, alpha * sound[step * t, c] + (1.0 - alpha) * image[t, c] - threshold)


@lean
def decode_mixed(
    image: F64, sound: F64, alpha: float, setting: F64, width: int, floor: float, workspace: ThresholdWorkspace,
    stream: int,
) -> None:  # fmt: skip
    """A stream of (1 − α) · image + α · sound: that of picture with α = 0, of sound with α = 1.

    Args:
        image: float64 (T, C).
        sound: float64 (R, C), R = T, or 1 where one row stands for all.
        alpha: weight of the sound.
        setting: float64 (5,).
        width: of the median filter.
        floor: the value that counts as a score of 0; 1 as 1.
        workspace: ThresholdWorkspace.
        stream: which is written.
    """
    mixed, on, value = workspace.mixed, workspace.said.on[stream], workspace.said.value[stream]
    step = 1 if sound.shape[0] > 1 else 0
    needed = 0.0
    if setting[SMOOTHING] == BY_PENALTY:
        most_gained(image, sound, alpha, setting[THRESHOLD], mixed.shape[0], workspace.gain)
        needed = setting[PENALTY] - NEARLY * (1.0 + setting[PENALTY])
    for c in range(image.shape[1]):
        on[c] = 0
        if setting[SMOOTHING] == BY_PENALTY and workspace.gain[c] < needed:
            continue  # no run pays
        most = alpha * workspace.largest[AUDIO, c] + (1.0 - alpha) * workspace.largest[VISUAL, c]
        if alpha == 0.0:
            most = workspace.largest[VISUAL, c]
        if most <= setting[THRESHOLD]:
            continue
        for t in range(mixed.shape[0]):
            if alpha == 0.0:
                mixed[t] = image[t, c]
            elif alpha == 1.0:
                mixed[t] = sound[step * t, c]
            else:
                mixed[t] = alpha * sound[step * t, c] + (1.0 - alpha) * image[t, c]
        on[c] = decode_values(mixed, setting, width, workspace.margins)
        if on[c] != 0:
            for t in range(mixed.shape[0]):
                value[c, t] = (mixed[t] - floor) / (1.0 - floor)


@lean
def threshold_clips(
    image: F64,
    sound: F64,
    missing: U8,
    width: int,
    floor: float,
    settings: F64,
    truth: ClipsTruth,
    workspace: ThresholdWorkspace,
    sums: F64,
    on: U64,
    value: F64,
) -> None:
    """Add figures of n clips under S settings; or, where there are places for it, write what one setting says of them.

    Args:
        image: float64 (n, T, C), probabilities or cosines; NEVER_ON where there is none.
        sound: float64 (n, R, C), R = T, or 1 where one row stands for all.
        missing: uint8 (n,), 0, NO_PICTURE or NO_SOUND.
        width: of the median filter.
        floor: 0 for probabilities, -1 for cosines.
        settings: float64 (S, 5), sorted so that neighbours share most.
        truth: ClipsTruth.
        workspace: ThresholdWorkspace.
        sums: float64 (S, columns of the reading), added to.
        on: uint64 (n, 3, C), written; or (0, 3, C).
        value: float64 (n, 3, C, T), likewise.
    """
    said, judge = workspace.said, workspace.judge
    writes = on.shape[0] > 0
    for i in range(image.shape[0]):
        said.on[:] = 0
        largest_of(image[i], workspace.largest[VISUAL])
        largest_of(sound[i], workspace.largest[AUDIO])
        if not writes:
            begin_clip(truth, i, judge)
        for s in range(settings.shape[0]):
            now = settings[s]
            new = s == 0 or now[SMOOTHING] != settings[s - 1, SMOOTHING] or now[THRESHOLD] != settings[s - 1, THRESHOLD]
            new = new or now[PENALTY] != settings[s - 1, PENALTY]
            if new and missing[i] & NO_PICTURE == 0:
                decode_mixed(image[i], sound[i], 0.0, now, width, floor, workspace, VISUAL)
            if new and missing[i] & NO_SOUND == 0:
                decode_mixed(image[i], sound[i], 1.0, now, width, floor, workspace, AUDIO)
            new_both = new or now[FUSION] != settings[s - 1, FUSION]
            if new_both or (now[FUSION] != LATE and now[ALPHA] != settings[s - 1, ALPHA]):
                if missing[i] != 0:
                    stand_in(said, missing[i])
                elif now[FUSION] == LATE:
                    both_at_once(said)
                else:
                    decode_mixed(image[i], sound[i], now[ALPHA], now, width, floor, workspace, AUDIOVISUAL)
                if writes:
                    write_said(said, on[i], value[i])
                elif truth.reading == LABELS:
                    if new:
                        judge_unimodal(said.on, judge)
                    judge_audiovisual(said.on, judge)
                else:
                    judge_one_label(said, truth, i, judge)
            if not writes:
                add_row(truth, i, judge, sums[s])
