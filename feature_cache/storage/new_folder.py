"""A folder that takes the place of another one, whole: of files that belong together, none of before stays."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feature_cache.storage.atomic import partial_of, remove_left, sync_folder


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill; it becomes ``path`` when the block ends without an error, and what was there is gone then.

    What a killed process left of it is removed first. Its files are on the disk before it gets its name.

    Raises:
        OSError: it cannot be made, or cannot take its place.
    """
    target = Path(os.path.realpath(path))
    remove_left(target, folders=True)
    partial, before = partial_of(target), partial_of(target)
    try:
        partial.mkdir()
        yield partial
        if hasattr(os, "sync"):
            os.sync()  # once: there may be millions of files
        if target.exists():
            target.replace(before)
        try:
            partial.replace(target)
        except BaseException:
            if before.exists():
                before.replace(target)
            raise
        sync_folder(target.parent)
    finally:
        for left in (partial, before):
            shutil.rmtree(left, ignore_errors=True)
