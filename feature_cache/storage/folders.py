"""Many files in a folder that are all there when they are written, or none of them is: a million of them, too."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from feature_cache.storage.atomic import partial_of, remove_left, sync_folder

_ONE_BY_ONE = 1000
"""Files that are each seen to be on the disk; of more, all are at once."""
_NEW, _OLD = "new", "old"


class Folder:
    """Files below a folder that is not there yet, or not with them."""

    def __init__(self, path: Path) -> None:
        """Write below ``path``, which is there."""
        self._path, self._count, self._parent = path, 0, ""
        self._parents = {path}

    def write(self, name: str, data: bytes) -> None:
        """Write a file whose name may have folders before it, with / between.

        Raises:
            OSError: it cannot be written.
        """
        parent, _, _ = name.rpartition("/")
        if parent != self._parent:
            (self._path / parent).mkdir(parents=True, exist_ok=True)
            self._parent = parent
        with (self._path / name).open("xb") as file:
            file.write(data)
            self._count += 1
            if self._count <= _ONE_BY_ONE:
                file.flush()
                os.fsync(file.fileno())
                self._parents.add(self._path / parent)

    def finish(self) -> None:
        """See to it that all of them are on the disk."""
        if self._count > _ONE_BY_ONE and hasattr(os, "sync"):
            os.sync()
        else:
            for folder in self._parents:
                sync_folder(folder)


@contextmanager
def whole_folder(path: Path) -> Iterator[Folder]:
    """Write files into a folder, all of which are there when the block ends without an error, else none.

    A folder that is not there is made, and has its name once all is in it. Where it is there, the files are moved in
    one after the other, what else is in it stays, and an error or a signal meanwhile puts back what was there; a kill
    then leaves some of the new files, each whole, and some of those before.

    Args:
        path: the folder; the one above it is there.

    Raises:
        OSError: it is a file, or something cannot be written; the error does not always name ``path``.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    inside = target / "files"  # the folder itself may be where another disk begins
    remove_left(target, folders=True)
    remove_left(inside, folders=True)
    staged = partial_of(inside if target.exists() else target)
    try:
        staged.mkdir()
        for part in (_NEW, _OLD):
            (staged / part).mkdir()
        folder = Folder(staged / _NEW)
        yield folder
        folder.finish()
        if staged.parent == target:
            _moved_in(staged, target)
        else:
            (staged / _NEW).rename(target)
            sync_folder(target.parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _moved_in(staged: Path, target: Path) -> None:
    """Give files their names in a folder that is there; an error puts back what was there before."""
    moved: list[str] = []
    made: list[Path] = []
    touched = {target}
    try:
        for name in _names(staged / _NEW):
            file = target / name
            for folder in reversed([each for each in file.parents if each not in touched]):
                if target in folder.parents and not folder.exists():
                    folder.mkdir()
                    made.append(folder)
            touched.add(file.parent)
            moved.append(name)
            _replaced(staged / _NEW / name, file, staged / _OLD / name)
    except BaseException:
        for name in reversed(moved):
            _put_back(staged, target, name)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise
    for folder in touched:
        sync_folder(folder)


def _names(folder: Path, before: str = "") -> Iterator[str]:
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_folder in found:
        if is_folder:
            yield from _names(folder / name, f"{before}{name}/")
        else:
            yield f"{before}{name}"


def _replaced(new: Path, file: Path, old: Path) -> None:
    """Give a file its name; what had it before is kept aside, under its name all the while where that can be."""
    with suppress(FileNotFoundError):
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        new.chmod(stat.S_IMODE(file.stat().st_mode))
        old.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, old, follow_symlinks=False)
        except (OSError, NotImplementedError):  # a file system without links
            file.rename(old)
    new.replace(file)


def _put_back(staged: Path, target: Path, name: str) -> None:
    if (staged / _OLD / name).is_symlink() or (staged / _OLD / name).exists():
        (staged / _OLD / name).replace(target / name)
    elif not (staged / _NEW / name).exists():
        (target / name).unlink(missing_ok=True)
