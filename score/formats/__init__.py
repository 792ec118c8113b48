"""File formats of events. A format is one file here and one line below; none knows more than facts and blocks."""

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from score.errors import ScoreError
from score.formats.base import EventBlock, Facts, Format, Listed, NamedEvents, Progress
from score.formats.csv_events import CSV
from score.formats.json_events import JSON, read_json
from score.formats.jsonl_events import JSONL
from score.formats.outputs import whole_outputs
from score.formats.parquet_events import PARQUET
from score.formats.tsv_events import TSV

FORMATS: dict[str, Format] = {each.name: each for each in (JSON, JSONL, CSV, TSV, PARQUET)}
"""Every format by its name, which is its file ending."""


def write_events(
    facts: Facts, blocks: Iterable[EventBlock], path: str | PathLike[str], format: str | None = None
) -> list[str]:
    """Write events as they come, all files whole or none; returns the names of the files written.

    Args:
        facts: as :meth:`score.event_facts.EventFacts.to_dict` gives them.
        blocks: the events.
        path: the file; its ending says the format unless ``format`` does.
        format: a name of ``FORMATS``.

    Raises:
        ScoreError: no such format, or a file cannot be written.
    """
    file = Path(path)
    known = FORMATS[format_of(file, format)]
    files = list(known.files(file))
    try:
        with whole_outputs(files) as opened:
            known.write(facts, _apart(blocks), opened)
    except _SourceError as error:
        raise error.first from None
    except OSError as error:
        raise ScoreError(f"{file}: cannot be written ({error.strerror or error})") from error
    return [str(target) for target in files]


def read_events(
    path: str | PathLike[str], progress: Progress = lambda done, size: None
) -> tuple[Facts, Iterator[NamedEvents]]:
    """The facts of a file and its events, unchecked; it is JSON unless its ending is that of another that is read.

    Args:
        path: the file.
        progress: called with bytes read, and all of them.

    Raises:
        ScoreError: the file is missing, damaged, or something else, said without its name.
    """
    file = Path(path)
    known = FORMATS.get(file.suffix.lower().lstrip("."))
    return (read_json if known is None or known.read is None else known.read)(file, progress)


def read_listed(
    path: str | PathLike[str], format: str | None = None, progress: Progress = lambda done, size: None
) -> Listed:
    """Events that a file lists, by whomever: another system's results, or annotations.

    Args:
        path: the file.
        format: a name of ``FORMATS``; by default what :func:`kind_of` says.
        progress: called with bytes read, and all of them.

    Raises:
        ScoreError: it is missing, or something else; with its name, and while events come, too.
    """
    file = Path(path)
    known = FORMATS.get(format or kind_of(file))
    if known is not None and known.read is not None:
        try:
            facts, events = known.read(file, progress)
        except ScoreError as error:
            raise ScoreError(f"{file}: {error}") from error
        return Listed(events, facts["clips"])
    if known is None or known.read_list is None:
        raise ScoreError(f"format {format!r} is none that lists events: use csv")
    return known.read_list(file, progress)


def kind_of(path: str | PathLike[str]) -> str:
    """The format of a file: a name of ``FORMATS``."""
    ending = Path(path).suffix.lower().lstrip(".")
    return ending if ending in FORMATS else "json"


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


class _SourceError(Exception):
    """An error of the events' source while they were written."""

    def __init__(self, first: OSError) -> None:
        self.first = first


def _apart(blocks: Iterable[EventBlock]) -> Iterator[EventBlock]:
    try:
        yield from blocks
    except OSError as error:
        raise _SourceError(error) from error
