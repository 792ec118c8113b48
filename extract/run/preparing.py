"""What a run finds before it begins, and what it makes of that: the clips, the cache's kind, the work."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch

from extract.backbones import load_backbone
from extract.backbones.base import Backbone, FrameChooser
from extract.default_backbone import Choice, choose_backbone
from extract.device import resolve_device
from extract.errors import ExtractError
from extract.media.sampling import sampling_facts
from extract.options import ExtractOptions
from extract.provenance import versions
from extract.run.clip_plan import SEGMENTS, ClipPlan, plan_clips
from extract.run.detecting import Wanted
from extract.run.engines import Recipe, Work
from extract.run.inputs import KINDS_READ, Sources, find_sounds, find_videos, kind_is_known, labels_beside
from extract.run.open_cache import CacheKind, known_files
from extract.run.stamps import Memory, Stamp
from extract.run.worker import Clips
from feature_cache import FeatureCache
from feature_cache.place import is_there

DTYPE = "float16"
"""How embeddings are stored where nothing else is said."""
_BATCH = {"cpu": 16, "cuda": 64}


@dataclass(frozen=True)
class RunInputs:
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


def find_inputs(source: Path, output: PathLike[str] | str, options: ExtractOptions) -> RunInputs:
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
    chosen = choose_backbone(options.encoders, found.files.values(), there, weights_given=weights_given)
    beside = None if options.labels else labels_beside(source)
    devices = [resolve_device(name) for name in options.devices]
    return RunInputs(
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


def kind_of(
    inputs: RunInputs,
    plan: ClipPlan,
    encoders: Backbone,
    options: ExtractOptions,
    *,
    audio_segments: bool,
    joint: bool,
) -> CacheKind:
    """How the cache is made, and what is recorded of it."""
    device = inputs.devices[0]
    facts = {
        **encoders.attributes(),
        "official_randomness": options.official_randomness,
        "sampling": sampling_facts(
            SEGMENTS,
            encoders.frames_per_window,
            audio_segments=audio_segments,
            frame_rule=encoders.frame_rule if isinstance(encoders, FrameChooser) else None,
        ),
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
    kept = options.windows, audio_segments, joint
    return CacheKind(encoders, options.dtype or DTYPE, options.shard_size, facts, seconds, *kept)


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


def work_of(
    cache: FeatureCache,
    todo: Mapping[int, Sequence[int]],
    inputs: RunInputs,
    plan: ClipPlan,
    encoders: Backbone,
    options: ExtractOptions,
    *,
    before: FeatureCache | None = None,
    wanted: Wanted | None = None,
) -> Work:
    """What is to be computed of this run's shards.

    ``before``: a cache whose rows get what they lack in this one; ``wanted``: what a detector listens for.
    """
    sounds, total = inputs.sounds, int(options.share.rows(cache).sum())
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
        arrays=tuple(name for name in cache.arrays if before is None or name not in before.arrays),
        wanted=wanted,
    )
    weights = inputs.chosen.name, options.checkpoint, options.clap_checkpoint, options.precision
    return Work(
        cache=cache,
        recipe=Recipe(*weights, clips, None if before is None else before.path),
        encoders=encoders,
        devices=options.devices,
        todo=todo,
        share=options.share,
        workers=threads_of(options),
        finished=total - sum(len(rows) for rows in todo.values()),
        total=total,
    )


def planned(inputs: RunInputs, options: ExtractOptions) -> ClipPlan:
    """The clips of files; one that cannot be opened is a clip that is refused."""
    found, memory = inputs.found, inputs.memory
    plan = plan_clips(
        found.files,
        options.cut,
        workers=threads_of(options),
        timeout=options.clip_timeout,
        known=lambda name: memory.clips(name) if name in found.unchanged else None,
        refused=found.refused,
    )
    for name in plan.refused.keys() - found.refused.keys():
        if not kind_is_known(found.files[name]):
            plan.refused[name] += f", or convert it: {KINDS_READ}"
    return plan


def load_encoders(inputs: RunInputs, options: ExtractOptions) -> Backbone:
    """The encoders of this process: on the device, if there is one only."""
    where = inputs.devices[0] if len(inputs.devices) == 1 else torch.device("cpu")
    return load_backbone(inputs.chosen.name, options.checkpoint, str(where), options.precision, options.clap_checkpoint)


def threads_of(options: ExtractOptions) -> int:
    """Threads that decode."""
    if options.workers is not None:
        return options.workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
