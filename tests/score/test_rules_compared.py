"""Rules side by side from Python: equally many settings, frozen ones as `score` and `evaluate` have them, intervals."""

import math
from pathlib import Path

import numpy as np
import pytest

from feature_cache import FeatureCache
from score import Annotations, ScoreError, Space, compare_rules, evaluate, read_annotations, score, search, settings_for
from score.comparison import compare
from score.rules import RULES
from score.tuning.rule_entries import Entry, make_entries
from score.tuning.rules_compared import RulesCompared
from score.tuning.rules_plot import picture_path, plot_rules
from tests.golden_scoring import GoldenSet

SAMPLES = 24


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    path = tmp_path_factory.mktemp("caches") / "c.zarr"
    GoldenSet.load("language_bind_llp").make_cache(path)
    return FeatureCache.open(path)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Annotations, Annotations]:
    """Halves of the golden clips."""
    folder = tmp_path_factory.mktemp("annotations") / "llp"
    GoldenSet.write_annotations(folder)
    header, *rows = (folder / "AVVP_test_pd.csv").read_text().splitlines()
    for name, part in (("val", rows[::2]), ("test", rows[1::2])):
        (folder / f"AVVP_{name}_pd.csv").write_text("\n".join([header, *part]) + "\n")
    return read_annotations("llp", folder, split="val"), read_annotations("llp", folder, split="test")


@pytest.fixture(scope="module")
def tuned(cache: FeatureCache, splits: tuple[Annotations, Annotations]) -> RulesCompared:
    val, test = splits
    return compare_rules(cache, test, tuned_on=val, samples=SAMPLES, seed=3)


def test_each_rule_is_tuned_over_equally_many_settings(cache: FeatureCache, tuned: RulesCompared) -> None:
    assert [row.entry.name for row in tuned.rows] == list(RULES)
    for row in tuned.rows:
        ranges = row.entry.ranges()
        assert row.tried == (SAMPLES if ranges else 1)
        for name, values in ranges.items():
            low, high = map(float, values.split(","))
            assert low <= getattr(row.config, name) <= high


def test_what_is_tuned_is_what_a_search_finds(
    cache: FeatureCache, splits: tuple[Annotations, Annotations], tuned: RulesCompared
) -> None:
    row = next(row for row in tuned.rows if row.entry.rule == "exchange")
    space = Space(rule="exchange", **row.entry.ranges())
    result = search(cache, splits[0], space, sampler="sobol", samples=SAMPLES, seed=3)
    assert result.best.config == row.config
    assert row.tuned is not None
    assert row.tuned.figures["segment-type-av"][0] == pytest.approx(result.best.metrics["segment-type-av"], abs=1e-9)


def test_frozen_settings_have_the_figures_of_scoring(
    cache: FeatureCache, splits: tuple[Annotations, Annotations], tuned: RulesCompared
) -> None:
    """And differences have the intervals that files of events have, side by side."""
    events = {row.entry.name: score(cache, row.config) for row in tuned.rows}
    beside = compare(events, splits[1], seed=3)
    for row in tuned.rows:
        expected = evaluate(events[row.entry.name], splits[1]).metrics
        assert {name: each[0] for name, each in row.report.figures.items()} == pytest.approx(expected, abs=1e-9)
        if row is not tuned.baseline:
            for name, far in beside.differences(row.entry.name).items():
                assert tuned.differences(row)[name] == pytest.approx(far, abs=1e-9)
        assert 0 < row.seconds < 1


