"""Files that are as they were when a cache's clips were made of them, by size and time: they are not opened again."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from feature_cache import FAILED, FeatureCache

Stamp = list[int]
"""Size in bytes, time of the last change in ns, and, if there is anything, what the plan says of the file's end."""
_MOST_SAID = 8


class FileClips(NamedTuple):
    """The clips of a file.

    Attributes:
        origins: by clip id, in order: the file's id, the second of it at which the clip begins and, if it is padded,
            that at which the file ends; None: the clip is the whole file as it is.
        ends: what there is to say of the file's end, as bits; 0: nothing.
        refused: why the file cannot be used.
    """

    origins: Mapping[str, list[Any] | None]
    ends: int = 0
    refused: str | None = None


@dataclass(frozen=True)
class Memory:
    """What a cache knows of the files that its clips were made of; nothing, as long as there is none.

    Attributes:
        paths: of the files below their folder, by file id; None: not recorded.
        stamps: of the files whose clips are those that the cache has, by file id.
        doubtful: files that are looked at again whatever their stamps say.
    """

    paths: Mapping[str, str | None] = field(default_factory=dict)
    stamps: Mapping[str, Any] = field(default_factory=dict)
    doubtful: Collection[str] = ()
    _cut: Mapping[str, list[str]] = field(default_factory=dict)
    _origins: Mapping[str, list[Any]] = field(default_factory=dict)
    _ids: Collection[str] = ()

    @classmethod
    def of(cls, cache: FeatureCache, paths: Mapping[str, str | None], cut: object, *, anew: bool = False) -> "Memory":
        """What a cache knows.

        Args:
            cache: the cache.
            paths: of its files (:func:`extract.run.open_cache.known_files`).
            cut: how files become clips now; if the cache's became them in another way, every file is looked at.
            anew: look at files again whose clips failed.
        """
        facts = cache.attributes
        if facts.get("clips") != cut:
            return cls(paths)
        origins, ids = facts.get("clips_from", {}), set(cache.clip_ids)
        pieces: dict[str, list[str]] = {}
        doubtful: set[str] = set()
        for clip, origin in origins.items():
            if clip in ids:
                pieces.setdefault(origin[0], []).append(clip)
            else:  # dropped, or cut off before it was added
                doubtful.add(origin[0])
        if anew:
            failed = (cache.clip_ids[row] for row in (cache.status() == FAILED).nonzero()[0].tolist())
            doubtful.update(origins[clip][0] if clip in origins else clip for clip in failed)
        return cls(paths, facts.get("stamps", {}), doubtful, pieces, origins, ids)

    def stamp(self, name: str, path: str, info: os.stat_result) -> Stamp | None:
        """The stamp of a file that is as it was; None: it must be looked at.

        Args:
            name: its id.
            path: below the folder.
            info: what the system says of it now.
        """
        found = self.stamps.get(name)
        if found is None or found[:2] != stamp_of(info) or self.paths.get(name) != path or name in self.doubtful:
            return None
        said = found[2:]
        if said and not (len(said) == 1 and type(said[0]) is int and 0 < said[0] < _MOST_SAID):
            return None
        return found if name in self._ids or name in self._cut else None

    def clips(self, name: str) -> FileClips:
        """The clips of a file that is as it was."""
        ends, pieces = self.stamps[name][2:], self._cut.get(name)
        if pieces is None:
            return FileClips({name: None}, *ends)
        origins: dict[str, list[Any] | None] = {clip: self._origins[clip] for clip in pieces}
        if len(origins) > 1:
            origins = dict(sorted(origins.items(), key=lambda item: item[1][1] if item[1] else 0))
        if name in self._ids and name not in self._origins:
            origins[name] = None
        return FileClips(origins, *ends)


def stamp_of(info: os.stat_result) -> Stamp:
    """What changes with a file."""
    return [info.st_size, info.st_mtime_ns]


def renewed(
    before: Mapping[str, Any],
    looked_at: Mapping[str, Stamp],
    planned: Collection[str],
    planned_from: Mapping[str, list[Any]],
    there: Collection[str],
    there_from: Mapping[str, list[Any]],
) -> dict[str, Any]:
    """Stamps to record: of the files that were looked at, those whose clips are just the ones that the cache has.

    Args:
        before: the stamps that are recorded.
        looked_at: stamps by file id; empty where there is nothing to record of a file.
        planned: the run's clips.
        planned_from: origins of those that are no whole files.
        there: the clips that the cache has, or is about to have.
        there_from: their origins, likewise.
    """
    unlike, wanted, found = set[str](), set(planned), set(there)
    for clip in planned:
        origin = planned_from.get(clip)
        if (clip not in found or there_from.get(clip) != origin) and (name := (origin or [clip])[0]) in looked_at:
            unlike.add(name)
    for clip in there:
        if clip not in wanted and (name := there_from.get(clip, [clip])[0]) in looked_at:
            unlike.add(name)
    new = {name: stamp for name, stamp in looked_at.items() if stamp and name not in unlike}
    return {**{name: stamp for name, stamp in before.items() if name not in looked_at}, **new}
