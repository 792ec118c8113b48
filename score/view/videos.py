"""The files of clips below a folder of videos, and where in its file each clip lies."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from feature_cache.names import composed
from score.errors import ScoreError
from score.event_facts import Origin

MEDIA_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
    ".mkv": "video/x-matroska", ".ogv": "video/ogg", ".avi": "video/x-msvideo", ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg", ".ts": "video/mp2t", ".wav": "audio/wav", ".mp3": "audio/mpeg", ".m4a": "audio/mp4",
    ".aac": "audio/aac", ".flac": "audio/flac", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg",
    ".weba": "audio/webm",
}  # fmt: skip
"""Of files that are found by their names alone; not every browser plays each."""


class ClipVideos:
    """Which file of a folder is which clip's.

    A clip's file is the one of its origin's id, or of its own id. Its path below the folder is what the cache says,
    else ``id.mp4``, else the one media file whose path without its ending is the id, or whose name is.

    Attributes:
        folder: the folder, or the one file.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        clip_ids: Sequence[str],
        origins: Mapping[str, Origin],
        files: Mapping[str, str],
        seconds: float | None = None,
    ) -> None:
        """Files are looked for when they are first asked for, in one walk.

        Args:
            folder: of the videos; or one video.
            clip_ids: names of the clips; of stitched events, of the files.
            origins: of clips that were cut from longer files, as ``EventFacts.clips_from``; of stitched events none.
            files: paths below the folder by id, of files that are not called ``id.mp4``.
            seconds: length of a clip; None: as long as its file.

        Raises:
            ScoreError: there is no such folder.

        Example:
            >>> videos = ClipVideos("videos", facts.clip_ids, facts.clips_from, {}, seconds=10.0)
            >>> videos.path("street#3"), videos.place("street#3")
            (PosixPath('videos/street.mp4'), (30.0, 40.0))
        """
        self.folder = Path(folder)
        if not self.folder.exists():
            raise ScoreError(f"{self.folder} is not there: name the folder of the videos: `videos`")
        self._clips, self._origins, self._files, self._seconds = clip_ids, origins, files, seconds

    def follow(self, clip_ids: Sequence[str], origins: Mapping[str, Origin], files: Mapping[str, str]) -> None:
        """Take other clips, as of a cache that was opened again; files are looked for anew where they are others."""
        if clip_ids is self._clips:
            return
        if (clip_ids, origins, files) != (self._clips, self._origins, self._files):
            for name in ("found", "_walked"):
                self.__dict__.pop(name, None)
        self._clips, self._origins, self._files = clip_ids, origins, files

    def path(self, clip: str) -> Path | None:
        """The file of a clip; None where there is none, or several may be it."""
        file = self._origins[clip][0] if clip in self._origins else clip
        for name in (self._files.get(file), f"{file}.mp4"):
            if name is not None and (found := self._below(name)) is not None:
                return found
        stems = self._walked[1]
        alike = (stems.get(composed(key), []) for key in (file, f"/{file}"))
        return next((paths[0] for paths in alike if len(paths) == 1), None)

    def place(self, clip: str) -> tuple[float, float | None]:
        """Where a clip begins and ends in its file, in seconds; None where it ends with its file."""
        _, begin, end = self._origins.get(clip, (clip, 0.0, None))
        if self._seconds is not None:
            end = begin + self._seconds if end is None else min(end, begin + self._seconds)
        return begin, end

    @cached_property
    def found(self) -> int:
        """How many clips have a file."""
        return sum(self.path(clip) is not None for clip in self._clips)

    @property
    def _root(self) -> Path:
        return self.folder if self.folder.is_dir() else self.folder.parent

    def _below(self, name: str) -> Path | None:
        """A file of the folder by its path there; names of a cache may be anything."""
        posix, windows = PurePosixPath(name), PureWindowsPath(name)
        if "\0" in name or posix.is_absolute() or windows.anchor or ".." in (*posix.parts, *windows.parts):
            return None
        paths = self._walked[0]
        if (found := paths.get(composed(posix.as_posix()))) is not None:
            return found
        path = self._root / posix  # in a folder that is a link
        try:
            return path if self.folder.is_dir() and path.is_file() else None
        except OSError:  # as a name that is too long
            return None

    @cached_property
    def _walked(self) -> tuple[dict[str, Path], dict[str, list[Path]]]:
        """Files by their path, and media files by their path without its ending, and by their name, behind a "/"."""
        paths: dict[str, Path] = {}
        stems: dict[str, list[Path]] = {}
        below = list(_files_below(self.folder)) if self.folder.is_dir() else [self.folder]
        for path in sorted(below):
            key = composed(path.relative_to(self._root).as_posix())
            paths[key] = path
            ending = path.suffix
            if ending.lower() in MEDIA_TYPES:
                stem = key.removesuffix(ending)
                stems.setdefault(stem, []).append(path)
                stems.setdefault(f"/{stem.rpartition('/')[2]}", []).append(path)
        return paths, stems


def _files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it; links to folders are not followed, pipes and the like are left out."""
    folders = [os.fspath(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):  # as a link to itself
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file():
                        yield Path(entry.path)


def media_type(path: Path) -> str:
    """What kind of file it is, by its ending; empty where that says nothing.

    Example:
        >>> media_type(Path("a.WAV"))
        'audio/wav'
    """
    return MEDIA_TYPES.get(path.suffix.lower(), "")


def is_sound(path: Path) -> bool:
    """Whether a file is one of sound alone, by its ending."""
    return media_type(path).startswith("audio/")
