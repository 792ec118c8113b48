"""Features fitted to each other, as tables in files and as arrays in memory: clips, segments and windows.

Which rows the arrays of a cache may have beside each other is said by :func:`feature_cache.layout.possible_rows`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feature_cache.checks import check_missing, check_values
from feature_cache.errors import CacheError
from feature_cache.layout import MISSING_BIT, NO_PICTURE, NO_SOUND, Shapes, possible_rows
from feature_cache.pooling import pool_hint
from feature_cache.tables import Table, absent_rows, check_blocks, check_numbers
from feature_cache.windows import window_count

EXPECTED = {
    "image": "(N, T, Dv): one vector a segment",
    "video": "(N, W, F, Dv) or (N, W, Dv): the frames or the one vector of each window",
    "audio": "(N, W, Da) a window, (N, T, Da) a segment or (N, Da) a clip",
    "audio_segments": "(N, T, Da): one vector a segment",
    "joint": "(N, W, Dj) a window or (N, Dj) a clip",
    "visual_probability": "(N, T, C): a probability for each segment and label",
    "audio_probability": "(N, T, C): a probability for each segment and label",
}
CLIP_RANKS: dict[str, tuple[int, ...]] = {
    "image": (2, 4), "video": (2, 3), "audio": (1, 2), "audio_segments": (2,), "joint": (1, 2),
    "visual_probability": (2,), "audio_probability": (2,),
}  # fmt: skip
"""Axes that the array of one clip has (4: with a grid), by which a file with an array a clip is known."""
_RANKS = {"video": (3, 4), "audio": (2, 3), "joint": (2, 3)}
"""Axes of an array where they may be other than three; the first is the clips'."""


