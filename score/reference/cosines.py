"""Cosines of segments with labels from embeddings themselves, in plain NumPy (docs/rules.md)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import window_index

Floats = NDArray[np.float64]


def unit(rows: NDArray[Any]) -> Floats:
    """Rows scaled to unit length along the last axis; zeros for what has none."""
    rows = np.asarray(rows, np.float64)
    norm = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(np.where(norm < 1e-8, 0.0, rows / np.where(norm < 1e-8, 1.0, norm)), np.float64)


def centred_rows(rows: NDArray[Any], center: Floats) -> Floats:
    """z: unit rows less a centre, scaled to unit length; zeros for a row without direction."""
    found = unit(unit(rows) - center)
    found[np.linalg.norm(np.asarray(rows, np.float64), axis=-1) < 1e-8] = 0.0
    return found


def label_vectors(text: NDArray[Any], centred: bool) -> Floats:
    """v_c: unit embeddings of labels, taken from their mean or not, (C, D)."""
    found = unit(text)
    return unit(found - found.mean(axis=0)) if centred else found


def cosines(rows: NDArray[Any], text: NDArray[Any], center: Floats, centred: bool) -> Floats:
    """x = z · v_c, (..., C), of rows (..., D)."""
    return np.asarray(centred_rows(rows, center) @ label_vectors(text, centred).T)


def gram(text: NDArray[Any], centred: bool) -> Floats:
    """Inner products of the labels' vectors, (C, C)."""
    vectors = label_vectors(text, centred)
    return np.asarray(vectors @ vectors.T)


def window_sound(audio: NDArray[Any], segments: int) -> Floats:
    """Each segment's sound from the windows (W, D) of two segments that hold it, as unit rows (T, D)."""
    found = []
    for t in range(segments):
        starts = [start for start in (t - 1, t) if 0 <= start <= segments - 2]
        each = [unit(audio[window_index(start, start + 2, segments)]) for start in starts]
        found.append(unit(np.sum(each, axis=0)))
    return np.stack(found)
