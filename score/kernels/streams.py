"""The three streams of one clip: label selection, label shift, candidates, refinement (docs/design.md 4.2 to 4.6)."""

from typing import NamedTuple

import numpy as np

from feature_cache.layout import NO_PICTURE
from score.choices import ARGMAX, AUDIO, AUDIOVISUAL, BBSE, BBSE_COSINE, COSINE, NAIVE, THRESHOLD, VISUAL
from score.kernels.candidates import (
    Candidates,
    count_staying,
    empty_candidates,
    find_candidates,
    rank_candidates,
    window_row,
)
from score.kernels.jit import inner
from score.kernels.label_shift import (
    bbse_shift,
    bbse_shift_constant,
    simple_shift,
)
from score.kernels.label_subsets import (
    Clip,
    LabelSubsets,
    ask_picture,
    ask_sound,
    find_subset,
    make_audio,
    make_both,
    make_visual,
)
from score.kernels.probability import blend
from score.kernels.shift_workspace import ShiftWorkspace, shift_workspace
from score.kernels.types import F64, U64


class StreamWorkspace(NamedTuple):
    """Workspace for one stream."""

    bitmasks: U64  # (C,), positive segments of the labels in play
    audiovisual: F64  # (T, C), audiovisual segment probabilities
    audiovisual_gram: F64  # (T, T)
    audiovisual_peak: F64  # (C,)
    repeated: F64  # (T, C), the sound's row for every segment
    shift: ShiftWorkspace
    candidates: Candidates


def stream_workspace(labels: int, segments: int) -> StreamWorkspace:
    """A workspace for a stream of ``labels`` labels and ``segments`` segments."""
    return StreamWorkspace(
        bitmasks=np.zeros(labels, np.uint64),
        audiovisual=np.zeros((segments, labels)),
        audiovisual_gram=np.zeros((segments, segments)),
        audiovisual_peak=np.zeros(labels),
        repeated=np.zeros((segments, labels)),
        shift=shift_workspace(labels, segments),
        candidates=empty_candidates(labels, segments),
    )


@inner
def fallback_stream(missing: int, stream: int) -> int:
    """The stream parsed in a stream's place in a clip without picture or sound (4.7); -1: it has no events."""
    if missing == 0:
        return stream
    left = AUDIO if missing == NO_PICTURE else VISUAL
    return left if stream in (left, AUDIOVISUAL) else -1


@inner
def choose_subset(
    subsets: LabelSubsets, clip: Clip, stream: int, alpha: float, tau: float, select: bool, workspace: StreamWorkspace
) -> int:
    """The subset of the labels that a stream keeps (4.2)."""
    if stream == VISUAL:
        return find_subset(subsets, clip.whole_visual, tau, select)
    if stream == AUDIO:
        return find_subset(subsets, clip.whole_audio, tau, select)
    whole = workspace.audiovisual_peak
    for x in range(clip.whole_visual.shape[0]):
        whole[x] = blend(alpha, clip.whole_visual[x], clip.whole_audio[x])
    return find_subset(subsets, whole, tau, select)


@inner
def make_audiovisual(subsets: LabelSubsets, subset: int, clip: Clip, alpha: float, workspace: StreamWorkspace) -> None:
    """Audiovisual segment probabilities (4.3); their Gram matrix follows from those of picture and sound."""
    make_both(subsets, subset, clip)
    size = subsets.size[subset]
    p, sound = subsets.visual[subset], subsets.audio[subset]
    step = 1 if sound.shape[0] > 1 else 0  # whether each segment has a row of sound
    for j in range(size):  # at least the largest one, which is all that is asked of a peak
        workspace.audiovisual_peak[j] = blend(alpha, subsets.peak[subset, j], subsets.audio_peak[subset, j])
    for t in range(p.shape[0]):
        for j in range(size):
            workspace.audiovisual[t, j] = blend(alpha, p[t, j], sound[step * t, j])
    beta = 1.0 - alpha
    for t in range(p.shape[0]):
        for u in range(t + 1):
            value = beta * beta * subsets.gram[subset, t, u]
            value += alpha * beta * (subsets.cross[subset, step * u, t] + subsets.cross[subset, step * t, u])
            value += alpha * alpha * subsets.audio_gram[subset, step * t, step * u]
            workspace.audiovisual_gram[t, u] = value
            workspace.audiovisual_gram[u, t] = value


