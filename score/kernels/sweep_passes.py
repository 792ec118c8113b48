"""Passes of a sweep over a clip: what they are, what a thread keeps meanwhile, and the candidates of one of them."""

from typing import NamedTuple

import numpy as np

from feature_cache import window_count
from score.choices import NOTHING
from score.kernels.jit import inner
from score.kernels.label_subsets import Clip, LabelSubsets, empty_subsets, enough
from score.kernels.running_f1 import RunningF1, TrueCounts, empty_running_f1, empty_truth
from score.kernels.streams import StreamWorkspace, find_positives, judge_candidates, stream_workspace
from score.kernels.types import F64, I64, Bools

UNIMODAL_FIGURES = 8
"""F1 of segments visual, audio, Event@AV, of events likewise; late fusion's audiovisual F1 of segments, of events."""
AUDIOVISUAL_FIGURES = 2
"""Audiovisual F1 of segments and of events."""
ONE_LABEL_FIGURES = 3
"""Accuracy of the first event, and of one label a segment added up over a clip's rows; or accuracy, F1 of segments and
F1 of events of one label a segment. What is over is 0."""


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
    pooled: bool


class StreamSweep(NamedTuple):
    """One stream of one clip: its workspace, its predictions so far, its truth."""

    stream: StreamWorkspace
    running: RunningF1
    true: TrueCounts
    scores: F64  # (C, T), of the event that a label has in a segment; NaN for none


class SweepWorkspace(NamedTuple):
    """Workspace of one thread."""

    subsets: LabelSubsets
    visual: StreamSweep
    audio: StreamSweep
    audiovisual: StreamSweep
    classes: I64  # (T,), the label of each segment
    best: F64  # (T,), its score in late fusion
    whole_visual: F64  # (C,), probabilities of window 0 over all labels
    whole_audio: F64  # (C,)
    all_labels: I64  # (C,), 0 ... C - 1
    means: F64  # (2,), segment level and event level
    unimodal_row: F64  # (8,), figures of the last leaf
    audiovisual_row: F64  # (2,), likewise
    one_label_row: F64  # (3,), likewise
    counts: I64  # (3,)


def sweep_workspace(
    labels: int, segments: int, sounds: int = 1, subset_bytes: int | None = None
) -> SweepWorkspace:  # fmt: skip
    """A workspace for one thread; ``sounds`` is 1, or ``segments`` where each has its own."""

    def stream_sweep() -> StreamSweep:
        return StreamSweep(
            stream=stream_workspace(labels, segments),
            running=empty_running_f1(labels),
            true=empty_truth(labels),
            scores=np.full((labels, segments), np.nan),
        )

    return SweepWorkspace(
        subsets=empty_subsets(labels, segments, window_count(segments), sounds=sounds, room=subset_bytes),
        visual=stream_sweep(),
        audio=stream_sweep(),
        audiovisual=stream_sweep(),
        classes=np.full(segments, NOTHING),
        best=np.zeros(segments),
        whole_visual=np.zeros(labels),
        whole_audio=np.zeros(labels),
        all_labels=np.arange(labels, dtype=np.int64),
        means=np.zeros(2),
        unimodal_row=np.zeros(UNIMODAL_FIGURES),
        audiovisual_row=np.zeros(AUDIOVISUAL_FIGURES),
        one_label_row=np.zeros(ONE_LABEL_FIGURES),
        counts=np.zeros(3, np.int64),
    )


@inner
def judge_pass(
    subsets: LabelSubsets,
    subset: int,
    clip: Clip,
    stream: int,
    passes: Passes,
    p: int,
    decay: F64,
    fixed: Fixed,
    workspace: StreamWorkspace,
) -> int:
    """A stream's judged candidates in pass ``p``; returns how many."""
    if not enough(subsets, subset, clip):
        return 0
    find_positives(
        subsets, subset, clip, stream, passes.method[p], passes.threshold_stage1[p], decay, fixed.passes, workspace
    )
    return judge_candidates(
        subsets, subset, clip, stream, passes.alpha[p], fixed.decision, fixed.pooled, workspace
    )  # fmt: skip
