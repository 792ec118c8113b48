"""The intervals rule (docs/rules.md): disjoint windows whose probabilities pay for their length."""

from typing import NamedTuple

import numpy as np

from feature_cache import window_count
from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.choices import AUDIO, AUDIOVISUAL, LABELS, LATE, VISUAL
from score.kernels.bitmask import span
from score.kernels.fusion import both_at_once, stand_in
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
    write_said,
)
from score.kernels.probability import standardise, standardise_frames
from score.kernels.types import F64, I64, U8, U64

FILTER, THRESHOLD, PENALTY, FUSION, ALPHA = range(5)
"""Columns of a setting."""
_MOST_KEPT, _KEPT_BYTES = 16, 1 << 20
"""Weights of the sound whose audiovisual windows a thread keeps at most, and the room for them."""


class Windows(NamedTuple):
    """Probabilities of windows over the labels that a stream keeps; NaN of others, and of a window without spread."""

    p: F64  # (C, W)
    largest: F64  # (C, T + 1), over windows of so many segments that are no NaN; -1 where there is none


class Mixed(NamedTuple):
    """Audiovisual windows for the last K weights of the sound, as long as what is selected stays."""

    p: F64  # (K, C, W)
    largest: F64  # (K, C, T + 1)
    alpha: F64  # (K,)
    used: I64  # (2,), how many there are, and which is overwritten next


class IntervalsWorkspace(NamedTuple):
    """Workspace of one thread."""

    said: Said
    judge: JudgeWorkspace
    whole: F64  # (2, C), probabilities of window 0 over all labels
    visual: Windows
    audio: Windows
    mixed: Mixed
    picture: Windows  # over the labels that the audiovisual stream keeps
    sound: Windows
    last: I64  # (3, C + 1), labels of the windows of each stream: their number, -1 for none yet, and which
    kept: I64  # (C,)
    row: F64  # (C,)
    spare: F64  # (C,)
    best: F64  # (T + 1,)
    begins: I64  # (T + 1,)
    paid: F64  # (T + 1,)


def _empty_windows(labels: int, segments: int) -> Windows:
    return Windows(np.zeros((labels, window_count(segments))), np.zeros((labels, segments + 1)))


