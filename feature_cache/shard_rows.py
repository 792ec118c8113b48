"""The rows of a shard, with all that is kept beside them: checked before they are written and when they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feature_cache.checks import check_missing, check_values
from feature_cache.digests import row_digests
from feature_cache.errors import CacheError
from feature_cache.header import Header
from feature_cache.layout import DONE, FAILED, MISSING_BIT, PENDING, encode_reason
from feature_cache.row_state import RowState


@dataclass
class ShardRows:
    """Rows of a shard, as stored.

    Attributes:
        clip_ids: n names.
        arrays: by name, (n, …) in the cache's dtype.
        state: what is kept beside them.
    """

    clip_ids: Sequence[str]
    arrays: dict[str, NDArray[Any]]
    state: RowState

    @classmethod
    def checked(
        cls,
        header: Header,
        rows: range,
        tables: Mapping[str, ArrayLike],
        status: ArrayLike,
        reasons: Sequence[str] | None,
        missing: ArrayLike | None,
    ) -> Self:
        """Rows of values that are given; what is not there is stored as zeros.

        Args:
            header: the cache's.
            rows: which n rows these are.
            tables: (n, …) by array, all arrays of the cache.
            status: n codes.
            reasons: n texts; a failed row needs one.
            missing: n flags; None: nothing is missing.

        Raises:
            CacheError: shapes or arrays do not fit, a done row has values that cannot be stored or neither picture
                nor sound, a failed row has no reason.
        """
        clip_ids, n = header.clip_ids[rows.start : rows.stop], len(rows)
        codes = np.asarray(status, dtype=np.uint8)
        if codes.shape != (n,) or (codes > FAILED).any():
            raise CacheError(f"{n} status values of 0, 1 or 2 are needed")
        texts = [""] * n if reasons is None else list(reasons)
        for clip, code, reason in zip(clip_ids, codes, texts, strict=True):
            if code == FAILED and not reason.strip():
                raise CacheError(f"clip {clip} failed without a reason")
        absent = np.where(codes == DONE, check_missing(missing, clip_ids), 0).astype(np.uint8)
        if set(tables) != set(header.shapes):
            wrong = sorted(set(tables) ^ set(header.shapes))[0]
            raise CacheError(f"{wrong} {'is needed' if wrong in header.shapes else 'is no array of this cache'}")
        arrays = {}
        for name, row_shape in header.shapes.items():
            found = np.asarray(tables[name])
            if found.shape != (n, *row_shape):
                raise CacheError(f"{name} is {found.shape}, expected {(n, *row_shape)}")
            there = (codes == DONE) & (absent & MISSING_BIT[name] == 0)
            kept = [clip for clip, has in zip(clip_ids, there, strict=True) if has]
            check_values(name, found[there], header.dtype, kept)
            arrays[name] = np.zeros(found.shape, dtype=header.dtype)
            arrays[name][there] = found[there]
        lines = [reason if code == FAILED else "" for code, reason in zip(codes, texts, strict=True)]
        return cls.sealed(clip_ids, arrays, codes, absent, np.stack([encode_reason(line) for line in lines]))

    @classmethod
    def sealed(
        cls,
        clip_ids: Sequence[str],
        arrays: dict[str, NDArray[Any]],
        status: NDArray[np.uint8],
        missing: NDArray[np.uint8],
        reason: NDArray[np.uint8],
    ) -> Self:
        """Rows as they are given, with their digests; a row that is pending has none."""
        digest = row_digests(clip_ids, status, missing, reason, arrays)
        state = RowState(status, missing, digest, reason)
        return cls(clip_ids, arrays, state.forget(status == PENDING))

    @property
    def ever_written(self) -> bool:
        """Whether something was ever written there."""
        return bool((self.state.status != PENDING).any() or self.state.digest.any())

    def differing(self) -> NDArray[np.bool_]:
        """bool (n,): rows that are not what their digest says, or are another clip's; pending ones are no one's yet."""
        state = self.state
        found = row_digests(self.clip_ids, state.status, state.missing, state.reason, self.arrays)
        wrong: NDArray[np.bool_] = (found != state.digest).any(axis=1) & (state.status != PENDING)
        return wrong

    def check_digests(self, where: str, mend: str, rows: NDArray[np.bool_] | None = None) -> None:
        """Refuse rows that are not what their digest says.

        Args:
            where: what is read, for errors.
            mend: what makes it whole again: this, done again.
            rows: bool (n,), which are asked about; None: all of them.

        Raises:
            CacheError: a row differs.
        """
        wrong = self.differing() if rows is None else self.differing() & rows
        for row in np.flatnonzero(wrong).tolist():
            raise CacheError(
                f"{where} of clip {self.clip_ids[row]} differ from their digest (damaged, or another clip's): "
                f"{mend} again"
            )

    def check_values(self) -> None:
        """Refuse rows that are done with values that a cache may not have, or neither picture nor sound.

        Raises:
            CacheError: a row is such a one.
        """
        done = np.flatnonzero(self.state.status == DONE)
        names = [self.clip_ids[row] for row in done.tolist()]
        missing = check_missing(self.state.missing[done], names)
        for name, values in self.arrays.items():
            there = missing & MISSING_BIT[name] == 0
            kept = [clip for clip, is_there in zip(names, there.tolist(), strict=True) if is_there]
            check_values(name, values[done][there], str(values.dtype), kept)
