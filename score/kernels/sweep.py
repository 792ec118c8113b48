"""Sweeps: the figures of many settings over clips, each step of the parameter tree done once.

What a step depends on decides how often it is done. Similarities and whole-clip probabilities: once a clip. A label
set's probabilities: once a set (``label_subsets.py``). Picture and sound alone: once a (label selection, stage 1) pass,
since alpha is not theirs. Mixing: once an alpha. Refinement by threshold is piecewise constant, so that all its
thresholds come from one ranking of the candidates.
"""

from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.choices import AUDIO, AUDIOVISUAL, THRESHOLD, VISUAL
from score.kernels.bitmask import ALWAYS, NEVER
from score.kernels.candidates import count_staying
from score.kernels.from_logits import selection_probabilities
from score.kernels.jit import inner, lean
from score.kernels.label_subsets import Clip, LabelSubsets, enough, reserve, reset
from score.kernels.running_f1 import (
    TrueCounts,
    add_bitmask,
    add_candidate,
    added_mean_f1,
    mean_f1,
    reset_f1,
    set_truth,
)
from score.kernels.streams import choose_subset, fallback_stream, make_audiovisual, refine
from score.kernels.sweep_passes import (
    AUDIOVISUAL_FIGURES,
    UNIMODAL_FIGURES,
    Fixed,
    Passes,
    StreamSweep,
    SweepWorkspace,
    judge_pass,
)
from score.kernels.types import F64, I64, U8, U64


@inner
def add_staying(
    sweep: StreamSweep, subsets: LabelSubsets, subset: int, n: int, fixed: Fixed, before: int, stay: int
) -> None:  # fmt: skip
    """Bring a stream's predictions from ``before`` ranked candidates to ``stay`` of them.

    -1: to those that ``stays`` says, by a decision that does not depend on the threshold.
    """
    candidates = sweep.stream.candidates
    if stay < 0:
        refine(candidates, n, fixed.refinement, fixed.decision, 0.0)
        for x in range(n):
            if candidates.stays[x]:
                label = subsets.kept[subset, candidates.slot[x]]
                add_candidate(sweep.running, sweep.true, label, candidates.start[x], candidates.end[x])
        return
    for y in range(before, stay):
        x = candidates.rank[y]
        label = subsets.kept[subset, candidates.slot[x]]
        add_candidate(sweep.running, sweep.true, label, candidates.start[x], candidates.end[x])


@inner
def labels_in_either(visual: TrueCounts, audio: TrueCounts) -> int:
    """How many labels occur in the truth of picture or sound."""
    either = 0
    for k in range(visual.bitmasks.shape[0]):
        either += visual.bitmasks[k] != 0 or audio.bitmasks[k] != 0
    return either


@inner
def unimodal_figures(workspace: SweepWorkspace, either: int) -> None:
    """Figures of picture, of sound, and of both counted together, into the row."""
    visual, audio, means, row = workspace.visual, workspace.audio, workspace.means, workspace.unimodal_row
    mean_f1(visual.running, visual.true, means)
    row[0], row[3] = means[0], means[1]
    mean_f1(audio.running, audio.true, means)
    row[1], row[4] = means[0], means[1]
    added_mean_f1(visual.running, visual.true, audio.running, audio.true, either, means)
    row[2], row[5] = means[0], means[1]


@inner
def late_figures(clip: Clip, label_order: I64, workspace: SweepWorkspace) -> None:
    """Figures of late fusion (4.7) into the row: the intersection of what picture and sound predict."""
    visual, audio, both = workspace.visual, workspace.audio, workspace.audiovisual
    # what a clip does not have is taken for granted
    every_v = ALWAYS if clip.missing & NO_PICTURE else NEVER
    every_a = ALWAYS if clip.missing & NO_SOUND else NEVER
    reset_f1(both.running)
    for k in label_order:
        bitmask = (visual.running.bitmasks[k] | every_v) & (audio.running.bitmasks[k] | every_a)
        if bitmask != 0:
            add_bitmask(both.running, both.true, k, bitmask)
    mean_f1(both.running, both.true, workspace.means)
    workspace.unimodal_row[6] = workspace.means[0]
    workspace.unimodal_row[7] = workspace.means[1]


@inner
def sweep_unimodal(
    clip: Clip,
    passes: Passes,
    decays: F64,
    fixed: Fixed,
    label_order: I64,
    workspace: SweepWorkspace,
    out: F64,
) -> None:
    """Add the figures of picture and sound, and of late fusion, at every leaf to ``out``, float64 (L, 8)."""
    subsets, visual, audio = workspace.subsets, workspace.visual, workspace.audio
    either = labels_in_either(visual.true, audio.true)
    heard, seen = clip.missing & NO_SOUND == 0, clip.missing & NO_PICTURE == 0
    by_threshold = fixed.refinement and fixed.decision == THRESHOLD
    subset_v = subset_a = 0
    known = -1.0  # the label selection of these subsets
    for p in range(passes.method.shape[0]):
        decay = decays[passes.decay[p]]
        if passes.filter_threshold[p] != known:
            known = passes.filter_threshold[p]
            reserve(subsets, 2)
            subset_v = choose_subset(subsets, clip, VISUAL, 0.0, known, fixed.label_selection, visual.stream)
            subset_a = choose_subset(subsets, clip, AUDIO, 0.0, known, fixed.label_selection, audio.stream)
        count_v = count_a = 0
        if seen:
            count_v = judge_pass(subsets, subset_v, clip, VISUAL, passes, p, decay, fixed, visual.stream)
        if heard:
            count_a = judge_pass(subsets, subset_a, clip, AUDIO, passes, p, decay, fixed, audio.stream)
        reset_f1(visual.running)
        reset_f1(audio.running)
        stay_v = stay_a = 0
        for leaf in range(passes.first[p], passes.first[p + 1]):
            begin = leaf == passes.first[p]
            tau2 = passes.threshold_stage2[leaf]
            new_v = new_a = -1
            if by_threshold and count_v > 1:
                new_v = count_staying(visual.stream.candidates, count_v, tau2, stay_v)
            if by_threshold and count_a > 1:
                new_a = count_staying(audio.stream.candidates, count_a, tau2, stay_a)
            if begin or new_v != stay_v:
                add_staying(visual, subsets, subset_v, count_v, fixed, stay_v, new_v)
            if begin or new_a != stay_a:
                add_staying(audio, subsets, subset_a, count_a, fixed, stay_a, new_a)
            if begin or new_v != stay_v or new_a != stay_a:
                unimodal_figures(workspace, either)
                if passes.late[p]:
                    late_figures(clip, label_order, workspace)
                stay_v, stay_a = new_v, new_a
            for x in range(UNIMODAL_FIGURES):
                out[leaf, x] += workspace.unimodal_row[x]


