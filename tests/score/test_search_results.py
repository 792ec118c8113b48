"""Searches from Python: reports on another split, and folders read back."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from feature_cache import FeatureCache
from score import Annotations, ScoreError, SearchResult, Space, evaluate, read_annotations, score, search
from tests.golden_scoring import GoldenSet

SPACE = Space(alpha="0.3:0.6:0.1", gamma="1,2.5", method="bbse,naive", fusion="early,late")


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


def test_a_report_on_another_split(cache: FeatureCache, splits: tuple[Annotations, Annotations]) -> None:
    """What the space leaves out is as published; figures are those of `evaluate`, inside their intervals."""
    val, test = splits
    result = search(cache, val, SPACE, report_on=test)
    assert len(result) == 4 * 2 * 2 * 2
    assert result.best.config.threshold_stage1 == 0.75
    assert result.report is not None
    assert [each.split for each in result.report.splits] == ["val", "test"]
    events = score(cache, result.best.config)
    for truth, report in zip(splits, result.report.splits, strict=True):
        expected = evaluate(events, truth).metrics
        assert list(report.figures) == list(expected)
        for name, (mean, low, high) in report.figures.items():
            assert mean == pytest.approx(expected[name], abs=1e-9)
            assert low <= mean <= high
    shown = str(result.report)
    assert "val (" in shown
    assert "segment-type-av" in shown
    assert search(cache, val, SPACE).report is None
    alone = search(cache, val, SPACE, report_on=val).report
    assert alone is not None
    assert alone.splits == result.report.splits[:1]


def test_a_folder_read_back(cache: FeatureCache, splits: tuple[Annotations, Annotations], tmp_path: Path) -> None:
    names = ("event-type-av", "segment-visual")
    made = search(cache, splits[0], SPACE, objective=names, output=tmp_path / "s.zarr", sampler="sobol", samples=3000)
    found = SearchResult.open(tmp_path / "s.zarr")
    np.testing.assert_array_equal(found.parameters, made.parameters)
    np.testing.assert_array_equal(found.metrics, made.metrics)
    assert (found.metric_names, found.objectives, found.space) == (made.metric_names, names, made.space)
    assert (found.n_found, found.n_split, found.complete) == (made.n_found, made.n_split, True)
    assert found.best.config == made.best.config
    assert str(found) == str(made)


def test_a_folder_of_before(cache: FeatureCache, splits: tuple[Annotations, Annotations], tmp_path: Path) -> None:
    """It says no more of itself than its identity and its batches; the same search goes on with it, too."""
    made = search(cache, splits[0], SPACE, output=tmp_path / "s.zarr")
    group = zarr.open_group(tmp_path / "s.zarr", mode="r+")
    attributes = group.attrs.asdict()
    del attributes["facts"]
    group.attrs.put(attributes)
    found = SearchResult.open(tmp_path / "s.zarr")
    np.testing.assert_array_equal(found.metrics, made.metrics)
    assert (found.objectives, found.n_found, found.complete) == (("segment-type-av",), 0, True)
    again = search(cache, splits[0], SPACE, output=tmp_path / "s.zarr")
    np.testing.assert_array_equal(again.metrics, made.metrics)


def test_an_interrupted_one(cache: FeatureCache, splits: tuple[Annotations, Annotations], tmp_path: Path) -> None:
    def stop(tried: int, total: int, best: float) -> None:
        raise KeyboardInterrupt

    search(cache, splits[0], SPACE, output=tmp_path / "s.zarr", sampler="sobol", samples=5000, progress=stop)
    found = SearchResult.open(tmp_path / "s.zarr")
    assert (len(found), found.complete) == (2048, False)


def test_what_is_no_search(cache: FeatureCache, splits: tuple[Annotations, Annotations], tmp_path: Path) -> None:
    for path in (tmp_path / "none", Path(cache.path)):
        with pytest.raises(ScoreError, match="holds no search"):
            SearchResult.open(path)
    search(cache, splits[0], SPACE, output=tmp_path / "s.zarr")
    kept = tmp_path / "s.zarr" / "batch000000" / "metrics" / "c"
    chunk = next(path for path in kept.rglob("0") if path.is_file())
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 0xFF
    chunk.write_bytes(data)
    with pytest.raises(ScoreError, match=r"is damaged .*search again, `overwrite=True`"):
        SearchResult.open(tmp_path / "s.zarr")
    meta = json.loads((tmp_path / "s.zarr/zarr.json").read_text())
    meta["attributes"]["version"] = 7
    (tmp_path / "s.zarr/zarr.json").write_text(json.dumps(meta))
    with pytest.raises(ScoreError, match="of version 7"):
        SearchResult.open(tmp_path / "s.zarr")
