"""What a person should know of a label set: labels that an encoder cuts, labels that it cannot tell apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.backbones.base import Backbone, BoundedText
from feature_cache import TextSet

_SIDES: Mapping[str, str] = {"visual": "pictures", "audio": "sound"}
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
        if isinstance(backbone, BoundedText):
            cut[what] = _cut(backbone, side, text.prompts[side])
        for group in _equal_rows(getattr(text, side)):
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
    cut = backbone.sentences_cut(side, [line for group in lines for line in group])
    return sorted({row for row, found in zip(rows, cut, strict=True) if found})


def _equal_rows(table: NDArray[np.float32], rows_at_once: int = 1024) -> list[list[int]]:
    """Groups of rows that point the same way."""
    wide = table.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    unit = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    groups: dict[int, list[int]] = {}
    head_of = np.full(len(unit), -1)
    for start in range(0, len(unit), rows_at_once):
        near = unit[start : start + rows_at_once] @ unit.T > 1 - _EQUAL
        for row in (np.flatnonzero(near.sum(axis=1) > 1) + start).tolist():
            others = np.flatnonzero(near[row - start])
            others = others[(others > row) & (head_of[others] < 0)]
            if len(others):
                head = row if head_of[row] < 0 else int(head_of[row])
                head_of[[row, *others]] = head
                groups.setdefault(head, [head]).extend(others.tolist())
    return list(groups.values())


def _listed(labels: Sequence[str], rows: Sequence[int]) -> str:
    some = ", ".join(f"'{_short(labels[row])}'" for row in rows[:4])
    return some + (f" and {len(rows) - 4} more" if len(rows) > 4 else "")


def _short(label: str) -> str:
    return label if len(label) <= 48 else f"{label[:28]} … {label[-17:]}"
