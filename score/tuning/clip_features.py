"""What can be said of a clip without annotations: how sure its picture and its sound are, and how they agree."""

import numpy as np
from numpy.typing import NDArray

from feature_cache import NO_PICTURE, NO_SOUND
from score.datasets.base import Floats
from score.logits import Logits

_OF_ONE = ("entropy", "spread", "best", "margin", "above-half", "above-0.7", "change", "deviation", "raw-best")
NAMES = (
    *(f"picture-{name}" for name in _OF_ONE),
    *(f"sound-{name}" for name in _OF_ONE),
    *("correlation", "same-best", "joint-best", "steadiness", "least-steadiness", "no-picture", "no-sound"),
)
"""The features, in the order of the columns of :func:`clip_features`."""
_DIGITS = 9
"""What is beyond depends on the processor."""


def clip_features(logits: Logits) -> Floats:
    """Features of n clips, from the rows of their segments alone: no annotation, no parameter of a rule.

    Of picture and sound each: entropy of the probabilities over the labels (of docs/design.md 4.1, over all labels;
    those of a detector as they are), their standard deviation, the best and its distance to the second, the shares of
    the labels above 0.5 and above 0.7 on average, the mean change from segment to segment; of the rows before they are
    standardised, deviation and best. Of both: correlation over the labels, whether the best label is the same, the best
    product. Similarity of neighbouring images, the mean and the least; whether picture or sound is missing.

    Returns:
        float64 (n, F), a column for each of ``NAMES``; NaN where a clip does not have what it would take.

    Example:
        >>> clip_features(make_logits(features, text))[:, NAMES.index("picture-entropy")]
        array([0.981, 0.874])
    """
    no_picture, no_sound = logits.missing == NO_PICTURE, logits.missing == NO_SOUND
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        picture, sound = (_probabilities(rows, logits.given) for rows in (logits.image, logits.sound))
        seen, heard = _of_one(logits.image, picture), _of_one(logits.sound, sound)
        both = _of_both(picture.mean(axis=1), sound.mean(axis=1))
    steady = np.column_stack([logits.cosine.mean(axis=1), logits.cosine.min(axis=1)]) if logits.cosine.size else None
    steady = np.full((len(seen), 2), np.nan) if steady is None else steady
    for values in (seen, both, steady):
        values[no_picture] = np.nan
    for values in (heard, both):
        values[no_sound] = np.nan
    found = np.column_stack([seen, heard, both, steady, no_picture, no_sound])
    found[~np.isfinite(found)] = np.nan
    return np.round(found, _DIGITS)


class Standard:
    """Features with the mean and deviation that they have on one split; what a clip lacks is the mean."""

    def __init__(self, features: Floats) -> None:
        """Take mean and deviation of float64 (n, F)."""
        known = np.isfinite(features)
        count = np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, features, 0.0)
        self._mean = filled.sum(axis=0) / count
        apart = np.where(known, features - self._mean, 0.0)
        deviation = np.sqrt((apart**2).sum(axis=0) / count)
        self._factor = np.where(deviation > 10.0**-_DIGITS, 1.0 / np.maximum(deviation, 10.0**-_DIGITS), 0.0)

    def __call__(self, features: Floats) -> Floats:
        """Float64 (n, F), at most 4 deviations from the mean."""
        apart = np.clip((features - self._mean) * self._factor, -4.0, 4.0)
        found: Floats = np.nan_to_num(np.round(apart, _DIGITS))
        return found


def _probabilities(rows: Floats, given: bool) -> Floats:
    """Of float64 (n, R, C); NaN where a row has no spread."""
    if given:
        return rows
    labels = rows.shape[2]
    apart = rows - rows.mean(axis=2, keepdims=True)
    deviation = np.sqrt((apart**2).sum(axis=2, keepdims=True) / (labels - 1)) if labels > 1 else np.zeros(1)
    found: Floats = 1.0 / (1.0 + np.exp(-apart / np.where(deviation > 0, deviation, np.nan)))
    return found


def _of_one(rows: Floats, probabilities: Floats) -> Floats:
    """The features of ``_OF_ONE``, float64 (n, 9), of rows (n, R, C) and their probabilities."""
    n, count, labels = rows.shape
    shares = probabilities / probabilities.sum(axis=2, keepdims=True)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=2) / np.log(max(labels, 2))
    best, second = _two_best(probabilities)
    average = probabilities.mean(axis=1)
    change = np.abs(np.diff(probabilities, axis=1)).mean(axis=2).mean(axis=1) if count > 1 else np.zeros(n)
    return np.column_stack(
        [
            entropy.mean(axis=1),
            probabilities.std(axis=2).mean(axis=1),
            best.mean(axis=1),
            (best - second).mean(axis=1),
            *((average > level).mean(axis=1) for level in (0.5, 0.7)),
            change,
            rows.std(axis=2).mean(axis=1),
            rows.max(axis=2).mean(axis=1),
        ]
    )


def _two_best(values: Floats) -> tuple[Floats, Floats]:
    """The largest and the second along the last axis; of one value that twice."""
    if values.shape[2] < 2:
        return values[..., 0], values[..., 0]
    two = np.partition(values, -2, axis=2)[..., -2:]
    return two[..., 1], two[..., 0]


def _of_both(picture: NDArray[np.float64], sound: NDArray[np.float64]) -> Floats:
    """Correlation, whether the best label is the same, the best product: float64 (n, 3), of (n, C) each."""
    seen, heard = (each - each.mean(axis=1, keepdims=True) for each in (picture, sound))
    together = (seen * heard).sum(axis=1) / np.sqrt((seen**2).sum(axis=1) * (heard**2).sum(axis=1))
    same = (picture.argmax(axis=1) == sound.argmax(axis=1)).astype(np.float64)
    return np.column_stack([together, same, (picture * sound).max(axis=1)])
