"""Why an event is there: what is said is what the rules' scorers find, and sentences say no more and no less."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from feature_cache import NO_PICTURE, NO_SOUND, FeatureCache, Features, window_count
from score import ScoreConfig, ScoreError, Why, explain, score, settings_for
from score.choices import FUSIONS, KERNEL_STREAMS, STREAMS
from score.explaining.words import Clock
from score.logits import Logits
from score.rule_parameters import (
    CELL_RULES,
    COMPARED,
    EXCHANGE_FORMS,
    SMOOTHINGS,
    ExchangeConfig,
    IntervalsConfig,
    ScopeConfig,
    ThresholdConfig,
)
from score.rules import RULES, rule_of
from tests.score.test_scoring import configs as av2a_configs

Bools = NDArray[np.bool_]


def make(path: Path, segments: int, labels: int, seconds: float, hold: str, frames: int = 1) -> FeatureCache:
    """Clips in which labels are seen and heard for a while, or one of both is missing; a row says nothing now and then.

    ``hold``: "everything", "no windows", "windows" or "probabilities".
    """
    rng = np.random.default_rng(segments * 100 + labels)
    missing, dims = [0, NO_SOUND, NO_PICTURE, 0, 0], 12
    n, names = len(missing), [f"label {k}" for k in range(labels)]
    text = rng.standard_normal((2, labels, dims))
    windows = window_count(segments)
    image, heard = (0.4 * rng.standard_normal((n, segments, dims)) for _ in range(2))
    video, audio = 0.4 * rng.standard_normal((n, windows, frames, dims)), 0.4 * rng.standard_normal((n, windows, dims))
    for clip in range(n):
        for label in rng.choice(labels, 2, replace=False):
            start = int(rng.integers(0, segments))
            end = int(rng.integers(start + 1, segments + 1))
            image[clip, start:end] += 0.6 * text[0, label]
            heard[clip, start:end] += 0.6 * text[1, label]
            video[clip] += 0.3 * text[0, label]
            audio[clip] += 0.3 * text[1, label]
        image[clip, rng.random(segments) < 0.05] = 0
        heard[clip, rng.random(segments) < 0.05] = 0
    ids = [f"clip{i}" for i in range(n)]
    if hold == "probabilities":
        return FeatureCache.from_probabilities(
            path, clip_ids=ids, labels=names, visual=rng.random((n, segments, labels)).round(1),
            audio=rng.random((n, segments, labels)).round(1), missing=missing, segment_seconds=seconds,
        )  # fmt: skip
    arrays: dict[str, Any] = {"image": image, "video": video, "audio": audio, "audio_segments": heard}
    left_out = {"no windows": ("video", "audio"), "windows": ("audio_segments",)}.get(hold, ())
    arrays = {name: values.astype(np.float32) for name, values in arrays.items() if name not in left_out}
    cache = FeatureCache.from_arrays(
        path, clip_ids=ids, backbone="clip_clap", dtype="float32", missing=missing, segment_seconds=seconds, **arrays
    )
    cache.add_text("t", labels=names, visual=text[0], audio=text[1])
    return cache


MADE: dict[str, dict[str, Any]] = {
    "everything": {"segments": 6, "labels": 5, "seconds": 1.0, "hold": "everything"},
    "windows": {"segments": 10, "labels": 8, "seconds": 1.0, "hold": "windows", "frames": 2},
    "two segments": {"segments": 2, "labels": 3, "seconds": 0.5, "hold": "everything"},
    "no windows": {"segments": 7, "labels": 5, "seconds": 0.96, "hold": "no windows"},
    "64 segments": {"segments": 64, "labels": 2, "seconds": 1.0, "hold": "no windows"},
    "probabilities": {"segments": 8, "labels": 4, "seconds": 1.0, "hold": "probabilities"},
}
SOUNDS = {"windows": ("clip", "windows"), "no windows": ("segments",), "64 segments": ("segments",)}


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FeatureCache]:
    folder = tmp_path_factory.mktemp("explaining")
    return {name: make(folder / f"{number}.zarr", **facts) for number, (name, facts) in enumerate(MADE.items())}


def sound_of(data: st.DataObject, name: str) -> str:
    return data.draw(st.sampled_from(SOUNDS.get(name, ("clip", "windows", "segments"))))


def draw_config(data: st.DataObject, rule: str, name: str) -> Any:
    """Random settings of a rule that a cache allows."""
    few, alpha = data.draw, data.draw(st.sampled_from([0.0, 0.4, 1.0]))
    fusion, sound = few(st.sampled_from(FUSIONS)), sound_of(data, name)
    if rule == "av2a":
        config = few(av2a_configs).replace(sound=sound)
        if few(st.booleans()):
            config = config.replace(filter_threshold=0.3, threshold_stage1=0.6)
        if name not in ("everything", "windows", "two segments"):
            config = config.replace(pooled_windows=True)
        if name == "probabilities":
            config = config.replace(method=few(st.sampled_from(["naive", "bbse"])), sound="segments")
        return config
    centers: dict[str, Any] = {"center": few(st.sampled_from(["none", "cache"])), "center_labels": few(st.booleans())}
    if rule == "exchange":
        return ExchangeConfig(
            cost=few(st.sampled_from([0.0, 0.3, 0.6])), eta=few(st.sampled_from([0.0, 4.0, 16.0])), alpha=alpha,
            run_penalty=few(st.sampled_from([0.0, 0.1, 0.5])), fusion=fusion, sound=sound, **centers,
        )  # fmt: skip
    if rule == "threshold":
        compared = "probability" if name == "probabilities" else few(st.sampled_from(COMPARED))
        return ThresholdConfig(
            threshold=few(st.sampled_from([0.0, 0.3, 0.6, 0.7])), smoothing=few(st.sampled_from(SMOOTHINGS)),
            run_penalty=few(st.sampled_from([0.0, 0.1, 0.5])), median=few(st.sampled_from([1, 3, 5])), alpha=alpha,
            fusion=fusion, compared=compared, sound=sound, **(centers if compared == "cosine" else {}),
        )  # fmt: skip
    if rule == "intervals":
        return IntervalsConfig(
            threshold=few(st.sampled_from([0.5, 0.7])), window_penalty=few(st.sampled_from([0.0, 0.1, 0.5])),
            filter_threshold=few(st.sampled_from([0.0, 0.5])), fusion=fusion, alpha=alpha,
        )  # fmt: skip
    return ScopeConfig(
        cost=few(st.sampled_from([0.05, 0.3])), eta_visual_to_audio=few(st.sampled_from([0.0, 8.0])), alpha=alpha,
        eta_audio_to_visual=few(st.sampled_from([0.0, 16.0])), support=few(st.sampled_from([1e-6, 0.1])),
        memory_seconds=few(st.sampled_from([0.0, 2.0])), exchange_form=few(st.sampled_from(EXCHANGE_FORMS)),
        smoothing=few(st.sampled_from(CELL_RULES)), sound=sound, **centers,
    )  # fmt: skip


# --- what sentences say -----------------------------------------------------------------------------------


def spans(clock: Clock, step: str) -> set[int]:
    """Segments of the spans in a sentence."""
    edges = {clock.at(t): t for t in range(clock.segments + 1)}
    found: set[int] = set()
    for start, end in re.findall(r"([\d.]+ s) to ([\d.]+ s)", step):
        found |= set(range(edges[start], edges[end]))
    return found


def replayed(clock: Clock, steps: tuple[str, ...]) -> set[int]:
    """The segments that are on, from the sentences before the last one alone."""
    on: set[int] = set()
    seen: set[int] = set()
    runs = None
    for step in steps[:-1]:
        if step.startswith("above the "):
            on = spans(clock, step)
        elif step.startswith(("single segments are dropped", "below the gap")):
            on -= spans(clock, step)
        elif step.startswith("holes of one segment are closed"):
            on |= spans(clock, step)
        elif step.startswith("the median"):
            drops, _, adds = step.partition("adds")
            on = (on - spans(clock, drops)) | spans(clock, adds)
        elif step.startswith("run "):
            runs = (runs or set()) | (spans(clock, step) if step.endswith(": on") else set())
        elif step.startswith("candidate ") and step.endswith(": dropped"):
            on -= spans(clock, step)
        elif step.startswith("no candidate of the stream is enough"):
            on = set() if ", of " in step else spans(clock, step)
        elif step.endswith(": taken"):
            on |= spans(clock, step)
        elif step.startswith("events seen"):
            seen = spans(clock, step)
        elif step.startswith("events heard"):
            on = seen & spans(clock, step)
    return on if runs is None else runs


def check(cache: FeatureCache, config: Any) -> int:
    """All clips, labels and streams against the rule's scorer; returns how many segments are on."""
    rule, text = rule_of(config), cache.text()
    config = rule.fitting(cache, config)
    assert rule.explainer is not None
    explainer, clock = rule.explainer(config, text, cache), Clock(cache.segments, cache.segment_seconds)
    features = cache.read()
    _, table, _ = rule.scorer(config, text, cache).score(features)
    expected = np.zeros((len(features), len(STREAMS), len(text.labels), cache.segments), bool)
    for clip, stream, label, start, end in table.tolist():
        expected[clip, stream, label, start:end] = True
    for row in range(len(features)):
        one = cache.read([row])
        for label in range(len(text.labels)):
            why = explainer.explain(one, label)
            assert (why.clip, why.label) == (cache.clip_ids[row], text.labels[label])
            assert list(why.streams) == list(STREAMS)
            for at, found in enumerate(why.streams.values()):
                on, said = expected[row, at, label], found.steps
                np.testing.assert_array_equal(found.on, on, err_msg="\n".join(said))
                assert spans(clock, said[-1]) == set(np.flatnonzero(on).tolist()), said
                assert (said[-1] == "no event") == (not on.any())
                assert replayed(clock, said) == set(np.flatnonzero(on).tolist()), said
                assert found.value.shape == found.limit.shape == (cache.segments,)
                assert all(len(step) < 4000 and "nan" not in step for step in said)
    return int(expected.sum())