def test_a_rule_beside_itself_differs_by_nothing(
    cache: FeatureCache, splits: tuple[Annotations, Annotations]
) -> None:  # fmt: skip
    entries = [Entry("one", "exchange"), Entry("other", "exchange", {"eta": 4.0}), Entry("far", "threshold")]
    found = compare_rules(cache, splits[1], entries, baseline="one")
    assert set(found.differences(found.rows[1]).values()) == {(0.0, 0.0, 0.0)}
    far = found.differences(found.rows[2])["segment-type-av"]
    assert far[1] <= far[0] <= far[2]
    assert far[1] < far[2]
    backwards = compare_rules(cache, splits[1], entries, baseline="threshold")
    assert [row.entry.name for row in backwards.rows] == ["far", "one", "other"]
    again = backwards.differences(backwards.rows[1])["segment-type-av"]
    assert again == pytest.approx((-far[0], -far[2], -far[1]), abs=1e-9)


def test_without_tuning_settings_are_as_usual_or_given(
    cache: FeatureCache, splits: tuple[Annotations, Annotations], tmp_path: Path
) -> None:
    (tmp_path / "a.toml").write_text('rule = "exchange"\ncost = 0.4\n')
    (tmp_path / "b.toml").write_text('rule = "exchange"\ncost = 0.7\nsound = "clip"\n')
    entries = make_entries(["av2a", "exchange"], [tmp_path / "a.toml", tmp_path / "b.toml"], "windows")
    assert [entry.name for entry in entries] == ["av2a", "exchange (a)", "exchange (b)"]
    found = compare_rules(cache, splits[1], entries)
    configs = [row.config for row in found.rows]
    assert configs[0] == settings_for(cache, sound="windows")
    assert [(each.cost, each.sound, each.eta) for each in configs[1:]] == [(0.4, "windows", 4.0), (0.7, "clip", 4.0)]
    assert all(row.tried == 1 and row.tuned is None for row in found.rows)


def test_what_is_given_is_not_tuned(cache: FeatureCache, splits: tuple[Annotations, Annotations]) -> None:
    entries = [
        Entry("av2a", "av2a", {"alpha": 0.25}),
        Entry("c", "threshold", {"compared": "cosine", "fusion": "early"}),
    ]
    found = compare_rules(cache, splits[1], entries, tuned_on=splits[0], samples=8)
    assert found.rows[0].config.alpha == 0.25
    assert (found.rows[1].config.compared, found.rows[1].config.fusion) == ("cosine", "early")
    assert found.rows[1].config.threshold <= 0.6
    assert "alpha=0.25" in found.notes()[0]
    assert "8 settings on val" in found.notes()[0]


def test_equal_seeds_and_any_number_of_threads_give_equal_figures(
    cache: FeatureCache, splits: tuple[Annotations, Annotations], tuned: RulesCompared
) -> None:
    again = compare_rules(cache, splits[1], tuned_on=splits[0], samples=SAMPLES, seed=3, threads=1, memory="1GiB")
    for one, other in zip(tuned.rows, again.rows, strict=True):
        assert one.config == other.config
        assert one.report == other.report
        assert np.array_equal(one.report.resampled, other.report.resampled, equal_nan=True)


def test_rules_that_a_cache_does_not_hold_enough_for(
    splits: tuple[Annotations, Annotations], tmp_path: Path
) -> None:  # fmt: skip
    """Left out with the reason, or refused where they are named; so is what has to be there."""
    golden = GoldenSet.load("language_bind_llp")
    features = {name: golden.features[name] for name in ("image", "audio", "text_visual", "text_audio")}
    segments = features["image"].shape[1]
    cache = FeatureCache.from_arrays(
        tmp_path / "c.zarr", clip_ids=golden.official["videos"], backbone="language_bind",
        image=features["image"], audio_segments=features["audio"][:, 1 : segments + 1],
    )  # fmt: skip
    cache.add_text(
        "llp", labels=golden.official["labels"], visual=features["text_visual"], audio=features["text_audio"]
    )
    found = compare_rules(cache, splits[1], baseline="exchange")
    assert "intervals" in found.left_out
    assert "does not hold every window" in found.left_out["intervals"]
    assert "intervals" not in [row.entry.name for row in found.rows]
    assert any(note.startswith("left out: intervals: ") for note in found.notes())
    with pytest.raises(ScoreError, match=r"intervals: .*does not hold every window"):
        compare_rules(cache, splits[1], ["exchange", "intervals"], baseline="exchange")
    with pytest.raises(ScoreError, match="from which differences are counted, is left out"):
        compare_rules(cache, splits[1], baseline="intervals")


