"""How far a cache is: rows by status, shard by shard and worker by worker."""

from typing import NamedTuple

from feature_cache.cache import FeatureCache
from feature_cache.errors import CacheError
from feature_cache.layout import DONE, FAILED, PENDING


class Progress(NamedTuple):
    """How far a shard is, or a worker's shards: rows by status.

    Attributes:
        name: the shard's number, or the worker's "i/n".
        shards: how many shards these are.
        rows: clips in all.
        done: clips whose embeddings are there.
        failed: clips that cannot be used.
        pending: clips still to be computed.
    """

    name: str
    shards: int
    rows: int
    done: int
    failed: int
    pending: int


def by_shard(cache: FeatureCache) -> list[Progress]:
    """One entry a shard, in order.

    Example::

        for shard in by_shard(FeatureCache.open("llp.zarr")):
            print(shard.name, shard.done, shard.pending)
    """
    status, found = cache.status(), []
    for shard in range(cache.n_shards):
        rows = cache.shard_rows(shard)
        codes = status[rows.start : rows.stop]
        done, failed, pending = (int((codes == code).sum()) for code in (DONE, FAILED, PENDING))
        found.append(Progress(str(shard), 1, len(rows), done, failed, pending))
    return found


def by_worker(cache: FeatureCache, count: int) -> list[Progress]:
    """One entry for each of ``count`` workers that share the shards: worker i has shards i, i + count, …

    Raises:
        CacheError: fewer than one worker.

    Example::

        for worker in by_worker(FeatureCache.open("llp.zarr"), 4):
            print(worker.name, worker.pending)
    """
    if count < 1:
        raise CacheError(f"{count} workers: at least 1 is needed")
    shards, found = by_shard(cache), []
    for worker in range(count):
        part = shards[worker::count]
        rows, done = sum(each.rows for each in part), sum(each.done for each in part)
        failed, pending = sum(each.failed for each in part), sum(each.pending for each in part)
        found.append(Progress(f"{worker}/{count}", len(part), rows, done, failed, pending))
    return found
