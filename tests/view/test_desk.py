"""The desk of the page: what it says of clips and splits is what scoring and evaluation say."""

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_cache import FeatureCache
from score import Annotations, ScoreError, evaluate, read_annotations, score
from score.choices import STREAMS
from score.datasets.match import match_clips
from score.parameters import Parameters
from score.rules import RULES
from score.view.controls import described_rules, step_of
from score.view.desk import WITH_CARRY, Desk
from score.view.finder import MOST_POINTS, Finder
from score.view.newest import Newest
from tests.golden_scoring import GoldenSet
from tests.score.test_carrying import CONFIG, FILES, make

OTHERS: dict[str, dict[str, Any]] = {
    "av2a": {"alpha": 0.7, "filter_threshold": 0.3, "fusion": "late"},
    "exchange": {"cost": 0.2, "run_penalty": 0.0},
    "scope": {"cost": 0.1, "center": "none"},
    "intervals": {"threshold": 0.6, "window_penalty": 0.1},
    "threshold": {"threshold": 0.6, "smoothing": "median"},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Annotations]:
    """A cache of golden clips and their annotations."""
    folder = tmp_path_factory.mktemp("desk")
    GoldenSet.load("language_bind_llp").make_cache(folder / "c.zarr")
    GoldenSet.write_annotations(folder / "llp")
    return folder / "c.zarr", read_annotations("llp", folder / "llp", split="test")


@pytest.fixture(scope="module")
def desk(world: tuple[Path, Annotations]) -> Desk:
    return Desk(str(world[0]), world[1], threads=2)


def annotated(truth: Annotations, clips: Sequence[str]) -> dict[str, str]:
    """Names that clips have in annotations."""
    return {clips[number]: name for name, number in match_clips(truth.clip_ids, clips).items()}


def settings_of(desk: Desk, rule: str) -> list[Parameters]:
    usual = desk.usual(rule)
    return [usual, usual.replace(**OTHERS[rule])]


@pytest.mark.parametrize("rule", list(RULES))
def test_events_of_each_clip_are_those_of_scoring(desk: Desk, rule: str) -> None:
    words = desk.opened.text(None)
    for config in settings_of(desk, rule):
        whole = score(desk.opened.cache, config)
        expected: dict[str, list[Any]] = {clip: [] for clip in whole.clip_ids}
        for number, stream in enumerate(STREAMS):
            for clip, events in whole.stream(stream).items():
                expected[clip] += [
                    [number, words.labels.index(label), onset, offset, value] for label, onset, offset, value in events
                ]
        assert whole.clip_ids == desk.opened.clip_ids
        assert len(whole) > 0
        for number, clip in enumerate(desk.opened.clip_ids):
            assert desk.clip(number, None, config)["events"] == expected[clip]  # to the last bit


@pytest.mark.parametrize("rule", list(RULES))
def test_figures_are_those_of_evaluation(desk: Desk, world: tuple[Path, Annotations], rule: str) -> None:
    for config in settings_of(desk, rule):
        found = desk.figures(None, config)
        assert found["note"] is None
        expected = evaluate(score(desk.opened.cache, config), world[1]).metrics
        assert found["figures"] == pytest.approx(expected, abs=1e-9)


def test_rows_of_the_list(desk: Desk, world: tuple[Path, Annotations]) -> None:
    config = desk.usual("av2a")
    found = desk.rows(None, config)
    whole = score(desk.opened.cache, config)
    report = evaluate(whole, world[1])
    name = annotated(world[1], desk.opened.clip_ids)
    wrong = {clip: 100 - value for clip, value in zip(report.clips, report.by_clip["segment-type-av"], strict=True)}
    for clip, row in zip(desk.opened.clip_ids, found, strict=True):
        events = {stream: whole.stream(stream)[clip] for stream in STREAMS}
        assert row["counts"] == [len(events[stream]) for stream in STREAMS]
        best = max((event[3] for each in events.values() for event in each), default=None)
        assert row["score"] == (None if best is None else pytest.approx(best, abs=1e-4))
        assert row["wrong"] == pytest.approx(wrong[name[clip]], abs=0.051)  # one digit
    assert any(row["wrong"] for row in found)


def test_truth_of_a_clip(desk: Desk, world: tuple[Path, Annotations]) -> None:
    annotations, labels = world[1], desk.opened.text(None).labels
    name, seen = annotated(annotations, desk.opened.clip_ids), 0
    for number, clip in enumerate(desk.opened.clip_ids):
        found = desk.clip(number, None, desk.usual("av2a"))["truth"]
        for stream, side in ((1, annotations.visual), (2, annotations.audio)):
            expected = sorted((labels.index(label), onset, offset) for label, onset, offset in side.get(name[clip], ()))
            assert [tuple(each[1:]) for each in found if each[0] == stream] == expected
        for _, label, onset, offset in (each for each in found if each[0] == 0):
            for stream in (1, 2):
                assert any(s == stream and k == label and a <= onset and offset <= b for s, k, a, b in found)
            seen += 1
    assert seen > 0


