"""Why an event is there: sentences, to the letter, of clips that are made for them."""

import numpy as np
import pytest

from feature_cache import NO_SOUND, FeatureCache
from score import ScoreConfig, explain
from score.explaining.words import Clock, figures, penalty_steps
from score.rule_parameters import ThresholdConfig
from tests.score.test_explaining import steps


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """Probabilities of one clip and another without sound, of dog and cat."""
    seen = np.array([[0.9, 0.9, 0.9, 0.1, 0.8, 0.1], [0.2, 0.2, 0.1, 0.1, 0.2, 0.2]]).T
    heard = np.array([[0.9, 0.5, 0.9, 0.9, 0.9, 0.1], [0.8, 0.8, 0.1, 0.1, 0.2, 0.2]]).T
    return FeatureCache.from_probabilities(
        tmp_path_factory.mktemp("told") / "p.zarr", clip_ids=["a", "mute"], labels=["dog", "cat"],
        visual=np.stack([seen, seen]), audio=np.stack([heard, heard]), missing=[0, NO_SOUND],
    )  # fmt: skip


NAIVE = ScoreConfig(
    alpha=0.5, filter_threshold=0.3, threshold_stage1=0.6, threshold_stage2=0.78, gamma=1, method="naive",
    sound="segments", pooled_windows=True,
)  # fmt: skip


def test_sentences_of_av2a(told: FeatureCache) -> None:
    assert steps(told, NAIVE, "visual") == [
        "kept: mean probability of the segments 0.617 > filter threshold 0.3",
        "threshold: 0.6 in every segment",
        "above the threshold: 0 s to 3 s, 4 s to 5 s (4 of 6 segments)",
        "single segments are dropped: 4 s to 5 s",
        "it is the only candidate of the stream, so that nothing is refined: stays",
        "event: 0 s to 3 s",
    ]
    assert steps(told, NAIVE, "visual", "cat") == [
        "not in play: mean probability of the segments 0.167 does not exceed filter threshold 0.3",
        "no event",
    ]
    heard = steps(told, NAIVE, "audio")
    assert heard[2:] == [
        "above the threshold: 0 s to 1 s, 2 s to 5 s (4 of 6 segments)",
        "single segments are dropped: 0 s to 1 s",
        "candidate 2 s to 5 s: its segments' mean probability 0.9 exceeds stage-2 threshold 0.78: stays",
        "event: 2 s to 5 s",
    ]
    assert steps(told, NAIVE, "audio", "cat")[2:] == [
        "above the threshold: 0 s to 2 s (2 of 6 segments)",
        "candidate 0 s to 2 s: its segments' mean probability 0.8 exceeds stage-2 threshold 0.78: stays",
        "event: 0 s to 2 s",
    ]
    assert steps(told, NAIVE.replace(threshold_stage2=0.85), "audio", "cat")[-2:] == [
        "candidate 0 s to 2 s: its segments' mean probability 0.8 does not exceed stage-2 threshold 0.85: dropped",
        "no event",
    ]
    assert steps(told, NAIVE.replace(threshold_stage2=0.95), "audio", "cat")[-3:] == [
        "candidate 0 s to 2 s: its segments' mean probability 0.8 does not exceed stage-2 threshold 0.95",
        'no candidate of the stream is enough: the best one stays, of "dog", 2 s to 5 s, probability 0.9',
        "no event",
    ]
    assert steps(told, NAIVE.replace(threshold_stage1=0.95), "visual")[2:] == [
        "above the threshold: nowhere; nearest at 0 s, 0.9 against 0.95",
        "no event",
    ]
    assert steps(told, NAIVE.replace(decision="argmax", threshold_stage1=0.45), "audio", "cat")[-2:] == [
        "candidate 0 s to 2 s: its segments' mean probability 0.8 is the largest of all labels: stays",
        "event: 0 s to 2 s",
    ]
    assert steps(told, NAIVE.replace(fusion="late"), "audiovisual") == [
        "events seen: 0 s to 3 s",
        "events heard: 2 s to 5 s",
        "late fusion: both at once",
        "event: 2 s to 3 s",
    ]


def test_sentences_of_a_clip_without_sound(told: FeatureCache) -> None:
    for config in (NAIVE, NAIVE.replace(fusion="late"), ThresholdConfig(sound="segments")):
        assert steps(told, config, "audio", clip="mute") == ["the clip has no sound: nothing is heard", "no event"]
        both, seen = (steps(told, config, stream, clip="mute") for stream in ("audiovisual", "visual"))
        assert both == ["the clip has no sound: what is seen stands for both", *seen]
        why = explain(told, config, "mute", "dog").streams
        np.testing.assert_array_equal(why["audiovisual"].value, why["visual"].value)
        assert np.isnan(why["audio"].value).all()


def test_sentences_of_the_threshold_rule(told: FeatureCache) -> None:
    config = ThresholdConfig(threshold=0.75, run_penalty=0.1, sound="segments")
    assert steps(told, config, "visual") == [
        "above the threshold 0.75: 0 s to 3 s, 4 s to 5 s (4 of 6 segments)",
        "run 0 s to 3 s: its margins add up to 0.45, a run costs 0.1: on",
        "run 4 s to 5 s: its margins add up to 0.05, a run costs 0.1: off",
        "event: 0 s to 3 s",
    ]
    assert steps(told, config.replace(run_penalty=0.3), "audio") == [
        "above the threshold 0.75: 0 s to 1 s, 2 s to 5 s (4 of 6 segments)",
        "run 2 s to 5 s: its margins add up to 0.45, a run costs 0.3: on",
        "run 0 s to 1 s: its margins add up to 0.15, a run costs 0.3: off",
        "event: 2 s to 5 s",
    ]
    assert steps(told, config.replace(smoothing="median"), "audio")[1:] == [
        "the median of 3 segments drops 0 s to 1 s and adds 1 s to 2 s",
        "event: 1 s to 5 s",
    ]
    value, limit = (getattr(explain(told, config, "a", "dog").streams["audiovisual"], x) for x in ("value", "limit"))
    np.testing.assert_allclose(value, [0.9, 0.5, 0.9, 0.1, 0.8, 0.1], atol=1e-3)  # what has less to spare
    assert (limit == 0.75).all()


def test_a_hole_that_stays() -> None:
    clock = Clock(5, 2.0)
    assert penalty_steps(clock, [0.3, -0.1, 0.4, -0.9, 0.05], [True, True, True, False, False], 0.2) == [
        "run 0 s to 6 s: its margins add up to 0.6, a run costs 0.2: on",
        "hole 2 s to 4 s: it costs 0.1, another run 0.2: stays on",
        "run 8 s to 10 s: its margins add up to 0.05, a run costs 0.2: off",
    ]


def test_numbers_that_differ_look_so() -> None:
    assert figures(0.71, 0.58) == ("0.71", "0.58")
    assert figures(0.70001, 0.70002) == ("0.70001", "0.70002")
    assert figures(0.7, np.nextafter(0.7, 1)) == ("0.7", "0.7000000000000001")
    assert figures(0.7, 0.7) == ("0.7", "0.7")
    assert figures(-0.0, 0.0) == ("0", "0")
    assert figures(float("nan"), 1.0) == ("none", "1")
