"""Small ImageBind models on disk, as the published file lies there: the golden one and random others."""

import shutil
from pathlib import Path

import torch
from torch import Tensor

from extract.backbones.imagebind.checkpoint import IGNORED, MASK, SCALES, expected_shapes
from extract.backbones.imagebind.config import config_in

GOLDEN = Path(__file__).parent / "golden" / "imagebind"
WEIGHTS = "imagebind_huge.pth"
DIM = 12


def golden_imagebind(folder: Path) -> Path:
    """The whole golden checkpoint, 1.9 MB, and its sizes; returns ``folder``."""
    folder.mkdir(parents=True)
    shutil.copyfile(GOLDEN / "tiny_imagebind.pth", folder / WEIGHTS)
    shutil.copyfile(GOLDEN / "tiny_imagebind.config.json", folder / "config.json")
    return folder


def random_tensors(folder: Path, seed: int = 0) -> dict[str, Tensor]:
    """Seeded tensors by the file's names, of the sizes in a folder's config.json; other kinds have some, too."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: _random(name, shape, generator) for name, shape in expected_shapes(config_in(folder)).items()}
    tensors[MASK] = torch.full((77, 77), -torch.inf).triu_(1)
    for kind in IGNORED:
        tensors[f"modality_trunks.{kind}.blocks.0.norm_1.weight"] = torch.ones(4)
    return tensors


def random_imagebind(folder: Path, seed: int = 0) -> Path:
    """A folder with random weights of the golden checkpoint's sizes; returns ``folder``."""
    folder.mkdir(parents=True)
    shutil.copyfile(GOLDEN / "tiny_imagebind.config.json", folder / "config.json")
    torch.save(random_tensors(folder, seed), folder / WEIGHTS)
    return folder


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Weights that let differences of the input through to the output."""
    if name in SCALES.values():
        return torch.tensor(3.0)
    values = torch.randn(shape, generator=generator)
    if "norm" in name or name.endswith((".0.weight", ".0.bias", "transformer_layer.0.weight")):
        return values * 0.1 + name.endswith("weight")
    spread = (shape[0] if len(shape) < 2 else max(1, values[0].numel())) ** -0.5
    return values * (0.5 if "embed" in name or "token" in name else spread)
