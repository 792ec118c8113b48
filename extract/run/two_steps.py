"""Clips through two-step encoders: frames and sound are embedded once, windows of what came out in even batches."""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.backbones.base import Encoded, JointBackbone, TwoStep
from extract.media.audio_windows import SoundWindows
from extract.media.clip import ClipMedia

_T = TypeVar("_T")


class Seen(NamedTuple):
    """The picture of a clip.

    Attributes:
        images: float32 (T, Dv), of the segments.
        windows: float32 (W, Dv).
        states: (F, ...) of each window, on the device, for the joint encoder.
    """

    images: NDArray[np.float32]
    windows: NDArray[np.float32]
    states: list[Tensor]


class Heard(NamedTuple):
    """The sound of a clip.

    Attributes:
        windows: float32 (W, Da).
        states: (length, ...) of each window, likewise.
    """

    windows: NDArray[np.float32]
    states: list[Tensor]


def look_at(
    backbone: TwoStep, clips: Sequence[ClipMedia], device: torch.device, batch_size: int, *, keep: bool
) -> list[Seen]:
    """The pictures of clips that have some: each distinct frame is embedded once, for images and windows.

    Args:
        backbone: the encoders.
        clips: decoded.
        device: the encoders'.
        batch_size: frames or windows in one pass.
        keep: the states of windows are wanted.
    """
    if not clips:
        return []
    frames = [media.images for media in clips if media.images is not None]
    table = torch.cat([part.to(device, non_blocking=True) for part in frames])
    embedded = torch.cat([backbone.embed_frames(batch) for batch in torch.split(table, batch_size)])
    parts = torch.split(embedded, [len(part) for part in frames])
    images, windows = (
        [part[torch.from_numpy(index).to(part.device)] for part, index in zip(parts, indices, strict=True)]
        for indices in ([media.image_index[:, None] for media in clips], [media.video_index for media in clips])
    )
    stills = _in_batches(backbone.encode_frame_windows, [list(part) for part in images], batch_size, keep=False)
    moving = _in_batches(backbone.encode_frame_windows, [list(part) for part in windows], batch_size, keep=keep)
    return [Seen(still.windows, *each) for still, each in zip(stills, moving, strict=True)]


def listen_to(
    backbone: TwoStep, sounds: Sequence[SoundWindows], device: torch.device, batch_size: int, *, keep: bool
) -> list[Heard]:
    """Windows (or segments) of the sound of clips that have some; each waveform goes to the device once.

    Args:
        backbone: the encoders.
        sounds: of each clip.
        device: the encoders'.
        batch_size: windows in one pass.
        keep: their states are wanted.
    """
    tokens = [backbone.embed_sounds(each.of(each.wave.to(device, non_blocking=True))) for each in sounds]
    return _in_batches(backbone.encode_sound_windows, tokens, batch_size, keep=keep)


def join(backbone: JointBackbone, clips: Sequence[tuple[Seen, Heard]], batch_size: int) -> list[NDArray[np.float32]]:
    """Both at once, (W, Dj) of each clip, from states that were kept."""
    pairs = [list(zip(seen.states, heard.states, strict=True)) for seen, heard in clips]
    flat = [pair for clip in pairs for pair in clip]
    batches = _equal([(len(seen), len(heard)) for seen, heard in flat], batch_size)
    stacked = (tuple(torch.stack([flat[row][side] for row in rows]) for side in (0, 1)) for rows in batches)
    found = _in_order([backbone.encode_joint(seen, heard) for seen, heard in stacked], batches)
    return [np.stack(part) for part in _clip_by_clip(found, pairs)]


def _in_batches(
    encode: Callable[[Tensor], Encoded], clips: Sequence[list[Tensor]], batch_size: int, *, keep: bool
) -> list[Heard]:
    """Windows of several clips, those of equal length together, given back clip by clip."""
    flat = [window for clip in clips for window in clip]
    batches = _equal([(len(window),) for window in flat], batch_size)
    states: list[Tensor] = [torch.zeros(0)] * len(flat)
    found = []
    for rows in batches:
        encoded = encode(torch.stack([flat[row] for row in rows]))
        found.append(encoded.vectors)
        if keep:
            for row, state in zip(rows, encoded.states, strict=True):
                states[row] = state
    vectors = _in_order(found, batches)
    return [
        Heard(np.stack(some), some_states)
        for some, some_states in zip(_clip_by_clip(vectors, clips), _clip_by_clip(states, clips), strict=True)
    ]


def _in_order(found: list[Tensor], batches: list[list[int]]) -> list[NDArray[np.float32]]:
    """The vectors of batches by their rows' numbers."""
    if not found:
        return []
    vectors = torch.cat(found).cpu().numpy()
    return list(vectors[np.argsort(np.concatenate([np.array(rows) for rows in batches]), kind="stable")])


def _equal(lengths: Sequence[tuple[int, ...]], batch_size: int) -> list[list[int]]:
    """Rows of equal length, at most so many together."""
    by_length: dict[tuple[int, ...], list[int]] = {}
    for row, length in enumerate(lengths):
        by_length.setdefault(length, []).append(row)
    return [
        rows[at : at + batch_size] for _, rows in sorted(by_length.items()) for at in range(0, len(rows), batch_size)
    ]


def _clip_by_clip(values: list[_T], clips: Sequence[Sequence[object]]) -> list[list[_T]]:
    ends = [0, *accumulate(len(clip) for clip in clips)]
    return [values[first:last] for first, last in pairwise(ends)]
