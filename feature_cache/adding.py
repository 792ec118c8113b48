"""The sound of each segment, added to a cache that is there without it (docs/design.md 3).

A cache with one array more is made beside it, a shard at a time: each row as it was, and what it lacks. Until that one
is whole nothing in the old one changes; then it gets the old one's name. A kill leaves as much of it as there is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import place
from feature_cache.cache import FeatureCache
from feature_cache.digests import row_digests
from feature_cache.errors import DAMAGE, CacheError
from feature_cache.header import Header
from feature_cache.layout import DONE, FAILED, PENDING, decode_reason
from feature_cache.storage.durable import StoreError
from feature_cache.text import TextSet

_NAME = "audio_segments"
_ENDING = ".adding"


def begin_with_segments(old: FeatureCache, facts: Mapping[str, Any]) -> FeatureCache:
    """The cache that is to take another's place, as far as an earlier call came with it; if it is new, all is pending.

    Args:
        old: the cache that is there, which nobody else may write to meanwhile.
        facts: attributes that the new one has in place of the old one's.

    Raises:
        CacheError: the old one is no folder, or the new one cannot be made.
    """
    header, path = old.header.with_segments(facts), place.beside(old.path, _ENDING)
    found = _begun(path)
    if found is not None and _is_of(found, header, old.text_names):
        return found
    return FeatureCache.begin(path, header, overwrite=True).finish()


def put_with_segments(
    old: FeatureCache,
    new: FeatureCache,
    shard: int,
    inside: Sequence[int] = (),
    values: Sequence[NDArray[Any] | None] = (),
    reasons: Sequence[str] = (),
) -> None:
    """Write a shard of the new cache: the old one's rows, and the sound of the segments.

    Args:
        old: the cache that is there.
        new: the one that is to take its place.
        shard: its number.
        inside: positions in the shard of those that there is something new of; the others have no sound, or are not
            done.
        values: (T, Da) for each; None: it failed.
        reasons: why, for each; "" where it did not.

    Raises:
        CacheError: a row of the old cache is damaged, or values cannot be stored.
    """
    rows = old.shards.checked(shard)
    status, missing = rows.state.status.copy(), np.where(rows.state.status == DONE, rows.state.missing, 0)
    texts = [decode_reason(raw) for raw in rows.state.reason]
    table = np.zeros((len(status), *new.row_shapes[_NAME]), dtype=np.float32)
    for at, found, reason in zip(inside, values, reasons, strict=True):
        if found is None:
            status[at], texts[at] = FAILED, reason
        else:
            table[at] = found
    with new.writing():
        new.shards.write(shard, {**rows.arrays, _NAME: table}, status, texts, missing)


def is_put(old: FeatureCache, new: FeatureCache, shard: int) -> bool:
    """Whether a shard of the new cache is whole: every row is as it was written, and but for what is new the old one's.

    Rows that are done in the old one may have failed in the new one.
    """
    rows = new.shard_rows(shard)
    before = old.shards.state(rows.start, rows.stop)
    try:
        state = new.shards.state(rows.start, rows.stop)
        if not state.status.any():
            return not before.status.any()
        found = new.shards.stored(shard, state)
        intact = not found.differing().any()
    except StoreError:
        raise
    except (CacheError, *DAMAGE):
        return False
    arrays = {name: values for name, values in found.arrays.items() if name != _NAME}
    digests = row_digests(found.clip_ids, state.status, state.missing, state.reason, arrays)
    same = (state.status == before.status) & ((digests == before.digest).all(axis=1) | (before.status == PENDING))
    failed = (state.status == FAILED) & (before.status == DONE)
    return bool(intact and (same | failed).all())


def take_place(old: FeatureCache, new: FeatureCache) -> None:
    """Give the new cache, all shards of which are put, the old one's label sets and its name.

    Args:
        old: the cache that is there, under a lease of this thread.
        new: the one that takes its place, likewise.

    Raises:
        CacheError: a label set is damaged, or names cannot be changed.
    """
    there = set(new.text_names)
    for name in old.text_names:
        text = old.text(name)
        if name not in there or not _same(new.text(name), text):
            new.put_text(text)
    if "stamps" in old.attributes and new.attributes.get("stamps") != old.attributes["stamps"]:
        new.update_attributes({"stamps": old.attributes["stamps"]})
    assert new.lease is not None
    place.put_in_place(new.lease, old.path)


def remove_left(cache: FeatureCache) -> None:
    """Remove what is left beside a cache that has the sound of segments by now, where a kill came after that.

    Raises:
        LeaseError: another process writes to it.
    """
    place.remove_beside(cache.path, _ENDING)


def _begun(path: Any) -> FeatureCache | None:
    """What an earlier call began, if it is a cache."""
    try:
        return FeatureCache.open(path, "r+") if place.is_there(path) else None
    except StoreError:
        raise
    except CacheError:
        return None


def _is_of(found: FeatureCache, header: Header, texts: Sequence[str]) -> bool:
    same = (found.header.content, found.header.shapes, found.shard_size)
    return same == (header.content, header.shapes, header.shard_size) and set(found.text_names) <= set(texts)


def _same(one: TextSet, other: TextSet) -> bool:
    return (one.labels, dict(one.prompts)) == (other.labels, dict(other.prompts)) and one.same_tables(other)