@inner
def find_positives(
    subsets: LabelSubsets,
    subset: int,
    clip: Clip,
    stream: int,
    method: int,
    tau: float,
    decay: F64,
    passes: int,
    workspace: StreamWorkspace,
    trace: F64 | None = None,
) -> None:
    """Label shift (4.4): the positive segments of each label of the subset, into ``workspace.bitmasks``.

    The audiovisual stream needs :func:`make_audiovisual` before. Thresholds go into ``trace`` (T, >= K), if there is
    one.
    """
    size = subsets.size[subset]
    segments = clip.image.shape[0]
    use_cosine = method in (COSINE, BBSE_COSINE) and stream != AUDIO
    turns = 0 if method == NAIVE else passes
    bbse = method in (BBSE, BBSE_COSINE)
    if stream == AUDIO:
        make_audio(subsets, subset, clip)
        if subsets.audio.shape[1] == 1:
            sound = subsets.audio[subset, 0]
            if bbse:
                norm = subsets.audio_gram[subset, 0, 0]
                bbse_shift_constant(
                    sound, size, segments, norm, tau, decay, turns, workspace.bitmasks, workspace.shift, trace
                )
                return
            for t in range(segments):
                for j in range(size):
                    workspace.repeated[t, j] = sound[j]
            simple_shift(workspace.repeated, size, clip.cosine, False, tau, decay, turns, workspace.bitmasks, trace)
            return
        p, gram, peak = subsets.audio[subset], subsets.audio_gram[subset], subsets.audio_peak[subset]
    elif stream == VISUAL:
        make_visual(subsets, subset, clip)
        p, gram, peak = subsets.visual[subset], subsets.gram[subset], subsets.peak[subset]
    else:
        p, gram, peak = workspace.audiovisual, workspace.audiovisual_gram, workspace.audiovisual_peak
    if bbse:
        bbse_shift(
            p, size, gram, peak, clip.cosine, use_cosine, tau, decay, turns, workspace.bitmasks, workspace.shift, trace
        )
    else:
        simple_shift(p, size, clip.cosine, use_cosine, tau, decay, turns, workspace.bitmasks, trace)


@inner
def window_probability(subsets: LabelSubsets, subset: int, stream: int, alpha: float, window: int, slot: int) -> float:
    """A label's probability in a window that was asked for it."""
    if stream == VISUAL:
        return subsets.window_visual[subset, window, slot]
    if stream == AUDIO:
        return subsets.window_audio[subset, window, slot]
    return blend(alpha, subsets.window_visual[subset, window, slot], subsets.window_audio[subset, window, slot])


@inner
def judge_candidates(
    subsets: LabelSubsets,
    subset: int,
    clip: Clip,
    stream: int,
    alpha: float,
    decision: int,
    pooled: bool,
    workspace: StreamWorkspace,
) -> int:
    """Candidates (4.5) with their own probabilities, ranked by them; returns how many.

    With the argmax decision, ``stays`` says whether the label is its window's best (4.6).
    """
    candidates = workspace.candidates
    n = find_candidates(workspace.bitmasks, subsets.size[subset], candidates)
    segments = clip.image.shape[0]
    for x in range(n):
        start, end = candidates.start[x], candidates.end[x]
        window = window_row(start, end, segments)
        wanted = (0, subsets.size[subset]) if decision == ARGMAX else (candidates.slot[x], candidates.slot[x] + 1)
        if stream != AUDIO:
            ask_picture(subsets, subset, clip, window, (start, end), pooled, wanted)
        if stream != VISUAL:
            ask_sound(subsets, subset, clip, window, (start, end), pooled, wanted)
        own = window_probability(subsets, subset, stream, alpha, window, candidates.slot[x])
        known = own == own  # a window without spread has no probability: it counts as 0
        candidates.probability[x] = own if known else 0.0
        if decision == ARGMAX:
            best = known
            for j in range(subsets.size[subset]):
                value = window_probability(subsets, subset, stream, alpha, window, j)
                if value > own or (value == own and j < candidates.slot[x]):
                    best = False
                    break
            candidates.stays[x] = best
    rank_candidates(candidates, n)
    return n


@inner
def refine(candidates: Candidates, n: int, refinement: bool, decision: int, tau: float) -> None:
    """Which of the judged candidates are events, into ``stays`` (4.6)."""
    if n <= 1 or not refinement:
        candidates.stays[:n] = True
        return
    if decision == THRESHOLD:
        stay = count_staying(candidates, n, tau, 0)
        for x in range(n):
            candidates.stays[candidates.rank[x]] = x < stay
        return
    for x in range(n):
        if candidates.stays[x]:
            return
    candidates.stays[candidates.rank[0]] = True
