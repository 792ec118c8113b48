"""Nothing of a file acts on a terminal, and nothing of it is markup: it is shown as it is, or escaped."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from feature_cache import FeatureCache
from tests.command import av2a
from tests.golden_scoring import GoldenSet
from tests.terminal import on_a_terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b2J\x85\b\rError: not ours\x7f\u202eabc\u2066\u2028\u2029\v\f\x00end"
SHOWN = "\\x1b]0;owned\\x07\\x1b[2J"
MARKUP = (
    "[red]x[/red]",
    "[/]",
    "[/nothing]",
    ":dog: [link=http://x]y[/link]",
    "a\\",
    "zero\u200bwidth",
    "[bold",
    "`alpha`",
)
"""Names that are good."""
OURS = re.compile(rb"\x1b\[(?:[0-9;]*m|\?25[lh]|[0-9]*[AK])|\r")
"""Colours, and what draws a bar."""


def acted(shown: bytes) -> str:
    """What a terminal would have acted on, besides what the command itself draws."""
    text = OURS.sub(b"", shown).decode("utf-8", "surrogateescape")
    return "".join(char for char in text if not char.isprintable() and char not in "\n\t\u200b")


def seen(shown: bytes) -> str:
    """What is read on a terminal, wrapped lines put together."""
    return OURS.sub(b"", shown).decode("utf-8").replace("\n", "")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache whose clips and labels have names that are markup, with attributes that are commands of a terminal."""
    folder = tmp_path_factory.mktemp("terminal")
    golden = GoldenSet.load("clip_clap_llp")
    n = len(MARKUP)
    features = {name: golden.features[name][:n] for name in ("image", "video", "audio")}
    cache = FeatureCache.from_arrays(folder / "features.zarr", clip_ids=MARKUP, backbone="clip_clap", **features)
    labels = [*MARKUP, *golden.official["labels"][n:]]
    texts = {side: golden.features[f"text_{side}"] for side in ("visual", "audio")}
    cache.add_text("own", labels=labels, prompts={}, **texts)
    cache.update_attributes({"note": EVIL, "notes": {"a": [EVIL]}, "[/]": "[/nope]", EVIL[:20]: 1})
    events = "filename\tonset\toffset\tevent_labels\n"
    events += "".join(f"{clip}\t0\t5\t{label}\n" for clip, label in zip(MARKUP, labels, strict=False))
    (folder / "annotations").mkdir()
    names = "filename\n" + "".join(f"{clip}\n" for clip in MARKUP)
    for name, text in (("eval_audio", events), ("eval_visual", events), ("test_pd", names)):
        (folder / "annotations" / f"AVVP_{name}.csv").write_text(text, encoding="utf-8")
    failed = FeatureCache.create(
        folder / "failed.zarr", clip_ids=MARKUP[:2], backbone="clip_clap", visual_dim=4, audio_dim=3, windows="whole"
    )
    image, video, audio = np.ones((2, 10, 4)), np.ones((2, 1, 1, 4)), np.ones((2, 1, 3))
    failed.write_shard(0, image, video, audio, [2, 2], [f"{EVIL} [/]", "[red]x[/red] `x=`"])
    (folder / "evil.toml").write_text(json.dumps(EVIL) + " = 1\n")
    (folder / "labels.txt").write_text(f"dog\n{EVIL}\n", encoding="utf-8", newline="")
    return folder


