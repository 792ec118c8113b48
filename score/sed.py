"""Figures of sound event detection as sed_eval defines them: F1 and error rate of events within a collar, of segments.

A. Mesaros, T. Heittola, T. Virtanen, Metrics for Polyphonic Sound Event Detection, Applied Sciences 6(6), 2016.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from score.matching import largest_matching
from score.runs import Runs, joined_runs, overlaps, ranges

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OFFSET_SHARE = 0.5
"""Of a true event's length: so far from its offset, or the collar if that is more, a found one may end."""
REF, SYS, TP, SUBSTITUTED, DELETED, INSERTED = range(6)
"""Columns of counts."""
RATES = ("f1", "precision", "recall", "error-rate", "substitution-rate", "deletion-rate", "insertion-rate")
_PAIRS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class Columns:
    """E events of one stream, in the order of their file.

    Attributes:
        clip: int64 (E,), number of the clip.
        label: int64 (E,), number of the label.
        onset: float64 (E,), seconds.
        offset: float64 (E,), seconds.
    """

    clip: Ints
    label: Ints
    onset: Floats
    offset: Floats


@dataclass(frozen=True, eq=False)
class Counts:
    """What is counted of events or segments.

    Attributes:
        by_clip: float64 (n, 6): REF that are true, SYS that are found, TP, and errors SUBSTITUTED, DELETED, INSERTED.
        by_label: float64 (C, 6), likewise; without substitutions, as there is nothing to be mistaken for.
    """

    by_clip: Floats
    by_label: Floats


def event_counts(true: Columns, found: Columns, clips: int, labels: int, collar: float) -> Counts:
    """Events: found within the collar of a true one's onset, and of its offset or half its length, label by label.

    Of all ways to pair them one with the most pairs counts. Of what is left, a found event that fits a true one but for
    its label is a substitution.

    Args:
        true: true events.
        found: found events.
        clips: n.
        labels: C.
        collar: seconds.
    """
    one, other = _within(true, found, collar)
    matched_true, matched_found = np.zeros(len(true.clip), bool), np.zeros(len(found.clip), bool)
    same = true.label[one] == found.label[other]
    for j, i in _matched(one[same], other[same], true, labels):
        matched_true[j] = matched_found[i] = True
    left = ~(matched_true[one] | matched_found[other])
    fit_true, fit_found = np.zeros(len(true.clip), bool), np.zeros(len(found.clip), bool)
    for j, i in zip(one[left].tolist(), other[left].tolist(), strict=True):
        if not (fit_true[j] or fit_found[i]):
            fit_true[j] = fit_found[i] = True
    by_clip, by_label = np.zeros((clips, 6)), np.zeros((labels, 6))
    for table, of_true, of_found in ((by_clip, true.clip, found.clip), (by_label, true.label, found.label)):
        size = len(table)
        table[:, REF] = np.bincount(of_true, minlength=size)
        table[:, SYS] = np.bincount(of_found, minlength=size)
        table[:, TP] = np.bincount(of_true[matched_true], minlength=size)
    by_clip[:, SUBSTITUTED] = np.bincount(true.clip[fit_true], minlength=clips)
    for table in (by_clip, by_label):
        table[:, DELETED] = table[:, REF] - table[:, TP] - table[:, SUBSTITUTED]
        table[:, INSERTED] = table[:, SYS] - table[:, TP] - table[:, SUBSTITUTED]
    return Counts(by_clip, by_label)


