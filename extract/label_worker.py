"""A process that embeds labels again and again: its encoders are loaded once, its cache gets a set for each request.

Run as ``python -m extract.label_worker CACHE``, with a checkpoint where the cache was made with one. It reads a line of
JSON a request from standard input and answers each with one on standard output, on which nothing else comes::

    {"ready": true}                                                      once the encoders are there
    {"labels": ["Dog", "Train horn"], "name": "mine"}                    a request
    {"name": "mine", "labels": 2, "new": true, "notes": []}              its answer, or {"error": "one line"}

A set is checked, embedded and written as :func:`extract.add_label_set` does it of a file; one of that name that is
there is replaced. It ends when standard input does, and with the process that started it.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from extract.backbones.info import EXTRACT_MODULES
from extract.errors import ExtractError
from extract.label_sets import MOST_BYTES, label_set_of, labels_in
from feature_cache import FeatureCache
from feature_cache.errors import Av2aError
from feature_cache.names import shortened

if TYPE_CHECKING:
    from extract.backbones.base import Backbone

_LOOKS_EVERY = 0.5
"""Seconds after which it is seen that whoever started the process has ended."""
_REQUEST = 'a request is one line such as {"labels": ["Dog", "Train horn"], "name": "mine"}'


def main(words: Sequence[str] | None = None) -> int:
    """The process; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m extract.label_worker", description=__doc__.partition("\n")[0])
    parser.add_argument("cache", help="the feature cache that labels are added to")
    for name in ("checkpoint", "clap-checkpoint"):
        parser.add_argument(f"--{name}", type=Path, help="weights that the cache was made with")
    for name in ("image-model", "audio-model"):
        parser.add_argument(f"--{name}", help="where a model lies that the cache names by its folder")
    given = parser.parse_args(words)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal that stops all: whoever started this ends it
    answers = _take_stdout()
    _end_with_parent()
    try:
        worker = _Worker(given.cache, given.checkpoint, given.clap_checkpoint, (given.image_model, given.audio_model))
    except (ImportError, MemoryError, OSError, Av2aError) as error:
        _say(answers, {"error": _line(error)})
        return 1
    try:
        _say(answers, {"ready": True})
        while request := sys.stdin.buffer.readline(MOST_BYTES + 1):
            _say(answers, worker.answer(request))
    except BrokenPipeError:  # nobody hears it any more
        return 1
    return 0


class _Worker:
    """A cache by its path, and its encoders."""

    def __init__(
        self,
        path: str,
        checkpoint: Path | None,
        clap_checkpoint: Path | None,
        models: tuple[str | None, str | None],
    ) -> None:
        from extract.backbones import licence_notes, load_backbone, with_models
        from extract.label_embeddings import check_weights  # imports torch

        self._path = path
        cache = FeatureCache.open(path, "r+")
        self._name = cache.backbone
        encoders = with_models(self._name, *models)
        self._backbone: Backbone = load_backbone(encoders, checkpoint, clap_checkpoint=clap_checkpoint)
        check_weights(cache, self._backbone)
        self._to_say = licence_notes(self._name)

    def answer(self, request: bytes) -> dict[str, Any]:
        """What came of a request."""
        try:
            return self._added(*_asked(request))
        except (ImportError, MemoryError, OSError, Av2aError) as error:
            return {"error": _line(error)}

    def _added(self, labels: list[str], name: str) -> dict[str, Any]:
        from extract.label_embeddings import add_found_set

        found = label_set_of(labels_in(labels, "the list"), name)
        cache = FeatureCache.open(self._path, "r+")  # it may have changed, and may be another one
        if cache.backbone != self._name:
            raise ExtractError(f"{cache.path} is another cache now, of {cache.backbone}: start again")
        added = add_found_set(cache, found, self._backbone, name, overwrite=True)
        notes, self._to_say = [*self._to_say, *added.notes], ()  # the licence once
        return {"name": added.name, "labels": added.labels, "new": added.new, "notes": notes}


def _asked(request: bytes) -> tuple[list[str], str]:
    """Labels and a name.

    Raises:
        ExtractError: it is no request.
    """
    if len(request) > MOST_BYTES:
        while not request.endswith(b"\n") and (request := sys.stdin.buffer.readline(MOST_BYTES)):
            pass
        raise ExtractError(f"a request of more than {MOST_BYTES:,} bytes: give fewer labels")
    try:
        asked = json.loads(request)
    except (ValueError, RecursionError):
        raise ExtractError(_REQUEST) from None
    labels, name = (asked.get("labels"), asked.get("name")) if isinstance(asked, dict) else (None, None)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ExtractError(_REQUEST)
    if not isinstance(name, str) or not name:
        raise ExtractError(_REQUEST)
    return labels, name


def _line(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in EXTRACT_MODULES:
        return f"this command needs {error.name}: install it with pip install 'av2a[extract]'"
    if isinstance(error, MemoryError):
        return "there is not enough memory for it: close other programs"
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return shortened(" ".join(text.split()), 1000)


def _take_stdout() -> IO[str]:
    """Standard output for answers alone: what libraries print there comes on standard error."""
    ours = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    return ours


def _say(answers: IO[str], what: dict[str, Any]) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


def _end_with_parent() -> None:
    """However it ends; Linux's own signal would come when the thread ends that started this, which may be long before.

    Where a process keeps its parent's number (Windows), the end of standard input does it.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOKS_EVERY)
        os._exit(1)

    threading.Thread(target=watch, name="av2a-parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
