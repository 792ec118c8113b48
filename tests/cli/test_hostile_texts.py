"""Texts that people give, made to hurt: one line, soon, in little memory; odd but good ones are read."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from feature_cache import FeatureCache
from tests.command import AV2A, PATIENCE_SECONDS
from tests.fuzz import End, check_end, run_alone, run_here
from tests.golden_scoring import GoldenSet
from tests.posix import make_pipe

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="alarms and pipes")
SCORE = ("score", "--filter-threshold", 0, "--threshold-stage1", 0.5, "-o", "out.json")
LLP = ("evaluate", "--dataset", "llp", "--annotations")
AVE = ("evaluate", "--dataset", "ave", "--annotations")
IMPORT = ("import", "--image", "image.npy", "--audio", "audio.npy", "-o", "out.zarr")
PLACES: dict[str, tuple[str, tuple[object, ...]]] = {
    "toml": ("given.toml", (*SCORE, "--config", "given.toml")),
    "json": ("given.json", (*SCORE, "--config", "given.json")),
    "llp events": ("llp/AVVP_eval_audio.csv", (*LLP, "llp")),
    "llp split": ("llp/AVVP_test_pd.csv", (*LLP, "llp")),
    "ave table": ("ave/Annotations.txt", (*AVE, "ave")),
    "ave split": ("ave/testSet.txt", (*AVE, "ave")),
    "ave json": ("given.json", (*AVE, "given.json")),
    "labels": ("labels.txt", (*IMPORT, "--clips", "ids.txt", "--labels", "labels.txt", "--text-visual", "text.npy")),
    "clip ids": ("ids.txt", (*IMPORT, "--clips", "ids.txt")),
}
"""A file by what reads it, and how."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache, its events, annotations of both data sets, and features to import; not to be changed."""
    folder = tmp_path_factory.mktemp("texts")
    golden = GoldenSet.load("clip_clap_llp")
    golden.make_cache(folder / "features.zarr")
    golden.write_annotations(folder / "llp")
    assert run_here(("score",), folder).code == 0
    (folder / "ave").mkdir()
    rows = "".join(f"dog&{clip}&good&0&5\n" for clip in golden.official["videos"])
    for name in ("Annotations.txt", "testSet.txt"):
        (folder / "ave" / name).write_text(rows)
    rng = np.random.default_rng(0)
    for name, shape in (("image", (3, 10, 4)), ("audio", (3, 4)), ("text", (2, 4))):
        np.save(folder / f"{name}.npy", rng.normal(size=shape).astype(np.float32))
    (folder / "ids.txt").write_text("a\nb\nc\n")
    (folder / "labels.txt").write_text("dog\ncat\n")
    return folder


@pytest.fixture
def here(world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world, tmp_path / "here"))


def refused(here: Path, place: str, run: Callable[..., End] = run_here) -> str:
    """The line in which what is in a place is refused; nothing is written."""
    file, words = PLACES[place]
    end = run(words, here)
    check_end(end)
    assert end.code == 1, end
    assert Path(file).name in end.err, end.err
    assert not list(here.glob("out.*"))
    assert end.err.isprintable() or end.err.rstrip("\n").isprintable(), ascii(end.err)
    return end.err


def fifo(path: Path) -> None:
    make_pipe(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 << 30)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (lambda path: path.mkdir(), "is a directory"),
    "a pipe": (fifo, "pipe or a device"),
    "a link to itself": (lambda path: path.symlink_to(path.name), ""),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), ""),
    "a device without an end": (lambda path: path.symlink_to("/dev/zero"), "take something out"),
    "2 GB of zeros": (sparse, "take something out"),
    "UTF-16": (lambda path: path.write_bytes("dog\ncat\n".encode("utf-16")), "save it as UTF-8"),
    "UTF-32": (lambda path: path.write_bytes("dog\ncat\n".encode("utf-32")), "save it as UTF-8"),
    "Latin-1": (lambda path: path.write_bytes(b"caf\xe9\n"), "(byte 3): save it as UTF-8"),
    "cut within a letter": (lambda path: path.write_bytes("犬".encode()[:2]), "save it as UTF-8"),
    "half a character": (lambda path: path.write_bytes(b"dog\n\xed\xa0\x80\n"), "(byte 4): save it as UTF-8"),
    "a long line": (lambda path: path.write_text("a" * 3_000_000), ""),
    "a terminal's command": (lambda path: path.write_text("\x1b]0;owned\x07\n\x9b2J\n\u202e\n"), ""),
    "zeros": (lambda path: path.write_bytes(b"\0a\n\0b\n\0c\n"), ""),
    "brackets": (lambda path: path.write_text("[" * 90_000), ""),
    "nothing": (lambda path: path.write_bytes(b""), ""),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_text(place: str, kind: str, here: Path) -> None:
    make, said = FILES[kind]
    path = here / PLACES[place][0]
    path.unlink(missing_ok=True)
    make(path)
    if (place, kind) == ("ave split", "nothing"):
        assert "the test split has no clips" in run_here(PLACES[place][1], here).err
        return
    if kind in ("a folder", "a link to nothing", "a link to itself") and place in ("toml", "json"):
        end = run_here(PLACES[place][1], here)  # Click looks first
        check_end(end)
        assert end.code == 2
        return
    assert said.casefold() in refused(here, place).casefold() or kind == "a folder"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["a pipe", "a device without an end", "2 GB of zeros", "a long line", "brackets"])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_text_in_a_process_of_its_own(place: str, kind: str, here: Path) -> None:
    path = here / PLACES[place][0]
    path.unlink(missing_ok=True)
    FILES[kind][0](path)
    refused(here, place, run_alone)


