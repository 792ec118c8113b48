"""Decks: the probabilities of a clip over one set of kept labels, made when first asked for.

Label selection is piecewise constant in its threshold, so that few of the many settings of a search differ in their
label sets; what depends on the set alone is computed once and looked up afterwards.
"""

from typing import Any, NamedTuple

import numpy as np

from score.kernels.bitmask import bit
from score.kernels.jit import inner, lean
from score.kernels.probability import standardise, standardise_frames

BYTES_A_CLIP = 48 << 20
"""Room for decks; when it is used up, they are forgotten and made again."""


class Clip(NamedTuple):
    """Logits of one clip, float64."""

    image: Any  # (T, C)
    video: Any  # (W, F, C)
    audio: Any  # (W, C)
    sound: Any  # (R, C), R = T where each segment has its own sound, else 1
    given: bool  # whether image and sound are probabilities already
    cosine: Any  # (T - 1,)
    whole_visual: Any  # (C,), probabilities of window 0 over all labels
    whole_audio: Any  # (C,)
    missing: Any  # int: 0, NO_PICTURE or NO_SOUND


class Decks(NamedTuple):
    """M decks of a clip with C labels, T segments, W windows; a deck's labels fill the first ``size`` places."""

    used: Any  # int64 (2,), decks in use, and how often all were forgotten
    table: Any  # int64 (power of two,), hash -> deck, -1 for none
    mask: Any  # uint64 (M, ceil(C / 64)), the kept labels as bits
    size: Any  # int64 (M,)
    kept: Any  # int64 (M, C), their numbers, ascending
    made: Any  # bool (M, 3), whether the tables of picture, of sound and of both are there
    visual: Any  # float64 (M, T, C), segment probabilities
    peak: Any  # float64 (M, C), each label's largest segment probability
    gram: Any  # float64 (M, T, T), inner products of the rows of ``visual``
    audio: Any  # float64 (M, R, C), segment probabilities of the sound; R = 1 where one row stands for all
    audio_peak: Any  # float64 (M, C), each label's largest one
    cross: Any  # float64 (M, R, T), inner products of the rows of ``audio`` and ``visual``
    audio_gram: Any  # float64 (M, R, R), of the rows of ``audio``
    seen: Any  # bool (M, W, 2), whether a window's row is there
    window_visual: Any  # float64 (M, W, C)
    window_audio: Any  # float64 (M, W, C)
    spare: Any  # float64 (C,)


