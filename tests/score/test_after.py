"""After-processing: gaps that are closed and events that are dropped (docs/design.md 4.10)."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score import EventBlocks, Events, ScoreError, score, score_blocks
from score.after import after_processing
from score.formats.base import EventBlock
from tests.made_events import made_events
from tests.score.test_cache_kinds import CONFIG, kinds, make

Row = tuple[int, int, int, float, float, float]
"""Clip, stream, label, onset, offset, score."""
CLIPS, LABELS = 4, 3


def blocks_of(rows: list[Row], sizes: list[int], stitched: bool) -> EventBlocks:
    """Events in blocks of these sizes, over and over."""
    made = made_events({f"c{number}": [] for number in range(CLIPS)}, [f"l{number}" for number in range(LABELS)])
    facts = replace(made.facts, stitched=stitched)
    columns = [np.array(column) for column in zip(*rows, strict=True)] or [np.zeros(0)] * 6
    dtypes = (np.int32, np.int8, np.int32, np.float64, np.float64, np.float64)
    whole = EventBlock(*(column.astype(dtype) for column, dtype in zip(columns, dtypes, strict=True)))

    def parts() -> list[EventBlock]:
        found: list[EventBlock] = []
        at = number = 0
        while at < len(whole) or not found:
            size = sizes[number % len(sizes)]
            found.append(whole.part(slice(at, at + size)))
            at, number = at + size, number + 1
        return found

    return EventBlocks(facts, iter(parts()))


def rows_of(blocks: EventBlocks) -> list[Row]:
    return [
        (int(clip), int(stream), int(label), float(onset), float(offset), float(value))
        for block in blocks
        for clip, stream, label, onset, offset, value in zip(*(each.tolist() for each in block.columns), strict=True)
    ]


def plainly(rows: list[Row], gap: float | None, least: float | None, stitched: bool) -> list[Row]:
    """An event after the other: each joins those of its clip, stream and label that it reaches, until none is left."""
    groups: list[list[int]] = []
    for at, row in enumerate(rows):
        joined, others = [at], []
        for group in groups:
            near = gap is not None and any(rows[x][:3] == row[:3] and apart(rows[x], row) <= gap + 1e-6 for x in group)
            if near:
                joined += group
            else:
                others.append(group)
        groups = [*others, joined]
    found = []
    for group in sorted(groups, key=min):
        onset, offset = min(rows[x][3] for x in group), max(rows[x][4] for x in group)
        found.append((*rows[group[0]][:3], onset, offset, max(rows[x][5] for x in group)))
    if stitched and gap is not None:
        found.sort(key=lambda row: (row[0], row[1], row[3], row[4], row[2]))
    return [row for row in found if least is None or row[4] - row[3] >= least - 1e-6]


def apart(one: Row, other: Row) -> float:
    return max(one[3] - other[4], other[3] - one[4])


seconds = st.integers(0, 40).map(lambda tenths: tenths / 10)
events = st.tuples(
    st.integers(0, CLIPS - 1), st.integers(0, 2), st.integers(0, LABELS - 1), seconds, st.integers(1, 20),
    st.integers(0, 100),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(events, max_size=25),
    st.none() | seconds,
    st.none() | seconds,
    st.booleans(),
    st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any),
)
def test_it_does_what_it_says(
    drawn: list[tuple[int, int, int, float, int, int]], gap: float | None, least: float | None, stitched: bool,
    sizes: list[int],
) -> None:  # fmt: skip
    """However the events are parted into blocks."""
    rows: list[Row] = [(*row[:3], row[3], row[3] + row[4] / 10, row[5] / 100) for row in drawn]
    rows.sort(key=lambda row: (row[0], row[1], row[3], row[4], row[2]) if stitched else row[:1])
    found = after_processing(blocks_of(rows, sizes, stitched), gap, least)
    used = {name: value for name, value in (("merge_gap", gap), ("min_duration", least)) if value is not None}
    assert found.facts.after_processing == used
    assert rows_of(found) == plainly(rows, gap, least, stitched)


def test_what_is_exactly_as_long_counts() -> None:
    """A gap of a third of a second thrice, in numbers that no sum gives back."""
    third = 1 / 3
    rows: list[Row] = [(0, 0, 0, 0.0, 0.1, 0.3), (0, 0, 0, 0.1 + third, 0.7, 0.5), (0, 0, 0, 0.7 + third, 1.2, 0.4)]
    assert rows_of(after_processing(blocks_of(rows, [9], False), third)) == [(0, 0, 0, 0.0, 1.2, 0.5)]
    assert len(rows_of(after_processing(blocks_of(rows, [9], False), third - 1e-3))) == 3
    assert len(rows_of(after_processing(blocks_of(rows, [9], False), None, 0.1))) == 3
    assert len(rows_of(after_processing(blocks_of(rows, [9], False), None, 0.1001))) == 2


def test_labels_streams_and_clips_stay_apart() -> None:
    rows: list[Row] = [(0, 0, 0, 0, 1, 1), (0, 0, 1, 1, 2, 1), (0, 1, 0, 1, 2, 1), (1, 0, 0, 1, 2, 1)]
    assert rows_of(after_processing(blocks_of(rows, [2], False), 5.0)) == rows


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_refused(wrong: float) -> None:
    with pytest.raises(ScoreError, match="`merge_gap` must be seconds from 0 on"):
        after_processing(blocks_of([], [1], False), wrong)
    with pytest.raises(ScoreError, match="`min_duration` must be seconds from 0 on"):
        after_processing(blocks_of([], [1], False), None, wrong)


def test_events_that_are_not_sorted() -> None:
    rows: list[Row] = [(1, 0, 0, 0, 1, 1), (0, 0, 0, 0, 1, 1)]
    with pytest.raises(ScoreError, match="not sorted by clip"):
        rows_of(after_processing(blocks_of(rows, [1], False), 1.0))


def test_of_a_cache(tmp_path: Path) -> None:
    """The library's arguments, what files keep of them, and files without them, which are as before."""
    cache = make(tmp_path / "c.zarr", **kinds()["all"])
    config = CONFIG.replace(refinement=False)
    plain = score(cache, config)
    found = score(cache, config, merge_gap=1, min_duration=3)
    expected = rows_of(after_processing(plain.blocks(), 1, 3))
    assert rows_of(found.blocks()) == expected
    assert 0 < len(found) < len(plain)
    assert found.after_processing == {"merge_gap": 1.0, "min_duration": 3.0}
    for ending in ("json", "jsonl", "parquet"):
        score_blocks(cache, config, min_duration=3, merge_gap=1).write(tmp_path / f"e.{ending}")
        again = Events.read(tmp_path / f"e.{ending}")
        assert again.after_processing == found.after_processing
        assert rows_of(again.blocks()) == expected
    plain.write(tmp_path / "plain.json")
    assert "after_processing" not in json.loads((tmp_path / "plain.json").read_text())
    assert Events.read(tmp_path / "plain.json").after_processing == {}
    assert score(cache, config, min_duration=0).after_processing == {"min_duration": 0.0}


@pytest.mark.parametrize(
    "damaged", ['{"merge_gap": -1}', '{"merge_gap": "1"}', '{"gap": 1}', "[]", '{"merge_gap": 1e999}']
)
def test_damaged_facts(damaged: str, tmp_path: Path) -> None:
    file = tmp_path / "e.json"
    made_events({"a": [("visual", "x", 0, 2)]}, ["x"]).write(file)
    text = file.read_text().replace('"config"', f'"after_processing": {damaged},\n "config"', 1)
    file.write_text(text)
    with pytest.raises(ScoreError, match=r"e\.json: damaged"):
        Events.read(file)


def test_facts_that_come_late(tmp_path: Path) -> None:
    file = tmp_path / "e.json"
    made_events({"a": [("visual", "x", 0, 2)]}, ["x"]).write(file)
    found = json.loads(file.read_text())
    file.write_text(json.dumps({**found, "after_processing": {"merge_gap": 1.0}}))
    with pytest.raises(ScoreError, match="'after_processing' stands after the events"):
        Events.read(file)
