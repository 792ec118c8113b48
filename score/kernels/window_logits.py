"""Logits of windows, made when a candidate asks for them: one setting needs a few of a clip's windows only."""

from typing import NamedTuple

import numpy as np

from score.choices import AUDIO, VISUAL
from score.kernels.candidates import Candidates, find_candidates, window_row
from score.kernels.jit import inner, lean
from score.kernels.similarity import inner_products, padded, widen
from score.kernels.streams import StreamWorkspace
from score.kernels.types import F32, F64, I64, Bools, Embeddings

_ROWS = 16


class WindowWorkspace(NamedTuple):
    """Workspace for the windows of one clip, by picture or by sound."""

    logits: F64  # (W, F, C)
    there: Bools  # (W,), whether a window's logits are made
    wanted: I64  # (W,)
    picks: I64  # (C,), labels whose logits are made
    picked: I64  # (1,), how many
    rows: F64  # (R, D rounded up), embeddings on their way; zeros beyond D
    made: F64  # (R, C)


class Source(NamedTuple):
    """Where the window logits of one clip come from."""

    video: Embeddings  # (W, F, Dv)
    audio: Embeddings  # (W, 1, Da)
    text_visual: F32  # (C, Dv rounded up)
    text_audio: F32  # (C, Da rounded up)
    video_workspace: WindowWorkspace
    audio_workspace: WindowWorkspace


def window_workspace(labels: int, windows: int, frames: int, dims: int) -> WindowWorkspace:
    """A workspace for ``windows`` windows of ``frames`` rows of ``dims`` dimensions."""
    rows = max(_ROWS, frames)
    return WindowWorkspace(
        logits=np.zeros((windows, frames, labels)),
        there=np.zeros(windows, np.bool_),
        wanted=np.zeros(windows, np.int64),
        picks=np.arange(labels, dtype=np.int64),
        picked=np.zeros(1, np.int64),
        rows=np.zeros((rows, padded(dims))),
        made=np.zeros((rows, labels)),
    )


@lean
def make_windows(embeddings: Embeddings, text: F32, workspace: WindowWorkspace, count: int) -> None:
    """Logits of the first ``count`` windows of ``workspace.wanted``, for the labels picked.

    Args:
        embeddings: uint16 or float32 (W, F, D).
        text: float32 (C, D rounded up).
        workspace: WindowWorkspace.
        count: number of windows.
    """
    frames = embeddings.shape[1]
    at_once = workspace.rows.shape[0] // frames
    for first in range(0, count, at_once):
        n = min(at_once, count - first)
        for x in range(n):
            for f in range(frames):
                widen(embeddings[workspace.wanted[first + x], f], workspace.rows[x * frames + f])
        inner_products(workspace.rows, n * frames, text, workspace.picks, workspace.picked[0], workspace.made)
        for x in range(n):
            for f in range(frames):
                for y in range(workspace.picked[0]):
                    c = workspace.picks[y]
                    workspace.logits[workspace.wanted[first + x], f, c] = workspace.made[x * frames + f, c]


@lean
def begin_windows(embeddings: Embeddings, text: F32, workspace: WindowWorkspace) -> None:
    """Begin another clip: window 0, the whole clip, is needed with all labels."""
    workspace.there[:] = False
    workspace.there[0] = True
    workspace.wanted[0] = 0
    workspace.picked[0] = text.shape[0]
    for c in range(text.shape[0]):
        workspace.picks[c] = c
    make_windows(embeddings, text, workspace, 1)


@lean
def fetch_windows(
    embeddings: Embeddings, text: F32, workspace: WindowWorkspace, candidates: Candidates, n: int, segments: int
) -> None:
    """Logits of the windows of the first n candidates, where they are not there yet."""
    count = 0
    for x in range(n):
        window = window_row(candidates.start[x], candidates.end[x], segments)
        if not workspace.there[window]:
            workspace.there[window] = True
            workspace.wanted[count] = window
            count += 1
    make_windows(embeddings, text, workspace, count)


@inner
def fetch(
    source: Source | None, stream: int, size: int, segments: int, pooled: bool, workspace: StreamWorkspace
) -> None:
    """Logits that judging a stream's candidates will need.

    Args:
        source: Source, or None where all logits are there.
        stream: the stream.
        size: labels in play.
        segments: T.
        pooled: whether no windows' logits are needed.
        workspace: StreamWorkspace with the positive segments.
    """
    if source is not None:
        n = 0 if pooled else find_candidates(workspace.bitmasks, size, workspace.candidates)
        if stream != AUDIO:
            fetch_windows(source.video, source.text_visual, source.video_workspace, workspace.candidates, n, segments)
        if stream != VISUAL:
            fetch_windows(source.audio, source.text_audio, source.audio_workspace, workspace.candidates, n, segments)
