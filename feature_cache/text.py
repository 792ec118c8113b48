"""Text sets: the embeddings of a list of labels, kept beside the clips (docs/design.md 3)."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.arrays import array_json
from feature_cache.chunks import ChunkedRows, ChunkError
from feature_cache.errors import CacheError
from feature_cache.layout import TEXT_GROUP
from feature_cache.names import escaped, folded, why_not_a_name
from feature_cache.seals import SealError, check_digests, check_group, check_sealed, digest_of, group_json
from feature_cache.storage.durable import SafeStore

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NO_FOLDER = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?|.*\.", re.IGNORECASE)
"""Names that Windows gives to devices, and those whose end it cuts off."""
SIDES = ("visual", "audio", "joint")
"""What text embeddings are compared with, in the order in which their tables are written."""


@dataclass(frozen=True)
class TextSet:
    """A label set with its text embeddings.

    Attributes:
        name: the set's name in the cache.
        labels: C class names as the user wrote them.
        visual: float32 (C, Dv), embeddings to compare image and video embeddings with; Dv = 0 where a cache holds
            probabilities.
        audio: float32 (C, Da), embeddings to compare audio embeddings with.
        prompts: the sentences that were embedded, by "visual", "audio" and "joint": a sentence for each label, or a
            list of them where several were averaged.
        joint: float32 (C, Dj), embeddings to compare joint embeddings with; None where a cache has none.
    """

    name: str
    labels: tuple[str, ...]
    visual: NDArray[np.float32]
    audio: NDArray[np.float32]
    prompts: Mapping[str, Sequence[Any]]
    joint: NDArray[np.float32] | None = None

    @property
    def tables(self) -> dict[str, NDArray[np.float32]]:
        """Its tables, by "visual", "audio" and "joint"; "audio" aside where the visual one is both."""
        found = {"visual": self.visual, "audio": self.audio, "joint": self.joint}
        if self.audio is self.visual:
            del found["audio"]
        return {side: table for side, table in found.items() if table is not None}

    def same_tables(self, other: "TextSet") -> bool:
        """Whether another set has equal embeddings."""
        pairs = [(getattr(self, side), getattr(other, side)) for side in SIDES]
        return all(one is two if one is None or two is None else np.array_equal(one, two) for one, two in pairs)


def portable_name(name: str) -> str:
    """A text set's name made of any: what a name may not hold becomes "_"; a cache can go with it to any system."""
    found = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip("_.-")[:64].rstrip(".") or "labels"
    return f"labels_{found}"[:64] if _NO_FOLDER.fullmatch(found) else found


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels as a tuple, refused if fewer than two, doubled (case and Unicode form aside), or one is no name."""
    if len(labels) < 2:
        raise CacheError(f"a label set needs at least 2 labels, got {len(labels)}")
    seen: dict[str, str] = {}
    for label in labels:
        if not isinstance(label, str):
            raise CacheError(f"{label!r} is no label: it is no text")
        why = why_not_a_name(label) if label.strip() else "it is empty"
        why = why or (None if escaped(label) == label else "it is not UTF-8")
        if why is not None:
            raise CacheError(f"'{escaped(label)}' is no label: {why}; write it in other characters")
        other = seen.setdefault(folded(label), label)
        if other is not label:
            raise CacheError(f"label {label!r} occurs twice (as {other!r} before): remove one")
    return tuple(labels)


def check_set_name(name: str) -> None:
    """Refuse a name that no label set may have.

    Raises:
        CacheError: it is one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CacheError(f"text set name {name!r}: use letters, digits, '.', '_' and '-', 64 at most")
    if _NO_FOLDER.fullmatch(name):
        raise CacheError(f"text set name {name!r}: a folder cannot be called that on every system; use another name")


def check_text(
    name: str,
    labels: Sequence[str],
    tables: Mapping[str, NDArray[Any]],
    prompts: Mapping[str, Sequence[Any]],
    dims: tuple[int, int, int],
) -> TextSet:
    """A label set of tables that are given, for a cache whose text embeddings have these sizes.

    Args:
        name: the set's name.
        labels: C names.
        tables: "visual" (C, Dv); "audio" (C, Da), without which the visual table is both; "joint" (C, Dj), where the
            cache has joint embeddings.
        prompts: the sentences that were embedded.
        dims: Dv, Da and Dj; 0 where labels have no embeddings, as beside probabilities.

    Raises:
        CacheError: name, labels, shapes or values are not such as a cache may have.
    """
    check_set_name(name)
    checked = check_labels(labels)
    if "audio" not in tables and dims[0] != dims[1]:
        raise CacheError(f"text set {name!r} has one table, but visual and audio embeddings differ in size: {dims[:2]}")
    if ("joint" in tables) != (dims[2] > 0):
        raise CacheError(
            f"text set {name!r}: the cache has joint embeddings: `joint` ({len(checked)}, {dims[2]}) is needed"
            if dims[2]
            else f"text set {name!r}: the cache has no joint embeddings: leave out `joint`"
        )
    for kind, width in zip(SIDES, dims, strict=True):
        table = tables.get(kind)
        if table is None:
            continue
        if table.shape != (len(checked), width):
            raise CacheError(
                f"text set {name!r}: {kind} embeddings are {table.shape}, expected ({len(checked)}, {width})"
            )
        if not np.isfinite(table).all():
            raise CacheError(f"text set {name!r}: {kind} embeddings hold values that are not finite")
    made = {kind: np.asarray(table, dtype=np.float32) for kind, table in tables.items()}
    said = {kind: list(lines) for kind, lines in prompts.items()}
    return TextSet(name, checked, made["visual"], made.get("audio", made["visual"]), said, made.get("joint"))


