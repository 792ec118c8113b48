"""Reports: figures by hand, per class, parts of a split, what is refused."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from score import AnnotationError, Annotations, ScoreError, evaluate
from score.datasets.llp import LLP_FIGURES
from tests.made_events import EVENTS, annotations


def test_figures_by_hand() -> None:
    report = evaluate(EVENTS, annotations())
    assert report.metrics["segment-visual"] == pytest.approx(100 * (1 + 4 / 7) / 2)
    assert report.metrics["segment-audio"] == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert report.metrics["segment-audiovisual"] == pytest.approx(100)
    assert report.metrics["event-visual"] == pytest.approx(100 * (1 + 0) / 2)  # 2 of 5 segments in common
    assert tuple(report.metrics) == LLP_FIGURES
    dog = report.per_class["Dog"]
    assert [dog[f"segment-audio-{name}"] for name in ("tp", "fp", "fn")] == [5, 5, 0]
    assert [dog[f"segment-audio-{name}"] for name in ("precision", "recall", "f1")] == pytest.approx([50, 100, 200 / 3])
    assert [dog[f"event-audio-{name}"] for name in ("tp", "fp", "fn")] == [1, 0, 0]  # an IoU of exactly a half
    assert report.config == EVENTS.facts.settings
    assert report.config["decision"] == "threshold"


def test_paper_protocol_takes_visual_predictions_as_audio_ones() -> None:
    plain, paper = (evaluate(EVENTS, annotations(), paper_protocol=given) for given in (False, True))
    assert (plain.paper_protocol, paper.paper_protocol) == (False, True)
    assert paper.metrics["segment-audio"] == pytest.approx(100 * (8 / 9 + 0) / 2)
    assert paper.metrics["segment-visual"] == plain.metrics["segment-visual"]
    assert paper.metrics["segment-audiovisual"] == plain.metrics["segment-audiovisual"]
    assert paper.per_class["Dog"]["segment-audio-fn"] == 1
    assert paper.to_dict()["paper_protocol"] is True


def test_reports_are_plain_data() -> None:
    report = evaluate(EVENTS, annotations())
    stored = json.loads(json.dumps(report.to_dict()))
    assert (stored["clips_found"], stored["clips_in_split"], stored["missing"]) == (2, 2, [])
    assert stored["metrics"] == dict(report.metrics)
    for per_class, tables in ((False, 1), (True, 3)):
        found = report.tables(per_class=per_class)
        assert len(found) == tables
        for header, rows in found:
            assert rows
            assert all(len(row) == len(header) for row in rows)
    accuracy = evaluate(EVENTS, annotations(kind="ave")).tables(per_class=True)
    assert [header[0] for header, _ in accuracy] == ["AVE", "label"]


def test_a_partial_split_is_refused() -> None:
    truth = annotations(d_0_10={}, e={})
    with pytest.raises(AnnotationError, match=r"2 of 4 clips of the annotated split were not scored \(first: d_0_10\)"):
        evaluate(EVENTS, truth)
    report = evaluate(EVENTS, truth, partial=True)
    assert (report.n_found, report.n_split, report.missing) == (2, 4, ("d_0_10", "e"))
    assert report.metrics == evaluate(EVENTS, annotations()).metrics
    with pytest.raises(AnnotationError, match="none of the 1 clips"):
        evaluate(EVENTS, Annotations.from_events({"z": {}}), partial=True)


def test_clips_out_of_the_split_do_not_count() -> None:
    one = Annotations.from_events({"c": {"visual": [("cat", 0, 3)]}})
    report = evaluate(EVENTS, one)
    assert (report.n_found, report.n_split) == (1, 1)
    assert report.metrics["segment-audio"] == 100
    assert report.per_class["Dog"]["segment-audio-fp"] == 0


def test_accuracy_by_hand() -> None:
    truth = Annotations.from_events(
        {"a_b": {"visual": [("dog", 2, 6), ("cat", 0, 9)]}, "c": {"visual": [("cat", 0, 10)]}}, kind="ave"
    )
    report = evaluate(EVENTS, truth)
    assert report.metrics["accuracy"] == pytest.approx(100 * (0.6 + 0) / 2)  # 2 right, 4 wrong, 4 nothing; none
    assert report.per_class["Dog"] == {"accuracy": pytest.approx(60), "clips": 1}
    with pytest.raises(AnnotationError, match="paper protocol"):
        evaluate(EVENTS, truth, paper_protocol=True)


def _sum(values: Any, amount: int) -> Any:
    return (values + amount).astype(values.dtype)


@pytest.mark.parametrize(
    "changes",
    [
        {"end": _sum(EVENTS.end, 60)},
        {"end": np.zeros_like(EVENTS.end)},
        {"start": _sum(EVENTS.start, -1)},
    ],
    ids=["after the end", "reversed", "before the start"],
)
def test_events_outside_their_clip(changes: dict[str, Any]) -> None:
    with pytest.raises(ScoreError, match=r"clip a_b: an event in segments .* score again"):
        evaluate(replace(EVENTS, **changes), annotations())


def test_too_many_segments() -> None:
    with pytest.raises(ScoreError, match="65 segments: at most 64"):
        evaluate(replace(EVENTS, segments=65), annotations())
