"""Digests of rows and texts: whether they are what was written, and whose (docs/design.md 3)."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from feature_cache.layout import DIGEST_BYTES


def row_digests(
    clip_ids: Sequence[str],
    status: NDArray[np.uint8],
    missing: NDArray[np.uint8],
    reason: NDArray[np.uint8],
    arrays: Mapping[str, NDArray[Any]],
) -> NDArray[np.uint8]:
    """uint8 (n, 16): XXH3 (128 bits) of all that a row says: whose it is, its status, its values with shape and dtype.

    Args:
        clip_ids: n names.
        status: uint8 (n,).
        missing: uint8 (n,).
        reason: uint8 (n, 512).
        arrays: (n, ...) each, in the cache's dtype and order.
    """
    found = np.zeros((len(clip_ids), DIGEST_BYTES), dtype=np.uint8)
    said = ";".join(f"{name} {values.dtype.str} {values.shape[1:]}" for name, values in arrays.items()).encode()
    tables = [np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8) for values in arrays.values()]
    for row, clip in enumerate(clip_ids):
        name = clip.encode()
        digest = xxhash.xxh3_128(len(name).to_bytes(8, "little") + name + said)
        digest.update(bytes((status[row], missing[row])))
        digest.update(reason[row].tobytes())
        for table in tables:
            digest.update(table[row].data)
        found[row] = np.frombuffer(digest.digest(), dtype=np.uint8)
    return found


def text_digest(texts: Iterable[str]) -> str:
    """32 hex digits of a list of texts."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()
