"""Videos to a feature cache: files are decoded side by side, encoded clip by clip, written shard by shard."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from extract.backbones import load_backbone
from extract.default_backbone import choose_backbone
from extract.device import resolve_device
from extract.errors import ExtractError
from extract.label_embeddings import add_labels
from extract.label_notes import text_notes
from extract.label_sets import resolve_labels
from extract.media.sampling import sampling_facts
from extract.run.clip_plan import SEGMENTS, ClipPlan, Cut, plan_clips
from extract.run.devices import Recipe, fill_on_devices
from extract.run.fill import Progress, fill, rows_to_do
from extract.run.inputs import KINDS_READ, Sources, find_sounds, find_videos, kind_is_known, labels_beside
from extract.run.open_cache import CacheKind, known_files, open_or_create, wait_for
from extract.run.shares import Share
from extract.run.worker import Job
from feature_cache import DONE, FeatureCache
from feature_cache.layout import MISSING_NAMES
from feature_cache.storage.group import is_there

_PACKAGES = ("av2a", "av", "numpy", "open_clip_torch", "soxr", "torch", "transformers")
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


def extract_videos(
    source: Path | str,
    output: PathLike[str] | str,
    *,
    backbone: str | None = None,
    checkpoint: Path | str | None = None,
    clap_checkpoint: Path | str | None = None,
    labels: Path | str | None = None,
    text_name: str | None = None,
    audio_dir: Path | str | None = None,
    recursive: bool = True,
    device: str = "auto",
    precision: str = "float32",
    dtype: str = "float16",
    workers: int | None = None,
    batch_size: int | None = None,
    shard_size: int = 32,
    official_randomness: int | None = None,
    clip_seconds: float = 10.0,
    stride: float | None = None,
    tail: str = "pad",
    windows: str = "all",
    clip_timeout: float | None = None,
    retry_failed: bool = False,
    prune: bool = False,
    shard_range: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    notice: Callable[[str], None] | None = None,
) -> Summary:
    """Embed every window of the videos of a folder, or go on with what an earlier run began.

    Equal files give equal arrays, whatever the number of workers. Clips that cannot be used are recorded
    with the reason, and the run goes on. What an interrupted run has written stays. Files that are new since
    then are added; clips whose files are gone are kept.

    Args:
        source: folder of video files (or one file); the name without its ending is the clip's id, or the path below
            the folder where names alone are not unique (docs/media.md).
        output: the cache, a folder or a URL.
        backbone: name of the encoders; None: the cache's own if one is there to be gone on with, else "tiny" for
            clips that `av2a demo` made, "clip_clap" for all others.
        checkpoint: folder with local weights.
        clap_checkpoint: a .pt file of laion_clap for the sound.
        labels: name of a label set or a text file; None: labels.txt beside the videos, else the backbone's
            own set.
        text_name: the set's name in the cache; None: its own name.
        audio_dir: folder of WAV files to take the sound from, called by the videos' ids, paths or names.
        recursive: take files of folders below, too.
        device: "auto", "cpu", "cuda" or "cuda:i"; several, as "cuda:0,cuda:1", get a process each.
        precision: arithmetic of the encoders, "float32", "float16" or "bfloat16".
        dtype: how embeddings are stored, "float16" or "float32".
        workers: clips decoded (on a CPU: and encoded) at a time; None: as many as there are cores.
        batch_size: frames or windows in one pass of an encoder; None: 16 on a CPU, 64 on a GPU.
        shard_size: clips a shard of a new cache.
        official_randomness: a seed: flip windows and cut long sound at random, as the official code does
            (each clip with choices of its own); None: neither.
        clip_seconds: length of a clip of 10 segments; longer files are cut into several.
        stride: seconds from one of them to the next; None: as long as a clip.
        tail: "pad" or "drop", what becomes of files, and ends of files, that are shorter than a clip.
        windows: "all", or "whole": encode window 0 and the segments' images alone, a cheap first look.
        clip_timeout: seconds that decoding a clip may take; None: 120 and 20 for each of its own.
        retry_failed: try clips again that failed before.
        prune: remove clips from the cache whose files are gone.
        shard_range: "i/n": compute every n-th shard alone, beginning with shard i; n processes on any machines
            fill one cache. 0/n makes it and adds clips and labels; the others wait for that.
        overwrite: replace a cache that is there.
        progress: called with (clips finished, clips in all), of this run's shards.
        notice: called with a line to show, where the run has to wait.

    Raises:
        ExtractError: nothing to read, wrong options, missing weights, or a cache made in another way.
        CacheError: the cache cannot be made, opened or written.
    """
    began = time.perf_counter()
    for name, value in (("workers", workers), ("batch_size", batch_size), ("shard_size", shard_size)):
        if value is not None and value < 1:
            raise ExtractError(f"{name} must be at least 1, got {value}")
    share = Share() if shard_range is None else Share.parse(shard_range)
    for option, given in (("--overwrite", overwrite), ("--prune", prune)):
        if given and not share.whole:
            raise ExtractError(f"{option} changes the whole cache: run it once without --shard-range")
    devices = device.split(",")
    source = Path(source)
    if windows not in ("all", "whole"):
        raise ExtractError(f"windows {windows!r}: use all or whole")
    threads, cut = workers or _cores(), Cut(clip_seconds, stride, tail)
    there = None if overwrite or not is_there(output) else FeatureCache.open(output)
    found = find_videos(source, recursive=recursive, known=None if there is None else known_files(there))
    if prune and found.incomplete:
        raise ExtractError(
            f"--prune: {found.incomplete[0]} cannot be looked into, so that its clips would be removed: mend that first"
        )
    sounds = None if audio_dir is None else find_sounds(Path(audio_dir), found.paths, recursive=recursive)
    chosen = choose_backbone(
        backbone, found.files.values(), there, weights_given=checkpoint is not None or clap_checkpoint is not None
    )
    beside = None if labels else labels_beside(source)
    places = [resolve_device(name) for name in devices]
    where = places[0] if len(places) == 1 else torch.device("cpu")
    encoders = load_backbone(chosen.name, checkpoint, str(where), precision, clap_checkpoint)
    set_name, words = resolve_labels(labels or beside or encoders.default_labels)
    plan = _planned(found, cut, threads, clip_timeout)
    videos = plan.files
    batch = batch_size or _BATCH[places[0].type]
    facts = {
        **encoders.attributes(),
        "official_randomness": official_randomness,
        "sampling": sampling_facts(10, encoders.frames_per_window),
        "clips": cut.facts,
        "clips_from": plan.cut_from,
        "files": found.paths,
        "sound": "the videos' own" if sounds is None else "WAV files",
        "precision": precision,
        "batch_size": batch,
        "device": torch.cuda.get_device_name(places[0]) if places[0].type == "cuda" else "cpu",
        "packages": _versions(),
    }
    kind = CacheKind(encoders, dtype, shard_size, facts, clip_seconds / SEGMENTS, windows)
    if share.index == 0:
        cache = open_or_create(output, list(videos), kind, overwrite=overwrite)
        add_labels(cache, text_name or set_name, words, encoders)
        words_notes = text_notes(encoders, cache.text(text_name or set_name))
    else:
        cache = wait_for(output, list(videos), kind, notice or (lambda line: None))
        words_notes = ()
    gone = [clip for clip in cache.clip_ids if clip not in videos]
    if prune and gone:
        cache.drop_clips(gone)
    todo = rows_to_do(cache, share, videos if retry_failed else ())
    mine = [row for shard in range(cache.n_shards) if share.owns(shard) for row in cache.shard_rows(shard)]
    before = len(mine) - sum(len(rows) for rows in todo.values())
    progress = progress or (lambda done, total: None)
    options: dict[str, Any] = {
        "videos": videos,
        "sounds": None if sounds is None else {clip: sounds[found.id_of(path)] for clip, path in videos.items()},
        "batch_size": batch,
        "randomness": official_randomness,
        "begins": plan.begins,
        "refused": plan.refused,
        "clip_seconds": clip_seconds,
        "whole_only": windows == "whole",
        "timeout": clip_timeout,
    }
    if len(places) == 1:
        job = Job(encoders, device=where, fed=where.type == "cuda", **options)
        fill(cache, job, todo, threads, progress, before, len(mine))
        stages: Mapping[str, float] = job.watch.seconds()
    else:
        recipe = Recipe(cache.path, chosen.name, checkpoint, clap_checkpoint, precision, options)
        parts = [{shard: rows for shard, rows in todo.items() if each.owns(shard)} for each in share.split(len(places))]
        stages = fill_on_devices(recipe, devices, parts, max(1, threads // len(places)), progress, before, len(mine))
    status, reasons = cache.status()[mine], cache.reasons()
    return Summary(
        path=cache.path,
        done=int((status == DONE).sum()),
        failed={clip: reasons[clip] for row in mine if (clip := cache.clip_ids[row]) in reasons},
        skipped=before,
        seconds=time.perf_counter() - began,
        text_name=text_name or set_name,
        stages=stages,
        notes=(
            *chosen.notes,
            *(() if beside is None else (f"labels: the {len(words)} of {beside}",)),
            *found.notes,
            *plan.notes,
            *words_notes,
            *_missing_notes(cache),
            *_gone_notes(len(gone), source, prune),
        ),
    )


def _planned(found: Sources, cut: Cut, threads: int, timeout: float | None) -> ClipPlan:
    """The clips of files; one that cannot be opened is a clip that is refused."""
    good = {name: path for name, path in found.files.items() if name not in found.refused}
    plan = plan_clips(good, cut, workers=threads, timeout=timeout) if good else ClipPlan({}, {}, {}, {}, ())
    files = {**plan.files, **{name: found.files[name] for name in found.refused}}
    refused = {
        name: reason if kind_is_known(found.files[name]) else f"{reason}, or convert it: {KINDS_READ}"
        for name, reason in plan.refused.items()
    }
    return replace(
        plan,
        files=dict(sorted(files.items(), key=lambda item: found.id_of(item[1]))),
        refused={**refused, **found.refused},
    )


def _missing_notes(cache: FeatureCache) -> tuple[str, ...]:
    missing = cache.missing()
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
    return (f"{count} clips of the cache are not in {source} any more: kept; --prune removes them",)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
