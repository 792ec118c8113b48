"""Running the installed `av2a` command as people do: a process, its output, its exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMPILING = "compiling kernels for this machine, once: about half a minute\n"
AV2A = Path(sys.executable).with_name("av2a.exe" if sys.platform == "win32" else "av2a")
PATIENCE_SECONDS = 3600
"""When a test takes it that a command hangs: the last resort, on the slowest machine."""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def av2a(*words: object, cwd: Path, env: Mapping[str, str] | None = None) -> Done:
    """Run the command in ``cwd``, with ``env`` added to the environment; no call of it may ever show a traceback."""
    done = subprocess.run(
        [str(AV2A), *map(str, words)], cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, check=False,
        timeout=PATIENCE_SECONDS, encoding="utf-8", errors="surrogateescape",
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def refusal(*words: object, cwd: Path, code: int = 1) -> str:
    """The one line in which the command refuses."""
    done = av2a(*words, cwd=cwd)
    assert done.code == code, (done.code, done.out, done.err)
    line = done.err.replace(COMPILING, "").strip()
    if code == 1:
        assert line.startswith("Error: "), line
        assert "\n" not in line, line
    return line
