"""Caches that hold less than every window, or audio a segment, or probabilities (docs/design.md 3, 4.2 to 4.6)."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_cache import NO_PICTURE, NO_SOUND, CacheError, FeatureCache, window_count
from score import Annotations, Events, ScoreConfig, ScoreError, evaluate, score, search
from score.choices import METHODS
from score.reference.scoring import ClipLogits, clip_logits, score_clip
from score.rules.av2a import defaults_for, usual_sound
from score.tuning.space import Space
from score.tuning.sweeper import Sweeper
from tests.score.test_search import WIDE, compare

CONFIG = ScoreConfig(
    alpha=0.4, filter_threshold=0.45, threshold_stage1=0.6, threshold_stage2=0.55, gamma=1.5, method="bbse"
)
LABELS = [f"l{k}" for k in range(5)]
N, T, D = 5, 6, 8
W = window_count(T)


def embeddings(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((N, 1, D))
    shapes = {"image": (N, T, D), "video": (N, W, D), "audio": (N, W, D), "audio_segments": (N, T, D)}
    return {name: (base + rng.standard_normal(shape)).astype(np.float16) for name, shape in shapes.items()}


def make(path: Path, **given: Any) -> FeatureCache:
    cache = FeatureCache.from_arrays(
        path, clip_ids=[f"c{row}" for row in range(N)], backbone="clip_clap", shard_size=2, **given
    )
    text = np.random.default_rng(9).standard_normal((len(LABELS), D))
    cache.add_text("t", labels=LABELS, visual=text, audio=text)
    return cache


def kinds(seed: int = 0) -> dict[str, dict[str, Any]]:
    """What can be given of embeddings: every window, whole clips, audio a segment with and without the others."""
    all_of = embeddings(seed)
    windows = {name: all_of[name] for name in ("image", "video", "audio")}
    return {
        "all": windows,
        "whole": {**windows, "video": all_of["video"][:, :1], "audio": all_of["audio"][:, 0]},
        "video all, audio whole": {**windows, "audio": all_of["audio"][:, 0]},
        "video whole, audio all": {**windows, "video": all_of["video"][:, :1]},
        "all, audio segments": all_of,
        "whole, audio segments": {**all_of, "video": all_of["video"][:, :1], "audio": all_of["audio"][:, :1]},
        "images, audio segments": {name: all_of[name] for name in ("image", "audio_segments")},
        "images, audio whole": {"image": all_of["image"], "audio": all_of["audio"][:, 0]},
        "missing": {**windows, "missing": [0, NO_SOUND, NO_PICTURE, 0, 0]},
        "missing, audio segments": {**all_of, "missing": [0, NO_SOUND, NO_PICTURE, 0, 0]},
    }


def expected_events(cache: FeatureCache, config: ScoreConfig) -> dict[str, dict[str, list[tuple[Any, ...]]]]:
    """By the reference, from the cache's rows."""
    features, text = cache.read(), cache.text()
    found: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
    for i, clip_id in enumerate(cache.clip_ids):
        bits = 0 if features.missing is None else int(features.missing[i])
        if features.visual_probability is not None and features.audio_probability is not None:
            dims = features.image.shape[2]
            none = np.zeros((0, 1, dims)), np.zeros((0, 1)), np.zeros((1, dims)), np.zeros((1, 1))
            clip = ClipLogits(
                features.visual_probability[i].astype(np.float64),
                np.zeros((0, 1, len(text.labels))),
                np.zeros((0, len(text.labels))),
                clip_logits(features.image[i], *none).cosine if dims else np.zeros(T - 1),
                bits,
                features.audio_probability[i].astype(np.float64),
                given=True,
            )
        else:
            own = features.audio_segments[i] if features.audio_segments is not None and config.sound != "clip" else None
            clip = clip_logits(
                features.image[i], features.video[i], features.audio[i], text.visual, text.audio, bits, own
            )
        events = score_clip(clip, text.labels, config)
        found[clip_id] = {
            stream: [(text.labels[k], float(start), float(end), value) for k, start, end, value in rows]
            for stream, rows in events.items()
        }
    return found


def check(cache: FeatureCache, config: ScoreConfig) -> int:
    events = score(cache, config)
    expected = expected_events(cache, config if cache.windows_kept == "all" else config.replace(pooled_windows=True))
    for stream in ("audiovisual", "visual", "audio"):
        assert events.stream(stream) == {clip: found[stream] for clip, found in expected.items()}
    return len(events)


def truth_of(cache: FeatureCache, labels: list[str], seed: int) -> Annotations:
    rng = np.random.default_rng(seed)
    events: dict[str, dict[str, list[tuple[str, float, float]]]] = {}
    for clip in cache.clip_ids:
        of_clip = events.setdefault(clip, {"visual": [], "audio": []})
        for found in of_clip.values():
            start = int(rng.integers(0, T))
            found.append((labels[int(rng.integers(len(labels)))], start, int(rng.integers(start + 1, T + 1))))
    return Annotations.from_events(events, labels=labels)


