"""A file that HDF5 is written to, such that a full disk ends in an error and not in the library's own end."""

import io
import os
from pathlib import Path
from typing import Any, Self


class Hdf5Stream(io.RawIOBase):
    """A new file for :class:`h5py.File`. An error of the system is kept, and nothing is written from then on.

    HDF5 cannot close a file that takes no more: it tries again at the interpreter's end, and crashes there.
    """

    def __init__(self, path: Path) -> None:
        """Make the file."""
        self._file = path.open("w+b", buffering=0)
        self._error: OSError | None = None
        self._at = self._end = 0

    def __enter__(self) -> Self:
        return self

    def check(self) -> None:
        """Raise what went wrong.

        Raises:
            OSError: the system's, of the first write that failed.
        """
        if self._error is not None:
            raise self._error

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at

    def write(self, data: Any) -> int:
        """Write all of some bytes."""
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view) and self._error is None:
            try:
                self._file.seek(self._at + done)
                done += self._file.write(view[done:])
            except OSError as error:
                self._error = error
        self._at += len(view)
        self._end = max(self._end, self._at)
        return len(view)

    def readinto(self, data: Any) -> int:
        """Read what was written; zeros where nothing could be."""
        view = memoryview(data).cast("B")
        self._file.seek(self._at)
        count = self._file.readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        self._at += len(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Make it as long as that."""
        self._end = self._at if size is None else size
        try:
            if self._error is None:
                self._file.truncate(self._end)
        except OSError as error:
            self._error = error
        return self._end

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
