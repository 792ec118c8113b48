"""File formats of events. A format is one file here and one line below; none knows more than facts and blocks."""

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from feature_cache.storage.atomic import whole_outputs
from feature_cache.storage.folders import whole_folder
from score.errors import ScoreError
from score.formats.activitynet import ACTIVITYNET
from score.formats.audacity import AUDACITY
from score.formats.base import EventBlock, Facts, Format, Listed, ListReader, NamedEvents, Progress, stream_files
from score.formats.clip_names import file_names
from score.formats.clips import by_clip
from score.formats.csv_events import CSV
from score.formats.cues import SRT, VTT
from score.formats.eaf import EAF
from score.formats.json_events import JSON, read_json
from score.formats.jsonl_events import JSONL
from score.formats.kinds import kind_by_content
from score.formats.label_studio import LABEL_STUDIO
from score.formats.ov_avebench import read_ov_avebench
from score.formats.parquet_events import PARQUET
from score.formats.rttm import RTTM
from score.formats.textgrid import TEXTGRID
from score.formats.tsv_events import TSV

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        JSON, JSONL, CSV, TSV, PARQUET, ACTIVITYNET, AUDACITY, VTT, SRT, TEXTGRID, EAF, LABEL_STUDIO, RTTM
    )
}  # fmt: skip
"""Every format that is written, by its name."""
LISTS: dict[str, ListReader] = {
    **{name: each.read_list for name, each in FORMATS.items() if each.read_list is not None},
    "ov-avebench": read_ov_avebench,
}
"""What reads lists of events, by the format's name."""
_BY_ENDING = {each.ending.lower(): each for each in FORMATS.values() if each.ending}


def write_events(
    facts: Facts,
    blocks: Iterable[EventBlock],
    path: str | PathLike[str],
    format: str | None = None,
    score_column: bool = False,
) -> list[str]:
    """Write events as they come, all files whole or none; returns the names of the files, or of the folder, written.

    Args:
        facts: as :meth:`score.event_facts.EventFacts.to_dict` gives them.
        blocks: the events.
        path: the file; its ending says the format unless ``format`` does. Where there is a file a clip, the folder; an
            ending that a format has is taken off it, unless there is such a folder.
        format: a name of ``FORMATS``.
        score_column: write scores where a format leaves them out.

    Raises:
        ScoreError: no such format, it has no room for scores, or a file cannot be written.
    """
    file = Path(path)
    known = FORMATS[format_of(file, format)]
    write = known.with_scores if score_column and known.with_scores is not None else known.write
    if score_column and known.with_scores is None and not known.has_scores:
        able = [each.name for each in FORMATS.values() if each.has_scores or each.with_scores is not None]
        raise ScoreError(f"{known.name} has no room for scores (`score_column=True`): use one of {', '.join(able)}")
    try:
        if known.write_clip is not None:
            folder = _folder(file)
            _write_clips(known, facts, _apart(blocks), folder)
            return [str(folder)]
        assert write is not None
        files = list(known.files(file))
        with whole_outputs(files) as opened:
            write(facts, _apart(blocks), opened)
    except _SourceError as error:
        raise error.first from None
    except OSError as error:
        raise ScoreError(f"{file}: cannot be written ({error.strerror or error})") from error
    return [str(target) for target in files]


def outputs_of(path: Path, format: str | None = None) -> list[Path]:
    """The files, or the folder, that :func:`write_events` writes where a person named a path.

    Raises:
        ScoreError: no such format.
    """
    known = FORMATS[format_of(path, format)]
    return [_folder(path)] if known.write_clip is not None else list(known.files(path))


