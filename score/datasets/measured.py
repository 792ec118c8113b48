"""Figures that are sums over clips: of a split, of each clip, and of resamples of the clips."""

import numpy as np

from score.bootstrap import resample_means
from score.datasets.base import Dataset, Floats, Measured, PerClass


def added_up(dataset: Dataset, sums: Floats, weights: Floats, per_class: PerClass) -> Measured:
    """What events are worth whose figures follow from sums over clips.

    Args:
        dataset: whose figures; it has ``from_sums``.
        sums: float64 (n, K), a row a clip.
        weights: float64 (n, K), what each clip counts.
        per_class: figures by label.
    """
    from_sums = dataset.from_sums
    assert from_sums is not None

    def resampled(resamples: int, seed: int, threads: int | None) -> Floats:
        means = resample_means(np.concatenate([sums, weights], axis=1), resamples, seed, threads)
        return from_sums(means[:, : sums.shape[1]], means[:, sums.shape[1] :])

    figures = from_sums(sums.mean(axis=0), weights.mean(axis=0))
    by_clip = from_sums(sums, weights)
    return Measured(
        metrics=dict(zip(dataset.figures, figures.tolist(), strict=True)),
        per_class=per_class,
        by_clip=dict(zip(dataset.figures, by_clip.T, strict=True)),
        resampled=resampled,
    )
