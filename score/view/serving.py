"""The server of `tune`: one process, on this machine unless somebody asks for more."""

import ipaddress
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from score.errors import ScoreError
from score.view.guard import App, Guard

_AT_ONCE = 128
"""Connections."""
_PATIENCE_SECONDS = 2.0


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens.

    Raises:
        ScoreError: the port is in use, or the host is none of this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ScoreError(
            f"{host!r} is no address of this machine: `host='127.0.0.1'` is for this machine alone"
        ) from error
    # named as TCP, or asyncio leaves small answers waiting for others to be sent with
    with socket.socket(found[0], socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(found[4])
            listener.listen(_AT_ONCE)
        except OSError as error:
            raise ScoreError(
                f"port {port} of {host} cannot be had ({error.strerror}): choose another one, `port=0` for any free one"
            ) from error
        yield listener


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_any(host: str) -> bool:
    """Whether an address stands for all of this machine's, and so for none to open."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def address_here(host: str) -> str:
    """An address of this machine that others in its network reach, of the family of 0.0.0.0 or of ::."""
    family, outside, own = (
        (socket.AF_INET6, "2001:db8::1", "::1") if ":" in host else (socket.AF_INET, "192.0.2.1", "127.0.0.1")
    )  # fmt: skip
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as found:
            found.connect((outside, 9))  # of no machine, and nothing is sent: it is looked up where it would go from
            return str(found.getsockname()[0])
    except OSError:  # there is no network
        return own


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class Server:
    """An application behind its guard, in a thread of its own.

    Attributes:
        url: where the page is.
    """

    def __init__(self, app: App, host: str, listener: socket.socket) -> None:
        """Not started yet.

        Args:
            app: that answers.
            host: as somebody named it.
            listener: a socket that listens.
        """
        port = listener.getsockname()[1]
        at_home = is_loopback(host)
        token = None if at_home else secrets.token_urlsafe(16)
        shown = _bracketed(host if not _is_any(host) else address_here(host))
        names = ("127.0.0.1", "localhost", "[::1]", shown) if at_home else ()
        guard = Guard(app, frozenset(f"{name}:{port}".lower() for name in names), token)
        self.url = f"http://{shown}:{port}/" + ("" if token is None else f"?token={token}")
        self._listener = listener
        config = uvicorn.Config(
            guard, log_level="critical", access_log=False, lifespan="off", limit_concurrency=_AT_ONCE,
            server_header=False, timeout_keep_alive=30, ws="none",
        )  # fmt: skip
        self._server = _Quiet(config)
        self._thread = threading.Thread(target=self._run, name="av2a-server", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)

    def wait(self, check: Callable[[], Any] = lambda: None) -> None:
        """Until it is stopped; ``check`` is called now and then, and may raise."""
        while self._thread.is_alive():
            self._thread.join(0.5)
            check()

    def stop(self) -> None:
        """Answer no more; what is being answered has a moment to end."""
        self._server.should_exit = True
        self._thread.join(_PATIENCE_SECONDS)
        self._server.force_exit = True


class _Quiet(uvicorn.Server):
    """Signals are the command's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
