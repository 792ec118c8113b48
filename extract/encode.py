"""Clips through the encoders: every distinct frame once, every window's sound once, in even batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.backbones.base import Backbone, VideoBackbone
from extract.decode import ClipMedia


@dataclass(frozen=True)
class ClipInputs:
    """A clip as the encoders take it.

    Attributes:
        media: the decoded clip; its sound is not needed any more.
        sounds: (W, ...), what the backbone made of each window's sound.
        flips: bool (W,), windows whose frames are mirrored; None: none is.
    """

    media: ClipMedia
    sounds: Tensor
    flips: NDArray[np.bool_] | None = None

    def pinned(self) -> "ClipInputs":
        """The same in memory from which a GPU copies while it computes."""
        media = self.media
        videos = None if media.videos is None else media.videos.pin_memory()
        held = ClipMedia(
            media.images.pin_memory(), videos, media.image_index, media.video_index, media.windows, media.frame_count
        )
        return ClipInputs(held, self.sounds.pin_memory(), self.flips)


@dataclass(frozen=True)
class ClipEmbeddings:
    """What the cache holds of one clip, in float32.

    Attributes:
        image: (T, Dv), a segment's frame.
        video: (W, F, Dv), a window's frames; F = 1 for a video encoder.
        audio: (W, Da), a window's sound.
    """

    image: NDArray[np.float32]
    video: NDArray[np.float32]
    audio: NDArray[np.float32]


def prepare_clip(backbone: Backbone, media: ClipMedia, random: np.random.RandomState | None = None) -> ClipInputs:
    """What the encoders take of a decoded clip.

    Args:
        backbone: the encoders.
        media: the clip, decoded with :func:`views_of` the backbone.
        random: makes the official code's random choices: a flip a window, where sound is cut.
    """
    flips = None
    if random is not None and isinstance(backbone, VideoBackbone) and backbone.random_flips:
        flips = random.random_sample(len(media.video_index)) < 0.5
    return ClipInputs(media, backbone.prepare_audio(media.windows, random), flips)


def encode_clips(
    backbone: Backbone, clips: Sequence[ClipInputs], device: torch.device, batch_size: int
) -> list[ClipEmbeddings]:
    """Encode clips together: batches run across their frames and windows.

    Args:
        backbone: the encoders.
        clips: prepared clips; all of them lie on the device at once.
        device: the encoders'.
        batch_size: frames or sounds in one pass, at most (at least one window).
    """
    media = [clip.media for clip in clips]
    frames = _encode(backbone.encode_frames, [m.images for m in media], device, batch_size)
    images = [frame[m.image_index] for frame, m in zip(frames, media, strict=True)]
    if isinstance(backbone, VideoBackbone):
        videos = [window[:, None] for window in _encode_windows(backbone, clips, device, batch_size)]
    else:
        videos = [frame[m.video_index] for frame, m in zip(frames, media, strict=True)]
    sounds = _encode(backbone.encode_audio, [clip.sounds for clip in clips], device, batch_size)
    return [ClipEmbeddings(*parts) for parts in zip(images, videos, sounds, strict=True)]


def _encode(
    encode: Callable[[Tensor], Tensor], parts: Sequence[Tensor], device: torch.device, batch_size: int
) -> list[NDArray[np.float32]]:
    """Rows of several clips through one encoder, given back clip by clip."""
    rows = torch.cat([part.to(device, non_blocking=True) for part in parts])
    found = torch.cat([encode(batch) for batch in torch.split(rows, batch_size)]).cpu()
    return [part.numpy() for part in torch.split(found, [len(part) for part in parts])]


def _encode_windows(
    backbone: VideoBackbone, clips: Sequence[ClipInputs], device: torch.device, batch_size: int
) -> list[NDArray[np.float32]]:
    """The windows of several clips through a video encoder; each frame goes to the device once."""
    parts, rows, flips, first = [], [], [], 0
    for clip in clips:
        media = clip.media
        frames = media.images if media.videos is None else media.videos
        parts.append(frames.to(device, non_blocking=True))
        rows.append(torch.from_numpy(media.video_index + first))
        none = np.zeros(len(media.video_index), dtype=np.bool_)
        flips.append(torch.from_numpy(none if clip.flips is None else clip.flips))
        first += len(frames)
    table, index, mirrored = torch.cat(parts), torch.cat(rows).to(device), torch.cat(flips)
    found = []
    for at in range(0, len(index), step := max(1, batch_size // index.shape[1])):
        windows = table[index[at : at + step]]
        if (chosen := mirrored[at : at + step]).any():
            chosen = chosen.to(device)
            windows[chosen] = windows[chosen].flip(-1)
        found.append(backbone.encode_video(windows))
    embeddings = torch.cat(found).cpu()
    return [part.numpy() for part in torch.split(embeddings, [len(clip.media.video_index) for clip in clips])]
