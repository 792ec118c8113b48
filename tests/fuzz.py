"""Fuzzing the command: seeded mutators of what it reads, many cases in one warm process, and what must hold of each.

A mutator is a function of bytes and a generator, bytes -> bytes: mutators know the structure of a kind of file and
break it in one place. A case is sound if :func:`check_end` takes it; where the command was content, the caller compares
what it wrote with what was written for the file as it was, or with what an independent reading of the file says.
"""

import io
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from tests.command import AV2A, COMPILING
from tests.posix import kill_session, most_memory

Mutator = Callable[[bytes, random.Random], bytes]
CODES = {0, 1, 2, 3}
MOST_MEMORY = 1 << 30
MOST_SECONDS = 120
"""When a case is taken to hang, on the slowest machine; on a usual one each ends within 10."""
MOST_OF_A_LINE = 300


class End(NamedTuple):
    """How a case ended; ``peak`` in bytes, 0 where it ran in this process."""

    code: int
    out: str
    err: str
    peak: int = 0


@contextmanager
def bounded(seconds: int = MOST_SECONDS) -> Iterator[None]:
    """Raise TimeoutError in what hangs, in the main thread of a system with alarms."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it hangs: over {seconds} s")

    if sys.platform == "win32":
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run_here(words: Sequence[object], cwd: Path) -> End:
    """The command in this process: quick after the first time. What escapes it is raised."""
    from av2a_cli import main

    out, err = io.StringIO(), io.StringIO()
    before = Path.cwd()
    os.chdir(cwd)
    code: int | str | None = 0
    try:
        with bounded(), redirect_stdout(out), redirect_stderr(err):
            main([str(word) for word in words], prog_name="av2a")
    except SystemExit as end:
        code = end.code
    finally:
        os.chdir(before)
    assert isinstance(code, int | None)
    return End(code or 0, out.getvalue(), err.getvalue().replace(COMPILING, ""))


def run_alone(words: Sequence[object], cwd: Path) -> End:
    """The command in a process of its own, with the most memory that it took."""
    out, err, end = (cwd / f".{name}" for name in ("out", "err", "end"))
    line = [sys.executable, "-S", "-c", _LAUNCH, str(end), str(AV2A), *map(str, words)]
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            line, cwd=cwd, stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err, start_new_session=True
        )
        try:
            process.wait(timeout=MOST_SECONDS)
        except BaseException:
            kill_session(process.pid)
            process.wait()
            raise
    code, peak = map(int, end.read_text().split())
    shown, said = (file.read_text(encoding="utf-8", errors="surrogateescape") for file in (out, err))
    return End(code, shown, said.replace(COMPILING, ""), peak * (1 if sys.platform == "darwin" else 1024))


_LAUNCH = """
import os, sys
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
with open(sys.argv[1], "w") as end:
    end.write(f"{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss}")
"""
"""A small process between: one that is started by a large one is taken for as large."""


def check_end(end: End) -> None:
    """What must hold however a case ended."""
    assert end.code in CODES, end
    assert "Traceback" not in end.err, end.err
    assert end.peak < MOST_MEMORY, end.peak
    for text in (end.out, end.err) if end.peak else ():  # in this process nothing stands before a terminal
        assert text.replace("\n", "").replace("\t", "").isprintable(), ascii(text)
    if end.code in (1, 2):
        line = end.err.strip().splitlines()[-1]
        assert line.startswith("Error: "), end.err
        assert len(line) <= MOST_OF_A_LINE, line
        assert end.code == 2 or end.err.count("\n") == 1, end.err


def peak_here() -> int:
    """The most memory that this process has had so far, in bytes."""
    return most_memory()


def mutants(data: bytes, mutators: Sequence[Mutator], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many broken versions, equal for equal seeds, each with the names of the mutators that made it."""
    rng = random.Random(seed)
    for _ in range(count):
        chosen = rng.choices(mutators, k=rng.choice((1, 1, 1, 2)))
        found = data
        for mutator in chosen:
            found = mutator(found, rng)
        yield "+".join(mutator.__name__ for mutator in chosen), found


