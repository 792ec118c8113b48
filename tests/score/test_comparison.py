"""Systems side by side: paired resamples, the clips that all have, what is refused, names of files."""

import json
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from score import AnnotationError, Annotations, Events, ScoreError, compare, evaluate
from score.bootstrap import resample_counts
from score.comparison import is_clear, short_names, signed
from tests.made_events import EVENTS, LABELS, annotations, made_events, random_spans

RESAMPLES = 300


def systems(clips: int = 25, seed: int = 0) -> tuple[dict[str, Events], Annotations]:
    rng = np.random.default_rng(seed)
    truth = {f"c{n}": {side: random_spans(rng, LABELS, 10, 3) for side in ("visual", "audio")} for n in range(clips)}
    found = {}
    for name, keep in (("good", 0.9), ("poor", 0.4), ("same", 0.9)):
        events = {}
        rng = np.random.default_rng(1 if name != "poor" else 2)
        for clip, sides in truth.items():
            streams = {**sides, "audiovisual": sides["visual"]}
            events[clip] = [
                (stream, *span) for stream, spans in streams.items() for span in spans if rng.random() < keep
            ]
        found[name] = made_events(events, LABELS)
    return found, Annotations.from_events(truth)


def test_paired_intervals() -> None:
    """The interval is that of the differences in resamples that draw the same clips for both."""
    events, truth = systems()
    found = compare(events, truth, resamples=RESAMPLES, seed=3)
    assert (found.base, list(found.intervals), found.clips, found.clips_in_split) == ("good", ["poor", "same"], 25, 25)
    counts = resample_counts(25, 0, RESAMPLES, seed=3)
    for figure in ("segment-audio", "segment-type-av", "event-event-av"):
        ours, base = (found.reports[name].by_clip[figure] for name in ("poor", "good"))
        differences = counts @ (ours - base) / 25
        low, high = np.percentile(differences, [2.5, 97.5])
        assert found.differences("poor")[figure] == pytest.approx((np.mean(ours - base), low, high))
        assert found.differences("same")[figure] == (0, 0, 0)
    assert is_clear(*found.differences("poor")["segment-audio"][1:])
    poor, same = found.tables()
    assert poor[0] == ("figure", "good", "poor", "poor - good [95 %]")
    assert poor[1][0][3].endswith("*")
    assert same[1][0][3] == "+0.0 [+0.0, +0.0]  "
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored["differences"]["poor"]["segment-audio"]["clear"] is True
    assert stored["systems"]["good"]["metrics"] == dict(evaluate(events["good"], truth).metrics)
    again = compare(events, truth, resamples=RESAMPLES, seed=3, threads=1)
    assert again.to_dict() == found.to_dict()


def test_signs() -> None:
    assert [signed(value) for value in (-0.04, 0.04, -0.06, 12.34)] == ["+0.0", "+0.0", "-0.1", "+12.3"]


def test_figures_that_are_not_defined() -> None:
    truth = Annotations.from_events({"c": {"visual": [("cat", 0, 5)]}}, kind="ov-avebench")
    found = compare({"a": EVENTS, "b": EVENTS}, truth, resamples=10)
    assert found.tables()[0][1][8][3] == "-"
    assert found.to_dict()["differences"]["b"]["unseen-accuracy"] == {
        "difference": None, "low": None, "high": None, "clear": False
    }  # fmt: skip
    assert found.reports["a"].intervals(10)["unseen-event"] == pytest.approx((np.nan, np.nan), nan_ok=True)


def test_clips_that_all_have() -> None:
    one = made_events({"a_b": [("visual", "Dog", 0, 4)], "e": []}, LABELS)
    truth = annotations(e={})
    with pytest.raises(AnnotationError, match=r"^b: 1 of 3 clips of the annotated split were not scored \(first: c\)"):
        compare({"a": made_events({"a_b": [], "c": [], "e": []}, LABELS), "b": one}, truth)
    found = compare({"a": EVENTS, "b": one}, truth, partial=True, resamples=10)
    assert (found.clips, found.clips_in_split) == (1, 3)
    assert found.reports["a"].clips == found.reports["b"].clips == ("a_b_10_20",)
    with pytest.raises(AnnotationError, match="no clip of the annotated split is in all of a, b"):
        compare({"a": EVENTS, "b": made_events({"e": []}, LABELS)}, truth, partial=True)


def test_refusals() -> None:
    with pytest.raises(ScoreError, match="two or more"):
        compare({"a": EVENTS}, annotations())
    with pytest.raises(AnnotationError, match=r"^b: .*label 'dog' is not among"):
        compare({"a": EVENTS, "b": made_events({"a_b": [], "c": []}, ("x", "y"))}, annotations())


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.json", "b.json"], ["a", "b"]),
        (["a.json", "a.csv"], ["a.json", "a.csv"]),
        (["1/e.json", "2/e.json", "t.csv"], ["1/e", "2/e", "t"]),
        (["x/1/e.json", "y/1/e.json", "e.json"], ["x/1/e", "y/1/e", "e"]),
        (["a.json", "a.json"], ["a.json (1)", "a.json (2)"]),
    ],
)
def test_short_names(paths: list[str], names: list[str]) -> None:
    assert short_names([PurePosixPath(path) for path in paths]) == names
    assert len(set(names)) == len(names)
    assert short_names([Path("a.json")]) == ["a"]
