"""This machine's threads: clips are decoded side by side, encoded clip by clip, written shard by shard."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from extract.errors import MediaError
from extract.run.encode import ClipEmbeddings, ClipInputs
from extract.run.engines.base import Progress, Work
from extract.run.shares import Claim
from extract.run.stopwatch import Spent
from extract.run.worker import Job
from feature_cache import DONE, FAILED, FeatureCache, stopping
from feature_cache.adding import put_with_segments

_TOGETHER = 4
"""Clips whose windows share batches on a GPU: one clip alone leaves its last batches half empty."""


def on_threads(work: Work, progress: Progress) -> Spent:
    """Compute rows in this process; see :class:`extract.run.engines.base.Engine`."""
    job = work.recipe.job(work.devices[0], work.encoders)
    fill(work.cache, job, work.todo, work.workers, progress, work.finished, work.total)
    return job.spent


def fill(
    cache: FeatureCache,
    job: Job,
    todo: Mapping[int, Sequence[int]],
    workers: int,
    progress: Progress,
    finished: int = 0,
    total: int | None = None,
) -> None:
    """Compute rows and write them, a shard at a time; the other rows of a shard stay as they are.

    Args:
        cache: where to.
        job: what is done with a clip.
        todo: rows by shard.
        workers: threads that decode.
        progress: called with (clips finished, clips in all).
        finished: clips that are there already.
        total: clips in all; None: those of the cache.
    """
    total = len(cache) if total is None else total
    progress(finished, total)
    claimed: deque[Claim] = deque()
    with _single_threads(workers) as pool, ThreadPoolExecutor(1, "av2a-write") as writer:  # what it has is kept
        at_once = _TOGETHER if job.fed else 1
        clips = _clips(cache, todo, claimed)
        results = _in_order(pool, lambda clip: _work(job, clip), clips, ahead=workers + at_once + 1)
        written: Future[None] | None = None
        for first in results:
            claim, together = claimed.popleft(), [first]
            found: list[ClipEmbeddings | MediaError] = []
            while len(found) < len(claim.rows):
                together += islice(results, min(len(claim.rows) - len(found), at_once) - len(together))
                found += _encoded(job, together)
                if written is not None:  # early: what a kill takes is one shard, not two
                    written.result()
                    written = None
                finished += len(together)
                progress(finished, total)
                together = []
            written = writer.submit(_write, cache, job, claim, found)
        if written is not None:
            written.result()


def _work(job: Job, clip: str) -> ClipInputs | ClipEmbeddings | MediaError:
    if clip not in job.clips.videos:
        why = (
            "its file is not among the videos any more; put it back and extract with `retry_failed=True`, or drop it "
            "with `prune=True`"
        )
        return MediaError(Path(clip), why)
    return job.work(clip)


def _encoded(job: Job, results: list[ClipInputs | ClipEmbeddings | MediaError]) -> list[ClipEmbeddings | MediaError]:
    """Encode together what is only prepared yet: on a GPU, where one thread feeds it."""
    prepared = [result for result in results if isinstance(result, ClipInputs)]
    encoded = iter(job.encode(prepared) if prepared else ())
    return [next(encoded) if isinstance(result, ClipInputs) else result for result in results]


def _clips(cache: FeatureCache, todo: Mapping[int, Sequence[int]], claimed: deque[Claim]) -> Iterator[str]:
    """The clips to compute; the shard of each is claimed before its first one."""
    for shard, rows in todo.items():
        claim = Claim.of(cache, shard, rows)
        if claim is not None:
            claimed.append(claim)
            yield from (cache.clip_ids[row] for row in claim.rows)


def _write(cache: FeatureCache, job: Job, claim: Claim, found: list[ClipEmbeddings | MediaError]) -> None:
    with job.watch.stage("write"), claim:
        inside = [row - cache.shard_rows(claim.shard).start for row in claim.rows]
        if job.before is not None:
            values = [None if isinstance(row, MediaError) else row.audio_segments for row in found]
            reasons = [str(row) if isinstance(row, MediaError) else "" for row in found]
            put_with_segments(job.before, cache, claim.shard, inside, values, reasons)
            return
        n = len(found)
        tables = {name: np.zeros((n, *shape), dtype=np.float32) for name, shape in cache.row_shapes.items()}
        status = np.full(n, FAILED, dtype=np.uint8)
        reasons, missing = [""] * n, np.zeros(n, dtype=np.uint8)
        for number, row in enumerate(found):
            if isinstance(row, MediaError):
                reasons[number] = str(row)
                continue
            for name, table in tables.items():
                table[number] = getattr(row, name)
            status[number], missing[number] = DONE, row.missing
        cache.write_rows(claim.shard, inside, tables, status, reasons, missing)


@contextmanager
def _single_threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool whose threads compute on one core each: what they compute does not depend on their number."""
    threads = torch.get_num_threads()
    try:
        with stopping.threads(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[str], Any], clips: Iterable[str], ahead: int) -> Iterator[Any]:
    """Results in the order of the clips; at most ``ahead`` of them are in the making or waiting."""
    waiting: deque[Future[Any]] = deque()
    for clip in clips:
        if len(waiting) == ahead:
            yield waiting.popleft().result()
        waiting.append(pool.submit(work, clip))
    while waiting:
        yield waiting.popleft().result()
