"""What a person should know of a label set: labels that an encoder cuts, labels that it cannot tell apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.backbones.base import Backbone, BoundedText
from feature_cache import TextSet

_SIDES: Mapping[str, str] = {"visual": "pictures", "audio": "sound", "joint": "both at once"}
_AT_ONCE = 1024
_EQUAL = 1e-10
"""1 − cosine of embeddings that are equal but for rounding in float32, squared; other sentences are far above it."""


def text_notes(backbone: Backbone, text: TextSet) -> tuple[str, ...]:
    """Notes on a label set, a line each.

    Args:
        backbone: the encoders that embedded it.
        text: the set as it is in a cache.
    """
    cut: dict[str, list[int]] = {}
    equal: dict[tuple[int, ...], list[str]] = {}
    for side, what in _SIDES.items():
        table = getattr(text, side)
        if table is None:
            continue
        if isinstance(backbone, BoundedText):
            cut[what] = _cut(backbone, side, text.prompts[side])
        for group in _equal_rows(table):
            equal.setdefault(tuple(group), []).append(what)
    notes = []
    for rows in dict.fromkeys(tuple(rows) for rows in cut.values() if rows):
        where = " and ".join(what for what, found in cut.items() if tuple(found) == rows)
        notes.append(
            f"longer than {backbone.name} reads, for {where}, so that the end makes no difference: "
            + _listed(text.labels, rows)
        )
    notes += [
        f"{backbone.name} cannot tell apart in {' and '.join(where)} (equal embeddings): {_listed(text.labels, group)}"
        for group, where in equal.items()
    ]
    return tuple(notes)


def _cut(backbone: BoundedText, side: str, prompts: Sequence[Any]) -> list[int]:
    """Rows of labels one of whose sentences is cut."""
    lines = [[prompt] if isinstance(prompt, str) else list(prompt) for prompt in prompts]
    rows = [row for row, group in enumerate(lines) for _ in group]
    sentences = [line for group in lines for line in group]
    cut: list[bool] = []
    for start in range(0, len(sentences), _AT_ONCE):
        cut += backbone.sentences_cut(side, sentences[start : start + _AT_ONCE])
    return sorted({row for row, found in zip(rows, cut, strict=True) if found})


def _equal_rows(table: NDArray[np.float32]) -> list[list[int]]:
    """Groups of rows that point the same way.

    Rows that are near each other have projections near each other, whatever they are projected on: with the rows in
    the order of these, each is compared with its neighbours and not with all.
    """
    wide = table.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    unit = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    axis = np.random.default_rng(0).standard_normal(unit.shape[1])
    places = unit @ (axis / np.linalg.norm(axis))
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    groups: list[list[int]] = []
    grouped = np.zeros(len(unit), dtype=bool)
    near = 2 * np.sqrt(2 * _EQUAL)
    begins, ends = np.searchsorted(ordered, places - near), np.searchsorted(ordered, places + near, side="right")
    for row in np.flatnonzero((ends - begins > 1) & (norms[:, 0] > 0)).tolist():
        if grouped[row]:
            continue
        others = order[begins[row] : ends[row]]
        others = np.sort(others[(others > row) & ~grouped[others]])
        equal = np.concatenate(
            [part[unit[part] @ unit[row] > 1 - _EQUAL] for part in np.array_split(others, 1 + len(others) // _AT_ONCE)]
        )
        if len(equal):
            grouped[equal] = True
            groups.append([row, *equal.tolist()])
    return groups


def _listed(labels: Sequence[str], rows: Sequence[int]) -> str:
    some = ", ".join(f"'{_short(labels[row])}'" for row in rows[:4])
    return some + (f" and {len(rows) - 4} more" if len(rows) > 4 else "")


def _short(label: str) -> str:
    return label if len(label) <= 48 else f"{label[:28]} … {label[-17:]}"
