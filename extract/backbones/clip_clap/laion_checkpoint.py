"""Checkpoints of the laion_clap package (.pt) for transformers' ClapModel, without that package (docs/backbones.md)."""

import re
from collections.abc import Iterable, Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from extract.backbones.clip_clap.log_mel import MelConfig
from extract.backbones.weights import first_line, from_hub, quiet
from extract.errors import ExtractError

TOKENIZER = "roberta-base"
"""Repository of the tokenizer of every laion_clap text tower."""

_POSITIONS = "text_branch.embeddings.position_ids"
_COUNTERS = {"text_model.embeddings.position_ids", "text_model.embeddings.token_type_ids"}  # 0, 1, 2 … and zeros
_UNUSED = re.compile(  # front end, masks, classification and training heads, counters
    r"\.(spectrogram|logmel)_extractor\.|attn_mask$|tscam_conv|^audio_branch\.head\."
    r"|^(audio|text)_transform\.sequential\.|position_ids$|^text_branch\.embeddings\.token_type_ids$"
)
_FUSION = re.compile(r"fusion_model|mel_conv[12]d")
_QKV = ".attn.qkv."
_RENAMED = (
    ("text_branch.", "text_model."),
    ("audio_branch.", "audio_model.audio_encoder."),
    (".attn.proj.", ".attention.output.dense."),
    (".attn.relative", ".attention.self.relative"),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
    (".bn0.", ".batch_norm."),
    ("audio_projection.0.", "audio_projection.linear1."),
    ("audio_projection.2.", "audio_projection.linear2."),
    ("text_projection.0.", "text_projection.linear1."),
    ("text_projection.2.", "text_projection.linear2."),
)
_HEAD = 64  # dimensions of a head of RoBERTa's attention, of whatever size

# what training left beside the tensors: numbers; by the names that NumPy 1 and 2 pickle them under
_SCALAR = np.float64(0).__reduce__()[0]
_HARMLESS: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *{type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"},
]


def read_laion_file(path: Path) -> dict[str, Tensor]:
    """Tensors of a laion_clap checkpoint by the package's names, on the CPU. Unpickles tensors and numbers only.

    Raises:
        ExtractError: no such file, damaged, none of laion_clap's, or one with fusion.
    """
    if not path.is_file():
        raise ExtractError(f"{path}: no such file; give a .pt of the laion_clap package")
    with quiet(), torch.serialization.safe_globals(_HARMLESS):
        try:
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises what it likes on damaged files
            raise ExtractError(f"{path}: no weights can be read from it ({first_line(error)})") from error
    inner = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(inner, Mapping) or not all(isinstance(value, Tensor) for value in inner.values()):
        raise ExtractError(f"{path}: holds no state dict")
    state = {str(name).removeprefix("module."): value for name, value in inner.items()}
    if not any(name.startswith("audio_branch.") for name in state):
        others = ", ".join([*sorted(state)[:2], "…"])
        raise ExtractError(f"{path}: no checkpoint of laion_clap, it has no audio_branch tensors (but {others})")
    if any(_FUSION.search(name) for name in state):
        raise ExtractError(f"{path}: a CLAP with fusion; use one without, as 630k-audioset-best.pt")
    return state


