"""The command line: help, defaults, tables, exit codes, one-line errors."""

import re
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from av2a_cli import main
from feature_cache import FeatureCache
from tests.command import COMPILING, av2a, refusal
from tests.golden_scoring import FIGURES, GoldenSet

COMMANDS = sorted(main.commands)


@pytest.fixture(scope="module")
def llp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache of golden features and LLP-style annotations."""
    folder = tmp_path_factory.mktemp("llp")
    GoldenSet.load("language_bind_llp").make_cache(folder / "features.zarr")
    GoldenSet.write_annotations(folder / "annotations")
    return folder


def test_help_is_light() -> None:
    code = (
        "import sys; from av2a_cli import main; main(['--help'], standalone_mode=False);"
        "print(sorted({'torch', 'numba', 'zarr', 'numpy', 'rich'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples(name: str) -> None:
    found = CliRunner().invoke(main, [name, "--help"])
    assert found.exit_code == 0
    assert re.search(rf"Examples:\n +av2a {name}", found.output)
    for parameter in main.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert max(parameter.opts, key=len) in found.output


def test_readme_names_every_command() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for name in COMMANDS:
        assert f"`av2a {name}" in readme


def test_score_without_arguments(llp: Path) -> None:
    done = av2a("score", "--alpha", "0.5", cwd=llp)
    assert done.code == 0, done.err
    assert "published for language_bind" in done.out
    assert "alpha=0.5 (given)" in done.out
    assert "threshold_stage1=0.75" in done.out
    assert re.search(r"\d+ events in 40 clips -> events\.json", done.out)
    assert done.err.replace(COMPILING, "") == ""
    first = (llp / "events.json").read_bytes()
    av2a("score", "--alpha", "0.5", "--threads", 1, cwd=llp)
    assert (llp / "events.json").read_bytes() == first


def test_score_then_evaluate(llp: Path) -> None:
    assert av2a("score", "-o", "e.json", cwd=llp).code == 0
    words = ("evaluate", "e.json", "--annotations", "annotations", "--dataset", "llp")
    table = av2a(*words, cwd=llp)
    assert table.code == 0, table.err
    assert "40 of 40 clips of the test split" in table.out
    found = av2a(*words, "--json", cwd=llp).json()
    golden = GoldenSet.load("language_bind_llp").published()["metrics"]["correct"]
    for name, value in golden.items():
        assert found["metrics"][FIGURES[name]] == pytest.approx(value, abs=1e-9)
    paper = av2a(*words, "--paper-protocol", cwd=llp)
    assert "paper protocol" in paper.out


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_other_formats(llp: Path, ending: str) -> None:
    done = av2a("score", "-o", f"events.{ending}", cwd=llp)
    assert done.code == 0, done.err
    assert list(llp.glob(f"events*.{ending}"))


def test_info(llp: Path) -> None:
    assert "language_bind" in av2a("info", cwd=llp).out
    facts = av2a("info", "--json", cwd=llp).json()
    assert facts["done"] == facts["clips"] == 40
    assert av2a("info", "--failed", "--json", cwd=llp).json() == {}


def test_nothing_to_score(tmp_path: Path) -> None:
    assert "av2a demo" in refusal("score", cwd=tmp_path)
    assert "av2a demo" in refusal("extract", cwd=tmp_path)
    assert "is not there" in refusal("score", "other.zarr", cwd=tmp_path)
    assert "is not there" in refusal("info", cwd=tmp_path)
    assert not list(tmp_path.iterdir())


def test_refused_scoring(llp: Path, tmp_path: Path) -> None:
    assert "not in the range" in refusal("score", "--alpha", "1.5", cwd=llp, code=2)
    assert "gamma" in refusal("score", "--gamma", "nan", cwd=llp)
    assert "no text set 'ave': it has llp" in refusal("score", "--text", "ave", cwd=llp)
    assert ".xml" in refusal("score", "-o", "events.xml", cwd=llp)
    (tmp_path / "wrong.toml").write_text("alpha = 0.5\nbeta = 1\n")
    assert "beta" in refusal("score", "--config", tmp_path / "wrong.toml", cwd=llp)
    (tmp_path / "broken.toml").write_text("alpha = = 1\n")
    assert "broken.toml" in refusal("score", "--config", tmp_path / "broken.toml", cwd=llp)


def test_settings_from_a_file(llp: Path, tmp_path: Path) -> None:
    (tmp_path / "best.toml").write_text("alpha = 0.25\ngamma = 1.5\n")
    done = av2a("score", "--config", tmp_path / "best.toml", "--gamma", 2, "-o", tmp_path / "e.json", cwd=llp)
    assert done.code == 0, done.err
    assert "alpha=0.25 " in done.out
    assert "gamma=2.0 (given)" in done.out


def test_nothing_done_yet(tmp_path: Path) -> None:
    cache = FeatureCache.create(
        tmp_path / "features.zarr", clip_ids=["a", "b"], backbone="tiny", visual_dim=4, audio_dim=4
    )
    cache.add_text("demo", labels=["x", "y"], visual=np.ones((2, 4)), audio=np.ones((2, 4)))
    assert "no clip that is done" in refusal("score", cwd=tmp_path)
    assert not (tmp_path / "events.json").exists()


def test_refused_evaluation(llp: Path, tmp_path: Path) -> None:
    av2a("score", cwd=llp)
    words = ("evaluate", "--annotations", "annotations", "--dataset", "llp")
    assert "AVVP_val_pd.csv" in refusal(*words, "--split", "val", cwd=llp)
    assert "other.json" in refusal("evaluate", "other.json", *words[1:], cwd=llp)
    (tmp_path / "events.json").write_text('{"format": "something"}')
    assert "events.json" in refusal("evaluate", tmp_path / "events.json", *words[1:], cwd=llp)