# --- embeddings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", kinds())
def test_embeddings_of_every_kind(kind: str, tmp_path: Path) -> None:
    given = kinds()[kind]
    cache = make(tmp_path / "c.zarr", **given)
    again = FeatureCache.open(tmp_path / "c.zarr")
    assert again.arrays == tuple(name for name in ("image", "video", "audio", "audio_segments") if name in given)
    found = again.read()
    if "missing" not in given:
        for name in again.arrays:
            stored = getattr(found, name)
            np.testing.assert_array_equal(stored.reshape(given[name].shape), given[name])
    assert found.video.shape == (N, {"all": W, "whole": 1, "none": 0}[again.video_windows], 1, D)
    assert again.describe()["windows_kept"] == again.windows_kept
    methods = METHODS if again.windows_kept == "all" else METHODS[1:]
    for method in methods:
        for refinement in (True, False):
            config = CONFIG.replace(method=method, refinement=refinement, sound=usual_sound(cache))
            if again.windows_kept == "all":
                assert check(cache, config) > 5
            assert check(cache, config.replace(pooled_windows=True)) > 5
    json.dumps(cache.describe())


@pytest.mark.parametrize("kind", [name for name in kinds() if name != "all"])
def test_search_over_every_kind(kind: str, tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", **kinds(3)[kind])
    truth = truth_of(cache, LABELS, 3)
    lists = {name: getattr(WIDE, name) for name in ("alpha", "filter_threshold", "threshold_stage1", "gamma")}
    for fixed in ({"pooled_windows": True}, {"refinement": False}, {"pooled_windows": True, "decision": "argmax"}):
        more: dict[str, Any] = {"method": METHODS, "fusion": ("early", "late"), "sound": usual_sound(cache), **fixed}
        space = type(WIDE)(**lists, threshold_stage2=[0.4, 0.6], **more)
        compare(search(cache, truth, space, sampler="sobol", samples=24, seed=1), cache, truth, 8)


def test_refinement_needs_windows(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", **kinds()["whole"])
    assert (cache.windows_kept, cache.read().video.shape) == ("whole", (N, 1, 1, D))
    message = r"needs: `extract_videos\(\.\.\., windows='all'\)`, or use `pooled_windows=True` \(approximate\)"
    with pytest.raises(ScoreError, match=message):
        score(cache, CONFIG)
    truth = truth_of(cache, LABELS, 0)
    with pytest.raises(ScoreError, match=message):
        search(cache, truth, WIDE, output=tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()
    events = score(cache, CONFIG.replace(refinement=False))
    assert events.facts.settings["pooled_windows"]  # scores are
    assert score(make(tmp_path / "d.zarr", **kinds()["all"]), CONFIG).facts.approximation == ""


def test_every_output_says_what_is_approximate(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", **kinds()["all"])
    exact, pooled = score(cache, CONFIG), score(cache, CONFIG.replace(pooled_windows=True))
    said = "pooled windows: a window's probability is the mean of its segments' probabilities"
    pooled.write(tmp_path / "p.json")
    exact.write(tmp_path / "e.json")
    found = json.loads((tmp_path / "p.json").read_text())
    assert (found["approximate"], found["approximation"]) == (True, said)
    assert json.loads((tmp_path / "e.json").read_text())["approximate"] is False
    assert Events.read(tmp_path / "p.json").config == pooled.config
    for ending, delimiter in (("csv", ","), ("tsv", "\t")):
        written = [Path(name) for name in pooled.write(tmp_path / f"p.{ending}")]
        rows = [row for file in written for row in csv.DictReader(file.read_text().splitlines(), delimiter=delimiter)]
        assert len(rows) == len(pooled)
        assert {row["approximate"] for row in rows} == {said}
        plain = [Path(name).read_text() for name in exact.write(tmp_path / f"e.{ending}")]
        assert not any("approximate" in text for text in plain)
    truth = truth_of(cache, LABELS, 0)
    report = evaluate(pooled, truth)
    assert report.to_dict()["approximation"] == said
    assert report.tables()[0][0][0] == "F1 % (approximate: pooled windows)"
    assert evaluate(exact, truth).tables()[0][0][0] == "F1 %"
    space = type(WIDE)([0.5], [0.5], [0.6], [0.5], [1.0], pooled_windows=True)
    result = search(cache, truth, space)
    result.to_csv(tmp_path / "s.csv")
    assert next(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))["approximate"] == said
    assert "approximate: pooled windows" in str(result)
    assert result.best.config.pooled_windows


def test_arrays_that_do_not_fit(tmp_path: Path) -> None:
    all_of = embeddings()
    path = tmp_path / "c.zarr"
    with pytest.raises(CacheError, match="give audio a segment as audio_segments"):
        make(path, image=all_of["image"], audio=all_of["audio_segments"])
    with pytest.raises(CacheError, match=r"needs audio \(N, W, Da\) or audio_segments"):
        make(path, image=all_of["image"], video=all_of["video"])
    with pytest.raises(CacheError, match=r"audio_segments is \(5, 5, 8\), expected \(5, 6, 8\)"):
        make(path, image=all_of["image"], audio_segments=all_of["audio_segments"][:, 1:])
    with pytest.raises(CacheError, match=r"video is \(5, 3, 1, 8\), expected \(5, 16, 1, 8\)"):
        make(path, image=all_of["image"], video=all_of["video"][:, :3], audio=all_of["audio"])
    given: dict[str, Any] = {"clip_ids": ["a"], "backbone": "x", "visual_dim": 4, "audio_dim": 4}
    with pytest.raises(CacheError, match="windows 'some': use one of all, whole, none"):
        FeatureCache.create(path, windows="some", **given)
    with pytest.raises(CacheError, match="a cache needs sound"):
        FeatureCache.create(path, windows="none", **given)
    assert not path.exists()
    cache = FeatureCache.create(path, windows="whole", segments=T, **given)
    assert cache.describe()["windows"] == 1
    ones = np.ones((1, T, 4))
    with pytest.raises(CacheError, match="audio_segments is no array of this cache"):
        cache.write_shard(0, ones, ones[:, :1, None], ones[:, :1], [1], audio_segments=ones)
    with pytest.raises(CacheError, match="audio is needed"):
        cache.write_shard(0, ones, ones[:, :1, None], None, [1])
    cache.write_shard(0, ones, ones[:, :1, None], ones[:, :1], [1])
    assert cache.read().audio.shape == (1, 1, 4)


# --- probabilities --------------------------------------------------------------------------------------


def detector(path: Path, seed: int = 0, **more: Any) -> FeatureCache:
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((2, N, 1, len(LABELS)))
    visual, audio = 1 / (1 + np.exp(-base - rng.standard_normal((2, N, T, len(LABELS)))))
    given: dict[str, Any] = {"visual": visual, "audio": audio, "image": rng.standard_normal((N, T, D)), **more}
    return FeatureCache.from_probabilities(
        path, clip_ids=[f"c{row}" for row in range(N)], labels=LABELS, shard_size=2, **given
    )


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 9999), st.booleans(), st.sampled_from(["early", "late"]), st.booleans())
def test_probabilities_of_a_detector(
    tmp_path_factory: pytest.TempPathFactory, seed: int, images: bool, fusion: str, pooled: bool
) -> None:
    path = tmp_path_factory.mktemp("p") / "c.zarr"
    cache = detector(path, seed, missing=[0, NO_SOUND, 0, NO_PICTURE, 0], **({} if images else {"image": None}))
    opened = FeatureCache.open(path)
    assert (opened.kind, opened.has_images, opened.windows_kept) == ("probabilities", images, "none")
    assert opened.text().labels == tuple(LABELS)
    for method in METHODS if images else ("naive", "bbse"):
        config = CONFIG.replace(method=method, fusion=fusion, refinement=pooled, pooled_windows=pooled)
        check(opened, config)
        check(opened, config.replace(label_selection=False))
    truth = truth_of(cache, LABELS, seed)
    fixed: dict[str, Any] = {"pooled_windows": True} if pooled else {"refinement": False}
    space = type(WIDE)(
        [0, 0.5, 1], [0.3, 0.5, 0.9], [0.4, 0.7], [0.5], [0.0, 2.0], method=("naive", "bbse"), fusion=(fusion,), **fixed
    )
    compare(search(opened, truth, space, sampler="sobol", samples=20, seed=1), opened, truth, 8)


def test_one_likely_label_is_enough(tmp_path: Path) -> None:
    visual = np.full((1, T, 2), 0.01)
    visual[0, 1:4, 0] = 0.99
    cache = FeatureCache.from_probabilities(
        tmp_path / "c.zarr", clip_ids=["c"], labels=["dog", "cat"], visual=visual, audio=None
    )
    assert cache.missing().tolist() == [NO_SOUND]
    events = score(cache, CONFIG.replace(method="naive", refinement=False))
    [(label, onset, offset, value)] = events.stream("visual")["c"]
    assert (label, onset, offset) == ("dog", 1.0, 4.0)
    assert abs(value - np.float32(0.99)) < 1e-12
    assert events.stream("audiovisual") == events.stream("visual")
    assert events.missing == {"c": "sound"}


def test_defaults_of_a_cache_of_probabilities(tmp_path: Path) -> None:
    plain, seen = detector(tmp_path / "a.zarr", image=None), detector(tmp_path / "b.zarr")
    own = {"sound": "segments"}
    assert defaults_for(plain, {}) == {**own, "method": "bbse", "refinement": False, "threshold_stage2": 0.5}
    assert defaults_for(plain, {"method": "naive", "pooled_windows": True}) == own
    assert defaults_for(seen, {}) == {**own, "refinement": False, "threshold_stage2": 0.5}
    assert defaults_for(seen, {"refinement": True, "sound": "clip"}) == {}
    assert defaults_for(make(tmp_path / "c.zarr", **kinds()["whole"]), {}) == {"sound": "clip"}


def test_whose_sound_is_taken(tmp_path: Path) -> None:
    """The clip's where there is one; the segments' own where it was imported; said otherwise, what is said."""
    both = make(tmp_path / "a.zarr", **kinds()["all, audio segments"])
    alone = make(tmp_path / "b.zarr", **kinds()["missing, audio segments"])
    assert defaults_for(both, {}) == {"sound": "segments"}
    both.update_attributes({"sampling": {"made": "by extraction"}})
    assert defaults_for(FeatureCache.open(tmp_path / "a.zarr"), {}) == {"sound": "clip"}
    assert score(both, CONFIG).config.sound == "clip"
    found = [list(score(both, CONFIG.replace(sound=sound)).records()) for sound in ("clip", "windows", "segments")]
    assert found[0] != found[1] != found[2] != found[0]
    if "audio" not in alone.arrays:
        assert score(alone, CONFIG).config.sound == "segments"


def test_settings_of_a_cache_of_probabilities(tmp_path: Path) -> None:
    plain = detector(tmp_path / "a.zarr", image=None)
    given = {"alpha": 0.5, "filter_threshold": 0.3, "threshold_stage1": 0.5, "gamma": 1}
    config = ScoreConfig.for_backbone(plain.backbone, {**defaults_for(plain, given), **given})
    assert (config.method, config.refinement) == ("bbse", False)
    texts = {"alpha": "0:1:0.5", "filter_threshold": "0.3", "threshold_stage1": "0.5", "gamma": "1"}
    truth = Annotations.from_events({plain.clip_ids[0]: {"visual": [(plain.text().labels[0], 0, 2)], "audio": []}})
    space = Sweeper(plain, truth).completed(Space(**texts))
    assert (space.size, space.method, space.refinement, space.threshold_stage2) == (3, ("bbse",), False, (0.5,))
    assert len(score(plain, config)) > 0


def test_what_probabilities_do_not_allow(tmp_path: Path) -> None:
    cache = detector(tmp_path / "c.zarr", image=None)
    with pytest.raises(
        ScoreError, match="holds no image embeddings, which method bbse-cosine compares: use `method='bbse'`"
    ):
        score(cache, CONFIG.replace(method="bbse-cosine", refinement=False))
    with pytest.raises(ScoreError, match="holds probabilities of segments, no windows that refinement needs"):
        score(cache, CONFIG)
    with pytest.raises(ScoreError, match="no windows that refinement needs"):
        search(cache, truth_of(cache, LABELS, 0), Space(**{**WIDE.given, "refinement": True}))
    space = type(WIDE)([0.5], [0.3], [0.5], [0.5], [1.0], method=("bbse", "cosine"), refinement=False)
    with pytest.raises(ScoreError, match="no image embeddings, which method cosine compares"):
        search(cache, truth_of(cache, LABELS, 0), space)
    with pytest.raises(CacheError, match="no label set can be added"):
        cache.add_text("more", labels=["a", "b"], visual=np.ones((2, 4)), audio=np.ones((2, 4)))
    good = np.full((N, T, len(LABELS)), 0.5)
    for change, message in (
        ({"visual": good * 3}, r"visual probability of clip c0: 1.5 does not lie in \[0, 1\]"),
        ({"audio": -good}, r"audio probability of clip c0: -0.5 does not lie in \[0, 1\]"),
        ({"audio": good * np.nan}, "audio probability of clip c0: a value is not finite"),
        ({"audio": good[:, 1:]}, r"audio probability is \(5, 5, 5\), expected \(5, 6, 5\)"),
        ({"visual": good[:, :, 1:]}, r"probabilities are \(5, 6, 4\), expected \(5, T, 5\)"),
        ({"visual": None, "audio": None}, "needs visual or audio"),
        ({"image": good[:, 1:]}, r"image is \(5, 5, 5\), expected \(5, 6, Dv\)"),
        ({"missing": [3, 0, 0, 0, 0]}, "neither picture nor sound"),
        ({"visual": None, "missing": [2, 0, 0, 0, 0]}, "clip c0 has neither picture nor sound"),
    ):
        with pytest.raises(CacheError, match=message):
            detector(tmp_path / "d.zarr", **change)
        assert not (tmp_path / "d.zarr").exists()
