"""How kernels are compiled: kept on disk where a folder can be written, without the interpreter lock, no fast-math.

Those of other sources are left where they are, in folders of their own: nothing is deleted, and all may be. What a
kernel is made of are its own file and those that it imports from: a change elsewhere leaves it as it is.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from numba import config, njit
from numba.core.compiler_lock import global_compiler_lock

import feature_cache.layout
import score.choices

_KERNELS = Path(__file__).parent
_CONSTANTS = {
    "score.choices": Path(score.choices.__file__),
    "feature_cache.layout": Path(feature_cache.layout.__file__),
}
"""Modules elsewhere whose constants are compiled into kernels."""
_IMPORT = re.compile(r"^from (score\.kernels\.\w+|score\.choices|feature_cache\.layout) import ", re.MULTILINE)

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Compiles(Protocol):
    """A decorator for functions that Numba compiles."""

    def __call__(self, function: _Function, /) -> _Function:
        """The function, compiled when it is first called."""


@contextmanager
def _settings(folder: Path | None = None) -> Iterator[None]:
    """Numba's settings as kernels need them: compiling enabled, what is compiled kept below ``folder``.

    With NUMBA_DISABLE_JIT set, for the user's own functions, kernels are compiled all the same. They are no plain
    Python: some of their steps are instructions of LLVM.
    """
    with global_compiler_lock:  # nobody else decorates or compiles meanwhile
        before = config.DISABLE_JIT, config.CACHE_DIR
        config.DISABLE_JIT = 0
        if folder is not None:
            config.CACHE_DIR = str(folder)
        try:
            yield
        finally:
            config.DISABLE_JIT, config.CACHE_DIR = before


def _nothing() -> None:
    """Lies in the kernels' folder, as they do."""


def sources_digest(files: Iterable[Path]) -> str:
    """A digest of files, by name and content, short enough for a folder's name; another one with checks of bounds.

    Numba keeps kernels with and without such checks (NUMBA_BOUNDSCHECK) under the same names.
    """
    digest = hashlib.sha256()
    if config.BOUNDSCHECK:
        digest.update(b"bounds are checked\0")
    for file in sorted(files, key=lambda file: (file.name, str(file))):
        content = file.read_bytes()
        digest.update(f"{file.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


@cache
def sources_of(file: Path) -> frozenset[Path]:
    """Files whose code or constants are compiled into a file's kernels: itself, and those that it imports from."""
    found: set[Path] = set()
    waiting = [file, Path(__file__)]
    while waiting:
        each = waiting.pop()
        if each in found or not each.is_file():  # what is compiled from a text has no file
            continue
        found.add(each)
        for module in _IMPORT.findall(each.read_text("utf-8")):
            waiting.append(_CONSTANTS.get(module) or _KERNELS / f"{module.rpartition('.')[2]}.py")
    return frozenset(found)


def _place(folder: Path | None) -> tuple[Path, Path] | None:
    """Where kernels are kept: the folder that Numba is given, and the one that it makes of that for this package."""
    try:
        with _settings(folder):
            kept = Path(njit(cache=True)(_nothing).stats.cache_path)
        return (kept, kept) if folder is None else (folder, kept)
    except RuntimeError:  # it can write nowhere
        return None


def kernels_folder(files: Iterable[Path]) -> tuple[Path, Path] | None:
    """A folder for kernels of these sources alone, and the one within it that takes the kernels of this package.

    It lies in the folder that Numba takes by itself: that of NUMBA_CACHE_DIR, ``__pycache__``, or the user's own cache.
    None where nothing can be written. Numba notices a change in a function's own file only; a change in one that it
    calls into, or takes a constant from, would leave code compiled from the old text.
    """
    return _place(_BASE / sources_digest(files)) if _BASE else None


_BASE = (_place(None) or (None,))[0]


@cache
def _folders(file: Path) -> tuple[Path, Path] | None:
    """:func:`kernels_folder` of a file's kernels."""
    return kernels_folder(sources_of(file)) if _BASE else None


def kept_in(file: Path) -> Path | None:
    """The folder of a file's compiled kernels, if any."""
    folders = _folders(file)
    return folders[1] if folders else None


def compiling_note(kernel: str) -> str | None:
    """A line for whoever waits for the first call of a kernel, "file.name"; None where it is compiled already."""
    file, _, name = kernel.partition(".")
    folder = kept_in(_KERNELS / f"{file}.py")
    if folder is None:
        return "compiling kernels, half a minute each time: they can be kept nowhere (name a folder in NUMBA_CACHE_DIR)"
    if any(folder.glob(f"*.{name}-*.nbi")):
        return None
    return "compiling kernels for this machine, once: about half a minute"


def without_counting(options: object) -> dict[str, bool]:
    """The option to count no references to arrays, private to Numba, if ``options`` of its target have it."""
    return {"_nrt": False} if hasattr(options, "_nrt") else {}


def _target_options() -> object:
    """What Numba can be told on how to compile."""
    with _settings():
        return getattr(getattr(njit(_nothing), "targetdescr", None), "options", None)


def _compiled(**options: Any) -> Compiles:
    options = {"nogil": True, "error_model": "numpy", **options}

    def compiled(function: _Function, /) -> _Function:
        folders = _folders(Path(function.__code__.co_filename))
        with _settings(folders[0] if folders else None):
            try:
                dispatcher: Any = njit(cache=folders is not None, **options)(function)
            except RuntimeError:  # Numba can keep it nowhere
                dispatcher = njit(**options)(function)
        if config.DISABLE_JIT:
            dispatcher.compile = _settings()(dispatcher.compile)
        return dispatcher

    return compiled


_LEAN = without_counting(_target_options())

kernel = _compiled()
"""A function called from Python, or seldom."""

lean = _compiled(**_LEAN)
"""A kernel that allocates nothing, so that no reference to an array has to be counted."""

inner = _compiled(**_LEAN, forceinline=True)
"""A lean step of a hot loop: inlined, for a call would pass every field of every array of the workspaces."""
