"""Inner products of float32 vectors in float64, eight lanes wide, as LLVM instructions.

Lane l of eight sums the products of dimensions d = l (mod 8) in order of d; then the upper half of the lanes is added
to the lower one: 4 + 4, 2 + 2, 1 + 1. The order is the same on every machine and for every shape of tile. A product of
two float32 numbers is exact in float64, so that fusing it with the addition changes nothing either.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from score.kernels.types import F32, F64, I64

LANES = 8


@intrinsic
def widened(_context: Any, value: Any) -> Any:
    """The float64 of a float32, or of a finite float16 given as its bits (uint16)."""

    def from_half(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        # exponent and fraction move to their places in a float64, which is then 2 ** 1008 times too small
        word = ir.IntType(64)
        bits = builder.zext(arguments[0], word)
        size = builder.shl(builder.and_(bits, ir.Constant(word, 0x7FFF)), ir.Constant(word, 42))
        sign = builder.shl(builder.lshr(bits, ir.Constant(word, 15)), ir.Constant(word, 63))
        small = builder.bitcast(builder.or_(size, sign), ir.DoubleType())
        return builder.fmul(small, ir.Constant(ir.DoubleType(), 2.0**1008))

    def from_single(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fpext(arguments[0], ir.DoubleType())

    return types.float64(value), from_half if value == types.uint16 else from_single


def make_tile(rows: int, columns: int) -> Callable[[F64, int, F64 | F32, I64, int, F64], None]:
    """An intrinsic for ``rows`` x ``columns`` inner products at once.

    ``tile(x, i, y, picks, j, out)`` sets out[i + r, k] to the inner product of x[i + r] and y[k] for k = picks[j + c].
    x is float64 (n, D), y float64 or float32 (m, D), picks int64, out float64 (n, m), all C-contiguous, D a multiple
    of 8.
    """

    @intrinsic
    def tile(_context: Any, x: Any, i: Any, y: Any, picks: Any, j: Any, out: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            index = context.get_value_type(types.intp)
            wide = ir.VectorType(ir.DoubleType(), LANES)
            narrow = ir.VectorType(context.get_data_type(signature.args[2].dtype), LANES)
            left, right, picked, target = (
                context.make_array(signature.args[k])(context, builder, arguments[k]) for k in (0, 2, 3, 5)
            )
            dims = cgutils.unpack_tuple(builder, left.shape)[1]
            width = cgutils.unpack_tuple(builder, target.shape)[1]

            def number(value: int) -> Any:
                return ir.Constant(index, value)

            def row(array: Any, place: Any) -> Any:
                return builder.gep(array.data, [builder.mul(place, dims)])

            def load(pointer: Any, offset: Any, kind: Any) -> Any:
                at = builder.bitcast(builder.gep(pointer, [offset]), kind.as_pointer())
                return builder.load(at, align=4)

            places = [builder.add(arguments[1], number(r)) for r in range(rows)]
            numbers = [
                builder.load(builder.gep(picked.data, [builder.add(arguments[4], number(c))])) for c in range(columns)
            ]
            lefts = [row(left, place) for place in places]
            rights = [row(right, place) for place in numbers]
            zero = ir.Constant(wide, [0.0] * LANES)
            sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(columns)] for _ in range(rows)]
            for line in sums:
                for place in line:
                    builder.store(zero, place)
            with cgutils.for_range_slice(builder, number(0), dims, number(LANES), index) as (k, _):
                values = [load(pointer, k, wide) for pointer in lefts]
                for c in range(columns):
                    other = load(rights[c], k, narrow)
                    if narrow != wide:
                        other = builder.fpext(other, wide)
                    for r in range(rows):
                        product = builder.fmul(values[r], other, flags=("contract",))
                        total = builder.fadd(builder.load(sums[r][c]), product, flags=("contract",))
                        builder.store(total, sums[r][c])
            for r in range(rows):
                for c in range(columns):
                    at = builder.add(builder.mul(places[r], width), numbers[c])
                    builder.store(_fold(builder, builder.load(sums[r][c])), builder.gep(target.data, [at]))
            return context.get_dummy_value()

        return types.void(x, types.intp, y, picks, types.intp, out), generate

    return tile


def _fold(builder: Any, lanes: Any) -> Any:
    """Sum of the lanes, halves upon each other."""
    lane = ir.IntType(32)
    size = LANES
    while size > 1:
        size //= 2
        places = ir.VectorType(lane, size)
        lower = builder.shuffle_vector(lanes, lanes, ir.Constant(places, list(range(size))))
        upper = builder.shuffle_vector(lanes, lanes, ir.Constant(places, list(range(size, 2 * size))))
        lanes = builder.fadd(lower, upper)
    return builder.extract_element(lanes, ir.Constant(lane, 0))
