"""The clips of a cache: their ids, and where they come from; read when they are asked for (docs/design.md 3)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from feature_cache.checks import as_origin, check_clip_ids, short
from feature_cache.errors import CacheError

PLACES = ("files", "clips_from", "stamps")
"""Attributes with an entry a file or clip: they are kept beside the ids, not in the header."""


@dataclass(frozen=True)
class Column:
    """What a header says of a column of the table.

    Attributes:
        array: the array that holds it, uint8 (bytes,).
        size: bytes.
        digest: of them.
    """

    array: str
    size: int
    digest: str

    @classmethod
    def from_dict(cls, stated: Any) -> Self:
        """From a header.

        Raises:
            CacheError: it is something else.
        """
        values = [stated.get(name) for name in ("array", "bytes", "digest")] if isinstance(stated, dict) else []
        array, size, digest = values or (None, None, None)
        whole = isinstance(size, int) and not isinstance(size, bool) and 0 < size < 1 << 40
        if (
            not isinstance(array, str)
            or not array.replace("_", "").isalnum()
            or not isinstance(digest, str)
            or not whole
        ):
            raise CacheError("clips: each column must give array, bytes and digest")
        assert isinstance(size, int)
        return cls(array, size, digest)

    def to_dict(self) -> dict[str, Any]:
        """For a header."""
        return {"array": self.array, "bytes": self.size, "digest": self.digest}


class ClipTable:
    """Ids of N clips, and the places they come from.

    Attributes:
        count: N.
    """

    def __init__(self, count: int, ids: Callable[[], list[str]], places: Callable[[], dict[str, Any]]) -> None:
        """A table whose parts are read when they are asked for."""
        self.count, self._read_ids, self._read_places = count, ids, places

    @classmethod
    def known(cls, count: int, ids: list[str], places: dict[str, Any]) -> Self:
        """A table whose parts are read already, and checked.

        Raises:
            CacheError: there are not so many ids.
        """
        found = cls(count, lambda: ids, lambda: places)
        _ = found.ids
        return found

    @classmethod
    def of(cls, ids: Sequence[str], places: Mapping[str, Any] | None = None) -> Self:
        """A table of clips that are known, checked.

        Raises:
            CacheError: an id is none or occurs twice, or places are not of their form.
        """
        checked, kept = check_clip_ids(ids), dict(places or {})
        check_places(kept)
        return cls(len(checked), lambda: checked, lambda: kept)

    @cached_property
    def ids(self) -> list[str]:
        """N names, in the order of the rows."""
        found = self._read_ids()
        if len(found) != self.count:
            raise CacheError(f"clips: {len(found)} ids, expected {self.count}")
        return found

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each clip."""
        return {clip: row for row, clip in enumerate(self.ids)}

    @cached_property
    def places(self) -> dict[str, Any]:
        """Of ``PLACES``, what is known."""
        return self._read_places()

    def with_ids(self, ids: Sequence[str]) -> "ClipTable":
        """The same places of other clips, which :func:`feature_cache.checks.check_clip_ids` would take."""
        names, places = list(ids), self.places
        return ClipTable(len(names), lambda: names, lambda: places)

    def with_places(self, more: Mapping[str, Any]) -> "ClipTable":
        """The same clips, and further places; those of the same name are replaced.

        Raises:
            CacheError: they are not of their form.
        """
        if not more:
            return self
        places = {**self.places, **more}
        check_places(places)
        return ClipTable(self.count, lambda: self.ids, lambda: places)

    def __eq__(self, other: object) -> bool:
        """Whether it is of the same clips from the same places."""
        return isinstance(other, ClipTable) and (self.ids, self.places) == (other.ids, other.places)

    __hash__ = None  # type: ignore[assignment]


def pack_ids(ids: Sequence[str]) -> bytes:
    """The column of the ids: UTF-8, one a line; no id holds a line's end."""
    return "\n".join(ids).encode()


def unpack_ids(raw: bytes) -> list[str]:
    """The inverse of :func:`pack_ids`.

    Raises:
        CacheError: it is something else.
    """
    try:
        return check_clip_ids(raw.decode().split("\n"))
    except UnicodeDecodeError as error:
        raise CacheError("clips: the ids are no UTF-8") from error


def pack_places(places: Mapping[str, Any]) -> bytes:
    """The column of the places, as JSON; empty where there are none.

    Raises:
        CacheError: they cannot be written as JSON.
    """
    try:
        return json.dumps(places, sort_keys=True, separators=(",", ":")).encode() if places else b""
    except (TypeError, ValueError, RecursionError) as error:
        raise CacheError(f"attributes cannot be written as JSON ({error})") from error


def unpack_places(raw: bytes) -> dict[str, Any]:
    """The inverse of :func:`pack_places`.

    Raises:
        CacheError: it is something else.
    """
    try:
        found: dict[str, Any] = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CacheError("clips: the places are no JSON") from error
    check_places(found)
    return found


def check_places(attributes: Any) -> None:
    """Refuse attributes that are no table, or whose paths are not of their form.

    Args:
        attributes: ``files`` gives by file id the path below the folder; ``clips_from`` by clip id [file, begin] or
            [file, begin, end], seconds from 0 on; ``stamps`` by file id numbers that change with the file.

    Raises:
        CacheError: they are something else.
    """
    if not isinstance(attributes, dict) or not all(isinstance(name, str) for name in attributes):
        raise CacheError("attributes must be a table of facts by name")
    files, origins, stamps = (attributes.get(name, {}) for name in PLACES)
    if not isinstance(files, dict):
        raise CacheError("attributes: files must give a path by file id")
    for name, path in files.items():
        if not isinstance(path, str) or not path or "\0" in path:
            raise CacheError(f"attributes: files of {short(name)} is {short(path)}: expected a path")
    if not isinstance(origins, dict):
        raise CacheError("attributes: clips_from must give a file and the second at which the clip begins, by clip id")
    for clip, entry in origins.items():
        if as_origin(entry) is None:
            raise CacheError(
                f"attributes: clips_from of clip {short(clip)} is {short(entry)}: expected [file, begin] or "
                "[file, begin, end]"
            )
    if not isinstance(stamps, dict) or not all(isinstance(each, list) for each in stamps.values()):
        raise CacheError("attributes: stamps must give numbers by file id")
