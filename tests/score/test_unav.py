"""UnAV-100: its annotation files, and mean average precision as the official code gives it and as the text says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score import AnnotationError, Annotations, Events, ScoreError, evaluate, read_annotations
from score.bootstrap import resample_counts
from score.datasets.mean_ap import AP_FIGURES, THRESHOLDS, measure_ranked
from score.datasets.unav import distinct
from score.event_facts import EventFacts
from score.reference.average_precision import average_precision, matched, mean_average_precisions
from score.timelines import Spans
from tests.made_events import made_events

GOLDEN = Path(__file__).parents[1] / "golden" / "protocols"
Row = tuple[str, str, float, float, float]
"""Clip, label, onset, offset, score of an audiovisual event."""


def spans_of(clips: Sequence[str], labels: Sequence[str], rows: Sequence[Row]) -> Spans:
    """Audiovisual events; clips that are none of these are others."""
    places = {clip: number for number, clip in enumerate(clips)}
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return Spans(
        clips=tuple(clips),
        clip=np.array([places.get(clip, len(clips)) for clip in columns[0]], dtype=np.int32),
        stream=np.zeros(len(rows), dtype=np.int8),
        label=np.array([list(labels).index(label) for label in columns[1]], dtype=np.int32),
        onset=np.array(columns[2], dtype=np.float64),
        offset=np.array(columns[3], dtype=np.float64),
        score=np.array(columns[4], dtype=np.float64),
    )


def golden_rows(truth: Annotations) -> list[Row]:
    found = json.loads((GOLDEN / "unav_pred.json").read_text())["database"]
    return [
        (clip, truth.numbered[event["label_id"]], *event["segment"], event["scores"])
        for clip, events in found.items()
        for event in events
    ]


def file_events(clips: Sequence[str], labels: Sequence[str], rows: Sequence[Row]) -> Events:
    """Stitched events, as a file holds them."""
    made = made_events({clip: [] for clip in clips}, labels)
    facts = replace(made.facts, stitched=True)
    spans = spans_of(clips, labels, rows)
    return events_of(facts, spans)


def events_of(facts: EventFacts, spans: Spans) -> Events:
    empty = np.zeros(len(spans.clip), dtype=np.int16)
    return Events(
        config=facts.config, clip_ids=facts.clip_ids, labels=facts.labels, clip=spans.clip,
        stream_number=spans.stream, label=spans.label, start=empty, end=empty, score=spans.score,
        segments=facts.segments, segment_seconds=facts.segment_seconds, cache={}, left_out={},
        seconds=np.column_stack([spans.onset, spans.offset]),
    )  # fmt: skip


def test_golden_figures() -> None:
    expected = json.loads((GOLDEN / "unav_expected.json").read_text())
    truth = read_annotations("unav-100", GOLDEN / "unav_gt.json")
    assert truth.ignored == 2
    assert truth.audiovisual is not None
    assert sum(map(len, truth.audiovisual.values())) == expected["ground truth events after removing duplicates"]
    rows = golden_rows(truth)
    assert len(rows) == expected["predictions"]
    report = evaluate(file_events(truth.clip_ids, truth.labels, rows), truth)
    values = [*expected["mAP"], expected["average_mAP"]]
    assert list(report.metrics) == list(AP_FIGURES)
    np.testing.assert_allclose(list(report.metrics.values()), 100 * np.array(values), rtol=1e-14)
    for label, of_label in expected["AP"].items():
        ours = [report.per_class[label][f"ap-{threshold}"] for threshold in THRESHOLDS]
        np.testing.assert_allclose(ours, 100 * np.array(of_label), rtol=1e-14)
    assert sum(values["events-true"] for values in report.per_class.values()) == 29
    assert report.by_clip["events-said"].sum() == 30
    assert truth.seconds["v_00"] == 27.54


LABELS = ("a", "b", "c")
CLIPS = ("x", "y", "z")
times = st.integers(0, 12).map(lambda half: half / 2)
spans = st.tuples(times, times).filter(lambda pair: pair[0] < pair[1])
said = st.lists(st.tuples(st.sampled_from([*CLIPS, "other"]), st.sampled_from(LABELS), spans, st.integers(1, 6)))
true = st.lists(st.tuples(st.sampled_from(CLIPS), st.sampled_from(LABELS[:2]), spans), min_size=1)


def by_class(
    rows: Sequence[Row], truth: Annotations, counts: Mapping[str, int]
) -> tuple[dict[str, list[Any]], dict[str, dict[str, Any]]]:
    """What the reference takes, each clip so many times; others once."""
    events: dict[str, list[Any]] = {}
    for clip, label, onset, offset, score in rows:
        for copy in range(counts.get(clip, 1)):
            events.setdefault(label, []).append((f"{clip} {copy}", (onset, offset), score))
    annotated: dict[str, dict[str, Any]] = {}
    for clip, found in (truth.audiovisual or {}).items():
        for copy in range(counts[clip]):
            for label, onset, offset in found:
                annotated.setdefault(label, {}).setdefault(f"{clip} {copy}", []).append((onset, offset))
    return events, annotated


@settings(max_examples=200, deadline=None)
@given(said, true, st.integers(0, 99))
def test_against_the_plain_reference(said: list[Any], true: list[Any], seed: int) -> None:
    """Ties of scores and of IoU, clips out of the split, classes that are true nowhere; and resamples of the clips."""
    rows: list[Row] = [(clip, label, *span, score / 7) for clip, label, span, score in said]
    found: dict[str, list[Any]] = {clip: [] for clip in CLIPS}
    for clip, label, span in true:
        found[clip].append((label, *span))
    truth = Annotations("unav-100", "", CLIPS, found, found, found)
    measured = measure_ranked(spans_of(CLIPS, LABELS, rows), truth, LABELS)
    events, annotated = by_class(rows, truth, dict.fromkeys(CLIPS, 1))
    plain = mean_average_precisions(events, annotated, THRESHOLDS)
    np.testing.assert_allclose(list(measured.metrics.values()), in_percent(plain), atol=1e-10)
    for label, by_clip in annotated.items():
        ours = [measured.per_class[label][f"ap-{threshold}"] for threshold in THRESHOLDS]
        alone = [100 * average_precision(events.get(label, ()), by_clip, threshold) for threshold in THRESHOLDS]
        np.testing.assert_allclose(ours, alone, atol=1e-10)
    check_by_clip(measured.by_clip, rows, truth)
    counts, resampled = resample_counts(3, 0, 4, seed), measured.resampled(4, seed, 2)
    for times, figures in zip(counts.tolist(), resampled, strict=True):
        events, annotated = by_class(rows, truth, dict(zip(CLIPS, times, strict=True)))
        if not annotated:
            assert np.isnan(figures).all()
            continue
        plain = mean_average_precisions(events, annotated, THRESHOLDS)
        np.testing.assert_allclose(figures, in_percent(plain), atol=1e-10)


def in_percent(plain: Sequence[float]) -> list[float]:
    """Figures at each threshold, and their mean."""
    return [100 * each for each in (*plain, sum(plain) / len(plain))]


def check_by_clip(by_clip: Mapping[str, Any], rows: Sequence[Row], truth: Annotations) -> None:
    for number, clip in enumerate(CLIPS):
        mine = sorted((row for row in rows if row[0] == clip), key=lambda row: -row[4])
        annotated = (truth.audiovisual or {})[clip]
        right = sum(
            sum(matched([(clip, row[2:4], row[4]) for row in mine if row[1] == label], {clip: spans}, 0.5))
            for label in LABELS
            for spans in [[event[1:] for event in annotated if event[0] == label]]
        )
        total = len(mine) + len(annotated)
        assert (by_clip["events-said"][number], by_clip["events-true"][number]) == (len(mine), len(annotated))
        np.testing.assert_allclose(by_clip["f1-0.5"][number], 200 * right / total if total else np.nan)


def test_a_taken_event_is_skipped_for_the_next_best() -> None:
    truth = Annotations("unav-100", "", ("x",), {}, {}, {"x": [("a", 0, 10), ("a", 1, 12)]})
    report = measure_ranked(spans_of(("x",), ("a",), [("x", "a", 0, 10, 0.9), ("x", "a", 0, 10, 0.8)]), truth, ("a",))
    assert report.metrics["map-0.7"] == 100
    assert report.metrics["map-0.8"] == 50


def test_of_equal_scores_the_first_in_the_file_goes_first() -> None:
    truth = Annotations("unav-100", "", ("x",), {}, {}, {"x": [("a", 0, 10)]})
    rows: list[Row] = [("x", "a", 0, 10, 0.5), ("x", "a", 20, 30, 0.5)]
    for order, value in ((1, 100), (-1, 50)):
        report = measure_ranked(spans_of(("x",), ("a",), rows[::order]), truth, ("a",))
        assert report.metrics["map"] == value


def test_files_out_of_the_split_count_as_wrong() -> None:
    truth = Annotations("unav-100", "test", ("x",), {}, {}, {"x": [("a", 0, 10)]})
    rows: list[Row] = [("y", "a", 0, 10, 0.9), ("y", "b", 0, 10, 0.9), ("x", "a", 0, 10, 0.5)]
    report = evaluate(file_events(("x", "y"), ("a", "b"), rows), truth)
    assert report.metrics["map"] == 50
    assert report.n_found == 1
    assert report.notes[0].startswith("2 audiovisual events lie in files outside the split")
    assert report.to_dict()["notes"] == list(report.notes)
    missing = replace(truth, clip_ids=("x", "none"))
    with pytest.raises(AnnotationError, match="1 of 2 clips of the test split were not scored"):
        evaluate(file_events(("x", "y"), ("a", "b"), rows), missing)
    assert evaluate(file_events(("x", "y"), ("a", "b"), rows), missing, partial=True).metrics["map"] == 50


def test_seen_and_heard_from_python() -> None:
    both = {"x": {"visual": [("a", 0, 6), ("b", 0, 2)], "audio": [("a", 4, 10), ("b", 5, 6)]}}
    truth = Annotations.from_events(both, kind="unav-100")
    assert evaluate(file_events(("x",), ("a", "b"), [("x", "a", 4, 6, 0.5)]), truth).metrics["map"] == 100
    overlapping = [("a", 0.0, 6.0), ("a", 4.0, 10.0)]
    truth = Annotations.from_events({"x": {"visual": overlapping, "audio": overlapping}}, kind="unav-100")
    report = evaluate(file_events(("x",), ("a",), [("x", "a", 0, 6, 0.5), ("x", "a", 4, 10, 0.4)]), truth)
    assert report.metrics["map-0.9"] == 100
    assert report.per_class["a"]["events-true"] == 2


def test_scores_and_annotations_are_needed() -> None:
    truth = Annotations("unav-100", "test", ("x", "y"), {}, {}, {"x": [("a", 0, 10)]})
    rows: list[Row] = [("x", "a", 0, 10, np.nan), ("y", "a", 0, 10, 0.5)]
    with pytest.raises(ScoreError, match="1 of 2 events have no score, the first is one of x"):
        measure_ranked(spans_of(("x", "y"), ("a",), rows), truth, ("a",))
    with pytest.raises(AnnotationError, match="nothing is annotated in any file of the test split"):
        measure_ranked(spans_of(("x", "y"), ("a",), []), replace(truth, audiovisual={}), ("a",))
    with pytest.raises(AnnotationError, match="label 'a' is not among the 1 labels scored"):
        measure_ranked(spans_of(("x", "y"), ("b",), []), truth, ("b",))


def test_events_of_cut_files_have_to_be_stitched() -> None:
    truth = Annotations("unav-100", "test", ("f",), {}, {}, {"f": [("a", 0, 3)]})
    clips = made_events({"f": [("audiovisual", "a", 0, 3)]}, ("a",))
    assert evaluate(clips, truth).metrics["map"] == 100
    padded = replace(clips, clips_from={"f": ("f", 0.0, 4.0)})
    assert evaluate(padded, truth).metrics["map"] == 100
    cut = replace(clips, clip_ids=("f#0",), clips_from={"f#0": ("f", 0.0, None)})
    with pytest.raises(ScoreError, match=r"of whole files: score again: `score\(..., stitched=True\)`"):
        evaluate(cut, truth)


def database(**videos: Any) -> str:
    return json.dumps({"database": videos})


def video(subset: str = "test", *events: tuple[float, float, str], **more: Any) -> dict[str, Any]:
    annotations = [{"segment": [onset, offset], "label": label} for onset, offset, label in events]
    return {"subset": subset, "annotations": annotations, **more}


def test_whatever_is_annotated_so(tmp_path: Path) -> None:
    """ActivityNet's own keys and subsets, labels of every subset, videos without annotations, no length."""
    found = {
        "version": "VERSION 1.3", "taxonomy": [{"nodeId": 1}],
        "database": {
            "b": {**video("training", (0, 3, "skiing")), "duration": 82.7, "resolution": "640x480", "url": "http://x"},
            "a": video("Validation", (5, 200.25, "Long jump"), (7, 7, "skiing"), duration=199),
            "c": video("testing"),
            "d": {"subset": "validation"},
        },
    }  # fmt: skip
    (tmp_path / "activity_net.v1-3.min.json").write_text(json.dumps(found))
    for path in (tmp_path, tmp_path / "activity_net.v1-3.min.json"):
        truth = read_annotations("unav-100", path, split="val")
        assert truth.clip_ids == ("a", "d")
        assert truth.labels == ("skiing", "Long jump")
        assert truth.audiovisual == {"a": [("Long jump", 5.0, 200.25), ("skiing", 7.0, 7.0)], "d": []}
        assert truth.seconds == {"a": 199.0}
        assert truth.numbered == {}
    assert read_annotations("unav-100", tmp_path, split="train").clip_ids == ("b",)
    rows: list[Row] = [("a", "skiing", 6, 8, 0.5), ("a", "Long jump", 5, 200.25, 0.5)]
    truth = read_annotations("unav-100", tmp_path, split="val")
    assert evaluate(file_events(("a", "d"), truth.labels, rows), truth).metrics["map"] == 50


