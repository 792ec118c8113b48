"""Your own annotations: a file of events as truth; LLP's figures on timelines of any length, of what is annotated."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from score import (
    AnnotationError,
    Annotations,
    EventBlocks,
    Space,
    evaluate,
    read_annotations,
    read_predictions,
    score,
    search,
)
from score.config import ScoreConfig
from score.datasets.llp import LLP_FIGURES
from score.event_facts import EventFacts
from score.events import Events
from score.formats.base import EventBlock
from score.stitching import stitch
from tests.golden_scoring import GoldenSet
from tests.made_events import EVENTS, TRUTH, made_events, random_spans

HEADER = "clip,stream,label,onset,offset"


def listed(file: Path, *rows: str, header: str = HEADER) -> Path:
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def mine(folder: Path) -> Path:
    return listed(
        folder / "mine.csv",
        "a_b,visual,dog,0,4",
        "a_b,audio,dog,0,5",
        "c,visual,cat,0.5,3.2",
        "c,audio,frying (food),8,9",
    )


@given(st.integers(0, 2**32 - 1))
def test_figures_are_llps_on_common_ground(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = ("Dog", "Frying_(food)", "cat")
    clips: dict[str, Any] = {}
    true: dict[str, Any] = {}
    for clip in ("a", "b", "c"):
        clips[clip] = [
            (stream, *span)
            for stream in ("visual", "audio", "audiovisual")
            for span in random_spans(rng, labels, 10, 3)
        ]
        true[clip] = {side: random_spans(rng, labels, 10, 3) for side in ("visual", "audio")}
    events = made_events(clips, labels)
    ours, llps = (evaluate(events, Annotations.from_events(true, kind=kind)) for kind in ("events", "llp"))
    for name in LLP_FIGURES:
        assert ours.metrics[name] == pytest.approx(llps.metrics[name], abs=1e-9), name
        assert ours.by_clip[name].tolist() == pytest.approx(llps.by_clip[name].tolist(), abs=1e-9), name
    for label, values in llps.per_class.items():
        assert {name: ours.per_class[label][name] for name in values} == pytest.approx(values), label
    assert ours.measured.resampled(20, 1, 1) == pytest.approx(llps.measured.resampled(20, 1, 1), abs=1e-9)


def test_a_file_is_what_it_says(tmp_path: Path) -> None:
    truth = read_annotations("events", mine(tmp_path))
    assert (truth.kind, truth.split, truth.clip_ids, truth.collar) == ("events", "", ("a_b", "c"), 0.2)
    assert truth.labels == ("dog", "cat", "frying (food)")
    assert truth.streams == ("audiovisual", "visual", "audio")
    assert truth.audiovisual is None
    report = evaluate(EVENTS, truth)
    expected = evaluate(
        EVENTS, Annotations.from_events({**TRUTH, "c": {**TRUTH["c"], "audio": [("frying (food)", 8, 9)]}})
    )
    assert {name: report.metrics[name] for name in LLP_FIGURES} == pytest.approx(dict(expected.metrics))


def test_own_files_as_truth(tmp_path: Path) -> None:
    """Perfect against themselves: clips without events, and streams without any, are annotated, too."""
    events = made_events({"a": [("visual", "Dog", 0, 4)], "b": []}, ("Dog", "cat"))
    events.write(tmp_path / "events.json")
    truth = read_annotations("events", tmp_path / "events.json")
    assert (truth.clip_ids, truth.streams) == (("a", "b"), ("audiovisual", "visual", "audio"))
    report = evaluate(events, truth)
    assert {report.metrics[name] for name in LLP_FIGURES} == {100.0}
    assert report.metrics["sed-event-visual-f1"] == 100
    assert math.isnan(report.metrics["sed-event-audio-f1"])


def test_streams_that_are_not_annotated(tmp_path: Path) -> None:
    file = listed(tmp_path / "heard.csv", "a_b,dog,0,5", header="clip,label,onset,offset")
    truth = read_annotations("events", file, stream="audio")
    assert truth.streams == ("audio",)
    report = evaluate(EVENTS, truth, partial=True)
    defined = {name for name in LLP_FIGURES if not math.isnan(report.metrics[name])}
    assert defined == {"segment-audio", "event-audio"}
    assert {name.split("-")[2] for name in report.metrics if name.startswith("sed-event")} == {"audio"}
    assert json.loads(json.dumps(report.to_dict()))["metrics"]["segment-visual"] is None
    assert [header[0] for header, _ in report.tables(per_class=True)][2:4] == [
        "F1 % of a label, event level", "sed_eval's figures"
    ]  # fmt: skip
    assert math.isnan(report.per_class["Dog"]["segment-visual-f1"])


def test_seen_and_heard_is_what_the_file_says(tmp_path: Path) -> None:
    rows = ["a,visual,dog,0,4", "a,audio,dog,2,6"]
    derived = read_annotations("events", listed(tmp_path / "a.csv", *rows))
    said = read_annotations("events", listed(tmp_path / "b.csv", *rows, "a,both,dog,0,6"))
    for truth, expected in ((derived, (2, 4)), (said, (0, 6))):
        events = made_events({"a": [("audiovisual", "dog", *expected)]}, ("dog",))
        report = evaluate(events, truth)
        assert report.metrics["segment-audiovisual"] == 100
        assert report.metrics["sed-event-audiovisual-f1"] == 100
        assert report.metrics["sed-segment-audiovisual-error-rate"] == 0


def test_timelines_of_any_length(tmp_path: Path) -> None:
    """Ten hours, and an event far behind: no more memory than events need."""
    rows = [f"long,audio,dog,{at},{at + 3.5}" for at in range(0, 36_000, 10)]
    file = listed(tmp_path / "long.csv", *rows, "long,audio,cat,1e9,2e9")
    truth = read_annotations("events", file)
    found = read_predictions(file, truth)
    report = evaluate(found, truth)
    assert (found.facts.stitched, report.metrics["segment-audio"], report.metrics["sed-event-audio-f1"]) == (
        True,
        100,
        100,
    )
    shifted = listed(tmp_path / "late.csv", *(row.replace("0,audio", "0,audio") for row in rows[:1800]))
    report = evaluate(read_predictions(shifted, truth), truth)
    assert report.metrics["segment-audio"] == pytest.approx(100 * (2 / 3 + 0) / 2)
    assert report.metrics["sed-event-audio-recall"] == pytest.approx(100 * 1800 / 3601)


def test_stitched_events(tmp_path: Path) -> None:
    facts = EventFacts(
        config=ScoreConfig.published("clip_clap"),
        clip_ids=("f#0", "f#1"),
        labels=("dog",),
        segments=10,
        segment_seconds=1.0,
        cache={},
        left_out={},
        clips_from={"f#0": ("f", 0.0, None), "f#1": ("f", 10.0, 17.5)},
    )
    onset, offset, scores = np.array([8.0, 0.0]), np.array([10.0, 9.0]), np.array([0.5, 0.6])
    zeros = np.zeros(2, np.int32)
    block = EventBlock(np.array([0, 1], np.int32), zeros.astype(np.int8), zeros, onset, offset, scores)
    events = stitch(Events.gathered(facts, [block]))
    truth = read_annotations("events", listed(tmp_path / "t.csv", "f.mp4,both,Dog,8.1,17.5"))
    report = evaluate(events, truth)
    assert report.metrics["segment-audiovisual"] == 100
    assert report.metrics["sed-event-audiovisual-f1"] == 100
    tight = read_annotations("events", tmp_path / "t.csv", collar=0.05)
    assert evaluate(events, tight).metrics["sed-event-audiovisual-f1"] == 0


def test_clips_without_events(tmp_path: Path) -> None:
    """A list cannot name them; false alarms there count once something else does."""
    file = listed(tmp_path / "t.csv", "a_b,visual,dog,0,4")
    (tmp_path / "all.txt").write_text("c\na_b.mp4\n")
    few = read_annotations("events", file)
    every = read_annotations("events", file, clips=tmp_path / "all.txt")
    assert (few.clip_ids, every.clip_ids) == (("a_b",), ("a_b", "c"))
    assert evaluate(EVENTS, every).metrics["segment-visual"] < evaluate(EVENTS, few).metrics["segment-visual"]
    EVENTS.write(tmp_path / "events.json")
    note = f"{tmp_path / 'events.json'}: 1 clip not in the truth left out; name all clips that are annotated: `clips`"
    assert read_predictions(tmp_path / "events.json", few).notes == (note,)
    assert read_predictions(tmp_path / "events.json", every).notes == ()


def test_labels_that_are_nowhere_true_are_false_alarms(tmp_path: Path) -> None:
    truth = read_annotations("events", mine(tmp_path))
    file = listed(tmp_path / "theirs.csv", "a_b,visual,dog,0,4", "a_b,visual,dogg,5,9", "c,visual,Cat,0,4")
    found = read_predictions(file, truth)
    assert found.facts.labels == ("dog", "cat", "frying (food)", "dogg")
    assert found.notes[0].endswith("1 label that the truth does not have: 'dogg' (nearest: 'dog')")
    assert evaluate(found, truth).metrics["segment-visual"] == pytest.approx(100 * (0.5 + 1) / 2)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"has no events: which clips are annotated\? name them in a list \(`clips`\)"),
        (["a,visual,dog,3,2"], "'dog' in clip a from 3 to 2 s"),
        (["a,visual,,0,2"], "line 2"),
        (["a,visual,dog,0,2", "a.mp4,visual,dog,3,4"], "one clip is named in two ways, 'a' and 'a.mp4'"),
    ],
)
def test_truth_of_another_form(rows: list[str], message: str, tmp_path: Path) -> None:
    file = listed(tmp_path / "t.csv", *rows)
    with pytest.raises(AnnotationError, match=message) as caught:
        read_annotations("events", file)
    assert str(caught.value).startswith(str(file))


def test_arguments_that_do_not_belong(tmp_path: Path) -> None:
    file = mine(tmp_path)
    with pytest.raises(AnnotationError, match="split 'test': a file of events has none"):
        read_annotations("events", file, split="test")
    with pytest.raises(AnnotationError, match="`collar=-1` is no tolerance"):
        read_annotations("events", file, collar=-1.0)
    for name, value in (("clips", ["a"]), ("stream", "audio"), ("collar", 0.2)):
        given: dict[str, Any] = {name: value}
        with pytest.raises(AnnotationError, match=f"`{name}` is for annotations in a file of events"):
            read_annotations("llp", tmp_path, **given)
    with pytest.raises(AnnotationError, match=r"nothing\.csv is not there"):
        read_annotations("events", tmp_path / "nothing.csv")


def test_a_search_on_your_own_annotations(tmp_path: Path) -> None:
    """Every figure is that of score and evaluate; those of streams that are not annotated are refused as a goal."""
    golden = GoldenSet.load("clip_clap_llp")
    cache = golden.make_cache(tmp_path / "c.zarr")
    clips, labels = golden.official["videos"], golden.official["labels"]
    rows = [f"{clip},{stream},{labels[number % 7]},{number % 4},{5 + number % 5}" for number, clip in enumerate(clips)
            for stream in ("visual", "audio")]  # fmt: skip
    truth = read_annotations("events", listed(tmp_path / "t.csv", *rows))
    result = search(cache, truth, Space(alpha=[0.3, 0.5], threshold_stage1=[0.6, 0.75]), report_on=truth)
    best = result.best
    assert {name: best.metrics[name] for name in LLP_FIGURES} == pytest.approx(
        {
            name: value
            for name, value in evaluate(score(cache, best.config), truth).metrics.items()
            if name in LLP_FIGURES
        }
    )
    heard = [row.replace("visual", "audio") for row in rows[::2]]
    alone = read_annotations("events", listed(tmp_path / "h.csv", *heard))
    with pytest.raises(
        AnnotationError, match="segment-type-av is of what is not annotated here: choose an `objective` of"
    ):
        search(cache, alone, Space(alpha=[0.3]))
    report = search(cache, alone, Space(alpha=[0.3]), objective="segment-audio", report_on=alone).report
    assert report is not None
    shown = {row[0]: row[1] for row in report.table()[1]}
    assert shown["segment-visual"] == "-"
    assert shown["segment-audio"].endswith("]")


def test_blocks_say_what_they_come_from() -> None:
    assert EventBlocks(EVENTS.facts, iter([])).notes == ()
