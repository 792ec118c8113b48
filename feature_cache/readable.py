"""What is read of an open cache: its header, its rows' status, its embeddings, its label sets."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from feature_cache.errors import CacheError
from feature_cache.features import Features
from feature_cache.header import Header
from feature_cache.layout import (
    DONE,
    NO_PICTURE,
    NO_SOUND,
    STATUS_NAMES,
    Shapes,
    window_rows,
)
from feature_cache.shards import Shards
from feature_cache.storage.durable import StoreError
from feature_cache.text import TextSet


class LabelSets(Protocol):
    """The label sets of a cache, of whatever format."""

    def names(self) -> list[str]:
        """Their names, sorted."""

    def read(self, name: str) -> TextSet:
        """One of them; any error says that it is damaged."""


@dataclass(frozen=True)
class Progress:
    """How far a cache is.

    Attributes:
        status: uint8 (N,): PENDING, DONE or FAILED.
        missing: uint8 (N,): what each clip that is done does not have: 0, NO_PICTURE or NO_SOUND.
        identity: as :attr:`FeatureCache.identity`.
    """

    status: NDArray[np.uint8]
    missing: NDArray[np.uint8]
    identity: str


def _of_done(status: NDArray[np.uint8], missing: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What rows that are done do not have; 0 for the others."""
    return np.where(status == DONE, missing, 0).astype(np.uint8)


def identity_of(header: Header, status: bytes, digests: bytes) -> str:
    """16 hex digits of what a cache holds: its header, every row's status and digest."""
    state = hashlib.sha256(header.content)
    state.update(status)
    state.update(digests)
    return state.hexdigest()[:16]


