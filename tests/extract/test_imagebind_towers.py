"""ImageBind's towers against the reference's, block by block: golden encoders of small sizes."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from extract.backbones.imagebind.checkpoint import name_in_file
from extract.backbones.imagebind.config import AudioConfig, TextConfig, VisionConfig
from extract.backbones.imagebind.towers import AudioTower, TextTower, Tower, VisionTower
from tests.imagebind_models import GOLDEN

UNIT, BLOCKS, STEM = 5e-6, 5e-6, 1e-6
"""By how much values may differ from the reference's on any processor."""


def tower(kind: str) -> Tower:
    """The golden encoder of a kind, in float32."""
    sizes = json.loads((GOLDEN / f"tiny_{kind}.config.json").read_text())
    each = sizes[kind]
    trunk = {"width": each["width"], "inner": each["mlp"], "blocks": each["blocks"], "heads": each["heads"]}
    found: Tower
    if kind == "vision":
        vision = VisionConfig(**trunk, side=each["image_size"], patch=each["patch"], frames=each["frames"])
        found = VisionTower(vision, sizes["out_dim"])
    elif kind == "audio":
        audio = AudioConfig(
            **trunk, bands=each["mel_bins"], frames=each["target_frames"], kernel=each["kernel"], stride=each["stride"]
        )
        found = AudioTower(audio, sizes["out_dim"])
    else:
        text = TextConfig(**trunk, vocabulary=each["vocabulary"], positions=each["positions"])
        found = TextTower(text, sizes["out_dim"])
    tensors = load_file(GOLDEN / f"tiny_{kind}.safetensors")
    found.load_state_dict({name: tensors[name_in_file(kind, name)] for name in found.state_dict()})
    return found.eval().requires_grad_(False)


def golden(kind: str) -> dict[str, NDArray[Any]]:
    return dict(np.load(GOLDEN / f"tiny_{kind}.npz"))


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


def near(found: Tensor, expected: NDArray[Any], within: float) -> None:
    np.testing.assert_allclose(found.numpy(), expected, atol=within, rtol=0)


def still(images: Tensor) -> Tensor:
    """Images (n, 3, S, S) as clips of two equal frames."""
    return images[:, :, None].expand(-1, -1, 2, -1, -1)


@pytest.mark.parametrize(("kind", "case", "what"), [
    ("vision", "v0", "clip"), ("vision", "v1", "images"), ("audio", "a0", "mel"), ("text", "t0", "ids"),
])  # fmt: skip
def test_block_by_block(kind: str, case: str, what: str) -> None:
    found, expected = tower(kind), golden(kind)
    inputs = torch.from_numpy(expected[f"{case}_{what}"])
    inputs = still(inputs) if what == "images" else inputs
    if isinstance(found, VisionTower):
        near(found.places(inputs), expected[f"{case}_tokens"], STEM)
    tokens = found.embed(inputs)
    near(tokens, expected[f"{case}_hidden_0"], STEM if kind != "vision" else BLOCKS)
    for number, block in enumerate(found.blocks, 1):
        tokens = block(tokens)
        near(tokens, expected[f"{case}_hidden_{number}"], BLOCKS)
    near(found.project(found(inputs)), expected[f"{case}_normalised"], UNIT)
    near(found.head(found.last_norm(found(inputs))), expected[f"{case}_projected"], 1e-5)


@pytest.mark.parametrize(("kind", "case", "what"), [
    ("vision", "v2", "clips"), ("vision", "v3", "pictures"), ("vision", "v4", "image"), ("audio", "a1", "mels"),
])  # fmt: skip
def test_views(kind: str, case: str, what: str) -> None:
    """Views of one file, each by itself; the reference's output is their mean."""
    found, expected = tower(kind), golden(kind)
    inputs = torch.from_numpy(expected[f"{case}_{what}"])
    views = inputs if what == "image" else inputs.flatten(0, 1)
    vectors = found.project(found(views if what in ("clips", "mels") else still(views)))
    near(vectors, expected[f"{case}_normalised"], UNIT)
    scaled = expected[f"{case}_scaled"]
    np.testing.assert_allclose(unit(vectors.numpy().mean(0)), unit(scaled.mean(0)), atol=UNIT)
    np.testing.assert_allclose(unit(scaled.mean(0)), unit(expected[f"{case}_output"])[0], atol=UNIT)


def test_what_the_stem_does_not_see() -> None:
    """Bands and frames under no patch change nothing."""
    found = tower("audio")
    mel = torch.from_numpy(golden("audio")["a0_mel"])
    other = mel.clone()
    assert isinstance(found, AudioTower)
    rows, columns = (10 * ((side - 16) // 10) + 16 for side in (found.config.bands, found.config.frames))
    assert torch.equal(found(mel), found(other))
    if rows < mel.shape[2]:
        other[:, :, rows:] = 9
    if columns < mel.shape[3]:
        other[..., columns:] = 9
    assert torch.equal(found(mel), found(other))
    other[..., columns - 1] = 9
    assert not torch.equal(found(mel), found(other))


def test_order_of_frames() -> None:
    found, clip = tower("vision"), torch.from_numpy(golden("vision")["v0_clip"])
    assert (found.project(found(clip)) - found.project(found(clip.flip(2)))).abs().max() > 0.05


def test_what_sentences_are_filled_with() -> None:
    """Nobody looks ahead: ids behind the end change nothing but rounding, however many there are."""
    found, ids = tower("text"), torch.from_numpy(golden("text")["t0_ids"])
    ends = ids.argmax(1)
    for row, end in zip(ids, ends.tolist(), strict=True):
        alone = found.project(found(row[None, : end + 1]))
        torch.testing.assert_close(alone, found.project(found(row[None])), atol=UNIT, rtol=0)


def test_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"clips must be \(n, 3, 2, 56, 56\), got \(1, 3, 1, 56, 56\)"):
        tower("vision")(torch.zeros(1, 3, 1, 56, 56))
    with pytest.raises(ValueError, match=r"spectrograms must be \(n, 1, 46, 66\), got \(1, 46, 66\)"):
        tower("audio")(torch.zeros(1, 46, 66))
