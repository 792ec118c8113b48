"""Searches on figures that are no sums over clips: to the bit those of score and evaluate, on files of any length."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_cache import FeatureCache
from score import AnnotationError, Annotations, ScoreError, SearchResult, Space, evaluate, score, search
from score.bootstrap import interval_ends
from score.datasets.mean_ap import AP_FIGURES
from score.tuning import rescorer
from score.tuning.memory import Room
from score.tuning.rescorer import Rescorer
from tests.score.test_search import Stop

LABELS = tuple(f"label {k}" for k in range(6))
T, W, D = 10, 46, 4
SPACE = Space(
    alpha=[0, 0.4, 1], filter_threshold=[0.4, 0.55], threshold_stage1=[0.5, 0.7], threshold_stage2=[0.4, 0.6],
    gamma=[0.5, 2], method="bbse,naive", fusion="early,late",
)  # fmt: skip


def make_cache(path: Path, files: int, cut: bool, seed: int = 0) -> FeatureCache:
    """Three clips a file, the last one padded, some of them swapped with those of the file before; one has failed."""
    rng = np.random.default_rng(seed)
    n = 3 * files if cut else files
    order = rng.permutation(n)
    ids = [f"file{i // 3}#{i % 3}" if cut else f"file{i}" for i in order.tolist()]
    places = {
        f"file{i // 3}#{i % 3}": [f"file{i // 3}", 10.0 * (i % 3), *([24.3] if i % 3 == 2 else [])] for i in order
    }
    base = rng.standard_normal((n, 1, D))
    cache = FeatureCache.from_arrays(
        path,
        clip_ids=ids,
        backbone="clip_clap",
        image=base + rng.standard_normal((n, T, D)),
        video=base[:, None] + rng.standard_normal((n, W, 2, D)),
        audio=base + rng.standard_normal((n, W, D)),
        shard_size=7,
        attributes={"clips_from": places} if cut else {},
    )
    cache.add_text("t", labels=LABELS, visual=rng.standard_normal((6, D)), audio=rng.standard_normal((6, D)))
    return cache


def make_truth(files: int, seed: int) -> Annotations:
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[str, float, float]]] = {}
    for number in rng.permutation(files).tolist():
        events = found.setdefault(f"file{number}", [])
        for label in rng.choice(LABELS, size=int(rng.integers(0, 4))):
            onset = float(rng.uniform(0, 20))
            events.append((str(label), onset, onset + float(rng.uniform(2, 12))))
    return Annotations("unav-100", "val", tuple(found), found, found, found)


def figures_alone(cache: FeatureCache, result: SearchResult, truth: Annotations, row: int) -> list[float]:
    return list(evaluate(score(cache, result.space.config(result.parameters[row])), truth).metrics.values())


@pytest.mark.parametrize("cut", [True, False])
def test_figures_are_those_of_each_setting_alone(cut: bool, tmp_path: Path) -> None:
    cache, truth = make_cache(tmp_path / "c.zarr", 20, cut), make_truth(20, 1)
    result = search(cache, truth, SPACE, report_on=truth)
    assert result.metric_names == AP_FIGURES
    assert (len(result), result.n_found, result.n_split) == (SPACE.size, 20, 20)
    assert len(np.unique(result.column("map"))) > 12
    for row in np.random.default_rng(0).permutation(len(result))[:40].tolist():
        assert result.metrics[row].tolist() == figures_alone(cache, result, truth, row)
    assert result.report is not None
    measured = evaluate(score(cache, result.best.config), truth).measured
    ends = interval_ends(measured.resampled(10_000, 0, 1))
    for number, (name, (value, low, high)) in enumerate(result.report.splits[0].figures.items()):
        assert value == measured.metrics[name] == result.best.metrics[name]
        assert [low, high] == ends[number].tolist()


def test_memory_threads_and_batches_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, truth = make_cache(tmp_path / "c.zarr", 20, True), make_truth(20, 1)
    held = Rescorer(cache, truth)
    space = held.completed(SPACE)
    grid = space.grid()[::3]
    held.load(Room(2))
    expected = held.metrics(grid, space)
    for threads, clips, in_memory, at_once, events in ((1, 32, False, 32, 20), (3, 7, True, 5, 20), (2, 9, True, 9, 0)):
        monkeypatch.setattr(rescorer, "_CLIPS_AT_ONCE", at_once)
        monkeypatch.setattr(rescorer, "_EVENTS", events)  # 0: more than are held, so one setting at a time
        other = Rescorer(cache, truth)
        other.load(Room(threads, clips=clips), in_memory=in_memory)
        np.testing.assert_array_equal(other.metrics(grid, space), expected)
        np.testing.assert_array_equal(other.metrics(grid[::-1], space), expected[::-1])
    monkeypatch.undo()
    with pytest.raises(ScoreError, match=r"`memory='(\d+MiB)'` is the least") as caught:
        search(cache, truth, SPACE, memory=1)
    least = str(caught.value).split("memory='")[1].split("'")[0]
    np.testing.assert_array_equal(search(cache, truth, SPACE, memory=least).metrics[::3], expected)


@pytest.mark.parametrize("sampler", ["grid", "sobol", "tpe"])
def test_an_interrupted_search_goes_on(sampler: str, tmp_path: Path) -> None:
    cache, truth = make_cache(tmp_path / "c.zarr", 8, True), make_truth(8, 2)
    given: dict[str, Any] = {"sampler": sampler, "samples": 150, "seed": 3}
    whole = search(cache, truth, SPACE, **given)
    part = search(cache, truth, SPACE, output=tmp_path / "s.zarr", progress=Stop(2), **given)
    assert not part.complete
    assert 0 < len(part) < len(whole)
    again = search(cache, truth, SPACE, output=tmp_path / "s.zarr", **given)
    assert again.complete
    np.testing.assert_array_equal(again.parameters, whole.parameters)
    np.testing.assert_array_equal(again.metrics, whole.metrics)
    np.testing.assert_array_equal(SearchResult.open(tmp_path / "s.zarr").metrics, whole.metrics)
    with pytest.raises(ScoreError, match="another search \\(its annotations differs\\)"):
        search(cache, make_truth(8, 3), SPACE, output=tmp_path / "s.zarr", **given)


def test_files_of_other_splits_do_not_count(tmp_path: Path) -> None:
    """Unlike in a file of events: a search scores the files of its split alone."""
    cache, truth = make_cache(tmp_path / "c.zarr", 8, True), make_truth(8, 2)
    some = Annotations("unav-100", "val", truth.clip_ids[:5], truth.visual, truth.audio, truth.audiovisual)
    result = search(cache, some, Space(alpha="0,0.5", threshold_stage1=0.5, threshold_stage2=0.4, filter_threshold=0.3))
    events = score(cache, result.best.config)
    report = evaluate(events, some)
    assert report.notes
    mine = [number for number, file in enumerate(events.clip_ids) if file in some.clip_ids]
    assert events.seconds is not None
    keep = np.isin(events.clip, mine)
    alone = replace(
        events, clip=events.clip[keep], stream_number=events.stream_number[keep], label=events.label[keep],
        start=events.start[keep], end=events.end[keep], score=events.score[keep], seconds=events.seconds[keep],
    )  # fmt: skip
    assert result.best.metrics == evaluate(alone, some).metrics


def test_refusals(tmp_path: Path) -> None:
    cache, truth = make_cache(tmp_path / "c.zarr", 4, True), make_truth(6, 2)
    with pytest.raises(AnnotationError, match="2 of 6 clips of the val split were not scored"):
        search(cache, truth, SPACE)
    assert search(cache, truth, Space(alpha="0,1"), partial=True).n_found == 4
    unknown = {"file0": [("sneeze", 0.0, 1.0)]}
    other = Annotations("unav-100", "val", ("file0",), unknown, unknown, unknown)
    with pytest.raises(AnnotationError, match="label 'sneeze' is not among the 6 labels scored"):
        search(cache, other, SPACE, output=tmp_path / "s.zarr")
    with pytest.raises(AnnotationError, match="nothing is annotated in any file of the val split"):
        search(cache, replace(other, audiovisual={}), SPACE, output=tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()
    with pytest.raises(ScoreError, match="no clip has a best setting of its own: search without `per_clip_ceiling="):
        search(cache, make_truth(4, 2), SPACE, per_clip_ceiling=True)
    with pytest.raises(ScoreError, match="no clip has a best setting of its own: search without `per_clip=True`"):
        search(cache, make_truth(4, 2), SPACE, per_clip=True)
    with pytest.raises(ScoreError, match=r"no objective 'accuracy': there are map-0\.1"):
        search(cache, make_truth(4, 2), SPACE, objective="accuracy")