PAIRS = [
    (rule, name)
    for rule in RULES
    for name in MADE
    if not (
        (rule in ("exchange", "scope", "intervals") and name == "probabilities")
        or (rule == "intervals" and name in ("no windows", "64 segments"))
    )
]


@pytest.mark.parametrize(("rule", "name"), PAIRS)
@settings(max_examples=25)
@given(st.data())
def test_what_is_said_is_what_is_found(
    rule: str, name: str, caches: dict[str, FeatureCache], data: st.DataObject
) -> None:
    """Segments that are on, to the bit; the last sentence; and all the sentences before it, followed one by one."""
    check(caches[name], draw_config(data, rule, name))


AV2A = ScoreConfig(alpha=0.5, filter_threshold=0.3, threshold_stage1=0.6, threshold_stage2=0.5, gamma=1.0)


@pytest.mark.parametrize(
    "config",
    [
        AV2A.replace(method="bbse", label_shift_iters=3),
        AV2A.replace(fusion="late", decision="argmax"),
        ExchangeConfig(cost=0.3, run_penalty=0.1),
        ScopeConfig(smoothing="runs"),
        IntervalsConfig(threshold=0.6),
        ThresholdConfig(threshold=0.6, smoothing="median"),
    ],
    ids=str,
)
def test_something_is_found(config: Any, caches: dict[str, FeatureCache]) -> None:
    """So that what is compared is not nothing."""
    assert check(caches["everything"], config) > 20


