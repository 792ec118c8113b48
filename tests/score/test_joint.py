"""The audiovisual stream read from joint embeddings (docs/design.md 4.3): kernels, searches, traces, explanations."""

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from feature_cache import NO_PICTURE, NO_SOUND, FeatureCache, window_count, window_index
from score import (
    Annotations,
    Events,
    ScoreConfig,
    ScoreError,
    Space,
    explain,
    score,
    score_blocks,
    search,
    segment_scores,
    settings_for,
)
from score.choices import STREAMS
from score.kernels.scorer import Scorer
from score.kernels.tracer import Tracer
from score.logits import joint_logits, make_logits
from score.reference.scoring import ClipLogits, Trace, parse_stream, score_clip
from score.rules import find_rule
from score.settings import read_parameters, to_toml
from score.tuning.store import SearchStore
from score.tuning.sweep import Sweep
from score.tuning.sweeper import Sweeper
from score.view.controls import described_rules
from tests.command import av2a, refusal
from tests.score.test_explaining import check as check_explained
from tests.score.test_scoring import configs
from tests.score.test_search import WIDE, compare

CONFIG = ScoreConfig(
    alpha=0.4, filter_threshold=0.45, threshold_stage1=0.6, threshold_stage2=0.55, gamma=1.5, method="bbse-cosine",
    audiovisual="joint",
)  # fmt: skip
GIVEN = [
    "--alpha", "0.4", "--filter-threshold", "0.45", "--threshold-stage1", "0.6", "--threshold-stage2", "0.55",
    "--gamma", "1.5",
]  # fmt: skip


def labels_of(count: int) -> list[str]:
    return [f"l{k}" for k in range(count)]


def arrays(n: int, t: int, *, frames: int = 1, seed: int = 0, ties: bool = False) -> dict[str, Any]:
    """Random embeddings of n clips of t segments, with every array."""
    rng, w = np.random.default_rng(seed), window_count(t)
    shapes = {
        "image": (n, t, 8), "video": (n, w, frames, 8), "audio": (n, w, 6), "audio_segments": (n, t, 6),
        "joint": (n, w, 5),
    }  # fmt: skip
    found = {}
    for name, shape in shapes.items():
        base = rng.standard_normal((n, *[1] * (len(shape) - 2), shape[-1]))
        values = base + rng.standard_normal(shape)
        found[name] = (np.round(values) if ties else values).astype(np.float32)
    return found


def words(c: int, seed: int = 9) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    tables = {name: rng.standard_normal((c, width)) for name, width in (("visual", 8), ("audio", 6), ("joint", 5))}
    return {"labels": labels_of(c), **tables}


def make(path: Path | str, n: int = 5, t: int = 6, c: int = 5, **more: Any) -> FeatureCache:
    """A cache of random embeddings; ``more``: of :func:`arrays`, of the cache, and the label set as ``text``."""
    text = more.pop("text", None)
    frames, seed, ties = more.pop("frames", 1), more.pop("seed", 0), more.pop("ties", False)
    cache = FeatureCache.from_arrays(
        path,
        **{
            "clip_ids": [f"c{row}" for row in range(n)], "backbone": "clip_clap", "shard_size": 2, "dtype": "float32",
            **arrays(n, t, frames=frames, seed=seed, ties=ties), **more,
        },
    )  # fmt: skip
    cache.add_text("t", **(words(c) if text is None else text))
    return cache


def in_memory() -> str:
    return f"memory://{uuid.uuid4()}/c.zarr"


def plain_segments(joint: NDArray[np.float32]) -> NDArray[np.float64]:
    """4.3 to the letter, of one clip: (W, D) to (T, D)."""
    segments = next(t for t in range(2, 65) if window_count(t) == len(joint))
    found = []
    for t in range(segments):
        starts = [start for start in (t - 1, t) if 0 <= start <= segments - 2]
        rows = [joint[window_index(start, start + 2, segments)].astype(np.float64) for start in starts]
        found.append(np.mean([row / np.linalg.norm(row) for row in rows], axis=0))
    return np.array(found)


