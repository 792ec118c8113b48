"""Caches of format 2, as av2a wrote them before: read, not written; :func:`feature_cache.upgrade` makes them new."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.metadata import ArrayV3Metadata

from feature_cache.header import Header
from feature_cache.layout import ATTRIBUTE_DIGEST, DIGEST_BYTES, DONE, REASON_BYTES, TEXT_GROUP
from feature_cache.row_state import RowState
from feature_cache.seals import SealError, attribute_digest
from feature_cache.shard_rows import ShardRows
from feature_cache.storage.durable import SafeStore
from feature_cache.text import TextSet, check_labels

_BESIDE = {"status": (), "missing": (), "digest": (DIGEST_BYTES,), "reason": (REASON_BYTES,)}


class OldRows:
    """Rows of such a cache: :class:`feature_cache.stored_rows.RowSource`."""

    def __init__(self, store: SafeStore, header: Header) -> None:
        """The rows that a header speaks of."""
        self._store, self._header = store, header

    def values(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop) of an array in the header, or of what is kept beside them."""
        shape = self._header.shapes.get(name, _BESIDE.get(name, ()))
        dtype = "uint8" if name in _BESIDE else self._header.dtype
        found = _array(_group(self._store), name)
        if found.shape[1:] != shape or found.dtype != np.dtype(dtype) or found.shape[0] < len(self._header):
            raise ValueError(f"it is {found.dtype} {found.shape}, expected {dtype} {(len(self._header), *shape)}")
        # there may be more rows, of clips that were being added or were removed
        rows: NDArray[Any] = np.asarray(found[start:stop])
        return rows

    def state(self, start: int, stop: int) -> RowState:
        """What is kept beside rows [start, stop)."""
        return RowState(**{name: self.values(name, start, stop) for name in _BESIDE})

    def differing(self, rows: ShardRows) -> NDArray[np.bool_]:
        """bool (n,): rows that are done and not what their digest says; whose they are was not said."""
        return old_differing(rows)


def old_differing(rows: ShardRows) -> NDArray[np.bool_]:
    """bool (n,): rows that are done and not what their digest, of format 2, says."""
    found: NDArray[np.bool_] = (_row_digests(rows.state.missing, rows.arrays) != rows.state.digest).any(axis=1)
    wrong: NDArray[np.bool_] = found & (rows.state.status == DONE)
    return wrong


def _row_digests(missing: NDArray[np.uint8], arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """uint8 (n, 16): BLAKE2b of each row's ``missing`` and its values as stored."""
    found = np.zeros((len(missing), DIGEST_BYTES), dtype=np.uint8)
    for row, bits in enumerate(missing.tolist()):
        digest = hashlib.blake2b(bytes([bits]), digest_size=DIGEST_BYTES)
        for values in arrays.values():
            digest.update(np.ascontiguousarray(values[row]).tobytes())
        found[row] = np.frombuffer(digest.digest(), dtype=np.uint8)
    return found


class OldTexts:
    """The label sets of such a cache."""

    def __init__(self, store: SafeStore) -> None:
        """Those that lie in a store."""
        self._store = store

    def names(self) -> list[str]:
        """Names of those that are whole, sorted."""
        found = self._store.names(TEXT_GROUP)
        return sorted(name for name in found if name != "zarr.json" and _old_set(self._store, name) is not None)

    def read(self, name: str) -> TextSet:
        """One of them.

        Raises:
            SealError: its attributes are not as they were written.
            ValueError: a table is damaged.
        """
        entry = _old_set(self._store, name)
        if entry is None:
            raise SealError("it is not whole")
        attributes: dict[str, Any] = entry.attrs.asdict()
        if attributes.get(ATTRIBUTE_DIGEST) != attribute_digest(attributes):
            raise SealError("its attributes are not as they were written")
        labels = check_labels(attributes["labels"])
        names = {"visual": "visual", "audio": "audio", **attributes.get("tables", {})}
        there = names["visual"] in entry
        visual = np.asarray(_array(entry, names["visual"])[:]) if there else np.zeros((len(labels), 0), np.float32)
        audio = visual if attributes.get("one_table") or not there else np.asarray(_array(entry, names["audio"])[:])
        return TextSet(name=name, labels=labels, visual=visual, audio=audio, prompts=attributes["prompts"])


def _old_set(store: SafeStore, name: str) -> zarr.Group | None:
    entry = _group(store).get(f"{TEXT_GROUP}/{name}")
    return entry if isinstance(entry, zarr.Group) and "labels" in entry.attrs else None


def _group(store: SafeStore) -> zarr.Group:
    return zarr.open_group(store, mode="r", zarr_format=3)


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    found = group[name]
    if not isinstance(found, zarr.Array) or not isinstance(found.metadata, ArrayV3Metadata):
        raise KeyError(name)
    return found
