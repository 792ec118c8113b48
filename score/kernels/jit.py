"""How kernels are compiled: kept on disk where a folder can be written, without the interpreter lock, no fast-math."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core.compiler_lock import global_compiler_lock


@contextmanager
def _enabled() -> Iterator[None]:
    """With NUMBA_DISABLE_JIT set, for the user's own functions, kernels are compiled all the same.

    They are no plain Python: some of their steps are instructions of LLVM.
    """
    with global_compiler_lock:  # nobody else decorates or compiles meanwhile
        before = config.DISABLE_JIT
        config.DISABLE_JIT = 0
        try:
            yield
        finally:
            config.DISABLE_JIT = before


def _nothing() -> None:
    """Lies in the kernels' folder, as they do."""


def _kept_in() -> Path | None:
    """The folder in which Numba keeps what it compiles here: NUMBA_CACHE_DIR, __pycache__ or the user's own cache.

    None where it can write into none of them.
    """
    try:
        with _enabled():
            return Path(njit(cache=True)(_nothing).stats.cache_path)
    except RuntimeError:
        return None


def drop_stale(sources: Path, kept: Path) -> None:
    """Remove compiled kernels in ``kept`` of other sources than those in ``sources``.

    Numba notices a change in a function's own file only; one in a file that it calls into would leave code compiled
    from the old text.
    """
    digest = hashlib.sha256()
    for file in sorted(sources.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    stamp = kept / "kernels.sha256"
    try:
        if stamp.is_file() and stamp.read_text(encoding="ascii", errors="replace") == digest.hexdigest():
            return
        kept.mkdir(exist_ok=True)
        for pattern in ("*.nbi", "*.nbc"):
            for file in kept.glob(pattern):
                file.unlink(missing_ok=True)
        stamp.write_text(digest.hexdigest(), encoding="ascii")
    except OSError:
        return


def compiling_note(name: str) -> str | None:
    """A line for whoever waits for the first call of a kernel; None where it is compiled already."""
    if KEPT_IN is None:
        return "compiling kernels, half a minute each time: they can be kept nowhere (name a folder in NUMBA_CACHE_DIR)"
    if any(KEPT_IN.glob(f"*.{name}-*.nbi")):
        return None
    return "compiling kernels for this machine, once: about half a minute"


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    options = {"nogil": True, "error_model": "numpy", **options}

    def compiled(function: Callable[..., Any]) -> Any:
        with _enabled():
            try:
                found = njit(cache=True, **options)(function)
            except RuntimeError:  # Numba can keep it nowhere
                found = njit(**options)(function)
        if config.DISABLE_JIT:
            found.compile = _enabled()(found.compile)
        return found

    return compiled


KEPT_IN = _kept_in()
if KEPT_IN is not None:
    drop_stale(Path(__file__).parent, KEPT_IN)

kernel: Any = _compiled()
"""A function called from Python, or seldom."""

lean: Any = _compiled(_nrt=False)
"""A kernel that allocates nothing, so that no reference to an array has to be counted."""

inner: Any = _compiled(_nrt=False, forceinline=True)
"""A lean step of a hot loop: inlined, for a call would pass every field of every array of the working rooms."""
