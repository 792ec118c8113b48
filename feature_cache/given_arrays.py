"""Arrays that people have, as the arrays of a cache: what is given decides what the cache keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feature_cache.checks import check_missing, check_values
from feature_cache.errors import CacheError
from feature_cache.layout import MISSING_BIT, NO_PICTURE, NO_SOUND
from feature_cache.shapes import kept_name
from feature_cache.windows import window_count


@dataclass(frozen=True)
class Given:
    """Arrays of N clips, checked.

    Attributes:
        arrays: by name, (N, ...), as a cache has them.
        missing: uint8 (N,).
        segments: T.
    """

    arrays: dict[str, NDArray[Any]]
    missing: NDArray[np.uint8]
    segments: int

    def kept(self, name: str) -> str:
        """Which windows of "video" or "audio" are given."""
        return kept_name(self.arrays[name].shape[1] if name in self.arrays else 0, self.segments)


def given_embeddings(
    clip_ids: Sequence[str],
    image: ArrayLike,
    video: ArrayLike | None,
    audio: ArrayLike | None,
    audio_segments: ArrayLike | None,
    missing: ArrayLike | None,
    dtype: str,
) -> Given:
    """Embeddings as :meth:`FeatureCache.from_arrays` takes them.

    Raises:
        CacheError: shapes do not fit each other, or values do not fit the dtype.
    """
    tables = {"image": image, "video": video, "audio": audio, "audio_segments": audio_segments}
    found = {name: np.asarray(values) for name, values in tables.items() if values is not None}
    if "video" in found and found["video"].ndim == 3:
        found["video"] = found["video"][:, :, None]
    if "audio" in found and found["audio"].ndim == 2:
        found["audio"] = found["audio"][:, None]
    ranks = {"image": 3, "video": 4, "audio": 3, "audio_segments": 3}
    if any(values.ndim != ranks[name] for name, values in found.items()):
        raise CacheError(
            "from_arrays needs image (N, T, Dv), video (N, W, F, Dv) and audio (N, W, Da) or audio_segments "
            f"(N, T, Da), got {', '.join(f'{name} {values.shape}' for name, values in found.items())}"
        )
    n, (segments, visual_dim) = len(clip_ids), found["image"].shape[1:]
    sound = found.get("audio", found.get("audio_segments"))
    if sound is None:
        raise CacheError("from_arrays needs audio (N, W, Da) or audio_segments (N, T, Da)")
    expected: dict[str, tuple[int, ...]] = {
        "image": (n, segments, visual_dim),
        "audio_segments": (n, segments, sound.shape[-1]),
    }
    for name, rest in (("video", (*found["video"].shape[2:3], visual_dim) if "video" in found else ()),
                       ("audio", (sound.shape[-1],))):  # fmt: skip
        w = window_count(segments)
        expected[name] = (n, 1 if name in found and found[name].shape[1] == 1 else w, *rest)
    for name, values in found.items():
        if values.shape != expected[name]:
            rows, hint = values.shape[1], ""
            if name == "audio" and rows == segments:
                hint = ": give audio a segment as audio_segments"
            elif name != "video" and 1 < rows < segments and segments % rows == 0:
                hint = f"; image {found['image'].shape} has {segments // rows} rows for each of it: average them first"
            elif name != "video" and rows > segments and rows % segments == 0:
                hint = f": average the {rows // segments} rows of each segment first"
            raise CacheError(
                f"{name} is {values.shape}, expected {expected[name]} for {n} clips and {window_count(segments)} "
                f"windows{hint}"
            )
    return _checked(found, clip_ids, missing, dtype, segments)


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
    return _checked(found, clip_ids, bits, dtype, shape[1])


def _checked(
    found: dict[str, NDArray[Any]], clip_ids: Sequence[str], missing: ArrayLike | None, dtype: str, segments: int
) -> Given:
    bits = check_missing(missing, clip_ids)
    for name, values in found.items():
        there = np.flatnonzero(bits & MISSING_BIT[name] == 0)
        check_values(name, values[there], dtype, [clip_ids[row] for row in there.tolist()])
    return Given(found, bits, segments)
