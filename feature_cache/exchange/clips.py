"""An array a clip: the files of a folder, the datasets of an HDF5 group, the arrays of an .npz file."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.errors import CacheError
from feature_cache.exchange.numpy_files import NpyTable
from feature_cache.exchange.other_kinds import other_kind
from feature_cache.names import Names, escaped, why_not_a_name
from feature_cache.tables import Table

_LOOKED_AT = 16
"""Arrays whose shapes are compared before all are read: other errors would blame the first one's shape."""


class Clips:
    """Arrays by clip id.

    Attributes:
        source: where they are, as errors name it.
        stems: clip ids, sorted.
    """

    def __init__(self, source: str, names: Mapping[str, str], opener: Callable[[str], Table], hint: str = "") -> None:
        """Arrays that are opened when they are read.

        Args:
            source: where they are.
            names: what to open, by clip id.
            opener: opens one of them.
            hint: what else they might be, for errors.
        """
        self.source = source
        self.stems = sorted(names)
        self._names, self._opener, self._hint = names, opener, hint

    @classmethod
    def in_folder(cls, path: str | PathLike[str]) -> "Clips":
        """A folder with one .npy a clip, whose stem is the clip's id.

        Raises:
            CacheError: it has no .npy file.
        """
        found = (file for file in Path(path).glob("*.npy") if not file.name.startswith("._"))  # macOS's own
        files = {_id(file.stem): str(file) for file in found}
        if not files:
            raise CacheError(f"{path}: no .npy file in this folder{_held(Path(path))}")
        return cls(str(path), files, NpyTable)

    def table(self, clip_ids: Sequence[str], *, allow_missing: bool) -> "ClipsTable":
        """The clips' arrays as one table; a clip without one has zeros, where that is allowed.

        Raises:
            CacheError: a clip has no array and needs one, or none has.
        """
        there = Names(self._names)
        names = [None if (name := there.find(clip)) is None else self._names[name] for clip in clip_ids]
        absent = [clip for clip, name in zip(clip_ids, names, strict=True) if name is None]
        what = "file" if self._opener is NpyTable else "array"
        if len(absent) == len(names):
            raise CacheError(
                f"{self.source}: no {what} for any of {len(names)} clips; there are {_few(self.stems)}{self._hint}"
            )
        if absent and not allow_missing:
            raise CacheError(
                f"{self.source}: no {what} for {len(absent)} of {len(names)} clips, such as {absent[0]}: add it, name "
                "fewer clips, or allow missing ones"
            )
        return ClipsTable(self.source, names, self._opener)


class ClipsTable:
    """Arrays of :class:`Clips` stacked; :class:`feature_cache.tables.Table`.

    Attributes:
        absent: bool (N,), clips without an array.
    """

    def __init__(self, source: str, names: Sequence[str | None], opener: Callable[[str], Table]) -> None:
        """Take the first array's shape as everyone's.

        Raises:
            CacheError: one of the first arrays cannot be read, or has another shape.
        """
        self.source = source
        self._names, self._opener = names, opener
        first, *more = [name for name in names if name is not None][:_LOOKED_AT]
        self._first = opener(first)
        self.shape: tuple[int, ...] = (len(names), *self._first.shape)
        self.dtype: np.dtype[Any] = self._first.dtype
        self.stored = len(names) * self._first.stored
        self.absent = np.array([name is None for name in names])
        for name in more:
            self._check(opener(name))

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop)."""
        found = []
        for name in self._names[start:stop]:
            if name is None:
                found.append(np.zeros(self.shape[1:], self.dtype))
                continue
            clip = self._opener(name)
            self._check(clip)
            found.append(clip.rows(0, clip.shape[0]) if clip.shape else np.asarray(0.0))
        return np.stack(found)

    def _check(self, clip: Table) -> None:
        if clip.shape != self._first.shape:
            raise CacheError(
                f"{clip.source} is {clip.shape} and {self._first.source} is {self._first.shape}: the clips' arrays "
                "need one shape"
            )
        if clip.dtype.kind not in "fiub":
            raise CacheError(f"{clip.source} holds {clip.dtype}, expected numbers")


def _held(folder: Path) -> str:
    """What a folder without .npy files has instead."""
    if (folder / "zarr.json").exists() or (folder / ".zgroup").exists() or (folder / ".zarray").exists():
        return ", which is a Zarr store: save its arrays as .npy"
    files = sorted(file for file in folder.iterdir() if file.is_file())
    kinds = (other_kind(file) for file in files[:20])
    listed = f"; it has {_few([file.name for file in files])}" if files else ""
    return next((f"; {kind}" for kind in kinds if kind), listed)


def _id(stem: str) -> str:
    """A name as text whatever the locale; one that is none is left for whoever checks ids."""
    return stem if why_not_a_name(stem) else escaped(stem)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