def test_values_and_limits(caches: dict[str, FeatureCache]) -> None:
    """What exceeds its limit is what the rule compares, before anything is smoothed or refined."""
    cache = caches["everything"]
    plain: dict[str, Any] = {
        "av2a": AV2A.replace(refinement=False, sound="segments"),
        "exchange": ExchangeConfig(cost=0.3, run_penalty=0.0, sound="segments"),
        "scope": ScopeConfig(smoothing="none", sound="segments"),
        "threshold": ThresholdConfig(threshold=0.6, smoothing="none", sound="segments"),
    }
    for rule, unit in (
        ("av2a", "probability"),
        ("exchange", "cosine"),
        ("scope", "weight"),
        ("threshold", "probability"),
    ):
        config, compared = plain[rule], 0
        for clip in cache.clip_ids:
            for label in cache.text().labels:
                why = explain(cache, config, clip, label)
                assert why.unit == unit
                for found in why.streams.values():
                    over = found.value > found.limit  # false where there is none
                    compared += int(over.sum())
                    if rule == "av2a":
                        [told] = [step for step in found.steps if step.startswith("above")] or ["nothing"]
                        assert spans(Clock(6, 1.0), told) == set(np.flatnonzero(over).tolist())
                    else:
                        np.testing.assert_array_equal(over, found.on)
        assert compared > 20


def test_values_of_windows(caches: dict[str, FeatureCache]) -> None:
    """Of the window that is taken; elsewhere of the best one, which does not pay."""
    why = explain(caches["everything"], IntervalsConfig(threshold=0.99), "clip0", "label 1")
    found = why.streams["visual"]
    assert not found.on.any()
    assert "best window, " in found.steps[-2]
    assert found.steps[-2].endswith("not worth it")
    assert not np.isnan(found.value).any()
    assert (found.limit == 0.99).all()


