"""What a benchmark ran on, and what it took."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path


def cores() -> int:
    """Cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load() -> str:
    """Processes that want a core, over the last minute, where the system tells."""
    if sys.platform == "win32":
        return "unknown"
    return f"{os.getloadavg()[0]:.2f}"


def describe_machine() -> str:
    """Processor, cores and the versions that matter, in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "zarr"))
    return f"{model}, {cores()} cores, Python {platform.python_version()}, {packages}"


def peak_memory(pid: int) -> int:
    """Bytes that a running process had in memory at most so far; 0 if it has ended.

    What ``os.wait4`` says will not do: it counts the memory of the process that started this one.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return 1024 * next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
