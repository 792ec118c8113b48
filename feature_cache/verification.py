"""Is every byte of a cache as it was written: chunks against checksums, rows against their status and digest."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from feature_cache.arrays import ArrayTemplates, add_array, array, read_rows, same_kind
from feature_cache.cache import FeatureCache
from feature_cache.digests import attribute_digest
from feature_cache.errors import CacheError
from feature_cache.layout import (
    ATTRIBUTE_DIGEST,
    BESIDE,
    DONE,
    FAILED,
    PENDING,
    STATUS_NAMES,
    TEXT_GROUP,
    decode_reason,
)
from feature_cache.shards import ShardRows
from feature_cache.storage.durable import SafeStore
from feature_cache.storage.group import add_group, names_in, remove, remove_partial, store_of
from feature_cache.tables import first_line
from feature_cache.text import table_names

_DAMAGE = (ValueError, KeyError, RuntimeError, TypeError, IndexError, AttributeError)
"""What Zarr and its codecs raise when they are given damaged bytes."""


@dataclass(frozen=True)
class Damage:
    """One thing that is not as it was written.

    Attributes:
        array: which array or file, as it is called in the store.
        shard: its shard; None where it belongs to none.
        clips: the clips that it spoils.
        what: what is wrong.
        mend: what makes it whole again.
    """

    array: str
    shard: int | None
    clips: tuple[str, ...]
    what: str
    mend: str


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found.

    Attributes:
        path: the cache.
        counts: rows by status, as they are now; empty where the status cannot be read.
        damage: what is bad, in the order of the shards; what is no clip's comes first.
        repaired: whether everything in ``damage`` was repaired, so that extracting again makes it whole.
    """

    path: str
    counts: dict[str, int]
    damage: tuple[Damage, ...]
    repaired: bool

    @property
    def intact(self) -> bool:
        """Whether nothing is bad."""
        return not self.damage

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        found = [{**asdict(each), "clips": list(each.clips)} for each in self.damage]
        return {"path": self.path, "intact": self.intact, "repaired": self.repaired, **self.counts, "damage": found}


def verify(
    path: str | PathLike[str], *, repair: bool = False, progress: Callable[[int, int], None] | None = None
) -> Verification:
    """Read every chunk of every array, every row's status and digest, every text set.

    Args:
        path: the cache.
        repair: mark rows that are bad as pending, remove chunks and text sets that are bad and what killed
            writers left, write metadata that follows from the rest anew. Nobody may write to the cache meanwhile.
        progress: called with (shards read, shards in all).

    Raises:
        CacheError: there is no cache, its attributes cannot be read, or the store cannot be reached.

    Example::

        found = verify("llp.zarr", repair=True)
        print(found.intact, found.damage)
    """
    cache = FeatureCache.open(path, "r+" if repair else "r")
    group = cache.shards.group
    store = store_of(group)
    found = list(_metadata(cache, group, store, repair))
    mendable = all(each.array != "zarr.json" for each in found)
    for name in [each.array for each in found]:
        if not repair and name.endswith("/zarr.json"):
            return Verification(cache.path, {}, tuple(found), False)  # nothing more can be read
    found += _texts(cache, group, store, repair)
    mendable &= repair and not (cache.kind == "probabilities" and any(d.array.startswith(TEXT_GROUP) for d in found))
    with ThreadPoolExecutor(8) as pool:
        for shard, each in enumerate(pool.map(partial(_shard, cache, group, store), range(cache.n_shards))):
            found += each.damage
            if repair and each.damage:
                each.repair(group, store)
            if progress is not None:
                progress(shard + 1, cache.n_shards)
    if repair:
        remove_partial(store)
    return Verification(cache.path, _counts(cache), tuple(found), bool(found) and mendable)


def _counts(cache: FeatureCache) -> dict[str, int]:
    try:
        status = cache.status()
    except CacheError:  # it is among what is damaged
        return {}
    return {name: int((status == code).sum()) for code, name in enumerate(STATUS_NAMES)}


def _metadata(cache: FeatureCache, group: zarr.Group, store: SafeStore, repair: bool) -> Iterator[Damage]:
    attributes = group.attrs.asdict()
    if attributes.get(ATTRIBUTE_DIGEST) != attribute_digest(attributes):
        yield Damage(
            "zarr.json", None, (), "its attributes are not as they were written", "extract again with `overwrite=True`"
        )
    template = ArrayTemplates(len(cache), cache.row_shapes, cache.dtype, cache.shard_size)
    for name in (*cache.arrays, *BESIDE):
        try:
            fits = template.fits(name, array(group, name))
        except _DAMAGE:
            fits = False
        if not fits:
            if repair:
                template.write(store, name)
            yield Damage(f"{name}/zarr.json", None, (), "it is missing or not as it was written", "written anew")


def _texts(cache: FeatureCache, group: zarr.Group, store: SafeStore, repair: bool) -> Iterator[Damage]:
    names = names_in(store, TEXT_GROUP)
    if not names:
        return
    try:
        fits = isinstance(group.get(TEXT_GROUP), zarr.Group)
    except _DAMAGE:
        fits = False
    if not fits:
        if repair:
            add_group(store, TEXT_GROUP, anew=True)
        yield Damage(f"{TEXT_GROUP}/zarr.json", None, (), "it is missing or not as it was written", "written anew")
    for name in names:
        try:
            wrong = _text_set(group, store, name, (cache.visual_dim, cache.audio_dim))
        except _DAMAGE as error:
            wrong = f"it cannot be read ({first_line(error)[:120]})"
        if wrong is None:
            continue
        mend = "removed; add it with `add_label_set(...)`, or extract again with the same labels"
        if cache.kind == "probabilities":
            mend = "import again: the labels belong to the probabilities"
        elif repair:
            remove(store, f"{TEXT_GROUP}/{name}")
        yield Damage(f"{TEXT_GROUP}/{name}", None, (), wrong, mend)


