"""The Zarr group of a cache: made, opened, emptied, listed (docs/design.md 3)."""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any, Literal

import zarr
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.sync import sync
from zarr.errors import ContainsArrayError, GroupNotFoundError
from zarr.storage import MemoryStore

from feature_cache.digests import attribute_digest
from feature_cache.errors import CacheError
from feature_cache.header import Header
from feature_cache.layout import ATTRIBUTE_DIGEST, FORMAT, FORMAT_VERSION, UNFINISHED
from feature_cache.storage.atomic import PARTIAL, sync_folder
from feature_cache.storage.durable import SafeStore
from feature_cache.storage.urls import local_folder, shown, store_at

_MAKER = "maker"


def clear(path: str | PathLike[str], *, overwrite: bool) -> zarr.Group:
    """An empty group to make a cache in; only a cache may be replaced, one cut off while it was made always.

    What is made in it is no cache until :func:`finish`.

    Raises:
        CacheError: a cache, or something else, is at ``path``.
    """
    check_replaceable(path, overwrite=overwrite)
    store = store_at(path, read_only=False)
    empty(store, FORMAT)
    return zarr.open_group(store, mode="r+", zarr_format=3)


def check_replaceable(path: str | PathLike[str], *, overwrite: bool) -> None:
    """Whether a cache may be made at a path.

    Raises:
        CacheError: a cache that is not to be replaced is there, or something else.
    """
    found, name, folder = attributes_at(path), shown(path), local_folder(path)
    if found is None:
        there = folder is not None and folder.exists() and not folder.is_dir()
        if not there:
            store = store_at(path, read_only=True)
            there = bool(names_in(store, "")) or sync(store.exists("zarr.json"))
        if there:
            raise CacheError(f"{name} is there and no av2a cache: choose another output")
    elif UNFINISHED not in found:
        if found and found.get("format") != FORMAT:
            raise CacheError(f"{name} is a Zarr store, but no av2a cache: choose another output")
        if not overwrite:
            raise CacheError(f"{name} is there already: choose another output or overwrite it")


@contextmanager
def whole_cache(path: str | PathLike[str], *, overwrite: bool) -> Iterator[str | PathLike[str]]:
    """A place to make a cache in; a folder becomes ``path`` when the block ends without an error.

    A cache that is there stays until then. A URL cannot be renamed: there the cache is made where it stays.

    Args:
        path: the cache to make.
        overwrite: replace a cache that is there; anything else is never replaced.

    Raises:
        CacheError: something is at ``path`` already.
    """
    target = local_folder(path)
    if target is None:
        yield path
        return
    partial, replaced = (target.with_name(f".{target.name[:40]}{ending}") for ending in (PARTIAL, ".replaced"))
    if replaced.exists() and not target.exists():  # killed in between
        replaced.rename(target)
    check_replaceable(path, overwrite=overwrite)
    for left in (partial, replaced):
        if left.is_dir():
            shutil.rmtree(left)
    try:
        yield partial
        if target.exists():
            target.rename(replaced)
        partial.rename(target)
        sync_folder(target.parent)
        if replaced.exists():
            replaced.rename(partial)  # no name of a cache that is whole
    finally:
        if replaced.exists() and not target.exists():
            replaced.rename(target)
        shutil.rmtree(partial, ignore_errors=True)


def empty(store: SafeStore, format: str) -> None:
    """Make an empty group of what is in a store.

    The group is marked as unfinished first, so that a kill at any later moment leaves something that is known as a
    beginning. The mark tells one process from another.
    """
    set_json(store, "zarr.json", _plain({UNFINISHED: format, _MAKER: uuid.uuid4().hex}))
    for child in names_in(store, "", partial=True):
        remove(store, child)


def finish(group: zarr.Group, attributes: dict[str, Any]) -> None:
    """Give a group of :func:`clear` its attributes, which declare it whole.

    Raises:
        CacheError: another process has begun to make the same meanwhile.
    """
    store = store_of(group)
    found = attributes_at(store.name)
    if found is None or found.get(_MAKER) != group.attrs.get(_MAKER):
        raise CacheError(
            f"{store.name} was begun by another process at the same moment: start again when that one has ended"
        )
    set_attributes(group, attributes)


