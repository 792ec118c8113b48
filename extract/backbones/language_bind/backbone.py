"""The `language_bind` backbone: images, windows of video, sound and sentences in one space (docs/design.md 5)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from extract.backbones.base import TextRules
from extract.backbones.language_bind.frames import prepare_images, prepare_video_frames
from extract.backbones.language_bind.loading import Tower, Towers, load_towers
from extract.backbones.language_bind.spectrograms import window_inputs
from extract.errors import ExtractError
from extract.media.audio_windows import SoundWindows

PROMPT = "A {label}"


class LanguageBind:
    """Four encoders into one space; see :class:`extract.backbones.base.VideoBackbone` for the members.

    All embeddings are unit vectors: the factors by which the official code stretches them cancel in the
    z-scores (docs/design.md 4.1) and in cosines.
    """

    name = "language_bind"
    sample_rate = None
    default_labels = "llp"
    random_flips = True
    text = TextRules(PROMPT, PROMPT, plain_labels=True, unit_visual=True, unit_audio=True, one_space=True)

    def __init__(self, towers: Towers) -> None:
        """Take over loaded towers.

        Raises:
            ExtractError: a tower for pictures that are not square, or for sound at another rate than 16 kHz.
        """
        self.visual_dim = self.audio_dim = towers.text.dim
        self.frames_per_window = towers.video.config.frames
        self._towers = towers
        self._sides = {name: _side(tower) for name, tower in (("image", towers.image), ("video", towers.video))}

    def prepare_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W) to float32 (n, 3, S, S), as the image transform gives them."""
        return prepare_images(frames, self._sides["image"])

    def prepare_video_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W) to float32 (n, 3, S, S), as the video transform gives them, not flipped."""
        return prepare_video_frames(frames, self._sides["video"])

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        """n stretches of sound to float32 (n, 3, bands, frames): the spectrogram of channel 0, tiled or cut.

        Raises:
            TypeError: stretches that do not say their rate.
        """
        if not isinstance(waves, SoundWindows) or waves.rate is None:
            raise TypeError("language_bind needs SoundWindows with a rate: it hears sound at the file's own")
        wave = waves.wave if waves.wave.ndim == 2 else waves.wave[None]
        config = self._towers.audio.config
        return window_inputs(
            wave,
            waves.rate,
            waves.stretches,
            bins=config.height,
            target=config.width_px,
            mean=config.audio_mean,
            std=config.audio_std,
            random=random,
        )

    def encode_frames(self, frames: Tensor) -> Tensor:
        """float32 (n, 3, S, S) to float32 (n, D), unit length."""
        return self._towers.image.projected(frames)

    def encode_video(self, windows: Tensor) -> Tensor:
        """float32 (n, F, 3, S, S) to float32 (n, D), unit length."""
        return self._towers.video.projected(windows)

    def encode_audio(self, sounds: Tensor) -> Tensor:
        """float32 (n, 3, bands, frames) to float32 (n, D), unit length."""
        return self._towers.audio.projected(sounds)

    def encode_visual_text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, D), unit length."""
        return self._towers.text.projected(sentences)

    def encode_audio_text(self, sentences: Sequence[str]) -> Tensor:
        """The same: one space."""
        return self.encode_visual_text(sentences)

    def sentences_cut(self, side: str, sentences: Sequence[str]) -> list[bool]:
        """Which sentences are not read to their ends; on either side the same ones."""
        return self._towers.text.tokenise.cut(sentences)

    def attributes(self) -> dict[str, Any]:
        """Origins, hashes, sizes and preprocessing."""
        towers = self._towers
        audio = towers.audio.config
        return {
            **{
                name: {"origin": towers.origin[name], **tower.attributes()}
                for name, tower in (("image", towers.image), ("video", towers.video), ("audio", towers.audio))
            },
            "text": towers.text.attributes(),
            "preprocessing": {
                "image": "shorter side, bicubic with antialias, centre crop, CLIP's mean and std",
                "video": "CLIP's mean and std, shorter side, bilinear, centre crop, no flip",
                "audio": f"channel 0 at 16 kHz, Kaldi log-mel, {audio.height} bands, tiled to {audio.width_px} frames",
            },
        }


def load(checkpoint: Path | None, device: torch.device, precision: str) -> LanguageBind:
    """Load from a folder with three checkpoints, or the published ones from the hub (or what it left in its cache).

    Raises:
        ExtractError: weights are missing or damaged; says which, and how to place them.
    """
    return LanguageBind(load_towers(checkpoint, device, precision))


def _side(tower: Tower) -> int:
    config = tower.config
    if config.height != config.width_px:
        raise ExtractError(f"{tower.weights}: pictures of {config.height}x{config.width_px} pixels; squares are needed")
    return config.height
