"""The contract between extraction and scoring: embeddings of clips in a Zarr v3 group (docs/design.md 3).

Nothing heavy is imported before a name is used: neither zarr nor h5py; torch and numba never are.
"""

from typing import TYPE_CHECKING

from feature_cache.errors import Av2aError, CacheError
from feature_cache.lazy import public_face
from feature_cache.windows import window_count, window_index, windows  # now: the module is called as the function

if TYPE_CHECKING:
    from feature_cache.cache import FeatureCache
    from feature_cache.exchange.hdf5_export import COMPRESSIONS, export_hdf5
    from feature_cache.exchange.import_features import import_features
    from feature_cache.features import Features
    from feature_cache.header import Header
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
    from feature_cache.storage.lease import LeaseError
    from feature_cache.text import TextSet
    from feature_cache.upgrading import Upgrade, upgrade
    from feature_cache.verification import Damage, Verification, verify

_HOMES = {
    "COMPRESSIONS": "feature_cache.exchange",
    "DONE": "feature_cache.layout",
    "Damage": "feature_cache.verification",
    "FAILED": "feature_cache.layout",
    "FORMAT_VERSION": "feature_cache.layout",
    "FeatureCache": "feature_cache.cache",
    "Features": "feature_cache.features",
    "Header": "feature_cache.header",
    "MISSING_NAMES": "feature_cache.layout",
    "LeaseError": "feature_cache.storage.lease",
    "NO_PICTURE": "feature_cache.layout",
    "NO_SOUND": "feature_cache.layout",
    "PENDING": "feature_cache.layout",
    "STATUS_NAMES": "feature_cache.layout",
    "TextSet": "feature_cache.text",
    "Upgrade": "feature_cache.upgrading",
    "Verification": "feature_cache.verification",
    "export_hdf5": "feature_cache.exchange",
    "import_features": "feature_cache.exchange",
    "upgrade": "feature_cache.upgrading",
    "verify": "feature_cache.verification",
}

__all__ = [
    "COMPRESSIONS",
    "DONE",
    "FAILED",
    "FORMAT_VERSION",
    "MISSING_NAMES",
    "NO_PICTURE",
    "NO_SOUND",
    "PENDING",
    "STATUS_NAMES",
    "Av2aError",
    "CacheError",
    "Damage",
    "FeatureCache",
    "Features",
    "Header",
    "LeaseError",
    "TextSet",
    "Upgrade",
    "Verification",
    "export_hdf5",
    "import_features",
    "upgrade",
    "verify",
    "window_count",
    "window_index",
    "windows",
]

__getattr__, __dir__ = public_face(__name__, _HOMES)
