"""Clips without sound or without picture: how the cache keeps them, and how they are scored (docs/design.md 3, 4.7)."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_cache import DONE, FAILED, NO_PICTURE, NO_SOUND, PENDING, CacheError, FeatureCache, window_count
from score import Annotations, Events, ScoreConfig, score, search
from score.reference.scoring import ClipLogits, score_clip
from tests.score.test_scoring import clips, configs, fits
from tests.score.test_search import WIDE, compare

CONFIG = ScoreConfig.published("language_bind")


def arrays(missing: list[int], seed: int = 0, segments: int = 10) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    n, windows = len(missing), window_count(segments)
    base = rng.standard_normal((n, 1, 8))
    found = {
        "image": np.round(base + rng.standard_normal((n, segments, 8)), 1),
        "video": np.round(base + rng.standard_normal((n, windows, 8)), 1),
        "audio": np.round(base + rng.standard_normal((n, windows, 8)), 1),
    }
    for row, bits in enumerate(missing):
        for name in ("image", "video") if bits == NO_PICTURE else ("audio",) if bits == NO_SOUND else ():
            found[name][row] = np.nan  # must not be looked at
    return found


def make(path: Path, missing: list[int], seed: int = 0, segments: int = 10) -> FeatureCache:
    cache = FeatureCache.from_arrays(
        path,
        clip_ids=[f"c{row}" for row in range(len(missing))],
        backbone="language_bind",
        shard_size=2,
        missing=missing,
        **arrays(missing, seed, segments),
    )
    text = np.round(np.random.default_rng(seed + 1).standard_normal((6, 8)), 1)
    cache.add_text("t", labels=[f"l{k}" for k in range(6)], visual=text, audio=text)
    return cache


# --- the cache ------------------------------------------------------------------------------------------


def test_what_is_missing_is_flagged_and_stored_as_zeros(tmp_path: Path) -> None:
    flags = [0, NO_SOUND, NO_PICTURE, 0, NO_SOUND]
    make(tmp_path / "c.zarr", flags)
    cache = FeatureCache.open(tmp_path / "c.zarr")
    assert cache.missing().dtype == np.uint8
    assert cache.missing().tolist() == flags
    assert cache.status().tolist() == [DONE] * 5
    assert (cache.describe()["without_sound"], cache.describe()["without_picture"]) == (2, 1)
    found = cache.read([4, 2, 0])
    assert found.missing is not None
    assert found.missing.tolist() == [NO_SOUND, NO_PICTURE, 0]
    assert not found.audio[0].any()
    assert not found.image[1].any()
    assert not found.video[1].any()
    assert found.audio[1].any()
    assert found.image[0].any()
    shards = [part.missing.tolist() for part in cache.iter_shards() if part.missing is not None]
    assert shards == [[0, NO_SOUND], [NO_PICTURE, 0], [NO_SOUND]]


def test_a_flag_changes_the_identity(tmp_path: Path) -> None:
    zeros = arrays([0])
    zeros["audio"] = zeros["audio"] * 0
    given: dict[str, Any] = {"clip_ids": ["c"], "backbone": "tiny", **zeros}
    silent = FeatureCache.from_arrays(tmp_path / "a.zarr", missing=[NO_SOUND], **given)
    assert silent.identity != FeatureCache.from_arrays(tmp_path / "b.zarr", **given).identity


def test_only_rows_that_are_done_are_flagged(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", [0, 0, 0])
    part = cache.read([0, 1])
    cache.write_shard(
        0, part.image, part.video, part.audio, [FAILED, PENDING], ["broken", ""], missing=[NO_SOUND, NO_PICTURE]
    )
    assert cache.missing().tolist() == [0, 0, 0]


def test_neither_picture_nor_sound_is_a_failure(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", [0, 0])
    part = cache.read()
    with pytest.raises(CacheError, match="clip c1 has neither picture nor sound"):
        cache.write_shard(0, part.image, part.video, part.audio, [DONE, DONE], missing=[0, NO_PICTURE | NO_SOUND])
    for wrong in ([4, 0], [0], [[0, 0]], [0.5, 0]):
        with pytest.raises(CacheError, match=r"missing needs 2 values of 0, 1 \(no picture\) or 2"):
            cache.write_shard(0, part.image, part.video, part.audio, [DONE, DONE], missing=wrong)
    assert cache.status().tolist() == [DONE, DONE]
    with pytest.raises(CacheError, match="clip c0 has neither"):
        make(tmp_path / "d.zarr", [3])
    assert not (tmp_path / "d.zarr").exists()


# --- scoring --------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(clips(), configs)
def test_the_weight_of_what_is_missing_is_nothing(clip: ClipLogits, config: ScoreConfig) -> None:
    """The audiovisual stream is the one of the whole clip at alpha 0, or at 1 without the images' cosine."""
    names = tuple(f"l{k}" for k in range(clip.image.shape[1]))
    early = fits(clip, config).replace(fusion="early")
    silent = score_clip(replace(clip, missing=NO_SOUND), names, early)
    seen = score_clip(replace(clip, missing=0), names, early.replace(alpha=0))
    assert silent["audio"] == []
    assert silent["audiovisual"] == silent["visual"] == seen["visual"]
    dark = score_clip(replace(clip, missing=NO_PICTURE), names, early)
    heard = score_clip(replace(clip, missing=0), names, early.replace(alpha=1))
    assert dark["visual"] == []
    assert dark["audiovisual"] == dark["audio"] == heard["audio"]
    late = score_clip(replace(clip, missing=NO_SOUND), names, early.replace(fusion="late"))
    assert sorted(late["audiovisual"]) == sorted(silent["visual"])
    late = score_clip(replace(clip, missing=NO_PICTURE), names, early.replace(fusion="late"))
    assert sorted(late["audiovisual"]) == sorted(dark["audio"])


