"""The desk where caches are odd, grow, are replaced or damaged; what it keeps, and what it does not read again."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_cache import DONE, CacheError, FeatureCache, Features
from score import Annotations, ScoreError, read_annotations, score, settings_for
from score.choices import STREAMS
from score.rules import RULES, find_rule
from score.view.desk import Desk
from score.view.kept_inputs import KeptInputs
from tests.golden_scoring import GoldenSet

GIVEN: dict[str, Any] = {
    "alpha": 0.5,
    "filter_threshold": 0.3,
    "threshold_stage1": 0.6,
    "threshold_stage2": 0.6,
    "gamma": 2.0,
}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("golden") / "c.zarr"
    GoldenSet.load("language_bind_llp").make_cache(path)
    return path


@pytest.fixture
def path(golden: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(golden, tmp_path / "c.zarr")
    return tmp_path / "c.zarr"


def made(path: Path, *, backbone: str = "clip_clap", windows: int = 46, text: bool = True) -> FeatureCache:
    rng = np.random.default_rng(0)
    cache = FeatureCache.from_arrays(
        path, clip_ids=["a", "b"], backbone=backbone, image=rng.standard_normal((2, 10, 8)),
        video=rng.standard_normal((2, windows, 1, 8)), audio=rng.standard_normal((2, windows, 8)),
        audio_segments=rng.standard_normal((2, 10, 8)),
    )  # fmt: skip
    if text:
        cache.add_text("t", labels=["x", "y"], visual=rng.standard_normal((2, 8)), audio=rng.standard_normal((2, 8)))
    return cache


def test_what_is_compared_is_not_made_again(golden: Path) -> None:
    """As sliders move, and as one goes back and forth between clips."""
    rule, asked = find_rule("scope"), list[Any]()

    def inputs(config: Any, text: Any, cache: FeatureCache) -> Any:
        asked.append("made")
        makes = rule.inputs(config, text, cache)

        def make(features: Features) -> Any:
            asked.append("clip")
            return makes(features)

        return make

    cache, kept = FeatureCache.open(golden), KeptInputs()
    config, features = settings_for(cache, rule="scope"), [cache.read([row]) for row in range(2)]
    for cost in (0.1, 0.2, 0.3):
        makes = kept.of(replace(rule, inputs=inputs), config.replace(cost=cost), cache.text(), cache)
        for each in features:
            makes(each)
    assert asked == ["made", "clip", "clip"]
    kept.of(replace(rule, inputs=inputs), config.replace(center="none"), cache.text(), cache)
    kept.clear()
    kept.of(replace(rule, inputs=inputs), config, cache.text(), cache)
    assert asked[3:] == ["made", "made"]


@pytest.mark.parametrize("rule", list(RULES))
def test_why_is_the_same_with_what_is_kept(golden: Path, rule: str) -> None:
    desk = Desk(str(golden))
    config = desk.usual(rule)
    first = desk.clip(1, None, config, 3)["why"]
    assert first is not None
    assert not first["note"]
    desk.clip(1, None, config.replace(alpha=0.9) if hasattr(config, "alpha") else config, 3)
    assert desk.clip(1, None, config, 3)["why"] == first == Desk(str(golden)).clip(1, None, config, 3)["why"]


def test_a_clip_is_shown_without_looking_at_the_others(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A centre is of all clips: it is taken once, though the cache may grow meanwhile."""
    desk = Desk(str(golden))
    config = desk.usual("scope")
    assert config.to_dict()["center"] == "cache"
    desk.clip(0, None, config, 1)
    expected = desk.clip(1, None, config, 1)

    def looked(*_: object) -> None:
        raise AssertionError("everything was looked at")

    monkeypatch.setattr(FeatureCache, "progress", looked)
    monkeypatch.setattr(FeatureCache, "iter_shards", looked)
    assert desk.clip(1, None, config, 1) == expected


def test_a_cache_that_grows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cache = FeatureCache.create(
        tmp_path / "c.zarr", clip_ids=[f"c{n}" for n in range(6)], backbone="clip_clap", visual_dim=8, audio_dim=8,
        shard_size=2,
    )  # fmt: skip
    cache.add_text("t", labels=["x", "y"], visual=rng.standard_normal((2, 8)), audio=rng.standard_normal((2, 8)))

    def write(shard: int) -> None:
        rows: dict[str, Any] = {name: rng.standard_normal((2, *shape)) for name, shape in cache.row_shapes.items()}
        cache.write_shard(shard, status=[DONE, DONE], **rows)

    write(0)
    desk = Desk(str(tmp_path / "c.zarr"))
    assert list(desk.opened.clip_ids) == ["c0", "c1"]
    assert desk.opened.what_changed() == ""
    write(1)
    assert "other clips" in desk.opened.what_changed()
    config = desk.usual("av2a")
    assert len(desk.rows(None, config)) == 2  # as many as the page knows
    assert desk.clip(0, None, config)["clip"] == 0
    desk.reopen()
    assert list(desk.opened.clip_ids) == ["c0", "c1", "c2", "c3"]
    assert desk.opened.what_changed() == ""


