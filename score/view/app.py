"""The application of `tune`: the page's files, and answers in JSON from a desk; guarded by ``score.view.guard``."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from feature_cache import Av2aError
from score.datasets import find_dataset
from score.errors import ScoreError
from score.parameters import Parameters
from score.rules import rule_of
from score.view.controls import described_rules
from score.view.desk import Desk, milliseconds
from score.view.finder import MOST_SECONDS, Finder
from score.view.guard import FAILED, TooLargeError, nonce_of
from score.view.newest import Newest
from score.view.saving import Saving, ThereAlreadyError, formats
from score.view.videos import ClipVideos, media_type
from score.view.words import Words

_HERE = Path(__file__).parent
_KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
_UNKNOWN = "application/octet-stream"
LIST_AT_ONCE = 20_000
"""Clips whose rows are counted anew as settings change."""
_MOST_WHOLE = 1 << 53
"""That pages can say."""
Answer = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class Tools:
    """What answers are made of.

    Attributes:
        desk: the cache.
        finder: searches.
        saving: files.
        words: new labels.
        videos: the files that clips come from; None: there are none, and ``videos_hint`` says how to name them.
        videos_hint: likewise.
        start: the setting and the label set that the page begins with.
        line: what the command line of a setting is, given the label set and a file's name.
        say: an error of the library in the words of whoever started the server.
        notes: lines that the page shows.
    """

    desk: Desk
    finder: Finder
    saving: Saving
    words: Words
    videos: ClipVideos | None
    videos_hint: str
    start: tuple[Parameters, str]
    line: Callable[[Parameters, str, str], str]
    say: Callable[[str], str] = str
    notes: tuple[str, ...] = ()

    def videos_now(self) -> ClipVideos | None:
        """The files of the clips that the desk has now."""
        opened = self.desk.opened
        if self.videos is not None:
            self.videos.follow(opened.clip_ids, opened.origins, opened.cache.attributes.get("files", {}))
        return self.videos

    def file_of(self, number: int) -> tuple[ClipVideos | None, Path | None]:
        """The videos, and the file of a clip; None where there is none."""
        videos, ids = self.videos_now(), self.desk.opened.clip_ids
        return videos, videos.path(ids[number]) if videos is not None and number < len(ids) else None


def make_app(tools: Tools) -> Starlette:
    """The application, without its guard."""
    calls = Calls(tools)
    routes = [
        Route("/", _index),
        Route("/page/{path:path}", _kept("page")),
        Route("/vendor/{path:path}", _kept("vendor")),
        Route("/media/{number:int}", _media(tools)),
    ]
    for name, answer in calls.reads.items():
        routes.append(Route(f"/api/{name}", _reading(tools, answer)))
    for name, change in calls.changes.items():
        routes.append(Route(f"/api/{name}", _changing(tools, change, name), methods=["POST"]))
    answers = {TooLargeError: _too_large, 404: _missing, 405: _missing, Exception: _failed}
    return Starlette(routes=routes, exception_handlers=answers)


class Calls:
    """What is answered, by name: reads, and changes, which get what the page says."""

    def __init__(self, tools: Tools) -> None:
        """Of these tools."""
        self._tools = tools
        self.reads: dict[str, Callable[[], Any]] = {
            "state": self.state,
            "find": self.find_state,
            "words": self.words_state,
            "alive": lambda: {"session": tools.desk.session, "changed": tools.desk.opened.what_changed() or None},
        }
        self.changes: dict[str, Answer] = {
            "clip": self.clip, "figures": self.figures, "clips": self.clips, "usual": self.usual, "save": self.save,
            "events": self.events, "command": self.command, "find": self.find, "find/stop": self.find_stop,
            "words": self.words, "words/warm": self.warm, "reopen": self.reopen,
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Everything that the page has to know at first."""
        tools, desk = self._tools, self._tools.desk
        opened, usual = desk.opened, desk.usual_of_all()
        (config, text), videos = tools.start, tools.videos_now()
        return {
            "session": desk.session,
            "cache": {
                "path": str(opened.cache.path), "backbone": opened.cache.backbone, "identity": opened.identity,
                "clips": len(opened), "segments": opened.cache.segments,
                "segment_seconds": opened.cache.segment_seconds, "kind": opened.cache.kind,
            },
            "texts": [{"name": name, "labels": list(opened.text(name).labels)} for name in opened.text_names],
            "text": text if text in opened.text_names else opened.text_names[0],
            "rules": [
                {**rule, "why_not": rule["why_not"] and tools.say(rule["why_not"])}
                for rule in described_rules(opened.cache, usual)
            ],
            "setting": {"rule": rule_of(config).name, "parameters": config.to_dict()},
            "usual": {rule: found.to_dict() for rule, found in usual.items() if isinstance(found, Parameters)},
            "clips": [
                {
                    "id": clip, "counts": None, "score": None, "labels": [], "wrong": None,
                    "missing": opened.missing.get(clip), "split": desk.in_split(number),
                }
                for number, clip in enumerate(opened.clip_ids)
            ],
            "dataset": self._dataset(),
            "videos": videos and {"folder": str(videos.folder), "found": videos.found},
            "videos_hint": tools.videos_hint,
            "formats": formats(),
            "output": tools.saving.settings_file.name,
            "words": {"available": not tools.words.why_not, "why": tools.words.why_not},
            "notes": list(tools.notes),
            "limits": {"list": LIST_AT_ONCE},
        }  # fmt: skip

    def _dataset(self) -> dict[str, Any] | None:
        desk = self._tools.desk
        if desk.annotations is None:
            return None
        found = find_dataset(desk.annotations.kind)
        shown = list(dict.fromkeys([found.objective, *found.figures]))
        return {
            "name": found.name, "title": found.title, "split": desk.annotations.split, "figures": list(found.figures),
            "shown": shown[:4] if len(shown) > 4 else shown, "objective": found.objective,
            "clips": len(desk.annotations.clip_ids), "found": desk.n_found,
            "of": "file" if found.whole_files else "clip",
        }  # fmt: skip

    def _setting(self, said: Mapping[str, Any]) -> tuple[Parameters, str]:
        return self._tools.desk.config(said.get("setting")), _text(said)

    def clip(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Events of a clip, and why."""
        began, (config, text) = perf_counter(), self._setting(said)
        label, number = said.get("label"), _whole(said, "clip")
        if label is not None:
            label = _whole(said, "label")
        found = self._tools.desk.clip(number, text, config, label)
        return {**found, "place": self._place(number), "ms": milliseconds(began)}

    def _place(self, number: int) -> dict[str, Any] | None:
        opened = self._tools.desk.opened
        videos, path = self._tools.file_of(number)
        if videos is None or path is None:
            return None
        clip = opened.clip_ids[number]
        start, end = videos.place(clip)
        lacks = opened.missing.get(clip)
        return {"url": f"media/{number}", "start": start, "end": end, "sound_only": lacks == "picture"}

    def figures(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Figures over the split."""
        began, (config, text) = perf_counter(), self._setting(said)
        found = self._tools.desk.figures(text, config)
        note = found["note"]
        return {**found, "note": note and self._tools.say(note), "ms": milliseconds(began)}

    def clips(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What the list says of each clip."""
        config, text = self._setting(said)
        return {"rows": self._tools.desk.rows(text, config)}

    def usual(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """A rule's settings where nothing else is given."""
        found = self._tools.desk.usual(str(said.get("rule"))[:60])
        return {"setting": {"rule": rule_of(found).name, "parameters": found.to_dict()}}

    def save(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Write the settings."""
        config, _ = self._setting(said)
        return {"path": self._tools.saving.save(config, overwrite=said.get("overwrite") is True)}

    def events(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Write the events of all clips."""
        (config, text), name, kind = self._setting(said), said.get("name"), said.get("format")
        if not isinstance(name, str) or not (kind is None or isinstance(kind, str)):
            raise ScoreError("a file's name is expected, such as events.json")
        written, count = self._tools.saving.events(
            config, text, name, (kind and kind[:60]) or None, overwrite=said.get("overwrite") is True
        )
        return {"written": written, "events": count}

    def command(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The command's line of a setting."""
        (config, text), name = self._setting(said), said.get("name") or "events.json"
        return {"line": self._tools.line(config, self._tools.desk.opened.text(text).name, str(name)[:120])}

    def find(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Begin to search."""
        (config, text), vary, seconds = self._setting(said), said.get("vary"), said.get("seconds")
        if not isinstance(vary, list) or not all(isinstance(name, str) for name in vary):
            raise ScoreError("names of parameters are expected, which a search may change")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise ScoreError("seconds must be a number")
        seconds = float(max(0, min(seconds, MOST_SECONDS + 1)))  # a whole number may be too large for a float
        objective = said.get("objective")
        self._tools.finder.start(text, config, vary, seconds, None if objective is None else str(objective)[:60])
        return {"running": True}

    def find_state(self) -> dict[str, Any]:
        """How far a search is."""
        found = self._tools.finder.state
        return {**found, "error": found.get("error") and self._tools.say(found["error"])}

    def find_stop(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """End a search."""
        self._tools.finder.stop()
        return self.find_state()

    def words(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Begin to embed labels."""
        labels = said.get("labels")
        self._tools.words.add(labels if isinstance(labels, list) else [])
        return {"status": "working"}

    def words_state(self) -> dict[str, Any]:
        """How far new labels are."""
        found = self._tools.words.state
        return {**found, "error": found["error"] and self._tools.say(found["error"])}

    def warm(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """Begin to load the encoders."""
        self._tools.words.warm()
        return self.words_state()

    def reopen(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """Open the cache again."""
        self._tools.finder.stop()
        self._tools.desk.reopen()
        return {"identity": self._tools.desk.opened.identity}


def _text(said: Mapping[str, Any]) -> Any:
    found = said.get("text")
    if found is not None and not isinstance(found, str):
        raise ScoreError("text is the name of a label set")
    return found


def _whole(said: Mapping[str, Any], name: str) -> int:
    found = said.get(name)
    if isinstance(found, bool) or not isinstance(found, int) or abs(found) > _MOST_WHOLE:
        raise ScoreError(f"{name} must be a whole number")
    return found


def _reading(tools: Tools, answer: Callable[[], Any]) -> Callable[[Request], Awaitable[Response]]:
    async def read(_: Request) -> Response:
        return await _answered(tools, answer)

    return read


def _changing(tools: Tools, change: Answer, name: str) -> Callable[[Request], Awaitable[Response]]:
    newest, alone = Newest(), asyncio.Lock()
    in_turn = name in ("clip", "figures", "clips")

    async def changed(request: Request) -> Response:
        try:
            said = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError):
            return _json({"error": "JSON is expected"}, 400)
        except ClientDisconnect:
            return Response(status_code=400)
        if not isinstance(said, dict):
            return _json({"error": "an object is expected"}, 400)
        if not in_turn:
            return await _answered(tools, lambda: change(said))
        seq, page = said.get("seq", 0), str(said.get("page", ""))[:60]
        if isinstance(seq, bool) or not isinstance(seq, int) or abs(seq) > _MOST_WHOLE:
            return _json({"error": "seq must be a whole number"}, 400)
        overtaken = newest.note(page, name, seq)
        async with alone:
            if overtaken():
                return _json({"stale": True, "seq": seq}, 409)
            return await _answered(tools, lambda: {**change(said), "seq": seq})

    return changed


async def _answered(tools: Tools, answer: Callable[[], Any]) -> Response:
    """An answer that is made in a thread, or the line of an error."""
    try:
        return _json(await asyncio.to_thread(answer))
    except ThereAlreadyError as error:
        return _json({"error": tools.say(str(error)), "exists": True}, 409)
    except Av2aError as error:
        return _json({"error": tools.say(str(error))}, 400)
    except OSError as error:
        return _json({"error": f"{error.filename or 'a file'}: {error.strerror or error}"}, 400)
    except MemoryError:
        return _json({"error": "there is not enough memory for it: close other programs"}, 500)


def _json(found: Any, status: int = 200) -> Response:
    return Response(json.dumps(found, allow_nan=False), status, media_type="application/json")


async def _index(request: Request) -> Response:
    page = (_HERE / "page" / "tune" / "index.html").read_text("utf-8")
    return Response(page.replace("@NONCE@", nonce_of(request.scope)), media_type="text/html")


def _kept(folder: str) -> Callable[[Request], Awaitable[Response]]:
    """Files of the package, by the names that it has: nothing else can be asked for."""
    root = _HERE / folder
    names = {str(path.relative_to(root).as_posix()): path for path in root.rglob("*") if path.suffix in _KINDS}

    async def kept(request: Request) -> Response:
        path = names.get(request.path_params["path"])
        if path is None:
            return await _missing(request, None)
        return Response(path.read_bytes(), media_type=_KINDS[path.suffix], headers={"cache-control": "no-cache"})

    return kept


def _media(tools: Tools) -> Callable[[Request], Awaitable[Response]]:
    async def media(request: Request) -> Response:
        path = await asyncio.to_thread(_readable, tools, request.path_params["number"])
        if path is None:
            return await _missing(request, None)
        return FileResponse(path, media_type=media_type(path) or _UNKNOWN, content_disposition_type="inline")

    return media


def _readable(tools: Tools, number: int) -> Path | None:
    """The file of a clip, as long as it can be read."""
    _, path = tools.file_of(number)
    try:
        if path is None or not path.is_file():
            return None
        path.open("rb").close()
    except OSError:
        return None
    return path


async def _missing(_: Request, __: Any) -> Response:
    return _json({"error": "there is no such thing"}, 404)


async def _failed(_: Request, __: Any) -> Response:
    return _json({"error": FAILED}, 500)  # the guard says on the terminal what


async def _too_large(_: Request, __: Any) -> Response:
    return _json({"error": "a smaller request is expected"}, 413)
