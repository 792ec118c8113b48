"""Processes of our own: what they say is heard, and they end with whoever started them, however that ends."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from extract.errors import ExtractError
from feature_cache import stopping
from feature_cache.errors import Av2aError

_VARIABLE = "PYTHONSAFEPATH"
_PATIENCE_SECONDS = 10.0
"""What a process is writing may take so long to be whole, or put away, when the others end."""
_KILLED_WITH_PARENT = 1
"""Linux: prctl's PR_SET_PDEATHSIG."""


def in_processes(
    function: Callable[..., None], tasks: Sequence[tuple[str, tuple[Any, ...]]], heard: Callable[[int, Any], None]
) -> None:
    """Call a function in a process for each task, side by side.

    Args:
        function: at the top of a module; called with a task's arguments and, last, with what to say things by.
        tasks: for each process the name that errors give it, and the arguments: picklable.
        heard: called with the number of a task and what its process says.

    Raises:
        ExtractError: a process ended early, or with an error of av2a's own, which is said. The others are ended.
        OSError: what a process could not read or write.
    """
    running: dict[Any, tuple[int, Any]] = {}  # by pipe, which has a class of its own on each system
    with _away_from_here():
        resource_tracker.ensure_running()  # on its own: it changes which signals are blocked
    try:
        for number, (name, arguments) in enumerate(tasks):
            with stopping.held():
                _start(running, number, function, name, arguments)
        while running:
            ready: list[Any] = wait(list(running))
            for pipe in ready:
                number, process = running[pipe]
                try:
                    kind, value = pipe.recv()
                except (EOFError, OSError):
                    raise _ended_early(process) from None
                if kind == "error":
                    raise value
                if kind == "says":
                    heard(number, value)
                else:
                    del running[pipe]
                    process.join()
    finally:
        _end([process for _, process in running.values()])


def _start(
    running: dict[Any, tuple[int, Any]],
    number: int,
    function: Callable[..., None],
    name: str,
    arguments: tuple[Any, ...],
) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(function, arguments, theirs), name=name)
    try:
        with _away_from_here(), _signals_are_ours():
            process.start()
    except OSError as error:  # it was killed before it had read what to do
        if process.pid is None:
            raise ExtractError(f"no process can be started ({error.strerror}): the same command goes on") from error
        raise _ended_early(process) from error
    finally:
        theirs.close()
    running[ours] = number, process


def _ended_early(process: Any) -> ExtractError:
    process.join()
    want = ", perhaps as the memory was full" if process.exitcode == -9 else ""
    return ExtractError(
        f"the process of {process.name} ended early (exit code {process.exitcode}){want}: the same command goes on "
        "from here"
    )


def _end(processes: Sequence[Any]) -> None:
    """End processes; first they put away what they were writing."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + _PATIENCE_SECONDS
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    for process in processes:
        process.kill()
        process.join()


@contextmanager
def _away_from_here() -> Iterator[None]:
    """Processes started meanwhile take no module from the working folder: a socket.py there is the user's own."""
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


@contextmanager
def _signals_are_ours() -> Iterator[None]:
    """Processes started meanwhile never see what a terminal sends to all: whoever started them ends them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- inside them ----------------------------------------------------------------------------------------


def _work(function: Callable[..., None], arguments: tuple[Any, ...], pipe: "Connection[Any, Any]") -> None:
    """A process: it says things, then that it is done, or its error."""
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopping.catch(names=("SIGTERM",), twice=False)

    def say(value: Any) -> None:
        stopping.check(begun=True)
        pipe.send(("says", value))

    try:
        with stopping.within():
            try:
                function(*arguments, say)
                pipe.send(("done", None))
            except Av2aError as error:
                pipe.send(("error", ExtractError(str(error))))  # not every error can be pickled
            except BrokenPipeError:  # nobody hears it any more
                return
            except OSError as error:
                plain = OSError(error.errno, error.strerror, error.filename)
                pipe.send(("error", plain if error.errno is not None else ExtractError(str(error))))
    except BaseException:
        if not stopping.came():
            raise
    if stopping.came():
        stopping.end()


def _end_with_parent() -> None:
    """However it ends: the system sees to it on Linux, a thread elsewhere."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_KILLED_WITH_PARENT, signal.SIGKILL)

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
