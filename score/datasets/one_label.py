"""Events read as one label a segment (docs/design.md 4.8)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from feature_cache.names import folded
from score.choices import NOTHING, STREAMS

if TYPE_CHECKING:
    from score.events import Events

BACKGROUND = ("other", "background")
"""Labels that mean that nothing happens, where one label a segment is read."""


def labels_of_segments(events: "Events") -> NDArray[np.int64]:
    """The label of each segment, int64 (n, T): of the audiovisual events there the one with the best score.

    Of equal scores the first event counts. NOTHING where there is none.
    """
    from score.kernels.one_label import label_of_segments  # compiled: of no use to who only reads annotations

    found = np.full((len(events.clip_ids), events.segments), NOTHING, dtype=np.int64)
    rows = np.flatnonzero(events.stream_number == STREAMS.index("audiovisual"))
    rows = rows[np.lexsort((-events.score[rows], events.clip[rows]))]
    clip, label, start, end = (
        column[rows].astype(np.int64) for column in (events.clip, events.label, events.start, events.end)
    )
    label_of_segments(clip, label, start, end, found)
    return found


def background_of(labels: Sequence[str]) -> int:
    """Number of the label that means nothing; NOTHING where there is none."""
    return next((number for number, label in enumerate(labels) if folded(label) in BACKGROUND), NOTHING)
