"""Settings and annotations broken by the hundred: an error in one line, or what another reading of the file says.

500 cases here, 20,000 among the slow tests; a sample of them in processes of their own.
"""

import csv
import io
import json
import random
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from score.config import ScoreConfig
from tests.fuzz import (
    ANY_TEXT,
    MOST_MEMORY,
    TABLE,
    TOML,
    End,
    Mutator,
    check_end,
    mutants,
    peak_here,
    run_alone,
    run_here,
)  # fmt: skip
from tests.golden_scoring import GoldenSet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="alarms")
SETTINGS = (
    b"# search: s.zarr\nalpha = 0.45\nfilter_threshold = 0.5\nthreshold_stage1 = 0.75\nthreshold_stage2 = 0.75\n"
    b'gamma = 1.0\nmethod = "bbse-cosine"\nfusion = "early"\nlabel_selection = true\nrefinement = true\n'
    b'decision = "threshold"\nlabel_shift_iters = 1\npooled_windows = false\n'
)
FEW = [pytest.param(170, 1), pytest.param(6_700, 2, marks=pytest.mark.slow)]
"""Cases and seeds of each of three kinds of file."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache, its events, annotations of both data sets; not to be changed but for what is mutated."""
    folder = tmp_path_factory.mktemp("fuzzed")
    golden = GoldenSet.load("clip_clap_llp")
    golden.make_cache(folder / "features.zarr")
    golden.write_annotations(folder / "llp")
    assert run_here(("score",), folder).code == 0
    clips, labels = golden.official["videos"], golden.official["labels"]
    records = {clip: [{"class": labels[number % 9], "start": 0, "end": 5}] for number, clip in enumerate(clips[:9])}
    (folder / "ave.json").write_text(json.dumps(records))
    return folder


