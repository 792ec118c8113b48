"""FeatureCache: create, open, read and write the embeddings of a set of clips (docs/design.md 3)."""

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any, Literal, Self

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray

from feature_cache import layout, text
from feature_cache.errors import CacheError
from feature_cache.layout import DONE, FAILED, NO_PICTURE, NO_SOUND, PENDING, STATUS_NAMES
from feature_cache.store import clear, open_group, shown
from feature_cache.text import TextSet
from feature_cache.windows import window_count, windows


@dataclass(frozen=True)
class Features:
    """Embeddings of n clips, in the cache's dtype.

    Attributes:
        rows: int64 (n,), the clips' rows in the cache.
        image: (n, T, Dv), one frame a segment.
        video: (n, W, F, Dv), the frames (or the one embedding) of each window.
        audio: (n, W, Da), one embedding a window.
        missing: uint8 (n,), 0, NO_PICTURE or NO_SOUND; the embeddings of what is missing are zeros. None: nothing is.
    """

    rows: NDArray[np.int64]
    image: NDArray[Any]
    video: NDArray[Any]
    audio: NDArray[Any]
    missing: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.rows)


class FeatureCache:
    """A cache on disk. Make one with :meth:`create`, :meth:`open` or :meth:`from_arrays`."""

    def __init__(self, path: str, group: zarr.Group) -> None:
        """Wrap an open group; for the class methods' use."""
        self.path = path
        self._group = group
        stored: dict[str, Any] = dict(group.attrs)
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
        attributes: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> Self:
        """Make an empty cache: every row pending.

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
            attributes: whatever else is needed to trust the embeddings, JSON-able.
            overwrite: replace a cache that is there; anything else is never replaced.

        Raises:
            CacheError: a value is out of its range, or something is at ``path`` already.
        """
        ids = _check_clip_ids(clip_ids)
        if dtype not in layout.DTYPES:
            raise CacheError(f"dtype {dtype!r}: use one of {', '.join(layout.DTYPES)}")
        sizes = {
            "visual_dim": visual_dim,
            "audio_dim": audio_dim,
            "frames_per_window": frames_per_window,
            "shard_size": shard_size,
        }
        for name, value in sizes.items():
            if value < 1:
                raise CacheError(f"{name} must be at least 1, got {value}")
        stretches = windows(segments)
        group = clear(path, overwrite=overwrite)
        n, w = len(ids), len(stretches)
        layout.add_array(
            group,
            "image",
            shape=(n, segments, visual_dim),
            dtype=dtype,
            rows=shard_size,
            dimensions=("clip", "segment", "dim"),
        )
        layout.add_array(
            group,
            "video",
            shape=(n, w, frames_per_window, visual_dim),
            dtype=dtype,
            rows=shard_size,
            dimensions=("clip", "window", "frame", "dim"),
        )
        layout.add_array(
            group,
            "audio",
            shape=(n, w, audio_dim),
            dtype=dtype,
            rows=shard_size,
            dimensions=("clip", "window", "dim"),
        )
        for name in ("missing", "status"):
            layout.add_array(group, name, shape=(n,), dtype="uint8", rows=shard_size, dimensions=("clip",))
        for name, width in (("reason", layout.REASON_BYTES), ("digest", layout.DIGEST_BYTES)):
            layout.add_array(
                group,
                name,
                shape=(n, width),
                dtype="uint8",
                rows=shard_size,
                dimensions=("clip", "byte"),
            )
        # last: a cache without these attributes was cut off while it was made
        group.attrs.update(
            {
                "format": layout.FORMAT,
                "format_version": layout.FORMAT_VERSION,
                "backbone": backbone,
                "segments": segments,
                "segment_seconds": segment_seconds,
                "windows": stretches.tolist(),
                "dtype": dtype,
                "attributes": json.loads(json.dumps(dict(attributes or {}))),
                "clip_ids": ids,
                **sizes,
            }
        )
        return cls(shown(path), group)

    @classmethod
    def open(cls, path: str | PathLike[str], mode: Literal["r", "r+"] = "r") -> Self:
        """Open a cache to read ("r") or to add to ("r+").

        Raises:
            CacheError: there is none, it is no av2a cache, half made, or of another format version.
        """
        return cls(shown(path), open_group(path, mode))

    @classmethod
    def from_arrays(
        cls,
        path: str | PathLike[str],
        *,
        clip_ids: Sequence[str],
        backbone: str,
        image: ArrayLike,
        video: ArrayLike,
        audio: ArrayLike,
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
            video: (N, W, F, Dv), or (N, W, Dv), taken as F = 1.
            audio: (N, W, Da).
            missing: (N,) of 0, NO_PICTURE, NO_SOUND; None: nothing is missing.
            dtype: "float16" or "float32", as stored.
            segment_seconds: length of a segment in seconds.
            shard_size: rows a shard.
            attributes: JSON-able facts about the embeddings.
            overwrite: replace a cache that is there.

        Raises:
            CacheError: shapes do not fit each other, or values do not fit the dtype.
        """
        image, video, audio = np.asarray(image), np.asarray(video), np.asarray(audio)
        if video.ndim == 3:
            video = video[:, :, None]
        n = len(clip_ids)
        if image.ndim != 3 or video.ndim != 4 or audio.ndim != 3:
            raise CacheError(
                "from_arrays needs image (N, T, Dv), video (N, W, F, Dv) and audio (N, W, Da), got "
                f"{image.shape}, {video.shape}, {audio.shape}"
            )
        absent = _check_missing(missing, n, clip_ids)
        w = window_count(image.shape[1])
        expected = (
            (n, image.shape[1], image.shape[2]),
            (n, w, video.shape[2], image.shape[2]),
            (n, w, audio.shape[2]),
        )
        for name, found, shape in zip(layout.FEATURE_ARRAYS, (image, video, audio), expected, strict=True):
            if found.shape != shape:
                raise CacheError(f"{name} is {found.shape}, expected {shape} for {n} clips and {w} windows")
            there = np.flatnonzero(absent & layout.MISSING_BIT[name] == 0)
            _check_values(name, found[there], dtype, [clip_ids[row] for row in there.tolist()])
        cache = cls.create(
            path,
            clip_ids=clip_ids,
            backbone=backbone,
            visual_dim=image.shape[2],
            audio_dim=audio.shape[2],
            frames_per_window=video.shape[2],
            segments=image.shape[1],
            segment_seconds=segment_seconds,
            dtype=dtype,
            shard_size=shard_size,
            attributes=attributes,
            overwrite=overwrite,
        )
        for shard in range(cache.n_shards):
            rows = cache.shard_rows(shard)
            part = slice(rows.start, rows.stop)
            status = np.full(len(rows), DONE, dtype=np.uint8)
            cache.write_shard(shard, image[part], video[part], audio[part], status, missing=absent[part])
        return cache

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

    def status(self) -> NDArray[np.uint8]:
        """uint8 (N,): PENDING, DONE or FAILED, read anew at each call."""
        found: NDArray[np.uint8] = self._read("status", slice(None))
        return found

    def missing(self) -> NDArray[np.uint8]:
        """uint8 (N,): what each clip that is done does not have: 0, NO_PICTURE or NO_SOUND; read anew at each call."""
        found: NDArray[np.uint8] = self._read("missing", slice(None))
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
        facts = {name: value for name, value in self._group.attrs.items() if name != "shard_size"}
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
            "backbone": self.backbone,
            "clips": len(self),
            **counts,
            "without_picture": int((missing == NO_PICTURE).sum()),
            "without_sound": int((missing == NO_SOUND).sum()),
            "segments": self.segments,
            "segment_seconds": self.segment_seconds,
            "windows": window_count(self.segments),
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
        arrays = [
            np.empty((len(wanted), *layout.array(self._group, name).shape[1:]), dtype=self.dtype)
            for name in layout.FEATURE_ARRAYS
        ]
        missing = self.missing()
        home = wanted // self.shard_size
        for shard in np.unique(home):
            at = np.flatnonzero(home == shard)
            inside = wanted[at] - shard * self.shard_size
            for target, source in zip(arrays, self._read_shard(int(shard)), strict=True):
                target[at] = source[inside]
        return Features(wanted.astype(np.int64), *arrays, missing=missing[wanted])

    def iter_shards(self, *, read_ahead: int = 2) -> Iterator[Features]:
        """Embeddings of all done rows, shard by shard in order; the next shards are read meanwhile."""
        status, missing = self.status(), self.missing()
        shards = deque(shard for shard in range(self.n_shards) if (self._of(status, shard) == DONE).any())
        with ThreadPoolExecutor(max_workers=max(1, read_ahead)) as pool:
            waiting: deque[tuple[int, Future[list[NDArray[Any]]]]] = deque()
            while shards or waiting:
                while shards and len(waiting) <= read_ahead:
                    shard = shards.popleft()
                    waiting.append((shard, pool.submit(self._read_shard, shard)))
                shard, future = waiting.popleft()
                arrays = future.result()
                done = np.flatnonzero(self._of(status, shard) == DONE)
                if len(done) < len(arrays[0]):
                    arrays = [values[done] for values in arrays]
                rows = (done + self.shard_rows(shard).start).astype(np.int64)
                yield Features(rows, *arrays, missing=missing[rows])

    def write_shard(
        self,
        shard: int,
        image: ArrayLike,
        video: ArrayLike,
        audio: ArrayLike,
        status: ArrayLike,
        reasons: Sequence[str] | None = None,
        missing: ArrayLike | None = None,
    ) -> None:
        """Write all rows of one shard: the embeddings first, then the status that declares them there.

        Args:
            shard: the shard's number.
            image: (n, T, Dv) for the shard's n rows; rows that are not done are stored as zeros.
            video: (n, W, F, Dv).
            audio: (n, W, Da).
            status: (n,) of PENDING, DONE, FAILED.
            reasons: n texts; a failed row needs one.
            missing: (n,) of 0, NO_PICTURE, NO_SOUND, for rows that are done; what is missing is stored as zeros,
                whatever is given. None: nothing is missing.

        Raises:
            CacheError: shapes do not fit, a done row has values that are not finite or neither picture nor sound,
                a failed row has no reason.
        """
        rows = self.shard_rows(shard)
        part = slice(rows.start, rows.stop)
        ids = self.clip_ids[part]
        codes = np.asarray(status, dtype=np.uint8)
        if codes.shape != (len(rows),) or (codes > FAILED).any():
            raise CacheError(f"{self.path}: shard {shard} needs {len(rows)} status values of 0, 1 or 2")
        texts = [""] * len(rows) if reasons is None else list(reasons)
        for clip, code, reason in zip(ids, codes, texts, strict=True):
            if code == FAILED and not reason.strip():
                raise CacheError(f"{self.path}: clip {clip} failed without a reason")
        absent = np.where(codes == DONE, _check_missing(missing, len(rows), ids), 0).astype(np.uint8)
        digests = [hashlib.blake2b(bytes([bits]), digest_size=layout.DIGEST_BYTES) for bits in absent.tolist()]
        values = []
        for name, given in zip(layout.FEATURE_ARRAYS, (image, video, audio), strict=True):
            found = np.asarray(given)
            shape = (len(rows), *layout.array(self._group, name).shape[1:])
            if found.shape != shape:
                raise CacheError(f"{self.path}: {name} of shard {shard} is {found.shape}, expected {shape}")
            done = (codes == DONE) & (absent & layout.MISSING_BIT[name] == 0)
            _check_values(name, found[done], self.dtype, [c for c, d in zip(ids, done, strict=True) if d])
            stored = np.zeros(shape, dtype=self.dtype)
            stored[done] = found[done]
            for digest, row in zip(digests, stored, strict=True):
                digest.update(row.tobytes())
            values.append(stored)
        if (self._of(self.status(), shard) != PENDING).any():  # redoing: declare nothing meanwhile
            layout.array(self._group, "status")[part] = np.full(len(rows), PENDING, dtype=np.uint8)
        for name, stored in zip(layout.FEATURE_ARRAYS, values, strict=True):
            layout.array(self._group, name)[part] = stored
        layout.array(self._group, "digest")[part] = np.stack(
            [np.frombuffer(digest.digest(), dtype=np.uint8) for digest in digests]
        )
        layout.array(self._group, "reason")[part] = np.stack(
            [layout.encode_reason(reason if code == FAILED else "") for code, reason in zip(codes, texts, strict=True)]
        )
        layout.array(self._group, "missing")[part] = absent
        layout.array(self._group, "status")[part] = codes

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
        except (ValueError, KeyError, RuntimeError) as error:
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
            CacheError: the name, labels or shapes do not fit.
        """
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
        try:
            return layout.read_rows(self._group, name, part)
        except (ValueError, KeyError, RuntimeError) as error:
            raise CacheError(
                f"{self.path}: array {name!r} is damaged or missing in rows {part.start or 0} to "
                f"{(part.stop or len(self)) - 1} ({str(error).splitlines()[0]}): extract again"
            ) from error

    def _read_shard(self, shard: int) -> list[NDArray[Any]]:
        rows = self.shard_rows(shard)
        return [self._read(name, slice(rows.start, rows.stop)) for name in layout.FEATURE_ARRAYS]


def _check_clip_ids(clip_ids: Sequence[str]) -> list[str]:
    ids = [str(clip) for clip in clip_ids]
    if not ids:
        raise CacheError("a cache needs at least one clip")
    seen: set[str] = set()
    for clip in ids:
        if not clip or not clip.isprintable():
            raise CacheError(f"{clip!r} is no clip id: ids are printable, non-empty text")
        if clip in seen:
            raise CacheError(f"clip id {clip!r} occurs twice")
        seen.add(clip)
    return ids


def _check_missing(missing: ArrayLike | None, n: int, clip_ids: Sequence[str] | None = None) -> NDArray[np.uint8]:
    if missing is None:
        return np.zeros(n, dtype=np.uint8)
    found = np.asarray(missing)
    if found.shape != (n,) or not np.isin(found, (0, NO_PICTURE, NO_SOUND, NO_PICTURE | NO_SOUND)).all():
        raise CacheError(f"missing needs {n} values of 0, {NO_PICTURE} (no picture) or {NO_SOUND} (no sound)")
    both = np.flatnonzero(found == NO_PICTURE | NO_SOUND)
    if len(both):
        clip = clip_ids[both[0]] if clip_ids else f"number {both[0]}"
        raise CacheError(f"clip {clip} has neither picture nor sound: its row is a failed one")
    return found.astype(np.uint8)


def _check_values(name: str, values: NDArray[Any], dtype: str, clip_ids: Sequence[str]) -> None:
    if dtype not in layout.DTYPES or not len(values):
        return  # the dtype is refused where the cache is made
    low, high = float(values.min()), float(values.max())
    limit = float(np.finfo(dtype).max)
    if np.isfinite(low) and np.isfinite(high) and -limit <= low and high <= limit:
        return
    flat = np.abs(values.reshape(len(values), -1).astype(np.float64)).max(axis=1)
    bad = int(np.flatnonzero(~(flat <= limit))[0])
    why = f"{flat[bad]:g} does not fit {dtype}" if np.isfinite(flat[bad]) else "a value is not finite"
    mend = ": store float32" if np.isfinite(flat[bad]) and dtype == "float16" else ""
    raise CacheError(f"{name} embedding of clip {clip_ids[bad]}: {why}{mend}")
