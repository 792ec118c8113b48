"""The contract between extraction and scoring: embeddings of clips in a Zarr v3 group (docs/design.md 3).

Needs numpy and zarr only: neither torch nor numba is imported from here.
"""

from feature_cache.cache import FeatureCache
from feature_cache.errors import CacheError
from feature_cache.features import Features
from feature_cache.layout import (
    DONE,
    FAILED,
    FORMAT_VERSION,
    MISSING_NAMES,
    NO_PICTURE,
    NO_SOUND,
    PENDING,
    STATUS_NAMES,
)
from feature_cache.text import TextSet
from feature_cache.verification import Damage, Verification, verify
from feature_cache.windows import window_count, window_index, windows

__all__ = [
    "DONE",
    "FAILED",
    "FORMAT_VERSION",
    "MISSING_NAMES",
    "NO_PICTURE",
    "NO_SOUND",
    "PENDING",
    "STATUS_NAMES",
    "CacheError",
    "Damage",
    "FeatureCache",
    "Features",
    "TextSet",
    "Verification",
    "verify",
    "window_count",
    "window_index",
    "windows",
]
