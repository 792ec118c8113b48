"""Confusion of labels and events a clip: by hand, and against a plain reading of what they count."""

import csv
import io
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score import Annotations, ScoreError, evaluate
from score import confusion as confusions
from score.choices import STREAMS
from score.confusion import NOTHING_WORD
from score.reference import metrics as reference
from tests.made_events import EVENTS, annotations, made_events, random_spans

LABELS = ("cat", "dog", "other", "yak")
Pairs = Counter[tuple[str, str, str]]


def plain_pairs(stream: str, true: list[set[str]], said: list[set[str]]) -> Pairs:
    """The sentence of `Confusion`, segment by segment."""
    found: Pairs = Counter()
    for are, were in zip(true, said, strict=True):
        missed, wrong = are - were, were - are
        for label in are & were:
            found[stream, label, label] += 1
        for label in wrong:
            for other in missed or {NOTHING_WORD}:
                found[stream, other, label] += 1
        for label in missed if not wrong else ():
            found[stream, label, NOTHING_WORD] += 1
    return found


def found_pairs(report: Any) -> Pairs:
    pairs = list(report.details.confusion.pairs())
    assert [size for *_, size in pairs] == sorted((size for *_, size in pairs), reverse=True)
    return Counter({(stream, true, said): size for stream, true, said, size in pairs})


def labels_in(events: list[tuple[str, int, int]], segments: int) -> list[set[str]]:
    return [{label for label, start, end in events if start <= segment < end} for segment in range(segments)]


def runs(events: list[tuple[str, int, int]]) -> int:
    return sum(len(reference.runs(timeline)) for timeline in reference.timelines(events).values())


@pytest.mark.parametrize("paper_protocol", [False, True])
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 64), st.integers(1, 9))
def test_streams_against_plain_python(paper_protocol: bool, seed: int, segments: int, clips: int) -> None:
    rng = np.random.default_rng(seed)
    said = {
        f"c{n}": [(stream, *span) for stream in STREAMS for span in random_spans(rng, LABELS, segments, 4)]
        for n in range(clips)
    }
    true = {clip: {side: random_spans(rng, LABELS, segments, 4) for side in ("visual", "audio")} for clip in said}
    report = evaluate(
        made_events(said, LABELS, segments), Annotations.from_events(true), paper_protocol=paper_protocol, details=True
    )
    expected: Pairs = Counter()
    for number, clip in enumerate(said):
        sides = {side: labels_in(true[clip][side], segments) for side in ("visual", "audio")}
        sides["audiovisual"] = [a & b for a, b in zip(*sides.values(), strict=True)]
        events = {
            stream: [(label, start, end) for of, label, start, end in said[clip] if of == stream] for stream in STREAMS
        }
        if paper_protocol:
            events["audio"] = events["visual"]
        for stream in STREAMS:
            expected += plain_pairs(stream, sides[stream], labels_in(events[stream], segments))
        both = [(label, s, s + 1) for s, labels in enumerate(sides["audiovisual"]) for label in labels]
        assert report.details is not None
        assert report.details.said_events[number] == sum(map(runs, events.values()))
        assert report.details.true_events[number] == sum(map(runs, (*true[clip].values(), both)))
    assert found_pairs(report) == expected


