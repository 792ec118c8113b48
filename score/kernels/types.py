"""Arrays of the kernels by the type of their numbers; shapes stand where they are used. Numba takes no notice."""

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
"""Bitmasks: bit s is segment s."""
U8 = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Embeddings = NDArray[np.uint16] | NDArray[np.float32]
"""As they are stored: float16 as its bits, or float32."""
