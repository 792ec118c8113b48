"""Root: what the zarr.json of a cache says, of itself and of every other file of metadata (docs/design.md 3)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from feature_cache.arrays import array_json, arrays_json
from feature_cache.checks import short
from feature_cache.chunks import ChunkedRows, ChunkError
from feature_cache.clip_table import ClipTable, Column, pack_ids, pack_places, unpack_ids, unpack_places
from feature_cache.errors import CacheError
from feature_cache.header import Header
from feature_cache.layout import ATTRIBUTE_DIGEST, TEXT_GROUP
from feature_cache.seals import SealError, check_digests, check_group, check_sealed, digest_of, group_json, parse_group
from feature_cache.storage.durable import SafeStore

TEXT_JSON = f"{TEXT_GROUP}/zarr.json"
_COLUMN_CHUNK = 1 << 22
_SOON = 1 << 22
"""Columns up to this size are read with the root; larger ones when they are asked for."""
_OURS = ("clips", "files", "label_sets", "moved")


@dataclass(frozen=True)
class Root:
    """What a cache's group says.

    Attributes:
        header: of the cache.
        columns: where the clips' ids, and their places if any, are kept, by "ids" and "places".
        files: by file of metadata, the digests that it may have: two while it is being replaced.
        label_sets: by name, the digests that the zarr.json of a label set may have, likewise.
        moved: rows that were moved, and are to be declared done again.
    """

    header: Header
    columns: Mapping[str, Column]
    files: Mapping[str, tuple[str, ...]]
    label_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    moved: tuple[int, ...] = ()

    # --- read -----------------------------------------------------------------------------------------------

    @classmethod
    def parse(cls, raw: bytes, store: SafeStore) -> Self:
        """From the zarr.json of a cache; the clips are read when they are asked for.

        Raises:
            CacheError: it is not, to the byte, what :meth:`to_bytes` made, or a value is not one that it may have.
        """
        found = cls.of_stored(parse_group(raw), store)  # first, as it says more
        check_group(raw)
        return found

    @classmethod
    def of_stored(cls, stored: Mapping[str, Any], store: SafeStore, *, soon: bool = True) -> Self:
        """From a group's attributes, whoever wrote them; ``soon``: the clips, too, if they are few.

        Raises:
            CacheError: a value is not one that a cache may have.
        """
        absent = [name for name in _OURS if name not in stored]
        if absent:
            raise CacheError(f"no {', '.join(absent)}")
        clips = stored["clips"]
        if not isinstance(clips, dict) or not isinstance(clips.get("count"), int) or isinstance(clips["count"], bool):
            raise CacheError("clips must give count, ids and places")
        columns = {name: Column.from_dict(clips[name]) for name in ("ids", "places") if clips.get(name) is not None}
        if "ids" not in columns:
            raise CacheError("clips must give count, ids and places")
        if 2 * clips["count"] - 1 > columns["ids"].size:  # a letter each, and what is between them
            raise CacheError(f"clips: {short(clips['count'])} of them in {columns['ids'].size} bytes")
        if any("/" in name for name in check_digests(stored["label_sets"], "label_sets")):
            raise CacheError("label_sets must give digests by name")
        moved = stored["moved"]
        if not isinstance(moved, list) or not all(isinstance(row, int) and 0 <= row < clips["count"] for row in moved):
            raise CacheError("moved must be a list of rows")

        def ids() -> list[str]:
            return unpack_ids(_read_column(store, columns["ids"]))

        def places() -> dict[str, Any]:
            return unpack_places(_read_column(store, columns["places"])) if "places" in columns else {}

        seal = stored.get(ATTRIBUTE_DIGEST)
        table = ClipTable(clips["count"], lambda: _later(ids, store, seal), lambda: _later(places, store, seal))
        if soon and sum(column.size for column in columns.values()) <= _SOON:
            table = ClipTable.known(clips["count"], ids(), places())
        facts = {name: value for name, value in stored.items() if name not in _OURS}
        return cls(
            header=Header.from_dict(facts, table),
            columns=columns,
            files=check_digests(stored["files"], "files"),
            label_sets=check_digests(stored["label_sets"], "label_sets"),
            moved=tuple(moved),
        )

    def check_files(self, store: SafeStore) -> None:
        """Compare every file of metadata with what is said of it here.

        Raises:
            CacheError: one is missing or differs.
        """
        for file, allowed in {**self.files, **self._label_files}.items():
            try:
                check_sealed(store.read(file), allowed)
            except SealError as error:
                raise SealError(f"{file}: {error}") from error

    @property
    def _label_files(self) -> dict[str, tuple[str, ...]]:
        return {label_set_json(name): allowed for name, allowed in self.label_sets.items()}

    # --- written ----------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The zarr.json."""
        clips: dict[str, Any] = {name: column.to_dict() for name, column in self.columns.items()}
        stored = self.header.to_stored()
        return group_json(
            {
                **stored,
                "clips": {"count": len(self.header), **clips},
                "files": {name: list(allowed) for name, allowed in self.files.items()},
                "label_sets": {name: list(allowed) for name, allowed in self.label_sets.items()},
                "moved": list(self.moved),
            }
        )

    def with_label_set(self, name: str, allowed: Sequence[str]) -> Self:
        """The same with a label set whose zarr.json may have these digests; without it if there are none."""
        others = {other: digests for other, digests in self.label_sets.items() if other != name}
        return replace(self, label_sets={**others, **({name: tuple(allowed)} if allowed else {})})

    def with_facts(self, header: Header) -> Self:
        """The same with a header of the same clips from the same places."""
        return replace(self, header=header)


