"""Events as pages have them: columns of clips, differences of layers, truth, systems under common numbers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from score import Annotations, Events
from score.choices import STREAMS
from score.errors import ScoreError
from score.formats.base import EventBlock
from score.stitching import stitch
from score.view.clip_rows import clip_columns, differences, disagreement, flat_events, labels_by_clip, percents
from score.view.layers import Layers, lay
from score.view.true_events import true_events
from tests.made_events import Made, made_events

N, C, T = 3, 2, 6
Rows = list[tuple[int, int, int, int, int]]
ROWS = st.lists(
    st.tuples(
        st.integers(0, N - 1), st.integers(0, 2), st.integers(0, C - 1), st.integers(0, T - 1), st.integers(1, T)
    ).filter(lambda row: row[3] < row[4]),
    max_size=12,
)


def block_of(rows: Rows, score: float = 0.5) -> EventBlock:
    table = np.array(sorted(rows), dtype=np.int64).reshape(-1, 5)
    return EventBlock(
        table[:, 0].astype(np.int32), table[:, 1].astype(np.int8), table[:, 2].astype(np.int32),
        table[:, 3].astype(np.float64), table[:, 4].astype(np.float64), np.full(len(table), score),
    )  # fmt: skip


def test_columns() -> None:
    block = block_of([(0, 1, 1, 0, 2), (0, 1, 0, 3, 4), (2, 0, 1, 0, 6)])
    block.onset[0], block.score[:] = 0.1 + 0.2, [0.98765, np.nan, 0.25]
    block = block.part([1, 0, 2])
    assert flat_events(block, N) == [[1, 1, 0, 2, None, 1, 0, 0.3, 4, 0.9877], [], [0, 1, 0, 6, 0.25]]
    assert flat_events(block, N, scores=False)[2] == [0, 1, 0, 6]
    found = clip_columns(block, N)
    assert found == {"counts": [0, 2, 0, 0, 0, 0, 1, 0, 0], "score": [0.9877, None, 0.25], "labels": [[0, 1], [], [1]]}
    assert labels_by_clip([block, block_of([(1, 2, 0, 0, 1)])], N) == [[0, 1], [0], [1]]


@given(st.lists(ROWS, min_size=2, max_size=3))
def test_differences(layers: list[Rows]) -> None:
    """As segments that are counted one by one."""
    found = differences([block_of(rows) for rows in layers], N, C)
    for clip in range(N):
        covered = [
            {(stream, label, at) for own, stream, label, start, end in rows if own == clip for at in range(start, end)}
            for rows in layers
        ]
        union, common = set.union(*covered), set.intersection(*covered)
        assert found[clip] == pytest.approx(100 * (1 - len(common) / len(union)) if union else 0)


def test_disagreement() -> None:
    by_clip = {"f1": np.array([100.0, np.nan]), "none": np.full(2, np.nan)}
    name, values = disagreement(by_clip, "none", ("map", "f1")) or ("", np.empty(0))
    assert (name, percents(values)) == ("f1", [0.0, None])
    assert disagreement({"none": np.full(2, np.nan)}, "none", ()) is None


def truth_of(events: dict[str, dict[str, list[tuple[str, float, float]]]]) -> Annotations:
    return Annotations.from_events(events)


def test_truth() -> None:
    """Events that touch or overlap are one; what is seen and heard at once is both, unless it is said."""
    known = truth_of({"a": {"visual": [("x", 0, 2), ("x", 2, 3), ("y", 1, 4)], "audio": [("x", 1, 5)]}, "b": {}})
    found = true_events(known, {"a": 1, "b": 0}, {"x": 4, "y": 2})
    rows = list(zip(*(column.tolist() for column in found.columns[:5]), strict=True))
    assert rows == [(1, 0, 4, 1, 3), (1, 1, 2, 1, 4), (1, 1, 4, 0, 3), (1, 2, 4, 1, 5)]
    heard = true_events(replace(known, streams=("audio",)), {"a": 1}, {"x": 4, "y": 2})
    assert heard.stream.tolist() == [STREAMS.index("audio")]
    said = true_events(replace(known, audiovisual={"a": [("y", 0, 1)]}), {"a": 1}, {"x": 4, "y": 2})
    assert said.part(said.stream == 0).label.tolist() == [2]
    assert len(true_events(truth_of({"b": {}}), {"b": 0}, {})) == 0


def laid(systems: dict[str, Events], annotations: Annotations | None = None) -> Layers:
    return lay({name: (each.facts, each.block) for name, each in systems.items()}, annotations)


def test_systems_under_common_numbers() -> None:
    """Other orders, other spellings, clips and labels that one alone has."""
    one: Made = {"a": [("visual", "Dog", 0, 1)], "b": [("audio", "cat food", 1, 2)]}
    other: Made = {"b": [("audio", "Cat_food", 1, 3)], "c": [("visual", "Owl", 0, 5)]}
    found = laid({"one": made_events(one, ("Dog", "cat food")), "other": made_events(other, ("Owl", "Cat_food"))})
    assert found.clip_ids == ("a", "b", "c")
    assert found.labels == ("Dog", "cat food", "Owl")
    assert [flat_events(block, 3) for block in found.events] == [
        [[1, 0, 0, 1, 1.0], [2, 1, 1, 2, 1.0], []],
        [[], [2, 1, 1, 3, 1.0], [1, 2, 0, 5, 1.0]],
    ]
    assert found.absent == ([2], [0])
    assert found.truth is None
    assert found.seconds.tolist() == [10, 10, 10]


def test_truth_beside_systems() -> None:
    """Clips that two systems call otherwise are one where the annotations say so."""
    one: Made = {"videos/a": [("visual", "Dog", 0, 1)]}
    other: Made = {"a.mp4": [("visual", "Dog", 0, 2)]}
    known = truth_of({"a": {"visual": [("dog", 0, 3)], "audio": []}})
    found = laid({"one": made_events(one, ("Dog",)), "other": made_events(other, ("Dog",))}, known)
    assert (found.clip_ids, found.labels, found.annotated) == (("videos/a",), ("Dog",), {"a": 0})
    assert found.truth is not None
    assert flat_events(found.truth, 1, scores=False) == [[1, 0, 0, 3]]


def test_whole_files() -> None:
    clips: Made = {"f#0": [("audio", "Dog", 8, 10)], "f#1": [("audio", "Dog", 0, 1)], "g": []}
    places: dict[str, Any] = {"f#0": ("f", 0.0, None), "f#1": ("f", 10.0, 13.5)}
    cut = replace(made_events(clips, ("Dog",)), clips_from=places)
    found = laid({"a": stitch(cut)})
    assert (found.clip_ids, found.seconds.tolist(), found.stitched) == (("f", "g"), [13.5, 10.0], True)
    assert found.origins == {}
    assert laid({"a": cut}).origins == places
    with pytest.raises(ScoreError, match="b: events of clips, beside others of whole files"):
        laid({"a": stitch(cut), "b": cut})
