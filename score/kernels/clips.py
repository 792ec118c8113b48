"""Scoring clips with one setting: from logits to the events of all three streams."""

from typing import Any, NamedTuple

import numpy as np

from score.kernels.bits import first_run, span
from score.kernels.decks import Clip, forget
from score.kernels.jit import inner, kernel
from score.kernels.probability import standardise, standardise_frames
from score.kernels.streams import (
    AUDIO,
    AUDIOVISUAL,
    VISUAL,
    choose_deck,
    find_positives,
    judge_candidates,
    mix,
    refine,
)

STREAMS = 3


class Setting(NamedTuple):
    """One setting, as the kernels take it."""

    alpha: float
    filter_threshold: float
    threshold_stage1: float
    threshold_stage2: float
    decay: Any  # float64, exp(-gamma n)
    method: int
    late: bool
    label_selection: bool
    refinement: bool
    decision: int
    passes: int


class Found(NamedTuple):
    """Events of n clips; streams visual, audio, audiovisual; the first ``count`` places are filled."""

    count: Any  # int64 (n, 3)
    label: Any  # int64 (n, 3, most)
    start: Any  # int64 (n, 3, most)
    end: Any  # int64 (n, 3, most)
    probability: Any  # float64 (n, 3, most)


def found_room(clips: int, labels: int, segments: int) -> Found:
    """Room for every event that can occur."""
    most = labels * (segments // 2 + 1)
    return Found(
        np.zeros((clips, STREAMS), np.int64),
        np.zeros((clips, STREAMS, most), np.int64),
        np.zeros((clips, STREAMS, most), np.int64),
        np.zeros((clips, STREAMS, most), np.int64),
        np.zeros((clips, STREAMS, most)),
    )


@inner
def whole_probabilities(video: Any, audio: Any, everything: Any, spare: Any, visual_out: Any, audio_out: Any) -> None:
    """Probabilities of window 0 over all labels, which label selection compares (4.2).

    Args:
        video: float64 (W, F, C).
        audio: float64 (W, C).
        everything: int64 (C,), 0 ... C - 1.
        spare: float64 (C,), working room.
        visual_out: float64 (C,), written.
        audio_out: float64 (C,), written.
    """
    labels = audio.shape[1]
    standardise_frames(video[0], everything, labels, visual_out, spare)
    standardise(audio[0], everything, labels, audio_out)


@inner
def score_stream(decks: Any, clip: Any, stream: int, setting: Any, room: Any) -> tuple[int, int]:
    """Events of a stream as judged candidates in ``room.found``; returns its deck and how many there are."""
    deck = choose_deck(decks, clip, stream, setting.alpha, setting.filter_threshold, setting.label_selection, room)
    if decks.size[deck] < 2:
        return deck, 0
    if stream == AUDIOVISUAL:
        mix(decks, deck, clip, setting.alpha, room)
    find_positives(
        decks, deck, clip, stream, setting.method, setting.threshold_stage1, setting.decay, setting.passes,
        room,
    )  # fmt: skip
    n = judge_candidates(decks, deck, clip, stream, setting.alpha, setting.decision, room)
    refine(room.found, n, setting.refinement, setting.decision, setting.threshold_stage2)
    return deck, n


@kernel
def fuse_late(found: Any, i: int, alphabet: Any, words: Any) -> None:
    """Audiovisual events as the intersection of the other streams' timelines (4.7).

    An event's probability is the smaller one of the two events that it comes from.
    """
    words[:] = 0
    for stream in (VISUAL, AUDIO):
        for x in range(found.count[i, stream]):
            words[stream, found.label[i, stream, x]] |= span(found.start[i, stream, x], found.end[i, stream, x])
    n = 0
    for label in alphabet:
        word = words[VISUAL, label] & words[AUDIO, label]
        while word != 0:
            start, end = first_run(word)
            word &= ~span(start, end)
            least = 1.0
            for stream in (VISUAL, AUDIO):
                for x in range(found.count[i, stream]):
                    if (
                        found.label[i, stream, x] == label
                        and found.start[i, stream, x] <= start
                        and found.end[i, stream, x] >= end
                    ):
                        least = min(least, found.probability[i, stream, x])
            found.label[i, AUDIOVISUAL, n] = label
            found.start[i, AUDIOVISUAL, n] = start
            found.end[i, AUDIOVISUAL, n] = end
            found.probability[i, AUDIOVISUAL, n] = least
            n += 1
    found.count[i, AUDIOVISUAL] = n


@kernel
def score_clips(
    image: Any,
    video: Any,
    audio: Any,
    cosine: Any,
    setting: Any,
    alphabet: Any,
    decks: Any,
    room: Any,
    found: Any,
) -> None:
    """Score n clips.

    Args:
        image: float64 (n, T, C) logits.
        video: float64 (n, W, F, C) logits.
        audio: float64 (n, W, C) logits.
        cosine: float64 (n, T - 1).
        setting: Setting.
        alphabet: int64 (C,), labels in alphabetical order, for late fusion.
        decks: Decks, working room.
        room: StreamRoom, working room.
        found: Found, written.
    """
    labels = image.shape[2]
    whole_visual = np.empty(labels)
    whole_audio = np.empty(labels)
    everything, spare = np.arange(labels), np.empty(labels)
    words = np.zeros((2, labels), np.uint64)
    for i in range(image.shape[0]):
        whole_probabilities(video[i], audio[i], everything, spare, whole_visual, whole_audio)
        clip = Clip(image[i], video[i], audio[i], cosine[i], whole_visual, whole_audio)
        forget(decks)
        for stream in (VISUAL, AUDIO, AUDIOVISUAL):
            if stream == AUDIOVISUAL and setting.late:
                break
            deck, n = score_stream(decks, clip, stream, setting, room)
            y = 0
            for x in range(n):
                if room.found.stays[x]:
                    found.label[i, stream, y] = decks.kept[deck, room.found.slot[x]]
                    found.start[i, stream, y] = room.found.start[x]
                    found.end[i, stream, y] = room.found.end[x]
                    found.probability[i, stream, y] = room.found.probability[x]
                    y += 1
            found.count[i, stream] = y
        if setting.late:
            fuse_late(found, i, alphabet, words)
