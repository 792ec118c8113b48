"""Events files that are damaged or made to do harm; and odd ones that are whole."""

import json
import os
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from av2a_cli import main
from benchmarks.machine import peak_memory
from score import Events, ScoreError, evaluate, read_annotations
from tests.command import AV2A, refusal
from tests.made_events import EVENTS, made_events
from tests.mutated_events import mutated
from tests.plain_events import plain_read

MANY = 20_000


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truth")
    (folder / "AVVP_test_pd.csv").write_text("filename\na_b\nc\n")
    for side in ("visual", "audio"):
        (folder / f"AVVP_eval_{side}.csv").write_text("filename\tonset\toffset\tevent_labels\na_b\t0\t4\tdog\n")
    return folder


def command(file: Path, truth: Path) -> Any:
    return CliRunner().invoke(
        main, ["evaluate", str(file), "--annotations", str(truth), "--dataset", "llp", "--partial", "--json"]
    )


def same(ours: Events, theirs: Events) -> None:
    for field in fields(Events):
        one, other = getattr(ours, field.name), getattr(theirs, field.name)
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other, field.name


def run_cases(seeds: range, folder: Path, truth: Path) -> tuple[int, int]:
    """How many files of the seeds were evaluated, and how many refused."""
    found, split, codes = EVENTS.to_dict(), read_annotations("llp", truth), [0, 0]
    for seed in seeds:
        rng = random.Random(seed)
        file = folder / ("e.jsonl" if rng.random() < 0.3 else "e.json")
        file.write_bytes(mutated({"format": "av2a-events", "version": 1, **found}, rng, file.suffix == ".jsonl"))
        done = command(file, truth)
        assert done.exit_code in (0, 1), (seed, done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit), (seed, done.exception)
        codes[done.exit_code] += 1
        if done.exit_code:
            assert done.stderr.startswith("Error: "), (seed, done.stderr)
            assert done.stderr.count("\n") == 1, (seed, done.stderr)
            assert len(done.stderr) < 700 + len(str(file)), (seed, done.stderr)
            assert "Traceback" not in done.stderr, (seed, done.stderr)
        else:
            expected = evaluate(plain_read(file), split, partial=True)
            assert json.loads(done.stdout) == json.loads(json.dumps(expected.to_dict())), seed
    return codes[0], codes[1]


def test_mutated_files_give_their_figures_or_a_line(tmp_path: Path, truth: Path) -> None:
    evaluated, refused = run_cases(range(300), tmp_path, truth)
    assert evaluated > 50
    assert refused > 100


@pytest.mark.slow
def test_many_mutated_files(tmp_path: Path, truth: Path) -> None:
    run_cases(range(300, MANY), tmp_path, truth)


def big(folder: Path, name: str, text: bytes, size: int) -> Path:
    """A file of a size that has nothing but zeros behind its beginning."""
    file = folder / name
    file.write_bytes(text)
    os.truncate(file, size)
    return file


def test_in_processes_of_their_own(tmp_path: Path, truth: Path) -> None:
    """One line, and not much memory."""
    head = json.dumps({"format": "av2a-events", "version": 1, **EVENTS.to_dict()}).encode()
    at = head.index(b'"clip": ') + 9
    files = [
        big(tmp_path, "text.json", b'{"format": "', 2**30),
        big(tmp_path, "clip.json", head[:at], 2**30),
        big(tmp_path, "list.jsonl", head[:-1] + b"}\n[", 2**30),
        tmp_path / "deep.json",
    ]
    files[-1].write_bytes(b'{"a":' + b"[" * 10_000_000)
    for file in files:
        words = ["evaluate", file, "--annotations", truth, "--dataset", "llp"]
        with subprocess.Popen([str(AV2A), *map(str, words)], stderr=subprocess.PIPE, text=True) as process:
            peak = 0
            while process.poll() is None:
                peak = max(peak, peak_memory(process.pid))
                time.sleep(0.01)
            assert process.stderr is not None
            line = process.stderr.read()
        assert process.returncode == 1
        assert line.startswith("Error: ")
        assert line.count("\n") == 1
        assert peak < 500 * 2**20, (file, peak)


def altered(change: Callable[[dict[str, Any]], Any]) -> str:
    found = json.loads(json.dumps({"format": "av2a-events", "version": 1, **EVENTS.to_dict()}))
    change(found)
    return json.dumps(found)


