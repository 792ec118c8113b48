"""Kernels one by one, and from embeddings on, against the plain NumPy reference; how they are compiled and kept."""

import ast
import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_cache import NO_PICTURE, NO_SOUND, Features, TextSet, window_count
from score import ScoreConfig
from score.choices import METHODS, STREAMS
from score.kernels import jit
from score.kernels.bitmask import first_run, smooth, span
from score.kernels.label_shift import bbse_shift, decay_table
from score.kernels.scorer import Scorer
from score.kernels.shift_workspace import shift_workspace
from score.kernels.similarity import logits, pad_text, padded, stored_bits
from score.kernels.types import U64
from score.logits import make_logits
from score.reference.scoring import ClipLogits, candidates, clip_logits, score_clip, thresholds
from tests.score.test_scoring import by_kernels, configs


@st.composite
def embeddings(draw: st.DrawFn) -> tuple[Features, TextSet]:
    """Embeddings of any width: of several lengths, equal, of zeros, of one number, of the largest and smallest."""
    segments, most, frames = draw(st.sampled_from([(2, 120, 8), (3, 120, 3), (5, 25, 8), (10, 25, 1), (64, 3, 1)]))
    labels = draw(st.integers(2, most))
    dims = draw(st.integers(1, 20) | st.just(61))
    audio_dims = draw(st.sampled_from([dims, 5]))
    dtype = draw(st.sampled_from([np.float16, np.float32]))
    kind = draw(st.sampled_from(["any", "ties", "zeros", "extreme"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def make(*shape: int) -> Any:
        values = rng.standard_normal(shape)
        if kind == "ties":
            values = np.round(values)
        elif kind == "zeros":
            values[rng.random(shape[:-1]) < 0.3] = 0
        elif kind == "extreme":
            values = values * 10.0 ** rng.integers(-7, 4, shape) if dtype == np.float16 else values * 1e30
        return values.astype(dtype)

    windows = window_count(segments)
    text = TextSet(
        "made",
        tuple(f"{'aB'[k % 2]}{k}" for k in range(labels)),
        make(labels, dims).astype(np.float32),
        make(labels, audio_dims).astype(np.float32),
        {},
    )
    found = Features(
        np.arange(2),
        make(2, segments, dims),
        make(2, windows, frames, dims),
        make(2, windows, audio_dims),
        np.array([draw(st.sampled_from([0, 0, NO_PICTURE, NO_SOUND])) for _ in range(2)], np.uint8),
    )
    return found, text


@settings(max_examples=80, deadline=None)
@given(embeddings(), configs)
def test_from_embeddings_on_all_equals_the_reference(made: tuple[Features, TextSet], config: ScoreConfig) -> None:
    features, text = made
    rows, table, scores = Scorer(config, text, features.image.shape[1]).score(features)
    batch = make_logits(features, text, "clip")
    for i in range(len(rows)):
        assert features.missing is not None
        clip = clip_logits(
            features.image[i], features.video[i], features.audio[i], text.visual, text.audio, int(features.missing[i])
        )
        for name in ("image", "video", "audio", "cosine"):
            np.testing.assert_array_equal(getattr(batch, name)[i], getattr(clip, name))
        expected = score_clip(clip, text.labels, config)
        for number, stream in enumerate(STREAMS):
            here = (table[:, 0] == i) & (table[:, 1] == number)
            found = [(*row, score) for row, score in zip(table[here, 2:].tolist(), scores[here].tolist(), strict=True)]
            assert found == expected[stream]


def test_every_finite_half_is_widened_exactly() -> None:
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    every = halves[np.isfinite(halves)].reshape(-1, 1)
    out = np.empty((len(every), 2))
    text = pad_text(np.array([[1.0], [-0.5]]))
    logits(stored_bits(every), text, np.arange(2), np.zeros((7, padded(1))), out)
    np.testing.assert_array_equal(out[:, 0], every[:, 0].astype(np.float64))
    np.testing.assert_array_equal(out[:, 1], -0.5 * every[:, 0].astype(np.float64))


@pytest.mark.parametrize("rows", range(1, 12))
def test_inner_products_do_not_depend_on_the_tile(rows: int) -> None:
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, 37)).astype(np.float32)
    for labels in range(1, 20):
        text = pad_text(rng.standard_normal((labels, 37)))
        whole, alone = np.empty((rows, labels)), np.empty((rows, labels))
        logits(x, text, np.arange(labels), np.zeros((rows, padded(37))), whole)
        for r in range(rows):
            for k in range(labels):
                value = np.empty((1, 1))
                logits(x[r : r + 1], text[k : k + 1], np.arange(1), np.zeros((1, padded(37))), value)
                alone[r, k] = value[0, 0]
        np.testing.assert_array_equal(whole, alone)
        np.testing.assert_allclose(whole, x.astype(np.float64) @ text[:, :37].astype(np.float64).T, atol=1e-12)


def runs(word: int) -> list[tuple[int, int]]:
    found = []
    while word:
        start, end = first_run(np.uint64(word))
        found.append((start, end))
        word &= ~int(span(start, end))
    return found


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1, 3, 5, 0b11011, 0b110011]))
def test_runs_of_a_word(word: int) -> None:
    positive = np.array([[word >> s & 1] for s in range(64)], dtype=bool)
    assert runs(int(smooth(np.uint64(word)))) == [(start, end) for _, start, end in candidates(positive)]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 12) | st.just(64),
    st.integers(2, 30) | st.just(120),
    st.floats(0, 1),
    st.floats(0, 5),
    st.integers(1, 3),
    st.sampled_from(["bbse", "bbse-cosine"]),
)
def test_last_thresholds(
    seed: int, segments: int, labels: int, tau: float, gamma: float, passes: int, method: str
) -> None:
    """Labels that were ever positive end at the reference's threshold; the others stay at the first one."""
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-rng.standard_normal(labels) - 0.5 * rng.standard_normal((segments, labels))))
    cosine = rng.uniform(-1, 1, segments - 1)
    config = ScoreConfig(0.5, 0.5, tau, 0.5, gamma, method=method, label_shift_iters=passes)
    expected = thresholds(p, cosine, "visual", config)
    bitmasks, workspace = np.zeros(labels, np.uint64), shift_workspace(labels, segments)
    decay = decay_table(gamma, segments, passes)
    bbse_shift(
        p, labels, p @ p.T, p.max(axis=0), cosine, method == "bbse-cosine", tau, decay, passes, bitmasks, workspace
    )  # fmt: skip
    positive = p > expected
    for j in range(labels):
        assert [bool(int(bitmasks[j]) >> t & 1) for t in range(segments)] == positive[:, j].tolist()
    ever = [j for j in range(labels) if bitmasks[j]]
    # a label that turns positive in the last segment only is past its last threshold
    shifted = sorted(workspace.active[: len(ever)].tolist())
    assert shifted == ever
    for x in range(len(ever)):
        assert math.isclose(workspace.theta[x], expected[-1, workspace.active[x]], abs_tol=1e-9)
    for j in set(range(labels)) - set(ever):
        assert expected[-1, j] == tau


