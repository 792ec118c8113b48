"""Norms of embeddings as they are stored, and their inner products with one vector; sums run in order."""

import math

from score.kernels.dot_products import widened
from score.kernels.jit import lean
from score.kernels.types import F64, Embeddings


@lean
def norms_and_parts(embeddings: Embeddings, vector: F64, norm: F64, part: F64) -> None:
    """Length of each embedding, and its inner product with a vector.

    Args:
        embeddings: uint16 or float32 (n, D), as ``similarity.stored_bits`` gives them.
        vector: float64 (D,).
        norm: float64 (n,), written.
        part: float64 (n,), written.
    """
    for i in range(embeddings.shape[0]):
        square = 0.0
        along = 0.0
        for d in range(embeddings.shape[1]):
            value = widened(embeddings[i, d])
            square += value * value
            along += value * vector[d]
        norm[i] = math.sqrt(square)
        part[i] = along


@lean
def neighbour_products(embeddings: Embeddings, out: F64) -> None:
    """Inner product of each embedding with the next of its clip.

    Args:
        embeddings: uint16 or float32 (n, R, D), as ``similarity.stored_bits`` gives them.
        out: float64 (n, R - 1), written.
    """
    for i in range(embeddings.shape[0]):
        for r in range(embeddings.shape[1] - 1):
            total = 0.0
            for d in range(embeddings.shape[2]):
                total += widened(embeddings[i, r, d]) * widened(embeddings[i, r + 1, d])
            out[i, r] = total
