"""The three streams of one clip: label selection, label shift, candidates, refinement (docs/design.md 4.2 to 4.6)."""

from typing import Any, NamedTuple

import numpy as np

from feature_cache.layout import NO_PICTURE
from score.choices import ARGMAX, AUDIO, AUDIOVISUAL, BBSE, BBSE_COSINE, COSINE, NAIVE, THRESHOLD, VISUAL
from score.kernels.candidates import (
    CandidateRoom,
    candidate_room,
    count_staying,
    find_candidates,
    rank_candidates,
    window_row,
)
from score.kernels.jit import inner
from score.kernels.label_shift import (
    ShiftRoom,
    bbse_shift,
    bbse_shift_constant,
    shift_room,
    simple_shift,
)
from score.kernels.label_subsets import find_deck, make_audio, make_both, make_visual, make_window
from score.kernels.probability import blend


class StreamRoom(NamedTuple):
    """Working room for one stream."""

    words: Any  # uint64 (C,), positive segments of the labels in play
    mixed: Any  # float64 (T, C), audiovisual segment probabilities
    mixed_gram: Any  # float64 (T, T)
    mixed_peak: Any  # float64 (C,)
    repeated: Any  # float64 (T, C), the sound's row for every segment
    shift: ShiftRoom
    found: CandidateRoom


def stream_room(labels: int, segments: int) -> StreamRoom:
    """Room for a stream of ``labels`` labels and ``segments`` segments."""
    return StreamRoom(
        np.zeros(labels, np.uint64),
        np.zeros((segments, labels)),
        np.zeros((segments, segments)),
        np.zeros(labels),
        np.zeros((segments, labels)),
        shift_room(labels, segments),
        candidate_room(labels, segments),
    )


@inner
def standing_stream(missing: int, stream: int) -> int:
    """The stream parsed in a stream's place in a clip without picture or sound (4.7); -1: it has no events."""
    if missing == 0:
        return stream
    left = AUDIO if missing == NO_PICTURE else VISUAL
    return left if stream in (left, AUDIOVISUAL) else -1


@inner
def choose_deck(decks: Any, clip: Any, stream: int, alpha: float, tau: float, select: bool, room: Any) -> int:
    """The deck of the labels that a stream keeps (4.2)."""
    if stream == VISUAL:
        return find_deck(decks, clip.whole_visual, tau, select)
    if stream == AUDIO:
        return find_deck(decks, clip.whole_audio, tau, select)
    whole = room.mixed_peak
    for x in range(clip.whole_visual.shape[0]):
        whole[x] = blend(alpha, clip.whole_visual[x], clip.whole_audio[x])
    return find_deck(decks, whole, tau, select)


@inner
def mix(decks: Any, deck: int, clip: Any, alpha: float, room: Any) -> None:
    """Audiovisual segment probabilities (4.3); their Gram matrix follows from those of picture and sound."""
    make_both(decks, deck, clip)
    size = decks.size[deck]
    p, sound = decks.visual[deck], decks.audio[deck]
    step = 1 if sound.shape[0] > 1 else 0  # whether each segment has a row of sound
    for j in range(size):  # at least the largest one, which is all that is asked of a peak
        room.mixed_peak[j] = blend(alpha, decks.peak[deck, j], decks.audio_peak[deck, j])
    for t in range(p.shape[0]):
        for j in range(size):
            room.mixed[t, j] = blend(alpha, p[t, j], sound[step * t, j])
    beta = 1.0 - alpha
    for t in range(p.shape[0]):
        for u in range(t + 1):
            value = beta * beta * decks.gram[deck, t, u]
            value += alpha * beta * (decks.cross[deck, step * u, t] + decks.cross[deck, step * t, u])
            value += alpha * alpha * decks.audio_gram[deck, step * t, step * u]
            room.mixed_gram[t, u] = value
            room.mixed_gram[u, t] = value


