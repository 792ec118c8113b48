"""Which shards of a cache a worker computes, where several share the work, and which rows of them."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError
from feature_cache import DONE, FAILED, PENDING, FeatureCache, LeaseError
from feature_cache.storage.lease import Lease

_FORM = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True)
class Share:
    """Worker ``index`` of ``count``: every shard whose number leaves ``index`` when divided by ``count``.

    The first worker (index 0) also makes the cache, adds clips and writes the label set.
    """

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """The share of "i/n".

        Raises:
            ExtractError: the text is not of that form, or i is not below n.
        """
        found = _FORM.fullmatch(text)
        if found is None or not int(found[1]) < int(found[2]):
            raise ExtractError(f"shard range {text!r}: write i/n, from 0/n to (n-1)/n, as in 0/4")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.index}/{self.count}"

    @property
    def whole(self) -> bool:
        """Whether this worker is the only one."""
        return self.count == 1

    def owns(self, shard: int) -> bool:
        """Whether a shard is this worker's."""
        return shard % self.count == self.index

    def rows(self, cache: FeatureCache) -> NDArray[np.bool_]:
        """Which of a cache's rows are this worker's: bool (N,)."""
        return self.of(len(cache), cache.shard_size)

    def of(self, rows: int, shard_size: int) -> NDArray[np.bool_]:
        """Which of so many rows, in shards of such a size, are this worker's: bool (rows,)."""
        return np.asarray(np.arange(rows) // shard_size % self.count == self.index)

    def split(self, parts: int) -> list["Share"]:
        """The same shards dealt out to several."""
        return [Share(self.index + self.count * part, self.count * parts) for part in range(parts)]


@dataclass(frozen=True)
class Claim:
    """Rows of a shard that are this process's to compute; a context manager that lets the shard go.

    Attributes:
        shard: its number.
        rows: rows to compute, at least one.
        lease: where others share the cache.
    """

    shard: int
    rows: Sequence[int]
    lease: Lease | None

    @classmethod
    def of(cls, cache: FeatureCache, shard: int, rows: Sequence[int]) -> Self | None:
        """A claim of a shard's rows; None where another has it, or has done them meanwhile."""
        if cache.lease is None or cache.lease.scope == "whole":
            return cls(shard, rows, None)
        try:
            lease = cache.claim(shard)
        except LeaseError:
            return None
        begin, end = cache.shard_rows(shard).start, cache.shard_rows(shard).stop
        done = cache.shards.state(begin, end).status == DONE
        left = [row for row in rows if not done[row - begin]]
        if not left:
            lease.release()
            return None
        return cls(shard, left, lease)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the shard go."""
        if self.lease is not None:
            self.lease.release()


def rows_to_do(
    cache: FeatureCache, share: Share, retry: Container[str] = (), status: NDArray[np.uint8] | None = None
) -> dict[int, list[int]]:
    """Rows that are pending, or failed and to be tried again, by shard; of a share's shards.

    Args:
        cache: the cache.
        share: whose shards.
        retry: clips that are tried again if they failed.
        status: uint8 (N,), the rows'; None: read now.
    """
    codes = cache.status() if status is None else status
    found: dict[int, list[int]] = {}
    for row in due(codes, cache.clip_ids, share.rows(cache), retry):
        found.setdefault(row // cache.shard_size, []).append(row)
    return found


def due(
    codes: NDArray[np.uint8], clip_ids: Sequence[str], mine: NDArray[np.bool_], retry: Container[str] = ()
) -> list[int]:
    """Rows that are pending, or failed and to be tried again.

    Args:
        codes: uint8 (N,), the rows' status.
        clip_ids: N names.
        mine: bool (N,), which rows are asked for.
        retry: clips that are tried again if they failed.
    """
    return [
        row
        for row in np.flatnonzero(mine & (codes != DONE)).tolist()
        if codes[row] == PENDING or (codes[row] == FAILED and clip_ids[row] in retry)
    ]
