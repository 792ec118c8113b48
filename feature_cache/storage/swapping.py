"""Two folders that get each other's names at one moment, where the system can do that."""

import ctypes
import os
import sys
from pathlib import Path

_HERE = -100
"""Linux: AT_FDCWD, names are relative to the working folder."""
_SWAP = 2
"""Linux: RENAME_EXCHANGE; macOS: RENAME_SWAP."""


def swap_names(one: Path, other: Path) -> bool:
    """Give two files or folders each other's names; False where that cannot be done, and nothing has happened.

    Both names are there all the while: whoever opens one finds the one or the other.
    """
    first, second = os.fsencode(one), os.fsencode(other)
    try:
        library = ctypes.CDLL(None)
        if sys.platform == "linux":
            return int(library.renameat2(_HERE, first, _HERE, second, ctypes.c_uint(_SWAP))) == 0
        if sys.platform == "darwin":
            return int(library.renamex_np(first, second, ctypes.c_uint(_SWAP))) == 0
    except (AttributeError, OSError, TypeError):  # a C library without it, or none
        pass
    return False
