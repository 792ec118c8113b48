"""Cutting events out of the videos that were extracted: a file an event, and a table that says what is what."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from extract.errors import ExtractError, MediaError
from extract.media.cut import Cut, cut_stretch
from extract.run.inputs import find_videos
from feature_cache.file_names import file_name
from feature_cache.names import composed, escaped
from feature_cache.storage.atomic import whole_file

TABLE = "cuts.csv"
COLUMNS = (
    "file", "clip", "stream", "label", "onset", "offset", "score", "source", "begin", "end", "picture", "sound",
    "reason",
)  # fmt: skip
_LONGEST_ENDING = ".webm"

Origins = Mapping[str, Sequence[Any]]
"""By clip: the id of the file it was cut from, the second at which it begins in it and, if it is padded, that at which
the file ends."""


class FoundEvent(NamedTuple):
    """An event: of a clip, or of a file where events were stitched; onset and offset in seconds of it."""

    clip: str
    stream: str
    label: str
    onset: float
    offset: float
    score: float


@dataclass(frozen=True)
class Cuts:
    """What was cut.

    Attributes:
        table: the file that says what is what.
        counts: how many files were made, by what became of their streams: "copied", "encoded", or "partly copied".
        failed: number of events that could not be cut, by reason.
    """

    table: Path
    counts: Counter[str]
    failed: Counter[str]


class Videos:
    """The files that clips come from."""

    def __init__(self, folder: Path, clips: Sequence[str], origins: Origins, paths: Mapping[str, str]) -> None:
        """Look for the files of clips.

        Args:
            folder: the folder that was extracted, or the one file.
            clips: names of all clips.
            origins: of those that were cut from longer files.
            paths: below the folder, by id of the files that are not called ``id.mp4``.

        Raises:
            ExtractError: there is no such folder, or none of the files is in it.
        """
        self._folder, self._origins = folder, origins
        ids = dict.fromkeys(origins[clip][0] if clip in origins else clip for clip in clips)
        known: dict[str, str | None] = {name: paths.get(name, f"{name}.mp4") for name in ids}
        self._found = find_videos(folder, known=known)
        if not any(name in self._found.paths for name in ids):
            one = next(iter(ids), "")
            raise ExtractError(
                f"{escaped(str(folder))} has none of the cache's files, such as {known.get(one)}: "
                "name the folder that was extracted"
            )

    def keep_out(self, folder: Path) -> None:
        """Refuse a folder in which the next extraction would look for videos.

        Raises:
            ExtractError: it is that of the videos, or lies in it.
        """
        if self._folder.is_dir() and self._folder.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise ExtractError(
                f"{escaped(str(folder))} lies in the folder of the videos, where cuts would be extracted, too: "
                "name a folder elsewhere"
            )

    def place(self, event: FoundEvent, stitched: bool) -> tuple[Path, str, float, float]:
        """The file of an event, its path below the folder, and the seconds of its content.

        Raises:
            MediaError: there is no such file, or it cannot be read.
        """
        file, shift, *end = (event.clip, 0.0) if stitched else self._origins.get(event.clip, (event.clip, 0.0))
        below = self._found.paths.get(file)
        if below is None:
            raise MediaError(Path(file), "it is not in the folder any more; get it again")
        if file in self._found.refused:
            raise MediaError(Path(below), self._found.refused[file])
        begin, stop = shift + event.onset, shift + event.offset
        return self._found.files[file], below, begin, min([stop, *end])


def cut_events(
    events: Sequence[FoundEvent],
    videos: Videos,
    folder: Path,
    *,
    stitched: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Cuts:
    """Cut events out of their videos, each into a file of its own; one that fails is a line of the table.

    Args:
        events: in the order of the table.
        videos: where they come from.
        folder: gets the files and ``cuts.csv``; it is made where it is not there. Files of the same names are replaced.
        stitched: whether events are of files, and not of clips.
        progress: called with events done with, and all of them.

    Raises:
        ExtractError: the folder cannot be made, or lies in that of the videos.
        OSError: it cannot be written to.
    """
    videos.keep_out(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExtractError(f"{folder}: cannot be made ({error.strerror}): name another folder") from error
    counts, failed = Counter[str](), Counter[str]()
    with whole_file(folder / TABLE) as partial, partial.open("w", encoding="utf-8", newline="") as text:
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        progress(0, len(events))
        for number, (event, name) in enumerate(zip(events, _names(events), strict=True), start=1):
            below, begin, end = "", event.onset, event.offset
            file = picture = sound = reason = ""
            try:
                path, below, begin, end = videos.place(event, stitched)
                cut = cut_stretch(path, begin, end, folder / name)
            except MediaError as error:
                reason = error.reason
                failed[reason] += 1
            else:
                file, picture, sound, begin, end = cut.path.name, cut.picture, cut.sound, cut.begin, cut.end
                counts[_how(cut)] += 1
            seconds = (*event[3:5], event.score, begin, end)
            onset, offset, score, first, last = (repr(round(each, 6)) for each in seconds)
            table.writerow((file, *event[:3], onset, offset, score, below, first, last, picture, sound, reason))
            progress(number, len(events))
    return Cuts(folder / TABLE, counts, failed)


def _how(cut: Cut) -> str:
    ways = {cut.picture, cut.sound} - {""}
    return next(iter(ways)) if len(ways) == 1 else "partly copied"


def _names(events: Sequence[FoundEvent]) -> Iterator[str]:
    """Names of files without ending, which sort by clip and time; none is there twice, whatever the file system."""
    seen: set[str] = set()
    for event in events:
        text = f"{event.clip}_{event.onset:07.2f}-{event.offset:07.2f}_{event.stream}_{event.label}"
        name, number = file_name(text, _LONGEST_ENDING).removesuffix(_LONGEST_ENDING), 1
        while (key := composed(name).casefold()) in seen:
            number += 1
            name = file_name(f"{text}~{number}", _LONGEST_ENDING).removesuffix(_LONGEST_ENDING)
        seen.add(key)
        yield name
