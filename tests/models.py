"""Random small CLIP and CLAP models on disk, in the layout of a checkpoint folder."""

import json
from pathlib import Path

import torch

from extract.backbones.weights import quiet

CLIP_CONFIG = {
    "model_cfg": {
        "embed_dim": 24,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {
        "mean": [0.48145466, 0.4578275, 0.40821073],
        "std": [0.26862954, 0.26130258, 0.27577711],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    },
}


def make_checkpoint(folder: Path, seed: int = 0) -> Path:
    """Write clip/ and clap/ with seeded random weights; returns the folder."""
    torch.manual_seed(seed)
    with quiet():
        _make_clip(folder / "clip")
        _make_clap(folder / "clap")
    return folder


def _make_clip(folder: Path) -> None:
    import open_clip
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps(CLIP_CONFIG))
    model = open_clip.create_model_and_transforms(f"local-dir:{folder}", load_weights=False)[0]
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")


def _make_clap(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, PreTrainedTokenizerFast

    alphabet = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, [], unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    text = {
        "vocab_size": len(alphabet), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 82, "layer_norm_eps": 1e-5,
    }  # fmt: skip
    audio = {
        "hidden_size": 64, "patch_embeds_hidden_size": 8, "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 1, 2, 2], "num_hidden_layers": 4, "intermediate_size": 32,
    }  # fmt: skip
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=20)).eval()
    model.save_pretrained(folder)
    ClapFeatureExtractor(truncation="rand_trunc", frequency_min=50).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
