"""Models of the published sizes with random weights, to measure speed where the real ones are not at hand."""

import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import torch

from extract.backbones.imagebind.checkpoint import MASK
from extract.backbones.imagebind.checkpoint import expected_shapes as imagebind_shapes
from extract.backbones.imagebind.config import config_in
from extract.backbones.language_bind.checkpoint import expected_shapes
from extract.backbones.language_bind.config import CONFIG_FILE, read_config
from extract.backbones.language_bind.loading import REPOSITORIES
from extract.backbones.pe_av.checkpoint import expected_shapes as pe_av_shapes
from extract.backbones.pe_av.checkpoint import twin
from extract.backbones.pe_av.config import model_config
from extract.backbones.tiny.backbone import WEIGHTS
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


_COMMON = {"hidden_act": "gelu", "layer_norm_eps": 1e-5}
_TEXT = {
    **_COMMON, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "vocab_size": 49408, "max_position_embeddings": 77,
}  # fmt: skip
_VISION = {
    **_COMMON, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "num_channels": 3, "patch_size": 14, "image_size": 224, "add_time_attn": False, "num_frames": 1, "lora_r": 0,
    "num_mel_bins": 0.0, "target_length": 0.0,
}  # fmt: skip
_KINDS = {
    "image": ("LanguageBindImage", {}),
    "video": ("LanguageBindVideo", {"add_time_attn": True, "num_frames": 8}),
    "audio": ("LanguageBindAudio", {"num_mel_bins": 112, "target_length": 1036}),
}


def language_bind_weights(folder: Path) -> Path:
    """LanguageBind's three checkpoints as published, 1.3 to 2 GB each."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    for kind, (name, vision) in _KINDS.items():
        part = folder / REPOSITORIES[kind].partition("/")[2]
        part.mkdir()
        config = {
            "model_type": name, "projection_dim": 768, "text_config": _TEXT, "vision_config": {**_VISION, **vision}
        }  # fmt: skip
        (part / CONFIG_FILE).write_text(json.dumps(config))
        shapes = expected_shapes(read_config(part / CONFIG_FILE))
        tensors = {tensor: torch.randn(shape, generator=generator) * 0.02 for tensor, shape in shapes.items()}
        save_file(tensors, part / "model.safetensors")
    return folder


def imagebind_weights(folder: Path) -> Path:
    """ImageBind's file as published, 4.3 GB."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randn(shape, generator=generator) * 0.02
        for name, shape in imagebind_shapes(config_in(folder)).items()
    }
    tensors[MASK] = torch.full(tensors[MASK].shape, -torch.inf).triu_(1)
    save_file(tensors, folder / "imagebind_huge.safetensors")
    return folder


def pe_av_weights(folder: Path, size: str = "large") -> Path:
    """A PE-AV model as published, "small", "base" or "large", 3.4 to 8.9 GB; the words of the tests' small one."""
    from safetensors.torch import save_file

    from tests.pe_av_models import PUBLISHED, STD, tokenizer

    (folder / "config.json").write_text(json.dumps(PUBLISHED[size]))
    pictures = {"size": {"height": 336, "width": 336}, "num_frames": None, "do_sample_frames": False}
    (folder / "video_preprocessor_config.json").write_text(json.dumps({**pictures, **STD, "image_mean": [0.5] * 3}))
    generator = torch.Generator().manual_seed(0)
    with quiet(), redirect_stdout(io.StringIO()):
        tokenizer().save_pretrained(folder)
        shapes = pe_av_shapes(model_config(folder))
    own = {twin(name): shape for name, shape in shapes.items()}
    save_file(
        {name: torch.randn(shape, generator=generator) * 0.02 for name, shape in own.items()},
        folder / "model.safetensors",
    )
    return folder


MAKERS: dict[str, Callable[[Path], Path]] = {
    "clip_clap": clip_clap_weights,
    "imagebind": imagebind_weights,
    "language_bind": language_bind_weights,
    "pe_av": pe_av_weights,
    "pe_av_base": partial(pe_av_weights, size="base"),
    "pe_av_small": partial(pe_av_weights, size="small"),
}
