"""The note of what a demo made, videos/demo.json: by it a demo is made again, and its clips are known."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from feature_cache.names import why_not_a_name
from feature_cache.storage.atomic import write_outputs
from feature_cache.text_files import TextFileError, read_text

MADE_BY = "av2a demo"
NAME = "demo.json"
VERSION = 1
_MOST_BYTES = 1 << 20
_PLAIN = {"videos": (".mp4", ".txt"), "annotations": (".csv",)}


def write_note(path: Path, files: Sequence[str], **facts: Any) -> None:
    """Say what was made: paths below the demo's folder, as "videos/a.mp4", and how."""
    write_outputs({path: _note(files, facts)})


def is_noted(path: Path, files: Sequence[str], **facts: Any) -> bool:
    """Whether a note says just what :func:`write_note` would write."""
    try:
        return path.read_text(encoding="utf-8") == _note(files, facts)
    except (OSError, ValueError):
        return False


def _note(files: Sequence[str], facts: dict[str, Any]) -> str:
    note = {"made_by": MADE_BY, "version": VERSION, "what": "made clips whose events are known", **facts}
    return json.dumps({**note, "files": list(files)}, indent=1) + "\n"


def files_of(note: Path) -> set[str]:
    """What a demo made, by its note: paths below its folder; none without a note that can be read."""
    try:
        stored = json.loads(read_text(note, _MOST_BYTES))
        if stored["made_by"] != MADE_BY or not 1 <= int(stored.get("version", 1)) <= VERSION:
            return set()
        names = {str(name) for name in stored["files"]}
    except (TextFileError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return set()
    return {
        name
        for name in names
        if (parts := name.split("/"))
        and len(parts) == 2
        and parts[1].endswith(_PLAIN.get(parts[0], ()))
        and why_not_a_name(name) is None
    }


def notes_beside(videos: Path) -> tuple[Path, Path]:
    """Where a demo's note may lie: among its videos; early ones have it among the annotations."""
    return videos / NAME, videos.parent / "annotations" / NAME


def not_of_a_demo(files: Iterable[Path]) -> Iterator[Path]:
    """Those of the files that no demo made, by the notes in their folders; looked for one at a time."""
    made: dict[Path, set[str]] = {}
    for path in files:
        folder = path.parent
        if folder not in made:
            made[folder] = next((names for note in notes_beside(folder) if (names := files_of(note))), set())
        if f"videos/{path.name}" not in made[folder]:
            yield path
