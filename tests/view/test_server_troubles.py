"""What goes wrong beside the server: processes that end, files that vanish, errors that nobody expected."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from feature_cache import CacheError, FeatureCache
from score import read_annotations
from score.view import finder as module
from score.view.app import make_app
from score.view.desk import Desk
from score.view.finder import Finder
from score.view.guard import Guard
from score.view.serving import address_here
from score.view.words import Words
from tests.command import AV2A, PATIENCE_SECONDS, refusal
from tests.golden_scoring import GoldenSet
from tests.posix import HANG_UP, limit_files, make_pipe
from tests.view.live import Live, tuning

ANSWERS = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    labels = json.loads(line)["labels"]
    if "end" in labels:
        sys.exit(3)
    if "wait" in labels:
        sys.stdin.readline()
    print(json.dumps({"error": "no such words"} if "error" in labels else {"labels": len(labels)}), flush=True)
"""
"""A process that embeds nothing, and waits, fails or ends as it is told."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("troubles")
    GoldenSet.load("language_bind_llp").make_cache(found / "features.zarr")
    GoldenSet.write_annotations(found / "llp")
    (found / "videos").mkdir()
    for clip in FeatureCache.open(found / "features.zarr").clip_ids[:3]:
        (found / "videos" / f"{clip}.mp4").write_bytes(b"video" * 100)
    return found


@pytest.fixture(scope="module")
def live(folder: Path) -> Iterator[Live]:
    with tuning("--annotations", "llp", "--dataset", "llp", "--split", "test", cwd=folder) as found:
        yield found


def wait_for(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


# --- new words ------------------------------------------------------------------------------------------


class Opens:
    """What new words need of a desk."""

    def __init__(self, error: Exception | None = None) -> None:
        self.opened, self.error = SimpleNamespace(text_names=["demo"]), error

    def reopen(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def words() -> Iterator[Words]:
    found = Words(Opens(), [sys.executable, "-c", ANSWERS])  # type: ignore[arg-type]
    yield found
    found.close()


def after(words: Words, *labels: str) -> dict[str, Any]:
    words.add(labels)
    wait_for(lambda: words.state["status"] != "working")
    return words.state


def test_a_process_that_ends_is_started_again(words: Words) -> None:
    assert after(words, "a", "b")["status"] == "done"
    assert after(words, "a", "error")["error"] == "no such words"
    assert "has ended" in after(words, "a", "end")["error"]
    assert after(words, "a", "b", "c")["status"] == "done"


def test_a_process_that_cannot_be_started() -> None:
    found = after(Words(Opens(), ["/nowhere/at/all"]), "a", "b")  # type: ignore[arg-type]
    assert found["status"] == "failed"


@pytest.mark.parametrize("error", [CacheError("it is damaged"), KeyError("it is damaged")], ids=str)
def test_a_cache_that_cannot_be_opened_again(error: Exception, capfd: pytest.CaptureFixture[str]) -> None:
    words = Words(Opens(error), [sys.executable, "-c", ANSWERS])  # type: ignore[arg-type]
    found = after(words, "a", "b")
    words.close()
    assert found["status"] == "failed"
    assert "it is damaged" in found["error"]
    assert "Traceback" not in capfd.readouterr().err


def test_words_are_dropped_where_the_server_ends(words: Words) -> None:
    """Whatever the process is at; afterwards there is none."""
    words.add(["a", "wait"])
    wait_for(lambda: words._process is not None)
    process = words._process
    words.close()
    assert process is not None
    assert process.poll() is not None
    wait_for(lambda: words.state["status"] == "failed")
    assert after(words, "c", "d")["status"] == "failed"
    assert words._process is None


# --- searches -------------------------------------------------------------------------------------------


def test_searches_begin_one_after_the_other(folder: Path) -> None:
    desk = Desk(str(folder / "features.zarr"), read_annotations("llp", folder / "llp", split="test"), threads=1)
    finder, config = Finder(desk), desk.usual("threshold")
    both = [threading.Thread(target=finder.start, args=(None, config, ["threshold"], 60, None)) for _ in range(4)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sum(thread.name == "av2a-find" for thread in threading.enumerate()) == 1
    finder.stop()
    assert not any(thread.name == "av2a-find" for thread in threading.enumerate())


def test_a_long_search_keeps_few_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that it tries it keeps the best."""
    monkeypatch.setattr(module, "_MOST_KEPT", 600)
    monkeypatch.setattr(module, "MOST_POINTS", 40)
    seen: list[float] = []
    sizes: list[int] = []
    thinned = module._thinned

    def thin(values: Any) -> Any:
        seen.append(float(values.max()))
        sizes.append(len(values))
        return thinned(values)

    monkeypatch.setattr(module, "_thinned", thin)
    desk = Desk(str(folder / "features.zarr"), read_annotations("llp", folder / "llp", split="test"), threads=1)
    finder = Finder(desk)
    finder.start(None, desk.usual("threshold"), ["threshold", "run_penalty"], 60, None)
    wait_for(lambda: finder.state["tried"] > 3000)
    finder.stop()
    found = finder.state
    assert (found["error"], len(found["points"])) == (None, 40)
    assert max(sizes) < 1000
    assert seen == sorted(seen)
    assert found["best"]["value"] == found["points"][0][-1] == max(seen)


