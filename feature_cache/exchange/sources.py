"""Where features come from: files given by position, and what options name in them or elsewhere."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Protocol, Self

import h5py

from feature_cache.errors import CacheError
from feature_cache.exchange.hdf5_files import Hdf5Table, dataset_names, find_dataset, is_text, open_hdf5, read_strings
from feature_cache.exchange.numpy_files import ClipFolder, NpyTable, NpzTable, npz_names
from feature_cache.exchange.tables import Table, first_line

_MOST_TEXT = 256 << 20


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

    def names(self) -> list[str]:
        """Names of the datasets."""
        return dataset_names(self.file)

    def has(self, name: str) -> bool:
        """Whether there is a dataset of that name."""
        return find_dataset(self.file, name) is not None

    def table(self, name: str) -> Table:
        """The dataset of that name."""
        return Hdf5Table(self.path, name, self._dataset(name))

    def strings(self, name: str) -> list[str]:
        """The dataset of texts of that name."""
        return read_strings(self.file, name, self._dataset(name))

    def is_text(self, name: str) -> bool:
        """Whether a dataset holds texts."""
        return is_text(self._dataset(name))

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _dataset(self, name: str) -> h5py.Dataset:
        found = find_dataset(self.file, name)
        assert found is not None
        return found


class NumpyArchive:
    """Arrays of an .npz file, or the one of a .npy file under the file's stem."""

    def __init__(self, path: str) -> None:
        """List a file."""
        self.path = path
        self._single = _begins_with(path, b"\x93NUMPY")
        self._names = [Path(path).stem] if self._single else npz_names(path)
        self._tables: dict[str, NpzTable] = {}

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

    def strings(self, name: str) -> list[str]:
        """The array of texts of that name."""
        table = self.table(name)
        if table.dtype.kind not in "US" or len(table.shape) != 1:
            raise CacheError(f"{table.source} is {table.dtype} {table.shape}, expected a list of texts (N,)")
        if table.shape[0] * table.dtype.itemsize > _MOST_TEXT:
            raise CacheError(f"{table.source} is {table.dtype} {table.shape}: too long for a list of texts")
        try:
            found = table.rows(0, table.shape[0])
            return [text.decode() if isinstance(text, bytes) else str(text) for text in found.tolist()]
        except UnicodeDecodeError as error:
            raise CacheError(f"{table.source} is no UTF-8 text ({error.reason})") from error

    def is_text(self, name: str) -> bool:
        """Whether an array holds texts."""
        return self.table(name).dtype.kind in "US"

    def close(self) -> None:
        """Close the file."""
        for table in self._tables.values():
            table.close()


