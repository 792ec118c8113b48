"""What files are called: their ids, which are unique and stay what they are while a folder grows (docs/media.md)."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from feature_cache.names import MOST_CHARACTERS, composed, shortened

_NUMBERED = re.compile(r"^(.+)#\d+$")
_MOST_CHARACTERS = MOST_CHARACTERS - 20
_FULL = 2
"""The level of an id that is a file's whole path."""


@dataclass(frozen=True)
class FileIds:
    """The ids of files.

    Attributes:
        by_path: id by path.
        moved: by id, of files that a cache knows: the path then, and now.
    """

    by_path: dict[str, str]
    moved: dict[str, tuple[str, str]]


def file_ids(paths: Sequence[str], known: Mapping[str, str | None]) -> FileIds:
    """An id for each file: its name without ending, or its path if that is not enough.

    A file that a cache knows keeps its id. Of the others, those whose names occur once (NFC, known ones included) are
    called by name; those whose names occur in several folders by path below the folder, without ending; those of one
    name in one folder with it. A name such as `a#1` is no id beside a file `a`, whose parts are called so.

    Args:
        paths: below the folder, with "/"; unique.
        known: ids that are given away, and whose they are; None: that of a file of this name, which was not recorded.
    """
    exact = set(paths)
    fixed = {before: clip for clip, before in known.items() if before is not None and before in exact}
    if len(fixed) == len(exact):  # as where nothing has changed
        return FileIds({path: fixed[path] for path in paths}, {})
    moved = _keep(fixed, paths, known)
    taken = {*known, *fixed.values()}
    stems = by_stem(paths)
    level = {path: min(len(stems[composed(stem(path))]) - 1, 1) for path in paths if path not in fixed}
    while higher := _clashing({path: _id(path, at) for path, at in level.items()}, level, taken):
        for path in higher:
            level[path] += 1
    return FileIds({path: fixed.get(path) or _id(path, level[path]) for path in paths}, moved)


def stem(path: str) -> str:
    """A file's name without its ending."""
    name = path[path.rfind("/") + 1 :]
    return name[: _dot(name)]


def without_ending(path: str) -> str:
    """A path without its last ending."""
    begin = path.rfind("/") + 1
    return path[: begin + _dot(path[begin:])]


def ending_of(path: str) -> str:
    """A file's last ending in lower case, with its dot; empty if it has none."""
    name = path[path.rfind("/") + 1 :]
    return name[_dot(name) :].lower()


def _dot(name: str) -> int:
    """Where a name's ending begins. A dot at its begin or its end begins none."""
    at = name.rfind(".")
    return at if 0 < at < len(name) - 1 else len(name)


def by_stem(paths: Iterable[str]) -> dict[str, list[str]]:
    """Paths by their stem in NFC."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(composed(stem(path)), []).append(path)
    return found


def _id(path: str, level: int) -> str:
    if level == 0:
        return _fitting(stem(path))
    if level == 1:
        return _fitting(without_ending(path))
    return _fitting(path if level == _FULL else f"{path}~{level - 1}")


def _fitting(name: str) -> str:
    """A name that leaves an id room for "#" and a part's number; a path many folders deep is cut in its middle."""
    if len(name) <= _MOST_CHARACTERS:
        return name
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{shortened(name, _MOST_CHARACTERS - 17)}~{digest}"


def _keep(fixed: dict[str, str], paths: Sequence[str], known: Mapping[str, str | None]) -> dict[str, tuple[str, str]]:
    """Add to ids that files have already those of files that are called a little otherwise, or lie elsewhere now.

    Returns:
        The latter: their paths before and now, by id.
    """
    exact = set(paths)
    alike = {composed(path): path for path in reversed(paths)}
    stems = by_stem(paths)
    left = {clip: before for clip, before in known.items() if before not in exact}
    for clip, before in left.items():
        if before is None:
            top = [path for path in stems.get(composed(clip), ()) if "/" not in path]
            path = top[0] if top else None
        else:
            path = alike.get(composed(before))
        if path is not None:
            fixed.setdefault(path, clip)
    have = set(fixed.values())
    names = {clip: composed(clip if before is None else stem(before)) for clip, before in known.items()}
    often = Counter(names.values())
    moved = {}
    for clip, before in left.items():
        now = stems.get(names[clip], ())
        if clip not in have and len(now) == 1 and now[0] not in fixed and often[names[clip]] == 1:
            fixed[now[0]] = clip
            if before is not None:
                moved[clip] = before, now[0]
    return moved


def _clashing(ids: Mapping[str, str], level: Mapping[str, int], taken: set[str]) -> list[str]:
    """Files that need a longer id."""
    holders: dict[str, list[str]] = {}
    for path, name in ids.items():
        holders.setdefault(composed(name), []).append(path)
    others = {composed(name) for name in taken}
    numbered = {match[1] for name in others if (match := _NUMBERED.match(name))}
    found = []
    for path, name in ids.items():
        key = composed(name)
        if level[path] >= _FULL:
            if name in taken:
                found.append(path)
            continue
        match = _NUMBERED.match(key)
        part = match is not None and (match[1] in holders or match[1] in others)
        if len(holders[key]) > 1 or key in others or key in numbered or part:
            found.append(path)
    return found
