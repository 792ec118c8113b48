"""A setting for each clip: policies learn what there is to learn, and nothing of the truth that they are judged by."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_cache import NO_PICTURE, NO_SOUND, FeatureCache
from score import Annotations, ScoreError, SearchResult, Space, search
from score.logits import Logits, make_logits
from score.tuning.clip_features import NAMES, Standard, clip_features
from score.tuning.per_clip import PerClipReport
from score.tuning.policies import RECIPES, Recipe, choose_candidates, cross_validate, learn

LABELS = tuple(f"label {k}" for k in range(6))
T, D = 10, 6
SPACE = Space(
    alpha=(0.5,),
    filter_threshold=(0.4, 0.5, 0.6),
    threshold_stage1=(0.5, 0.6, 0.7, 0.8, 0.9),
    threshold_stage2=(0.5,),
    gamma=(0.5, 2.0),
    refinement=False,
)


def two_kinds(seed: int, n: int = 400, settings: int = 60) -> tuple[Any, Any]:
    """Features of which the third tells apart what kind a clip is of, and figures."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 8))
    kind = features[:, 2] > 0
    table = rng.normal(50, 4, (n, 1)) + rng.normal(0, 1, settings) + rng.normal(0, 2, (n, settings))
    table[:, 7] += np.where(kind, 20, -5)
    table[:, 9] += np.where(kind, -5, 20)
    return features, table


@pytest.mark.parametrize("seed", range(3))
def test_two_kinds_of_clips_are_told_apart(seed: int) -> None:
    features, table = two_kinds(seed)
    asked, others = two_kinds(seed + 100)
    quality = np.random.default_rng(seed).normal(0, 1, table.shape[1])
    first = int(table.mean(axis=0).argmax())
    found = cross_validate(features, table + quality, first, seed)
    assert found.recipe.kind != "one"
    assert found.gain > 2 * found.error > 0
    chosen = learn(features, table + quality, first).choose(asked, found.recipe)
    rows = np.arange(len(others))
    one, policy = (others + quality)[:, first].mean(), (others + quality)[rows, chosen].mean()
    best = (others + quality).max(axis=1).mean()
    assert policy > one + 0.7 * (best - one)
    assert policy <= best


def test_noise_is_not_learned() -> None:
    """Figures that have nothing to do with the features: nearly always one setting, and never much of a loss."""
    kinds, gains = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(600, 8))
        table = rng.normal(60, 1, 100) + 8 * rng.normal(size=(600, 3)) @ rng.normal(size=(3, 100))
        known, asked = slice(0, 300), slice(300, 600)
        first = int(table[known].mean(axis=0).argmax())
        found = cross_validate(features[known], table[known], first, seed)
        chosen = learn(features[known], table[known], first).choose(features[asked], found.recipe)
        kinds.append(found.recipe.kind)
        gains.append(float((table[asked][np.arange(300), chosen] - table[asked][:, first]).mean()))
    assert kinds.count("one") >= 9
    assert abs(np.mean(gains)) < 0.5


def test_candidates_raise_the_best_of_each_clip() -> None:
    """As the plain greedy rule takes them."""
    rng = np.random.default_rng(4)
    table = np.round(rng.random((30, 40)), 2)
    table[:, 20:25] = table[:, :5]  # equal settings
    found = choose_candidates(table, 3, 12).tolist()
    expected, best = [3], table[:, 3]
    while len(expected) < 12:
        gains = np.round([np.maximum(best, column).mean() - best.mean() for column in table.T], 9)
        if gains.max() <= 0:
            break
        expected.append(int(gains.argmax()))
        best = np.maximum(best, table[:, expected[-1]])
    assert found == expected
    assert choose_candidates(np.ones((5, 9)), 2).tolist() == [2]


def test_all_neighbours_and_a_hard_ridge_are_one_setting() -> None:
    features, table = two_kinds(1, 60)
    learned = learn(features, table)
    for recipe in (Recipe("knn", 60, 60, 1.0), Recipe("knn", 5, 60, 0.0), Recipe("ridge", 1e12, 60, 1.0), RECIPES[0]):
        assert set(learned.choose(features, recipe).tolist()) == {int(table.mean(axis=0).argmax())}, recipe


def test_nearest_clips_count() -> None:
    """By plain NumPy: the mean over the k nearest, of equal ones the first."""
    features, table = two_kinds(2, 80)
    features[40] = features[3]
    learned = learn(features, table)
    recipe = Recipe("knn", 10, 16, 0.5)
    standard = Standard(features)
    known, asked = standard(features), standard(features[:9] + 0.1)
    values = learned.values[:, :16]
    for row, choice in zip(asked, learned.choose(features[:9] + 0.1, recipe), strict=True):
        nearest = np.argsort(((known - row) ** 2).sum(axis=1), kind="stable")[:10]
        worth = 0.5 * values.mean(axis=0) + 0.5 * values[nearest].mean(axis=0)
        assert choice == learned.candidates[worth.argmax()]


