"""NumPy files: .npy mapped into memory, .npz read in order or array by array. Never a pickle."""

import zipfile
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.errors import CacheError
from feature_cache.tables import first_line

_BROKEN = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, NotImplementedError, MemoryError)
NO_PICKLES = "holds Python objects (a pickle), which av2a never loads: save plain numbers, or text with dtype=str"


class NpyTable:
    """A .npy file; :class:`feature_cache.tables.Table`."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Open a file.

        Raises:
            CacheError: it is no .npy file, cut off, or holds Python objects.
        """
        self.source = str(path)
        self._values = map_npy(path)
        self.shape: tuple[int, ...] = self._values.shape
        self.dtype: np.dtype[Any] = self._values.dtype

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop)."""
        return np.array(self._values[start:stop])


class NpzTable:
    """An array of an .npz file, decompressed as it is read; :class:`feature_cache.tables.Table`."""

    def __init__(self, path: str | PathLike[str], name: str) -> None:
        """Open an array of an .npz file.

        Raises:
            CacheError: the array cannot be read, or holds Python objects.
        """
        self.source = f"{path}: array {name!r}"
        self._path, self._name = path, name
        self._values: NDArray[Any] | None = None
        self._stream, self.shape, fortran, self.dtype = self._begin()
        self._next = 0
        if fortran or not self.shape:
            self._values = self._whole()

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop); reading them out of order starts again from the front."""
        if self._values is not None:
            return self._values[start:stop]
        if start != self._next:
            self._stream.close()
            self._stream, *_ = self._begin()
            self._next = 0
            for row in range(start):
                self._read(row, row + 1)
        return self._read(start, stop)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        shape = (stop - start, *self.shape[1:])
        wanted = int(np.prod(shape)) * self.dtype.itemsize
        try:
            raw = self._stream.read(wanted)
            if len(raw) < wanted:
                raise EOFError("cut off")
            if stop == self.shape[0]:
                self._stream.read()  # to the end, where its checksum is compared
        except _BROKEN as error:
            raise CacheError(
                f"{self.source}: rows {start} to {stop - 1} cannot be read ({first_line(error)})"
            ) from error
        self._next = stop
        return np.frombuffer(raw, dtype=self.dtype).reshape(shape)

    def _begin(self) -> tuple[IO[bytes], tuple[int, ...], bool, np.dtype[Any]]:
        try:
            with zipfile.ZipFile(self._path) as archive:
                stream = archive.open(f"{self._name}.npy")  # stays open
            shape, fortran, dtype = _header(stream)
        except (*_BROKEN, KeyError) as error:
            raise CacheError(f"{self.source} cannot be read ({first_line(error)})") from error
        if dtype.hasobject:
            stream.close()
            raise CacheError(f"{self.source} {NO_PICKLES}")
        return stream, shape, fortran, dtype

    def _whole(self) -> NDArray[Any]:
        try:
            with np.load(self._path, allow_pickle=False) as archive:
                return np.asarray(archive[self._name])
        except (*_BROKEN, KeyError) as error:
            raise CacheError(f"{self.source} cannot be read ({first_line(error)})") from error


class NpzClips:
    """Arrays of an .npz file that are read whole, one by one; the file stays open."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Open a file that :func:`npz_names` could list."""
        self._path = path
        self._archive = zipfile.ZipFile(path)

    def table(self, name: str) -> "NpzClip":
        """The array of that name.

        Raises:
            CacheError: it cannot be read, or holds Python objects.
        """
        return NpzClip(self._path, self._archive, name)

    def close(self) -> None:
        """Close the file."""
        self._archive.close()


class NpzClip:
    """One array of :class:`NpzClips`; :class:`feature_cache.tables.Table`."""

    def __init__(self, path: str | PathLike[str], archive: zipfile.ZipFile, name: str) -> None:
        """Read the array's header."""
        self.source = f"{path}: array {name!r}"
        self._archive, self._name = archive, name
        try:
            with archive.open(f"{name}.npy") as stream:
                self.shape, _, self.dtype = _header(stream)
        except (*_BROKEN, KeyError) as error:
            raise CacheError(f"{self.source} cannot be read ({first_line(error)})") from error
        if self.dtype.hasobject:
            raise CacheError(f"{self.source} {NO_PICKLES}")

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop)."""
        try:
            with self._archive.open(f"{self._name}.npy") as stream:
                whole = np.lib.format.read_array(stream, allow_pickle=False)
        except (*_BROKEN, KeyError) as error:
            raise CacheError(f"{self.source} cannot be read ({first_line(error)})") from error
        return np.asarray(whole[start:stop])


def map_npy(path: str | PathLike[str]) -> NDArray[Any]:
    """A .npy file, mapped into memory and not to be written to.

    Raises:
        CacheError: it is no .npy file, cut off, empty, or holds Python objects.
    """
    try:
        with Path(path).open("rb") as stream:
            np.lib.format.read_magic(stream)
        return np.lib.format.open_memmap(path, mode="r")
    except _BROKEN as error:
        text = first_line(error)
        if "Python objects" in text:
            raise CacheError(f"{path} {NO_PICKLES}") from error
        if "magic" in text:
            raise CacheError(f"{path} is no .npy file") from error
        if "greater than file size" in text:
            raise CacheError(f"{path} is cut off: copy or download it again") from error
        raise CacheError(f"{path} cannot be read ({text})") from error


def npz_names(path: str | PathLike[str]) -> list[str]:
    """Names of the arrays of an .npz file.

    Raises:
        CacheError: it is no .npz file, or cut off.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except _BROKEN as error:
        raise CacheError(f"{path} is no .npz file, or cut off ({first_line(error)})") from error


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and dtype, as a .npy file's beginning states them."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of .npy")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    return shape, fortran, dtype


def begins_with(path: str, start: bytes) -> bool:
    """Whether a file's first bytes are these.

    Raises:
        CacheError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            return stream.read(len(start)) == start
    except OSError as error:
        raise CacheError(f"{path} cannot be read ({error.strerror or first_line(error)})") from error
