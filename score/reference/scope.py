"""SCoPE's rule (docs/rules.md) on embeddings, in plain NumPy: FISTA, and exact weights of the labels that it finds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from score.rule_parameters import ScopeConfig

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_STEPS, _ROUNDS = 400, 60
_SOLVED = 1e-12


@dataclass(frozen=True, eq=False)
class Modality:
    """One modality of a clip, or nothing of it.

    Attributes:
        rows: (R, D), embeddings; R = T, or 1 where one row stands for all segments; None: the clip has none.
        text: (C, D), embeddings of the labels.
        center: (D,), what is subtracted from unit embeddings.
    """

    rows: NDArray[np.floating] | None
    text: NDArray[np.floating]
    center: Floats

    def row_vectors(self) -> Floats:
        """Rows as unit vectors from the centre, (R, D); zeros for one without direction."""
        assert self.rows is not None
        return _unit(np.where(_has_length(self.rows), _unit(self.rows) - self.center, 0.0))

    def label_vectors(self, centred: bool) -> Floats:
        """Labels as unit vectors, (C, D), from their mean where they are centred."""
        found = _unit(self.text)
        return _unit(found - found.mean(axis=0)) if centred else found


def _has_length(rows: NDArray[np.floating]) -> Bools:
    return np.asarray(np.linalg.norm(np.asarray(rows, np.float64), axis=-1, keepdims=True) >= 1e-8)


def _unit(rows: NDArray[np.floating]) -> Floats:
    wide = np.asarray(rows, np.float64)
    length = np.linalg.norm(wide, axis=-1, keepdims=True)
    return np.asarray(np.where(length >= 1e-8, wide / np.where(length >= 1e-8, length, 1.0), 0.0))


def lasso(rows: Floats, vectors: Floats, cost: Floats) -> Floats:
    """Weights w >= 0 with the least |z - sum of w_c v_c|^2 + sum of cost_c w_c, of each row z: (R, C).

    Args:
        rows: (R, D).
        vectors: (C, D), unit vectors.
        cost: (R, C).

    Raises:
        ArithmeticError: no weights are found that are a solution.
    """
    b, gram = rows @ vectors.T, vectors @ vectors.T
    step = 1.0 / (2.1 * np.linalg.eigvalsh(gram)[-1] + 1e-6)
    w = np.zeros_like(b)
    for number in range(_ROUNDS):
        w = _fista(w, b, gram, cost, step)
        found = np.array([_polished(*each, vectors, gram, number) for each in zip(w, rows, b, cost, strict=True)])
        if worst_residual(found, b, gram, cost).max(initial=0.0) <= _SOLVED:
            return found
    raise ArithmeticError("no solution was found")


def _fista(w: Floats, b: Floats, gram: Floats, cost: Floats, step: float) -> Floats:
    """So many steps of accelerated descent, begun anew where it turns back."""
    ahead, pace = w, np.ones((len(w), 1))
    for _ in range(_STEPS):
        slope = 2.0 * (ahead @ gram - b) + cost
        after = np.maximum(ahead - step * slope, 0.0)
        turned = ((ahead - after) * (after - w)).sum(axis=1, keepdims=True) > 0
        pace = np.where(turned, 1.0, pace)
        faster = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * pace**2))
        ahead = after + np.where(turned, 0.0, (pace - 1.0) / faster) * (after - w)
        w, pace = after, faster
    return w


def _polished(w: Floats, z: Floats, b: Floats, cost: Floats, vectors: Floats, gram: Floats, number: int) -> Floats:
    """Exact weights of the labels whose weights are not small; the weights as they are where these fall below 0."""
    on = w > 10.0 ** -(5 + number % 8)
    exact = np.zeros_like(w)
    if on.any():
        exact[on] = np.linalg.lstsq(gram[np.ix_(on, on)], (b - cost / 2)[on], rcond=1e-14)[0]
    return exact if (exact >= 0).all() else w


def worst_residual(w: Floats, b: Floats, gram: Floats, cost: Floats) -> Floats:
    """By how much each row misses the conditions of a solution, (R,)."""
    slope = 2.0 * (w @ gram - b) + cost
    return np.asarray(np.where(w > 0, np.abs(slope), np.maximum(-slope, 0.0)).max(axis=1))


def shares(rows: Floats, vectors: Floats, cost: float) -> Floats:
    """What each row gives to each label, q(t) s(t, c) of the first stage: (R, C)."""
    w = lasso(rows, vectors, np.full((len(rows), len(vectors)), cost))
    s = w / (w.max(axis=1, keepdims=True) + 1e-8)
    told = w @ vectors
    length = np.linalg.norm(told, axis=1)
    q = np.clip((rows * told).sum(axis=1) / np.where(length > 0, length, 1.0), 0.0, 1.0)
    return np.asarray(q[:, None] * s)


def given(share: Floats, remembered: int) -> Floats:
    """What is given at each segment: (1, C), the mean over the clip, or (R, C), over the segments up to it."""
    if not remembered:
        return np.asarray(share.mean(axis=0, keepdims=True))
    return np.array([share[max(0, t + 1 - remembered) : t + 1].mean(axis=0) for t in range(len(share))])


def exchanged_costs(given: Floats, cost: float, eta: float, form: str) -> Floats:
    """Costs by what the other modality gives, (R, C): the mean of each row is ``cost``."""
    f = np.exp(-eta * given) if form == "exp" else 1.0 / (1.0 + eta * given)
    return np.asarray(cost * f / f.mean(axis=1, keepdims=True))


def above_largest_gap(w: Floats, support: float) -> Bools:
    """Labels of each row above the largest gap of the weights above ``support``, by size, and 0: (R, C)."""
    on = np.zeros(w.shape, bool)
    for row, found in zip(w, on, strict=True):
        order = [c for c in np.argsort(-row, kind="stable").tolist() if row[c] > support]
        if order:
            gaps = -np.diff([*row[order], 0.0])
            found[order[: int(np.argmax(gaps)) + 1]] = True
    return on


def smoothed(on: Bools, smoothing: str) -> Bools:
    """Segments (T, C) that are on after the rule of time."""
    if smoothing == "none":
        return on
    nothing = np.zeros_like(on[:1])
    on = on & (np.concatenate([nothing, on[:-1]]) | np.concatenate([on[1:], nothing]))
    if smoothing == "causal":
        return on
    return np.asarray(on | (np.concatenate([nothing, on[:-1]]) & np.concatenate([on[1:], nothing])))


def decide(
    visual: Modality, audio: Modality, segments: int, segment_seconds: float, config: ScopeConfig
) -> tuple[Bools, Floats]:
    """What the rule says of a clip.

    Args:
        visual: the picture.
        audio: the sound.
        segments: T.
        segment_seconds: length of a segment.
        config: the setting.

    Returns:
        Segments that are on, (3, T, C), streams visual, audio, audiovisual; the weights that they come from, likewise.
    """
    sides = (visual, audio)
    labels = len(visual.text)
    etas = (config.eta_audio_to_visual, config.eta_visual_to_audio)
    remembered = max(1, int(config.memory_seconds / segment_seconds + 0.5)) if config.memory_seconds else 0
    vectors = [side.label_vectors(config.center_labels) for side in sides]
    gives = [
        np.zeros((1, labels)) if side.rows is None else given(shares(side.row_vectors(), each, config.cost), remembered)
        for side, each in zip(sides, vectors, strict=True)
    ]
    weight = np.zeros((3, segments, labels))
    for m, side in enumerate(sides):
        if side.rows is not None:
            cost = exchanged_costs(gives[1 - m], config.cost, etas[m], config.exchange_form)
            rows = side.row_vectors()
            count = max(len(rows), len(cost))
            rows, cost = (np.broadcast_to(each, (count, each.shape[1])) for each in (rows, cost))
            weight[m] = lasso(rows, vectors[m], cost)
    there = [m for m, side in enumerate(sides) if side.rows is not None]
    if len(there) == 2:
        both = (weight[:2] > config.support).all(axis=0)
        weight[2] = np.where(both, config.alpha * weight[1] + (1 - config.alpha) * weight[0], 0.0)
    elif there:
        weight[2] = weight[there[0]]
    on = np.array([smoothed(above_largest_gap(each, config.support), config.smoothing) for each in weight])
    return on, weight


def events(on: Bools, weight: Floats) -> list[tuple[int, int, int, int, float]]:
    """Runs as (stream, label, start, end, score), sorted; a score is the mean of w / (1 + w)."""
    found = []
    edges = np.diff(np.pad(on.astype(np.int8), ((0, 0), (1, 1), (0, 0))), axis=1)
    for stream, label in zip(*np.nonzero(on.any(axis=1)), strict=True):
        starts, ends = (np.flatnonzero(edges[stream, :, label] == sign) for sign in (1, -1))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            w = weight[stream, start:end, label]
            found.append((int(stream), int(label), start, end, float((w / (1 + w)).mean())))
    return sorted(found)
