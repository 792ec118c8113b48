"""Leases: who writes to a store, so that nobody else does (docs/design.md 3).

A lease is a small file under ``leases/`` that only one can make (O_EXCL, If-None-Match); it says whose it is and
changes every few seconds. One whose process is gone, or that has not changed for a while, is taken over under the next
number.
"""

import getpass
import json
import os
import platform
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

from feature_cache.errors import CacheError
from feature_cache.names import escaped
from feature_cache.storage.durable import SafeStore
from feature_cache.storage.here import began, is_running, this_system
from feature_cache.storage.urls import local_folder

LEASES = "leases"
"""The folder of a store that leases lie in."""
BEAT_SECONDS = 5.0
"""How often a lease changes while it is held."""
PATIENCE_SECONDS = 60.0
"""How long one of another machine may stay as it is before it is taken over."""
_TRIES = 8

Notice = Callable[[str], None]


class LeaseError(CacheError):
    """Somebody else is writing."""


@dataclass(eq=False)
class Lease:
    """A lease that is held: a context manager that lets it go.

    Attributes:
        store: what is written to.
        scope: "whole"; "part" for one of several that share a store; "shard-7" for a shard of such a one.
        token: tells this lease from every other.
        key: its file.
        what: what is done under it, for others' errors.
        taken_over: whose stale leases were taken over, a line each.
    """

    store: SafeStore
    scope: str
    token: str
    key: str
    what: str
    taken_over: tuple[str, ...] = ()
    _own: bool = True
    _lost: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _beats: int = 0
    _made_folder: bool = False
    _thread: int = field(default_factory=threading.get_ident)

    @classmethod
    def take(
        cls, store: SafeStore, scope: str, what: str, *, within: Self | None = None, notice: Notice | None = None
    ) -> Self:
        """Take a lease.

        Args:
            store: what is to be written to.
            scope: "whole", "part", or "shard-<n>". A whole one within one of the same thread is that one.
            what: what is done, as "extract".
            within: the lease of "part" that one of a shard belongs to.
            notice: called with a line where it takes a while to see whether another machine still writes.

        Raises:
            LeaseError: somebody else holds one that bars it; the message says who.
        """
        outer = _of_this_thread(store, scope)
        if outer is not None:
            return cls(store, scope, outer.token, outer.key, what, _own=False)
        over: list[str] = []
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(random.uniform(0.02, 0.1) * attempt)
            others = _records(store)
            barring = [_ended(store, key, said, others, notice) for key, said in others.items() if _bars(scope, key)]
            for key, said, gone in barring:
                if not gone:
                    raise LeaseError(_busy(store, key, said))
            over += [_who(said) for key, said, _ in barring if not key.startswith("shard-")]
            token = within.token if within is not None else uuid.uuid4().hex
            number = 1 + max((_number(key) for key in others if _scope(key) == scope), default=0)
            key = f"{scope}.{token}" if scope == "part" else f"{scope}.{number}"
            found = cls(store, scope, token, f"{LEASES}/{key}", what, tuple(dict.fromkeys(over)))
            folder = local_folder(store.name)
            found._made_folder = folder is not None and not folder.exists()
            if not store.create(found.key, found._record()):
                continue  # another was quicker
            known = {key, *others}
            if any(_bars(scope, other) and other not in known for other in _names(store)):
                store.discard(found.key)  # two at the same moment: both step back
                continue
            shards = [other for other in others if scope == "whole" and other.startswith("shard-")]
            for other in [*(other for other, _, _ in barring), *shards]:
                store.discard(f"{LEASES}/{other}")
            if within is None:
                _hold(found)
            return found
        raise LeaseError(f"{store.name}: others begin to write to it at the same moment: start again")

    @classmethod
    def of_another(cls, store: SafeStore, token: str) -> Self:
        """The lease that the process holds which started this one; it is checked, and let go by that one."""
        for key, found in _records(store).items():
            if found.get("token") == token and not key.startswith("shard-"):
                return cls(store, _scope(key), token, f"{LEASES}/{key}", str(found.get("what")), _own=False)
        raise LeaseError(f"{store.name}: the lease under which this was started is gone: start again")

    def check(self) -> None:
        """Refuse to write where the lease is another's by now.

        Raises:
            LeaseError: it was taken over, as after a long sleep of this machine.
        """
        if self._lost or not self._still_there():
            self._lost = True
            raise LeaseError(
                f"{self.store.name}: another process has taken over while this one stood still: nothing more is "
                "written here; start again when that one has ended"
            )

    def release(self) -> None:
        """Let it go; more than once does no harm."""
        if not self._own:
            return
        with self._lock:
            _held.pop(self.token, None) if not self.scope.startswith("shard-") else None
            self._own = False
        with suppress(Exception):  # a store that cannot be reached: it will be taken over
            if self._still_there():
                self.store.discard(self.key)
            for key, found in _records(self.store).items() if self.scope == "part" else ():
                if key.startswith("shard-") and found.get("token") == self.token:
                    self.store.discard(f"{LEASES}/{key}")
            self.store.discard_folder(LEASES)
            if self._made_folder:  # and nothing came of it
                self.store.discard_folder("")

    def moved(self, store: SafeStore) -> None:
        """Go on as the lease of a store that has got another name."""
        self.store = store

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let it go."""
        self.release()

    def beat(self) -> None:
        """Change the file, so that others see that its holder lives."""
        with self._lock:
            if not self._own or self._lost:
                return
            if not self._still_there():
                self._lost = True
                return
            self._beats += 1
            self.store.put(self.key, self._record())

    def _still_there(self) -> bool:
        raw = self.store.read(self.key)
        return raw is not None and _parsed(raw).get("token") in (self.token, None)

    def _record(self) -> bytes:
        facts = {**_process(), "token": self.token, "what": self.what, "beat": self._beats}
        return json.dumps({**facts, "at": time.strftime("%Y-%m-%d %H:%M:%S")}).encode()


# --- holding --------------------------------------------------------------------------------------------

_held: dict[str, Lease] = {}
"""Leases of this process, by token."""
_beating = threading.Event()


def _hold(lease: Lease) -> None:
    _held[lease.token] = lease
    if not _beating.is_set():
        _beating.set()
        threading.Thread(target=_beat, name="av2a-leases", daemon=True).start()


def _of_this_thread(store: SafeStore, scope: str) -> Lease | None:
    me = threading.get_ident()
    found = (each for each in list(_held.values()) if each._thread == me and each.store.name == store.name)
    return next((each for each in found if each.scope == scope == "whole"), None)


def _beat() -> None:
    while True:
        time.sleep(BEAT_SECONDS)
        for lease in list(_held.values()):
            with suppress(Exception):  # a store that cannot be reached now may be reached again
                lease.beat()


# --- others' --------------------------------------------------------------------------------------------


def _names(store: SafeStore) -> list[str]:
    return [name for name in store.names(LEASES) if not name.startswith(".")]


def _records(store: SafeStore) -> dict[str, dict[str, Any]]:
    raw = {name: store.read(f"{LEASES}/{name}") for name in _names(store)}
    return {name: _parsed(found) for name, found in raw.items() if found is not None}


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _scope(key: str) -> str:
    return key.rpartition(".")[0]


def _number(key: str) -> int:
    tail = key.rpartition(".")[2]
    return int(tail) if tail.isdecimal() and len(tail) < 18 else 0


def _bars(scope: str, key: str) -> bool:
    """Whether a lease that is there bars one of a scope."""
    other = _scope(key)
    if scope == "whole":
        return not other.startswith("shard-")  # shards' lie within a part's
    return other == "whole" if scope == "part" else other == scope


def _ended(
    store: SafeStore, key: str, found: dict[str, Any], others: dict[str, dict[str, Any]], notice: Notice | None
) -> tuple[str, dict[str, Any], bool]:
    """A lease and whether its holder is gone."""
    if key.startswith("shard-"):  # lives as long as the part's that it belongs to
        parts = [name for name, other in others.items() if name.startswith("part.") and _same(other, found)]
        return key, found, all(_gone(store, name, others[name], notice) for name in parts)
    return key, found, _gone(store, key, found, notice)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.get("token") is not None and one.get("token") == other.get("token")


def _gone(store: SafeStore, key: str, found: dict[str, Any], notice: Notice | None) -> bool:
    if found.get("token") in _held:
        return False
    me = _process()
    if found.get("system") == me["system"] and isinstance(found.get("pid"), int):
        if found["pid"] == me["pid"]:
            return True  # of this process, and held by nothing of it any more
        running = is_running(found["pid"])
        if running is not None:
            return not running or found.get("started") != began(found["pid"])
    patience = PATIENCE_SECONDS if "token" in found else min(BEAT_SECONDS, PATIENCE_SECONDS)  # cut off as it was made
    until, before = time.monotonic() + patience, store.read(f"{LEASES}/{key}")
    if notice is not None:
        notice(f"{store.name} was being written by {_who(found)}: looking for {patience:g} s whether it still is")
    while time.monotonic() < until:
        time.sleep(min(1.0, patience / 10))
        now = store.read(f"{LEASES}/{key}")
        if now is None:
            return True
        if now != before:
            return False
    return True


def _busy(store: SafeStore, key: str, found: dict[str, Any]) -> str:
    part = f"shard {key[6:].partition('.')[0]} of {store.name}" if key.startswith("shard-") else store.name
    return f"{part} is being written by {_who(found)}: wait until that has ended, or stop it; then start again"


def _who(found: dict[str, Any]) -> str:
    """A person's words for the holder of a lease; whoever wrote it, it can be shown."""

    def fact(name: str) -> str:
        return escaped(" ".join(str(found.get(name, "?")).split())[:60])

    return f"`{fact('what')}` of {fact('user')} (host {fact('host')}, pid {fact('pid')}, since {fact('since')})"


# --- this process ---------------------------------------------------------------------------------------


def _process() -> dict[str, Any]:
    pid = os.getpid()
    here = {"user": _user(), "host": platform.node(), "system": this_system()}
    return {**here, "pid": pid, "started": began(pid), "since": _since()}


@cache
def _since() -> str:
    return time.strftime("%Y-%m-%d %H:%M")


@cache
def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "?"
