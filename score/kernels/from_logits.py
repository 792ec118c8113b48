"""Scoring clips with one setting: from logits to the events of all three streams."""

from typing import Any, NamedTuple

import numpy as np

from feature_cache import window_count
from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.choices import AUDIO, AUDIOVISUAL, KERNEL_STREAMS, VISUAL
from score.kernels.bitmask import ALWAYS, NEVER, first_run, span
from score.kernels.jit import inner, lean
from score.kernels.label_subsets import Clip, deck_room, enough, forget, rate
from score.kernels.probability import standardise, standardise_frames
from score.kernels.streams import (
    choose_deck,
    find_positives,
    judge_candidates,
    mix,
    refine,
    standing_stream,
    stream_room,
)
from score.kernels.window_logits import fetch

_DECKS = 4  # one setting needs a deck a stream


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
    pooled: bool


class Found(NamedTuple):
    """Events of n clips; streams visual, audio, audiovisual; the first ``count`` places are filled."""

    count: Any  # int64 (n, 3)
    label: Any  # int64 (n, 3, most)
    start: Any  # int64 (n, 3, most)
    end: Any  # int64 (n, 3, most)
    probability: Any  # float64 (n, 3, most)


class ClipRoom(NamedTuple):
    """Working room for one clip and one setting."""

    decks: Any  # Decks
    stream: Any  # StreamRoom
    whole_visual: Any  # float64 (C,)
    whole_audio: Any  # float64 (C,)
    everything: Any  # int64 (C,), 0 ... C - 1
    spare: Any  # float64 (C,)
    words: Any  # uint64 (2, C)


def clip_room(labels: int, segments: int, sounds: int = 1) -> ClipRoom:
    """Room for clips of ``labels`` labels, ``segments`` segments and ``sounds`` rows of sound (1 or ``segments``)."""
    return ClipRoom(
        deck_room(labels, segments, window_count(segments), _DECKS, sounds),
        stream_room(labels, segments),
        np.zeros(labels),
        np.zeros(labels),
        np.arange(labels, dtype=np.int64),
        np.zeros(labels),
        np.zeros((2, labels), np.uint64),
    )


