"""The command on a pseudo-terminal."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import AV2A, PATIENCE_SECONDS


def on_a_terminal(
    words: tuple[str, ...], cwd: Path, columns: int = 80, program: tuple[str, ...] = (str(AV2A),)
) -> bytes:
    """What the command, or another program, writes on a terminal of so many columns."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo-terminals")
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen([*program, *words], cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    found = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # on Linux the end
            break
        if not part:
            break
        found += part
    os.close(ours)
    process.wait(timeout=PATIENCE_SECONDS)
    return found