HEAD = "filename\tonset\toffset\tevent_labels\n"
CLIP = "-0A9suni5YA"
CONTENTS: dict[str, tuple[str, str, str]] = {
    "100,000 dotted keys": ("toml", "a." * 100_000 + "a = 1", "take something out"),
    "dotted keys of one line": ("toml", "a." * 40_000 + "a = 1", "line 1 has 80,005 characters"),
    "a table's dotted keys": ("toml", "alpha = 0.5\n[" + "a." * 40_000 + "a]", "line 2 has"),
    "deep arrays": ("toml", "alpha = " + "[" * 900, "nested too deeply"),
    "deep tables": ("toml", "alpha = " + "{a=" * 150 + "1" + "}" * 150, "alpha must be a number"),
    "many keys": ("toml", "".join(f"a{number} = 1\n" for number in range(8000)), "unknown parameter 'a0'"),
    "1e400": ("toml", "gamma = 1e400", "gamma must lie in"),
    "minus infinity": ("toml", "alpha = -inf", "alpha must lie in [0, 1], got -inf"),
    "no number": ("toml", "alpha = nan", "alpha must lie in [0, 1], got nan"),
    "400 digits": ("toml", "gamma = 1" + "0" * 400, "gamma must lie in [0, inf), got a number of over 60 digits"),
    "400 digits for a count": ("toml", "label_shift_iters = 1" + "0" * 400, "a whole number in [1, 1000]"),
    "900 hexadecimal digits": ("toml", "alpha = 0x" + "f" * 900, "alpha must lie in [0, 1]"),
    "a wrong type": ("toml", "method = ['bbse']", "method must be one of"),
    "a date": ("toml", "alpha = 2020-01-01", "alpha must be a number"),
    "yes for a number": ("toml", "alpha = true", "alpha must be a number, got True"),
    "a number for yes": ("toml", "refinement = 1", "refinement must be true or false, got 1"),
    "a table for a value": ("toml", "[alpha]\nx = 1", "alpha must be a number"),
    "a key twice": ("toml", "alpha = 0.1\nalpha = 0.2", "given.toml cannot be read"),
    "a key in quotes": ("toml", '"\\u001b[2J" = 1', "unknown parameter"),
    "JSON nested deep": ("json", "[" * 49_000 + "]" * 49_000, "nested too deeply"),
    "JSON objects nested deep": ("json", '{"a":' * 15_000, "nested too deeply"),
    "JSON without an end": ("json", '{"alpha": ', "cannot be read"),
    "5,000 digits": ("json", '{"gamma": ' + "1" * 5000 + "}", "digits"),
    "a name twice": ("json", '{"alpha": 0.1, "alpha": 0.9}', "'alpha' is there twice"),
    "half a letter": ("json", '{"\\ud800": 1}', "unknown parameter"),
    "a huge value": ("json", '{"method": "' + "x" * 90_000 + '"}', "method must be one of"),
    "AVE nested deep": ("ave json", "[" * 100_000, "nested too deeply"),
    "AVE objects": ("ave json", '{"a":' * 100_000, "nested too deeply"),
    "AVE 400 digits": ("ave json", '{"a":[{"class":"x","start":0,"end":1' + "0" * 400 + "}]}", "over 60 digits"),
    "AVE 5,000 digits": ("ave json", '{"a":[{"class":"x","start":0,"end":' + "1" * 5000 + "}]}", "is not JSON"),
    "AVE infinity": ("ave json", '{"a":[{"class":"x","start":0,"end":1e400}]}', "end inf is not a time"),
    "AVE NaN": ("ave json", '{"a":[{"class":"x","start":NaN,"end":1}]}', "start nan is not a time"),
    "AVE half a letter": ("ave json", '{"a":[{"class":"\\ud800","start":0,"end":1}]}', "it is not UTF-8"),
    "AVE a long clip": ("ave json", json.dumps({"a" * 1001: []}), "it has 1,001 characters"),
    "AVE a command": ("ave json", '{"\\u001b[2J":[]}', "control character U+001B"),
    "AVE columns": ("ave table", "dog&a&good&0\n", "line 1: 4 columns"),
    "AVE a long class": ("ave table", f"{'d' * 1001}&{CLIP}&good&0&5\n", ""),
    "ragged rows": ("llp events", f"{HEAD}{CLIP}_30_40\t0\n", "line 2: 2 columns, expected 4"),
    "a column twice": ("llp events", "filename\tonset\tonset\toffset\tevent_labels\n", "2 columns 'onset'"),
    "a time of 400 digits": ("llp events", f"{HEAD}a\t0\t{'9' * 400}\tdog\n", "line 2: offset"),
    "a quote that never ends": ("llp events", HEAD + '"' + "a\tx\t5\tdog\n" * 30_000, "line 2: onset 'x'"),
    "quotes": ("llp events", HEAD + '"' * 90_000 + "\n", "line 2: 1 columns"),
    "a cell of many lines": ("llp events", f'{HEAD}"' + "a\n" * 100_000 + '"\t0\n', "line 2: "),
    "a clip twice": ("llp split", "filename\na\na\n", "a is there already in line 2: remove one"),
    "a long clip": ("llp split", f"filename\n{'a' * 1001}\n", "it has 1,001 characters, 1,000 at most"),
    "a clip of two lines": ("llp split", 'filename\n"a\nb"\n', "control character U+000A"),
    "labels that are one": ("labels", "Dog\ndog\n", "occurs twice"),
    "a long label": ("labels", f"dog\n{'x' * 1001}\n", "it has 1,001 characters, 1,000 at most"),
    "a label that turns": ("labels", "dog\na\u202eb\n", "U+202E"),
    "a long id": ("clip ids", f"a\nb\n{'x' * 1001}\n", "it has 1,001 characters, 1,000 at most"),
    "an id twice": ("clip ids", "a\nb\na\n", "'a'"),
    "backquotes": ("clip ids", "a\n`" + "(" * 290 + "`\n`\x00`\n", "control character U+0000"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_no_such_text(name: str, here: Path) -> None:
    place, text, said = CONTENTS[name]
    (here / PLACES[place][0]).write_text(text, encoding="utf-8")
    if place in ("labels", "clip ids"):
        end = run_here(PLACES[place][1], here)
        check_end(end)
        assert end.code == 1
        line = end.err
    else:
        line = refused(here, place)
    assert said in line, line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "line", "said"),
    [
        ("llp events", "a\t0\t5\tdog", "has 10,000,001 lines"),
        ("llp split", "a", "has 10,000,001 lines"),
        ("ave table", "dog&a&good&0&5", "has 10,000,001 lines"),
        ("labels", "dog", "has 10,000,001 lines"),
        ("clip ids", "a", "has 10,000,001 lines"),
        ("llp events", '"a\t0\t5\tdog', "has 10,000,001 lines"),
        ("ave json", "{},", "17 MB"),
    ],
)
def test_ten_million_lines(place: str, line: str, said: str, here: Path) -> None:
    head = HEAD if place == "llp events" else "filename\n"
    (here / PLACES[place][0]).write_text(head + f"{line}\n" * 10_000_000)
    assert said in refused(here, place, run_alone) or place == "ave json"


