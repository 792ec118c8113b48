"""Processes that are stopped at a chosen change of a file, and the command in processes of their own.

A change is the opening of a file to write, a new name for one, or a removal: between two of them nothing on the disk
is different, so that stopping before each one in turn leaves every state that a kill can leave. Which changes there
are is told by Python's own audit events, whoever makes them.
"""

import importlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.command import AV2A, PATIENCE_SECONDS

LIGHT = ("av2a_cli", "h5py", "zarr", "feature_cache.exchange", "score.tuning.search", "score.formats.json_events")
HEAVY = (
    *LIGHT, "av", "open_clip", "soxr", "torch", "transformers", "extract.pipeline",
    "extract.backbones.clip_clap.backbone",
)  # fmt: skip
"""What is imported before processes are forked: imports take seconds."""
PARTIAL = ".partial"
_NOT_HERE = "processes are forked and killed: not on Windows"


# --- inside the processes -------------------------------------------------------------------------------


class Watch:
    """Sends its own process a signal before the n-th change of a file in a folder.

    The file's name ends as is said; after "<" it is the n-th reading of such a file instead.
    """

    def __init__(self, folder: str, number: int, name: str, sent: int) -> None:
        self._folder = os.path.realpath(folder) + os.sep
        self._left, self._name, self._signal, self._busy = number, name.removeprefix("<"), sent, False
        self._reads = name.startswith("<")

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if self._busy or self._left <= 0:
            return
        if self._reads:
            if event == "open" and isinstance(args[2], int) and not args[2] & (os.O_WRONLY | os.O_RDWR):
                path = self._inside(args[0], -1)
                if path is not None:
                    self._passes(path)
            return
        if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            path = self._inside(args[0], -1)
            if path is not None and not path.endswith(PARTIAL):  # that of a partial one shows nothing
                self._passes(path)
                self._passes(path, opened=True)  # whoever writes so leaves, for a moment, an empty file
        elif event in ("os.remove", "os.rmdir"):
            path = self._inside(args[0], args[1])
            if path is not None and f"{PARTIAL}{os.sep}" not in path:  # what is thrown away shows nothing either
                self._passes(path)
        elif event == "os.rename":
            path = self._inside(args[1], args[3])
            if path is not None:
                self._passes(path)

    def _inside(self, name: Any, folder: int) -> str | None:
        if not isinstance(name, str | bytes | os.PathLike):
            return None
        path = os.fsdecode(name)
        if folder >= 0:
            path = os.path.join(Path(f"/proc/self/fd/{folder}").readlink(), path)  # noqa: PTH118
        path = os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))  # noqa: PTH118, PTH119, PTH120
        return path if path.startswith(self._folder) else None

    def _passes(self, path: str, *, opened: bool = False) -> None:
        if sys.platform == "win32":
            raise OSError(_NOT_HERE)
        if not path.endswith(self._name):
            return
        self._left -= 1
        if self._left:
            return
        if opened:
            self._busy = True
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        if self._signal == signal.SIGKILL:
            os.kill(os.getpid(), self._signal)
        else:
            signal.pthread_kill(threading.main_thread().ident or 0, self._signal)  # as the system does for Ctrl-C


