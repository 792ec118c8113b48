"""`av2a search` as a process: results, resuming after Ctrl-C, honest reporting, refusals."""

import re
import shutil
import signal
import tomllib
from pathlib import Path

import pytest

from feature_cache import FeatureCache
from score import Space, evaluate, read_annotations, score
from score.config import ScoreConfig
from tests.command import av2a, refusal
from tests.golden_scoring import GoldenSet
from tests.killing import Nursery

WORDS = ("search", "--annotations", "annotations", "--dataset", "llp")
SMALL = ("--alpha", "0:1:0.25", "--gamma", "0.5,2", "--threshold-stage2", "0.6:0.8:0.1")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
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


def test_tuned_on_one_split_reported_on_another(place: Path) -> None:
    more = ("--per-clip-ceiling", "--per-clip", "--plot", "pictures")
    done = av2a(*WORDS, *SMALL, "--report-split", "test", *more, cwd=place)
    assert done.code == 0, done.err
    assert "15 of 15 clips of the val split, 30 settings" in done.out
    assert "test (25 clips)" in done.out
    assert "the best setting for each clip would reach" in done.out
    assert re.search(r"segment-type-av +val \(15 clips\) +test \(25 clips\)", done.out)
    assert re.search(r"a setting for each clip \(.+\)( +[\d.]+ \[[\d.]+, [\d.]+\]){2}", done.out)
    assert re.search(r"gain of a setting for each clip( +[-+][\d.]+ \[[-+][\d.]+, [-+][\d.]+\]){2}", done.out)
    assert re.search(r"^a setting for each clip (gains|loses|does not gain)", done.out, re.MULTILINE)
    assert {file.name for file in (place / "pictures").iterdir()} == {
        "parameters.png",
        "alpha_gamma.png",
        "alpha_threshold_stage2.png",
        "threshold_stage2_gamma.png",
        "segment_event.png",
    }
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in (place / "pictures").iterdir())
    best = tomllib.loads((place / "best.toml").read_text())
    scored = av2a("score", "--config", "best.toml", cwd=place)
    assert scored.code == 0, scored.err
    assert f"alpha={best['alpha']}" in scored.out
    cache = FeatureCache.open(place / "features.zarr")
    for split in ("val", "test"):
        truth = read_annotations("llp", place / "annotations", split=split)
        figures = evaluate(score(cache, ScoreConfig.from_dict(best)), truth).metrics
        assert re.search(rf"segment-type-av .*{figures['segment-type-av']:.1f} \[", done.out)


@pytest.mark.slow
def test_tables_on_disk(place: Path) -> None:
    done = av2a(*WORDS, *SMALL, "-o", "all.csv", "--objective", "segment-audio,segment-visual", cwd=place)
    assert done.code == 0, done.err
    assert "not beaten in all of segment-audio, segment-visual" in done.out
    assert len((place / "all.csv").read_text().splitlines()) == 31
    assert av2a(*WORDS, *SMALL, "-o", "all.csv", cwd=place).code == 0  # the same search may write its table again
    (place / "all.csv").write_text("mine\n")
    assert "all.csv is there already" in refusal(*WORDS, *SMALL, "-o", "all.csv", cwd=place)
    assert av2a(*WORDS, *SMALL, "-o", "all.parquet", cwd=place).code == 0
    assert (place / "all.parquet").read_bytes()[:4] == b"PAR1"