@inner
def sweep_audiovisual(
    clip: Clip,
    passes: Passes,
    decays: F64,
    fixed: Fixed,
    workspace: SweepWorkspace,
    out: F64,
) -> None:
    """Add the figures of the audiovisual stream (early fusion) at every leaf to ``out``, float64 (L, 2)."""
    subsets, both, row = workspace.subsets, workspace.audiovisual, workspace.audiovisual_row
    candidates = both.stream.candidates
    stream = fallback_stream(clip.missing, AUDIOVISUAL)
    by_threshold = fixed.refinement and fixed.decision == THRESHOLD
    subset = 0
    known = known_alpha = -1.0  # the label selection and alpha of this subset
    for p in range(passes.method.shape[0]):
        alpha = passes.alpha[p]
        if passes.filter_threshold[p] != known or alpha != known_alpha:
            known, known_alpha = passes.filter_threshold[p], alpha
            reserve(subsets, 1)
            subset = choose_subset(subsets, clip, stream, alpha, known, fixed.label_selection, both.stream)
            if stream == AUDIOVISUAL and enough(subsets, subset, clip):
                make_audiovisual(subsets, subset, clip, alpha, both.stream)
        n = judge_pass(subsets, subset, clip, stream, passes, p, decays[passes.decay[p]], fixed, both.stream)
        reset_f1(both.running)
        stay = 0
        for leaf in range(passes.first[p], passes.first[p + 1]):
            begin = leaf == passes.first[p]
            new = -1
            if by_threshold and n > 1:
                new = count_staying(candidates, n, passes.threshold_stage2[leaf], stay)
            if begin or new != stay:
                add_staying(both, subsets, subset, n, fixed, stay, new)
                mean_f1(both.running, both.true, workspace.means)
                row[0], row[1] = workspace.means[0], workspace.means[1]
                stay = new
            for x in range(AUDIOVISUAL_FIGURES):
                out[leaf, x] += row[x]


@lean
def sweep_clips(
    image: F64,
    video: F64,
    audio: F64,
    sound: F64,
    given: bool,
    cosine: F64,
    missing: U8,
    true: U64,
    unimodal: Passes,
    audiovisual: Passes,
    decays: F64,
    fixed: Fixed,
    label_order: I64,
    workspace: SweepWorkspace,
    unimodal_sums: F64,
    audiovisual_sums: F64,
) -> None:
    """Add the figures of n clips at every leaf of both kinds of passes.

    Args:
        image: float64 (n, T, C) logits.
        video: float64 (n, W, F, C) logits, W may be 1 or 0.
        audio: float64 (n, W, C) logits, likewise.
        sound: float64 (n, R, C) logits of the segments' sound; R = 1 where one row stands for all.
        given: whether image and sound are probabilities and no logits.
        cosine: float64 (n, T - 1).
        missing: uint8 (n,), 0, NO_PICTURE or NO_SOUND.
        true: uint64 (n, 3, C), visual, audio and audiovisual truth.
        unimodal: Passes over picture and sound.
        audiovisual: Passes over both, early fusion.
        decays: float64 (G, most), decay tables.
        fixed: Fixed.
        label_order: int64 (C,), labels in alphabetical order.
        workspace: SweepWorkspace.
        unimodal_sums: float64 (L, 8), added to.
        audiovisual_sums: float64 (L', 2), added to.
    """
    for i in range(image.shape[0]):
        selection_probabilities(
            image[i], video[i], audio[i], sound[i], given, workspace.all_labels, workspace.subsets.spare,
            workspace.whole_visual, workspace.whole_audio,
        )  # fmt: skip
        clip = Clip(
            image=image[i],
            video=video[i],
            audio=audio[i],
            sound=sound[i],
            given=given,
            cosine=cosine[i],
            whole_visual=workspace.whole_visual,
            whole_audio=workspace.whole_audio,
            missing=missing[i],
        )
        reset(workspace.subsets)
        set_truth(workspace.visual.true, true[i, VISUAL])
        set_truth(workspace.audio.true, true[i, AUDIO])
        set_truth(workspace.audiovisual.true, true[i, AUDIOVISUAL])
        sweep_unimodal(clip, unimodal, decays, fixed, label_order, workspace, unimodal_sums)
        sweep_audiovisual(clip, audiovisual, decays, fixed, workspace, audiovisual_sums)
