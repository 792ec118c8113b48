"""Metrics: golden equality in all configurations, and kernels against the plain reference."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score import Annotations, evaluate, read_annotations
from score.choices import STREAMS
from score.datasets.llp import LLP_FIGURES
from score.datasets.ov_avebench import GROUPS, KINDS
from score.kernels.f1 import clip_figures, count_events, count_segments
from score.kernels.jit import kernel
from score.reference import metrics as reference_metrics
from tests.golden_scoring import FIGURES, FOLDER, NAMES, GoldenSet
from tests.made_events import made_events, random_spans

PROTOCOLS = ("correct", "reference_script")
LLP = [name for name in NAMES if name.endswith("llp")]
AVE = [name for name in NAMES if name.endswith("ave")]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Annotations:
    folder = tmp_path_factory.mktemp("golden") / "annotations"
    GoldenSet.write_annotations(folder)
    return read_annotations("llp", folder)


@pytest.mark.parametrize("name", LLP)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_golden_llp_figures(name: str, protocol: str, truth: Annotations) -> None:
    golden = GoldenSet.load(name)
    for number, result in enumerate(golden.official["results"]):
        report = evaluate(golden.official_events(number), truth, paper_protocol=protocol == "reference_script")
        assert (report.n_found, report.n_split) == (40, 40)
        assert sorted(FIGURES[theirs] for theirs in result["metrics"][protocol]) == sorted(LLP_FIGURES)
        for theirs, value in result["metrics"][protocol].items():
            assert report.metrics[FIGURES[theirs]] == pytest.approx(value, abs=1e-9), (number, theirs)


@pytest.mark.parametrize("name", AVE)
def test_golden_ave_accuracy(name: str) -> None:
    golden = GoldenSet.load(name)
    annotated = read_annotations("ave", FOLDER / "ave_annotations.json")
    for number, result in enumerate(golden.official["results"]):
        report = evaluate(golden.official_events(number), annotated)
        assert report.metrics["accuracy"] == pytest.approx(result["metrics"]["ave_accuracy_percent"], abs=1e-9), number


def test_every_golden_configuration_has_metrics() -> None:
    counts = [len(GoldenSet.load(name).official["results"]) for name in (*LLP, *AVE)]
    assert counts == [32, 32, 24, 24]


@pytest.mark.parametrize("name", LLP)
def test_reference_gives_the_golden_figures(name: str, truth: Annotations) -> None:
    golden = GoldenSet.load(name)
    clips = golden.official["videos"]
    labels = {label.lower(): label for label in golden.official["labels"]}
    sides = {"visual": truth.visual, "audio": truth.audio}
    true = [
        {
            side: reference_metrics.timelines(
                (label, int(onset), int(offset)) for label, onset, offset in found.get(f"{clip}_0_10", ())
            )
            for side, found in sides.items()
        }
        for clip in clips
    ]
    for number, result in enumerate(golden.official["results"]):
        by_stream = {stream: golden.official_events(number).stream(stream) for stream in STREAMS}
        predicted = [
            {
                stream: reference_metrics.timelines(
                    (labels[label.lower()], int(onset), int(offset)) for label, onset, offset, _ in found[clip]
                )
                for stream, found in by_stream.items()
            }
            for clip in clips
        ]
        for protocol in PROTOCOLS:
            ours = reference_metrics.llp_figures(predicted, true, protocol == "reference_script")
            for theirs, value in result["metrics"][protocol].items():
                assert ours[FIGURES[theirs]] == pytest.approx(value, abs=1e-9), (number, theirs)


# --- kernels against the reference ----------------------------------------------------------------------


@kernel
def counts_of(predicted: Any, true: Any, counts: Any) -> None:
    """Counts of one label, int64 (2, 3), segments and events."""
    count_segments(predicted, true, counts[0])
    count_events(predicted, true, counts[1])


def word(timeline: set[int]) -> np.uint64:
    return np.uint64(sum(1 << segment for segment in timeline))


def kernel_counts(predicted: set[int], true: set[int]) -> list[tuple[int, ...]]:
    counts = np.zeros((2, 3), np.int64)
    counts_of(word(predicted), word(true), counts)
    return [tuple(row) for row in counts.tolist()]


def reference_counts(predicted: set[int], true: set[int]) -> list[tuple[int, ...]]:
    return [count(predicted, true) for count in reference_metrics.LEVELS.values()]


@st.composite
def two_timelines(draw: st.DrawFn) -> tuple[set[int], set[int]]:
    """Two timelines of T segments; the second is often the first with some segments changed, so that IoUs are close."""
    segments = draw(st.integers(2, 64))
    some = st.sets(st.integers(0, segments - 1)) | st.just(set(range(segments)))
    first = draw(some)
    return first, draw(some) if draw(st.booleans()) else first ^ draw(st.sets(st.integers(0, segments - 1), max_size=4))


@settings(max_examples=400, deadline=None)
@given(two_timelines())
def test_counts_of_a_label(lines: tuple[set[int], set[int]]) -> None:
    assert kernel_counts(*lines) == reference_counts(*lines)


def test_counts_of_every_pair_of_short_timelines() -> None:
    lines = [{s for s in range(6) if number >> s & 1} for number in range(64)]
    for ours in lines:
        for theirs in lines:
            assert kernel_counts(ours, theirs) == reference_counts(ours, theirs)


@pytest.mark.parametrize("shift", [0, 54, 58])
def test_counts_at_the_ends_of_the_word(shift: int) -> None:
    for a, b, c, d in np.ndindex(6, 6, 6, 6):
        ours, theirs = set(range(shift + a, shift + b + 1)), set(range(shift + c, shift + d + 1))
        assert kernel_counts(ours, theirs) == reference_counts(ours, theirs)


def test_iou_of_just_a_half_is_a_match() -> None:
    assert kernel_counts({0, 1, 2, 3}, {2, 3}) == [(2, 2, 0), (1, 0, 0)]
    assert kernel_counts({0, 1, 2}, {2, 3, 4}) == [(1, 2, 2), (0, 1, 1)]
    # two predicted events may match one true event, and one true event may be missed by neither
    assert kernel_counts({0, 1, 3, 4}, {0, 1, 2, 3, 4}) == [(4, 0, 1), (0, 2, 1)]
    assert kernel_counts(set(range(64)), set(range(32))) == [(32, 32, 0), (1, 0, 0)]
    assert kernel_counts(set(range(64)), set(range(33, 64))) == [(31, 33, 0), (0, 1, 1)]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 64), st.integers(1, 120), st.sampled_from([1, 4, 60]), st.booleans())
def test_figures_of_a_clip(seed: int, segments: int, labels: int, most: int, paper: bool) -> None:
    rng = np.random.default_rng(seed)
    names = [f"l{k}" for k in range(labels)]
    predicted = {s: reference_metrics.timelines(random_spans(rng, names, segments, most)) for s in STREAMS}
    true = {s: reference_metrics.timelines(random_spans(rng, names, segments, most)) for s in ("visual", "audio")}
    words = np.zeros((2, 3, labels), np.uint64)
    for side, streams in enumerate((predicted, true)):
        for k, stream in enumerate(("visual", "audio", "audiovisual")[: len(streams)]):
            for label, timeline in streams[stream].items():
                words[side, k, names.index(label)] = word(timeline)
    words[1, 2] = words[1, 0] & words[1, 1]
    segment, event = np.empty(4), np.empty(4)
    clip_figures(words[0], words[1], paper, segment, event)
    expected = reference_metrics.clip_figures(predicted, true, paper)
    for level, found in (("segment", segment), ("event", event)):
        names_of = [f"{level}-{kind}" for kind in ("visual", "audio", "audiovisual", "event-av")]
        np.testing.assert_allclose(found, [expected[name] for name in names_of], rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 64), st.integers(1, 40), st.booleans())
def test_reports_are_those_of_the_reference(seed: int, segments: int, labels: int, paper: bool) -> None:
    """Events and annotations in, all figures and counts out."""
    rng = np.random.default_rng(seed)
    names = [f"Label_{k}" for k in range(labels)]
    clips = [f"clip_{i}" for i in range(4)]
    spans = {clip: {s: random_spans(rng, names, segments, 5) for s in STREAMS} for clip in clips}
    truth = {clip: {s: random_spans(rng, names, segments, 5) for s in ("visual", "audio")} for clip in clips}
    rows = {clip: [(s, *span) for s, found in of.items() for span in found] for clip, of in spans.items()}
    events = made_events(rows, names, segments)
    report = evaluate(events, Annotations.from_events(truth, labels=names), paper_protocol=paper)

    ours = [{s: reference_metrics.timelines(found) for s, found in of.items()} for of in spans.values()]
    theirs = [{s: reference_metrics.timelines(found) for s, found in of.items()} for of in truth.values()]
    expected = reference_metrics.llp_figures(ours, theirs, paper)
    assert sorted(report.metrics) == sorted(expected)
    for name, value in report.metrics.items():
        assert value == pytest.approx(expected[name], abs=1e-10), name
    for stream in ("visual", "audio"):
        guess = [clip["visual" if paper else stream] for clip in ours]
        for label in names:
            for level in reference_metrics.LEVELS:
                counts = reference_metrics.label_counts(guess, [clip[stream] for clip in theirs], label, level)
                found = report.per_class[label]
                assert tuple(found[f"{level}-{stream}-{key}"] for key in ("tp", "fp", "fn")) == counts

    as_ave = Annotations.from_events({clip: {"visual": of["visual"]} for clip, of in truth.items()}, kind="ave")
    accuracy = reference_metrics.accuracy(
        [of["audiovisual"] for of in spans.values()], [of["visual"] for of in truth.values()], segments
    )
    assert evaluate(events, as_ave).metrics["accuracy"] == pytest.approx(accuracy, abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 64), st.integers(1, 40), st.booleans())
def test_one_label_a_segment_is_that_of_the_reference(seed: int, segments: int, labels: int, other: bool) -> None:
    """Best-scored audiovisual events, ties among them, against rows of annotations; "other" is background."""
    rng = np.random.default_rng(seed)
    names = [*(f"label_{k}" for k in range(labels)), *(["Other"] if other else [])]
    clips = [f"clip_{i}" for i in range(5)]
    spans = {clip: random_spans(rng, names, segments, 5) for clip in clips}
    count = sum(map(len, spans.values()))
    scores = rng.integers(0, 4, count) / 4
    events = made_events({c: [("audiovisual", *s) for s in some] for c, some in spans.items()}, names, segments, scores)
    left = iter(scores.tolist())
    ours = {
        c: metrics_of(reference_metrics.label_of_segments([(*s, next(left)) for s in some], segments), other)
        for c, some in spans.items()
    }
    rows = {c: [random_spans(rng, names[:labels], segments, 1) for _ in range(int(rng.integers(1, 4)))] for c in clips}
    truth = {
        c: [metrics_of(reference_metrics.label_of_segments([(*s, 1.0) for s in row], segments), False) for row in some]
        for c, some in rows.items()
    }
    ave = Annotations("ave", "", tuple(clips), {}, {}, listed=rows)
    right = [reference_metrics.share_right(ours[c], each) for c in clips for each in truth[c]]
    if not other:
        assert evaluate(events, ave).metrics["accuracy-by-row"] == pytest.approx(100 * np.mean(right), abs=1e-10)
    groups = {c: int(rng.integers(0, 2)) for c in clips}
    found = evaluate(events, Annotations("ov-avebench", "", tuple(clips), {}, {}, listed=rows, groups=groups)).metrics
    expected = np.array([reference_metrics.one_label_figures(ours[c], truth[c][0]) for c in clips])
    for name, mine in (
        ("total", clips),
        *((name, [c for c in clips if groups[c] == g]) for g, name in enumerate(GROUPS)),
    ):
        means = expected[[c in mine for c in clips]].mean(axis=0) if mine else np.full(3, np.nan)
        wanted = 100 * np.array([*means, means.mean()])
        np.testing.assert_allclose([found[f"{name}-{kind}"] for kind in KINDS], wanted, rtol=0, atol=1e-10)


def metrics_of(labels: list[str | None], other: bool) -> list[str | None]:
    return [None if other and label == "Other" else label for label in labels]
