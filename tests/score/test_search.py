"""Search: every figure equals that of score and evaluate alone; samplers, threads, resuming, refusals."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_cache import FeatureCache, window_count
from score import (
    AnnotationError,
    Annotations,
    ScoreConfig,
    ScoreError,
    SearchResult,
    Space,
    evaluate,
    read_annotations,
    score,
    search,
)
from score.bootstrap import confidence_intervals
from score.choices import FUSIONS, METHODS
from score.datasets.llp import LLP_FIGURES
from score.tuning.plots import plot_search
from score.tuning.result import pareto_rows
from score.tuning.samplers import SAMPLERS, grid_batch
from score.tuning.space import parse_values
from tests.golden_scoring import FOLDER, NAMES, GoldenSet

WIDE = Space(
    alpha=[0, 0.3, 0.5, 1],
    filter_threshold=[0.4, 0.5, 0.6, 0.9],
    threshold_stage1=[0.5, 0.65, 0.8],
    threshold_stage2=[0.3, 0.6, 0.8, 0.9],
    gamma=[0, 1.5, 3],
    method=METHODS,
    fusion=FUSIONS,
)


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FeatureCache]:
    folder = tmp_path_factory.mktemp("search")
    return {name: GoldenSet.load(name).make_cache(folder / f"{name}.zarr") for name in NAMES}


@pytest.fixture(scope="module")
def truths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Annotations]:
    folder = tmp_path_factory.mktemp("search") / "annotations"
    GoldenSet.write_annotations(folder)
    llp = read_annotations("llp", folder)
    ave = read_annotations("ave", FOLDER / "ave_annotations.json")
    return {name: llp if name.endswith("llp") else ave for name in NAMES}


def compare(result: SearchResult, cache: FeatureCache, truth: Annotations, count: int, seed: int = 0) -> None:
    """Settings drawn at random, each scored and evaluated on its own."""
    rng = np.random.default_rng(seed)
    for row in rng.permutation(len(result))[:count]:
        config = result.space.config(result.parameters[row])
        alone = evaluate(score(cache, config), truth).metrics
        assert tuple(alone) == result.metric_names
        np.testing.assert_allclose(result.metrics[row], list(alone.values()), rtol=0, atol=1e-10, err_msg=str(config))


@pytest.mark.parametrize("sampler", [*sorted(SAMPLERS.keys() - {"tpe"}), pytest.param("tpe", marks=pytest.mark.slow)])
def test_figures_are_those_of_each_setting_alone(
    sampler: str, caches: dict[str, FeatureCache], truths: dict[str, Annotations]
) -> None:
    name = "language_bind_llp"
    result = search(caches[name], truths[name], WIDE, sampler=sampler, samples=300, seed=3)
    assert len(result) == (WIDE.size if sampler == "grid" else 300)
    assert result.metrics.shape == (len(result), 10)
    compare(result, caches[name], truths[name], 200 if sampler == "grid" else 40)


@pytest.mark.parametrize(
    "changes",
    [
        {"decision": "argmax"},
        {"label_selection": False},
        {"refinement": False},
        {"label_shift_iters": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "name", ["clip_clap_llp", "language_bind_ave", pytest.param("clip_clap_ave", marks=pytest.mark.slow)]
)
def test_what_is_fixed_holds(
    name: str, changes: dict[str, Any], caches: dict[str, FeatureCache], truths: dict[str, Annotations]
) -> None:
    space = Space(**{**{n: getattr(WIDE, n) for n in (*WIDE.numbers, "method", "fusion")}, **changes})
    objective = "accuracy" if name.endswith("ave") else "event-type-av"
    result = search(caches[name], truths[name], space, objective=objective, sampler="sobol", samples=400)
    compare(result, caches[name], truths[name], 30)
    assert result.best.metrics[objective] == result.column(objective).max()


@pytest.mark.parametrize("changes", [{}, {"decision": "argmax"}, {"refinement": False}], ids=str)
@pytest.mark.parametrize("kind", ["ave", "ov-avebench"])
def test_one_label_a_segment(
    kind: str, changes: dict[str, Any], caches: dict[str, FeatureCache], truths: dict[str, Annotations]
) -> None:
    """Rows that a clip has several of, groups, a label that means background, early and late fusion."""
    name = "language_bind_ave"
    seen = truths[name].visual
    clips = truths[name].clip_ids
    rows = {clip: [list(seen[clip]), *([[], []] if number % 3 == 0 else [])] for number, clip in enumerate(clips)}
    groups = {clip: int(number % 4 == 0) for number, clip in enumerate(clips) if kind == "ov-avebench"}
    truth = Annotations(kind, "val", clips, seen, seen, listed=rows, groups=groups)
    space = Space(**{**{n: getattr(WIDE, n) for n in (*WIDE.numbers, "method", "fusion")}, **changes})
    result = search(caches[name], truth, space, sampler="sobol", samples=150, per_clip_ceiling=True, report_on=truth)
    compare(result, caches[name], truth, 40)
    assert result.ceiling is not None
    assert result.ceiling.mean() >= result.best.metrics[result.objectives[0]]
    assert result.report is not None
    for figure, (mean, low, high) in result.report.splits[0].figures.items():
        assert mean == pytest.approx(result.best.metrics[figure], abs=1e-9)
        assert low <= mean <= high


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 5, 10, 64]), st.integers(2, 9) | st.just(70))
def test_figures_on_made_clips(tmp_path_factory: pytest.TempPathFactory, seed: int, segments: int, labels: int) -> None:
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("made") / "c.zarr"
    clips, windows = 3, window_count(segments)
    base = rng.standard_normal((clips, 1, 8))
    cache = FeatureCache.from_arrays(
        path,
        clip_ids=[f"c{i}" for i in range(clips)],
        backbone="clip_clap",
        image=np.round(base + rng.standard_normal((clips, segments, 8)), 1),
        video=np.round(base + rng.standard_normal((clips, windows, 8)), 1),
        audio=np.round(base + rng.standard_normal((clips, windows, 8)), 1),
    )
    text = np.round(rng.standard_normal((labels, 8)), 1)
    names = [f"l{k}" for k in range(labels)]
    cache.add_text("t", labels=names, visual=text, audio=text)
    events: dict[str, dict[str, list[tuple[str, float, float]]]] = {}
    for clip in cache.clip_ids:
        of_clip = events.setdefault(clip, {"visual": [], "audio": []})
        for found in of_clip.values():
            for label in rng.choice(names, size=int(rng.integers(0, 3))):
                start = int(rng.integers(0, segments))
                found.append((str(label), start, int(rng.integers(start + 1, segments + 1))))
    truth = Annotations.from_events(events, labels=names)
    result = search(cache, truth, WIDE, sampler="sobol", samples=64, seed=seed % 1000)
    compare(result, cache, truth, 20, seed)
    shutil.rmtree(path)


def test_the_threads_do_not_matter(caches: dict[str, FeatureCache], truths: dict[str, Annotations]) -> None:
    name = "clip_clap_llp"
    found = [
        search(caches[name], truths[name], WIDE, sampler="sobol", samples=500, seed=1, threads=threads)
        for threads in (1, 2, 5)
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other.parameters, found[0].parameters)
        np.testing.assert_array_equal(other.metrics, found[0].metrics)


def test_little_memory_for_label_subsets_changes_nothing(
    caches: dict[str, FeatureCache], truths: dict[str, Annotations], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "clip_clap_llp"
    whole = search(caches[name], truths[name], WIDE, sampler="sobol", samples=500)
    monkeypatch.setattr("score.kernels.label_subsets.BYTES_A_CLIP", 1)
    np.testing.assert_array_equal(
        search(caches[name], truths[name], WIDE, sampler="sobol", samples=500).metrics, whole.metrics
    )


class Stop:
    """Stands for Ctrl-C after some batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def __call__(self, tried: int, total: int, best: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_an_interrupted_search_goes_on(
    sampler: str,
    caches: dict[str, FeatureCache],
    truths: dict[str, Annotations],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("score.tuning.samplers.BATCH", 256)
    name = "language_bind_llp"
    given = {"sampler": sampler, "samples": 300, "seed": 5}
    whole = search(caches[name], truths[name], WIDE, **given)  # type: ignore[arg-type]
    part = search(caches[name], truths[name], WIDE, output=tmp_path / "s.zarr", progress=Stop(2), **given)  # type: ignore[arg-type]
    assert not part.complete
    assert 0 < len(part) < len(whole)
    calls = []
    again = search(
        caches[name],
        truths[name],
        WIDE,
        output=tmp_path / "s.zarr",
        progress=lambda tried, total, best: calls.append((tried, total, best)),
        **given,  # type: ignore[arg-type]
    )
    assert again.complete
    np.testing.assert_array_equal(again.parameters, whole.parameters)
    np.testing.assert_array_equal(again.metrics, whole.metrics)
    assert calls[-1] == (len(whole), len(whole), whole.column("segment-type-av").max())


def test_another_search_is_not_overwritten(
    caches: dict[str, FeatureCache], truths: dict[str, Annotations], tmp_path: Path
) -> None:
    name = "language_bind_llp"
    small = Space(alpha=[0.5], filter_threshold=[0.5], threshold_stage1=[0.7], threshold_stage2=[0.7], gamma=[1])
    other = Space(alpha=[0.6], filter_threshold=[0.5], threshold_stage1=[0.7], threshold_stage2=[0.7], gamma=[1])
    search(caches[name], truths[name], small, output=tmp_path / "s.zarr")
    with pytest.raises(ScoreError, match="holds another search \\(its space differs\\)"):
        search(caches[name], truths[name], other, output=tmp_path / "s.zarr")
    with pytest.raises(ScoreError, match="another search \\(its cache"):
        search(caches["clip_clap_llp"], truths[name], small, output=tmp_path / "s.zarr")
    search(caches[name], truths[name], other, output=tmp_path / "s.zarr", overwrite=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "x").write_text("x")
    with pytest.raises(ScoreError, match="holds no search"):
        search(caches[name], truths[name], small, output=tmp_path / "notes", overwrite=True)


def test_ceiling(caches: dict[str, FeatureCache], truths: dict[str, Annotations]) -> None:
    name = "language_bind_llp"
    result = search(caches[name], truths[name], WIDE, sampler="sobol", samples=60, per_clip_ceiling=True)
    plain = search(caches[name], truths[name], WIDE, sampler="sobol", samples=60)
    np.testing.assert_array_equal(result.metrics, plain.metrics)
    assert result.ceiling is not None
    assert result.ceiling.shape == (40,)
    best = np.full(40, -1.0)
    for row in range(60):
        events = score(caches[name], result.space.config(result.parameters[row]))
        for i, clip in enumerate(truths[name].clip_ids):
            seen, heard = (side.get(clip, ()) for side in (truths[name].visual, truths[name].audio))
            one = Annotations("llp", "test", (clip,), {clip: seen}, {clip: heard})
            best[i] = max(best[i], evaluate(events, one).metrics["segment-type-av"])
    np.testing.assert_allclose(result.ceiling, best, atol=1e-9)


def test_result(caches: dict[str, FeatureCache], truths: dict[str, Annotations], tmp_path: Path) -> None:
    name = "language_bind_llp"
    result = search(
        caches[name], truths[name], WIDE, sampler="sobol", samples=100, objective=["segment-audio", "segment-visual"]
    )
    assert result.metric_names == LLP_FIGURES
    top = result.top(10)
    assert len(top) == 10
    assert top[0].config == result.best.config
    values = [one.metrics["segment-audio"] for one in top]
    assert values == sorted(values, reverse=True)
    front = result.pareto(["segment-audio", "segment-visual"])
    table = result.metrics[:, [0, 1]]
    for one in front:
        mine = [one.metrics["segment-audio"], one.metrics["segment-visual"]]
        assert not ((table >= mine).all(axis=1) & (table > mine).any(axis=1)).any()
    result.to_csv(tmp_path / "all.csv")
    with (tmp_path / "all.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 100
    assert float(rows[7]["segment-type-av"]) == result.column("segment-type-av")[7]
    result.to_parquet(tmp_path / "all.parquet")
    assert (tmp_path / "all.parquet").stat().st_size > 0
    assert len(str(result).splitlines()) == 11
    assert isinstance(result.best.config, ScoreConfig)


def test_libraries_are_left_as_they_are(
    caches: dict[str, FeatureCache], truths: dict[str, Annotations], tmp_path: Path
) -> None:
    """A notebook's matplotlib backend and its Optuna's verbosity, whatever a search draws and tries."""
    matplotlib, optuna = pytest.importorskip("matplotlib"), pytest.importorskip("optuna")
    name = "clip_clap_llp"
    backend, verbosity = matplotlib.get_backend(), optuna.logging.get_verbosity()
    matplotlib.use("svg")
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        said: list[int] = []
        result = search(
            caches[name], truths[name], Space(alpha=[0.0, 1.0]), sampler="tpe", samples=3,
            progress=lambda *_: said.append(optuna.logging.get_verbosity()),
        )  # fmt: skip
        assert plot_search(result, tmp_path)
        assert matplotlib.get_backend() == "svg"
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
        assert set(said) == {optuna.logging.DEBUG}
    finally:
        optuna.logging.set_verbosity(verbosity)
        matplotlib.use(backend)


def test_pareto_rows() -> None:
    assert pareto_rows(np.array([[1.0, 5], [2, 4], [2, 4], [0, 6], [1, 4], [2, 3]])) == [1, 0, 3]


def test_confidence_intervals() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((400, 2)) * [1.0, 3.0]
    found = confidence_intervals(values, seed=4)
    np.testing.assert_array_equal(found, confidence_intervals(values, seed=4))
    error = values.std(axis=0) / 20
    np.testing.assert_allclose(found[:, 1] - found[:, 0], 2 * 1.96 * error, rtol=0.06)
    np.testing.assert_allclose(found.mean(axis=1), values.mean(axis=0), atol=0.1 * error.max())
    assert (confidence_intervals(np.full((5, 1), 7.0)) == 7.0).all()


def test_grid_batches_are_whole_subtrees() -> None:
    space = Space(
        alpha=np.linspace(0, 1, 10).tolist(),
        filter_threshold=np.linspace(0.4, 0.7, 10).tolist(),
        threshold_stage1=np.linspace(0.6, 0.9, 10).tolist(),
        threshold_stage2=np.linspace(0.5, 0.9, 10).tolist(),
        gamma=np.linspace(0.5, 4, 10).tolist(),
    )
    assert space.size == 100_000
    assert grid_batch(space) == 10_000
    assert len(space.grid()) == 100_000
    assert len(np.unique(space.grid())) == 100_000


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0:1:0.25", (0, 0.25, 0.5, 0.75, 1)),
        ("0.4:0.7:0.1", (0.4, 0.5, 0.6, 0.7)),
        ("0.3,0.1", (0.3, 0.1)),
        ("2", (2,)),
    ],
)
def test_values(text: str, values: tuple[float, ...]) -> None:
    assert parse_values("alpha", text) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1:0:0.1", "the range is empty"),
        ("0:1:0.3", "a step of 0.3 does not lead from 0 to 1"),
        ("0:1:0", "the step must be above 0"),
        ("0:1", "a range is a:b:step"),
        ("a,b", "use a:b:step"),
        ("", "use a:b:step"),
        ("nan", "finite"),
        ("0:1:1e-9", "too many"),
    ],
)
def test_wrong_values(text: str, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        parse_values("alpha", text)


def test_refusals(caches: dict[str, FeatureCache], truths: dict[str, Annotations]) -> None:
    cache, truth = caches["language_bind_llp"], truths["language_bind_llp"]
    with pytest.raises(ScoreError, match="no objective 'accuracy'"):
        search(cache, truth, WIDE, objective="accuracy")
    with pytest.raises(ScoreError, match="no sampler 'random'"):
        search(cache, truth, WIDE, sampler="random")
    with pytest.raises(ScoreError, match="samples must lie in"):
        search(cache, truth, WIDE, sampler="sobol", samples=0)
    with pytest.raises(AnnotationError, match="none of the 1 clips"):
        search(cache, Annotations.from_events({"other": {}}), WIDE)
    with pytest.raises(ScoreError, match="alpha: no value"):
        Space(alpha=[], filter_threshold=[0.5], threshold_stage1=[0.5], threshold_stage2=[0.5], gamma=[1])
    with pytest.raises(ScoreError, match=r"alpha must lie in \[0, 1\], got 2"):
        Space(alpha=[0, 2], filter_threshold=[0.5], threshold_stage1=[0.5], threshold_stage2=[0.5], gamma=[1])