def _folder(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() in _BY_ENDING and not path.is_dir() else path


def _write_clips(known: Format, facts: Facts, blocks: Iterable[EventBlock], folder: Path) -> None:
    assert known.write_clip is not None
    names = file_names(facts["clips"], known.ending)
    with whole_folder(folder) as files:
        for clip in by_clip(facts, blocks):
            for end, text in known.write_clip(facts, clip).items():
                files.write(f"{names[clip.number]}{end}", text.encode("utf-8", "backslashreplace"))


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
    known = _BY_ENDING.get(file.suffix.lower())
    return (read_json if known is None or known.read is None else known.read)(file, progress)


def read_listed(
    path: str | PathLike[str], format: str | None = None, progress: Progress = lambda done, size: None
) -> Listed:
    """Events of a file, or of a folder with a file a clip, by whomever: another system's results, or annotations.

    Args:
        path: the file or folder. Where `events.tsv` is not there, but `events_audio.tsv` and the like are, it is those.
        format: a name of ``LISTS``, or of av2a's own formats; by default what :func:`kind_of` says.
        progress: called with how much is read, and of how much.

    Returns:
        The events, a block at a time, with times that are finite, and the clips that are named.

    Raises:
        ScoreError: it is missing, or something else; with its name, and while events come, too.
    """
    file = Path(path)
    parts = [file] if file.exists() else _of_streams(file, format)
    if not parts:
        raise ScoreError(f"{file} is not there: name a file or a folder of events")
    found = [_listed(part, format or kind_of(part), progress) for part in parts]
    if len(found) == 1:
        return found[0]
    named = [each.clips for each in found if each.clips is not None]
    clips = list(dict.fromkeys(clip for each in named for clip in each)) if len(named) == len(found) else None
    return Listed((block for each in found for block in each.events), clips)


def kind_of(path: str | PathLike[str]) -> str:
    """The format of a file, or of a folder with a file a clip: a name of ``FORMATS`` or ``LISTS``.

    "json", "jsonl" and "parquet" are av2a's own, which say with which settings events were found; the others are lists.
    Kinds of JSON are told apart by what is in them, and so are texts whose ending says nothing. What is none of them is
    "json", whose reader then says so.

    Args:
        path: a file or folder, or what `events_audio.tsv` and the like would be called without the stream.

    Raises:
        ScoreError: it is a folder in which no file's ending is known.

    Example:
        >>> kind_of("unav100_annotations.json")
        'activitynet'
    """
    file = Path(path)
    if not file.exists():
        file = next(iter(_of_streams(file)), file)
    return kind_by_content(file, {ending: each.name for ending, each in _BY_ENDING.items()})


def _of_streams(path: Path, format: str | None = None) -> list[Path]:
    """The files that were written where a person named a path, those that are there."""
    files = FORMATS[format].files(path) if format in FORMATS else stream_files(path, path.suffix)
    return [file for file in files if file.exists()]


def _listed(path: Path, kind: str, progress: Progress) -> Listed:
    known = FORMATS.get(kind)
    if known is not None and known.read is not None:
        return _own(path, known, progress)
    if kind not in LISTS:
        raise ScoreError(f"format {kind!r} is none that lists events: use one of {', '.join(LISTS)}")
    return LISTS[kind](path, progress)


def _own(path: Path, known: Format, progress: Progress) -> Listed:
    """Events of a format of av2a's, without what else it says of them."""
    assert known.read is not None
    try:
        facts, events = known.read(path, progress)
    except ScoreError as error:
        raise ScoreError(f"{path}: {error}") from error
    clips = facts.get("clips")
    if not isinstance(clips, list) or not all(isinstance(clip, str) for clip in clips):
        raise ScoreError(f"{path}: damaged ('clips' are no names): score again")
    return Listed(_with_name(path, events), clips)


def _with_name(path: Path, events: Iterator[NamedEvents]) -> Iterator[NamedEvents]:
    try:
        yield from events
    except ScoreError as error:
        raise ScoreError(f"{path}: {error}") from error


def format_of(path: Path, name: str | None = None) -> str:
    """The format asked for, else the one that the file's ending names.

    Raises:
        ScoreError: neither is one of ``FORMATS``.
    """
    if name is not None and name in FORMATS:
        return name
    if name is None and path.suffix.lower() in _BY_ENDING:
        return _BY_ENDING[path.suffix.lower()].name
    if name is not None:
        raise ScoreError(f"format {name!r} is not known: use one of {', '.join(FORMATS)}")
    endings = ", ".join(each.ending for each in _BY_ENDING.values())
    raise ScoreError(f"{path}: ending {path.suffix!r} is not known: use one of {endings}, or name a `format`")


class _SourceError(Exception):
    """An error of the events' source while they were written."""

    def __init__(self, first: OSError) -> None:
        self.first = first


def _apart(blocks: Iterable[EventBlock]) -> Iterator[EventBlock]:
    try:
        yield from blocks
    except OSError as error:
        raise _SourceError(error) from error
