"""`av2a score --scores`, `--merge-gap`, `--min-duration` and `--cut`, through the real command."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from feature_cache import FeatureCache
from score import Events, segment_scores, settings_for
from tests.command import AV2A, av2a, refusal
from tests.golden_scoring import GoldenSet
from tests.media import make_video
from tests.posix import limit_files


@pytest.fixture(scope="module")
def llp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache of golden features, and a video for two of the clips."""
    folder = tmp_path_factory.mktemp("llp")
    GoldenSet.load("language_bind_llp").make_cache(folder / "features.zarr")
    (folder / "videos").mkdir()
    ids = FeatureCache.open(folder / "features.zarr").clip_ids
    make_video(folder / "videos" / f"{ids[0]}.mp4", frames=50, fps=5, gop=5, with_sound=False)
    shutil.copyfile(folder / "videos" / f"{ids[0]}.mp4", folder / "videos" / f"{ids[1]}.mp4")
    return folder


@pytest.mark.parametrize("name", ["s", "s.npz", "s.parquet"])
def test_scores_beside_the_events(name: str, llp: Path, tmp_path: Path) -> None:
    target = tmp_path / name
    done = av2a("score", "-o", tmp_path / "e.json", "--scores", target, cwd=llp)
    assert done.code == 0, done.err
    assert f"segment scores -> {target}" in done.out
    assert av2a("score", "-o", tmp_path / "plain.json", cwd=llp).code == 0
    assert (tmp_path / "e.json").read_bytes() == (tmp_path / "plain.json").read_bytes()
    cache = FeatureCache.open(llp / "features.zarr")
    segment_scores(cache, settings_for(cache)).write(tmp_path / f"library {name}")
    for file in [target, *target.rglob("*")]:
        if file.is_file():
            theirs = tmp_path / f"library {name}" / file.relative_to(target) if target.is_dir() else None
            assert file.read_bytes() == (theirs or tmp_path / f"library {name}").read_bytes()
    assert not list(tmp_path.rglob("*.partial"))


def test_late_fusion_is_said(llp: Path, tmp_path: Path) -> None:
    done = av2a("score", "--fusion", "late", "-o", tmp_path / "e.json", "--scores", tmp_path / "s", cwd=llp)
    assert "(none of the audiovisual stream: late fusion)" in done.out
    assert not (tmp_path / "s" / "audiovisual").exists()


def test_after_processing(llp: Path, tmp_path: Path) -> None:
    words = ("score", "--no-refinement", "--threshold-stage1", 0.7)
    assert av2a(*words, "-o", tmp_path / "plain.json", cwd=llp).code == 0
    done = av2a(*words, "--merge-gap", 1, "--min-duration", 2.5, "-o", tmp_path / "e.json", cwd=llp)
    assert done.code == 0, done.err
    assert "merge_gap=1.0 (given) min_duration=2.5 (given)" in done.out
    plain, found = Events.read(tmp_path / "plain.json"), Events.read(tmp_path / "e.json")
    assert 0 < len(found) < len(plain)
    assert (found.end - found.start).min() == 3
    assert json.loads((tmp_path / "e.json").read_text())["after_processing"] == {"merge_gap": 1.0, "min_duration": 2.5}
    assert re.search(rf"^{len(found)} events in 40 clips", done.out, re.MULTILINE)
    # they are compared with annotations as any others
    GoldenSet.write_annotations(tmp_path / "annotations")
    done = av2a("evaluate", tmp_path / "e.json", "--annotations", "annotations", "--dataset", "llp", cwd=tmp_path)
    assert done.code == 0, done.err


def test_cut(llp: Path, tmp_path: Path) -> None:
    """Most of the clips have no video here: each is a line of the table, and the exit code says so."""
    words = ("score", "-o", tmp_path / "e.json", "--cut", tmp_path / "cuts", "--videos", "videos")
    done = av2a(*words, "--cut-stream", "visual", "--cut-stream", "audio", cwd=llp)
    assert done.code == 3, done.err
    events = Events.read(tmp_path / "e.json")
    expected = [each for each in events.records() if each["stream"] != "audiovisual"]
    with (tmp_path / "cuts" / "cuts.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["clip"], row["stream"], row["label"], float(row["onset"])) for row in rows] == [
        (each["clip"], each["stream"], each["label"], each["onset"]) for each in expected
    ]
    there = set(events.clip_ids[:2])
    assert {row["clip"] for row in rows if row["file"]} == there & {row["clip"] for row in rows}
    assert {entry.name for entry in (tmp_path / "cuts").iterdir()} == {
        "cuts.csv", *(row["file"] for row in rows if row["file"])
    }  # fmt: skip
    made = sum(bool(row["file"]) for row in rows)
    assert made
    assert f"{made} events cut (" in done.out
    lost = len(rows) - made
    assert f"not cut: {lost} events: it is not in the folder any more; get it again" in done.err


def test_refused(llp: Path, tmp_path: Path) -> None:
    out = ("-o", tmp_path / "e.json")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    for words, said, code in (
        (("--scores", tmp_path / "s.csv"), "ending '.csv' is not known: use one of .npz, .parquet", 1),
        (("--scores", tmp_path / "mine"), "holds other files: name another folder", 1),
        (("--scores", tmp_path / "e.json"), "--scores and --output name the same file", 2),
        (("--min-duration", "nan"), "--min-duration must be seconds from 0 on, got nan", 1),
        (("--cut", tmp_path / "c"), "--cut DIR and --videos DIR belong together", 2),
        (("--cut", tmp_path / "c", "--videos", tmp_path / "no"), "no folder", 1),
        (("--cut", "videos/c", "--videos", "videos"), "lies in the folder of the videos", 1),
    ):
        line = refusal("score", *out, *words, cwd=llp, code=code)
        assert said in line, line
    assert {entry.name for entry in tmp_path.iterdir()} == {"mine"}
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="no limits")
def test_a_full_disk(llp: Path, tmp_path: Path) -> None:
    """Neither the events nor the scores are there in part."""
    for name in ("s", "s.npz", "s.parquet"):
        done = subprocess.run(
            [AV2A, "score", "-o", tmp_path / "e.json", "--scores", tmp_path / name], cwd=llp, capture_output=True,
            text=True, check=False, preexec_fn=lambda: limit_files(1000),
        )  # fmt: skip
        assert done.returncode == 1, done
        assert re.match(rf"Error: {tmp_path}/\S+: cannot be written", done.stderr.splitlines()[-1]), done.stderr
        assert list(tmp_path.iterdir()) == []


def test_without_what_cuts(llp: Path, tmp_path: Path) -> None:
    """Scoring alone needs no decoder; cutting says what it lacks before anything is written."""
    code = "import sys; sys.modules['av'] = None; sys.argv = ['av2a', *sys.argv[1:]]\nimport av2a_cli; av2a_cli.main()"
    words = [sys.executable, "-c", code, "score", "-o", str(tmp_path / "e.json")]
    cut = ["--cut", str(tmp_path / "c"), "--videos", "videos"]
    done = subprocess.run([*words, *cut], cwd=llp, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "Error: this command needs av: install it with pip install 'av2a[extract]'\n"
    assert list(tmp_path.iterdir()) == []
    scores = ["--scores", str(tmp_path / "s.npz")]
    done = subprocess.run([*words, *scores], cwd=llp, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "s.npz") as found:
        assert found["probability"].shape == (40, 3, 10, 25)
