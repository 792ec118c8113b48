"""Tables of features, fitted to each other: how many clips, segments and windows they speak of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.checks import check_missing, check_values
from feature_cache.errors import CacheError
from feature_cache.exchange.numpy_files import FolderTable
from feature_cache.exchange.tables import Table, check_block, check_numbers
from feature_cache.layout import MISSING_BIT, NO_PICTURE, NO_SOUND
from feature_cache.windows import window_count

EXPECTED = {
    "image": "(N, T, Dv): one vector a segment",
    "video": "(N, W, F, Dv) or (N, W, Dv): the frames or the one vector of each window",
    "audio": "(N, W, Da) a window, (N, T, Da) a segment or (N, Da) a clip",
    "audio_segments": "(N, T, Da): one vector a segment",
    "visual_probability": "(N, T, C): a probability for each segment and label",
    "audio_probability": "(N, T, C): a probability for each segment and label",
}
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
            check_values(name, found[kept], dtype, [clip_ids[start + row] for row in kept.tolist()])
        except CacheError as error:
            raise CacheError(f"{table.source}: {error}") from error
        return found


def fit_embeddings(tables: Mapping[str, Table], clip_ids: Sequence[str], origin: str, shard_size: int) -> Fitted:
    """Tables of embeddings as the arrays of a cache.

    Audio that has as many rows a clip as there are segments is audio a segment (T = 2 aside, where it is taken for
    that of the two windows).

    Args:
        tables: "image", "audio" or "audio_segments", maybe "video".
        clip_ids: N names.
        origin: where the names come from, for errors.
        shard_size: rows read at once.

    Raises:
        CacheError: shapes do not fit each other.
    """
    found = _ranked(tables, clip_ids, origin, shard_size)
    image = found["image"]
    segments, visual_dim = image.shape[1:]
    if segments < 2:
        raise CacheError(f"{image.source} is {image.shape}: a clip needs at least 2 segments")
    shapes: dict[str, tuple[int, ...]] = {"image": (segments, visual_dim)}
    if "video" in found:
        shapes["video"] = _video_row(found["video"], image)
    if "audio" in found:
        audio = found["audio"]
        rows = audio.shape[1] if len(audio.shape) == 3 else 1
        if rows == segments != window_count(segments) and "audio_segments" not in found:
            found["audio_segments"] = found.pop("audio")
        elif rows not in (1, window_count(segments)):
            raise CacheError(
                f"{audio.source} is {audio.shape}, expected {segments} rows a clip (one a segment, as "
                f"{image.source} has {image.shape}), {window_count(segments)} (one a window) or 1"
                f"{_multiple(rows, segments)}"
            )
        else:
            shapes["audio"] = (rows, audio.shape[-1])
    if "audio_segments" in found:
        audio = found["audio_segments"]
        if audio.shape[1] != segments:
            raise CacheError(
                f"{audio.source} is {audio.shape}: {audio.shape[1]} segments, expected {segments} as "
                f"{image.source} has {image.shape}{_multiple(audio.shape[1], segments)}"
            )
        shapes["audio_segments"] = (segments, audio.shape[2])
        if "audio" in found and found["audio"].shape[-1] != audio.shape[2]:
            raise CacheError(
                f"{audio.source} is {audio.shape}: vectors of {audio.shape[2]}, expected {found['audio'].shape[-1]} as "
                f"{found['audio'].source} has {found['audio'].shape}"
            )
    order = [name for name in EXPECTED if name in found]
    return Fitted({name: found[name] for name in order}, {name: shapes[name] for name in order}, segments)


def fit_probabilities(
    tables: Mapping[str, Table], clip_ids: Sequence[str], labels: int, origin: str, shard_size: int
) -> Fitted:
    """Tables of probabilities, "visual_probability" and "audio_probability" or one of them, maybe with "image".

    Raises:
        CacheError: shapes do not fit each other or the number of labels.
    """
    found = _ranked(tables, clip_ids, origin, shard_size)
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
            raise CacheError(
                f"{table.source} is {table.shape}: {table.shape[1]} segments, expected {segments} as "
                f"{first.source} has {first.shape}{_multiple(table.shape[1], segments)}"
            )
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
            name: table.absent if isinstance(table := fitted.tables[name], FolderTable) else none for name in sides
        }
        every = np.logical_and.reduce([none | mask for mask in absent.values()]) if sides else none
        bits[every] |= np.uint8(bit)
        for name, mask in absent.items():
            for row in np.flatnonzero(mask & (bits & bit == 0)).tolist():
                raise CacheError(
                    f"{fitted.tables[name].source}: no file for clip {clip_ids[row]}, of which there are others: add it"
                )
    return check_missing(bits, clip_ids)


def _ranked(tables: Mapping[str, Table], clip_ids: Sequence[str], origin: str, shard_size: int) -> dict[str, Table]:
    for name, table in tables.items():
        check_numbers(table)
        if len(table.shape) not in _RANKS.get(name, (3,)):
            raise CacheError(f"{table.source} is {table.shape}, expected {name.replace('_', ' ')} {EXPECTED[name]}")
        if table.shape[0] != len(clip_ids):
            raise CacheError(
                f"{table.source} is {table.shape}: {table.shape[0]} clips, expected {len(clip_ids)} as in {origin}"
            )
        if 0 in table.shape:
            raise CacheError(f"{table.source} is {table.shape}: it holds nothing")
        check_block(table, min(shard_size, len(clip_ids)))
    return dict(tables)


def _video_row(video: Table, image: Table) -> tuple[int, ...]:
    segments, visual_dim = image.shape[1:]
    rows = window_count(segments)
    if video.shape[-1] != visual_dim:
        raise CacheError(
            f"{video.source} is {video.shape}: vectors of {video.shape[-1]}, expected {visual_dim} as "
            f"{image.source} has {image.shape}"
        )
    if video.shape[1] not in (1, rows):
        hint = ": features a segment are the image's" if video.shape[1] == segments else ""
        raise CacheError(
            f"{video.source} is {video.shape}: {video.shape[1]} windows, expected {rows} for {segments} segments, or "
            f"1, the whole clip{hint}"
        )
    return (video.shape[1], video.shape[2] if len(video.shape) == 4 else 1, visual_dim)


def _multiple(rows: int, segments: int) -> str:
    if rows > segments and rows % segments == 0:
        return f": average each {rows // segments} rows of a segment"
    return ""
