"""Where a cache is, or is to be made: found, begun, declared whole, and under whose hands (docs/design.md 3)."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from feature_cache.checks import short
from feature_cache.errors import CacheError
from feature_cache.header import Header
from feature_cache.layout import ATTRIBUTE_DIGEST, FORMAT, FORMAT_VERSION, OLD_VERSION, UNFINISHED
from feature_cache.root import Root
from feature_cache.seals import SealError, attribute_digest
from feature_cache.storage.atomic import PARTIAL, sync_folder
from feature_cache.storage.durable import SafeStore
from feature_cache.storage.group import MAKER, attributes_at, empty, names_in
from feature_cache.storage.lease import LEASES, Lease, Notice
from feature_cache.storage.swapping import swap_names
from feature_cache.storage.urls import local_folder, shown, store_at

_REPLACED = ".replaced"


def lease_at(path: str | PathLike[str], what: str, notice: Notice | None = None) -> Lease:
    """The lease of a whole cache, one that is there or one to be made; a context manager that lets it go.

    Args:
        path: the cache.
        what: what is done under it, as "extract".
        notice: called with a line where it takes a while to see whether another machine still writes.

    Raises:
        LeaseError: somebody else writes to it.
    """
    return Lease.take(store_at(path, read_only=False), "whole", what, notice=notice)


def begin(path: str | PathLike[str], *, overwrite: bool) -> tuple[Lease, str]:
    """An empty place to make a cache in; only a cache may be replaced, one cut off while it was made always.

    What is made in it is no cache until :func:`finish`.

    Returns:
        Its lease, and what tells this beginning from another's.

    Raises:
        CacheError: a cache, or something else, is at ``path``, or somebody writes to it.
    """
    check_replaceable(path, overwrite=overwrite)
    lease = lease_at(path, "make")
    try:
        check_replaceable(path, overwrite=overwrite)
        return lease, empty(lease.store, FORMAT)
    except BaseException:
        lease.release()
        raise


def finish(store: SafeStore, maker: str, root: Root) -> None:
    """Declare a cache whole that was begun.

    Raises:
        CacheError: another process has begun to make the same meanwhile.
    """
    found = attributes_at(store.name)
    if found is None or found.get(MAKER) != maker:
        raise CacheError(
            f"{store.name} was begun by another process at the same moment: start again when that one has ended"
        )
    store.write("zarr.json", root.to_bytes())


def check_replaceable(path: str | PathLike[str], *, overwrite: bool) -> None:
    """Whether a cache may be made at a path.

    Raises:
        CacheError: a cache that is not to be replaced is there, or something else.
    """
    name, folder = shown(path), local_folder(path)
    try:
        found = attributes_at(path)
    except CacheError:
        if not overwrite:
            raise
        return
    if found is None:
        there = folder is not None and folder.exists() and not folder.is_dir()
        if not there:
            store = store_at(path, read_only=True)
            there = bool(names_in(store, "")) or store.read("zarr.json") is not None
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
        CacheError: something is at ``path`` already, or somebody writes to it.
    """
    target = local_folder(path)
    if target is None:
        with lease_at(path, "make"):
            yield path
        return
    partial, replaced = _beside(target, PARTIAL), _beside(target, _REPLACED)
    put_back(path)
    check_replaceable(path, overwrite=overwrite)
    with lease_at(partial, "make") as lease:
        for name in [*names_in(lease.store, "", partial=True), "zarr.json"]:
            lease.store.remove(name)
        shutil.rmtree(replaced, ignore_errors=True)
        try:
            yield partial
            _put_in_place(lease, target, replaced)
        finally:
            if replaced.exists() and not target.exists():
                replaced.rename(target)
            if partial.exists():
                shutil.rmtree(partial, ignore_errors=True)
        sync_folder(target.parent)


def put_back(path: str | PathLike[str]) -> None:
    """Give a cache its name again that was being replaced by another when that one's writer was killed."""
    target = local_folder(path)
    if target is not None and _beside(target, _REPLACED).exists() and not target.exists():
        _beside(target, _REPLACED).rename(target)