def write_text(store: SafeStore, text: TextSet, before: bytes | None, declare: Callable[[bytes], None]) -> None:
    """Write a label set: its tables first, then the zarr.json that names them; the set it replaces is there until then.

    Args:
        store: the cache's.
        text: the set.
        before: the zarr.json of the set that it replaces; None: there is none.
        declare: called with the new zarr.json before it is written: its digest must be allowed by then.
    """
    folder = f"{TEXT_GROUP}/{text.name}"
    used = set() if before is None else set(_parse(before)[1].values())
    names: dict[str, str] = {}
    files: dict[str, str] = {}
    for kind, table in text.tables.items():
        if not table.size:
            continue  # labels alone, of probabilities
        names[kind] = kind if kind not in used else f"{kind}_2"
        said = array_json(names[kind], table.shape, "float32", len(table), ("label", "dim"))
        rows = _table(store, folder, names[kind], table.shape)
        store.write(f"{folder}/{names[kind]}/zarr.json", said)
        rows.write(0, table)
        files[f"{names[kind]}/zarr.json"] = digest_of(said)
        key = rows.key(0)
        files[key.removeprefix(f"{folder}/")] = digest_of(store.read(key) or b"")
    made = group_json(
        {
            "labels": list(text.labels),
            "prompts": dict(text.prompts),
            "one_table": text.audio is text.visual,
            "tables": names,
            "files": {file: [digest] for file, digest in files.items()},
        }
    )
    declare(made)
    store.write(f"{folder}/zarr.json", made)


def remove_unused(store: SafeStore, name: str, raw: bytes) -> None:
    """Remove tables of a label set that its zarr.json, ``raw``, does not name: those of sets before it."""
    used = set(_parse(raw)[1].values())
    for old in store.names(f"{TEXT_GROUP}/{name}"):
        if old != "zarr.json" and old not in used:
            store.remove(f"{TEXT_GROUP}/{name}/{old}")


def read_text(store: SafeStore, name: str, allowed: Iterable[str], dims: tuple[int, int, int]) -> TextSet:
    """Read one label set.

    Args:
        store: the cache's.
        name: the set's.
        allowed: the digests that its zarr.json may have.
        dims: sizes of visual, audio and joint embeddings.

    Raises:
        CacheError: it is not as it was written; the message says which file.
    """
    folder = f"{TEXT_GROUP}/{name}"
    raw = _sealed(store, f"{folder}/zarr.json", allowed)
    attributes, names, files = _parse(raw)
    for file, digests in files.items():
        _sealed(store, f"{folder}/{file}", digests)
    labels = check_labels(attributes["labels"])
    tables: dict[str, NDArray[np.float32]] = {}
    for kind, width in zip(SIDES, dims, strict=True):
        table, shape = names.get(kind), (len(labels), width)
        if kind == "joint" and not width:
            continue
        if kind == "joint" and table is None:
            raise CacheError("it has no joint embeddings, which the cache has")
        if table is None or not width:
            tables[kind] = np.zeros((len(labels), 0), dtype=np.float32)
            continue
        try:
            tables[kind] = _table(store, folder, table, shape).read(0, len(labels))
        except ChunkError as error:
            raise SealError(f"{folder}/{error}") from error
    if attributes.get("one_table"):
        tables["audio"] = tables["visual"]
    return TextSet(name, labels, tables["visual"], tables["audio"], attributes["prompts"], tables.get("joint"))


def _parse(raw: bytes) -> tuple[dict[str, Any], dict[str, str], dict[str, tuple[str, ...]]]:
    """What a label set's zarr.json says: all, its tables by side, its files with their digests."""
    attributes = check_group(raw)
    names, prompts = attributes.get("tables"), attributes.get("prompts")
    if not isinstance(names, dict) or not all(
        isinstance(each, str) and _NAME.fullmatch(each) for each in names.values()
    ):
        raise CacheError("tables must give names of arrays")
    if not isinstance(attributes.get("labels"), list) or not isinstance(prompts, dict):
        raise CacheError("labels must be a list, prompts a table")
    return attributes, names, check_digests(attributes.get("files"), "files")


def _table(store: SafeStore, folder: str, name: str, shape: tuple[int, ...]) -> ChunkedRows:
    return ChunkedRows(store, f"{folder}/{name}", shape[1:], "float32", shape[0], shape[0])


def _sealed(store: SafeStore, file: str, allowed: Iterable[str]) -> bytes:
    try:
        return check_sealed(store.read(file), allowed)
    except SealError as error:
        raise SealError(f"{file}: {error}") from error


class TextFiles:
    """The label sets of a cache of this format."""

    def __init__(self, store: SafeStore, sealed: Mapping[str, Iterable[str]], dims: tuple[int, int, int]) -> None:
        """Those that the cache's root names, with the digests that each one's zarr.json may have."""
        self._store, self._sealed, self._dims = store, sealed, dims

    def names(self) -> list[str]:
        """Their names, sorted."""
        return sorted(self._sealed)

    def read(self, name: str) -> TextSet:
        """One of them.

        Raises:
            CacheError: it is not as it was written.
        """
        return read_text(self._store, name, self._sealed[name], self._dims)
