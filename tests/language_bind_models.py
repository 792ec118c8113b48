"""Small LanguageBind models on disk, in the layout of a checkpoint folder: random ones and the golden ones."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from extract.backbones.language_bind.checkpoint import expected_shapes
from extract.backbones.language_bind.config import CONFIG_FILE, read_config

GOLDEN = Path(__file__).parent / "golden" / "language_bind"

DIM = 20
IMAGE_SIZE = 56

_LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-5}
_TEXT = {**_LAYERS, "hidden_size": 16, "intermediate_size": 32, "vocab_size": 49408, "max_position_embeddings": 77}
_VISION = {
    **_LAYERS, "hidden_size": 24, "intermediate_size": 48, "num_channels": 3, "patch_size": 14,
    "image_size": IMAGE_SIZE, "add_time_attn": False, "num_frames": 1, "lora_r": 0, "num_mel_bins": 0.0,
    "target_length": 0.0,
}  # fmt: skip
_KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "LanguageBind_Image": ("LanguageBindImage", {}, {}),
    "LanguageBind_Video_FT": ("LanguageBindVideo", {"add_time_attn": True, "num_frames": 8}, {"vocab_size": 64}),
    "LanguageBind_Audio_FT": ("LanguageBindAudio", {"num_mel_bins": 112, "target_length": 1036}, {"vocab_size": 64}),
}


def make_language_bind(folder: Path, seed: int = 0) -> Path:
    """Write the three folders with seeded random weights; returns ``folder``.

    Pictures are 56 by 56 pixels, windows have 8 frames, spectrograms the real 112 by 1036 values; the common
    space has 20 dimensions. There are no tokenizer files: the table in open_clip is used.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, (kind, vision, text) in _KINDS.items():
        part = folder / name
        part.mkdir(parents=True)
        config = {
            "model_type": kind,
            "projection_dim": DIM,
            "text_config": {**_TEXT, **text},
            "vision_config": {**_VISION, **vision},
        }
        (part / CONFIG_FILE).write_text(json.dumps(config))
        shapes = expected_shapes(read_config(part / CONFIG_FILE))
        torch.save(
            {name: _random(name, shape, generator) for name, shape in shapes.items()}, part / "pytorch_model.bin"
        )
    return folder


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Weights that let differences of the input through to the output."""
    if name == "logit_scale":
        return torch.tensor(4.6)
    values = torch.randn(shape, generator=generator)
    if "norm" in name or "layrnorm" in name:
        return values * 0.1 + name.endswith("weight")
    spread = (shape[0] if len(shape) < 2 else values[0].numel()) ** -0.5
    return values * (0.5 if "embedding" in name and "patch" not in name else spread)


def golden_folder(folder: Path, name: str) -> Path:
    """Make the checkpoint folder of golden tower ``name``; returns ``folder``."""
    folder.mkdir()
    shutil.copy(GOLDEN / f"tiny_{name}.config.json", folder / "config.json")
    shutil.copy(GOLDEN / f"tiny_{name}.safetensors", folder / "model.safetensors")
    return folder
