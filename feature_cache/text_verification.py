"""A text set, table by table, against what was written."""

from typing import Any

import zarr
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from feature_cache import layout
from feature_cache.layout import SEAL, TEXT_GROUP, seal
from feature_cache.skeleton import same_kind
from feature_cache.storage.durable import SafeStore
from feature_cache.text import table_names


def check_text_set(group: zarr.Group, store: SafeStore, name: str, dims: tuple[int, int]) -> str | None:
    """What is wrong with a text set; None if nothing is, or if it was cut off while it was written.

    Args:
        group: the cache's group.
        store: its store.
        name: the set's name.
        dims: sizes of visual and audio embeddings.
    """
    folder = f"{TEXT_GROUP}/{name}"
    if not sync(store.exists(f"{folder}/zarr.json")):
        return None
    entry = group[folder]
    if not isinstance(entry, zarr.Group):
        return "it is no group"
    attributes: dict[str, Any] = entry.attrs.asdict()
    if not attributes:
        return None
    if attributes.get(SEAL) != seal(attributes):
        return "its attributes are not as they were written"
    sides = [("visual", dims[0])] if attributes["one_table"] else [("visual", dims[0]), ("audio", dims[1])]
    labels, places = len(attributes["labels"]), table_names(attributes)
    for side, width in sides:
        if not width:
            continue
        place = places[side]
        table = layout.array(entry, place)
        template = zarr.open_group(MemoryStore(), mode="w", zarr_format=3)
        layout.add_array(
            template, side, shape=(labels, width), dtype="float32", rows=labels, dimensions=("label", "dim")
        )
        if not same_kind(layout.array(template, side), table) or table.shape[0] != labels:
            return f"{side}/zarr.json is not as it was written"
        if not sync(store.exists(f"{folder}/{place}/{table.metadata.encode_chunk_key((0, 0))}")):
            return f"the {side} table is missing"
        layout.read_rows(entry, place)
    return None
