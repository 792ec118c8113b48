"""Rules decided segment by segment: kernels against the plain reference, cosines against embeddings, searches."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from feature_cache import NO_PICTURE, NO_SOUND, FeatureCache, Features, TextSet, window_count, window_index
from score import ScoreError, Space, evaluate, score, search, settings_for
from score.centers import Center
from score.choices import FUSIONS, KERNEL_STREAMS, SOUNDS, STREAMS
from score.cosines import label_sides
from score.kernels.exchange import empty_carried
from score.kernels.judge import list_events
from score.kernels.runs import best_runs, median
from score.logits import Logits, make_logits
from score.reference import cosines as plain
from score.reference.exchange import ClipCosines, exchange_events, margins
from score.reference.intervals import best_by_trying as best_windows_by_trying
from score.reference.intervals import best_windows, intervals_events, worth
from score.reference.runs import best_by_trying, best_path, median_filter
from score.reference.runs import worth as path_worth
from score.reference.threshold import threshold_events
from score.rule_parameters import COMPARED, SMOOTHINGS, ExchangeConfig, IntervalsConfig, ThresholdConfig
from score.rules.exchange import exchange_kernel
from score.rules.intervals import intervals_kernel
from score.rules.segmentwise import Kernel, say
from score.rules.threshold import threshold_kernel
from tests.score.test_search import compare
from tests.score.test_search_memory import make_cache, make_truth

ORDER = np.array([KERNEL_STREAMS.index(name) for name in STREAMS])
Found = list[tuple[str, int, int, int, float]]


def bits(path: list[bool]) -> int:
    return sum(1 << t for t, on in enumerate(path) if on)


def by_kernel(kernel: Kernel, batch: Logits, constants: tuple[Any, ...], config: Any) -> Found:
    """Events of one clip as the kernel has them."""
    columns = kernel.columns({name: np.array([value]) for name, value in config.to_dict().items()})
    on, value = say(kernel, batch, constants, columns)
    table, scores = np.empty((10_000, 5), np.int64), np.empty(10_000)
    count = list_events(on, value, kernel.slope, ORDER, table, scores)
    rows = zip(table[:count].tolist(), scores[:count].tolist(), strict=True)
    return [(STREAMS[place], label, start, end, mean) for (_, place, label, start, end), mean in rows]


def same(found: Found, expected: Found) -> None:
    assert [event[:4] for event in found] == [event[:4] for event in expected]
    np.testing.assert_allclose([e[4] for e in found], [e[4] for e in expected], rtol=0, atol=1e-12)


@st.composite
def clips(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float64], int, np.random.Generator]:
    """Values of one clip's images (T, C) and sounds (T or 1, C): any, with ties, with rows that say nothing."""
    segments, most = draw(st.sampled_from([(2, 120), (3, 40), (10, 25), (64, 4)]))
    labels = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["any", "ties", "empty"]))

    def values(rows: int) -> NDArray[np.float64]:
        found = rng.uniform(-1, 1, (rows, labels))
        if kind == "ties":
            found = np.round(found * 4) / 4
        elif kind == "empty":
            found[rng.random(rows) < 0.5] = -1.0
        return found

    sounds = draw(st.sampled_from([1, segments]))
    missing = draw(st.sampled_from([0, 0, NO_PICTURE, NO_SOUND]))
    return values(segments), values(sounds), missing, rng


def batch_of(image: NDArray[np.float64], sound: NDArray[np.float64], missing: int) -> Logits:
    segments, labels = image.shape
    return Logits(
        np.zeros(1, np.int64), image[None], np.empty((1, 0, 1, labels)), np.empty((1, 0, labels)), sound[None], False,
        np.zeros((1, segments - 1)), np.array([missing], np.uint8),
    )  # fmt: skip


