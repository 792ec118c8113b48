"""The cache of a run: made anew, or gone on with if it was made in the same way."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from extract.backbones.base import Backbone, JointBackbone, VideoBackbone
from extract.errors import ExtractError
from extract.provenance import differences
from extract.run.stamps import renewed
from feature_cache import FeatureCache, LeaseError
from feature_cache.layout import FORMAT_VERSION
from feature_cache.place import is_there

_USUAL_ENDING = ".mp4"

WAIT_SECONDS = 600
"""How long workers wait for the one that makes the cache."""


@dataclass(frozen=True)
class CacheKind:
    """How a run makes its cache.

    Attributes:
        backbone: the encoders.
        dtype: how embeddings are stored.
        shard_size: clips a shard.
        facts: what else is recorded; "files", paths by file id, but for those that are as usual; "stamps" of the files
            that were looked at, empty where there is nothing to record.
        segment_seconds: length of a segment.
        windows: "all", or "whole" for window 0 alone.
        audio_segments: whether the sound of each segment is in it, too.
        joint: whether picture and sound of each window at once are in it, too.
        labels: those of a detector, whose probabilities the cache holds; none: it holds embeddings.
        text_name: their set's name.
        prompts: their sentences, by "audio".
    """

    backbone: Backbone
    dtype: str
    shard_size: int
    facts: dict[str, Any]
    segment_seconds: float = 1.0
    windows: str = "all"
    audio_segments: bool = True
    joint: bool = False
    labels: tuple[str, ...] = ()
    text_name: str = ""
    prompts: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def joint_dim(self) -> int:
        """Dj; 0 where there is nothing of it."""
        return self.backbone.joint_dim if self.joint and isinstance(self.backbone, JointBackbone) else 0


def open_or_create(
    output: str | PathLike[str],
    clip_ids: Sequence[str],
    kind: CacheKind,
    *,
    overwrite: bool,
    there: FeatureCache | None = None,
) -> FeatureCache:
    """A cache to write the clips' embeddings to: one that is there, with rows for clips that are new, or a new one.

    Args:
        output: where it is.
        clip_ids: the run's clips.
        kind: how it is made.
        overwrite: make it anew.
        there: the cache, opened before.

    Raises:
        ExtractError: a cache is there that was made in another way.
        CacheError: something else is there, or a damaged cache, or one of another version.
    """
    if not overwrite and is_there(output):
        cache = FeatureCache.open(output, "r+") if there is None else there
        with cache.writing("extract"):
            check_kind(cache, kind)
            new = _new(cache, clip_ids)
            if more := _places(cache, clip_ids, kind, new):
                cache.update_attributes(more)
            if new:
                cache.add_clips(new)
        return cache
    backbone = kind.backbone
    attributes = {
        **kind.facts,
        "files": _unusual(kind.facts.get("files", {})),
        "stamps": {name: stamp for name, stamp in kind.facts.get("stamps", {}).items() if stamp},
    }
    if kind.labels:
        return FeatureCache.create_probabilities(
            output,
            clip_ids=clip_ids,
            labels=kind.labels,
            source=backbone.name,
            text_name=kind.text_name,
            prompts=kind.prompts,
            dtype=kind.dtype,
            shard_size=kind.shard_size,
            segment_seconds=kind.segment_seconds,
            attributes=attributes,
            overwrite=overwrite,
        )
    return FeatureCache.create(
        output,
        clip_ids=clip_ids,
        backbone=backbone.name,
        visual_dim=backbone.visual_dim,
        audio_dim=backbone.audio_dim,
        frames_per_window=1 if isinstance(backbone, VideoBackbone) else backbone.frames_per_window,
        dtype=kind.dtype,
        shard_size=kind.shard_size,
        segment_seconds=kind.segment_seconds,
        windows=kind.windows,
        audio_per_segment=kind.audio_segments,
        joint_dim=kind.joint_dim,
        attributes=attributes,
        overwrite=overwrite,
    )


def _places(
    cache: FeatureCache, clip_ids: Sequence[str], kind: CacheKind, new: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """What is to be recorded of clips and files before clips that are new are added; empty where nothing is."""
    before, now = cache.attributes, kind.facts
    more: dict[str, Mapping[str, Any]] = {}
    if new:
        more = {name: {**before.get(name, {}), **now.get(name, {})} for name in ("clips_from", "files")}
        more["files"] = _unusual(more["files"])
    looked_at, stamps = now.get("stamps", {}), before.get("stamps", {})
    if looked_at and cache.header.version == FORMAT_VERSION:
        files = more.get("files", before.get("files", {}))
        looked_at = {
            name: stamp if files.get(name, f"{name}{_USUAL_ENDING}") == now["files"][name] else []
            for name, stamp in looked_at.items()
        }
        planned_from, origins = now.get("clips_from", {}), more.get("clips_from", before.get("clips_from", {}))
        found = renewed(stamps, looked_at, clip_ids, planned_from, [*cache.clip_ids, *new], origins)
        if found != stamps:
            more["stamps"] = found
    return more


def shared(output: str | PathLike[str], kind: CacheKind) -> FeatureCache:
    """A cache that has all of the clips, to write to beside others.

    Raises:
        ExtractError: it was made in another way.
        CacheError: it is damaged.
    """
    cache = FeatureCache.open(output, "r+")
    check_kind(cache, kind)
    return cache


def _unusual(paths: Mapping[str, str]) -> dict[str, str]:
    """What is recorded of the files' paths, given by file id: those that are not `id.mp4`."""
    return {name: path for name, path in paths.items() if path != f"{name}{_USUAL_ENDING}"}