def put_in_place(lease: Lease, path: str | PathLike[str]) -> None:
    """A whole cache in a folder beside another gets that one's name; the other one is gone then.

    Args:
        lease: of the cache that gets the name.
        path: the folder whose name it gets.

    Raises:
        LeaseError: another process writes to what is there.
    """
    target = local_folder(path)
    assert target is not None
    replaced = _beside(target, _REPLACED)
    shutil.rmtree(replaced, ignore_errors=True)
    try:
        _put_in_place(lease, target, replaced)
    finally:
        put_back(path)


def remove_beside(path: str | PathLike[str], ending: str) -> None:
    """Remove what a kill left of :func:`beside`, and of what was replaced.

    Raises:
        LeaseError: another process writes to the cache.
    """
    target = local_folder(path)
    left = [] if target is None else [_beside(target, ending), _beside(target, _REPLACED)]
    if any(folder.exists() for folder in left):
        with lease_at(path, "extract"):
            for folder in left:
                shutil.rmtree(folder, ignore_errors=True)


def beside(path: str | PathLike[str], ending: str) -> Path:
    """Where a cache is made that is to take another's place, however often that is cut off.

    Raises:
        CacheError: the path is no folder, which could change its name.
    """
    target = local_folder(path)
    if target is None:
        raise CacheError(
            f"{shown(path)} is no folder, which could change its name: copy it to a folder, and back when it is done"
        )
    return _beside(target, ending)


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(f".{target.name[:40]}{ending}")


def _put_in_place(lease: Lease, target: Path, replaced: Path) -> None:
    partial = local_folder(lease.store.name)
    assert partial is not None
    if target.exists():
        with lease_at(target, "replace") as other:
            swapped = swap_names(partial, target)
            (partial if swapped else target).rename(replaced)
            other.moved(store_at(replaced, read_only=False))
            if not swapped:
                partial.rename(target)
    else:
        partial.rename(target)
    lease.moved(store_at(target, read_only=False))
    sync_folder(target.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def is_there(path: str | PathLike[str]) -> bool:
    """Whether a group is there that is more than the beginning of a cache.

    Raises:
        CacheError: the store cannot be read, or the group's zarr.json is damaged.
    """
    found = attributes_at(path)
    return found is not None and UNFINISHED not in found


def read_root(path: str | PathLike[str], store: SafeStore) -> Root | Header:
    """What the zarr.json of a cache says: its root, or the header of one of format 2.

    Raises:
        CacheError: there is none, it is no av2a cache, half made, of another format version, or damaged.
    """
    raw = store.read("zarr.json")
    name, folder = shown(path), local_folder(path)
    if raw is None:
        if folder is not None and folder.exists() and (folder.is_file() or store.names("") != [LEASES]):
            raise CacheError(f"{name} is no av2a cache: make one with `extract_videos(...)`")
        raise CacheError(f"{name} is not there: make it with `extract_videos(...)`")
    found = attributes_at(path)
    if found is None:
        raise CacheError(f"{name} is no av2a cache: make one with `extract_videos(...)`")
    if UNFINISHED in found:
        raise CacheError(f"{name} is half written (cut off while it was made): extract again")
    if not found:
        raise CacheError(f"{name} is half written (cut off while it was made): extract again, overwriting it")
    if found.get("format") != FORMAT:
        raise CacheError(f"{name} is a Zarr store, but no av2a cache: make one with `extract_videos(...)`")
    version = found.get("format_version")
    if version not in (OLD_VERSION, FORMAT_VERSION):
        raise CacheError(
            f"{name} has cache format {short(version)}, this av2a reads {OLD_VERSION} and {FORMAT_VERSION}: "
            "extract again, or use the av2a that made it"
        )
    try:
        return Root.parse(raw, store) if version == FORMAT_VERSION else _old_header(found)
    except CacheError as error:
        what = "zarr.json is not as it was written" if isinstance(error, SealError) else str(error)
        raise CacheError(f"{name} is damaged ({what}): extract again, overwriting it") from error


def _old_header(stored: dict[str, object]) -> Header:
    header = Header.from_dict(stored)
    if stored.get(ATTRIBUTE_DIGEST) != attribute_digest(stored):
        raise SealError("it is not as it was written")
    return header
