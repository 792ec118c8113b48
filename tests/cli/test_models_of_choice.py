"""`--image-model` and `--audio-model`: extraction, what goes on with it, labels, settings; the list of image models."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from feature_cache import FeatureCache
from tests.command import av2a
from tests.image_models import make_image_model
from tests.media import make_video

NAME = "clip_clap:hf-hub:somebody/tiny-siglip+laion/larger_clap_general"
FIVE = ("--alpha", 0.5, "--filter-threshold", 0.3, "--threshold-stage1", 0.6, "--threshold-stage2", 0.6, "--gamma", 1)


@pytest.fixture(scope="module")
def home(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips, labels, a hub's cache with an image model and a CLAP, and the same in folders."""
    home = tmp_path_factory.mktemp("choice")
    (home / "videos").mkdir()
    for name in ("a", "b"):
        make_video(home / "videos" / f"{name}.mp4", frames=20, fps=2)
    (home / "mine.txt").write_text("Cat\nDog\nYak\n")
    image = make_image_model(home / "tiny-siglip", "tiny-siglip")
    clap = Path(shutil.copytree(checkpoint / "clap", home / "clap"))
    for repository, folder in (("somebody/tiny-siglip", image), ("laion/larger_clap_general", clap)):
        place = home / "hub" / f"models--{repository.replace('/', '--')}"
        shutil.copytree(folder, place / "snapshots" / "0123")
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text("0123")
    return home


def offline(home: Path) -> dict[str, str]:
    return {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(home / "hub"), "HF_HOME": str(home / "hf")}


@pytest.fixture(scope="module")
def extracted(home: Path) -> Path:
    """The clips' cache, by models of the hub."""
    done = av2a(
        "extract", "videos", "--image-model", "hf-hub:somebody/tiny-siglip",
        "--audio-model", "laion/larger_clap_general", "--labels", "ave", "--device", "cpu", cwd=home, env=offline(home),
    )  # fmt: skip
    assert done.code == 0, done.err
    return home / "features.zarr"


def test_the_cache_names_its_models(extracted: Path, home: Path) -> None:
    """A later run finds them by it; one of others is refused."""
    cache = FeatureCache.open(extracted)
    assert (cache.backbone, cache.visual_dim, cache.audio_dim) == (NAME, 96, 20)
    assert cache.attributes["clip"]["model"] == "hf-hub:somebody/tiny-siglip"
    assert cache.attributes["clip"]["vectors"] == "unit length"
    assert cache.attributes["clip"]["resize_mode"] == "squash"
    assert cache.attributes["clap"]["model"] == "laion/larger_clap_general"
    again = av2a("extract", "videos", "--labels", "ave", "--device", "cpu", cwd=home, env=offline(home))
    assert (again.code, again.out.count("2 of them were there before")) == (0, 1), again.err
    other = av2a(
        "extract", "videos", "--image-model", "hf-hub:somebody/tiny-siglip", "--audio-model", "local-dir:clap",
        "--device", "cpu", cwd=home, env=offline(home),
    )  # fmt: skip
    assert other.code == 1
    assert (
        f"made differently (backbone '{NAME}', now 'clip_clap:hf-hub:somebody/tiny-siglip+local-dir:clap')" in other.err
    )
    done = av2a("info", "--json", cwd=home)
    assert done.json()["backbone"] == NAME


def test_labels_by_the_same_models(extracted: Path, home: Path) -> None:
    env = offline(home)
    done = av2a("text", "--labels", "mine.txt", "--name", "mine", cwd=home, env=env)
    assert done.code == 0, done.err
    words = [sys.executable, "-P", "-m", "extract.label_worker", "features.zarr"]
    asked = json.dumps({"labels": ["Cat", "Dog", "Yak"], "name": "theirs"})
    worker = subprocess.run(
        words, cwd=home, env={**os.environ, **env}, input=f"{asked}\n", capture_output=True, text=True, check=True
    )
    assert [json.loads(line).get("labels", "-") for line in worker.stdout.splitlines()] == ["-", 3]
    cache = FeatureCache.open(extracted)
    first, second = cache.text("mine"), cache.text("theirs")
    assert first.visual.tobytes() == second.visual.tobytes()
    assert first.audio.tobytes() == second.audio.tobytes()


