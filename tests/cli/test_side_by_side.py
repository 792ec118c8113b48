"""`av2a evaluate` with intervals, clips and several files, as a process."""

import csv
import re
import shutil
from pathlib import Path

import pytest

from tests.command import av2a, refusal
from tests.golden_scoring import GoldenSet
from tests.terminal import on_a_terminal

LLP = ("--annotations", "annotations", "--dataset", "llp")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two systems' events of LLP's golden clips."""
    folder = tmp_path_factory.mktemp("systems")
    for name in ("language_bind_llp", "clip_clap_llp"):
        GoldenSet.load(name).official_events(0).write(folder / f"{name}.json")
    GoldenSet.write_annotations(folder / "annotations")
    return folder


def test_two_files(place: Path) -> None:
    files = ("language_bind_llp.json", "clip_clap_llp.json")
    done = av2a("evaluate", *files, *LLP, "--compare", "-o", "both.json", cwd=place)
    assert done.code == 0, done.err
    assert "40 of 40 clips of the test split, in all 2 files" in done.out
    assert "(10,000 paired resamples of the clips)" in done.out
    assert re.search(r"segment-type-av +\d+\.\d +\d+\.\d +[+-]\d+\.\d \[[+-]\d+\.\d, [+-]\d+\.\d\]", done.out)
    found = av2a("evaluate", *files, *LLP, "--compare", "--json", cwd=place)
    assert found.out == (place / "both.json").read_text()
    facts = found.json()
    assert facts["base"] == "language_bind_llp"
    for name in facts["systems"]:
        alone = av2a("evaluate", f"{name}.json", *LLP, "--json", cwd=place).json()
        assert facts["systems"][name] == alone
    other = av2a("evaluate", *files, *LLP, "--compare", "--json", "--seed", 1, cwd=place).json()
    assert other["differences"] != facts["differences"]
    paper = av2a("evaluate", *files, *LLP, "--compare", "--paper-protocol", cwd=place)
    assert "paper protocol: visual predictions stand in" in paper.out


def test_two_files_on_a_narrow_terminal(place: Path) -> None:
    words = ("evaluate", "language_bind_llp.json", "clip_clap_llp.json", *LLP, "--compare")
    shown = re.sub(r"\x1b\[[\d;?]*\w", "", on_a_terminal(words, cwd=place, columns=80).decode())
    table = shown.partition("in all 2 files")[2].partition("* 0 is outside")[0].splitlines()
    assert max(map(len, table)) <= 80
    assert any(re.fullmatch(r"segment-audiovisual +\d+\.\d +\d+\.\d +\S+ \[\S+ \S+\] *", line) for line in table)


def test_intervals_and_clips(place: Path) -> None:
    words = ("evaluate", "clip_clap_llp.json", *LLP)
    done = av2a(*words, "--intervals", "--per-class", "--per-clip", "clips.csv", cwd=place)
    assert done.code == 0, done.err
    assert re.search(r"event-visual +\d+\.\d +\d+\.\d to \d+\.\d", done.out)
    assert "said for it" in done.out
    assert done.out.endswith("written: clips.csv clips_confusion.csv\n")
    rows = list(csv.DictReader((place / "clips.csv").read_text("utf-8").splitlines()))
    worst = [float(row["segment-type-av"]) for row in rows]
    assert (len(rows), worst) == (40, sorted(worst))
    facts = av2a(*words, "--intervals", "--json", cwd=place).json()
    assert sum(worst) / 40 == pytest.approx(facts["metrics"]["segment-type-av"])
    low, high = facts["intervals"]["segment-type-av"]
    assert low < facts["metrics"]["segment-type-av"] < high
    confusion = list(csv.DictReader((place / "clips_confusion.csv").read_text("utf-8").splitlines()))
    hits = sum(int(row["segments"]) for row in confusion if row["true"] == row["said"] and row["stream"] == "audio")
    plain = av2a(*words, "--json", cwd=place).json()
    assert hits == sum(label["segment-audio-tp"] for label in plain["per_class"].values())


def test_onto_a_pipe(place: Path) -> None:
    """Nothing is laid beside what is no file."""
    done = av2a("evaluate", "clip_clap_llp.json", *LLP, "--per-clip", "/dev/stdout", cwd=place)
    assert done.code == 0, done.err
    assert "clip,segment-audio," in done.out
    assert not Path("/dev/stdout_confusion").exists()


def test_refusals(place: Path, tmp_path: Path) -> None:
    two = ("evaluate", "clip_clap_llp.json", "language_bind_llp.json", *LLP)
    assert "2 files: --compare puts them side by side" in refusal(*two, cwd=place, code=2)
    assert "--per-class, --per-clip, --intervals and --scores are for one file" in refusal(
        *two, "--compare", "--per-class", cwd=place, code=2
    )
    one = ("evaluate", "clip_clap_llp.json", *LLP)
    assert "needs two files of events or more" in refusal(*one, "--compare", cwd=place, code=2)
    assert "would be written twice" in refusal(*one, "--per-clip", "x", "-o", "x", cwd=place, code=2)
    assert not (place / "x").exists()
    shutil.copytree(place, tmp_path / "here")
    (tmp_path / "here" / "language_bind_llp.json").write_text("{}")
    line = refusal(*two, "--compare", "-o", "out.json", cwd=tmp_path / "here")
    assert "language_bind_llp.json: " in line
    assert not (tmp_path / "here" / "out.json").exists()
