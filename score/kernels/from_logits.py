"""Scoring clips with one setting: from logits to the events of all three streams."""

from typing import NamedTuple

import numpy as np

from feature_cache import window_count
from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.choices import AUDIO, AUDIOVISUAL, KERNEL_STREAMS, VISUAL
from score.kernels.bitmask import ALWAYS, NEVER, first_run, span
from score.kernels.jit import inner, lean
from score.kernels.label_subsets import Clip, LabelSubsets, empty_subsets, enough, probabilities, reset
from score.kernels.probability import standardise, standardise_frames
from score.kernels.streams import (
    StreamWorkspace,
    choose_subset,
    fallback_stream,
    find_positives,
    judge_candidates,
    make_audiovisual,
    refine,
    stream_workspace,
)
from score.kernels.types import F64, I64, U8, U64
from score.kernels.window_logits import Source, fetch

_SUBSETS = 4  # one setting needs a subset a stream


class Setting(NamedTuple):
    """One setting, as the kernels take it."""

    alpha: float
    filter_threshold: float
    threshold_stage1: float
    threshold_stage2: float
    decay: F64  # exp(-gamma n)
    method: int
    late: bool
    label_selection: bool
    refinement: bool
    decision: int
    passes: int
    pooled: bool


class ClipEvents(NamedTuple):
    """Events of n clips; streams visual, audio, audiovisual; the first ``count`` places are filled."""

    counts: I64  # (n, 3)
    label: I64  # (n, 3, most)
    start: I64  # (n, 3, most)
    end: I64  # (n, 3, most)
    probability: F64  # (n, 3, most)


class ClipWorkspace(NamedTuple):
    """Workspace for one clip and one setting."""

    subsets: LabelSubsets
    stream: StreamWorkspace
    whole_visual: F64  # (C,)
    whole_audio: F64  # (C,)
    all_labels: I64  # (C,), 0 ... C - 1
    spare: F64  # (C,)
    bitmasks: U64  # (2, C)


def clip_workspace(labels: int, segments: int, sounds: int = 1) -> ClipWorkspace:
    """A workspace for clips of C labels and T segments; ``sounds`` is the number of rows of sound, 1 or T."""
    return ClipWorkspace(
        subsets=empty_subsets(labels, segments, window_count(segments), _SUBSETS, sounds),
        stream=stream_workspace(labels, segments),
        whole_visual=np.zeros(labels),
        whole_audio=np.zeros(labels),
        all_labels=np.arange(labels, dtype=np.int64),
        spare=np.zeros(labels),
        bitmasks=np.zeros((2, labels), np.uint64),
    )


