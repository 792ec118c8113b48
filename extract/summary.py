"""How a run ended, and what a person should know of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_cache import DONE, FAILED, PENDING, FeatureCache
from feature_cache.layout import MISSING_NAMES


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Attributes:
        path: the cache.
        done: clips whose embeddings are in the cache.
        failed: reason of each clip that has none, by clip id.
        skipped: clips, done or failed, that were in the cache before this run and were let alone.
        seconds: duration of the run.
        text_name: the label set that was added (or was there).
        stages: seconds spent in "decode", "prepare", "encode" and "write", added up over threads.
        notes: what else a person should know, a line each.
        nothing: why nothing was done, where something was to be added.
    """

    path: str
    done: int
    failed: Mapping[str, str]
    skipped: int
    seconds: float
    text_name: str
    stages: Mapping[str, float]
    notes: tuple[str, ...] = ()
    nothing: str = ""


def rows_of(
    cache: FeatureCache, status: NDArray[np.uint8], mine: NDArray[np.bool_] | None = None
) -> tuple[int, dict[str, str]]:
    """How many rows are done, and why others failed, by clip id.

    Args:
        cache: the cache.
        status: uint8 (N,), the rows'.
        mine: bool (N,), which rows are asked for; None: all of them.
    """
    codes = status if mine is None else np.where(mine, status, PENDING)
    failed = np.flatnonzero(codes == FAILED).tolist()
    reasons = cache.reasons() if failed else {}
    return int((codes == DONE).sum()), {
        clip: reasons[clip] for row in failed if (clip := cache.clip_ids[row]) in reasons
    }


def segments_notes(cache: FeatureCache, asked: bool | None) -> tuple[str, ...]:
    """That a cache is without the sound of each segment, where that was not asked for."""
    if "audio_segments" in cache.arrays or asked is False or cache.kind == "probabilities":
        return ()
    return (f"{cache.path} is without the sound of each segment, as it was made: `add='audio-segments'` adds it",)


def batch_notes(asked: int, left: int) -> tuple[str, ...]:
    """That batches had to become smaller."""
    if left >= asked:
        return ()
    return (
        f"memory was full with batches of {asked}, the rest went in batches of {left}: `batch_size={left}` begins so",
    )


def missing_notes(missing: NDArray[np.uint8]) -> tuple[str, ...]:
    """How many clips have no picture, or no sound; ``missing`` is uint8 (n,), of those that are done."""
    return tuple(
        f"clips without {what}: {count}, scored on what they have"
        for bit, what in MISSING_NAMES.items()
        if (count := int((missing == bit).sum()))
    )


def gone_notes(count: int, source: Path, pruned: bool) -> tuple[str, ...]:
    """What became of the clips of a cache whose files are not there any more."""
    if not count:
        return ()
    if pruned:
        return (f"{count} clips removed that are not in {source} any more",)
    return (f"{count} clips of the cache are not in {source} any more: kept; `prune=True` removes them",)
