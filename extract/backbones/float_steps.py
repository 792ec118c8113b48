"""Functions of float32 numbers whose results do not depend on the processor.

PyTorch's float32 logarithm, sine and cosine differ in the last bit from one instruction set to the next. Here they are
computed in float64 and rounded once, so that tables made of them (windows, filters) are the same everywhere; sums and
products of float32 numbers are so anyway.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def log(values: Floats) -> Floats:
    """Natural logarithm."""
    return _rounded(np.log, values)


def sin(values: Floats) -> Floats:
    """Sine of radians."""
    return _rounded(np.sin, values)


def cos(values: Floats) -> Floats:
    """Cosine of radians."""
    return _rounded(np.cos, values)


def _rounded(function: Callable[[NDArray[np.float64]], NDArray[np.float64]], values: Floats) -> Floats:
    return function(values.astype(np.float64)).astype(np.float32)
