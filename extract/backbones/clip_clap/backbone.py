"""The `clip_clap` backbone: CLIP ViT-B/32 for frames, CLAP for sound (docs/design.md 5)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from extract.backbones.base import TextRules
from extract.backbones.clip_clap import clap_tower, clip_tower
from extract.backbones.clip_clap.clap_tower import ClapTower
from extract.backbones.clip_clap.clip_tower import ClipTower
from extract.backbones.clip_clap.log_mel import MelConfig
from extract.backbones.weights import from_hub, no_weights
from extract.errors import ExtractError

VISUAL_PROMPT = "A {label}"
AUDIO_PROMPT = "This is a sound of {label}"

VECTORS = {False: "as the encoder gives them", True: "unit length"}
"""How visual embeddings are stored."""
_LAYOUT = f"DIR/clip/ ({' or '.join(clip_tower.WEIGHT_FILES)}) and DIR/clap/ (the files of {clap_tower.REPOSITORY})"


class PictureTower(Protocol):
    """The half of a backbone that sees; its members as in :class:`extract.backbones.base.Backbone`."""

    dim: int
    unit: bool
    """Whether what it gives has unit length."""

    def prepare_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W) to pixels of the encoder's size."""

    def encode_frames(self, frames: Tensor) -> Tensor:
        """Such pixels to float32 (n, Dv)."""

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, Dv)."""

    def sentences_cut(self, prompts: Sequence[str]) -> list[bool]:
        """Which sentences have more tokens than the encoder reads."""

    def attributes(self) -> dict[str, Any]:
        """What identifies weights and preprocessing."""


class SoundTower(Protocol):
    """The half of a backbone that hears; its members as in :class:`extract.backbones.base.Backbone`."""

    dim: int
    mel: MelConfig

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        """n stretches of mono sound to (n, ...)."""

    def encode_audio(self, sounds: Tensor) -> Tensor:
        """Prepared sound to float32 (n, Da), unit length."""

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, Da), unit length."""

    def sentences_cut(self, prompts: Sequence[str]) -> list[bool]:
        """Which sentences have more tokens than the encoder reads."""

    def attributes(self) -> dict[str, Any]:
        """What identifies weights and front end."""