# --- runs -------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=64), st.sampled_from([0.0, 0.5, 1.0, 3.0]))
def test_paths_are_the_best_ones(halves: list[int], penalty: float) -> None:
    values = [half / 2 for half in halves]
    found = int(best_runs(np.array(values), penalty))
    assert found == bits(best_path(values, penalty))
    if len(values) <= 10:
        on = [bool(found >> t & 1) for t in range(len(values))]
        assert path_worth(on, values, penalty) == best_by_trying(values, penalty)


@given(st.lists(st.booleans(), min_size=1, max_size=64), st.sampled_from([1, 3, 5, 9, 63]))
def test_medians(path: list[bool], width: int) -> None:
    assert int(median(np.uint64(bits(path)), len(path), width)) == bits(median_filter(path, width))


def test_a_run_has_to_pay() -> None:
    values = np.array([0.2, 0.2, -0.1, 0.3, -1.0, 0.4])
    assert int(best_runs(values, 0.0)) == 0b101011
    assert int(best_runs(values, 0.3)) == 0b101111  # a hole costs 0.1, another run 0.3
    assert int(best_runs(values, 0.5)) == 0b001111  # 0.4 do not pay for a run of their own
    assert int(best_runs(values, 0.7)) == 0


# --- rules ------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(clips(), st.data())
def test_exchange_equals_the_reference(made: Any, data: st.DataObject) -> None:
    image, sound, missing, rng = made
    labels = image.shape[1]
    vectors = [plain.unit(rng.standard_normal((labels, 7))) for _ in range(2)]
    gram = [side @ side.T for side in vectors]
    config = ExchangeConfig(
        cost=data.draw(st.sampled_from([0.0, 0.3, 0.5, 1.0])), eta=data.draw(st.sampled_from([0.0, 1.0, 16.0])),
        run_penalty=data.draw(st.sampled_from([0.0, 0.3, 0.5])), alpha=data.draw(st.sampled_from([0.0, 0.5, 0.7, 1.0])),
        fusion=data.draw(st.sampled_from(FUSIONS)),
    )  # fmt: skip
    found = by_kernel(exchange_kernel(), batch_of(image, sound, missing), (*gram, empty_carried(labels, False)), config)
    same(found, exchange_events(ClipCosines(image, sound, gram[0], gram[1], missing), config))


def test_what_one_label_gains_the_others_pay() -> None:
    """A label that is clearly seen is heard below the threshold of the others, whose mean stays."""
    image, sound = np.zeros((10, 3)), np.zeros((10, 3))
    image[:, 0], sound[:, 0], sound[:, 1] = 0.6, 0.2, 0.26
    clip = ClipCosines(image, sound, np.eye(3), np.eye(3))
    config = ExchangeConfig(cost=0.5, eta=4, run_penalty=0)
    heard = margins(clip, config)["audio"]
    costs = 2 * (sound - heard)[0]
    assert costs.mean() == pytest.approx(0.5)
    assert costs[0] < 0.4 < 0.5 < costs[1] == costs[2]
    events = exchange_events(clip, config)
    assert {event[:2] for event in events} == {("visual", 0), ("audio", 0), ("audiovisual", 0)}
    assert {event[:2] for event in exchange_events(clip, config.replace(eta=0))} == {("visual", 0), ("audio", 1)}


@settings(max_examples=150)
@given(clips(), st.data())
def test_threshold_equals_the_reference(made: Any, data: st.DataObject) -> None:
    image, sound, missing, _ = made
    config = ThresholdConfig(
        threshold=data.draw(st.sampled_from([-0.5, 0.0, 0.25, 0.8])), smoothing=data.draw(st.sampled_from(SMOOTHINGS)),
        run_penalty=data.draw(st.sampled_from([0.0, 0.25, 1.0])), median=data.draw(st.sampled_from([1, 3, 5])),
        alpha=data.draw(st.sampled_from([0.0, 0.5, 0.7, 1.0])), fusion=data.draw(st.sampled_from(FUSIONS)),
        compared=data.draw(st.sampled_from(COMPARED)),
    )  # fmt: skip
    floor = 0.0 if config.compared == "probability" else -1.0
    found = by_kernel(threshold_kernel(), batch_of(image, sound, missing), (config.median, floor), config)
    same(found, threshold_events(image, sound, missing, config))