def write_group(store: SafeStore, name: str, fill: Callable[[zarr.Group], None]) -> None:
    """Write a group and what is in it; its zarr.json comes last and makes it whole.

    Nothing is removed first: two processes that write the same at once both leave it whole.

    Args:
        store: where to.
        name: of the group.
        fill: called with an empty group to put arrays and attributes into.
    """
    made: dict[str, Buffer] = {}
    group = zarr.open_group(MemoryStore(made), mode="w", zarr_format=3)
    fill(group)
    for key in sorted(made, key=lambda key: (key == "zarr.json", key)):
        sync(store.set(f"{name}/{key}", made[key]))


def set_json(store: SafeStore, key: str, value: Any) -> None:
    """Write JSON."""
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(json.dumps(value).encode())))


def add_group(store: SafeStore, name: str, *, anew: bool = False) -> None:
    """Make a group without attributes, if there is none, or in place of a damaged one."""
    if anew or not sync(store.exists(f"{name}/zarr.json")):
        set_json(store, f"{name}/zarr.json", _plain({}))


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def is_there(path: str | PathLike[str]) -> bool:
    """Whether a group is there that is more than the beginning of a cache.

    Raises:
        CacheError: the store cannot be read, or the group's zarr.json is damaged.
    """
    found = attributes_at(path)
    return found is not None and UNFINISHED not in found


def open_group(path: str | PathLike[str], mode: Literal["r", "r+"]) -> tuple[zarr.Group, Header]:
    """The group of a cache of this format version, and its header.

    Raises:
        CacheError: there is none, it is no av2a cache, half made, of another format version, or its header is damaged.
    """
    found = attributes_at(path)
    name, folder = shown(path), local_folder(path)
    if found is None:
        if folder is not None and folder.exists():
            raise CacheError(f"{name} is no av2a cache: make one with `extract_videos(...)`")
        raise CacheError(f"{name} is not there: make it with `extract_videos(...)`")
    if UNFINISHED in found:
        raise CacheError(f"{name} is half written (cut off while it was made): extract again")
    if not found:
        raise CacheError(f"{name} is half written (cut off while it was made): extract again, overwriting it")
    if found.get("format") != FORMAT:
        raise CacheError(f"{name} is a Zarr store, but no av2a cache: make one with `extract_videos(...)`")
    if found.get("format_version") != FORMAT_VERSION:
        raise CacheError(
            f"{name} has cache format {found.get('format_version')}, this av2a reads {FORMAT_VERSION}: "
            "extract again, or use the av2a that made it"
        )
    try:
        header = Header.from_dict(found)
    except CacheError as error:
        raise CacheError(f"{name} is damaged ({error}): extract again, overwriting it") from error
    return zarr.open_group(store_at(path, read_only=mode == "r"), mode=mode, zarr_format=3), header


def attributes_at(path: str | PathLike[str]) -> dict[str, Any] | None:
    """Attributes of the group at a path; None where no group is.

    Raises:
        CacheError: the group's zarr.json is damaged, or the store cannot be read.
    """
    try:
        return dict(zarr.open_group(store_at(path, read_only=True), mode="r", zarr_format=3).attrs)
    except (GroupNotFoundError, FileNotFoundError, NotADirectoryError, ContainsArrayError):
        return None
    except (ValueError, TypeError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CacheError(f"{shown(path)}: zarr.json is damaged ({reason}): extract again") from error


def set_attributes(group: zarr.Group, attributes: dict[str, Any]) -> None:
    """Replace a group's attributes in one write, with a digest of them all."""
    group.attrs.put({**attributes, ATTRIBUTE_DIGEST: attribute_digest(attributes)})


def store_of(group: zarr.Group) -> SafeStore:
    """The store under a group of :func:`open_group`."""
    store = group.store
    assert isinstance(store, SafeStore)
    return store


def names_in(store: SafeStore, prefix: str, *, partial: bool = False) -> list[str]:
    """Names of files and folders directly under a prefix, sorted, but for zarr.json and what a killed writer left.

    Args:
        store: where.
        prefix: "" or a folder.
        partial: name what a killed writer left, too.
    """

    async def collect() -> list[str]:
        return [name async for name in store.list_dir(prefix)]

    found = {name.strip("/") for name in sync(collect())}
    return sorted(name for name in found if name and name != "zarr.json" and (partial or not name.endswith(PARTIAL)))


def remove(store: SafeStore, name: str) -> None:
    """Remove a file or a folder."""
    if local_folder(store.name) is None:
        sync(store.delete_dir(name))
    sync(store.delete(name))


def remove_partial(store: SafeStore) -> None:
    """Remove what killed writers left, wherever it lies."""

    async def collect() -> list[str]:
        return [key async for key in store.list()]

    for key in sync(collect()):
        if key.endswith(PARTIAL):
            remove(store, key)