VALUES = {
    "a range without an end": (("--gamma", "0:1e308:1e-300"), "too many"),
    "a range of infinite length": (("--gamma", "-1e308:1e308:1"), "too many"),
    "a tiny step": (("--alpha", "0:1:1e-320"), "too many"),
    "many values": (("--alpha", "0:1:0.0000005"), "too many"),
    "infinity": (("--gamma", "inf"), "finite"),
    "a long text": (("--gamma", "1" * 100_000 + "x"), "a:b:step"),
    "a long name": (("--method", "x" * 100_000), "method must be one of"),
    "a command": (("--method", "\x1b[2J"), "\\x1b[2J"),
    "an objective": (("--objective", "x" * 100_000), ""),
    "a label set": (("--text", "x" * 100_000), ""),
    "no text of ours": (("--alpha", os.fsdecode(b"\xff")), "use a:b:step"),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_of_options(name: str, here: Path) -> None:
    words, said = VALUES[name]
    end = run_here(("search", *LLP[1:], "llp", "--split", "test", "-o", "out.zarr", *words), here)
    check_end(end)
    assert end.code == 1, end
    assert said in end.err
    assert not list(here.glob("out.*"))


@pytest.mark.parametrize(
    "words",
    [
        ("score", "--alpha", "1" * 5000), ("score", "--label-shift-iters", "1" * 5000), ("nothing" * 100,),
        ("score", "--" + "x" * 5000), ("info", "x" * 5000), ("info", "a\nb" * 500), ("score", "--config", "x" * 5000),
        ("evaluate", "x" * 5000, "--dataset", "llp", "--annotations", "x" * 5000), ("score", "-o", "x" * 999 + ".json"),
        ("evaluate", "--dataset", "\x1b[2J"), ("score", "--method", "é" * 5000), ("info", "`" + "(" * 250 + "`"),
        ("info", "`" + "-" * 250 + "`"), ("search", "--dataset", "llp"),
    ],
    ids=lambda words: ascii(" ".join(words))[:30],
)  # fmt: skip
def test_long_and_odd_words(words: tuple[str, ...], here: Path) -> None:
    end = run_here(words, here)
    check_end(end)
    assert end.code in (1, 2)


def test_an_ascii_terminal_gets_short_lines_too(here: Path) -> None:
    done = subprocess.run(
        [AV2A, "info", "犬" * 80], cwd=here, env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"},
        capture_output=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    line = done.stderr.decode("ascii").strip()
    assert len(line) <= 300
    assert line.endswith("make it with `av2a extract`")


# --- odd but good ---------------------------------------------------------------------------------------------


def test_long_names_are_names(here: Path) -> None:
    ids = ["/".join(["n" * 255] * 3) + "/" + "犬" * 232, "é" * 1000, "`alpha`"]
    labels = ["[red]x[/red]", "x" * 1000]
    (here / "ids.txt").write_text("\r\n".join(["\ufeff" + ids[0], "", *ids[1:]]), encoding="utf-8")
    (here / "labels.txt").write_text("# two\n" + "\n".join(labels), encoding="utf-8")
    assert run_here((*PLACES["labels"][1], "--text-audio", "text.npy"), here).code == 0
    cache = FeatureCache.open(here / "out.zarr")
    assert list(cache.clip_ids) == ids
    assert list(cache.text(cache.text_names[0]).labels) == labels


def test_streams_are_read(here: Path) -> None:
    """Standard input, and what the shell's <(...) makes."""
    lines = {
        "score -o a.json --config /dev/stdin < given.toml": "",
        "score -o b.json --config <(cat given.toml)": "",
        "evaluate --dataset ave --annotations <(cat ave.json) --partial events.json": "",
        "import --image image.npy --audio audio.npy --clips <(cat ids.txt) --labels <(cat labels.txt) "
        "--text-visual text.npy --text-audio text.npy -o c.zarr": "",
    }
    (here / "given.toml").write_text("# alpha\nalpha = 0.25\n")
    clip = GoldenSet.load("clip_clap_llp").official["videos"][0]
    label = GoldenSet.load("clip_clap_llp").official["labels"][0]
    (here / "ave.json").write_text(json.dumps({clip: [{"class": label, "start": 0, "end": 4}]}))
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", f"{AV2A} {line}"], cwd=here, capture_output=True, text=True, check=False,
            timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, (line, done.stderr)
    assert (here / "a.json").read_bytes() == (here / "b.json").read_bytes()
    assert json.loads((here / "a.json").read_text())["config"]["alpha"] == 0.25
    assert list(FeatureCache.open(here / "c.zarr").clip_ids) == ["a", "b", "c"]


def test_comments_and_order_of_settings_do_not_matter(here: Path) -> None:
    (here / "given.toml").write_text("# " + "x" * 5000 + "\n\ngamma = 2\nrefinement = true\nalpha = 0\n")
    assert run_here(PLACES["toml"][1], here).code == 0
    assert json.loads((here / "out.json").read_text())["config"]["gamma"] == 2.0
