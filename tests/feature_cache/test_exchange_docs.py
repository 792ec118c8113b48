"""docs/exchange.md: its examples work as they stand."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from feature_cache import NO_SOUND, FeatureCache
from tests.command import AV2A

PAGE = Path(__file__).parents[2] / "docs" / "exchange.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all blocks ran, in their order."""
    folder = tmp_path_factory.mktemp("docs")
    blocks = re.findall(r"```(python|sh)\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "sh"] * 5 + ["sh"]
    environment = {**os.environ, "PATH": f"{AV2A.parent}{os.pathsep}{os.environ['PATH']}"}
    for kind, text in blocks:
        command = [sys.executable, "-c", text] if kind == "python" else ["bash", "-e", "-c", text]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (text, done.stdout, done.stderr)
    return folder


def test_caches_hold_what_the_page_says(folder: Path) -> None:
    shapes = {
        "mine": ("image", "video", "audio"),
        "segments": ("image", "audio_segments"),
        "llp": ("image", "audio_segments"),
        "ave": ("image", "audio_segments"),
        "detector": ("visual_probability", "audio_probability"),
    }
    for name, arrays in shapes.items():
        cache = FeatureCache.open(folder / f"{name}.zarr")
        assert (cache.arrays, len(cache)) == (arrays, 6), name
    assert FeatureCache.open(folder / "segments.zarr").text().name == "words"
    assert FeatureCache.open(folder / "ave.zarr").audio_dim == 128
    llp = FeatureCache.open(folder / "llp.zarr")
    assert llp.missing().tolist() == [0, 0, 0, NO_SOUND, 0, 0]
    assert llp.clip_ids[3] == "video3"


def test_events_are_written(folder: Path) -> None:
    for name in ("mine", "segments", "detector"):
        assert json.loads((folder / f"{name}.json").read_text())


def test_export_and_back(folder: Path) -> None:
    assert FeatureCache.open(folder / "again.zarr").identity == FeatureCache.open(folder / "mine.zarr").identity
