"""Clips cut from longer files: their events on one timeline a file (docs/design.md 4.9)."""

import csv
import json
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_cache import DONE, FAILED, FeatureCache
from score import Events, ScoreConfig, ScoreError, evaluate, score, stitch
from score.choices import STREAMS
from score.event_facts import Origin
from tests.command import av2a
from tests.made_events import annotations, made_events
from tests.score.test_scoring import make_cache

LABELS = ("dog", "cat")


def cut(clips: dict[str, Any], origins: dict[str, Origin], segments: int = 10, seconds: float = 1.0) -> Events:
    return replace(made_events(clips, LABELS, segments), clips_from=origins, segment_seconds=seconds)


def test_touching_and_overlapping_events_become_one() -> None:
    events = cut(
        {
            "f#0": [("visual", "dog", 7, 10), ("visual", "cat", 0, 4), ("audio", "dog", 8, 10)],
            "other": [("visual", "dog", 1, 3)],
            "f#1": [("visual", "dog", 0, 2), ("visual", "cat", 1, 4), ("audio", "dog", 1, 3)],
            "f#2": [("visual", "dog", 0, 10), ("audio", "cat", 0, 10)],
        },
        {"f#0": ("f", 0.0, None), "f#1": ("f", 10.0, None), "f#2": ("f", 20.0, 24.5)},
    )
    scores = events.score.copy()
    scores[:] = np.linspace(0.5, 0.9, len(scores))
    found = stitch(replace(events, score=scores))
    assert found.clip_ids == ("f", "other")
    times = {name: [event[:3] for event in found.stream(name)["f"]] for name in STREAMS}
    assert times["visual"] == [("cat", 0, 4), ("dog", 7, 12), ("cat", 11, 14), ("dog", 20, 24.5)]
    assert times["audio"] == [("dog", 8, 10), ("dog", 11, 13), ("cat", 20, 24.5)]
    [other] = found.stream("visual")["other"]
    assert other == ("dog", 1.0, 3.0, found.score[-1])
    [joined] = [event for event in found.stream("visual")["f"] if event[1] == 7]
    by_clip = replace(events, score=scores)
    parts = [by_clip.stream("visual")[clip] for clip in ("f#0", "f#1")]
    assert joined[3] == max(event[3] for part in parts for event in part if event[0] == "dog")
    assert stitch(found) is found


def test_strides_that_are_not_the_clips_length() -> None:
    clips = {"f#0": [("audio", "dog", 4, 10)], "f#1": [("audio", "dog", 0, 6)], "f#2": [("audio", "dog", 0, 1)]}
    half: dict[str, Origin] = {"f#0": ("f", 0.0, None), "f#1": ("f", 5.0, None), "f#2": ("f", 10.0, None)}
    assert [event[:3] for event in stitch(cut(clips, half)).stream("audio")["f"]] == [("dog", 4, 11)]
    wide: dict[str, Origin] = {"f#0": ("f", 0.0, None), "f#1": ("f", 12.0, None), "f#2": ("f", 24.0, None)}
    found = [event[:3] for event in stitch(cut(clips, wide)).stream("audio")["f"]]
    assert found == [("dog", 4, 10), ("dog", 12, 18), ("dog", 24, 25)]


def test_what_lies_in_padding_goes() -> None:
    events = cut({"f#0": [("visual", "dog", 0, 3), ("visual", "cat", 6, 9)]}, {"f#0": ("f", 30.0, 32.25)})
    assert [event[:3] for event in stitch(events).stream("visual")["f"]] == [("dog", 30, 32.25)]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.sampled_from([1.0, 0.96, 0.1, 1 / 3]),
    st.sampled_from([1.0, 0.5, 1.25]),
)
def test_the_timeline_is_the_union(seed: int, clips: int, seconds: float, stride: float) -> None:
    """Sampled at the middles of fine slots, a file's timeline is what any of its clips says."""
    rng = np.random.default_rng(seed)
    segments = 4
    made: dict[str, Any] = {}
    for number in range(clips):
        spans = []
        for label in LABELS:
            start = int(rng.integers(0, segments))
            spans.append(("visual", label, start, int(rng.integers(start + 1, segments + 1))))
        made[f"f#{number}"] = spans
    begins = [number * stride * segments * seconds for number in range(clips)]
    events = cut(made, {f"f#{k}": ("f", begin, None) for k, begin in enumerate(begins)}, segments, seconds)
    found = stitch(events).stream("visual")["f"]
    for label in LABELS:
        mine = [(onset, offset) for name, onset, offset, _ in found if name == label]
        assert all(after[0] > before[1] + 1e-6 for before, after in pairwise(mine))
        for moment in np.arange(0, begins[-1] + segments * seconds, seconds / 4) + seconds / 8:
            expected = any(
                begin + start * seconds <= moment < begin + end * seconds
                for begin, spans in zip(begins, made.values(), strict=True)
                for _, name, start, end in spans
                if name == label
            )
            assert any(onset <= moment < offset for onset, offset in mine) == expected


def long_cache(path: Path, stride: float = 10.0) -> FeatureCache:
    plain = make_cache(path.with_name("plain.zarr"), 5)
    features, text = plain.read(), plain.text()
    ids = ["film#0", "film#1", "film#2", "short", "other#0"]
    origins = {clip: [clip.split("#")[0], stride * number] for number, clip in enumerate(ids[:3])}
    cache = FeatureCache.from_arrays(
        path,
        clip_ids=ids,
        backbone="language_bind",
        image=features.image,
        video=features.video,
        audio=features.audio,
        shard_size=2,
        attributes={"clips_from": {**origins, "other#0": ["other", 0.5]}},
    )
    cache.add_text("some", labels=list(text.labels), visual=text.visual, audio=text.audio)
    return cache


