"""One clip's media through the encoders: every distinct frame once, every window's sound once."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from extract.backbones.base import Backbone
from extract.decode import ClipMedia


@dataclass(frozen=True)
class ClipEmbeddings:
    """What the cache holds of one clip, in float32.

    Attributes:
        image: (T, Dv), a segment's frame.
        video: (W, F, Dv), a window's frames.
        audio: (W, Da), a window's sound.
    """

    image: NDArray[np.float32]
    video: NDArray[np.float32]
    audio: NDArray[np.float32]


def encode_clip(backbone: Backbone, media: ClipMedia, batch_size: int) -> ClipEmbeddings:
    """Encode a clip in batches of its own frames and windows.

    Batches never mix clips, so that a clip's embeddings do not depend on the clips around it.

    Args:
        backbone: the encoders.
        media: the decoded clip, at the backbone's size and rate.
        batch_size: frames or windows in one pass, at most.
    """
    frames = torch.cat([backbone.encode_frames(part) for part in torch.split(media.frames, batch_size)])
    windows = media.windows
    sounds = torch.cat(
        [backbone.encode_audio(windows[at : at + batch_size]) for at in range(0, len(windows), batch_size)]
    )
    visual = frames.cpu().numpy()
    return ClipEmbeddings(visual[media.plan.image], visual[media.plan.video], sounds.cpu().numpy())
