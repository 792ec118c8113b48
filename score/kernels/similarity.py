"""Logits: inner products of embeddings with text embeddings, and the likeness of neighbouring images.

Embeddings come as they are stored: float32, or float16 as its bits (uint16). Sums are those of ``dot_products.py``.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.kernels.dot_products import LANES, make_tile, widened
from score.kernels.jit import inner, lean
from score.kernels.types import F32, F64, I64, Embeddings

SMALLEST_NORM = 1e-8
"""A shorter embedding is taken to be this long in a cosine, so that a black frame gives 0 and not NaN."""

_tile55, _tile51 = make_tile(5, 5), make_tile(5, 1)
_tile28, _tile21 = make_tile(2, 8), make_tile(2, 1)
_tile18, _tile12, _tile11 = make_tile(1, 8), make_tile(1, 2), make_tile(1, 1)


def padded(dims: int) -> int:
    """Dimensions rounded up to whole lanes."""
    return -(-dims // LANES) * LANES


def pad_text(text: NDArray[Any]) -> F32:
    """Text embeddings (C, D) as the kernels take them: float32 (C, D rounded up to 8), zeros added."""
    out = np.zeros((len(text), padded(text.shape[1])), dtype=np.float32)
    out[:, : text.shape[1]] = text
    return out


def stored_bits(embeddings: NDArray[Any]) -> Embeddings:
    """Embeddings as the kernels take them: float16 as uint16, all else as float32; C-contiguous."""
    if embeddings.dtype == np.float16:
        return np.ascontiguousarray(embeddings).view(np.uint16)
    return np.ascontiguousarray(embeddings, dtype=np.float32)


@inner
def widen(source: Embeddings, target: F64) -> None:
    """One embedding, (D,), as float64 into the first D places of ``target``."""
    for d in range(source.shape[0]):
        target[d] = widened(source[d])


@lean
def inner_products(x: F64, n: int, text: F32, picks: I64, count: int, out: F64) -> None:
    """The first n rows of ``x`` with the rows of ``text`` that are picked.

    Args:
        x: float64 (>= n, D), C-contiguous, D a multiple of 8.
        n: number of rows.
        text: float32 (C, D), as :func:`pad_text` gives it.
        picks: int64, the first ``count`` are labels.
        count: number of labels picked.
        out: float64 (>= n, C), C-contiguous, written at the picked labels.
    """
    r = 0
    while r + 5 <= n:
        for c in range(0, count - 4, 5):
            _tile55(x, r, text, picks, c, out)
        for c in range(count - count % 5, count):
            _tile51(x, r, text, picks, c, out)
        r += 5
    while r + 2 <= n:
        for c in range(0, count - 7, 8):
            _tile28(x, r, text, picks, c, out)
        for c in range(count - count % 8, count):
            _tile21(x, r, text, picks, c, out)
        r += 2
    if r < n:
        for c in range(0, count - 7, 8):
            _tile18(x, r, text, picks, c, out)
        for c in range(count - count % 8, count):
            _tile11(x, r, text, picks, c, out)


@lean
def neighbour_cosine(x: F64, picks: I64, gram: F64, out: F64) -> None:
    """Cosine similarity of each image with the next.

    Args:
        x: float64 (T, D), C-contiguous, D a multiple of 8.
        picks: int64 (>= T,), 0, 1, 2 ...
        gram: float64 (T, T), workspace.
        out: float64 (T - 1,), written.
    """
    last = x.shape[0] - 1
    for t in range(last):
        _tile12(x, t, x, picks, t, gram)
    _tile11(x, last, x, picks, last, gram)
    for t in range(last):
        first, second = math.sqrt(gram[t, t]), math.sqrt(gram[t + 1, t + 1])
        out[t] = gram[t, t + 1] / (max(first, SMALLEST_NORM) * max(second, SMALLEST_NORM))


@lean
def logits(embeddings: Embeddings, text: F32, picks: I64, workspace: F64, out: F64) -> None:
    """Logits of a batch.

    Args:
        embeddings: uint16 or float32 (n, D), as :func:`stored_bits` gives them.
        text: float32 (C, D rounded up), as :func:`pad_text` gives it.
        picks: int64 (C,), 0, 1, 2 ...
        workspace: float64 (R, D rounded up) of zeros, overwritten.
        out: float64 (n, C), written.
    """
    most = workspace.shape[0]
    for first in range(0, embeddings.shape[0], most):
        n = min(most, embeddings.shape[0] - first)
        for r in range(n):
            widen(embeddings[first + r], workspace[r])
        inner_products(workspace, n, text, picks, len(picks), out[first : first + n])


@lean
def cosines(image: Embeddings, picks: I64, workspace: F64, gram: F64, out: F64) -> None:
    """:func:`neighbour_cosine` of a batch.

    Args:
        image: uint16 or float32 (n, T, D).
        picks: int64 (>= T,), 0, 1, 2 ...
        workspace: float64 (T, D rounded up) of zeros, overwritten.
        gram: float64 (T, T), workspace.
        out: float64 (n, T - 1), written.
    """
    for i in range(image.shape[0]):
        for t in range(image.shape[1]):
            widen(image[i, t], workspace[t])
        neighbour_cosine(workspace, picks, gram, out[i])
