"""Text sets: the embeddings of a list of labels, kept beside the clips (docs/design.md 3)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from feature_cache.arrays import add_array, array, read_rows
from feature_cache.errors import CacheError
from feature_cache.layout import TEXT_GROUP
from feature_cache.names import escaped, folded, why_not_a_name
from feature_cache.storage.group import add_group, names_in, remove, set_attributes, store_of, write_group

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NO_FOLDER = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?|.*\.", re.IGNORECASE)
"""Names that Windows gives to devices, and those whose end it cuts off."""


@dataclass(frozen=True)
class TextSet:
    """A label set with its text embeddings.

    Attributes:
        name: the set's name in the cache.
        labels: C class names as the user wrote them.
        visual: float32 (C, Dv), embeddings to compare image and video embeddings with; Dv = 0 where a cache holds
            probabilities.
        audio: float32 (C, Da), embeddings to compare audio embeddings with.
        prompts: the sentences that were embedded, by "visual" and "audio": a sentence for each label, or a
            list of them where several were averaged.
    """

    name: str
    labels: tuple[str, ...]
    visual: NDArray[np.float32]
    audio: NDArray[np.float32]
    prompts: Mapping[str, Sequence[Any]]


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


def write_text(
    group: zarr.Group,
    name: str,
    labels: Sequence[str],
    visual: NDArray[Any],
    audio: NDArray[Any] | None,
    prompts: Mapping[str, Sequence[Any]],
    *,
    dims: tuple[int, int],
    overwrite: bool,
) -> None:
    """Write one text set; its attributes come last and make it whole. No audio table: the visual one is both.

    One that it replaces is there until then.
    """
    if not _NAME.fullmatch(name):
        raise CacheError(f"text set name {name!r}: use letters, digits, '.', '_' and '-', 64 at most")
    if _NO_FOLDER.fullmatch(name):
        raise CacheError(f"text set name {name!r}: a folder cannot be called that on every system; use another name")
    labels = check_labels(labels)
    if audio is None and dims[0] != dims[1]:
        raise CacheError(f"text set {name!r} has one table, but visual and audio embeddings differ in size: {dims}")
    tables = [("visual", visual, dims[0])] + ([] if audio is None else [("audio", audio, dims[1])])
    for kind, table, width in tables:
        if table.shape != (len(labels), width):
            raise CacheError(
                f"text set {name!r}: {kind} embeddings are {table.shape}, expected ({len(labels)}, {width})"
            )
        if not np.isfinite(table).all():
            raise CacheError(f"text set {name!r}: {kind} embeddings hold values that are not finite")
    before = _attributes(group, name) or {}
    if before and not overwrite:
        raise CacheError(f"text set {name!r} is there already: choose another name or overwrite it")
    used = set(table_names(before).values()) if before else set()
    names = {kind: kind if kind not in used else f"{kind}_2" for kind, _, _ in tables}

    def fill(entry: zarr.Group) -> None:
        for kind, table, width in tables:
            if width == 0:
                continue  # labels alone, of probabilities
            add_array(
                entry, names[kind], shape=table.shape, dtype="float32", rows=len(labels), dimensions=("label", "dim")
            )
            array(entry, names[kind])[:] = np.asarray(table, dtype=np.float32)
        attributes: dict[str, Any] = {
            "labels": list(labels),
            "prompts": {kind: list(lines) for kind, lines in prompts.items()},
            "one_table": audio is None,
        }
        if any(kind != stored_as for kind, stored_as in names.items()):
            attributes["tables"] = names
        set_attributes(entry, attributes)

    store, folder = store_of(group), f"{TEXT_GROUP}/{name}"
    add_group(store, TEXT_GROUP)
    write_group(store, folder, fill)
    for old in names_in(store, folder):
        if old not in names.values():
            remove(store, f"{folder}/{old}")


def table_names(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The arrays of a text set, by "visual" and "audio".

    A set that replaces another has arrays of other names, so that both are there until its attributes name its own.

    Raises:
        CacheError: the attributes are damaged.
    """
    found = {"visual": "visual", "audio": "audio", **attributes.get("tables", {})}
    for name in found.values():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise CacheError(f"{name!r} is no name of a table")
    return found


def _attributes(group: zarr.Group, name: str) -> dict[str, Any] | None:
    """Attributes of a text set that is whole; None where none is."""
    entry = group.get(f"{TEXT_GROUP}/{name}")
    return entry.attrs.asdict() if isinstance(entry, zarr.Group) and "labels" in entry.attrs else None


def text_names(group: zarr.Group) -> list[str]:
    """Names of the whole text sets, sorted."""
    return [name for name in names_in(store_of(group), TEXT_GROUP) if _attributes(group, name) is not None]


def read_text(group: zarr.Group, name: str) -> TextSet:
    """Read one text set by its name, which must be one of :func:`text_names`."""
    entry = group[f"{TEXT_GROUP}/{name}"]
    assert isinstance(entry, zarr.Group)
    attributes: dict[str, Any] = dict(entry.attrs)
    labels = check_labels(attributes["labels"])
    names = table_names(attributes)
    there = names["visual"] in entry
    visual = read_rows(entry, names["visual"]) if there else np.zeros((len(labels), 0), dtype=np.float32)
    return TextSet(
        name=name,
        labels=labels,
        visual=visual,
        audio=visual if attributes.get("one_table") else read_rows(entry, names["audio"]),
        prompts=attributes["prompts"],
    )