# --- one clip after the other -----------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_kernels_equal_the_reference(data: st.DataObject) -> None:
    """Events and what is compared, whatever else is set; clips that lack picture or sound fall back."""
    t, n, c = data.draw(st.sampled_from([2, 3, 6, 10])), data.draw(st.integers(1, 4)), data.draw(st.integers(2, 8))
    missing = data.draw(st.lists(st.sampled_from([0, 0, NO_PICTURE, NO_SOUND]), min_size=n, max_size=n))
    cache = make(
        in_memory(), n, t, c, frames=data.draw(st.sampled_from([1, 3])), seed=data.draw(st.integers(0, 999)),
        ties=data.draw(st.booleans()), missing=missing,
    )  # fmt: skip
    config: ScoreConfig = data.draw(configs)
    config = config.replace(
        fusion="early", audiovisual="joint", sound=data.draw(st.sampled_from(["clip", "windows", "segments"]))
    )
    features, text = cache.read(), cache.text()
    batch = make_logits(features, text, config.sound, "joint")
    rows, table, scores = Scorer(config, text, t).score(features)
    found: list[dict[str, list[Any]]] = [{stream: [] for stream in STREAMS} for _ in rows]
    for (clip, stream, label, start, end), value in zip(table.tolist(), scores.tolist(), strict=True):
        found[clip][STREAMS[stream]].append((label, start, end, value))
    traced = Tracer(config, text, t).trace(features)
    for i in range(n):
        clip = ClipLogits.of(batch, i)
        assert found[i] == score_clip(clip, text.labels, config)
        for at, stream in enumerate(STREAMS):
            plain = Trace()
            parse_stream(clip, stream, config, plain)
            dropped = sorted(set(range(c)) - set(plain.labels))
            assert np.isnan(traced.probability[i, at][:, dropped]).all()
            if plain.labels:
                np.testing.assert_array_equal(traced.probability[i, at][:, plain.labels], plain.probabilities)
                np.testing.assert_allclose(
                    traced.threshold[i, at][:, plain.labels], plain.thresholds, rtol=0, atol=1e-9
                )


@pytest.mark.parametrize("t", [2, 3, 10])
def test_segments_are_means_of_windows(t: int) -> None:
    cache = make(in_memory(), 3, t, missing=[0, NO_SOUND, 0])
    features, text = cache.read(), cache.text()
    batch = make_logits(features, text, "clip", "joint")
    assert features.joint is not None
    assert text.joint is not None
    for i in (0, 2):
        expected = plain_segments(features.joint[i]) @ text.joint.astype(np.float64).T
        np.testing.assert_allclose(batch.joint_segments[i], expected, rtol=0, atol=1e-12)
        rows = features.joint[i].astype(np.float64) @ text.joint.astype(np.float64).T
        np.testing.assert_allclose(batch.joint[i], rows, rtol=0, atol=1e-12)
    assert not batch.joint_segments[1].any()
    alone, made = batch.joint_alone, joint_logits(features, text)
    for name in ("image", "video", "cosine", "missing"):
        np.testing.assert_array_equal(getattr(made, name), getattr(alone, name), err_msg=name)
    mixed = make_logits(features, text, "clip")
    assert (mixed.joint.shape, mixed.joint_segments.shape) == ((3, 0, 5), (3, 0, 5))


@pytest.mark.parametrize("method", ["naive", "bbse"])
@pytest.mark.parametrize(
    "changes", [{}, {"decision": "argmax"}, {"pooled_windows": True}, {"label_shift_iters": 3}], ids=str
)
def test_it_is_the_visual_stream_of_pictures_that_say_the_same(method: str, changes: dict[str, Any]) -> None:
    """Joint rows that are units to the last bit: the same as windows of a cache whose images are their means."""
    t, n, c = 6, 6, 7
    rng = np.random.default_rng(3)
    joint = np.eye(5, dtype=np.float32)[rng.integers(0, 5, (n, window_count(t)))]
    joint *= rng.choice([-1, 1], (n, window_count(t), 1)).astype(np.float32)
    image = np.array([plain_segments(each) for each in joint], dtype=np.float32)
    text = words(c)
    missing = [0, NO_SOUND, 0, 0, NO_PICTURE, 0]
    ours = make(in_memory(), n, t, c, joint=joint, missing=missing)
    plain = FeatureCache.from_arrays(
        in_memory(), clip_ids=ours.clip_ids, backbone="clip_clap", dtype="float32", image=image,
        video=joint[:, :, None], audio=arrays(n, t)["audio"],
    )  # fmt: skip
    plain.add_text("t", labels=text["labels"], visual=text["joint"], audio=text["audio"])
    config = CONFIG.replace(method=method, filter_threshold=0.3, threshold_stage1=0.5, sound="clip", **changes)
    found, own = score(ours, config), score(ours, config.replace(audiovisual="mixed"))
    expected = score(plain, config.replace(audiovisual="mixed"))
    compared = 0
    for clip, bits in zip(ours.clip_ids, missing, strict=True):
        stands = {0: expected.stream("visual"), NO_SOUND: own.stream("visual"), NO_PICTURE: own.stream("audio")}[bits]
        assert found.stream("audiovisual")[clip] == stands[clip]
        compared += len(stands[clip])
    assert compared > 5
    for stream in ("visual", "audio"):
        assert found.stream(stream) == own.stream(stream)