def test_nothing_is_published_for_them(extracted: Path, home: Path) -> None:
    done = av2a("score", "--text", "ave", "-o", "none.json", cwd=home)
    assert done.code == 1
    assert f"no published settings for backbone '{NAME}'" in done.err
    assert "give alpha, filter_threshold, threshold_stage1, threshold_stage2, gamma too" in done.err
    done = av2a("score", "--text", "ave", "-o", "events.json", *FIVE, cwd=home)
    assert done.code == 0, done.err
    assert json.loads((home / "events.json").read_text())["cache"]["backbone"] == NAME


def test_models_in_folders(home: Path) -> None:
    """Where a folder is, a cache does not say: who adds labels says it again."""
    models = ("--image-model", f"local-dir:{home / 'tiny-siglip'}", "--audio-model", f"local-dir:{home / 'clap'}")
    done = av2a("extract", "videos", "-o", "local.zarr", *models, "--device", "cpu", cwd=home, env=offline(home))
    assert done.code == 0, done.err
    assert FeatureCache.open(home / "local.zarr").backbone == "clip_clap:local-dir:tiny-siglip+local-dir:clap"
    (home / "below").mkdir()
    words = ("text", home / "local.zarr", "--labels", home / "mine.txt", "--name", "mine")
    done = av2a(*words, cwd=home / "below", env=offline(home))
    assert done.code == 1
    assert (
        done.err == "Error: tiny-siglip has no open_clip_config.json: name its folder, --image-model local-dir:PATH\n"
    )
    done = av2a(*words, *models, cwd=home / "below", env=offline(home))
    assert done.code == 0, done.err


def test_a_name_that_is_none(home: Path) -> None:
    done = av2a("extract", "videos", "-o", "no.zarr", "--image-model", "ViT-B-16-SigLP2", cwd=home)
    assert done.code == 1
    assert "has no image model 'ViT-B-16-SigLP2' (nearest: ViT-B-16-SigLIP2" in done.err
    assert done.err.endswith("`av2a backbones --image-models` lists them\n")
    done = av2a("extract", "videos", "-o", "no.zarr", "--image-model", "ViT-B-32", cwd=home)
    assert (
        "Error: --image-model ViT-B-32:TAG needs one of its tags, or --checkpoint DIR its weights: openai," in done.err
    )
    done = av2a("extract", "videos", "-o", "no.zarr", "--backbone", "clipclap", cwd=home)
    assert "unknown backbone 'clipclap' (nearest: clip_clap): use one of" in done.err
    done = av2a(
        "extract", "videos", "-o", "no.zarr", "--backbone", "tiny", "--image-model", "ViT-B-32:openai", cwd=home
    )
    assert "backbone 'tiny' takes no image or audio model of choice: use --backbone clip_clap" in done.err
    assert not (home / "no.zarr").exists()


def test_the_list_of_image_models(home: Path) -> None:
    every = av2a("backbones", "--image-models", "--json", cwd=home).json()
    assert every["ViT-SO400M-16-SigLIP2-384"] == {
        "name": "ViT-SO400M-16-SigLIP2-384", "tags": ["webli"], "dim": 1152, "height": 384, "width": 384,
    }  # fmt: skip
    lines = av2a("backbones", "--image-models", "so400m-16-siglip2", cwd=home).out.splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["ViT-SO400M-16-SigLIP2-256", "1152", "256", "webli"],
        ["ViT-SO400M-16-SigLIP2-384", "1152", "384", "webli"],
        ["ViT-SO400M-16-SigLIP2-512", "1152", "512", "webli"],
    ]
    none = av2a("backbones", "--image-models", "nothing of the kind", cwd=home)
    assert (none.code, none.err) == (1, "Error: no image model has 'nothing of the kind' in its name or tags\n")
    assert "PATTERN goes with --image-models" in av2a("backbones", "siglip", cwd=home).err
