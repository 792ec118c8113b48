"""Clips' ids as names of files, safe on every system, and back (docs/formats.md).

A / in an id is a folder. What no file name may hold, or what would lead out of the folder, is written as URLs do,
``%3A`` for a colon; what would be too long is cut and ends in a digest of the id, and what only case sets apart ends
in one, too.
"""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Sequence

import numpy as np
import xxhash

MOST_BYTES = 200
"""Of a part of a name: 255 are possible, and an ending comes behind it."""
_MOST_OF_ALL = 1000
_DIGEST = "~"
_DEVICES = r"(?:con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³])(?=\.|$)"
_PLAIN = re.compile(rf"(?!{_DEVICES})[A-Za-z0-9_-][A-Za-z0-9_.+=@,-]{{0,99}}(?<!\.)", re.IGNORECASE)
_ESCAPES = re.compile(
    rf"""[\x00-\x1f\x7f-\x9f\u2028\u2029<>:"\\|?*\ud800-\udfff]  # what Windows, or no system, allows
    | %(?=[0-9a-f]{{2}})
    | ~(?=[0-9a-f]{{16}}$)                       # what looks like a digest
    | ^\. | [. ]$                              # hidden files, . and ..
    | ^{_DEVICES}                              # of Windows
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ESCAPED = re.compile(r"(?:%[0-9A-F]{2})+")
_EMPTY = "%2F"


def file_name(clip: str, ending: str = "") -> str:
    """The name of a clip's file without its ending, folders before it with / between.

    Args:
        clip: an id.
        ending: of the file; a folder's name is never one that ends so, as a file might have that name.
    """
    if _PLAIN.fullmatch(clip):
        return clip
    *folders, last = clip.split("/")
    parts = [_not_ending(_part(each), ending) for each in folders] + [_part(last)]
    name = "/".join(parts)
    return name if len(name.encode()) <= _MOST_OF_ALL else _cut(parts[-1], clip)


def file_names(clips: Sequence[str], ending: str = "") -> "FileNames":
    """The names of many clips' files, no two of which are the same on any system."""
    return FileNames(clips, ending)


class FileNames:
    """Names of files by the number of their clip."""

    def __init__(self, clips: Sequence[str], ending: str = "") -> None:
        """Find the clips whose names are another's but for case or the form of Unicode."""
        self._clips, self._ending = clips, ending
        keys = np.fromiter((_key(file_name(clip, ending)) for clip in clips), np.uint64, len(clips))
        _, first, count = np.unique(keys, return_inverse=True, return_counts=True)
        self._alike: Collection[int] = set(np.flatnonzero(count[first] > 1).tolist())

    def __getitem__(self, clip: int) -> str:
        """The name of a clip's file without its ending."""
        name = file_name(self._clips[clip], self._ending)
        if clip not in self._alike:
            return name
        folder, slash, last = name.rpartition("/")
        return f"{folder}{slash}{_cut(last, self._clips[clip])}"


def clip_of(name: str, ending: str = "") -> str:
    """The clip whose file has this name without its ending: what :func:`file_name` has escaped is itself again."""
    clip = "/".join("" if part == _EMPTY else _ESCAPED.sub(_plain, part) for part in name.split("/"))
    return clip if file_name(clip, ending) == name else name


def _part(text: str) -> str:
    if not text:
        return _EMPTY
    name = _ESCAPES.sub(_escaped, text)
    return name if len(name.encode()) <= MOST_BYTES else _cut(name, text)


def _escaped(found: re.Match[str]) -> str:
    first, rest = found[0][0], found[0][1:]
    return "".join(f"%{byte:02X}" for byte in first.encode("utf-8", "surrogatepass")) + rest


def _plain(found: re.Match[str]) -> str:
    data = bytes.fromhex(found[0].replace("%", ""))
    return data.decode("utf-8", "surrogatepass") if _is_text(data) else found[0]


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _cut(name: str, whole: str) -> str:
    """The beginning of a name and a digest of what it stands for; no escape is cut in two."""
    digest = hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    begin = name.encode()[: MOST_BYTES - len(_DIGEST) - len(digest)].decode("utf-8", "ignore")
    return f"{re.sub('%[0-9A-F]?$', '', begin)}{_DIGEST}{digest}"


def _not_ending(part: str, ending: str) -> str:
    if ending and part.lower().endswith(ending.lower()):
        return f"{part[: -len(ending)]}%2E{part[len(part) - len(ending) + 1 :]}"
    return part


def _key(name: str) -> int:
    """Equal for names that some system takes for the same."""
    return xxhash.xxh3_64_intdigest(
        unicodedata.normalize("NFD", unicodedata.normalize("NFC", name).casefold()).encode()
    )
