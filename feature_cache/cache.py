"""FeatureCache: create, open, read and write the embeddings of a set of clips (docs/design.md 3)."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from feature_cache import place, text
from feature_cache.errors import CacheError
from feature_cache.fit import given_embeddings, given_probabilities
from feature_cache.header import Header
from feature_cache.layout import embedding_shapes, probability_shapes
from feature_cache.root import Root, new_root
from feature_cache.seals import SealError
from feature_cache.storage.urls import shown, store_at
from feature_cache.writable import Begun, WritableCache


class FeatureCache(WritableCache):
    """A cache on disk. Make one with :meth:`create`, :meth:`open` or :meth:`from_arrays`.

    Attributes:
        path: where it is.
        header: what it says of itself; :class:`ReadableCache` has it all by name.
        shards: its rows, a shard at a time.
    """

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
        joint_dim: int = 0,
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
            joint_dim: Dj, size of a joint embedding of picture and sound, one for each of ``windows``; 0: none.
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
            joint_dim=joint_dim,
            joint_windows=windows,
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
    def create_probabilities(
        cls,
        path: str | PathLike[str],
        *,
        clip_ids: Sequence[str],
        labels: Sequence[str],
        source: str,
        text_name: str = "labels",
        prompts: Mapping[str, Sequence[Any]] | None = None,
        segments: int = 10,
        segment_seconds: float = 1.0,
        dtype: str = "float32",
        shard_size: int = 32,
        attributes: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> Self:
        """Make an empty cache of a detector's probabilities: every row pending.

        Args:
            path: a folder, or a URL that Zarr's storage knows.
            clip_ids: N names.
            labels: C class names.
            source: the detector's name, kept as the cache's backbone.
            text_name: name of the label set.
            prompts: the sentences that stand for the labels, by "visual" and "audio".
            segments: T.
            segment_seconds: length of a segment in seconds.
            dtype: "float16" or "float32".
            shard_size: rows a shard.
            attributes: JSON-able facts about the probabilities.
            overwrite: replace a cache that is there.

        Raises:
            CacheError: a value is out of its range, labels are doubled, or something is at ``path`` already.

        Example::

            cache = FeatureCache.create_probabilities("p.zarr", clip_ids=["a"], labels=["dog", "cat"], source="mine")
            cache.write_rows(0, [0], {"visual_probability": seen, "audio_probability": heard}, status=[DONE])
        """
        names = text.check_labels(labels)
        header = Header.of_rows(
            probability_shapes(segments, len(names), 0),
            clip_ids=clip_ids,
            backbone=source,
            segment_seconds=segment_seconds,
            dtype=dtype,
            shard_size=shard_size,
            attributes=attributes,
        )
        none = np.zeros((len(names), 0), dtype=np.float32)
        made = text.check_text(text_name, names, {"visual": none}, prompts or {}, header.text_dims)
        begun = cls.begin(path, header, overwrite=overwrite)
        begun.put_text(made)
        return begun.finish()

    @classmethod
    def begin(cls, path: str | PathLike[str], header: Header, *, overwrite: bool = False) -> Self:
        """Make a cache of this header, every row pending, that is none until :meth:`finish`.

        Raises:
            CacheError: something is at ``path`` already.
        """
        lease, maker = place.begin(path, overwrite=overwrite)
        try:
            return cls(shown(path), lease.store, new_root(lease.store, header), begun=Begun(lease, maker))
        except BaseException:
            lease.release()
            raise

    @classmethod
    def open(cls, path: str | PathLike[str], mode: Literal["r", "r+"] = "r") -> Self:
        """Open a cache to read ("r") or to add to ("r+"); its metadata is compared with its seal.

        Raises:
            CacheError: there is none, it is no av2a cache, half made, damaged, or of another format version.

        Example::

            cache = FeatureCache.open("llp.zarr")
            features = cache.read([0, 1])
        """
        store = store_at(path, read_only=mode == "r")
        root = place.read_root(path, store)
        if isinstance(root, Root):
            try:
                root.check_files(store)
            except SealError as error:
                raise CacheError(
                    f"{shown(path)} is damaged ({error}): `verify({shown(path)!r}, repair=True)` mends what can be"
                ) from error
        return cls(shown(path), store, root)

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
        joint: ArrayLike | None = None,
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
            joint: (N, W, Dj), or (N, Dj) for whole clips, of picture and sound at once; None if there are none.
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
        tables = {"image": image, "video": video, "audio": audio, "audio_segments": audio_segments, "joint": joint}
        given = given_embeddings(clip_ids, tables, missing, dtype)
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
        begun.put_text(text.check_text(text_name, names, {"visual": none}, {}, header.text_dims))
        begun.shards.write_all(given.arrays, given.missing)
        return begun.finish()
