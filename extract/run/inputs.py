"""Which files a run works on (docs/media.md, "Files")."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from mimetypes import MimeTypes
from pathlib import Path

from extract.errors import ExtractError
from extract.run.file_ids import by_stem, ending_of, file_ids, stem, without_ending
from extract.run.listing import Listing, facts_of, list_folder, why_no_content, why_not_read
from extract.run.stamps import Memory, Stamp, stamp_of
from feature_cache.names import composed, escaped, why_not_a_name

VIDEO_ENDINGS = (
    ".3g2", ".3gp", ".asf", ".avi", ".dv", ".f4v", ".flv", ".m2t", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4",
    ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv",
)  # fmt: skip
SOUND_ENDINGS = (
    ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".caf", ".dts", ".eac3", ".flac", ".m4a", ".m4b",
    ".mka", ".mp2", ".mp3", ".oga", ".ogg", ".opus", ".tta", ".w64", ".wav", ".weba", ".wma", ".wv",
)  # fmt: skip
WAV_ENDINGS = (".wav",)
_MOST_USED = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".wav", ".flac", ".mp3", ".ogg")
KINDS_READ = (
    f"read are {', '.join(ending[1:] for ending in _MOST_USED)} and "
    f"{len({*VIDEO_ENDINGS, *SOUND_ENDINGS} - {*_MOST_USED})} other kinds"
)
"""All of them are in docs/media.md."""
_VIDEOS, _SOUNDS = frozenset(VIDEO_ENDINGS), frozenset(SOUND_ENDINGS)
_SHOWN = 3


@dataclass(frozen=True)
class Sources:
    """The files of a run.

    Attributes:
        files: by id, sorted by it.
        paths: below the folder, with "/", by id.
        refused: why files cannot be opened or their names cannot be ids, by id.
        notes: what a person should know about it, a line each.
        incomplete: folders, and links perhaps to folders, that cannot be looked into.
        stamps: of the files that are not refused, by id.
        unchanged: ids of those that are as a cache knows them.
    """

    files: Mapping[str, Path]
    paths: dict[str, str]
    refused: dict[str, str]
    notes: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    unchanged: Collection[str] = ()


@dataclass(frozen=True, eq=False)
class FilesBelow(Mapping[str, Path]):
    """Files of a folder by id: paths are made when they are asked for, as there may be a million. Picklable."""

    folder: Path
    paths: Mapping[str, str]

    def __getitem__(self, name: str) -> Path:
        """The file of an id."""
        return self.folder / self.paths[name]

    def __iter__(self) -> Iterator[str]:
        """The ids, in order."""
        return iter(self.paths)

    def __len__(self) -> int:
        """How many files there are."""
        return len(self.paths)

    def __contains__(self, name: object) -> bool:
        """Whether there is a file of that id."""
        return name in self.paths


def find_videos(
    source: Path,
    *,
    recursive: bool = True,
    known: Mapping[str, str | None] | None = None,
    memory: Memory | None = None,
    only: Collection[str] | None = None,
) -> Sources:
    """Videos, and sound files beside which there is no video of their name, of a folder and those below, or one file.

    Args:
        source: the folder or the file.
        recursive: look into folders below.
        known: ids that a cache has, and the paths of their files (:func:`extract.run.file_ids.file_ids`).
        memory: all that a cache knows of its files, ``known`` in it.
        only: ids of the files to take; None: all of them. An id is what it is among all.

    Raises:
        ExtractError: no such folder or none that can be listed, or no videos in it, or none of those to take.
    """
    memory = memory or Memory(known or {})
    if not source.is_dir():
        _check_file(source)
        return _sources(source.parent, Listing(files=[source.name]), memory, only)
    found = _listed(source, (*VIDEO_ENDINGS, *SOUND_ENDINGS), recursive)
    if not found.files:
        raise ExtractError(
            f"no videos or sound files in {escaped(str(source))}{_what_else(found)}: put some there ({KINDS_READ}), "
            "or make some with `make_demo(...)`"
        )
    return _sources(source, found, memory, only)


def find_sounds(folder: Path, videos: Mapping[str, str], *, recursive: bool = True) -> dict[str, Path | str]:
    """The WAV file of each video, or why it has none.

    A video's file is called by its id or its path below the folder, or has its name if that occurs once on both sides.

    Args:
        folder: of the WAV files.
        videos: paths of the videos' files by id.
        recursive: look into folders below.

    Raises:
        ExtractError: no such folder, or no WAV files in it.
    """
    if not folder.is_dir():
        raise ExtractError(f"no folder {escaped(str(folder))}: `audio_dir` names the one with the WAV files")
    paths = _listed(folder, WAV_ENDINGS, recursive).files
    if not paths:
        raise ExtractError(f"no WAV files in {escaped(str(folder))}")
    called: dict[str, list[str]] = {}
    for path in paths:
        called.setdefault(composed(without_ending(path)), []).append(path)
    named, often = by_stem(paths), by_stem(videos.values())
    ways = Counter(composed(without_ending(path)) for path in videos.values())
    found: dict[str, Path | str] = {}
    for clip, path in videos.items():
        way, name = composed(without_ending(path)), composed(stem(path))
        ours = called.get(composed(clip), ()) or (called.get(way, ()) if ways[way] == 1 else ())
        ours = ours or (named.get(name, ()) if len(often[name]) == 1 else ())
        if len(ours) == 1:
            reason = why_not_read(folder / ours[0])
            found[clip] = (
                folder / ours[0] if reason is None else f"{escaped(ours[0])} in `audio_dir`: {escaped(reason)}"
            )
        elif ours:
            found[clip] = f"{_some(ours)} in `audio_dir` are all called so: keep one"
        elif len(often[name]) > 1 and name in named:
            found[clip] = f"no {clip}.wav in `audio_dir`, and {_some(named[name])} may be another's; put it there"
        else:
            found[clip] = f"no {stem(path)}.wav in `audio_dir`; put it there"
    return found


def labels_beside(source: Path) -> Path | None:
    """The file labels.txt in the folder of the videos, if there is one.

    Raises:
        ExtractError: something of that name is there that is no file, or a link to nothing.
    """
    path = (source if source.is_dir() else source.parent) / "labels.txt"
    if not os.path.lexists(path):
        return None
    if not path.is_file():
        raise ExtractError(
            f"{escaped(str(path))} is no file that can be read: put it right, or name another by `labels`"
        )
    return path


def kind_is_known(path: Path) -> bool:
    """Whether a file's ending is one of those that are looked for."""
    return ending_of(path.name) in (*VIDEO_ENDINGS, *SOUND_ENDINGS)