def clap_state_from_laion(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of laion_clap under ClapModel's names; those that ClapModel has no use for are left out.

    Unknown names come out as they are, or half renamed: compare with the model's.

    Args:
        state: by the package's names, with or without a leading ``module.``.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for new, value in _renamed(name.removeprefix("module."), tensor):
            found[new] = value
    return found


def _renamed(name: str, tensor: Tensor) -> list[tuple[str, Tensor]]:
    """What a tensor becomes: nothing, one, or three."""
    if _UNUSED.search(name):
        return []
    new = name
    for old, ours in _RENAMED:
        new = new.replace(old, ours)
    if _QKV not in new:
        return [(new, tensor)]
    parts = zip(("query", "key", "value"), tensor.tensor_split(3), strict=True)
    return [(new.replace(_QKV, f".attention.self.{part}."), rows) for part, rows in parts]


def clap_from_laion(path: Path) -> tuple[Any, MelConfig]:
    """Build the ClapModel that a laion_clap checkpoint describes, with its front end.

    Returns:
        The model in float32 on the CPU, and its MelConfig.

    Raises:
        ExtractError: the file cannot be used; names the tensors that are missing, unknown or of another shape.
    """
    state = read_laion_file(path)
    with quiet():
        from transformers import ClapModel

        try:
            model = ClapModel(_config(state))
            mel = mel_of(state)
        except KeyError as error:
            raise ExtractError(f"{path}: 1 tensors are missing ({error.args[0]})") from error
        except Exception as error:  # sizes that make no model
            raise ExtractError(f"{path}: no CLAP can be built for its tensors ({first_line(error)})") from error
    expected = model.state_dict()
    unknown = [name for name, tensor in state.items() if any(new not in expected for new, _ in _renamed(name, tensor))]
    tensors = clap_state_from_laion(state)
    check_tensors(path, tensors, expected, known=_COUNTERS, unknown=unknown)
    model.load_state_dict({**{name: expected[name] for name in _COUNTERS & set(expected)}, **tensors})
    return model, mel


def check_tensors(
    path: Path,
    found: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    *,
    known: Iterable[str] = (),
    unknown: Iterable[str] | None = None,
) -> None:
    """Compare a file's tensors with a model's.

    Args:
        path: the file, for the message.
        found: its tensors by the model's names.
        expected: the model's own.
        known: names that may be missing.
        unknown: names that the model does not have, as the file calls them; None: worked out from ``found``.

    Raises:
        ExtractError: some are missing, unknown or of another shape; names the first three.
    """
    shapes = [name for name in found if name in expected and found[name].shape != expected[name].shape]
    for names, fault in (
        (set(expected) - set(found) - set(known), "are missing"),
        (set(found) - set(expected) if unknown is None else unknown, "are unknown"),
        (shapes, "are of another shape"),
    ):
        listed = sorted(names)
        if listed:
            more = ", …" if len(listed) > 3 else ""
            raise ExtractError(f"{path}: {len(listed)} tensors {fault} ({', '.join(listed[:3])}{more})")


def without_counters(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same state with the position counter as a model wants it: files before 2023 have one, models since not."""
    fitted = {name: tensor for name, tensor in state.items() if name != _POSITIONS}
    return {**fitted, _POSITIONS: expected[_POSITIONS]} if _POSITIONS in expected else fitted


def mel_of(state: Mapping[str, Tensor]) -> MelConfig:
    """The front end of a checkpoint: CLAP's, with the transform's size and the bands that its tensors tell."""
    bands = int(state["audio_branch.bn0.weight"].shape[0])
    transform = state.get("audio_branch.spectrogram_extractor.stft.conv_real.weight")
    return MelConfig(bands=bands, fft_size=1024 if transform is None else int(transform.shape[-1]))


def laion_tokenizer(path: Path, words: int) -> Any:
    """The tokenizer for a checkpoint: beside the file, in roberta-base/ beside it, or from the hub.

    Args:
        path: the .pt file.
        words: rows of its table of words.

    Raises:
        ExtractError: there is none, or it has more words than the model.
    """
    beside = [folder for folder in (path.parent, path.parent / TOKENIZER) if _has_tokenizer(folder)]
    folder = beside[0] if beside else from_hub(TOKENIZER, ["vocab.json"], ["merges.txt"])
    if folder is None:
        raise ExtractError(
            f"{path}: its tokenizer {TOKENIZER} is not here and the model hub cannot be reached: "
            f"place vocab.json and merges.txt of {TOKENIZER} beside the file"
        )
    with quiet():
        from transformers import AutoTokenizer, RobertaTokenizer

        plain = (folder / "vocab.json").is_file() or not (folder / "tokenizer_config.json").is_file()
        kind = RobertaTokenizer if plain else AutoTokenizer
        try:
            tokenizer = kind.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # transformers raises what it likes on damaged files
            raise ExtractError(f"{folder}: no tokenizer can be read from it ({first_line(error)})") from error
    if len(tokenizer) > words:
        raise ExtractError(f"{folder}: its tokenizer has {len(tokenizer)} words, the text tower of {path} {words}")
    return tokenizer


def _has_tokenizer(folder: Path) -> bool:
    there = {name for name in ("tokenizer.json", "vocab.json", "merges.txt") if (folder / name).is_file()}
    return "tokenizer.json" in there or len(there) == 2


def _config(state: Mapping[str, Tensor]) -> Any:
    """The ClapConfig whose sizes the tensors have."""
    from transformers import ClapConfig

    def rows(name: str) -> int:
        return int(state[name].shape[0])

    heads = stages(state)
    words = "text_branch.embeddings"
    layer = "text_branch.encoder.layer"
    width = rows(f"{words}.LayerNorm.weight")
    text = {
        "vocab_size": rows(f"{words}.word_embeddings.weight"),
        "hidden_size": width,
        "num_hidden_layers": 1 + max(int(name.split(".")[3]) for name in state if name.startswith(f"{layer}.")),
        "num_attention_heads": max(1, width // _HEAD),
        "intermediate_size": rows(f"{layer}.0.intermediate.dense.weight"),
        "max_position_embeddings": rows(f"{words}.position_embeddings.weight"),
        "type_vocab_size": rows(f"{words}.token_type_embeddings.weight"),
        "layer_norm_eps": 1e-5,
    }
    patch = state["audio_branch.patch_embed.proj.weight"].shape
    block = "audio_branch.layers.0.blocks.0"
    audio = {
        "hidden_size": rows("audio_branch.norm.weight"),
        "patch_embeds_hidden_size": int(patch[0]),
        "patch_size": int(patch[-1]),
        "patch_stride": [int(patch[-1])] * 2,
        "depths": [len(stage) for stage in heads],
        "num_attention_heads": [stage[0] for stage in heads],
        "num_hidden_layers": len(heads),
        "window_size": (isqrt(rows(f"{block}.attn.relative_position_bias_table")) + 1) // 2,
        "mlp_ratio": rows(f"{block}.mlp.fc1.weight") / int(patch[0]),
        "num_mel_bins": rows("audio_branch.bn0.weight"),
    }
    return ClapConfig(text_config=text, audio_config=audio, projection_dim=rows("audio_projection.2.weight"))


def stages(state: Mapping[str, Tensor]) -> list[list[int]]:
    """Heads of each block's attention, stage by stage of the sound tower."""
    table = re.compile(r"audio_branch\.layers\.(\d+)\.blocks\.(\d+)\.attn\.relative_position_bias_table")
    found: dict[int, list[int]] = {}
    for name in state:
        match = table.fullmatch(name)
        if match:
            found.setdefault(int(match[1]), []).append(int(state[name].shape[1]))
    return [found[number] for number in sorted(found)]
