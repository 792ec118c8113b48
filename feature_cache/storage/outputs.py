"""Outputs that are whole or not there: made under another name, renamed at the end."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from os import PathLike
from pathlib import Path

from feature_cache.errors import CacheError
from feature_cache.storage.atomic import PARTIAL, sync_folder, whole_file
from feature_cache.storage.group import check_replaceable
from feature_cache.storage.urls import local_folder


def new_file(path: str | PathLike[str], *, overwrite: bool) -> AbstractContextManager[Path]:
    """A name to write a file under; it becomes ``path`` when the block ends without an error.

    Args:
        path: the file to make.
        overwrite: replace a file that is there.

    Raises:
        CacheError: something is at ``path`` already, or its folder is not there.
    """
    target = Path(path)
    if target.is_dir():
        raise CacheError(f"{target} is a folder: name a file to write")
    if target.exists() and not overwrite:
        raise CacheError(f"{target} is there already: choose another output or overwrite it")
    if not target.parent.is_dir():
        raise CacheError(f"{target}: no folder {target.parent}: make it first")
    return whole_file(target)


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
        _remove(left)
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


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)
