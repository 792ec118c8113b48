"""File formats of events; adding one is one more file and one more line here."""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from feature_cache.storage.atomic import write_outputs
from score.errors import ScoreError
from score.formats.csv_events import csv_files
from score.formats.json_events import json_files
from score.formats.tsv_events import tsv_files

if TYPE_CHECKING:
    from score.events import Events

FORMATS: dict[str, Callable[["Events", Path], dict[Path, str]]] = {
    "json": json_files,
    "csv": csv_files,
    "tsv": tsv_files,
}
"""A format's name, which is its file ending: a function from events and a path to the files' texts."""


def write_events(events: "Events", path: str | PathLike[str], format: str | None = None) -> list[str]:
    """Write events; see :meth:`score.Events.write`."""
    file = Path(path)
    name = format_of(file, format)
    files = FORMATS[name](events, file)
    try:
        write_outputs(files)
    except OSError as error:
        raise ScoreError(f"{error.filename or file}: cannot be written ({error.strerror or error})") from error
    return [str(target) for target in files]


def format_of(path: Path, name: str | None = None) -> str:
    """The format asked for, else the one that the file's ending names.

    Raises:
        ScoreError: neither is one of ``FORMATS``.
    """
    found = name or path.suffix.lower().lstrip(".")
    if found not in FORMATS:
        what = f"format {name!r}" if name else f"{path}: ending {path.suffix!r}"
        raise ScoreError(f"{what} is not known: use one of {', '.join(FORMATS)}")
    return found