def test_a_label_set_that_is_replaced(path: Path) -> None:
    GoldenSet.write_annotations(path.parent / "llp")
    desk = Desk(str(path), read_annotations("llp", path.parent / "llp", split="test"), threads=1)
    config = desk.usual("av2a")
    before = desk.figures(None, config)["figures"]
    cache = FeatureCache.open(path, "r+")
    text = cache.text()
    cache.add_text(
        text.name, labels=text.labels, visual=text.visual[::-1].copy(), audio=text.audio[::-1].copy(), overwrite=True
    )
    assert "other label sets" in desk.opened.what_changed()
    desk.reopen()
    assert desk.opened.what_changed() == ""
    after = desk.figures(None, config)["figures"]
    assert after != before
    assert after == Desk(str(path), desk.annotations, threads=1).figures(None, config)["figures"]


def test_a_cache_that_is_replaced_by_other_clips(path: Path) -> None:
    """Until it can be opened again the desk is what it was, and says of clips that they are others."""
    clip = FeatureCache.open(path).clip_ids[0]
    desk = Desk(str(path), Annotations.from_events({clip: {"visual": [("Speech", 0, 1)]}}))
    config = desk.usual("av2a")
    shutil.rmtree(path)
    cache = made(path, text=False)
    with pytest.raises(ScoreError, match="changed while it was open"):
        desk.clip(30, None, config)
    for said in ("no text set", "none of the 1 clips"):
        with pytest.raises((CacheError, ScoreError), match=said):
            desk.reopen()
        assert (len(desk.opened), desk.n_found) == (40, 1)
        assert desk.opened.what_changed() != ""
        if not cache.text_names:
            cache.add_text("t", labels=["x", "y"], visual=np.eye(2, 8), audio=np.eye(2, 8))


def test_the_end_of_a_file(tmp_path: Path) -> None:
    """A clip that is padded ends where its file does, and so do its events, as in what is written."""
    rng = np.random.default_rng(1)
    cache = FeatureCache.from_arrays(
        tmp_path / "c.zarr", clip_ids=["talk#0", "talk#1"], backbone="clip_clap", image=rng.standard_normal((2, 10, 8)),
        audio_segments=rng.standard_normal((2, 10, 8)),
        attributes={"clips_from": {"talk#0": ["talk", 0.0], "talk#1": ["talk", 10.0, 13.5]}},
    )  # fmt: skip
    cache.add_text("t", labels=["x", "y"], visual=rng.standard_normal((2, 8)), audio=rng.standard_normal((2, 8)))
    desk = Desk(str(cache.path))
    config = desk.usual("threshold").replace(threshold=0.05, run_penalty=0.0)
    written = {tuple(each.values())[1:] for each in score(cache, config).records() if each["offset"] > 10}
    found = desk.clip(1, None, config, 0)
    assert (desk.clip(0, None, config)["duration"], found["duration"]) == (10.0, 3.5)
    labels, streams = desk.opened.text(None).labels, STREAMS
    shown = {
        (streams[stream], labels[label], onset + 10, offset + 10, value)
        for stream, label, onset, offset, value in found["events"]
    }
    assert {each[3] for each in shown} >= {13.5}
    assert {each[:2] + each[3:4] for each in shown} == {each[:2] + each[3:4] for each in written}


def test_damaged_bytes(path: Path) -> None:
    for file in (path / "image").rglob("0"):
        if file.is_file():
            raw = bytearray(file.read_bytes())
            raw[len(raw) // 2] ^= 255
            file.write_bytes(raw)
    desk = Desk(str(path))
    for ask in (lambda: desk.clip(0, None, desk.usual("av2a")), lambda: desk.rows(None, desk.usual("av2a"))):
        with pytest.raises(CacheError, match="damaged"):
            ask()
    assert desk.opened.what_changed() == ""


def test_a_cache_without_labels(tmp_path: Path) -> None:
    made(tmp_path / "c.zarr", text=False)
    with pytest.raises(CacheError, match="no text set"):
        Desk(str(tmp_path / "c.zarr"))


def test_a_cache_that_lacks_windows(tmp_path: Path) -> None:
    """A rule that can do without them has the settings with which it does."""
    desk = Desk(str(made(tmp_path / "c.zarr", windows=1).path))
    config = desk.usual("av2a")
    published = settings_for(desk.opened.cache)
    assert [name for name, value in config.to_dict().items() if published.to_dict()[name] != value] == ["refinement"]
    assert desk.clip(0, None, config, 0)["why"] is not None
    with pytest.raises(ScoreError, match="every window"):
        desk.usual("intervals")


def test_a_backbone_of_which_nothing_is_published(tmp_path: Path) -> None:
    desk = Desk(str(made(tmp_path / "c.zarr", backbone="mine").path))
    with pytest.raises(ScoreError, match="gamma"):
        desk.usual("av2a")
    desk.begun = settings_for(desk.opened.cache, **GIVEN)
    assert desk.usual("av2a") == desk.begun
    assert desk.usual("exchange") == settings_for(desk.opened.cache, rule="exchange")
