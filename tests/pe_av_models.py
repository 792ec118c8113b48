"""Small random PE-AV models on disk, as the published ones lie there, and the published ones' sizes."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import nn

from extract.backbones.pe_av.checkpoint import twin
from extract.backbones.weights import quiet

SIDE = 28
DIM = 20
STD = {"image_std": [0.5] * 3}
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")


def encoder(width: int, layers: int, heads: int, between: int) -> dict[str, Any]:
    return {
        "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": between,
        "head_dim": width // heads, "rope_parameters": {"rope_theta": 20000, "rope_type": "default"},
    }  # fmt: skip


def published_config(width: int, layers: int, heads: int, between: int) -> dict[str, Any]:
    """A published model's config.json, as far as it says sizes; by the names of transformers 5.0."""
    shared = encoder(width, layers, heads, between)
    return {
        "model_type": "pe_audio_video",
        "text_config": {
            "model_type": "modernbert", "hidden_size": 1024, "intermediate_size": 2624, "num_hidden_layers": 22,
            "num_attention_heads": 16, "vocab_size": 50368,
        },
        "audio_video_config": {
            "model_type": "pe_audio_video_encoder",
            **shared,
            "num_hidden_layers": 6,
            "audio_config": {
                "model_type": "pe_audio_encoder",
                **shared,
                "dac_config": {
                    "model_type": "dac", "downsampling_ratios": [2, 8, 10, 12], "encoder_hidden_size": 64,
                    "hidden_size": 1024, "codebook_dim": 128,
                },
            },
            "video_config": {
                "model_type": "pe_video_encoder",
                **shared,
                "num_hidden_layers": 4,
                "vision_config": {
                    "model_type": "timm_wrapper", "architecture": "vit_pe_core_large_patch14_336", "do_pooling": True,
                    "num_classes": 1024, "global_pool": "map", "label_names": [f"LABEL_{n}" for n in range(1024)],
                },
            },
        },
    }  # fmt: skip


PUBLISHED = {
    "small": published_config(768, 12, 6, 2048),
    "base": published_config(1024, 16, 8, 2752),
    "large": published_config(1792, 28, 14, 4800),
}


def tiny_config() -> dict[str, Any]:
    """The same at toy size, the convolutions of sound in the real steps."""
    told = published_config(24, 2, 2, 40)
    told["text_config"] |= {
        "vocab_size": len(SPECIAL) + 256, "hidden_size": DIM, "intermediate_size": 32, "num_hidden_layers": 4,
        "num_attention_heads": 2, "pad_token_id": 0, "cls_token_id": 1, "bos_token_id": 1, "sep_token_id": 2,
        "eos_token_id": 2, "local_attention": 16,
    }  # fmt: skip
    both = told["audio_video_config"]
    both["audio_config"]["dac_config"] |= {"encoder_hidden_size": 2, "hidden_size": 32, "codebook_dim": 6}
    both["video_config"]["vision_config"] |= {
        "num_classes": 16, "label_names": [f"LABEL_{n}" for n in range(16)],
        "model_args": {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": SIDE},
    }  # fmt: skip
    return told


def tiny_model(seed: int = 0) -> Any:
    """A PeAudioVideoModel in which differences of the input come through to the output."""
    from transformers import PeAudioVideoConfig, PeAudioVideoModel

    told = tiny_config()
    told["audio_video_config"]["video_config"]["vision_config"]["num_labels"] = 16
    torch.manual_seed(seed)
    with quiet(), redirect_stdout(io.StringIO()):
        model = PeAudioVideoModel(PeAudioVideoConfig.from_dict(told)).eval().requires_grad_(False)
        own = dict(model.named_parameters(remove_duplicate=False))
        for name in sorted({twin(each) for each in own}):
            weights = own[name]
            if weights.ndim > 1 and "alpha" not in name:
                gain = 0.6 if "dac_encoder" in name else 1.2  # residuals and snakes add to what convolutions give
                nn.init.normal_(weights, 0, gain * weights[0].numel() ** -0.5)
            elif weights.ndim == 1:
                nn.init.normal_(weights, float("norm" in name and name.endswith("weight")), 0.1)
        for name, weights in own.items():  # transformers 5.0 ties none of a new model's
            weights.copy_(own[twin(name)])
    return model


def make_pe_av(folder: Path, seed: int = 0, frames: int | None = None) -> Path:
    """A folder with model, tokenizer and processor; ``frames`` a window where it is a model of a fixed number."""
    folder.mkdir(parents=True)
    with quiet():
        tiny_model(seed).save_pretrained(folder)
        tokenizer().save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(tiny_config()))
    sizes = {"size": {"height": SIDE, "width": SIDE}, "num_frames": frames, "do_sample_frames": frames is not None}
    (folder / "video_preprocessor_config.json").write_text(
        json.dumps(
            {"video_processor_type": "PeVideoVideoProcessor", **sizes, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        )
    )
    return folder


def tokenizer() -> Any:
    """Bytes as words, between [CLS] and [SEP]."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words = Tokenizer(models.BPE({letter: n for n, letter in enumerate(alphabet)}, [], unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]"
    )
