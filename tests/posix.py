"""What only POSIX systems have, for the tests; a test that needs it is skipped elsewhere."""

import os
import signal
import sys
from pathlib import Path

import pytest

KILLED_CODE = -9
"""Exit code of a process that was killed."""

HANG_UP = 1
"""The number of SIGHUP, which has no name on Windows."""


def make_pipe(path: Path) -> None:
    """A named pipe."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pipes among its files")
    os.mkfifo(path)


def most_memory() -> int:
    """The most memory that this process has had so far, in bytes; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    found = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return found if sys.platform == "darwin" else 1024 * found


def limit_files(most: int) -> None:
    """From now on no file of this process may become larger, as on a disk that is full."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def kill_session(process: int) -> None:
    """Kill a process that leads its session, and those that it started."""
    if sys.platform != "win32":
        os.killpg(process, signal.SIGKILL)


def is_root() -> bool:
    """Whether this user may write everywhere."""
    return sys.platform != "win32" and os.geteuid() == 0