def test_events_name_the_clips(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", [0, NO_SOUND, NO_PICTURE, 0])
    for fusion in ("early", "late"):
        events = score(cache, CONFIG.replace(fusion=fusion, threshold_stage1=0.6, threshold_stage2=0.5))
        assert events.missing == {"c1": "sound", "c2": "picture"}
        assert events.stream("audio")["c1"] == []
        assert events.stream("visual")["c2"] == []
        assert events.stream("visual")["c1"]
        assert sorted(events.stream("audiovisual")["c1"]) == sorted(events.stream("visual")["c1"])
        assert events.stream("audio")["c2"]
        assert sorted(events.stream("audiovisual")["c2"]) == sorted(events.stream("audio")["c2"])
    events.write(tmp_path / "e.json")
    assert json.loads((tmp_path / "e.json").read_text())["missing"] == {"c1": "sound", "c2": "picture"}
    assert Events.read(tmp_path / "e.json").missing == events.missing


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 999), st.sampled_from([2, 5, 10]), st.sampled_from(["llp", "ave"]))
def test_search_figures_are_those_of_each_setting_alone(
    tmp_path_factory: pytest.TempPathFactory, seed: int, segments: int, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    cache = make(tmp_path_factory.mktemp("c") / "c.zarr", [0, NO_SOUND, NO_PICTURE, NO_SOUND, 0], seed, segments)
    events: dict[str, dict[str, list[tuple[str, float, float]]]] = {}
    for clip in cache.clip_ids:
        of_clip = events.setdefault(clip, {"visual": [], "audio": []})
        for found in of_clip.values():
            start = int(rng.integers(0, segments))
            found.append((f"l{rng.integers(6)}", start, int(rng.integers(start + 1, segments + 1))))
        if kind == "ave":
            of_clip["audio"] = of_clip["visual"]
    truth = Annotations.from_events(events, labels=[f"l{k}" for k in range(6)], kind=kind)
    objective = "accuracy" if kind == "ave" else "segment-type-av"
    result = search(cache, truth, WIDE, objective=objective, sampler="sobol", samples=48, seed=seed)
    compare(result, cache, truth, 12, seed)
