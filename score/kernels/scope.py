"""SCoPE's rule (docs/rules.md): labels compete, the modalities change each other's costs, the largest gap decides."""

import math
from typing import NamedTuple

import numpy as np

from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.choices import AUDIO, AUDIOVISUAL, LABELS, VISUAL
from score.kernels.bitmask import ONE, span
from score.kernels.competition import Carried, exchanged_costs, give, give_on, share_rows
from score.kernels.jit import inner, lean
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
)
from score.kernels.largest_gap import UNSMOOTHED, Sparse, least_on, smoothed, write_values
from score.kernels.lasso import LassoWorkspace, lasso_workspace, solve_lasso
from score.kernels.types import F64, I64, U8, U64

COST, MEMORY, FORM, TO_AUDIO, TO_VISUAL, SUPPORT, SMOOTHING, ALPHA = range(8)
"""Columns of a setting."""
SLOPE = 0.0
KEPT = 32
"""Second stages of the picture that are kept while costs stay."""
_HEARD, _BOTH, _PLACES = KEPT, KEPT + 1, KEPT + 2
"""Where weights of the sound and of both lie behind those of the picture."""


class ScopeWorkspace(NamedTuple):
    """Workspace of one thread."""

    said: Said
    judge: JudgeWorkspace
    lasso: LassoWorkspace
    share: F64  # (2, T, C), q(t) s(t, c) of picture and sound
    given: F64  # (2, T, C), how much of the clip, or of the time that is remembered, they give to each label
    given_rows: I64  # (2,), T, or 1 where one row stands for all segments
    cost: F64  # (C,)
    weights: Sparse
    kept: F64  # (KEPT,), eta of each second stage of the picture
    counts: I64  # (3,), how many are kept, where the next comes, which is the present one
    sorted: F64  # (C,)


def scope_workspace(labels: int, segments: int) -> ScopeWorkspace:
    """A workspace for clips of C labels and T segments."""
    return ScopeWorkspace(
        said=said_nothing(labels, segments, SLOPE),
        judge=judge_workspace(labels, segments),
        lasso=lasso_workspace(labels),
        share=np.zeros((2, segments, labels)),
        given=np.zeros((2, segments, labels)),
        given_rows=np.ones(2, np.int64),
        cost=np.zeros(labels),
        weights=Sparse(
            np.zeros(_PLACES, np.int64),
            np.zeros((_PLACES, segments), np.int64),
            np.zeros((_PLACES, segments, labels), np.int64),
            np.zeros((_PLACES, segments, labels)),
        ),
        kept=np.zeros(KEPT),
        counts=np.zeros(3, np.int64),
        sorted=np.zeros(labels),
    )


def scope_workspace_bytes(labels: int, segments: int) -> int:
    """What such a workspace takes, but for a few kilobytes."""
    return 8 * labels * (segments * (2 * _PLACES + 7) + labels + 60)


@lean
def second_stage(x: F64, gram: F64, target: int, setting: F64, place: int, workspace: ScopeWorkspace) -> None:
    """Weights of picture or sound under exchanged costs, into a place.

    Args:
        x: float64 (R, C), cosines.
        gram: float64 (C, C).
        target: VISUAL or AUDIO.
        setting: float64 (8,).
        place: of the weights.
        workspace: ScopeWorkspace.
    """
    weights, lasso = workspace.weights, workspace.lasso
    source = AUDIO if target == VISUAL else VISUAL
    eta = setting[TO_VISUAL] if target == VISUAL else setting[TO_AUDIO]
    costed = workspace.given_rows[source]
    rows = max(x.shape[0], costed)
    weights.rows[place] = rows
    for t in range(rows):
        if t < costed:
            exchanged_costs(workspace.given[source, t], setting[COST], eta, setting[FORM], workspace.cost)
        size = solve_lasso(x[t if x.shape[0] > 1 else 0], workspace.cost, gram, lasso)
        weights.size[place, t] = size
        for k in range(size):
            weights.label[place, t, k] = lasso.label[k]
            weights.value[place, t, k] = lasso.value[k]