def _text_set(group: zarr.Group, store: SafeStore, name: str, dims: tuple[int, int]) -> str | None:
    """What is wrong with a text set; None if nothing is, or if it was cut off while it was written.

    Args:
        group: the cache's group.
        store: its store.
        name: the set's name.
        dims: sizes of visual and audio embeddings.
    """
    folder = f"{TEXT_GROUP}/{name}"
    if not sync(store.exists(f"{folder}/zarr.json")):
        return None
    entry = group[folder]
    if not isinstance(entry, zarr.Group):
        return "it is no group"
    attributes: dict[str, Any] = entry.attrs.asdict()
    if not attributes:
        return None
    if attributes.get(ATTRIBUTE_DIGEST) != attribute_digest(attributes):
        return "its attributes are not as they were written"
    sides = [("visual", dims[0])] if attributes["one_table"] else [("visual", dims[0]), ("audio", dims[1])]
    labels, names = len(attributes["labels"]), table_names(attributes)
    for side, width in sides:
        if not width:
            continue
        table = array(entry, names[side])
        template = zarr.open_group(MemoryStore(), mode="w", zarr_format=3)
        add_array(template, side, shape=(labels, width), dtype="float32", rows=labels, dimensions=("label", "dim"))
        if not same_kind(array(template, side), table) or table.shape[0] != labels:
            return f"{side}/zarr.json is not as it was written"
        if not sync(store.exists(f"{folder}/{names[side]}/{table.metadata.encode_chunk_key((0, 0))}")):
            return f"the {side} table is missing"
        read_rows(entry, names[side])
    return None


@dataclass
class _Shard:
    """What was found in one shard, and what repairing it means."""

    rows: range
    damage: list[Damage]
    status: NDArray[np.uint8]
    chunks: list[str]
    spoiled: NDArray[np.bool_]

    def repair(self, group: zarr.Group, store: SafeStore) -> None:
        """The status first: what is removed then is nothing that counts."""
        known = any(key.startswith("status/") for key in self.chunks)
        if not known and self.spoiled.any():
            after = np.where(self.spoiled, PENDING, self.status).astype(np.uint8)
            array(group, "status")[self.rows.start : self.rows.stop] = after
        for key in sorted(self.chunks, key=lambda key: not key.startswith("status/")):
            remove(store, key)


def _shard(cache: FeatureCache, group: zarr.Group, store: SafeStore, shard: int) -> _Shard:
    rows = cache.shard_rows(shard)
    ids = cache.clip_ids[rows.start : rows.stop]
    tables: dict[str, NDArray[Any]] = {}
    keys: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for name in ("status", "missing", "digest", "reason", *cache.arrays):
        stored = array(group, name)
        keys[name] = f"{name}/{stored.metadata.encode_chunk_key((shard, *[0] * (stored.ndim - 1)))}"
        try:
            tables[name] = np.asarray(stored[rows.start : rows.stop])
        except _DAMAGE as error:
            wrong[name] = f"its checksum is wrong ({first_line(error)[:120]})"
        else:
            if not sync(store.exists(keys[name])):
                wrong[name] = "its chunk is missing"
    status = tables.get("status", np.zeros(len(rows), dtype=np.uint8))
    declared = status != PENDING
    if wrong.get("status") == "its chunk is missing":
        del wrong["status"]  # nothing was declared yet
    if "status" not in wrong and not declared.any():
        wrong = {name: what for name, what in wrong.items() if what != "its chunk is missing"}
    found = _Shard(rows, [], status, [keys[name] for name in wrong], np.zeros(len(rows), dtype=np.bool_))
    spoils = declared if "status" not in wrong else np.ones(len(rows), dtype=np.bool_)
    for name, what in wrong.items():
        found.spoiled |= spoils
        found.damage.append(_damage(name, shard, ids, spoils, what))
    if not wrong:
        for what, bad in _rows(cache, status, tables):
            if bad.any():
                found.spoiled |= bad
                found.damage.append(_damage("status" if "status" in what else "digest", shard, ids, bad, what))
    return found


def _damage(name: str, shard: int, ids: Sequence[str], rows: NDArray[np.bool_], what: str) -> Damage:
    clips = tuple(clip for clip, bad in zip(ids, rows, strict=True) if bad)
    return Damage(name, shard, clips, what, "these clips are marked pending; extract again")


def _rows(
    cache: FeatureCache, status: NDArray[np.uint8], tables: dict[str, NDArray[Any]]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """What is wrong with single rows, and with which."""
    beside = {name: tables[name] for name in ("digest", "reason", "missing")}
    stored = ShardRows({name: tables[name] for name in cache.arrays}, **beside, status=status)
    yield "the status is none of pending, done, failed", status > FAILED
    without = np.array([not decode_reason(raw).strip() for raw in stored.reason])
    yield "the status is failed, without a reason", (status == FAILED) & without
    yield "the status is done, with neither picture nor sound", (status == DONE) & (stored.missing > 2)
    yield "the values are not those that were written", ((status == DONE) | (status == FAILED)) & stored.differing()