def each_ends_well(
    file: Path, words: tuple[object, ...], mutators: tuple[Mutator, ...], count: int, seed: int,
    legal: Callable[[End], None],
) -> None:  # fmt: skip
    """Every mutant of a file is refused in one line, or read as ``legal`` says; some are read, and most are refused."""
    data = file.read_bytes()
    folder = next(parent for parent in file.parents if (parent / "features.zarr").exists())
    before, read = peak_here(), 0
    try:
        for number, (names, mutant) in enumerate(mutants(data, mutators, count, seed)):
            file.write_bytes(mutant)
            end = (run_alone if number % (count // 5) == 0 else run_here)(words, folder)
            try:
                check_end(end)
                if end.code == 0:
                    legal(end)
                    read += 1
            except BaseException as error:
                error.add_note(f"case {number} of seed {seed}: {names}: {mutant[:2000]!r}")
                raise
    finally:
        file.write_bytes(data)
    assert peak_here() - before < MOST_MEMORY
    assert 0 < read < count


@pytest.mark.parametrize(("count", "seed"), FEW)
def test_settings(count: int, seed: int, world: Path) -> None:
    file = world / "given.toml"
    file.write_bytes(SETTINGS)
    written = world / "fuzzed.json"

    def legal(end: End) -> None:
        """The settings are those that TOML's own reader gives, over the published ones."""
        found = tomllib.loads(lines_of(file))
        expected = ScoreConfig.published("clip_clap").to_dict() | found
        used = json.loads(written.read_text())["config"]
        assert used == expected
        assert all(type(used[name]) is type(ScoreConfig.published("clip_clap").to_dict()[name]) for name in used)

    each_ends_well(file, ("score", "--config", file.name, "-o", written.name), TOML, count, seed, legal)


def lines_of(file: Path) -> str:
    """A text whatever its line ends."""
    return file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def naive_rows(text: str, delimiter: str) -> list[list[str]]:
    """Rows as any reader of tables gives them."""
    try:
        found = list(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True))
    except csv.Error:
        found = [line.split(delimiter) for line in text.split("\n")]
    rows = [[cell.strip() for cell in row] for row in found]
    return [row for row in rows if any(row)]


def quoted(cell: str) -> str:
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'


@pytest.mark.parametrize(("count", "seed"), FEW)
def test_llp_annotations(count: int, seed: int, world: Path) -> None:
    """Figures are those of the same rows in a clean file."""
    file = world / "llp" / "AVVP_eval_visual.csv"
    words = ("evaluate", "--annotations", "llp", "--dataset", "llp", "--json")

    def legal(end: End) -> None:
        header, *rows = naive_rows(lines_of(file), "\t")
        columns = ("filename", "onset", "offset", "event_labels")
        clean = ["\t".join(columns)]
        clean += ["\t".join(quoted(row[header.index(name)]) for name in columns) for row in rows]
        again = world / "clean"
        shutil.copytree(world / "llp", again, dirs_exist_ok=True)
        (again / file.name).write_text("\n".join(clean), encoding="utf-8")
        other = run_here((*words[:2], "clean", *words[3:]), world)
        assert other.code == 0, other
        assert json.loads(other.out) == json.loads(end.out)

    each_ends_well(file, words, TABLE, count, seed, legal)


def ave_of(found: Any) -> dict[str, list[Any]]:
    return {
        clip.strip(): [[each["class"].strip(), float(each["start"]), float(each["end"])] for each in events]
        for clip, events in found.items()
    }


@pytest.mark.parametrize(("count", "seed"), FEW)
def test_ave_annotations(count: int, seed: int, world: Path) -> None:
    """Clips and their events are those that JSON's own reader gives."""
    from score import read_annotations

    file = world / "ave.json"

    def legal(end: End) -> None:
        found = read_annotations("ave", file)
        expected = ave_of(json.loads(file.read_bytes().decode("utf-8-sig")))
        assert set(found.clip_ids) == set(expected)
        for clip, events in expected.items():
            assert [list(event) for event in found.visual[clip]] == [each for each in events if each[1] < each[2]]

    words = ("evaluate", "--annotations", "ave.json", "--dataset", "ave", "--json")
    each_ends_well(file, words, ANY_TEXT, count, seed, legal)


@pytest.mark.parametrize(("count", "seed"), [pytest.param(120, 5), pytest.param(3_000, 6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("side", ["predictions", "truth", "clips"])
def test_lists_of_events(side: str, count: int, seed: int, world: Path) -> None:
    """A list as predictions, as truth, and of clips: figures are shares, or there is one line."""
    labels, clips = (
        GoldenSet.load("clip_clap_llp").official["labels"],
        GoldenSet.load("clip_clap_llp").official["videos"],
    )
    rows = [f"{clip},visual,{labels[number % 9]},{number % 3}.25,{4 + number % 6},0.{number % 9}5"
            for number, clip in enumerate(clips[:20])]  # fmt: skip
    for name in ("listed.csv", "mine.csv"):
        (world / name).write_text("\n".join(["clip,stream,label,onset,offset,score", *rows]) + "\n")
    (world / "looked_at.csv").write_text("\n".join(["filename,more", *(f"{clip},1" for clip in clips[:20])]) + "\n")

    def legal(end: End) -> None:
        found = json.loads(end.out)["metrics"]
        shares = [value for name, value in found.items() if "rate" not in name and "collar" not in name]
        assert shares
        assert all(value is None or 0 <= value <= 100 for value in shares)

    words: tuple[str, ...] = (
        "evaluate",
        "listed.csv",
        "--dataset",
        "events",
        "--truth",
        "mine.csv",
        "--partial",
        "--json",
    )
    if side == "clips":
        words = (*words, "--clips", "looked_at.csv")
    file = world / {"predictions": "listed.csv", "truth": "mine.csv", "clips": "looked_at.csv"}[side]
    each_ends_well(file, words, TABLE, count, seed, legal)


def test_equal_seeds_give_equal_mutants() -> None:
    first, again = (list(mutants(SETTINGS, TOML, 50, 7)) for _ in range(2))
    assert first == again
    assert len({mutant for _, mutant in first}) > 40
    assert all(mutator(b"", random.Random(0)) is not None for mutator in (*TOML, *TABLE))
