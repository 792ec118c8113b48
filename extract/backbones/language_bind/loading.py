"""LanguageBind's towers, ready to compute: one for a kind of input each, and the text tower."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from extract.backbones.language_bind.checkpoint import SCALE, WEIGHT_FILES, Checkpoint
from extract.backbones.language_bind.config import CONFIG_FILE, LayerConfig, TextConfig, VisionConfig
from extract.backbones.language_bind.tokens import END, LENGTH, OTHER_TOKENIZER_FILE, TOKENIZER_FILES, Tokeniser
from extract.backbones.language_bind.vision_tower import PatchEmbedding
from extract.backbones.weights import from_hub, no_weights, sha256
from extract.device import PRECISIONS, arithmetic
from extract.errors import ExtractError

REPOSITORIES = {
    "image": "LanguageBind/LanguageBind_Image",
    "video": "LanguageBind/LanguageBind_Video_FT",
    "audio": "LanguageBind/LanguageBind_Audio_FT",
}

_SENTENCES = 256  # at a time
_FOLDERS = ", ".join(f"DIR/{repository.partition('/')[2]}/" for repository in REPOSITORIES.values())
_LAYOUT = _FOLDERS + f" (each {' or '.join(WEIGHT_FILES)}, and {CONFIG_FILE})"


class _Encoder:
    """A transformer and the projection of what it pools, on a device, in a precision."""

    def __init__(
        self, checkpoint: Checkpoint, tower: nn.Module, projection: nn.Linear, device: torch.device, precision: str
    ) -> None:
        self.dim = checkpoint.config.dim
        self.weights = checkpoint.path
        self._tower = _in_precision(tower, precision).to(device)
        self._projection = projection.to(device)
        self._device, self._precision = device, precision

    def pooled(self, inputs: Tensor) -> Tensor:
        """What the transformer makes of its inputs: float32 (n, D)."""
        with arithmetic(self._device, self._precision):
            pooled: Tensor = self._tower(inputs.to(self._device, non_blocking=True))
            return pooled.float()

    def _unit(self, pooled: Tensor) -> Tensor:
        """Pooled vectors to the common space, float32 in every precision: the product is small."""
        with arithmetic(self._device, "float32"):
            projected: Tensor = self._projection(pooled)
            return projected.div_(projected.norm(dim=-1, keepdim=True))

    def _attributes(self, config: LayerConfig) -> dict[str, Any]:
        return {
            "file": self.weights.name,
            "sha256": sha256(self.weights),
            "activation": config.activation,
            "width": config.width,
            "layers": config.layers,
            "heads": config.heads,
        }


class Tower(_Encoder):
    """The encoder of images, windows of video frames, or spectrograms.

    Attributes:
        config: sizes; also the sound's rate and statistics in a tower for spectrograms.
        dim: width of the common space.
        logit_scale: logarithm of the factor that the model was trained to stretch unit vectors by.
        weights: the file.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device, precision: str) -> None:
        """Build the tower of a checkpoint."""
        super().__init__(checkpoint, *checkpoint.vision(), device, precision)
        self.config: VisionConfig = checkpoint.config.vision
        self.logit_scale = float(checkpoint.state[SCALE])

    def projected(self, pixels: Tensor) -> Tensor:
        """Pixels to unit vectors.

        Args:
            pixels: float32 (n, 3, H, W), for a video tower (n, F, 3, H, W), on any device.

        Returns:
            float32 (n, dim), on the tower's device.

        Raises:
            ValueError: another shape.
        """
        return self._unit(self.pooled(pixels))

    def attributes(self) -> dict[str, Any]:
        """What identifies weights and arithmetic: JSON-able."""
        config = self.config
        shape = [*([config.frames] if config.frames else []), config.channels, config.height, config.width_px]
        return {**self._attributes(config), "input": shape, "patch": config.patch, "logit_scale": self.logit_scale}


