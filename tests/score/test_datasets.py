"""A data set is one value: evaluation, search and the command take what it says."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from av2a_cli import main
from feature_cache import FeatureCache
from score import AnnotationError, Annotations, Events, ScoreConfig, Space, evaluate, read_annotations, score, search
from score.datasets import DATASETS, Dataset, Truth
from tests.golden_scoring import GoldenSet


def read_made(folder: Path, split: str) -> dict[str, Any]:
    lines = [line.split(",") for line in (folder / f"{split}.txt").read_text().split()]
    return {"clip_ids": tuple(clip for clip, _ in lines), "visual": {c: [(x, 0.0, 5.0)] for c, x in lines}, "audio": {}}


def measure(
    blocks: Iterable[tuple[Events, Truth]], labels: Sequence[str], paper_protocol: bool
) -> tuple[NDArray[np.float64], dict[str, dict[str, float]]]:
    right = [((events.timelines()[:, 0] != 0) & (truth.visual != 0)).any(axis=1) for events, truth in blocks]
    return np.repeat(np.concatenate(right)[:, None].astype(np.float64), 8, axis=1), {}


def tables(metrics: Mapping[str, float], per_class: Any, mark: str) -> list[Any]:
    return [((f"made{mark}", "seen %"), [("all", metrics["seen"])])]


def visual_f1(sums: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return 100.0 * sums[..., :1] / weights[..., :1]


MADE = Dataset(
    name="made", title="Made", labels="llp", read=read_made,
    figures=("seen",), objective="seen", decision="argmax", measure=measure, from_sums=visual_f1,
    tables=tables, splits=("test",),
)  # fmt: skip


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with the made set's files and a cache; the set is in the registry."""
    monkeypatch.setitem(DATASETS, "made", MADE)
    GoldenSet.load("language_bind_llp").make_cache(tmp_path / "c.zarr")
    cache = FeatureCache.open(tmp_path / "c.zarr")
    label = cache.text().labels[0].replace(" ", "_")
    (tmp_path / "test.txt").write_text("\n".join(f"{clip},{label}" for clip in cache.clip_ids))
    return tmp_path


def test_a_third_one(there: Path) -> None:
    cache = FeatureCache.open(there / "c.zarr")
    truth = read_annotations("made", there)
    events = score(cache, ScoreConfig.published("language_bind"))
    report = evaluate(events, truth)
    assert list(report.metrics) == ["seen"]
    assert report.tables()[0][0] == ("made", "seen %")
    result = search(cache, truth, Space(alpha="0.4,0.5"))
    assert (result.metric_names, result.objectives, result.space.decision) == (("seen",), ("seen",), "argmax")
    with pytest.raises(AnnotationError, match="Made's figures have none"):
        evaluate(events, truth, paper_protocol=True)
    with pytest.raises(AnnotationError, match="no split 'val': there are test"):
        read_annotations("made", there, split="val")
    with pytest.raises(AnnotationError, match="name the folder of the Made annotation files"):
        read_annotations("made", there / "none")
    with pytest.raises(
        AnnotationError, match="no data set 'x': there are llp, ave, ov-avebench, unav-100, events, made"
    ):
        Annotations.from_events({"a": {}}, kind="x")


def test_the_command_takes_it(there: Path) -> None:
    done = CliRunner().invoke(main, ["evaluate", "--help"])
    assert "[llp|ave|ov-avebench|unav-100|events|made]" in done.output
    events = str(there / "e.json")
    score(FeatureCache.open(there / "c.zarr"), ScoreConfig.published("language_bind")).write(events)
    done = CliRunner().invoke(main, ["evaluate", events, "--annotations", str(there), "--dataset", "made"])
    assert done.exit_code == 0, done.output
    assert "seen %" in done.output
    done = CliRunner().invoke(main, ["evaluate", events, "--annotations", str(there), "--dataset", "x"])
    assert done.exit_code == 2
