"""A parameter is said once: checks, options, spaces, dtypes and files follow from it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import score.rules
from av2a_cli import main
from feature_cache import FeatureCache
from score import ScoreConfig, ScoreError, Space, settings_for
from score.parameters import Parameters, choice, count, describe, flag, number
from score.rule_parameters import PARAMETERS
from score.rules import RULES, Rule, find_rule, rule_of
from score.settings import read_parameters, to_toml
from score.tuning.space import setting_dtype
from tests.golden_scoring import GoldenSet


@dataclass(frozen=True)
class Made(Parameters):
    """Parameters of a rule that is not there."""

    sharpness: float = number(low=-1, high=2, help="how sharp", title="sharpness")
    way: str = choice("a-way", names=("a-way", "another-way-with-a-long-name"), help="which way")
    strict: bool = flag(False, help="be strict", off="lenient")
    rounds: int = count(2, low=1, high=9, help="rounds")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Rule:
    """A rule of these parameters, in the registry."""
    rule = Rule(
        name="made", about="", parameters=Made, slowest_first=("way", "sharpness"),
        fitting=lambda cache, config: config,
        settings=lambda cache, given: Made(**{"sharpness": 1.0, **given}), check=lambda cache, space: None,
        scorer=RULES["av2a"].scorer, inputs=RULES["av2a"].inputs, sweep=RULES["av2a"].sweep, reference="",
        kernel=lambda cache, reading: "none.none",
    )  # fmt: skip
    monkeypatch.setitem(score.rules.RULES, "made", rule)
    return rule


def test_values_are_checked() -> None:
    assert Made(sharpness=1).to_dict() == {"sharpness": 1.0, "way": "a-way", "strict": False, "rounds": 2}
    assert Made.from_dict(Made(0.5, rounds=3).to_dict()) == Made(0.5, rounds=3)
    for values, message in (
        ({"sharpness": 3}, r"sharpness must lie in \[-1, 2\], got 3.0"),
        ({"sharpness": "x"}, "sharpness must be a number, got 'x'"),
        ({"sharpness": True}, "sharpness must be a number, got True"),
        ({"sharpness": float("nan")}, r"sharpness must lie in \[-1, 2\], got nan"),
        ({"sharpness": 1, "way": "b"}, "way must be one of a-way, another-way-with-a-long-name, got 'b'"),
        ({"sharpness": 1, "strict": 1}, "strict must be true or false, got 1"),
        ({"sharpness": 1, "rounds": 10}, r"rounds must be a whole number in \[1, 9\], got 10"),
        ({"sharpness": 1, "rounds": 2.0}, "whole number"),
        ({"sharpness": 1, "pace": 2}, "unknown parameter 'pace': there are sharpness, way, strict, rounds"),
        ({"way": "a-way"}, "parameter 'sharpness' is missing"),
    ):
        with pytest.raises(ScoreError, match=message):
            Made.from_dict(values)


def test_a_space_follows_from_them(made: Rule) -> None:
    """No name is cut, however long; the grid goes in the rule's order."""
    space = Space(rule="made", sharpness="-1:2:1.5", way="a-way,another-way-with-a-long-name", strict=True)
    assert (space.sharpness, space.rounds, space.strict) == ((-1.0, 0.5, 2.0), 2, True)
    grid = space.grid()
    assert grid.dtype == setting_dtype(Made)
    assert grid["way"].tolist() == ["a-way"] * 3 + ["another-way-with-a-long-name"] * 3
    assert space.config(grid[4]) == Made(0.5, "another-way-with-a-long-name", strict=True)
    assert Space.from_dict(space.to_dict()) == space
    assert space.settings([space.config(row) for row in grid]).tolist() == grid.tolist()
    assert rule_of(Made(1)) is made
    with pytest.raises(ScoreError, match=r"no rule 'x': there are av2a, exchange, .*made"):
        find_rule("x")