class TextTower(_Encoder):
    """The encoder of sentences.

    Attributes:
        config: sizes.
        dim: width of the common space.
        tokenise: sentences to int64 (n, 77).
        weights: the file.
    """

    def __init__(self, checkpoint: Checkpoint, tokeniser: Tokeniser, device: torch.device, precision: str) -> None:
        """Build the text tower of a checkpoint."""
        super().__init__(checkpoint, *checkpoint.text(), device, precision)
        self.config: TextConfig = checkpoint.config.text
        self.tokenise = tokeniser

    def projected(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to unit vectors, float32 (n, dim)."""
        return self.projected_ids(self.tokenise(sentences))

    def projected_ids(self, ids: Tensor) -> Tensor:
        """Token ids, int64 (n, tokens), the largest id a sentence's end, to unit vectors, float32 (n, dim)."""
        return torch.cat([self._unit(self.pooled(part)) for part in torch.split(ids, _SENTENCES)])

    def attributes(self) -> dict[str, Any]:
        """What identifies weights, arithmetic and tokenizer: JSON-able."""
        return {**self._attributes(self.config), "tokenizer": self.tokenise.source}


@dataclass(frozen=True)
class Towers:
    """The four encoders of LanguageBind into one space; ``origin`` says where each folder came from."""

    image: Tower
    video: Tower
    audio: Tower
    text: TextTower
    origin: dict[str, str]


def load_tower(folder: Path, device: torch.device, precision: str) -> Tower:
    """Load the encoder of images, windows or spectrograms that a checkpoint folder holds.

    Raises:
        ExtractError: see :meth:`Checkpoint.from_folder`.
    """
    return Tower(Checkpoint.from_folder(folder), device, precision)


def load_towers(checkpoint: Path | None, device: torch.device, precision: str) -> Towers:
    """Load all four encoders; the text tower is that of the image checkpoint.

    Args:
        checkpoint: holds LanguageBind_Image/, LanguageBind_Video_FT/ and LanguageBind_Audio_FT/; None for the
            published weights from the hub, or what it left in its cache.
        device: where to compute.
        precision: arithmetic, see :mod:`extract.device`.

    Raises:
        ExtractError: weights are missing (says which and how to place them), damaged, or do not fit each other.
    """
    folders = _hub_folders() if checkpoint is None else _local_folders(checkpoint)
    origin = {
        name: f"{REPOSITORIES[name]}@{folder.name}" if checkpoint is None else f"{checkpoint.name}/{folder.name}"
        for name, folder in folders.items()
    }
    image = Checkpoint.from_folder(folders["image"])
    known = image.config.text
    if known.vocabulary <= END or known.positions < LENGTH:
        raise ExtractError(
            f"{image.path}: its text tower knows {known.vocabulary} tokens in sentences of {known.positions}, "
            f"CLIP's tokenizer makes {END + 1} in sentences of {LENGTH}"
        )
    tokeniser = Tokeniser.from_folder(folders["image"])
    text = TextTower(image, tokeniser, device, precision)
    towers = {"image": Tower(image, device, precision)}
    del image  # one file's tensors at a time
    towers |= {name: load_tower(folders[name], device, precision) for name in ("video", "audio")}
    for name, tower in towers.items():
        config = tower.config
        if (bool(config.frames), config.audio) != (name == "video", name == "audio"):
            raise ExtractError(f"{folders[name]}: holds no LanguageBind model for {name}; see its {CONFIG_FILE}")
        if tower.dim != text.dim:
            raise ExtractError(
                f"{folders[name]}: its space has {tower.dim} dimensions, that of {folders['image']} has {text.dim}"
            )
    return Towers(**towers, text=text, origin=origin)


def _local_folders(checkpoint: Path) -> dict[str, Path]:
    folders = {name: checkpoint / repository.partition("/")[2] for name, repository in REPOSITORIES.items()}
    missing = [f"{folder.name}/" for folder in folders.values() if not folder.is_dir()]
    if missing:
        raise ExtractError(f"checkpoint folder {checkpoint} has no {' and no '.join(missing)}: it needs {_LAYOUT}")
    return folders


def _hub_folders() -> dict[str, Path]:
    found = {name: from_hub(repository, WEIGHT_FILES, (CONFIG_FILE,)) for name, repository in REPOSITORIES.items()}
    missing = [REPOSITORIES[name] for name, folder in found.items() if folder is None]
    if missing:
        raise no_weights(missing, _FOLDERS)
    folders = {name: folder for name, folder in found.items() if folder is not None}
    image = folders["image"]
    if not all((image / name).is_file() for name in TOKENIZER_FILES) and not (image / OTHER_TOKENIZER_FILE).is_file():
        folders["image"] = from_hub(REPOSITORIES["image"], WEIGHT_FILES, (CONFIG_FILE, *TOKENIZER_FILES)) or image
    return folders


def _in_precision(tower: nn.Module, precision: str) -> nn.Module:
    """Matrices kept in the precision they are multiplied in, which is what autocast would make of them each time."""
    for module in tower.modules():
        if isinstance(module, nn.Linear | PatchEmbedding):
            module.to(PRECISIONS[precision])
    return tower
