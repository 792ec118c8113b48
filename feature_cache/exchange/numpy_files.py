"""NumPy files: .npy mapped into memory, .npz read in order or array by array. Never a pickle."""

import io
import warnings
import zipfile
import zlib
from os import PathLike
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_cache.errors import CacheError
from feature_cache.exchange.limits import MOST_HEADER, bytes_on_disk, check_regular, check_shape, shorter, shown
from feature_cache.tables import check_packed, first_line

_BROKEN = (
    OSError, ValueError, TypeError, EOFError, RuntimeError, OverflowError, MemoryError, zipfile.BadZipFile, zlib.error,
    NotImplementedError,
)  # fmt: skip
NO_PICKLES = "holds Python objects (a pickle), which av2a never loads: save plain numbers, or text with dtype=str"


class NpyTable:
    """A .npy file; :class:`feature_cache.tables.Table`."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Open a file.

        Raises:
            CacheError: it is no .npy file, cut off, or holds Python objects.
        """
        self.source = str(path)
        self.stored = bytes_on_disk(path)
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
        self.source = f"{path}: array {shown(name)!r}"
        self._path, self._name = path, name
        self._values: NDArray[Any] | None = None
        self._stream, header, self.stored = self._begin()
        self.shape: tuple[int, ...] = header.shape
        self.dtype: np.dtype[Any] = header.dtype
        self._next = 0
        if (header.fortran or not self.shape) and self.dtype.kind in "fiubUS":
            check_packed(f"{self.source} {shorter(self.shape)}, which is read whole,", header.size, self.stored)
            self._values = self._whole(header)

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
                self._stream.read(1)  # the end, where its checksum is compared
        except _BROKEN as error:
            raise CacheError(
                f"{self.source}: rows {start} to {stop - 1} cannot be read ({first_line(error)})"
            ) from error
        self._next = stop
        return np.frombuffer(raw, dtype=self.dtype).reshape(shape)

    def _begin(self) -> tuple[IO[bytes], "Header", int]:
        """The array's values to be read, its header, and the bytes that it takes in the file."""
        try:
            with zipfile.ZipFile(self._path) as archive:
                stream, header, stored = _open_member(archive, self._name)  # stays open
        except (*_BROKEN, KeyError) as error:
            raise CacheError(f"{self.source} cannot be read ({first_line(error)})") from error
        if header.dtype.hasobject:
            stream.close()
            raise CacheError(f"{self.source} {NO_PICKLES}")
        return stream, header, stored

    def _whole(self, header: "Header") -> NDArray[Any]:
        rows = self.shape[0] if self.shape else 1
        try:
            raw = self._stream.read(header.size)
            if len(raw) < header.size or self._stream.read(1):
                raise EOFError("cut off")
        except _BROKEN as error:
            raise CacheError(f"{self.source}: rows 0 to {rows - 1} cannot be read ({first_line(error)})") from error
        return _laid_out(raw, header)


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
        self.source = f"{path}: array {shown(name)!r}"
        self._archive, self._name = archive, name
        try:
            stream, self._header, self.stored = _open_member(archive, name)
            stream.close()
        except (*_BROKEN, KeyError) as error:
            raise CacheError(f"{self.source} cannot be read ({first_line(error)})") from error
        self.shape: tuple[int, ...] = self._header.shape
        self.dtype: np.dtype[Any] = self._header.dtype
        if self.dtype.hasobject:
            raise CacheError(f"{self.source} {NO_PICKLES}")

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop)."""
        check_packed(f"{self.source} {shorter(self.shape)}", self._header.size, self.stored)
        try:
            stream, header, _ = _open_member(self._archive, self._name)
            with stream:
                raw = stream.read(header.size)
                if len(raw) < header.size or stream.read(1):
                    raise EOFError("cut off")
        except (*_BROKEN, KeyError) as error:
            raise CacheError(f"{self.source} cannot be read ({first_line(error)})") from error
        return _laid_out(raw, header)[start:stop]


class Header(NamedTuple):
    """What the beginning of a .npy file states.

    Attributes:
        shape: of the array; one that an array can have.
        fortran: whether the first axis runs fastest.
        dtype: of the numbers.
        begin: byte at which they begin.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    begin: int

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