def test_labels_by_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "unav100_annotations.json").write_text(
        database(
            v={"subset": "test", "annotations": [
                {"segment": [0, 1], "label": "b", "label_id": 7}, {"segment": [0, 1], "label": "a", "label_id": 2},
                {"segment": [0, 1], "label": "b"},
            ]}
        )
    )  # fmt: skip
    (tmp_path / "other.json").write_text("{}")
    truth = read_annotations("unav-100", tmp_path)
    assert (truth.labels, truth.numbered, truth.ignored) == (("a", "b"), {7: "b", 2: "a"}, 1)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(0, 40))))
def test_distinct_events(rows: list[tuple[str, int, int]]) -> None:
    """Against every earlier one that was kept; times of half a millisecond."""
    events = [(label, onset / 2000, offset / 2000) for label, onset, offset in rows]
    kept: list[Any] = []
    for event in events:
        if not any(e[0] == event[0] and abs(e[1] - event[1]) <= 1e-3 and abs(e[2] - event[2]) <= 1e-3 for e in kept):
            kept.append(event)
    assert distinct(events) == kept


BAD = {
    "no JSON": ("{", "is no annotation file"),
    "a list": ("[]", "is no annotation file"),
    "deep": ("[" * 100_000, "is no annotation file"),
    "predictions": ('{"results": {}}', "it lists predictions under 'results'"),
    "no database": ('{"version": 1}', "'database' is missing"),
    "a video twice": ('{"database": {"v": {"subset": "test"}, "v": {"subset": "test"}}}', "'v' is there twice"),
    "no subset": (database(v={"annotations": []}), "v: subset None is no name: write train"),
    "annotations": (database(v={"subset": "test", "annotations": 5}), r"v: Expected `array.*\$.annotations"),
    "segment": (database(v=video("test") | {"annotations": [{"segment": [1], "label": "a"}]}), r"v: segment \[1\] is"),
    "a time": (database(v=video("test", ("x", 3, "a"))), "v: onset 'x' is not a time in seconds"),  # type: ignore[arg-type]
    "negative": (database(v=video("test", (-1, 3, "a"))), "v: onset -1 is not a time in seconds"),
    "duration": (database(v=video("test", duration="long")), "v: duration 'long' is not a time"),
    "label": (database(v=video("test", (0, 1, ""))), "v: label '' is no name"),
    "a label's control": (database(v=video("test", (0, 1, "a\x1bb"))), "v: label 'a.*b' is none that can be used"),
    "a number": (
        database(v={"subset": "test", "annotations": [{"segment": [0, 1], "label": "a", "label_id": "1"}]}),
        "v: label_id '1' of 'a' is no number",
    ),
    "two numbers": (
        database(v={"subset": "test", "annotations": [
            {"segment": [0, 1], "label": "a", "label_id": 1}, {"segment": [0, 1], "label": "a", "label_id": 2}]}),
        "v: label_id 2 is 'a', elsewhere 'a' has 1",
    ),
    "two labels": (
        database(v={"subset": "test", "annotations": [
            {"segment": [0, 1], "label": "a", "label_id": 1}, {"segment": [0, 1], "label": "b", "label_id": 1}]}),
        "v: label_id 1 is 'b', elsewhere it is 'a'",
    ),
    "another split": (
        database(v=video("train"), w=video("x")),
        r"no videos of the test split: there are train \(1\), x \(1\)",
    ),
    "two of one name": ('{"database": {"v": {"subset": "test"}, " v": {"subset": "test"}}}', "v is there already"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_one_line_refusals(name: str, tmp_path: Path) -> None:
    text, said = BAD[name]
    file = tmp_path / "gt.json"
    file.write_text(text)
    with pytest.raises(AnnotationError, match=said) as caught:
        read_annotations("unav-100", file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    (tmp_path / "second.json").write_text("{}")
    with pytest.raises(AnnotationError, match="2 JSON files otherwise: name the annotation file itself"):
        read_annotations("unav-100", tmp_path)
