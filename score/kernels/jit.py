"""How kernels are compiled: cached on disk, without the interpreter lock, no fast-math anywhere."""

from typing import Any

from numba import njit

kernel: Any = njit(cache=True, nogil=True, error_model="numpy")
"""A function called from Python, or seldom."""

lean: Any = njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
"""A kernel that allocates nothing, so that no reference to an array has to be counted."""

inner: Any = njit(cache=True, nogil=True, error_model="numpy", _nrt=False, forceinline=True)
"""A lean step of a hot loop: inlined, for a call would pass every field of every array of the working rooms."""
