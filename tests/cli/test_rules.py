"""`av2a score` and `av2a search` with rules other than AV²A's, as a person calls them."""

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from feature_cache import FeatureCache
from score import evaluate, read_annotations, score, settings_for
from tests.command import av2a, refusal
from tests.golden_scoring import GoldenSet

TRUTH = ("--annotations", "annotations", "--dataset", "llp")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules")
    GoldenSet.load("language_bind_llp").make_cache(folder / "features.zarr")
    GoldenSet.write_annotations(folder / "annotations")
    shutil.copyfile(folder / "annotations" / "AVVP_test_pd.csv", folder / "annotations" / "AVVP_val_pd.csv")
    rng = np.random.default_rng(1)
    other = FeatureCache.from_arrays(
        folder / "other.zarr", clip_ids=["a"], backbone="clip_clap", image=rng.standard_normal((1, 10, 4)),
        video=rng.standard_normal((1, 46, 1, 4)), audio=rng.standard_normal((1, 46, 4)),
    )  # fmt: skip
    assert len(other) == 1
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exchange", "--cost", "0.2"], "rule exchange, settings (defaults unless given): cost=0.2 (given) eta=4.0"),
        (["threshold", "--threshold", "0.6", "--smoothing", "median"], "rule threshold, settings"),
        (["intervals", "--threshold", "0.7"], "rule intervals, settings"),
        (["scope", "--cost", "0.1"], "partly inferred"),
        (["exchange", "--center", "cache", "--center-labels", "--sound", "clip"], "center=cache (given)"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_events_of_a_rule(words: list[str], said: str, place: Path, tmp_path: Path) -> None:
    """They say which rule made them, are those of the library, and are evaluated as any others."""
    file = tmp_path / "events.json"
    done = av2a("score", "--rule", *words, "-o", file, cwd=place)
    assert done.code == 0, done.err
    assert said in done.out
    found = json.loads(file.read_text())
    assert found["rule"] == words[0]
    cache = FeatureCache.open(place / "features.zarr")
    events = score(cache, settings_for(cache, rule=words[0], **found["config"]))
    assert len(events) > 20
    assert events.config.to_dict() == found["config"]
    measured = av2a("evaluate", file, *TRUTH, "--json", cwd=place)
    assert measured.code == 0, measured.err
    truth = read_annotations("llp", place / "annotations")
    assert json.loads(measured.out)["metrics"] == pytest.approx(evaluate(events, truth).metrics, abs=1e-9)


def test_a_search_writes_settings_that_score_takes(place: Path, tmp_path: Path) -> None:
    words = ("search", "--rule", "exchange", *TRUTH, "--cost", "0.1,0.3", "--eta", "0,4", "--report-split", "test")
    best = tmp_path / "best.toml"
    done = av2a(*words, "-o", tmp_path / "s.zarr", "--best", best, cwd=place)
    assert done.code == 0, done.err
    assert "4 settings" in done.out
    chosen = tomllib.loads(best.read_text())
    assert (chosen["rule"], set(chosen) >= {"cost", "eta", "run_penalty", "center"}) == ("exchange", True)
    scored = av2a("score", "--config", best, "-o", tmp_path / "e.json", cwd=place)
    assert scored.code == 0, scored.err
    assert f"rule exchange, settings ({best} unless given): cost={chosen['cost']}" in scored.out
    assert "there is already" not in scored.err
    line = refusal("score", "--rule", "av2a", "--config", best, "-o", tmp_path / "e.json", cwd=place)
    assert "has parameters of rule exchange, not of av2a: take another file, or --rule exchange" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rule", "exchange", "--gamma", "2"], "--gamma is no parameter of rule exchange, but of av2a: leave it out"),
        (["--eta", "2"], "--eta is no parameter of rule av2a, but of exchange: leave it out, or use --rule exchange"),
        (["--rule", "exchange", "--sound", "segments"], "`av2a extract --add audio-segments` adds it"),
        (["--sound", "segments"], "holds no sound of its segments"),
        (["--rule", "exchange", "--center", "other.zarr"], "other.zarr is a centre of backbone 'clip_clap'"),
        (["--rule", "exchange", "--center", "none.zarr"], "there is no none.zarr"),
        (["--rule", "threshold", "--smoothing", "causal"], "smoothing must be one of penalty, median, runs, none"),
        (["--rule", "exchange", "--carry", "--scores", "s"], "segment scores are of clips on their own"),
        (["--rule", "exchange", "--scores", "s"], "the rule exchange compares no segments with thresholds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_line_refusals(words: list[str], message: str, place: Path, tmp_path: Path) -> None:
    assert message in refusal("score", *words, "-o", tmp_path / "e.json", cwd=place)
    assert not (tmp_path / "e.json").exists()
