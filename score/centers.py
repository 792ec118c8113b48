"""Centres: mean unit embeddings that rules of cosines subtract (docs/rules.md).

The cache's own, those of another cache of the same backbone (a reference set), or those of an .npz file.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import CacheError, FeatureCache, Features, TextSet
from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.common_parameters import NO_CENTER, OWN_CENTER, SEGMENTS, WINDOWS
from score.errors import ScoreError
from score.kernels.similarity import SMALLEST_NORM
from score.logits import missing_bits
from score.sound import mean_windows

MOST_BYTES = 16_000_000
"""Of a file of centres."""


@dataclass(frozen=True, eq=False)
class Center:
    """What is subtracted from unit embeddings.

    Attributes:
        visual: float64 (Dv,); zeros for nothing.
        audio: float64 (Da,), likewise.
    """

    visual: NDArray[np.float64]
    audio: NDArray[np.float64]


def find_center(name: str, cache: FeatureCache, text: TextSet, sound: str) -> Center:
    """The centre that ``center`` names.

    Args:
        name: "none", "cache", a cache of the same backbone, or an .npz file with arrays ``visual`` (Dv,), ``audio``
            (Da,) and ``backbone``, a text.
        cache: that is scored.
        text: its label set, for the dimensions.
        sound: the rows of sound that a cache's mean is of, of ``SOUNDS``.

    Raises:
        ScoreError: there is no such file, or it is of another backbone.
    """
    dims = text.visual.shape[1], text.audio.shape[1]
    if name == NO_CENTER:
        return Center(np.zeros(dims[0]), np.zeros(dims[1]))
    if name == OWN_CENTER:
        return mean_of(cache, sound)
    found, backbone = _read(name, sound)
    if backbone != cache.backbone:
        raise ScoreError(
            f"{name} is a centre of backbone {backbone!r}, the cache is of {cache.backbone!r}: use one of the same, or "
            "`center='cache'`"
        )
    for what, mean, expected in zip(("visual", "audio"), (found.visual, found.audio), dims, strict=True):
        if mean.shape != (expected,):
            raise ScoreError(f"{name}: {what} has shape {mean.shape}, the cache's embeddings have ({expected},)")
    return found


def _read(name: str, sound: str) -> tuple[Center, str]:
    """A centre from a cache or a file, and its backbone."""
    path = Path(name)
    if path.suffix == ".npz":
        return _read_npz(path)
    if "://" not in name and not path.exists():
        raise ScoreError(f"there is no {name}: `center` is 'none', 'cache', another cache or an .npz file")
    try:
        reference = FeatureCache.open(name)
        return mean_of(reference, sound), reference.backbone
    except CacheError as error:
        raise ScoreError(f"`center`: {error}") from error


def _read_npz(path: Path) -> tuple[Center, str]:
    wanted = f"{path}: arrays visual and audio (a mean each) and a text backbone are expected"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ScoreError(f"{wanted}, not {path.stat().st_size:,} bytes")
        with np.load(path, allow_pickle=False) as file:
            visual, audio, backbone = (file[key] for key in ("visual", "audio", "backbone"))
    except FileNotFoundError as error:
        raise ScoreError(f"there is no {path}: `center` is 'none', 'cache', another cache or an .npz file") from error
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ScoreError(f"{wanted}: {error}".splitlines()[0]) from error
    means = [np.asarray(each) for each in (visual, audio)]
    if any(each.dtype.kind != "f" or each.ndim != 1 or not np.isfinite(each).all() for each in means):
        raise ScoreError(f"{wanted}, as finite numbers in one row")
    return Center(means[0].astype(np.float64), means[1].astype(np.float64)), str(backbone)


def mean_of(cache: FeatureCache, sound: str) -> Center:
    """Mean unit embeddings of a cache's clips that are done: of images, and of the rows of sound.

    Of one cache they are taken once, as long as it stays what it is.

    Raises:
        ScoreError: it holds none.
    """
    key = (str(cache.path), cache.identity, sound)
    if key not in _MEANS:
        while len(_MEANS) >= _MOST_MEANS:
            del _MEANS[next(iter(_MEANS))]
        _MEANS[key] = _taken(cache, sound)
    return _MEANS[key]


_MOST_MEANS = 8
_MEANS: dict[tuple[str, str, str], Center] = {}
"""By path, identity and sound."""


def _taken(cache: FeatureCache, sound: str) -> Center:
    if cache.kind == "probabilities" or not cache.has_images:
        raise ScoreError(f"{cache.path} holds no embeddings whose mean could be subtracted: use `center='none'`")
    total: list[Any] = [0.0, 0.0]
    count = [0, 0]
    for features in cache.iter_shards():
        missing = missing_bits(features)
        rows = features.image, _sounds(features, sound)
        for side, lacks in enumerate((NO_PICTURE, NO_SOUND)):
            there = rows[side][(missing & lacks) == 0].astype(np.float64).reshape(-1, rows[side].shape[-1])
            norm = np.sqrt(np.add.accumulate(there * there, axis=1)[:, -1:])
            there = there[norm[:, 0] >= SMALLEST_NORM] / norm[norm[:, 0] >= SMALLEST_NORM]
            if len(there):
                total[side] = total[side] + np.add.accumulate(there, axis=0)[-1]
                count[side] += len(there)
    if not min(count):
        lacking = "sound" if count[0] else "picture"
        raise ScoreError(f"{cache.path} holds no {lacking} whose mean could be taken: use `center='none'`")
    return Center(total[0] / count[0], total[1] / count[1])


def _sounds(features: Features, sound: str) -> NDArray[np.floating]:
    """Embeddings of sound of the kind that is subtracted from, (n, R, Da)."""
    if sound == SEGMENTS and features.audio_segments is not None:
        return features.audio_segments
    if sound == WINDOWS:
        return mean_windows(features)
    return features.audio[:, :1]
