"""LanguageBind's towers against the published model's outputs on small random weights."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from extract.backbones.language_bind.checkpoint import Checkpoint
from extract.backbones.language_bind.layers import Attention
from extract.backbones.language_bind.loading import TextTower, Tower
from extract.backbones.language_bind.tokens import Tokeniser
from extract.backbones.language_bind.vision_tower import resize_positions
from tests.language_bind_models import GOLDEN, golden_folder
from tests.spectra import HALF_UNIT

NAMES = ["image", "image_quickgelu", "image_lora", "video", "video_lora", "video_vlnew", "audio"]
POOLED, UNIT = 1e-5, 5e-6
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkpoint]:
    """The checkpoint folder of a golden tower, loaded."""
    root = tmp_path_factory.mktemp("language_bind")

    def load(name: str) -> Checkpoint:
        folder = root / name
        return Checkpoint.from_folder(folder if folder.is_dir() else golden_folder(folder, name))

    return load


def text_tower(checkpoint: Checkpoint) -> TextTower:
    return TextTower(checkpoint, Tokeniser(lambda _: [], "none"), CPU, "float32")


def golden(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def windows(pixels: Tensor) -> Tensor:
    """The published layout (n, 3, F, H, W) to ours; pictures stay."""
    return pixels.transpose(1, 2) if pixels.ndim == 5 else pixels


def close(actual: Tensor, expected: Tensor, atol: float) -> None:
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_vision(name: str, checkpoint: Callable[[str], Checkpoint]) -> None:
    tower, expected = Tower(checkpoint(name), CPU, "float32"), golden(f"tiny_{name}")
    seeds = [s for s in range(3) if f"v{s}_pooled" in expected]
    assert len(seeds) == (3 if name in ("image", "video", "audio") else 1)
    for s in seeds:
        pixels = windows(expected[f"v{s}_pixel_values"])
        unit = tower.projected(pixels)
        close(tower.pooled(pixels), expected[f"v{s}_pooled"], POOLED)
        close(unit, expected[f"v{s}_normalised"], UNIT)
        close(unit * np.exp(tower.logit_scale), expected[f"v{s}_scaled"], 5e-4)
    close(torch.tensor(tower.logit_scale), expected["logit_scale"], 0)


def near(actual: Tensor, expected: Tensor, steps: int = 1) -> None:
    """Equal but for float32, whose error goes with the largest values that are added up.

    The longest sum is a patch's: 588 products, roundings of which add up like their root, in each of the two. A step is
    a layer, which hands on the error of the one before and adds its own. A token off by 1 % is found.
    """
    bound = steps * 2 * 588**0.5 * HALF_UNIT * float(expected.abs().max())
    close(actual, expected, bound)
    assert ((1.01 * actual - expected).abs().amax(dim=-1) > bound).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_layer(name: str, checkpoint: Callable[[str], Checkpoint]) -> None:
    expected = golden(f"tiny_{name}")
    tower, projection = checkpoint(name).vision()
    pixels = windows(expected["v0_pixel_values"])
    with torch.inference_mode():
        frames = pixels.flatten(0, 1) if pixels.ndim == 5 else pixels
        near(tower.embeddings(frames), expected["v0_embeddings"])
        tokens = tower.embed(frames)
        near(tokens, expected["v0_hidden_states"][0])
        layers = zip(tower.encoder.layers, expected["v0_hidden_states"][1:], strict=True)
        for number, (layer, hidden) in enumerate(layers, start=1):
            tokens = layer(tokens)
            near(tokens, hidden, 1 + number)
        near(tokens, expected["v0_last_hidden_state"], 1 + number)
        close(projection(tower(pixels)), expected["v0_projected"], POOLED)


@pytest.mark.parametrize("name", NAMES)
def test_text(name: str, checkpoint: Callable[[str], Checkpoint]) -> None:
    loaded, expected = checkpoint(name), golden(f"tiny_{name}")
    tower, (_, projection) = text_tower(loaded), loaded.text()
    for s in range(3):
        if f"t{s}_input_ids" in expected:
            ids = expected[f"t{s}_input_ids"]
            close(tower.pooled(ids), expected[f"t{s}_pooled"], POOLED)
            close(projection(tower.pooled(ids)), expected[f"t{s}_projected"], POOLED)
            close(tower.projected_ids(ids), expected[f"t{s}_normalised"], UNIT)


def test_what_follows_a_sentence_does_not_matter(checkpoint: Callable[[str], Checkpoint]) -> None:
    tower, ids = text_tower(checkpoint("image")), golden("tiny_image")["t0_input_ids"]
    alone = torch.cat([tower.projected_ids(row[None]) for row in ids])
    close(tower.projected_ids(ids), alone, 1e-6)
    for row in ids:
        row[int(row.argmax()) + 1 :] = 5
    close(tower.projected_ids(ids), alone, 1e-6)


def test_all_together(checkpoint: Callable[[str], Checkpoint]) -> None:
    """Outputs and similarities of the published wrapper, which takes the image checkpoint's text tower."""
    expected = golden("languagebind_forward")
    language = text_tower(checkpoint("image")).projected_ids(expected["in_input_ids"])
    close(language, expected["out_language"], UNIT)
    for name in ("image", "video", "audio"):
        tower = Tower(checkpoint(name), CPU, "float32")
        unit = tower.projected(windows(expected[f"in_{name}"]))
        close(unit * np.exp(tower.logit_scale), expected[f"out_{name}"], 5e-4)
        logits = unit @ language.T
        scores = (logits - logits.mean(1, keepdim=True)) / logits.std(1, keepdim=True)
        close(scores.sigmoid(), expected[f"sim_{name}"], 1e-5)


