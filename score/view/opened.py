"""A cache as it was when it was opened: its clips, its label sets, and whether it has changed on the disk since."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np

from feature_cache import DONE, MISSING_NAMES, CacheError, FeatureCache, Features, TextSet
from feature_cache.layout import ROWS, TEXT_GROUP
from score.errors import ScoreError
from score.event_facts import origins_in
from score.stitching import cut_from_longer

_KEPT_CLIPS = 32
_ROOT = "zarr.json"


class _StillCache(FeatureCache):
    """Its identity is looked up once: what was taken of all its clips, such as a centre, is not taken again."""

    @cached_property
    def identity(self) -> str:
        """As :attr:`feature_cache.FeatureCache.identity`, of the moment when it is first asked for."""
        return self.progress().identity


class OpenedCache:
    """The clips of a cache that are done, numbered in its order.

    Attributes:
        cache: the open cache.
        still: the same, as it was when it was opened, for clip after clip.
        clip_ids: of the clips that are done.
        rows: int64 (n,), their rows in the cache.
        origins: by clip id, where clips were cut from longer files.
        missing: by clip id, "picture" or "sound": what a clip does not have.
        identity: of what it held when it was opened.
    """

    def __init__(self, path: str) -> None:
        """Open it.

        Raises:
            CacheError: it cannot be read, or holds no label set.
            ScoreError: no clip is done.
        """
        self._stamp = self._looked_at = _stamp_of(path)
        self._changed = ""
        self.cache = cache = FeatureCache.open(path)
        self.still = _StillCache.open(path)
        state, ids = cache.progress(), cache.clip_ids
        self.still.identity = self.identity = state.identity
        self.rows = np.flatnonzero(state.status == DONE)
        if not len(self.rows):
            raise ScoreError(f"{path} has no clip that is done: there is nothing to look at")
        self.clip_ids = tuple(ids[row] for row in self.rows.tolist())
        self.origins = origins_in(cache)
        lacking = state.missing[self.rows].tolist()
        self.missing = {clip: MISSING_NAMES[what] for clip, what in zip(self.clip_ids, lacking, strict=True) if what}
        self.text_names = list(cache.text_names)
        if not self.text_names:
            cache.text(None)  # says what to do
        self._texts = {name: cache.text(name) for name in self.text_names}
        self._features: OrderedDict[int, Features] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Number of clips that are done."""
        return len(self.rows)

    @cached_property
    def duration(self) -> float:
        """Seconds of a clip."""
        return float(self.cache.segments * self.cache.segment_seconds)

    def seconds_of(self, number: int) -> float:
        """Seconds of a clip without what it is padded with, where it is the end of a longer file."""
        _, begins, ends = self.origins.get(self.clip_ids[number], ("", 0.0, None))
        if ends is None or not self._longer:
            return self.duration
        return min(self.duration, ends - begins)

    @cached_property
    def _longer(self) -> bool:
        return cut_from_longer(self.origins)

    def text(self, name: str | None) -> TextSet:
        """A label set, as it was when the cache was opened; without a name the only one.

        Raises:
            CacheError: the cache holds no such set, or several.
        """
        if name is None and len(self.text_names) == 1:
            name = self.text_names[0]
        found = None if name is None else self._texts.get(name)
        return self.cache.text(name) if found is None else found

    def features(self, number: int) -> Features:
        """Embeddings of a clip, (1, ...) each; the last ones are kept.

        Raises:
            ScoreError: there is no such clip, or the cache has changed.
            CacheError: it cannot be read.
        """
        if not 0 <= number < len(self):
            raise ScoreError(f"no clip {number}: there are {len(self)}, from 0 on")
        with self._lock:
            found = self._features.pop(number, None)
        if found is None:
            try:
                found = self.cache.read([int(self.rows[number])])
            except CacheError as error:
                if self.what_changed():
                    raise ScoreError(f"{self.cache.path} was changed while it was open: open it again") from error
                raise
        with self._lock:
            self._features[number] = found
            while len(self._features) > _KEPT_CLIPS:
                self._features.popitem(last=False)
        return found

    def before(self, number: int) -> Sequence[int]:
        """The clips of the same file that begin before a clip, in order."""
        file, begins, _ = self.origins.get(self.clip_ids[number], (self.clip_ids[number], 0.0, None))
        return [clip for begin, clip in self._files.get(file, []) if (begin, clip) < (begins, number)]

    @cached_property
    def _files(self) -> dict[str, list[tuple[float, int]]]:
        found: dict[str, list[tuple[float, int]]] = {}
        for number, clip in enumerate(self.clip_ids):
            file, begins, _ = self.origins.get(clip, (clip, 0.0, None))
            found.setdefault(file, []).append((begins, number))
        return {file: sorted(clips) for file, clips in found.items()}

    def what_changed(self) -> str:
        """What of the cache is other than when it was opened, a line; empty: nothing.

        A store that is no folder of this machine is not looked at.
        """
        stamp = _stamp_of(str(self.cache.path))
        if stamp == self._stamp:
            return ""
        if stamp is None or stamp != self._looked_at:
            try:
                self._changed = self._compared()
            except (CacheError, ScoreError) as error:
                return f"the cache cannot be read any more: {error}"
            self._looked_at = stamp
        return self._changed

    def _compared(self) -> str:
        """The line, from all of what is there now.

        Raises:
            CacheError, ScoreError: it cannot be read.
        """
        now = OpenedCache(str(self.cache.path))
        same = self.texts_as_in(now)
        if now.identity != self.identity:
            return f"{self.cache.path} has other clips now than when it was opened"
        if now.text_names != self.text_names or len(same) < len(now.text_names):
            return f"{self.cache.path} has other label sets now: {', '.join(now.text_names)}"
        return ""

    def texts_as_in(self, now: "OpenedCache") -> set[str]:
        """Names of the label sets that are the same at another moment.

        Raises:
            CacheError: one cannot be read.
        """
        both = [(self.text(name), now.text(name)) for name in now.text_names if name in self.text_names]
        return {a.name for a, b in both if a.labels == b.labels and a.same_tables(b)}


def _stamp_of(path: str) -> list[tuple[str, int, int, int]] | None:
    """What tells one state of a cache's folder from the next: of its header, its rows and its label sets."""
    root = Path(path)
    places = [root / TEXT_GROUP, *_below(root / TEXT_GROUP), *_below(root / ROWS / "c")]
    try:
        stats = [("", (root / _ROOT).stat())]
    except (OSError, ValueError):
        return None
    for place in sorted(places):
        with suppress(OSError):  # as it is being replaced
            stats.append((place.name, place.stat()))
    return [(name, found.st_ino, found.st_mtime_ns, found.st_size) for name, found in stats]


def _below(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # as of a cache of another format
        return []
