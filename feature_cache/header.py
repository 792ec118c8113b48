"""Header: what a cache says of itself, every value checked; the one home of what a cache may hold (docs/design.md 3).

A header is read from the attributes of a cache's group, or made for a new cache; either way nothing is taken that is of
a wrong type, out of range, or does not agree with the rest.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from feature_cache.checks import MOST_SECONDS, check_size, short
from feature_cache.clip_table import PLACES, ClipTable, check_places
from feature_cache.errors import CacheError
from feature_cache.layout import (
    ATTRIBUTE_DIGEST,
    DTYPES,
    FEATURE_ARRAYS,
    FORMAT,
    FORMAT_VERSION,
    KINDS,
    OLD_VERSION,
    WINDOWS_KEPT,
    Shapes,
    embedding_shapes,
    kept_name,
    probability_shapes,
    window_rows,
)
from feature_cache.names import why_not_a_name
from feature_cache.windows import windows

_MOST_CLIPS = 1 << 31
_MOST_CHUNK = 1 << 31
"""Bytes; a shard of any array is smaller."""
_NEEDED = (
    "kind", "backbone", "segment_seconds", "visual_dim", "audio_dim", "frames_per_window", "shard_size", "segments",
    "arrays", "dtype", "attributes",
)  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What a cache says of itself.

    Attributes:
        kind: "embeddings" or "probabilities".
        backbone: name of the encoders, or of the detector.
        segment_seconds: length of a segment in seconds.
        visual_dim: Dv; 0 in a cache of probabilities without image embeddings.
        audio_dim: Da; 0 in a cache of probabilities.
        frames_per_window: F.
        shard_size: rows a shard.
        segments: T.
        shapes: by array, the shape of a row, in the order in which arrays are written.
        dtype: "float16" or "float32".
        facts: what else is needed to trust the embeddings.
        clips: the clips, in the order of the rows, and where they come from.
        windows: the stretches [start, end) of the video windows that are kept; None where a cache does not list them.
        more: further keys, of other versions perhaps; kept as they are.
        version: of the cache's format.
    """

    kind: str
    backbone: str
    segment_seconds: float
    visual_dim: int
    audio_dim: int
    frames_per_window: int
    shard_size: int
    segments: int
    shapes: Shapes
    dtype: str
    facts: dict[str, Any]
    clips: ClipTable
    windows: list[list[int]] | None
    more: dict[str, Any]
    version: int = FORMAT_VERSION

    # --- made ---------------------------------------------------------------------------------------------

    @classmethod
    def of_rows(
        cls,
        shapes: Shapes,
        *,
        clip_ids: Sequence[str],
        backbone: str,
        segment_seconds: float,
        dtype: str,
        shard_size: int,
        attributes: Mapping[str, Any] | None,
        frames_per_window: int | None = None,
    ) -> Self:
        """The header of a new cache whose rows have these shapes.

        Args:
            shapes: by array, as :func:`feature_cache.layout.embedding_shapes` or ``probability_shapes`` says.
            clip_ids: N names.
            backbone: name of the encoders, or of the detector.
            segment_seconds: length of a segment in seconds.
            dtype: "float16" or "float32".
            shard_size: rows a shard.
            attributes: what else is recorded, JSON-able.
            frames_per_window: F, where no array says it; None: the array's, or 1.

        Raises:
            CacheError: a value is not one that a cache may have.
        """
        found = frames_per_window if frames_per_window is not None else shapes.get("video", (1, 1))[1]
        return cls.from_dict(
            {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "kind": "probabilities" if "visual_probability" in shapes else "embeddings",
                "backbone": backbone,
                "segment_seconds": segment_seconds,
                "visual_dim": shapes.get("image", (0,))[-1],
                "audio_dim": shapes.get("audio", shapes.get("audio_segments", (0,)))[-1],
                "frames_per_window": found,
                "shard_size": shard_size,
                "segments": next(shape[0] for name, shape in shapes.items() if name not in ("video", "audio", "joint")),
                "windows": _stretches(shapes),
                "arrays": {name: list(shape) for name, shape in shapes.items()},
                "dtype": dtype,
                "attributes": _plain(attributes or {}),
                "clip_ids": [str(clip) for clip in clip_ids],
            }
        )

    # --- read and written -----------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], clips: ClipTable | None = None) -> Self:
        """A header from the attributes of a cache's group.

        Args:
            stored: the attributes.
            clips: its clips; None: ``stored`` has "clip_ids", and their places among the "attributes".

        Raises:
            CacheError: a value is missing, of a wrong type, out of range, or does not agree with the others; the
                message is one line and says which and why.
        """
        _check_format(stored)
        needed = _NEEDED if clips is not None else (*_NEEDED, "clip_ids")
        absent = sorted(name for name in needed if name not in stored)
        if absent:
            raise CacheError(f"no {', '.join(absent)}")
        for name in ("kind", "backbone", "dtype"):
            if not isinstance(stored[name], str):
                raise CacheError(f"{name} {short(stored[name])} is no text")
        why = why_not_a_name(stored["backbone"]) if stored["backbone"] else None
        if why is not None:
            raise CacheError(f"backbone {short(stored['backbone'])} is no name: {why}")
        for name, known in (("kind", KINDS), ("dtype", DTYPES)):
            if stored[name] not in known:
                raise CacheError(f"{name} {short(stored[name])}: use one of {', '.join(known)}")
        seconds = stored["segment_seconds"]
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < MOST_SECONDS:
            raise CacheError(f"segment_seconds must be a number of seconds above 0, got {short(seconds)}")
        least = 1 if stored["kind"] == "embeddings" else 0
        sizes = {"segments": 2, "frames_per_window": 1, "shard_size": 1, "visual_dim": least, "audio_dim": least}
        for name, smallest in sizes.items():
            check_size(name, stored[name], smallest)
        shapes = _shapes(stored)
        stretches = stored.get("windows")
        if "windows" in stored:
            _check_windows(stretches, shapes)
        attributes = stored["attributes"]
        check_places(attributes)
        if clips is None:
            clips = _clips(stored["clip_ids"], {name: attributes[name] for name in PLACES if name in attributes})
        if not 0 < clips.count < _MOST_CLIPS:
            raise CacheError(f"clips: {clips.count} of them")
        if stored["format_version"] != OLD_VERSION:
            _check_shards(stored, shapes)
        return cls(
            kind=stored["kind"],
            backbone=stored["backbone"],
            segment_seconds=seconds,
            visual_dim=stored["visual_dim"],
            audio_dim=stored["audio_dim"],
            frames_per_window=stored["frames_per_window"],
            shard_size=stored["shard_size"],
            segments=stored["segments"],
            shapes=shapes,
            dtype=stored["dtype"],
            facts={name: value for name, value in attributes.items() if name not in PLACES},
            clips=clips,
            windows=stretches,
            more={name: value for name, value in stored.items() if name not in _KNOWN},
            version=stored["format_version"],
        )

    def to_dict(self) -> dict[str, Any]:
        """What :meth:`from_dict` makes an equal header of, clips and all; JSON-able."""
        return {**self.to_stored(), "attributes": self.attributes, "clip_ids": self.clip_ids, **self.more}

    def to_stored(self) -> dict[str, Any]:
        """The same without the clips, which are kept elsewhere."""
        return {
            "format": FORMAT,
            "format_version": self.version,
            "kind": self.kind,
            "backbone": self.backbone,
            "segment_seconds": self.segment_seconds,
            "visual_dim": self.visual_dim,
            "audio_dim": self.audio_dim,
            "frames_per_window": self.frames_per_window,
            "shard_size": self.shard_size,
            "segments": self.segments,
            **({} if self.windows is None else {"windows": self.windows}),
            "arrays": {name: list(shape) for name, shape in self.shapes.items()},
            "dtype": self.dtype,
            "attributes": self.facts,
            **self.more,
        }

    def with_clips(self, clip_ids: Sequence[str]) -> Self:
        """The same of other clips, which :func:`feature_cache.checks.check_clip_ids` would take."""
        return replace(self, clips=self.clips.with_ids(clip_ids))

    def with_segments(self, facts: Mapping[str, Any]) -> Self:
        """The same of a cache that has the sound of each segment, too, with further attributes.

        Raises:
            CacheError: there would be no room for it in a shard, or a fact is not JSON-able.
        """
        arrays = {**self.shapes, "audio_segments": (self.segments, self.audio_dim)}
        stored = {**self.to_stored(), "arrays": {name: list(shape) for name, shape in arrays.items()}}
        return type(self).from_dict(stored, self.clips).with_attributes(facts)

    def of_this_format(self) -> Self:
        """The same in this version of the format."""
        return replace(self, version=FORMAT_VERSION)

    def with_attributes(self, more: Mapping[str, Any]) -> Self:
        """The same with further attributes, JSON-able; those of the same name are replaced.

        Raises:
            CacheError: one is not JSON-able, or paths are not of their form.
        """
        plain = _plain(more)
        places = {name: plain.pop(name) for name in PLACES if name in plain}
        check_places(plain)
        return replace(self, facts={**self.facts, **plain}, clips=self.clips.with_places(places))

    # --- said -----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of rows."""
        return self.clips.count

    @property
    def clip_ids(self) -> list[str]:
        """N names, in the order of the rows."""
        return self.clips.ids

    @property
    def attributes(self) -> dict[str, Any]:
        """What else is needed to trust the embeddings, and where the clips come from."""
        return {**self.facts, **self.clips.places}

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-len(self) // self.shard_size)

    def shard_rows(self, shard: int) -> range:
        """Rows of a shard.

        Raises:
            CacheError: there is no such shard.
        """
        if not 0 <= shard < self.n_shards:
            raise CacheError(f"shard {shard} of {self.n_shards}")
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, len(self)))

    @property
    def joint_dim(self) -> int:
        """Dj, size of a joint embedding; 0 where there are none."""
        return self.shapes.get("joint", (0,))[-1]

    def kept(self, name: str) -> str:
        """Which windows the array "video", "audio" or "joint" has: "all", "whole" (window 0) or "none"."""
        return kept_name(window_rows(self.shapes, name), self.segments)

    @property
    def windows_kept(self) -> str:
        """Which windows have both: "all", "whole" (window 0) or "none"."""
        return max(self.kept("video"), self.kept("audio"), key=WINDOWS_KEPT.index)

    @property
    def text_dims(self) -> tuple[int, int, int]:
        """Sizes of visual, audio and joint text embeddings; 0 where labels have none, as beside probabilities."""
        return (0, 0, 0) if self.kind == "probabilities" else (self.visual_dim, self.audio_dim, self.joint_dim)

    @property
    def content(self) -> bytes:
        """What of a cache's identity is its header's: all but the size of shards and what files are known by."""
        facts = {name: value for name, value in self.to_dict().items() if name != "shard_size"}
        if self.version != OLD_VERSION:  # where it was an attribute as any
            facts["attributes"] = {name: value for name, value in facts["attributes"].items() if name != "stamps"}
        return json.dumps(facts, sort_keys=True).encode()


