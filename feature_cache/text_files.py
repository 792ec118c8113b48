"""Text files that people give, in UTF-8 with or without a byte-order mark: read once, within bounds.

Settings, labels, clip ids and annotations come this way; what is in them is checked by who knows what they mean.
"""

import codecs
import io
import os
import stat
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from feature_cache.errors import Av2aError

MOST_BYTES = 256 << 20
"""Of a list of names, or of annotations."""
MOST_LINES = 5_000_000
MOST_IN_A_LINE = 100_000
"""Characters."""
_OTHERS = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))
_STREAMS = ("/dev/", "/proc/")
"""Where standard input and the shell's `<(command)` are found."""


class TextFileError(Av2aError):
    """A text file that cannot be read; the message begins with its path and ends in the mend."""


def read_text(path: str | PathLike[str], most_bytes: int) -> str:
    r"""A small file's text, line ends as \\n.

    Args:
        path: a file, standard input or a pipe that the shell has made.
        most_bytes: a larger one is refused.

    Raises:
        TextFileError: it is not there, is larger, is no UTF-8 text, or a folder, a pipe of a file system or a device.

    Example:
        >>> read_text("best.toml", 100_000)
        'alpha = 0.5\n'
    """
    return io.TextIOWrapper(io.BytesIO(_checked(path, most_bytes)), encoding="utf-8-sig").read()


def read_lines(path: str | PathLike[str], most_bytes: int = MOST_BYTES, most_lines: int = MOST_LINES) -> Iterator[str]:
    r"""The lines of a text file without their ends, \\n, \\r\\n or \\r.

    Args:
        path: as :func:`read_text` takes it.
        most_bytes: a larger one is refused.
        most_lines: one of more lines is refused.

    Raises:
        TextFileError: likewise, or a line has more than MOST_IN_A_LINE characters; before the first line, but for that.

    Example:
        >>> list(read_lines("labels.txt"))
        ['dog barking', 'speech']
    """
    return (line.removesuffix("\n") for line in Text(path, most_bytes, most_lines).lines())


class Text:
    """A text file that may be gone through several times, line by line."""

    def __init__(self, path: str | PathLike[str], most_bytes: int = MOST_BYTES, most_lines: int = MOST_LINES) -> None:
        """Read it; arguments and errors are those of :func:`read_lines`."""
        self.path = path
        self._data = _checked(path, most_bytes)
        lines = self._data.count(b"\n") or self._data.count(b"\r")
        if lines > most_lines:
            raise TextFileError(f"{path} has {lines:,} lines, at most {most_lines:,} are read: take some out")

    def __contains__(self, text: str) -> bool:
        """Whether a text is in it."""
        return text.encode() in self._data

    def lines(self) -> Iterator[str]:
        r"""Its lines, each but the last with \\n."""
        text = io.TextIOWrapper(io.BytesIO(self._data), encoding="utf-8-sig")
        number = 0
        while line := text.readline(MOST_IN_A_LINE + 1):
            number += 1
            if len(line) > MOST_IN_A_LINE and not line.endswith("\n"):
                raise TextFileError(f"{self.path} line {number} has over {MOST_IN_A_LINE:,} characters: break it")
            yield line


def is_special(path: str | PathLike[str]) -> bool:
    """Whether something is there that is neither a file nor a folder, as standard input: it can be read once alone."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_given(path: str | PathLike[str]) -> bool:
    """Whether it is a stream that this process was given: what else is no file may never end, or never begin."""
    return os.path.abspath(path).startswith(_STREAMS) or os.path.realpath(path).startswith(_STREAMS)  # noqa: PTH100


def _checked(path: str | PathLike[str], most_bytes: int) -> bytes:
    """The bytes of a file, which are UTF-8."""
    try:
        mode = Path(path).stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or _is_given(path)):
            raise TextFileError(f"{path} is a pipe or a device, not a file: write what it gives into a file")
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > most_bytes:
                raise TextFileError(_too_large(path, f"{status.st_size / 1e6:,.0f} MB", most_bytes))
            data = file.read(most_bytes + 1)
    except FileNotFoundError as error:
        raise TextFileError(f"{path} is not there") from error
    except (OSError, ValueError) as error:  # a path that holds a NUL
        raise TextFileError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > most_bytes:
        raise TextFileError(_too_large(path, "longer", most_bytes))
    for mark, name in _OTHERS:
        if data.startswith(mark):
            raise TextFileError(f"{path} is not UTF-8 text but {name}: save it as UTF-8")
    _check_utf8(path, data)
    return data


def _too_large(path: str | PathLike[str], size: str, most_bytes: int) -> str:
    most = f"{most_bytes / 1e6:,.0f} MB" if most_bytes >= 1e6 else f"{most_bytes // 1000} kB"
    return f"{path} is {size}, at most {most} of text are read here: take something out, or name another file"


def _check_utf8(path: str | PathLike[str], data: bytes, block: int = 1 << 20) -> None:
    """Block by block: text of few wide characters may take four times the room of its bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for begin in range(0, len(data), block):
        kept = len(decoder.getstate()[0])
        try:
            decoder.decode(data[begin : begin + block], final=begin + block >= len(data))
        except UnicodeDecodeError as error:
            at = begin - kept + error.start
            raise TextFileError(f"{path} is not UTF-8 text (byte {at}): save it as UTF-8") from error
