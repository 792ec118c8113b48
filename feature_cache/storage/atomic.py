"""Files that are written whole or not at all, and are on the disk when a call returns.

A file gets its name once its bytes are there: a kill or a full disk leaves what was there before. What a killed
process left of an output goes when the output is written again.
"""

import errno
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from os import PathLike
from pathlib import Path

from feature_cache.errors import CacheError
from feature_cache.storage.here import is_running, this_system

PARTIAL = ".partial"
"""Ending of a file that was being written when its process was killed."""
_TRIES = 20
_LEFT_SECONDS = 3600
"""What another machine's process has not touched for so long is left over."""
_WRITER = re.compile(r"([0-9a-f]{12})-(\d{1,12})-[0-9a-f]{12}")
_EARLY_WRITER = re.compile(r"[0-9a-f]{32}")


def write_durably(path: Path, data: bytes) -> None:
    """Write a file of a store; its bytes, its name and new folders above it are on the disk afterwards.

    A link in its place is replaced, not followed.

    Raises:
        OSError: it cannot be written; the error names ``path``.
    """
    above = []
    for parent in (path.parent, *path.parent.parents):
        if parent.exists():
            break
        above.append(parent.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    _put({path: data})
    for folder in above:
        sync_folder(folder)


def create_file(path: Path, data: bytes) -> bool:
    """Make a file unless there is one; False if there is. Of several that try at once, one alone gets True.

    Raises:
        OSError: it cannot be made.
    """
    for _ in range(_TRIES):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_of(path)
        try:
            partial.write_bytes(data)
            os.link(partial, path)
        except FileExistsError:
            return False
        except FileNotFoundError:
            continue  # somebody has removed the folder, which was empty
        except OSError:  # a file system without links
            try:
                with path.open("xb") as file:
                    file.write(data)
            except FileExistsError:
                return False
        finally:
            partial.unlink(missing_ok=True)
        return True
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file; who reads it finds the old or the new one, whole.

    Raises:
        OSError: it cannot be written.
    """
    partial = partial_of(path)
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_outputs(files: Mapping[Path, str | bytes]) -> None:
    """Write files that a person asked for, all or none of them; texts as UTF-8, whatever the locale.

    Links are followed; what is no plain file, as a pipe or /dev/null, is written to as it is.

    Args:
        files: by path, what is in each.

    Raises:
        OSError: one cannot be written, as its folder is not there; the error names the path that was asked for.
    """
    found: dict[Path, bytes] = {}
    special: dict[Path, bytes] = {}
    for file, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        if file.exists() and not file.is_file() and not file.is_dir():
            special[file] = data
        else:
            found[Path(os.path.realpath(file)) if file.is_symlink() else file] = data
    for file in found:
        remove_left(file)
    _put(found)
    for file, data in special.items():
        with _of(file):
            file.write_bytes(data)


def new_file(path: str | PathLike[str], *, overwrite: bool) -> AbstractContextManager[Path]:
    """A name to write a file under; it becomes ``path`` when the block ends without an error.

    Args:
        path: the file to make.
        overwrite: replace a file that is there.

    Raises:
        CacheError: something is at ``path`` already, or its folder is not there.
    """
    target = Path(path)
    if target.is_dir():
        raise CacheError(f"{target} is a folder: name a file to write")
    if target.exists() and not overwrite:
        raise CacheError(f"{target} is there already: choose another output or overwrite it")
    if not target.parent.is_dir():
        raise CacheError(f"{target}: no folder {target.parent}: make it first")
    return whole_file(target)


@contextmanager
def whole_file(path: str | PathLike[str]) -> Iterator[Path]:
    """A name under which a library may write a file; it becomes ``path`` when the block ends without an error.

    What a killed process left under such a name is removed first.
    """
    target = Path(path)
    if target.is_symlink():
        target = Path(os.path.realpath(target))
    remove_left(target)
    partial = partial_of(target)
    try:
        yield partial
        with partial.open("rb+") as written:
            os.fsync(written.fileno())
        partial.replace(target)
        sync_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """See to it that the names in a folder are on the disk."""
    with suppress(OSError):  # not every file system lets folders be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _put(files: Mapping[Path, bytes]) -> None:
    """Write all under other names first, then give them theirs."""
    partials: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            with _of(path):
                if path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                partials[path] = partial_of(path)
                with partials[path].open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                with suppress(FileNotFoundError):
                    partials[path].chmod(stat.S_IMODE(path.stat().st_mode))
        for path, partial in partials.items():
            with _of(path):
                partial.replace(path)
    except BaseException:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in files}:
        sync_folder(folder)


def _hidden(name: str) -> str:
    return f".{name[:40]}"  # what is added must not make it too long a name


def partial_of(path: Path) -> Path:
    """Another name beside a file's own; it says which process writes it."""
    return path.with_name(f"{_hidden(path.name)}.{this_system()}-{os.getpid()}-{uuid.uuid4().hex[:12]}{PARTIAL}")


def remove_left(path: Path, *, folders: bool = False) -> None:
    """Remove what processes that are gone have left of a file, or of a folder."""
    start = f"{_hidden(path.name)}."
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            writer = entry.name.removeprefix(start).removesuffix(PARTIAL)
            if f"{start}{writer}{PARTIAL}" != entry.name or not _is_left(entry, writer):
                continue
            if not folders:
                Path(entry.path).unlink(missing_ok=True)
            elif entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_left(entry: "os.DirEntry[str]", writer: str) -> bool:
    """Whether the process that was writing a file is gone."""
    found = _WRITER.fullmatch(writer)
    if found is None and _EARLY_WRITER.fullmatch(writer) is None:
        return False  # anybody's
    running = is_running(int(found[2])) if found is not None and found[1] == this_system() else None
    if running is not None:
        return not running
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _LEFT_SECONDS


@contextmanager
def _of(path: Path) -> Iterator[None]:
    """Errors name the file that was meant."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
