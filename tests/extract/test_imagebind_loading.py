"""ImageBind's file: names and shapes of the published one, whole embeddings of a small one, and what is refused."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from extract import ExtractError, load_backbone
from extract.backbones.imagebind.backbone import ImageBind
from extract.backbones.imagebind.checkpoint import IGNORED, MASK, Checkpoint, expected_shapes
from extract.backbones.imagebind.config import PUBLISHED
from extract.media.audio_windows import SoundWindows
from extract.media.sampling import segment_plan
from tests.imagebind_models import DIM, GOLDEN, WEIGHTS, golden_imagebind, random_imagebind
from tests.language_bind_models import make_language_bind

QUERY = "modality_trunks.audio.blocks.1.attn.bias_k"
UNIT = 5e-6


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> ImageBind:
    found = load_backbone("imagebind", golden_imagebind(tmp_path_factory.mktemp("golden") / "weights"))
    assert isinstance(found, ImageBind)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to damage."""
    return golden_imagebind(tmp_path / "weights")


def golden(name: str) -> dict[str, NDArray[Any]]:
    return dict(np.load(GOLDEN / f"{name}.npz"))


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


def tensors_of(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = torch.load(folder / WEIGHTS, weights_only=True)
    return found


def edit(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    tensors = tensors_of(folder)
    change(tensors)
    torch.save(tensors, folder / WEIGHTS)


def refused(folder: Path) -> str:
    with pytest.raises(ExtractError) as caught:
        load_backbone("imagebind", folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def test_the_published_file() -> None:
    """Every tensor of the three kinds, and no other; the other kinds' are known by their names."""
    keys = json.loads((GOLDEN / "keys_imagebind_huge.json").read_text())
    expected = {name: tuple(shape) for name, shape in keys["tensors"].items()}
    assert expected.pop(MASK) == (77, 77)
    assert expected_shapes(PUBLISHED) == expected
    assert len(expected) == 863
    assert sorted(keys["ignored"]) == sorted(IGNORED)
    for kind, names in keys["ignored"].items():
        assert all(name.startswith("modality_") and name.split(".")[1] == kind for name in names)


def test_other_kinds_are_named(backbone: ImageBind, folder: Path) -> None:
    facts = backbone.attributes()["imagebind"]
    assert facts["not_used"] == {"depth": 23, "thermal": 23, "imu": 23}
    assert facts["log_scales"]["text"] == pytest.approx(4.4)
    assert (facts["vision"]["heads"], facts["audio"]["heads"], facts["text"]["heads"]) == (2, 3, 2)
    assert len(facts["sha256"]) == 64
    assert json.loads(json.dumps(facts)) == facts
    assert sum(name.split(".")[1] in IGNORED for name in tensors_of(folder)) == 69


@pytest.mark.parametrize("name", ["image_90x120", "image_225x227", "image_360x202"])
def test_images(backbone: ImageBind, name: str) -> None:
    case = golden(name)
    found = backbone.encode_frames(backbone.prepare_frames(torch.from_numpy(case["frames"]).permute(0, 3, 1, 2)))
    np.testing.assert_allclose(found.numpy(), unit(case["embedding"]), atol=UNIT)


@pytest.mark.parametrize("name", ["video_120x119_10s_10fps", "video_180x101_1s6_25fps"])
def test_clips(backbone: ImageBind, name: str) -> None:
    case = golden(name)
    pixels = backbone.prepare_video_frames(torch.from_numpy(case["frames"]).permute(0, 3, 1, 2))
    clips = pixels[torch.from_numpy(np.searchsorted(case["frame_numbers"], case["taken"]))]
    np.testing.assert_allclose(backbone.encode_video(clips).numpy(), unit(case["embedding_each"][1::3]), atol=UNIT)
    window = backbone.encode_video(clips.flatten(0, 1)[None])
    np.testing.assert_allclose(window.numpy(), unit(case["embedding_centre_5"]), atol=UNIT)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("audio_*.npz")), ids=lambda path: path.stem)
def test_sound(backbone: ImageBind, path: Path) -> None:
    case = golden(path.stem)
    wave, rate = torch.from_numpy(case["waveform_int16"].astype(np.float32) / 32768), int(case["sr"])
    sound = SoundWindows(wave, np.array([[0, wave.shape[1]]]), rate)
    found = backbone.encode_audio(backbone.prepare_audio(sound))
    np.testing.assert_allclose(found.numpy(), unit(case["embedding_mean"]), atol=UNIT)
    shared = backbone.prepare_shared_audio(sound)
    each = backbone.encode_audio(shared.views).numpy()[shared.rows[0]]
    np.testing.assert_allclose(each, unit(case["embedding_each"]), atol=UNIT)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("ovavel_*.npz")), ids=lambda path: path.stem)
