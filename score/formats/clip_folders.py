"""Folders with a file a clip, whose name is the clip's id, with or without a stream at its end; or one such file."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from feature_cache.text_files import TextFileError, read_text
from score.errors import ScoreError
from score.formats.base import Listed, ListReader, Progress
from score.formats.clip_names import clip_of
from score.formats.named import Found, in_blocks, stream_ending

MOST_OF_A_CLIP = 16_000_000
"""Bytes of a clip's file."""


class ClipEvent(NamedTuple):
    """An event as the file of a clip has it: stream "" where it says none."""

    stream: str
    label: str
    onset: float
    offset: float


ClipReader = Callable[[str], Iterator[ClipEvent]]
"""Events of a clip's file, from its text; raises ScoreError with the line, or what stands for it."""


class _File(NamedTuple):
    path: Path
    clip: str
    stream: str


def clip_reader(ending: str, read: ClipReader, *, stream_in_name: bool = False) -> ListReader:
    """What reads all the files below a folder that end so, or one file.

    Args:
        ending: of the files.
        read: what reads one of them.
        stream_in_name: whether a stream at the end of a name is that of the events; else it is the clip's.
    """

    def read_list(path: Path, progress: Progress) -> Listed:
        files = list(_files(path, ending, stream_in_name))
        if not files:
            raise ScoreError(f"{path} has no {ending} file: name the folder with a file a clip")
        found = Found()
        clips = dict.fromkeys(file.clip for file in files)
        return Listed(in_blocks(found, _read(files, read, found, progress)), list(clips))

    return read_list


def _files(path: Path, ending: str, stream_in_name: bool) -> Iterator[_File]:
    try:
        paths = sorted(path.rglob("*")) if path.is_dir() else [path]
    except OSError as error:
        raise ScoreError(f"{path}: {error.strerror or error}") from error
    for file in paths:
        name = file.relative_to(path).as_posix() if file != path else file.name
        if any(part.startswith(".") for part in name.split("/")) and file != path:
            continue
        if file.suffix.lower() == ending.lower():
            clip, stream = stream_ending(name[: -len(ending)]) if stream_in_name else (name[: -len(ending)], "")
            yield _File(file, clip_of(clip, ending), stream)
        elif file == path:
            clip, stream = stream_ending(file.stem) if stream_in_name else (file.stem, "")
            yield _File(file, clip_of(clip, ending), stream)


def _read(files: list[_File], read: ClipReader, into: Found, progress: Progress) -> Iterator[None]:
    for number, file in enumerate(files, 1):
        try:
            for stream, label, onset, offset in read(read_text(file.path, MOST_OF_A_CLIP)):
                into.add(file.clip, stream or file.stream, label, onset, offset)
                yield
        except TextFileError as error:
            raise ScoreError(str(error)) from error
        except ScoreError as error:
            raise ScoreError(f"{file.path}: {error}") from error
        progress(number, len(files))
