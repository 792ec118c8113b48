"""`av2a backbones --check`: right weights pass, wrong ones are told apart, by every protocol of backbones."""

import importlib.util
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from extract import ExtractError
from extract.backbones import backbone_names
from extract.backbones.tiny.backbone import WEIGHTS
from extract.checking import photographs
from extract.checking.check import check_backbone
from extract.checking.kit import SECONDS, Kit, kit_of
from tests.command import av2a, refusal
from tests.imagebind_models import golden_imagebind
from tests.language_bind_models import make_language_bind
from tests.models import make_checkpoint
from tests.pe_av_models import make_pe_av
from tests.terminal import on_a_terminal


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("random") / "weights")


def test_right_weights(tmp_path: Path) -> None:
    done = av2a("backbones", "--check", "tiny", "--device", "cpu", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "tiny, cpu, float32"
    assert [line.split()[:3] for line in lines[3:9]] == [
        [label, by, "yes"]
        for labels in (("Bell", "Siren"), ("Helicopter", "Rain"), ("Fire", "Clock"))
        for label, by in zip(labels, ("picture", "sound"), strict=True)
    ]
    assert lines[-1] == "every right label wins"
    found = av2a("backbones", "--check", "tiny", "--device", "cpu", "--json", cwd=tmp_path).json()
    assert found["passed"]
    assert found["repeated"]
    assert f"fingerprint {found['fingerprint']} " in done.out
    assert set(found["verdicts"][0]["cosines"]) == set(kit_of("tiny").seen)
    assert found["facts"]["clip"]["origin"] == "packaged with av2a"
    assert found["clip_seconds"] > 0
    assert found["gpu_memory"] is None


def test_wrong_weights_of_one_side(random_weights: Path, tmp_path: Path) -> None:
    """Pictures are right, sounds by chance at most: the table says which."""
    shutil.copytree(WEIGHTS / "clip", tmp_path / "mixed" / "clip")
    shutil.copytree(random_weights / "clap", tmp_path / "mixed" / "clap")
    done = av2a("backbones", "--check", "tiny", "--checkpoint", "mixed", "--device", "cpu", "--json", cwd=tmp_path)
    assert done.code == 1
    found = done.json()
    assert not found["passed"]
    assert all(each["passed"] for each in found["verdicts"] if each["array"] == "image")
    assert not all(each["passed"] for each in found["verdicts"] if each["array"] == "audio")
    done = av2a("backbones", "--check", "tiny", "--checkpoint", "mixed", "--device", "cpu", cwd=tmp_path)
    assert done.code == 1
    assert " NO " in done.out
    assert done.out.splitlines()[-1].endswith(" of 6 right labels do not win")


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal(random_weights: Path, tmp_path: Path, columns: int) -> None:
    words = ("backbones", "--check", "clip_clap", "--checkpoint", str(random_weights), "--device", "cpu")
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", on_a_terminal(words, tmp_path, columns).decode())
    table = shown[shown.rindex("clip_clap, cpu") :].splitlines()
    assert max(map(len, table)) <= columns
    assert table[1].split() == ["right", "label", "by", "wins", "cosine", "probabilities"]


def test_photographs_through_a_video_encoder(tmp_path: Path) -> None:
    found = check_backbone("language_bind", make_language_bind(tmp_path / "weights"), device="cpu")
    assert [each.array for each in found.verdicts] == ["image", "video", "audio"] * 3
    assert [each.right for each in found.verdicts[::3]] == [("Cat",), ("Cup of coffee",), ("Rocket",)]
    assert found.repeated
    assert not found.passed


def test_photographs_through_shared_views(tmp_path: Path) -> None:
    found = check_backbone("imagebind", golden_imagebind(tmp_path / "weights"), device="cpu")
    assert [each.array for each in found.verdicts] == ["image", "video", "audio"] * 3
    assert len(found.notes) == 1
    assert "non-commercial" in found.notes[0]
    assert not found.passed


def test_photographs_with_a_joint_encoder(tmp_path: Path) -> None:
    words = ("backbones", "--check", "pe_av", "--checkpoint", make_pe_av(tmp_path / "weights"), "--device", "cpu")
    done = av2a(*words, cwd=tmp_path)
    assert done.code == 1
    assert "Cat or Siren" in done.out
    found = av2a(*words, "--json", cwd=tmp_path).json()
    assert [each["array"] for each in found["verdicts"]] == ["image", "video", "audio", "joint"] * 3
    assert found["verdicts"][3]["right"] == ["Cat", "Siren"]
    assert len(found["verdicts"][3]["cosines"]) == 16


def test_weights_that_give_no_numbers(random_weights: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = Path(shutil.copytree(random_weights, tmp_path / "broken"))
    file = broken / "clap" / "model.safetensors"
    tensors = load_file(file)
    tensors["audio_projection.linear2.bias"] *= float("nan")
    save_file(tensors, file, metadata={"format": "pt"})
    done = av2a(
        "backbones", "--check", "clip_clap", "--checkpoint", "broken", "--device", "cpu", "--json", cwd=tmp_path
    )
    assert done.code == 1
    if done.out:  # else extraction refuses them
        heard = [each for each in done.json()["verdicts"] if each["array"] == "audio"]
        assert not any(each["passed"] for each in heard)
        assert heard[0]["cosines"]["Rain"] is None


def test_refusals(tmp_path: Path) -> None:
    line = refusal("backbones", "--check", "clap_clip", cwd=tmp_path)
    assert "unknown backbone 'clap_clip'" in line
    assert "--checkpoint" in refusal("backbones", "--check", "imagebind", "--device", "cpu", cwd=tmp_path)
    assert "none is not there" in refusal("backbones", "--check", "tiny", "--checkpoint", "none", cwd=tmp_path)
    if importlib.util.find_spec("laion_clap") is None:
        line = refusal("backbones", "--check", "clip_laion_clap", cwd=tmp_path)
        assert line.endswith("pip install 'av2a[laion]'")
    line = refusal("backbones", "--precision", "float16", cwd=tmp_path, code=2)
    assert line.endswith("Error: --precision goes with --check NAME")


def test_a_kit_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for function in ("nothing", "_photograph", "SECONDS"):
        monkeypatch.setattr("extract.checking.kit._USUAL", f"extract.checking.photographs:{function}")
        with pytest.raises(ExtractError, match="'clip_clap': what it is checked with"):
            kit_of("clip_clap")


@pytest.mark.parametrize("name", ["clip_clap", "tiny"])
def test_what_a_kit_holds(name: str) -> None:
    kit = kit_of(name)
    assert name in backbone_names()
    assert len(kit.labels) == len({label.casefold() for label in kit.labels})
    for clip in kit.clips:
        assert clip.seen in kit.seen
        assert clip.heard in kit.heard
        picture, sound = clip.picture(), clip.sound()
        assert picture.dtype == np.uint8
        assert not any(side % 2 for side in picture.shape[:2])
        assert sound.shape == (SECONDS * 32_000,)
        assert 0.05 < np.abs(sound).max() <= 1


def test_pictures_are_small_and_their_origin_is_told() -> None:
    folder = Path(photographs.__file__).with_name("pictures")
    said = (folder / "LICENCES.md").read_text(encoding="utf-8")
    assert isinstance(photographs.kit(), Kit)
    for file in folder.glob("*.jpg"):
        assert file.stat().st_size <= 30_000
        assert f"`{file.name}`" in said