def test_seconds(backbone: ImageBind, path: Path) -> None:
    case = golden(path.stem)
    wave, rate = torch.from_numpy(case["waveform_int16"].astype(np.float32) / 32768), int(case["sr"])
    each = SoundWindows(wave, segment_plan(wave.shape[1], rate), rate, 1.0)
    found = backbone.encode_audio(backbone.prepare_audio(each))
    np.testing.assert_allclose(found.numpy(), unit(case["embeddings"]), atol=UNIT)


def test_sentences(backbone: ImageBind) -> None:
    groups = json.loads((GOLDEN / "tokenizer.json").read_text(encoding="utf-8"))["groups"]
    expected = golden("text_embeddings")
    assert set(groups) == set(expected)
    for name, rows in groups.items():
        sentences = [row["text"] for row in rows]
        np.testing.assert_allclose(
            backbone.encode_visual_text(sentences).numpy(), unit(expected[name]), atol=UNIT, err_msg=name
        )
        if name == "long":
            assert any(backbone.sentences_cut("audio", sentences))


@pytest.mark.parametrize(("precision", "within"), [("bfloat16", 2e-2), ("float16", 4e-3)])
def test_half_precision(backbone: ImageBind, folder: Path, precision: str, within: float) -> None:
    half = load_backbone("imagebind", folder, precision=precision)
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8, generator=generator)
    mel = torch.randn(2, 1, 1, 128, 204, generator=generator)
    for found, expected in (
        (half.encode_frames(frames), backbone.encode_frames(frames)),
        (half.encode_audio(mel), backbone.encode_audio(mel)),
        (half.encode_visual_text(["a dog"]), backbone.encode_visual_text(["a dog"])),
    ):
        assert found.dtype == torch.float32
        difference = float((found - expected).abs().max())
        assert 0 < difference < within


def test_safetensors(backbone: ImageBind, folder: Path) -> None:
    """The same tensors in the other format, without the constant and the kinds that are not used."""
    kept = {name: each for name, each in tensors_of(folder).items() if name.split(".")[1] not in IGNORED}
    del kept[MASK]
    (folder / WEIGHTS).unlink()
    save_file(kept, folder / "imagebind_huge.safetensors")
    other = load_backbone("imagebind", folder)
    assert torch.equal(other.encode_visual_text(["a dog"]), backbone.encode_visual_text(["a dog"]))
    assert other.attributes()["imagebind"]["not_used"] == {}


def test_random_weights(tmp_path: Path) -> None:
    one, other = (load_backbone("imagebind", random_imagebind(tmp_path / str(seed), seed)) for seed in (1, 2))
    assert one.visual_dim == one.audio_dim == DIM
    assert not torch.allclose(one.encode_visual_text(["a dog"]), other.encode_visual_text(["a dog"]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop(QUERY), f"lacks tensor {QUERY};"),
        (lambda tensors: [tensors.pop(QUERY), tensors.pop(QUERY[:-1] + "v")], f"lacks tensor {QUERY} and 1 more;"),
        (lambda tensors: tensors.update({"modality_trunks.audio.extra": torch.ones(1)}),
         "holds an unknown tensor modality_trunks.audio.extra;"),
        (lambda tensors: tensors.update({"depth": torch.ones(1)}), "holds an unknown tensor depth;"),
        (lambda tensors: tensors.update({QUERY: torch.ones(1, 1, 8)}),
         f"tensor {QUERY} is float32 (1, 1, 8), but by config.json it is real numbers (1, 1, 24);"),
        (lambda tensors: tensors.update({QUERY: torch.ones(1, 1, 24, dtype=torch.int64)}), f"{QUERY} is int64"),
    ],
)  # fmt: skip
def test_wrong_tensors(folder: Path, change: Callable[[dict[str, Tensor]], Any], said: str) -> None:
    edit(folder, change)
    assert said in refused(folder)


