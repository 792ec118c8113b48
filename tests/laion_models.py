"""Checkpoints as laion_clap writes them, made from small random ClapModels, and the hub files that package needs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

TEXT = {
    "vocab_size": 300, "hidden_size": 128, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "max_position_embeddings": 90, "layer_norm_eps": 1e-5,
}  # fmt: skip
AUDIO = {
    "hidden_size": 128, "patch_embeds_hidden_size": 16, "depths": [1, 2, 1, 1],
    "num_attention_heads": [2, 2, 4, 8], "num_hidden_layers": 4,
}  # fmt: skip
_COMMIT = "0123456789" * 4


def random_clap(seed: int = 0) -> Any:
    """A small ClapModel, every weight drawn large enough to show in the embeddings."""
    from transformers import ClapConfig, ClapModel

    model = ClapModel(ClapConfig(text_config=TEXT, audio_config=AUDIO, projection_dim=20)).eval()
    stir(model, seed)
    return model


def stir(model: torch.nn.Module, seed: int) -> None:
    """Seeded random values for all parameters and the running statistics."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "_extractor" not in name:  # the front end stays
                scale = 0.1 if tensor.ndim > 1 else 0.2
                around = 1.0 if tensor.ndim == 1 and name.endswith("weight") else 0.0
                tensor.copy_(around + scale * torch.randn(tensor.shape, generator=source))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(-30 + 5 * torch.randn(buffer.shape, generator=source))
            if name.endswith("running_var"):
                buffer.copy_(200 + 100 * torch.rand(buffer.shape, generator=source))


def laion_state(model: Any) -> dict[str, Tensor]:
    """A ClapModel's tensors by laion_clap's names, with those that only laion_clap has."""
    given = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith(("_ids", "_index"))}
    index = {name: tensor for name, tensor in model.state_dict().items() if name.endswith("relative_position_index")}
    state: dict[str, Tensor] = {}
    for name, tensor in {**given, **index}.items():
        if name.startswith("audio_model."):
            name = _audio_name(name)
            if ".attention.self.query." in name:
                parts = [given[_clap_name(name).replace("query", part)] for part in ("query", "key", "value")]
                state[name.replace(".attention.self.query.", ".attn.qkv.")] = torch.cat(parts)
            if ".attention.self." in name:
                continue
        for clap, laion in (("text_model.", "text_branch."), ("n.linear1.", "n.0."), ("n.linear2.", "n.2.")):
            name = name.replace(clap, laion)
        state[name] = tensor
    return {**state, **_extras(state)}


def _audio_name(name: str) -> str:
    for clap, laion in (
        ("audio_model.audio_encoder.", "audio_branch."),
        (".batch_norm.", ".bn0."),
        (".layernorm_before.", ".norm1."),
        (".layernorm_after.", ".norm2."),
        (".attention.output.dense.", ".attn.proj."),
        (".attention.self.relative", ".attn.relative"),
        (".intermediate.dense.", ".mlp.fc1."),
        (".output.dense.", ".mlp.fc2."),
    ):
        name = name.replace(clap, laion)
    return name


def _clap_name(name: str) -> str:
    return name.replace("audio_branch.", "audio_model.audio_encoder.")


def _extras(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Front end, masks, heads and counters."""
    return {
        "audio_branch.spectrogram_extractor.stft.conv_real.weight": torch.zeros(513, 1, 1024),
        "audio_branch.spectrogram_extractor.stft.conv_imag.weight": torch.zeros(513, 1, 1024),
        "audio_branch.logmel_extractor.melW": torch.zeros(513, 64),
        "audio_branch.layers.1.blocks.1.attn_mask": torch.zeros(16, 64, 64),
        "audio_branch.tscam_conv.weight": torch.zeros(7, 128, 2, 3),
        "audio_branch.tscam_conv.bias": torch.zeros(7),
        "audio_branch.head.weight": torch.zeros(7, 7),
        "audio_branch.head.bias": torch.zeros(7),
        "text_branch.embeddings.position_ids": torch.arange(90)[None],
        "audio_transform.sequential.0.weight": torch.zeros(20, 20),
        "text_transform.sequential.3.bias": torch.zeros(20),
    }


def save_laion(path: Path, state: Mapping[str, Tensor]) -> Path:
    """Write a checkpoint with what training leaves beside the tensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    prefixed = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"epoch": 7, "name": "made", "best": np.float64(0.25), "state_dict": prefixed}, path)
    return path


def write_vocabulary(folder: Path) -> None:
    """A byte-level vocabulary without merges, as of RoBERTa."""
    from tokenizers import pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    words = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")


def make_hub(home: Path) -> Path:
    """An HF_HOME whose cache holds small stand-ins of all that laion_clap asks for; returns it."""
    from transformers import RobertaConfig, RobertaModel

    bert, bart, roberta = (
        _snapshot(home, name) for name in ("bert-base-uncased", "facebook/bart-base", "roberta-base")
    )
    (bert / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]))
    (bert / "config.json").write_text(json.dumps({"model_type": "bert"}))
    write_vocabulary(bart)
    (bart / "config.json").write_text(json.dumps({"model_type": "bart"}))
    write_vocabulary(roberta)
    config = RobertaConfig(
        vocab_size=300, num_hidden_layers=2, max_position_embeddings=90, intermediate_size=64, type_vocab_size=1,
        layer_norm_eps=1e-5,
    )  # fmt: skip
    RobertaModel(config).save_pretrained(roberta)
    return home


def _snapshot(home: Path, name: str) -> Path:
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(_COMMIT)
    folder = repository / "snapshots" / _COMMIT
    folder.mkdir(parents=True)
    return folder
