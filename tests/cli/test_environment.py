"""The command wherever it is started: streams closed, cut short or in ASCII, read-only folders, modules in the way."""

import json
import os
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pytest

from feature_cache import FeatureCache
from tests.command import AV2A, COMPILING, av2a
from tests.golden_scoring import GoldenSet
from tests.media import make_video
from tests.terminal import on_a_terminal

ROOT = Path(__file__).parents[2]
CLIPS = ("犬\u3000の声", unicodedata.normalize("NFD", "café à été"), "Recording 3.00.00\u202fPM")
LABELS = ("犬\u3000吠える", "می\u200cخواهم")
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0"}
SCORE = ("score", "--filter-threshold", 0, "--threshold-stage1", 0.5, "--threshold-stage2", 0)
EVALUATE = ("evaluate", "--annotations", "annotations", "--dataset", "llp")
SEARCH = ("search", "--annotations", "annotations", "--dataset", "llp", "--split", "test", "--alpha", "0,1")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache, events and annotations whose names and labels are not ASCII; not to be changed."""
    folder = tmp_path_factory.mktemp("world")
    golden = GoldenSet.load("clip_clap_llp")
    n = len(CLIPS)
    labels = [*LABELS, *golden.official["labels"][2:]]
    cache = FeatureCache.from_arrays(
        folder / "features.zarr",
        clip_ids=CLIPS,
        backbone="clip_clap",
        **{name: golden.features[name][:n] for name in ("image", "video", "audio")},
    )
    texts = {side: golden.features[f"text_{side}"] for side in ("visual", "audio")}
    cache.add_text("own", labels=labels, prompts={}, **texts)
    rows = [(f"{unicodedata.normalize('NFC', clip)}_10_20.mp4", LABELS[k % 2].upper()) for k, clip in enumerate(CLIPS)]
    events = "filename\tonset\toffset\tevent_labels\n" + "".join(f'"{clip}"\t0\t5\t"{label}"\n' for clip, label in rows)
    (folder / "annotations").mkdir()
    for name, text in (
        ("eval_audio", events),
        ("eval_visual", events),
        ("test_pd", "filename\n" + "".join(f"{clip}\n" for clip, _ in rows)),
    ):
        (folder / "annotations" / f"AVVP_{name}.csv").write_text(f"\ufeff{text}", encoding="utf-8")
    assert av2a(*SCORE, cwd=folder).code == 0
    return folder


@pytest.fixture
def here(world: Path, tmp_path: Path) -> Path:
    """A folder with all that, to write into."""
    return Path(shutil.copytree(world, tmp_path / "here"))


def said(text: str) -> str:
    return text.replace(COMPILING, "")


@pytest.mark.parametrize(
    "words",
    [("info",), SCORE, (*EVALUATE, "--per-class"), (*SEARCH, "-o", "all.csv"), ("export",), ("verify",)],
    ids=lambda words: str(words[0]),
)
def test_an_ascii_terminal(words: tuple[object, ...], here: Path) -> None:
    done = av2a(*words, cwd=here, env=ASCII)
    assert (done.code, said(done.err)) == (0, "")
    assert done.out.isascii()
    if words[0] in ("score", "evaluate"):
        assert "\\u72ac\\u3000\\u5420\\u3048\\u308b" in done.out
    if words[0] == "score":
        events = json.loads((here / "events.json").read_text(encoding="utf-8"))
        assert {event["clip"] for event in events["events"]} <= {*CLIPS}
        assert LABELS[0] in {event["label"] for event in events["events"]}


def test_a_terminal_in_latin_1(here: Path) -> None:
    done = av2a(*EVALUATE, "--per-class", cwd=here, env={"PYTHONIOENCODING": "latin-1"})
    assert (done.code, said(done.err)) == (0, "")
    assert "\\u72ac\\u3000\\u5420\\u3048\\u308b" in done.out


def test_refusals_in_ascii(here: Path) -> None:
    done = av2a("info", "犬.zarr", cwd=here, env=ASCII)
    assert (done.code, done.err) == (1, "Error: \\u72ac.zarr is not there: make it with `av2a extract`\n")
    done = av2a("score", "--nope", cwd=here, env=ASCII)
    assert done.code == 2
    assert "Error: No such option '--nope'" in done.err.replace("No such option: --nope", "No such option '--nope'")


@pytest.mark.parametrize(
    ("words", "closed"),
    [
        (("--help",), ">&-"), (("info",), ">&-"), (SCORE, "2>&-"), (SCORE, "<&- >&-"), (SEARCH, "<&- >&- 2>&-"),
    ],
    ids=lambda words: str(words[0]),
)  # fmt: skip
def test_closed_streams(words: tuple[object, ...], closed: str, here: Path) -> None:
    expected = (here / "events.json").read_bytes()
    (here / "events.json").unlink()
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", AV2A, *map(str, words)],
        cwd=here, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert said(done.stderr) == ""
    if words is SCORE:
        assert (here / "events.json").read_bytes() == expected
    if words is SEARCH:
        assert "alpha" in (here / "best.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [("--help",), SCORE, SEARCH], ids=lambda words: str(words[0]))
def test_nobody_reads_the_output(words: tuple[object, ...], here: Path) -> None:
    """As with `| head`: quiet, what is written elsewhere is written, and the code is that of a broken pipe."""
    (here / "events.json").unlink()
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [AV2A, *map(str, words)],
            cwd=here,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, said(done.stderr)) == (141, "")
    if words is SCORE:
        assert json.loads((here / "events.json").read_bytes())["events"]
    if words is SEARCH:
        assert (here / "best.toml").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_takes_no_more(here: Path) -> None:
    for words in (("info",), ("--help",)):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [AV2A, *words], cwd=here, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300, check=False
            )
        assert (done.returncode, done.stderr) == (1, "Error: standard output: No space left on device\n")


def test_nothing_acts_on_a_terminal(here: Path) -> None:
    found = on_a_terminal(("info", "a\x1b]0;owned\x07\x9b\u202e.zarr"), here)
    assert b"Error: a\\x1b]0;owned\\x07\\u009b\\u202e.zarr is not there" in found
    table = on_a_terminal(("info",), here)
    assert b"features.zarr" in table
    assert b"\x1b[" in table  # its own colours and lines are not escaped
    assert b"\\x1b" not in table


# --- names of files, through extraction -------------------------------------------------------------------


@pytest.mark.parametrize("env", [pytest.param({}, id="utf-8", marks=pytest.mark.slow), pytest.param(ASCII, id="ascii")])
def test_names_and_labels_of_the_world(env: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "video.mp4", frames=20, fps=2)
    for clip in CLIPS:
        shutil.copyfile(tmp_path / "video.mp4", tmp_path / "videos" / f"{clip}.mp4")
    (tmp_path / "videos" / "labels.txt").write_text("\ufeff犬\u3000吠える\r\nمی\u200cخواهم\r\n", encoding="utf-8")
    done = av2a("extract", "--backbone", "tiny", cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    cache = FeatureCache.open(tmp_path / "features.zarr")
    assert set(cache.clip_ids) == set(CLIPS)
    assert cache.text("labels").labels == ("犬\u3000吠える", "می\u200cخواهم")


# --- modules of the user's --------------------------------------------------------------------------------

OURS = ("score", "feature_cache", "av2a_cli", "av", "click", "json", "numpy", "torch")
OF_PROCESSES = ("pickle", "random", "socket", "struct", "types")


def test_no_module_is_taken_from_the_working_folder(here: Path) -> None:
    """Nor by the processes that the command starts."""
    for name in (*OURS, *OF_PROCESSES):
        (here / f"{name}.py").write_text(f"raise ValueError('{name} is the user\\'s')\n")
    (here / "extract").mkdir()
    (here / "extract" / "__init__.py").write_text("raise ValueError('extract')\n")
    assert av2a("info", cwd=here).code == 0
    assert av2a(*SCORE, cwd=here).code == 0
    done = av2a("demo", "--clips", 2, "-o", "demo", cwd=here)
    assert (done.code, done.err) == (0, "")


@pytest.mark.slow
def test_processes_of_several_devices_take_no_module_from_there_either(tmp_path: Path) -> None:
    for name in (*OURS, *OF_PROCESSES):
        (tmp_path / f"{name}.py").write_text(f"raise ValueError('{name} is the user\\'s')\n")
    assert av2a("demo", "--clips", 2, cwd=tmp_path).code == 0
    done = av2a("extract", "--backbone", "tiny", "--device", "cpu,cpu", "--shard-size", 1, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "4 clips done" in done.out


def test_modules_that_stand_before_ours_are_named(here: Path) -> None:
    (here / "score.py").write_text("MINE = 1\n")
    done = av2a(*SCORE, cwd=here, env={"PYTHONPATH": str(here)})
    assert done.code == 1
    assert done.err.startswith(f"Error: {here / 'score.py'} stands before av2a's own package score: rename it")
    as_module = [sys.executable, "-m", "av2a_cli", "info"]
    found = subprocess.run(as_module, cwd=here, capture_output=True, text=True, timeout=300, check=False)
    assert (found.returncode, found.stderr) == (0, "")


# --- Numba ------------------------------------------------------------------------------------------------


def test_kernels_where_compiling_is_disabled(here: Path) -> None:
    expected = (here / "events.json").read_bytes()
    done = av2a(*SCORE, cwd=here, env={"NUMBA_DISABLE_JIT": "1"})
    assert (done.code, said(done.err)) == (0, "")
    assert (here / "events.json").read_bytes() == expected


@pytest.fixture
def read_only(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A copy of the scorer beside which nothing can be written, and an environment without a home.

    A file stands where each folder __pycache__ would be: it stops root, too, whom permissions do not.
    """
    site = tmp_path / "site"
    for package in ("feature_cache", "score"):
        shutil.copytree(ROOT / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "av2a_cli.py", site / "av2a_cli.py")
    for folder in (site, *(path for path in site.rglob("*") if path.is_dir())):
        (folder / "__pycache__").write_text("")
    nowhere = "/dev/null/home"
    environment = {
        "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", "HOME": nowhere, "XDG_CACHE_HOME": nowhere,
        "XDG_CONFIG_HOME": nowhere, "NUMBA_CACHE_DIR": "",
    }  # fmt: skip
    return site, environment


