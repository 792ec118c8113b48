"""How much goes through an encoder at a time, and what becomes of that where memory is full."""

import threading
from collections.abc import Callable
from typing import TypeVar

import torch

from extract.errors import ExtractError

Found = TypeVar("Found")

_START = {"cpu": 16, "cuda": 64}
_FULL = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
"""What errors of full memory say that have no class of their own: on a CPU, in cuDNN, in cuBLAS."""


def first_size(device: torch.device) -> int:
    """What a batch size that picks itself begins with."""
    return _START[device.type]


class MemoryFullError(ExtractError):
    """Not even the smallest batch found room."""


class BatchSize:
    """Frames or sounds in one pass of an encoder: smaller from then on, where memory was full and may be shared out.

    For any number of threads.
    """

    def __init__(self, size: int, *, adapts: bool) -> None:
        """Begin.

        Args:
            size: to begin with.
            adapts: whether it is halved where memory is full; else that is an error.
        """
        self._size, self._adapts = size, adapts
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """As it is now."""
        with self._lock:
            return self._size

    def fitting(self, encode: Callable[[int], Found]) -> Found:
        """What ``encode`` gives, called with a size, and again with half of it while memory is full.

        Raises:
            MemoryFullError: memory is full with a size that does not adapt, or with 1.
        """
        while True:
            size = self.size
            try:
                return encode(size)
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not is_full(error):
                    raise
            # the error is gone by here, and what its frames held with it
            if not self._adapts:
                raise MemoryFullError(
                    f"memory is full with batches of {size}: give a smaller `batch_size`, or leave it out: it adapts"
                )
            if size == 1:
                raise MemoryFullError(
                    "memory is full with a single frame or sound a pass: use a lower `precision`, another `device`, or "
                    "end what else takes its memory"
                )
            with self._lock:
                self._size = min(self._size, size // 2)
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.empty_cache()


def is_full(error: RuntimeError) -> bool:
    """Whether an error says that memory is full."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error).lower() for words in _FULL)
