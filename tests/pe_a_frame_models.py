"""Small PE-A-Frame models on disk, as the published ones lie there: random weights of the same classes."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from extract.backbones.weights import quiet


def make_pe_a_frame(folder: Path, seed: int = 0, **text: Any) -> Path:
    """Write model and tokenizer with seeded random weights; returns ``folder``.

    Frames are the real 1,920 samples; the common space has 24 dimensions.
    """
    from transformers import PeAudioConfig, PeAudioFrameLevelModel

    torch.manual_seed(seed)
    config = PeAudioConfig(
        text_config={
            "model_type": "modernbert", "vocab_size": 260, "hidden_size": 24, "intermediate_size": 32,
            "num_hidden_layers": 3, "num_attention_heads": 2, "pad_token_id": 1, "bos_token_id": 0, "cls_token_id": 0,
            "eos_token_id": 2, "sep_token_id": 2, "local_attention": 8, **text,
        },
        audio_config={
            "dac_config": {
                "downsampling_ratios": [2, 8, 10, 12], "encoder_hidden_size": 4, "codebook_dim": 16, "hidden_size": 64,
            },
            "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 8,
        },
    )  # fmt: skip
    with quiet():
        model = PeAudioFrameLevelModel(config).eval()
        with torch.no_grad():
            for name, weights in model.named_parameters():  # differences of what comes in get through
                if weights.ndim > 1:
                    nn.init.normal_(weights, 0.0, weights[0].numel() ** -0.5)
                elif "norm" in name:
                    nn.init.normal_(weights, 1.0, 0.3)
            model.text_audio_logit_scale.fill_(0.2)
            model.text_audio_logit_bias.fill_(-0.5)
        model.save_pretrained(folder)
    _make_tokenizer(folder)
    return folder


def _make_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, [], unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 0))
    PreTrainedTokenizerFast(
        tokenizer_object=words, cls_token="<s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