def empty_events(clips: int, labels: int, segments: int) -> ClipEvents:
    """Places for every event that can occur."""
    most = labels * (segments // 2 + 1)
    return ClipEvents(
        counts=np.zeros((clips, len(KERNEL_STREAMS)), np.int64),
        label=np.zeros((clips, len(KERNEL_STREAMS), most), np.int64),
        start=np.zeros((clips, len(KERNEL_STREAMS), most), np.int64),
        end=np.zeros((clips, len(KERNEL_STREAMS), most), np.int64),
        probability=np.zeros((clips, len(KERNEL_STREAMS), most)),
    )


@inner
def whole_probabilities(video: F64, audio: F64, all_labels: I64, spare: F64, visual_out: F64, audio_out: F64) -> None:
    """Probabilities of window 0 over all labels, which label selection compares (4.2).

    Args:
        video: float64 (W, F, C).
        audio: float64 (W, C).
        all_labels: int64 (C,), 0 ... C - 1.
        spare: float64 (C,), workspace.
        visual_out: float64 (C,), written.
        audio_out: float64 (C,), written.
    """
    labels = audio.shape[1]
    standardise_frames(video[0], all_labels, labels, visual_out, spare)
    standardise(audio[0], all_labels, labels, audio_out)


@lean
def mean_rows(rows: F64, all_labels: I64, given: bool, spare: F64, out: F64) -> None:
    """Mean over rows of their probabilities over all labels, (C,)."""
    labels = rows.shape[1]
    probabilities(rows[0], all_labels, labels, given, out)
    for t in range(1, rows.shape[0]):
        probabilities(rows[t], all_labels, labels, given, spare)
        for k in range(labels):
            out[k] += spare[k]
    for k in range(labels):
        out[k] /= rows.shape[0]


@lean
def selection_probabilities(
    image: F64, video: F64, audio: F64, sound: F64, given: bool, all_labels: I64, spare: F64, visual_out: F64,
    audio_out: F64,
) -> None:  # fmt: skip
    """:func:`whole_probabilities`, by the mean over segments where there is no window 0.

    Args:
        image: float64 (T, C).
        video: float64 (W, F, C), W may be 0.
        audio: float64 (W, C), W may be 0.
        sound: float64 (R, C), R = T or 1.
        given: whether image and sound are probabilities.
        all_labels: int64 (C,), 0 ... C - 1.
        spare: float64 (C,), workspace.
        visual_out: float64 (C,), written.
        audio_out: float64 (C,), written.
    """
    labels = image.shape[1]
    if video.shape[0] > 0:
        standardise_frames(video[0], all_labels, labels, visual_out, spare)
    else:
        mean_rows(image, all_labels, given, spare, visual_out)
    if audio.shape[0] > 0:
        standardise(audio[0], all_labels, labels, audio_out)
    else:
        mean_rows(sound, all_labels, given, spare, audio_out)


@lean
def score_stream(
    workspace: ClipWorkspace, clip: Clip, source: Source | None, stream: int, setting: Setting
) -> tuple[int, int]:
    """Events of a stream as judged candidates in the stream's workspace; returns its label subset and how many."""
    subsets, work = workspace.subsets, workspace.stream
    subset = choose_subset(
        subsets, clip, stream, setting.alpha, setting.filter_threshold, setting.label_selection, work
    )
    if not enough(subsets, subset, clip):
        return subset, 0
    if stream == AUDIOVISUAL:
        make_audiovisual(subsets, subset, clip, setting.alpha, work)
    find_positives(
        subsets, subset, clip, stream, setting.method, setting.threshold_stage1, setting.decay, setting.passes,
        work,
    )  # fmt: skip
    fetch(source, stream, subsets.size[subset], clip.image.shape[0], setting.pooled, work)
    n = judge_candidates(subsets, subset, clip, stream, setting.alpha, setting.decision, setting.pooled, work)
    refine(work.candidates, n, setting.refinement, setting.decision, setting.threshold_stage2)
    return subset, n


@lean
def fuse_late(events: ClipEvents, i: int, label_order: I64, bitmasks: U64, missing: int) -> None:
    """Audiovisual events as the intersection of the other streams' timelines (4.7).

    An event's probability is the smaller one of the two events that it comes from. What is missing has no say.
    """
    bitmasks[VISUAL] = ALWAYS if missing & NO_PICTURE else NEVER
    bitmasks[AUDIO] = ALWAYS if missing & NO_SOUND else NEVER
    for stream in (VISUAL, AUDIO):
        for x in range(events.counts[i, stream]):
            bitmasks[stream, events.label[i, stream, x]] |= span(events.start[i, stream, x], events.end[i, stream, x])
    n = 0
    for label in label_order:
        bitmask = bitmasks[VISUAL, label] & bitmasks[AUDIO, label]
        while bitmask != 0:
            start, end = first_run(bitmask)
            bitmask &= ~span(start, end)
            least = 1.0
            for stream in (VISUAL, AUDIO):
                for x in range(events.counts[i, stream]):
                    if (
                        events.label[i, stream, x] == label
                        and events.start[i, stream, x] <= start
                        and events.end[i, stream, x] >= end
                    ):
                        least = min(least, events.probability[i, stream, x])
            events.label[i, AUDIOVISUAL, n] = label
            events.start[i, AUDIOVISUAL, n] = start
            events.end[i, AUDIOVISUAL, n] = end
            events.probability[i, AUDIOVISUAL, n] = least
            n += 1
    events.counts[i, AUDIOVISUAL] = n


@lean
def score_clip(
    image: F64,
    video: F64,
    audio: F64,
    sound: F64,
    given: bool,
    cosine: F64,
    missing: int,
    source: Source | None,
    setting: Setting,
    label_order: I64,
    workspace: ClipWorkspace,
    events: ClipEvents,
    i: int,
) -> None:
    """Score one clip into place ``i`` of ``events``.

    Args:
        image: float64 (T, C) logits.
        video: float64 (W, F, C) logits; only window 0 if there is a source.
        audio: float64 (W, C) logits, likewise.
        sound: float64 (R, C) logits of the segments' sound; R = 1 where one row stands for all.
        given: whether image and sound are probabilities and no logits.
        cosine: float64 (T - 1,).
        missing: 0, NO_PICTURE or NO_SOUND.
        source: Source of the other windows' logits, or None.
        setting: Setting.
        label_order: int64 (C,), labels in alphabetical order, for late fusion.
        workspace: ClipWorkspace, with the whole clip's probabilities.
        events: ClipEvents, written.
        i: the place.
    """
    clip = Clip(
        image=image,
        video=video,
        audio=audio,
        sound=sound,
        given=given,
        cosine=cosine,
        whole_visual=workspace.whole_visual,
        whole_audio=workspace.whole_audio,
        missing=missing,
    )
    subsets, judged = workspace.subsets, workspace.stream.candidates
    reset(subsets)
    for stream in (VISUAL, AUDIO, AUDIOVISUAL):
        if stream == AUDIOVISUAL and setting.late:
            break
        fallback = fallback_stream(missing, stream)
        if fallback < 0:
            events.counts[i, stream] = 0
            continue
        subset, n = score_stream(workspace, clip, source, fallback, setting)
        y = 0
        for x in range(n):
            if judged.stays[x]:
                events.label[i, stream, y] = subsets.kept[subset, judged.slot[x]]
                events.start[i, stream, y] = judged.start[x]
                events.end[i, stream, y] = judged.end[x]
                events.probability[i, stream, y] = judged.probability[x]
                y += 1
        events.counts[i, stream] = y
    if setting.late:
        fuse_late(events, i, label_order, workspace.bitmasks, missing)


@lean
def score_clips(
    image: F64,
    video: F64,
    audio: F64,
    sound: F64,
    given: bool,
    cosine: F64,
    missing: U8,
    setting: Setting,
    label_order: I64,
    workspace: ClipWorkspace,
    events: ClipEvents,
) -> None:
    """Score n clips whose logits are all there.

    Args:
        image: float64 (n, T, C) logits.
        video: float64 (n, W, F, C) logits, W may be 1 or 0.
        audio: float64 (n, W, C) logits, likewise.
        sound: float64 (n, R, C) logits of the segments' sound; R = 1 where one row stands for all.
        given: whether image and sound are probabilities and no logits.
        cosine: float64 (n, T - 1).
        missing: uint8 (n,), 0, NO_PICTURE or NO_SOUND.
        setting: Setting.
        label_order: int64 (C,), labels in alphabetical order, for late fusion.
        workspace: ClipWorkspace, overwritten.
        events: ClipEvents, written.
    """
    for i in range(image.shape[0]):
        selection_probabilities(
            image[i], video[i], audio[i], sound[i], given, workspace.all_labels, workspace.spare,
            workspace.whole_visual, workspace.whole_audio,
        )  # fmt: skip
        score_clip(
            image[i], video[i], audio[i], sound[i], given, cosine[i], missing[i], None, setting, label_order, workspace,
            events, i,
        )  # fmt: skip


@lean
def gather(events: ClipEvents, clips: int, streams: I64, table: I64, score: F64) -> None:
    """Events of the first ``clips`` places, one a row.

    Args:
        events: ClipEvents.
        clips: number of clips.
        streams: int64 (3,), the streams in the order wanted.
        table: int64 (E, 5), written: place of the clip, place in ``streams``, label, start, end.
        score: float64 (E,), written.
    """
    e = 0
    for i in range(clips):
        for place in range(streams.shape[0]):
            stream = streams[place]
            for x in range(events.counts[i, stream]):
                table[e, 0] = i
                table[e, 1] = place
                table[e, 2] = events.label[i, stream, x]
                table[e, 3] = events.start[i, stream, x]
                table[e, 4] = events.end[i, stream, x]
                score[e] = events.probability[i, stream, x]
                e += 1
