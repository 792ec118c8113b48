"""Cosines of segments with labels, centred or not, from what a cache holds (docs/rules.md).

Made from logits, lengths and one inner product a row, they equal those of embeddings that are centred themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, Features, TextSet
from score.centers import Center, find_center
from score.checks import check_features
from score.common_parameters import NO_CENTER
from score.errors import ScoreError
from score.kernels.similarity import SMALLEST_NORM
from score.logits import Logits, missing_bits
from score.sound import Rows, embedding_rows, sound_rows

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LabelSide:
    """A text set in one modality: unit vectors v_c, or unit(v_c − their mean) where they are centred.

    Attributes:
        norm: float64 (C,), lengths of the embeddings.
        spread: float64 (C,), lengths of v_c − mean; None where they are not centred.
        gram: float64 (C, C), inner products of the vectors.
        center: float64 (D,), what is subtracted from unit embeddings; zeros for nothing.
        part: float64 (C,), v_c · center, before they are centred.
    """

    norm: Floats
    spread: Floats | None
    gram: Floats
    center: Floats
    part: Floats

    def cosines(self, rows: Rows) -> Floats:
        """Cosines of centred rows with the vectors, float64 (n, R, C); zeros for a row that has no direction."""
        norm = np.where(rows.norm < SMALLEST_NORM, np.inf, rows.norm)[..., None]
        part = rows.part[..., None] / norm
        square = 1.0 - 2.0 * part + _dot(self.center, self.center)
        x = rows.logits / (norm * self.norm) - self.part
        if self.spread is not None:
            x = (x - _mean(x)[..., None]) / self.spread
        moved = square > SMALLEST_NORM**2
        found: Floats = np.where(moved & np.isfinite(norm), x / np.sqrt(np.where(moved, square, 1.0)), 0.0)
        return found


def label_side(name: str, text: NDArray[np.floating], center: Floats, centred: bool) -> LabelSide:
    """One modality of a text set.

    Args:
        name: of the text set, for errors.
        text: (C, D) embeddings.
        center: float64 (D,).
        centred: whether the labels' mean is subtracted.

    Raises:
        ScoreError: labels cannot be told apart from their mean, or from nothing.
    """
    rows = embedding_rows(np.ascontiguousarray(text, np.float32)[None], np.asarray(text, np.float32), center)
    norm = rows.norm[0]
    if (norm < SMALLEST_NORM).any():
        raise ScoreError(f"text set {name!r}: label {int(np.argmin(norm))} has an embedding without length")
    gram = rows.logits[0] / (norm[:, None] * norm)
    part = rows.part[0] / norm
    if not centred:
        return LabelSide(norm, None, gram, center, part)
    mean = _mean(gram)
    whole = _mean(mean)
    gram = gram - mean[:, None] - mean + whole
    spread = np.sqrt(np.maximum(np.diagonal(gram), 0.0))
    if (spread < SMALLEST_NORM).any():
        raise ScoreError(f"text set {name!r}: labels that equal their mean cannot be centred: `center_labels=False`")
    return LabelSide(norm, spread, gram / (spread[:, None] * spread), center, part)


def _mean(values: Floats) -> Floats:
    """Along the last axis, added up in order."""
    found: Floats = np.add.accumulate(values, axis=-1)[..., -1] / values.shape[-1]
    return found


def _dot(first: Floats, second: Floats) -> float:
    return float(np.add.accumulate(first * second)[-1]) if len(first) else 0.0


@dataclass(frozen=True, eq=False)
class Sides:
    """A text set in both modalities, as rules of cosines take it."""

    visual: LabelSide
    audio: LabelSide

    def of(self, features: Features, text: TextSet, sound: str) -> Logits:
        """Cosines of clips in the place of logits; no windows."""
        check_features(features, text)
        n, segments, _ = features.image.shape
        labels = len(text.labels)
        return Logits(
            features.rows,
            self.visual.cosines(embedding_rows(features.image, text.visual, self.visual.center)),
            np.empty((n, 0, 1, labels)),
            np.empty((n, 0, labels)),
            self.audio.cosines(sound_rows(features, text, sound, self.audio.center)),
            False,
            np.zeros((n, segments - 1)),
            missing_bits(features),
        )


def label_sides(text: TextSet, center: Center, centred: bool) -> Sides:
    """Both modalities of a text set.

    Raises:
        ScoreError: as :func:`label_side`; or there is one label only.
    """
    if len(text.labels) < 2:
        raise ScoreError(
            f"text set {text.name!r} has one label: a rule of cosines compares labels with each other, two are needed"
        )
    return Sides(
        label_side(text.name, text.visual, center.visual, centred),
        label_side(text.name, text.audio, center.audio, centred),
    )


def cosine_inputs(config: Any, text: TextSet, cache: FeatureCache) -> Callable[[Features], Logits]:
    """What makes cosines of batches of clips, from a rule's ``center``, ``center_labels`` and ``sound``.

    Raises:
        ScoreError: as :func:`label_sides` and :func:`score.centers.find_center`.
    """
    center = find_center(config.center, cache, text, config.sound)
    sides = label_sides(text, center, config.center_labels)
    return lambda features: sides.of(features, text, config.sound)


def gram_matrices(config: Any, text: TextSet, cache: FeatureCache) -> tuple[Floats, Floats]:
    """Of the labels' vectors, (C, C) for picture and sound; no centre of embeddings changes them."""
    found = label_sides(text, find_center(NO_CENTER, cache, text, config.sound), config.center_labels)
    return found.visual.gram, found.audio.gram


def check_embeddings(cache: FeatureCache, rule: str) -> None:
    """Refuse a cache without embeddings of images and sound.

    Raises:
        ScoreError: so.
    """
    if cache.kind == "probabilities" or not cache.has_images:
        raise ScoreError(f"{cache.path} holds no embeddings to compare: rule {rule} needs them, use `rule='threshold'`")