def test_without_annotations(world: tuple[Path, Annotations]) -> None:
    desk = Desk(str(world[0]))
    config = desk.usual("av2a")
    assert desk.figures(None, config)["figures"] == {}
    assert desk.clip(0, None, config)["truth"] is None
    assert {row["wrong"] for row in desk.rows(None, config)} == {None}
    with pytest.raises(ScoreError, match="nothing is annotated"):
        Finder(desk).start(None, config, ["alpha"], 1, None)


def test_annotations_of_other_clips(world: tuple[Path, Annotations]) -> None:
    other = Annotations.from_events({"somewhere else": {"visual": [("Speech", 0, 1)]}})
    with pytest.raises(ScoreError, match="none of the 1 clips"):
        Desk(str(world[0]), other)


def test_labels_that_do_not_fit_are_a_note(world: tuple[Path, Annotations]) -> None:
    clip = FeatureCache.open(world[0]).clip_ids[0]
    desk = Desk(str(world[0]), Annotations.from_events({clip: {"visual": [("nobody knows it", 0, 1)]}}))
    found = desk.figures(None, desk.usual("av2a"))
    assert found["figures"] == {}
    assert "nobody knows it" in found["note"]
    assert desk.clip(0, None, desk.usual("av2a"))["truth"] == []


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (None, "a rule and its parameters"),
        ({"rule": "av2a"}, "a rule and its parameters"),
        ({"rule": "none", "parameters": {}}, "no rule 'none'"),
        ({"rule": ["av2a"], "parameters": {}}, "no rule"),
        ({"rule": "exchange", "parameters": {"alpha": "x"}}, "alpha must be a number"),
        ({"rule": "exchange", "parameters": {"nothing": 1}}, "unknown parameter 'nothing'"),
        ({"rule": "exchange", "parameters": {"cost": 1e400}}, "cost must lie"),
        ({"rule": "av2a", "parameters": {"alpha": 0.5}}, "is missing"),
        ({"rule": "exchange", "parameters": {"center": "/etc/passwd"}}, "none or cache"),
        ({"rule": "exchange", "parameters": {"center": "other.npz"}}, "none or cache"),
    ],
)
def test_settings_that_are_none(desk: Desk, setting: Any, said: str) -> None:
    with pytest.raises(ScoreError, match=said):
        desk.config(setting)


def test_a_file_that_was_named_at_the_start_may_be_a_centre(world: tuple[Path, Annotations]) -> None:
    desk = Desk(str(world[0]), texts_allowed=frozenset({"mean.npz"}))
    assert desk.config({"rule": "exchange", "parameters": {"center": "mean.npz"}}).to_dict()["center"] == "mean.npz"


@pytest.mark.parametrize(("number", "label"), [(-1, None), (10**6, None), (0, -1), (0, 10**6)])
def test_no_such_clip_or_label(desk: Desk, number: int, label: int | None) -> None:
    with pytest.raises(ScoreError, match=r"no clip|no label"):
        desk.clip(number, None, desk.usual("av2a"), label)


def test_flags_and_choices_do_not_read_the_clips_again(desk: Desk) -> None:
    config = desk.usual("av2a")
    held, _ = desk.held(None, config)
    for changed in ({"refinement": False}, {"method": "naive"}, {"label_shift_iters": 2}, {"alpha": 0.1}):
        assert desk.held(None, config.replace(**changed))[0] is held


