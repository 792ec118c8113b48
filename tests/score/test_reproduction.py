"""Published experiments: their data, our figures beside them, and what keeps the two from being comparable."""

import json
from dataclasses import replace

import pytest

from score import Annotations, ScoreConfig, ScoreError, evaluate
from score.choices import METHODS
from score.reproduction import RULE, experiments, measure
from tests.made_events import EVENTS, annotations


def test_what_is_published() -> None:
    """Figures that the data sets have, settings that scoring knows; Type@AV and averages are the means they say."""
    found = experiments()
    assert list(found) == ["llp", "ave", "ov-avebench", "demo"]
    for experiment in found.values():
        for row in experiment.rows:
            assert set(row.figures) <= set(experiment.measures.figures)
            assert row.split in experiment.measures.splits
            assert row.rule in (RULE, METHODS[0])
            assert not row.paper_protocol or experiment.measures.paper_protocol
            for level in ("segment", "event"):
                if f"{level}-type-av" in row.figures:
                    parts = (row.figures[f"{level}-{side}"] for side in ("audio", "visual", "audiovisual"))
                    assert sum(parts) / 3 == pytest.approx(row.figures[f"{level}-type-av"], abs=0.11)
            for subset in ("total", "seen", "unseen"):
                if f"{subset}-accuracy" in row.figures:
                    parts = (row.figures[f"{subset}-{kind}"] for kind in ("accuracy", "segment", "event"))
                    assert sum(parts) / 3 == pytest.approx(row.figures[f"{subset}-average"], abs=0.11)


def test_settings() -> None:
    found = experiments()
    published = ScoreConfig.published("clip_clap")
    assert ScoreConfig.for_backbone("clip_clap", found["llp"].settings("clip_clap", "test", {})) == published
    assert found["ave"].settings("clip_clap", "test", {}) == {"decision": "argmax"}
    ov = found["ov-avebench"].settings("imagebind", "test", {"alpha": 0.1})
    assert ov == {
        "decision": "threshold", "alpha": 0.1, "filter_threshold": 0.18, "threshold_stage1": 0.96,
        "threshold_stage2": 0.37, "gamma": 4.55,
    }  # fmt: skip
    assert found["ov-avebench"].settings("tiny", "test", {}) == {"decision": "threshold"}
    with pytest.raises(ScoreError, match="no published settings for backbone 'other'"):
        found["llp"].settings("other", "test", {})


def test_beside_published_figures() -> None:
    """By the paper protocol where the published figures are by it, and correctly, too."""
    truth = annotations()
    found = measure(experiments()["llp"], "clip_laion_clap", EVENTS.blocks, _of(truth, "test"), resamples=50)
    assert found.row is not None
    assert found.report.metrics == evaluate(EVENTS, truth, paper_protocol=True).metrics
    assert found.correct.metrics == evaluate(EVENTS, truth).metrics
    header, rows = found.table()
    assert header == ("figure", "published", "ours [95 %]", "difference", "ours, correct")
    ours = found.report.metrics["segment-audio"]
    low, high = found.intervals["segment-audio"]
    assert rows[0] == (
        "segment-audio", 32.7, f"{ours:.1f} [{low:.1f}, {high:.1f}]", f"{ours - 32.7:+.1f}",
        found.correct.metrics["segment-audio"],
    )  # fmt: skip
    assert [note.split(",")[0] for note in found.notes] == [
        "published are figures of 1",
        "published by the official script",
    ]
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored["difference"]["segment-audio"] == pytest.approx(ours - 32.7)
    assert stored["report"]["paper_protocol"] is True
    assert stored["correct"]["paper_protocol"] is False


def test_where_nothing_is_published() -> None:
    truth = annotations(d_0_10={})
    found = measure(experiments()["llp"], "tiny", EVENTS.blocks, _of(truth, "val"), resamples=50)
    assert found.row is None
    assert found.report is found.correct
    assert found.table()[0] == ("figure", "published", "ours [95 %]", "difference")
    assert {row[1] for row in found.table()[1]} == {"-"}
    assert found.notes == [
        "nothing is published with tiny on LLP's val split, only with clip_clap (test), language_bind (test)",
        "measured on 2 of the split's 3 clips",
    ]


def test_figures_that_are_not_defined() -> None:
    truth = Annotations.from_events({"c": {"visual": [("cat", 0, 5)]}}, kind="ov-avebench")
    found = measure(experiments()["ov-avebench"], "imagebind", EVENTS.blocks, _of(truth, "test"), resamples=20)
    rows = {row[0]: row for row in found.table()[1]}
    assert rows["unseen-average"][1:] == (55.6, "-", "-")
    assert found.to_dict()["difference"]["unseen-average"] is None
    json.dumps(found.to_dict(), allow_nan=False)


def test_files_of_a_split() -> None:
    experiment, truth = experiments()["llp"], _of(annotations(d_0_10={}), "test")
    assert experiment.files_of(truth, ["x", "c", "a_b", "d"], partial=False) == (("a_b", "c", "d"), [])
    assert experiment.files_of(truth, ["x", "c", "a_b"], partial=True) == (("a_b", "c"), [])
    assert experiment.files_of(truth, ["x", "c"], partial=False)[1] == [
        "2 of the 3 clips of the test split have no file (a_b_10_20, d_0_10): add them, or go on without them: "
        "`partial=True`"
    ]
    assert experiment.files_of(truth, ["x"], partial=True)[1] == [
        "3 of the 3 clips of the test split have no file (a_b_10_20, c, d_0_10): is it the right folder?"
    ]
    assert experiment.files_of(truth, ["1/c", "2/c", "a_b", "d"], partial=False)[1][0].startswith(
        "annotated clip c may"
    )
    assert experiment.failed_of(truth, {"a_b": "broken", "x": "gone"}) == {"a_b": "broken"}


def _of(truth: Annotations, split: str) -> Annotations:
    return replace(truth, split=split)