class ClipClap:
    """Two encoders under one name; see :class:`extract.backbones.base.Backbone` for the members."""

    frames_per_window = 8

    def __init__(
        self,
        clip: PictureTower,
        clap: SoundTower,
        *,
        name: str,
        default_labels: str,
        origin: dict[str, str],
        models: Mapping[str, str] | None = None,
    ) -> None:
        """Join two loaded towers.

        Args:
            clip: what sees.
            clap: what hears.
            name: of the backbone.
            default_labels: label set for people who name none.
            origin: where the weights of "clip" and "clap" came from.
            models: what the two are called, where they were chosen.
        """
        self.name = name
        self.default_labels = default_labels
        self.visual_dim, self.audio_dim = clip.dim, clap.dim
        self.text = TextRules(VISUAL_PROMPT, AUDIO_PROMPT, unit_visual=clip.unit, unit_audio=True)
        self._models = models
        self.sample_rate: int | None = clap.mel.sample_rate
        self._clip, self._clap = clip, clap
        self._origin = origin

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        device: torch.device,
        precision: str,
        *,
        name: str,
        default_labels: str,
        origin: str | None = None,
        clap_checkpoint: Path | None = None,
    ) -> "ClipClap":
        """Load clip/ and clap/ of a folder; with ``clap_checkpoint`` that .pt file stands for clap/.

        Raises:
            ExtractError: a part is missing or damaged.
        """
        for part in ("clip",) if clap_checkpoint else ("clip", "clap"):
            if not (folder / part).is_dir():
                raise ExtractError(f"checkpoint folder {folder} has no {part}/: it needs {_LAYOUT}")
        clip = ClipTower.from_folder(folder / "clip", device, precision)
        where = {part: origin or f"{folder.name}/{part}" for part in ("clip", "clap")}
        if clap_checkpoint is None:
            clap = ClapTower.from_folder(folder / "clap", device, precision)
        else:
            clap = ClapTower.from_laion_file(clap_checkpoint, device, precision)
            where["clap"] = clap_checkpoint.name
        return cls(clip, clap, name=name, default_labels=default_labels, origin=where)

    def prepare_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W) to uint8 (n, 3, height, width) of the encoder's size."""
        return self._clip.prepare_frames(frames)

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        """n waveforms to what the sound tower takes."""
        return self._clap.prepare_audio(waves, random)

    def encode_frames(self, frames: Tensor) -> Tensor:
        """What prepare_frames gave to float32 (n, Dv): CLIP's features as they are, another model's at unit length."""
        return self._clip.encode_frames(frames)

    def encode_audio(self, sounds: Tensor) -> Tensor:
        """Prepared sound to float32 (n, Da), unit length."""
        return self._clap.encode_audio(sounds)

    def encode_visual_text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, Dv), likewise."""
        return self._clip.encode_text(sentences)

    def encode_audio_text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, Da), unit length."""
        return self._clap.encode_text(sentences)

    def sentences_cut(self, side: str, sentences: Sequence[str]) -> list[bool]:
        """Which sentences CLIP ("visual") or CLAP ("audio") does not read to their ends."""
        return (self._clip if side == "visual" else self._clap).sentences_cut(sentences)

    def attributes(self) -> dict[str, Any]:
        """Origins, hashes, preprocessing and prompts."""
        facts = {
            "clip": {"origin": self._origin["clip"], **self._clip.attributes()},
            "clap": {"origin": self._origin["clap"], **self._clap.attributes()},
        }
        if self._models is not None:
            facts["clip"] |= {"model": self._models["clip"], "vectors": VECTORS[self._clip.unit]}
            facts["clap"] |= {"model": self._models["clap"]}
        return facts


def load(
    checkpoint: Path | None, device: torch.device, precision: str, *, clap_checkpoint: Path | None = None
) -> ClipClap:
    """Load from a folder, or the published weights from the hub (or what it left in its cache).

    Args:
        checkpoint: folder with clip/ and clap/.
        device: where to compute.
        precision: arithmetic, see :mod:`extract.device`.
        clap_checkpoint: a .pt of laion_clap to use for the sound instead.

    Raises:
        ExtractError: weights are missing or damaged; says which, and how to place them.
    """
    if checkpoint is not None:
        return ClipClap.from_folder(
            checkpoint, device, precision, name="clip_clap", default_labels="llp", clap_checkpoint=clap_checkpoint
        )
    folders = {clip_tower.REPOSITORY: from_hub(clip_tower.REPOSITORY, clip_tower.WEIGHT_FILES[:1])}
    if clap_checkpoint is None:
        folders[clap_tower.REPOSITORY] = from_hub(
            clap_tower.REPOSITORY, clap_tower.WEIGHT_FILES, clap_tower.CONFIG_FILES, clap_tower.WORD_FILES
        )
    missing = [name for name, folder in folders.items() if folder is None]
    if missing:
        raise no_weights(missing, "DIR/clip/ and DIR/clap/")
    found = {name: folder for name, folder in folders.items() if folder is not None}
    origin = {"clip": f"{clip_tower.REPOSITORY}@{found[clip_tower.REPOSITORY].name}"}
    if clap_checkpoint is None:
        clap = ClapTower.from_folder(found[clap_tower.REPOSITORY], device, precision)
        origin["clap"] = f"{clap_tower.REPOSITORY}@{found[clap_tower.REPOSITORY].name}"
    else:
        clap = ClapTower.from_laion_file(clap_checkpoint, device, precision)
        origin["clap"] = clap_checkpoint.name
    clip = ClipTower.from_folder(found[clip_tower.REPOSITORY], device, precision, own_config=False)
    return ClipClap(clip, clap, name="clip_clap", default_labels="llp", origin=origin)