CONFIG = ScoreConfig.published("language_bind").replace(threshold_stage1=0.6, threshold_stage2=0.5)


def test_scoring_stitches_where_clips_were_cut(tmp_path: Path) -> None:
    cache = long_cache(tmp_path / "c.zarr")
    found, clips = score(cache, CONFIG), score(cache, CONFIG, stitched=False)
    assert found.clip_ids == ("film", "short", "other")
    assert clips.clip_ids == tuple(cache.clip_ids)
    assert clips.clips_from["film#2"] == ("film", 20.0, None)
    assert clips.seconds is None
    assert found.seconds is not None
    by_hand = stitch(clips)
    for field in fields(Events):
        ours, theirs = getattr(found, field.name), getattr(by_hand, field.name)
        assert np.array_equal(ours, theirs) if isinstance(ours, np.ndarray) else ours == theirs
    assert 0 < len(found) <= len(clips)
    assert found.stream("visual")["short"] == clips.stream("visual")["short"]
    shifted = [(label, on + 0.5, off + 0.5, value) for label, on, off, value in clips.stream("audio")["other#0"]]
    assert sorted(found.stream("audio")["other"]) == sorted(shifted)
    assert max(offset for _, _, offset, _ in found.stream("visual")["film"]) > 20
    assert score(make_cache(tmp_path / "d.zarr"), CONFIG, stitched=True).seconds is None


def test_short_files_alone_are_kept_by_clip_unless_asked(tmp_path: Path) -> None:
    """Their events can be evaluated; on demand they end where the file does."""
    cache = make_cache(tmp_path / "features.zarr", 5)
    short = cache.clip_ids[1]
    cache.update_attributes({"clips_from": {short: [short, 0.0, 4.3], "gone": ["gone", 0.0, 3.0]}})
    words = ["score", "--threshold-stage1", "0.6", "--threshold-stage2", "0.5"]
    by_clip = av2a(*words, cwd=tmp_path)
    assert by_clip.code == 0, by_clip
    assert "1 of the clips are padded at their ends: --stitch cuts events there" in by_clip.out
    events = Events.read(tmp_path / "events.json")
    assert events.seconds is None
    assert max(offset for name in STREAMS for _, _, offset, _ in events.stream(name)[short]) == 10.0
    stitched = av2a(*words, "--stitch", cwd=tmp_path)
    assert "padded" not in stitched.out
    events = Events.read(tmp_path / "events.json")
    assert max(offset for name in STREAMS for _, _, offset, _ in events.stream(name)[short]) == 4.3
    assert max(offset for name in STREAMS for _, _, offset, _ in events.stream(name)[cache.clip_ids[0]]) == 10.0


def test_a_failed_clip_leaves_a_gap(tmp_path: Path) -> None:
    cache = long_cache(tmp_path / "c.zarr")
    part = cache.read([0, 1])
    cache.write_shard(0, part.image, part.video, part.audio, [DONE, FAILED], ["", "broken"])
    events = score(cache, CONFIG)
    assert events.left_out["failed"] == 1
    for stream in STREAMS:
        assert not any(onset < 20 and offset > 10 for _, onset, offset, _ in events.stream(stream)["film"])


def test_files_of_stitched_events(tmp_path: Path) -> None:
    events = score(long_cache(tmp_path / "c.zarr", 10.25), CONFIG)
    events.write(tmp_path / "e.json")
    again = Events.read(tmp_path / "e.json")
    assert [again.stream(name) for name in STREAMS] == [events.stream(name) for name in STREAMS]
    assert json.loads((tmp_path / "e.json").read_text())["stitched"] is True
    again.write(tmp_path / "f.json")
    assert (tmp_path / "f.json").read_bytes() == (tmp_path / "e.json").read_bytes()
    for ending in ("csv", "tsv"):
        files = [Path(name) for name in events.write(tmp_path / f"e.{ending}")]
        delimiter = "," if ending == "csv" else "\t"
        rows = [row for file in files for row in csv.DictReader(file.read_text().splitlines(), delimiter=delimiter)]
        names = sorted((row.get("clip") or row["filename"], row["onset"], row["offset"]) for row in rows)
        form = str if ending == "csv" else "{:.3f}".format
        wanted = [(record["clip"], form(record["onset"]), form(record["offset"])) for record in events.records()]
        assert names == sorted(wanted)


def test_metrics_are_of_clips() -> None:
    events = cut({"a_b": [("visual", "dog", 0, 4)], "c": []}, {"c": ("film", 10.0, None)})
    with pytest.raises(
        ScoreError, match=r"lie on the timelines of whole files.*score again: `score\(\.\.\., stitched=False\)`"
    ):
        evaluate(stitch(events), annotations())


@pytest.mark.parametrize(
    "wrong",
    [["film"], ["film", -1], ["film", "0"], [1, 2], ["film", float("nan")], ["film", True], "film", ["a", 1, 2, 3]],
    ids=str,
)
def test_origins_that_are_none(tmp_path: Path, wrong: Any) -> None:
    cache = make_cache(tmp_path / "c.zarr", 2)
    cache.header.clips.places["clips_from"] = {"clip0": wrong}
    with pytest.raises(ScoreError, match=r"c\.zarr: clips_from of clip clip0 is .*expected \[file, begin\]"):
        score(cache, CONFIG)
    cache.header.clips.places["clips_from"] = ["clip0"]
    with pytest.raises(ScoreError, match="clips_from must give a file"):
        score(cache, CONFIG)