def test_another_models_weights(folder: Path, tmp_path: Path) -> None:
    other = make_language_bind(tmp_path / "other") / "LanguageBind_Image" / "pytorch_model.bin"
    (folder / WEIGHTS).write_bytes(other.read_bytes())
    said = refused(folder)
    assert "holds weights of another model (vision_model.embeddings.class_embedding, …) and lacks modality_" in said


def test_small_weights_without_their_sizes(folder: Path) -> None:
    (folder / "config.json").unlink()
    said = refused(folder)
    assert "lacks tensor modality_trunks.vision.blocks.2.norm_1.weight and" in said
    assert "https://dl.fbaipublicfiles.com/imagebind/imagebind_huge.pth" in said


def test_missing_files(tmp_path: Path) -> None:
    assert f"no {WEIGHTS} or imagebind_huge.safetensors in" in refused(tmp_path)
    with pytest.raises(ExtractError, match=r"no weights of imagebind, .* non-commercial use\), and name its folder"):
        load_backbone("imagebind")


class Code:
    """What must not run when a file is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("never",)


def test_damaged_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    for damaged in (b"", b"hello", whole[: len(whole) // 2], pickle.dumps({"a": Code()})):
        (folder / WEIGHTS).write_bytes(damaged)
        assert "no weights can be read from it" in refused(folder)
    torch.save({"a": 1}, folder / WEIGHTS)
    assert "holds something else than named tensors" in refused(folder)
    assert "never" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("section", "field", "value", "said"),
    [
        ("vision", "heads", None, "vision.heads is missing"),
        ("vision", "heads", 3, "vision.heads is 3, which does not divide width 16"),
        ("audio", "width", "24", "audio.width is '24', not a whole number of at least 1"),
        ("audio", "kernel", 300, "audio.kernel is 300, larger than the spectrogram"),
        ("vision", "patch", 300, "vision.patch is 300, larger than a frame of 224"),
        ("text", "vocabulary", 0, "text.vocabulary is 0, not a whole number"),
        ("text", None, None, "text is no JSON object with sizes"),
        (None, "out_dim", True, "out_dim is True, not a whole number"),
    ],
)
def test_wrong_sizes(folder: Path, section: str | None, field: str | None, value: Any, said: str) -> None:
    sizes = json.loads((folder / "config.json").read_text())
    if section is None or field is None:
        sizes[section or field] = value
    else:
        sizes[section][field] = value
    (folder / "config.json").write_text(json.dumps(sizes))
    assert said in refused(folder)


def test_sizes_that_are_no_json(folder: Path) -> None:
    for text in ("[]", "{", "3"):
        (folder / "config.json").write_text(text)
        assert "config.json: " in refused(folder)


def test_a_small_vocabulary(folder: Path) -> None:
    sizes = json.loads((folder / "config.json").read_text())
    sizes["text"]["vocabulary"] = 100
    (folder / "config.json").write_text(json.dumps(sizes))
    name = "modality_preprocessors.text.token_embedding.weight"
    edit(folder, lambda tensors: tensors.update({name: tensors[name][:100].clone()}))
    assert "its text encoder knows 100 tokens in sentences of 77" in refused(folder)


def test_the_checkpoint_says_what_it_ignored(folder: Path) -> None:
    assert Checkpoint.from_folder(folder).ignored == {"depth": 23, "thermal": 23, "imu": 23}
