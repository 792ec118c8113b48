"""Figures of sound event detection: those of sed_eval itself, and what its papers say, read plainly."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score.matching import largest_matching
from score.runs import joined_runs, overlaps
from score.sed import Columns, event_counts, mean_rates, rates, segment_counts

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "sed_eval" / "sed_eval.json").read_text())
Row = tuple[int, int, float, float]
"""Clip, label, onset, offset."""


def columns(rows: list[Row]) -> Columns:
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Columns(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3])


@pytest.mark.parametrize("case", GOLDEN, ids=range(len(GOLDEN)))
def test_sed_eval_itself(case: dict[str, Any]) -> None:
    labels = sorted({row[1] for row in case["true"] + case["found"]})
    clips = sorted({row[0] for row in case["true"] + case["found"]})
    true, found = (
        columns([(clips.index(clip), labels.index(label), *times) for clip, label, *times in case[side]])
        for side in ("true", "found")
    )
    events = event_counts(true, found, len(clips), len(labels), case["collar"])
    segments = segment_counts(true, found, len(clips), len(labels), 1.0)
    compared = 0
    for level, counts in (("event", events), ("segment", segments)):
        ours = {f"{level}-{name}": float(value) for name, value in rates(counts.by_clip.sum(axis=0)).items()}
        ours |= {f"{level}-class-{name}": value for name, value in mean_rates(counts.by_label).items()}
        for name, value in ours.items():
            expected = case["figures"][name]
            scale = 1.0 if name.endswith("-rate") else 100.0
            assert value / scale == pytest.approx(math.nan if expected is None else expected, abs=1e-9, nan_ok=True), (
                name
            )
            compared += 1
    assert compared == len(case["figures"])


def test_golden_cases_are_of_all_kinds() -> None:
    assert len(GOLDEN) == 40
    assert any(case["figures"]["event-f1"] is None for case in GOLDEN)
    assert sum(0 < case["figures"]["event-substitution-rate"] < 1 for case in GOLDEN) > 5
    assert any(case["figures"]["segment-error-rate"] > 1 for case in GOLDEN)


GRAPHS = st.dictionaries(
    st.integers(0, 5), st.lists(st.integers(0, 5), min_size=1, max_size=5, unique=True), max_size=6
)


def most_pairs(graph: dict[int, list[int]], taken: frozenset[int] = frozenset()) -> int:
    """Trying everything."""
    if not graph:
        return 0
    left, *rest = graph
    others = {each: graph[each] for each in rest}
    free = [right for right in graph[left] if right not in taken]
    return max([most_pairs(others, taken), *(1 + most_pairs(others, taken | {right}) for right in free)])


@given(GRAPHS)
@settings(max_examples=50)
def test_no_matching_is_larger(graph: dict[int, list[int]]) -> None:
    found = largest_matching(graph)
    assert len(set(found.values())) == len(found)
    assert all(right in graph[left] for right, left in found.items())
    assert len(found) == most_pairs(graph)


def test_long_paths_are_turned_over() -> None:
    """A chain whose only largest matching moves every pair, longer than Python recurses."""
    size = 5_000
    graph = {left: [left, left + 1] for left in range(size)}
    graph[size] = [0]
    found = largest_matching(graph)
    assert len(found) == size + 1


STRETCHES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(1, 5)).map(lambda x: (x[0], x[1], x[1] + x[2])),
    max_size=12,
)


def cells(stretches: list[tuple[int, int, int]]) -> set[tuple[int, int]]:
    return {(key, place) for key, start, end in stretches for place in range(start, end)}


def runs_of(stretches: list[tuple[int, int, int]]) -> Any:
    table = np.array(stretches, dtype=np.float64).reshape(-1, 3)
    return joined_runs(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])


def as_stretches(runs: Any) -> list[tuple[int, int, int]]:
    return list(zip(runs.key.tolist(), runs.start.astype(int).tolist(), runs.end.astype(int).tolist(), strict=True))


@given(STRETCHES, STRETCHES)
def test_runs_are_sets_of_places(ours: list[tuple[int, int, int]], theirs: list[tuple[int, int, int]]) -> None:
    one, other = runs_of(ours), runs_of(theirs)
    for stretches, runs in ((ours, one), (theirs, other)):
        joined = as_stretches(runs)
        assert cells(joined) == cells(stretches)
        assert joined == sorted(joined)
        assert all(a[0] != b[0] or a[2] < b[1] for a, b in itertools.pairwise(joined))
    pairs = overlaps(one, other)
    common = as_stretches(pairs.common)
    assert cells(common) == cells(ours) & cells(theirs)
    mine, yours = as_stretches(one), as_stretches(other)
    for i, j, stretch in zip(pairs.ours.tolist(), pairs.theirs.tolist(), common, strict=True):
        assert cells([stretch]) == cells([mine[i]]) & cells([yours[j]])


EVENTS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 20), st.integers(1, 20)).map(
        lambda x: (x[0], x[1], x[2] / 4, (x[2] + x[3]) / 4)
    ),
    max_size=10,
)


@given(EVENTS, EVENTS)
def test_segments_one_by_one(true: list[Row], found: list[Row]) -> None:
    counts = segment_counts(columns(true), columns(found), 2, 3, 1.0)
    active = [
        {(clip, label, s) for clip, label, on, off in rows for s in range(math.floor(on), math.ceil(off))}
        for rows in (true, found)
    ]
    for clip in range(2):
        expected = np.zeros(6)
        for s in range(12):
            true_here, found_here = ({label for c, label, at in side if (c, at) == (clip, s)} for side in active)
            here, hits = (len(true_here), len(found_here)), len(true_here & found_here)
            expected += [
                *here, hits, min(here) - hits, max(0, here[0] - here[1]), max(0, here[1] - here[0])
            ]  # fmt: skip
        assert counts.by_clip[clip].tolist() == expected.tolist()
    for label in range(3):
        ref, sys = ({each for each in side if each[1] == label} for side in active)
        assert counts.by_label[label].tolist() == [
            len(ref),
            len(sys),
            len(ref & sys),
            0,
            len(ref - sys),
            len(sys - ref),
        ]


def test_figures_that_nothing_defines() -> None:
    none = event_counts(columns([]), columns([(0, 0, 1.0, 2.0)]), 1, 1, 0.2)
    assert {name for name, value in rates(none.by_clip[0]).items() if math.isnan(value)} == {
        "f1", "recall", "error-rate", "substitution-rate", "deletion-rate", "insertion-rate"
    }  # fmt: skip
    assert all(math.isnan(value) for value in mean_rates(none.by_label).values())


def test_a_collar_wider_than_the_clip() -> None:
    rows: list[Row] = [(0, 0, at / 10, at / 10 + 0.1) for at in range(100)]
    counts = event_counts(columns(rows), columns(rows[::-1]), 1, 1, 100.0)
    assert counts.by_clip[0].tolist() == [100, 100, 100, 0, 0, 0]