@pytest.mark.parametrize("sound", ["clip", "windows", "segments"])
def test_alpha_has_no_say(sound: str, tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", missing=[0, NO_SOUND, NO_PICTURE, 0, 0])
    config = CONFIG.replace(sound=sound)
    first = list(score(cache, config).records())
    assert {record["stream"] for record in first} == set(STREAMS)
    assert first == list(score(cache, config.replace(alpha=1.0)).records())
    assert first != list(score(cache, config.replace(audiovisual="mixed")).records())
    other = make(tmp_path / "d.zarr", joint=arrays(5, 6, seed=8)["joint"], missing=[0, NO_SOUND, NO_PICTURE, 0, 0])
    mixed = config.replace(audiovisual="mixed")  # which the joint table does not touch
    assert list(score(cache, mixed).records()) == list(score(other, mixed).records())


def test_neither_threads_nor_batches_change_a_bit(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", missing=[0, NO_SOUND, NO_PICTURE, 0, 0])
    every = list(score(cache, CONFIG).records())
    assert list(score(cache, CONFIG, threads=3).records()) == every
    used = Scorer(CONFIG, cache.text(), 6)
    for rows in ([0, 1, 2, 3, 4], [3], [1, 0], [0, 1, 2, 3, 4]):
        features = cache.read(rows)
        for ours, fresh in zip(used.score(features), Scorer(CONFIG, cache.text(), 6).score(features), strict=True):
            np.testing.assert_array_equal(ours, fresh)


def test_carried_over_a_file(tmp_path: Path) -> None:
    """Of files of one clip each it is the same; of several clips the streams go on one by one."""
    cache = make(tmp_path / "c.zarr", missing=[0, NO_SOUND, NO_PICTURE, 0, 0])
    assert list(score(cache, CONFIG.replace(carry=True)).records()) == list(score(cache, CONFIG).records())
    ids = [f"film#{k}" for k in range(4)]
    film = FeatureCache.from_arrays(
        tmp_path / "f.zarr", clip_ids=ids, backbone="b", dtype="float32", **arrays(4, 6),
        attributes={"clips_from": {clip: ["film", 6.0 * k] for k, clip in enumerate(ids)}},
    )  # fmt: skip
    film.add_text("t", **words(5))
    config = CONFIG.replace(threshold_stage1=0.7, gamma=0.3, filter_threshold=0.3, refinement=False)
    carried = score(film, config.replace(carry=True))
    assert carried.stream("audiovisual") != score(film, config).stream("audiovisual")
    mixed = score(film, config.replace(carry=True, audiovisual="mixed"))
    assert carried.stream("visual") == mixed.stream("visual")
    assert carried.stream("audiovisual") != mixed.stream("audiovisual")


def test_segment_scores_say_what_is_compared(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", missing=[0, NO_SOUND, NO_PICTURE, 0, 0])
    blocks = list(segment_scores(cache, CONFIG))
    found = {clip.clip_id: clip for block in blocks for clip in block}
    both, seen, heard = (STREAMS.index(stream) for stream in ("audiovisual", "visual", "audio"))
    for clip, left in (("c1", seen), ("c2", heard)):
        np.testing.assert_array_equal(found[clip].probability[both], found[clip].probability[left])
        np.testing.assert_array_equal(found[clip].positive[both], found[clip].positive[left])
    assert found["c0"].kept("audiovisual")
    assert blocks[0].facts.settings["audiovisual"] == "joint"


# --- searches -----------------------------------------------------------------------------------------------


def truth_of(cache: FeatureCache, kind: str, seed: int = 0) -> Annotations:
    rng, labels = np.random.default_rng(seed), cache.text().labels
    events: dict[str, dict[str, list[tuple[str, float, float]]]] = {}
    for clip in cache.clip_ids:
        of_clip = events.setdefault(clip, {"visual": [], "audio": []})
        for found in of_clip.values():
            start = int(rng.integers(0, cache.segments))
            end = int(rng.integers(start + 1, cache.segments + 1))
            found.append((labels[int(rng.integers(len(labels)))], float(start), float(end)))
    if kind == "llp":
        return Annotations.from_events(events, labels=labels)
    seen = {clip: found["visual"] for clip, found in events.items()}
    rows = {clip: [found, *([[]] if number % 3 == 0 else [])] for number, (clip, found) in enumerate(seen.items())}
    groups = {clip: number % 2 for number, clip in enumerate(seen)} if kind == "ov-avebench" else {}
    return Annotations(kind, "val", tuple(cache.clip_ids), seen, seen, listed=rows, groups=groups)


def space(**changes: Any) -> Space:
    lists = {name: getattr(WIDE, name) for name in (*WIDE.numbers, "method")}
    return Space(**{**lists, "audiovisual": "joint", **changes})


@pytest.mark.parametrize(
    "changes", [{}, {"decision": "argmax"}, {"refinement": False}, {"pooled_windows": True}], ids=str
)
@pytest.mark.parametrize("sound", ["clip", "segments"])
@pytest.mark.parametrize("kind", ["llp", "ave", "ov-avebench"])
def test_searches_find_what_scoring_does(kind: str, sound: str, changes: dict[str, Any], tmp_path: Path) -> None:
    missing = [0, NO_SOUND, 0, 0, NO_PICTURE, NO_PICTURE, 0, 0, NO_SOUND]
    cache = make(tmp_path / "c.zarr", 9, 6, 5, frames=2, missing=missing)
    truth = truth_of(cache, kind)
    result = search(cache, truth, space(sound=sound, **changes), sampler="sobol", samples=120, report_on=truth)
    compare(result, cache, truth, 25)
    assert result.report is not None
    for figure, (mean, _, _) in result.report.splits[0].figures.items():
        assert mean == pytest.approx(result.best.metrics[figure], abs=1e-9)


def test_grids_threads_and_memory(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", 9, 10, 5, missing=[0, 2, 0, 0, 1, 1, 0, 0, 2])
    truth = truth_of(cache, "llp")
    tried = space(alpha=[0, 0.3, 1], gamma=[0, 1.5], threshold_stage1=[0.5, 0.65], method="bbse-cosine")
    whole = search(cache, truth, tried, threads=1, per_clip_ceiling=True)
    compare(whole, cache, truth, 20)
    for alpha in (0.3, 1):  # of no effect
        same = whole.parameters["alpha"] == alpha
        np.testing.assert_array_equal(whole.metrics[same], whole.metrics[whole.parameters["alpha"] == 0])
    small = search(cache, truth, tried, threads=3, output=tmp_path / "s.zarr")
    np.testing.assert_array_equal(small.metrics, whole.metrics)
    assert whole.best.config.audiovisual == "joint"


def test_nothing_is_done_twice_for_alphas(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr")
    held = Sweeper(cache, truth_of(cache, "llp"))
    tried = held.completed(
        space(
            alpha="0:1:0.1",
            gamma=[1.0],
            threshold_stage1=[0.6],
            threshold_stage2=[0.5],
            filter_threshold=[0.5],
            method="bbse",
        )
    )
    sweep = held.sweep(tried.grid(), tried)
    assert isinstance(sweep, Sweep)
    assert len(sweep.plan.audiovisual.alpha) == 1
    mixed = held.completed(Space(**{**tried.given, "audiovisual": "mixed"}))
    other = held.sweep(mixed.grid(), mixed)
    assert isinstance(other, Sweep)
    assert len(other.plan.audiovisual.alpha) == 11


def test_searches_of_before_go_on(tmp_path: Path) -> None:
    """Those whose folder does not say what the audiovisual stream is read from: it was mixed."""
    tried = Space(
        alpha=[0.4],
        audiovisual="mixed",
        filter_threshold=[0.1],
        threshold_stage1=[0.1],
        threshold_stage2=[0.1],
        gamma=[1.0],
    )
    now = {"space": tried.to_dict(), "seed": 1}
    before = {"space": {name: value for name, value in tried.to_dict().items() if name != "audiovisual"}, "seed": 1}
    SearchStore(tmp_path / "s.zarr", before, {})
    SearchStore(tmp_path / "s.zarr", now, {})
    joint = Space(**{**tried.given, "audiovisual": "joint"})
    for other in ({**now, "space": joint.to_dict()}, {**now, "seed": 2}):
        with pytest.raises(ScoreError, match=r"holds another search \(its (space|seed) differs\)"):
            SearchStore(tmp_path / "s.zarr", other, {})


# --- why, files, pages --------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_is_said_is_what_is_found(data: st.DataObject) -> None:
    cache = make(in_memory(), 4, 6, 4, missing=[0, NO_SOUND, NO_PICTURE, 0], seed=data.draw(st.integers(0, 20)))
    config: ScoreConfig = data.draw(configs)
    config = config.replace(fusion="early", audiovisual="joint", sound=data.draw(st.sampled_from(["clip", "segments"])))
    check_explained(cache, config)


def test_it_is_said_where_the_stream_comes_from(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", missing=[0, NO_SOUND, NO_PICTURE, 0, 0])
    steps = {
        clip: explain(cache, CONFIG.replace(filter_threshold=0.0), clip, "l1").streams["audiovisual"].steps
        for clip in cache.clip_ids
    }
    assert steps["c0"][0] == (
        "joint embeddings: one of picture and sound at once for each window; a segment's from those that hold it"
    )
    assert not any("early fusion" in step for each in steps.values() for step in each)
    assert steps["c1"][0] == "the clip has no sound: what is seen stands for both"
    assert not any("joint" in step for step in steps["c1"] + steps["c2"])


def test_settings_and_events_say_it(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr")
    (tmp_path / "s.toml").write_text(to_toml(CONFIG, ["chosen"]))
    assert read_parameters(tmp_path / "s.toml")[1]["audiovisual"] == "joint"
    assert settings_for(cache, tmp_path / "s.toml") == CONFIG
    score_blocks(cache, CONFIG).write(tmp_path / "e.json")
    assert Events.read(tmp_path / "e.json").config == CONFIG
    stored = json.loads((tmp_path / "e.json").read_text())
    assert stored["config"].pop("audiovisual") == "joint"
    (tmp_path / "old.json").write_text(json.dumps(stored))  # as before there was such a parameter
    assert Events.read(tmp_path / "old.json").config.audiovisual == "mixed"
    with pytest.raises(ScoreError, match="audiovisual must be one of mixed, joint, got 'both'"):
        CONFIG.replace(audiovisual="both")
    with pytest.raises(ScoreError, match="`audiovisual` is no parameter of rule threshold, but of av2a"):
        settings_for(cache, rule="threshold", audiovisual="joint")


def parameter(cache: FeatureCache, name: str = "audiovisual") -> dict[str, Any]:
    usual = {"av2a": settings_for(cache)}
    rules = described_rules(
        cache, {**{rule: ScoreError("none") for rule in ("exchange", "scope", "intervals", "threshold")}, **usual}
    )
    return next(each for each in rules[0]["parameters"] if each["name"] == name)


def test_controls(tmp_path: Path) -> None:
    """What a cache lacks is disabled, with the reason."""
    found = parameter(make(tmp_path / "c.zarr"))
    assert (found["names"], found["refused"], found["why_not"]) == (["mixed", "joint"], {}, None)
    plain = make(tmp_path / "p.zarr", joint=None, text={n: v for n, v in words(5).items() if n != "joint"})
    found = parameter(plain)
    assert found["why_not"] == found["refused"]["joint"]
    assert "holds no joint embeddings" in found["why_not"]


# --- what is refused ----------------------------------------------------------------------------------------


def test_refused(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr")
    plain = make(tmp_path / "p.zarr", joint=None, text={n: v for n, v in words(5).items() if n != "joint"})
    short = make(tmp_path / "w.zarr", joint=arrays(5, 6)["joint"][:, :1])
    late = r"^`audiovisual='joint'` and `fusion='late'` do not go together, .*: use `fusion='early'`, or"
    none = r"p\.zarr holds no joint embeddings of picture and sound: `extract_videos\(\.\.\., joint=True\)`"
    some = r"w\.zarr does not hold joint embeddings of every window, .*: `extract_videos\(\.\.\., windows='all'\)`, or"
    truth = truth_of(cache, "llp")
    for opened, changes, message in (
        (cache, {"fusion": "late"}, late), (plain, {}, none), (short, {}, some),
        (short, {"pooled_windows": True}, some),
    ):  # fmt: skip
        with pytest.raises(ScoreError, match=message):
            score(opened, CONFIG.replace(**changes))
        with pytest.raises(ScoreError, match=message):
            search(opened, truth, space(**changes), sampler="sobol", samples=8)
        with pytest.raises(ScoreError, match=message):
            explain(opened, CONFIG.replace(**changes), "c0", "l0")
    with pytest.raises(ScoreError, match=late):  # one of several
        search(cache, truth, space(fusion=("early", "late")), sampler="sobol", samples=8)
    assert score(short, CONFIG.replace(audiovisual="mixed")).facts.settings["audiovisual"] == "mixed"


def test_what_does_not_fit(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr")
    features, text = cache.read(), cache.text()
    assert features.joint is not None
    for changed, message in (
        (replace(features, joint=None), "no joint embeddings in the features: use `audiovisual='mixed'`"),
        (replace(features, joint=features.joint[:, :3]), r"joint is float32 \(5, 3, 5\), expected floats \(5, 16, 5\)"),
        (
            replace(features, joint=features.joint[:, :, :3]),
            r"joint is float32 \(5, 16, 3\), expected floats \(5, 16, 5\)",
        ),
    ):
        for work in (Scorer(CONFIG, text, 6).score, Tracer(CONFIG, text, 6).trace):
            with pytest.raises(ScoreError, match=message):
                work(changed)
        with pytest.raises(ScoreError, match=message):
            make_logits(changed, text, "clip", "joint")
    with pytest.raises(ScoreError, match="no joint embeddings in the text set 't'"):
        Scorer(CONFIG, replace(text, joint=None), 6).score(features)
    mixed = find_rule("av2a").inputs(CONFIG.replace(audiovisual="mixed"), text, cache)(features)
    with pytest.raises(ScoreError, match=r"joint_segments is float64 \(5, 0, 5\), expected float64 \(5, 6, 5\)"):
        replace(mixed, joint=np.zeros((5, 16, 5)))


def test_by_the_command(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", missing=[0, NO_SOUND, NO_PICTURE, 0, 0])
    done = av2a("score", "c.zarr", *GIVEN, "--audiovisual", "joint", "-o", "e.json", "--scores", "s.npz", cwd=tmp_path)
    assert done.code == 0, done.err
    found = Events.read(tmp_path / "e.json")
    assert found.config.audiovisual == "joint"
    config = found.config
    assert list(found.records()) == list(score(cache, config).records())
    (tmp_path / "s.toml").write_text(to_toml(config, []))
    done = av2a("score", "c.zarr", "--config", "s.toml", "-o", "f.json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert list(Events.read(tmp_path / "f.json").records()) == list(found.records())
    make(tmp_path / "p.zarr", joint=None, text={n: v for n, v in words(5).items() if n != "joint"})
    line = refusal("score", "p.zarr", *GIVEN, "--audiovisual", "joint", "-o", "g.json", cwd=tmp_path)
    assert "p.zarr holds no joint embeddings of picture and sound: `av2a extract" in line
    assert "--audiovisual mixed" in line
    line = refusal(
        "score", "c.zarr", *GIVEN, "--audiovisual", "joint", "--fusion", "late", "-o", "g.json", cwd=tmp_path
    )
    assert line.startswith("Error: --audiovisual joint and --fusion late do not go together")
    assert not (tmp_path / "g.json").exists()
