"""Members of JSON objects as they are written, none of which may be there twice: clips by their ids."""

import json
from pathlib import Path

import msgspec

from score.errors import ScoreError
from score.formats.named import shown

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def members(path: Path, data: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """The members of an object.

    Raises:
        ScoreError: it is none, or one is there twice; with the file's name.
    """
    try:
        found = _MEMBERS.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ScoreError(f"{path} is no JSON object of clips ({error}): mend it, or write it again") from error
    colons = len(found) + sum(name.count(":") + bytes(value).count(b":") for name, value in found.items())
    if bytes(data).count(b":") > colons:  # some are in what was lost
        raise ScoreError(f"{path}: {shown(_twice(bytes(data)))} is there twice: put its events together")
    return found


def _twice(data: bytes) -> str:
    """The member that is there twice."""
    names: list[str] = []

    def object_of(pairs: list[tuple[str, object]]) -> None:
        names[:] = [name for name, _ in pairs]  # of the outermost, which ends last

    json.loads(data, object_pairs_hook=object_of)
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), "a clip")  # type: ignore[func-returns-value]
