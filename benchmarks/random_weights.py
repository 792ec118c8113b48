"""Models of the published sizes with random weights, to measure speed where the real ones are not at hand."""

import json
import shutil
from pathlib import Path

import torch

from extract.backbones.tiny import WEIGHTS
from extract.backbones.weights import quiet


def clip_clap_weights(folder: Path) -> Path:
    """CLIP ViT-B/32 and CLAP HTSAT as published; the words of `tiny`."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    with quiet():
        import open_clip
        from transformers import ClapConfig, ClapModel

        (folder / "clip").mkdir()
        model = open_clip.create_model_and_transforms("ViT-B-32-quickgelu", load_weights=False)[0]
        save_file(model.state_dict(), folder / "clip" / "open_clip_model.safetensors")
        shutil.copytree(WEIGHTS / "clap", folder / "clap", ignore=shutil.ignore_patterns("model.safetensors"))
        words = json.loads((WEIGHTS / "clap" / "config.json").read_text())["text_config"]["vocab_size"]
        text = {"vocab_size": words, "num_hidden_layers": 2, "layer_norm_eps": 1e-5}
        ClapModel(ClapConfig(text_config=text)).eval().save_pretrained(folder / "clap")
    return folder