SMALL = """
import score.kernels.bitmask as bits, score.kernels.jit as jit
from score.kernels.jit import kernel

@kernel
def run(word):
    return bits.smooth(word) + bits.span(0, 2)

import numpy
kept = jit.kept_in(jit.Path(bits.__file__))
note = jit.compiling_note("bitmask.none")
print(jit.__file__, kept, int(run(numpy.uint64(0b10110))), note, sep="|")
"""


CONSTANT = """
import score.kernels.jit as jit
from score.kernels.streams import fallback_stream

value = fallback_stream(1, 1)  # 1 says that there is no picture
kept = jit.kept_in(jit.Path(jit.__file__).with_name("streams.py"))
print(kept, value, sum(fallback_stream.stats.cache_hits.values()), sep="|")
"""


def test_kernels_that_can_be_kept_nowhere(read_only: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    site, environment = read_only
    (tmp_path / "small.py").write_text(SMALL)

    def run(**more: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, tmp_path / "small.py"],
            cwd=tmp_path, env={**os.environ, **environment, **more}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout.strip().split("|")

    expected = str(0b00110 + 0b11)
    file, kept, value, note = run()
    assert (file, kept, value) == (str(site / "score" / "kernels" / "jit.py"), "None", expected)
    assert note.startswith("compiling kernels, half a minute each time: they can be kept nowhere")
    given = tmp_path / "given"
    _, kept, value, note = run(NUMBA_CACHE_DIR=str(given))
    assert Path(kept).is_relative_to(given)
    assert (value, note) == (expected, COMPILING.strip())
    assert list(Path(kept).glob("*.nbi"))
    _, kept, value, _ = run(HOME=str(tmp_path / "home"), XDG_CACHE_HOME=str(tmp_path / "home" / "cache"))
    assert Path(kept).is_relative_to(tmp_path / "home")
    assert value == expected


@pytest.mark.slow
def test_scoring_from_a_read_only_package_without_a_home(here: Path, read_only: tuple[Path, dict[str, str]]) -> None:
    site, environment = read_only
    expected = (here / "events.json").read_bytes()
    code = "import sys, av2a_cli; sys.argv[0] = 'av2a'; assert av2a_cli.__file__.startswith(sys.argv.pop(1)); "
    done = subprocess.run(
        [sys.executable, "-c", code + "av2a_cli.main()", site, *map(str, SCORE)],
        cwd=here, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("compiling kernels, half a minute each time: they can be kept nowhere")
    assert (here / "events.json").read_bytes() == expected


def test_stale_kernels_are_not_used_wherever_they_are_kept(
    read_only: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """Nor those in which a constant of another package is compiled in; nothing is deleted for it."""
    site, environment = read_only
    (tmp_path / "constant.py").write_text(CONSTANT)
    given = str(tmp_path / "given")

    def run() -> tuple[Path, str, str]:
        done = subprocess.run(
            [sys.executable, tmp_path / "constant.py"],
            cwd=tmp_path, env={**os.environ, **environment, "NUMBA_CACHE_DIR": given}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        kept, value, hits = done.stdout.strip().split("|")
        return Path(kept), value, hits

    first, value, hits = run()
    assert (value, hits) == ("1", "0")
    assert run() == (first, "1", "1")
    layout = site / "feature_cache" / "layout.py"
    text = layout.read_text(encoding="utf-8")
    assert "NO_PICTURE, NO_SOUND = 1, 2" in text
    layout.write_text(text.replace("NO_PICTURE, NO_SOUND = 1, 2", "NO_PICTURE, NO_SOUND = 4, 2"), encoding="utf-8")
    second, value, hits = run()
    assert (value, hits) == ("-1", "0")
    assert second != first
    assert list(first.glob("*.nbi"))
    layout.write_text(text, encoding="utf-8")
    assert run() == (first, "1", "1")