@settings(max_examples=100)
@given(st.data())
def test_intervals_equal_the_reference(data: st.DataObject) -> None:
    segments, most, frames = data.draw(st.sampled_from([(2, 120, 2), (3, 40, 1), (8, 6, 3), (10, 9, 1), (20, 3, 1)]))
    labels = data.draw(st.integers(1, most))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    video, audio = (
        rng.standard_normal((1, window_count(segments), frames, labels)),
        rng.standard_normal((1, window_count(segments), labels)),
    )
    if data.draw(st.booleans()):
        video, audio = np.round(video), np.round(audio)
    missing = data.draw(st.sampled_from([0, 0, NO_PICTURE, NO_SOUND]))
    config = IntervalsConfig(
        threshold=data.draw(st.sampled_from([0.5, 0.7, 0.9])),
        window_penalty=data.draw(st.sampled_from([0.0, 0.5, 1.0])),
        filter_threshold=data.draw(st.sampled_from([0.0, 0.5, 0.95])), fusion=data.draw(st.sampled_from(FUSIONS)),
        alpha=data.draw(st.sampled_from([0.0, 0.4, 1.0])),
    )  # fmt: skip
    batch = Logits(
        np.zeros(1, np.int64), np.zeros((1, segments, labels)), video, audio, np.zeros((1, 1, labels)), False,
        np.zeros((1, segments - 1)), np.array([missing], np.uint8),
    )  # fmt: skip
    found = by_kernel(intervals_kernel(), batch, (), config)
    same(found, intervals_events(video[0], audio[0], segments, missing, config))


@settings(max_examples=60)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.5, 0.8]), st.sampled_from([0.0, 0.4, 1.0]))
def test_windows_are_the_best_ones(segments: int, seed: int, threshold: float, penalty: float) -> None:
    p = np.random.default_rng(seed).random(window_count(segments)).tolist()
    taken = best_windows(p, segments, threshold, penalty)
    best = best_windows_by_trying(p, segments, threshold, penalty)
    assert worth(taken, threshold, penalty) == pytest.approx(best, abs=1e-12)


# --- cosines ----------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(2, 5), (10, 25), (64, 2)]), st.sampled_from(SOUNDS), st.data())
def test_cosines_from_logits_are_those_of_embeddings(
    seed: int, size: tuple[int, int], sound: str, data: st.DataObject
) -> None:
    """To 1e-12: centred or not, labels taken from their mean or not, each kind of sound, rows of zeros."""
    segments, labels = size
    dims, audio_dims, n = 19, 13, 2
    rng = np.random.default_rng(seed)
    dtype = data.draw(st.sampled_from([np.float16, np.float32]))

    def rows(*shape: int) -> NDArray[Any]:
        found = (rng.standard_normal(shape) + 0.5).astype(dtype)
        found[rng.random(shape[:-1]) < 0.1] = 0
        return found

    windows = window_count(segments)
    features = Features(
        np.arange(n), rows(n, segments, dims), rows(n, windows, 1, dims), rows(n, windows, audio_dims),
        audio_segments=rows(n, segments, audio_dims),
    )  # fmt: skip
    text = TextSet(
        "made", tuple(map(str, range(labels))), rng.standard_normal((labels, dims)).astype(np.float32),
        rng.standard_normal((labels, audio_dims)).astype(np.float32), {},
    )  # fmt: skip
    centred = data.draw(st.booleans())
    scale = data.draw(st.sampled_from([0.0, 0.1]))
    center = Center(scale * rng.standard_normal(dims), scale * rng.standard_normal(audio_dims))
    sides = label_sides(text, center, centred)
    found = sides.of(features, text, sound)
    for side, table, middle in ((sides.visual, text.visual, center.visual), (sides.audio, text.audio, center.audio)):
        np.testing.assert_allclose(side.gram, plain.gram(table, centred), rtol=0, atol=1e-12)
        assert middle is side.center
    for i in range(n):
        expected = plain.cosines(features.image[i], text.visual, center.visual, centred)
        np.testing.assert_allclose(found.image[i], expected, rtol=0, atol=1e-12)
        heard: NDArray[Any]
        if sound == "clip":
            heard = features.audio[i, :1]
        elif sound == "windows":
            heard = plain.window_sound(features.audio[i], segments)
        else:
            assert features.audio_segments is not None
            heard = features.audio_segments[i]
        expected = plain.cosines(heard, text.audio, center.audio, centred)
        np.testing.assert_allclose(found.sound[i], expected, rtol=0, atol=1e-12)
    if sound == "windows":  # AV²A's rows: means before they are scaled, which no z-score sees
        pairs = [window_index(start, start + 2, segments) for start in range(segments - 1)]
        each = plain.unit(features.audio[:, pairs]) @ text.audio.astype(np.float64).T
        means = [each[:, max(0, t - 1) : t + 1].mean(axis=1) for t in range(segments)]
        np.testing.assert_allclose(make_logits(features, text, sound).sound, np.stack(means, 1), rtol=0, atol=1e-12)