def label_set_json(name: str) -> str:
    """The file that a label set is declared by."""
    return f"{TEXT_GROUP}/{name}/zarr.json"


def write_columns(store: SafeStore, header: Header, before: Root | None) -> tuple[dict[str, Column], dict[str, bytes]]:
    """Write the clips' ids and places under names that ``before`` does not use.

    Returns:
        What the root says of them, and the zarr.json files of their arrays, which are written, too.
    """
    found: dict[str, Column] = {}
    files: dict[str, bytes] = {}
    used = set() if before is None else {column.array for column in before.columns.values()}
    for name, raw in (("ids", pack_ids(header.clip_ids)), ("places", pack_places(header.clips.places))):
        if not raw:
            continue
        same = None if before is None else before.columns.get(name)
        digest = digest_of(raw)
        if same is not None and before is not None and same.digest == digest and same.size == len(raw):
            found[name] = same
            continue
        array = next(each for number in range(1, 4) if (each := f"clip_{name}_{number}") not in used)
        found[name] = Column(array, len(raw), digest)
        rows = _rows(found[name], store)
        for number in range(rows.rows // rows.each + bool(rows.rows % rows.each)):
            rows.write(number, np.frombuffer(raw[number * rows.each : (number + 1) * rows.each], dtype=np.uint8))
        said = array_json(array, (len(raw),), "uint8", rows.each, ("byte",))
        store.write(f"{array}/zarr.json", said)
        files[f"{array}/zarr.json"] = said
    return found, files


def new_root(store: SafeStore, header: Header) -> Root:
    """Write all of a new cache's metadata but for the root's own: that declares it whole."""
    columns, files = write_columns(store, header, None)
    made = {**arrays_json(len(header), header.shapes, header.dtype, header.shard_size), TEXT_JSON: group_json({})}
    for file, raw in made.items():
        store.write(file, raw)
    return Root(header, columns, {file: (digest_of(raw),) for file, raw in {**made, **files}.items()})


def _rows(column: Column, store: SafeStore) -> ChunkedRows:
    return ChunkedRows(store, column.array, (), "uint8", column.size, min(_COLUMN_CHUNK, column.size))


def _read_column(store: SafeStore, column: Column) -> bytes:
    rows, parts = _rows(column, store), []
    for number, _ in rows.pieces(0, column.size):  # nothing is allocated for what is not there
        try:
            found = rows.chunk(number)
        except ChunkError as error:
            raise SealError(f"{rows.key(number)}: {error}") from error
        if found is None:
            raise SealError(f"{rows.key(number)} is missing")
        parts.append(found.tobytes())
    raw = b"".join(parts)
    if digest_of(raw) != column.digest:
        raise SealError(f"{column.array} is not as it was written")
    return raw


def _later(read: Callable[[], Any], store: SafeStore, seal: Any) -> Any:
    """What is read of a cache after it was opened."""
    try:
        return read()
    except CacheError as error:
        now = store.read("zarr.json")
        if now is not None and parse_group(now).get(ATTRIBUTE_DIGEST) != seal:
            raise CacheError(f"{store.name} was changed since it was opened: open it again") from error
        raise CacheError(f"{store.name} is damaged ({error}): extract again, overwriting it") from error