@pytest.mark.parametrize("kind", ["image", "video", "audio"])
def test_published_input_sizes(kind: str, checkpoint: Callable[[str], Checkpoint]) -> None:
    tower = Tower(checkpoint(f"{kind}_fullgrid"), CPU, "float32")
    config = tower.config
    sizes = {"image": (0, 224, 224, (16, 16)), "video": (8, 224, 224, (16, 16)), "audio": (0, 112, 1036, (8, 74))}
    assert (config.frames, config.height, config.width_px, config.grid) == sizes[kind]
    shape = (3, *([config.frames] if config.frames else []), 3, config.height, config.width_px)
    pixels = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    unit = tower.projected(pixels)
    assert unit.shape == (3, 12)
    close(unit.norm(dim=1), torch.ones(3), 1e-6)
    close(torch.cat([tower.projected(one[None]) for one in pixels]), unit, 2e-6)  # windows do not mix


def published_pixels(kind: str) -> dict[str, Tensor]:
    """Inputs of the towers from golden frames or spectrogram, in a few lines of what the specification says."""
    if kind == "audio":
        mel = golden("audio_noise_60ms_16k")["mel"]
        tiled = mel.repeat(1036 // len(mel) + 1, 1)[:1036].T
        return {"audio_noise_60ms_16k": ((tiled + 4.2677393) / (2 * 4.5689974)).expand(1, 3, 112, 1036)}
    data = golden("vision_90x120")
    frames = data["frames"].permute(0, 3, 1, 2) / 255
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    if kind == "image":
        wide = functional.interpolate(frames, (224, 298), mode="bicubic", antialias=True)
        return {"image_vision_90x120": (wide[..., 37:261] - mean) / std}
    wide = functional.interpolate((frames[data["video_indices"]] - mean) / std, (224, 298), mode="bilinear")
    window = wide[None, ..., 37:261]
    return {"video_vision_90x120": window, "video_vision_90x120_flipped": window.flip(-1)}


@pytest.mark.parametrize("kind", ["image", "video", "audio"])
def test_published_input_sizes_end_to_end(kind: str, checkpoint: Callable[[str], Checkpoint]) -> None:
    """Frames and spectrogram to unit vectors; an image pixel may differ by 1e-5, a video one by 1e-4."""
    expected, tower = golden("fullgrid_end_to_end"), Tower(checkpoint(f"{kind}_fullgrid"), CPU, "float32")
    for case, pixels in published_pixels(kind).items():
        close(tower.pooled(pixels), expected[f"{case}_pooled"], 5e-5)
        close(tower.projected(pixels), expected[f"{case}_normalised"], 5e-6)


def test_other_shapes_are_refused(checkpoint: Callable[[str], Checkpoint]) -> None:
    video, image = Tower(checkpoint("video"), CPU, "float32"), Tower(checkpoint("image"), CPU, "float32")
    for tower, shape in (
        (video, (8, 3, 28, 28)),
        (video, (1, 3, 8, 28, 28)),
        (video, (2, 4, 3, 28, 28)),
        (image, (1, 3, 28, 42)),
        (image, (1, 8, 3, 28, 28)),
    ):
        with pytest.raises(ValueError, match="input must be"):
            tower.projected(torch.zeros(shape))


def test_attention_is_the_library_one(monkeypatch: pytest.MonkeyPatch, checkpoint: Callable[[str], Checkpoint]) -> None:
    """Spatial, temporal and causal attention all go through it, on views of one matrix product."""
    original, seen = functional.scaled_dot_product_attention, []

    def counted(q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool = False) -> Tensor:
        assert q.untyped_storage().data_ptr() == k.untyped_storage().data_ptr() == v.untyped_storage().data_ptr()
        seen.append((tuple(q.shape), is_causal))
        return original(q, k, v, is_causal=is_causal)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", counted)
    loaded = checkpoint("video")
    Tower(loaded, CPU, "float32").pooled(torch.zeros(2, 8, 3, 28, 28))
    assert seen == [((2, 15, 8, 8), False), ((16, 3, 5, 8), False)] * 3
    seen.clear()
    text_tower(loaded).pooled(torch.tensor([[1, 2, 63, 63]]))
    assert seen == [((1, 2, 3, 8), True)] * 2


def test_attention_across_frames(checkpoint: Callable[[str], Checkpoint]) -> None:
    """The same as attention within sequences of one position's tokens."""
    torch.manual_seed(0)
    attention = Attention(checkpoint("video").config.vision)
    tokens = torch.randn(2, 8, 5, 24)
    moved = attention(tokens.transpose(1, 2).reshape(10, 8, 24)).view(2, 5, 8, 24).transpose(1, 2)
    close(attention.across_frames(tokens), moved, 1e-6)


@pytest.mark.parametrize(("precision", "limit"), [("float16", 4e-3), ("bfloat16", 3e-2)])
@pytest.mark.parametrize("name", ["image", "image_quickgelu", "video", "video_vlnew", "audio"])
def test_half_precision(name: str, precision: str, limit: float, checkpoint: Callable[[str], Checkpoint]) -> None:
    """Near float32, and exactly what autocast makes of float32 weights."""
    loaded, expected = checkpoint(name), golden(f"tiny_{name}")
    pixels = windows(expected["v0_pixel_values"])
    tower = Tower(loaded, CPU, precision)
    unit = tower.projected(pixels)
    assert unit.dtype == torch.float32
    assert 1e-5 < (unit - expected["v0_normalised"]).abs().max() < limit
    with torch.inference_mode(), torch.autocast("cpu", getattr(torch, precision)):
        assert torch.equal(loaded.vision()[0](pixels), tower.pooled(pixels))


def test_positions_fitted_to_another_grid() -> None:
    expected = golden("pos_resize")
    close(resize_positions(expected["old_257"], (16, 16), (8, 74)), expected["new_593"], 1e-5)


def test_transformers_agrees(tmp_path: Path) -> None:
    """Pictures and sentences through transformers' own CLIP with the same weights."""
    from safetensors.torch import save_file
    from transformers import CLIPConfig, CLIPModel

    config = json.loads((GOLDEN / "tiny_image_quickgelu.config.json").read_text())
    torch.manual_seed(2)
    model = CLIPModel(
        CLIPConfig(text_config=config["text_config"], vision_config=config["vision_config"], projection_dim=12)
    ).eval()
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, tmp_path / "model.safetensors"
    )
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = Checkpoint.from_folder(tmp_path)
    data = golden("tiny_image")
    with torch.inference_mode():
        pictures = model.get_image_features(data["v0_pixel_values"]).pooler_output
        sentences = model.get_text_features(data["t0_input_ids"]).pooler_output
    close(Tower(loaded, CPU, "float32").projected(data["v0_pixel_values"]), functional.normalize(pictures), UNIT)
    close(text_tower(loaded).projected_ids(data["t0_input_ids"]), functional.normalize(sentences), UNIT)