def known_files(cache: FeatureCache) -> dict[str, str | None]:
    """Paths of a cache's files below the folder by file id; None: not recorded, as by an early av2a."""
    facts = cache.attributes
    files, places = facts.get("files"), facts.get("clips_from", {})
    names = dict.fromkeys(places[clip][0] if clip in places else clip for clip in cache.clip_ids)
    if files is None:
        return names
    return {name: files.get(name) or f"{name}{_USUAL_ENDING}" for name in names}


def wait_for(
    output: str | PathLike[str], clip_ids: Sequence[str], kind: CacheKind, notice: Callable[[str], None]
) -> FeatureCache:
    """The cache that worker 0 makes, once it has rows for all of the clips.

    Raises:
        ExtractError: it is not there in time, or was made in another way.
        CacheError: something else is there, or a damaged cache, or one of another version.
    """
    end, told = time.monotonic() + WAIT_SECONDS, False
    while True:
        if is_there(output):
            cache = FeatureCache.open(output, "r+")
            check_kind(cache, kind)
            if not _new(cache, clip_ids):
                return cache
        if time.monotonic() > end:
            raise ExtractError(
                f"{output} is not there, or without some of these clips, after {WAIT_SECONDS} s: "
                "start the worker with `shard_range='0/n'`, which makes it"
            )
        if not told:
            told = True
            notice(f"waiting for the worker with `shard_range='0/n'`, which makes {output}")
        time.sleep(0.5)


def has_clips(output: str | PathLike[str], clip_ids: Sequence[str], text_name: str) -> bool:
    """Whether a cache is there that has rows for all of the clips, and a label set of that name."""
    if not is_there(output):
        return False
    cache = FeatureCache.open(output)
    return text_name in cache.text_names and not _new(cache, clip_ids)


def share_with_others(cache: FeatureCache, held: ExitStack, notice: Callable[[str], None]) -> None:
    """Take part in a cache that several write to, until ``held`` ends; who changes it as a whole is waited for.

    Raises:
        LeaseError: somebody has it as a whole for too long.
    """
    end, told = time.monotonic() + WAIT_SECONDS, False
    while True:
        try:
            held.enter_context(cache.writing("extract", shared=True, notice=notice))
            return
        except LeaseError as error:
            if time.monotonic() > end:
                raise
            if not told:
                told = True
                notice(f"waiting: {error}")
            time.sleep(0.5)


def _new(cache: FeatureCache, clip_ids: Sequence[str]) -> list[str]:
    there = set(cache.clip_ids)
    return [clip for clip in clip_ids if clip not in there]


def was_extracted(cache: FeatureCache) -> bool:
    """Whether a cache's embeddings were made here: how clips were sampled is recorded by no import."""
    return cache.kind == "embeddings" and "sampling" in cache.attributes


def has_segments(there: FeatureCache | None, asked: bool | None) -> bool:
    """Whether a run's cache has, or is to have, the sound of each segment.

    Args:
        there: the cache that is gone on with; None: a new one is made.
        asked: what was asked for; None: nothing.

    Raises:
        ExtractError: the cache has what was not asked for, or lacks what was.
    """
    adds = "`add='audio-segments'` adds it"
    return _kept(there, asked, "audio_segments", usual=True, what="the sound of each segment", adds=adds)


def has_joint(there: FeatureCache | None, asked: bool | None) -> bool:
    """Whether a run's cache has, or is to have, picture and sound of each window at once.

    Args:
        there: the cache that is gone on with; None: a new one is made.
        asked: what was asked for; None: nothing.

    Raises:
        ExtractError: the cache has what was not asked for, or lacks what was.
    """
    return _kept(there, asked, "joint", usual=False, what="joint embeddings of picture and sound")


def _kept(
    there: FeatureCache | None, asked: bool | None, array: str, *, usual: bool, what: str, adds: str = ""
) -> bool:
    """Whether a run's cache has an array that it may do without; ``adds``: what gives it to a cache that is there."""
    if there is None:
        return usual if asked is None else asked
    has = array in there.arrays
    if asked is not None and asked != has and was_extracted(there):
        mend = adds if adds and not has else f"leave out `{array}={asked}`"
        raise ExtractError(
            f"{there.path} was made {'with' if has else 'without'} {what}: {mend}, or use another `output`, or "
            "`overwrite=True` to make it anew"
        )
    return has


def check_joint(encoders: Backbone, wanted: bool) -> None:
    """Refuse encoders that do not embed picture and sound at once, where that is wanted.

    Raises:
        ExtractError: they do not.
    """
    if wanted and not isinstance(encoders, JointBackbone):
        raise ExtractError(
            f"backbone {encoders.name!r} does not embed picture and sound at once: leave out `joint=True`, or use "
            "`backbone='pe_av'`"
        )


def check_kind(cache: FeatureCache, kind: CacheKind, mend: str | None = None) -> None:
    """Refuse a cache that was made in another way.

    Args:
        cache: the one that is there.
        kind: how a run makes it.
        mend: for the error.

    Raises:
        ExtractError: it was.
    """
    differing = [
        f"{name} {before!r}, now {now!r}"
        for name, before, now in (
            ("backbone", cache.backbone, kind.backbone.name),
            ("dtype", cache.dtype, kind.dtype),
            ("windows", cache.windows_kept, kind.windows),
            ("audio_segments", "audio_segments" in cache.arrays, kind.audio_segments),
            ("joint", "joint" in cache.arrays, kind.joint),
        )
        if before != now
    ]
    if not differing:
        differing += differences(cache.attributes, kind.facts)
    if differing:
        raise ExtractError(
            f"{cache.path} is there, made differently ({'; '.join(differing)}): "
            + (mend or "use another `output`, or `overwrite=True` to make it anew")
        )
