"""Sweeps: the figures of many settings over clips, each step of the parameter tree done once.

What a step depends on decides how often it is done. Similarities and whole-clip probabilities: once a clip. A label
set's probabilities: once a set (``decks.py``). Picture and sound alone: once a (label selection, stage 1) pass, since
alpha is not theirs. Mixing: once an alpha. Refinement by threshold is piecewise constant, so that all its thresholds
come from one ranking of the candidates.
"""

from typing import Any, NamedTuple

import numpy as np

from feature_cache import window_count
from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.choices import AUDIO, AUDIOVISUAL, THRESHOLD, VISUAL
from score.kernels.bitmask import ALWAYS, NEVER, first_run
from score.kernels.from_logits import selection_probabilities
from score.kernels.jit import inner, lean
from score.kernels.label_subsets import Clip, deck_room, enough, forget, reserve
from score.kernels.running_f1 import (
    add_candidate,
    add_word,
    added_means,
    clear_tally,
    set_truth,
    tally_means,
    tally_room,
    true_room,
)
from score.kernels.streams import (
    choose_deck,
    find_positives,
    judge_candidates,
    mix,
    refine,
    standing_stream,
    stream_room,
)

SIDE_FIGURES = 9
"""Segment-level visual, audio, Event@AV, the same at event level; late fusion's audiovisual at both, its accuracy."""
MIXED_FIGURES = 3
"""Audiovisual at segment level and event level, accuracy."""


class Passes(NamedTuple):
    """P passes of label shift, sorted so that neighbours share most; a pass's leaves are its stage-2 thresholds."""

    method: Any  # int64 (P,)
    filter_threshold: Any  # float64 (P,)
    alpha: Any  # float64 (P,), 0 for passes over picture and sound alone
    threshold_stage1: Any  # float64 (P,)
    decay: Any  # int64 (P,), row of the decay tables
    first: Any  # int64 (P + 1,), leaves of pass x are first[x] ... first[x + 1] - 1
    threshold_stage2: Any  # float64 (L,), falling within a pass
    late: Any  # bool (P,), whether late fusion's figures are asked for


class Fixed(NamedTuple):
    """Parameters that a sweep does not change."""

    label_selection: bool
    refinement: bool
    decision: int
    passes: int
    accuracy: bool
    pooled: bool


class SweepRoom(NamedTuple):
    """Working room of one thread."""

    decks: Any
    visual: Any
    audio: Any
    mixed: Any
    visual_tally: Any
    audio_tally: Any
    mixed_tally: Any
    visual_true: Any
    audio_true: Any
    mixed_true: Any
    whole_visual: Any
    whole_audio: Any
    everything: Any
    means: Any
    side_row: Any
    mixed_row: Any


def sweep_room(labels: int, segments: int, sounds: int = 1) -> SweepRoom:
    """Room for one thread; ``sounds`` is 1, or ``segments`` where each has its own."""
    return SweepRoom(
        deck_room(labels, segments, window_count(segments), sounds=sounds),
        stream_room(labels, segments),
        stream_room(labels, segments),
        stream_room(labels, segments),
        tally_room(labels),
        tally_room(labels),
        tally_room(labels),
        true_room(labels),
        true_room(labels),
        true_room(labels),
        np.zeros(labels),
        np.zeros(labels),
        np.arange(labels, dtype=np.int64),
        np.zeros(2),
        np.zeros(SIDE_FIGURES),
        np.zeros(MIXED_FIGURES),
    )


@inner
def staying(found: Any, n: int, fixed: Any, tau: float, before: int) -> int:
    """How many ranked candidates stay at ``tau``, which falls from call to call; ``before`` is the last answer.

    -1 stands for a decision that does not depend on the threshold.
    """
    if n <= 1 or not fixed.refinement or fixed.decision != THRESHOLD:
        return -1
    stay = max(before, 0)
    while stay < n and found.probability[found.rank[stay]] > tau:
        stay += 1
    return max(stay, 1)


@inner
def add_staying(
    tally: Any, true: Any, decks: Any, deck: int, found: Any, n: int, fixed: Any, before: int, stay: int
) -> None:
    """Bring a tally from ``before`` ranked candidates to ``stay`` of them; -1: those that ``stays`` says."""
    if stay < 0:
        refine(found, n, fixed.refinement, fixed.decision, 0.0)
        for x in range(n):
            if found.stays[x]:
                add_candidate(tally, true, decks.kept[deck, found.slot[x]], found.start[x], found.end[x])
        return
    for y in range(before, stay):
        x = found.rank[y]
        add_candidate(tally, true, decks.kept[deck, found.slot[x]], found.start[x], found.end[x])


