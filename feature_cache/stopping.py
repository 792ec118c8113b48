"""How a command is stopped: a signal becomes one exception in the main thread; a second one ends the process at once.

Only a command catches signals (:func:`catch`); whoever calls the library keeps their own handlers.
"""

import os
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
"""Windows has no SIGHUP."""
_PATIENCE_SECONDS = 10.0
"""What is being written may take so long to be whole."""
_AGAIN = b"\0"


class Stopped(BaseException):
    """A signal asks the command to end: what has not begun is dropped, what was being written is put away."""


class _State:
    """Of this process: a plain class, as a command is to take signals early.

    Attributes:
        line: what is said at the end; empty: nothing.
        signal: the first that came, 0 if none did.
        within: a command runs: it can be interrupted. Otherwise nothing is at stake.
        begun: the command may have changed something, and puts it away where it is interrupted.
        held: how many blocks may not be interrupted now.
        waiting: the exception is raised after such a block.
        sent: this process sent itself the signal again, as the exception was lost in somebody's callback.
        wake: what a thread reads the signals' numbers from, and what they are written to.
    """

    def __init__(self) -> None:
        self.line: Callable[[], str] = str
        self.signal = self.held = 0
        self.within = self.begun = self.waiting = self.sent = False
        self.wake: tuple[int, int] | None = None


_state = _State()
_said = threading.Lock()


def catch(line: Callable[[], str] = str, names: tuple[str, ...] = NAMES, *, twice: bool = True) -> None:
    """Take signals from now on; one that is ignored, as under nohup or in a shell's background, stays ignored.

    Until :func:`within`, the first signal ends the process.

    Args:
        line: gives the line for standard error.
        names: of the signals.
        twice: a second signal ends the process at once; otherwise it changes nothing.
    """
    _state.line = line
    if threading.current_thread() is not threading.main_thread():
        return
    for name in names:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None, _handle):
            signal.signal(number, _handle)
    if _state.wake is None and sys.platform != "win32":
        _state.wake = os.pipe()
        for end in _state.wake:
            os.set_inheritable(end, False)
        os.set_blocking(_state.wake[1], False)
        signal.set_wakeup_fd(_state.wake[1], warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=(_state.wake[0], twice), name="av2a-signals", daemon=True).start()
        sys.unraisablehook = _unraisable


@contextmanager
def within() -> Iterator[None]:
    """While a command runs, a signal raises :class:`Stopped` in the main thread, once."""
    _state.within = True
    try:
        yield
    finally:
        _state.within = False


@contextmanager
def held() -> Iterator[None]:
    """A block that is not interrupted: the exception comes after it."""
    _state.held += 1
    try:
        yield
    finally:
        _state.held -= 1
        if not _state.held and _state.waiting:
            _state.waiting = False
            _quiet()
            raise Stopped


def check(*, begun: bool = False) -> None:
    """To be called now and then by the main thread: raises :class:`Stopped` if a signal came.

    Args:
        begun: from now on the command may have changed something.
    """
    _state.begun |= begun
    if _state.signal:
        raise Stopped


def came() -> int:
    """The number of the first signal that came; 0 if none did."""
    return _state.signal


def how() -> str:
    """The word for it: how the command ends."""
    name = signal.Signals(_state.signal).name if _state.signal else ""
    return "interrupted" if name == "SIGINT" else f"ended by {name}"


def has_begun() -> bool:
    """Whether :func:`check` was told that something may have changed."""
    return _state.begun


@contextmanager
def threads(workers: int, name: str = "av2a", **options: Any) -> "Iterator[ThreadPoolExecutor]":
    """A pool of threads. After an error work that has not begun is dropped; after a signal nothing is waited for.

    Args:
        workers: how many threads.
        name: how they are called.
        options: of the pool.
    """
    from concurrent.futures import ThreadPoolExecutor  # not before it is used: a command is to take signals early

    pool = ThreadPoolExecutor(workers, name, **options)
    try:
        yield pool
    except Stopped:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


@contextmanager
def settled() -> Iterator[None]:
    """A block after which something is put away: by then Zarr's threads write nothing more into it."""
    _state.begun = True
    try:
        yield
    except Stopped:
        with suppress(Exception):
            _settle()
        raise


def end() -> NoReturn:
    """End the process as the signal asked, once the command has put everything away.

    What is being written becomes whole; threads that still compute are not waited for.
    """
    with suppress(Exception):
        _settle()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    _say()
    os._exit(128 + _state.signal)


def _handle(number: int, frame: FrameType | None) -> None:
    if _state.signal and not _state.sent:
        if _state.wake is None:
            _end_at_once()
        return
    _state.signal, _state.sent = _state.signal or number, False
    if not _state.within or (_importing(frame) and not _state.begun):
        _end_at_once()
    _state.waiting = _state.held > 0
    if not _state.waiting:
        _quiet()
        raise Stopped


def _quiet() -> None:
    """What libraries have to say of being interrupted, as of a coroutine that nobody awaits, is no news."""
    warnings.simplefilter("ignore")
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.disable()


def _importing(frame: FrameType | None) -> bool:
    """Modules that are imported take exceptions for reasons of their own, or half of them stays."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _watch(wake: int, twice: bool) -> None:
    """A thread: the main one may be in a library's code for long, and sees no second signal then."""
    seen = 0
    while True:
        for each in os.read(wake, 64):
            if each == _AGAIN[0]:
                time.sleep(0.02)
                _state.sent = True
                seen -= 1
                if sys.platform != "win32":
                    signal.pthread_kill(threading.main_thread().ident or 0, _state.signal)
            elif each in (getattr(signal, name, 0) for name in NAMES):
                seen += 1
                if seen > 1 and twice:
                    _state.signal = _state.signal or each
                    _end_at_once()


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """An exception from where nobody can catch it, as in a destructor: it is raised again a little later."""
    if not issubclass(lost.exc_type, Stopped):
        if not _state.signal:
            sys.__unraisablehook__(lost)
    elif _state.wake is not None:
        os.write(_state.wake[1], _AGAIN)


def _settle() -> None:
    """Files that Zarr's threads write become whole; nothing new is begun."""
    import asyncio

    zarr = sys.modules.get("zarr.core.sync")
    if zarr is None:
        return

    async def last() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()

    zarr.sync(last(), timeout=_PATIENCE_SECONDS)


def _end_at_once() -> NoReturn:
    """Nothing is waited for: locks may be held by whoever was interrupted."""
    with suppress(Exception):
        children = sys.modules.get("multiprocessing")
        for child in children.active_children() if children is not None else ():
            child.kill()
            child.join(1)
    _say()
    os._exit(128 + _state.signal)


def _say() -> None:
    line = _state.line()
    if not _said.acquire(blocking=False):
        time.sleep(0.05)  # another thread says it
    elif line:
        with suppress(OSError, ValueError):
            bar = "\r\x1b[2K\x1b[?25h" if os.isatty(2) and "rich.live" in sys.modules else ""  # it hides the cursor
            if sys.platform == "win32" or select.select([], [2], [], 0)[1]:  # not where nobody reads what is full
                os.write(2, f"{bar}{line}\n".encode("ascii", "backslashreplace"))