def _check_file(source: Path) -> None:
    """A source that is no folder is a file."""
    if source.is_file():
        return
    if source.is_symlink():
        raise ExtractError(f"{escaped(str(source))}: {why_not_read(source)}")
    if source.exists():
        raise ExtractError(f"{escaped(str(source))} is no file and no folder: name a folder of videos, or one video")
    raise ExtractError(
        f"no folder {escaped(str(source))}: name the one with your videos, or make some with `make_demo(...)`"
    )


def _listed(folder: Path, endings: tuple[str, ...], recursive: bool) -> Listing:
    try:
        return list_folder(folder, endings, recursive=recursive)
    except OSError as error:
        raise ExtractError(f"folder {escaped(str(folder))} cannot be listed: {error.strerror}") from error


def _sources(folder: Path, found: Listing, memory: Memory, only: Collection[str] | None) -> Sources:
    paths, beside = _without_videos_sounds(found.files, memory)
    shown, raw = paths, dict[str, str]()
    if not all(path.isprintable() for path in paths):
        for path in paths:
            name = escaped(path)
            raw[f"{name}~" if name in raw else name] = path
        shown = list(raw)
    ids = file_ids(shown, memory.paths)
    taken = set(ids.by_path.values() if only is None else only)
    by_id = dict(sorted((clip, path) for path, clip in ids.by_path.items() if clip in taken))
    if not by_id:
        raise ExtractError(f"none of the {len(taken)} files to take (`only`) is in {escaped(str(folder))}")
    files = FilesBelow(folder, {clip: raw.get(path, path) for clip, path in by_id.items()} if raw else by_id)
    refused: dict[str, str] = {}
    stamps: dict[str, Stamp] = {}
    unchanged: set[str] = set()
    for clip, path in files.paths.items():
        name = path[path.rfind("/") + 1 :]
        if (reason := why_not_a_name(name)) is not None:
            refused[clip] = f"its name, {escaped(name)}, is none for a clip ({reason}): rename it"
        elif isinstance(info := facts_of(f"{folder}/{path}"), str):
            refused[clip] = escaped(info)
        elif (stamp := memory.stamp(clip, by_id[clip], info)) is not None:
            stamps[clip] = stamp
            unchanged.add(clip)
        elif (reason := why_no_content(files[clip], info)) is not None:
            refused[clip] = escaped(reason)
        else:
            stamps[clip] = stamp_of(info)
    notes = (*_id_notes(by_id), *_moved_notes(ids.moved), *_beside_notes(beside), *_listing_notes(found))
    incomplete = tuple(escaped(path) for path in (*found.unlisted, *found.lead_nowhere))
    return Sources(files, by_id, refused, notes, incomplete, stamps, unchanged)