@inner
def segment_accuracy(label: int, start: int, end: int, first: Any, segments: int) -> float:
    """Share of segments whose class is the true one, nothing being a class; one event each (label -1: none)."""
    right = 0
    for t in range(segments):
        guess = label if start <= t < end else -1
        true = first[0] if first[1] <= t < first[2] else -1
        right += guess == true
    return right / segments


@inner
def sweep_sides(
    clip: Any, first: Any, passes: Any, decays: Any, fixed: Any, alphabet: Any, room: Any, out: Any
) -> None:
    """Add the figures of picture and sound, and of late fusion, at every leaf to ``out``, float64 (L, 9)."""
    decks = room.decks
    segments = clip.image.shape[0]
    either = 0
    for k in range(room.visual_true.words.shape[0]):
        either += room.visual_true.words[k] != 0 or room.audio_true.words[k] != 0
    row = room.side_row
    means = room.means
    heard, seen = clip.missing & NO_SOUND == 0, clip.missing & NO_PICTURE == 0
    every_v, every_a = NEVER if seen else ALWAYS, NEVER if heard else ALWAYS  # what late fusion takes for granted
    deck_v = deck_a = 0
    known = -1.0  # the label selection of these decks
    for p in range(passes.method.shape[0]):
        decay = decays[passes.decay[p]]
        if passes.filter_threshold[p] != known:
            known = passes.filter_threshold[p]
            reserve(decks, 2)
            deck_v = choose_deck(decks, clip, VISUAL, 0.0, known, fixed.label_selection, room.visual)
            deck_a = choose_deck(decks, clip, AUDIO, 0.0, known, fixed.label_selection, room.audio)
        count_v = count_a = 0
        if seen and enough(decks, deck_v, clip):
            find_positives(
                decks, deck_v, clip, VISUAL, passes.method[p], passes.threshold_stage1[p], decay, fixed.passes,
                room.visual,
            )  # fmt: skip
            count_v = judge_candidates(decks, deck_v, clip, VISUAL, 0.0, fixed.decision, fixed.pooled, room.visual)
        if heard and enough(decks, deck_a, clip):
            find_positives(
                decks, deck_a, clip, AUDIO, passes.method[p], passes.threshold_stage1[p], decay, fixed.passes,
                room.audio,
            )  # fmt: skip
            count_a = judge_candidates(decks, deck_a, clip, AUDIO, 0.0, fixed.decision, fixed.pooled, room.audio)
        clear_tally(room.visual_tally)
        clear_tally(room.audio_tally)
        stay_v = stay_a = 0
        for leaf in range(passes.first[p], passes.first[p + 1]):
            begin = leaf == passes.first[p]
            tau2 = passes.threshold_stage2[leaf]
            new_v = staying(room.visual.found, count_v, fixed, tau2, stay_v)
            new_a = staying(room.audio.found, count_a, fixed, tau2, stay_a)
            if begin or new_v != stay_v:
                add_staying(
                    room.visual_tally, room.visual_true, decks, deck_v, room.visual.found, count_v, fixed, stay_v,
                    new_v,
                )  # fmt: skip
            if begin or new_a != stay_a:
                add_staying(
                    room.audio_tally, room.audio_true, decks, deck_a, room.audio.found, count_a, fixed, stay_a, new_a
                )
            if begin or new_v != stay_v or new_a != stay_a:
                tally_means(room.visual_tally, room.visual_true, means)
                row[0], row[3] = means[0], means[1]
                tally_means(room.audio_tally, room.audio_true, means)
                row[1], row[4] = means[0], means[1]
                added_means(room.visual_tally, room.visual_true, room.audio_tally, room.audio_true, either, means)
                row[2], row[5] = means[0], means[1]
                if passes.late[p]:
                    clear_tally(room.mixed_tally)
                    label, start, end = -1, 0, 0
                    for k in alphabet:
                        word = (room.visual_tally.words[k] | every_v) & (room.audio_tally.words[k] | every_a)
                        if word != 0:
                            add_word(room.mixed_tally, room.mixed_true, k, word)
                            if label < 0:
                                label = k
                                start, end = first_run(word)
                    tally_means(room.mixed_tally, room.mixed_true, means)
                    row[6], row[7] = means[0], means[1]
                    if fixed.accuracy:
                        row[8] = segment_accuracy(label, start, end, first, segments)
                stay_v, stay_a = new_v, new_a
            for x in range(SIDE_FIGURES):
                out[leaf, x] += row[x]


