"""Is every byte of a cache as it was written: metadata by seals, chunks by checksums, rows by digests."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import place
from feature_cache.arrays import arrays_json
from feature_cache.cache import FeatureCache
from feature_cache.errors import DAMAGE, CacheError
from feature_cache.header import Header
from feature_cache.layout import DONE, FAILED, OLD_VERSION, PENDING, ROWS, STATUS_NAMES, TEXT_GROUP, decode_reason
from feature_cache.root import TEXT_JSON, Root
from feature_cache.row_state import RowState
from feature_cache.seals import SealError, check_sealed, digest_of, group_json
from feature_cache.shard_rows import ShardRows
from feature_cache.storage.durable import SafeStore, StoreError
from feature_cache.storage.group import attributes_at
from feature_cache.storage.urls import shown, store_at
from feature_cache.stored_rows import StoredRows
from feature_cache.tables import first_line

_AGAIN = "these clips are marked pending; extract again"


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
    """Read every file of metadata, every chunk of every array, every row's status and digest, every label set.

    Args:
        path: the cache.
        repair: mark rows that are bad as pending, remove chunks and label sets that are bad and what killed writers
            left, write metadata that follows from the rest anew.
        progress: called with (shards read, shards in all).

    Raises:
        CacheError: there is no cache, what it says of itself cannot be read, or the store cannot be reached; or, to
            repair, somebody is writing to it.

    Example::

        found = verify("llp.zarr", repair=True)
        print(found.intact, found.damage)
    """
    name, store = shown(path), store_at(path, read_only=not repair)
    root, found = _root(path, store)
    if isinstance(root, Header):
        if repair:
            raise CacheError(
                f"{name} has cache format {root.version}, which is not written any more: `upgrade({name!r})` makes it "
                "the present one and leaves out what is damaged"
            )
        old = FeatureCache(name, store, root)
        return _with_rows(old, [*found, *_labels(old, None)], None, progress)
    with place.lease_at(path, "repair") if repair else nullcontext():
        if repair:  # somebody may have changed it before the lease was taken
            root, found = _root(path, store)
            assert isinstance(root, Root)
        cache = FeatureCache(name, store, root)
        with cache.writing("repair", read=False) if repair else nullcontext(cache):
            try:
                _ = root.header.clip_ids, root.header.attributes
            except StoreError:
                raise
            except CacheError as error:
                lost = Damage("clips", None, (), first_line(error), "extract again with `overwrite=True`")
                return Verification(name, {}, (*found, lost), False)
            mend = _Mend(cache, store, root) if repair and not found else None  # nothing is built on a changed root
            found += _metadata(root, store, mend)
            found += _labels(cache, mend)
            if mend is not None:
                mend.declare()
            if repair:
                store.remove_partial()
            return _with_rows(cache, found, mend, progress)


def _with_rows(
    cache: FeatureCache, found: list[Damage], mend: "_Mend | None", progress: Callable[[int, int], None] | None
) -> Verification:
    """The same with what is found in the rows."""
    try:
        clips = cache.clip_ids
    except StoreError:
        raise
    except CacheError as error:
        return Verification(cache.path, {}, (*found, Damage("clips", None, (), first_line(error), "")), False)
    with ThreadPoolExecutor(8) as pool:
        for shard, each in enumerate(pool.map(lambda shard: _shard(cache, clips, shard), range(cache.n_shards))):
            found += each.damage
            if mend is not None and each.damage:
                mend.rows(shard, each)
            if progress is not None:
                progress(shard + 1, cache.n_shards)
    mended = mend is not None and mend.all_mended and bool(found)
    return Verification(cache.path, _counts(cache), tuple(found), mended)


def _root(path: str | PathLike[str], store: SafeStore) -> tuple[Root | Header, list[Damage]]:
    """What the cache says of itself, even where it is not as it was written, if it can be read."""
    try:
        return place.read_root(path, store), []
    except CacheError as error:
        stored = attributes_at(path)
        if not isinstance(error.__cause__, SealError) or not stored:
            raise
        try:
            old = stored.get("format_version") == OLD_VERSION
            root = Header.from_dict(stored) if old else Root.of_stored(stored, store, soon=False)
        except CacheError:
            raise error from error.__cause__
        mend = "extract again with `overwrite=True`"
        return root, [Damage("zarr.json", None, (), "it is not as it was written", mend)]


def _counts(cache: FeatureCache) -> dict[str, int]:
    try:
        status = cache.status()
    except CacheError:  # it is among what is damaged
        return {}
    return {name: int((status == code).sum()) for code, name in enumerate(STATUS_NAMES)}


@dataclass
class _Mend:
    """What repairing does.

    Attributes:
        cache: what is repaired, under a lease.
        store: its store.
        root: what is to be declared.
        all_mended: whether all that was found can be.
    """

    cache: FeatureCache
    store: SafeStore
    root: Root
    all_mended: bool = True
    _written: dict[str, bytes] = field(default_factory=dict)

    def file(self, name: str) -> bool:
        """Write a file of metadata anew, if it follows from the header."""
        header = self.root.header
        made = {**arrays_json(len(header), header.shapes, header.dtype, header.shard_size), TEXT_JSON: group_json({})}
        if name not in made:
            self.all_mended = False
            return False
        self._written[name] = made[name]
        return True

    def label_set(self, name: str) -> None:
        """Remove a label set."""
        self.root = self.root.with_label_set(name, ())
        self._written.setdefault("", b"")

    def declare(self) -> None:
        """Write what was found to be damaged, and the root that says so."""
        if not self._written:
            return
        files = {name: raw for name, raw in self._written.items() if name}
        digests = {name: (digest_of(raw),) for name, raw in files.items()}
        for name, raw in files.items():
            self.store.write(name, raw)
        gone = set(self.cache.text_names) - set(self.root.label_sets)
        self.root = replace(self.root, files={**self.root.files, **digests})
        self.cache.replace_root(self.root)
        for name in gone:
            self.store.remove(f"{TEXT_GROUP}/{name}")

    def rows(self, shard: int, found: "_Shard") -> None:
        """Rows that are spoiled are pending first; what is removed then is nothing that counts."""
        self.cache.shards.put_state(shard, found.state.forget(found.spoiled))
        for key in found.chunks:
            self.store.remove(key)


def _metadata(root: Root, store: SafeStore, mend: _Mend | None) -> Iterator[Damage]:
    for file, allowed in root.files.items():
        try:
            check_sealed(store.read(file), allowed)
        except SealError as error:
            mended = mend is None or mend.file(file)
            yield Damage(
                file, None, (), str(error), "written anew" if mended else "extract again with `overwrite=True`"
            )


def _labels(cache: FeatureCache, mend: _Mend | None) -> Iterator[Damage]:
    for name in cache.text_names:
        try:
            cache.text(name)
        except StoreError:
            raise
        except (*DAMAGE, CacheError) as error:
            what = str(error.__cause__ or error).partition("\n")[0][:200]
            if cache.kind == "probabilities":
                if mend is not None:
                    mend.all_mended = False
                yield Damage(
                    f"{TEXT_GROUP}/{name}", None, (), what, "import again: the labels belong to the probabilities"
                )
                continue
            if mend is not None:
                mend.label_set(name)
            again = "removed; add it with `add_label_set(...)`, or extract again with the same labels"
            yield Damage(f"{TEXT_GROUP}/{name}", None, (), what, again)


@dataclass
class _Shard:
    """What was found in one shard, and what repairing it means: which rows are spoiled, which files go."""

    damage: list[Damage]
    state: RowState
    chunks: list[str]
    spoiled: NDArray[np.bool_]


def _shard(cache: FeatureCache, clips: list[str], shard: int) -> _Shard:
    rows = cache.shard_rows(shard)
    ids = clips[rows.start : rows.stop]
    source = cache.shards.source
    found = _Shard([], RowState.pending(len(rows)), [], np.zeros(len(rows), dtype=np.bool_))
    every = np.ones(len(rows), dtype=np.bool_)
    try:
        found.state = source.state(rows.start, rows.stop)
    except DAMAGE as error:
        found.spoiled |= every
        found.chunks.append(_key(source, ROWS, shard))
        found.damage.append(_damage(ROWS, shard, ids, every, first_line(error)))
    tables: dict[str, NDArray[Any]] = {}
    declared = found.state.status != PENDING
    for name in cache.arrays:
        what = None
        try:
            tables[name] = source.values(name, rows.start, rows.stop)
        except DAMAGE as error:
            what = first_line(error)
        else:
            if isinstance(source, StoredRows) and declared.any() and cache.shards.is_missing(name, shard):
                what = "its chunk is missing"
        if what is None:
            continue
        spoils = declared if not found.spoiled.any() else every
        found.spoiled |= spoils
        found.chunks.append(_key(source, name, shard))
        found.damage.append(_damage(name, shard, ids, spoils, what))
    if len(tables) == len(cache.arrays) and not found.spoiled.any():
        for what, bad in _rows(cache, ShardRows(ids, tables, found.state)):
            if bad.any():
                found.spoiled |= bad
                found.damage.append(_damage(ROWS, shard, ids, bad, what))
    return found


def _key(source: Any, name: str, shard: int) -> str:
    return source.array(name).key(shard) if isinstance(source, StoredRows) else ""


def _damage(name: str, shard: int, ids: list[str], rows: NDArray[np.bool_], what: str) -> Damage:
    return Damage(name, shard, tuple(clip for clip, bad in zip(ids, rows, strict=True) if bad), what[:200], _AGAIN)


def _rows(cache: FeatureCache, stored: ShardRows) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """What is wrong with single rows, and with which."""
    state = stored.state
    yield "the status is none of pending, done, failed", state.status > FAILED
    without = np.array([not decode_reason(raw).strip() for raw in state.reason])
    yield "the status is failed, without a reason", (state.status == FAILED) & without
    yield "the status is done, with neither picture nor sound", (state.status == DONE) & (state.missing > 2)
    yield "the values are not those that were written for this clip", cache.shards.source.differing(stored)
