"""Metrics: golden equality, kernels against sets of segments, annotation files right and wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score import AnnotationError, Annotations, ScoreConfig, evaluate
from score.evaluation import LLP_FIGURES
from score.events import STREAMS, Events
from score.kernels.figures import clip_figures
from tests.golden_scoring import FIGURES, FOLDER, NAMES, GoldenSet

SHARED = Path(__file__).parent.parent.parent / "shared" / "annotations"


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden") / "annotations"
    GoldenSet.write_annotations(folder)
    return folder


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("llp")])
@pytest.mark.parametrize("protocol", ["correct", "reference_script"])
def test_golden_llp_figures(name: str, protocol: str, annotations: Path) -> None:
    golden = GoldenSet.load(name)
    truth = Annotations.read("llp", annotations)
    for number, result in enumerate(golden.official["results"]):
        report = evaluate(golden.official_events(number), truth, paper_protocol=protocol == "reference_script")
        assert (report.n_found, report.n_split) == (40, 40)
        for theirs, value in result["metrics"][protocol].items():
            assert report.metrics[FIGURES[theirs]] == pytest.approx(value, abs=1e-9), (number, theirs)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("ave")])
def test_golden_ave_accuracy(name: str) -> None:
    golden = GoldenSet.load(name)
    truth = Annotations.read("ave", FOLDER / "ave_annotations.json")
    for number, result in enumerate(golden.official["results"]):
        report = evaluate(golden.official_events(number), truth)
        assert report.metrics["accuracy"] == pytest.approx(result["metrics"]["ave_accuracy_percent"], abs=1e-9), number


# --- kernels against the words of the rule --------------------------------------------------------------


def runs(segments: set[int]) -> list[set[int]]:
    found: list[set[int]] = []
    for s in sorted(segments):
        if found and s - 1 in found[-1]:
            found[-1].add(s)
        else:
            found.append({s})
    return found


def counts_by_sets(predicted: set[int], true: set[int], level: str) -> tuple[int, int, int]:
    if level == "segment":
        return len(predicted & true), len(predicted - true), len(true - predicted)
    ours, theirs = runs(predicted), runs(true)

    def matched(run: set[int], others: list[set[int]]) -> bool:
        return any(len(run & other) / len(run | other) >= 0.5 for other in others)

    hits = sum(matched(run, theirs) for run in ours)
    return hits, len(ours) - hits, sum(not matched(run, ours) for run in theirs)


def mean_f1(counts: list[tuple[int, ...]]) -> float:
    scores = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in counts if tp + fp + fn]
    return sum(scores) / len(scores) if scores else 1.0


@st.composite
def timeline_words(draw: st.DrawFn) -> tuple[Any, Any]:
    segments = draw(st.sampled_from([2, 10, 63, 64]))
    labels = draw(st.integers(1, 6) | st.just(120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.02, 0.3, 0.8, 1.0]))
    bits = rng.random((2, 3, labels, segments)) < density
    bits &= rng.random((2, 3, labels, 1)) < draw(st.sampled_from([0.3, 1.0]))
    words = (bits.astype(np.uint64) << np.arange(segments, dtype=np.uint64)).sum(axis=-1, dtype=np.uint64)
    return words[0], words[1]


def segment_set(word: Any) -> set[int]:
    return {s for s in range(64) if int(word) >> s & 1}


@settings(max_examples=150, deadline=None)
@given(timeline_words(), st.booleans())
def test_figures_are_those_of_sets(words: tuple[Any, Any], paper: bool) -> None:
    predicted, true = words
    found = {"segment": np.empty(4), "event": np.empty(4)}
    clip_figures(predicted, true, paper, found["segment"], found["event"])
    for level, values in found.items():
        per_stream = [
            [
                counts_by_sets(segment_set(predicted[0 if paper and s == 1 else s, k]), segment_set(true[s, k]), level)
                for k in range(predicted.shape[1])
            ]
            for s in range(3)
        ]
        added = [tuple(a + b for a, b in zip(v, w, strict=True)) for v, w in zip(*per_stream[:2], strict=True)]
        expected = [mean_f1(list(counts)) for counts in (*per_stream, added)]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


# --- reports --------------------------------------------------------------------------------------------


def made_events(clips: dict[str, list[tuple[str, str, int, int]]], labels: tuple[str, ...]) -> Events:
    rows = sorted(
        (number, STREAMS.index(stream), labels.index(label), start, end)
        for number, found in enumerate(clips.values())
        for stream, label, start, end in found
    )
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    return Events(
        config=ScoreConfig.published("clip_clap"),
        clip_ids=tuple(clips),
        labels=labels,
        clip=table[:, 0].astype(np.int32),
        stream_number=table[:, 1].astype(np.int8),
        label=table[:, 2].astype(np.int32),
        start=table[:, 3].astype(np.int16),
        end=table[:, 4].astype(np.int16),
        score=np.ones(len(table)),
        segments=10,
        segment_seconds=1.0,
        cache={},
        left_out={},
    )


LABELS = ("Dog", "Frying_(food)", "cat")
EVENTS = made_events(
    {
        "a_b": [("visual", "Dog", 0, 4), ("audio", "Dog", 0, 10), ("audiovisual", "Dog", 0, 4)],
        "c": [("visual", "cat", 2, 5)],
    },
    LABELS,
)
TRUTH: dict[str, dict[str, list[tuple[str, float, float]]]] = {
    "a_b_10_20": {"visual": [("dog", 0, 4)], "audio": [("dog", 0, 5)]},
    "c": {"visual": [("cat", 0.5, 3.2)]},
}


def test_figures_by_hand() -> None:
    report = evaluate(EVENTS, Annotations.from_events(TRUTH))
    assert report.metrics["segment-visual"] == pytest.approx(100 * (1 + 4 / 7) / 2)
    assert report.metrics["segment-audio"] == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert report.metrics["segment-audiovisual"] == pytest.approx(100)
    assert report.metrics["event-visual"] == pytest.approx(100 * (1 + 0) / 2)  # 2 of 5 segments in common
    assert set(report.metrics) == set(LLP_FIGURES)
    assert report.per_class["Dog"]["segment-audio-f1"] == pytest.approx(100 * 2 / 3)
    assert report.per_class["Dog"]["segment-audio-fp"] == 5
    assert json.loads(json.dumps(report.to_dict()))["clips_found"] == 2
    assert len(report.tables(per_class=True)) == 3


def test_a_partial_split_is_refused() -> None:
    truth = Annotations.from_events({**TRUTH, "d_0_10": {}, "e": {}})
    with pytest.raises(AnnotationError, match=r"2 of 4 clips of the annotated split were not scored \(first: d_0_10\)"):
        evaluate(EVENTS, truth)
    report = evaluate(EVENTS, truth, partial=True)
    assert (report.n_found, report.n_split, report.missing) == (2, 4, ("d_0_10", "e"))
    with pytest.raises(AnnotationError, match="none of the 1 clips"):
        evaluate(EVENTS, Annotations.from_events({"z": {}}), partial=True)


def test_accuracy_by_hand() -> None:
    truth = Annotations.from_events(
        {"a_b": {"visual": [("dog", 2, 6), ("cat", 0, 9)]}, "c": {"visual": [("cat", 0, 10)]}}, kind="ave"
    )
    report = evaluate(EVENTS, truth)
    assert report.metrics["accuracy"] == pytest.approx(100 * (0.6 + 0) / 2)  # 2 right, 4 wrong, 4 nothing; none
    assert report.per_class["Dog"] == {"accuracy": pytest.approx(60), "clips": 1}
    with pytest.raises(AnnotationError, match="paper protocol"):
        evaluate(EVENTS, truth, paper_protocol=True)


def test_wrong_python_annotations() -> None:
    for events, message in (
        ({"a": {"visual": [("dog", 3, 3)]}}, "from 3 to 3 s has no length"),
        ({"a": {"video": []}}, "neither 'visual' nor 'audio'"),
        ({}, "no clips"),
    ):
        with pytest.raises(AnnotationError, match=message):
            Annotations.from_events(events)
    with pytest.raises(AnnotationError, match="'dog' is not among the labels given"):
        Annotations.from_events({"a": {"audio": [("dog", 1, 2)]}}, labels=["cat"])


# --- files ----------------------------------------------------------------------------------------------


def write_llp(folder: Path, **texts: str) -> Path:
    files = {
        "eval_audio": "filename\tonset\toffset\tevent_labels\na_b_10_20\t0\t5\tDog\nother_0_10\t0\t5\tUnknown\n",
        "eval_visual": "filename\tonset\toffset\tevent_labels\r\na_b_10_20\t0\t4\tDog\r\nc_0_10\t9\t9\tcat\r\n",
        "test_pd": "filename\tevent_labels\na_b_10_20\tDog\nc_0_10\tcat\n\n",
    }
    folder.mkdir(exist_ok=True)
    for name, text in (files | texts).items():
        (folder / f"AVVP_{name}.csv").write_text(text, newline="")
    return folder


def test_llp_files(tmp_path: Path) -> None:
    found = Annotations.read("llp", write_llp(tmp_path))
    assert found.clip_ids == ("a_b_10_20", "c_0_10")
    assert found.visual == {"a_b_10_20": [("Dog", 0.0, 4.0)]}
    assert found.ignored == 1
    report = evaluate(EVENTS, found)
    assert (report.n_found, report.ignored) == (2, 1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("eval_audio", "filename\tonset\toffset\na\t0\t1\n", r"AVVP_eval_audio\.csv: no column 'event_labels'"),
        ("eval_audio", "", "no column 'filename'"),
        ("eval_audio", "filename\tonset\toffset\tevent_labels\na_b_10_20\tx\t5\tDog\n", "line 2: onset 'x'"),
        ("eval_visual", "filename\tonset\toffset\tevent_labels\na_b_10_20\t0\n", "line 2: 2 columns, expected 4"),
        ("eval_visual", "filename\tonset\toffset\tevent_labels\na_b_10_20\t0\t3\t\n", "line 2: no label"),
        ("test_pd", "name\nx\n", "no column 'filename'"),
        ("test_pd", "filename\n", "test split has no clips"),
        ("test_pd", "filename\na\nb\na\n", "line 4: a is there already in line 2"),
    ],
)
def test_wrong_llp_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    write_llp(tmp_path, **{name: text})
    with pytest.raises(AnnotationError, match=message):
        Annotations.read("llp", tmp_path)


def test_an_unknown_label_names_its_line(tmp_path: Path) -> None:
    text = "filename\tonset\toffset\tevent_labels\na_b_10_20\t0\t5\tHorse\n"
    found = Annotations.read("llp", write_llp(tmp_path, eval_audio=text))
    with pytest.raises(AnnotationError, match=r"AVVP_eval_audio\.csv line 2: label 'Horse' is not among the 3 labels"):
        evaluate(EVENTS, found)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="is not there: name the folder"):
        Annotations.read("llp", tmp_path / "none")
    with pytest.raises(AnnotationError, match=r"AVVP_test_pd\.csv is not there"):
        Annotations.read("llp", tmp_path)
    with pytest.raises(AnnotationError, match=r"testSet\.txt is not there"):
        Annotations.read("ave", tmp_path)
    with pytest.raises(AnnotationError, match="no data set 'vgg'"):
        Annotations.read("vgg", tmp_path)
    with pytest.raises(AnnotationError, match="no split 'dev'"):
        Annotations.read("llp", tmp_path, split="dev")


AVE_TABLE = "Category&VideoID&Quality&StartTime&EndTime\nDog&a_b&good&2&6\ncat&a_b&good&0&9\ncat&c&good&0&10\n"


def test_ave_files_in_both_forms(tmp_path: Path) -> None:
    (tmp_path / "Annotations.txt").write_text(AVE_TABLE)
    (tmp_path / "testSet.txt").write_text("Dog&a_b&good&2&6\ncat&c&good&0&10\n")
    (tmp_path / "json").mkdir()
    records = {
        "a_b": [{"class": "dog", "start": 2, "end": 6}, {"class": "cat", "start": 0, "end": 9}],
        "c": [{"class": "cat", "start": 0, "end": 10}],
    }
    (tmp_path / "json" / "test_AVE.json").write_text(json.dumps(records))
    for place in (tmp_path, tmp_path / "json", tmp_path / "json" / "test_AVE.json"):
        found = Annotations.read("ave", place)
        assert found.clip_ids == ("a_b", "c")
        assert evaluate(EVENTS, found).metrics["accuracy"] == pytest.approx(30)


def _drop_end(records: dict[str, Any]) -> None:
    del records["c"][0]["end"]


def _turn(records: dict[str, Any]) -> None:
    records["c"][0]["end"] = 0


def _unlist(records: dict[str, Any]) -> None:
    records["c"] = 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop_end, "c: an event has no 'end'"),
        (_turn, "start 0 is not before end 0"),
        (_unlist, "a list of events is expected"),
    ],
)
def test_wrong_ave_json(tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str) -> None:
    records: dict[str, Any] = {"c": [{"class": "cat", "start": 0, "end": 10}]}
    change(records)
    file = tmp_path / "test_AVE.json"
    file.write_text(json.dumps(records))
    with pytest.raises(AnnotationError, match=message):
        Annotations.read("ave", tmp_path)
    file.write_text("{")
    with pytest.raises(AnnotationError, match="is not JSON"):
        Annotations.read("ave", tmp_path)


@pytest.mark.parametrize(
    ("table", "listing", "message"),
    [
        ("Dog&a&good&2\n", "Dog&a&good&2&6\n", r"Annotations\.txt line 1: 4 columns"),
        ("Dog&a&good&x&6\n", "Dog&a&good&2&6\n", r"Annotations\.txt line 1: start 'x'"),
        ("Dog&a&good&2&6\n", "Dog&b&good&2&6\n", r"testSet\.txt line 1: b is not in"),
    ],
)
def test_wrong_ave_lists(tmp_path: Path, table: str, listing: str, message: str) -> None:
    (tmp_path / "Annotations.txt").write_text(table)
    (tmp_path / "testSet.txt").write_text(listing)
    with pytest.raises(AnnotationError, match=message):
        Annotations.read("ave", tmp_path)


@pytest.mark.skipif(not SHARED.exists(), reason="the data sets' own files are not here")
def test_the_data_sets_own_files() -> None:
    assert len(Annotations.read("llp", SHARED, split="test").clip_ids) == 1200
    assert len(Annotations.read("llp", SHARED, split="val").clip_ids) == 649
    assert len(Annotations.read("ave", SHARED, split="test").clip_ids) == 402
