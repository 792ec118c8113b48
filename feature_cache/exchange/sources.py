"""Where features come from: files given by position, and what arguments name in them or elsewhere."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Self

import h5py

from feature_cache.errors import CacheError
from feature_cache.exchange.archives import Archive, Hdf5Archive, NumpyArchive
from feature_cache.exchange.clips import Clips
from feature_cache.exchange.hdf5_files import open_hdf5
from feature_cache.exchange.limits import MOST_TEXTS, check_regular, shorter, shown
from feature_cache.exchange.numpy_files import begins_with
from feature_cache.exchange.other_kinds import other_kind
from feature_cache.tables import Table
from feature_cache.text_files import TextFileError, is_special, read_lines


class Sources:
    """What files and arguments offer; a context manager that closes the files."""

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

    def table(
        self, argument: str, value: str | None, names: Sequence[str], clip_ranks: Sequence[int] = ()
    ) -> Table | Clips | None:
        """The table, or the arrays a clip, that an argument names, or that a file has under one of the usual names.

        Args:
            argument: as errors name it.
            value: the name of an array, or of a group with an array a clip, in the files; a .npy file, a folder of
                them, a file with one array or with one a clip, or FILE:NAME; None if it is not given.
            names: usual names.
            clip_ranks: numbers of axes that a clip's array may have; none: arrays a clip are not looked for.

        Raises:
            CacheError: there is nothing of that name, or several.
        """
        looked_for = names if value is None else (value,)
        found = [(archive, name) for name in looked_for for archive in self.archives if archive.has(name)]
        if found:
            return self._table(argument, *self._one(argument, found))
        if clip_ranks:
            groups = [(archive, name) for name in looked_for for archive in self.archives if archive.members(name)]
            if groups:
                return self._clips(*self._one(argument, groups))
        if value is None:
            return None
        if Path(value).is_dir():
            return Clips.in_folder(value)
        archive, name = self._named(argument, value, names, clip_ranks)
        if archive.has(name):
            return archive.table(name)
        return self._clips(archive, name, hint="" if value != archive.path else f"; or name one as {value}:NAME")

    def strings(self, argument: str, value: str | None, names: Sequence[str]) -> list[str] | None:
        """The texts that an argument names, likewise; any other file is read as text, one a line, blank lines aside.

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
            archive, name = self._one(argument, found)
            return archive.strings(name)
        if value is None:
            return None
        if is_special(value) or (Path(value).is_file() and not _is_array_file(value)):
            return text_lines(value)
        archive, name = self._named(argument, value, names)
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
            return f"{shown(name)} {shorter(archive.table(name).shape)}"
        except CacheError:
            return f"{shown(name)} (not readable)"

    def _table(self, argument: str, archive: Archive, name: str) -> Table:
        if not archive.has(name):
            held = ", ".join(map(shown, archive.names()[:12])) or "nothing"
            raise CacheError(f"{argument}: {archive.path} has no {name!r}; it has {held}")
        return archive.table(name)

    def _clips(self, archive: Archive, name: str, hint: str = "") -> Clips:
        inside = "" if name == "/" else f": group {name.strip('/')!r}"
        return Clips(f"{archive.path}{inside}", archive.members(name), archive.member, hint)

    def _one(self, argument: str, found: Sequence[tuple[Archive, str]]) -> tuple[Archive, str]:
        if len(found) > 1:
            both = " and ".join(f"{archive.path}:{shown(name)}" for archive, name in found[:2])
            raise CacheError(f"{argument}: {both} are both there: name one as FILE:NAME")
        return found[0]

    def _named(
        self, argument: str, value: str, names: Sequence[str], clip_ranks: Sequence[int] = ()
    ) -> tuple[Archive, str]:
        """An array, or a group, as FILE:NAME; or a file's only one; or "/", if a file has an array a clip."""
        if Path(value).is_file():
            archive = self._archive(value)
            held = [name for name in archive.names() if _numeric(archive, name)]
            usual = [name for name in names if name in held]
            if usual:
                return archive, usual[0]
            if clip_ranks and _an_array_a_clip(archive, held, clip_ranks):
                return archive, "/"
            if len(held) == 1:
                return archive, held[0]
            groups = [name for name in names if clip_ranks and archive.members(name)]
            if groups:
                return archive, groups[0]
            raise CacheError(
                f"{argument}: {value} has {', '.join(map(shown, held[:12])) or 'no arrays'}: name one as {value}:NAME"
            )
        for place, letter in enumerate(value):
            if letter == ":" and Path(value[:place]).is_file():
                archive, name = self._archive(value[:place]), value[place + 1 :]
                if not (clip_ranks and archive.members(name)):
                    self._table(argument, archive, name)
                return archive, name
        offers = f"; {self.offers()}" if self.archives else ""
        raise CacheError(f"{argument}: {value} is not there, as a file or as an array's name{offers}")

    def _archive(self, path: str) -> Archive:
        if path not in self._open:
            if not Path(path).exists():
                raise CacheError(f"{path} is not there")
            if Path(path).is_dir():
                raise CacheError(f'{path} is a folder: name it as `image="{path}"`')
            check_regular(path)
            other = other_kind(path)
            if other is not None:
                raise CacheError(other)
            if begins_with(path, b"\x93NUMPY") or begins_with(path, b"PK"):
                self._open[path] = NumpyArchive(path)
            elif path.lower().endswith((".npy", ".npz")):
                raise CacheError(f"{path} is no {path[-4:].lower()} file")
            else:
                self._open[path] = Hdf5Archive(path, open_hdf5(path))
        return self._open[path]


def _an_array_a_clip(archive: Archive, names: Sequence[str], ranks: Sequence[int]) -> bool:
    """Whether a file's arrays are those of clips: of one of these ranks, the same for all."""
    if any("/" in name for name in names) or not archive.members("/"):
        return False
    found = {len(archive.member(name).shape) for name in names[:100]}
    least = ranks[:1] if len(names) == 1 else ranks  # one array of more axes may be a table
    return len(found) == 1 and found <= set(least)


def _numeric(archive: Archive, name: str) -> bool:
    try:
        return not archive.is_text(name)
    except CacheError:
        return True  # said when it is read


def _is_array_file(path: str) -> bool:
    return path.lower().endswith((".npy", ".npz")) or begins_with(path, b"\x93NUMPY") or h5py.is_hdf5(path)


def text_lines(path: str) -> list[str]:
    """A text file's lines without blanks around them, empty ones aside; UTF-8, with a byte-order mark or not.

    Raises:
        CacheError: it is no such text.
    """
    other = (
        None
        if is_special(path) or path.lower().endswith((".csv", ".tsv", ".txt", ".dat", ".json"))
        else other_kind(path)
    )
    if other is not None:
        raise CacheError(other)
    try:
        return [text for line in read_lines(path, most_lines=MOST_TEXTS) if (text := line.strip())]
    except TextFileError as error:
        raise CacheError(str(error)) from error
