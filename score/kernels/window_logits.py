"""Logits of windows, made when a candidate asks for them: one setting needs a few of a clip's windows only."""

from typing import Any, NamedTuple

import numpy as np

from score.choices import AUDIO, VISUAL
from score.kernels.candidates import find_candidates, window_row
from score.kernels.jit import inner, lean
from score.kernels.similarity import inner_products, padded, widen

_ROWS = 16


class WindowRoom(NamedTuple):
    """Working room for the windows of one clip, by picture or by sound."""

    logits: Any  # float64 (W, F, C)
    there: Any  # bool (W,), whether a window's logits are made
    wanted: Any  # int64 (W,)
    picks: Any  # int64 (C,), labels whose logits are made
    count: Any  # int64 (1,), how many
    rows: Any  # float64 (R, D rounded up), embeddings on their way; zeros beyond D
    made: Any  # float64 (R, C)


class Source(NamedTuple):
    """Where the window logits of one clip come from."""

    video: Any  # uint16 or float32 (W, F, Dv)
    audio: Any  # uint16 or float32 (W, 1, Da)
    text_visual: Any  # float32 (C, Dv rounded up)
    text_audio: Any  # float32 (C, Da rounded up)
    video_room: Any  # WindowRoom
    audio_room: Any  # WindowRoom


def window_room(labels: int, windows: int, frames: int, dims: int) -> WindowRoom:
    """Room for ``windows`` windows of ``frames`` rows of ``dims`` dimensions."""
    rows = max(_ROWS, frames)
    return WindowRoom(
        np.zeros((windows, frames, labels)),
        np.zeros(windows, np.bool_),
        np.zeros(windows, np.int64),
        np.arange(labels, dtype=np.int64),
        np.zeros(1, np.int64),
        np.zeros((rows, padded(dims))),
        np.zeros((rows, labels)),
    )


@lean
def make_windows(embeddings: Any, text: Any, room: Any, count: int) -> None:
    """Logits of the first ``count`` windows of ``room.wanted``, for the labels picked.

    Args:
        embeddings: uint16 or float32 (W, F, D).
        text: float32 (C, D rounded up).
        room: WindowRoom.
        count: number of windows.
    """
    frames = embeddings.shape[1]
    at_once = room.rows.shape[0] // frames
    for first in range(0, count, at_once):
        n = min(at_once, count - first)
        for x in range(n):
            for f in range(frames):
                widen(embeddings[room.wanted[first + x], f], room.rows[x * frames + f])
        inner_products(room.rows, n * frames, text, room.picks, room.count[0], room.made)
        for x in range(n):
            for f in range(frames):
                for y in range(room.count[0]):
                    c = room.picks[y]
                    room.logits[room.wanted[first + x], f, c] = room.made[x * frames + f, c]


@lean
def begin_windows(embeddings: Any, text: Any, room: Any) -> None:
    """Begin another clip: window 0, the whole clip, is needed with all labels."""
    room.there[:] = False
    room.there[0] = True
    room.wanted[0] = 0
    room.count[0] = text.shape[0]
    for c in range(text.shape[0]):
        room.picks[c] = c
    make_windows(embeddings, text, room, 1)


@lean
def fetch_windows(embeddings: Any, text: Any, room: Any, found: Any, n: int, segments: int) -> None:
    """Logits of the windows of the first n candidates, where they are not there yet."""
    count = 0
    for x in range(n):
        window = window_row(found.start[x], found.end[x], segments)
        if not room.there[window]:
            room.there[window] = True
            room.wanted[count] = window
            count += 1
    make_windows(embeddings, text, room, count)


@inner
def fetch(source: Any, stream: int, size: int, segments: int, pooled: bool, room: Any) -> None:
    """Logits that judging a stream's candidates will need.

    Args:
        source: Source, or None where all logits are there.
        stream: the stream.
        size: labels in play.
        segments: T.
        pooled: whether no windows' logits are needed.
        room: StreamRoom with the positive segments.
    """
    if source is not None:
        n = 0 if pooled else find_candidates(room.words, size, room.found)
        if stream != AUDIO:
            fetch_windows(source.video, source.text_visual, source.video_room, room.found, n, segments)
        if stream != VISUAL:
            fetch_windows(source.audio, source.text_audio, source.audio_room, room.found, n, segments)
