"""What stands before every request: who may ask, how often and how much; and what browsers may do with an answer."""

import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from score.view.unexpected import say_unexpected

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 1 << 20
"""Of a request's body."""
MOST_A_SECOND = 200
"""Requests, over a while; twice as many at once."""
COOKIE = "av2a-token"
"""Of a port, whose number comes behind it: browsers have one set of cookies for all ports of a machine."""
FAILED = "that failed here: see what the terminal says"
_NONCE = "av2a.nonce"


class Guard:
    """Refuses requests of other pages and machines, too many and too large ones; adds headers of safety to answers.

    A browser sends a page's requests to any address, this machine's too: by ``Host`` a name that somebody points here
    is known (DNS rebinding), by ``Origin`` and ``Sec-Fetch-Site`` another site's page.
    """

    def __init__(self, app: App, hosts: frozenset[str], token: str | None = None) -> None:
        """Stand before an application.

        Args:
            app: that answers.
            hosts: what ``Host`` may be, with ports; empty: anything, where a token is asked for.
            token: what every request has to know; None: nothing.
        """
        self._app, self._hosts, self._token = app, hosts, token
        self._left, self._at = 2.0 * MOST_A_SECOND, time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope[_NONCE] = nonce
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        answer = _Answer(_with_headers(send, nonce, self._cookie(scope)))
        if refusal is not None:
            await _refuse(answer, *refusal)
            return
        try:
            await self._app(scope, _limited(receive), answer)
        except Exception as error:  # whatever it is, the next request is answered
            say_unexpected(f"{scope['method']} {scope['path']}", error)
            if not answer.begun:
                await _refuse(answer, 500, FAILED)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """A status and a line, or None."""
        host = headers.get("host", "")
        if self._hosts and host.lower() not in self._hosts:
            return 421, "this server is not known by that name"
        if [name for name, _ in scope["headers"]].count(b"host") != 1:
            return 400, "one Host header is expected"
        origin = headers.get("origin")
        if origin is not None and _place_of(origin) != host.lower():
            return 403, "a request of another site's page"
        navigates = headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not (
            navigates and scope["method"] == "GET"
        ):
            return 403, "a request of another site's page"
        if self._token is not None and not self._knows(scope, headers):
            return 401, "open the address that the terminal shows, with its token"
        if not self._in_time():
            return 429, "too many requests at a time"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "GET and POST are answered"
        if scope["method"] == "POST":
            if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                return 415, "JSON is expected"
            length = headers.get("content-length", "0")
            if not length.isdecimal() or int(length[:20]) > MOST_BYTES:
                return 413, f"a request of at most {MOST_BYTES:,} bytes is expected"
        return None

    def _knows(self, scope: Scope, headers: dict[str, str]) -> bool:
        assert self._token is not None
        given = [headers.get("x-av2a-token", ""), _in_query(scope), _in_cookie(scope, headers)]
        return any(hmac.compare_digest(each.encode(), self._token.encode()) for each in given if each)

    def _cookie(self, scope: Scope) -> str:
        """What a browser is told to keep, so that videos and modules of the page know the token; empty: nothing."""
        if self._token is None or not hmac.compare_digest(_in_query(scope).encode(), self._token.encode()):
            return ""
        return f"{cookie_name(scope)}={self._token}; HttpOnly; SameSite=Strict; Path=/"

    def _in_time(self) -> bool:
        now = time.monotonic()
        self._left = min(2.0 * MOST_A_SECOND, self._left + (now - self._at) * MOST_A_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class TooLargeError(Exception):
    """A body that is larger than it may be."""


def _in_query(scope: Scope) -> str:
    found = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20) if _few(scope) else {}
    return str(found.get("token", [""])[0])


def _few(scope: Scope) -> bool:
    return bool(scope.get("query_string", b"").count(b"&") < 20)


def _in_cookie(scope: Scope, headers: dict[str, str]) -> str:
    try:
        found, name = SimpleCookie(headers.get("cookie", "")), cookie_name(scope)
    except CookieError:
        return ""
    return str(found[name].value) if name in found else ""


def cookie_name(scope: Scope) -> str:
    """What the token's cookie is called on the port that was asked."""
    return f"{COOKIE}-{(scope.get('server') or ('', 0))[1]}"


def _place_of(origin: str) -> str:
    """Host and port of an origin; empty where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # as of http://[
        return ""


class _Answer:
    """Sends an answer, and knows whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send, self.begun = send, False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        self.begun = True
        await self._send(message)


def _limited(receive: Receive) -> Receive:
    """The same, as long as a body is not too large, whatever its header says."""
    seen = 0

    async def limited() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BYTES:
            raise TooLargeError
        return message

    return limited


def policy(nonce: str) -> str:
    """The content security policy of the page: everything comes from here, and nothing is run that is not a file."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; connect-src 'self' blob:; worker-src 'self' blob:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def nonce_of(scope: Scope) -> str:
    """The nonce of this answer's policy."""
    return str(scope[_NONCE])


def _with_headers(send: Send, nonce: str, cookie: str) -> Send:
    more = {
        "content-security-policy": policy(nonce),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        **({"set-cookie": cookie} if cookie else {}),
    }

    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            headers += [(name.encode(), value.encode()) for name, value in more.items()]
            if not any(name.lower() == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await send(message)

    return sent


async def _refuse(send: Send, status: int, why: str) -> None:
    body = json.dumps({"error": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