@inner
def read_out(place: int, setting: F64, on: U64, workspace: ScopeWorkspace) -> None:
    """The segments (C,) that are on, from the weights in a place."""
    weights = workspace.weights
    segments = workspace.share.shape[1]
    rows = weights.rows[place]
    for c in range(on.shape[0]):
        on[c] = 0
    for t in range(rows):
        count = weights.size[place, t]
        least = least_on(weights.value[place, t], count, setting[SUPPORT], workspace.sorted)
        bits = span(0, segments) if rows == 1 else ONE << np.uint64(t)
        for k in range(count):
            if weights.value[place, t, k] >= least:
                on[weights.label[place, t, k]] |= bits
    if setting[SMOOTHING] != UNSMOOTHED:
        for c in range(on.shape[0]):
            if on[c] != 0:
                on[c] = smoothed(on[c], setting[SMOOTHING])


@inner
def fuse(seen: int, setting: F64, workspace: ScopeWorkspace) -> None:
    """Weights of both: a mean where picture and sound have a label above the support, else nothing."""
    rows, size, label, value = workspace.weights
    alpha, support = setting[ALPHA], setting[SUPPORT]
    rows[_BOTH] = max(rows[seen], rows[_HEARD])
    for t in range(rows[_BOTH]):
        v = t if rows[seen] > 1 else 0
        a = t if rows[_HEARD] > 1 else 0
        i = j = found = 0
        while i < size[seen, v] and j < size[_HEARD, a]:
            first, second = label[seen, v, i], label[_HEARD, a, j]
            if first == second:
                one, other = value[seen, v, i], value[_HEARD, a, j]
                if one > support and other > support:
                    label[_BOTH, t, found] = first
                    value[_BOTH, t, found] = alpha * other + (1.0 - alpha) * one
                    found += 1
            i += first <= second
            j += second <= first
        size[_BOTH, t] = found


@inner
def visual_place(x: F64, gram: F64, setting: F64, workspace: ScopeWorkspace) -> int:
    """Where the picture's second stage under these costs lies; it is done where it was not."""
    kept, counts = workspace.kept, workspace.counts
    for place in range(counts[0]):
        if kept[place] == setting[TO_VISUAL]:
            return place
    place = counts[1]
    counts[1] = (place + 1) % KEPT
    counts[0] = max(counts[0], place + 1)
    kept[place] = setting[TO_VISUAL]
    second_stage(x, gram, VISUAL, setting, place, workspace)
    return place


@inner
def remembered_segments(seconds: float, segment_seconds: float) -> int:
    """Seconds as whole segments, at least one; 0 for 0, the whole clip."""
    return max(1, math.floor(seconds / segment_seconds + 0.5)) if seconds > 0.0 else 0


@lean
def first_stages(
    image: F64, sound: F64, missing: int, grams: tuple[F64, F64], cost: float, workspace: ScopeWorkspace
) -> None:  # fmt: skip
    """What picture and sound give, row by row."""
    if missing & NO_PICTURE == 0:
        share_rows(image, grams[VISUAL], cost, workspace.cost, workspace.lasso, workspace.share[VISUAL])
    if missing & NO_SOUND == 0:
        share_rows(sound, grams[AUDIO], cost, workspace.cost, workspace.lasso, workspace.share[AUDIO])


@lean
def give_both(
    image: F64, sound: F64, missing: int, remembered: int, carried: Carried, workspace: ScopeWorkspace
) -> None:  # fmt: skip
    """What picture and sound give to each label; what is missing gives nothing."""
    for m in range(2):
        lacks = NO_PICTURE if m == VISUAL else NO_SOUND
        if missing & lacks:
            workspace.given_rows[m] = 1
            workspace.given[m, 0, :] = 0.0
        else:
            rows = image.shape[0] if m == VISUAL else sound.shape[0]
            share, given = workspace.share[m], workspace.given[m]
            if carried.held.shape[0] == 0:
                workspace.given_rows[m] = give(share, rows, remembered, given)
            else:
                workspace.given_rows[m] = give_on(share, rows, image.shape[0], remembered, carried, m, given)


