"""The worked example of docs/backbones.md: installed as a package of its own, found by name, used from end to end."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from extract import ExtractError
from extract.backbones import describe_backbone, load_backbone
from feature_cache import FeatureCache
from tests.command import AV2A
from tests.media import make_video, tone

PAGE = (Path(__file__).parents[2] / "docs" / "backbones.md").read_text()
PITCHES = {"red": 200.0, "green": 1000.0, "blue": 3000.0}


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    """The page's code by language."""
    return dict(re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def site(blocks: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages that holds the example."""
    folder = tmp_path_factory.mktemp("plugin")
    source = folder / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(blocks["toml"])
    (source / "av2a_colours.py").write_text(blocks["python"])
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder / "site"), str(source)]
    subprocess.run(command, check=True, timeout=3600)
    return folder / "site"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of one colour and one pitch, and labels."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "clips").mkdir()

    def painted(place: int) -> Any:
        def paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
            frame = np.zeros((height, width, 3), dtype=np.uint8)
            frame[..., place] = 220
            return frame

        return paint

    for place, (colour, pitch) in enumerate(PITCHES.items()):
        make_video(
            folder / "clips" / f"{colour}.mp4", frames=20, fps=2, sound=tone(10, 16_000, 1, pitch), paint=painted(place)
        )
    (folder / "labels.txt").write_text("red low\ngreen middle\nblue high\n")
    return folder


def run(words: str, cwd: Path, site: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [str(AV2A), *shlex.split(words)[1:]]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_is_short(blocks: dict[str, str]) -> None:
    assert len(blocks["python"].splitlines()) < 60


def test_its_commands(blocks: dict[str, str], clips: Path, site: Path) -> None:
    printed = [run(line, clips, site) for line in blocks["sh"].strip().splitlines()]
    assert "colours and pitches" in printed[0]
    assert "av2a-colours" in printed[0]
    cache = FeatureCache.open(clips / "features.zarr")
    assert (cache.backbone, cache.visual_dim, cache.attributes["colours"]) == ("colours", 3, {"version": 1})
    events = json.loads((clips / "events.json").read_text())["events"]
    found = {(event["clip"], event["stream"], event["label"]) for event in events}
    for colour, label in zip(PITCHES, ("red low", "green middle", "blue high"), strict=True):
        assert (colour, "visual", label) in found
        assert (colour, "audio", label) in found
    assert {clip for clip, _, _ in found} == set(PITCHES)
    assert len({(clip, label) for clip, _, label in found}) == 3


def test_a_package_that_cannot_be_imported(site: Path, clips: Path, tmp_path: Path) -> None:
    broken = tmp_path / "site"
    (broken / "av2a_broken-1.0.dist-info").mkdir(parents=True)
    (broken / "av2a_broken-1.0.dist-info" / "METADATA").write_text("Name: av2a-broken\nVersion: 1.0\n")
    (broken / "av2a_broken-1.0.dist-info" / "entry_points.txt").write_text("[av2a.backbones]\nbroken = nowhere:load\n")
    environment = {**os.environ, "PYTHONPATH": str(broken)}
    for words, code in (
        (["backbones", "--json"], 0),
        (["extract", "clips", "--backbone", "broken", "-o", "x.zarr"], 1),
    ):
        done = subprocess.run(
            [str(AV2A), *words], cwd=clips, env=environment, capture_output=True, text=True, timeout=3600, check=False
        )
        assert done.returncode == code
        assert "Traceback" not in done.stderr
        assert "No module named 'nowhere'" in done.stdout + done.stderr


def test_unknown_names() -> None:
    for ask in (load_backbone, describe_backbone):
        with pytest.raises(ExtractError, match=r"unknown backbone 'nope': use one of clip_clap, "):
            ask("nope")
