"""FeatureCache: create, open, read and write the embeddings of a set of clips (docs/design.md 3)."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Self

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray

from feature_cache import text
from feature_cache.arrays import ArrayTemplates
from feature_cache.checks import check_clip_ids
from feature_cache.errors import CacheError
from feature_cache.fit import given_embeddings, given_probabilities
from feature_cache.header import Header
from feature_cache.layout import embedding_shapes
from feature_cache.readable import ReadableCache
from feature_cache.resize import add_rows, drop_rows
from feature_cache.shards import Shards
from feature_cache.storage.group import clear, finish, open_group, set_attributes, store_of
from feature_cache.storage.urls import shown


class FeatureCache(ReadableCache):
    """A cache on disk. Make one with :meth:`create`, :meth:`open` or :meth:`from_arrays`.

    Attributes:
        path: where it is.
        header: what it says of itself; :class:`ReadableCache` has it all by name.
        shards: its rows, a shard at a time.
    """

    def __init__(self, path: str, group: zarr.Group, header: Header, *, finished: bool = True) -> None:
        """Wrap an open group; for the class methods' use. ``finished``: whether the group has its header already."""
        super().__init__(Shards(path, group, header))
        self._finished = finished

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

        Example::

            cache = FeatureCache.create("c.zarr", clip_ids=["a"], backbone="mine", visual_dim=512, audio_dim=512)
            cache.write_shard(0, image, video, audio, status=[DONE])
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
        header = Header.of_rows(
            shapes,
            clip_ids=clip_ids,
            backbone=backbone,
            segment_seconds=segment_seconds,
            dtype=dtype,
            shard_size=shard_size,
            attributes=attributes,
            frames_per_window=frames_per_window,
        )
        begun = cls.begin(path, header, overwrite=overwrite)
        return begun.finish() if finished else begun

    @classmethod
    def begin(cls, path: str | PathLike[str], header: Header, *, overwrite: bool = False) -> Self:
        """Make a cache of this header, every row pending, that is none until :meth:`finish`.

        Raises:
            CacheError: something is at ``path`` already.
        """
        group = clear(path, overwrite=overwrite)
        ArrayTemplates(len(header), header.shapes, header.dtype, header.shard_size).write(store_of(group))
        return cls(shown(path), group, header, finished=False)

    def finish(self) -> Self:
        """Declare a cache whole that was made unfinished.

        Raises:
            CacheError: another process has begun to make the same cache meanwhile.
        """
        if not self._finished:
            finish(self.shards.group, self.header.to_dict())
            self._finished = True
        return self

    @classmethod
    def open(cls, path: str | PathLike[str], mode: Literal["r", "r+"] = "r") -> Self:
        """Open a cache to read ("r") or to add to ("r+").

        Raises:
            CacheError: there is none, it is no av2a cache, half made, damaged, or of another format version.

        Example::

            cache = FeatureCache.open("llp.zarr")
            features = cache.read([0, 1])
        """
        return cls(shown(path), *open_group(path, mode))

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

        Example::

            cache = FeatureCache.from_arrays("c.zarr", clip_ids=ids, backbone="mine", image=image, audio=audio)
            cache.add_text("llp", labels=labels, visual=text)
        """
        given = given_embeddings(clip_ids, image, video, audio, audio_segments, missing, dtype)
        header = Header.of_rows(
            given.shapes,
            clip_ids=clip_ids,
            backbone=backbone,
            segment_seconds=segment_seconds,
            dtype=dtype,
            shard_size=shard_size,
            attributes=attributes,
        )
        begun = cls.begin(path, header, overwrite=overwrite)
        begun.shards.write_all(given.arrays, given.missing)
        return begun.finish()

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
        """Make a cache of the probabilities that any detector gave each segment (docs/design.md 4.3); every row done.

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

        Example::

            cache = FeatureCache.from_probabilities("p.zarr", clip_ids=ids, labels=labels, visual=seen, audio=heard)
            cache.text().labels
        """
        names = text.check_labels(labels)
        given = given_probabilities(clip_ids, len(names), visual, audio, image, missing, dtype)
        header = Header.of_rows(
            given.shapes,
            clip_ids=clip_ids,
            backbone=source,
            segment_seconds=segment_seconds,
            dtype=dtype,
            shard_size=shard_size,
            attributes=attributes,
        )
        begun = cls.begin(path, header, overwrite=overwrite)
        none = np.zeros((len(names), 0), dtype=np.float32)
        text.write_text(begun.shards.group, text_name, names, none, None, {}, dims=header.text_dims, overwrite=False)
        begun.shards.write_all(given.arrays, given.missing)
        return begun.finish()

    # --- writing --------------------------------------------------------------------------------------

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
        self.shards.write(shard, given, status, reasons, missing)

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
        self.shards.write_rows(shard, inside, tables, status, reasons, missing)

    def add_clips(self, clip_ids: Sequence[str]) -> None:
        """Append rows for clips that are not there yet; they are pending. A kill leaves all of them or none.

        Raises:
            CacheError: a name is there already or is none.
        """
        everyone = check_clip_ids([*self.clip_ids, *clip_ids])
        add_rows(self.shards.group, self.header, len(everyone))
        self._declare(self.header.with_clips(everyone))

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
        drop_rows(self.shards.group, self.header, clip_ids, lambda ids: self._declare(self.header.with_clips(ids)))

    def update_attributes(self, more: Mapping[str, Any]) -> None:
        """Record further facts, JSON-able; those of the same name are replaced.

        Raises:
            CacheError: one is not JSON-able, or paths are not of their form.
        """
        self._declare(self.header.with_attributes(more))

    def _declare(self, header: Header) -> None:
        """Another header takes this one's place, in one write; a cache that is unfinished gets it when it is whole."""
        if self._finished:
            set_attributes(self.shards.group, header.to_dict())
        self.shards = Shards(self.path, self.shards.group, header)

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
            self.shards.group,
            name,
            labels,
            np.asarray(visual),
            None if audio is None else np.asarray(audio),
            prompts or {},
            dims=self.header.text_dims,
            overwrite=overwrite,
        )
