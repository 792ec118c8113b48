"""What a sweep keeps of a clip's streams, and the figures that it makes of it (docs/design.md 4.8)."""

from typing import NamedTuple

import numpy as np

from feature_cache import window_count
from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.choices import FIRST_EVENT, LABELS, NOTHING
from score.kernels.bitmask import ALWAYS, NEVER, first_run, span
from score.kernels.candidates import Candidates
from score.kernels.jit import inner
from score.kernels.label_subsets import Clip, LabelSubsets, empty_subsets
from score.kernels.one_label import class_figures, rows_right, take_free
from score.kernels.running_f1 import (
    RunningF1,
    TrueCounts,
    add_bitmask,
    add_candidate,
    added_mean_f1,
    empty_running_f1,
    empty_truth,
    mean_f1,
    reset_f1,
)
from score.kernels.streams import StreamWorkspace, refine, stream_workspace
from score.kernels.types import F64, I64, Bools

UNIMODAL_FIGURES = 9
"""Segment-level visual, audio, Event@AV, the same at event level; then late fusion's AUDIOVISUAL_FIGURES."""
AUDIOVISUAL_FIGURES = 3
"""By reading: F1 of segments and of events; accuracy of the first event, and of one label a segment added up over the
clip's rows; accuracy, F1 of segments and of events of one label a segment. What is over is 0."""


class Passes(NamedTuple):
    """P passes of label shift, sorted so that neighbours share most; a pass's leaves are its stage-2 thresholds."""

    method: I64  # (P,)
    filter_threshold: F64  # (P,)
    alpha: F64  # (P,), 0 for passes over picture and sound alone
    threshold_stage1: F64  # (P,)
    decay: I64  # (P,), row of the decay tables
    first: I64  # (P + 1,), leaves of pass x are first[x] ... first[x + 1] - 1
    threshold_stage2: F64  # (L,), falling within a pass
    late: Bools  # (P,), whether late fusion's figures are asked for


class Fixed(NamedTuple):
    """Parameters that a sweep does not change."""

    label_selection: bool
    refinement: bool
    decision: int
    passes: int
    reading: int
    background: int
    pooled: bool


class StreamSweep(NamedTuple):
    """One stream of one clip: its workspace, its predictions so far, its truth."""

    stream: StreamWorkspace
    running: RunningF1
    true: TrueCounts
    classes: I64  # (T,), the label of each segment
    scores: F64  # (C, T), of the event that a label has in a segment; NaN for none


class SweepWorkspace(NamedTuple):
    """Workspace of one thread."""

    subsets: LabelSubsets
    visual: StreamSweep
    audio: StreamSweep
    audiovisual: StreamSweep
    best: F64  # (T,), scores of the labels that late fusion gives the segments
    whole_visual: F64  # (C,), probabilities of window 0 over all labels
    whole_audio: F64  # (C,)
    all_labels: I64  # (C,), 0 ... C - 1
    means: F64  # (2,), segment level and event level
    unimodal_row: F64  # (9,), figures of the last leaf
    audiovisual_row: F64  # (3,), likewise
    counts: I64  # (3,)


class ClipTruth(NamedTuple):
    """What one label a segment is compared with."""

    first: I64  # (3,), label, start and end of the first annotation
    classes: I64  # (R, T), the label of each segment in each of the clip's rows


def sweep_workspace(
    labels: int, segments: int, sounds: int = 1, subset_bytes: int | None = None
) -> SweepWorkspace:  # fmt: skip
    """A workspace for one thread; ``sounds`` is 1, or ``segments`` where each has its own."""

    def stream_sweep() -> StreamSweep:
        return StreamSweep(
            stream=stream_workspace(labels, segments),
            running=empty_running_f1(labels),
            true=empty_truth(labels),
            classes=np.full(segments, NOTHING),
            scores=np.full((labels, segments), np.nan),
        )

    return SweepWorkspace(
        subsets=empty_subsets(labels, segments, window_count(segments), sounds=sounds, room=subset_bytes),
        visual=stream_sweep(),
        audio=stream_sweep(),
        audiovisual=stream_sweep(),
        best=np.zeros(segments),
        whole_visual=np.zeros(labels),
        whole_audio=np.zeros(labels),
        all_labels=np.arange(labels, dtype=np.int64),
        means=np.zeros(2),
        unimodal_row=np.zeros(UNIMODAL_FIGURES),
        audiovisual_row=np.zeros(AUDIOVISUAL_FIGURES),
        counts=np.zeros(3, np.int64),
    )


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