def _serve(log: str, modules: Sequence[str]) -> None:
    """Run what standard input asks for, each in a fork; say the exit codes."""
    if sys.platform == "win32":
        raise OSError(_NOT_HERE)
    for name in modules:
        importlib.import_module(name)
    if "extract.pipeline" in modules:
        from extract.backbones import load_backbone

        load_backbone("tiny", None, "cpu", "float32", None)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["warm"]:
            getattr(importlib.import_module(order["call"][0]), order["call"][1])(*order["words"])
            print(0, flush=True)
            continue
        child = os.fork()
        if child == 0:
            _obey(order, log)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _obey(order: dict[str, Any], log: str) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{log}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    vars(os)["fsync"] = lambda handle: None  # a kill loses nothing that the system has; only a loss of power does
    code = 99
    try:
        os.chdir(order["cwd"])
        if order["watch"]:
            sys.addaudithook(Watch(*order["watch"]))
        if "call" in order:
            getattr(importlib.import_module(order["call"][0]), order["call"][1])(*order["words"])
        else:
            sys.argv = ["av2a", *order["words"]]
            importlib.import_module("av2a_cli").main()
        code = 0
    except SystemExit as done:
        code = int(done.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


# --- outside --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """Exit code (-9: killed), output and errors of a process."""

    code: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        if sys.platform == "win32":
            raise OSError(_NOT_HERE)
        assert self.code in (0, 3, -signal.SIGKILL), (self.code, self.err)
        assert "Traceback" not in self.err, self.err
        return self.code == -signal.SIGKILL


class Nursery:
    """A process that has imported everything; each command or call runs in a fork of it."""

    def __init__(self, log: Path, modules: Sequence[str] = LIGHT) -> None:
        """Start it; ``log`` is a folder for what the forks say."""
        self._log = log
        log.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.killing", str(log), *modules], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, words: Sequence[object], *, cwd: Path | str = "/", watch: tuple[object, ...] | None = None) -> Ended:
        """A command; ``watch`` is what :class:`Watch` takes."""
        return self._order({"words": list(map(str, words))}, cwd, watch)

    def call(self, function: Callable[..., object], *words: object, watch: tuple[object, ...] | None = None) -> Ended:
        """A function at the top of a module, called with texts and numbers."""
        return self._order(_call(function, words), "/", watch)

    def warm(self, function: Callable[..., object], *words: object) -> None:
        """Call a function in the process that is forked: what is slow the first time is so once."""
        assert self._order({**_call(function, words), "warm": True}, "/", None).code == 0

    def _order(self, order: dict[str, Any], cwd: Path | str, watch: tuple[object, ...] | None) -> Ended:
        assert self._process.stdin is not None
        if watch is not None:
            folder, *rest = watch
            watch = (str(folder), *rest)
        self._process.stdin.write(json.dumps({"warm": False, **order, "cwd": str(cwd), "watch": watch}) + "\n")
        self._process.stdin.flush()
        code = int(self._read())
        out, err = (
            file.read_text(encoding="utf-8") if (file := self._log / name).exists() else "" for name in ("out", "err")
        )
        return Ended(code, out, err)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _call(function: Callable[..., object], words: Sequence[object]) -> dict[str, Any]:
    plain = [word if isinstance(word, int) else str(word) for word in words]
    return {"call": (function.__module__, function.__name__), "words": plain}


def kills(
    run: Callable[[tuple[object, ...]], Ended],
    folder: Path,
    made: Callable[[Path], object] | None = None,
    step: int = 1,
) -> Iterator[tuple[Path, int]]:
    """A folder for each change of a file that a run makes, as a run that was killed there left it.

    Args:
        run: runs something in ``folder / "now"``, watched as is said.
        folder: where to.
        made: makes what is there before.
        step: only each so many-th change.

    Yields:
        The folder, and the number of the change. The last one is that of a run that ended by itself, with number 0.
    """
    if sys.platform == "win32":
        raise OSError(_NOT_HERE)
    now, before = folder / "now", folder / "before"
    before.mkdir(parents=True)
    if made is not None:
        made(before)
    for number in itertools.count(1, step):
        if now.exists():
            shutil.rmtree(now)
        shutil.copytree(before, now)
        ended = run((now, number, "", signal.SIGKILL.value))
        if not ended.killed:
            assert number > 1, "nothing was written"
            yield now, 0
            return
        yield now, number


def start(
    words: Sequence[object], preexec: Callable[[], object] | None = None, cwd: Path | None = None
) -> "subprocess.Popen[str]":
    """The installed command in a process of its own, which Ctrl-C reaches however the tests were started."""

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
        if preexec is not None:
            preexec()

    return subprocess.Popen(
        [str(AV2A), *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, preexec_fn=prepare,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Exit code, output and errors, once it has ended."""
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out, err


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])