class ReadableCache:
    """The half of :class:`feature_cache.FeatureCache` that reads."""

    def __init__(self, shards: Shards, texts: LabelSets) -> None:
        """Wrap the rows and the label sets of an open cache."""
        self.path = shards.path
        self.shards = shards
        self._texts = texts

    @property
    def header(self) -> Header:
        """What the cache says of itself."""
        return self.shards.header

    def __len__(self) -> int:
        """Number of rows, whatever their status."""
        return len(self.header)

    def __repr__(self) -> str:
        """One line with path, backbone and size."""
        return f"FeatureCache({self.path!r}, backbone={self.backbone!r}, clips={len(self)})"

    @property
    def kind(self) -> str:
        """ "embeddings" or "probabilities"."""
        return self.header.kind

    @property
    def backbone(self) -> str:
        """Name of the encoders, or of the detector."""
        return self.header.backbone

    @property
    def clip_ids(self) -> list[str]:
        """N names, in the order of the rows."""
        return self.header.clip_ids

    @property
    def segments(self) -> int:
        """T, segments a clip."""
        return self.header.segments

    @property
    def segment_seconds(self) -> float:
        """Length of a segment in seconds."""
        return self.header.segment_seconds

    @property
    def frames_per_window(self) -> int:
        """F, visual embeddings a window."""
        return self.header.frames_per_window

    @property
    def visual_dim(self) -> int:
        """Dv, size of a visual embedding."""
        return self.header.visual_dim

    @property
    def audio_dim(self) -> int:
        """Da, size of an audio embedding."""
        return self.header.audio_dim

    @property
    def joint_dim(self) -> int:
        """Dj, size of a joint embedding of picture and sound; 0 where there are none."""
        return self.header.joint_dim

    @property
    def dtype(self) -> str:
        """ "float16" or "float32", as stored."""
        return self.header.dtype

    @property
    def shard_size(self) -> int:
        """Rows a shard."""
        return self.header.shard_size

    @property
    def attributes(self) -> dict[str, Any]:
        """What else is recorded of the embeddings."""
        return self.header.attributes

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return self.header.n_shards

    def shard_rows(self, shard: int) -> range:
        """Rows of a shard."""
        return self.shards.rows(shard)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays with a row's embeddings or probabilities, in the order in which they are written."""
        return tuple(self.header.shapes)

    @property
    def row_shapes(self) -> Shapes:
        """The shape of one row of each array, by name."""
        return dict(self.header.shapes)

    @property
    def video_windows(self) -> str:
        """Which windows' visual embeddings are kept: "all", "whole" (window 0) or "none"."""
        return self.header.kept("video")

    @property
    def audio_windows(self) -> str:
        """Which windows' audio embeddings are kept: "all", "whole" (window 0) or "none"."""
        return self.header.kept("audio")

    @property
    def joint_windows(self) -> str:
        """Which windows' joint embeddings are kept: "all", "whole" (window 0) or "none"."""
        return self.header.kept("joint")

    @property
    def windows_kept(self) -> str:
        """Which windows have both: "all", "whole" (window 0) or "none"; refinement as such needs all."""
        return self.header.windows_kept

    @property
    def has_images(self) -> bool:
        """Whether there is an image embedding for each segment, as the label shift by `cosine` needs."""
        return "image" in self.header.shapes

    def status(self) -> NDArray[np.uint8]:
        """uint8 (N,): PENDING, DONE or FAILED, read anew at each call."""
        return self.shards.column("status")[0]

    def missing(self) -> NDArray[np.uint8]:
        """uint8 (N,): what each clip that is done does not have: 0, NO_PICTURE or NO_SOUND; read anew at each call."""
        status, missing = self.shards.column("status", "missing")
        return _of_done(status, missing)

    def progress(self) -> Progress:
        """How far the cache is, in one reading of what is kept beside the rows.

        Example::

            found = cache.progress()
            (found.status == DONE).sum(), found.identity
        """
        status, missing, digest = self.shards.column("status", "missing", "digest")
        identity = identity_of(self.header, status.tobytes(), digest.tobytes())
        return Progress(status, _of_done(status, missing), identity)

    def reasons(self) -> dict[str, str]:
        """Why each failed clip failed, by clip id."""
        return {self.clip_ids[row]: reason for row, reason in self.shards.reasons()}

    @property
    def identity(self) -> str:
        """16 hex digits that change with the clips, their embeddings, their status or the attributes."""
        return self.progress().identity

    def describe(self) -> dict[str, Any]:
        """What the cache holds, JSON-able."""
        found = self.progress()
        counts = {name: int((found.status == code).sum()) for code, name in enumerate(STATUS_NAMES)}
        missing = found.missing
        return {
            "path": self.path,
            "format_version": self.header.version,
            "identity": found.identity,
            "kind": self.kind,
            "backbone": self.backbone,
            "clips": len(self),
            **counts,
            "without_picture": int((missing == NO_PICTURE).sum()),
            "without_sound": int((missing == NO_SOUND).sum()),
            "segments": self.segments,
            "segment_seconds": self.segment_seconds,
            "windows": window_rows(self.header.shapes, "video"),
            "windows_kept": self.windows_kept,
            "audio_per_segment": "audio_segments" in self.header.shapes,
            "frames_per_window": self.frames_per_window,
            "visual_dim": self.visual_dim,
            "audio_dim": self.audio_dim,
            "joint_dim": self.joint_dim,
            "dtype": self.dtype,
            "shards": self.n_shards,
            "shard_size": self.shard_size,
            "text_sets": {name: list(self.text(name).labels) for name in self.text_names},
            "attributes": self.attributes,
        }

    def read(self, rows: Sequence[int] | NDArray[np.integer[Any]] | slice | None = None) -> Features:
        """Embeddings of the given rows, in the given order; of all done rows if None.

        Raises:
            CacheError: a row is out of range or not done, or a chunk's checksum is wrong.

        Example::

            features = cache.read([0, 1])
            features.image.shape  # (2, T, Dv)
        """
        return self.shards.select(rows)

    def iter_shards(self, *, read_ahead: int = 2) -> Iterator[Features]:
        """Embeddings of all done rows, shard by shard in order; the next shards are read meanwhile.

        Args:
            read_ahead: shards read before they are asked for.

        Raises:
            CacheError: a chunk is damaged.

        Example::

            for features in cache.iter_shards():
                print(features.rows, features.image.mean())
        """
        return self.shards.iterate(read_ahead)

    @property
    def text_names(self) -> list[str]:
        """Names of the text sets, sorted."""
        return self._texts.names()

    def text(self, name: str | None = None) -> TextSet:
        """A text set by name; without a name the only one.

        Raises:
            CacheError: no such set, or no name given and not exactly one set there, or it is not as it was written.
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
            return self._texts.read(name)
        except StoreError:
            raise
        except (ValueError, KeyError, RuntimeError, TypeError, AttributeError, CacheError) as error:
            raise CacheError(f"{self.path}: text set {name!r} is damaged ({error}): add it again") from error