def found_room(clips: int, labels: int, segments: int) -> Found:
    """Room for every event that can occur."""
    most = labels * (segments // 2 + 1)
    return Found(
        np.zeros((clips, len(KERNEL_STREAMS)), np.int64),
        np.zeros((clips, len(KERNEL_STREAMS), most), np.int64),
        np.zeros((clips, len(KERNEL_STREAMS), most), np.int64),
        np.zeros((clips, len(KERNEL_STREAMS), most), np.int64),
        np.zeros((clips, len(KERNEL_STREAMS), most)),
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


@lean
def mean_rows(rows: Any, everything: Any, given: bool, spare: Any, out: Any) -> None:
    """Mean over rows of their probabilities over all labels, (C,)."""
    labels = rows.shape[1]
    rate(rows[0], everything, labels, given, out)
    for t in range(1, rows.shape[0]):
        rate(rows[t], everything, labels, given, spare)
        for k in range(labels):
            out[k] += spare[k]
    for k in range(labels):
        out[k] /= rows.shape[0]


@lean
def selection_probabilities(
    image: Any, video: Any, audio: Any, sound: Any, given: bool, everything: Any, spare: Any, visual_out: Any,
    audio_out: Any,
) -> None:  # fmt: skip
    """:func:`whole_probabilities`, by the mean over segments where there is no window 0.

    Args:
        image: float64 (T, C).
        video: float64 (W, F, C), W may be 0.
        audio: float64 (W, C), W may be 0.
        sound: float64 (R, C), R = T or 1.
        given: whether image and sound are probabilities.
        everything: int64 (C,), 0 ... C - 1.
        spare: float64 (C,), working room.
        visual_out: float64 (C,), written.
        audio_out: float64 (C,), written.
    """
    labels = image.shape[1]
    if video.shape[0] > 0:
        standardise_frames(video[0], everything, labels, visual_out, spare)
    else:
        mean_rows(image, everything, given, spare, visual_out)
    if audio.shape[0] > 0:
        standardise(audio[0], everything, labels, audio_out)
    else:
        mean_rows(sound, everything, given, spare, audio_out)


@lean
def score_stream(room: Any, clip: Any, source: Any, stream: int, setting: Any) -> tuple[int, int]:
    """Events of a stream as judged candidates in ``room.stream.found``; returns its deck and how many there are."""
    decks, space = room.decks, room.stream
    deck = choose_deck(decks, clip, stream, setting.alpha, setting.filter_threshold, setting.label_selection, space)
    if not enough(decks, deck, clip):
        return deck, 0
    if stream == AUDIOVISUAL:
        mix(decks, deck, clip, setting.alpha, space)
    find_positives(
        decks, deck, clip, stream, setting.method, setting.threshold_stage1, setting.decay, setting.passes,
        space,
    )  # fmt: skip
    fetch(source, stream, decks.size[deck], clip.image.shape[0], setting.pooled, space)
    n = judge_candidates(decks, deck, clip, stream, setting.alpha, setting.decision, setting.pooled, space)
    refine(space.found, n, setting.refinement, setting.decision, setting.threshold_stage2)
    return deck, n


@lean
def fuse_late(found: Any, i: int, alphabet: Any, words: Any, missing: int) -> None:
    """Audiovisual events as the intersection of the other streams' timelines (4.7).

    An event's probability is the smaller one of the two events that it comes from. What is missing has no say.
    """
    words[VISUAL] = ALWAYS if missing & NO_PICTURE else NEVER
    words[AUDIO] = ALWAYS if missing & NO_SOUND else NEVER
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


@lean
def score_clip(
    image: Any,
    video: Any,
    audio: Any,
    sound: Any,
    given: bool,
    cosine: Any,
    missing: int,
    source: Any,
    setting: Any,
    alphabet: Any,
    room: Any,
    found: Any,
    i: int,
) -> None:
    """Score one clip into place ``i`` of ``found``.

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
        alphabet: int64 (C,), labels in alphabetical order, for late fusion.
        room: ClipRoom, working room, with the whole clip's probabilities.
        found: Found, written.
        i: the place.
    """
    clip = Clip(image, video, audio, sound, given, cosine, room.whole_visual, room.whole_audio, missing)
    decks, judged = room.decks, room.stream.found
    forget(decks)
    for stream in (VISUAL, AUDIO, AUDIOVISUAL):
        if stream == AUDIOVISUAL and setting.late:
            break
        standing = standing_stream(missing, stream)
        if standing < 0:
            found.count[i, stream] = 0
            continue
        deck, n = score_stream(room, clip, source, standing, setting)
        y = 0
        for x in range(n):
            if judged.stays[x]:
                found.label[i, stream, y] = decks.kept[deck, judged.slot[x]]
                found.start[i, stream, y] = judged.start[x]
                found.end[i, stream, y] = judged.end[x]
                found.probability[i, stream, y] = judged.probability[x]
                y += 1
        found.count[i, stream] = y
    if setting.late:
        fuse_late(found, i, alphabet, room.words, missing)


@lean
def score_clips(
    image: Any,
    video: Any,
    audio: Any,
    sound: Any,
    given: bool,
    cosine: Any,
    missing: Any,
    setting: Any,
    alphabet: Any,
    room: Any,
    found: Any,
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
        alphabet: int64 (C,), labels in alphabetical order, for late fusion.
        room: ClipRoom, working room.
        found: Found, written.
    """
    for i in range(image.shape[0]):
        selection_probabilities(
            image[i], video[i], audio[i], sound[i], given, room.everything, room.spare, room.whole_visual,
            room.whole_audio,
        )  # fmt: skip
        score_clip(
            image[i], video[i], audio[i], sound[i], given, cosine[i], missing[i], None, setting, alphabet, room, found,
            i,
        )  # fmt: skip


@lean
def gather(found: Any, clips: int, streams: Any, table: Any, score: Any) -> None:
    """Events of the first ``clips`` places, one a row.

    Args:
        found: Found.
        clips: number of clips.
        streams: int64 (3,), the streams in the order wanted.
        table: int64 (E, 5), written: place of the clip, place in ``streams``, label, start, end.
        score: float64 (E,), written.
    """
    e = 0
    for i in range(clips):
        for place in range(streams.shape[0]):
            stream = streams[place]
            for x in range(found.count[i, stream]):
                table[e, 0] = i
                table[e, 1] = place
                table[e, 2] = found.label[i, stream, x]
                table[e, 3] = found.start[i, stream, x]
                table[e, 4] = found.end[i, stream, x]
                score[e] = found.probability[i, stream, x]
                e += 1
