"""What lies in a folder and the folders below it, and which of it cannot be opened."""

import os
import stat
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from extract.run.file_ids import ending_of

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_POINTERS = {
    b"version https://git-lfs.github.com/spec": "git lfs pull",
    b"/annex/objects/": "git annex get",
}
_POINTER_BYTES = 1024
_FORBIDDEN = "it may not be read (no permission): give yourself the right to read it and to enter its folder"


@dataclass
class Listing:
    """What was found; paths are below the folder, with "/" between names.

    Attributes:
        files: those with one of the endings asked for, links and what is no file among them; sorted.
        others: how many files there are of other endings (lower case; "" for none).
        folders_left: folders that were not looked into, as only one level was asked for.
        lead_nowhere: links without such an ending that lead to nothing: a folder perhaps.
        unlisted: folders that cannot be listed.
        around: links to a folder that this one lies in.
    """

    files: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    folders_left: list[str] = field(default_factory=list)
    lead_nowhere: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    around: list[str] = field(default_factory=list)


def list_folder(root: Path, endings: Collection[str], *, recursive: bool = True) -> Listing:
    """Files of some endings (lower case), but for hidden ones and those in hidden folders and in Zarr stores.

    A folder is looked into once, as itself before by a link to it.

    Raises:
        OSError: the folder itself cannot be listed.
    """
    found, wanted = Listing(), frozenset(endings)
    around = {_identity(folder) for folder in root.resolve().parents}
    seen: set[tuple[int, int] | None] = set()
    folders, links = deque([""]), list[str]()
    while folders or links:
        if folders:
            below = folders.popleft()
        else:
            links.sort()
            below = links.pop(0)
            if _identity(root / below) in around:
                found.around.append(below)
                continue
        folder = root / below
        identity = _identity(folder)
        if identity is not None and identity in seen:
            continue
        seen.add(identity)
        try:
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            if not below:
                raise
            found.unlisted.append(below)
            continue
        for entry in inside:
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                if entry.name.lower().endswith(".zarr"):
                    continue
                if not recursive:
                    found.folders_left.append(name)
                else:
                    (links if entry.is_symlink() else folders).append(name)
                continue
            ending = ending_of(entry.name)
            if ending in wanted:
                found.files.append(name)
            elif not ending and entry.is_symlink() and _identity(folder / entry.name) is None:
                found.lead_nowhere.append(name)
            else:
                found.others[ending] += 1
    found.files.sort()
    return found


def why_not_read(path: Path) -> str | None:
    """What keeps a file from being opened, known without opening a pipe or a device; None: nothing does."""
    info = facts_of(path)
    return info if isinstance(info, str) else why_no_content(path, info)


def facts_of(path: Path | str) -> os.stat_result | str:
    """What the system says of a file, or what keeps it from being opened; it is not opened."""
    try:
        info = os.stat(path)  # noqa: PTH116 (a million texts make no paths)
    except PermissionError:
        return _FORBIDDEN
    except OSError as error:
        if Path(path).is_symlink():
            target = str(Path(path).readlink())
            shown = target if len(target) <= 80 else f"…{target[-79:]}"
            return f"its link leads to nothing ({shown}): get it, e.g. with `git annex get`"
        return f"it cannot be read ({error.strerror}): mend that, or get it again"
    if not stat.S_ISREG(info.st_mode):
        what = next((text for test, text in _KINDS if test(info.st_mode)), "something else")
        return f"it is no file but {what}; remove or rename it"
    return info if os.access(path, os.R_OK) else _FORBIDDEN


def why_no_content(path: Path, info: os.stat_result) -> str | None:
    """Why a file is not what it stands for; None: it is. A small one is opened."""
    if 0 < info.st_size <= _POINTER_BYTES:
        try:
            with path.open("rb") as file:
                begin = file.read(64)
        except OSError as error:
            return f"it cannot be read ({error.strerror}): mend that, or get it again"
        for text, command in _POINTERS.items():
            if begin.startswith(text):
                return f"its content is not here, only a note of where it is: get it with `{command}`"
    return None


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file or a folder from others; None: it is not there."""
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads around in a circle, or to where one may not look
        return False
