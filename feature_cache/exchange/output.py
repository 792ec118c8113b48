"""Outputs that are whole or not there: made under another name, renamed at the end."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from feature_cache.errors import CacheError
from feature_cache.layout import FORMAT, UNFINISHED
from feature_cache.places import local_folder
from feature_cache.store import attributes_at


@contextmanager
def whole_file(path: str | PathLike[str], *, overwrite: bool) -> Iterator[Path]:
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
    partial = target.with_name(f".{target.name}.partial")
    try:
        yield partial
        with partial.open("r+b") as written:  # Windows syncs what may be written
            os.fsync(written.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_cache(path: str | PathLike[str], *, overwrite: bool) -> Iterator[str | PathLike[str]]:
    """A place to make a cache in; a folder becomes ``path`` when the block ends without an error.

    A URL cannot be renamed: there the cache is made where it stays.

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
    _check_replaceable(target, overwrite)
    partial = target.with_name(f".{target.name}.partial")
    _remove(partial)
    try:
        yield partial
        _remove(target)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)


def _check_replaceable(folder: Path, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    found = attributes_at(folder)
    if found is None or (found and UNFINISHED not in found and found.get("format") != FORMAT):
        raise CacheError(f"{folder} is there and no av2a cache: choose another output")
    if UNFINISHED not in found and not overwrite:
        raise CacheError(f"{folder} is there already: choose another output or overwrite it")