_KNOWN = {*_NEEDED, "clip_ids", "format", "format_version", "windows", ATTRIBUTE_DIGEST}


def _clips(ids: Any, places: Mapping[str, Any]) -> ClipTable:
    if not isinstance(ids, list) or not all(isinstance(clip, str) for clip in ids):
        raise CacheError("clip_ids must be a list of texts")
    return ClipTable.of(ids, places)


def _check_shards(stored: Mapping[str, Any], shapes: Shapes) -> None:
    """A shard is read and written as one: it must have room."""
    for name, shape in shapes.items():
        bytes_ = stored["shard_size"] * math.prod(shape) * np.dtype(stored["dtype"]).itemsize
        if bytes_ >= _MOST_CHUNK:
            raise CacheError(
                f"shard_size {stored['shard_size']} makes shards of {name} of {bytes_:.2g} bytes, which must be below "
                f"{_MOST_CHUNK}: use a smaller one"
            )


def _check_format(stored: Mapping[str, Any]) -> None:
    if stored.get("format") != FORMAT:
        raise CacheError("it is no av2a cache")
    version = stored.get("format_version")
    if isinstance(version, bool) or version not in (OLD_VERSION, FORMAT_VERSION):
        raise CacheError(f"cache format {short(version)}, this av2a reads {OLD_VERSION} and {FORMAT_VERSION}")


