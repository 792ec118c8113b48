"""Sweeps where one label a segment is read (docs/design.md 4.8); otherwise as ``sweep.py``."""

from typing import NamedTuple

import numpy as np

from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.choices import AUDIO, AUDIOVISUAL, FIRST_EVENT, NOTHING, THRESHOLD, VISUAL
from score.kernels.bitmask import ALWAYS, NEVER
from score.kernels.candidates import Candidates, count_staying
from score.kernels.from_logits import selection_probabilities
from score.kernels.jit import inner, lean
from score.kernels.label_subsets import Clip, enough, reserve, reset
from score.kernels.one_label import class_figures, rows_right, take_free
from score.kernels.streams import choose_subset, fallback_stream, make_audiovisual, refine
from score.kernels.sweep_passes import ONE_LABEL_FIGURES, Fixed, Passes, SweepWorkspace, judge_pass
from score.kernels.types import F64, I64, U8


class ClipTruth(NamedTuple):
    """What one label a segment is compared with."""

    first: I64  # (3,), label, start and end of the first annotation
    classes: I64  # (R, T), the label of each segment in each of the clip's rows
    group: int
    reading: int  # FIRST_EVENT or ONE_LABEL
    background: int  # the label that means nothing; NOTHING where there is none


@inner
def first_staying(candidates: Candidates, n: int, stay: int) -> int:
    """The first in order of the candidates that stay, as :func:`add_staying` has it; n if there is none."""
    at = n
    if stay < 0:
        for x in range(n - 1, -1, -1):
            if candidates.stays[x]:
                at = x
    else:
        for y in range(stay):
            at = min(at, candidates.rank[y])
    return at


@inner
def segment_accuracy(label: int, start: int, end: int, first: I64, segments: int) -> float:
    """Share of segments whose class is the true one, nothing being a class; one event each (label -1: none)."""
    right = 0
    for t in range(segments):
        guess = label if start <= t < end else -1
        true = first[0] if first[1] <= t < first[2] else -1
        right += guess == true
    return right / segments


@lean
def take_classes(candidates: Candidates, kept: I64, n: int, before: int, stay: int, classes: I64) -> None:
    """Bring the labels of segments from ``before`` ranked candidates to ``stay`` of them: each has its best one's.

    -1: to those that ``stays`` says, by a decision that does not depend on the threshold.
    """
    for y in range(max(before, 0), n if stay < 0 else stay):
        x = candidates.rank[y]
        if stay >= 0 or candidates.stays[x]:
            take_free(classes, kept[candidates.slot[x]], candidates.start[x], candidates.end[x])


@lean
def take_scores(candidates: Candidates, kept: I64, n: int, stay: int, scores: F64) -> None:
    """Scores of labels in segments, float64 (C, T), NaN for none, of as many of n candidates."""
    scores[:] = np.nan
    for y in range(n if stay < 0 else stay):
        x = candidates.rank[y]
        if stay >= 0 or candidates.stays[x]:
            scores[kept[candidates.slot[x]], candidates.start[x] : candidates.end[x]] = candidates.probability[x]


@lean
def one_label_figures(
    truth: ClipTruth, event: tuple[int, int, int], classes: I64, counts: I64, out: F64
) -> None:  # fmt: skip
    """Figures of one label a segment.

    Args:
        truth: ClipTruth.
        event: label, start and end of the first event; NOTHING where there is none.
        classes: int64 (T,), the predicted label of each segment.
        counts: int64 (3,), overwritten.
        out: float64 (3,), written as the reading asks.
    """
    if truth.reading == FIRST_EVENT:
        out[0] = segment_accuracy(event[0], event[1], event[2], truth.first, classes.shape[0])
        out[1] = rows_right(classes, truth.classes, truth.background)
    else:
        class_figures(classes, truth.classes[0], truth.background, counts, out)


@lean
def late_classes(
    label_order: I64, seen: F64, heard: F64, every_v: np.uint64, every_a: np.uint64, best: F64, classes: I64
) -> tuple[int, int, int]:
    """Labels of segments by late fusion; returns label, start and end of the first event, NOTHING where there is none.

    Args:
        label_order: int64 (C,), labels in alphabetical order.
        seen: float64 (C, T), scores of the visual events, NaN for none.
        heard: float64 (C, T), of the audio events.
        every_v: ALWAYS where the clip has no picture, else NEVER.
        every_a: the same of its sound.
        best: float64 (T,), overwritten.
        classes: int64 (T,), written.
    """
    classes[:] = NOTHING
    label, start, end = NOTHING, 0, 0
    for k in label_order:
        for t in range(classes.shape[0]):
            score = np.inf
            if every_v == NEVER:
                score = min(score, seen[k, t]) if seen[k, t] == seen[k, t] else np.nan
            if every_a == NEVER:
                score = min(score, heard[k, t]) if heard[k, t] == heard[k, t] else np.nan
            if score != score:
                continue
            if label == NOTHING:
                label, start, end = k, t, t
            if label == k and end == t:
                end = t + 1
            if classes[t] == NOTHING or score > best[t]:
                classes[t] = k
                best[t] = score
    return label, start, end