SCORE = ("score", "--filter-threshold", "0", "--threshold-stage1", "0.5", "--threshold-stage2", "0")
READ = ("--annotations", "annotations", "--dataset", "llp")
COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "info": (("info",), SHOWN),
    "info for machines": (("info", "--json"), "\\u001b]0;owned\\u0007"),
    "failed": (("info", "failed.zarr", "--failed"), SHOWN),
    "failed for machines": (("info", "failed.zarr", "--failed", "--json"), "owned"),
    "shards": (("info", "--shards"), ""),
    "verify": (("verify",), "nothing is damaged"),
    "score": (SCORE, "[red]x[/red]"),
    "figures of labels": (("evaluate", *READ, "--per-class"), "[/nothing]"),
    "figures for machines": (("evaluate", *READ, "--json"), "[/nothing]"),
    "search": (
        ("search", *READ, "--split", "test", "--alpha", "0,1", "-o", "s.zarr", "--overwrite"),
        "written: s.zarr",
    ),
    "export": (("export", "--overwrite"), "features.h5"),
    "settings": ((*SCORE, "--config", "evil.toml"), "Error: evil.toml: unknown parameter"),
    "labels": (("import", "--image", "x.npy", "--labels", "labels.txt"), "Error: "),
    "a path": (("info", EVIL.replace("\x00", "")), SHOWN),
    "a path of two lines": (("info", "a\nb"), "Error: a\\x0ab is not there"),
    "an option": (("info", "--" + EVIL.replace("\x00", "")), SHOWN),
    "a choice": (("evaluate", "--dataset", EVIL.replace("\x00", ""), "--annotations", "."), SHOWN),
    "a number": (("score", "--alpha", EVIL.replace("\x00", "")), SHOWN),
    "a command": ((EVIL.replace("\x00", ""),), SHOWN),
    "help": (("--help",), "Commands:"),
}


@pytest.mark.parametrize("columns", [pytest.param(60, marks=pytest.mark.slow), 200])
@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_acts_on_a_terminal(name: str, columns: int, here: Path) -> None:
    words, said = COMMANDS[name]
    if name.startswith("figures"):
        on_a_terminal(SCORE, here)
    shown = on_a_terminal(words, here, columns)
    assert acted(shown) == "", ascii(acted(shown))
    assert b"Traceback" not in shown
    assert said in seen(shown) or columns == 60
    assert "\nError: not ours" not in shown.decode().replace("\r", "\n")


def test_markup_is_shown_as_it_is(here: Path) -> None:
    """In tables wide enough and as lines, and in pipes."""
    for columns in (30, 200):
        text = seen(on_a_terminal(SCORE, here, columns))
        for label in MARKUP:
            assert label in text, (columns, label, text)
    piped = av2a(*SCORE, cwd=here).out
    assert all(label in piped for label in MARKUP)
    failed = av2a("info", "failed.zarr", "--failed", cwd=here).out.splitlines()
    assert failed[1] == "[/]\t[red]x[/red] `x=`"


def test_json_is_json_wherever_it_goes(here: Path) -> None:
    for columns in (0, 200):
        if columns:
            text = on_a_terminal(("info", "--json"), here, columns).decode().replace("\r\n", "\n")
        else:
            text = av2a("info", "--json", cwd=here).out
        found = json.loads(text)
        assert found["attributes"]["note"] == EVIL
        assert text.isascii()


LIVE = """
import sys, time, warnings
import av2a_cli
av2a_cli._open_streams()
evil = sys.argv[1]
with av2a_cli._progress("making") as progress:
    progress(1, 2)
    time.sleep(0.3)
    av2a_cli._say(f"said {evil} [red]x[/red] [/] :dog:")
    print(f"written {evil} [/]")
    print(f"to stderr {evil} [/]", file=sys.stderr)
    warnings.warn(f"warned {evil} [/]")
with av2a_cli._search_progress() as progress:
    progress(1, 2, 3.0)
av2a_cli._table(("label", "[/]"), [(evil, "[red]x[/red]"), (":dog:", 1.0)])
raise ValueError(f"raised {evil} [/]")
"""


def test_beside_a_bar(here: Path) -> None:
    """Lines, warnings and what nobody caught are printed while a bar is there."""
    shown = on_a_terminal((EVIL.replace("\x00", ""),), here, 300, program=(sys.executable, "-c", LIVE))
    assert acted(shown) == "", ascii(acted(shown))
    text = seen(shown)
    for word in ("said", "written", "to stderr", "warned", "raised"):
        assert f"{word} {SHOWN}" in text, text
    assert "[red]x[/red] [/] :dog:" in text


def test_each_line_of_a_table_is_one(here: Path) -> None:
    """A value with a line's end makes no line of its own."""
    lines = av2a("info", cwd=here).out.splitlines()
    assert not [line for line in lines if line.startswith("Error")]
