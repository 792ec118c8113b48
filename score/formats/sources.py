"""Files of events, opened to be read."""

import io
import os
import shutil
import tempfile
from pathlib import Path

from score.errors import ScoreError


class _Source(io.FileIO):
    """Closed when nobody has it any more: what reads it may be given up at any time."""

    def __del__(self) -> None:
        self.close()


def open_source(path: Path) -> tuple[io.FileIO, int]:
    """A file that can be read twice, and its size in bytes; what is a pipe is kept aside first.

    Raises:
        ScoreError: it cannot be read.
    """
    try:
        file = _Source(path)
        if not file.seekable():
            with tempfile.TemporaryFile(buffering=0) as aside:
                shutil.copyfileobj(file, aside)
                file = _Source(os.dup(aside.fileno()))
            file.seek(0)
        return file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ScoreError(error.strerror or str(error)) from error
