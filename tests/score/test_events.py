"""Events files: JSON there and back, CSV, TSV, and files that are none."""

import csv
import json
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from score import Events, ScoreConfig, ScoreError
from score.choices import STREAMS
from score.formats import FORMATS
from tests.made_events import EVENTS, made_events

text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)


@st.composite
def made(draw: st.DrawFn) -> Events:
    """Any events: odd names, no clips, no events, segments of any length."""
    labels = draw(st.lists(text, min_size=2, max_size=4, unique=True))
    clips = draw(st.lists(text, max_size=4, unique=True))
    segments = draw(st.integers(2, 64))
    spans = st.tuples(st.integers(0, segments - 1), st.integers(1, segments)).filter(lambda span: span[0] < span[1])
    found = st.lists(st.tuples(st.sampled_from(STREAMS), st.sampled_from(labels), spans), max_size=5)
    events = made_events(
        {clip: [(stream, label, *span) for stream, label, span in draw(found)] for clip in clips}, labels, segments
    )
    values = {field.name: getattr(events, field.name) for field in fields(Events)}
    values["score"] = np.array([draw(st.floats(0, 1)) for _ in range(len(events))])
    values["segment_seconds"] = draw(st.sampled_from([1.0, 0.5, 0.1, 1 / 3, 0.96]))
    values["left_out"] = {"pending": draw(st.integers(0, 9)), "failed": 0}
    values["missing"] = (
        draw(st.dictionaries(st.sampled_from(clips), st.sampled_from(["sound", "picture"]))) if clips else {}
    )
    seconds = st.floats(0, 1e6, allow_nan=False)
    places = st.tuples(text, seconds, st.none() | seconds)
    values["clips_from"] = draw(st.dictionaries(st.sampled_from(clips), places)) if clips else {}
    if draw(st.booleans()):
        begin = np.array([draw(seconds) for _ in range(len(events))])
        values["seconds"] = np.column_stack([begin, begin + 0.5]).reshape(-1, 2)
        values["start"], values["end"] = events.start * 0, events.end * 0
    values["cache"] = {"identity": draw(text), "backbone": draw(text), "text": draw(text)}
    return Events(**values)


@settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(made())
def test_json_there_and_back(tmp_path: Path, events: Events) -> None:
    file, again = tmp_path / "events.json", tmp_path / "again.json"
    assert events.write(file) == [str(file)]
    found = Events.read(file)
    for field in fields(Events):
        ours, theirs = getattr(events, field.name), getattr(found, field.name)
        if isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
        else:
            assert ours == theirs
    found.write(again)
    assert again.read_bytes() == file.read_bytes()
    assert [found.stream(name) for name in STREAMS] == [events.stream(name) for name in STREAMS]


