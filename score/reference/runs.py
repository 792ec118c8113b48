"""Decoding of margins in time, in plain Python (docs/rules.md): paths with a penalty a run, medians, AV²A's runs."""

import itertools
from collections.abc import Sequence

Segments = list[bool]
"""Which segments are on."""


def best_path(margins: Sequence[float], penalty: float) -> Segments:
    """On or off a segment: the largest sum of the margins of what is on, less a penalty a run.

    Of equal paths the one that is off in the last segment in which they differ; of two that are on there, the one that
    begins anew.
    """
    off: tuple[float, Segments] = (0.0, [])
    on: tuple[float, Segments] = (float("-inf"), [])
    for margin in margins:
        start, stay = off[0] - penalty, on[0]
        began = start >= stay
        next_on = ((start if began else stay) + margin, [*(off if began else on)[1], True])
        ends = on[0] > off[0]
        off = ((on if ends else off)[0], [*(on if ends else off)[1], False])
        on = next_on
    return on[1] if on[0] > off[0] else off[1]


def worth(path: Sequence[bool], margins: Sequence[float], penalty: float) -> float:
    """What a path is worth."""
    runs = sum(1 for t, here in enumerate(path) if here and (t == 0 or not path[t - 1]))
    return sum(m for m, here in zip(margins, path, strict=True) if here) - penalty * runs


def best_by_trying(margins: Sequence[float], penalty: float) -> float:
    """The largest worth of all paths, tried one by one."""
    return max(worth(path, margins, penalty) for path in itertools.product((False, True), repeat=len(margins)))


def median_filter(path: Sequence[bool], width: int) -> Segments:
    """On where more than half of the segments around are; windows are cut at the clip's ends."""
    found = []
    for t in range(len(path)):
        around = path[max(0, t - width // 2) : t + width // 2 + 1]
        found.append(2 * sum(around) > len(around))
    return found


def run_rule(path: Sequence[bool]) -> Segments:
    """Runs of one segment are dropped, then holes of one are closed (docs/design.md 4.5)."""
    there = [False, *path, False]
    kept = [here and (there[t] or there[t + 2]) for t, here in enumerate(path)]
    there = [False, *kept, False]
    return [here or (there[t] and there[t + 2]) for t, here in enumerate(kept)]


def runs_of(path: Sequence[bool]) -> list[tuple[int, int]]:
    """First segment and one past the last of each run."""
    found = []
    for t, here in enumerate(path):
        if here and (t == 0 or not path[t - 1]):
            found.append([t, t + 1])
        elif here:
            found[-1][1] = t + 1
    return [(start, end) for start, end in found]