@inner
def find_positives(
    decks: Any,
    deck: int,
    clip: Any,
    stream: int,
    method: int,
    tau: float,
    decay: Any,
    passes: int,
    room: Any,
) -> None:
    """Label shift (4.4): the positive segments of each label of the deck, into ``room.words``.

    The audiovisual stream needs :func:`mix` before.
    """
    size = decks.size[deck]
    segments = clip.image.shape[0]
    use_cosine = method in (COSINE, BBSE_COSINE) and stream != AUDIO
    turns = 0 if method == NAIVE else passes
    bbse = method in (BBSE, BBSE_COSINE)
    if stream == AUDIO:
        make_audio(decks, deck, clip)
        if decks.audio.shape[1] == 1:
            sound = decks.audio[deck, 0]
            if bbse:
                norm = decks.audio_gram[deck, 0, 0]
                bbse_shift_constant(sound, size, segments, norm, tau, decay, turns, room.words, room.shift)
                return
            for t in range(segments):
                for j in range(size):
                    room.repeated[t, j] = sound[j]
            simple_shift(room.repeated, size, clip.cosine, False, tau, decay, turns, room.words)
            return
        p, gram, peak = decks.audio[deck], decks.audio_gram[deck], decks.audio_peak[deck]
    elif stream == VISUAL:
        make_visual(decks, deck, clip)
        p, gram, peak = decks.visual[deck], decks.gram[deck], decks.peak[deck]
    else:
        p, gram, peak = room.mixed, room.mixed_gram, room.mixed_peak
    if bbse:
        bbse_shift(p, size, gram, peak, clip.cosine, use_cosine, tau, decay, turns, room.words, room.shift)
    else:
        simple_shift(p, size, clip.cosine, use_cosine, tau, decay, turns, room.words)


@inner
def window_probability(decks: Any, deck: int, stream: int, alpha: float, window: int, slot: int) -> float:
    """A label's probability in a window whose rows are there."""
    if stream == VISUAL:
        return decks.window_visual[deck, window, slot]
    if stream == AUDIO:
        return decks.window_audio[deck, window, slot]
    return blend(alpha, decks.window_visual[deck, window, slot], decks.window_audio[deck, window, slot])


@inner
def judge_candidates(
    decks: Any, deck: int, clip: Any, stream: int, alpha: float, decision: int, pooled: bool, room: Any
) -> int:  # fmt: skip
    """Candidates (4.5) with their own probabilities, ranked by them; returns how many.

    With the argmax decision, ``stays`` says whether the label is its window's best (4.6).
    """
    found = room.found
    n = find_candidates(room.words, decks.size[deck], found)
    segments = clip.image.shape[0]
    for x in range(n):
        start, end = found.start[x], found.end[x]
        window = window_row(start, end, segments)
        if stream != AUDIO:
            make_window(decks, deck, clip, window, start, end, 0, pooled)
        if stream != VISUAL:
            make_window(decks, deck, clip, window, start, end, 1, pooled)
        own = window_probability(decks, deck, stream, alpha, window, found.slot[x])
        known = own == own  # a window without spread has no probability: it counts as 0
        found.probability[x] = own if known else 0.0
        if decision == ARGMAX:
            best = known
            for j in range(decks.size[deck]):
                value = window_probability(decks, deck, stream, alpha, window, j)
                if value > own or (value == own and j < found.slot[x]):
                    best = False
                    break
            found.stays[x] = best
    rank_candidates(found, n)
    return n


@inner
def refine(found: Any, n: int, refinement: bool, decision: int, tau: float) -> None:
    """Which of the judged candidates are events, into ``stays`` (4.6)."""
    if n <= 1 or not refinement:
        found.stays[:n] = True
        return
    if decision == THRESHOLD:
        stay = count_staying(found, n, tau)
        for x in range(n):
            found.stays[found.rank[x]] = x < stay
        return
    for x in range(n):
        if found.stays[x]:
            return
    found.stays[found.rank[0]] = True
