"""Files that are written bit by bit, and are there whole or not at all."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from feature_cache.storage.atomic import partial_of, remove_left, sync_folder


@contextmanager
def whole_outputs(paths: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """Open files to write, each under another name until the block ends without an error: all are there then, or none.

    As :func:`feature_cache.storage.atomic.write_outputs`: links are followed, a file's mode stays, and what is no plain
    file, as a pipe or /dev/null, is written to as it is.

    Raises:
        OSError: one cannot be written; the error does not always name the path that was asked for.
    """
    partials: dict[Path, Path] = {}
    try:
        with ExitStack() as stack:
            files: list[BinaryIO] = []
            for path in paths:
                target = Path(os.path.realpath(path)) if path.is_symlink() else path
                if target.exists() and not target.is_file() and not target.is_dir():
                    files.append(stack.enter_context(target.open("wb")))
                    continue
                if target.is_dir():
                    raise IsADirectoryError(21, os.strerror(21), str(path))
                remove_left(target)
                partials[target] = partial_of(target)
                files.append(stack.enter_context(partials[target].open("wb")))
            yield files
            for file in files:
                file.flush()
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    os.fsync(file.fileno())
        for target, partial in partials.items():
            with suppress(FileNotFoundError):
                partial.chmod(stat.S_IMODE(target.stat().st_mode))
        for target, partial in partials.items():
            partial.replace(target)
    except BaseException:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
        raise
    for folder in {target.parent for target in partials}:
        sync_folder(folder)
