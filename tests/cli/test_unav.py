"""UnAV-100's figures through the command: golden numbers to every digit, tables, refusals."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from score import EventBlocks, read_annotations
from tests.command import av2a, refusal
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
    if not hasattr(EventBlocks, "read_list"):
        pytest.skip("files that list events are not read yet")
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
