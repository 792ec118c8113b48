"""Backbones: loading, prompts, determinism, precision, and what is said when weights are missing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from extract import ExtractError, backbone_names, load_backbone
from extract.backbones.clip_clap import backbone as clip_clap
from extract.backbones.clip_clap.log_mel import MelConfig
from extract.backbones.tiny import backbone as tiny
from extract.label_embeddings import encode_labels
from tests.extraction import heard
from tests.models import make_checkpoint

SEEDED = torch.Generator().manual_seed(3)
FRAMES = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=SEEDED)
WAVES = [torch.randn(n, generator=SEEDED) for n in (96_000, 0, 480_000, 500_000)]


@pytest.fixture
def broken(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint to damage."""
    return Path(shutil.copytree(checkpoint, tmp_path / "weights"))


def test_names() -> None:
    assert {"clip_clap", "tiny"} <= set(backbone_names())


def test_sizes(checkpoint: Path) -> None:
    backbone = load_backbone("clip_clap", checkpoint)
    assert (backbone.name, backbone.visual_dim, backbone.audio_dim) == ("clip_clap", 24, 20)
    assert (backbone.frames_per_window, backbone.sample_rate) == (8, 48_000)
    assert backbone.prepare_frames(FRAMES).shape == (5, 3, 32, 32)
    assert backbone.prepare_audio(WAVES).shape == (4, 1001, 64)
    assert load_backbone("tiny", checkpoint).name == "tiny"


def test_embeddings(checkpoint: Path) -> None:
    backbone = load_backbone("clip_clap", checkpoint)
    visual, audio = backbone.encode_frames(FRAMES), heard(backbone, WAVES)
    assert visual.shape == (5, 24)
    assert audio.shape == (4, 20)
    assert visual.dtype == audio.dtype == torch.float32
    assert torch.isfinite(visual).all()
    assert visual.norm(dim=1).sub(1).abs().min() > 0.1  # as the encoder gives them
    torch.testing.assert_close(audio.norm(dim=1), torch.ones(4))  # unit vectors
    again = load_backbone("clip_clap", checkpoint)
    assert torch.equal(again.encode_frames(FRAMES), visual)
    assert torch.equal(heard(again, WAVES), audio)


def test_model_inputs_are_the_official_ones(checkpoint: Path) -> None:
    """The same images and sounds through the libraries' own preprocessing."""
    import open_clip
    from transformers import ClapFeatureExtractor, ClapModel

    from extract.backbones.weights import quiet

    backbone = load_backbone("clip_clap", checkpoint)
    with quiet(), torch.inference_mode():
        model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{checkpoint / 'clip'}")
        mean = torch.tensor(model.visual.image_mean).view(3, 1, 1)
        std = torch.tensor(model.visual.image_std).view(3, 1, 1)
        expected = model.eval().encode_image((FRAMES / 255 - mean) / std)
        torch.testing.assert_close(backbone.encode_frames(FRAMES), expected, atol=1e-6, rtol=1e-5)
        clap = ClapModel.from_pretrained(checkpoint / "clap")
        extractor = ClapFeatureExtractor.from_pretrained(checkpoint / "clap")
        mel = extractor(WAVES[0].numpy(), sampling_rate=48_000, return_tensors="pt")["input_features"]
        expected = clap.eval().get_audio_features(mel).pooler_output
        torch.testing.assert_close(heard(backbone, WAVES[:1]), expected, atol=1e-5, rtol=1e-4)


def test_text(checkpoint: Path) -> None:
    backbone = load_backbone("clip_clap", checkpoint)
    text = encode_labels(backbone, ["Frying_(food)", "church bell"])
    assert text.prompts == {
        "visual": ["A Frying_(food)", "A church bell"],
        "audio": ["This is a sound of Frying_(food)", "This is a sound of church bell"],
    }
    assert text.visual.shape == (2, 24)
    assert text.audio.shape == (2, 20)
    np.testing.assert_allclose(np.linalg.norm(text.audio, axis=1), 1, rtol=1e-5)
    long = encode_labels(backbone, ["word " * 200, "b"])
    assert np.isfinite(long.visual).all()
    assert np.isfinite(long.audio).all()
    np.testing.assert_allclose(  # a label's embedding does not depend on the others
        encode_labels(backbone, ["church bell", "a much longer label than the other"]).audio[0],
        text.audio[1],
        atol=1e-6,
    )


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_stays_near(checkpoint: Path, precision: str) -> None:
    exact, half = load_backbone("clip_clap", checkpoint), load_backbone("clip_clap", checkpoint, "cpu", precision)
    frames = half.encode_frames(FRAMES)
    assert frames.dtype == torch.float32
    assert not torch.equal(frames, exact.encode_frames(FRAMES))
    torch.testing.assert_close(frames, exact.encode_frames(FRAMES), atol=0.05, rtol=0.05)
    torch.testing.assert_close(heard(half, WAVES), heard(exact, WAVES), atol=0.05, rtol=0.05)


