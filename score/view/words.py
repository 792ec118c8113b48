"""New words: labels that somebody types are embedded by a process beside this one, and added to the cache.

The process is started with a command that whoever starts the server gives: stage 2 knows no encoders. It reads a line
of JSON for each request, ``{"labels": [...], "name": ...}``, and answers a line: first ``{"ready": true}``, then what
was added, or ``{"error": ...}``.
"""

import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any

from feature_cache import Av2aError
from feature_cache.names import shortened, why_not_a_name
from score.errors import ScoreError
from score.view.desk import Desk, milliseconds
from score.view.told import Told
from score.view.unexpected import say_unexpected

MOST_LABELS = 1000
_PATIENCE_SECONDS = 5.0
_ENDED = "the process that embeds labels has ended: see what the terminal says"


class Words:
    """Label sets that are added while the page is open.

    Attributes:
        why_not: why there are none, a line; empty where there can be.
    """

    def __init__(self, desk: Desk, command: Sequence[str], why_not: str = "") -> None:
        """Nothing is started yet.

        Args:
            desk: whose cache gets the labels.
            command: starts the process.
            why_not: why it cannot be started.
        """
        self._desk, self._command, self.why_not = desk, list(command), why_not
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        self._told = Told(status="idle", text=None, labels=[], error=None, ms=None)

    @property
    def state(self) -> dict[str, Any]:
        """How far it is, JSON-able: idle, warming, working, done or failed."""
        return self._told.now

    def warm(self) -> None:
        """Start the process, so that it is ready when the words are."""
        if not self.why_not and self._process is None and self.state["status"] not in ("warming", "working"):
            self._told.note(status="warming", error=None)
            self._begin([], warming=True)

    def add(self, labels: Sequence[Any]) -> None:
        """Begin to add labels as a set of their own; the same words have the same set.

        Raises:
            ScoreError: they are no labels, or there are no encoders.
        """
        if self.why_not:
            raise ScoreError(self.why_not)
        words = [label.strip() for label in labels if isinstance(label, str) and label.strip()]
        words = list(dict.fromkeys(words))
        if len(words) < 2 or len(words) > MOST_LABELS:
            named = "1 label" if len(words) == 1 else f"{len(words):,} labels"
            raise ScoreError(f"{named}: give from 2 to {MOST_LABELS:,}, one a line")
        for word in words:
            if (why := why_not_a_name(word)) is not None:
                raise ScoreError(f"label {shortened(word, 60)!r}: {why}")
        self._told.note(status="working", text=None, labels=words, error=None, ms=None)
        self._begin(words, warming=False)

    def _begin(self, words: list[str], *, warming: bool) -> None:
        threading.Thread(target=self._work, args=(words, warming), name="av2a-words", daemon=True).start()

    def _work(self, words: list[str], warming: bool) -> None:
        began = time.perf_counter()
        try:
            with self._turn:
                process = self._started()
                if warming:
                    if self.state["status"] == "warming":
                        self._told.note(status="idle")
                    return
                name = "words-" + hashlib.sha256("\n".join(words).encode()).hexdigest()[:8]
                if name not in self._desk.opened.text_names:
                    self._ask(process, {"labels": words, "name": name})
                    self._desk.reopen()
            if self.state["labels"] == words:
                self._told.note(status="done", text=name, ms=milliseconds(began))
        except Exception as error:
            if not isinstance(error, Av2aError | OSError | ValueError):
                say_unexpected("new words", error)
            if (self.state["status"] == "warming") if warming else (self.state["labels"] == words):
                self._told.note(status="failed", error=shortened(str(error), 300))

    def _started(self) -> "subprocess.Popen[str]":
        process = self._process
        if process is None or process.poll() is not None:
            if process is not None:
                _end(process)
            with self._lock:
                if self._closed:
                    raise ScoreError("the page's server ends")
                process = self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
                )
            try:
                self._answer(process)
            except BaseException:
                self._process = None
                _end(process)
                raise
        return process

    def _ask(self, process: "subprocess.Popen[str]", request: dict[str, Any]) -> dict[str, Any]:
        put: IO[str] = process.stdin  # type: ignore[assignment]
        try:
            put.write(json.dumps(request) + "\n")
            put.flush()
        except OSError as error:
            raise ScoreError(_ENDED) from error
        return self._answer(process)

    def _answer(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        """A line of the process.

        Raises:
            ScoreError: it says an error, or nothing.
        """
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise ScoreError(_ENDED)
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise ScoreError(str(found["error"]))
        return found

    def close(self) -> None:
        """End the process; what it is embedding is lost."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process is not None:
            _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    """End a process, whatever it does; its pipes are closed afterwards, as somebody may be reading."""
    process.terminate()
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError, AttributeError):
            pipe.close()  # type: ignore[union-attr]