@inner
def sweep_mixed(clip: Any, first: Any, passes: Any, decays: Any, fixed: Any, room: Any, out: Any) -> None:
    """Add the figures of the audiovisual stream (early fusion) at every leaf to ``out``, float64 (L, 3)."""
    decks = room.decks
    segments = clip.image.shape[0]
    row = room.mixed_row
    stream = standing_stream(clip.missing, AUDIOVISUAL)
    deck = 0
    known = known_alpha = -1.0  # the label selection and alpha of this deck
    for p in range(passes.method.shape[0]):
        alpha = passes.alpha[p]
        if passes.filter_threshold[p] != known or alpha != known_alpha:
            known, known_alpha = passes.filter_threshold[p], alpha
            reserve(decks, 1)
            deck = choose_deck(decks, clip, stream, alpha, known, fixed.label_selection, room.mixed)
            if stream == AUDIOVISUAL and enough(decks, deck, clip):
                mix(decks, deck, clip, alpha, room.mixed)
        n = 0
        if enough(decks, deck, clip):
            find_positives(
                decks, deck, clip, stream, passes.method[p], passes.threshold_stage1[p],
                decays[passes.decay[p]], fixed.passes, room.mixed,
            )  # fmt: skip
            n = judge_candidates(decks, deck, clip, stream, alpha, fixed.decision, fixed.pooled, room.mixed)
        clear_tally(room.mixed_tally)
        found = room.mixed.found
        stay = 0
        for leaf in range(passes.first[p], passes.first[p + 1]):
            begin = leaf == passes.first[p]
            new = staying(found, n, fixed, passes.threshold_stage2[leaf], stay)
            if begin or new != stay:
                add_staying(room.mixed_tally, room.mixed_true, decks, deck, found, n, fixed, stay, new)
                tally_means(room.mixed_tally, room.mixed_true, room.means)
                row[0], row[1] = room.means[0], room.means[1]
                if fixed.accuracy:
                    at = n
                    if new < 0:
                        for x in range(n - 1, -1, -1):
                            if found.stays[x]:
                                at = x
                    else:
                        for y in range(new):
                            at = min(at, found.rank[y])
                    if at < n:
                        row[2] = segment_accuracy(
                            decks.kept[deck, found.slot[at]], found.start[at], found.end[at], first, segments
                        )
                    else:
                        row[2] = segment_accuracy(-1, 0, 0, first, segments)
                stay = new
            for x in range(MIXED_FIGURES):
                out[leaf, x] += row[x]


@lean
def sweep_clips(
    image: Any,
    video: Any,
    audio: Any,
    sound: Any,
    given: bool,
    cosine: Any,
    missing: Any,
    true: Any,
    first: Any,
    sides: Any,
    mixed: Any,
    decays: Any,
    fixed: Any,
    alphabet: Any,
    room: Any,
    side_sums: Any,
    mixed_sums: Any,
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
        first: int64 (n, 3), the first annotated event, for the accuracy.
        sides: Passes over picture and sound.
        mixed: Passes over both, early fusion.
        decays: float64 (G, most), decay tables.
        fixed: Fixed.
        alphabet: int64 (C,), labels in alphabetical order.
        room: SweepRoom.
        side_sums: float64 (L, 9), added to.
        mixed_sums: float64 (L', 3), added to.
    """
    for i in range(image.shape[0]):
        selection_probabilities(
            image[i], video[i], audio[i], sound[i], given, room.everything, room.decks.spare, room.whole_visual,
            room.whole_audio,
        )  # fmt: skip
        clip = Clip(
            image[i], video[i], audio[i], sound[i], given, cosine[i], room.whole_visual, room.whole_audio, missing[i]
        )
        forget(room.decks)
        set_truth(room.visual_true, true[i, VISUAL])
        set_truth(room.audio_true, true[i, AUDIO])
        set_truth(room.mixed_true, true[i, AUDIOVISUAL])
        sweep_sides(clip, first[i], sides, decays, fixed, alphabet, room, side_sums)
        sweep_mixed(clip, first[i], mixed, decays, fixed, room, mixed_sums)