def map_npy(path: str | PathLike[str]) -> NDArray[Any]:
    """A .npy file, mapped into memory and not to be written to.

    Raises:
        CacheError: it is no .npy file, cut off, empty, or holds Python objects.
    """
    check_regular(path)
    try:
        with Path(path).open("rb") as stream:
            header = read_header(stream)
            end = stream.seek(0, io.SEEK_END)
        if header.dtype.hasobject:
            raise CacheError(f"{path} {NO_PICKLES}")
        if end < header.begin + header.size:
            raise CacheError(f"{path} is cut off: copy or download it again")
        if not header.size:
            return np.empty(header.shape, dtype=header.dtype)
        return np.memmap(
            path, dtype=header.dtype, mode="r", offset=header.begin, shape=header.shape,
            order="F" if header.fortran else "C",
        )  # fmt: skip
    except _BROKEN as error:
        text = first_line(error)
        if "magic" in text:
            raise CacheError(f"{path} is no .npy file") from error
        raise CacheError(f"{path} cannot be read ({text})") from error


def npz_names(path: str | PathLike[str]) -> list[str]:
    """Names of the arrays of an .npz file.

    Raises:
        CacheError: it is no .npz file, or cut off, or two of its arrays have one name.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except _BROKEN as error:
        raise CacheError(f"{path} is no .npz file, or cut off ({first_line(error)})") from error
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise CacheError(f"{path} has two arrays of the name {shown(name)!r}: save it again")
        seen.add(name)
    return names


def read_header(stream: IO[bytes]) -> Header:
    """What a .npy file's beginning states, checked before anything is made of it.

    Raises:
        ValueError: it is no such beginning, or none of an array.
    """
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"version {version} of .npy")
    places = 2 if version == (1, 0) else 4
    raw = stream.read(places)
    length = int.from_bytes(raw, "little")
    if len(raw) < places or length > MOST_HEADER:
        raise ValueError(f"a header of {length} bytes, more than {MOST_HEADER}" if len(raw) == places else "cut off")
    text = stream.read(length)
    if len(text) < length:
        raise ValueError("cut off")
    # version 3 differs by UTF-8 in names of fields, of which plain numbers have none
    again = io.BytesIO(length.to_bytes(4, "little") + text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python 2, whose whole numbers end in L
        try:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(again)
        except (MemoryError, RecursionError, TypeError, SyntaxError) as error:  # Python's parser, of what is too deep
            raise ValueError("its header is no description of an array") from error
    check_shape(shape, dtype.itemsize)
    return Header(shape, bool(fortran), dtype, 6 + 2 + places + length)


def _open_member(archive: zipfile.ZipFile, name: str) -> tuple[IO[bytes], Header, int]:
    """An array's values to be read, its header, and the bytes that it takes in the file.

    Raises:
        ValueError: the header does not fit the size.
    """
    member = archive.getinfo(f"{name}.npy")
    stream = archive.open(member)
    try:
        header = read_header(stream)
        if not header.dtype.hasobject and member.file_size != header.begin + header.size:
            more = "more" if member.file_size > header.begin + header.size else "less"
            raise ValueError(f"it holds {more} than its header says, {shorter(header.shape)} of {header.dtype.name}")
    except BaseException:
        stream.close()
        raise
    return stream, header, member.compress_size


def _laid_out(raw: bytes, header: Header) -> NDArray[Any]:
    found = np.frombuffer(raw, dtype=header.dtype)
    return found.reshape(header.shape[::-1]).T if header.fortran else found.reshape(header.shape)


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
