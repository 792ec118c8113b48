"""Segment scores: what the rule compares, in every setting, against the plain reading and the official figures."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from feature_cache import NO_PICTURE, NO_SOUND, FeatureCache
from score import ScoreConfig, ScoreError, SegmentScores, score, score_blocks, segment_scores
from score.choices import KERNEL_STREAMS, METHODS, STREAMS
from score.event_facts import EventFacts
from score.kernels.from_logits import clip_workspace
from score.kernels.scorer import kernel_setting
from score.kernels.traces import trace_clips
from score.reference.scoring import ClipLogits, Trace, candidates, parse_stream
from tests.golden_scoring import FOLDER, NAMES, GoldenSet, golden_config
from tests.golden_scoring import STREAMS as OFFICIAL
from tests.score.test_cache_kinds import CONFIG, LABELS, N, T, kinds, make
from tests.score.test_scoring import clips, configs, fits

PLACES = np.array([STREAMS.index(name) for name in KERNEL_STREAMS])


def traced(clip: ClipLogits, config: ScoreConfig) -> tuple[Any, Any, Any]:
    """Probability and threshold (3, T, C) and positive segments (3, T, C) of one clip, by the kernel."""
    segments, labels = clip.image.shape
    shape = (1, 3, segments, labels)
    probability, threshold, words = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros((1, 3, labels), np.uint64)
    sound = np.ascontiguousarray(clip.audio[:1]) if clip.sound is None else clip.sound
    missing, setting = np.array([clip.missing], np.uint8), kernel_setting(config, segments)
    video, audio = (np.ascontiguousarray(each[None, :1]) for each in (clip.video, clip.audio))
    workspace, trace = clip_workspace(labels, segments, len(sound)), np.zeros((segments, labels))
    trace_clips(
        clip.image[None], video, audio, sound[None], clip.given, clip.cosine[None], missing, setting, PLACES, workspace,
        trace, probability, threshold, words,
    )  # fmt: skip
    bits = np.arange(segments, dtype=np.uint64)[:, None]
    return probability[0], threshold[0], (words[0][:, None, :] >> bits & np.uint64(1)).astype(bool)


@settings(max_examples=100, deadline=None)
@given(clips(), configs)
def test_what_the_rule_compares(clip: ClipLogits, config: ScoreConfig) -> None:
    """Probabilities to the bit, thresholds as far as sums in another order allow, and the rule's own positives."""
    config = fits(clip, config)
    probability, threshold, positive = traced(clip, config)
    assert ((probability > threshold) == positive).all()
    for at, stream in enumerate(STREAMS):
        plain = Trace()
        if not (stream == "audiovisual" and config.fusion == "late"):
            parse_stream(clip, stream, config, plain)
        dropped = sorted(set(range(clip.image.shape[1])) - set(plain.labels))
        assert np.isnan(probability[at][:, dropped]).all()
        assert np.isnan(threshold[at][:, dropped]).all()
        assert not positive[at][:, dropped].any()
        if plain.labels:
            np.testing.assert_array_equal(probability[at][:, plain.labels], plain.probabilities)
            np.testing.assert_allclose(threshold[at][:, plain.labels], plain.thresholds, rtol=0, atol=1e-9)
            np.testing.assert_array_equal(positive[at][:, plain.labels], plain.probabilities > plain.thresholds)


@pytest.mark.parametrize("name", NAMES)
def test_the_official_probabilities_and_thresholds(name: str, tmp_path: Path) -> None:
    golden = GoldenSet.load(name)
    cache = golden.make_cache(tmp_path / "c.zarr")
    with gzip.open(FOLDER / f"{name}_traces.json.gz", "rt") as file:
        traces = json.load(file)
    compared = 0
    for entry in traces:
        config = golden_config(name, entry["config"])
        [block] = segment_scores(cache, config, clips=[entry["video"]])
        found = block[entry["video"]]
        for kind, expected in entry["streams"].items():
            stream = OFFICIAL[kind]
            if config.fusion == "late" and stream == "audiovisual":
                continue
            assert list(found.kept(stream)) == expected["labels"]
            at, numbers = STREAMS.index(stream), [found.labels.index(label) for label in expected["labels"]]
            # the official code works in float32
            np.testing.assert_allclose(found.probability[at][:, numbers], expected["prob"], atol=5e-7)
            np.testing.assert_allclose(found.threshold[at][:, numbers], expected["threshold"], atol=5e-7)
            compared += len(numbers)
    assert compared > 100


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("method", METHODS[1:])
def test_events_follow_from_them(kind: str, method: str, tmp_path: Path) -> None:
    """Without refinement a stream's events are the candidates of what is positive: of every kind of cache."""
    cache = make(tmp_path / "c.zarr", **kinds(5)[kind])
    config = CONFIG.replace(method=method, refinement=False, pooled_windows=True)
    check_events(cache, config)