@pytest.mark.parametrize("kind", ["ave", "ov-avebench"])
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_one_label_against_plain_python(kind: str, seed: int, clips: int) -> None:
    """A clip's rows count each; `other` is nothing where a data set has it for that."""
    rng = np.random.default_rng(seed)
    said = {f"c{n}": [("audiovisual", *span) for span in random_spans(rng, LABELS, 10, 3)] for n in range(clips)}
    scores = rng.choice([0.25, 0.5, 0.75], size=sum(map(len, said.values())))
    true = {clip: {"visual": random_spans(rng, LABELS, 10, 2 if kind == "ave" else 1)} for clip in said}
    report = evaluate(made_events(said, LABELS, 10, scores), Annotations.from_events(true, kind=kind), details=True)
    assert report.details is not None
    background = "other" if kind == "ov-avebench" else None
    expected: Pairs = Counter()
    at = 0
    for number, (clip, events) in enumerate(said.items()):
        scored = [
            (label, start, end, score) for (_, label, start, end), score in zip(events, scores[at:], strict=False)
        ]
        at += len(events)
        ours = [{label} - {None, background} for label in reference.label_of_segments(scored, 10)]
        rows = [[event] for event in true[clip]["visual"]] or [[]]
        count = 0
        for row in rows:
            theirs = [labels - {background} for labels in labels_in(row, 10)]
            expected += plain_pairs("audiovisual", theirs, ours)  # type: ignore[arg-type]
            count += sum(label != background for label, *_ in row)
        assert report.details.true_events[number] == count
        told = [next(iter(labels), None) for labels in ours]
        assert report.details.said_events[number] == sum(
            label is not None and (not s or told[s - 1] != label) for s, label in enumerate(told)
        )
    assert found_pairs(report) == expected


def test_parts_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate(EVENTS, annotations(), details=True)
    monkeypatch.setattr(confusions, "_PAIRS", 1)
    parts = evaluate(EVENTS, annotations(), details=True)
    assert found_pairs(parts) == found_pairs(whole)
    assert parts.per_clip_csv() == whole.per_clip_csv()


def test_by_hand() -> None:
    truth = Annotations.from_events({"a_b": {"visual": [("cat", 0, 6)]}, "c": {"visual": [("cat", 2, 5)]}})
    report = evaluate(EVENTS, truth, details=True)
    assert found_pairs(report) == Counter(
        {
            ("visual", "cat", "Dog"): 4,
            ("visual", "cat", NOTHING_WORD): 2,
            ("visual", "cat", "cat"): 3,
            ("audio", NOTHING_WORD, "Dog"): 10,
            ("audiovisual", NOTHING_WORD, "Dog"): 4,
        }
    )
    assert report.details is not None
    assert report.details.confusion is not None
    assert report.details.confusion.csv().splitlines()[:2] == ["stream,true,said,segments", "audio,(nothing),Dog,10"]
    assert report.tables(per_class=True)[-1] == (
        ("true", "said for it", "stream", "segments"), [("cat", "Dog", "visual", 4)]
    )  # fmt: skip
    assert len(report.tables()) == 1


def test_a_line_a_clip() -> None:
    """The worst clip first, ties by name, what a clip does not have is empty, names as they are."""
    clips = {"=1+1": ("dog", 0, 5), "-b": ("cat", 0, 10), "a,b": ("cat", 0, 10), "z": ("dog", 0, 10)}
    truth = Annotations.from_events({clip: {"visual": [event]} for clip, event in clips.items()}, kind="ov-avebench")
    events = made_events({clip: [("audiovisual", "dog", 0, 10)] for clip in clips}, LABELS)
    report = evaluate(events, truth, details=True)
    rows = list(csv.DictReader(io.StringIO(report.per_clip_csv())))
    assert [row["clip"] for row in rows] == ["-b", "a,b", "=1+1", "z"]
    assert list(rows[0]) == ["clip", *report.metrics, "true-events", "said-events"]
    assert (rows[0]["unseen-accuracy"], rows[0]["total-accuracy"], rows[3]["total-accuracy"]) == ("", "0.0", "100.0")
    assert (rows[0]["true-events"], rows[0]["said-events"]) == ("1", "1")
    assert float(rows[2]["total-average"]) == report.by_clip["total-average"][0]
    with pytest.raises(ScoreError, match="no details of clips"):
        evaluate(events, truth).per_clip_csv()


def test_nothing_at_all() -> None:
    report = evaluate(made_events({"a": []}, LABELS), Annotations.from_events({"a": {}}), details=True)
    assert not found_pairs(report)
    assert len(report.tables(per_class=True)) == 3