def test_attributes_identify_the_weights(checkpoint: Path, tmp_path: Path) -> None:
    facts = load_backbone("clip_clap", checkpoint).attributes()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["clip"]["file"] == "open_clip_model.safetensors"
    assert facts["clap"]["log_mel"]["lowest"] == 50
    assert str(checkpoint.parent) not in json.dumps(facts)
    other = load_backbone("clip_clap", make_checkpoint(tmp_path / "other", seed=1)).attributes()
    assert other["clip"]["sha256"] != facts["clip"]["sha256"]
    assert other["clap"]["sha256"] != facts["clap"]["sha256"]


def test_openai_archive(broken: Path, checkpoint: Path) -> None:
    """ViT-B-32.pt is a TorchScript archive with three extra entries."""
    from safetensors.torch import load_file

    from extract.backbones.weights import quiet

    class Holder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, tensor in load_file(broken / "clip" / "open_clip_model.safetensors").items():
                home: torch.nn.Module = self
                *path, last = name.split(".")
                for part in path:
                    if not hasattr(home, part):
                        home.add_module(part, torch.nn.Module())
                    home = getattr(home, part)
                home.register_buffer(last, tensor)
            self.register_buffer("input_resolution", torch.tensor(32))

    with quiet():
        torch.jit.save(torch.jit.script(Holder()), str(broken / "clip" / "ViT-B-32.pt"))
    (broken / "clip" / "open_clip_model.safetensors").unlink()
    found = load_backbone("clip_clap", broken)
    assert found.attributes()["clip"]["file"] == "ViT-B-32.pt"
    assert torch.equal(found.encode_frames(FRAMES), load_backbone("clip_clap", checkpoint).encode_frames(FRAMES))


def test_plain_state_dict(broken: Path, checkpoint: Path) -> None:
    from safetensors.torch import load_file

    weights = broken / "clip" / "open_clip_model.safetensors"
    torch.save(load_file(weights), broken / "clip" / "ViT-B-32.pt")
    weights.unlink()
    found = load_backbone("clip_clap", broken).encode_frames(FRAMES)
    assert torch.equal(found, load_backbone("clip_clap", checkpoint).encode_frames(FRAMES))


