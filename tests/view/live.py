"""`av2a tune` as people start it: a process, the address that it prints, requests to it."""

import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.command import AV2A, PATIENCE_SECONDS


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Live:
    """A server that answers.

    Attributes:
        url: that it printed.
        process: of the command.
    """

    url: str
    process: "subprocess.Popen[str]"

    @property
    def address(self) -> tuple[str, int]:
        found = urlsplit(self.url)
        return found.hostname or "", found.port or 0

    def ask(
        self, path: str, said: Any = None, *, method: str | None = None, headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:  # fmt: skip
        """A request: of what is said, as JSON, or of a body as it is; again, where there were too many at a time."""
        while (found := self._ask(path, said, method, headers, body)).status == 429:
            time.sleep(0.1)
        return found

    def _ask(
        self, path: str, said: Any, method: str | None, headers: Mapping[str, str] | None, body: bytes | None
    ) -> Answer:  # fmt: skip
        content = body if body is not None else None if said is None else json.dumps(said).encode()
        usual = {} if content is None else {"Content-Type": "application/json"}
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE_SECONDS)
        try:
            connection.request(
                method or ("GET" if content is None else "POST"), path, content, {**usual, **(headers or {})}
            )
            found = connection.getresponse()
            return Answer(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())
        finally:
            connection.close()

    def state(self) -> Any:
        return self.ask("/api/state").json()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def tuning(*words: object, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Live]:
    """A server of `av2a tune` on a port that is free, until the block ends."""
    command = [str(AV2A), "tune", *map(str, words), "--no-browser"]
    command += [] if "--port" in words else ["--port", "0"]
    with (cwd / "tune.err").open("w") as said:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=said, text=True
        )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://"), (cwd / "tune.err").read_text()
        yield Live(url, process)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        assert "Traceback" not in (cwd / "tune.err").read_text()
        if process.stdout is not None:
            process.stdout.close()
