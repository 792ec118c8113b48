"""The non-negative Lasso of the rule scope: solved whatever the labels are, and as another method solves it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score.kernels.lasso import SOLVED, lasso_workspace, solve_lasso
from score.reference.scope import Floats, lasso, worst_residual

KINDS = ("any", "a label twice", "centred", "almost one", "fewer than labels", "near each other", "whole numbers")


def solved(b: Floats, cost: Floats, gram: Floats) -> Floats:
    """Weights of all labels; those above 0 come in order."""
    workspace = lasso_workspace(len(b))
    size = solve_lasso(b, cost, gram, workspace)
    assert (np.diff(workspace.label[:size]) > 0).all()
    assert (workspace.value[:size] > 0).all()
    found = np.zeros(len(b))
    found[workspace.label[:size]] = workspace.value[:size]
    return found


def unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(np.where(length > 1e-8, rows / np.where(length > 1e-8, length, 1), np.eye(1, rows.shape[-1])[0]))


def labels_of(kind: str, count: int, dims: int, rng: np.random.Generator) -> Floats:
    """Unit vectors (C, D)."""
    rows = rng.standard_normal((count, dims))
    if kind == "a label twice":
        rows[rng.integers(count)] = rows[rng.integers(count)]
    elif kind == "almost one":
        rows = rows[:1] + 10.0 ** rng.integers(-10, 0) * rows
    elif kind == "near each other":
        rows = rows[rng.integers(0, (count + 1) // 2, count)] + 10.0 ** rng.integers(-16, -2) * rows
    elif kind == "whole numbers":
        rows = np.round(rows)
    elif kind == "centred":
        rows = unit(rows + 3 * rng.standard_normal(dims))
        rows = rows - rows.mean(axis=0)
    return unit(rows)


@settings(max_examples=400)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 120),
    st.integers(1, 60),
    st.floats(-3, 0.3),
    st.floats(0, 16),
    st.integers(0, 2**32 - 1),
)
def test_solved_whatever_the_labels_are(
    kind: str, labels: int, dims: int, cost: float, spread: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = labels_of(kind, labels, min(dims, 5) if kind == "fewer than labels" else dims, rng)
    row = unit(rng.standard_normal(vectors.shape[1]) * rng.random() + vectors[rng.integers(labels)])
    costs = 10.0**cost * np.exp(-spread * rng.random(labels))
    b, gram = vectors @ row, vectors @ vectors.T
    found = solved(b, costs, gram)
    assert worst_residual(found[None], b[None], gram, costs[None])[0] <= SOLVED
    np.testing.assert_array_equal(found, solved(b, costs, gram))


@settings(max_examples=30)
@given(st.sampled_from(["any", "centred"]), st.integers(2, 40), st.integers(0, 2**32 - 1), st.floats(0.05, 0.6))
def test_as_another_method(kind: str, labels: int, seed: int, cost: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = labels_of(kind, labels, 48, rng)
    rows = unit(0.3 * rng.standard_normal((4, 48)) + vectors[rng.integers(labels, size=4)])
    costs = cost * rng.uniform(0.3, 1.7, (4, labels))
    expected = lasso(rows, vectors, costs)
    for row, each, weights in zip(rows, costs, expected, strict=True):
        np.testing.assert_allclose(solved(vectors @ row, each, vectors @ vectors.T), weights, rtol=0, atol=1e-9)


@pytest.mark.parametrize("likeness", [-0.9, 0.0, 0.5, 0.95])
def test_two_labels(likeness: float) -> None:
    """The second is out where b2 - cost/2 <= g (b1 - cost/2); a lone one weighs b - cost/2."""
    gram = np.array([[1.0, likeness], [likeness, 1.0]])
    for second in np.linspace(-0.5, 0.79, 20):
        found = solved(np.array([0.8, second]), np.full(2, 0.3), gram)
        assert (found[1] == 0) == (second - 0.15 <= likeness * 0.65)
        if found[1] == 0:
            assert found[0] == pytest.approx(0.65)
    assert (solved(np.array([0.15, 0.1]), np.full(2, 0.3), gram) == 0).all()


def test_equal_labels() -> None:
    """The cheaper of two equal labels takes all, of equal costs the first."""
    gram = np.ones((2, 2))
    np.testing.assert_allclose(solved(np.full(2, 0.5), np.array([0.3, 0.2]), gram), [0, 0.4])
    np.testing.assert_allclose(solved(np.full(2, 0.5), np.full(2, 0.2), gram), [0.4, 0])
