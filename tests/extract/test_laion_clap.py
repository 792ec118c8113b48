"""`clip_laion_clap`: the same weights on both roads, av2a from clips to events. Needs laion_clap: make test-laion."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from feature_cache import FeatureCache
from tests.command import COMPILING, av2a, refusal
from tests.laion_models import make_hub
from tests.media import make_video, tone

pytestmark = pytest.mark.skipif(importlib.util.find_spec("laion_clap") is None, reason="laion_clap is not installed")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An HF_HOME with all that the package asks for; not to be changed."""
    return make_hub(tmp_path_factory.mktemp("hub"))


@pytest.fixture(autouse=True)
def offline(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the processes started here see of the model hub."""
    monkeypatch.setenv("HF_HOME", str(hub))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def weights(hub: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clip/, clap/made.pt of the package's own model with random weights, and their embeddings."""
    folder = tmp_path_factory.mktemp("weights")
    shutil.copytree(checkpoint / "clip", folder / "clip")
    done = subprocess.run(
        [sys.executable, "-m", "tests.laion_embeddings", str(folder)],
        cwd=ROOT, env={**os.environ, "HF_HOME": str(hub), "HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    return folder


@pytest.fixture(scope="module")
def embeddings(weights: Path) -> dict[str, NDArray[np.float32]]:
    with np.load(weights / "embeddings.npz") as stored:
        return {name: stored[name] for name in stored}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name, pitch in (("low", 200), ("high", 1900)):
        make_video(folder / f"{name}.mp4", frames=20, fps=2, sound=tone(10, 16_000, 1, pitch))
    (folder / "labels.txt").write_text("Dog\nTrain horn\nYak\n")
    return folder


def test_both_roads_agree(embeddings: dict[str, NDArray[np.float32]]) -> None:
    """The package by itself, our use of it, and ClapModel with the same weights, on the golden waveforms."""
    for kind, rows in (("audio", 6), ("text", 3)):
        expected = embeddings[f"package_{kind}"]
        assert expected.shape == (rows, 512)
        np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, rtol=1e-5)
        apart = np.abs(expected[:, None] - expected).max(axis=2)
        assert apart[~np.eye(rows, dtype=bool)].min() > 5e-4  # a tower that ignores its input would not do
        np.testing.assert_allclose(embeddings[f"tower_{kind}"], expected, atol=1e-6, rtol=0)
        np.testing.assert_allclose(embeddings[f"ours_{kind}"], expected, atol=1e-4, rtol=0)


def test_half_precision_stays_near(embeddings: dict[str, NDArray[np.float32]]) -> None:
    for kind in ("audio", "text"):
        exact, halved = embeddings[f"tower_{kind}"], embeddings[f"halved_{kind}"]
        assert halved.dtype == np.float32
        assert not np.array_equal(exact, halved)
        assert (exact * halved).sum(axis=1).min() > 0.99


def test_fixed_and_random_cuts(embeddings: dict[str, NDArray[np.float32]]) -> None:
    assert embeddings["centre"] == 10_000
    first, second = embeddings["random"]
    assert first == second
    assert first not in (0, 10_000)


def test_traces_of_the_import(embeddings: dict[str, NDArray[np.float32]]) -> None:
    assert embeddings["path_kept"]
    np.testing.assert_allclose(embeddings["text_alone"][0], embeddings["tower_text"][1], atol=1e-6)


def test_clips_to_events(weights: Path, clips: Path, tmp_path: Path) -> None:
    done = av2a(
        "extract", clips, "--backbone", "clip_laion_clap", "--checkpoint", weights, "--device", "cpu",
        "--output", "package.zarr", "--dtype", "float32", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    done = av2a(
        "extract", clips, "--backbone", "clip_clap", "--checkpoint", weights, "--device", "cpu",
        "--clap-checkpoint", weights / "clap" / "made.pt",
        "--output", "ours.zarr", "--dtype", "float32", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    package, ours = (FeatureCache.open(tmp_path / f"{name}.zarr") for name in ("package", "ours"))
    assert (package.backbone, ours.backbone) == ("clip_laion_clap", "clip_clap")
    theirs, found = package.read(), ours.read()
    np.testing.assert_array_equal(found.image, theirs.image)
    np.testing.assert_allclose(found.audio, theirs.audio, atol=1e-4, rtol=0)
    assert np.abs(theirs.audio[0] - theirs.audio[1]).max() > 1e-3
    for name in ("package", "ours"):
        done = av2a("score", f"{name}.zarr", "--output", f"{name}.json", cwd=tmp_path)
        assert done.code == 0, done.err.replace(COMPILING, "")
        assert (tmp_path / f"{name}.json").is_file()


def test_what_the_hub_does_not_give(
    weights: Path, clips: Path, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("extract", clips, "--backbone", "clip_laion_clap", "--device", "cpu")
    assert "timm/vit_base_patch32" in refusal(*words, cwd=tmp_path)
    partial = shutil.copytree(hub, tmp_path / "hub")
    shutil.rmtree(partial / "hub" / "models--bert-base-uncased")
    monkeypatch.setenv("HF_HOME", str(partial))
    line = refusal(*words, "--checkpoint", weights, cwd=tmp_path)
    assert "laion_clap needs bert-base-uncased (vocab.txt, config.json) from the model hub" in line
    assert "roberta" not in line
    assert f"bring that HF_HOME here (it is {partial})" in line


def test_other_checkpoints_are_refused(weights: Path, clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights / "clip", folder / "clip")
    words = ("extract", clips, "--backbone", "clip_laion_clap", "--checkpoint", folder, "--device", "cpu")
    assert "has no .pt in clap/" in refusal(*words, cwd=tmp_path)
    stored = torch.load(weights / "clap" / "made.pt", weights_only=False)
    (folder / "clap").mkdir()
    del stored["state_dict"]["module.audio_projection.2.bias"]
    torch.save(stored, folder / "clap" / "less.pt")
    assert "less.pt: 1 tensors are missing (audio_projection.2.bias)" in refusal(*words, cwd=tmp_path)
    stored["state_dict"]["module.audio_branch.patch_embed.proj.weight"] = torch.zeros(7, 1, 4, 4)
    torch.save(stored, folder / "clap" / "less.pt")
    assert "is none of HTSAT-tiny" in refusal(*words, cwd=tmp_path)


IMPORT = "from extract.backbones.clip_clap.laion_tower import import_package; print(import_package().CLAP_Module)"


def test_modules_of_the_same_names(tmp_path: Path) -> None:
    """One in the working folder is not taken for a part of the package; one already imported is named."""
    (tmp_path / "clap_module.py").write_text("raise ValueError")
    (tmp_path / "hook.py").write_text("raise ValueError")
    run: dict[str, Any] = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", IMPORT], **run)
    assert "laion_clap.hook.CLAP_Module" in done.stdout, done.stderr
    (tmp_path / "clap_module.py").write_text("")
    done = subprocess.run([sys.executable, "-c", f"import clap_module; {IMPORT}"], **run)
    assert f"beside the module clap_module of {tmp_path / 'clap_module.py'}" in done.stderr