def replaced(old: str, new: str) -> str:
    text = altered(lambda found: None)
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (altered(lambda found: found.update(segments=10**12)), "clips of 1000000000000 segments, at most 64"),
        (altered(lambda found: found.update(segments=0)), r"Expected `int` >= 1 - at `\$\.segments`"),
        (altered(lambda found: found.update(segments=-1)), r"at `\$\.segments`"),
        (altered(lambda found: found.update(segments=True)), r"Expected `int`, got `bool` - at `\$\.segments`"),
        (altered(lambda found: found.update(segment_seconds=-1)), r"at `\$\.segment_seconds`"),
        (replaced('"segment_seconds": 1.0', '"segment_seconds": 1e400'), "segments of inf s"),
        (replaced('"segment_seconds": 1.0', '"segment_seconds": NaN'), "NaN is no number"),
        (replaced('"version": 1', '"version":\x001'), "damaged"),
        (altered(lambda found: found["config"].update(beta=1)), "unknown parameter 'beta'"),
        (altered(lambda found: found["config"].update(alpha="0.5")), "alpha must be a number, got '0.5'"),
        (altered(lambda found: found["config"].update(alpha=[0.5])), r"at `\$\.config"),
        (altered(lambda found: found["config"].update(refinement=1)), "refinement must be true or false, got 1"),
        (replaced('"config"', '"rule": "mine", "config"'), "no rule 'mine'"),
        (altered(lambda found: found.update(approximate=True)), "'approximate' is True, which its 'config' is not"),
        (altered(lambda found: found["labels"].append("cat")), "label 'cat' is there twice"),
        (altered(lambda found: found["clips"].append("c")), "clip 'c' is there twice"),
        (altered(lambda found: found["clips"].append("y" * 5000)), r"Expected `str` of length <= 4096"),
        (altered(lambda found: found.update(missing={"z": "sound"})), "clip 'z' of 'missing' is none of its clips"),
        (altered(lambda found: found.update(missing={"c": "smell"})), r"Invalid enum value 'smell'"),
        (altered(lambda found: found["left_out"].update(failed=-1)), r"at `\$\.left_out"),
        (altered(lambda found: found["events"][1].update(clip="z")), "an event of clip 'z', which it does not list"),
        (altered(lambda found: found["events"][1].update(stream="smell")), "an event of stream 'smell'"),
        (altered(lambda found: found["events"][1].update(onset=True)), "event 2: Expected `float`, got `bool`"),
        (altered(lambda found: found["events"][1].pop("score")), "event 2: .*missing required field `score`"),
        (altered(lambda found: found["events"][1].update(score=1.5)), r"score 1\.5 of an event in clip"),
        (altered(lambda found: found["events"].append(7)), "event 5: Expected `object`, got `int`"),
        (replaced('"onset": 0.0', '"onset": 1e400'), "event from inf to 4.0 s in clip a_b"),
        (replaced('"onset": 0.0', '"onset": -1e400'), "event from -inf to 4.0 s in clip a_b"),
        (replaced('"score": 1.0', '"score": NaN'), "event 1: NaN is no number"),
        (replaced('"score": 1.0', '"score": 1.0, "score": 1.0'), "event 1: 'score' is there twice"),
        (replaced('"score": 1.0', '"score": 1.0, "\\u0073core": 1.0'), "event 1: 'score' is there twice"),
        (replaced('"config": {', '"config": {"alpha": 0.1, '), "'config': 'alpha' is there twice"),
        (replaced('"labels"', '"segments": 10, "labels"'), "'segments' is there twice"),
        (replaced('"events": [', '"events": [], "events": ['), "'events' is there twice"),
        (altered(lambda found: None)[:-2] + '], "events": []}', "'events' is there twice"),
        (altered(lambda found: None)[:-2] + '], "rule": "mine"}', "'rule' stands after the events"),
        (altered(lambda found: None) + "x", "something follows its end"),
        (altered(lambda found: None)[:-2] + ",]}", "no event after the comma"),
        (altered(lambda found: None)[:-30], "it ends in the middle"),
        (replaced('"score": 1.0', '"score": ' + "[" * 100_000), "more than 50 lists and objects in each other"),
        (replaced('"labels"', '"more": ' + "1" * 100_000 + ', "labels"'), "a text or number of over 65,536 bytes"),
        (replaced('"score": 1.0', '"score": ' + "1" * 5000), "score inf of an event"),
        (replaced('"segments": 10', '"segments": ' + "1" * 5000), "Expected `int`, got `float`"),
        (altered(lambda found: found["config"].update(alpha="y" * 5000)), "alpha must be a number, got 'yyy"),
        (replaced('"score": 1.0', '"more": ' + '{"a":' * 100_000), "more than 50 lists and objects in each other"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(ScoreError, match=message) as caught:
        Events.read(tmp_path / "e.json")
    assert str(caught.value).startswith(str(tmp_path / "e.json"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 320


LAYOUTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "sorted": lambda found: json.dumps(found, sort_keys=True),
    "sorted and indented": lambda found: json.dumps(found, sort_keys=True, indent=4),
    "compact": lambda found: json.dumps(found, separators=(",", ":")),
    "spaced": lambda found: json.dumps(found, indent="\t \r\n", separators=("  ,\n", "\n : ")) + "\n \n",
    "unescaped": lambda found: json.dumps(found, ensure_ascii=False),
    "backwards": lambda found: json.dumps(dict(reversed(found.items()))),
    "records backwards": lambda found: json.dumps(
        {**found, "events": [dict(reversed(record.items())) for record in found["events"]]}
    ),
    "whole numbers": lambda found: json.dumps(found).replace(".0,", ",").replace(".0}", "}"),
    "exponents": lambda found: json.dumps(found).replace('"onset": 2.0', '"onset": 0.2E+1'),
    "escaped names": lambda found: (
        json.dumps(found).replace('"clip"', '"\\u0063lip"').replace('"config"', '"c\\u006fnfig"')
    ),
    "more than needed": lambda found: json.dumps(
        {"note": {"a": [1, {"b": None}]}, **found, "events": [{**each, "by": [{"x": "}"}]} for each in found["events"]]}
    ),
    "a note at the end": lambda found: json.dumps({**found, "note": "]}"}),
    "a mark at its beginning": lambda found: "\ufeff" + json.dumps(found),
    "without what has a default": lambda found: json.dumps(
        {name: found[name] for name in found if name not in ("missing", "stitched", "clips_from", "approximate")}
    ),
}  # fmt: skip


@pytest.mark.parametrize("times", [1, 9000])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(tmp_path: Path, layout: str, times: int) -> None:
    """Of few events, and of more than are read at once; with names that need a look."""
    names = ["ä", 'b"', "c}]", "d\\", 'e\\\\"', "{", "],", "\U0001f600"]
    spans = [("visual", "Dog", 2, 5), ("audio", "cat,", 0, 10), ("audio", "Dog", 0, 1)]
    events = made_events({name: spans * max(1, times // 24) for name in names}, ["Dog", "cat,", "}"])
    found = {"format": "av2a-events", "version": 1, **events.to_dict()}
    (tmp_path / "e.json").write_text(LAYOUTS[layout](found), encoding="utf-8")
    same(Events.read(tmp_path / "e.json"), events)


def test_json_lines_in_any_layout(tmp_path: Path) -> None:
    EVENTS.write(tmp_path / "e.jsonl")
    text = (tmp_path / "e.jsonl").read_text()
    for changed in (
        text.replace("\n", "\r\n"), text.replace("\n", "\n\n"), text.rstrip("\n"), "\ufeff" + text,
        text.replace(": ", ":"), text.replace("}\n", ', "by": [1]}\n'), text.replace(" ", "\n "),
    ):  # fmt: skip
        (tmp_path / "e.jsonl").write_text(changed, encoding="utf-8")
        same(Events.read(tmp_path / "e.jsonl"), EVENTS)


def test_a_pipe(tmp_path: Path, truth: Path) -> None:
    """Whatever the order of its facts."""
    for keys in (False, True):
        found = {"format": "av2a-events", "version": 1, **EVENTS.to_dict()}
        done = subprocess.run(
            [str(AV2A), "evaluate", "/dev/stdin", "--annotations", str(truth), "--dataset", "llp", "--json"],
            input=json.dumps(found, sort_keys=keys), capture_output=True, check=False, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        expected = evaluate(EVENTS, read_annotations("llp", truth))
        assert json.loads(done.stdout) == json.loads(json.dumps(expected.to_dict()))


def test_damaged_parquet(tmp_path: Path, truth: Path) -> None:
    events = made_events({f"c{number}": [("visual", "dog", 0, 4)] * 3 for number in range(50)}, ["dog", "cat"])
    events.write(tmp_path / "e.parquet")
    whole = (tmp_path / "e.parquet").read_bytes()
    for seed in range(40):
        rng = random.Random(seed)
        data = bytearray(whole)
        for _ in range(rng.choice((1, 5))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (tmp_path / "e.parquet").write_bytes(data[: rng.choice((len(data), len(data), rng.randrange(len(data))))])
        done = command(tmp_path / "e.parquet", truth)
        assert done.exit_code in (0, 1), (seed, done.exception)
        assert done.stderr.count("\n") == done.exit_code, done.stderr
    (tmp_path / "e.parquet").write_bytes(b"PAR1" + bytes(100))
    assert "it is no Parquet file, or damaged" in refusal(
        "evaluate", "e.parquet", "--annotations", truth, "--dataset", "llp", cwd=tmp_path
    )
