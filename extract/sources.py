"""Which files a run works on."""

from collections.abc import Container
from pathlib import Path

from extract.errors import ExtractError
from feature_cache.names import escaped, why_not_a_name

VIDEO_ENDINGS = (
    ".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm",
    ".wmv",
)  # fmt: skip
SOUND_ENDINGS = (".aac", ".aif", ".aiff", ".flac", ".m4a", ".mka", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma")
WAV_ENDINGS = (".wav",)


def find_videos(source: Path) -> dict[str, Path]:
    """Video files of a folder (or one file), by name without ending; sorted.

    Sound files are among them, unless there is a video of the same name.

    Raises:
        ExtractError: no such folder, no videos in it, two files of one name, or a name that no clip may have.
    """
    if source.is_file():
        _check_name(source)
        return {source.stem: source}
    if not source.is_dir():
        raise ExtractError(f"no folder {source}: name the one with your videos, or make some with `av2a demo`")
    videos = _by_stem(source, VIDEO_ENDINGS)
    found = dict(sorted({**_by_stem(source, SOUND_ENDINGS, but=videos), **videos}.items()))
    if not found:
        raise ExtractError(
            f"no videos (mp4, mkv, webm, mov, avi, …) in {source}: put some there, or make some with `av2a demo`"
        )
    return found


def find_sounds(folder: Path) -> dict[str, Path]:
    """WAV files of a folder by clip id.

    Raises:
        ExtractError: no such folder, no WAV files in it, or two files of one id.
    """
    if not folder.is_dir():
        raise ExtractError(f"no folder {folder}: --audio-dir names the one with the WAV files")
    found = _by_stem(folder, WAV_ENDINGS)
    if not found:
        raise ExtractError(f"no WAV files in {folder}")
    return found


def _by_stem(folder: Path, endings: tuple[str, ...], but: Container[str] = ()) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in endings or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in but:
            continue
        _check_name(path)
        other = found.setdefault(path.stem, path)
        if other is not path:
            raise ExtractError(f"{other.name} and {path.name} in {folder} have one clip name: rename or remove one")
    return dict(sorted(found.items()))


def _check_name(path: Path) -> None:
    """A name becomes a clip's id."""
    why = why_not_a_name(path.stem)
    if why is not None:
        raise ExtractError(f"the file name {escaped(path.name)} is no clip id: {why}; rename the file")
