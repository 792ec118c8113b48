"""A LanguageBind checkpoint folder: its config, and its tensors with every name and shape accounted for."""

import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from extract.backbones.language_bind.config import CONFIG_FILE, CheckpointConfig, read_config
from extract.backbones.language_bind.layers import checkpoint_shapes, packed
from extract.backbones.language_bind.lora import Updates, is_update, plain_name
from extract.backbones.language_bind.text_tower import TextTransformer
from extract.backbones.language_bind.vision_tower import VisionTransformer, resize_positions
from extract.backbones.weights import first_line, first_there
from extract.errors import ExtractError

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")

VISION, TEXT = "vision_model.", "text_model."
VISION_PROJECTION, TEXT_PROJECTION, SCALE = "visual_projection.weight", "text_projection.weight", "logit_scale"

UNUSED = (VISION + "embeddings.position_ids", TEXT + "embeddings.position_ids")
"""Counters that some versions of the training code saved and others did not: known, and not needed."""

_POSITIONS = VISION + "embeddings.position_embedding.weight"


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds, checked: every tensor is known, none is missing, all shapes are right.

    Attributes:
        config: the folder's config.json.
        path: of the weight file.
        state: the tensors by their plain names without :data:`UNUSED`, low-rank updates merged, position table
            fitted. All of an image checkpoint's are used; of the others' the text tower and its projection are
            known and unused, as sentences go through the image checkpoint's.
    """

    config: CheckpointConfig
    path: Path
    state: Mapping[str, Tensor]

    @classmethod
    def from_folder(cls, folder: Path) -> "Checkpoint":
        """Read config.json and model.safetensors or pytorch_model.bin.

        Raises:
            ExtractError: one of them is missing or damaged, a tensor is unknown, missing or of another shape.
        """
        weights = first_there(folder, WEIGHT_FILES)
        missing = [] if (folder / CONFIG_FILE).is_file() else [CONFIG_FILE]
        missing += [] if weights else [" or ".join(WEIGHT_FILES)]
        if weights is None or missing:
            raise ExtractError(f"no {' and no '.join(missing)} in {folder}")
        config = read_config(folder / CONFIG_FILE)
        state = _plain(weights, read_tensors(weights))
        _fit_positions(config, state)
        updates = Updates.of(config.vision)
        _check(weights, state, expected_shapes(config), updates)
        return cls(config, weights, updates.merge(state))

    def vision(self) -> tuple[VisionTransformer, nn.Linear]:
        """The tower and the projection of its pooled vectors, in float32 on the CPU."""
        with torch.device("meta"):
            tower, projection = VisionTransformer(self.config.vision), _projection(self.config.vision.width, self)
        self._fill(tower, VISION, self.config.vision.heads)
        self._fill(projection, VISION_PROJECTION.removesuffix("weight"))
        return tower, projection

    def text(self) -> tuple[TextTransformer, nn.Linear]:
        """The text tower and the projection of its pooled vectors, in float32 on the CPU."""
        with torch.device("meta"):
            tower, projection = TextTransformer(self.config.text), _projection(self.config.text.width, self)
        self._fill(tower, TEXT, self.config.text.heads)
        self._fill(projection, TEXT_PROJECTION.removesuffix("weight"))
        return tower, projection

    def _fill(self, module: nn.Module, prefix: str, heads: int = 1) -> None:
        """Copy the tensors of one prefix into a module made on the meta device."""
        own = {name.removeprefix(prefix): tensor for name, tensor in self.state.items() if name.startswith(prefix)}
        module.to_empty(device="cpu").load_state_dict(packed(own, heads))
        module.eval().requires_grad_(False)


def _projection(width: int, checkpoint: Checkpoint) -> nn.Linear:
    return nn.Linear(width, checkpoint.config.dim, bias=False)


def expected_shapes(config: CheckpointConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that a checkpoint must hold, without low-rank updates."""
    with torch.device("meta"):
        towers = {VISION: VisionTransformer(config.vision), TEXT: TextTransformer(config.text)}
    shapes = {
        prefix + name: shape for prefix, tower in towers.items() for name, shape in checkpoint_shapes(tower).items()
    }
    shapes[VISION_PROJECTION] = (config.dim, config.vision.width)
    shapes[TEXT_PROJECTION] = (config.dim, config.text.width)
    shapes[SCALE] = ()
    return shapes


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file or of a state dict saved by torch; no code in a file is run.

    They are mapped from the file where its format allows: memory is used as they are copied out.

    Raises:
        ExtractError: the file is damaged or holds anything but named tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        loaded = _torch_load(path)
    except Exception as error:  # torch raises what it likes on damaged files
        raise ExtractError(f"{path}: no weights can be read from it ({first_line(error)})") from error
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in loaded.items()
    ):
        raise ExtractError(f"{path}: holds something else than named tensors")
    return loaded


def _torch_load(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about old file formats
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def _plain(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by plain name, known and unneeded ones left out."""
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        short = plain_name(name)
        if short in plain:
            raise ExtractError(f"{path}: holds tensor {short} twice, once as {name}")
        if short not in UNUSED:
            plain[short] = tensor
    return plain


def _fit_positions(config: CheckpointConfig, state: dict[str, Tensor]) -> None:
    """Fit a position table for square pictures to a spectrogram's grid."""
    vision, table = config.vision, state.get(_POSITIONS)
    rows, columns = vision.square
    square_table = (rows * columns + 1, vision.width)
    if vision.audio and vision.square != vision.grid and table is not None and tuple(table.shape) == square_table:
        state[_POSITIONS] = resize_positions(table.float(), vision.square, vision.grid)


def _check(path: Path, state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], updates: Updates) -> None:
    """Refuse unknown, missing and misshapen tensors."""
    if any(map(is_update, state)):
        expected = {**expected, **updates.shapes(expected)}
    unknown = [name for name in state if name not in expected]
    missing = [name for name in expected if name not in state]
    for names, what in ((unknown, "holds an unknown tensor"), (missing, "lacks tensor")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ExtractError(f"{path}: {what} {names[0]}{more}; {CONFIG_FILE} and weights must be of one checkpoint")
    for name, tensor in state.items():
        if tuple(tensor.shape) != expected[name] or not tensor.is_floating_point():
            raise ExtractError(
                f"{path}: tensor {name} is {str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}, "
                f"but by {CONFIG_FILE} it is real numbers {expected[name]}"
            )
