"""Digests: whether rows, attributes and texts are what was written (docs/design.md 3)."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.layout import ATTRIBUTE_DIGEST, DIGEST_BYTES


def row_digests(missing: NDArray[np.uint8], arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """uint8 (n, 16): BLAKE2b of each row's ``missing`` and its values as stored, as a cache keeps them.

    Args:
        missing: uint8 (n,).
        arrays: (n, ...) each, in the cache's dtype and order.
    """
    found = np.zeros((len(missing), DIGEST_BYTES), dtype=np.uint8)
    for row, bits in enumerate(missing.tolist()):
        digest = hashlib.blake2b(bytes([bits]), digest_size=DIGEST_BYTES)
        for values in arrays.values():
            digest.update(np.ascontiguousarray(values[row]).tobytes())
        found[row] = np.frombuffer(digest.digest(), dtype=np.uint8)
    return found


def attribute_digest(attributes: Mapping[str, Any]) -> str:
    """32 hex digits over a group's attributes, their own digest aside."""
    facts = {name: value for name, value in attributes.items() if name != ATTRIBUTE_DIGEST}
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


def text_digest(texts: Iterable[str]) -> str:
    """32 hex digits of a list of texts."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()
