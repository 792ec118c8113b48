"""The exchange rule (docs/rules.md): each modality lowers the other's thresholds for the labels it is sure of."""

import math
from typing import NamedTuple

import numpy as np

from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.choices import AUDIO, AUDIOVISUAL, LABELS, LATE, VISUAL
from score.kernels.fusion import both_at_once, stand_in
from score.kernels.jit import lean
from score.kernels.judge import (
    ClipsTruth,
    JudgeWorkspace,
    Said,
    add_row,
    begin_clip,
    copy,
    judge_audiovisual,
    judge_one_label,
    judge_unimodal,
    judge_workspace,
    said_nothing,
    write_said,
)
from score.kernels.runs import best_runs, largest_of
from score.kernels.types import F64, U8, U64

COST, ETA, PENALTY, ALPHA, FUSION = range(5)
"""Columns of a setting."""
SLOPE = 20.0
"""Of the sigmoid that makes a score of a mean margin."""


class Carried(NamedTuple):
    """What the clips of a file before this one gave to labels, added up; kept from call to call."""

    given: F64  # (2, C), of picture and sound
    clips: F64  # (2,), how many had each; (0,): nothing is carried over


def empty_carried(labels: int, carry: bool) -> Carried:
    """No clip so far."""
    return Carried(np.zeros((2, labels)), np.zeros(2 if carry else 0))


class ExchangeWorkspace(NamedTuple):
    """Workspace of one thread."""

    said: Said
    judge: JudgeWorkspace
    weight: F64  # (C,)
    given: F64  # (2, C), how much of the clip picture and sound give to each label
    cost: F64  # (2, C), of each label in picture and sound
    largest: F64  # (2, C), each label's largest cosine
    margins: F64  # (T,)


def exchange_workspace(labels: int, segments: int) -> ExchangeWorkspace:
    """A workspace for clips of C labels and T segments."""
    return ExchangeWorkspace(
        said=said_nothing(labels, segments, SLOPE),
        judge=judge_workspace(labels, segments),
        weight=np.zeros(labels),
        given=np.zeros((2, labels)),
        cost=np.zeros((2, labels)),
        largest=np.zeros((2, labels)),
        margins=np.zeros(segments),
    )


@lean
def share_given(x: F64, gram: F64, cost: float, weight: F64, out: F64) -> None:
    """How much of a clip its rows give to each label: the mean of q(t) s(t, c).

    Args:
        x: float64 (R, C), cosines; R rows of equal weight.
        gram: float64 (C, C), of the labels.
        cost: of a label.
        weight: float64 (C,), overwritten.
        out: float64 (C,), written.
    """
    rows, labels = x.shape
    out[:] = 0.0
    for r in range(rows):
        most = 0.0
        along = 0.0
        for c in range(labels):
            w = max(0.0, x[r, c] - 0.5 * cost)
            weight[c] = w
            if w > 0.0:
                most = max(most, w)
                along += w * x[r, c]
        if most == 0.0:
            continue
        square = 0.0
        for c in range(labels):
            if weight[c] > 0.0:
                for d in range(labels):
                    if weight[d] > 0.0:
                        square += weight[c] * gram[c, d] * weight[d]
        q = min(1.0, max(0.0, along / math.sqrt(square))) if square > 0.0 else 0.0
        for c in range(labels):
            if weight[c] > 0.0:
                out[c] += q * (weight[c] / most)
    for c in range(labels):
        out[c] /= rows


@lean
def carry_over(given: F64, side: int, carried: Carried) -> None:
    """What a modality gives, (C,), becomes the mean over the clips of the file so far; where nothing is, it stays."""
    if carried.clips.shape[0] == 0:
        return
    carried.clips[side] += 1.0
    for c in range(given.shape[0]):
        carried.given[side, c] += given[c]
        given[c] = carried.given[side, c] / carried.clips[side]


@lean
def exchanged_costs(given: F64, cost: float, eta: float, out: F64) -> None:
    """Costs of labels by what the other modality gives to each: their mean stays ``cost``.

    Args:
        given: float64 (C,), of the other modality.
        cost: their mean.
        eta: how much is exchanged.
        out: float64 (C,), written.
    """
    total = 0.0
    for c in range(given.shape[0]):
        out[c] = math.exp(-eta * given[c]) if given[c] != 0.0 else 1.0
        total += out[c]
    mean = total / given.shape[0]
    for c in range(given.shape[0]):
        out[c] = cost * out[c] / mean


@lean
def decode_stream(x: F64, cost: F64, largest: F64, penalty: float, margins: F64, on: U64, value: F64) -> None:
    """The segments that are on in picture or sound.

    Args:
        x: float64 (R, C), cosines; R = 1 where one row stands for all segments.
        cost: float64 (C,).
        largest: float64 (C,), as :func:`largest_of`.
        penalty: of a run.
        margins: float64 (T,), overwritten.
        on: uint64 (C,), written.
        value: float64 (C, T), written where a label is on: its margins.
    """
    segments = margins.shape[0]
    step = 1 if x.shape[0] > 1 else 0
    for c in range(x.shape[1]):
        on[c] = 0
        if largest[c] - 0.5 * cost[c] <= 0.0:
            continue
        for t in range(segments):
            margins[t] = x[step * t, c] - 0.5 * cost[c]
        on[c] = best_runs(margins, penalty)
        if on[c] != 0:
            copy(margins, value[c])


