"""The media of a report: links to files, and small ones that are put in."""

import base64
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from score.view.videos import ClipVideos, is_sound, media_type

_PIECE = 3 << 18
"""Bytes that are encoded at once: a multiple of 3."""


@dataclass(frozen=True, eq=False)
class Media:
    """Where the clips of a report play from.

    Attributes:
        urls: of the files, in the order in which clips first need them; empty where a file is put in.
        places: of each clip [number of its file, begin, end or None, whether it is sound alone]; None where there is no
            file.
        embedded: the files that are put in, by number, with their types.
    """

    urls: list[str]
    places: list[list[Any] | None]
    embedded: dict[int, tuple[Path, str]]

    @property
    def found(self) -> int:
        """How many clips have a file."""
        return sum(place is not None for place in self.places)


def media_of(
    videos: ClipVideos | None, clips: Sequence[str], report: Path, embed: int | None, without_picture: frozenset[str]
) -> Media:
    """The files of clips, linked from a report or put into it.

    Args:
        videos: where they are looked for; None: nowhere.
        clips: names of the clips.
        report: the report's own path, from whose folder links go.
        embed: bytes up to which a file is put in; None: none is.
        without_picture: clips that are sound alone, whatever their files.
    """
    numbers: dict[Path, int] = {}
    media = Media([], [], {})
    for clip in clips:
        path = None if videos is None else videos.path(clip)
        if videos is None or path is None:
            media.places.append(None)
            continue
        if (number := numbers.get(path)) is None:
            number = numbers[path] = len(numbers)
            if embed is not None and path.stat().st_size <= embed:
                media.embedded[number] = path, media_type(path)
            media.urls.append("" if number in media.embedded else link(path, report.parent))
        begin, end = videos.place(clip)
        media.places.append([number, begin, end, int(is_sound(path) or clip in without_picture)])
    return media


def link(path: Path, folder: Path) -> str:
    """The URL of a file as seen from a folder: relative, or whole where no relative one leads there.

    Example:
        >>> link(Path("out/videos/a b.mp4"), Path("out"))
        'videos/a%20b.mp4'
    """
    try:
        below = os.path.relpath(path, folder or ".")
    except ValueError:  # on another drive
        return path.resolve().as_uri()
    return quote(os.fsencode(Path(below).as_posix()))


def encoded(path: Path) -> Iterator[str]:
    """A file in base64, a piece at a time."""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield base64.b64encode(piece).decode()
