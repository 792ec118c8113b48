"""Zarr groups in a store: made, read, emptied, listed."""

import json
import uuid
from collections.abc import Callable
from os import PathLike
from typing import Any

import zarr
from zarr.core.buffer import Buffer
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from feature_cache.errors import CacheError
from feature_cache.layout import UNFINISHED
from feature_cache.seals import SealError, parse_group
from feature_cache.storage.atomic import PARTIAL
from feature_cache.storage.durable import SafeStore
from feature_cache.storage.lease import LEASES
from feature_cache.storage.urls import shown, store_at

MAKER = "maker"


def empty(store: SafeStore, format: str) -> str:
    """Make an empty group of what is in a store, leases aside.

    The group is marked as unfinished first, so that a kill at any later moment leaves something that is known as a
    beginning. The mark, which is returned, tells one process from another.
    """
    maker = uuid.uuid4().hex
    set_json(store, "zarr.json", _plain({UNFINISHED: format, MAKER: maker}))
    for child in names_in(store, "", partial=True):
        store.remove(child)
    return maker


def write_group(store: SafeStore, name: str, fill: Callable[[zarr.Group], None]) -> None:
    """Write a group and what is in it; its zarr.json comes last and makes it whole.

    Nothing is removed first: two processes that write the same at once both leave it whole.

    Args:
        store: where to.
        name: of the group.
        fill: called with an empty group to put arrays and attributes into.
    """
    made: dict[str, Buffer] = {}
    group = zarr.open_group(MemoryStore(made), mode="w", zarr_format=3)
    fill(group)
    for key in sorted(made, key=lambda key: (key == "zarr.json", key)):
        sync(store.set(f"{name}/{key}", made[key]))


def set_json(store: SafeStore, key: str, value: Any) -> None:
    """Write JSON."""
    store.write(key, json.dumps(value).encode())


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def attributes_at(path: str | PathLike[str]) -> dict[str, Any] | None:
    """Attributes of the group at a path; None where no group is.

    Raises:
        CacheError: the group's zarr.json is damaged, or the store cannot be read.
    """
    raw = store_at(path, read_only=True).read("zarr.json")
    if raw is None:
        return None
    try:
        return parse_group(raw)
    except SealError as error:
        try:
            if json.loads(raw).get("node_type") == "array":
                return None
        except (ValueError, AttributeError, RecursionError):
            pass
        raise CacheError(f"{shown(path)}: zarr.json is damaged ({error}): extract again") from error


def names_in(store: SafeStore, prefix: str, *, partial: bool = False) -> list[str]:
    """Names of files and folders directly under a prefix, sorted: no zarr.json, leases, nor what a killed writer left.

    Args:
        store: where.
        prefix: "" or a folder.
        partial: name what a killed writer left, too.
    """
    found = (name for name in store.names(prefix) if name not in ("zarr.json", LEASES))
    return [name for name in found if partial or not name.endswith(PARTIAL)]