def test_figures_that_are_no_sums_over_clips(cache: FeatureCache, tmp_path: Path) -> None:
    """Events of a file, measured in seconds: those of AV²A itself."""
    score(cache, settings_for(cache)).write(tmp_path / "events.csv")
    truth = read_annotations("events", tmp_path / "events.csv")
    found = compare_rules(cache, truth, ["av2a", "threshold"], tuned_on=truth, samples=4, partial=True)
    assert found.rows[0].tried == found.rows[1].tried == 4
    for row in found.rows:
        expected = evaluate(score(cache, row.config), truth, partial=True).metrics
        for name, each in row.report.figures.items():
            assert each[0] == pytest.approx(expected[name], abs=1e-9, nan_ok=True)
    value, low, high = found.differences(found.rows[1])["segment-type-av"]
    assert low <= value <= high


def test_tables_say_what_is_in_the_dictionary(tuned: RulesCompared) -> None:
    facts, (header, rows) = tuned.to_dict(), tuned.table()
    assert header[1] == "segment-type-av"
    assert len(rows) == 2 * len(facts["rules"]) - 1
    for number, row in enumerate(facts["rules"]):
        shown = rows[max(0, 2 * number - 1)]
        figure = row["figures"]["segment-type-av"]
        assert shown[:2] == (row["name"], f"{figure['value']:.1f} [{figure['low']:.1f}, {figure['high']:.1f}]")
        for name, far in row["differences"].items():
            assert far["clear"] == (far["low"] > 0 or far["high"] < 0), name
            place = header.index(name) if name in header else None
            assert place is None or rows[2 * number][place].endswith("*") == far["clear"]
    assert (facts["baseline"], facts["tuned_on"], facts["split"], facts["samples"]) == ("av2a", "val", "test", SAMPLES)


def test_pictures(tuned: RulesCompared, tmp_path: Path) -> None:
    assert picture_path(tmp_path) == tmp_path / "rules.png"
    assert plot_rules(tuned, tmp_path / "r.png").startswith(b"\x89PNG")
    assert b"<svg" in plot_rules(tuned, tmp_path / "r.svg")
    with pytest.raises(ScoreError, match=r"a picture ends in \.png, \.pdf, \.svg"):
        picture_path(tmp_path / "r.jpeg")


def test_interrupted_while_settings_are_tried(cache: FeatureCache, splits: tuple[Annotations, Annotations]) -> None:
    """Nothing is compared of a part of the settings."""
    seen = []

    def stop(name: str, tried: int, total: int, best: float) -> None:
        seen.append((name, tried, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_rules(cache, splits[1], ["av2a", "threshold"], tuned_on=splits[0], samples=2500, progress=stop)
    assert seen == [("av2a", 2048, 5000)]


def test_refusals(cache: FeatureCache, splits: tuple[Annotations, Annotations], tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="no rule 'magic': there are av2a"):
        compare_rules(cache, splits[1], ["magic"])
    with pytest.raises(ScoreError, match="`baseline` is one of exchange, threshold"):
        compare_rules(cache, splits[1], ["exchange", "threshold"])
    with pytest.raises(ScoreError, match="no objective 'accuracy'"):
        compare_rules(cache, splits[1], ["av2a"], objective="accuracy")
    (tmp_path / "a.toml").write_text('rule = "exchange"\ncost = 0.4\n')
    with pytest.raises(ScoreError, match=r"a\.toml has settings of rule exchange, which takes no part"):
        make_entries(["av2a"], [tmp_path / "a.toml"])
    assert math.isfinite(compare_rules(cache, splits[1], ["av2a"]).rows[0].seconds)
