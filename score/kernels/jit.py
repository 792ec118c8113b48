"""How kernels are compiled: cached on disk, without the interpreter lock, no fast-math anywhere."""

import hashlib
import os
from pathlib import Path
from typing import Any

from numba import njit


def drop_stale(folder: Path) -> None:
    """Remove compiled kernels of other sources than those in ``folder``.

    Numba notices a change in a function's own file only; one in a file that it calls into would leave code compiled
    from the old text. Where ``folder`` cannot be written, Numba keeps its files elsewhere, and this does nothing.
    """
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    stamp = folder / "__pycache__" / "kernels.sha256"
    try:
        if stamp.is_file() and stamp.read_text() == digest.hexdigest():
            return
        stamp.parent.mkdir(exist_ok=True)
        for pattern in ("*.nbi", "*.nbc"):
            for file in stamp.parent.glob(pattern):
                file.unlink(missing_ok=True)
        stamp.write_text(digest.hexdigest())
    except OSError:
        return


def is_compiled(name: str) -> bool:
    """Whether a kernel has been compiled on this machine before; True where that cannot be told."""
    folder = Path(__file__).parent / "__pycache__"
    return any(folder.glob(f"*.{name}-*.nbi")) or not os.access(folder, os.W_OK)


drop_stale(Path(__file__).parent)

kernel: Any = njit(cache=True, nogil=True, error_model="numpy")
"""A function called from Python, or seldom."""

lean: Any = njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
"""A kernel that allocates nothing, so that no reference to an array has to be counted."""

inner: Any = njit(cache=True, nogil=True, error_model="numpy", _nrt=False, forceinline=True)
"""A lean step of a hot loop: inlined, for a call would pass every field of every array of the working rooms."""
