"""A search on disk: settings and figures as they are found, so that an interrupted search goes on.

A Zarr v3 group with one chunk a batch. ``done`` says which batches are whole; it is written last.
"""

import hashlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from feature_cache.errors import CacheError
from feature_cache.layout import UNFINISHED
from feature_cache.storage.group import attributes_at, empty, names_in, write_group
from feature_cache.storage.urls import store_at
from score.errors import ScoreError
from score.parameters import describe
from score.tuning.space import Space

FORMAT = "av2a-search"
VERSION = 1


class SearchStore:
    """Batches of a search in a folder."""

    def __init__(
        self, path: str | PathLike[str], identity: dict[str, Any], facts: dict[str, Any], *, overwrite: bool = False
    ) -> None:
        """Open the folder of the same search, or make it.

        Args:
            path: the folder.
            identity: what makes a search this one and no other, JSON-able; "space" as :meth:`Space.to_dict` gives it.
            facts: what else whoever reads it should know, JSON-able.
            overwrite: replace a search that is there, whatever it is.

        Raises:
            ScoreError: something else is there.
        """
        self.path = Path(path)
        self.space = Space.from_dict(identity["space"])
        self._store = store_at(self.path, read_only=False)
        found = _attributes(self.path)
        if found is None and (self.path.is_file() or names_in(self._store, "")):
            raise ScoreError(f"{self.path} is there and holds no search: choose another output")
        if found and found.get(UNFINISHED, found.get("format")) != FORMAT:
            raise ScoreError(f"{self.path} is a Zarr store, but holds no search: choose another output")
        if found == {} and names_in(self._store, ""):
            raise ScoreError(f"{self.path} is a Zarr store, but holds no search: choose another output")
        if found and UNFINISHED not in found and not overwrite:
            there = {**found.get("identity", {})}
            if _same_space(there.get("space"), self.space):  # as another av2a says it, perhaps
                there["space"] = identity["space"]
            different = [key for key in identity if there.get(key) != identity[key]]
            if different or found.get("version") != VERSION:
                raise ScoreError(
                    f"{self.path} holds another search (its {', '.join(different) or 'version'} differs): choose "
                    "another output, or `overwrite=True`"
                )
            self._group = zarr.open_group(self._store, mode="r+")
            return
        try:
            empty(self._store, FORMAT)
            self._group = zarr.open_group(self._store, mode="r+")
            self._group.attrs.put({"format": FORMAT, "version": VERSION, "identity": identity, "facts": facts})
        except CacheError as error:
            raise ScoreError(f"{error}; choose another output") from error

    def read(self, batch: int, settings: NDArray[Any]) -> NDArray[np.float64] | None:
        """Figures of a batch that is whole, (S, figures); None if it is not there.

        Raises:
            ScoreError: the batch is damaged, or holds other settings.
        """
        name, entry = _batch_name(batch), _whole_batch(self._group, batch)
        if entry is None:
            return None
        try:
            if not np.array_equal(_encode(settings, self.space), np.asarray(entry["settings"])):
                raise ScoreError(f"{self.path}: {name} holds other settings: `overwrite=True`")
            return _figures(entry)
        except (ValueError, KeyError, RuntimeError) as error:
            raise ScoreError(
                f"{self.path}: {name} is damaged ({str(error).splitlines()[0]}): `overwrite=True`"
            ) from error

    def write(self, batch: int, settings: NDArray[Any], metrics: NDArray[np.float64], names: tuple[str, ...]) -> None:
        """Keep a batch that is not there yet; what declares it whole comes last.

        Raises:
            StoreError: it cannot be written, as the disk is full.
        """

        def fill(entry: zarr.Group) -> None:
            for name, values in (("settings", _encode(settings, self.space)), ("metrics", metrics)):
                entry.create_array(
                    name, data=values, chunks=values.shape, compressors=[ZstdCodec(level=1), Crc32cCodec()]
                )
            facts = {"parameters": list(settings.dtype.names or ()), "metrics": list(names), "digest": _digest(metrics)}
            entry.attrs.update({**facts, "done": True})

        write_group(self._store, _batch_name(batch), fill)


@dataclass(frozen=True)
class Kept:
    """What a search's folder holds.

    Attributes:
        identity: what makes the search this one, "space" and "dataset" among it.
        facts: what else was said of it; empty in folders of an early av2a.
        space: what was searched.
        settings: structured (S,) of the space's dtype.
        metrics: float64 (S, figures).
        metric_names: their names; empty where there is no batch.
    """

    identity: dict[str, Any]
    facts: dict[str, Any]
    space: Space
    settings: NDArray[Any]
    metrics: NDArray[np.float64]
    metric_names: tuple[str, ...]