@lean
def mixed_stream(image: F64, sound: F64, alpha: float, penalty: float, workspace: ExchangeWorkspace) -> None:
    """The audiovisual stream of early fusion: the same decoding of mixed margins."""
    cost, largest, margins = workspace.cost, workspace.largest, workspace.margins
    on, value = workspace.said.on[AUDIOVISUAL], workspace.said.value[AUDIOVISUAL]
    step = 1 if sound.shape[0] > 1 else 0
    for c in range(image.shape[1]):
        on[c] = 0
        seen, heard = largest[VISUAL, c] - 0.5 * cost[VISUAL, c], largest[AUDIO, c] - 0.5 * cost[AUDIO, c]
        if alpha * heard + (1.0 - alpha) * seen <= 0.0:
            continue
        for t in range(margins.shape[0]):
            seen, heard = image[t, c] - 0.5 * cost[VISUAL, c], sound[step * t, c] - 0.5 * cost[AUDIO, c]
            margins[t] = alpha * heard + (1.0 - alpha) * seen
        on[c] = best_runs(margins, penalty)
        copy(margins, value[c])


@lean
def exchange_clips(
    image: F64,
    sound: F64,
    missing: U8,
    gram_visual: F64,
    gram_audio: F64,
    carried: Carried,
    settings: F64,
    truth: ClipsTruth,
    workspace: ExchangeWorkspace,
    sums: F64,
    on: U64,
    value: F64,
) -> None:
    """Add figures of n clips under S settings; or, where there are places for it, write what one setting says of them.

    Args:
        image: float64 (n, T, C), cosines.
        sound: float64 (n, R, C), R = T, or 1 where one row stands for all.
        missing: uint8 (n,), 0, NO_PICTURE or NO_SOUND.
        gram_visual: float64 (C, C), of the labels' vectors.
        gram_audio: float64 (C, C), likewise.
        carried: Carried, of one setting alone.
        settings: float64 (S, 5), sorted so that neighbours share most.
        truth: ClipsTruth.
        workspace: ExchangeWorkspace.
        sums: float64 (S, columns of the reading), added to.
        on: uint64 (n, 3, C), written; or (0, 3, C).
        value: float64 (n, 3, C, T), likewise.
    """
    said, judge = workspace.said, workspace.judge
    writes = on.shape[0] > 0
    for i in range(image.shape[0]):
        seen, heard = missing[i] & NO_PICTURE == 0, missing[i] & NO_SOUND == 0
        workspace.given[:] = 0.0
        said.on[:] = 0
        largest_of(image[i], workspace.largest[VISUAL])
        largest_of(sound[i], workspace.largest[AUDIO])
        if not writes:
            begin_clip(truth, i, judge)
        for s in range(settings.shape[0]):
            now = settings[s]
            new_cost = s == 0 or now[COST] != settings[s - 1, COST]
            new_eta = new_cost or now[ETA] != settings[s - 1, ETA]
            new_runs = new_eta or now[PENALTY] != settings[s - 1, PENALTY]
            if new_cost and seen:
                share_given(image[i], gram_visual, now[COST], workspace.weight, workspace.given[VISUAL])
                carry_over(workspace.given[VISUAL], VISUAL, carried)
            if new_cost and heard:
                share_given(sound[i], gram_audio, now[COST], workspace.weight, workspace.given[AUDIO])
                carry_over(workspace.given[AUDIO], AUDIO, carried)
            if new_eta:
                exchanged_costs(workspace.given[AUDIO], now[COST], now[ETA], workspace.cost[VISUAL])
                exchanged_costs(workspace.given[VISUAL], now[COST], now[ETA], workspace.cost[AUDIO])
            if new_runs and seen:
                decode_stream(
                    image[i], workspace.cost[VISUAL], workspace.largest[VISUAL], now[PENALTY], workspace.margins,
                    said.on[VISUAL], said.value[VISUAL],
                )  # fmt: skip
            if new_runs and heard:
                decode_stream(
                    sound[i], workspace.cost[AUDIO], workspace.largest[AUDIO], now[PENALTY], workspace.margins,
                    said.on[AUDIO], said.value[AUDIO],
                )  # fmt: skip
            new_both = new_runs or now[FUSION] != settings[s - 1, FUSION]
            if new_both or (now[FUSION] != LATE and now[ALPHA] != settings[s - 1, ALPHA]):
                if missing[i] != 0:
                    stand_in(said, missing[i])
                elif now[FUSION] == LATE:
                    both_at_once(said)
                else:
                    mixed_stream(image[i], sound[i], now[ALPHA], now[PENALTY], workspace)
                if writes:
                    write_said(said, on[i], value[i])
                elif truth.reading == LABELS:
                    if new_runs:
                        judge_unimodal(said.on, judge)
                    judge_audiovisual(said.on, judge)
                else:
                    judge_one_label(said, truth, i, judge)
            if not writes:
                add_row(truth, i, judge, sums[s])