def test_a_label_set_of_one() -> None:
    one = np.ones((1, 4), np.float32)
    with pytest.raises(ScoreError, match="text set 'made' has one label"):
        label_sides(TextSet("made", ("a",), one, one, {}), Center(np.zeros(4), np.zeros(4)), False)


# --- searches ---------------------------------------------------------------------------------------------

SPACES = {
    "exchange": Space(
        rule="exchange", cost=[0, 0.3, 0.6], eta=[0, 4], run_penalty=[0, 0.3], fusion=FUSIONS, alpha=[0.2, 0.5]
    ),
    "threshold": Space(
        rule="threshold", threshold=[0.5, 0.7], run_penalty=[0, 0.4], fusion=FUSIONS, alpha=[0.2, 0.5],
        smoothing=SMOOTHINGS,
    ),
    "threshold of cosines": Space(
        rule="threshold", threshold=[0, 0.1], run_penalty=[0, 0.4], compared="cosine", center="cache",
        center_labels=True, sound="clip",
    ),
    "intervals": Space(
        rule="intervals", threshold=[0.5, 0.7], window_penalty=[0, 0.6], filter_threshold=[0, 0.5], fusion=FUSIONS,
        alpha=[0.2, 0.5],
    ),
    "av2a, sound of windows": Space(
        alpha=[0.3, 0.5], filter_threshold=[0, 0.5], threshold_stage1=0.6, threshold_stage2=0.6, gamma=1,
        fusion=FUSIONS, sound="windows",
    ),
}  # fmt: skip


@pytest.mark.parametrize("data_set", ["llp", "ave"])
@pytest.mark.parametrize("name", SPACES)
def test_figures_are_those_of_each_setting_alone(name: str, data_set: str, tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "c.zarr", "windows", 19, seed=5)
    truth = make_truth(cache, data_set, seed=6)
    result = search(cache, truth, SPACES[name], report_on=truth, threads=2)
    assert len(result) == SPACES[name].size
    compare(result, cache, truth, 12)
    assert len({row.tobytes() for row in result.metrics}) > 1
    assert result.report is not None
    best = evaluate(score(cache, result.best.config), truth).metrics
    for figure, (mean, _, _) in result.report.splits[0].figures.items():
        assert mean == pytest.approx(best[figure], abs=1e-9)