def read_search(path: str | PathLike[str]) -> Kept:
    """Everything that a search's folder holds, batch by batch up to the first that is not whole.

    Raises:
        ScoreError: it is no search's folder, of another version, or damaged.
    """
    folder = Path(path)
    found = _attributes(folder)
    if not found or UNFINISHED in found or found.get("format") != FORMAT:
        raise ScoreError(f"{folder} holds no search: `search(..., output='{folder.name}')` makes one")
    if found.get("version") != VERSION:
        raise ScoreError(f"{folder} holds a search of version {found.get('version')}, this av2a reads {VERSION}")
    settings: list[NDArray[Any]] = []
    metrics: list[NDArray[np.float64]] = []
    try:
        identity, facts = dict(found["identity"]), dict(found.get("facts", {}))
        space = Space.from_dict(identity["space"])
        group = zarr.open_group(store_at(folder, read_only=True), mode="r")
        names: tuple[str, ...] = ()
        while (entry := _whole_batch(group, len(metrics))) is not None:
            figures = _figures(entry)
            names = tuple(str(name) for name in np.asarray(entry.attrs["metrics"]).tolist())
            settings.append(_decode(np.asarray(entry["settings"], dtype=np.float64), space))
            metrics.append(figures)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError, ScoreError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ScoreError(f"{folder} is damaged ({why}): search again, `overwrite=True`") from error
    rows = np.concatenate(settings) if settings else np.zeros(0, space.dtype)
    table = np.concatenate(metrics) if metrics else np.zeros((0, len(names)))
    return Kept(identity, facts, space, rows, table, names)


def _batch_name(batch: int) -> str:
    return f"batch{batch:06d}"


def _whole_batch(group: zarr.Group, batch: int) -> zarr.Group | None:
    entry = group.get(_batch_name(batch))
    return entry if isinstance(entry, zarr.Group) and entry.attrs.get("done") else None


def _figures(entry: zarr.Group) -> NDArray[np.float64]:
    """A batch's figures, (S, figures); ValueError where they are not as they were written."""
    found = np.asarray(entry["metrics"], dtype=np.float64)
    if entry.attrs.get("digest") not in (None, _digest(found)):
        raise ValueError("figures differ from their digest")
    return found


def is_table_of(path: Path, file: Path) -> bool:
    """Whether the search in a folder has written what is in a file."""
    tables = _tables(_attributes(path) or {})
    if not tables or not file.is_file():
        return False
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() in tables


def remember_table(path: Path, content: bytes) -> None:
    """Note in a search that it is about to write a table, so that the same search may replace it later."""
    group = zarr.open_group(store_at(path, read_only=False), mode="r+", zarr_format=3)
    found, digest = group.attrs.asdict(), hashlib.sha256(content).hexdigest()
    if digest not in _tables(found):
        group.attrs.put({**found, "tables": [*_tables(found), digest][-8:]})


def _tables(attributes: dict[str, Any]) -> list[Any]:
    found = attributes.get("tables")
    return found if isinstance(found, list) else []


def _digest(values: NDArray[np.float64]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).hexdigest()


def _same_space(stored: Any, space: Space) -> bool:
    try:
        return isinstance(stored, dict) and Space.from_dict(stored) == space
    except (ScoreError, TypeError):
        return False


def _encode(settings: NDArray[Any], space: Space) -> NDArray[np.float64]:
    """Settings as float64 (S, 7): numbers, then choices by their codes."""
    known = describe(space.parameters)
    columns = [settings[name] for name in space.numbers]
    for name in space.choices:
        codes = np.zeros(len(settings))
        for code, value in enumerate(known[name].names):
            codes[settings[name] == value] = code
        columns.append(codes)
    return np.column_stack(columns)


def _decode(table: NDArray[np.float64], space: Space) -> NDArray[Any]:
    """The inverse of :func:`_encode`."""
    known = describe(space.parameters)
    found = np.zeros(len(table), dtype=space.dtype)
    for column, name in enumerate((*space.numbers, *space.choices)):
        values = table[:, column]
        found[name] = values if name in space.numbers else np.array(known[name].names)[values.astype(int)]
    return found


def _attributes(path: Path) -> dict[str, Any] | None:
    try:
        return attributes_at(path)
    except CacheError as error:
        raise ScoreError(f"{path} is damaged, or cannot be read: choose another output, or delete it") from error
