"""Which shards of a cache a worker computes, where several share the work, and which rows of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from extract.errors import ExtractError
from feature_cache import FAILED, PENDING, FeatureCache

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

    def split(self, parts: int) -> list["Share"]:
        """The same shards dealt out to several."""
        return [Share(self.index + self.count * part, self.count * parts) for part in range(parts)]


def rows_to_do(cache: FeatureCache, share: Share, retry: Iterable[str] = ()) -> dict[int, list[int]]:
    """Rows that are pending, or failed and to be tried again, by shard; of a share's shards.

    Args:
        cache: the cache.
        share: whose shards.
        retry: clips that are tried again if they failed.
    """
    status, again = cache.status(), set(retry)
    found: dict[int, list[int]] = {}
    for shard in range(cache.n_shards):
        if not share.owns(shard):
            continue
        rows = [
            row
            for row in cache.shard_rows(shard)
            if status[row] == PENDING or (status[row] == FAILED and cache.clip_ids[row] in again)
        ]
        if rows:
            found[shard] = rows
    return found
