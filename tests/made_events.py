"""Events made by hand, and random ones with their annotations."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from score import Annotations, ScoreConfig
from score.choices import STREAMS
from score.events import Events

Made = Mapping[str, Sequence[tuple[str, str, int, int]]]
"""By clip id: stream, label, first segment, one past the last."""


def made_events(clips: Made, labels: Sequence[str], segments: int = 10, scores: Any = None) -> Events:
    """Events of these clips, in the order given within a stream; scores in the order of the events, 1 by default."""
    rows = sorted(
        (
            (number, STREAMS.index(stream), labels.index(label), start, end)
            for number, found in enumerate(clips.values())
            for stream, label, start, end in found
        ),
        key=lambda row: row[:2],
    )
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    return Events(
        config=ScoreConfig.published("clip_clap"),
        clip_ids=tuple(clips),
        labels=tuple(labels),
        clip=table[:, 0].astype(np.int32),
        stream_number=table[:, 1].astype(np.int8),
        label=table[:, 2].astype(np.int32),
        start=table[:, 3].astype(np.int16),
        end=table[:, 4].astype(np.int16),
        score=np.ones(len(table)) if scores is None else np.array(scores, dtype=np.float64),
        segments=segments,
        segment_seconds=1.0,
        cache={},
        left_out={},
    )


def random_spans(rng: Any, labels: Sequence[str], segments: int, most: int) -> list[tuple[str, int, int]]:
    """Up to ``most`` events, some of them over the whole clip; they may touch and overlap."""
    found = []
    for _ in range(int(rng.integers(0, most + 1))):
        start = int(rng.integers(0, segments)) if rng.random() < 0.8 else 0
        end = int(rng.integers(start + 1, segments + 1)) if rng.random() < 0.8 else segments
        found.append((labels[int(rng.integers(len(labels)))], start, end))
    return found


LABELS = ("Dog", "Frying_(food)", "cat")
EVENTS = made_events(
    {
        "a_b": [("visual", "Dog", 0, 4), ("audio", "Dog", 0, 10), ("audiovisual", "Dog", 0, 4)],
        "c": [("visual", "cat", 2, 5)],
    },
    LABELS,
)
TRUTH: dict[str, dict[str, list[tuple[str, float, float]]]] = {
    "a_b_10_20": {"visual": [("dog", 0, 4)], "audio": [("dog", 0, 5)]},
    "c": {"visual": [("cat", 0.5, 3.2)]},
}


def annotations(kind: str = "llp", **clips: Any) -> Annotations:
    """TRUTH with some clips changed or added."""
    return Annotations.from_events({**TRUTH, **clips}, kind=kind)
