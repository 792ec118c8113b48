"""One pass over the clips of a cache that are done: what is known of them, and something made of each shard."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from feature_cache import DONE, FAILED, MISSING_NAMES, PENDING, FeatureCache, Features, TextSet, stopping
from feature_cache.names import shortened
from score.errors import ScoreError
from score.event_facts import EventFacts, origins_in
from score.parameters import Parameters
from score.rules import Rule, rule_of

MOST_THREADS = 1024

Made = TypeVar("Made")
Progress = Callable[[int, int], None]
"""Called with the number of clips that are done with, and of all."""


@dataclass(frozen=True, eq=False)
class Pass:
    """A pass with one setting.

    Attributes:
        cache: the cache.
        rule: the decision rule.
        config: the setting as it applies to the cache.
        text: the label set.
        facts: what is known of the clips and their events.
        done: bool (N,), rows that were done when it began.
        threads: threads to use.
    """

    cache: FeatureCache
    rule: Rule
    config: Any
    text: TextSet
    facts: EventFacts
    done: NDArray[np.bool_]
    threads: int

    def shards(self, make: Callable[[Features], Made], progress: Progress) -> Iterator[tuple[NDArray[np.int32], Made]]:
        """What is made of each shard, in order.

        Args:
            make: called in threads.
            progress: see ``Progress``.

        Yields:
            int32 (n,), numbers of the shard's clips in the facts, -1 for those that were not done when the pass began;
            and what was made of the n clips.

        Raises:
            ScoreError: the cache changes meanwhile.
        """
        total, seen = int(self.done.sum()), 0
        number = np.where(self.done, np.cumsum(self.done) - 1, -1).astype(np.int32)
        for rows, made in self._made(make):
            clip = number[rows]
            known = clip[clip >= 0]
            if (known != np.arange(seen, seen + len(known))).any():
                break
            seen += len(known)
            yield clip, made
            progress(seen, total)
        if seen < total:
            raise ScoreError(
                f"{self.cache.path} was changed while it was scored: wait until it is complete, then score again"
            )

    def clips(self, numbers: Sequence[int], make: Callable[[Features], Made]) -> Iterator[Made]:
        """What is made of some clips, by their numbers in the facts, as many at a time as a shard has."""
        rows = np.flatnonzero(self.done)[np.asarray(numbers, dtype=np.int64)]
        for at in range(0, len(rows), self.cache.shard_size):
            yield make(self.cache.read(rows[at : at + self.cache.shard_size]))

    def numbers(self, clips: Sequence[str]) -> list[int]:
        """Numbers of clips in the facts, by name.

        Raises:
            ScoreError: a name is none of a clip that is done.
        """
        known = {clip: number for number, clip in enumerate(self.facts.clip_ids)}
        for clip in clips:
            if clip not in known:
                raise ScoreError(f"{self.cache.path}: no clip {shortened(clip, 60)!r} that is done")
        return [known[clip] for clip in clips]

    def _made(self, make: Callable[[Features], Made]) -> Iterator[tuple[NDArray[np.int64], Made]]:
        def of(features: Features) -> tuple[NDArray[np.int64], Made]:
            return features.rows, make(features)

        with stopping.threads(self.threads) as pool:
            waiting: deque[Future[tuple[NDArray[np.int64], Made]]] = deque()
            for features in self.cache.iter_shards():
                waiting.append(pool.submit(of, features))
                if len(waiting) > 2 * self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def begin_pass(cache: FeatureCache, config: Parameters, text: str | None, threads: int | None) -> Pass:
    """Look at a cache and a setting before any clip is read.

    Args:
        cache: an open feature cache.
        config: the setting.
        text: name of the label set in the cache; None if there is one only.
        threads: threads to use, by default one a core.

    Raises:
        ScoreError: the clips cannot be scored, or not with this setting.
        CacheError: the cache cannot be read, or holds no such text set.
    """
    if threads is not None and threads < 1:
        raise ScoreError(f"threads must be at least 1, got {threads}")
    if threads is not None and threads > MOST_THREADS:
        raise ScoreError(f"threads must be at most {MOST_THREADS}, got {threads}")
    labels = cache.text(text)
    rule = rule_of(config)
    config = rule.fitting(cache, config)
    origins = origins_in(cache)
    state, ids = cache.progress(), cache.clip_ids
    status, missing = state.status, state.missing
    done = status == DONE
    facts = EventFacts(
        config=config,
        clip_ids=tuple(ids[row] for row in np.flatnonzero(done).tolist()),
        labels=labels.labels,
        segments=cache.segments,
        segment_seconds=cache.segment_seconds,
        cache={"identity": state.identity, "backbone": cache.backbone, "text": labels.name},
        left_out={"pending": int((status == PENDING).sum()), "failed": int((status == FAILED).sum())},
        missing={ids[row]: MISSING_NAMES[missing[row]] for row in np.flatnonzero(done & (missing > 0)).tolist()},
        clips_from=origins,
    )
    return Pass(cache, rule, config, labels, facts, done, threads or os.cpu_count() or 1)