def test_carried_events_are_those_of_scoring(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", [3, 2, 0, 1], FILES)
    desk, config = Desk(str(cache.path)), CONFIG.replace(carry=True)
    whole = score(cache, config, stitched=False)
    alone = score(cache, config.replace(carry=False), stitched=False)
    assert sorted(whole.records(), key=str) != sorted(alone.records(), key=str)
    labels, found = cache.text().labels, []
    for number, clip in enumerate(desk.opened.clip_ids):
        for stream, label, onset, offset, value in desk.clip(number, None, config)["events"]:
            found.append((clip, STREAMS[stream], labels[label], onset, offset, value))
    assert sorted(found) == sorted(tuple(record.values()) for record in whole.records())
    there = Annotations.from_events({"c0": {"visual": [("a", 0, 1)]}})
    assert Desk(str(cache.path), there).figures(None, config) == {"figures": {}, "note": WITH_CARRY}


def test_a_cache_that_changes(tmp_path: Path) -> None:
    GoldenSet.load("language_bind_llp").make_cache(tmp_path / "c.zarr")
    desk = Desk(str(tmp_path / "c.zarr"))
    assert desk.opened.what_changed() == ""
    cache = FeatureCache.open(tmp_path / "c.zarr", "r+")
    there = cache.text()
    cache.add_text("other", labels=["a", "b"], visual=there.visual[:2], audio=there.audio[:2])
    assert "other label sets now" in desk.opened.what_changed()
    desk.reopen()
    assert desk.opened.what_changed() == ""
    assert desk.clip(0, "other", desk.usual("av2a"))["clip"] == 0
    (tmp_path / "c.zarr" / "zarr.json").write_text("{}")
    assert "cannot be read any more" in desk.opened.what_changed()
    (tmp_path / "c.zarr").rename(tmp_path / "gone.zarr")
    assert "cannot be read any more" in desk.opened.what_changed()


def test_controls_come_from_descriptions(desk: Desk) -> None:
    found = {rule["name"]: rule for rule in described_rules(desk.opened.cache, desk.usual_of_all())}
    assert list(found) == list(RULES)
    for rule in found.values():
        usual = desk.usual(rule["name"]).to_dict()
        assert [each["name"] for each in rule["parameters"]] == list(usual)
        for each in rule["parameters"]:
            assert len(each["help"]) <= 50
            if each["kind"] == "number":
                slider = each["slider"]
                assert each["low"] <= slider["low"] < slider["high"] <= (each["high"] or math.inf)
                assert 100 <= (slider["high"] - slider["low"]) / slider["step"] <= 1000
                assert usual[each["name"]] <= slider["high"]


def test_what_a_cache_does_not_hold_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    FeatureCache.from_probabilities(
        tmp_path / "p.zarr", clip_ids=["a", "b"], labels=["x", "y", "z"],
        visual=rng.random((2, 10, 3)), audio=rng.random((2, 10, 3)),
    )  # fmt: skip
    desk = Desk(str(tmp_path / "p.zarr"))
    found = {rule["name"]: rule for rule in described_rules(desk.opened.cache, desk.usual_of_all())}
    assert "embeddings" in found["exchange"]["why_not"]
    assert found["threshold"]["why_not"] is None
    compared = next(each for each in found["threshold"]["parameters"] if each["name"] == "compared")
    assert list(compared["refused"]) == ["cosine"]
    assert compared["why_not"] == compared["refused"]["cosine"]


@pytest.mark.parametrize(("high", "step"), [(1.0, 0.01), (2.0, 0.02), (64.0, 0.5), (16.0, 0.1), (5.0, 0.05)])
def test_steps_are_round(high: float, step: float) -> None:
    assert step_of(0.0, high) == step


def test_the_newest_request_alone_counts() -> None:
    newest = Newest()
    first = newest.note("tab", "clip", 1)
    assert not first()
    third = newest.note("tab", "clip", 3)
    second = newest.note("tab", "clip", 2)
    assert (first(), second(), third()) == (True, True, False)
    assert not newest.note("tab", "figures", 1)()
    assert not newest.note("other tab", "clip", 1)()


def test_finding_the_best(desk: Desk) -> None:
    finder, config = Finder(desk), desk.usual("av2a").replace(alpha=0.95, filter_threshold=0.99)
    finder.start(None, config, ["alpha", "filter_threshold", "fusion"], 60, "segment-type-av")
    wait_for(lambda: finder.state["tried"] > 600)
    finder.stop()
    found = finder.state
    assert not found["running"]
    assert found["done"]
    assert found["begun"] == pytest.approx(desk.figures(None, config)["figures"]["segment-type-av"])
    best = config.replace(**found["best"]["parameters"])
    assert found["best"]["value"] > found["begun"]
    assert found["best"]["value"] == pytest.approx(desk.figures(None, best)["figures"]["segment-type-av"], abs=1e-9)
    unvaried = {name: value for name, value in config.to_dict().items() if name not in found["vary"]}
    assert {name: getattr(best, name) for name in unvaried} == unvaried
    values = [point[-1] for point in found["points"]]
    assert 256 < len(values) <= MOST_POINTS
    assert max(values) == values[0] == found["best"]["value"]
    assert {point[2] for point in found["points"]} == {"early", "late"}


def test_a_search_never_ends_worse_than_it_began(desk: Desk) -> None:
    finder = Finder(desk)
    finder.start(None, desk.usual("threshold"), ["run_penalty"], 0.001, None)
    wait_for(lambda: finder.state["done"])
    assert finder.state["best"]["value"] >= finder.state["begun"]


@pytest.mark.parametrize(
    ("vary", "seconds", "objective", "said"),
    [
        ([], 1, None, "nothing varies"),
        (["nothing"], 1, None, "nothing that a search"),
        (["sound"], 1, None, "nothing that a search"),
        (["alpha"], 0, None, "seconds"),
        (["alpha"], float("nan"), None, "seconds"),
        (["alpha"], 1e9, None, "seconds"),
        (["alpha"], 1, "beauty", "no objective 'beauty'"),
    ],
)
def test_searches_that_are_none(desk: Desk, vary: list[str], seconds: float, objective: Any, said: str) -> None:
    with pytest.raises(ScoreError, match=said):
        Finder(desk).start(None, desk.usual("av2a"), vary, seconds, objective)


def wait_for(condition: Any) -> None:
    turn = threading.Event()
    while not condition():
        turn.wait(0.01)
