"""This system and its processes: whose files are left over, and whose are being written."""

import hashlib
import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def this_system() -> str:
    """12 hex digits of that within which a process's number is its own: the machine since its start, the container."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()


def is_running(pid: int) -> bool | None:
    """Whether a process of this system is there; None where that cannot be asked."""
    if os.name != "posix":
        return None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # another user's
    return _stat(pid)[:1] not in (["Z"], ["X"])  # ended, and nobody has asked how


def began(pid: int) -> str:
    """When a process began, in the system's own count; empty where it does not say."""
    return "".join(_stat(pid)[19:20])


def _stat(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []
