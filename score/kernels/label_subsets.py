"""Label subsets: the probabilities of a clip over one set of kept labels, made when first asked for.

Label selection is piecewise constant in its threshold, so that few of the many settings of a search differ in their
label sets; what depends on the set alone is computed once and looked up afterwards.
"""

from typing import NamedTuple

import numpy as np

from score.kernels.bitmask import bit
from score.kernels.jit import inner, lean
from score.kernels.probability import moments, standardise, standardised
from score.kernels.types import F64, I64, U64, Bools

UNKNOWN = -1.0
FRAMES = 8
"""Frames of a window whose moments are kept; those of windows with more are made again."""
BYTES_A_CLIP = 48 << 20
"""Memory for the subsets of a clip; when it is used up, they are dropped and made again."""


class Clip(NamedTuple):
    """Logits of one clip, float64."""

    image: F64  # (T, C)
    video: F64  # (W, F, C)
    audio: F64  # (W, C)
    sound: F64  # (R, C), R = T where each segment has its own sound, else 1
    given: bool  # whether image and sound are probabilities already
    cosine: F64  # (T - 1,)
    whole_visual: F64  # (C,), probabilities of window 0 over all labels
    whole_audio: F64  # (C,)
    missing: int  # 0, NO_PICTURE or NO_SOUND


class LabelSubsets(NamedTuple):
    """M subsets of a clip with C labels, T segments, W windows; a subset's labels fill the first ``size`` places."""

    used: I64  # (2,), subsets in use, and how often all were dropped
    table: I64  # (power of two,), hash -> subset, -1 for none
    mask: U64  # (M, ceil(C / 64)), the kept labels as bits
    size: I64  # (M,)
    kept: I64  # (M, C), their numbers, ascending
    made: Bools  # (M, 3), whether the tables of picture, of sound and of both are there
    visual: F64  # (M, T, C), segment probabilities
    peak: F64  # (M, C), each label's largest segment probability
    gram: F64  # (M, T, T), inner products of the rows of ``visual``
    audio: F64  # (M, R, C), segment probabilities of the sound; R = 1 where one row stands for all
    audio_peak: F64  # (M, C), each label's largest one
    cross: F64  # (M, R, T), inner products of the rows of ``audio`` and ``visual``
    audio_gram: F64  # (M, R, R), of the rows of ``audio``
    seen: Bools  # (M, W, 2), whether a window's row is there
    window_visual: F64  # (M, W, C); once a window was seen, UNKNOWN what was not asked for yet
    window_audio: F64  # (M, W, C), likewise
    moments: F64  # (M, W, FRAMES + 1, 2), of the logits in play: of each frame, of the sound
    spare: F64  # (C,)


