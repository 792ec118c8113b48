"""HDF5 files of strangers: read without following anything that leads out of the file."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from feature_cache.errors import CacheError
from feature_cache.exchange.hdf5_chunks import check_chunks
from feature_cache.exchange.limits import bytes_on_disk, check_text, check_texts, shorter, shown
from feature_cache.tables import first_line

MOST_HELD = 1 << 30
"""Bytes of a chunk that is kept to be read from again; rows of larger ones are decompressed at each reading."""
_TEXT_AT_ONCE = 16 << 20
MOST_LINKS = 16
MOST_LISTED = 100


def open_hdf5(path: str | PathLike[str]) -> h5py.File:
    """A file to read.

    Raises:
        CacheError: it is not there, no HDF5, or cut off.
    """
    if not Path(path).is_file():
        raise CacheError(f"{path} is not there")
    try:
        if not h5py.is_hdf5(path):
            known = Path(path).suffix.lower() in (".h5", ".hdf5", ".hdf")
            raise CacheError(f"{path} is {'no HDF5 file' if known else 'neither HDF5, .npy nor .npz'}")
        return h5py.File(path, "r", locking="best-effort")
    except (OSError, RuntimeError, ValueError) as error:
        if "truncated" in str(error):
            raise CacheError(f"{path} is cut off (truncated HDF5): copy or download it again") from error
        raise CacheError(f"{path} cannot be opened as HDF5 ({first_line(error)})") from error


class Hdf5Table:
    """A dataset of numbers; :class:`feature_cache.tables.Table`."""

    def __init__(self, path: str | PathLike[str], name: str, dataset: h5py.Dataset) -> None:
        """Wrap a dataset that :func:`find_dataset` gave."""
        self.source = f"{path}: dataset {shown(name)!r}"
        self.stored = min(dataset.id.get_storage_size(), bytes_on_disk(path))
        self.shape: tuple[int, ...] = tuple(dataset.shape or ())
        self.dtype: np.dtype[Any] = dataset.dtype
        self._dataset = dataset
        self._held, self._held_from = np.empty(0, dtype=self.dtype), 0

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop)."""
        step = self._dataset.chunks[0] if self._dataset.chunks else 0
        size = step * int(np.prod(self.shape[1:], dtype=object)) * self.dtype.itemsize
        if step <= stop - start or size > MOST_HELD:
            return self._read(start, stop)
        parts = []
        while start < stop:
            first = start - start % step
            if not len(self._held) or self._held_from != first:
                self._held, self._held_from = self._read(first, min(first + step, self.shape[0])), first
            parts.append(self._held[start - first : stop - first])
            start = first + step
        return np.concatenate(parts)

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        check_chunks(self.source, self._dataset, start, stop)
        try:
            return np.asarray(self._dataset[start:stop])
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            raise _unreadable(f"{self.source}: rows {start} to {stop - 1}", error) from error


def find_dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """The dataset of that name, "a/b" for one inside a group; None if there is none.

    Links are followed here, one by one, and not by the library, so that none leads out of the file.

    Raises:
        CacheError: the name leads to another file: an external link, external storage or a virtual dataset.
    """
    found = _walk(file, name, 0)
    if not isinstance(found, h5py.Dataset):
        return None
    try:
        found.dtype  # noqa: B018  # one that NumPy cannot have
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise CacheError(f"{file.filename}: dataset {shown(name)!r} cannot be read ({first_line(error)})") from error
    # before the shape is asked for, which would open a virtual dataset's sources
    if found.is_virtual or found.id.get_create_plist().get_external_count():
        how = "is a virtual dataset" if found.is_virtual else "lies in external storage"
        raise CacheError(
            f"{file.filename}: dataset {shown(name)!r} {how}, whose data are in other files, which are not read: "
            "copy them into one file"
        )
    return found


def find_group(file: h5py.File, name: str) -> h5py.Group | None:
    """The group of that name, "/" for the file itself; None if there is none. Links as in :func:`find_dataset`.

    Raises:
        CacheError: the name leads to another file.
    """
    found = _walk(file, name, 0)
    return found if isinstance(found, h5py.Group) else None