def test_interrupted_and_gone_on_with(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """By Ctrl-C while the third batch is written; the table is that search's, and may be replaced by it."""
    steps = {"--alpha": "0:1:0.05", "--filter-threshold": "0.3:0.7:0.02", "--gamma": "0:4:0.1"}
    words = (*WORDS, *(word for pair in steps.items() for word in pair), "--threshold-stage1", "0.6:0.8:0.1")
    words = (*words, "-o", "search.csv")
    total = 21 * 21 * 41 * 3
    with Nursery(tmp_path_factory.mktemp("nursery") / "log") as nursery:
        watch = (place, 1, "batch000002/zarr.json", signal.SIGINT.value)
        ended = nursery.run(words, cwd=place, watch=watch)
        assert ended.code == 130, ended.err
        assert "Traceback" not in ended.err
        assert "the same command goes on from here" in ended.err
        tried = int(re.search(r"([\d,]+) settings", ended.out)[1].replace(",", ""))  # type: ignore[index]
        assert 0 < tried < total
        assert len((place / "search.csv").read_text().splitlines()) == tried + 1
        kept = {file: file.stat().st_mtime_ns for file in place.glob("search.zarr/batch*/metrics/c/0/0")}
        assert len(kept) >= 2
        done = nursery.run(words, cwd=place)
    assert done.code == 0, done.err
    assert f"{total:,} settings" in done.out
    assert len((place / "search.csv").read_text().splitlines()) == total + 1
    whole = [file for file, stamp in kept.items() if file.stat().st_mtime_ns == stamp]
    assert len(whole) >= len(kept) - 1


def test_one_line_refusals(place: Path) -> None:
    assert "the range is empty" in refusal(*WORDS, "--alpha", "1:0:0.1", cwd=place)
    assert "does not lead from 0 to 1" in refusal(*WORDS, "--alpha", "0:1:0.3", cwd=place)
    assert "alpha must lie in [0, 1]" in refusal(*WORDS, "--alpha", "0:2:1", cwd=place)
    assert "no objective 'accuracy'" in refusal(*WORDS, "--objective", "accuracy", cwd=place)
    assert "method must be one of" in refusal(*WORDS, "--method", "magic", cwd=place)
    assert "AVVP_train_pd.csv is not there" in refusal(*WORDS, "--split", "train", cwd=place)
    assert "no text set 'ave'" in refusal(*WORDS, "--text", "ave", cwd=place)
    assert "judged on another: name that, --report-split" in refusal(*WORDS, "--per-clip", cwd=place)
    assert not (place / "search.zarr").exists()
    assert not (place / "best.toml").exists()


@pytest.mark.slow
def test_nothing_is_overwritten(place: Path) -> None:
    (place / "best.toml").write_text("# mine\n")
    assert "best.toml is there already" in refusal(*WORDS, *SMALL, cwd=place)
    assert not (place / "search.zarr").exists()
    assert av2a(*WORDS, *SMALL, "--best", "other.toml", cwd=place).code == 0
    assert "holds another search" in refusal(*WORDS, "--alpha", "0,1", "--best", "third.toml", cwd=place)
    assert (place / "best.toml").read_text() == "# mine\n"
    done = av2a(*WORDS, "--alpha", "0,1", "--overwrite", cwd=place)
    assert done.code == 0, done.err
    assert "threshold_stage1" in (place / "best.toml").read_text()


def test_some_clips_of_the_split(place: Path) -> None:
    words = (*WORDS, *SMALL, "--report-split", "test", "--seed", 42)
    done = av2a(*words, "--sample-clips", 14, cwd=place)
    assert done.code == 0, done.err
    assert "14 of 14 clips drawn from the 15 of the val split, 30 settings" in done.out
    assert "test (25 clips)" in done.out
    said = refusal(*words, "--sample-clips", 2, "-o", "other.zarr", "--best", "b.toml", cwd=place)
    assert "--sample-clips 2: the val split has" in said


def test_what_a_full_disk_left_is_replaced(place: Path) -> None:
    """An empty best.toml is no one's; and scoring does not take it for settings."""
    (place / "best.toml").write_text("")
    assert "best.toml is empty, or was cut off" in refusal("score", "--config", "best.toml", cwd=place)
    assert av2a(*WORDS, "--alpha", "0,1", cwd=place).code == 0
    assert "threshold_stage1" in (place / "best.toml").read_text()


def test_spaces_from_the_command_line_are_those_of_python(place: Path) -> None:
    assert av2a(*WORDS, *SMALL, "-o", "all.csv", cwd=place).code == 0
    header, *rows = (place / "all.csv").read_text().splitlines()
    space = Space(
        alpha=[0, 0.25, 0.5, 0.75, 1],
        filter_threshold=[0.55],
        threshold_stage1=[0.75],
        threshold_stage2=[0.6, 0.7, 0.8],
        gamma=[0.5, 2],
    )
    assert header.startswith("alpha,filter_threshold,threshold_stage1,threshold_stage2,gamma,method,fusion,")
    found = [tuple(row.split(",")[:7]) for row in rows]
    assert found == [tuple(map(str, row)) for row in space.grid().tolist()]