def test_what_a_space_takes() -> None:
    space = Space(alpha="0:1:0.5", gamma=[1, 2, 1], method="bbse,naive", refinement=False)
    assert (space.alpha, space.gamma, space.method, space.refinement) == ((0, 0.5, 1), (1, 2), ("bbse", "naive"), False)
    assert space.missing == ["filter_threshold", "threshold_stage1", "threshold_stage2"]
    assert space.fusion == ("early",)
    full = space.completed(ScoreConfig.published("clip_clap").to_dict())
    assert (full.missing, full.size, full.threshold_stage1) == ([], 12, (0.75,))
    assert (full.method, full.refinement) == (("bbse", "naive"), False)
    assert hash(space) == hash(Space(alpha="0:1:0.5", gamma=[1, 2], method=["bbse", "naive"], refinement=False))
    with pytest.raises(AttributeError, match="threshold_stage1 is not given"):
        _ = space.threshold_stage1
    for values, message in (
        ({"alhpa": 1}, "unknown parameter 'alhpa'"), ({"alpha": 2}, r"alpha must lie in \[0, 1\]"),
        ({"gamma": []}, "gamma: no value to try"), ({"refinement": "x"}, "refinement must be true or false"),
    ):  # fmt: skip
        with pytest.raises(ScoreError, match=message):
            Space(**values)


def test_every_parameter_is_an_option() -> None:
    """Of `score` and of `search`, with a whole phrase of at most 50 characters, and nothing else is said twice."""
    known = {name: each for rule in reversed(PARAMETERS.values()) for name, each in describe(rule).items()}
    assert set(PARAMETERS) == set(RULES)
    assert all(RULES[name].parameters is parameters for name, parameters in PARAMETERS.items())
    for name, each in known.items():
        assert 0 < len(each.help) <= 50
        for command in ("score", "search"):
            found = [p for p in main.commands[command].params if p.name == name]
            assert len(found) == 1, (command, name)
            option = found[0]
            assert isinstance(option, click.Option)
            assert option.help is not None
            said = f"{each.help[0].upper()}{each.help[1:]}."
            assert option.help.startswith(said) or each.kind == "choice"
            rules = [rule for rule, parameters in PARAMETERS.items() if name in describe(parameters)]
            others = len(rules) < len(PARAMETERS) and rules != ["av2a"]
            assert option.help.endswith(f"({', '.join(rules)})") == others
            assert not each.off or option.secondary_opts == [f"--{each.off}"]


def test_where_settings_come_from(tmp_path: Path) -> None:
    """Given, then the file, then the cache's kind, then what is published."""
    GoldenSet.load("language_bind_llp").make_cache(tmp_path / "c.zarr")
    cache = FeatureCache.open(tmp_path / "c.zarr")
    file = tmp_path / "some.toml"
    file.write_text("alpha = 0.3\ngamma = 2\n")
    found = settings_for(cache, file, alpha=0.4, method=None)
    published = ScoreConfig.published("language_bind")
    assert found == published.replace(alpha=0.4, gamma=2.0)
    assert settings_for(cache) == published
    plain = FeatureCache.from_probabilities(
        tmp_path / "p.zarr", clip_ids=["a"], labels=["x", "y"], visual=np.full((1, 10, 2), 0.5), audio=None
    )
    given: dict[str, Any] = {"alpha": 0.5, "filter_threshold": 0.1, "threshold_stage1": 0.2, "gamma": 1}
    assert (settings_for(plain, **given).method, settings_for(plain, **given).refinement) == ("bbse", False)
    assert settings_for(plain, method="naive", **given).method == "naive"
    with pytest.raises(ScoreError, match="no published settings for backbone 'probabilities'"):
        settings_for(plain)
    with pytest.raises(ScoreError, match="unknown parameter 'alhpa'"):
        settings_for(cache, alhpa=0.4)


def test_files_of_settings(tmp_path: Path) -> None:
    config = ScoreConfig.published("clip_clap").replace(method="cosine", label_shift_iters=3, pooled_windows=True)
    text = to_toml(config, ["one line", "another"])
    assert text.startswith("# one line\n# another\n")
    assert tomllib.loads(text) == config.to_dict()
    (tmp_path / "c.toml").write_text(text)
    assert ScoreConfig.from_dict(read_parameters(tmp_path / "c.toml")[1]) == config
