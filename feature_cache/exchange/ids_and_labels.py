"""What stands beside the features: clip ids, labels, their text embeddings, what is missing."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import layout
from feature_cache.errors import CacheError
from feature_cache.exchange.clips import Clips
from feature_cache.exchange.sources import Sources
from feature_cache.fit import Fitted
from feature_cache.names import Names
from feature_cache.tables import Table, check_numbers
from feature_cache.text import check_labels, portable_name

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "image": ("image",),
    "video": ("video",),
    "audio": ("audio",),
    "audio_segments": ("audio_segments",),
    "joint": ("joint",),
    "visual_probability": ("visual_probability", "visual_probabilities"),
    "audio_probability": ("audio_probability", "audio_probabilities"),
    "missing": ("missing",),
    "clips": ("clip_ids", "clips"),
    "labels": ("labels",),
    "text_visual": ("text_visual",),
    "text_audio": ("text_audio",),
    "text_joint": ("text_joint",),
}
"""Names under which arrays are found without being named."""
_AVE_COLUMNS = ["Category", "VideoID", "Quality", "StartTime", "EndTime"]


def clip_names(sources: Sources, clips: str | None, arrays: Mapping[str, Table | Clips]) -> tuple[list[str], str]:
    """The clips' names in the order of the rows, some of them repeated perhaps, and where they come from.

    Lines of AVE's lists (Category&VideoID&Quality&StartTime&EndTime) give their VideoID.

    Raises:
        CacheError: there are none.
    """
    found = sources.strings("`clips`", clips, USUAL_NAMES["clips"])
    origin = clips or "the clip ids"
    if found is None:
        folders = [table for table in arrays.values() if isinstance(table, Clips)]
        if len(folders) < len(arrays):
            raise CacheError(
                'no clip ids: name a list of them with `clips="FILE"`, one a line in the order of the rows'
            )
        found = sorted(_together(folder.stems for folder in folders))
        origin = folders[0].source
    return _ave_ids(found), origin


def _together(names: Iterable[Iterable[str]]) -> list[str]:
    """Names of several sources; one in another Unicode form than an earlier source's is that."""
    found: list[str] = []
    for some in names:
        there = Names(found)
        found += [name for name in some if not there.like(name)]
    return found


def _ave_ids(lines: list[str]) -> list[str]:
    cells = [line.split("&") for line in lines]
    if any(len(row) != len(_AVE_COLUMNS) or not _is_number(row[3]) or not _is_number(row[4]) for row in cells[1:]):
        return lines
    if len(cells) < 2 or len(cells[0]) != len(_AVE_COLUMNS):
        return lines
    return [row[1].strip() for row in cells[[part.strip() for part in cells[0]] == _AVE_COLUMNS :]]


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()


def label_names(sources: Sources, labels: str | None) -> tuple[str, ...] | None:
    """The labels; lines that begin with # do not count. None if there are none.

    Raises:
        CacheError: they cannot be read, are fewer than two or doubled.
    """
    found = sources.strings("`labels`", labels, USUAL_NAMES["labels"])
    if found is None:
        return None
    try:
        return check_labels([label for label in found if not label.startswith("#")])
    except CacheError as error:
        raise CacheError(f"{labels or 'labels'}: {error}") from error


def set_name(labels: str | None) -> str:
    """The label file's own name where it makes a good one."""
    stem = Path(labels).stem if labels is not None and Path(labels).is_file() else ""
    plain = (
        stem.isascii() and stem.replace("-", "").replace("_", "").isalnum() and stem[0].isalnum() and len(stem) <= 64
    )
    return portable_name(stem) if plain else "labels"


def given_missing(sources: Sources, missing: str | None, n: int) -> NDArray[np.uint8] | None:
    """uint8 (n,): what each clip does not have, as an array says; None if there is none.

    Raises:
        CacheError: its shape or values are not as they must be.
    """
    found = sources.table("`missing`", missing, USUAL_NAMES["missing"])
    if found is None:
        return None
    if isinstance(found, Clips):
        raise CacheError(f"{found.source} is a folder: `missing` needs one array (N,)")
    check_numbers(found)
    if found.shape != (n,):
        raise CacheError(f"{found.source} is {found.shape}, expected ({n},): 0, 1 (no picture) or 2 (no sound) a clip")
    values = found.rows(0, n)
    if found.dtype.kind == "b":
        raise CacheError(f"{found.source} holds bool: 0, 1 (no picture) or 2 (no sound) is needed, not yes and no")
    if not np.isin(values, (0, layout.NO_PICTURE, layout.NO_SOUND)).all():
        raise CacheError(f"{found.source}: values other than 0, 1 (no picture) and 2 (no sound)")
    return values.astype(np.uint8)


def text_tables(
    sources: Sources,
    labels: tuple[str, ...] | None,
    named: Mapping[str, str | None],
    fitted: Fitted,
    *,
    needed: bool,
) -> dict[str, NDArray[Any]]:
    """The labels' text embeddings, (C, Dv), (C, Da) and (C, Dj), by side; empty where there are none.

    Args:
        sources: where to look.
        labels: C labels.
        named: what the arguments say, by "visual", "audio" and "joint".
        fitted: the clips' embeddings.
        needed: whether the labels were asked for, and so must have text embeddings.

    Raises:
        CacheError: one of them is not there, does not fit, or is not finite.
    """
    widths = {
        "visual": fitted.shapes["image"][-1],
        "audio": fitted.shapes.get("audio", fitted.shapes.get("audio_segments", (0,)))[-1],
        "joint": fitted.shapes.get("joint", (0,))[-1],
    }
    found = {}
    for side, value in named.items():
        argument = f"`text_{side}`"
        table = sources.table(argument, value, USUAL_NAMES[f"text_{side}"])
        if table is None:
            continue
        if isinstance(table, Clips):
            raise CacheError(f"{table.source} is a folder: {argument} needs one array (C, D)")
        if labels is None:
            raise CacheError(f'{table.source}: text embeddings need the labels\' names: `labels="FILE"`, one a line')
        check_numbers(table)
        if not widths[side]:
            raise CacheError(f"{table.source}: {argument} goes with joint embeddings: name them with `joint`")
        expected = (len(labels), widths[side])
        if table.shape != expected:
            raise CacheError(f"{table.source} is {table.shape}, expected {expected} for {len(labels)} labels")
        values = table.rows(0, len(labels))
        fits = np.abs(values.astype(np.float64)) <= np.finfo(np.float32).max
        if not fits.all():
            row = int(np.flatnonzero(~fits.all(axis=1))[0])
            raise CacheError(f"{table.source}: a value of label {labels[row]!r} is not finite, or does not fit float32")
        found[side] = values
    if (needed or found) and "visual" not in found:
        raise CacheError("labels of embeddings need their text embeddings: `text_visual` (C, Dv), `text_audio` (C, Da)")
    if "visual" in found and "audio" not in found and widths["visual"] != widths["audio"]:
        raise CacheError(
            f"text embeddings of the sound are needed, too: `text_audio` ({len(labels or ())}, {widths['audio']})"
        )
    if "visual" in found and widths["joint"] and "joint" not in found:
        raise CacheError(
            "text embeddings to compare joint embeddings with are needed, too: `text_joint` "
            f"({len(labels or ())}, {widths['joint']})"
        )
    return found