# --- mutators of any text -----------------------------------------------------------------------------------

WORDS = (
    b"", b"0", b"-1", b"1e400", b"-1e400", b"nan", b"inf", b"1" * 5000, b"0x" + b"f" * 5000, b"9" * 400, b"true",
    b"null", b'""', b'"', b"'''", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xae", b"\x1b[2J", b"\xc2\x9b2J",
    b"\r", b"\n", b"\xe2\x80\xa8", b"[" * 3000, b"{" * 3000, b"a." * 400, b"`((((`", b"[/]", b"x" * 1001,
    b"x" * 120_000, b"&", b"\t", b"#",
)  # fmt: skip
"""What stands where something else is expected."""


def flip(data: bytes, rng: random.Random) -> bytes:
    """One bit, or a few bytes, are others."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 4)) if found else 0):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def cut_off(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def drop_a_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    del lines[rng.randrange(len(lines))]
    return b"\n".join(lines)


def repeat_a_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return b"\n".join(lines)


def another_word(data: bytes, rng: random.Random) -> bytes:
    """A token is replaced: a name, a number or what stands between them."""
    spans = [match.span() for match in re.finditer(rb"[^\s=&,:{}\[\]\"]+|[\t&=,:\"]", data)]
    if not spans:
        return rng.choice(WORDS)
    begin, end = rng.choice(spans)
    return data[:begin] + rng.choice(WORDS) + data[end:]


def insert_a_word(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(WORDS) + data[at:]


def other_encoding(data: bytes, rng: random.Random) -> bytes:
    return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7")))


def other_line_ends(data: bytes, rng: random.Random) -> bytes:
    return data.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\x0b", b" ")))


ANY_TEXT: tuple[Mutator, ...] = (
    flip, cut_off, drop_a_line, repeat_a_line, another_word, another_word, another_word, insert_a_word, other_encoding,
    other_line_ends,
)  # fmt: skip


# --- of TOML, and of tables -----------------------------------------------------------------------------------


def toml_key(data: bytes, rng: random.Random) -> bytes:
    """A key becomes another: dotted, quoted, a table's, twice."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    key = lines[at].partition(b"=")[0].strip() or b"alpha"
    new = rng.choice((
        b"[" + key + b"]", b"[[" + key + b"]]", key + b".x = 1", b'"' + key + b'" = 0.5', key + b" = {a = 1}",
        key + b" = [0.5]", b".".join([key] * 300) + b" = 1", key + b" = 2020-01-01", key + b' = "0.5"',
        key + b" = 0.5\n" + key + b" = 0.6", key.upper() + b" = 0.5", key + b" = 0x1", key + b" = 1_0.5",
    ))  # fmt: skip
    return b"\n".join([*lines[:at], new, *lines[at + 1 :]])


def table_row(data: bytes, rng: random.Random) -> bytes:
    """A row is ragged, has cells in another order, in quotes, or without a partner of a quote."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    delimiter = b"&" if b"&" in data else b"\t"
    cells = lines[at].split(delimiter)
    way = rng.randrange(6)
    if way == 0:
        cells.pop()
    elif way == 1:
        cells.append(rng.choice(WORDS))
    elif way == 2:
        rng.shuffle(cells)
    elif way == 3:
        cells = [b'"' + cell + b'"' for cell in cells]
    elif way == 4:
        cells[rng.randrange(len(cells))] += b'"'
    else:
        cells[rng.randrange(len(cells))] = rng.choice(WORDS)
    return b"\n".join([*lines[:at], delimiter.join(cells), *lines[at + 1 :]])


TOML: tuple[Mutator, ...] = (*ANY_TEXT, toml_key, toml_key, toml_key)
TABLE: tuple[Mutator, ...] = (*ANY_TEXT, table_row, table_row, table_row)
