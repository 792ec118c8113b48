"""Timelines as bitmasks: bit s of a uint64 is segment s."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from score.kernels.jit import inner

ONE = np.uint64(1)
NEVER, ALWAYS = np.uint64(0), np.uint64(0xFFFF_FFFF_FFFF_FFFF)


@intrinsic
def popcount(_context: Any, _bitmask: Any) -> Any:
    """Number of set bits of a uint64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def trailing_zeros(_context: Any, _bitmask: Any) -> Any:
    """Position of the lowest set bit of a uint64; 64 if none is set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@inner
def bit(segment: int) -> np.uint64:
    """The bitmask with one segment set."""
    return ONE << np.uint64(segment)


@inner
def span(start: int, end: int) -> np.uint64:
    """The bitmask with segments start ... end - 1 set, 0 <= start < end <= 64."""
    if end - start == 64:
        return ~np.uint64(0)
    return ((ONE << np.uint64(end - start)) - ONE) << np.uint64(start)


@inner
def first_run(bitmask: np.uint64) -> tuple[int, int]:
    """Start and end of the lowest run of set bits of a bitmask that is not 0."""
    start = trailing_zeros(bitmask)
    end = start + trailing_zeros(~(bitmask >> start))
    return np.int64(start), np.int64(end)  # type: ignore[return-value]  # compiled, it is Python's int


@inner
def smooth(bitmask: np.uint64) -> np.uint64:
    """Drop runs of one segment, then close holes of one segment (docs/design.md 4.5)."""
    bitmask = bitmask & ((bitmask << ONE) | (bitmask >> ONE))
    return bitmask | ((bitmask << ONE) & (bitmask >> ONE))
