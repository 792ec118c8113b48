"""Stage 2 where PyTorch is not installed: `pip install av2a` alone, in an environment of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden_scoring import GoldenSet

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that holds av2a without extras."""
    place = tmp_path_factory.mktemp("scorer") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    subprocess.run(
        [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", str(ROOT)], check=True, timeout=3600
    )
    return place / "bin"


@pytest.mark.slow
def test_scoring_needs_no_torch(scorer: Path, tmp_path: Path) -> None:
    packages = subprocess.run(
        [str(scorer / "python"), "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout
    assert "numba" in packages
    for name in ("torch", "transformers", "open_clip", "av=="):
        assert name not in packages
    GoldenSet.load("language_bind_llp").make_cache(tmp_path / "features.zarr")
    GoldenSet.write_annotations(tmp_path / "annotations")
    for words in (
        ["score", "--alpha", "0.5"],
        ["evaluate", "--annotations", "annotations", "--dataset", "llp"],
        ["info"],
    ):
        done = subprocess.run([str(scorer / "av2a"), *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"x")
    done = subprocess.run([str(scorer / "av2a"), "extract"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: this command needs ")
    assert "pip install 'av2a[extract]'" in done.stderr


def test_scoring_imports_no_torch() -> None:
    code = (
        "import sys; from score import Annotations, Events, evaluate, score; import score.tuning.sweeper;"
        "print(sorted({'torch', 'transformers', 'open_clip', 'av', 'extract'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