def test_settings_that_do_not_go_together(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "c.zarr", "windows", 3, seed=5)
    for rule, given_, message in (
        ("exchange", {"gamma": 2}, r"`gamma` is no parameter of rule exchange, but of av2a: .* `rule='av2a'`"),
        ("av2a", {"eta": 2}, r"`eta` is no parameter of rule av2a, but of exchange"),
        ("exchange", {"beta": 2}, "unknown parameter 'beta'"),
        ("nothing", {}, "no rule 'nothing': there are av2a, exchange"),
        ("exchange", {"center": ""}, "center must be none|cache|FILE"),
    ):
        with pytest.raises(ScoreError, match=message):
            settings_for(cache, rule=rule, **given_)
    for rule, given_, message in (
        (
            "exchange",
            {"sound": "segments"},
            r"`extract_videos\(..., add='audio-segments'\)` adds",
        ),
        ("exchange", {"center": "x.zarr"}, r"there is no x.zarr: `center` is 'none', 'cache', another cache"),
        ("threshold", {"center": "cache"}, r"`center` and `center_labels` are of cosines"),
        ("threshold", {"median": 4}, "median must be odd, got 4"),
    ):
        with pytest.raises(ScoreError, match=message):
            score(cache, settings_for(cache, rule=rule, **given_))


def test_centers(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "c.zarr", "windows", 9, seed=5)
    same_cache = make_cache(tmp_path / "d.zarr", "windows", 9, seed=5)
    config = settings_for(cache, rule="exchange", center="cache", cost=0.2)
    own = list(score(cache, config).records())
    assert own == list(score(cache, config.replace(center=str(same_cache.path))).records())
    features = cache.read()
    assert features.missing is not None
    images = plain.unit(features.image[features.missing & NO_PICTURE == 0]).reshape(-1, cache.visual_dim)
    there = features.audio[features.missing & NO_SOUND == 0]
    sounds = np.concatenate([plain.window_sound(clip, cache.segments) for clip in there])
    visual, audio = images.mean(axis=0), sounds.mean(axis=0)
    np.savez(tmp_path / "own.npz", visual=visual, audio=audio, backbone=cache.backbone)
    again = list(score(cache, config.replace(center=str(tmp_path / "own.npz"))).records())
    assert [{**each, "score": 0} for each in again] == [{**each, "score": 0} for each in own]
    assert [each["score"] for each in again] == pytest.approx([each["score"] for each in own], abs=1e-9)
    assert own != list(score(cache, config.replace(center="none")).records())
    np.savez(tmp_path / "other.npz", visual=visual, audio=audio, backbone="another")
    np.savez(tmp_path / "wide.npz", visual=np.zeros(3), audio=audio, backbone=cache.backbone)
    np.savez(tmp_path / "part.npz", visual=visual)
    (tmp_path / "text.npz").write_text("no zip")
    for name, message in (
        ("other.npz", "is a centre of backbone 'another', the cache is of 'clip_clap': use one of the same"),
        ("wide.npz", r"visual has shape \(3,\)"),
        ("part.npz", "arrays visual and audio .* are expected"),
        ("text.npz", "arrays visual and audio .* are expected"),
        ("none.npz", "there is no"),
    ):
        with pytest.raises(ScoreError, match=message):
            score(cache, config.replace(center=str(tmp_path / name)))


def test_a_probability_cache_has_probabilities_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    cache = FeatureCache.from_probabilities(
        tmp_path / "p.zarr", clip_ids=["a", "b"], labels=["x", "y", "z"], visual=rng.random((2, 10, 3)),
        audio=rng.random((2, 10, 3)),
    )  # fmt: skip
    for rule in ("exchange", "intervals"):
        with pytest.raises(ScoreError, match=r"use `rule='threshold'`"):
            score(cache, settings_for(cache, rule=rule))
    found = score(cache, settings_for(cache, rule="threshold", threshold=0.5, smoothing="none"))
    seen = cache.read().visual_probability
    assert seen is not None
    on = {(r["clip"], r["label"]) for r in found.records() if r["stream"] == "visual"}
    expected = {(c, "xyz"[k]) for i, c in enumerate("ab") for k in range(3) if (seen[i, :, k] > 0.5).any()}
    assert on == expected
    assert all(math.isfinite(r["score"]) for r in found.records())
