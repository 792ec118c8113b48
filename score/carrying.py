"""Label shift and priors that run on over the clips of one file (docs/design.md 4.9)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from score.errors import ScoreError
from score.passes import Pass, Progress
from score.rules.base import Part, Traced

CLIPS_AT_ONCE = 64


def carries(begun: Pass) -> bool:
    """Whether a pass's setting carries what it knows of labels over."""
    return bool(begun.facts.settings.get("carry"))


def carried(begun: Pass, progress: Progress) -> Iterator[tuple[NDArray[np.int32], tuple[Part, Traced | None]]]:
    """Events of a pass's clips, file after file, of each the clips in the order in which they begin.

    Yields:
        int32 (n,), numbers of the clips in the facts; and their events.

    Raises:
        ScoreError: the cache changes meanwhile.
    """
    make = begun.rule.carrier
    assert make is not None  # rules without one have no such parameter
    carrier = make(begun.config, begun.text, begun.cache)
    rows = np.flatnonzero(begun.done)
    total, seen = len(rows), 0
    for numbers in clips_of_files(begun):
        carrier.begin_file()
        for at in range(0, len(numbers), CLIPS_AT_ONCE):
            some = numbers[at : at + CLIPS_AT_ONCE]
            features = begun.cache.read(rows[some])
            if len(features) != len(some):
                raise ScoreError(f"{begun.cache.path} was changed while it was scored: score again")
            yield some, (carrier.score(features), None)
            seen += len(some)
            progress(seen, total)


def clips_of_files(begun: Pass) -> list[NDArray[np.int32]]:
    """Numbers of each file's clips, as they begin in it; files by their first clip."""
    origins, files = begun.facts.clips_from, dict[str, list[tuple[float, int]]]()
    for number, clip in enumerate(begun.facts.clip_ids):
        file, begins, _ = origins.get(clip, (clip, 0.0, None))
        files.setdefault(file, []).append((begins, number))
    return [np.array([number for _, number in sorted(clips)], np.int32) for clips in files.values()]