class Bomb:
    """Pickles to a call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path("gone").touch, ("x",))


def test_nothing_is_unpickled(broken: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (broken / "clip" / "open_clip_model.safetensors").unlink()
    torch.save({"x": Bomb()}, broken / "clip" / "ViT-B-32.pt")
    with pytest.raises(ExtractError, match=r"ViT-B-32.pt: no weights can be read"):
        load_backbone("clip_clap", broken)
    make_checkpoint(tmp_path / "new")
    (tmp_path / "new" / "clap" / "model.safetensors").unlink()
    torch.save({"x": Bomb()}, tmp_path / "new" / "clap" / "pytorch_model.bin")
    with pytest.raises(ExtractError, match=r"pytorch_model.bin: cannot be loaded as CLAP"):
        load_backbone("clip_clap", tmp_path / "new")
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("clip", r"has no clip/: it needs DIR/clip/"),
        ("clap", r"has no clap/"),
        ("clip/open_clip_model.safetensors", r"no open_clip_model.safetensors or ViT-B-32.pt in .*clip"),
        ("clap/model.safetensors", r"no model.safetensors or pytorch_model.bin in .*clap"),
        ("clap/preprocessor_config.json", r"no preprocessor_config.json in .*clap"),
    ],
)
def test_missing_parts(broken: Path, path: str, said: str) -> None:
    gone = broken / path
    if gone.is_dir():
        shutil.rmtree(gone)
    else:
        gone.unlink()
    with pytest.raises(ExtractError, match=said) as caught:
        load_backbone("clip_clap", broken)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("clip/open_clip_model.safetensors", "cannot be loaded as CLIP"),
        ("clip/open_clip_config.json", "cannot be loaded as CLIP"),
        ("clap/model.safetensors", "cannot be loaded as CLAP"),
        ("clap/config.json", "cannot be loaded as CLAP"),
        ("clap/preprocessor_config.json", "preprocessor_config.json: cannot be used"),
    ],
)
def test_damaged_parts(broken: Path, path: str, said: str) -> None:
    damaged = broken / path
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(ExtractError, match=said) as caught:
        load_backbone("clip_clap", broken)
    assert "\n" not in str(caught.value)


def test_tensors_missing_from_clap(broken: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = broken / "clap" / "model.safetensors"
    tensors = load_file(weights)
    del tensors["audio_projection.linear1.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ExtractError, match=r"1 tensors are missing .*audio_projection.linear1.weight"):
        load_backbone("clip_clap", broken)


def test_weights_of_other_models_are_named(broken: Path, tmp_path: Path) -> None:
    """Tensors that are missing, that are not known, that have another shape."""
    from tests.image_models import make_image_model, weights_of

    other = make_image_model(tmp_path / "coca", "tiny-coca")
    clap = broken / "clap" / "model.safetensors"
    before = clap.read_bytes()
    shutil.copy(weights_of(other), clap)
    with pytest.raises(ExtractError, match=r"CLAP \(\d+ tensors are missing \(audio_.*, …\); \d+ tensors are unknown"):
        load_backbone("clip_clap", broken)
    clap.write_bytes(before)
    laion = tmp_path / "other.pt"
    torch.save({"b": torch.zeros(1), "a": torch.zeros(1)}, laion)
    with pytest.raises(ExtractError, match=r"no audio_branch tensors \(but a, b, …\)"):
        load_backbone("clip_clap", broken, clap_checkpoint=laion)
    shutil.copy(weights_of(other), broken / "clip" / "open_clip_model.safetensors")
    with pytest.raises(ExtractError, match=r"as CLIP \(\d+ tensors are missing \(.*unknown \(text\..*shape \(visual"):
        load_backbone("clip_clap", broken)


def test_other_models_are_refused(broken: Path) -> None:
    config = broken / "clip" / "open_clip_config.json"
    described = json.loads(config.read_text())
    config.write_text(json.dumps({**described, "preprocess_cfg": {"resize_mode": "squash"}}))
    with pytest.raises(ExtractError, match="is not CLIP's"):
        load_backbone("clip_clap", broken)


def test_the_checkpoints_own_front_end(broken: Path) -> None:
    config = broken / "clap" / "preprocessor_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "frequency_min": 0}))
    facts = load_backbone("clip_clap", broken).attributes()
    assert facts["clap"]["log_mel"]["lowest"] == 0
    assert MelConfig().lowest == 50


def test_no_weights_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_clap, "from_hub", lambda *_: None)
    with pytest.raises(ExtractError) as caught:
        load_backbone("clip_clap")
    for part in ("timm/vit_base", "laion/clap-htsat-unfused", "DIR/clip/", "DIR/clap/", "`checkpoint='DIR'`"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hub_cache_is_used_without_a_network(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    from extract.backbones.weights import from_hub

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert from_hub("laion/clap-htsat-unfused", ["model.safetensors"], ["config.json"]) is None
    commit = "0123456789" * 4
    home = tmp_path / "models--laion--clap-htsat-unfused"
    shutil.copytree(checkpoint / "clap", home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    folder = from_hub("laion/clap-htsat-unfused", ["model.safetensors"], ["config.json"])
    assert folder is not None
    assert folder.name == commit
    assert from_hub("laion/clap-htsat-unfused", ["pytorch_model.bin"]) is None


def test_tiny_without_its_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tiny, "WEIGHTS", tmp_path / "nothing")
    with pytest.raises(ExtractError, match="packaged weights"):
        load_backbone("tiny")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "nope"}, "unknown backbone 'nope': use one of .*clip_clap"),
        ({"name": "CLIP-clap"}, r"unknown backbone 'CLIP-clap' \(nearest: clip_clap\): use one of .*clip_clap"),
        ({"checkpoint": "nowhere"}, "checkpoint folder nowhere is not there"),
        ({"device": "tpu"}, "use auto, cpu, cuda or cuda:i"),
        ({"device": "cuda:x"}, "use auto, cpu, cuda or cuda:i"),
        ({"device": "cuda:99"}, "device 'cuda:99': PyTorch sees"),
        ({"precision": "int8"}, "use one of float32, float16, bfloat16"),
    ],
)
def test_refused_arguments(arguments: dict[str, str], said: str, checkpoint: Path) -> None:
    with pytest.raises(ExtractError, match=said):
        load_backbone(**{"name": "clip_clap", "checkpoint": str(checkpoint), **arguments})


@pytest.mark.skipif(not tiny.WEIGHTS.is_dir(), reason="the packaged weights are not made yet")
def test_packaged_weights() -> None:
    size = sum(path.stat().st_size for path in tiny.WEIGHTS.rglob("*") if path.is_file())
    assert size <= 10_000_000
    backbone = load_backbone("tiny")
    assert (backbone.name, backbone.default_labels) == ("tiny", "demo")
    assert torch.isfinite(backbone.encode_frames(backbone.prepare_frames(FRAMES))).all()
    assert encode_labels(backbone, ["Dog", "Cat"]).visual.shape == (2, backbone.visual_dim)
    assert encode_labels(backbone, ["Dog", "Cat"]).audio.shape == (2, backbone.audio_dim)
    assert backbone.attributes()["clip"]["origin"] == "packaged with av2a"
