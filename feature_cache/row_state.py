"""What is kept of each row beside its values: status, what is missing, digest, reason; a record, written as one."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from feature_cache.layout import BESIDE, PENDING, ROW_BYTES


@dataclass
class RowState:
    """Of n rows.

    Attributes:
        status: uint8 (n,): PENDING, DONE or FAILED.
        missing: uint8 (n,), what a row that is done does not have.
        digest: uint8 (n, 16), of all that the row says.
        reason: uint8 (n, 512), why it failed.
    """

    status: NDArray[np.uint8]
    missing: NDArray[np.uint8]
    digest: NDArray[np.uint8]
    reason: NDArray[np.uint8]

    @classmethod
    def pending(cls, n: int) -> Self:
        """Of rows that nothing is known of."""
        return cls.of_records(np.full((n, ROW_BYTES), PENDING, dtype=np.uint8))

    @classmethod
    def of_records(cls, records: NDArray[np.uint8]) -> Self:
        """From records, uint8 (n, 530), as they are stored."""
        edges = np.cumsum([0, *(width for _, width in BESIDE)])
        parts = {name: records[:, edges[at] : edges[at + 1]] for at, (name, _) in enumerate(BESIDE)}
        return cls(
            status=parts["status"][:, 0].copy(),
            missing=parts["missing"][:, 0].copy(),
            digest=parts["digest"].copy(),
            reason=parts["reason"].copy(),
        )

    def records(self) -> NDArray[np.uint8]:
        """The inverse of :meth:`of_records`."""
        return np.concatenate(
            [self.status[:, None], self.missing[:, None], self.digest, self.reason], axis=1, dtype=np.uint8
        )

    def forget(self, rows: NDArray[np.bool_]) -> Self:
        """The same, but that some rows are pending and nothing is known of them."""
        records = self.records()
        records[rows] = PENDING
        return self.of_records(records)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.status)
