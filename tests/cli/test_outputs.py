"""Each output of each command is whole or not there; what was there stays; what a killed process left of it goes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from feature_cache.storage.atomic import write_outputs
from tests.command import AV2A, COMPILING, PATIENCE_SECONDS, av2a
from tests.golden_scoring import GoldenSet
from tests.posix import KILLED_CODE, limit_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no limits, no signals")
LLP = ("--annotations", "annotations", "--dataset", "llp")
SEARCH = ("search", *LLP, "--split", "test", "--alpha", "0,0.5,1", "--gamma", "1,2")
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "score": (("score", "-o", "out.json"), ("out.json",)),
    "score to CSV": (("score", "-o", "out.csv"), ("out.csv",)),
    "score to TSV": (("score", "-o", "out.tsv"), ("out_audio.tsv", "out_visual.tsv", "out_audiovisual.tsv")),
    "evaluate": (("evaluate", "events.json", *LLP, "-o", "out.json"), ("out.json",)),
    "evaluate clips": (
        ("evaluate", "events.json", *LLP, "-o", "out.json", "--per-clip", "out.csv"),
        ("out.json", "out.csv", "out_confusion.csv"),
    ),
    "export": (("export", "-o", "out.h5", "--overwrite"), ("out.h5",)),
    "search": ((*SEARCH, "-o", "out.zarr", "--best", "out.toml", "--overwrite"), ("out.toml",)),
    "search to CSV": ((*SEARCH, "-o", "out.csv", "--best", "out.toml", "--overwrite"), ("out.csv", "out.toml")),
    "pictures": (
        (*SEARCH, "-o", "out.zarr", "--best", "out.toml", "--overwrite", "--plot", "p"),
        ("p/alpha_gamma.png",),
    ),
}
"""Commands, and the files that are there before."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    GoldenSet.load("clip_clap_llp").make_cache(folder / "features.zarr")
    GoldenSet.write_annotations(folder / "annotations")
    assert av2a("score", cwd=folder).code == 0
    return folder


@pytest.fixture
def here(world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world, tmp_path / "here"))


def limited(words: tuple[str, ...], cwd: Path, most: int) -> subprocess.CompletedProcess[str]:
    """The command where no file may become larger, as on a disk that is full."""
    return subprocess.run(
        [AV2A, *words], cwd=cwd, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
        preexec_fn=lambda: limit_files(most),
    )  # fmt: skip


def partials(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.partial")]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk(name: str, here: Path) -> None:
    words, files = COMMANDS[name]
    (here / "p").mkdir()
    for file in files:
        (here / file).write_text("before")
    done = limited(words, here, 100)
    line = done.stderr.replace(COMPILING, "")
    assert done.returncode == 1, done
    assert line.startswith("Error: out" if name != "pictures" else "Error: "), line
    assert line.count("\n") == 1, line
    assert [(here / file).read_text() for file in files] == ["before"] * len(files)
    assert partials(here) == []
    assert av2a(*words, cwd=here).code == 0
    assert not [file for file in files if (here / file).read_bytes() == b"before"]
    assert partials(here) == []


def test_pictures_on_a_full_disk(here: Path) -> None:
    """They are larger than what comes before them: it is whole, they are as they were."""
    words, files = COMMANDS["pictures"]
    (here / "p").mkdir()
    (here / files[0]).write_text("before")
    done = limited(words, here, 15_000)
    assert done.returncode == 1, done
    assert done.stderr.replace(COMPILING, "").startswith("Error: p/"), done.stderr
    assert "alpha" in (here / "out.toml").read_text()
    assert (here / files[0]).read_text() == "before"
    assert [path.name for path in (here / "p").iterdir()] == ["alpha_gamma.png"]


def test_clips_of_a_demo_on_a_full_disk(tmp_path: Path) -> None:
    done = limited(("demo", "--clips", "1"), tmp_path, 20_000)
    assert done.returncode == 1, done
    assert done.stderr.startswith("Error: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not list(tmp_path.rglob("*.mp4"))
    assert partials(tmp_path) == []


# --- left over ------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from feature_cache.storage import atomic
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1].endswith(".h5"):
    with atomic.whole_file(sys.argv[1]) as partial:
        partial.write_text("half")
atomic.write_outputs({Path(sys.argv[1]): "half"})
"""
SLOW = """
import os, sys
from pathlib import Path
from feature_cache.storage import atomic
real = os.fsync
def fsync(handle):
    print("there", flush=True)
    sys.stdin.read()
    real(handle)
os.fsync = fsync
atomic.write_outputs({Path(sys.argv[1]): "of the slow one"})
"""


@pytest.mark.parametrize("name", ["score", "score to CSV", "evaluate", "export", "search"])
def test_what_a_killed_process_left_goes_with_the_next(name: str, here: Path) -> None:
    words, files = COMMANDS[name]
    for file in files:
        killed = subprocess.run([sys.executable, "-c", KILLED, file], cwd=here, check=False)
        assert killed.returncode == KILLED_CODE
    assert len(partials(here)) == len(files)
    assert av2a(*words, cwd=here).code == 0
    assert partials(here) == []


def test_what_a_living_process_writes_stays(tmp_path: Path) -> None:
    target = tmp_path / "events.json"
    line = [sys.executable, "-c", SLOW, str(target)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "there\n"
        write_outputs({target: "of the quick one"})
        assert target.read_text() == "of the quick one"
        assert len(partials(tmp_path)) == 1
        process.stdin.close()
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
    assert target.read_text() == "of the slow one"
    assert partials(tmp_path) == []


def test_only_what_is_ours_and_left_over_goes(tmp_path: Path) -> None:
    stay = [
        f".a.json.{'0' * 12}-1-{'1' * 12}.partial",  # another machine's, just now
        ".a.json.partial",
        ".a.json.mine.partial",
        f".b.json.{'0' * 12}-1-{'1' * 12}.partial",  # of another output
        "a.json.partial",
    ]
    old = [f".a.json.{'2' * 12}-1-{'3' * 12}.partial", f".a.json.{'4' * 32}.partial"]
    for name in (*stay, *old):
        (tmp_path / name).write_text("x")
    long_ago = time.time() - 100_000
    for name in (*old, *stay[1:]):
        os.utime(tmp_path / name, (long_ago, long_ago))
    (tmp_path / f".a.json.{'5' * 32}.partial").mkdir()
    write_outputs({tmp_path / "a.json": "y"})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*stay, "a.json", f".a.json.{'5' * 32}.partial"])


def test_an_output_of_255_bytes(tmp_path: Path) -> None:
    for name in ("n" * 250 + ".json", "犬" * 85):
        write_outputs({tmp_path / name: "x"})
        assert (tmp_path / name).read_text() == "x"
