"""The process that embeds labels again and again: answers, refusals, its end; sets as `av2a text` writes them."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extract import extract_videos, resolve_labels
from feature_cache import FeatureCache
from tests.command import av2a
from tests.extraction import extract
from tests.media import make_video
from tests.models import make_checkpoint

LABELS = ["Dog", " Train_horn ", "# not a label", "", "Yak"]
PATIENCE_SECONDS = 600
"""When it is taken that nothing comes any more: the last resort."""


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Caches of one clip, of toy encoders and of a checkpoint's."""
    folder = tmp_path_factory.mktemp("worker")
    video = make_video(folder / "clip.mp4", frames=20, fps=2)
    extract_videos(video, folder / "tiny.zarr", backbone="tiny", device="cpu", labels="ave")
    extract(video, folder / "random.zarr", checkpoint, labels="ave")
    (folder / "mine.txt").write_text("\n".join(LABELS))
    return folder


class Running:
    """A worker: what is asked, and what it answers."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def line(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, request: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write((request if isinstance(request, str) else json.dumps(request)) + "\n")
        self.process.stdin.flush()
        return self.line()


def command(*words: object) -> list[str]:
    return [sys.executable, "-P", "-m", "extract.label_worker", *map(str, words)]


@contextmanager
def worker(*words: object, cwd: Path, env: dict[str, str] | None = None) -> Iterator[Running]:
    process = subprocess.Popen(
        command(*words), cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip
    timer = threading.Timer(PATIENCE_SECONDS, process.kill)
    timer.start()
    try:
        yield Running(process)
    finally:
        process.kill()
        process.communicate()
        timer.cancel()


def contents(path: Path, name: str) -> tuple[Any, ...]:
    text = FeatureCache.open(path).text(name)
    return text.labels, text.visual.tobytes(), text.audio.tobytes(), dict(text.prompts)


def test_sets_are_those_of_the_command(folder: Path) -> None:
    """Every array, and the prompts; of a list that is a packaged set its prompts; refusals leave it running."""
    path = folder / "tiny.zarr"
    with worker("tiny.zarr", cwd=folder) as running:
        assert running.line() == {"ready": True}
        assert running.ask({"labels": LABELS, "name": "mine"}) == {
            "name": "mine", "labels": 3, "new": True, "notes": []
        }  # fmt: skip
        for request, said in (
            (
                {"labels": ["Dog", "Yak", "dog"], "name": "x"},
                "the list, line 3: 'dog' is on line 1 already: remove one",
            ),
            ({"labels": ["Dog"], "name": "x"}, "the list has 1 label(s): at least 2, one a line, are needed"),
            ({"labels": ["Dog", "a\nb"], "name": "x"}, "the list, line 2: 'a\\x0ab' is no label: it holds"),
            ({"labels": ["Dog", "\ud800"], "name": "x"}, "is no label: "),
            ({"labels": ["Dog", "Yak"], "name": "../x"}, "text set name '../x': use letters"),
            ({"labels": ["Dog", 3], "name": "x"}, "a request is one line such as"),
            ({"labels": ["Dog", "Yak"]}, "a request is one line such as"),
            ("[" * 100_000, "a request is one line such as"),
            ("no JSON", "a request is one line such as"),
        ):
            answer = running.ask(request)
            assert set(answer) == {"error"}
            assert said in answer["error"]
            assert "\n" not in answer["error"]
        bare = running.ask({"labels": resolve_labels("ov-avebench")[1], "name": "bare"})
        assert (bare["name"], bare["labels"]) == ("bare", 67)
        assert running.ask({"labels": ["Cat", "Yak"], "name": "again"})["labels"] == 2
        assert running.ask({"labels": ["Yak", "Dog", "Cat"], "name": "again"})["labels"] == 3
        out, err = running.process.communicate()
        assert (running.process.returncode, out) == (0, ""), err
    assert set(FeatureCache.open(path).text_names) == {"again", "ave", "bare", "mine"}
    assert contents(path, "again")[0] == ("Yak", "Dog", "Cat")
    done = av2a("text", "tiny.zarr", "--labels", "mine.txt", "--name", "theirs", "--overwrite", cwd=folder)
    assert done.code == 0, done.err
    assert contents(path, "mine") == contents(path, "theirs")
    assert contents(path, "mine")[0] == ("Dog", "Train_horn", "Yak")
    assert contents(path, "bare")[3]["audio"][0] == "airplane flyby"
    assert not np.allclose(
        FeatureCache.open(path).text("mine").visual[0], FeatureCache.open(path).text("mine").visual[1]
    )


def test_weights_are_those_of_the_cache(folder: Path, checkpoint: Path, tmp_path: Path) -> None:
    from extract import add_label_set

    with worker("random.zarr", "--checkpoint", checkpoint, cwd=folder) as running:
        assert running.line() == {"ready": True}
        long = "somebody plays an old accordion " * 16
        answer = running.ask({"labels": ["Dog", f"{long}slowly", f"{long}fast"], "name": "mine"})
        assert (answer["labels"], len(answer["notes"])) == (3, 2)
        assert answer["notes"][0].startswith("longer than clip_clap reads, for pictures and sound")
        (tmp_path / "mine.txt").write_text(f"Dog\n{long}slowly\n{long}fast\n")
        add_label_set(folder / "random.zarr", tmp_path / "mine.txt", "theirs", checkpoint=checkpoint)
        assert contents(folder / "random.zarr", "mine") == contents(folder / "random.zarr", "theirs")
        extract_videos(folder / "clip.mp4", tmp_path / "other.zarr", backbone="tiny", device="cpu", labels="ave")
        (folder / "random.zarr").rename(tmp_path / "away.zarr")
        (tmp_path / "other.zarr").rename(folder / "random.zarr")
        assert running.ask({"labels": ["Dog", "Yak"], "name": "x"})["error"].endswith(
            "random.zarr is another cache now, of tiny: start again"
        )
        (folder / "random.zarr").rename(tmp_path / "other.zarr")
        assert "is not there" in running.ask({"labels": ["Dog", "Yak"], "name": "x"})["error"]
        (tmp_path / "away.zarr").rename(folder / "random.zarr")
    make_checkpoint(tmp_path / "other", seed=1)
    with worker("random.zarr", "--checkpoint", tmp_path / "other", cwd=folder) as running:
        assert "random.zarr was made with other weights (clip.sha256 " in running.line()["error"]
        assert running.process.wait() == 1


def test_what_is_lacking_is_what_the_command_says(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ModuleNotFoundError('none', name='torch')\n")
    with worker("tiny.zarr", cwd=folder, env={"PYTHONPATH": str(tmp_path)}) as running:
        answer = running.line()
        assert running.process.wait() == 1
    done = av2a("text", "tiny.zarr", "--labels", "mine.txt", cwd=folder, env={"PYTHONPATH": str(tmp_path)})
    assert done.err.strip() == f"Error: {answer['error']}"
    with worker("nothing.zarr", cwd=folder) as running:
        assert running.line()["error"].startswith("nothing.zarr is not there")
        assert running.process.wait() == 1


_STARTER = """
import subprocess, sys, threading, time
thread = threading.Thread(target=subprocess.Popen, args=(sys.argv[1:],))
thread.start()
thread.join()
time.sleep(3600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the end of standard input does it there")
def test_it_ends_with_whoever_started_it(folder: Path) -> None:
    """Not with the thread that did; and though standard input is open still."""
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER, *command("tiny.zarr")], cwd=folder, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert starter.stdout is not None
    assert starter.stdin is not None
    reading = threading.Thread()
    try:
        running = Running(starter)  # standard input and output are the worker's, too
        assert running.line() == {"ready": True}
        assert running.ask({"labels": ["Dog", "Yak"], "name": "thread"})["labels"] == 2
        starter.kill()
        rest: list[str] = []
        reading = threading.Thread(
            target=lambda output: rest.append(output.read()), args=(starter.stdout,), daemon=True
        )
        reading.start()
        reading.join(60)
        assert rest == [""]  # nobody holds it any more
    finally:
        starter.kill()
        starter.stdin.close()
        if reading.ident is not None:
            reading.join()
        starter.stdout.close()
        starter.wait()
