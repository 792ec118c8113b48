"""`av2a compare` as a process: the table, JSON, pictures, Ctrl-C, refusals."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.command import av2a, refusal
from tests.golden_scoring import GoldenSet
from tests.killing import Nursery

WORDS = ("compare", "--annotations", "annotations", "--dataset", "llp")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    GoldenSet.load("language_bind_llp").make_cache(folder / "features.zarr")
    GoldenSet.write_annotations(folder / "annotations")
    lines = (folder / "annotations" / "AVVP_test_pd.csv").read_text().splitlines()
    (folder / "annotations" / "AVVP_val_pd.csv").write_text("\n".join([lines[0], *lines[1:16]]) + "\n")
    (folder / "annotations" / "AVVP_test_pd.csv").write_text("\n".join([lines[0], *lines[16:]]) + "\n")
    return folder


@pytest.fixture
def place(source: Path, tmp_path: Path) -> Path:
    for name in ("features.zarr", "annotations"):
        shutil.copytree(source / name, tmp_path / name)
    return tmp_path


def test_tuned_alike_and_printed(place: Path) -> None:
    words = (*WORDS, "--tune", "--samples", 16, "--rules", "av2a,exchange,threshold", "--sound", "windows")
    done = av2a(*words, "-o", "rules.json", "--plot", "pictures", cwd=place)
    assert done.code == 0, done.err
    assert "25 of 25 clips of the test split, 95 % intervals over clips" in done.out
    facts = json.loads((place / "rules.json").read_text())
    assert [(row["rule"], row["settings_tried"]) for row in facts["rules"]] == [
        ("av2a", 16), ("exchange", 16), ("threshold", 16),
    ]  # fmt: skip
    assert all(row["settings"]["sound"] == "windows" for row in facts["rules"])
    for row in facts["rules"]:
        figure = row["figures"]["segment-type-av"]
        assert f"{figure['value']:.1f} [{figure['low']:.1f}, {figure['high']:.1f}]" in done.out
        tuned = row["figures_tuned"]["segment-type-av"]["value"]
        assert f"(16 settings on val: {tuned:.1f})" in done.out
    assert (place / "pictures" / "rules.png").read_bytes().startswith(b"\x89PNG")
    assert "written: pictures" in done.out.replace("\\", "/")


def test_settings_of_files_are_those_of_scoring(place: Path) -> None:
    """Frozen: the figures of `av2a score` and `av2a evaluate`."""
    (place / "mine.toml").write_text('rule = "exchange"\ncost = 0.4\nrun_penalty = 0.1\n')
    done = av2a(*WORDS, "--config", "mine.toml", "--json", cwd=place)
    assert done.code == 0, done.err
    facts = done.json()
    assert [row["name"] for row in facts["rules"]][:2] == ["av2a", "exchange"]
    assert facts["rules"][1]["settings"]["cost"] == 0.4
    assert facts["tuned_on"] is None
    assert av2a("score", "--config", "mine.toml", cwd=place).code == 0
    figures = av2a("evaluate", *WORDS[1:], "--json", cwd=place).json()["metrics"]
    found = {name: each["value"] for name, each in facts["rules"][1]["figures"].items()}
    assert found == pytest.approx(figures, abs=1e-9)


def test_one_line_refusals(place: Path) -> None:
    (place / "mine.toml").write_text('rule = "exchange"\ncost = 9\n')
    assert "no rule 'magic'" in refusal(*WORDS, "--rules", "magic", cwd=place)
    assert "mine.toml: cost must lie in [0, 2]" in refusal(*WORDS, "--config", "mine.toml", cwd=place)
    assert "--baseline is one of exchange" in refusal(*WORDS, "--rules", "exchange", cwd=place)
    assert "a picture ends in" in refusal(*WORDS, "--plot", "a.gif", cwd=place)
    assert "add --tune" in refusal(*WORDS, "--samples", 3, cwd=place, code=2)
    assert "AVVP_train_pd.csv is not there" in refusal(*WORDS, "--report-split", "train", cwd=place)


def test_interrupted(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One line, no table of a part, no files."""
    words = (
        *WORDS,
        "--tune",
        "--samples",
        64,
        "--rules",
        "exchange,av2a",
        "--baseline",
        "exchange",
        "-o",
        "rules.json",
    )
    with Nursery(tmp_path_factory.mktemp("nursery") / "log") as nursery:
        ended = nursery.run(words, cwd=place, watch=(place, 9, "<zarr.json", signal.SIGINT.value))
    assert ended.code == 130, ended.err
    assert "Traceback" not in ended.err
    assert "interrupted" in ended.err
    assert ended.out == ""
    assert not (place / "rules.json").exists()
