"""Commands that a signal ends: one line, a code of its own, nobody left behind, and the same command goes on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from feature_cache import FeatureCache
from tests.command import AV2A, COMPILING, PATIENCE_SECONDS, av2a
from tests.killing import HEAVY, Nursery
from tests.steps import SIZE
from tests.stores import contents

if sys.platform == "win32":
    pytest.skip("Windows has other signals", allow_module_level=True)

SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
ALL = [pytest.param(name, marks=[] if name == "SIGINT" else pytest.mark.slow) for name in SIGNALS]
AT_LLP = ("--annotations", "annotations", "--dataset", "llp")
GRID = ("--alpha", "0:1:0.01", "--gamma", "0:4:0.03125", "--filter-threshold", "0.4,0.45,0.5")

COMMANDS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "extract": (
        ("extract", "-o", "out.zarr", "--backbone", "tiny", "--device", "cpu", "--shard-size", "1"), "rows/c/1/0",
        "whole shards are kept; the same command goes on",
    ),
    "text": (("text", "--labels", "ave", "--name", "out"), "text/out/visual/zarr.json", "begins again"),
    "import": (("import", "features.h5", "-o", "out.zarr"), "audio/c/1/0/0", "begins again"),
    "export": (("export", "-o", "out.h5"), "<audio/c/2/0/0", "begins again"),
    "verify": (("verify",), "<audio/c/2/0/0", "begins again"),
    "info": (("info",), "<rows/c/0/0", "begins again"),
    "score": (("score", "-o", "out.json"), "<audio/c/2/0/0", "begins again"),
    "evaluate": (("evaluate", "events.json", *AT_LLP, "--split", "test", "-o", "out.json"), "<events.json",
                 "begins again"),
    "search, before its first batch": (("search", *AT_LLP, "-o", "out.zarr", *GRID), "<AVVP_eval_audio.csv",
                                       "whole batches are kept; the same command goes on"),
    "search": (("search", *AT_LLP, "-o", "out.zarr", *GRID), "batch000001/zarr.json",
               "whole batches are kept; the same command goes on"),
}  # fmt: skip
"""Words, the change (after "<" the reading) of a file at which the signal comes, and how to go on."""


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery") / "log", HEAVY) as found:
        yield found


@pytest.fixture(scope="module")
def world(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips, their cache, its export, their events; not to be changed."""
    folder = tmp_path_factory.mktemp("world")
    for words in (
        ("demo", "--clips", 2), ("extract", "--backbone", "tiny", "--device", "cpu", "--shard-size", 1), ("export",),
        ("score",),
    ):  # fmt: skip
        ended = nursery.run(words, cwd=folder)
        assert ended.code == 0, ended.err
    return folder


