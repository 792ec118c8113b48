"""The command in processes that can be killed at any moment, without the seconds that imports take."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from tests.command import AV2A

_NURSERY = """
import os, signal, sys, time
import av, numpy, open_clip, soxr, torch, transformers, zarr
import extract, extract.backbones.clip_clap, extract.pipeline
from av2a_cli import main
from extract.backbones import load_backbone
load_backbone("tiny", None, "cpu", "float32", None)
print("ready", flush=True)
for line in sys.stdin:
    after, *words = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        out = os.open(os.devnull, os.O_RDWR)
        err = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 0), os.dup2(out, 1), os.dup2(err, 2)
        sys.argv = ["av2a", *words]
        try:
            main()
        except SystemExit as done:
            os._exit(done.code or 0)
        os._exit(99)
    end = time.monotonic() + float(after)
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            end = float("inf")
        time.sleep(0.001)
    print(os.waitstatus_to_exitcode(ended[1]), flush=True)
"""


class Nursery:
    """A process that has imported everything; each command runs in a fork of it."""

    def __init__(self, log: Path) -> None:
        """Start it."""
        self.log = log
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NURSERY, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parent.parent, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, words: Sequence[object], kill_after: float | None = None) -> tuple[int, float]:
        """Exit code (-9 if it was killed) and duration; it is killed after so many seconds, if it still runs."""
        assert self._process.stdin is not None
        began = time.perf_counter()
        after = float("inf") if kill_after is None else kill_after
        self._process.stdin.write("\t".join([str(after), *map(str, words)]) + "\n")
        self._process.stdin.flush()
        return int(self._read()), time.perf_counter() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def start(words: Sequence[object], preexec: Callable[[], object] | None = None) -> "subprocess.Popen[str]":
    """The installed command in a process of its own."""
    return subprocess.Popen(
        [str(AV2A), *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, preexec_fn=preexec,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Exit code, output and errors, once it has ended."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err