def test_too_few_clips_teach_nothing() -> None:
    features, table = two_kinds(3, 9)
    found = cross_validate(features, table, 5)
    assert found.recipe == RECIPES[0]
    assert found.chosen.tolist() == [5] * 9


# --- features -------------------------------------------------------------------------------------------


def some_logits(given: bool, sounds: int = T) -> Logits:
    rng = np.random.default_rng(5)
    image, sound = rng.random((3, T, 6)), rng.random((3, sounds, 6))
    missing = np.array([0, NO_PICTURE, NO_SOUND], dtype=np.uint8)
    image[1], sound[2] = 0, 0
    video, audio = np.empty((3, 0, 1, 6)), np.empty((3, 0, 6))
    return Logits(np.arange(3), image, video, audio, sound, given, rng.random((3, T - 1)), missing)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("sounds", [1, T])
def test_features_of_clips_that_lack_something(given: bool, sounds: int) -> None:
    logits = some_logits(given, sounds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = clip_features(logits)
        standard = Standard(found)(found)
    lacking = {name: np.isnan(found[:, column]).tolist() for column, name in enumerate(NAMES)}
    assert lacking["picture-entropy"] == lacking["steadiness"] == [False, True, False]
    assert lacking["sound-entropy"] == [False, False, True]
    assert lacking["correlation"] == [False, True, True]
    assert found[:, -2:].tolist() == [[0, 0], [1, 0], [0, 1]]
    assert np.isfinite(standard).all()
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-6)
    alone = np.concatenate([clip_features(logits.part(slice(row, row + 1))) for row in range(3)])
    np.testing.assert_array_equal(alone, found)


def test_features_are_those_of_the_probabilities() -> None:
    """Of one clip, by plain NumPy (docs/design.md 4.1); rows that are scaled say the same but for what is raw."""
    logits = some_logits(False)
    found = dict(zip(NAMES, clip_features(logits)[0].tolist(), strict=True))
    rows = logits.image[0]
    probabilities = 1 / (1 + np.exp(-(rows - rows.mean(1, keepdims=True)) / rows.std(1, ddof=1, keepdims=True)))
    shares = probabilities / probabilities.sum(1, keepdims=True)
    assert found["picture-entropy"] == pytest.approx(-(shares * np.log(shares)).sum(1).mean() / np.log(6))
    assert found["picture-best"] == pytest.approx(probabilities.max(1).mean())
    assert found["picture-above-half"] == pytest.approx((probabilities.mean(0) > 0.5).mean())
    assert found["picture-raw-best"] == pytest.approx(rows.max(1).mean())
    scaled = dict(zip(NAMES, clip_features(replace(logits, image=3 * logits.image))[0].tolist(), strict=True))
    different = [name for name in NAMES if abs(scaled[name] - found[name]) > 1e-6]
    assert different == ["picture-deviation", "picture-raw-best"]


