"""ImageBind's encoders on a device, in a precision."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from extract.backbones.imagebind.checkpoint import ADDRESS, Checkpoint
from extract.backbones.imagebind.config import ImageBindConfig
from extract.backbones.imagebind.towers import AudioTower, Patches, TextTower, Tower, VisionTower
from extract.backbones.language_bind.tokens import END, LENGTH
from extract.backbones.weights import sha256
from extract.device import PRECISIONS, arithmetic
from extract.errors import ExtractError

_T = TypeVar("_T", bound=Tower)


class Encoder(Generic[_T]):
    """A tower on a device: the blocks in its precision, the head in float32."""

    def __init__(self, tower: _T, device: torch.device, precision: str) -> None:
        for name, module in tower.named_modules():
            if isinstance(module, nn.Linear | Patches) and name != "head":
                module.to(PRECISIONS[precision])  # what autocast would make of them each time
        self.tower = tower.to(device)
        self._device, self._precision = device, precision

    def __call__(self, inputs: Tensor) -> Tensor:
        """What the tower takes, (n, ...) on any device, to unit vectors, float32 (n, dim) on the tower's."""
        with arithmetic(self._device, self._precision):
            pooled = self.tower(inputs.to(self._device, non_blocking=True)).float()
        with arithmetic(self._device, "float32"):
            return self.tower.project(pooled)


@dataclass
class Encoders:
    """The three encoders.

    Attributes:
        config: sizes.
        vision: of clips.
        audio: of spectrograms.
        text: of token ids.
        weights: the file.
        scales: logarithms of the factors that the model stretches unit vectors by, by kind; not used.
        ignored: number of tensors of other kinds in the file, by kind.
    """

    config: ImageBindConfig
    vision: Encoder[VisionTower]
    audio: Encoder[AudioTower]
    text: Encoder[TextTower]
    weights: Path
    scales: Mapping[str, float]
    ignored: Mapping[str, int]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What identifies the weights: JSON-able. The file, of gigabytes, is read once for it."""
        trunks = (("vision", self.config.vision), ("audio", self.config.audio), ("text", self.config.text))
        return {
            "origin": f"{self.weights.parent.name}/{self.weights.name}",
            "file": self.weights.name,
            "sha256": sha256(self.weights),
            "dim": self.config.dim,
            **{kind: {"width": each.width, "blocks": each.blocks, "heads": each.heads} for kind, each in trunks},
            "log_scales": dict(self.scales),
            "not_used": dict(self.ignored),
        }


def load_encoders(folder: Path | None, device: torch.device, precision: str) -> Encoders:
    """Load the three encoders from a folder.

    Args:
        folder: holds imagebind_huge.pth or .safetensors; None is refused, as they are fetched from no hub.
        device: where to compute.
        precision: arithmetic, see :mod:`extract.device`.

    Raises:
        ExtractError: weights are missing (says how to place them), damaged, or those of another model.
    """
    if folder is None:
        raise ExtractError(
            f"no weights of imagebind, which are fetched from no hub: get {ADDRESS} (4.8 GB, for non-commercial use), "
            "and name its folder as `checkpoint='DIR'` (docs/backbones.md)"
        )
    found = Checkpoint.from_folder(folder)
    text = found.config.text
    if text.vocabulary <= END or text.positions != LENGTH:
        raise ExtractError(
            f"{found.path}: its text encoder knows {text.vocabulary} tokens in sentences of {text.positions}, "
            f"CLIP's tokenizer makes {END + 1} in sentences of {LENGTH}"
        )
    return Encoders(
        config=found.config,
        vision=Encoder(found.vision(), device, precision),
        audio=Encoder(found.audio(), device, precision),
        text=Encoder(found.text(), device, precision),
        weights=found.path,
        scales={kind: found.scale(kind) for kind in ("text", "audio")},
        ignored=found.ignored,
    )