def deck_room(labels: int, segments: int, windows: int, most: int = 2048, sounds: int = 1) -> Decks:
    """Decks for one clip at a time: ``most``, or as many as fit into the bounded room, but never under 4.

    ``sounds`` is the number of rows of sound: ``segments``, or 1 where one stands for all.
    """
    each = 8 * labels * (2 * windows + segments + sounds + 3) + 8 * (segments + sounds) * (segments + sounds)
    most = max(4, min(most, BYTES_A_CLIP // each))
    table = 1
    while table < 4 * most:
        table *= 2
    words = -(-labels // 64)
    return Decks(
        np.zeros(2, np.int64),
        np.full(table, -1, np.int64),
        np.zeros((most, words), np.uint64),
        np.zeros(most, np.int64),
        np.zeros((most, labels), np.int64),
        np.zeros((most, 3), np.bool_),
        np.zeros((most, segments, labels)),
        np.zeros((most, labels)),
        np.zeros((most, segments, segments)),
        np.zeros((most, sounds, labels)),
        np.zeros((most, labels)),
        np.zeros((most, sounds, segments)),
        np.zeros((most, sounds, sounds)),
        np.zeros((most, windows, 2), np.bool_),
        np.zeros((most, windows, labels)),
        np.zeros((most, windows, labels)),
        np.zeros(labels),
    )


@lean
def forget(decks: Any) -> None:
    """Empty the decks; needed before another clip."""
    if decks.used[0] > 0:
        decks.used[0] = 0
        decks.used[1] += 1
        decks.table[:] = -1


@inner
def reserve(decks: Any, n: int) -> None:
    """Make sure that ``n`` more decks fit, forgetting all if they do not."""
    if decks.used[0] + n > decks.size.shape[0]:
        forget(decks)


@inner
def find_deck(decks: Any, whole: Any, tau: float, select: bool) -> int:
    """The deck of the labels whose probability in ``whole`` (C,) exceeds ``tau`` (4.2); all if not ``select``."""
    labels = whole.shape[0]
    words = decks.mask.shape[1]
    at = decks.used[0]  # the free one after the last holds the mask looked for
    code = np.uint64(1469598103934665603)
    for q in range(words):
        word = np.uint64(0)
        for x in range(64 * q, min(labels, 64 * q + 64)):
            if not select or whole[x] > tau:
                word |= bit(x - 64 * q)
        decks.mask[at, q] = word
        code = (code ^ word) * np.uint64(0x9E3779B97F4A7C15)
        code ^= code >> np.uint64(29)
    last = np.uint64(decks.table.shape[0] - 1)
    place = code & last
    while decks.table[place] >= 0:
        deck = decks.table[place]
        same = True
        for q in range(words):
            if decks.mask[deck, q] != decks.mask[at, q]:
                same = False
                break
        if same:
            return deck
        place = (place + np.uint64(1)) & last
    decks.table[place] = at
    decks.used[0] = at + 1
    n = 0
    for x in range(labels):
        if (decks.mask[at, x // 64] >> np.uint64(x % 64)) & np.uint64(1):
            decks.kept[at, n] = x
            n += 1
    decks.size[at] = n
    decks.made[at] = False
    decks.seen[at] = False
    return at


@inner
def enough(decks: Any, deck: int, clip: Any) -> bool:
    """Whether a deck has labels enough for events: two, for a z-score to be (4.1), or one with its probability."""
    return decks.size[deck] >= (1 if clip.given else 2)


@lean
def rate(row: Any, kept: Any, size: int, given: bool, out: Any) -> None:
    """Probabilities of a row over the labels in play: by :func:`standardise`, or as they are given."""
    if given:
        for j in range(size):
            out[j] = row[kept[j]]
    else:
        standardise(row, kept, size, out)


@lean
def make_visual(decks: Any, deck: int, clip: Any) -> None:
    """Segment probabilities of the images (4.3) and their Gram matrix."""
    if decks.made[deck, 0]:
        return
    decks.made[deck, 0] = True
    size = decks.size[deck]
    segments = clip.image.shape[0]
    p = decks.visual[deck]
    gram = decks.gram[deck]
    for t in range(segments):
        rate(clip.image[t], decks.kept[deck], size, clip.given, p[t])
        for u in range(t + 1):
            value = 0.0
            for j in range(size):
                value += p[t, j] * p[u, j]
            gram[t, u] = value
            gram[u, t] = value
    for j in range(size):
        value = p[0, j]
        for t in range(1, segments):
            value = max(value, p[t, j])
        decks.peak[deck, j] = value


@lean
def make_audio(decks: Any, deck: int, clip: Any) -> None:
    """The sound's probabilities (4.3): those of window 0, for every segment, or of each segment's own."""
    if decks.made[deck, 1]:
        return
    decks.made[deck, 1] = True
    size = decks.size[deck]
    p = decks.audio[deck]
    gram = decks.audio_gram[deck]
    for r in range(p.shape[0]):
        rate(clip.sound[r], decks.kept[deck], size, clip.given, p[r])
        for s in range(r + 1):
            value = 0.0
            for j in range(size):
                value += p[r, j] * p[s, j]
            gram[r, s] = value
            gram[s, r] = value
    for j in range(size):
        value = p[0, j]
        for r in range(1, p.shape[0]):
            value = max(value, p[r, j])
        decks.audio_peak[deck, j] = value


@lean
def make_both(decks: Any, deck: int, clip: Any) -> None:
    """Tables of picture and sound, and the inner products between them."""
    if decks.made[deck, 2]:
        return
    make_visual(decks, deck, clip)
    make_audio(decks, deck, clip)
    decks.made[deck, 2] = True
    for r in range(decks.audio.shape[1]):
        for t in range(clip.image.shape[0]):
            value = 0.0
            for j in range(decks.size[deck]):
                value += decks.visual[deck, t, j] * decks.audio[deck, r, j]
            decks.cross[deck, r, t] = value


@lean
def pool(rows: Any, start: int, end: int, size: int, out: Any) -> None:
    """Mean of the rows ``start`` ... ``end - 1``, over the first ``size`` places."""
    for j in range(size):
        out[j] = rows[start, j]
    for t in range(start + 1, end):
        for j in range(size):
            out[j] += rows[t, j]
    for j in range(size):
        out[j] /= end - start


@inner
def make_window(
    decks: Any, deck: int, clip: Any, window: int, start: int, end: int, kind: int, pooled: bool
) -> None:  # fmt: skip
    """A window's probabilities by its picture (kind 0) or its sound (kind 1) over the deck's labels (4.6).

    Pooled, they are means over its segments, whose tables must be there.
    """
    if decks.seen[deck, window, kind]:
        return
    decks.seen[deck, window, kind] = True
    kept, size = decks.kept[deck], decks.size[deck]
    if kind == 0:
        if pooled:
            pool(decks.visual[deck], start, end, size, decks.window_visual[deck, window])
        else:
            standardise_frames(clip.video[window], kept, size, decks.window_visual[deck, window], decks.spare)
    elif pooled:
        one = decks.audio.shape[1] == 1
        pool(decks.audio[deck], 0 if one else start, 1 if one else end, size, decks.window_audio[deck, window])
    else:
        standardise(clip.audio[window], kept, size, decks.window_audio[deck, window])