# --- searches -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """Clips of two kinds: in steady ones all that stands out is true, in others the most outstanding alone."""
    rng = np.random.default_rng(6)
    n = 240
    steady = np.arange(n) % 2 == 0
    images = np.repeat(rng.normal(size=(n, 1, D)), T, axis=1)
    images[~steady] += 0.9 * rng.normal(size=(n // 2, T, D))
    made = FeatureCache.from_arrays(
        tmp_path_factory.mktemp("per clip") / "c.zarr",
        clip_ids=[f"clip{i}" for i in range(n)],
        backbone="clip_clap",
        image=images,
        video=images.mean(axis=1)[:, None, None].repeat(46, axis=1),
        audio=images.mean(axis=1)[:, None].repeat(46, axis=1),
    )
    made.add_text("t", labels=LABELS, visual=np.eye(6, D), audio=np.eye(6, D))
    return made


def truth_of(cache: FeatureCache, clips: range, *, noise: int | None = None) -> Annotations:
    """What is true of some clips; at random, if there is noise."""
    rows = make_logits(cache.read(list(clips)), cache.text("t"), "clip").image.mean(axis=1)
    events: dict[str, dict[str, list[tuple[str, float, float]]]] = {}
    order = np.random.default_rng(noise).permutation(len(clips)) if noise is not None else np.arange(len(clips))
    for clip, place in zip(clips, order.tolist(), strict=True):
        apart = (rows[place] - rows[place].mean()) / rows[place].std(ddof=1)
        count = 3 if clips[place] % 2 == 0 else 1
        found = [(LABELS[label], 0.0, float(T)) for label in np.argsort(-apart)[:count].tolist()]
        events[cache.clip_ids[clip]] = {"visual": found, "audio": found}
    return Annotations.from_events(events, labels=LABELS)


def chosen_of(cache: FeatureCache, val: Annotations, test: Annotations, **given: Any) -> tuple[SearchResult, Any]:
    result = search(cache, val, SPACE, report_on=test, per_clip=True, **given)
    assert isinstance(result.per_clip, PerClipReport)
    return result, result.per_clip


def test_a_search_chooses_for_each_clip(cache: FeatureCache) -> None:
    val, test = truth_of(cache, range(120)), truth_of(cache, range(120, 240))
    result, found = chosen_of(cache, val, test, per_clip_ceiling=True)
    one, policy, ceiling = (found.reported.figures[kind] for kind in ("one", "policy", "ceiling"))
    assert found.gains
    assert found.verdict.startswith("a setting for each clip gains on")
    assert policy[0] > one[0] + 0.5 * (ceiling[0] - one[0])
    assert found.reported.gain[0] == pytest.approx(policy[0] - one[0])
    assert found.reported.gain[1] <= found.reported.gain[0] <= found.reported.gain[2]
    assert result.report is not None
    for split, whole in zip((found.tuned, found.reported), result.report.splits, strict=True):
        assert split.figures["one"] == pytest.approx(whole.figures["segment-type-av"])
    assert found.tuned.figures["ceiling"][0] == pytest.approx(result.mean_ceiling)
    assert len(set(found.choices.tolist())) > 1
    assert json.loads(json.dumps(found.to_dict()))["gains"] is True
    assert str(found).splitlines()[1].split()[:2] == ["one", "setting"]


def test_the_truth_of_the_other_split_chooses_nothing(cache: FeatureCache) -> None:
    """Another truth of the split that is reported on: the same choices, other figures; and nothing is gained."""
    val = truth_of(cache, range(120))
    _, found = chosen_of(cache, val, truth_of(cache, range(120, 240)))
    _, other = chosen_of(cache, val, truth_of(cache, range(120, 240), noise=1))
    np.testing.assert_array_equal(other.choices, found.choices)
    assert other.recipe == found.recipe
    assert other.reported.figures != found.reported.figures
    assert other.tuned == found.tuned


def test_noise_is_said_to_be_noise(cache: FeatureCache) -> None:
    val, test = truth_of(cache, range(120), noise=2), truth_of(cache, range(120, 240), noise=3)
    _, found = chosen_of(cache, val, test)
    assert not found.gains
    assert "does not gain" in found.verdict or "loses" in found.verdict


def test_threads_and_memory_do_not_matter(cache: FeatureCache) -> None:
    val, test = truth_of(cache, range(120)), truth_of(cache, range(120, 240))
    with pytest.raises(ScoreError, match="is too little for") as caught:
        chosen_of(cache, val, test, memory=1)
    least = str(caught.value).split("`memory='")[1].split("'`")[0]
    expected = None
    for given in ({"threads": 1}, {"threads": 3}, {"threads": 2, "memory": least}):
        _, found = chosen_of(cache, val, test, **given)
        told = (json.dumps(found.to_dict()), found.choices.tobytes())
        expected = expected or told
        assert told == expected


def test_many_clips_are_drawn_from(cache: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more clips than are learned from, and more settings than are looked at."""
    monkeypatch.setattr("score.tuning.per_clip._CLIPS", 50)
    monkeypatch.setattr("score.tuning.per_clip.SETTINGS_AT_ONCE", 20)
    val, test = truth_of(cache, range(120)), truth_of(cache, range(120, 240))
    _, found = chosen_of(cache, val, test)
    assert (found.tuned.clips, found.reported.clips, len(found.choices)) == (50, 120, 120)


@pytest.mark.parametrize("kind", ["ave", "ov-avebench"])
def test_one_label_a_segment(cache: FeatureCache, kind: str) -> None:
    """Clips of which a figure says nothing (those of the other group) are not learned from."""
    splits = []
    for clips in (range(120), range(120, 240)):
        plain = truth_of(cache, clips)
        first = {clip: list(events[:1]) for clip, events in plain.visual.items()}
        groups = {clip: number % 3 % 2 for number, clip in enumerate(plain.clip_ids)} if kind == "ov-avebench" else {}
        listed = {clip: [events] for clip, events in first.items()}
        splits.append(Annotations(kind, "val", plain.clip_ids, first, first, listed=listed, groups=groups))
    objective = "seen-accuracy" if kind == "ov-avebench" else "accuracy"
    _, found = chosen_of(cache, *splits, objective=objective)
    assert found.tuned.clips == (80 if kind == "ov-avebench" else 120)
    one, policy, ceiling = (found.reported.figures[kind][0] for kind in ("one", "policy", "ceiling"))
    assert ceiling >= max(one, policy)


def test_refusals(cache: FeatureCache) -> None:
    val, test = truth_of(cache, range(120)), truth_of(cache, range(110, 240))
    with pytest.raises(ScoreError, match="name that, `report_on`"):
        search(cache, val, SPACE, per_clip=True, report_on=val)
    with pytest.raises(ScoreError, match="10 clips of `report_on` are tuned on"):
        search(cache, val, SPACE, per_clip=True, report_on=test)


def test_files_are_left_alone(cache: FeatureCache, tmp_path: Path) -> None:
    """A search with it is the same search."""
    val, test = truth_of(cache, range(120)), truth_of(cache, range(120, 240))
    plain = search(cache, val, SPACE, output=tmp_path / "s.zarr", report_on=test)
    again, _ = chosen_of(cache, val, test, output=tmp_path / "s.zarr")
    np.testing.assert_array_equal(again.metrics, plain.metrics)