def _nothing_mixed(labels: int, segments: int) -> Mixed:
    windows = window_count(segments)
    kept = max(1, min(_MOST_KEPT, _KEPT_BYTES // (8 * labels * windows)))
    return Mixed(
        np.zeros((kept, labels, windows)), np.zeros((kept, labels, segments + 1)), np.zeros(kept), np.zeros(2, np.int64)
    )


def intervals_workspace(labels: int, segments: int) -> IntervalsWorkspace:
    """A workspace for clips of C labels and T segments."""
    return IntervalsWorkspace(
        said=said_nothing(labels, segments, 0.0),
        judge=judge_workspace(labels, segments),
        whole=np.zeros((2, labels)),
        visual=_empty_windows(labels, segments),
        audio=_empty_windows(labels, segments),
        mixed=_nothing_mixed(labels, segments),
        picture=_empty_windows(labels, segments),
        sound=_empty_windows(labels, segments),
        last=np.full((3, labels + 1), -1),
        kept=np.zeros(labels, np.int64),
        row=np.zeros(labels),
        spare=np.zeros(labels),
        best=np.zeros(segments + 1),
        begins=np.zeros(segments + 1, np.int64),
        paid=np.zeros(segments + 1),
    )


@lean
def keep_labels(whole: F64, tau: float, kept: I64) -> int:
    """Labels whose probability in ``whole`` (C,) exceeds ``tau``, into ``kept``; returns how many."""
    size = 0
    for c in range(whole.shape[0]):
        if whole[c] > tau:
            kept[size] = c
            size += 1
    return size


@lean
def as_before(kept: I64, size: int, last: I64) -> bool:
    """Whether labels are those of ``last``, int64 (C + 1,), which becomes these."""
    same = last[0] == size
    last[0] = size
    for j in range(size):
        same = same and last[j + 1] == kept[j]
        last[j + 1] = kept[j]
    return same


@lean
def picture_windows(video: F64, kept: I64, size: int, row: F64, spare: F64, out: Windows) -> None:
    """Probabilities of windows by their picture, float64 (W, F, C) logits, over the kept labels (4.1)."""
    out.p[:] = np.nan
    for w in range(1, video.shape[0]):
        standardise_frames(video[w], kept, size, row, spare)
        for j in range(size):
            out.p[kept[j], w] = row[j]


@lean
def sound_windows(audio: F64, kept: I64, size: int, row: F64, out: Windows) -> None:
    """The same by their sound, float64 (W, C) logits."""
    out.p[:] = np.nan
    for w in range(1, audio.shape[0]):
        standardise(audio[w], kept, size, row)
        for j in range(size):
            out.p[kept[j], w] = row[j]


@lean
def mix_windows(visual: Windows, audio: Windows, alpha: float, out: Windows) -> None:
    """Audiovisual probabilities of windows."""
    for c in range(out.p.shape[0]):
        for w in range(1, out.p.shape[1]):
            out.p[c, w] = (1.0 - alpha) * visual.p[c, w] + alpha * audio.p[c, w]


@lean
def note_largest(windows: Windows) -> None:
    """Each label's largest probability of windows of each length."""
    segments = windows.largest.shape[1] - 1
    windows.largest[:] = -1.0
    for c in range(windows.p.shape[0]):
        p, largest = windows.p[c], windows.largest[c]
        w = 0
        for start in range(segments - 1):
            for length in range(2, segments - start + 1):
                w += 1
                if p[w] > largest[length]:
                    largest[length] = p[w]


@inner
def pays(largest: F64, tau: float, penalty: float) -> bool:
    """Whether any window of a label gains more than its penalty, from float64 (T + 1,), as :func:`note_largest`."""
    most = -1.0
    for length in range(2, largest.shape[0]):
        most = max(most, length * (largest[length] - tau) - penalty)
    return most > 0.0


@lean
def best_windows(
    p: F64, tau: float, penalty: float, best: F64, begins: I64, paid: F64, value: F64
) -> np.uint64:  # fmt: skip
    """The segments of the disjoint windows with the largest sum of length · (p − tau) − penalty.

    Of equal sums the one with fewer segments covered from the end, then the window that begins first.

    Args:
        p: float64 (W,), probabilities of windows in their order; NaN: the window cannot be taken.
        tau: probability that pays.
        penalty: of a window.
        best: float64 (T + 1,), overwritten: the largest sum up to a segment.
        begins: int64 (T + 1,), overwritten: where the window that ends there begins; -1 for none.
        paid: float64 (T + 1,), overwritten: its probability.
        value: float64 (T,), written where a window is taken: its probability.
    """
    segments = best.shape[0] - 1
    best[0] = 0.0
    for e in range(1, segments + 1):
        best[e] = -np.inf
        begins[e] = -1
    begins[0] = -1
    w = 0
    for start in range(segments + 1):
        if start > 0 and best[start - 1] >= best[start]:
            best[start] = best[start - 1]
            begins[start] = -1
        for end in range(start + 2, segments + 1):
            w += 1
            gain = (end - start) * (p[w] - tau) - penalty
            if not gain > 0.0:
                continue  # no better than to leave these segments off, which comes first of equals
            total = best[start] + gain
            if total > best[end]:
                best[end] = total
                begins[end] = start
                paid[end] = p[w]
    found = np.uint64(0)
    end = segments
    while end > 0:
        start = begins[end]
        if start < 0:
            end -= 1
            continue
        found |= span(start, end)
        for t in range(start, end):
            value[t] = paid[end]
        end = start
    return found


@lean
def decode_windows(windows: Windows, setting: F64, workspace: IntervalsWorkspace, stream: int) -> None:
    """The segments of a stream that are on."""
    on, value = workspace.said.on[stream], workspace.said.value[stream]
    tau, penalty = setting[THRESHOLD], setting[PENALTY]
    for c in range(on.shape[0]):
        on[c] = 0
        if pays(windows.largest[c], tau, penalty):
            on[c] = best_windows(
                windows.p[c], tau, penalty, workspace.best, workspace.begins, workspace.paid, value[c]
            )  # fmt: skip


@lean
def mixed_windows(video: F64, audio: F64, setting: F64, workspace: IntervalsWorkspace) -> Windows:
    """Windows of the audiovisual stream, over the labels that it keeps itself."""
    alpha, size, mixed = setting[ALPHA], workspace.kept.shape[0], workspace.mixed
    for k in range(mixed.used[0]):
        if mixed.alpha[k] == alpha:
            return Windows(mixed.p[k], mixed.largest[k])
    k = mixed.used[1]
    both = Windows(mixed.p[k], mixed.largest[k])
    mixed.alpha[k] = alpha
    mixed.used[0] = min(mixed.used[0] + 1, mixed.alpha.shape[0])
    mixed.used[1] = (k + 1) % mixed.alpha.shape[0]
    if setting[FILTER] > 0.0:
        for c in range(size):
            workspace.spare[c] = (1.0 - alpha) * workspace.whole[VISUAL, c] + alpha * workspace.whole[AUDIO, c]
        size = keep_labels(workspace.spare, setting[FILTER], workspace.kept)
        if not as_before(workspace.kept, size, workspace.last[AUDIOVISUAL]):
            picture_windows(video, workspace.kept, size, workspace.row, workspace.spare, workspace.picture)
            sound_windows(audio, workspace.kept, size, workspace.row, workspace.sound)
        mix_windows(workspace.picture, workspace.sound, alpha, both)
    else:  # all labels, as picture and sound have them
        mix_windows(workspace.visual, workspace.audio, alpha, both)
    note_largest(both)
    return both


@lean
def begin_windows(video: F64, audio: F64, missing: int, tau: float, workspace: IntervalsWorkspace) -> None:
    """Windows of picture and sound, over the labels that each keeps."""
    row, spare, kept = workspace.row, workspace.spare, workspace.kept
    workspace.mixed.used[:] = 0
    if missing & NO_PICTURE == 0:
        size = keep_labels(workspace.whole[VISUAL], tau, kept)
        if not as_before(kept, size, workspace.last[VISUAL]):
            picture_windows(video, kept, size, row, spare, workspace.visual)
            note_largest(workspace.visual)
    if missing & NO_SOUND == 0:
        size = keep_labels(workspace.whole[AUDIO], tau, kept)
        if not as_before(kept, size, workspace.last[AUDIO]):
            sound_windows(audio, kept, size, row, workspace.audio)
            note_largest(workspace.audio)


@lean
def intervals_clips(
    video: F64,
    audio: F64,
    missing: U8,
    settings: F64,
    truth: ClipsTruth,
    workspace: IntervalsWorkspace,
    sums: F64,
    on: U64,
    value: F64,
) -> None:
    """Add figures of n clips under S settings; or, where there are places for it, write what one setting says of them.

    Args:
        video: float64 (n, W, F, C) logits of every window.
        audio: float64 (n, W, C), likewise.
        missing: uint8 (n,), 0, NO_PICTURE or NO_SOUND.
        settings: float64 (S, 5), sorted so that neighbours share most.
        truth: ClipsTruth.
        workspace: IntervalsWorkspace.
        sums: float64 (S, columns of the reading), added to.
        on: uint64 (n, 3, C), written; or (0, 3, C).
        value: float64 (n, 3, C, T), likewise.
    """
    said, judge = workspace.said, workspace.judge
    labels = workspace.kept.shape[0]
    writes = on.shape[0] > 0
    for i in range(video.shape[0]):
        seen, heard = missing[i] & NO_PICTURE == 0, missing[i] & NO_SOUND == 0
        said.on[:] = 0
        workspace.last[:, 0] = -1
        for c in range(labels):
            workspace.kept[c] = c
        standardise_frames(video[i, 0], workspace.kept, labels, workspace.whole[VISUAL], workspace.spare)
        standardise(audio[i, 0], workspace.kept, labels, workspace.whole[AUDIO])
        if not writes:
            begin_clip(truth, i, judge)
        for s in range(settings.shape[0]):
            now = settings[s]
            new_filter = s == 0 or now[FILTER] != settings[s - 1, FILTER]
            new = new_filter or now[THRESHOLD] != settings[s - 1, THRESHOLD] or now[PENALTY] != settings[s - 1, PENALTY]
            if new_filter:
                begin_windows(video[i], audio[i], missing[i], now[FILTER], workspace)
            if new and seen:
                decode_windows(workspace.visual, now, workspace, VISUAL)
            if new and heard:
                decode_windows(workspace.audio, now, workspace, AUDIO)
            new_alpha = new or now[ALPHA] != settings[s - 1, ALPHA]
            if new or now[FUSION] != settings[s - 1, FUSION] or (now[FUSION] != LATE and new_alpha):
                if missing[i] != 0:
                    stand_in(said, missing[i])
                elif now[FUSION] == LATE:
                    both_at_once(said)
                else:
                    decode_windows(mixed_windows(video[i], audio[i], now, workspace), now, workspace, AUDIOVISUAL)
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
