"""Which files a run works on."""

from pathlib import Path

from extract.errors import ExtractError

VIDEO_ENDINGS = (
    ".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm",
    ".wmv",
)  # fmt: skip
SOUND_ENDING = ".wav"


def find_videos(source: Path) -> dict[str, Path]:
    """Video files of a folder (or one file), by clip id, which is the name without its ending; sorted.

    Raises:
        ExtractError: no such folder, no videos in it, or two files of one id.
    """
    if source.is_file():
        return {source.stem: source}
    if not source.is_dir():
        raise ExtractError(f"no folder {source}: name the one with your videos, or make some with `av2a demo`")
    found = _by_stem(source, VIDEO_ENDINGS)
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
    found = _by_stem(folder, (SOUND_ENDING,))
    if not found:
        raise ExtractError(f"no WAV files in {folder}")
    return found


def _by_stem(folder: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in endings or path.name.startswith(".") or not path.is_file():
            continue
        other = found.setdefault(path.stem, path)
        if other is not path:
            raise ExtractError(f"{other.name} and {path.name} in {folder} have one clip name: rename or remove one")
    return dict(sorted(found.items()))
