"""ScoreConfig: ranges, published settings, files."""

import json
from pathlib import Path
from typing import Any

import pytest

from score import ScoreConfig, ScoreError
from score.settings import read_parameters

CONFIG = ScoreConfig(alpha=0.5, filter_threshold=0.55, threshold_stage1=0.75, threshold_stage2=0.75, gamma=2.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 1.5}, r"^alpha must lie in \[0, 1\], got 1.5$"),
        ({"alpha": float("nan")}, r"alpha must lie in \[0, 1\], got nan"),
        ({"filter_threshold": -0.1}, r"filter_threshold must lie in \[0, 1\]"),
        ({"threshold_stage1": 2}, r"threshold_stage1 must lie in \[0, 1\]"),
        ({"threshold_stage2": "high"}, "threshold_stage2 must be a number, got 'high'"),
        ({"gamma": -1}, r"gamma must lie in \[0, inf\), got -1"),
        ({"gamma": float("inf")}, r"gamma must lie in \[0, inf\)"),
        ({"gamma": True}, "gamma must be a number"),
        ({"method": "bbse_cosine"}, "method must be one of naive, cosine, bbse, bbse-cosine, got 'bbse_cosine'"),
        ({"fusion": "both"}, "fusion must be one of early, late"),
        ({"decision": "best"}, "decision must be one of threshold, argmax"),
        ({"refinement": 1}, "refinement must be true or false"),
        ({"label_shift_iters": 0}, r"label_shift_iters must be a whole number in \[1, 1000\], got 0"),
        ({"label_shift_iters": 1.5}, "label_shift_iters must be a whole number"),
    ],
)
def test_values_out_of_range(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        CONFIG.replace(**change)


def test_the_ends_of_the_ranges_are_in_them() -> None:
    for value in (0, 1):
        CONFIG.replace(alpha=value, filter_threshold=value, threshold_stage1=value, threshold_stage2=value, gamma=value)


def test_published_settings_are_those_of_the_paper() -> None:
    assert ScoreConfig.published("language_bind") == CONFIG
    assert ScoreConfig.published("clip_clap") == CONFIG.replace(alpha=0.45, filter_threshold=0.5, gamma=1)
    assert CONFIG.to_dict() | {"alpha": 0.5, "method": "bbse-cosine", "fusion": "early"} == CONFIG.to_dict()
    ScoreConfig.published("tiny")
    with pytest.raises(ScoreError, match="no published settings for backbone 'other'"):
        ScoreConfig.published("other")


def test_dictionaries_there_and_back() -> None:
    other = CONFIG.replace(method="cosine", fusion="late", refinement=False, decision="argmax", label_shift_iters=3)
    assert ScoreConfig.from_dict(json.loads(json.dumps(other.to_dict()))) == other
    with pytest.raises(ScoreError, match="unknown parameter 'beta'"):
        ScoreConfig.from_dict({**CONFIG.to_dict(), "beta": 1})
    with pytest.raises(ScoreError, match="parameter 'gamma' is missing"):
        ScoreConfig.from_dict({name: value for name, value in CONFIG.to_dict().items() if name != "gamma"})


def test_parameters_from_files(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('alpha = 0.25\nmethod = "naive"\n')
    (tmp_path / "a.json").write_text('{"alpha": 0.25, "method": "naive"}')
    assert read_parameters(tmp_path / "a.toml") == read_parameters(tmp_path / "a.json")
    for name in ("a.toml", "a.json"):  # as some editors save it
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + (tmp_path / name).read_bytes())
        assert read_parameters(tmp_path / name)[1] == {"alpha": 0.25, "method": "naive"}
    for name, content, message in (
        ("none.toml", None, "none.toml is not there"),
        ("broken.toml", "alpha = = 1", "broken.toml"),
        ("wrong.toml", "beta = 1", "unknown parameter 'beta'"),
        ("list.json", "[1]", "a table of parameters is expected"),
        ("empty.toml", "", "is empty, or was cut off"),
        ("comments.toml", "# search: s.zarr\n", "is empty, or was cut off"),
        ("empty.json", "{}", "is empty, or was cut off"),
    ):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(ScoreError, match=message):
            read_parameters(tmp_path / name)
    (tmp_path / "wide.toml").write_text("alpha = 0.5", encoding="utf-16")
    with pytest.raises(ScoreError, match="is not UTF-8 text but UTF-16: save it as UTF-8"):
        read_parameters(tmp_path / "wide.toml")
