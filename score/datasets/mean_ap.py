"""Mean average precision of events that are ranked by score, over files of any length (docs/design.md 4.8)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import stopping
from feature_cache.names import shortened
from score.choices import STREAMS
from score.datasets.base import Floats, Measured, PerClass
from score.datasets.match import LabelNumbers
from score.errors import AnnotationError, ScoreError

if TYPE_CHECKING:
    from score.datasets.annotations import Annotations
    from score.datasets.values import Annotation
    from score.timelines import Spans

THRESHOLDS = tuple(tenth / 10 for tenth in range(1, 10))
"""The least IoU of a match."""
AP_FIGURES = (*(f"map-{threshold}" for threshold in THRESHOLDS), "map")
AT_HALF = THRESHOLDS.index(0.5)
_BYTES_AT_ONCE = 16 << 20
"""Of the resamples that a thread works on."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """E predicted and M true events of C classes, those of a class after each other, the predicted ones best first.

    Attributes:
        clips: n clips, or files.
        classes: int64 (C,), numbers of the labels that are true somewhere.
        clip: int64 (E,), number of the clip; n for those of other clips.
        first: int64 (C + 1,), where the events of each class begin.
        matches: uint16 (E,), a bit for each threshold at which the event matches a true one.
        true_clip: int64 (M,), number of the clip of each true event.
        true_first: int64 (C + 1,), where the true events of each class begin.
    """

    clips: int
    classes: NDArray[np.int64]
    clip: NDArray[np.int64]
    first: NDArray[np.int64]
    matches: NDArray[np.uint16]
    true_clip: NDArray[np.int64]
    true_first: NDArray[np.int64]

    def precisions(self, counts: NDArray[np.int32]) -> Floats:
        """Average precisions, float64 (R, C, thresholds), of R samples: int32 (R, n), how often each clip occurs.

        Events of other clips occur once in each. NaN where nothing of a class is true.
        """
        from score.kernels.average_precision import average_precisions

        with_others = np.ones((len(counts), self.clips + 1), dtype=np.int32)
        with_others[:, : self.clips] = counts
        found = np.empty((len(counts), len(self.classes), len(THRESHOLDS)))
        at, weight = np.empty((2, len(self.clip)), dtype=np.int64)
        average_precisions(
            with_others, self.clip, self.first, self.matches, self.true_clip, self.true_first, at, weight, found
        )
        return found

    @cached_property
    def alone(self) -> Floats:
        """Average precisions, float64 (C, thresholds), of each clip once."""
        found: Floats = self.precisions(np.ones((1, self.clips), dtype=np.int32))[0]
        return found

    def resampled(self, resamples: int, seed: int, threads: int | None) -> Floats:
        """Figures of resamples of the clips, float64 (R, figures), in percent: see :class:`Measured`."""
        from score.bootstrap import resample_counts

        found = np.empty((resamples, len(AP_FIGURES)))
        row = 8 * (self.clips + len(self.classes) * len(THRESHOLDS))
        step = max(1, min(256, _BYTES_AT_ONCE // row))

        def work(first: int) -> None:
            last = min(resamples, first + step)
            found[first:last] = as_figures(self.precisions(resample_counts(self.clips, first, last, seed)))

        with stopping.threads(threads or os.cpu_count() or 1) as pool:
            for _ in pool.map(work, range(0, resamples, step)):
                pass
        return found


def as_figures(precisions: Floats) -> Floats:
    """AP_FIGURES in percent, float64 (..., figures), from (..., C, thresholds): means over the classes that occur."""
    there = ~np.isnan(precisions)
    with np.errstate(invalid="ignore"):
        means = 100.0 * np.where(there, precisions, 0.0).sum(axis=-2) / there.sum(axis=-2)
    return np.concatenate([means, means.mean(axis=-1, keepdims=True)], axis=-1)


def measure_ranked(spans: "Spans", annotations: "Annotations", labels: Sequence[str]) -> Measured:
    """Figures of audiovisual events, ranked by score; of equal scores the first in the file goes first.

    Raises:
        AnnotationError: nothing is annotated, or an annotated label is none of the labels.
        ScoreError: an event has no score.
    """
    said = np.flatnonzero(spans.stream == STREAMS.index("audiovisual"))
    without = said[np.isnan(spans.score[said])]
    if len(without):
        number = int(spans.clip[without[0]])
        where = shortened(spans.clips[number], 100) if number < len(spans.clips) else "a file outside the split"
        raise ScoreError(
            f"{len(without):,} of {len(said):,} events have no score, the first is one of {where}: mean average "
            "precision ranks events by score, so write one with each"
        )
    true = _true_events(spans.clips, annotations, LabelNumbers(labels, annotations.origin))
    if not len(true.clip):
        raise AnnotationError(
            f"nothing is annotated in any file of the {annotations.split or 'annotated'} split: name a split with "
            "annotations"
        )
    ranking, hits = _ranked(spans, said, true)
    figures = as_figures(ranking.alone)
    return Measured(
        metrics=dict(zip(AP_FIGURES, figures.tolist(), strict=True)),
        per_class=_by_class(ranking, labels),
        by_clip=_by_clip(len(spans.clips), spans.clip[said], hits, true.clip),
        resampled=ranking.resampled,
        notes=_notes(spans, said),
    )


@dataclass(frozen=True, eq=False)
class _True:
    """M true events, in the order of the clips: numbers of clips and labels, seconds."""

    clip: NDArray[np.int64]
    label: NDArray[np.int64]
    onset: Floats
    offset: Floats


def _true_events(clips: Sequence[str], annotations: "Annotations", numbers: LabelNumbers) -> _True:
    rows: list[tuple[int, int, float, float]] = []
    known: dict[str, int] = {}
    for place, clip in enumerate(clips):
        for label, onset, offset in seen_and_heard(annotations, clip):
            if label not in known:
                known[label] = numbers[label]
            rows.append((place, known[label], onset, offset))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4).T.copy()
    return _True(table[0].astype(np.int64), table[1].astype(np.int64), table[2], table[3])


def seen_and_heard(annotations: "Annotations", clip: str) -> Sequence["Annotation"]:
    """The audiovisual events of a clip; where none are annotated as such, what is seen and heard at once."""
    if annotations.audiovisual is not None:
        return annotations.audiovisual.get(clip, ())
    seen, heard = annotations.visual.get(clip, ()), annotations.audio.get(clip, ())
    if list(seen) == list(heard):
        return seen
    return [
        (label, max(onset, begin), min(offset, end))
        for label, onset, offset in seen
        for other, begin, end in heard
        if label == other and max(onset, begin) < min(offset, end)
    ]


def _ranked(spans: "Spans", said: NDArray[np.int64], true: _True) -> tuple[Ranking, NDArray[np.bool_]]:
    """The ranking, and which of the events said match a true one at half."""
    from score.kernels.average_precision import mark_matches  # compiled: of no use to who only reads annotations

    classes, true_class = np.unique(true.label, return_inverse=True)
    n = len(spans.clips) + 1
    by_class = np.argsort(true_class * n + true.clip, kind="stable")
    key = (true_class * n + true.clip)[by_class]
    groups, group_first = np.unique(key, return_index=True)
    class_of = np.full(max(int(spans.label.max(initial=0)), int(classes.max())) + 1, len(classes), dtype=np.int32)
    class_of[classes] = np.arange(len(classes))
    number = class_of[spans.label[said]]
    rows = np.flatnonzero(number < len(classes))  # what is said of a class that is true nowhere does not count
    rows = rows[np.argsort(-spans.score[said[rows]], kind="stable")]
    rows = rows[np.argsort(number[rows].astype(np.int16 if len(classes) < 1 << 15 else np.int32), kind="stable")]
    ranked = said[rows]
    clip = spans.clip[ranked].astype(np.int64)
    wanted = number[rows].astype(np.int64) * n + clip
    group = np.searchsorted(groups, wanted).clip(max=len(groups) - 1)
    group[groups[group] != wanted] = -1
    matches, thresholds = np.empty(len(ranked), dtype=np.uint16), np.array(THRESHOLDS)
    mark_matches(
        group,
        spans.onset[ranked],
        spans.offset[ranked],
        np.append(group_first, len(key)).astype(np.int64),
        true.onset[by_class],
        true.offset[by_class],
        thresholds,
        np.zeros(len(key), dtype=np.uint16),
        np.empty(len(thresholds), dtype=np.int64),
        np.empty(len(thresholds)),
        matches,
    )
    hits = np.zeros(len(said), dtype=bool)
    hits[rows] = matches >> AT_HALF & 1
    edges = np.arange(len(classes) + 1)
    ranking = Ranking(
        clips=len(spans.clips),
        classes=classes,
        clip=clip,
        first=np.searchsorted(number[rows], edges),
        matches=matches,
        true_clip=true.clip[by_class],
        true_first=np.searchsorted(true_class[by_class], edges),
    )
    return ranking, hits


def _by_class(ranking: Ranking, labels: Sequence[str]) -> PerClass:
    """AP of each label that is true somewhere, in percent, and how many events there are."""
    found: dict[str, dict[str, float]] = {}
    said, true = np.diff(ranking.first).tolist(), np.diff(ranking.true_first).tolist()
    for place, label in enumerate(ranking.classes.tolist()):
        values = (100.0 * ranking.alone[place]).tolist()
        figures = {f"ap-{threshold}": value for threshold, value in zip(THRESHOLDS, values, strict=True)}
        counts = {"events-true": true[place], "events-said": said[place]}
        found[labels[label]] = {**figures, "ap": float(np.mean(values)), **counts}
    return found


def _by_clip(n: int, clip: NDArray[Any], hits: NDArray[np.bool_], true_clip: NDArray[np.int64]) -> Mapping[str, Floats]:
    """Of each clip alone F1 in percent, matches having an IoU of half at least, and how many events there are."""
    said, right, true = (
        np.bincount(clips, minlength=n + 1)[:n].astype(np.float64) for clips in (clip, clip[hits], true_clip)
    )
    with np.errstate(invalid="ignore"):
        return {"f1-0.5": 200.0 * right / (said + true), "events-true": true, "events-said": said}


def _notes(spans: "Spans", said: NDArray[np.int64]) -> tuple[str, ...]:
    others = int((spans.clip[said] == len(spans.clips)).sum())
    if not others:
        return ()
    return (f"{others:,} audiovisual events lie in files outside the split and count as wrong",)