@lean
def decide(missing: int, setting: F64, unimodal: bool, workspace: ScopeWorkspace) -> None:
    """Segments that are on, from the weights: of picture and sound where these are new, and of both."""
    on, seen = workspace.said.on, workspace.counts[2]
    if unimodal and missing & NO_PICTURE == 0:
        read_out(seen, setting, on[VISUAL], workspace)
    if unimodal and missing & NO_SOUND == 0:
        read_out(_HEARD, setting, on[AUDIO], workspace)
    if missing == 0:
        fuse(seen, setting, workspace)
        read_out(_BOTH, setting, on[AUDIOVISUAL], workspace)
        return
    left = AUDIO if missing == NO_PICTURE else VISUAL
    for c in range(on.shape[1]):
        on[AUDIOVISUAL, c] = on[left, c]


@lean
def say_values(missing: int, workspace: ScopeWorkspace) -> None:
    """Values of all streams, from the weights."""
    value, seen = workspace.said.value, workspace.counts[2]
    if missing & NO_PICTURE == 0:
        write_values(seen, workspace.weights, value[VISUAL])
    if missing & NO_SOUND == 0:
        write_values(_HEARD, workspace.weights, value[AUDIO])
    both = _BOTH if missing == 0 else _HEARD if missing == NO_PICTURE else seen
    write_values(both, workspace.weights, value[AUDIOVISUAL])


@inner
def take_said(said: Said, on: U64, value: F64) -> None:
    """What is said of a clip, uint64 (3, C) and float64 (3, C, T)."""
    streams, labels, segments = said.value.shape
    for m in range(streams):
        for c in range(labels):
            on[m, c] = said.on[m, c]
            for t in range(segments):
                value[m, c, t] = said.value[m, c, t]


@lean
def scope_clips(
    image: F64,
    sound: F64,
    missing: U8,
    gram_visual: F64,
    gram_audio: F64,
    segment_seconds: float,
    carried: Carried,
    settings: F64,
    truth: ClipsTruth,
    workspace: ScopeWorkspace,
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
        segment_seconds: length of a segment.
        carried: Carried, of one setting alone.
        settings: float64 (S, 8), sorted so that neighbours share most.
        truth: ClipsTruth.
        workspace: ScopeWorkspace.
        sums: float64 (S, columns of the reading), added to.
        on: uint64 (n, 3, C), written; or (0, 3, C).
        value: float64 (n, 3, C, T), likewise.
    """
    said, judge, counts = workspace.said, workspace.judge, workspace.counts
    writes = on.shape[0] > 0
    for i in range(image.shape[0]):
        seen, heard = missing[i] & NO_PICTURE == 0, missing[i] & NO_SOUND == 0
        said.on[:] = 0
        said.value[:] = 0.0
        if not writes:
            begin_clip(truth, i, judge)
        for s in range(settings.shape[0]):
            now, last = settings[s], settings[max(s - 1, 0)]
            new_cost = s == 0 or now[COST] != last[COST]
            new_memory = new_cost or now[MEMORY] != last[MEMORY]
            new_form = new_memory or now[FORM] != last[FORM]
            new_sound = new_form or now[TO_AUDIO] != last[TO_AUDIO]
            new_picture = new_form or now[TO_VISUAL] != last[TO_VISUAL]
            if new_cost:
                first_stages(image[i], sound[i], missing[i], (gram_visual, gram_audio), now[COST], workspace)
            if new_memory:
                remembered = remembered_segments(now[MEMORY], segment_seconds)
                give_both(image[i], sound[i], missing[i], remembered, carried, workspace)
            if new_form:
                counts[:] = 0
            if new_sound and heard:
                second_stage(sound[i], gram_audio, AUDIO, now, _HEARD, workspace)
            if new_picture and seen:
                counts[2] = visual_place(image[i], gram_visual, now, workspace)
            new_streams = new_sound or new_picture or now[SUPPORT] != last[SUPPORT] or now[SMOOTHING] != last[SMOOTHING]
            if new_streams or now[ALPHA] != last[ALPHA]:
                decide(missing[i], now, new_streams, workspace)
                if writes or truth.reading != LABELS:
                    say_values(missing[i], workspace)
                if writes:
                    take_said(said, on[i], value[i])
                elif truth.reading == LABELS:
                    if new_streams:
                        judge_unimodal(said.on, judge)
                    judge_audiovisual(said.on, judge)
                else:
                    judge_one_label(said, truth, i, judge)
            if not writes:
                add_row(truth, i, judge, sums[s])