@inner
def sweep_late(
    clip: Clip,
    truth: ClipTruth,
    passes: Passes,
    decays: F64,
    fixed: Fixed,
    label_order: I64,
    workspace: SweepWorkspace,
    out: F64,
) -> None:
    """Add the figures of late fusion at every leaf of the passes that ask for it to ``out``, float64 (L, G, 3)."""
    subsets, visual, audio = workspace.subsets, workspace.visual, workspace.audio
    # what a clip does not have is taken for granted
    every_v = ALWAYS if clip.missing & NO_PICTURE else NEVER
    every_a = ALWAYS if clip.missing & NO_SOUND else NEVER
    by_threshold = fixed.refinement and fixed.decision == THRESHOLD
    subset_v = subset_a = 0
    known = -1.0  # the label selection of these subsets
    for p in range(passes.method.shape[0]):
        if not passes.late[p]:
            continue
        decay = decays[passes.decay[p]]
        if passes.filter_threshold[p] != known:
            known = passes.filter_threshold[p]
            reserve(subsets, 2)
            subset_v = choose_subset(subsets, clip, VISUAL, 0.0, known, fixed.label_selection, visual.stream)
            subset_a = choose_subset(subsets, clip, AUDIO, 0.0, known, fixed.label_selection, audio.stream)
        count_v = count_a = 0
        if every_v == NEVER:
            count_v = judge_pass(subsets, subset_v, clip, VISUAL, passes, p, decay, fixed, visual.stream)
        if every_a == NEVER:
            count_a = judge_pass(subsets, subset_a, clip, AUDIO, passes, p, decay, fixed, audio.stream)
        if not (by_threshold and count_v > 1):
            refine(visual.stream.candidates, count_v, fixed.refinement, fixed.decision, 0.0)
        if not (by_threshold and count_a > 1):
            refine(audio.stream.candidates, count_a, fixed.refinement, fixed.decision, 0.0)
        stay_v = stay_a = 0
        for leaf in range(passes.first[p], passes.first[p + 1]):
            begin = leaf == passes.first[p]
            tau2 = passes.threshold_stage2[leaf]
            new_v = new_a = -1
            if by_threshold and count_v > 1:
                new_v = count_staying(visual.stream.candidates, count_v, tau2, stay_v)
            if by_threshold and count_a > 1:
                new_a = count_staying(audio.stream.candidates, count_a, tau2, stay_a)
            if begin or new_v != stay_v or new_a != stay_a:
                kept_v, kept_a = subsets.kept[subset_v], subsets.kept[subset_a]
                take_scores(visual.stream.candidates, kept_v, count_v, new_v, visual.scores)
                take_scores(audio.stream.candidates, kept_a, count_a, new_a, audio.scores)
                event = late_classes(
                    label_order, visual.scores, audio.scores, every_v, every_a, workspace.best, workspace.classes
                )
                one_label_figures(truth, event, workspace.classes, workspace.counts, workspace.one_label_row)
                stay_v, stay_a = new_v, new_a
            for x in range(ONE_LABEL_FIGURES):
                out[leaf, truth.group, x] += workspace.one_label_row[x]


@inner
def sweep_early(
    clip: Clip,
    truth: ClipTruth,
    passes: Passes,
    decays: F64,
    fixed: Fixed,
    workspace: SweepWorkspace,
    out: F64,
) -> None:
    """Add the figures of the audiovisual stream (early fusion) at every leaf to ``out``, float64 (L, G, 3)."""
    subsets, both, row = workspace.subsets, workspace.audiovisual, workspace.one_label_row
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
        workspace.classes[:] = NOTHING
        stay = 0
        for leaf in range(passes.first[p], passes.first[p + 1]):
            begin = leaf == passes.first[p]
            new = -1
            if by_threshold and n > 1:
                new = count_staying(candidates, n, passes.threshold_stage2[leaf], stay)
            if begin or new != stay:
                if new < 0:
                    refine(candidates, n, fixed.refinement, fixed.decision, 0.0)
                take_classes(candidates, subsets.kept[subset], n, stay, new, workspace.classes)
                at = first_staying(candidates, n, new)
                event = (NOTHING, 0, 0)
                if at < n:
                    label = subsets.kept[subset, candidates.slot[at]]
                    event = (label, candidates.start[at], candidates.end[at])
                one_label_figures(truth, event, workspace.classes, workspace.counts, row)
                stay = new
            for x in range(ONE_LABEL_FIGURES):
                out[leaf, truth.group, x] += row[x]


@lean
def sweep_one_label(
    image: F64,
    video: F64,
    audio: F64,
    sound: F64,
    given: bool,
    cosine: F64,
    missing: U8,
    first: I64,
    classes: I64,
    group: I64,
    reading: int,
    background: int,
    unimodal: Passes,
    audiovisual: Passes,
    decays: F64,
    fixed: Fixed,
    label_order: I64,
    workspace: SweepWorkspace,
    late_sums: F64,
    early_sums: F64,
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
        first: int64 (n, 3), the first annotated event.
        classes: int64 (n, R, T), the label of each segment in each of a clip's rows.
        group: int64 (n,), below G.
        reading: FIRST_EVENT or ONE_LABEL.
        background: the label that means nothing; NOTHING where there is none.
        unimodal: Passes over picture and sound.
        audiovisual: Passes over both, early fusion.
        decays: float64 (G, most), decay tables.
        fixed: Fixed.
        label_order: int64 (C,), labels in alphabetical order.
        workspace: SweepWorkspace.
        late_sums: float64 (L, G, 3), added to where late fusion is asked for.
        early_sums: float64 (L', G, 3), added to.
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
        truth = ClipTruth(
            first=first[i], classes=classes[i], group=group[i], reading=reading, background=background
        )  # fmt: skip
        sweep_late(clip, truth, unimodal, decays, fixed, label_order, workspace, late_sums)
        sweep_early(clip, truth, audiovisual, decays, fixed, workspace, early_sums)
