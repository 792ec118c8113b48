"""Events files with something wrong, as a hand, a program or a disk leaves them: equal seeds give equal files."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

RAW = "\x00raw:"
"""Before text that goes into the file as it is."""
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, 10, 64, 65, 10**12, -(10**12), 1e308, "", "x", "0", "visual", "a_b", [], {},
    [1], {"a": 1}, "\u202e", "\x1b[31m", "\ud83d\ude00", "y" * 5000, RAW + "1e400", RAW + "-1e400", RAW + "NaN",
    RAW + "Infinity", RAW + "1" * 5000, RAW + "[" * 100_000, RAW + '{"a":' * 100_000, RAW + "[" * 40 + "]" * 40,
    RAW + "01", RAW + "1.", RAW + "tru", RAW + '"\\ud800"', RAW + '"\\x"', RAW + '"\n"', RAW + "", RAW + "10.0",
)  # fmt: skip

Found = dict[str, Any]


def mutated(found: Found, rng: random.Random, lines: bool = False) -> bytes:
    """A file, or one of JSON lines, with one to three things changed."""
    found = json.loads(json.dumps(found))
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        rng.choice(_WAYS)(found, rng)
    data = _lines(found) if lines else _text(found, rng)
    for _ in range(rng.choice((0, 0, 0, 1, 2)) if found else 1):
        data = rng.choice(_BYTE_WAYS)(data, rng)
    return data


def _text(found: Found, rng: random.Random) -> bytes:
    items = list(found.items())
    if rng.random() < 0.3:
        rng.shuffle(items)
    indent = rng.choice((None, None, 1, 4))
    return _raw(json.dumps(dict(items), indent=indent, ensure_ascii=rng.random() < 0.5)).encode("utf-8", "replace")


def _lines(found: Found) -> bytes:
    events = found.pop("events", [])
    rows = [found, *(events if isinstance(events, list) else [events])]
    return "".join(_raw(json.dumps(row)) + "\n" for row in rows).encode()


def _raw(text: str) -> str:
    mark = json.dumps(RAW)[1:-1]
    parts = text.replace(RAW, mark).split(f'"{mark}')
    found = parts[0]
    for part in parts[1:]:
        end = _end_of_string(part)
        found += json.loads(f'"{part[:end]}"') + part[end + 1 :]
    return found


def _end_of_string(text: str) -> int:
    at = 0
    while text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at


def _places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Ways to everything in a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way] * bool(way) + [place for key, each in items for place in _places(each, (*way, key))]


def _parent(found: Any, way: tuple[Any, ...]) -> Any:
    for key in way[:-1]:
        found = found[key]
    return found


def _value(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(VALUES))  # as what is chosen may be changed next


def _replace(found: Found, rng: random.Random) -> None:
    if places := _places(found):
        way = rng.choice(places)
        _parent(found, way)[way[-1]] = _value(rng)


def _replace_fact(found: Found, rng: random.Random) -> None:
    if found:
        found[rng.choice(list(found))] = _value(rng)


def _remove(found: Found, rng: random.Random) -> None:
    if places := _places(found):
        way = rng.choice(places)
        del _parent(found, way)[way[-1]]


def _add(found: Found, rng: random.Random) -> None:
    homes = [found, *(each for way in _places(found) if isinstance(each := _parent(found, (*way, "")), dict | list))]
    home = rng.choice(homes)
    if isinstance(home, dict):
        home[rng.choice(("extra", "config", "rule", "alpha", "clip", "stream", "segments", "events"))] = rng.choice(
            VALUES
        )
    else:
        home.insert(rng.randint(0, len(home)), copy.deepcopy(rng.choice((*VALUES, *home))))


def _swap(found: Found, rng: random.Random) -> None:
    places = _places(found)
    if len(places) < 2:
        return
    one, other = rng.sample(places, 2)
    if one[: len(other)] != other[: len(one)]:
        first, second = _parent(found, one), _parent(found, other)
        first[one[-1]], second[other[-1]] = second[other[-1]], first[one[-1]]


def _number(found: Found, rng: random.Random) -> None:
    places = [way for way in _places(found) if isinstance(_parent(found, way)[way[-1]], int | float)]
    if places:
        way = rng.choice(places)
        home = _parent(found, way)
        home[way[-1]] = rng.choice((lambda x: -x, lambda x: x + 1, lambda x: x * 1e9, lambda x: x / 3, str, int))(
            home[way[-1]]
        )


_WAYS: tuple[Callable[[Found, random.Random], None], ...] = (
    _replace, _replace, _replace_fact, _remove, _add, _add, _swap, _number, _number,
)  # fmt: skip


def _flip(data: bytes, rng: random.Random) -> bytes:
    found = bytearray(data or b" ")
    for _ in range(rng.choice((1, 1, 3, 30))):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randint(0, len(data))]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    piece = rng.choice((b",", b"}", b"]", b"{", b"[", b'"', b"\\", b"\x00", b"\xff", b"null", b" ", b"\n", b'"a":1,'))
    return data[:at] + piece + data[at:]


def _double(data: bytes, rng: random.Random) -> bytes:
    """A stretch is there twice: a name, a record, half the file."""
    one, other = sorted(rng.randint(0, len(data)) for _ in range(2))
    return data[:other] + data[one:other] + data[other:]


def _remove_bytes(data: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + data[at + rng.choice((1, 1, 2, 40)) :]


_BYTE_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _truncate, _insert, _double, _remove_bytes,
)  # fmt: skip
