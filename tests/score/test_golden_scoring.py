"""The official code's events, thresholds and order, in all 112 golden configurations."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from score import score
from score.reference.scoring import Trace, parse_stream, score_clip
from tests.golden_scoring import FOLDER, NAMES, STREAMS, GoldenSet, golden_config

CASES = 13_437


@pytest.mark.parametrize("name", NAMES)
def test_kernels_give_the_official_events(name: str, tmp_path: Path) -> None:
    golden = GoldenSet.load(name)
    cache = golden.make_cache(tmp_path / "c.zarr")
    for number, result in enumerate(golden.official["results"]):
        events = score(cache, golden_config(name, result["config"]))
        for k, stream in enumerate(golden.official["streams"]):
            found = events.stream(STREAMS[stream])
            for i, clip in enumerate(golden.official["videos"]):
                if result["stable"][i][k]:
                    ours = [[label.lower(), onset, offset] for label, onset, offset, _ in found[clip]]
                    assert ours == result["events"][i][k], (number, clip, stream)


def test_all_stable_cases_are_compared() -> None:
    sets = [GoldenSet.load(name).official["results"] for name in NAMES]
    assert sum(sum(map(sum, result["stable"])) for results in sets for result in results) == CASES


@pytest.mark.parametrize("name", [NAMES[-1], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[:-1])])
def test_reference_gives_the_official_events(name: str) -> None:
    """All of them too: the reference is the rule."""
    golden = GoldenSet.load(name)
    labels = golden.official["labels"]
    for number, result in enumerate(golden.official["results"]):
        config = golden_config(name, result["config"])
        for i in range(40):
            ours = score_clip(golden.clip_logits(i), labels, config)
            for k, stream in enumerate(golden.official["streams"]):
                if result["stable"][i][k]:
                    found = [[labels[label].lower(), start, end] for label, start, end, _ in ours[STREAMS[stream]]]
                    assert found == result["events"][i][k], (number, i, stream)


@pytest.mark.parametrize("name", NAMES)
def test_reference_follows_the_official_thresholds(name: str) -> None:
    golden = GoldenSet.load(name)
    with gzip.open(FOLDER / f"{name}_traces.json.gz", "rt") as stream:
        traces = json.load(stream)
    assert traces
    for entry in traces:
        config = golden_config(name, entry["config"])
        clip = golden.clip_logits(golden.official["videos"].index(entry["video"]))
        for kind, expected in entry["streams"].items():
            found = Trace()
            parse_stream(clip, STREAMS[kind], config, found)
            assert [golden.official["labels"][k] for k in found.labels] == expected["labels"]
            np.testing.assert_allclose(found.probabilities, expected["prob"], atol=1e-4)
            np.testing.assert_allclose(found.thresholds, expected["threshold"], atol=1e-4)
