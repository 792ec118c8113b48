"""PE-AV's weights from folders and the hub's cache, strictly; the published sizes' tensors by name."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from extract import ExtractError, describe_backbone, load_backbone
from extract.backbones import backbone_names
from extract.backbones.pe_av import checkpoint
from extract.backbones.pe_av.checkpoint import INDEX, WEIGHTS, expected_shapes, twin
from extract.backbones.pe_av.config import Pictures, model_config
from extract.backbones.pe_av.names import CHECKPOINTS
from extract.backbones.weights import quiet
from tests.pe_av_models import PUBLISHED, SIDE, make_pe_av

FRAMES = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
WAVES = torch.randn(2, 1920 * 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pe_av(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture
def own(weights: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(weights, tmp_path / "own"))


def embeddings(folder: Path, name: str = "pe_av") -> list[Tensor]:
    found = load_backbone(name, folder)
    return [found.encode_frames(FRAMES), found.encode_audio(WAVES), found.encode_visual_text(["a dog", "a yak"])]


def refused(folder: Path, name: str = "pe_av") -> str:
    with pytest.raises(ExtractError) as caught:
        load_backbone(name, folder)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 600
    return line


@pytest.mark.parametrize(
    ("size", "billions", "width"), [("small", 0.847, 768), ("base", 1.034, 1024), ("large", 2.235, 1792)]
)
def test_tensors_of_published_models(size: str, billions: float, width: int, tmp_path: Path) -> None:
    """As many weights as the published files have, each counted once however many names it has."""
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED[size]))
    with quiet():
        expected = expected_shapes(model_config(tmp_path))
    distinct = {twin(name): shape for name, shape in expected.items()}
    assert all(shape == distinct[twin(name)] for name, shape in expected.items())
    assert sum(map(math.prod, distinct.values())) / 1e9 == pytest.approx(billions, abs=5e-4)
    parts = {name.partition(".")[0] for name in distinct if "." in name}
    assert parts == {
        "text_model", "audio_model", "video_model", "audio_video_encoder", "audio_video_head", "text_audio_video_head",
        "audio_plus_text_head", "video_plus_text_head",
    }  # fmt: skip
    video = "video_model.video_encoder"
    assert distinct[f"{video}.embedder.proj.weight"] == (width, 1024)
    assert distinct[f"{video}.embedder.vision_model.timm_model.head.weight"] == (1024, 1024)
    assert distinct["audio_model.audio_encoder.embedder.data_proj.weight"] == (width, 128)
    assert distinct["text_model.layers.21.mlp.Wo.weight"] == (1024, 2624)
    for head in ("audio_model.audio_head", "video_model.video_head", "audio_video_head"):
        assert distinct[f"{head}.proj.weight"] == (1024, width)
    assert not [name for name in distinct if "inv_freq" in name or "rope" in name]


def test_the_file_has_each_tensor_once(weights: Path) -> None:
    """What transformers writes of the model is what is expected of a file."""
    with quiet():
        expected = {twin(name) for name in expected_shapes(model_config(weights))}
    assert {twin(name) for name in load_file(weights / WEIGHTS)} == expected


def test_every_name_of_a_tensor_will_do(weights: Path, own: Path) -> None:
    """A file with all copies, as transformers 5.0 writes it, and one whose copies are those of the last names."""
    state = load_file(own / WEIGHTS)
    with quiet():
        names = list(expected_shapes(model_config(own)))
    every = {name: state[twin(name)].clone() for name in names}
    save_file(every, own / WEIGHTS)
    expected = embeddings(weights)
    for found, value in zip(embeddings(own), expected, strict=True):
        assert found.equal(value)
    last = {twin(name): name for name in names}
    save_file({name: every[name] for name in last.values()}, own / WEIGHTS)
    for found, value in zip(embeddings(own), expected, strict=True):
        assert found.equal(value)


def test_several_files(weights: Path, own: Path) -> None:
    state = load_file(own / WEIGHTS)
    (own / WEIGHTS).unlink()
    names = sorted(state)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, some in parts.items():
        save_file({name: state[name] for name in some}, own / file)
    index = {"weight_map": {name: file for file, some in parts.items() for name in some}}
    (own / INDEX).write_text(json.dumps(index))
    for found, value in zip(embeddings(own), embeddings(weights), strict=True):
        assert found.equal(value)
    facts = load_backbone("pe_av", own).attributes()["pe_av"]
    assert [len(each) for each in facts["sha256"]] == [64, 64]
    (own / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors: no weights can be read from it" in refused(own)
    (own / INDEX).write_text("{}")
    assert f"{INDEX}: names no files of weights" in refused(own)


def test_weights_in_half(own: Path, weights: Path) -> None:
    state = {name: tensor.bfloat16() for name, tensor in load_file(own / WEIGHTS).items()}
    save_file(state, own / WEIGHTS)
    for found, value in zip(embeddings(own), embeddings(weights), strict=True):
        assert found.dtype == torch.float32
        assert not found.equal(value)
        torch.testing.assert_close(found, value, atol=0.2, rtol=0)


def spoilt(folder: Path, change: Any) -> None:
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS)


def test_tensors_that_do_not_fit(own: Path) -> None:
    name = "audio_video_head.proj.weight"
    spoilt(own, lambda state: state.pop(name))
    assert f"{WEIGHTS}: lacks tensor {name}; config.json and weights must be of one PE-AV model" in refused(own)
    spoilt(own, lambda state: state.update({name: torch.zeros(3, 4)}))
    assert f"tensor {name} is (3, 4), but by config.json it is (20, 24)" in refused(own)
    spoilt(
        own, lambda state: state.update({name: torch.zeros(20, 24), "more.weight": torch.zeros(1), "z": torch.zeros(1)})
    )
    assert "holds an unknown tensor more.weight and 1 more" in refused(own)
    save_file({"logit_scale": torch.zeros(1)}, own / WEIGHTS)
    assert "lacks tensor" in refused(own)


def test_files_that_are_missing_or_damaged(own: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert f"no {WEIGHTS} in" in refused(tmp_path / "nothing")
    for name, said in (("tokenizer.json", "no tokenizer.json in"), ("config.json", "no config.json in")):
        kept = (own / name).read_bytes()
        (own / name).unlink()
        assert said in refused(own)
        (own / name).write_text("{")
        assert f"{name}: cannot be" in refused(own)
        (own / name).write_bytes(kept)
    (own / WEIGHTS).write_bytes((own / WEIGHTS).read_bytes()[:1000])
    assert f"{WEIGHTS}: no weights can be read from it" in refused(own)


@pytest.mark.parametrize("kind", ["clap", "pe_audio", None])
def test_another_model(own: Path, kind: str | None) -> None:
    (own / "config.json").write_text(json.dumps({"model_type": kind}))
    line = refused(own)
    assert f"of a model of type {kind!r}, not 'pe_audio_video'" in line
    assert "facebook/pe-av-large" in line


def test_sizes_that_make_no_model(own: Path) -> None:
    told = json.loads((own / "config.json").read_text())
    told["audio_video_config"]["audio_config"]["hidden_size"] = "wide"
    (own / "config.json").write_text(json.dumps(told))
    assert "config.json: " in refused(own)
    del told["audio_video_config"]
    (own / "config.json").write_text(json.dumps(told))
    assert "config.json: cannot be used" in refused(own)


def test_frames_of_a_window(own: Path, tmp_path: Path) -> None:
    assert load_backbone("pe_av", own).frames_per_window == 8
    line = refused(own, "pe_av_base_16_frame")
    assert "video_preprocessor_config.json: num_frames is None, not 16: these are no weights of" in line
    assert "`backbone='pe_av'` takes those of any PE-AV" in line
    of_16 = make_pe_av(tmp_path / "16", frames=16)
    for name in ("pe_av", "pe_av_16_frame", "pe_av_small_16_frame"):
        assert load_backbone(name, of_16).frames_per_window == 16
        assert load_backbone(name, of_16).name == name


def test_processors_files(own: Path) -> None:
    path = own / "video_preprocessor_config.json"
    told = json.loads(path.read_text())
    for change in ({"size": {"height": 64, "width": 64}}, {"size": {"shortest_edge": 28}}, {"resample": 3},
                   {"image_std": [0, 1, 1]}, {"num_frames": 1000}):  # fmt: skip
        path.write_text(json.dumps(told | change))
        assert "video_preprocessor_config.json: " in refused(own)
    path.unlink()
    (own / "processor_config.json").write_text(json.dumps({"video_processor": told | {"num_frames": 16}}))
    assert load_backbone("pe_av", own).frames_per_window == 16
    (own / "processor_config.json").unlink()
    assert Pictures.of(own) == Pictures(336, (0.5,) * 3, (0.5,) * 3, 0)  # the published models'
    assert "pictures of 336 pixels, but the encoder takes 28" in refused(own)


def test_packages_that_are_missing(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "find_spec", lambda name: None)
    assert refused(own) == "pe_av needs timm, which has its encoder of pictures: pip install timm"
    monkeypatch.undo()
    monkeypatch.setattr(checkpoint, "version", lambda name: "4.57.3")
    assert refused(own) == "pe_av needs transformers 5.0 or later, here is 4.57.3: pip install -U transformers"


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_hub(name: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = CHECKPOINTS[name].repository
    with pytest.raises(
        ExtractError, match=f"no weights of {repository} here, nor a model hub: place them as all files"
    ):
        load_backbone(name)
    home = tmp_path / f"models--{repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("0" * 40)
    source = make_pe_av(tmp_path / "16", frames=16) if CHECKPOINTS[name].frames else weights
    shutil.copytree(source, home / "snapshots" / ("0" * 40))
    found = load_backbone(name)
    assert (found.name, found.frames_per_window) == (name, CHECKPOINTS[name].frames or 8)


def test_names() -> None:
    assert [name for name in backbone_names() if name.startswith("pe_av")] == sorted(CHECKPOINTS)
    for name, published in CHECKPOINTS.items():
        info = describe_backbone(name)
        assert info.checkpoints == (published.repository,)
        assert (info.visual_dim, info.audio_dim, info.installed) == (1024, 1024, True)
        assert "timm" in info.modules
        assert not info.licence
