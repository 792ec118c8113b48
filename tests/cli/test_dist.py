"""What is released: an sdist and a wheel, and the wheel in an environment of its own, without PyTorch."""

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.golden_scoring import GoldenSet

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make dist` has made, or one like it."""
    if "AV2A_DIST" in os.environ:
        return Path(os.environ["AV2A_DIST"])
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that holds the wheel without extras."""
    place = tmp_path_factory.mktemp("scorer") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    wheel = next(dist.glob("*.whl"))
    subprocess.run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    return place / "bin"


def test_what_they_hold(dist: Path) -> None:
    assert sorted(path.name for path in dist.iterdir() if path.suffix in (".whl", ".gz")) == [
        f"av2a-{VERSION}-py3-none-any.whl",
        f"av2a-{VERSION}.tar.gz",
    ]
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"av2a_cli.py", "extract", "feature_cache", "score", f"av2a-{VERSION}.dist-info"}
    for needed in (
        "score/published.json",
        "score/published_figures.json",
        "extract/labels/prompts.json",
        "extract/labels/llp.txt",
        "extract/backbones/tiny/weights/clip/open_clip_config.json",
        *(f"extract/checking/pictures/{name}" for name in ("cat.jpg", "coffee.jpg", "rocket.jpg", "LICENCES.md")),
        *(f"{package}/py.typed" for package in ("extract", "feature_cache", "score")),
    ):
        assert needed in names
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "av2a_cli.py"} <= inside
    assert not [name for name in inside if name.startswith(("tests", "benchmarks"))]


def test_scoring_needs_no_torch(installed: Path, tmp_path: Path) -> None:
    packages = subprocess.run(
        [str(installed / "python"), "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout
    assert "numba" in packages
    for name in ("torch", "transformers", "open_clip", "av=="):
        assert name not in packages
    GoldenSet.load("language_bind_llp").make_cache(tmp_path / "features.zarr")
    GoldenSet.write_annotations(tmp_path / "annotations")
    for words, said in (
        (["--version"], VERSION),
        (["--help"], "extract"),
        (["score", "--alpha", "0.5"], "events.json"),
        (["evaluate", "--annotations", "annotations", "--dataset", "llp"], "Type@AV"),
        (["info"], "language_bind"),
    ):
        command = [str(installed / "av2a"), *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"x")
    command = [str(installed / "av2a"), "extract"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: this command needs ")
    assert "pip install 'av2a[extract]'" in done.stderr