def _shapes(stored: Mapping[str, Any]) -> Shapes:
    """The arrays' shapes as stated, refused if a cache of such sizes has others."""
    arrays = stored["arrays"]
    if not isinstance(arrays, dict) or not all(name in FEATURE_ARRAYS for name in arrays):
        raise CacheError(f"arrays must give shapes of {', '.join(FEATURE_ARRAYS)}, got {short(arrays)}")
    for name, shape in arrays.items():
        if not isinstance(shape, list) or not shape:
            raise CacheError(f"arrays: {name} must have a shape, got {short(shape)}")
        for size in shape:
            check_size(f"arrays: a size of {name}", size, 1)
    stated = {name: tuple(arrays[name]) for name in FEATURE_ARRAYS if name in arrays}
    segments, visual_dim = stored["segments"], stored["visual_dim"]
    if stored["kind"] == "probabilities":
        labels = stated.get("visual_probability", (0,))[-1]
        expected = probability_shapes(segments, labels, visual_dim)
        if stored["audio_dim"]:
            raise CacheError(f"audio_dim must be 0 in a cache of probabilities, got {stored['audio_dim']}")
    else:
        expected = embedding_shapes(
            segments=segments,
            visual_dim=visual_dim,
            audio_dim=stored["audio_dim"],
            frames_per_window=stored["frames_per_window"],
            windows=kept_name(window_rows(stated, "video"), segments),
            audio_windows=kept_name(window_rows(stated, "audio"), segments),
            audio_per_segment="audio_segments" in stated,
            joint_dim=stated.get("joint", (0,))[-1],
            joint_windows=kept_name(window_rows(stated, "joint"), segments),
        )
    if stated != expected:
        raise CacheError(f"arrays are {short(stated)}, expected {short(expected)}")
    return expected


def _stretches(shapes: Shapes) -> list[list[int]]:
    """The windows that "video" has."""
    count, segments = window_rows(shapes, "video"), next(iter(shapes.values()))[0]
    if count <= 1:
        return [[0, segments]][:count]
    found: list[list[int]] = windows(segments).tolist()
    return found


def _check_windows(stated: Any, shapes: Shapes) -> None:
    """Their number first: a damaged file may speak of more than can be listed."""
    count = window_rows(shapes, "video")
    if not isinstance(stated, list) or len(stated) != count or stated != _stretches(shapes):
        raise CacheError(f"windows are not the {count} that the array video has")


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(attributes)))
    except (TypeError, ValueError, RecursionError) as error:
        raise CacheError(f"attributes cannot be written as JSON ({error})") from error
    return found