@pytest.mark.parametrize("method", METHODS)
def test_segments_without_spread_in_every_pass(method: str) -> None:
    """A row of equal logits ends the shifting; what was counted before it holds in the passes to come."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        segments, labels = int(rng.integers(3, 13)), int(rng.integers(2, 8))
        image = rng.standard_normal((segments, labels)) + 2 * rng.standard_normal(labels)
        image[rng.random(segments) < 0.25] = 0.1
        windows = window_count(segments)
        clip = ClipLogits(
            image,
            rng.standard_normal((windows, 1, labels)),
            rng.standard_normal((windows, labels)),
            rng.uniform(-1, 1, segments - 1),
        )
        config = ScoreConfig(
            float(rng.random()),
            0.5,
            float(rng.uniform(0.4, 0.95)),
            0.5,
            float(rng.choice([0.0, 0.1, 0.5, 1.0, 2.5])),
            method=method,
            label_selection=False,
            refinement=False,
            label_shift_iters=int(rng.integers(2, 5)),
        )
        names = tuple(f"label {k}" for k in range(labels))
        assert by_kernels(clip, names, config) == score_clip(clip, names, config)


# --- how they are compiled and kept -----------------------------------------------------------------------


@jit.kernel
def longest(timelines: U64, lengths: list[int] | None) -> int:
    """Annotated, and compiled for what it is called with."""
    found = 0
    for k in range(timelines.shape[0]):
        start, end = first_run(timelines[k])
        found = max(found, end - start)
    return found


def test_annotations_are_not_taken_for_signatures() -> None:
    compiled: Any = longest
    before = list(compiled.signatures)
    assert longest(np.array([0b0110, 0b1], np.uint64), None) == 2
    assert len(compiled.signatures) == 1
    assert before in ([], compiled.signatures)


def test_other_sources_are_kept_elsewhere(tmp_path: Path) -> None:
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("A = 1\n")
    two.write_text("B = 1\n")
    digest = jit.sources_digest([one, two])
    assert digest == jit.sources_digest([two, one])
    two.write_text("B = 2\n")
    assert jit.sources_digest([one, two]) != digest
    two.write_text("B = 1\n")
    assert jit.sources_digest([one, two]) == digest
    two.rename(tmp_path / "c.py")
    assert jit.sources_digest([one, tmp_path / "c.py"]) != digest


def test_kernels_are_kept_by_the_digest_of_their_sources() -> None:
    file = Path(jit.__file__).with_name("f1.py")
    kept = jit.kept_in(file)
    assert kept is not None
    assert kept.parent.name == jit.sources_digest(jit.sources_of(file))


def test_a_change_in_a_file_leaves_kernels_that_take_nothing_from_it() -> None:
    folder = Path(jit.__file__).parent
    names = {file.name for file in jit.sources_of(folder / "f1.py")}
    assert {"f1.py", "bitmask.py", "jit.py"} <= names
    assert "label_shift.py" not in names
    assert {"label_shift.py", "bitmask.py", "choices.py"} <= {file.name for file in jit.sources_of(folder / "sweep.py")}


def imported_constants(file: Path) -> set[str]:
    """Modules from which functions that Numba compiles take values by name."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    home = {
        name.asname or name.name: node.module or ""
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    compiled = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(each, ast.Name) and each.id in ("kernel", "lean", "inner") for each in node.decorator_list)
    ]
    bodies = [node for function in compiled for statement in function.body for node in ast.walk(statement)]
    return {home[node.id] for node in bodies if isinstance(node, ast.Name) and node.id in home}


def test_all_that_is_compiled_in_is_digested() -> None:
    """Constants of other packages, too: kernels compiled from the old ones must not survive."""
    folder = Path(jit.__file__).parent
    files = list(folder.glob("*.py"))
    taken = set().union(*(imported_constants(file) for file in files))
    assert {"score.choices", "feature_cache.layout", "score.kernels.bitmask"} <= taken
    for file in files:
        sources = {each.resolve() for each in jit.sources_of(file)}
        for name in imported_constants(file):
            module = importlib.import_module(name)
            assert module.__file__ is not None
            assert Path(module.__file__).resolve() in sources, (file, name)


def test_a_numba_without_the_private_option() -> None:
    class Options:
        nogil = None

    assert jit.without_counting(Options) == {}
    assert jit.without_counting(None) == {}
    Options._nrt = None  # type: ignore[attr-defined]
    assert jit.without_counting(Options) == {"_nrt": False}
