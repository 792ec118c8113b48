"""File formats of events. A format is one file here and one line below; none knows more than records and facts."""

from os import PathLike
from pathlib import Path
from typing import Any

from feature_cache.storage.atomic import write_outputs
from score.errors import ScoreError
from score.formats.base import Facts, Format
from score.formats.csv_events import CSV
from score.formats.json_events import JSON, read_json
from score.formats.tsv_events import TSV

FORMATS: dict[str, Format] = {each.name: each for each in (JSON, CSV, TSV)}
"""Every format by its name, which is its file ending."""


def write_events(events: Facts, path: str | PathLike[str], format: str | None = None) -> list[str]:
    """Write events, given by :meth:`score.Events.to_dict`; returns the names of the files written.

    Raises:
        ScoreError: no such format, or a file cannot be written.
    """
    file = Path(path)
    files = FORMATS[format_of(file, format)].write(events, file)
    try:
        write_outputs(files)
    except OSError as error:
        raise ScoreError(f"{error.filename or file}: cannot be written ({error.strerror or error})") from error
    return [str(target) for target in files]


def read_events(path: str | PathLike[str]) -> dict[str, Any]:
    """Events from a file, for :meth:`score.Events.from_dict`; JSON unless its ending is that of another that is read.

    Raises:
        ScoreError: the file is missing, damaged, or something else.
    """
    file = Path(path)
    known = FORMATS.get(file.suffix.lower().lstrip("."))
    return (read_json if known is None or known.read is None else known.read)(file)


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