class Sources:
    """What files and options offer; a context manager that closes the files."""

    def __init__(self, files: Sequence[str | PathLike[str]]) -> None:
        """Open the files given by position.

        Raises:
            CacheError: one is not there, or neither HDF5 nor NumPy.
        """
        self._open: dict[str, Archive] = {}
        try:
            self.archives = [self._archive(str(file)) for file in files]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every file."""
        self.close()

    def close(self) -> None:
        """Close every file."""
        for archive in self._open.values():
            archive.close()

    def only_hdf5(self) -> h5py.File | None:
        """The HDF5 file if it is the one file given."""
        only = self.archives[0] if len(self.archives) == 1 else None
        return only.file if isinstance(only, Hdf5Archive) else None

    def table(self, option: str, value: str | None, names: Sequence[str]) -> Table | ClipFolder | None:
        """The table that an option names, or that a file has under one of the usual names.

        Args:
            option: as errors name it.
            value: an array's name in the files, a .npy file, a folder of them, a file with one array, or FILE:NAME;
                None if the option is not given.
            names: usual names.

        Raises:
            CacheError: there is nothing of that name, or several.
        """
        if value is None:
            found = [(archive, name) for name in names for archive in self.archives if archive.has(name)]
            return self._table(option, *self._one(option, found)) if found else None
        found = [(archive, value) for archive in self.archives if archive.has(value)]
        if found:
            return self._table(option, *self._one(option, found))
        if Path(value).is_dir():
            return ClipFolder(value)
        archive, name = self._named(option, value, names)
        return self._table(option, archive, name)

    def strings(self, option: str, value: str | None, names: Sequence[str]) -> list[str] | None:
        """The texts that an option names, likewise; any other file is read as text, one a line, blank lines aside.

        Raises:
            CacheError: there is nothing of that name, several, or no list of texts.
        """
        if value is None:
            found = [
                (archive, name)
                for name in names
                for archive in self.archives
                if archive.has(name) and archive.is_text(name)
            ]
        else:
            found = [(archive, value) for archive in self.archives if archive.has(value)]
        if found:
            archive, name = self._one(option, found)
            return archive.strings(name)
        if value is None:
            return None
        if Path(value).is_file() and not _is_array_file(value):
            return _lines(value)
        archive, name = self._named(option, value, names)
        return archive.strings(name)

    def offers(self) -> str:
        """What the files hold, for errors."""
        parts = []
        for archive in self.archives:
            listed = [self._described(archive, name) for name in archive.names()[:12]]
            more = ", …" if len(archive.names()) > 12 else ""
            parts.append(f"{archive.path} has {', '.join(listed) + more if listed else 'no arrays'}")
        return "; ".join(parts)

    def _described(self, archive: Archive, name: str) -> str:
        try:
            return f"{name} {archive.table(name).shape}"
        except CacheError:
            return f"{name} (not readable)"

    def _table(self, option: str, archive: Archive, name: str) -> Table:
        if not archive.has(name):
            held = ", ".join(archive.names()[:12]) or "nothing"
            raise CacheError(f"{option}: {archive.path} has no {name!r}; it has {held}")
        return archive.table(name)

    def _one(self, option: str, found: Sequence[tuple[Archive, str]]) -> tuple[Archive, str]:
        if len(found) > 1:
            both = " and ".join(f"{archive.path}:{name}" for archive, name in found[:2])
            raise CacheError(f"{option}: {both} are both there: name one as FILE:NAME")
        return found[0]

    def _named(self, option: str, value: str, names: Sequence[str]) -> tuple[Archive, str]:
        """An array as FILE:NAME, or a file's only one."""
        if Path(value).is_file():
            archive = self._archive(value)
            held = [
                name for name in archive.names() if not (isinstance(archive, Hdf5Archive) and archive.is_text(name))
            ]
            usual = [name for name in names if name in held]
            if len(held) == 1 or usual:
                return archive, (usual or held)[0]
            raise CacheError(f"{option}: {value} has {', '.join(held[:12]) or 'no arrays'}: name one as {value}:NAME")
        for place, letter in enumerate(value):
            if letter == ":" and Path(value[:place]).is_file():
                archive, name = self._archive(value[:place]), value[place + 1 :]
                self._table(option, archive, name)
                return archive, name
        offers = f"; {self.offers()}" if self.archives else ""
        raise CacheError(f"{option}: {value} is not there, as a file or as an array's name{offers}")

    def _archive(self, path: str) -> Archive:
        if path not in self._open:
            if not Path(path).exists():
                raise CacheError(f"{path} is not there")
            if Path(path).is_dir():
                raise CacheError(f"{path} is a folder: name it in an option, as --image {path}")
            if _begins_with(path, b"\x93NUMPY") or _begins_with(path, b"PK"):
                self._open[path] = NumpyArchive(path)
            elif path.lower().endswith((".npy", ".npz")):
                raise CacheError(f"{path} is no {path[-4:].lower()} file")
            else:
                self._open[path] = Hdf5Archive(path, open_hdf5(path))
        return self._open[path]


def _numeric(archive: Archive, name: str) -> bool:
    try:
        return not archive.is_text(name)
    except CacheError:
        return True  # said when it is read


def _is_array_file(path: str) -> bool:
    return path.lower().endswith((".npy", ".npz")) or _begins_with(path, b"\x93NUMPY") or h5py.is_hdf5(path)


def _begins_with(path: str, start: bytes) -> bool:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(len(start)) == start
    except OSError as error:
        raise CacheError(f"{path} cannot be read ({error.strerror or first_line(error)})") from error


def _lines(path: str) -> list[str]:
    try:
        if Path(path).stat().st_size > _MOST_TEXT:
            raise CacheError(f"{path} is too long for a list of texts")
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CacheError(f"{path} is no UTF-8 text ({error.reason}): save it as such") from error
    except OSError as error:
        raise CacheError(f"{path} cannot be read ({error.strerror or first_line(error)})") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