def test_a_byte_order_mark(tmp_path: Path) -> None:
    EVENTS.write(tmp_path / "e.json")
    (tmp_path / "e.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "e.json").read_bytes())
    assert Events.read(tmp_path / "e.json").clip_ids == EVENTS.clip_ids


def test_json_says_where_the_events_are_from(tmp_path: Path) -> None:
    EVENTS.write(tmp_path / "events.json")
    found = json.loads((tmp_path / "events.json").read_text())
    assert (found["format"], found["version"]) == ("av2a-events", 1)
    assert ScoreConfig.from_dict(found["config"]) == EVENTS.config
    assert found["clips"] == ["a_b", "c"]
    assert found["events"][0] == {
        "clip": "a_b",
        "stream": "audiovisual",
        "label": "Dog",
        "onset": 0.0,
        "offset": 4.0,
        "score": 1.0,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["events.json"]


def test_csv_has_a_row_an_event(tmp_path: Path) -> None:
    events = made_events({"a,b": [("visual", 'the "x"', 2, 5), ("audio", "y", 0, 10)]}, ['the "x"', "y"])
    events.write(tmp_path / "e.csv")
    with (tmp_path / "e.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0] == {
        "clip": "a,b",
        "stream": "visual",
        "label": 'the "x"',
        "onset": "2.0",
        "offset": "5.0",
        "score": "1.0",
    }
    assert len(rows) == 2


def test_tsv_is_a_file_a_stream(tmp_path: Path) -> None:
    written = EVENTS.write(tmp_path / "e.tsv")
    assert [Path(name).name for name in written] == ["e_audiovisual.tsv", "e_visual.tsv", "e_audio.tsv"]
    assert (tmp_path / "e_visual.tsv").read_text() == (
        "filename\tonset\toffset\tevent_label\na_b\t0.000\t4.000\tDog\nc\t2.000\t5.000\tcat\n"
    )
    assert (tmp_path / "e_audio.tsv").read_text().splitlines()[1:] == ["a_b\t0.000\t10.000\tDog"]


def test_the_format_may_be_named(tmp_path: Path) -> None:
    EVENTS.write(tmp_path / "out.txt", format="csv")
    assert (tmp_path / "out.txt").read_text().startswith("clip,stream,label")
    with pytest.raises(ScoreError, match=r"ending '.xml' is not known: use one of .json, .jsonl, .csv, .tsv, .parq"):
        EVENTS.write(tmp_path / "out.xml")
    with pytest.raises(ScoreError, match="format 'xml' is not known"):
        EVENTS.write(tmp_path / "out.json", format="xml")


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ScoreError, match="cannot be written"):
        EVENTS.write(tmp_path / "nowhere" / "e", format=name)
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    EVENTS.write(tmp_path / "e.json")
    before = (tmp_path / "e.json").read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ScoreError, match=r"e\.json: cannot be written \(No space left"):
        EVENTS.write(tmp_path / "e.json")
    assert [path.name for path in tmp_path.iterdir()] == ["e.json"]
    assert (tmp_path / "e.json").read_bytes() == before


def remove(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda found: found.pop(name)


def in_first_event(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda found: found["events"][0].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("clips"), "damaged"),
        (remove("config"), "damaged"),
        (remove("format"), "is no events file"),
        (lambda found: found.update(version=99), "events format 99, this av2a reads 1"),
        (lambda found: found["config"].update(alpha=1.5), r"alpha must lie in \[0, 1\], got 1.5"),
        (lambda found: found.update(config=None), "damaged"),
        (lambda found: found.update(events=None), "damaged"),
        (lambda found: found.update(segment_seconds=0), "damaged"),
        (in_first_event(clip="another"), "damaged"),
        (in_first_event(label="another"), "damaged"),
        (in_first_event(stream="combined"), "damaged"),
        (in_first_event(onset=5.0), "event from 5.0 to 4.0 s in clip a_b"),
        (in_first_event(offset=1e12), "damaged"),
        (in_first_event(offset=float("inf")), "damaged"),
        (lambda found: found.update(stitched=True) or found["events"][0].update(offset=float("inf")), "damaged"),
        (lambda found: found.update(stitched=True) or found["events"][0].update(onset=7.0), "event from 7.0 to 4.0 s"),
        (lambda found: found.update(clips_from={"c": ["f"]}), r"clips_from of clip c is \['f'\]: expected"),
        (in_first_event(score="high"), "damaged"),
    ],
)
def test_damaged_files(tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str) -> None:
    file = tmp_path / "events.json"
    EVENTS.write(file)
    found = json.loads(file.read_text())
    change(found)
    file.write_text(json.dumps(found))
    with pytest.raises(ScoreError, match=message) as caught:
        Events.read(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    for content in (b"", b"{", b"[]", b"\xff\xfe\x00", b"null", b'{"a": 1}'):
        (tmp_path / "e.json").write_bytes(content)
        with pytest.raises(ScoreError, match="is no events file"):
            Events.read(tmp_path / "e.json")
    with pytest.raises(ScoreError, match=r"is not there: `score\(\.\.\.\)` makes it"):
        Events.read(tmp_path / "none.json")
    with pytest.raises(ScoreError, match="directory"):
        Events.read(tmp_path)


def test_counts_and_lines() -> None:
    assert EVENTS.counts() == {"Dog": (1, 1, 1), "Frying_(food)": (0, 0, 0), "cat": (0, 1, 0)}
    assert repr(EVENTS) == "Events(4 events in 2 clips)"
    assert EVENTS.stream("audio") == {"a_b": [("Dog", 0.0, 10.0, 1.0)], "c": []}
