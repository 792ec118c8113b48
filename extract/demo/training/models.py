"""The two toy models, in the layout of a `--checkpoint` folder: DIR/clip and DIR/clap."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, RobertaTokenizerFast

from extract.demo.training.words import every_prompt
from feature_cache.storage.atomic import write_outputs

DIM = 64
"""Length of all embeddings."""
CLIP_MODEL = {
    "embed_dim": DIM,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 4, "width": 96, "head_width": 24, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
CLIP_PIXELS: dict[str, Any] = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
_VOCABULARY = 700
_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TOKENS = 77


def start_clip(folder: Path) -> tuple[Any, Any]:
    """An untrained CLIP and its tokenizer, made by open_clip from the configuration written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {"model_cfg": CLIP_MODEL, "preprocess_cfg": CLIP_PIXELS}
    write_outputs({folder / "open_clip_config.json": json.dumps(described, indent=2) + "\n"})
    name = f"local-dir:{folder}"
    return open_clip.create_model(name, load_weights=False), open_clip.get_tokenizer(name)


def save_clip(model: Any, folder: Path) -> None:
    """Write the weights in half precision, which halves the file; they load as float32."""
    state = {name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")


def start_clap(folder: Path) -> tuple[Any, Any]:
    """An untrained CLAP and a byte-level tokenizer learnt from the training's prompts, written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    learnt = ByteLevelBPETokenizer()
    learnt.train_from_iterator(every_prompt(), vocab_size=_VOCABULARY, min_frequency=1, special_tokens=_SPECIAL)
    learnt.save_model(str(folder))
    tokenizer = RobertaTokenizerFast.from_pretrained(folder, model_max_length=TOKENS)
    tokenizer.save_pretrained(folder)
    front_end = ClapFeatureExtractor(
        truncation="rand_trunc", padding="repeatpad", frequency_min=50, frequency_max=14000
    )
    front_end.save_pretrained(folder)
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": TOKENS + 2,
        "layer_norm_eps": 1e-5,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    sound = {
        "patch_embeds_hidden_size": 32,
        "hidden_size": 128,
        "depths": [1, 1, 1],
        "num_attention_heads": [2, 4, 8],
        "num_hidden_layers": 3,
        "patch_size": 8,
        "patch_stride": [8, 8],
        "hidden_dropout_prob": 0.0,
    }
    model = ClapModel(ClapConfig(text_config=text, audio_config=sound, projection_dim=DIM))
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):  # transformers' own start is meant for widths of 768
            torch.nn.init.xavier_uniform_(module.weight)
    return model, tokenizer


def save_clap(model: Any, folder: Path) -> None:
    """Write weights and configuration as `save_pretrained` does."""
    model.eval().to(torch.float32).save_pretrained(folder)
