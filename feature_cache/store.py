"""Where a cache lies: a folder, or a URL that Zarr's storage knows."""

import os
import shutil
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import zarr
from zarr.errors import ContainsArrayError, GroupNotFoundError

from feature_cache.errors import CacheError
from feature_cache.layout import FORMAT, FORMAT_VERSION


def is_url(path: str | PathLike[str]) -> bool:
    """Whether a path is a URL rather than a folder."""
    return "://" in os.fspath(path)


def shown(path: str | PathLike[str]) -> str:
    """The path as people gave it."""
    return os.fspath(path)


def clear(path: str | PathLike[str], *, overwrite: bool) -> zarr.Group:
    """An empty group to make a cache in; only a cache may be replaced."""
    found = _attributes(path)
    if found is not None:
        if not overwrite:
            raise CacheError(f"{shown(path)} is there already: choose another output or overwrite it")
        if found and found.get("format") != FORMAT:
            raise CacheError(f"{shown(path)} is a Zarr store, but no av2a cache: choose another output")
    if not is_url(path):
        folder = Path(path)
        if found is not None:
            shutil.rmtree(folder)
        elif folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise CacheError(f"{folder} is there and no av2a cache: choose another output")
    try:
        return zarr.open_group(os.fspath(path), mode="w", zarr_format=3)
    except OSError as error:
        raise CacheError(f"{shown(path)}: cannot be made ({error.strerror or error})") from error


def open_group(path: str | PathLike[str], mode: Literal["r", "r+"]) -> zarr.Group:
    """The group of a cache of this format version."""
    found = _attributes(path)
    name = shown(path)
    if found is None:
        if not is_url(path) and Path(path).exists():
            raise CacheError(f"{name} is no av2a cache: make one with `av2a extract`")
        raise CacheError(f"{name} is not there: make it with `av2a extract`")
    if not found:
        raise CacheError(f"{name} is half written (cut off while it was made): extract again, overwriting it")
    if found.get("format") != FORMAT:
        raise CacheError(f"{name} is a Zarr store, but no av2a cache: make one with `av2a extract`")
    if found.get("format_version") != FORMAT_VERSION:
        raise CacheError(
            f"{name} has cache format {found.get('format_version')}, this av2a reads {FORMAT_VERSION}: "
            "extract again, or use the av2a that made it"
        )
    missing = _REQUIRED - found.keys()
    if missing:
        raise CacheError(f"{name} is damaged (no {', '.join(sorted(missing))}): extract again, overwriting it")
    return zarr.open_group(os.fspath(path), mode=mode, zarr_format=3)


_REQUIRED = {
    "attributes",
    "audio_dim",
    "backbone",
    "clip_ids",
    "dtype",
    "frames_per_window",
    "segment_seconds",
    "segments",
    "shard_size",
    "visual_dim",
}


def _attributes(path: str | PathLike[str]) -> dict[str, Any] | None:
    """A group's attributes; None where no group is."""
    try:
        return dict(zarr.open_group(os.fspath(path), mode="r", zarr_format=3).attrs)
    except (GroupNotFoundError, FileNotFoundError, NotADirectoryError, ContainsArrayError):
        return None
    except (ValueError, TypeError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CacheError(f"{shown(path)}: zarr.json is damaged ({reason}): extract again") from error
