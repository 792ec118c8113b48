"""events.json: the settings, the cache's identity and one record an event."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from score.errors import ScoreError
from score.formats.base import EventBlock, Facts, Format, NamedEvents, Progress
from score.formats.json_bytes import JsonBytes
from score.formats.json_records import decoded, read_records, record_texts
from score.formats.sources import open_source

FORMAT = "av2a-events"
VERSION = 1
_BEFORE_EVENTS = {
    "format", "version", "config", "approximate", "cache", "segments", "segment_seconds", "left_out", "missing",
    "stitched", "clips_from", "labels", "clips",
}  # fmt: skip
"""Facts that every file has: where all of them stand before the events, a file is read once."""
_ONLY_BEFORE: dict[str, Any] = {"rule": "av2a", "approximation": None, "inferred": None, "after_processing": {}}
"""Facts that not every file has: what they may be where they come late, None for anything."""


def write_json(facts: Facts, blocks: Iterable[EventBlock], files: Sequence[BinaryIO]) -> None:
    """One file; the same events give the same bytes."""
    out = files[0]
    out.write(b"{\n")
    for name, value in stamped(facts).items():
        out.write(f" {json.dumps(name)}: {json.dumps(value)},\n".encode())
    out.write(b' "events": [\n')
    between = "  "
    for block in blocks:
        if len(block):
            out.write((between + ",\n  ".join(record_texts(facts, block))).encode())
            between = ",\n  "
    out.write(b"\n ]\n}\n")


def stamped(facts: Facts) -> dict[str, Any]:
    """Facts under the name and version of this format."""
    return {"format": FORMAT, "version": VERSION, **facts}


def check_stamp(facts: Facts, name: str) -> None:
    """Refuse facts of something else.

    Raises:
        ScoreError: they are of another format or version.
    """
    if facts.get("format") != FORMAT:
        raise ScoreError(f"it is no events file of av2a: `score(..., output='{name}')` makes one")
    if facts.get("version") != VERSION or isinstance(facts["version"], bool):
        raise ScoreError(f"it has events format {facts.get('version')!r}, this av2a reads {VERSION}: score again")


def read_json(path: Path, progress: Progress) -> tuple[Facts, Iterator[NamedEvents]]:
    """What :func:`write_json` wrote, in whatever order and with whatever spaces.

    Raises:
        ScoreError: the file is missing, no JSON, or something else.
    """
    file, size = open_source(path)
    text = JsonBytes(file, size, progress)
    facts: dict[str, Any] = {}
    try:
        events_at = _read_facts(text, facts)
    except ScoreError as error:
        if "format" in facts:
            raise
        raise ScoreError(f"it is no events file, or damaged ({error}): score again") from error
    check_stamp(facts, f"{path.stem}.json")
    if events_at is None:
        return facts, _with_rest(text, facts)
    file.seek(events_at)
    return facts, read_records(JsonBytes(file, size, progress), in_list=True)


def _read_facts(text: JsonBytes, facts: dict[str, Any]) -> int | None:
    """Read facts; returns where the events are, or None where the text is read up to them and all facts are there."""
    events_at: int | None = None
    for name in _members(text):
        if name in facts or (name == "events" and events_at is not None):
            raise ScoreError(f"damaged ({name[:100]!r} is there twice): score again")
        if name != "events":
            facts[name] = _decoded(text.value(), name)
        elif facts.keys() >= _BEFORE_EVENTS:
            return None
        else:
            text.peek()
            events_at = text.position
            for _ in read_records(text, in_list=True):
                pass
    if events_at is None:
        if facts.get("format") == FORMAT:
            raise ScoreError("damaged ('events' is missing): score again")
        check_stamp(facts, "events.json")
    return events_at


def _with_rest(text: JsonBytes, facts: Facts) -> Iterator[NamedEvents]:
    """Events, and a look at what follows them."""
    yield from read_records(text, in_list=True)
    seen = {*facts, "events"}
    for name in _members(text, begun=True):
        value = _decoded(text.value(), name)
        if name in seen:
            raise ScoreError(f"damaged ({name[:100]!r} is there twice): score again")
        if _ONLY_BEFORE.get(name) not in (None, value):
            raise ScoreError(f"{name!r} stands after the events: write it before them")
        seen.add(name)


def _members(text: JsonBytes, begun: bool = False) -> Iterator[str]:
    """Names of the members of an object that is the whole text; their values are to be read in between.

    Args:
        text: at the object, or behind the value of one of its members.
        begun: whether it is behind one.
    """
    if not begun:
        if text.peek() != b"{":
            raise ScoreError("it does not begin with {")
        text.take(b"{")
    while text.peek() != b"}":
        if begun:
            text.take(b",")
        begun = True
        if text.peek() != b'"':
            text.take(b'"')
        name = _decoded(text.value(), "a name")
        text.take(b":")
        yield name
    text.take(b"}")
    if text.peek():
        raise ScoreError(f"something follows its end at byte {text.position}")


def _decoded(piece: bytes, name: str) -> Any:
    try:
        return decoded(piece)
    except ValueError as error:
        raise ScoreError(f"damaged ({name[:100]!r}: {error}): score again") from error


JSON = Format("json", write_json, read=read_json, ending=".json")
