"""UnAV-100's figures through the command: golden numbers to every digit, tables, refusals."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from score import SearchResult, read_annotations
from score.datasets.mean_ap import THRESHOLDS
from score.reference.average_precision import mean_average_precisions
from tests.command import av2a, refusal
from tests.fuzz import ANY_TEXT, End, check_end, mutants, run_here
from tests.score.test_search_files import make_cache, make_truth
from tests.score.test_unav import GOLDEN, file_events, golden_rows

WORDS = ("evaluate", "pred.json", "--dataset", "unav-100", "--annotations", "gt.json")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    shutil.copy(GOLDEN / "unav_gt.json", tmp_path / "gt.json")
    truth = read_annotations("unav-100", tmp_path / "gt.json")
    file_events(truth.clip_ids, truth.labels, golden_rows(truth)).write(tmp_path / "pred.json")
    return tmp_path


def expected() -> Any:
    return json.loads((GOLDEN / "unav_expected.json").read_text())


def test_golden_figures(place: Path) -> None:
    done = av2a(*WORDS, "--split", "test", "--json", cwd=place)
    assert done.code == 0, done.err
    found = done.json()
    wanted = {f"map-{threshold}": value for threshold, value in zip(expected()["tiou"], expected()["mAP"], strict=True)}
    wanted["map"] = expected()["average_mAP"]
    assert found["metrics"] == pytest.approx({name: 100 * value for name, value in wanted.items()}, rel=1e-14)
    assert (found["clips_found"], found["clips_in_split"], found["annotation_rows_without_length"]) == (10, 10, 2)
    for label, values in expected()["AP"].items():
        ours = [found["per_class"][label][f"ap-{threshold}"] for threshold in expected()["tiou"]]
        assert ours == pytest.approx([100 * value for value in values], rel=1e-14)


def test_tables(place: Path) -> None:
    done = av2a(*WORDS, "--per-class", cwd=place)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "10 of 10 clips of the test split"
    assert lines[1] == "2 annotations that repeat another one of their file were left out"
    assert max(map(len, lines)) <= 80
    values = [100 * value for value in (*expected()["mAP"], expected()["average_mAP"])]
    assert lines[2].split() == ["IoU", *map(str, expected()["tiou"]), "mean"]
    assert lines[4].split() == ["mAP", "%", *(f"{value:.1f}" for value in values)]
    assert lines[-4].split() == ["dog", "barking", "50.6", "45.6", "11", "9"]


def test_other_systems_results(place: Path) -> None:
    """As the official code writes them: labels by number."""
    shutil.copy(GOLDEN / "unav_pred.json", place / "pred.json")
    done = av2a(*WORDS, "--split", "test", "--json", cwd=place)
    assert done.code == 0, done.err
    assert done.json()["metrics"]["map"] == pytest.approx(100 * expected()["average_mAP"], rel=1e-14)


def test_refusals(place: Path) -> None:
    assert "no videos of the val split: there are test (10), train (2)" in refusal(*WORDS, "--split", "val", cwd=place)
    line = refusal(*WORDS, "--split", "train", cwd=place)
    assert "none of the 2 clips of the train split was scored (first: v_10)" in line
    assert "gt2.json is not there" in refusal(*WORDS[:-1], "gt2.json", cwd=place)
    found = json.loads((place / "pred.json").read_text())
    events = [event for event in found["events"] if event["offset"] <= 10]
    cut = {"clips_from": {clip: [f"{clip}.mp4", 10.0] for clip in found["clips"]}, "stitched": False, "events": events}
    events[0].update(onset=0, offset=1)
    for event in events:
        event.update(onset=1.0, offset=2.0)
    (place / "pred.json").write_text(json.dumps({**found, **cut}))
    assert refusal(*WORDS, cwd=place).endswith("score again: `av2a score --stitch`")


def test_search(tmp_path: Path) -> None:
    """Tuned on files of one split and reported on another, from clips that were cut from them."""
    cache = make_cache(tmp_path / "features.zarr", 8, True)
    truth = make_truth(8, 2)
    database = {
        file: {
            "subset": "validation" if number < 5 else "test", "duration": 24.3,
            "annotations": [
                {"segment": [onset, offset], "label": label} for label, onset, offset in truth.visual[file]
            ],
        }
        for number, file in enumerate(truth.clip_ids)
    }  # fmt: skip
    (tmp_path / "gt.json").write_text(json.dumps({"database": database}))
    words = ("search", "--annotations", "gt.json", "--dataset", "unav-100", "--alpha", "0:1:0.25", "--gamma", "0.5,2")
    wide = ("--threshold-stage1", "0.5", "--filter-threshold", "0.3")
    done = av2a(*words, *wide, "--report-split", "test", "--plot", "pictures", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "5 of 5 clips of the val split, 10 settings" in done.out
    assert "test (3 clips)" in done.out
    best = SearchResult.open(tmp_path / "search.zarr").best
    assert any(line.split()[:2] == ["map", f"{best.metrics['map']:.1f}"] for line in done.out.splitlines()), done.out
    assert av2a("score", "--config", "best.toml", cwd=tmp_path).code == 0
    scored = av2a("evaluate", "--annotations", "gt.json", "--dataset", "unav-100", "--split", "val", cwd=tmp_path)
    assert scored.code == 0, scored.err
    assert "audiovisual events lie in files outside the split and count as wrong" in scored.out
    assert len(cache) == 24
    line = refusal(*words, *wide, "--per-clip-ceiling", "-o", "other.zarr", "--best", "other.toml", cwd=tmp_path)
    assert line.endswith("so that no clip has a best setting of its own: search without --per-clip-ceiling")
    assert not (tmp_path / "other.zarr").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="alarms")
@pytest.mark.parametrize(("count", "seed"), [(150, 1), pytest.param(3000, 2, marks=pytest.mark.slow)])
def test_broken_annotations(count: int, seed: int, place: Path) -> None:
    """An error in one line, or the figures of a plain reading of what the file says."""
    data = (place / "gt.json").read_bytes()
    rows = golden_rows(read_annotations("unav-100", place / "gt.json"))
    read = 0
    for number, (names, mutant) in enumerate(mutants(data, ANY_TEXT, count, seed)):
        (place / "gt.json").write_bytes(mutant)
        end = run_here((*WORDS, "--json"), place)
        try:
            check_end(end)
            if end.code == 0:
                read += 1
                check_plain(end, mutant.decode("utf-8-sig"), rows)
        except BaseException as error:
            error.add_note(f"case {number} of seed {seed}: {names}: {mutant[:3000]!r}")
            raise
    assert 0 < read < count


def check_plain(end: End, text: str, rows: list[Any]) -> None:
    true: dict[str, dict[str, list[Any]]] = {}
    for clip, video in json.loads(text)["database"].items():
        if video["subset"].strip().lower() not in ("test", "testing"):
            continue
        kept: list[Any] = []
        for event in video.get("annotations") or ():
            onset, offset = map(float, event["segment"])
            ends = [(onset, offset), event["label"].strip()]
            if not any(
                abs(onset - a) <= 1e-3 and abs(offset - b) <= 1e-3 and label == ends[1] for (a, b), label in kept
            ):
                kept.append(ends)
        for span, label in kept:
            true.setdefault(label, {}).setdefault(clip.strip(), []).append(span)
    said: dict[str, list[Any]] = {}
    for clip, label, onset, offset, score_of in rows:
        said.setdefault(label, []).append((clip, (onset, offset), score_of))
    plain = mean_average_precisions(said, true, THRESHOLDS)
    found = json.loads(end.out)["metrics"]
    assert [found[f"map-{threshold}"] for threshold in THRESHOLDS] == pytest.approx([100 * each for each in plain])
