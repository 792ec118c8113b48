"""Files with named arrays: HDF5, .npz and .npy behind one face."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import h5py

from feature_cache.errors import CacheError
from feature_cache.exchange.hdf5_files import (
    Hdf5Table,
    dataset_names,
    find_dataset,
    find_group,
    is_hard_link,
    is_text,
    names_of,
    read_strings,
)
from feature_cache.exchange.limits import check_texts, some_of
from feature_cache.exchange.numpy_files import NpyTable, NpzClips, NpzTable, begins_with, npz_names
from feature_cache.tables import Table, check_block


class Archive(Protocol):
    """A file with named arrays."""

    path: str

    def names(self) -> list[str]:
        """Names of what it holds."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is an array of that name."""
        ...

    def table(self, name: str) -> Table:
        """The array of a name that it has."""
        ...

    def members(self, name: str) -> Mapping[str, str]:
        """Names of arrays a clip, by clip id: those of the group of that name ("/" is the file itself), or else
        those of that name in groups that are called as the clips; empty where there are neither."""
        ...

    def member(self, name: str) -> Table:
        """One of many arrays, to be read as a whole."""
        ...

    def strings(self, name: str) -> list[str]:
        """The list of texts of a name that it has."""
        ...

    def is_text(self, name: str) -> bool:
        """Whether a name that it has is of texts."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class Hdf5Archive:
    """Datasets of an HDF5 file."""

    def __init__(self, path: str, file: h5py.File) -> None:
        """Wrap an open file."""
        self.path, self.file = path, file
        self._members: dict[str, Mapping[str, str]] = {}
        self._names: list[str] | None = None
        self._root_names: list[str] | None = None

    def names(self) -> list[str]:
        """Names of the datasets."""
        if self._names is None:
            self._names = dataset_names(self.file)
        return self._names

    def has(self, name: str) -> bool:
        """Whether there is a dataset of that name."""
        return find_dataset(self.file, name) is not None

    def table(self, name: str) -> Table:
        """The dataset of that name."""
        return Hdf5Table(self.path, name, self._dataset(name))

    def members(self, name: str) -> Mapping[str, str]:
        """Datasets of numbers of the group of that name; else those of that name in the file's groups."""
        if name not in self._members:
            self._members[name] = self._found(name)
        return self._members[name]

    def member(self, name: str) -> Table:
        """The dataset of that name."""
        return self.table(name)

    def strings(self, name: str) -> list[str]:
        """The dataset of texts of that name."""
        return read_strings(self.file, name, self._dataset(name))

    def is_text(self, name: str) -> bool:
        """Whether a dataset holds texts."""
        return is_text(self._dataset(name))

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _found(self, name: str) -> Mapping[str, str]:
        group = find_group(self.file, name)
        if group is not None:
            inside = {part: f"{name.strip('/')}/{part}".lstrip("/") for part in names_of(group)}
        else:
            inside = {part: f"{part}/{name}" for part in self._roots()}
            return _numeric_ones(
                inside, lambda path: is_hard_link(self.file, path[: -len(name) - 1]) and self._is_numeric(path)
            )
        return _numeric_ones(inside, self._is_numeric)

    def _roots(self) -> list[str]:
        if self._root_names is None:
            self._root_names = names_of(self.file)
        return self._root_names

    def _is_numeric(self, name: str) -> bool:
        found = find_dataset(self.file, name)
        return found is not None and not is_text(found)

    def _dataset(self, name: str) -> h5py.Dataset:
        found = find_dataset(self.file, name)
        assert found is not None
        return found


class NumpyArchive:
    """Arrays of an .npz file, or the one of a .npy file under the file's stem."""

    def __init__(self, path: str) -> None:
        """List a file."""
        self.path = path
        self._single = begins_with(path, b"\x93NUMPY")
        self._names = [Path(path).stem] if self._single else npz_names(path)
        self._tables: dict[str, NpzTable] = {}
        self._clips: NpzClips | None = None
        self._members: dict[str, Mapping[str, str]] = {}

    def names(self) -> list[str]:
        """Names of the arrays."""
        return self._names

    def has(self, name: str) -> bool:
        """Whether there is an array of that name."""
        return name in self._names

    def table(self, name: str) -> Table:
        """The array of that name."""
        if self._single:
            return NpyTable(self.path)
        if name not in self._tables:
            self._tables[name] = NpzTable(self.path, name)
        return self._tables[name]

    def members(self, name: str) -> Mapping[str, str]:
        """Arrays of numbers called NAME/CLIP, or else CLIP/NAME; "/" for those without a slash."""
        if name not in self._members:
            self._members[name] = {} if self._single else self._found(name)
        return self._members[name]

    def member(self, name: str) -> Table:
        """The array of that name, of which others need not be closed first."""
        if self._single:
            return NpyTable(self.path)
        if self._clips is None:
            self._clips = NpzClips(self.path)
        return self._clips.table(name)

    def strings(self, name: str) -> list[str]:
        """The array of texts of that name."""
        table = self.table(name)
        if table.dtype.kind not in "US" or len(table.shape) != 1:
            raise CacheError(f"{table.source} is {table.dtype} {table.shape}, expected a list of texts (N,)")
        check_texts(table.source, table.shape[0], table.dtype.itemsize // (4 if table.dtype.kind == "U" else 1))
        check_block(table, table.shape[0])
        try:
            found = table.rows(0, table.shape[0])
            return [text.decode() if isinstance(text, bytes) else str(text) for text in found.tolist()]
        except UnicodeDecodeError as error:
            raise CacheError(f"{table.source} is no UTF-8 text ({error.reason})") from error

    def is_text(self, name: str) -> bool:
        """Whether an array holds texts."""
        return self.member(name).dtype.kind in "US"

    def close(self) -> None:
        """Close the file."""
        for table in self._tables.values():
            table.close()
        if self._clips is not None:
            self._clips.close()

    def _found(self, name: str) -> Mapping[str, str]:
        group = f"{name.strip('/')}/".lstrip("/")
        inside = {path[len(group) :]: path for path in self._names if path.startswith(group)}
        found = {clip: path for clip, path in inside.items() if clip and "/" not in clip}
        if not found and group:
            ending = f"/{group[:-1]}"
            found = {path[: -len(ending)]: path for path in self._names if path.endswith(ending)}
        return _numeric_ones(found, lambda path: self.member(path).dtype.kind not in "US")


def _numeric_ones(paths: Mapping[str, str], is_numeric: Callable[[str], bool]) -> dict[str, str]:
    """Arrays of numbers among arrays by clip; of very many, all or none, by the first of them."""
    some = some_of(list(paths))
    found = {clip: paths[clip] for clip in some if is_numeric(paths[clip])}
    if len(some) == len(paths):
        return found
    return dict(paths) if found else {}
