"""The files that clips come from: found by clip, below one folder, and nowhere else."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from score.errors import ScoreError
from score.event_facts import Origin

_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm", ".mkv": "video/x-matroska",
    ".ogv": "video/ogg", ".avi": "video/x-msvideo", ".mpg": "video/mpeg", ".mpeg": "video/mpeg", ".ts": "video/mp2t",
    ".3gp": "video/3gpp", ".flv": "video/x-flv", ".wmv": "video/x-ms-wmv", ".wav": "audio/wav", ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4", ".aac": "audio/aac", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg",
    ".flac": "audio/flac",
}  # fmt: skip
_USUAL = ".mp4"


def media_type(path: Path) -> str:
    """What a browser is told that a file is, by its ending."""
    return _TYPES.get(path.suffix.lower(), "application/octet-stream")


class ClipVideos:
    """Files by clip.

    Attributes:
        name: of the folder.
        found: clips whose file is there.
    """

    def __init__(
        self, folder: Path, clip_ids: Sequence[str], origins: Mapping[str, Origin], files: Mapping[str, str]
    ) -> None:
        """Look for the files of clips; the folder is gone through once, if at all.

        Args:
            folder: that was extracted.
            clip_ids: the clips.
            origins: by clip id, where clips were cut from longer files.
            files: paths below the folder by the id of a file, where it is not ``id.mp4``.

        Raises:
            ScoreError: there is no such folder.

        Example:
            >>> ClipVideos(Path("videos"), cache.clip_ids, {}, {}).path("train-0001")
        """
        if not folder.is_dir():
            raise ScoreError(f"{folder} is no folder: name the one with the videos, `videos=...`")
        self.name = str(folder)
        self._folder, self._origins, self._files = folder, dict(origins), dict(files)
        self._paths: dict[str, Path] = {}
        self._by_name: dict[str, Path | None] | None = None
        for clip in clip_ids:
            file = self._file_of(clip)
            if file not in self._paths and (path := self._look(file)) is not None:
                self._paths[file] = path
        self.found = sum(self._file_of(clip) in self._paths for clip in clip_ids)

    def _file_of(self, clip: str) -> str:
        return self._origins[clip][0] if clip in self._origins else clip

    def _look(self, file: str) -> Path | None:
        below = PurePosixPath(self._files.get(file, f"{file}{_USUAL}"))
        if not below.is_absolute() and ".." not in below.parts and not any("\\" in part for part in below.parts):
            path = self._folder.joinpath(*below.parts)
            if path.is_file():
                return path
        if file in self._files:
            return None
        if self._by_name is None:
            self._by_name = self._scanned()
        return self._by_name.get(file)

    def _scanned(self) -> dict[str, Path | None]:
        """Media files by their paths and by their names, endings aside; None where a name is several files'."""
        found: dict[str, Path | None] = {}
        for above, folders, names in os.walk(self._folder):
            folders.sort()
            for name in sorted(names):
                path = Path(above, name)
                if path.suffix.lower() not in _TYPES:
                    continue
                keys = {path.relative_to(self._folder).with_suffix("").as_posix(), path.stem}
                for key in keys:
                    found[key] = None if key in found else path
        return found

    def path(self, clip: str) -> Path | None:
        """The file of a clip; None where it is not there."""
        return self._paths.get(self._file_of(clip))

    def place(self, clip: str) -> tuple[float, float | None]:
        """Seconds of the file at which a clip begins, and at which its content ends, where that is before its end."""
        _, begins, ends = self._origins.get(clip, (clip, 0.0, None))
        return begins, ends