def steps(cache: FeatureCache, config: Any, stream: str, label: str = "dog", clip: str = "a") -> list[str]:
    return list(explain(cache, config, clip, label).streams[stream].steps)


def test_costs_are_said(caches: dict[str, FeatureCache]) -> None:
    cache = caches["everything"]
    config = settings_for(cache, rule="exchange", cost=0.4, sound="clip")
    for clip, stream, words in (
        ("clip0", "visual", r"^its limit is half its cost of [\d.]+ \(labels' mean: 0.4\): what is heard gives it "),
        ("clip1", "visual", "^its limit is half its cost of 0.4: there is no sound that gives anything to it$"),
    ):
        assert re.search(words, steps(cache, config, stream, "label 1", clip)[0])
    assert steps(cache, config.replace(eta=0), "audio", "label 1", "clip0")[:2] == [
        "the sound of the whole clip stands for every segment",
        "its limit is half its cost of 0.4: nothing is exchanged, as eta is 0",
    ]
    scope = settings_for(cache, rule="scope", memory_seconds=2)
    assert "what is heard gives it" in steps(cache, scope, "visual", "label 1", "clip0")[0]
    assert any("behind \"label" in step for clip in cache.clip_ids for k in range(5)
               for step in steps(cache, scope.replace(cost=0.05), "visual", f"label {k}", clip))  # fmt: skip


# --- what is refused --------------------------------------------------------------------------------------


def test_refused(caches: dict[str, FeatureCache]) -> None:
    cache = caches["everything"]
    for config in (AV2A, ExchangeConfig(), ScopeConfig()):
        with pytest.raises(ScoreError, match="explanations are of clips on their own: leave out `carry=True`"):
            explain(cache, config.replace(carry=True), "clip0", "label 0")
    with pytest.raises(ScoreError, match="no clip 'clip9' that is done"):
        explain(cache, AV2A, "clip9", "label 0")
    with pytest.raises(ScoreError, match="no label 'dog' in text set 't': it has 5 others"):
        explain(cache, AV2A, "clip0", "dog")
    with pytest.raises(ScoreError, match="does not hold every window"):
        explain(caches["no windows"], IntervalsConfig(), "clip0", "label 0")
    make_explainer = RULES["threshold"].explainer
    assert make_explainer is not None
    explainer = make_explainer(ThresholdConfig(), cache.text(), cache)
    with pytest.raises(ScoreError, match="features of 2 clips, expected one"):
        explainer.explain(cache.read([0, 1]), 0)
    with pytest.raises(ScoreError, match="label 5: there are 5, from 0"):
        explainer.explain(cache.read([0]), 5)


def test_inputs_that_are_there_already(caches: dict[str, FeatureCache]) -> None:
    """Whoever has what the rule compares in memory gives it: nothing is made again, and the same is said."""
    cache = caches["everything"]
    text, features = cache.text(), cache.read()
    for rule in RULES.values():
        config = rule.fitting(cache, settings_for(cache, rule=rule.name))
        assert rule.explainer is not None
        kept = rule.inputs(config, text, cache)(features)
        given = rule.explainer(config, text, cache, partial(part_of_one, kept))
        usual: Any = rule.explainer(config, text, cache)
        for row in range(len(features)):
            ours, theirs = (each.explain(cache.read([row]), 1) for each in (given, usual))
            assert same(ours, theirs)


def part_of_one(kept: Logits, one: Features) -> Logits:
    return kept.part(slice(int(one.rows[0]), int(one.rows[0]) + 1))


def same(first: Why, second: Why) -> bool:
    return all(
        one.steps == other.steps and one.value.tobytes() == other.value.tobytes()
        for one, other in zip(first.streams.values(), second.streams.values(), strict=True)
    )


def test_events_of_a_clip_are_those_of_score(caches: dict[str, FeatureCache]) -> None:
    """By the public face."""
    cache = caches["windows"]
    events = score(cache, AV2A)
    clock, found = Clock(cache.segments, cache.segment_seconds), 0
    for stream in KERNEL_STREAMS:
        for label, onset, offset, _ in events.stream(stream)["clip3"]:
            why = explain(cache, AV2A, "clip3", label, "t")
            assert f"{onset:g} s to {offset:g} s" in why.streams[stream].steps[-1]
            assert spans(clock, why.streams[stream].steps[-1]) == set(np.flatnonzero(why.streams[stream].on).tolist())
            found += 1
    assert found > 0
