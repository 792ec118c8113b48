"""Tables of features, fitted to each other: how many clips, segments and windows they speak of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.checks import check_missing, check_values
from feature_cache.errors import CacheError
from feature_cache.exchange.clips import ClipsTable
from feature_cache.exchange.pooling import PooledTable, pool_hint
from feature_cache.layout import MISSING_BIT, NO_PICTURE, NO_SOUND
from feature_cache.tables import Table, check_block, check_numbers
from feature_cache.windows import window_count

EXPECTED = {
    "image": "(N, T, Dv): one vector a segment",
    "video": "(N, W, F, Dv) or (N, W, Dv): the frames or the one vector of each window",
    "audio": "(N, W, Da) a window, (N, T, Da) a segment or (N, Da) a clip",
    "audio_segments": "(N, T, Da): one vector a segment",
    "visual_probability": "(N, T, C): a probability for each segment and label",
    "audio_probability": "(N, T, C): a probability for each segment and label",
}
CLIP_RANKS: dict[str, tuple[int, ...]] = {
    "image": (2, 4), "video": (2, 3), "audio": (1, 2), "audio_segments": (2,),
    "visual_probability": (2,), "audio_probability": (2,),
}  # fmt: skip
"""Axes that the array of one clip has (4: with a grid), by which a file with an array a clip is known."""
_RANKS = {"video": (3, 4), "audio": (2, 3)}


@dataclass(frozen=True)
class Fitted:
    """Tables whose shapes fit each other.

    Attributes:
        tables: by the name that the array has in a cache.
        shapes: by the same names, a row's shape in the cache.
        segments: T.
    """

    tables: dict[str, Table]
    shapes: dict[str, tuple[int, ...]]
    segments: int
    absent: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

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
            check_values(name, found[kept], dtype, ids, mend="store float32 (--dtype float32)")
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
        tables: "image", "audio" or "audio_segments", maybe "video".
        clip_ids: N names.
        shard_size: rows read at once.

    Raises:
        CacheError: shapes do not fit each other.
    """
    found = _ranked(tables, clip_ids, shard_size)
    image = found["image"]
    segments, visual_dim = image.shape[1:]
    if segments < 2:
        raise CacheError(f"{image.source} is {image.shape}: a clip needs at least 2 segments")
    shapes: dict[str, tuple[int, ...]] = {"image": (segments, visual_dim)}
    if "video" in found:
        shapes["video"] = _video_row(found["video"], image, pool_hint(found))
    if "audio" in found:
        audio = found["audio"]
        rows = audio.shape[1] if len(audio.shape) == 3 else 1
        if rows == segments != window_count(segments) and "audio_segments" not in found:
            found["audio_segments"] = found.pop("audio")
        elif rows not in (1, window_count(segments)):
            hint = _turned(image, audio) or pool_hint(found)
            kinds = f"; sound has a row a segment, as pictures, or a window ({window_count(segments)}), or a clip"
            raise CacheError(_apart(image, audio) + (hint or kinds))
        else:
            shapes["audio"] = (rows, audio.shape[-1])
    if "audio_segments" in found:
        audio = found["audio_segments"]
        if audio.shape[1] != segments:
            raise CacheError(_apart(image, audio) + (_turned(image, audio) or pool_hint(found)))
        shapes["audio_segments"] = (segments, audio.shape[2])
        if "audio" in found and found["audio"].shape[-1] != audio.shape[2]:
            raise CacheError(
                f"{audio.source} is {audio.shape}: vectors of {audio.shape[2]}, expected {found['audio'].shape[-1]} as "
                f"{found['audio'].source} has {found['audio'].shape}"
            )
    order = [name for name in EXPECTED if name in found]
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
    if segments < 2:
        raise CacheError(f"{first.source} is {first.shape}: a clip needs at least 2 segments")
    for table in found.values():
        if table.shape[1] != segments:
            raise CacheError(_apart(first, table) + pool_hint(found))
    return Fitted(found, {name: table.shape[1:] for name, table in found.items()}, segments)


def missing_bits(fitted: Fitted, given: NDArray[np.uint8] | None, clip_ids: Sequence[str]) -> NDArray[np.uint8]:
    """uint8 (N,): what each clip does not have, as is given and as files are not there.

    Raises:
        CacheError: a clip has neither picture nor sound, or of one of them only some arrays.
    """
    bits = np.zeros(len(clip_ids), dtype=np.uint8) if given is None else given.copy()
    none = np.zeros(len(clip_ids), dtype=bool)
    for bit in (NO_PICTURE, NO_SOUND):
        sides = [name for name in fitted.tables if MISSING_BIT[name] == bit]
        absent = {
            name: table.absent if isinstance(table := fitted.tables[name], ClipsTable | PooledTable) else none
            for name in sides
        }
        every = np.logical_and.reduce([none | mask for mask in absent.values()]) if sides else none
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
        check_block(table, min(shard_size, len(clip_ids)))
    return dict(tables)


def _rank_hint(name: str, shape: tuple[int, ...]) -> str:
    if name == "image" and len(shape) == 2:
        return "; with one vector a clip alone, segments cannot be told apart"
    if name != "video" and len(shape) > 3:
        return f"; --pool averages the {' × '.join(map(str, shape[2:-1]))} vectors of each"
    return ""


def _video_row(video: Table, image: Table, pooling: str) -> tuple[int, ...]:
    segments, visual_dim = image.shape[1:]
    rows = window_count(segments)
    if video.shape[-1] != visual_dim:
        raise CacheError(
            f"{video.source} is {video.shape}: vectors of {video.shape[-1]}, expected {visual_dim} as "
            f"{image.source} has {image.shape}"
        )
    if video.shape[1] not in (1, rows):
        if pooling:
            raise CacheError(
                f"{image.source} is {image.shape} and {video.source} is {video.shape}: {segments} segments have {rows} "
                f"windows, not {video.shape[1]}{pooling}"
            )
        hint = ": features a segment are the image's" if video.shape[1] == segments else ""
        raise CacheError(
            f"{video.source} is {video.shape}: {video.shape[1]} windows, expected {rows} for {segments} segments, or "
            f"1, the whole clip{hint}"
        )
    return (video.shape[1], video.shape[2] if len(video.shape) == 4 else 1, visual_dim)


def _apart(one: Table, other: Table) -> str:
    """Two tables whose rows a clip differ; which of them is wrong is not known."""
    rows = f"{one.shape[1]} and {other.shape[1]} rows a clip, expected as many"
    return f"{one.source} is {one.shape} and {other.source} is {other.shape}: {rows}"


def _turned(one: Table, other: Table) -> str:
    for turned, fellow in ((one, other), (other, one)):
        if turned.shape[1] > turned.shape[2] == fellow.shape[1]:
            return f"; {turned.source} seems to have vectors before rows: turn it by numpy.swapaxes(values, 1, 2)"
    return ""
