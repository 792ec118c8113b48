"""Caches as HDF5 files and back, and caches of features computed elsewhere (docs/exchange.md).

Needs h5py besides what a cache needs; ``import feature_cache`` does not import it.
"""

from feature_cache.exchange.hdf5_export import COMPRESSIONS, export_hdf5
from feature_cache.exchange.import_features import import_features

__all__ = ["COMPRESSIONS", "export_hdf5", "import_features"]
