"""A JSON text read in pieces: where values begin and end is found, and no more of it is kept than one of them."""

import io
import re

from score.errors import ScoreError
from score.formats.base import Progress

CHUNK = 1 << 20
"""Bytes read at once."""
MOST_STRING = 1 << 16
"""Bytes of one string or number: a name of 4,096 characters has room, each written as an escape."""
MOST_DEPTH = 50
MOST_VALUE = 1 << 28
"""Bytes of one value: ten million clips have room."""

_SPACE = re.compile(rb"[ \t\r\n]*+")
_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[{}\[\]]', re.DOTALL)
_SCALAR = re.compile(rb'[^\s,:"{}\[\]]*+')


class JsonBytes:
    """Reads a file of JSON in UTF-8, a byte-order mark or not."""

    def __init__(self, file: io.FileIO, size: int, progress: Progress) -> None:
        """Begin where the file stands."""
        self._file, self._size, self._progress = file, size, progress
        self._before = file.tell() if file.seekable() else 0
        self._buffer = bytearray()
        self._at = 0
        if self._before == 0 and self._fill(3) and self._buffer.startswith(b"\xef\xbb\xbf"):
            self._at = 3

    @property
    def position(self) -> int:
        """Bytes of the file before what is read next."""
        return self._before + self._at

    def peek(self) -> bytes:
        """The next character that is no space; nothing at the end."""
        while True:
            self._at = _end_of(_SPACE, self._buffer, self._at)
            if self._at < len(self._buffer):
                return bytes(self._buffer[self._at : self._at + 1])
            if not self._fill(1):
                return b""

    def take(self, expected: bytes) -> None:
        """Read one character.

        Raises:
            ScoreError: another one stands there.
        """
        found = self.peek()
        if found != expected:
            what = repr(found.decode("latin-1")) if found else "the end"
            raise ScoreError(f"{expected.decode()!r} expected at byte {self.position}, found {what}")
        self._at += 1

    def skip(self, count: int) -> None:
        """Read bytes that were seen by :meth:`ahead`."""
        self._at += count

    def ahead(self, ending: bytes) -> bytes:
        """What is read next, a chunk or so, up to the last such ending in it; nothing where there is none."""
        self._fill(CHUNK)
        return bytes(self._buffer[self._at : self._buffer.rfind(ending, self._at) + len(ending)])

    def value(self) -> bytes:
        """The next value as it is written.

        Raises:
            ScoreError: none is there, it is too deep or too large, or the text ends in it.
        """
        first = self.peek()
        if first not in (b'"', b"{", b"["):
            return self._scalar()
        depth, size = 0, 0  # of what was looked at
        while True:
            start, end, whole = _next_mark(self._buffer, self._at + size)
            if not whole:
                self._check_string(end - start)
                size = start - self._at
                if not self._fill(len(self._buffer) - self._at + 1):
                    raise ScoreError(f"it ends in the middle, at byte {self._before + len(self._buffer)}")
                continue
            self._check_string(end - start)
            size = end - self._at
            mark = self._buffer[start]
            depth += 1 if mark in b"{[" else -1 if mark in b"}]" else 0
            if depth > MOST_DEPTH:
                raise ScoreError(f"more than {MOST_DEPTH} lists and objects in each other at byte {self._before + end}")
            if depth <= 0:
                piece = bytes(self._buffer[self._at : end])
                self._at = end
                return piece

    def _scalar(self) -> bytes:
        self._fill(MOST_STRING + 1)
        end = _end_of(_SCALAR, self._buffer, self._at)
        if end == self._at:
            raise ScoreError(f"no value at byte {self.position}")
        self._check_string(end - self._at)
        piece = bytes(self._buffer[self._at : end])
        self._at = end
        return piece

    def _check_string(self, size: int) -> None:
        if size > MOST_STRING:
            raise ScoreError(f"a text or number of over {MOST_STRING:,} bytes at byte {self.position}")

    def _fill(self, count: int) -> bool:
        """Have at least ``count`` bytes from where the text is read, if there are so many."""
        if count > MOST_VALUE:
            raise ScoreError(f"a value of over {MOST_VALUE:,} bytes at byte {self.position}")
        if len(self._buffer) - self._at < count:
            self._before += self._at
            del self._buffer[: self._at]
            self._at = 0
            while len(self._buffer) < count and (piece := self._file.read(CHUNK)):
                self._buffer += piece
            self._progress(min(self._before + len(self._buffer), self._size), self._size)
        return len(self._buffer) - self._at >= count


def _end_of(pattern: re.Pattern[bytes], text: bytearray, at: int) -> int:
    """Where a match that begins at a place ends: that place where there is none."""
    found = pattern.match(text, at)
    return found.end() if found else at


def _next_mark(text: bytearray, at: int) -> tuple[int, int, bool]:
    """Where the next string or bracket begins and ends, and whether it does end; no match may live, as texts grow."""
    found = _MARK.search(text, at)
    if found is None:
        return len(text), len(text), False
    return found.start(), found.end(), found[1] != b""