def _without_videos_sounds(paths: list[str], memory: Memory) -> tuple[list[str], list[str]]:
    """Files without the sound files that have a video of their name in their folder, and those.

    A sound file that was a clip before the video came stays one.
    """
    sounds = {path: without_ending(path) for path in paths if ending_of(path) in _SOUNDS}
    if not sounds or len(sounds) == len(paths):
        return paths, []
    called = set(sounds.values())
    videos = {
        name
        for path in paths
        if path not in sounds and (name := without_ending(path)) in called and ending_of(path) in _VIDEOS
    }
    known = set(memory.paths.values()) if videos else set()
    beside = [path for path, name in sounds.items() if name in videos and escaped(path) not in known]
    leave = set(beside)
    return [path for path in paths if path not in leave], beside


def _id_notes(paths: Mapping[str, str]) -> list[str]:
    longer = {clip: path for clip, path in paths.items() if clip != stem(path)}
    by_way = [clip for clip, path in longer.items() if clip == without_ending(path)]
    by_all = [clip for clip, path in longer.items() if clip == path]
    notes = []
    if by_way:
        notes.append(f"files whose names occur in several folders: {len(by_way)}, called by path ({_some(by_way)})")
    if by_all:
        notes.append(f"files whose names are others', too: {len(by_all)}, called with their endings ({_some(by_all)})")
    return notes


def _moved_notes(moved: Mapping[str, tuple[str, str]]) -> list[str]:
    if not moved:
        return []
    clip, (before, now) = next(iter(moved.items()))
    return [
        f"files that lie elsewhere than when their clips were made: {len(moved)} ({clip}: {before}, now {now}), "
        "taken as the same"
    ]


def _beside_notes(beside: Sequence[str]) -> list[str]:
    if not beside:
        return []
    return [
        f"sound files beside a video of their name: {len(beside)}, left out, as the video's own sound is taken "
        f"({_some(beside)}); `audio_dir` takes sound from files"
    ]


def _listing_notes(found: Listing) -> list[str]:
    unread = [ending for ending in sorted(found.others) if _is_media(ending)]
    lines = (
        ("folders that cannot be listed, so that what is in them is left out", found.unlisted),
        ("links that lead to nothing, left out", found.lead_nowhere),
        ("links to a folder around this one, not followed", found.around),
        ("folders below that are not looked into (`recursive=False`)", found.folders_left),
    )
    notes = [f"{what}: {len(paths)} ({_some(paths)})" for what, paths in lines if paths]
    if unread:
        count = sum(found.others[ending] for ending in unread)
        notes.append(f"files of kinds that are not read, left out: {count} ({', '.join(unread)})")
    return notes


_TYPES = MimeTypes()
"""Python's own list, the same on every system."""
_PICTURES = (".apng", ".gif")


def _is_media(ending: str) -> bool:
    kind = _TYPES.guess_type(f"a{ending}", strict=False)[0] or ""
    return kind.startswith(("audio/", "video/")) or ending in (*_PICTURES, ".ac3", ".dts", ".eac3", ".ape", ".wv")


def _what_else(found: Listing) -> str:
    parts = []
    if count := sum(found.others.values()):
        kinds = ", ".join(f"{ending or 'no ending'} {times}" for ending, times in found.others.most_common(_SHOWN + 2))
        parts.append(f"{count} of other kinds ({escaped(kinds)})")
    lines = (
        ("folders below that cannot be listed", found.unlisted),
        ("folders below that are not looked into", found.folders_left),
        ("links that lead to nothing", found.lead_nowhere),
    )
    parts += [f"{len(paths)} {what} ({_some(paths)})" for what, paths in lines if paths]
    return f", only {', '.join(parts)}" if parts else ""


def _some(paths: Sequence[str]) -> str:
    shown = ", ".join(escaped(path) for path in paths[:_SHOWN])
    return f"{shown}, …" if len(paths) > _SHOWN else shown
