"""FeatureCache: create, open, read and write the embeddings of a set of clips (docs/design.md 3)."""

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from os import PathLike
from typing import Any, Literal, Self

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray

from feature_cache import layout, text
from feature_cache.checks import check_clip_ids, check_values
from feature_cache.errors import CacheError
from feature_cache.features import Features
from feature_cache.given_arrays import Given, given_embeddings, given_probabilities
from feature_cache.layout import DONE, FAILED, NO_PICTURE, NO_SOUND, PENDING, STATUS_NAMES
from feature_cache.resize import add_rows, drop_rows
from feature_cache.shapes import (
    WINDOWS_KEPT,
    Shapes,
    embedding_shapes,
    kept_name,
    probability_shapes,
    window_rows,
)
from feature_cache.shards import ShardRows
from feature_cache.skeleton import Template
from feature_cache.storage.group import clear, finish, open_group, set_attributes, shown, store_of
from feature_cache.text import TextSet
from feature_cache.windows import windows as every_window

_NO_CONTENT = {"shard_size", layout.SEAL}


class FeatureCache:
    """A cache on disk. Make one with :meth:`create`, :meth:`open` or :meth:`from_arrays`."""

    def __init__(self, path: str, group: zarr.Group, facts: dict[str, Any] | None = None) -> None:
        """Wrap an open group; for the class methods' use. ``facts``: the attributes that it is still without."""
        self.path = path
        self._group = group
        self._facts = facts
        stored: dict[str, Any] = dict(group.attrs) if facts is None else facts
        self.kind: str = stored["kind"]
        self.backbone: str = stored["backbone"]
        self.clip_ids: list[str] = stored["clip_ids"]
        self.segments: int = stored["segments"]
        self.segment_seconds: float = stored["segment_seconds"]
        self.frames_per_window: int = stored["frames_per_window"]
        self.visual_dim: int = stored["visual_dim"]
        self.audio_dim: int = stored["audio_dim"]
        self.dtype: str = stored["dtype"]
        self.shard_size: int = stored["shard_size"]
        self.attributes: dict[str, Any] = stored["attributes"]
        self._shapes: Shapes = {name: tuple(shape) for name, shape in stored["arrays"].items()}

    # --- making and opening ---------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: str | PathLike[str],
        *,
        clip_ids: Sequence[str],
        backbone: str,
        visual_dim: int,
        audio_dim: int,
        frames_per_window: int = 1,
        segments: int = 10,
        segment_seconds: float = 1.0,
        dtype: str = "float16",
        shard_size: int = 32,
        windows: str = "all",
        audio_windows: str | None = None,
        audio_per_segment: bool = False,
        attributes: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        finished: bool = True,
    ) -> Self:
        """Make an empty cache of embeddings: every row pending.

        A kill leaves nothing that :meth:`open` takes, and that is made anew by the same call.

        Args:
            path: a folder, or a URL that Zarr's storage knows.
            clip_ids: N names, unique; their order is the order of the rows.
            backbone: name of the encoders; a cache holds the embeddings of one.
            visual_dim: Dv, size of a visual embedding.
            audio_dim: Da, size of an audio embedding.
            frames_per_window: F, visual embeddings a window (1 for a video encoder).
            segments: T, segments a clip.
            segment_seconds: length of a segment in seconds.
            dtype: "float16" or "float32".
            shard_size: rows a shard, the unit of work and of files.
            windows: "all"; "whole" keeps window 0 alone, without which refinement is approximate; "none".
            audio_windows: the same for the sound, where it differs.
            audio_per_segment: whether there is an audio embedding for each segment, too.
            attributes: whatever else is needed to trust the embeddings, JSON-able.
            overwrite: replace a cache that is there; anything else is never replaced.
            finished: whether it is a whole cache already; else :meth:`finish` makes it one, once it is filled.

        Raises:
            CacheError: a value is out of its range, or something is at ``path`` already.
        """
        shapes = embedding_shapes(
            segments=segments,
            visual_dim=visual_dim,
            audio_dim=audio_dim,
            frames_per_window=frames_per_window,
            windows=windows,
            audio_windows=windows if audio_windows is None else audio_windows,
            audio_per_segment=audio_per_segment,
        )
        sizes = {
            "visual_dim": visual_dim,
            "audio_dim": audio_dim,
            "frames_per_window": frames_per_window,
            "shard_size": shard_size,
        }
        for name, value in sizes.items():
            if value < 1:
                raise CacheError(f"{name} must be at least 1, got {value}")
        facts = {"kind": "embeddings", "backbone": backbone, "segment_seconds": segment_seconds, **sizes}
        begun = cls._begin(path, clip_ids, segments, shapes, facts, dtype, attributes, overwrite)
        return begun.finish() if finished else begun

    @classmethod
    def _begin(
        cls,
        path: str | PathLike[str],
        clip_ids: Sequence[str],
        segments: int,
        shapes: Shapes,
        facts: Mapping[str, Any],
        dtype: str,
        attributes: Mapping[str, Any] | None,
        overwrite: bool,
    ) -> Self:
        ids = check_clip_ids(clip_ids)
        if dtype not in layout.DTYPES:
            raise CacheError(f"dtype {dtype!r}: use one of {', '.join(layout.DTYPES)}")
        stretches = every_window(segments)[: window_rows(shapes, "video")]
        stored = {
            "format": layout.FORMAT,
            "format_version": layout.FORMAT_VERSION,
            **facts,
            "segments": segments,
            "windows": stretches.tolist(),
            "arrays": {name: list(shape) for name, shape in shapes.items()},
            "dtype": dtype,
            "attributes": json.loads(json.dumps(dict(attributes or {}))),
            "clip_ids": ids,
        }
        group = clear(path, overwrite=overwrite)
        Template(len(ids), shapes, dtype, int(facts["shard_size"])).write(store_of(group))
        return cls(shown(path), group, stored)

    def finish(self) -> Self:
        """Declare a cache whole that was made unfinished.

        Raises:
            CacheError: another process has begun to make the same cache meanwhile.
        """
        if self._facts is not None:
            finish(self._group, self._facts)
            self._facts = None
        return self

    @classmethod
    def open(cls, path: str | PathLike[str], mode: Literal["r", "r+"] = "r") -> Self:
        """Open a cache to read ("r") or to add to ("r+").

        Raises:
            CacheError: there is none, it is no av2a cache, half made, or of another format version.
        """
        found = cls(shown(path), open_group(path, mode))
        try:
            check_clip_ids(found.clip_ids)
        except (CacheError, TypeError) as error:
            raise CacheError(f"{shown(path)} is damaged ({error}): extract again, overwriting it") from error
        return found

    @classmethod
    def from_arrays(
        cls,
        path: str | PathLike[str],
        *,
        clip_ids: Sequence[str],
        backbone: str,
        image: ArrayLike,
        video: ArrayLike | None = None,
        audio: ArrayLike | None = None,
        audio_segments: ArrayLike | None = None,
        missing: ArrayLike | None = None,
        dtype: str = "float16",
        segment_seconds: float = 1.0,
        shard_size: int = 32,
        attributes: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> Self:
        """Make a cache of embeddings that are there already; every row done.

        Args:
            path: a folder, or a URL that Zarr's storage knows.
            clip_ids: N names.
            backbone: name of the encoders.
            image: (N, T, Dv).
            video: (N, W, F, Dv), or (N, W, Dv), taken as F = 1; W is all windows, or 1 for whole clips; None if there
                are none.
            audio: (N, W, Da), or (N, Da) for whole clips; None if there is only audio a segment.
            audio_segments: (N, T, Da), audio a segment; None if there is none.
            missing: (N,) of 0, NO_PICTURE, NO_SOUND; None: nothing is missing.
            dtype: "float16" or "float32", as stored.
            segment_seconds: length of a segment in seconds.
            shard_size: rows a shard.
            attributes: JSON-able facts about the embeddings.
            overwrite: replace a cache that is there.

        Raises:
            CacheError: shapes do not fit each other, or values do not fit the dtype.
        """
        given = given_embeddings(clip_ids, image, video, audio, audio_segments, missing, dtype)
        found = given.arrays
        sound = found["audio"] if "audio" in found else found["audio_segments"]
        cache = cls.create(
            path,
            clip_ids=clip_ids,
            backbone=backbone,
            visual_dim=found["image"].shape[2],
            audio_dim=sound.shape[2],
            frames_per_window=found["video"].shape[2] if "video" in found else 1,
            segments=given.segments,
            segment_seconds=segment_seconds,
            dtype=dtype,
            shard_size=shard_size,
            windows=given.kept("video"),
            audio_windows=given.kept("audio"),
            audio_per_segment="audio_segments" in found,
            attributes=attributes,
            overwrite=overwrite,
            finished=False,
        )
        return cache._filled(given)

    @classmethod
    def from_probabilities(
        cls,
        path: str | PathLike[str],
        *,
        clip_ids: Sequence[str],
        labels: Sequence[str],
        visual: ArrayLike | None,
        audio: ArrayLike | None,
        image: ArrayLike | None = None,
        missing: ArrayLike | None = None,
        source: str = "probabilities",
        text_name: str = "labels",
        dtype: str = "float32",
        segment_seconds: float = 1.0,
        shard_size: int = 32,
        attributes: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> Self:
        """Make a cache of the probabilities that any detector gave each segment; every row done.

        Scoring begins with them at docs/design.md 4.3.

        Args:
            path: a folder, or a URL that Zarr's storage knows.
            clip_ids: N names.
            labels: C class names.
            visual: (N, T, C) in [0, 1], what is seen; None if the detector only listens.
            audio: (N, T, C) in [0, 1], what is heard; None if it only looks.
            image: (N, T, Dv), image embeddings, which the label shift by `cosine` needs; None if there are none.
            missing: (N,) of 0, NO_PICTURE, NO_SOUND; None: nothing is missing.
            source: the detector's name, kept as the cache's backbone.
            text_name: name of the label set.
            dtype: "float16" or "float32", as stored.
            segment_seconds: length of a segment in seconds.
            shard_size: rows a shard.
            attributes: JSON-able facts about the probabilities.
            overwrite: replace a cache that is there.

        Raises:
            CacheError: shapes do not fit each other, values do not lie in [0, 1], or labels are doubled.
        """
        names = text.check_labels(labels)
        given = given_probabilities(clip_ids, len(names), visual, audio, image, missing, dtype)
        visual_dim = given.arrays["image"].shape[2] if "image" in given.arrays else 0
        facts = {
            "kind": "probabilities",
            "backbone": source,
            "segment_seconds": segment_seconds,
            "visual_dim": visual_dim,
            "audio_dim": 0,
            "frames_per_window": 1,
            "shard_size": shard_size,
        }
        if shard_size < 1:
            raise CacheError(f"shard_size must be at least 1, got {shard_size}")
        shapes = probability_shapes(given.segments, len(names), visual_dim)
        cache = cls._begin(path, clip_ids, given.segments, shapes, facts, dtype, attributes, overwrite)
        none = np.zeros((len(names), 0), dtype=np.float32)
        text.write_text(cache._group, text_name, names, none, None, {}, dims=(0, 0), overwrite=False)
        return cache._filled(given)

    def _filled(self, given: Given) -> Self:
        for shard in range(self.n_shards):
            rows = self.shard_rows(shard)
            part = slice(rows.start, rows.stop)
            status = np.full(len(rows), DONE, dtype=np.uint8)
            values = {name: table[part] for name, table in given.arrays.items()}
            self._write(shard, values, status, None, given.missing[part])
        return self.finish()

    # --- facts ----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of rows, whatever their status."""
        return len(self.clip_ids)

    def __repr__(self) -> str:
        """One line with path, backbone and size."""
        return f"FeatureCache({self.path!r}, backbone={self.backbone!r}, clips={len(self)})"

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-len(self) // self.shard_size)

    def shard_rows(self, shard: int) -> range:
        """Rows of a shard."""
        if not 0 <= shard < self.n_shards:
            raise CacheError(f"{self.path}: shard {shard} of {self.n_shards}")
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, len(self)))

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays with a row's embeddings or probabilities, in the order in which they are written."""
        return tuple(self._shapes)

    @property
    def video_windows(self) -> str:
        """Which windows' visual embeddings are kept: "all", "whole" (window 0) or "none"."""
        return kept_name(window_rows(self._shapes, "video"), self.segments)

    @property
    def audio_windows(self) -> str:
        """Which windows' audio embeddings are kept: "all", "whole" (window 0) or "none"."""
        return kept_name(window_rows(self._shapes, "audio"), self.segments)

    @property
    def windows_kept(self) -> str:
        """Which windows have both: "all", "whole" (window 0) or "none"; refinement as such needs all."""
        return max(self.video_windows, self.audio_windows, key=WINDOWS_KEPT.index)

    @property
    def has_images(self) -> bool:
        """Whether there is an image embedding for each segment, as the label shift by `cosine` needs."""
        return "image" in self._shapes

    @property
    def row_shapes(self) -> Shapes:
        """The shape of one row of each array, by name."""
        return dict(self._shapes)

    def status(self) -> NDArray[np.uint8]:
        """uint8 (N,): PENDING, DONE or FAILED, read anew at each call."""
        found: NDArray[np.uint8] = self._read("status", slice(None))
        return found

    def missing(self) -> NDArray[np.uint8]:
        """uint8 (N,): what each clip that is done does not have: 0, NO_PICTURE or NO_SOUND; read anew at each call."""
        absent = self._read("missing", slice(None))
        found: NDArray[np.uint8] = np.where(self.status() == DONE, absent, 0).astype(np.uint8)
        return found

    def reasons(self) -> dict[str, str]:
        """Why each failed row failed, by clip id."""
        failed = np.flatnonzero(self.status() == FAILED)
        if not len(failed):
            return {}
        raw = self._read("reason", slice(None))
        return {self.clip_ids[row]: layout.decode_reason(raw[row]) for row in failed}

    @cached_property
    def _fixed(self) -> bytes:
        facts = {name: value for name, value in (self._facts or self._group.attrs).items() if name not in _NO_CONTENT}
        return json.dumps(facts, sort_keys=True).encode()

    @property
    def identity(self) -> str:
        """16 hex digits that change with the clips, their embeddings, their status or the attributes."""
        state = hashlib.sha256(self._fixed)
        state.update(self.status().tobytes())
        state.update(self._read("digest", slice(None)).tobytes())
        return state.hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """What the cache holds, JSON-able."""
        status = self.status()
        counts = {name: int((status == code).sum()) for code, name in enumerate(STATUS_NAMES)}
        missing = self.missing()
        return {
            "path": self.path,
            "format_version": layout.FORMAT_VERSION,
            "identity": self.identity,
            "kind": self.kind,
            "backbone": self.backbone,
            "clips": len(self),
            **counts,
            "without_picture": int((missing == NO_PICTURE).sum()),
            "without_sound": int((missing == NO_SOUND).sum()),
            "segments": self.segments,
            "segment_seconds": self.segment_seconds,
            "windows": window_rows(self._shapes, "video"),
            "windows_kept": self.windows_kept,
            "audio_per_segment": "audio_segments" in self._shapes,
            "frames_per_window": self.frames_per_window,
            "visual_dim": self.visual_dim,
            "audio_dim": self.audio_dim,
            "dtype": self.dtype,
            "shards": self.n_shards,
            "shard_size": self.shard_size,
            "text_sets": {name: list(self.text(name).labels) for name in self.text_names},
            "attributes": self.attributes,
        }

    # --- embeddings -----------------------------------------------------------------------------------

    def read(self, rows: Sequence[int] | NDArray[np.integer[Any]] | slice | None = None) -> Features:
        """Embeddings of the given rows, in the given order; of all done rows if None.

        Raises:
            CacheError: a row is out of range or not done, or a chunk's checksum is wrong.
        """
        status = self.status()
        if rows is None:
            wanted = np.flatnonzero(status == DONE)
        elif isinstance(rows, slice):
            wanted = np.arange(len(self))[rows]
        else:
            wanted = np.asarray(rows, dtype=np.int64).reshape(-1)
        outside = (wanted < 0) | (wanted >= len(self))
        if outside.any():
            raise CacheError(f"{self.path}: row {wanted[outside][0]} of {len(self)}")
        undone = wanted[status[wanted] != DONE]
        if len(undone):
            raise CacheError(
                f"{self.path}: clip {self.clip_ids[undone[0]]} is {STATUS_NAMES[status[undone[0]]]}, not done"
            )
        found = {name: np.empty((len(wanted), *shape), dtype=self.dtype) for name, shape in self._shapes.items()}
        missing = self.missing()
        home = wanted // self.shard_size
        for shard in np.unique(home):
            at = np.flatnonzero(home == shard)
            inside = wanted[at] - shard * self.shard_size
            for name, source in self._read_shard(int(shard)).items():
                found[name][at] = source[inside]
        return self._features(wanted.astype(np.int64), found, missing[wanted])

    def iter_shards(self, *, read_ahead: int = 2) -> Iterator[Features]:
        """Embeddings of all done rows, shard by shard in order; the next shards are read meanwhile."""
        status, missing = self.status(), self.missing()
        shards = deque(shard for shard in range(self.n_shards) if (self._of(status, shard) == DONE).any())
        with ThreadPoolExecutor(max_workers=max(1, read_ahead)) as pool:
            waiting: deque[tuple[int, Future[dict[str, NDArray[Any]]]]] = deque()
            while shards or waiting:
                while shards and len(waiting) <= read_ahead:
                    shard = shards.popleft()
                    waiting.append((shard, pool.submit(self._read_shard, shard)))
                shard, future = waiting.popleft()
                arrays = future.result()
                done = np.flatnonzero(self._of(status, shard) == DONE)
                if len(done) < len(self.shard_rows(shard)):
                    arrays = {name: values[done] for name, values in arrays.items()}
                rows = (done + self.shard_rows(shard).start).astype(np.int64)
                yield self._features(rows, arrays, missing[rows])

    def write_shard(
        self,
        shard: int,
        image: ArrayLike,
        video: ArrayLike | None,
        audio: ArrayLike | None,
        status: ArrayLike,
        reasons: Sequence[str] | None = None,
        missing: ArrayLike | None = None,
        audio_segments: ArrayLike | None = None,
    ) -> None:
        """Write all rows of one shard: the embeddings first, then the status that declares them there.

        Args:
            shard: the shard's number.
            image: (n, T, Dv) for the shard's n rows; rows that are not done are stored as zeros.
            video: (n, W, F, Dv), W windows as the cache keeps; None if it keeps none.
            audio: (n, W, Da), likewise.
            status: (n,) of PENDING, DONE, FAILED.
            reasons: n texts; a failed row needs one.
            missing: (n,) of 0, NO_PICTURE, NO_SOUND, for rows that are done; what is missing is stored as zeros,
                whatever is given. None: nothing is missing.
            audio_segments: (n, T, Da), where the cache has them.

        Raises:
            CacheError: shapes or arrays do not fit, a done row has values that are not finite or neither picture nor
                sound, a failed row has no reason.
        """
        tables = {"image": image, "video": video, "audio": audio, "audio_segments": audio_segments}
        given = {name: values for name, values in tables.items() if values is not None}
        self._write(shard, given, status, reasons, missing)

    def write_rows(
        self,
        shard: int,
        inside: Sequence[int],
        tables: Mapping[str, NDArray[Any]],
        status: ArrayLike,
        reasons: Sequence[str],
        missing: ArrayLike,
    ) -> None:
        """Write some rows of a shard; the others stay as they are, and done ones are declared so all the while.

        Args:
            shard: the shard's number.
            inside: n positions in the shard.
            tables: by array, (n, …) as :attr:`row_shapes` says.
            status: (n,) of PENDING, DONE, FAILED.
            reasons: n texts; a failed row needs one.
            missing: (n,) of 0, NO_PICTURE, NO_SOUND.

        Raises:
            CacheError: as :meth:`write_shard`.
        """
        rows = self.shard_rows(shard)
        if list(inside) == list(range(len(rows))):
            self._write(shard, tables, status, reasons, missing)
            return
        part = slice(rows.start, rows.stop)
        at = list(inside)
        codes, absent = self._of(self.status(), shard).copy(), self._read("missing", part).copy()
        raw = self._read("reason", part)
        texts = [layout.decode_reason(row) for row in raw]
        if (codes == DONE).any():
            values = {name: table.copy() for name, table in self._read_shard(shard).items()}
        else:
            values = {name: np.zeros((len(rows), *shape), self.dtype) for name, shape in self._shapes.items()}
        for name, table in tables.items():
            check_values(name, table, self.dtype, [self.clip_ids[rows.start + row] for row in at])
            values[name][at] = table
        codes[at], absent[at] = np.asarray(status, np.uint8), np.asarray(missing, np.uint8)
        for row, reason in zip(at, reasons, strict=True):
            texts[row] = reason
        self._write(shard, values, codes, texts, absent)

    def _write(
        self,
        shard: int,
        tables: Mapping[str, ArrayLike],
        status: ArrayLike,
        reasons: Sequence[str] | None,
        missing: ArrayLike | None,
    ) -> None:
        rows = self.shard_rows(shard)
        part = slice(rows.start, rows.stop)
        made = ShardRows.checked(
            f"{self.path}: shard {shard}",
            self.clip_ids[part],
            self._shapes,
            self.dtype,
            tables,
            status,
            reasons,
            missing,
        )
        before = self._of(self.status(), shard)
        if (before != PENDING).any():  # done again: meanwhile only rows that stay as they are are declared
            same = before == made.status
            for name in ("digest", "reason"):
                same &= (self._read(name, part) == getattr(made, name)).all(axis=1)
            layout.array(self._group, "status")[part] = np.where(same, before, PENDING).astype(np.uint8)
        for name, stored in made.arrays.items():
            layout.array(self._group, name)[part] = stored
        for name in ("digest", "reason", "missing", "status"):
            layout.array(self._group, name)[part] = getattr(made, name)

    # --- clips ----------------------------------------------------------------------------------------

    def add_clips(self, clip_ids: Sequence[str]) -> None:
        """Append rows for clips that are not there yet; they are pending. A kill leaves all of them or none.

        Raises:
            CacheError: a name is there already or is none.
        """
        more = check_clip_ids([*self.clip_ids, *clip_ids])[len(self) :]
        add_rows(self._group, self.arrays, self.clip_ids, more)
        self._renamed([*self.clip_ids, *more])

    def drop_clips(self, clip_ids: Sequence[str]) -> None:
        """Remove the rows of some clips; rows from the end take their places. A kill leaves a cache with some of them.

        Raises:
            CacheError: a clip is not there, or none would be left.
        """
        unknown = sorted(set(clip_ids) - set(self.clip_ids))
        if unknown:
            raise CacheError(f"{self.path}: no clip {unknown[0]!r}")
        if len(set(clip_ids)) == len(self):
            raise CacheError(f"{self.path}: every clip would be removed; delete the cache instead")
        for ids in drop_rows(self._group, self.arrays, self.clip_ids, clip_ids):
            self._renamed(ids)

    def update_attributes(self, more: Mapping[str, Any]) -> None:
        """Record further facts, JSON-able; those of the same name are replaced."""
        self.attributes = {**self.attributes, **json.loads(json.dumps(dict(more)))}
        set_attributes(self._group, {**self._group.attrs.asdict(), "attributes": self.attributes})
        self.__dict__.pop("_fixed", None)

    def _renamed(self, clip_ids: list[str]) -> None:
        self.clip_ids = list(clip_ids)
        self.__dict__.pop("_fixed", None)

    # --- text -----------------------------------------------------------------------------------------

    @property
    def text_names(self) -> list[str]:
        """Names of the text sets, sorted."""
        return text.text_names(self._group)

    def text(self, name: str | None = None) -> TextSet:
        """A text set by name; without a name the only one.

        Raises:
            CacheError: no such set, or no name given and not exactly one set there.
        """
        names = self.text_names
        if not names:
            raise CacheError(f"{self.path} holds no text set: extract with labels, or add one")
        if name is None:
            if len(names) > 1:
                raise CacheError(f"{self.path} holds text sets {', '.join(names)}: say which")
            name = names[0]
        if name not in names:
            raise CacheError(f"{self.path} holds no text set {name!r}: it has {', '.join(names)}")
        try:
            return text.read_text(self._group, name)
        except (ValueError, KeyError, RuntimeError, TypeError, CacheError) as error:
            raise CacheError(f"{self.path}: text set {name!r} is damaged ({error}): add it again") from error

    def add_text(
        self,
        name: str,
        *,
        labels: Sequence[str],
        visual: ArrayLike,
        audio: ArrayLike | None = None,
        prompts: Mapping[str, Sequence[Any]] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Add a label set; no video is needed.

        Args:
            name: letters, digits, '.', '_', '-'.
            labels: C names, no doubles.
            visual: (C, Dv) text embeddings for the visual side.
            audio: (C, Da) text embeddings for the audio side; None where one text space serves both sides,
                which is then stored once.
            prompts: the sentences embedded, by "visual" and "audio".
            overwrite: replace a set of that name.

        Raises:
            CacheError: the name, labels or shapes do not fit, or the cache holds probabilities of its own labels.
        """
        if self.kind == "probabilities":
            raise CacheError(f"{self.path} holds probabilities of its own labels: no label set can be added")
        text.write_text(
            self._group,
            name,
            labels,
            np.asarray(visual),
            None if audio is None else np.asarray(audio),
            prompts or {},
            dims=(self.visual_dim, self.audio_dim),
            overwrite=overwrite,
        )

    # --- inside ---------------------------------------------------------------------------------------

    def _of(self, values: NDArray[np.uint8], shard: int) -> NDArray[np.uint8]:
        rows = self.shard_rows(shard)
        return values[rows.start : rows.stop]

    def _read(self, name: str, part: slice) -> NDArray[Any]:
        named = slice(part.start or 0, len(self) if part.stop is None else part.stop)
        try:  # there may be more rows, of clips that are being added or were removed
            return layout.read_rows(self._group, name, named)
        except (ValueError, KeyError, RuntimeError) as error:
            raise CacheError(
                f"{self.path}: array {name!r} is damaged or missing in rows {part.start or 0} to "
                f"{(part.stop or len(self)) - 1} ({str(error).splitlines()[0]}): "
                f"`av2a verify {self.path} --repair` tells what, then extract again"
            ) from error

    def _read_shard(self, shard: int) -> dict[str, NDArray[Any]]:
        rows = self.shard_rows(shard)
        return {name: self._read(name, slice(rows.start, rows.stop)) for name in self._shapes}

    def _features(
        self, rows: NDArray[np.int64], arrays: dict[str, NDArray[Any]], missing: NDArray[np.uint8]
    ) -> Features:
        n = len(rows)
        empty: Shapes = {
            "image": (self.segments, 0),
            "video": (0, self.frames_per_window, self.visual_dim),
            "audio": (0, self.audio_dim),
        }
        none = {name: np.empty((n, *shape), self.dtype) for name, shape in empty.items() if name not in arrays}
        return Features(rows, **none, **arrays, missing=missing)