@pytest.fixture(scope="module")
def undisturbed(nursery: Nursery, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where a command that nobody ended has worked."""
    found: dict[str, Path] = {}

    def run(name: str) -> Path:
        if name not in found:
            found[name] = Path(shutil.copytree(world, tmp_path_factory.mktemp("whole") / "here"))
            ended = nursery.run(COMMANDS[name][0], cwd=found[name])
            assert ended.code == 0, ended.err
            (found[name] / "printed").write_text(ended.out)
        return found[name]

    return run


def results(folder: Path) -> Mapping[str, object]:
    """Everything that there is: caches by what is in them, files by their bytes; no search's times."""
    found: dict[str, object] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file():
            found[path.name] = path.read_bytes()
        elif (path / "rows").exists():
            found[path.name] = contents(path)
        else:
            files = sorted(file for file in path.rglob("*") if file.is_file())
            found[path.name] = [(str(file.relative_to(path)), file.read_bytes()) for file in files]
    return {name: value for name, value in found.items() if name != "printed"}


def partials(folder: Path) -> list[Path]:
    return list(folder.rglob("*.partial"))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("sent", ALL)
def test_ended_and_gone_on_with(
    sent: str, name: str, world: Path, nursery: Nursery, undisturbed: Callable[[str], Path], tmp_path: Path
) -> None:
    here = Path(shutil.copytree(world, tmp_path / "here"))
    words, moment, kept = COMMANDS[name]
    ended = nursery.run(words, cwd=here, watch=(here, 1, moment, getattr(signal, sent).value))
    line = ended.err.replace(COMPILING, "")
    how = "interrupted" if sent == "SIGINT" else f"ended by {sent}"
    assert (ended.code, line.count("\n")) == (SIGNALS[sent], 1), line
    assert line.startswith(f"{how}: "), line
    assert kept in line
    assert not partials(here)
    left = results(here)
    for file, before in results(world).items():
        if file != "features.zarr" or name != "text":
            assert left[file] == before, f"{file} was there"
    again = nursery.run(words, cwd=here)
    assert again.code == 0, again.err
    whole = undisturbed(name)
    assert results(here) == results(whole)
    if name in ("verify", "info"):
        assert again.out == (whole / "printed").read_text()


# --- processes that have processes ------------------------------------------------------------------------

DEMO = ("demo", "--clips", "2", "-o", "made")
DEVICES = ("extract", "-o", "out.zarr", "--backbone", "tiny", "--device", "cpu,cpu", "--shard-size", "1")
WITH_PROCESSES = {"demo": (DEMO, "made/videos/demo_*.mp4"), "extract": (DEVICES, "out.zarr/rows/c/*")}


def begin(words: tuple[str, ...], cwd: Path, ignored: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    """The command in a session of its own, with the signals as a terminal's commands have them."""

    def prepare() -> None:
        for name in SIGNALS:
            signal.signal(getattr(signal, name), signal.SIG_IGN if name in ignored else signal.SIG_DFL)

    return subprocess.Popen(
        [str(AV2A), *words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, preexec_fn=prepare, start_new_session=True,
    )  # fmt: skip


def wait_for(process: "subprocess.Popen[str]", condition: Callable[[], object]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def of_session(session: int) -> dict[int, str]:
    """Processes that live, by number, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has just ended
            continue
        if int(after_name[3]) == session and after_name[0] not in "ZX":
            found[int(folder.name)] = words
    return found


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit code and errors, once nobody of its session is left."""
    err = process.communicate(timeout=PATIENCE_SECONDS)[1]
    until = time.monotonic() + PATIENCE_SECONDS
    while left := of_session(process.pid):
        assert time.monotonic() < until, left
        time.sleep(0.01)
    return process.returncode, err


def place(name: str, world: Path, folder: Path) -> Path:
    folder.mkdir()
    if name == "extract":
        shutil.copytree(world / "videos", folder / "videos")
    return folder


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")


def assert_whole(name: str, here: Path, world: Path) -> None:
    """What the commands with processes leave that nobody ended is what those of one process leave."""
    expected, found = results(world), results(here if name == "extract" else here / "made")
    assert found["videos"] == expected["videos"]
    if name == "extract":
        assert found["out.zarr"] == expected["features.zarr"]
    else:
        assert found["annotations"] == expected["annotations"]


@needs_proc
@pytest.mark.parametrize(
    ("name", "sent", "to_all"),
    [
        ("demo", "SIGINT", True),
        *(
            pytest.param(name, sent, to_all, marks=pytest.mark.slow)
            for name, sent, to_all in [
                ("demo", "SIGTERM", False), ("demo", "SIGTERM", True), ("demo", "SIGHUP", True),
                ("extract", "SIGINT", True),
                ("extract", "SIGTERM", False), ("extract", "SIGTERM", True), ("extract", "SIGHUP", True),
            ]
        ),
    ],
)  # fmt: skip
def test_with_processes(name: str, sent: str, to_all: bool, world: Path, tmp_path: Path) -> None:
    """A terminal sends its signals to all of them, a job scheduler its own to one or to all."""
    here = place(name, world, tmp_path / "here")
    words, made = WITH_PROCESSES[name]
    process = begin(words, here)
    wait_for(process, lambda: list(here.glob(made)))
    assert "/dev/shm" not in Path(f"/proc/{process.pid}/maps").read_text(), "semaphores outlive whoever is killed"
    (os.killpg if to_all else os.kill)(process.pid, getattr(signal, sent))
    code, err = ended(process)
    assert (code, err.count("\n")) == (SIGNALS[sent], 1), err
    assert "the same command goes on from here" in err
    assert not partials(here)
    before = {file: file.stat().st_mtime_ns for file in here.glob(made)}
    done = av2a(*words, cwd=here)
    assert (done.code, "Error" in done.err) == (0, False), done.err
    assert_whole(name, here, world)
    if name == "demo":
        assert before == {file: file.stat().st_mtime_ns for file in before}


@needs_proc
@pytest.mark.parametrize("name", ["demo", pytest.param("extract", marks=pytest.mark.slow)])
def test_killed(name: str, world: Path, tmp_path: Path) -> None:
    """Nobody can do anything then; its processes end all the same."""
    here = place(name, world, tmp_path / "here")
    words, made = WITH_PROCESSES[name]
    process = begin(words, here)
    wait_for(process, lambda: list(here.glob(made)))
    process.kill()
    assert ended(process) == (-signal.SIGKILL, "")
    done = av2a(*words, cwd=here)
    assert done.code == 0, done.err
    assert_whole(name, here, world)


@needs_proc
@pytest.mark.parametrize("name", ["demo", pytest.param("extract", marks=pytest.mark.slow)])
def test_a_process_of_a_pool_that_is_killed(name: str, world: Path, tmp_path: Path) -> None:
    """As the system does where the memory is full."""
    here = place(name, world, tmp_path / "here")
    words, made = WITH_PROCESSES[name]
    process = begin(words, here)
    wait_for(process, lambda: list(here.glob(made)))
    workers = [number for number, line in of_session(process.pid).items() if "spawn_main" in line]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    code, err = ended(process)
    assert code == 1, err
    errors = [line for line in err.splitlines() if not line.startswith("note: ")]
    assert len(errors) == 1, err
    assert "ended early (exit code -9), perhaps as the memory was full: the same command goes on from here" in errors[0]
    done = av2a(*words, cwd=here)
    assert done.code == 0, done.err
    assert_whole(name, here, world)


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.0, 0.02])
@pytest.mark.parametrize("name", WITH_PROCESSES)
def test_twice(name: str, pause: float, world: Path, tmp_path: Path) -> None:
    here = place(name, world, tmp_path / "here")
    words, made = WITH_PROCESSES[name]
    process = begin(words, here)
    wait_for(process, lambda: list(here.glob(made)))
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(pause)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    code, err = ended(process)
    assert (code, err.count("\n"), "Traceback" in err) == (130, 1, False), err
    assert av2a(*words, cwd=here).code == 0


# --- the mechanism ----------------------------------------------------------------------------------------

FRAME = """
import gc, hashlib, os, signal, sys, threading, time
from feature_cache import stopping

stopping.catch(lambda: f"{stopping.how()}: said")
try:
    with stopping.within():
        print("ready", flush=True)
        %s
        print("went on")
except stopping.Stopped:
    print("stopped")
stopping.end()
"""
IN_C = """
        sys.setswitchinterval(1000)  # no thread runs before the main one gives way, inside the library
        go = threading.Event()
        threading.Thread(target=lambda: (go.wait(), print("inside", flush=True)), daemon=True).start()
        go.set()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
"""
IN_A_DESTRUCTOR = """
        class Slow:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(100):
                    pass

        Slow()
        time.sleep(1000)
"""
HELD = """
        with stopping.held():
            os.kill(os.getpid(), signal.SIGINT)
            print("whole")
"""


def python(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", FRAME % code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def test_a_second_signal_ends_what_hears_none() -> None:
    """The main thread is in a library's code, and will be for hours."""
    process = python(IN_C)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "inside\n"]
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode in (130, 143)
    assert out == ""
    assert err in ("interrupted: said\n", "ended by SIGTERM: said\n")


@pytest.mark.parametrize(
    ("code", "out"), [(IN_A_DESTRUCTOR, "ready\nstopped\n"), (HELD, "ready\nwhole\nstopped\n")], ids=["lost", "held"]
)
def test_the_exception_arrives(code: str, out: str) -> None:
    """Even if it was raised where nobody can catch it; and not in the middle of what must not be interrupted."""
    process = python(code)
    assert process.communicate(timeout=PATIENCE_SECONDS) == (out, "interrupted: said\n")
    assert process.returncode == 130


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT"])
def test_what_is_ignored_stays_ignored(name: str, world: Path, tmp_path: Path) -> None:
    """As under nohup, or in a shell's background."""
    shutil.copytree(world / "features.zarr", tmp_path / "features.zarr")
    process = begin(("verify",), tmp_path, ignored=(name,))
    while process.poll() is None:
        process.send_signal(getattr(signal, name))
        time.sleep(0.01)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "nothing is damaged" in out


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_nowhere_to_say_it(closed: str, world: Path, tmp_path: Path) -> None:
    """The events come from a pipe that nobody writes to: the command waits, until it is ended."""
    shutil.copytree(world / "annotations", tmp_path / "annotations")
    os.mkfifo(tmp_path / "events.json")
    words = ("evaluate", *AT_LLP, "--split", "test", "-o", "out.json")
    process = subprocess.Popen(["sh", "-c", f'exec "$@" {closed}', "sh", AV2A, *words], cwd=tmp_path)
    pipe = None
    while pipe is None:
        assert process.poll() is None
        with suppress(OSError):  # there is no reader yet
            pipe = os.open(tmp_path / "events.json", os.O_WRONLY | os.O_NONBLOCK)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE_SECONDS) == 143
    os.close(pipe)
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("times", [1, 2])
def test_on_a_terminal(times: int, tmp_path: Path) -> None:
    """While the bar is drawn, again and again: nothing but the bar and one line, and the cursor is there again."""
    import pty

    FeatureCache.create(
        tmp_path / "features.zarr", clip_ids=[f"clip{n}" for n in range(20_000)], **{**SIZE, "shard_size": 1}
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [AV2A, "verify"], cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # on Linux the end
        while part := os.read(ours, 65536):
            if b"reading" in part and b"reading" not in shown:
                for _ in range(times):
                    process.send_signal(signal.SIGINT)
            shown += part
    os.close(ours)
    assert process.wait(timeout=PATIENCE_SECONDS) == 130
    *before, line, end = shown.split(b"\r\n")
    assert line.endswith(b"interrupted: files are there whole or as they were; the same command begins again")
    assert end == b""
    assert all(b"reading" in each or not each for each in before), shown
    assert line.count(b"\x1b[?25h") or shown.count(b"\x1b[?25l") == 0
