"""Logits: inner products of embeddings with text embeddings, and the likeness of neighbouring images."""

import math
from typing import Any

import numpy as np

from score.kernels.jit import kernel

SMALLEST_NORM = 1e-8
"""A shorter embedding is taken to be this long in a cosine, so that a black frame gives 0 and not NaN."""


@kernel
def logits(embeddings: Any, text: Any, out: Any) -> None:
    """Inner products, each summed in the order of the dimensions, whatever the shapes.

    Args:
        embeddings: float32 (n, D).
        text: float64 (D, C), text embeddings with the dimensions first.
        out: float64 (n, C), written.
    """
    dims, labels = text.shape
    whole = dims - dims % 4
    for row in range(embeddings.shape[0]):
        x = embeddings[row]
        total = out[row]
        for c in range(labels):
            total[c] = 0.0
        for d in range(0, whole, 4):
            x0, x1 = np.float64(x[d]), np.float64(x[d + 1])
            x2, x3 = np.float64(x[d + 2]), np.float64(x[d + 3])
            for c in range(labels):
                value = total[c] + x0 * text[d, c]
                value = value + x1 * text[d + 1, c]
                value = value + x2 * text[d + 2, c]
                total[c] = value + x3 * text[d + 3, c]
        for d in range(whole, dims):
            for c in range(labels):
                total[c] += np.float64(x[d]) * text[d, c]


@kernel
def neighbour_cosine(image: Any, out: Any) -> None:
    """Cosine similarity of each image with the next.

    Args:
        image: float32 (n, T, D).
        out: float64 (n, T - 1), written.
    """
    clips, segments, dims = image.shape
    for i in range(clips):
        for t in range(segments - 1):
            product = first = second = 0.0
            for d in range(dims):
                a, b = np.float64(image[i, t, d]), np.float64(image[i, t + 1, d])
                product += a * b
                first += a * a
                second += b * b
            out[i, t] = product / (max(math.sqrt(first), SMALLEST_NORM) * max(math.sqrt(second), SMALLEST_NORM))