def _within(true: Columns, found: Columns, collar: float) -> tuple[Ints, Ints]:
    """Pairs of a true and a found event of one clip that fit but for their labels, in the order of both."""
    order = np.lexsort((found.onset, found.clip))
    wide = collar * (1.0 + 1e-9) + 1e-9
    low, high = true.onset - wide, true.onset + wide
    positions = np.unique(np.concatenate([found.onset, low, high]))
    places = found.clip[order] * len(positions) + np.searchsorted(positions, found.onset[order])
    clip = true.clip * len(positions)
    first = np.searchsorted(places, clip + np.searchsorted(positions, low), side="left")
    last = np.searchsorted(places, clip + np.searchsorted(positions, high), side="right")
    pairs = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    parts = np.flatnonzero(np.diff(np.cumsum(last - first) // _PAIRS_AT_ONCE, prepend=0)).tolist()
    for begin, end in zip([0, *parts], [*parts, len(first)], strict=True):
        one, place = ranges(first[begin:end], last[begin:end])
        one, other = one + begin, order[place]
        tolerance = np.maximum(collar, OFFSET_SHARE * (true.offset[one] - true.onset[one]))
        fits = np.abs(true.onset[one] - found.onset[other]) <= collar
        fits &= np.abs(true.offset[one] - found.offset[other]) <= tolerance
        pairs.append((one[fits], other[fits]))
    one, other = (np.concatenate(each) for each in zip(*pairs, strict=True))
    by_row = np.lexsort((other, one))
    return one[by_row], other[by_row]


def _matched(one: Ints, other: Ints, true: Columns, labels: int) -> Sequence[tuple[int, int]]:
    """Of pairs of equal labels those that are matched: as many as can be in each clip and label."""
    group = true.clip[one] * labels + true.label[one]
    crowded = np.zeros(len(one), bool)
    for side in (one, other):
        _, at, times = np.unique(side, return_inverse=True, return_counts=True)
        crowded |= times[at] > 1
    crowded = np.isin(group, group[crowded])
    found = list(zip(one[~crowded].tolist(), other[~crowded].tolist(), strict=True))
    graphs: dict[int, dict[int, list[int]]] = {}
    for key, j, i in zip(group[crowded].tolist(), one[crowded].tolist(), other[crowded].tolist(), strict=True):
        graphs.setdefault(key, {}).setdefault(i, []).append(j)
    for graph in graphs.values():
        found += largest_matching(graph).items()
    return found


def segment_counts(true: Columns, found: Columns, clips: int, labels: int, resolution: float) -> Counts:
    """Segments in which a label is true, found, both; errors of a segment that could be substitutions are.

    Args:
        true: true events.
        found: found events.
        clips: n.
        labels: C.
        resolution: seconds a segment; one counts in which some of an event lies.
    """
    runs = [segment_runs(each, labels, resolution) for each in (true, found)]
    both = overlaps(*runs).common
    by_label = np.zeros((labels, 6))
    for column, each in ((REF, runs[0]), (SYS, runs[1]), (TP, both)):
        by_label[:, column] = np.bincount(each.key % labels, weights=each.length, minlength=labels)
    by_label[:, DELETED] = by_label[:, REF] - by_label[:, TP]
    by_label[:, INSERTED] = by_label[:, SYS] - by_label[:, TP]
    return Counts(_by_clip(runs[0], runs[1], both, clips, labels), by_label)


def _by_clip(true: Runs, found: Runs, both: Runs, clips: int, labels: int) -> Floats:
    """Counts of each clip: how many labels are active changes at the ends of runs alone."""
    three = (true, found, both)
    clip = np.concatenate([each.key // labels for each in three for _ in range(2)])
    position = np.concatenate([end for each in three for end in (each.start, each.end)])
    change = np.zeros((len(clip), 3))
    at = 0
    for column, each in enumerate(three):
        for step in (1.0, -1.0):
            change[at : at + len(each), column] = step
            at += len(each)
    order = np.lexsort((position, clip))
    clip, position = clip[order], position[order]
    ref, sys, tp = np.cumsum(change[order], axis=0).T  # zeros again at the end of each clip
    length = np.diff(position, append=0.0)
    length[np.flatnonzero(np.diff(clip, append=-1))] = 0.0
    counts = np.zeros((clips, 6))
    errors = {
        REF: ref, SYS: sys, TP: tp, SUBSTITUTED: np.minimum(ref, sys) - tp, DELETED: np.maximum(0, ref - sys),
        INSERTED: np.maximum(0, sys - ref),
    }  # fmt: skip
    for column, values in errors.items():
        counts[:, column] = np.bincount(clip, weights=values * length, minlength=clips)
    return counts


def segment_runs(events: Columns, labels: int, resolution: float) -> Runs:
    """Segments in which some of an event lies, by clip and label (clip · C + label)."""
    start = np.floor(events.onset / resolution + 1e-9)
    end = np.maximum(np.ceil(events.offset / resolution - 1e-9), start + 1)
    return joined_runs(events.clip * labels + events.label, start, end)


def rates(counts: Floats) -> Mapping[str, Floats]:
    """RATES of counts, float64 (..., 6): (...,) each; percent but for error rates, which are shares of what is true.

    What would be divided by nothing is NaN: what was never found has no precision, what is never true no recall.
    """
    ref, sys, tp, substituted, deleted, inserted = (counts[..., column] for column in range(6))
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = tp / np.where(sys > 0, sys, np.nan), tp / np.where(ref > 0, ref, np.nan)
        f1 = np.where(precision + recall == 0, 0.0, 2 * precision * recall / (precision + recall))
        parts = [each / np.where(ref > 0, ref, np.nan) for each in (substituted, deleted, inserted)]
    error = parts[0] + parts[1] + parts[2]
    return dict(zip(RATES, (100.0 * f1, 100.0 * precision, 100.0 * recall, error, *parts), strict=True))


def mean_rates(by_label: Floats) -> Mapping[str, float]:
    """Means over the labels that are true somewhere, of those for which a rate is defined."""
    found = rates(by_label[by_label[:, REF] > 0])
    return {
        name: float(values[~np.isnan(values)].mean()) if (~np.isnan(values)).any() else np.nan
        for name, values in found.items()
        if name != "substitution-rate"
    }
