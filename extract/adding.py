"""The sound of each segment for a cache that is there without it: nothing else is decoded or encoded again."""

import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path

from extract.errors import ExtractError
from extract.options import ExtractOptions
from extract.run.clip_plan import ClipPlan
from extract.run.engines import Progress, engine_for
from extract.run.open_cache import check_kind, has_joint, was_extracted
from extract.run.preparing import find_inputs, kind_of, load_encoders, planned, work_of
from extract.summary import Summary, rows_of
from feature_cache import DONE, NO_SOUND, FeatureCache
from feature_cache.adding import begin_with_segments, is_put, put_with_segments, remove_left, take_place
from feature_cache.layout import OLD_VERSION
from feature_cache.place import put_back

_SHOWN = 3


def add_segments(
    source: Path,
    output: PathLike[str] | str,
    options: ExtractOptions,
    *,
    progress: Progress,
    notice: Callable[[str], None],
) -> Summary:
    """Give a cache that is there the sound of each segment; what comes of it equals one that was made with it.

    The old cache stays as it is until all is there. What an interrupted run has done stays. A clip whose sound cannot
    be read any more fails, as it would in a new cache.

    Args:
        source: the videos of which the cache was made.
        output: the cache.
        options: how it was made.
        progress: called with (clips finished, clips in all).
        notice: called with a line to show, where the run has to wait.

    Raises:
        ExtractError: the cache was made in another way, or videos of it are gone.
        CacheError: it is not there, holds no embeddings that were extracted, or cannot be written.
    """
    began = time.perf_counter()
    put_back(output)  # where a kill came between its two names
    old = FeatureCache.open(output, "r+")
    if "audio_segments" in old.arrays:
        return _nothing(old, began)
    _check(old)
    joint = has_joint(old, options.joint)
    inputs = find_inputs(source, output, options)
    if inputs.chosen.name.partition(":")[0] != old.backbone.partition(":")[0]:
        raise ExtractError(f"{old.path} was made by {old.backbone}: leave out `backbone={inputs.chosen.name!r}`")
    encoders = load_encoders(inputs, options)
    plan = planned(inputs, options)
    kind = kind_of(inputs, plan, encoders, options, audio_segments=False, joint=joint)
    check_kind(old, kind, "give the options and weights that it was made with")
    with old.writing("extract", notice=notice):
        if "audio_segments" in old.arrays:  # somebody was quicker
            return _nothing(old, began)
        gone = [clip for clip in old.clip_ids if clip not in plan.of]
        if options.prune and gone:
            old.drop_clips(gone)
        named = kind_of(inputs, plan, encoders, options, audio_segments=True, joint=joint).facts["sampling"]
        new = begin_with_segments(old, {"sampling": named})
        with new.writing("extract", notice=notice):
            todo = _rows(old, new, plan, inputs.source)
            for shard in [shard for shard, rows in todo.items() if not rows]:
                put_with_segments(old, new, shard)
                del todo[shard]
            work = work_of(new, todo, inputs, plan, encoders, options, before=old)
            stages = engine_for(options.devices)(work, progress)
            take_place(old, new)
    cache = FeatureCache.open(output)
    done, failed = rows_of(cache, cache.status())
    return Summary(
        path=cache.path,
        done=done,
        failed=failed,
        skipped=work.finished,
        seconds=time.perf_counter() - began,
        text_name="",
        stages=stages,
        notes=(*inputs.chosen.notes, *inputs.found.notes, *_notes(cache, plan, inputs.source)),
    )


def _check(cache: FeatureCache) -> None:
    """Refuse a cache that no sound of segments can be added to."""
    if cache.header.version == OLD_VERSION:
        raise ExtractError(
            f"{cache.path} has cache format {OLD_VERSION}, which is read and not written any more: "
            f"`upgrade({cache.path!r})` makes it the present one"
        )
    if cache.kind == "probabilities":
        raise ExtractError(f"{cache.path} holds probabilities of a detector: there is no sound of segments to add")
    if not was_extracted(cache):
        raise ExtractError(
            f"{cache.path} holds features that were imported: import them again with their audio a segment"
        )


def _nothing(cache: FeatureCache, began: float) -> Summary:
    """How a run ends that has nothing to do; what a killed one left goes."""
    remove_left(cache)
    done, failed = rows_of(cache, cache.status())
    return Summary(
        path=cache.path,
        done=done,
        failed=failed,
        skipped=len(cache),
        seconds=time.perf_counter() - began,
        text_name="",
        stages={},
        nothing=f"{cache.path} has the sound of each segment already: there is nothing to do",
    )


def _rows(old: FeatureCache, new: FeatureCache, plan: ClipPlan, source: Path) -> dict[int, list[int]]:
    """The rows whose sound is to be encoded, by shard, of all shards that are not put yet.

    Raises:
        ExtractError: the file of one is gone.
    """
    status, missing = old.shards.column("status", "missing")
    heard = (status == DONE) & (missing & NO_SOUND == 0)
    found = {
        shard: [row for row in old.shard_rows(shard) if heard[row]]
        for shard in range(old.n_shards)
        if not is_put(old, new, shard)
    }
    gone = [clip for rows in found.values() for row in rows if (clip := old.clip_ids[row]) not in plan.of]
    if gone:
        some = ", ".join(gone[:_SHOWN]) + (", …" if len(gone) > _SHOWN else "")
        raise ExtractError(
            f"{len(gone)} clips of {old.path} are not in {source} ({some}): put their files back, or `prune=True` "
            "removes them from the cache"
        )
    return found


def _notes(cache: FeatureCache, plan: ClipPlan, source: Path) -> tuple[str, ...]:
    new = len(plan.of.keys() - set(cache.clip_ids))
    if not new:
        return ()
    return (f"{new} clips of {source} are not in {cache.path}: the same without `add` extracts them",)