def test_a_search_that_fails_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("nobody\nexpected this")

    desk = Desk(str(folder / "features.zarr"), read_annotations("llp", folder / "llp", split="test"), threads=1)
    finder, config = Finder(desk), desk.usual("threshold")
    monkeypatch.setattr(finder, "_search", fails)
    finder.start(None, config, ["threshold"], 1, None)
    wait_for(lambda: not finder.state["running"])
    assert "failed" in finder.state["error"]
    said = capfd.readouterr().err
    assert "KeyError" in said
    assert said.count("\n") == 1


# --- requests -------------------------------------------------------------------------------------------


async def fails(_: Any, __: Any, send: Any) -> None:
    raise KeyError("nobody\nexpected \x1b[31mthis")


async def fails_late(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise KeyError("nobody\nexpected \x1b[31mthis")


def failing_state() -> Any:
    """The real application, of tools of which none is there."""
    return make_app(SimpleNamespace())  # type: ignore[arg-type]


@pytest.mark.parametrize(("app", "status"), [(fails, 500), (fails_late, 200), (failing_state(), 500)])
def test_an_error_that_nobody_expected(app: Any, status: int, capfd: pytest.CaptureFixture[str]) -> None:
    """One line on the terminal, one for the page, and nothing that the server would stumble over."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/api/find", "query_string": b"", "headers": [(b"host", b"here")],
    }  # fmt: skip
    asyncio.run(Guard(app, frozenset(["here"]))(scope, receive, send))
    assert [message["status"] for message in sent if "status" in message] == [status]
    assert status == 200 or "terminal" in json.loads(sent[-1]["body"])["error"]
    said = capfd.readouterr().err
    assert said.startswith("GET /api/find: ")
    assert "Error: " in said
    assert said.count("\n") == 1
    assert "\x1b" not in said


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "//", "\xff"])
def test_origins_that_are_none(live: Live, origin: str) -> None:
    assert live.ask("/api/alive", headers={"Origin": origin}).status == 403


def test_values_of_other_kinds(live: Live) -> None:
    state = live.state()
    usual = {"rule": "exchange", "parameters": state["usual"]["exchange"]}
    centers: tuple[Any, ...] = ([], {}, None, 1, [["cache"]])
    for center in centers:
        setting = {**usual, "parameters": {**usual["parameters"], "center": center}}
        found = live.ask("/api/clip", {"clip": 0, "setting": setting})
        assert found.status == 400
        assert "center" in found.json()["error"]
    for seconds in (10**400, -(10**400), "1", None, True, 0):
        found = live.ask("/api/find", {"setting": usual, "vary": ["cost"], "seconds": seconds})
        assert found.status == 400
        assert "seconds" in found.json()["error"]


def test_files_that_vanish(live: Live, folder: Path) -> None:
    """Before they are asked for, and where something else is in their place."""
    clips = [clip["id"] for clip in live.state()["clips"]]
    assert live.ask("/media/0").status == 200
    for number, instead in ((0, None), (1, Path.mkdir), (2, make_pipe)):
        file = folder / "videos" / f"{clips[number]}.mp4"
        file.unlink()
        if instead is not None:
            instead(file)
        found = live.ask(f"/media/{number}")
        assert (found.status, "error" in found.json()) == (404, True)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have 127.0.0.1 alone")
def test_every_name_of_this_machine_is_answered(folder: Path) -> None:
    with tuning("--host", "127.0.0.2", cwd=folder) as live:
        assert live.url.startswith("http://127.0.0.2:")
        assert live.ask("/", headers={"Origin": live.url.rstrip("/")}).status == 200


def test_an_address_that_others_can_open() -> None:
    assert address_here("0.0.0.0") not in ("", "0.0.0.0")
    assert address_here("::") not in ("", "::")


# --- files and signals ----------------------------------------------------------------------------------


def begin(folder: Path, *words: str, **how: Any) -> "subprocess.Popen[str]":
    command = [str(AV2A), "tune", "features.zarr", "--no-browser", "--port", "0", *words]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, **how
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize("words", [("-o", "nowhere/best.toml"), ()])
def test_files_that_cannot_be_written(folder: Path, words: tuple[str, ...], tmp_path: Path) -> None:
    """No such folder; a full disk."""
    shutil.copytree(folder / "features.zarr", tmp_path / "features.zarr")
    process = begin(tmp_path, *words, preexec_fn=None if words else lambda: limit_files(50))
    with process:
        assert process.stdout is not None
        live = Live(process.stdout.readline().strip(), process)
        state = live.state()
        for path, more in (("save", {}), ("events", {"name": "e.json"}), ("events", {"name": "e.csv"})):
            found = live.ask(f"/api/{path}", {"setting": state["setting"], "text": state["text"], **more})
            assert found.status == 400
            assert found.json()["error"].startswith("nowhere/" if words else ("best.toml", "e."))
        assert live.stop() == 128 + signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir()] == ["features.zarr"]


def test_where_nothing_is_published(tmp_path: Path) -> None:
    """What is missing is said in a line; where it is given, it is what the page calls usual."""
    rng = np.random.default_rng(0)
    cache = FeatureCache.from_arrays(
        tmp_path / "features.zarr", clip_ids=["a"], backbone="mine", image=rng.standard_normal((1, 10, 8)),
        video=rng.standard_normal((1, 46, 1, 8)), audio=rng.standard_normal((1, 46, 8)),
    )  # fmt: skip
    cache.add_text("t", labels=["x", "y"], visual=np.eye(2, 8), audio=np.eye(2, 8))
    assert "give alpha, " in refusal("tune", "--no-browser", "--port", 0, cwd=tmp_path)
    numbers = {"alpha": 0.5, "filter_threshold": 0.3, "threshold_stage1": 0.6, "threshold_stage2": 0.6, "gamma": 2.0}
    options = [word for name, value in numbers.items() for word in (f"--{name.replace('_', '-')}", value)]
    with tuning(*options, cwd=tmp_path) as live:
        state = live.state()
        assert {"rule": "av2a", "parameters": state["usual"]["av2a"]} == state["setting"]
        assert live.ask("/api/usual", {"rule": "av2a"}).json() == {"setting": state["setting"]}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_a_search_ends_with_the_command(folder: Path) -> None:
    with begin(folder, "--annotations", "llp", "--dataset", "llp", "--split", "test") as process:
        assert process.stdout is not None
        live = Live(process.stdout.readline().strip(), process)
        process.stdout.close()  # as `av2a tune | head -1`
        state = live.state()
        said = {"setting": state["setting"], "text": state["text"], "vary": ["alpha"], "seconds": 600}
        assert live.ask("/api/find", said).json() == {"running": True}
        process.send_signal(HANG_UP)
        assert process.wait(PATIENCE_SECONDS) == 128 + HANG_UP
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
