"""Records of events as JSON: written as `json.dumps` would, and read a block at a time."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from score.choices import STREAMS
from score.errors import ScoreError
from score.formats.base import EventBlock, Facts, NamedEvents
from score.formats.json_bytes import JsonBytes

STREAM_TEXTS = tuple(map(json.dumps, STREAMS))
_STRINGS = 9
"""Six names and three values of a record are strings."""


_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")
"""Escapes of which it takes two for a character."""


class Record(msgspec.Struct):
    """One event, as a file has it."""

    clip: str
    stream: str
    label: str
    onset: float
    offset: float
    score: float


class _PlainRecord(Record, forbid_unknown_fields=True):
    pass


_PLAIN = msgspec.json.Decoder(_PlainRecord)
_PLAINS = msgspec.json.Decoder(list[_PlainRecord])


def record_texts(facts: Facts, block: EventBlock) -> list[str]:
    """JSON of each event, as `json.dumps` makes it."""
    clips = {number: json.dumps(facts["clips"][number]) for number in np.unique(block.clip).tolist()}
    labels = {number: json.dumps(facts["labels"][number]) for number in np.unique(block.label).tolist()}
    number = repr if all(np.isfinite(column).all() for column in block.columns[3:]) else json.dumps
    return [
        f'{{"clip": {clips[clip]}, "stream": {STREAM_TEXTS[stream]}, "label": {labels[label]}, '
        f'"onset": {number(onset)}, "offset": {number(offset)}, "score": {number(score)}}}'
        for clip, stream, label, onset, offset, score in zip(*(each.tolist() for each in block.columns), strict=True)
    ]


def read_records(text: JsonBytes, *, in_list: bool) -> Iterator[NamedEvents]:
    """Records that stand where a text is read, to the end of their list, or to the end of the text.

    Plain ones are decoded many at a time: whatever of the text ends in a brace is tried as a list of them. Where that
    fails, one is taken after the other.

    Raises:
        ScoreError: something else stands there.
    """
    number = 0
    if in_list:
        text.take(b"[")
    while text.peek() not in (b"]" if in_list else b"", b""):
        piece = text.ahead(b"}")
        found: list[Any] | None = _plain_records(piece, in_list) if piece else None
        if found is None:
            found = []
            until = text.position + max(len(piece), 1)
            while text.position < until and text.peek() not in (b"]", b""):
                number += 1
                found.append(_record(text.value(), number))
                if not _goes_on(text, in_list):
                    break
        else:
            number += len(found)
            text.skip(len(piece))
            _goes_on(text, in_list)
        yield named(found)
    if in_list:
        text.take(b"]")


def named(records: list[Any]) -> NamedEvents:
    """Columns of records."""
    return NamedEvents(
        [each.clip for each in records],
        [each.stream for each in records],
        [each.label for each in records],
        [each.onset for each in records],
        [each.offset for each in records],
        [each.score for each in records],
    )


def _goes_on(text: JsonBytes, in_list: bool) -> bool:
    """Whether another record follows."""
    if not in_list:
        return text.peek() != b""
    if text.peek() == b"]":
        return False
    text.take(b",")
    if text.peek() == b"]":
        raise ScoreError(f"no event after the comma at byte {text.position}")
    return True


def _plain_records(piece: bytes, in_list: bool) -> list[_PlainRecord] | None:
    """Records, where a text is nothing else, none has a name twice and none needs a look."""
    try:
        found = _PLAINS.decode(b"[" + piece + b"]") if in_list else _PLAIN.decode_lines(piece)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    quotes = piece.count(b'"') - piece.count(b'\\"')
    return found if b"\\\\" not in piece and quotes == 2 * _STRINGS * len(found) else None


def _record(piece: bytes, number: int) -> Record:
    try:
        return msgspec.convert(decoded(piece), Record)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ScoreError(f"event {number}: {error}") from error


def decoded(piece: bytes) -> Any:
    """A JSON value whose objects have no name twice and whose numbers are some.

    Raises:
        ValueError: it is something else.
    """
    # bytes would be taken for UTF-16 where a zero comes first
    found = json.loads(piece.decode(), object_pairs_hook=_object, parse_constant=_no_number, parse_int=_whole)
    if _HALVES.search(piece):
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeError as error:
            raise ValueError("it holds half a character, which is no text") from error
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice[:100]!r} is there twice")
    return found


def _whole(text: str) -> int | float:
    """Python takes its time with many digits, and a number of so many is out of any range."""
    return int(text) if len(text) < 19 else float(text)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")
