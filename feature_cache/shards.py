"""The rows of a shard as they are stored: checked, what is not there as zeros, each with its digest."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feature_cache import layout
from feature_cache.checks import check_missing, check_values
from feature_cache.errors import CacheError
from feature_cache.layout import DONE, FAILED
from feature_cache.shapes import Shapes


@dataclass(frozen=True)
class ShardRows:
    """n rows, ready to be written.

    Attributes:
        arrays: by name, (n, …) in the cache's dtype.
        digest: uint8 (n, 16), of a row's values and of what it does not have.
        reason: uint8 (n, …), why a row failed.
        missing: uint8 (n,), what a row that is done does not have.
        status: uint8 (n,): PENDING, DONE or FAILED.
    """

    arrays: dict[str, NDArray[Any]]
    digest: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    missing: NDArray[np.uint8]
    status: NDArray[np.uint8]

    @classmethod
    def checked(
        cls,
        where: str,
        clip_ids: Sequence[str],
        shapes: Shapes,
        dtype: str,
        tables: Mapping[str, ArrayLike],
        status: ArrayLike,
        reasons: Sequence[str] | None,
        missing: ArrayLike | None,
    ) -> Self:
        """Rows of values that are given.

        Args:
            where: cache and shard, for messages.
            clip_ids: n names.
            shapes: of a row, by array.
            dtype: the cache's.
            tables: (n, …) by array, all arrays of the cache.
            status: n codes.
            reasons: n texts; a failed row needs one.
            missing: n flags; None: nothing is missing.

        Raises:
            CacheError: shapes or arrays do not fit, a done row has values that cannot be stored or neither picture
                nor sound, a failed row has no reason.
        """
        n = len(clip_ids)
        codes = np.asarray(status, dtype=np.uint8)
        if codes.shape != (n,) or (codes > FAILED).any():
            raise CacheError(f"{where} needs {n} status values of 0, 1 or 2")
        texts = [""] * n if reasons is None else list(reasons)
        for clip, code, reason in zip(clip_ids, codes, texts, strict=True):
            if code == FAILED and not reason.strip():
                raise CacheError(f"{where}: clip {clip} failed without a reason")
        absent = np.where(codes == DONE, check_missing(missing, clip_ids), 0).astype(np.uint8)
        if set(tables) != set(shapes):
            wrong = sorted(set(tables) ^ set(shapes))[0]
            raise CacheError(f"{where}: {wrong} {'is needed' if wrong in shapes else 'is no array of this cache'}")
        digests = [hashlib.blake2b(bytes([bits]), digest_size=layout.DIGEST_BYTES) for bits in absent.tolist()]
        arrays = {}
        for name, row_shape in shapes.items():
            found = np.asarray(tables[name])
            if found.shape != (n, *row_shape):
                raise CacheError(f"{where}: {name} is {found.shape}, expected {(n, *row_shape)}")
            there = (codes == DONE) & (absent & layout.MISSING_BIT[name] == 0)
            check_values(name, found[there], dtype, [clip for clip, has in zip(clip_ids, there, strict=True) if has])
            stored = np.zeros(found.shape, dtype=dtype)
            stored[there] = found[there]
            for digest, row in zip(digests, stored, strict=True):
                digest.update(row.tobytes())
            arrays[name] = stored
        return cls(
            arrays=arrays,
            digest=np.stack([np.frombuffer(digest.digest(), dtype=np.uint8) for digest in digests]),
            reason=np.stack(
                [
                    layout.encode_reason(reason if code == FAILED else "")
                    for code, reason in zip(codes, texts, strict=True)
                ]
            ),
            missing=absent,
            status=codes,
        )