def dataset_names(file: h5py.File) -> list[str]:
    """Names of the datasets, sorted; 100 at most. Links out of the file are left out."""
    return sorted(_names(file, "", 0))[:MOST_LISTED]


def names_of(group: h5py.Group) -> list[str]:
    """Names of what a group has; what has a name that is no UTF-8 is left out.

    Raises:
        CacheError: they cannot be read.
    """
    try:
        return [name for name in group if isinstance(name, str)]  # bytes: no UTF-8
    except (OSError, RuntimeError, ValueError) as error:
        raise CacheError(f"{group.file.filename}: names in it cannot be read ({first_line(error)})") from error


def is_hard_link(group: h5py.Group, name: str) -> bool:
    """Whether what a group has under a name lies in the file itself."""
    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def is_text(dataset: h5py.Dataset) -> bool:
    """Whether a dataset holds strings."""
    return h5py.check_string_dtype(dataset.dtype) is not None


def read_strings(file: h5py.File, name: str, dataset: h5py.Dataset) -> list[str]:
    """A list of strings, of fixed or variable length.

    Raises:
        CacheError: they are no list, or no UTF-8.
    """
    where = f"{file.filename}: dataset {shown(name)!r}"
    kind = h5py.check_string_dtype(dataset.dtype)
    if kind is None or len(dataset.shape) != 1:
        raise CacheError(f"{where} is {dataset.dtype.name} {shorter(dataset.shape)}, expected a list of strings (N,)")
    check_texts(where, dataset.shape[0], kind.length or 0)
    found: list[str] = []
    step = max(1, _TEXT_AT_ONCE // (kind.length or 1))
    try:
        for start in range(0, dataset.shape[0], step):
            check_chunks(where, dataset, start, min(start + step, dataset.shape[0]))
            part = (str(text) for text in dataset.asstr()[start : start + step])
            found += [check_text(where, text, len(found) + row) for row, text in enumerate(part)]
        return found
    except UnicodeDecodeError as error:
        raise CacheError(f"{where} is no UTF-8 text ({error.reason})") from error
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise _unreadable(where, error) from error


def _walk(group: h5py.Group, name: str, links: int) -> h5py.Dataset | h5py.Group | None:
    here: Any = group.file if name.startswith("/") else group
    for part in (part for part in name.split("/") if part not in ("", ".")):
        if not isinstance(here, h5py.Group):
            return None
        try:
            link = here.get(part, getlink=True)
        except (TypeError, ValueError, KeyError, RuntimeError, OSError) as error:
            raise CacheError(f"{group.file.filename}: {shown(name)!r} cannot be read ({first_line(error)})") from error
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise CacheError(
                f"{group.file.filename}: {shown(name)!r} is a link into another file ({shown(link.filename)}), which "
                "is not read: copy the data into one file"
            )
        if isinstance(link, h5py.SoftLink):
            if links >= MOST_LINKS:
                raise CacheError(f"{group.file.filename}: {shown(name)!r} is a link in a circle")
            here = _walk(here, link.path, links + 1)
            continue
        try:
            here = here[part]
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise _unreadable(f"{group.file.filename}: {shown(name)!r}", error) from error
    return here if isinstance(here, h5py.Dataset | h5py.Group) else None


def _names(group: h5py.Group, prefix: str, depth: int) -> Iterator[str]:
    for part in names_of(group)[:MOST_LISTED]:
        if not is_hard_link(group, part):
            continue
        found = group[part]
        if isinstance(found, h5py.Dataset):
            yield prefix + part
        elif isinstance(found, h5py.Group) and depth < 3:
            yield from _names(found, f"{prefix}{part}/", depth + 1)


def _unreadable(what: str, error: Exception) -> CacheError:
    text = first_line(error)
    if "hecksum" in text or "filter returned failure" in text:
        return CacheError(
            f"{what} are damaged (wrong checksum, or no valid compression): copy or download the file again"
        )
    return CacheError(f"{what} cannot be read ({text})")
