"""The clips of a split as a search goes through them: in memory, or read back from a file a few at a time."""

import math
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from shutil import disk_usage
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from score.errors import ScoreError
from score.logits import Logits
from score.rules.base import Split

Arrays = Mapping[str, NDArray[Any]]
"""By name, (n, ...): those of :class:`score.logits.Logits`, "true" and "first"."""


class Table(Protocol):
    """n rows of several arrays."""

    def write(self, rows: NDArray[np.int64], values: Arrays) -> None:
        """Put values, those of some arrays, into the given rows."""

    def read(self, start: int, end: int) -> dict[str, NDArray[Any]]:
        """Rows ``start`` ... ``end - 1`` of every array."""


class InMemory:
    """A table in memory; what is read are views."""

    def __init__(self, n: int, like: Arrays) -> None:
        """Room for n rows.

        Args:
            n: rows.
            like: arrays of any number of rows, for their shapes.
        """
        self._arrays = {name: np.empty((n, *each.shape[1:]), each.dtype) for name, each in like.items()}

    def write(self, rows: NDArray[np.int64], values: Arrays) -> None:
        """As :class:`Table`."""
        for name, each in values.items():
            self._arrays[name][rows] = each

    def read(self, start: int, end: int) -> dict[str, NDArray[Any]]:
        """As :class:`Table`."""
        return {name: each[start:end] for name, each in self._arrays.items()}


class Spilled:
    """A table in a file without a name, which is gone with the process, however that ends.

    It is read, not mapped: pages that are mapped count as memory of the process.
    """

    def __init__(self, n: int, like: Arrays, folder: Path) -> None:
        """Room for n rows.

        Args:
            n: rows.
            like: arrays of any number of rows, for their shapes.
            folder: where the file lies.

        Raises:
            ScoreError: the disk has no room for it.
        """
        self._kinds = {name: (each.dtype, each.shape[1:]) for name, each in like.items()}
        self._begin: dict[str, int] = {}
        size = 0
        for name, each in like.items():
            self._begin[name] = size
            size += n * row_bytes(each)
        self._full = (
            f"the clips take {size / 2**30:.1f} GiB in {folder}, more than is free there: free some, search with an "
            "output on another disk, or allow more `memory`"
        )
        try:
            if disk_usage(folder).free < size:
                raise ScoreError(self._full)
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise ScoreError(f"{folder}: {error.strerror}: search with an output elsewhere") from error
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()

    def write(self, rows: NDArray[np.int64], values: Arrays) -> None:
        """As :class:`Table`; rows that follow each other are written as one.

        Raises:
            ScoreError: the disk is full.
        """
        edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        try:
            with self._lock:
                for name, each in values.items():
                    width = row_bytes(each)
                    source = _raw(np.ascontiguousarray(each)) if each.size else memoryview(b"")
                    for first, last in pairwise(edges) if each.size else ():
                        self._file.seek(self._begin[name] + int(rows[first]) * width)
                        self._put(source[first * width : last * width])
        except OSError as error:
            raise ScoreError(f"{self._full} ({error.strerror})") from error

    def _put(self, source: memoryview) -> None:
        while len(source):
            source = source[self._file.write(source) :]

    def read(self, start: int, end: int) -> dict[str, NDArray[Any]]:
        """As :class:`Table`."""
        found = {}
        for name, (dtype, shape) in self._kinds.items():
            values = np.empty((end - start, *shape), dtype)
            found[name] = values
            if values.size:
                self._get(_raw(values), self._begin[name] + start * row_bytes(values))
        return found

    def _get(self, target: memoryview, at: int) -> None:
        while len(target):
            if hasattr(os, "preadv"):  # not on Windows
                read = os.preadv(self._file.fileno(), [target], at)
            else:
                with self._lock:
                    self._file.seek(at)
                    read = self._file.readinto(target) or 0
            if not read:
                raise ScoreError("the clips that were set aside cannot be read back: search again")
            target, at = target[read:], at + read


def _raw(values: NDArray[Any]) -> memoryview:
    """The bytes of an array that is not empty, C-contiguous."""
    return memoryview(values.reshape(-1).view(np.uint8).data)


def row_bytes(values: NDArray[Any]) -> int:
    """Of one row."""
    return values.dtype.itemsize * math.prod(values.shape[1:])


class StoppedError(Exception):
    """Ends the threads that go through clips."""


@dataclass(frozen=True, eq=False)
class Clips:
    """n clips of a split, to be gone through by several threads, as often as one likes.

    Attributes:
        table: their logits and their truth.
        n: their number.
        at_once: how many are read at a time.
        given: of :class:`score.logits.Logits`.
        rest: what else a :class:`Split` has, by name.
    """

    table: Table
    n: int
    at_once: int
    given: bool
    rest: Mapping[str, Any]

    def parts(self, start: int, end: int, stopped: threading.Event) -> Iterator[Split]:
        """The clips ``start`` ... ``end - 1``, in order; while some are worked on the next ones are read.

        Raises:
            StoppedError: ``stopped`` was set meanwhile.
        """
        for part in self._parts(start, end):
            if stopped.is_set():
                raise StoppedError
            yield part

    def _parts(self, start: int, end: int) -> Iterator[Split]:
        if isinstance(self.table, InMemory):
            for first in range(start, end, self.at_once):
                yield self._split(self.table.read(first, min(end, first + self.at_once)))
            return
        with ThreadPoolExecutor(1) as reader:
            ahead = None
            for first in range(start, end, self.at_once):
                current, ahead = ahead, reader.submit(self.table.read, first, min(end, first + self.at_once))
                if current is not None:
                    yield self._split(current.result())
            if ahead is not None:
                yield self._split(ahead.result())

    def _split(self, arrays: Arrays) -> Split:
        names = [each.name for each in fields(Logits) if each.name != "given"]
        logits = Logits(**{name: arrays[name] for name in names}, given=self.given)
        truth: dict[str, Any] = {name: arrays[name] for name in ("true", "first", "classes", "group")}
        return Split(logits=logits, **truth, **self.rest)