def row_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a row of (N, ...) has in a cache: one vector a window is one frame, one a clip is one window.

    Args:
        name: as the array is called in a cache.
        shape: of the array, whose number of axes :data:`EXPECTED` names.
    """
    if name == "video" and len(shape) == 3:
        return (shape[1], 1, shape[2])
    return (1, shape[1]) if name in ("audio", "joint") and len(shape) == 2 else shape[1:]


# --- tables in files ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fitted:
    """Tables whose shapes fit each other.

    Attributes:
        tables: by the name that the array has in a cache.
        shapes: by the same names, a row's shape in the cache.
        segments: T.
    """

    tables: dict[str, Table]
    shapes: Shapes
    segments: int

    def rows(self, name: str, start: int, stop: int, clip_ids: Sequence[str], there: Any, dtype: str) -> NDArray[Any]:
        """Rows of an array, in the cache's shape, checked where ``there``, a mask of them, says that they count.

        Raises:
            CacheError: rows cannot be read, or values are not finite, out of range, or do not fit the dtype.
        """
        table = self.tables[name]
        found = table.rows(start, stop).reshape(stop - start, *self.shapes[name])
        kept = np.flatnonzero(there)
        try:
            ids = [clip_ids[start + row] for row in kept.tolist()]
            check_values(name, found[kept], dtype, ids)
        except CacheError as error:
            raise CacheError(f"{table.source}: {error}") from error
        return found


def check_counts(tables: Mapping[str, Table], clip_ids: Sequence[str], origin: str) -> None:
    """Refuse tables with more or fewer rows than there are clip ids.

    Args:
        tables: by the name that the array has in a cache.
        clip_ids: N names, repeated ones included.
        origin: where the names come from, for errors.

    Raises:
        CacheError: the numbers differ.
    """
    n, counts = len(clip_ids), {table.shape[0] for table in tables.values() if table.shape}
    for table in (table for table in tables.values() if table.shape):
        if table.shape[0] == n:
            continue
        if n == table.shape[0] + 1 and len(counts) == 1:
            hint = f": is {clip_ids[0]!r}, the first, a heading?"
        elif table.shape[-1] == n:
            hint = ": are its axes in reverse order, as MATLAB writes them? Turn them round: values.T"
        else:
            hint = ""
        if len(counts) == 1 and len(tables) > 1:
            raise CacheError(
                f"{origin}: {n} clip ids, expected {table.shape[0]} as all arrays have rows, such as {table.source} "
                f"{table.shape}{hint}"
            )
        raise CacheError(f"{table.source} is {table.shape}: {table.shape[0]} clips, expected {n} as in {origin}{hint}")


def fit_embeddings(tables: Mapping[str, Table], clip_ids: Sequence[str], shard_size: int) -> Fitted:
    """Tables of embeddings as the arrays of a cache.

    Audio that has as many rows a clip as there are segments is audio a segment (T = 2 aside, where it is taken for
    that of the two windows).

    Args:
        tables: "image", "audio" or "audio_segments", maybe "video" and "joint".
        clip_ids: N names.
        shard_size: rows read at once.

    Raises:
        CacheError: shapes do not fit each other.
    """
    found = _ranked(tables, clip_ids, shard_size)
    image = found["image"]
    segments, visual_dim = image.shape[1:]
    _check_segments(image)
    shapes = {name: row_shape(name, table.shape) for name, table in found.items()}
    sound = shapes.get("audio", shapes.get("audio_segments", (0,)))
    possible = possible_rows(
        segments,
        visual_dim=visual_dim,
        audio_dim=sound[-1],
        frames_per_window=shapes["video"][1] if "video" in shapes else 1,
        joint_dim=shapes.get("joint", (0,))[-1],
    )
    a_segment = "audio" in found and shapes["audio"] not in possible["audio"]
    if a_segment and "audio_segments" not in found and shapes["audio"] in possible["audio_segments"]:
        found["audio_segments"], shapes["audio_segments"] = found.pop("audio"), shapes.pop("audio")
    order = [name for name in EXPECTED if name in found]
    for name in order:
        if shapes[name] not in possible[name]:
            raise CacheError(_misfit(name, found, shapes))
    return Fitted({name: found[name] for name in order}, {name: shapes[name] for name in order}, segments)


def fit_probabilities(tables: Mapping[str, Table], clip_ids: Sequence[str], labels: int, shard_size: int) -> Fitted:
    """Tables of probabilities, "visual_probability" and "audio_probability" or one of them, maybe with "image".

    Raises:
        CacheError: shapes do not fit each other or the number of labels.
    """
    found = _ranked(tables, clip_ids, shard_size)
    first = found.get("visual_probability", found.get("audio_probability"))
    assert first is not None
    for table in (found[name] for name in ("visual_probability", "audio_probability") if name in found):
        if table.shape[2] != labels:
            raise CacheError(
                f"{table.source} is {table.shape}: {table.shape[2]} classes, expected {labels}, the labels"
            )
    segments = first.shape[1]
    _check_segments(first)
    shapes = {name: row_shape(name, table.shape) for name, table in found.items()}
    visual_dim = shapes["image"][-1] if "image" in shapes else 0
    possible = possible_rows(segments, visual_dim=visual_dim, labels=labels)
    for name, table in found.items():
        if shapes[name] not in possible[name]:
            raise CacheError(_apart(first, table) + pool_hint(found))
    return Fitted(found, shapes, segments)


def missing_bits(fitted: Fitted, given: NDArray[np.uint8] | None, clip_ids: Sequence[str]) -> NDArray[np.uint8]:
    """uint8 (N,): what each clip does not have, as is given and as files are not there.

    Raises:
        CacheError: a clip has neither picture nor sound, or of one of them only some arrays.
    """
    bits = np.zeros(len(clip_ids), dtype=np.uint8) if given is None else given.copy()
    none = np.zeros(len(clip_ids), dtype=bool)
    for bit in (NO_PICTURE, NO_SOUND, NO_PICTURE | NO_SOUND):  # joint embeddings are of what has both: they come last
        sides = [name for name in fitted.tables if MISSING_BIT[name] == bit]
        absent = {name: absent_rows(fitted.tables[name]) for name in sides}
        if bit in (NO_PICTURE, NO_SOUND):
            every = np.logical_and.reduce(list(absent.values())) if sides else none
            bits[every] |= np.uint8(bit)
        for name, mask in absent.items():
            for row in np.flatnonzero(mask & (bits & bit == 0)).tolist():
                raise CacheError(
                    f"{fitted.tables[name].source}: nothing for clip {clip_ids[row]}, of which there are other arrays: "
                    "add it"
                )
    return check_missing(bits, clip_ids)


def _ranked(tables: Mapping[str, Table], clip_ids: Sequence[str], shard_size: int) -> dict[str, Table]:
    for name, table in tables.items():
        check_numbers(table)
        if len(table.shape) not in _RANKS.get(name, (3,)):
            raise CacheError(
                f"{table.source} is {table.shape}, expected {name.replace('_', ' ')} {EXPECTED[name]}"
                f"{_rank_hint(name, table.shape)}"
            )
        if 0 in table.shape:
            raise CacheError(f"{table.source} is {table.shape}: it holds nothing")
    check_blocks(list(tables.values()), min(shard_size, len(clip_ids)))
    return dict(tables)


def _rank_hint(name: str, shape: tuple[int, ...]) -> str:
    if name == "image" and len(shape) == 2:
        return "; with one vector a clip alone, segments cannot be told apart"
    if name != "video" and len(shape) > 3:
        return f"; `pool=True` averages the {' × '.join(map(str, shape[2:-1]))} vectors of each"
    return ""


def _check_segments(table: Table) -> None:
    if table.shape[1] < 2:
        raise CacheError(f"{table.source} is {table.shape}: a clip needs at least 2 segments")


def _misfit(name: str, tables: Mapping[str, Table], shapes: Shapes) -> str:
    """Why a table's rows are none that may stand beside the image's."""
    image, table = tables["image"], tables[name]
    if name == "video":
        return _video_misfit(table, image, pool_hint(tables))
    segments, rows = image.shape[1], shapes[name][0]
    if name == "audio_segments" and rows == segments:
        audio = tables["audio"]
        return (
            f"{table.source} is {table.shape}: vectors of {table.shape[2]}, expected {audio.shape[-1]} as "
            f"{audio.source} has {audio.shape}"
        )
    hint = _turned(image, table) or pool_hint(tables)
    if name == "joint":
        kinds = f"; joint embeddings have a row a window ({window_count(segments)}), or a clip"
        return _apart(image, table) + (hint or kinds)
    kinds = f"; sound has a row a segment, as pictures, or a window ({window_count(segments)}), or a clip"
    return _apart(image, table) + (hint or (kinds if name == "audio" else ""))


def _video_misfit(video: Table, image: Table, pooling: str) -> str:
    segments, visual_dim = image.shape[1:]
    rows = window_count(segments)
    if video.shape[-1] != visual_dim:
        return (
            f"{video.source} is {video.shape}: vectors of {video.shape[-1]}, expected {visual_dim} as "
            f"{image.source} has {image.shape}"
        )
    if pooling:
        return (
            f"{image.source} is {image.shape} and {video.source} is {video.shape}: {segments} segments have {rows} "
            f"windows, not {video.shape[1]}{pooling}"
        )
    hint = ": features a segment are the image's" if video.shape[1] == segments else ""
    return (
        f"{video.source} is {video.shape}: {video.shape[1]} windows, expected {rows} for {segments} segments, or "
        f"1, the whole clip{hint}"
    )


def _apart(one: Table, other: Table) -> str:
    """Two tables whose rows a clip differ; which of them is wrong is not known."""
    rows = f"{one.shape[1]} and {other.shape[1]} rows a clip, expected as many"
    return f"{one.source} is {one.shape} and {other.source} is {other.shape}: {rows}"


def _turned(one: Table, other: Table) -> str:
    for turned, fellow in ((one, other), (other, one)):
        if turned.shape[1] > turned.shape[2] == fellow.shape[1]:
            return f"; {turned.source} seems to have vectors before rows: turn it by numpy.swapaxes(values, 1, 2)"
    return ""


# --- arrays in memory ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """Arrays of N clips, checked.

    Attributes:
        arrays: by name, (N, ...), as a cache has them.
        missing: uint8 (N,).
    """

    arrays: dict[str, NDArray[Any]]
    missing: NDArray[np.uint8]

    @property
    def shapes(self) -> Shapes:
        """The shape of a row of each array."""
        return {name: values.shape[1:] for name, values in self.arrays.items()}


def given_embeddings(
    clip_ids: Sequence[str],
    tables: Mapping[str, ArrayLike | None],
    missing: ArrayLike | None,
    dtype: str,
) -> Given:
    """Embeddings as :meth:`FeatureCache.from_arrays` takes them, by array, in the order in which arrays are written.

    Raises:
        CacheError: shapes do not fit each other, or values do not fit the dtype.
    """
    found = {name: np.asarray(values) for name, values in tables.items() if values is not None}
    if any(values.ndim not in _RANKS.get(name, (3,)) for name, values in found.items()):
        raise CacheError(
            "from_arrays needs image (N, T, Dv), video (N, W, F, Dv) and audio (N, W, Da) or audio_segments "
            f"(N, T, Da), got {', '.join(f'{name} {values.shape}' for name, values in found.items())}"
        )
    found = {name: values.reshape(len(values), *row_shape(name, values.shape)) for name, values in found.items()}
    n, (segments, visual_dim) = len(clip_ids), found["image"].shape[1:]
    sound = found.get("audio", found.get("audio_segments"))
    if sound is None:
        raise CacheError("from_arrays needs audio (N, W, Da) or audio_segments (N, T, Da)")
    possible = possible_rows(
        segments,
        visual_dim=visual_dim,
        audio_dim=sound.shape[-1],
        frames_per_window=found["video"].shape[2] if "video" in found else 1,
        joint_dim=found["joint"].shape[2] if "joint" in found else 0,
    )
    for name, values in found.items():
        shapes = {row[0]: (n, *row) for row in possible[name]}
        if values.shape not in shapes.values():
            raise CacheError(
                f"{name} is {values.shape}, expected {shapes.get(values.shape[1], (n, *possible[name][0]))} for {n} "
                f"clips and {window_count(segments)} windows{_rows_hint(name, values, found['image'])}"
            )
    return _checked(found, clip_ids, missing, dtype)


def _rows_hint(name: str, values: NDArray[Any], image: NDArray[Any]) -> str:
    rows, segments = values.shape[1], image.shape[1]
    if name == "audio" and rows == segments:
        return ": give audio a segment as audio_segments"
    if name in ("video", "joint"):
        return ""
    if 1 < rows < segments and segments % rows == 0:
        return f"; image {image.shape} has {segments // rows} rows for each of it: average them first"
    if rows > segments and rows % segments == 0:
        return f": average the {rows // segments} rows of each segment first"
    return ""


def given_probabilities(
    clip_ids: Sequence[str],
    labels: int,
    visual: ArrayLike | None,
    audio: ArrayLike | None,
    image: ArrayLike | None,
    missing: ArrayLike | None,
    dtype: str,
) -> Given:
    """Probabilities as :meth:`FeatureCache.from_probabilities` takes them.

    Raises:
        CacheError: shapes do not fit each other, or values do not lie in [0, 1].
    """
    n = len(clip_ids)
    bits = check_missing(missing, clip_ids)
    some = visual if visual is not None else audio
    if some is None:
        raise CacheError("from_probabilities needs visual or audio probabilities (N, T, C)")
    shape = np.asarray(some).shape
    if len(shape) != 3 or shape[0] != n or shape[2] != labels or shape[1] < 2:
        raise CacheError(f"probabilities are {shape}, expected ({n}, T, {labels}) for {n} clips and {labels} labels")
    found: dict[str, NDArray[Any]] = {}
    if image is not None:
        found["image"] = np.asarray(image)
        if found["image"].ndim != 3 or found["image"].shape[:2] != shape[:2]:
            raise CacheError(f"image is {found['image'].shape}, expected ({n}, {shape[1]}, Dv)")
    for name, values, bit in (
        ("visual_probability", visual, NO_PICTURE),
        ("audio_probability", audio, NO_SOUND),
    ):
        if values is None:  # all clips are without it
            found[name] = np.zeros(shape, dtype=np.float32)
            bits = bits | np.uint8(bit)
            continue
        found[name] = np.asarray(values)
        if found[name].shape != shape:
            raise CacheError(f"{name.replace('_', ' ')} is {found[name].shape}, expected {shape}")
    return _checked(found, clip_ids, bits, dtype)


def _checked(found: dict[str, NDArray[Any]], clip_ids: Sequence[str], missing: ArrayLike | None, dtype: str) -> Given:
    bits = check_missing(missing, clip_ids)
    for name, values in found.items():
        there = np.flatnonzero(bits & MISSING_BIT[name] == 0)
        check_values(name, values[there], dtype, [clip_ids[row] for row in there.tolist()])
    return Given(found, bits)
