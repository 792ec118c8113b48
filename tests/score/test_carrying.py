"""What runs on over the clips of a file (`carry`): label shift of AV²A, what the modalities give to labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_cache import FeatureCache
from score import ScoreConfig, ScoreError, Space, score, search, segment_scores
from score.reference import cosines as plain
from score.reference.exchange import costs, given_to_labels
from score.reference.scoring import Carried, clip_logits, score_clip, thresholds
from score.rule_parameters import ExchangeConfig, ScopeConfig
from tests.score.test_search_memory import make_cache, make_truth

T, D = 10, 8
LABELS = ("a", "b", "c")
CONFIG = ScoreConfig(
    alpha=0.4, filter_threshold=0.2, threshold_stage1=0.6, threshold_stage2=0.5, gamma=0.5, refinement=False
)
SCOPE = ScopeConfig(cost=0.1, sound="segments", center="none", smoothing="none", eta_visual_to_audio=4)
EXCHANGE = ExchangeConfig(cost=0.4, eta=8, run_penalty=0.1, sound="clip")


def make(path: Path, order: list[int], files: dict[str, Any] | None = None, seed: int = 0) -> FeatureCache:
    """Four clips, of which `order` says where each comes in the cache."""
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {
        "image": rng.standard_normal((4, T, D)) + 0.3, "video": rng.standard_normal((4, 46, 1, D)),
        "audio": rng.standard_normal((4, 46, D)) + 0.3,
    }  # fmt: skip
    cache = FeatureCache.from_arrays(
        path, clip_ids=[f"c{i}" for i in order], backbone="clip_clap", shard_size=3,
        attributes={} if files is None else {"clips_from": files},
        **{name: values[order] for name, values in made.items()},
    )  # fmt: skip
    cache.add_text("t", labels=LABELS, visual=rng.standard_normal((3, D)), audio=rng.standard_normal((3, D)))
    return cache


FILES = {"c0": ["film", 0.0], "c1": ["film", 10.0], "c2": ["film", 20.0]}
"""c3 is a file of its own."""


def events(cache: FeatureCache, config: Any, clip: str) -> list[tuple[Any, ...]]:
    found = score(cache, config, stitched=False).records()
    keys = ("stream", "label", "onset", "offset", "score")
    return [tuple(each[key] for key in keys) for each in found if each["clip"] == clip]


@pytest.mark.parametrize("config", [CONFIG, CONFIG.replace(fusion="late", sound="windows"), EXCHANGE], ids=str)
def test_clips_on_their_own_stay_as_they_are(config: Any, tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "c.zarr", "windows", 11, seed=5)
    alone, over = score(cache, config), score(cache, config.replace(carry=True))
    assert list(alone.records()) == list(over.records())
    assert len(alone) > 10


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 0, 1]], ids=str)
def test_thresholds_go_on(order: list[int], tmp_path: Path) -> None:
    """In the order in which clips begin, wherever they lie; another file begins anew."""
    cache = make(tmp_path / "c.zarr", order, FILES)
    text = cache.text()
    state = Carried()
    differs = False
    for clip in ("c0", "c1", "c2", "c3"):
        state = Carried() if clip == "c3" else state
        row = cache.read([cache.clip_ids.index(clip)])
        logits = clip_logits(row.image[0], row.video[0], row.audio[0], text.visual, text.audio)
        expected = [
            (stream, LABELS[k], float(start), float(end), value)
            for stream, found in score_clip(logits, LABELS, CONFIG, state).items()
            for k, start, end, value in found
        ]
        assert events(cache, CONFIG.replace(carry=True), clip) == expected
        differs |= events(cache, CONFIG, clip) != expected
    assert differs


def test_thresholds_begin_where_they_ended() -> None:
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.9, 0.4]])
    config = CONFIG.replace(method="cosine")
    whole = thresholds(p, np.ones(3), "visual", config)
    n = np.zeros(2)
    first = thresholds(p[:2], np.ones(1), "visual", config, whole[0], n)
    np.testing.assert_array_equal(first, whole[:2])
    n += p[1] > first[1]
    second = thresholds(p[2:], np.ones(1), "visual", config, whole[2], n)
    np.testing.assert_allclose(second, whole[2:], rtol=0, atol=1e-15)


def test_what_is_given_to_labels_goes_on(tmp_path: Path) -> None:
    """The mean over the clips so far: costs of the third clip are those of all three."""
    cache = make(tmp_path / "c.zarr", [0, 1, 2, 3], FILES)
    text, rows = cache.text(), cache.read()
    gram = plain.gram(text.visual, False)
    given = np.mean(
        [
            given_to_labels(plain.cosines(rows.image[i], text.visual, np.zeros(D), False), gram, EXCHANGE.cost)
            for i in range(3)
        ],
        axis=0,
    )
    lowered = costs(given, EXCHANGE.cost, EXCHANGE.eta)
    heard = plain.cosines(rows.audio[2, :1], text.audio, np.zeros(D), False)[0]
    on = [T * (heard[k] - 0.5 * lowered[k]) > EXCHANGE.run_penalty and heard[k] > 0.5 * lowered[k] for k in range(3)]
    found = {event[1] for event in events(cache, EXCHANGE.replace(carry=True), "c2") if event[0] == "audio"}
    assert found == {LABELS[k] for k in range(3) if on[k]}
    assert events(cache, EXCHANGE.replace(carry=True), "c0") == events(cache, EXCHANGE, "c0")
    assert events(cache, EXCHANGE.replace(carry=True), "c3") == events(cache, EXCHANGE, "c3")


@pytest.mark.parametrize("seconds", [1, 4, 12, 30])
def test_a_memory_goes_on_over_the_cuts(seconds: int, tmp_path: Path) -> None:
    """Two clips of ten segments say of each segment what one clip of twenty says, where neither looks ahead."""
    rng = np.random.default_rng(seconds)
    image, sound = (rng.standard_normal((1, 2 * T, D)) + 0.3 for _ in range(2))
    tables: dict[str, Any] = {"visual": rng.standard_normal((3, D)), "audio": rng.standard_normal((3, D))}
    found = []
    for count in (1, 2):
        cache = FeatureCache.from_arrays(
            tmp_path / f"{count}.zarr", clip_ids=[f"c{i}" for i in range(count)], backbone="made",
            image=image.reshape(count, -1, D), audio=sound.reshape(count, -1, D)[:, :1],
            audio_segments=sound.reshape(count, -1, D), segment_seconds=1.0,
            attributes={"clips_from": {f"c{i}": ["film", 10.0 * i] for i in range(count)}},
        )  # fmt: skip
        cache.add_text("t", labels=LABELS, **tables)
        config = SCOPE.replace(memory_seconds=seconds, carry=count == 2)
        seen = score(cache, config, stitched=False)
        on = set()
        for each in seen.records():
            begins = 10.0 * int(each["clip"][1:])
            span = range(int(begins + each["onset"]), int(begins + each["offset"]))
            on |= {(each["stream"], each["label"], second) for second in span}
        found.append(on)
    assert found[0] == found[1]
    assert len(found[0]) > 20


def test_where_nothing_is_carried_over(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "c.zarr", "windows", 5, seed=5)
    with pytest.raises(ScoreError, match="a search looks at clips on their own: search without `carry=True`"):
        search(cache, make_truth(cache, "llp", 1), Space(rule="exchange", carry=True))
    with pytest.raises(ScoreError, match="segment scores are of clips on their own: leave out `carry=True`"):
        segment_scores(cache, CONFIG.replace(carry=True))
