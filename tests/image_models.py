"""Random small image models of open_clip's families on disk, and a CLAP with fusion."""

import json
from pathlib import Path
from typing import Any

import torch

from extract.backbones.weights import quiet

_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
_VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
FAMILIES: dict[str, dict[str, Any]] = {
    "tiny-clip": {"embed_dim": 24, "vision_cfg": _VISION, "text_cfg": _TEXT},
    "tiny-wide": {"embed_dim": 24, "vision_cfg": {**_VISION, "image_size": [32, 48]}, "text_cfg": _TEXT},
    "tiny-siglip": {
        "embed_dim": 96,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 160, "timm_model_name": "test_vit3", "timm_model_pretrained": False,
            "timm_pool": "map", "timm_proj": "none",
        },
        "text_cfg": {
            "context_length": 16, "vocab_size": 300, "hf_tokenizer_name": "somebody/tiny-words",
            "tokenizer_kwargs": {"clean": "canonicalize"}, "width": 32, "heads": 2, "layers": 1,
            "no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6},
        },
    },
    "tiny-coca": {
        "embed_dim": 32,
        "custom_text": True,
        "vision_cfg": {**_VISION, "attentional_pool": True, "attn_pooler_heads": 4, "output_tokens": True},
        "text_cfg": {**_TEXT, "context_length": 76, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {
            "context_length": 76, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1, "attn_pooler_heads": 4,
        },
    },
    "tiny-roberta": {
        "embed_dim": 24,
        "vision_cfg": _VISION,
        "text_cfg": {
            "hf_model_name": "somebody/tiny-roberta", "hf_tokenizer_name": "somebody/tiny-roberta",
            "hf_proj_type": "mlp", "hf_pooler_type": "mean_pooler",
        },
    },
}  # fmt: skip
"""Configurations by name: plain, not square, a tower of timm with words of transformers (as SigLIP), CoCa, RoBERTa."""

PREPROCESS: dict[str, dict[str, Any]] = {
    "tiny-siglip": {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"},
    "tiny-coca": {
        "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "interpolation": "bilinear", "resize_mode": "longest",
        "fill_color": 128,
    },
}  # fmt: skip


def make_image_model(folder: Path, family: str, seed: int = 0) -> Path:
    """A folder that describes itself: configuration, weights, tokenizer; returns it."""
    import open_clip
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    described = {"model_cfg": FAMILIES[family], "preprocess_cfg": PREPROCESS.get(family, {})}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    torch.manual_seed(seed)
    more: dict[str, Any] = {}
    with quiet():
        if family == "tiny-siglip":
            make_words(folder, ("</s>", "</s>"))
        if family == "tiny-roberta":
            words = make_words(folder / "tiny-roberta", ("</s>", "<s>"))
            make_roberta(words)
            text = FAMILIES[family]["text_cfg"]
            more["text_cfg"] = {**text, "hf_model_name": str(words), "hf_model_pretrained": False}
        model = open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False, **more)
        for values in model.parameters():  # of which some begin as zeros
            values.data.add_(torch.randn_like(values) * 0.02)
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, weights_of(folder))
    return folder


def weights_of(folder: Path) -> Path:
    return folder / "open_clip_model.safetensors"


def make_words(folder: Path, ends: tuple[str, str]) -> Path:
    """A tokenizer of single bytes in the form of transformers."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, [], unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.post_processor = processors.RobertaProcessing(("</s>", 2), (ends[1], alphabet.index(ends[1])))
    PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def make_roberta(folder: Path) -> None:
    from transformers import RobertaConfig

    RobertaConfig(
        vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=100, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    ).save_pretrained(folder)  # fmt: skip


def make_fused_clap(folder: Path, unfused: Path, *, truncation: str = "fusion", seed: int = 0) -> Path:
    """A CLAP with fusion, its tokenizer that of another; returns its folder."""
    import shutil

    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    shutil.copytree(unfused, folder)
    config = ClapConfig.from_pretrained(folder)
    config.audio_config.enable_fusion = True
    torch.manual_seed(seed)
    with quiet():
        model = ClapModel(config).eval()
        for part in model.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean = torch.randn(part.num_features) - 1
        model.save_pretrained(folder)
        ClapFeatureExtractor(truncation=truncation, frequency_min=50).save_pretrained(folder)
    return folder
