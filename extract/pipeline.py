"""Videos to a feature cache: files are decoded side by side, encoded clip by clip, written shard by shard."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from extract.backbones import load_backbone
from extract.device import resolve_device
from extract.encode import ClipEmbeddings, ClipInputs
from extract.errors import ExtractError, MediaError
from extract.label_sets import resolve_labels
from extract.run_cache import open_or_create
from extract.sampling import sampling_facts
from extract.sources import find_sounds, find_videos
from extract.text import add_labels
from extract.worker import Job
from feature_cache import DONE, FAILED, PENDING, FeatureCache, windows
from feature_cache.layout import MISSING_NAMES

_PACKAGES = ("av2a", "av", "numpy", "open_clip_torch", "soxr", "torch", "transformers")
_BATCH = {"cpu": 16, "cuda": 64}
_TOGETHER = 4
"""Clips whose windows share batches on a GPU: one clip alone leaves its last batches half empty."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Attributes:
        path: the cache.
        done: clips whose embeddings are in the cache.
        failed: reason of each clip that has none, by clip id.
        skipped: clips, done or failed, that were in the cache before this run.
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
    backbone: str = "tiny",
    checkpoint: Path | str | None = None,
    clap_checkpoint: Path | str | None = None,
    labels: Path | str | None = None,
    text_name: str | None = None,
    audio_dir: Path | str | None = None,
    device: str = "auto",
    precision: str = "float32",
    dtype: str = "float16",
    workers: int | None = None,
    batch_size: int | None = None,
    shard_size: int = 32,
    official_randomness: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Embed every window of the videos of a folder, or go on with what an earlier run began.

    Equal files give equal arrays, whatever the number of workers. Clips that cannot be used are recorded
    with the reason, and the run goes on. What an interrupted run has written stays.

    Args:
        source: folder of video files (or one file); the name without its ending is the clip's id.
        output: the cache, a folder or a URL.
        backbone: name of the encoders.
        checkpoint: folder with local weights.
        clap_checkpoint: a .pt file of laion_clap for the sound.
        labels: name of a label set or a text file; None: labels.txt beside the videos, else the backbone's
            own set.
        text_name: the set's name in the cache; None: its own name.
        audio_dir: folder of WAV files to take the sound from, by clip id.
        device: "auto", "cpu", "cuda" or "cuda:i".
        precision: arithmetic of the encoders, "float32", "float16" or "bfloat16".
        dtype: how embeddings are stored, "float16" or "float32".
        workers: clips decoded (on a CPU: and encoded) at a time; None: as many as there are cores.
        batch_size: frames or windows in one pass of an encoder; None: 16 on a CPU, 64 on a GPU.
        shard_size: clips a shard of a new cache.
        official_randomness: a seed: flip windows and cut long sound at random, as the official code does
            (each clip with choices of its own); None: neither.
        overwrite: replace a cache that is there.
        progress: called with (clips finished, clips in all).

    Raises:
        ExtractError: nothing to read, wrong options, missing weights, or a cache made in another way.
        CacheError: the cache cannot be made, opened or written.
    """
    began = time.perf_counter()
    for name, value in (("workers", workers), ("batch_size", batch_size), ("shard_size", shard_size)):
        if value is not None and value < 1:
            raise ExtractError(f"{name} must be at least 1, got {value}")
    source = Path(source)
    videos = find_videos(source)
    sounds = None if audio_dir is None else find_sounds(Path(audio_dir))
    where = resolve_device(device)
    encoders = load_backbone(backbone, checkpoint, str(where), precision, clap_checkpoint)
    beside = source / "labels.txt"
    set_name, words = resolve_labels(labels or (beside if beside.is_file() else encoders.default_labels))
    batch = batch_size or _BATCH[where.type]
    facts = {
        **encoders.attributes(),
        "official_randomness": official_randomness,
        "sampling": sampling_facts(10, encoders.frames_per_window),
        "sound": "the videos' own" if sounds is None else "WAV files",
        "precision": precision,
        "batch_size": batch,
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
        "packages": _versions(),
    }
    cache = open_or_create(
        output,
        clip_ids=list(videos),
        backbone=encoders,
        dtype=dtype,
        shard_size=shard_size,
        facts=facts,
        overwrite=overwrite,
    )
    add_labels(cache, text_name or set_name, words, encoders)
    before = int((cache.status() != PENDING).sum())
    job = Job(encoders, videos, sounds, where, batch, where.type == "cuda", official_randomness)
    _fill(cache, job, workers or _cores(), progress or (lambda done, total: None))
    failed = cache.reasons()
    return Summary(
        path=cache.path,
        done=int((cache.status() == DONE).sum()),
        failed=failed,
        skipped=before,
        seconds=time.perf_counter() - began,
        text_name=text_name or set_name,
        stages=job.watch.seconds(),
        notes=_missing_notes(cache),
    )


def _missing_notes(cache: FeatureCache) -> tuple[str, ...]:
    missing = cache.missing()
    return tuple(
        f"{count} clips without {what}: scored on what they have"
        for bit, what in MISSING_NAMES.items()
        if (count := int((missing == bit).sum()))
    )


def _fill(cache: FeatureCache, job: Job, workers: int, progress: Progress) -> None:
    """Compute and write every shard that has pending rows."""
    status = cache.status()
    shards = [
        shard
        for shard in range(cache.n_shards)
        if (status[cache.shard_rows(shard).start : cache.shard_rows(shard).stop] == PENDING).any()
    ]
    clips = [cache.clip_ids[row] for shard in shards for row in cache.shard_rows(shard)]
    finished = len(cache) - len(clips)
    progress(finished, len(cache))
    with _single_threads(workers) as pool, ThreadPoolExecutor(1, "av2a-write") as writer:
        at_once = _TOGETHER if job.fed else 1
        results = _in_order(pool, job.work, clips, ahead=workers + at_once + 1)
        written: Future[None] | None = None
        for shard in shards:
            rows: list[ClipEmbeddings | MediaError] = []
            left = len(cache.shard_rows(shard))
            while left:
                together = [next(results) for _ in range(min(left, at_once))]
                left -= len(together)
                rows += _encoded(job, together)
                finished += len(together)
                progress(finished, len(cache))
            if written is not None:
                written.result()
            written = writer.submit(_write, cache, job, shard, rows)
        if written is not None:
            written.result()


def _encoded(job: Job, results: list[ClipInputs | ClipEmbeddings | MediaError]) -> list[ClipEmbeddings | MediaError]:
    """Encode together what is only prepared yet: on a GPU, where one thread feeds it."""
    prepared = [result for result in results if isinstance(result, ClipInputs)]
    encoded = iter(job.encode(prepared) if prepared else ())
    return [next(encoded) if isinstance(result, ClipInputs) else result for result in results]


def _write(cache: FeatureCache, job: Job, shard: int, rows: list[ClipEmbeddings | MediaError]) -> None:
    with job.watch.stage("write"):
        n, w, f = len(rows), len(windows(cache.segments)), cache.frames_per_window
        image = np.zeros((n, cache.segments, cache.visual_dim), dtype=np.float32)
        video = np.zeros((n, w, f, cache.visual_dim), dtype=np.float32)
        audio = np.zeros((n, w, cache.audio_dim), dtype=np.float32)
        status = np.full(n, FAILED, dtype=np.uint8)
        reasons, missing = [""] * n, np.zeros(n, dtype=np.uint8)
        for number, row in enumerate(rows):
            if isinstance(row, MediaError):
                reasons[number] = str(row)
                continue
            image[number], video[number], audio[number] = row.image, row.video, row.audio
            status[number], missing[number] = DONE, row.missing
        cache.write_shard(shard, image, video, audio, status, reasons, missing)


@contextmanager
def _single_threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool whose threads compute on one core each: what they compute does not depend on their number.

    On the way out work that has not begun is dropped.
    """
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, "av2a", initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[str], Any], clips: Iterable[str], ahead: int) -> Iterator[Any]:
    """Results in the order of the clips; at most ``ahead`` of them are in the making or waiting."""
    waiting: deque[Future[Any]] = deque()
    for clip in clips:
        if len(waiting) == ahead:
            yield waiting.popleft().result()
        waiting.append(pool.submit(work, clip))
    while waiting:
        yield waiting.popleft().result()


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
