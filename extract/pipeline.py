"""Videos to a feature cache: files are decoded side by side, encoded clip by clip, written shard by shard."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from extract.backbones import load_backbone
from extract.backbones.base import Backbone
from extract.default_backbone import Choice, choose_backbone
from extract.device import resolve_device
from extract.errors import ExtractError
from extract.label_embeddings import add_labels
from extract.label_notes import text_notes
from extract.label_sets import LabelSet, find_label_set
from extract.media.sampling import sampling_facts
from extract.options import ExtractOptions
from extract.provenance import versions
from extract.run.clip_plan import SEGMENTS, ClipPlan, plan_clips
from extract.run.engines import Progress, Recipe, Work, engine_for
from extract.run.inputs import KINDS_READ, Sources, find_sounds, find_videos, kind_is_known, labels_beside
from extract.run.open_cache import (
    CacheKind,
    has_clips,
    known_files,
    open_or_create,
    share_with_others,
    shared,
    wait_for,
)
from extract.run.shares import rows_to_do
from extract.run.stamps import Memory, Stamp
from extract.run.worker import Clips
from feature_cache import DONE, FAILED, FeatureCache
from feature_cache.layout import MISSING_NAMES
from feature_cache.place import is_there, lease_at

_BATCH = {"cpu": 16, "cuda": 64}


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Attributes:
        path: the cache.
        done: clips whose embeddings are in the cache.
        failed: reason of each clip that has none, by clip id.
        skipped: clips, done or failed, that were in the cache before this run and were let alone.
        seconds: duration of the run.
        text_name: the label set that was added (or was there).
        stages: seconds spent in "decode", "prepare", "encode" and "write", added up over threads.
        notes: what else a person should know, a line each.
    """

    path: str
    done: int
    failed: Mapping[str, str]
    skipped: int
    seconds: float
    text_name: str
    stages: Mapping[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Inputs:
    """What a run finds: files, the cache that is gone on with, and who is to encode."""

    source: Path
    there: FeatureCache | None
    memory: Memory
    found: Sources
    sounds: Mapping[str, Path | str] | None
    beside: Path | None
    chosen: Choice
    devices: list[torch.device]
    batch_size: int


def extract_videos(
    source: Path | str,
    output: PathLike[str] | str,
    options: ExtractOptions | None = None,
    *,
    progress: Progress | None = None,
    notice: Callable[[str], None] | None = None,
    **tunables: Any,
) -> Summary:
    """Embed every window of the videos of a folder, or go on with what an earlier run began.

    Equal files give equal arrays, whatever the number of workers. Clips that cannot be used are recorded
    with the reason, and the run goes on. What an interrupted run has written stays. Files that are new since
    then are added; clips whose files are gone are kept.

    Args:
        source: folder of video files (or one file); the name without its ending is the clip's id, or the path below
            the folder where names alone are not unique (docs/media.md).
        output: the cache, a folder or a URL.
        options: how; None: as the tunables say.
        progress: called with (clips finished, clips in all), of this run's shards.
        notice: called with a line to show, where the run has to wait.
        tunables: the attributes of :class:`extract.options.ExtractOptions` by name, in place of ``options``, or to
            change some of them.

    Raises:
        ExtractError: nothing to read, wrong options, missing weights, or a cache made in another way.
        CacheError: the cache cannot be made, opened or written.

    Example:
        >>> summary = extract_videos("videos", "features.zarr", backbone="tiny", labels="labels.txt")
        >>> summary.done, summary.failed
    """
    began = time.perf_counter()
    chosen = ExtractOptions(**tunables) if options is None else replace(options, **tunables)
    inputs = _find(Path(source), output, chosen)
    where = inputs.devices[0] if len(inputs.devices) == 1 else torch.device("cpu")
    encoders = load_backbone(
        inputs.chosen.name, chosen.checkpoint, str(where), chosen.precision, chosen.clap_checkpoint
    )
    labels = find_label_set(chosen.labels or inputs.beside or encoders.default_labels)
    threads = chosen.workers or _cores()
    plan = _planned(inputs, chosen, threads)
    kind = _kind(inputs, plan, encoders, chosen)
    said = notice or (lambda line: None)
    wanted = _Wanted(output, inputs.there, plan, kind, chosen, chosen.text_name or labels.name, labels, encoders)
    with ExitStack() as held:
        cache, notes = _opened(wanted, held, said)
        gone = [clip for clip in cache.clip_ids if chosen.only is None and clip not in plan.of]
        if chosen.prune and gone:
            cache.drop_clips(gone)
        status, missing = cache.shards.column("status", "missing")
        work = _work(cache, status, inputs, plan, encoders, chosen, threads)
        stages = _computed(work, chosen, progress or (lambda done, total: None))
    if work.todo:
        status, missing = cache.shards.column("status", "missing")
    mine = chosen.share.rows(cache)
    reasons = cache.reasons() if (status[mine] == FAILED).any() else {}
    return Summary(
        path=cache.path,
        done=int((status[mine] == DONE).sum()),
        failed={
            clip: reasons[clip]
            for row in np.flatnonzero(mine & (status == FAILED)).tolist()
            if (clip := cache.clip_ids[row]) in reasons
        },
        skipped=work.finished,
        seconds=time.perf_counter() - began,
        text_name=wanted.text_name,
        stages=stages,
        notes=(
            *inputs.chosen.notes,
            *(() if inputs.beside is None else (f"labels: the {len(labels.labels)} of {inputs.beside}",)),
            *inputs.found.notes,
            *plan.notes,
            *notes,
            *_missing_notes(missing[status == DONE]),
            *_gone_notes(len(gone), inputs.source, chosen.prune),
        ),
    )


@dataclass(frozen=True)
class _Wanted:
    """The cache that a run wants."""

    output: PathLike[str] | str
    there: FeatureCache | None
    plan: ClipPlan
    kind: CacheKind
    options: ExtractOptions
    text_name: str
    labels: LabelSet
    encoders: Backbone

    @property
    def clips(self) -> list[str]:
        return list(self.plan.of)


def _opened(wanted: _Wanted, held: ExitStack, notice: Callable[[str], None]) -> tuple[FeatureCache, tuple[str, ...]]:
    """The cache, under a lease that ``held`` lets go, with its clips and labels; and notes."""
    options, output, share = wanted.options, wanted.output, wanted.options.share
    if share.index:
        cache = wait_for(output, wanted.clips, wanted.kind, notice)
        share_with_others(cache, held, notice)
        return cache, ()
    notes: tuple[str, ...] = ()
    if share.whole or options.overwrite or options.prune or not has_clips(output, wanted.clips, wanted.text_name):
        lease = held.enter_context(lease_at(output, "extract", notice))
        notes = tuple(f"taken over from {who}, which has ended" for who in lease.taken_over)
        cache = open_or_create(output, wanted.clips, wanted.kind, overwrite=options.overwrite, there=wanted.there)
        held.enter_context(cache.writing("extract"))
        if notes:
            cache.remove_leftovers()
    else:
        cache = shared(output, wanted.kind)
    found = wanted.labels
    prompts = found.visual_prompts, found.audio_prompts
    add_labels(cache, wanted.text_name, found.labels, wanted.encoders, *prompts)
    notes = (*text_notes(wanted.encoders, cache.text(wanted.text_name)), *notes)
    if not share.whole:
        held.close()
        share_with_others(cache, held, notice)
    return cache, notes


def _computed(work: Work, options: ExtractOptions, progress: Progress) -> Mapping[str, float]:
    """Compute all rows; those that another run has taken are waited for by nobody, but said."""
    stages = dict(engine_for(options.devices)(work, progress))
    while not options.share.whole and (left := rows_to_do(work.cache, options.share)):
        work.cache.claim(next(iter(left))).release()  # raises where another has it
        more = engine_for(options.devices)(replace(work, todo=left), progress)
        stages = {name: stages.get(name, 0.0) + seconds for name, seconds in more.items()}
    return stages


def _find(source: Path, output: PathLike[str] | str, options: ExtractOptions) -> _Inputs:
    """What there is to extract, and by what."""
    there = None if options.overwrite or not is_there(output) else FeatureCache.open(output, "r+")
    memory = Memory()
    if there is not None:
        memory = Memory.of(there, known_files(there), options.cut.facts, anew=options.retry_failed)
    found = find_videos(source, recursive=options.recursive, memory=memory, only=options.only)
    if options.prune and found.incomplete:
        raise ExtractError(
            f"`prune=True`: {found.incomplete[0]} cannot be looked into, so that its clips would be removed: mend that "
            "first"
        )
    sounds = None
    if options.audio_dir is not None:
        sounds = find_sounds(Path(options.audio_dir), found.paths, recursive=options.recursive)
    weights_given = options.checkpoint is not None or options.clap_checkpoint is not None
    chosen = choose_backbone(options.backbone, found.files.values(), there, weights_given=weights_given)
    beside = None if options.labels else labels_beside(source)
    devices = [resolve_device(name) for name in options.devices]
    return _Inputs(
        source=source,
        there=there,
        memory=memory,
        found=found,
        sounds=sounds,
        chosen=chosen,
        beside=beside,
        devices=devices,
        batch_size=options.batch_size or _BATCH[devices[0].type],
    )


def _kind(inputs: _Inputs, plan: ClipPlan, encoders: Backbone, options: ExtractOptions) -> CacheKind:
    """How the cache is made, and what is recorded of it."""
    device = inputs.devices[0]
    facts = {
        **encoders.attributes(),
        "official_randomness": options.official_randomness,
        "sampling": sampling_facts(SEGMENTS, encoders.frames_per_window),
        "clips": options.cut.facts,
        "clips_from": plan.cut_from,
        "files": inputs.found.paths,
        "stamps": _stamps(inputs.found, plan),
        "sound": "the videos' own" if inputs.sounds is None else "WAV files",
        "precision": options.precision,
        "batch_size": inputs.batch_size,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "packages": versions(),
    }
    seconds = options.clip_seconds / SEGMENTS
    return CacheKind(encoders, options.dtype, options.shard_size, facts, seconds, options.windows)


def _stamps(found: Sources, plan: ClipPlan) -> dict[str, Stamp]:
    """Of the files that were looked at; empty where they are refused, or have no clips."""
    have = set(plan.of.values())
    return {
        name: [*found.stamps[name], *filter(None, [plan.looked_at[name]])]
        if name in plan.looked_at and name in have
        else []
        for name in found.paths
        if name not in found.unchanged or name in plan.looked_at
    }


def _work(
    cache: FeatureCache,
    status: NDArray[np.uint8],
    inputs: _Inputs,
    plan: ClipPlan,
    encoders: Backbone,
    options: ExtractOptions,
    threads: int,
) -> Work:
    """What is left to compute of this run's shards."""
    sounds, total = inputs.sounds, int(options.share.rows(cache).sum())
    todo = rows_to_do(cache, options.share, plan.of if options.retry_failed else (), status)
    clips = Clips(
        videos=plan.files,
        sounds=None if sounds is None else {clip: sounds[name] for clip, name in plan.of.items()},
        batch_size=inputs.batch_size,
        randomness=options.official_randomness,
        begins=plan.begins,
        refused=plan.refused,
        clip_seconds=options.clip_seconds,
        whole_only=options.windows == "whole",
        timeout=options.clip_timeout,
    )
    return Work(
        cache=cache,
        recipe=Recipe(inputs.chosen.name, options.checkpoint, options.clap_checkpoint, options.precision, clips),
        encoders=encoders,
        devices=options.devices,
        todo=todo,
        share=options.share,
        workers=threads,
        finished=total - sum(len(rows) for rows in todo.values()),
        total=total,
    )


def _planned(inputs: _Inputs, options: ExtractOptions, threads: int) -> ClipPlan:
    """The clips of files; one that cannot be opened is a clip that is refused."""
    found, memory = inputs.found, inputs.memory
    plan = plan_clips(
        found.files,
        options.cut,
        workers=threads,
        timeout=options.clip_timeout,
        known=lambda name: memory.clips(name) if name in found.unchanged else None,
        refused=found.refused,
    )
    for name in plan.refused.keys() - found.refused.keys():
        if not kind_is_known(found.files[name]):
            plan.refused[name] += f", or convert it: {KINDS_READ}"
    return plan


def _missing_notes(missing: NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(
        f"clips without {what}: {count}, scored on what they have"
        for bit, what in MISSING_NAMES.items()
        if (count := int((missing == bit).sum()))
    )


def _gone_notes(count: int, source: Path, pruned: bool) -> tuple[str, ...]:
    if not count:
        return ()
    if pruned:
        return (f"{count} clips removed that are not in {source} any more",)
    return (f"{count} clips of the cache are not in {source} any more: kept; `prune=True` removes them",)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
