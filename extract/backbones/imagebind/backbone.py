"""The `imagebind` backbone: images, clips, sound and sentences in one space (docs/design.md 5)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from extract.backbones.base import SharedAudio, TextRules
from extract.backbones.imagebind.loading import Encoders, load_encoders
from extract.backbones.imagebind.pictures import prepare_images
from extract.backbones.imagebind.spectrograms import segment_inputs, window_inputs
from extract.backbones.imagebind.tokens import tokeniser
from extract.backbones.imagebind.views import PICTURES, window_frames
from extract.backbones.language_bind.frames import MEAN, STD, prepare_video_frames
from extract.backbones.pixels import normalise
from extract.media.audio_windows import SoundWindows

PROMPT = "{label}"

_SENTENCES = 256  # at a time


class ImageBind:
    """Three encoders into one space; see :class:`extract.backbones.base.SharedViews` for the members.

    All embeddings are unit vectors: the factors by which the model stretches those of sound and text cancel in the
    z-scores (docs/design.md 4.1) and in cosines. Where several views are averaged, the average is a unit vector again.
    """

    name = "imagebind"
    sample_rate = None
    default_labels = "llp"
    random_flips = False
    text = TextRules(PROMPT, PROMPT, unit_visual=True, unit_audio=True, one_space=True)
    frame_rule = (
        "five clips of 2 s, evenly spread over a window, of each the first and the last frame: frames ceil(f*b) and "
        "min(n, ceil(f*(b+2))) - 1 of the window's n, f a second, b = i*(seconds - 2)/4"
    )

    def __init__(self, encoders: Encoders) -> None:
        """Take over loaded encoders."""
        self.visual_dim = self.audio_dim = encoders.config.dim
        self.frames_per_view = encoders.config.vision.frames
        self.frames_per_window = PICTURES * self.frames_per_view
        self._encoders = encoders
        self._tokenise = tokeniser()
        self._side = encoders.config.vision.side

    def window_frames(self, frames: int, seconds: float) -> NDArray[np.int64]:
        """Which of a window's frames are looked at: int64 (5, 2)."""
        return window_frames(frames, seconds)

    def prepare_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W) to uint8 (n, 3, S, S), by Pillow's bicubic."""
        return prepare_images(frames, self._side)

    def prepare_video_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W) to float32 (n, 3, S, S): bilinear, the centre square."""
        return prepare_video_frames(frames, self._side, half_up=True)

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        """n stretches of sound to float32 (n, views, 1, bands, frames); segments as OV-AVEL's baseline hears them.

        Raises:
            TypeError: stretches that do not say their rate.
        """
        sounds = _with_rate(waves)
        config = self._encoders.config.audio
        if sounds.seconds is not None:
            return segment_inputs(sounds, sounds.seconds, config.bands, config.frames)
        shared = window_inputs(sounds, config.bands, config.frames)
        return shared.views[torch.from_numpy(shared.index)]

    def prepare_shared_audio(self, waves: SoundWindows) -> SharedAudio:
        """The same of windows, each distinct view once.

        Raises:
            TypeError: stretches that do not say their rate.
        """
        config = self._encoders.config.audio
        shared = window_inputs(waves, config.bands, config.frames)
        return SharedAudio(shared.views[:, None], shared.index)

    def encode_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, S, S) to float32 (n, D), unit length."""
        still = normalise(frames, MEAN, STD)[:, :, None]
        return self._encoders.vision(still.expand(-1, -1, self.frames_per_view, -1, -1))

    def encode_video(self, windows: Tensor) -> Tensor:
        """float32 (n, clips · 2, 3, S, S), one clip's frames after another's, to float32 (n, D), unit length."""
        per_view = self.frames_per_view
        clips = windows.reshape(-1, per_view, *windows.shape[2:]).transpose(1, 2)
        return _averaged(self._encoders.vision(clips), int(windows.shape[1]) // per_view)

    def encode_audio(self, sounds: Tensor) -> Tensor:
        """float32 (n, views, 1, bands, frames) to float32 (n, D), unit length."""
        return _averaged(self._encoders.audio(sounds.flatten(0, 1)), int(sounds.shape[1]))

    def encode_visual_text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, D), unit length."""
        ids = self._tokenise(sentences)
        return torch.cat([self._encoders.text(part) for part in torch.split(ids, _SENTENCES)])

    def encode_audio_text(self, sentences: Sequence[str]) -> Tensor:
        """The same: one space."""
        return self.encode_visual_text(sentences)

    def sentences_cut(self, side: str, sentences: Sequence[str]) -> list[bool]:
        """Which sentences are not read to their ends; on either side the same ones."""
        return self._tokenise.cut(sentences)

    def attributes(self) -> dict[str, Any]:
        """Origin, hash, sizes and preprocessing."""
        config = self._encoders.config
        return {
            "imagebind": {**self._encoders.facts, "tokenizer": self._tokenise.source},
            "preprocessing": {
                "image": "shorter side, Pillow's bicubic on 8 bits, centre crop, CLIP's mean and std, as a still clip",
                "video": "CLIP's mean and std, shorter side, bilinear, centre crop; clips averaged to a unit vector",
                "audio": (
                    f"all of it to 16 kHz; three cuts of 2 s a window, channel 0, Kaldi log-mel, {config.audio.bands} "
                    f"bands, {config.audio.frames} frames; averaged to a unit vector"
                ),
                "audio_segments": "filled up with silence, repeated to 2 s",
            },
        }


def load(checkpoint: Path | None, device: torch.device, precision: str) -> ImageBind:
    """Load from a folder with imagebind_huge.pth.

    Raises:
        ExtractError: weights are missing or damaged; says which, and how to place them.
    """
    return ImageBind(load_encoders(checkpoint, device, precision))


def _averaged(vectors: Tensor, views: int) -> Tensor:
    """Unit vectors (n · views, D) to the means of each n, at unit length."""
    if views == 1:
        return vectors
    return functional.normalize(vectors.view(-1, views, vectors.shape[-1]).mean(1), dim=-1)


def _with_rate(waves: Sequence[Tensor]) -> SoundWindows:
    if not isinstance(waves, SoundWindows):
        raise TypeError("imagebind needs SoundWindows with a rate: it hears sound at the file's own")
    return waves
