"""`av2a score` in every format, by its real command; what it does when it cannot write, or is killed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from score.formats import FORMATS, kind_of, read_listed
from tests.command import AV2A, COMPILING, PATIENCE_SECONDS, av2a, refusal
from tests.golden_scoring import GoldenSet
from tests.posix import limit_files


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formats")
    GoldenSet.load("clip_clap_llp").make_cache(folder / "features.zarr")
    assert av2a("score", cwd=folder).code == 0
    return folder


@pytest.fixture
def here(world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world, tmp_path / "here"))


def count(path: Path) -> tuple[int, int | None]:
    """Events, and clips that are named."""
    found = read_listed(path)
    return sum(len(block.clip) for block in found.events), None if found.clips is None else len(found.clips)


def test_every_format(here: Path) -> None:
    """Each holds the same events."""
    events, clips = count(here / "events.json")
    for name, each in FORMATS.items():
        done = av2a("score", "-o", f"{name}{each.ending or '.json'}", "--format", name, cwd=here)
        assert done.code == 0, done
        path = here / (name if each.write_clip is not None else f"{name}{each.ending or '.json'}")
        assert kind_of(path) == name
        if name != "textgrid":  # overlapping events of a label are one
            assert count(path) == (events, clips if name not in ("csv", "tsv", "rttm") else None), name
        last = done.out.splitlines()[-1]
        assert last.startswith(f"{events} events in {clips} clips -> {name}"), last


def test_the_usual_names(here: Path) -> None:
    """With a format alone."""
    for name, written in (("tsv", "events_audiovisual.tsv, events_visual.tsv, events_audio.tsv"), ("vtt", "events")):
        assert f"-> {written}\n" in av2a("score", "--format", name, cwd=here).out


def test_folders_and_endings(here: Path) -> None:
    assert "-> subs\n" in av2a("score", "-o", "subs.vtt", cwd=here).out
    assert av2a("score", "-o", "labels.txt", cwd=here).code == 0
    (here / "subs" / "mine.mp4").write_text("stays")
    assert av2a("score", "--format", "srt", "-o", "subs", cwd=here).code == 0
    endings = {path.suffix for path in (here / "subs").iterdir()}
    assert endings == {".vtt", ".srt", ".mp4"}
    assert len(list((here / "labels").iterdir())) == 3 * len(list((here / "subs").glob("*.vtt")))


def test_scores_on_demand(here: Path) -> None:
    assert av2a("score", "-o", "e.tsv", "--score-column", cwd=here).code == 0
    assert (here / "e_audio.tsv").read_text().startswith("filename\tonset\toffset\tevent_label\tscore\n")
    said = refusal("score", "-o", "e.vtt", "--score-column", cwd=here)
    assert said == (
        "Error: vtt has no room for scores (--score-column): use one of json, jsonl, csv, tsv, parquet, activitynet, "
        "label-studio, rttm"
    )


def test_help_names_all(here: Path) -> None:
    words = " ".join(av2a("score", "--help", cwd=here).out.split())
    for name, each in FORMATS.items():
        assert f" {name}," in words or f" {name} or" in words or f"or {name}." in words
        assert each.ending in words


def test_bad_outputs(here: Path) -> None:
    (here / "file").write_text("x")
    for words, message in [
        (
            ("-o", "e.xml"),
            "e.xml: ending '.xml' is not known: use one of .json, .jsonl, .csv, .tsv, .parquet, .txt, .vtt",
        ),
        (("-o", "no/e.vtt"), "no/e.vtt: cannot be written (No such file or directory)"),
        (("-o", "file", "--format", "vtt"), "file: cannot be written (Not a directory)"),
        (("-o", "features.zarr", "--format", "csv"), "features.zarr: cannot be written (Is a directory)"),
    ]:
        assert refusal("score", *words, cwd=here).startswith(f"Error: {message}")
    assert "'xml' is not one of" in refusal("score", "--format", "xml", cwd=here, code=2)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits")
@pytest.mark.parametrize("name", ["vtt", "textgrid", "activitynet"])
@pytest.mark.parametrize("there", [True, False])
def test_a_full_disk(name: str, there: bool, here: Path) -> None:
    ending = FORMATS[name].ending or ".json"
    if there:
        (here / "out").mkdir()
        (here / "out" / "mine").write_text("before")
    before = sorted(path.relative_to(here) for path in here.rglob("*") if "__pycache__" not in path.parts)
    done = subprocess.run(
        [AV2A, "score", "-o", f"out{ending}", "--format", name], cwd=here, capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS, preexec_fn=lambda: limit_files(60),
    )  # fmt: skip
    assert done.returncode == 1, done
    line = done.stderr.replace(COMPILING, "")
    assert line.startswith(f"Error: out{ending}: cannot be written ("), line
    assert line.count("\n") == 1
    assert sorted(path.relative_to(here) for path in here.rglob("*") if "__pycache__" not in path.parts) == before


SLOW = """
import os, sys, time
from feature_cache.storage import folders
real = folders.Folder.write
def write(self, name, data):
    real(self, name, data)
    print("one", flush=True)
    time.sleep(30)
folders.Folder.write = write
import av2a_cli
sys.argv[0] = "av2a"
av2a_cli.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
@pytest.mark.parametrize(("number", "code"), [(15, 143), (9, -9)])
def test_ended_in_the_middle(number: int, code: int, here: Path) -> None:
    """What was there stays; a kill leaves a hidden folder, which the next run takes away."""
    (here / "out").mkdir()
    (here / "out" / "mine").write_text("before")
    line = [sys.executable, "-c", SLOW, "score", "-o", "out", "--format", "vtt"]
    with subprocess.Popen(line, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "one\n"
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code
    left = [path.name for path in (here / "out").iterdir()]
    if number == signal.SIGTERM:
        assert said.replace(COMPILING, "").count("\n") == 1, said
        assert left == ["mine"]
    else:
        assert len(left) == 2
    assert av2a("score", "-o", "out", "--format", "vtt", cwd=here).code == 0
    left = [path.name for path in (here / "out").iterdir()]
    assert "mine" in left
    assert not [name for name in left if not name.endswith(".vtt") and name != "mine"]
