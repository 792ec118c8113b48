"""CLIP through open_clip: frames and sentences to raw (not normalised) features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from extract.backbones.pixels import fit_frames, normalise
from extract.backbones.weights import first_there, load_state, quiet, sha256, why_not_loaded
from extract.device import arithmetic
from extract.errors import ExtractError

ARCHITECTURE = "ViT-B-32-quickgelu"
REPOSITORY = "timm/vit_base_patch32_clip_224.openai"
"""Where open_clip's tag `openai` of that architecture lies on the hub."""

CONFIG_FILE = "open_clip_config.json"
WEIGHT_FILES = ("open_clip_model.safetensors", "ViT-B-32.pt")

_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")  # in OpenAI's archives


class ClipTower:
    """An open_clip model with its tokenizer and its pixel statistics."""

    unit = False

    def __init__(self, model: Any, tokenizer: Any, weights: Path, device: torch.device, precision: str) -> None:
        """Take over a loaded model; for the class methods' use."""
        visual = model.visual
        height, width = visual.image_size
        rules = (visual.preprocess_cfg["resize_mode"], visual.preprocess_cfg["interpolation"])
        if height != width or rules != ("shortest", "bicubic"):
            raise ExtractError(
                f"{weights}: its preprocessing ({height}x{width}, {', '.join(rules)}) is not CLIP's: "
                "square, shortest side, bicubic; `image_model='local-dir:PATH'` takes any"
            )
        self.image_size = int(height)
        self.dim = int(visual.output_dim)
        self.weights = weights
        self._mean, self._std = tuple(visual.image_mean), tuple(visual.image_std)
        self._model = model.eval().requires_grad_(False).to(device)
        self._tokenizer = tokenizer
        self._device, self._precision = device, precision

    @classmethod
    def from_folder(cls, folder: Path, device: torch.device, precision: str, *, own_config: bool = True) -> "ClipTower":
        """Load open_clip_model.safetensors or OpenAI's ViT-B-32.pt.

        Args:
            folder: holds one of :data:`WEIGHT_FILES`.
            device: where to compute.
            precision: arithmetic, see :mod:`extract.device`.
            own_config: build the model that the folder's open_clip_config.json describes, if one is there;
                else ViT-B-32 with quick GELU.

        Raises:
            ExtractError: no weights there, damaged, or not of the described model.
        """
        weights = first_there(folder, WEIGHT_FILES)
        if weights is None:
            raise ExtractError(f"no {' or '.join(WEIGHT_FILES)} in {folder}")
        with quiet():
            import open_clip

            described = own_config and (folder / CONFIG_FILE).is_file()
            name = f"local-dir:{folder}" if described else ARCHITECTURE
            try:
                if weights.suffix == ".safetensors":
                    pretrained = None if described else str(weights)
                    model = open_clip.create_model_and_transforms(name, pretrained=pretrained)[0]
                else:
                    model = open_clip.create_model_and_transforms(name, load_weights=False)[0]
                    state = load_state(weights)
                    model.load_state_dict({k: v for k, v in state.items() if k not in _NOT_WEIGHTS})
                tokenizer = open_clip.get_tokenizer(name)
            except ExtractError:
                raise
            except Exception as error:  # open_clip raises what it likes on damaged files
                raise ExtractError(f"{weights}: cannot be loaded as CLIP ({why_not_loaded(error)})") from error
        return cls(model, tokenizer, weights, device, precision)

    def prepare_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W) to uint8 (n, 3, S, S)."""
        return fit_frames(frames, self.image_size)

    def encode_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, S, S) to float32 (n, Dv), as the encoder gives them."""
        with arithmetic(self._device, self._precision):
            pixels = normalise(frames.to(self._device, non_blocking=True), self._mean, self._std)
            features: Tensor = self._model.encode_image(pixels)
            return features.float()

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, Dv), as the encoder gives them."""
        with arithmetic(self._device, self._precision):
            features: Tensor = self._model.encode_text(self._tokenizer(list(prompts)).to(self._device))
            return features.float()

    def sentences_cut(self, prompts: Sequence[str]) -> list[bool]:
        """Which sentences have more tokens than the encoder reads."""
        length = int(self._tokenizer.context_length)
        tokens = self._tokenizer(list(prompts), context_length=8 * length)
        cut: list[bool] = (tokens[:, length] != tokens[:, -1]).tolist()  # the last one is padding but for endless ones
        return cut

    def attributes(self) -> dict[str, Any]:
        """What identifies weights and preprocessing."""
        return {
            "file": self.weights.name,
            "sha256": sha256(self.weights),
            "image_size": self.image_size,
            "mean": list(self._mean),
            "std": list(self._std),
            "resize": "shorter side, bicubic with antialias, rounded to uint8, centre crop",
        }
