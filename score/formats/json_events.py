"""events.json: the settings, the cache's identity and one record an event."""

import json
from pathlib import Path
from typing import Any

from score.errors import ScoreError
from score.formats.base import Facts, Format

FORMAT = "av2a-events"
VERSION = 1


def json_files(events: Facts, path: Path) -> dict[Path, str]:
    """One file; the same events give the same bytes."""
    head = {"format": FORMAT, "version": VERSION, **{name: events[name] for name in events if name != "events"}}
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    records = ",\n".join(f"  {json.dumps(record)}" for record in events["events"])
    return {path: "{\n" + "\n".join(lines) + '\n "events": [\n' + records + "\n ]\n}\n"}


def read_json(file: Path) -> dict[str, Any]:
    """What :func:`json_files` wrote.

    Raises:
        ScoreError: the file is missing, no JSON, or something else.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ScoreError(f"{file} is not there: `score(...)` makes it") from error
    except OSError as error:
        raise ScoreError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise ScoreError(f"{file} is no events file, or damaged ({error}): score again") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ScoreError(f"{file} is no events file of av2a: `score(..., output='{file.stem}.json')` makes one")
    if found.get("version") != VERSION:
        raise ScoreError(f"{file} has events format {found.get('version')}, this av2a reads {VERSION}: score again")
    return found


JSON = Format("json", json_files, read_json)