@pytest.mark.parametrize("images", [True, False])
def test_events_of_probabilities_follow_from_them(images: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    cache = FeatureCache.from_probabilities(
        tmp_path / "p.zarr", clip_ids=[f"c{row}" for row in range(N)], labels=LABELS,
        visual=rng.random((N, T, len(LABELS))), audio=rng.random((N, T, len(LABELS))),
        image=rng.standard_normal((N, T, 4)) if images else None, missing=[0, NO_SOUND, NO_PICTURE, 0, 0],
    )  # fmt: skip
    method = "bbse-cosine" if images else "bbse"
    check_events(cache, CONFIG.replace(method=method, refinement=False, pooled_windows=True))


def check_events(cache: FeatureCache, config: ScoreConfig) -> None:
    events = score(cache, config)
    compared = 0
    for block in segment_scores(cache, config, threads=1):
        for clip in block:
            for at, stream in enumerate(STREAMS):
                p, theta = (np.nan_to_num(each[at]) for each in (clip.probability, clip.threshold))
                np.testing.assert_array_equal(p > theta, clip.positive[at])
                ours = [(LABELS[k], float(start), float(end)) for k, start, end in candidates(clip.positive[at])]
                assert [event[:3] for event in events.stream(stream)[clip.clip_id]] == ours
                compared += len(ours)
    assert compared > 5


# --- blocks, clips, what there is none of -----------------------------------------------------------------------


def gathered(blocks: Any) -> dict[str, tuple[bytes, bytes]]:
    return {clip.clip_id: (clip.probability.tobytes(), clip.threshold.tobytes()) for block in blocks for clip in block}


def test_neither_threads_nor_blocks_change_a_bit(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", **kinds()["missing"])
    blocks = list(segment_scores(cache, CONFIG, threads=1))
    assert [len(block) for block in blocks] == [2, 2, 1]
    assert [block.clip_ids for block in blocks] == [("c0", "c1"), ("c2", "c3"), ("c4",)]
    assert blocks[0].probability.shape == blocks[0].positive.shape == (2, 3, T, len(LABELS))
    every = gathered(blocks)
    assert gathered(segment_scores(cache, CONFIG, threads=3)) == every
    some = segment_scores(cache, CONFIG, clips=["c3", "c0", "c4", "c3"])
    assert some.facts.clip_ids == ("c3", "c0", "c4")
    assert gathered(some) == {clip: every[clip] for clip in ("c3", "c0", "c4")}


def test_they_come_with_the_events(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", **kinds()["missing"])
    taken: list[SegmentScores] = []
    seen: list[tuple[int, int]] = []
    events = score_blocks(
        cache, CONFIG, segment_scores=taken.append, progress=lambda done, total: seen.append((done, total))
    )
    plain = score_blocks(cache, CONFIG)
    for ours, theirs in zip(events, plain, strict=True):
        assert [column.tobytes() for column in ours.columns] == [column.tobytes() for column in theirs.columns]
    assert gathered(taken) == gathered(segment_scores(cache, CONFIG))
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_what_a_clip_does_not_have_has_no_scores(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", **kinds()["missing"])
    assert cache.missing().tolist() == [0, NO_SOUND, NO_PICTURE, 0, 0]
    found = {clip.clip_id: clip for block in segment_scores(cache, CONFIG) for clip in block}
    for clip, lost, left in (("c1", "audio", "visual"), ("c2", "visual", "audio")):
        both, none, own = (STREAMS.index(stream) for stream in ("audiovisual", lost, left))
        assert np.isnan(found[clip].probability[none]).all()
        assert found[clip].kept(lost) == ()
        np.testing.assert_array_equal(found[clip].probability[both], found[clip].probability[own])


def test_late_fusion_compares_nothing_audiovisual(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", **kinds()["all"])
    late = next(iter(segment_scores(cache, CONFIG.replace(fusion="late"))))
    early = next(iter(segment_scores(cache, CONFIG)))
    assert np.isnan(late.threshold[:, 0]).all()
    assert not late.positive[:, 0].any()
    np.testing.assert_array_equal(late.threshold[:, 1:], early.threshold[:, 1:])


def test_one_clip(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", **kinds()["all"])
    [block] = segment_scores(cache, CONFIG.replace(label_selection=False), clips=["c1"])
    clip = block["c1"]
    assert clip.kept("visual") == tuple(LABELS)
    rows = clip.segments("visual", "l2")
    assert [row[:2] for row in rows] == [(float(t), float(t + 1)) for t in range(T)]
    assert all(row.positive == (row.probability > row.threshold) for row in rows)
    assert rows[0].threshold == CONFIG.threshold_stage1
    with pytest.raises(ScoreError, match="no stream 'smell'"):
        clip.kept("smell")
    with pytest.raises(ScoreError, match="no label 'l9' in clip c1"):
        clip.segments("visual", "l9")
    with pytest.raises(ScoreError, match="no scores of clip 'c2' here"):
        block["c2"]


def test_refused(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", **kinds()["all"])
    with pytest.raises(ScoreError, match="no clip 'c9' that is done"):
        segment_scores(cache, CONFIG, clips=["c0", "c9"])
    with pytest.raises(ScoreError, match="threads must be at least 1"):
        segment_scores(cache, CONFIG, threads=0)
    ones = np.ones((1, 3, 2))
    other = FeatureCache.from_probabilities(
        tmp_path / "p.zarr", clip_ids=["a"], labels=["x", "y"], visual=ones, audio=ones
    )
    with pytest.raises(ScoreError, match="holds no image embeddings"):
        segment_scores(other, CONFIG.replace(method="cosine"))


def test_facts_are_those_of_the_events(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr", **kinds()["missing"])
    theirs, ours = score_blocks(cache, CONFIG).facts, segment_scores(cache, CONFIG).facts
    assert isinstance(ours, EventFacts)
    assert ours.to_dict() == theirs.to_dict()