def empty_subsets(
    labels: int, segments: int, windows: int, most: int = 2048, sounds: int = 1, room: int | None = None
) -> LabelSubsets:
    """Places for ``most`` subsets of one clip, or as many as fit into BYTES_A_CLIP, or ``room``, but never under 4.

    ``sounds`` is the number of rows of sound: ``segments``, or 1 where one stands for all.
    """
    each = 8 * labels * (2 * windows + segments + sounds + 3) + 8 * (segments + sounds) * (segments + sounds)
    each += 16 * windows * (FRAMES + 1)
    most = max(4, min(most, min(BYTES_A_CLIP, room or BYTES_A_CLIP) // each))
    table = 1
    while table < 4 * most:
        table *= 2
    words = -(-labels // 64)
    return LabelSubsets(
        used=np.zeros(2, np.int64),
        table=np.full(table, -1, np.int64),
        mask=np.zeros((most, words), np.uint64),
        size=np.zeros(most, np.int64),
        kept=np.zeros((most, labels), np.int64),
        made=np.zeros((most, 3), np.bool_),
        visual=np.zeros((most, segments, labels)),
        peak=np.zeros((most, labels)),
        gram=np.zeros((most, segments, segments)),
        audio=np.zeros((most, sounds, labels)),
        audio_peak=np.zeros((most, labels)),
        cross=np.zeros((most, sounds, segments)),
        audio_gram=np.zeros((most, sounds, sounds)),
        seen=np.zeros((most, windows, 2), np.bool_),
        window_visual=np.zeros((most, windows, labels)),
        window_audio=np.zeros((most, windows, labels)),
        moments=np.zeros((most, windows, FRAMES + 1, 2)),
        spare=np.zeros(labels),
    )


@lean
def reset(subsets: LabelSubsets) -> None:
    """Empty the subsets; needed before another clip."""
    if subsets.used[0] > 0:
        subsets.used[0] = 0
        subsets.used[1] += 1
        subsets.table[:] = -1


@inner
def reserve(subsets: LabelSubsets, n: int) -> None:
    """Make sure that ``n`` more subsets fit, resetting all if they do not."""
    if subsets.used[0] + n > subsets.size.shape[0]:
        reset(subsets)


@inner
def find_subset(subsets: LabelSubsets, whole: F64, tau: float, select: bool) -> int:
    """The subset of the labels whose probability in ``whole`` (C,) exceeds ``tau`` (4.2); all if not ``select``."""
    labels = whole.shape[0]
    words = subsets.mask.shape[1]
    at = subsets.used[0]  # the free one after the last holds the mask looked for
    code = np.uint64(1469598103934665603)
    for q in range(words):
        word = np.uint64(0)
        for x in range(64 * q, min(labels, 64 * q + 64)):
            if not select or whole[x] > tau:
                word |= bit(x - 64 * q)
        subsets.mask[at, q] = word
        code = (code ^ word) * np.uint64(0x9E3779B97F4A7C15)
        code ^= code >> np.uint64(29)
    last = np.uint64(subsets.table.shape[0] - 1)
    place = code & last
    while subsets.table[place] >= 0:
        subset = subsets.table[place]
        same = True
        for q in range(words):
            if subsets.mask[subset, q] != subsets.mask[at, q]:
                same = False
                break
        if same:
            return subset
        place = (place + np.uint64(1)) & last
    subsets.table[place] = at
    subsets.used[0] = at + 1
    n = 0
    for x in range(labels):
        if (subsets.mask[at, x // 64] >> np.uint64(x % 64)) & np.uint64(1):
            subsets.kept[at, n] = x
            n += 1
    subsets.size[at] = n
    subsets.made[at] = False
    subsets.seen[at] = False
    return at


@inner
def enough(subsets: LabelSubsets, subset: int, clip: Clip) -> bool:
    """Whether a subset has labels enough for events: two, for a z-score to be (4.1), or one with its probability."""
    return subsets.size[subset] >= (1 if clip.given else 2)


@lean
def probabilities(row: F64, kept: I64, size: int, given: bool, out: F64) -> None:
    """Probabilities of a row over the labels in play: by :func:`standardise`, or as they are given."""
    if given:
        for j in range(size):
            out[j] = row[kept[j]]
    else:
        standardise(row, kept, size, out)


@lean
def make_table(rows: F64, kept: I64, size: int, given: bool, p: F64, gram: F64, peak: F64) -> None:
    """Probabilities of rows over the labels in play, what they have in common, and each label's largest one.

    Args:
        rows: float64 (R, C) logits, or probabilities.
        kept: int64 (C,), labels in play.
        size: number of labels in play.
        given: whether rows are probabilities.
        p: float64 (R, >= size), written: the probabilities.
        gram: float64 (R, R), written: inner products of the rows of ``p``.
        peak: float64 (>= size,), written: the largest ones.
    """
    count = p.shape[0]
    for r in range(count):
        probabilities(rows[r], kept, size, given, p[r])
        for s in range(r + 1):
            value = 0.0
            for j in range(size):
                value += p[r, j] * p[s, j]
            gram[r, s] = value
            gram[s, r] = value
    for j in range(size):
        value = p[0, j]
        for r in range(1, count):
            value = max(value, p[r, j])
        peak[j] = value


@inner
def make_visual(subsets: LabelSubsets, subset: int, clip: Clip) -> None:
    """Segment probabilities of the images (4.3) and their Gram matrix."""
    if not subsets.made[subset, 0]:
        subsets.made[subset, 0] = True
        make_table(
            clip.image, subsets.kept[subset], subsets.size[subset], clip.given, subsets.visual[subset],
            subsets.gram[subset], subsets.peak[subset],
        )  # fmt: skip


@inner
def make_audio(subsets: LabelSubsets, subset: int, clip: Clip) -> None:
    """The sound's probabilities (4.3): those of window 0, for every segment, or of each segment's own."""
    if not subsets.made[subset, 1]:
        subsets.made[subset, 1] = True
        make_table(
            clip.sound, subsets.kept[subset], subsets.size[subset], clip.given, subsets.audio[subset],
            subsets.audio_gram[subset], subsets.audio_peak[subset],
        )  # fmt: skip


@lean
def make_both(subsets: LabelSubsets, subset: int, clip: Clip) -> None:
    """Tables of picture and sound, and the inner products between them."""
    if subsets.made[subset, 2]:
        return
    make_visual(subsets, subset, clip)
    make_audio(subsets, subset, clip)
    subsets.made[subset, 2] = True
    for r in range(subsets.audio.shape[1]):
        for t in range(clip.image.shape[0]):
            value = 0.0
            for j in range(subsets.size[subset]):
                value += subsets.visual[subset, t, j] * subsets.audio[subset, r, j]
            subsets.cross[subset, r, t] = value


@lean
def pool(rows: F64, start: int, end: int, size: int, out: F64) -> None:
    """Mean of the rows ``start`` ... ``end - 1``, over the first ``size`` places."""
    for j in range(size):
        out[j] = rows[start, j]
    for t in range(start + 1, end):
        for j in range(size):
            out[j] += rows[t, j]
    for j in range(size):
        out[j] /= end - start


@lean
def fill_picture(
    video: F64,
    window: int,
    table: F64,
    span: tuple[int, int],
    pooled: bool,
    kept: I64,
    size: int,
    each: F64,
    probability: F64,
    fresh: bool,
    wanted: tuple[int, int],
) -> None:
    """Make probabilities of labels by the picture of a window (4.6): the mean over frames.

    Args:
        video: float64 (W, F, C) logits.
        window: its row.
        table: float64 (T, C), probabilities of the segments, for the pooled mean.
        span: first segment, and one past the last.
        pooled: whether probabilities are means over segments; all are made at once then.
        kept: int64 (C,), labels in play.
        size: number of labels in play.
        each: float64 (FRAMES, 2), moments of each frame, kept from call to call.
        probability: float64 (C,), kept from call to call; UNKNOWN until it is asked for.
        fresh: whether nothing is known of the window yet.
        wanted: which are asked for: a place among the labels, and one past another.
    """
    if pooled:
        pool(table, span[0], span[1], size, probability)
        return
    frames = video.shape[1]
    if fresh:
        probability[:size] = UNKNOWN
        for frame in range(min(frames, FRAMES)):
            moments(video[window, frame], kept, size, each[frame])
    for j in range(wanted[0], wanted[1]):
        if probability[j] != UNKNOWN:
            continue
        total = 0.0
        for frame in range(frames):
            at = frame if frames <= FRAMES else 0
            if frames > FRAMES:
                moments(video[window, frame], kept, size, each[0])
            value = standardised(video[window, frame, kept[j]], each[at, 0], each[at, 1])
            total = value if frame == 0 else total + value
        probability[j] = total / frames if frames > 1 else total


@lean
def fill_sound(
    audio: F64,
    window: int,
    table: F64,
    span: tuple[int, int],
    pooled: bool,
    kept: I64,
    size: int,
    each: F64,
    probability: F64,
    fresh: bool,
    wanted: tuple[int, int],
) -> None:
    """The same by its sound: float64 (W, C) logits, (2,) moments, a table of T rows or of one for all segments."""
    if pooled:
        one = table.shape[0] == 1
        pool(table, 0 if one else span[0], 1 if one else span[1], size, probability)
        return
    if fresh:
        probability[:size] = UNKNOWN
        moments(audio[window], kept, size, each)
    for j in range(wanted[0], wanted[1]):
        if probability[j] == UNKNOWN:
            probability[j] = standardised(audio[window, kept[j]], each[0], each[1])


@inner
def ask_picture(
    subsets: LabelSubsets, subset: int, clip: Clip, window: int, span: tuple[int, int], pooled: bool,
    wanted: tuple[int, int],
) -> None:  # fmt: skip
    """See to it that probabilities of labels by the picture of a window are there (:func:`fill_picture`)."""
    fresh = not subsets.seen[subset, window, 0]
    if fresh or subsets.window_visual[subset, window, wanted[1] - 1] == UNKNOWN:
        subsets.seen[subset, window, 0] = True
        fill_picture(
            clip.video, window, subsets.visual[subset], span, pooled, subsets.kept[subset], subsets.size[subset],
            subsets.moments[subset, window], subsets.window_visual[subset, window], fresh, wanted,
        )  # fmt: skip


@inner
def ask_sound(
    subsets: LabelSubsets, subset: int, clip: Clip, window: int, span: tuple[int, int], pooled: bool,
    wanted: tuple[int, int],
) -> None:  # fmt: skip
    """The same by its sound."""
    fresh = not subsets.seen[subset, window, 1]
    if fresh or subsets.window_audio[subset, window, wanted[1] - 1] == UNKNOWN:
        subsets.seen[subset, window, 1] = True
        fill_sound(
            clip.audio, window, subsets.audio[subset], span, pooled, subsets.kept[subset], subsets.size[subset],
            subsets.moments[subset, window, FRAMES], subsets.window_audio[subset, window], fresh, wanted,
        )  # fmt: skip