@inner
def take_classes(sweep: StreamSweep, subsets: LabelSubsets, subset: int, n: int, before: int, stay: int) -> None:
    """The same for the labels of segments, each of which has that of the best candidate that covers it."""
    candidates = sweep.stream.candidates
    for y in range(max(before, 0), n if stay < 0 else stay):
        x = candidates.rank[y]
        if stay >= 0 or candidates.stays[x]:
            label = subsets.kept[subset, candidates.slot[x]]
            take_free(sweep.classes, label, candidates.start[x], candidates.end[x])


@inner
def take_scores(sweep: StreamSweep, subsets: LabelSubsets, subset: int, n: int, before: int, stay: int) -> None:
    """The same for the scores of labels in segments, which late fusion compares."""
    candidates = sweep.stream.candidates
    for y in range(max(before, 0), n if stay < 0 else stay):
        x = candidates.rank[y]
        if stay >= 0 or candidates.stays[x]:
            label = subsets.kept[subset, candidates.slot[x]]
            for t in range(candidates.start[x], candidates.end[x]):
                sweep.scores[label, t] = candidates.probability[x]


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
def one_label_figures(
    fixed: Fixed, true: ClipTruth, label: int, start: int, end: int, both: StreamSweep, counts: I64, out: F64
) -> None:
    """Figures of one label a segment, as the reading asks: float64 (3,), written.

    Args:
        fixed: Fixed.
        true: ClipTruth.
        label: of the first event; NOTHING where there is none.
        start: its first segment.
        end: one past its last.
        both: StreamSweep of the audiovisual stream.
        counts: int64 (3,), overwritten.
        out: float64 (3,), written.
    """
    if fixed.reading == FIRST_EVENT:
        out[0] = segment_accuracy(label, start, end, true.first, both.classes.shape[0])
        out[1] = rows_right(both.classes, true.classes, fixed.background)
    else:
        class_figures(both.classes, true.classes[0], fixed.background, counts, out)


@inner
def late_figures(clip: Clip, true: ClipTruth, fixed: Fixed, label_order: I64, workspace: SweepWorkspace) -> None:
    """Figures of late fusion (4.7) into the row: the intersection of what picture and sound predict."""
    visual, audio, both = workspace.visual, workspace.audio, workspace.audiovisual
    # what a clip does not have is taken for granted
    every_v = ALWAYS if clip.missing & NO_PICTURE else NEVER
    every_a = ALWAYS if clip.missing & NO_SOUND else NEVER
    reset_f1(both.running)
    both.classes[:] = NOTHING
    best = workspace.best
    label, start, end = -1, 0, 0
    for k in label_order:
        bitmask = (visual.running.bitmasks[k] | every_v) & (audio.running.bitmasks[k] | every_a)
        if bitmask == 0:
            continue
        if label < 0:
            label = k
            start, end = first_run(bitmask)
        if fixed.reading == LABELS:
            add_bitmask(both.running, both.true, k, bitmask)
            continue
        while bitmask != 0:
            first, last = first_run(bitmask)
            bitmask &= ~span(first, last)
            score = min(score_at(visual, k, first, every_v), score_at(audio, k, first, every_a))
            for t in range(first, last):
                if both.classes[t] == NOTHING or score > best[t]:
                    both.classes[t] = k
                    best[t] = score
    row = workspace.unimodal_row[6:]
    if fixed.reading == LABELS:
        mean_f1(both.running, both.true, workspace.means)
        row[0], row[1] = workspace.means[0], workspace.means[1]
    else:
        one_label_figures(fixed, true, label, start, end, both, workspace.counts, row)


@inner
def score_at(side: StreamSweep, label: int, segment: int, every: np.uint64) -> float:
    """Score of a label's event in a segment; infinite for what a clip does not have."""
    return np.inf if every != 0 else side.scores[label, segment]
