"""What the library says of arguments and calls, the command says of options and commands; tables fit the terminal."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from av2a_cli import in_options, main
from feature_cache import FeatureCache
from tests.command import AV2A, COMPILING, av2a, refusal
from tests.golden_scoring import GoldenSet
from tests.terminal import on_a_terminal


@pytest.mark.parametrize(
    ("said", "command", "shown"),
    [
        ("it is there: `overwrite=True`", "extract", "it is there: --overwrite"),
        ("use `method='bbse'`", "score", "use --method bbse"),
        ("use `refinement=False`", "score", "use --no-refinement"),
        ("no `labels` here", "extract", "no --labels here"),
        ('name them by `clips="FILE"`', "import", "name them by --clips FILE"),
        ("score again: `score(..., stitched=False)`", "evaluate", "score again: `av2a score --no-stitch`"),
        ("`verify('a b.zarr', repair=True)` tells", "score", "`av2a verify 'a b.zarr' --repair` tells"),
        ("`extract_videos(..., windows='all')`", "score", "`av2a extract --windows all`"),
        ("`make_demo(...)` makes some", "extract", "`av2a demo` makes some"),
        ("with `retry_failed=True`", "info", "with --retry-failed"),  # of another command
        ("label `dog`, `a b`, `x=`, `os.remove('x')`", "text", "label `dog`, `a b`, `x=`, `os.remove('x')`"),
        ("`alpha`", None, "--alpha"),
    ],
)
def test_in_options(said: str, command: str | None, shown: str) -> None:
    assert in_options(said, command) == shown


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("messages")
    GoldenSet.load("language_bind_llp").make_cache(folder / "features.zarr")
    GoldenSet.write_annotations(folder / "annotations")
    rng = np.random.default_rng(0)
    cache = FeatureCache.from_arrays(
        folder / "whole.zarr", clip_ids=["a", "b"], backbone="clip_clap", image=rng.normal(size=(2, 10, 4)),
        video=rng.normal(size=(2, 1, 1, 4)), audio=rng.normal(size=(2, 1, 3)),
    )  # fmt: skip
    cache.add_text("two", labels=["x", "y"], visual=np.ones((2, 4)), audio=np.ones((2, 3)))
    return folder


def test_through_the_command(here: Path) -> None:
    line = refusal("score", "whole.zarr", cwd=here)
    assert line.endswith("`av2a extract --windows all`, or use --pooled-windows (approximate) or --no-refinement")
    av2a("export", "whole.zarr", cwd=here)
    assert "`" not in refusal("export", "whole.zarr", cwd=here).replace("`av2a", "")
    assert refusal("score", "gone.zarr", cwd=here).endswith("make it with `av2a extract`")
    assert refusal("evaluate", "none.json", "--annotations", "annotations", "--dataset", "llp", cwd=here).endswith(
        "none.json is not there: `av2a score` makes it"
    )


def test_reasons_and_mends_for_machines(tmp_path: Path) -> None:
    """JSON of the command has its words, too."""
    cache = FeatureCache.create(
        tmp_path / "c.zarr", clip_ids=["a", "b"], backbone="clip_clap", visual_dim=4, audio_dim=3, windows="whole"
    )
    image, video, audio = np.ones((2, 10, 4)), np.ones((2, 1, 1, 4)), np.ones((2, 1, 3))
    cache.write_shard(0, image, video, audio, [1, 2], ["", "gone: put it back, then `retry_failed=True`"])
    for words in (("--failed",), ("--failed", "--json")):
        assert "then --retry-failed" in av2a("info", "c.zarr", *words, cwd=tmp_path).out
    cache.add_text("two", labels=["x", "y"], visual=np.ones((2, 4)), audio=np.ones((2, 3)))
    (tmp_path / "c.zarr/text/two/zarr.json").write_text("{")
    mends = [bad["mend"] for bad in av2a("verify", "c.zarr", "--json", cwd=tmp_path).json()["damage"]]
    assert any("`av2a text`" in mend for mend in mends), mends
    assert not any("(...)" in mend for mend in mends)


def test_short_helps_are_whole() -> None:
    text = subprocess.run(
        [AV2A, "--help"], env={**os.environ, "COLUMNS": "80"}, capture_output=True, text=True, check=True
    )
    listed = dict(re.findall(r"^  ([a-z]+) {2,}(.*)$", text.stdout.partition("Commands:")[2], flags=re.MULTILINE))
    assert list(listed) == list(main.commands)
    for words in listed.values():
        assert words.endswith(".")
        assert not words.endswith("...")
        assert len(words) <= 50


def wide(words: tuple[str, ...], columns: int, cwd: Path) -> list[str]:
    """Lines that the command writes on a terminal of so many columns, without colours, bars and a note of compiling."""
    shown = on_a_terminal(words, cwd, columns).decode().replace("\r\n", "\n")
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).split("\n")
    found = (line.rpartition("\r")[2] for line in lines)
    return [line for line in found if line != COMPILING.strip()]


SEARCH = (
    "search", "--annotations", "annotations", "--dataset", "llp", "--split", "test", "--overwrite",
    "--alpha", "0.4,0.5", "--filter-threshold", "0.5,0.55", "--threshold-stage1", "0.7,0.75", "--gamma", "1,2.5",
)  # fmt: skip
WORDS = {"alpha", "filter", "threshold", "stage1", "gamma", "segment", "event", "type", "av"}


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_headings_are_not_broken_within_words(columns: int, here: Path) -> None:
    lines = wide(SEARCH, columns, here)
    assert all(len(line) <= columns for line in lines)
    start = next(number for number, line in enumerate(lines) if "clips of the test split" in line) + 1
    end = next(number for number, line in enumerate(lines) if "the best setting" in line)
    table = lines[start:end]
    if columns == 60:  # too narrow for eleven columns: a line a setting, wrapped between words
        assert "filter_threshold" in " ".join(table)
        return
    heading = table[: next(number for number, line in enumerate(table) if "──" in line)]
    for part in re.findall(r"[^\s_-]+", " ".join(heading)):
        assert part == "#" or any(word == part or word.startswith(part.removesuffix("…")) for word in WORDS), heading
        assert part in WORDS | {"#"} or part.endswith("…") or len(part) >= 6, heading
    cells = [line.split() for line in table[len(heading) + 1 :]]
    assert len(cells) == 10
    assert {len(row) for row in cells} == {9}
    assert all(re.fullmatch(r"\d+(\.\d+)?", cell) for row in cells for cell in row)
