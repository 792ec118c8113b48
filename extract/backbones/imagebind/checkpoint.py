"""imagebind_huge.pth, or a file of the same tensors: every name and shape of the three kinds accounted for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from extract.backbones.imagebind.config import CONFIG_FILE, ImageBindConfig, config_in
from extract.backbones.imagebind.towers import AudioTower, TextTower, Tower, VisionTower
from extract.backbones.language_bind.checkpoint import read_tensors
from extract.backbones.weights import first_there
from extract.errors import ExtractError

WEIGHT_FILES = ("imagebind_huge.pth", "imagebind_huge.safetensors")
ADDRESS = "https://dl.fbaipublicfiles.com/imagebind/imagebind_huge.pth"

IGNORED = ("depth", "thermal", "imu")
"""Kinds of input whose encoders the published file holds, too."""
MASK = "modality_preprocessors.text.mask"
"""A constant that some packings may leave out: known, and not needed."""
SCALES = {kind: f"modality_postprocessors.{kind}.1.log_logit_scale" for kind in ("text", "audio")}
"""Logarithms of the factors that unit vectors are stretched by; they cancel in what av2a does."""

_NAMES = {
    "vision": {
        "class_token": "modality_preprocessors.vision.cls_token",
        "positions": "modality_preprocessors.vision.pos_embedding_helper.pos_embed",
        "stem": "modality_preprocessors.vision.rgbt_stem.proj.1",
        "first_norm": "modality_trunks.vision.pre_transformer_layer.0",
        "blocks": "modality_trunks.vision.blocks",
        "last_norm": "modality_heads.vision.0",
        "head": "modality_heads.vision.2",
    },
    "audio": {
        "class_token": "modality_preprocessors.audio.cls_token",
        "positions": "modality_preprocessors.audio.pos_embedding_helper.pos_embed",
        "stem": "modality_preprocessors.audio.rgbt_stem.proj",
        "stem_norm": "modality_preprocessors.audio.rgbt_stem.norm_layer",
        "blocks": "modality_trunks.audio.blocks",
        "last_norm": "modality_heads.audio.0",
        "head": "modality_heads.audio.2",
    },
    "text": {
        "token_embedding": "modality_preprocessors.text.token_embedding",
        "positions": "modality_preprocessors.text.pos_embed",
        "blocks": "modality_trunks.text.blocks",
        "last_norm": "modality_heads.text.proj.0",
        "head": "modality_heads.text.proj.1",
    },
}
"""What the file calls the parts of our towers, by kind."""

_T = TypeVar("_T", bound=Tower)


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds, checked: every tensor is known, none is missing, all shapes are right.

    Attributes:
        config: the encoders' sizes.
        path: of the weight file.
        state: the tensors of the three kinds by the file's names.
        ignored: number of tensors of other kinds, by kind.
    """

    config: ImageBindConfig
    path: Path
    state: Mapping[str, Tensor]
    ignored: Mapping[str, int]

    @classmethod
    def from_folder(cls, folder: Path) -> "Checkpoint":
        """Read imagebind_huge.pth or .safetensors, and config.json where there is one.

        Raises:
            ExtractError: no such file, a damaged one, or a tensor that is unknown, missing or of another shape.
        """
        path = first_there(folder, WEIGHT_FILES)
        if path is None:
            raise ExtractError(f"no {' or '.join(WEIGHT_FILES)} in {folder}: get {ADDRESS} (4.8 GB)")
        config = config_in(folder)
        state, ignored = {}, dict.fromkeys(IGNORED, 0)
        for name, tensor in read_tensors(path).items():
            kind = name.partition(".")[2].partition(".")[0]
            if name.startswith("modality_") and kind in ignored:
                ignored[kind] += 1
            elif name != MASK:
                state[name] = tensor
        _check(path, state, expected_shapes(config), by_file=(folder / CONFIG_FILE).is_file())
        return cls(config, path, state, {kind: count for kind, count in ignored.items() if count})

    def vision(self) -> VisionTower:
        """The encoder of clips, in float32 on the CPU."""
        with torch.device("meta"):
            tower = VisionTower(self.config.vision, self.config.dim)
        return self._filled(tower, "vision")

    def audio(self) -> AudioTower:
        """The encoder of spectrograms, likewise."""
        with torch.device("meta"):
            tower = AudioTower(self.config.audio, self.config.dim)
        return self._filled(tower, "audio")

    def text(self) -> TextTower:
        """The encoder of sentences, likewise."""
        with torch.device("meta"):
            tower = TextTower(self.config.text, self.config.dim)
        return self._filled(tower, "text")

    def scale(self, kind: str) -> float:
        """The logarithm of a kind's scale, "text" or "audio"."""
        return float(self.state[SCALES[kind]])

    def _filled(self, tower: _T, kind: str) -> _T:
        """A tower that was made on the meta device, with its tensors."""
        own = {name: self.state[name_in_file(kind, name)] for name in tower.state_dict()}
        tower.to_empty(device="cpu").load_state_dict(own)
        tower.eval().requires_grad_(False)
        return tower


def name_in_file(kind: str, name: str) -> str:
    """What the file calls a tensor of the tower of a kind."""
    part, _, rest = name.partition(".")
    below = rest.replace("in_proj.", "in_proj_")
    return f"{_NAMES[kind][part]}.{below}" if below else _NAMES[kind][part]


def expected_shapes(config: ImageBindConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that a checkpoint must hold."""
    with torch.device("meta"):
        towers: dict[str, Tower] = {
            "vision": VisionTower(config.vision, config.dim),
            "audio": AudioTower(config.audio, config.dim),
            "text": TextTower(config.text, config.dim),
        }
    shapes = {
        name_in_file(kind, name): tuple(tensor.shape)
        for kind, tower in towers.items()
        for name, tensor in tower.state_dict().items()
    }
    return {**shapes, **dict.fromkeys(SCALES.values(), ())}


def _check(path: Path, state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], *, by_file: bool) -> None:
    """Refuse unknown, missing and misshapen tensors."""
    whose = f"{CONFIG_FILE} and weights must be of one checkpoint" if by_file else f"get {ADDRESS}"
    unknown = [name for name in state if name not in expected]
    missing = [name for name in expected if name not in state]
    for names, what in ((missing, "lacks tensor"), (unknown, "holds an unknown tensor")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            if len(unknown) == len(state):
                what, more = f"holds weights of another model ({_shown(unknown[0])}, …) and lacks", more
            raise ExtractError(f"{path}: {what} {_shown(names[0])}{more}; {whose}")
    for name, tensor in state.items():
        if tuple(tensor.shape) != expected[name] or not tensor.is_floating_point():
            by = CONFIG_FILE if by_file else "the published sizes"
            raise ExtractError(
                f"{path}: tensor {name} is {str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}, "
                f"but by {by} it is real numbers {expected[name]}; {whose}"
            )


def _shown(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:50]}…{name[-29:]}"
