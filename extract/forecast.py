"""What a run would do, how large its cache becomes and how long it takes, told before it begins; nothing is written."""

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from extract.device import resolve_device
from extract.errors import ExtractError
from extract.options import ExtractOptions
from extract.run.engines import Progress
from extract.run.engines.threads import on_threads
from extract.run.open_cache import check_kind, open_or_create
from extract.run.prepared import Prepared, prepare
from extract.run.preparing import threads_of, work_of
from extract.run.shares import due
from extract.summary import batch_notes
from feature_cache import DONE, PENDING
from feature_cache.storage.urls import local_folder

PROBE_SECONDS = 20.0
"""About what a probe may take, beside loading weights and its first clips."""
_MOST_ROUNDS = 16.0
_OF_FILES = ("files", "stamps", "clips_from")
"""Facts of a cache that say where each of its clips comes from."""


@dataclass(frozen=True)
class Probe:
    """Some of the clips, extracted to a place that is gone by now.

    Attributes:
        clips: how many were timed and came out.
        failed: how many were tried and did not.
        seconds: what those took that were timed, all side by side.
        stages: seconds spent in "decode", "prepare", "encode" and "write", added up over threads.
        clip_bytes: what a clip takes in the cache.
        batch_size: frames or sounds in one pass, as they were at the end.
        workers: clips that were decoded at once.
    """

    clips: int
    failed: int
    seconds: float
    stages: Mapping[str, float]
    clip_bytes: float
    batch_size: int
    workers: int


@dataclass(frozen=True)
class Forecast:
    """A run that has not begun.

    Attributes:
        files: files there are.
        clips: clips of this run's share, with those of its cache.
        there: how many of them are in the cache already, done or failed.
        todo: how many are to be extracted.
        shards: in how many shards these lie.
        refused: why some of them cannot be used, as far as is known before, by clip id.
        backbone: name of the encoders.
        devices: where they are.
        cache_bytes: what the whole cache takes in the end, about.
        more_bytes: what this run adds to it.
        free_bytes: room where it is; None: not known, as of an object store.
        load_seconds: what loading the encoders took.
        seconds: what the run takes, about; None: nothing could be timed.
        probe: what that is measured by; None: there is nothing to do.
        notes: what else a person should know, a line each.
    """

    files: int
    clips: int
    there: int
    todo: int
    shards: int
    refused: Mapping[str, str]
    backbone: str
    devices: Sequence[str]
    cache_bytes: float
    more_bytes: float
    free_bytes: int | None
    load_seconds: float
    seconds: float | None
    probe: Probe | None
    notes: tuple[str, ...] = ()


def forecast(
    source: Path | str,
    output: PathLike[str] | str,
    options: ExtractOptions | None = None,
    *,
    progress: Progress | None = None,
    **tunables: Any,
) -> Forecast:
    """What :func:`extract.extract_videos` would do with the same arguments, measured on some of the clips.

    Args:
        source: folder of video files, or one file.
        output: the cache; it is read if it is there, and never written.
        options: how.
        progress: called with (clips finished, clips in all) of the probe.
        tunables: the attributes of :class:`extract.options.ExtractOptions` by name.

    Raises:
        ExtractError: as the run itself would before its first clip.

    Example:
        >>> found = forecast("videos", "features.zarr", backbone="tiny")
        >>> found.todo, found.seconds
    """
    chosen = ExtractOptions(**tunables) if options is None else replace(options, **tunables)
    if chosen.add is not None:
        raise ExtractError(f"`add={chosen.add!r}`: a dry run tells of whole clips: leave it out")
    devices = [str(resolve_device(name)) for name in chosen.devices]
    run = prepare(Path(source), output, replace(chosen, device=devices[0]))
    plan, ahead = run.plan, _ToDo.of(run, chosen)
    todo = [ahead.clips[row] for row in ahead.rows]
    refused = {clip: plan.refused[clip] for clip in todo if clip in plan.refused}
    usable = [clip for clip in todo if clip not in refused]
    probe, seconds, at_once = None, None, len(devices)
    if usable:
        one = replace(chosen, device=devices[0], shard_range=None, workers=max(1, threads_of(chosen) // at_once))
        probe = _Prober(run, one, progress or (lambda done, total: None)).probe(usable)
        if probe.clips:
            seconds = run.load_seconds + probe.seconds / probe.clips * len(usable) / at_once
    each = probe.clip_bytes if probe else 0.0
    return Forecast(
        files=len(run.inputs.found.files),
        clips=ahead.there + len(todo),
        there=ahead.there,
        todo=len(todo),
        shards=ahead.shards,
        refused=refused,
        backbone=run.encoders.name,
        devices=devices,
        cache_bytes=each * (len(ahead.clips) - len(plan.refused)),
        more_bytes=each * len(usable),
        free_bytes=_free(output),
        load_seconds=run.load_seconds,
        seconds=seconds,
        probe=probe,
        notes=(
            *run.inputs.chosen.notes,
            *run.inputs.found.notes,
            *plan.notes,
            *(batch_notes(run.inputs.batch_size, probe.batch_size) if probe else ()),
        ),
    )


class _ToDo(NamedTuple):
    """What a run has before it.

    Attributes:
        clips: those of the cache in the end.
        rows: which of them are to be computed.
        shards: in how many shards these lie.
        there: how many of this run's share are in the cache already, done or failed.
    """

    clips: list[str]
    rows: list[int]
    shards: int
    there: int

    @classmethod
    def of(cls, run: Prepared, options: ExtractOptions) -> "_ToDo":
        """What a run would compute, with clips that are new to its cache."""
        cache, clips, size = run.inputs.there, run.clips, run.kind.shard_size
        before = np.zeros(0, np.uint8)
        if cache is not None:
            check_kind(cache, run.kind)
            if run.heard is not None:
                run.heard.check(cache)
            known, size = set(cache.clip_ids), cache.shard_size
            clips = [*cache.clip_ids, *(clip for clip in clips if clip not in known)]
            before = cache.status()
        codes = np.full(len(clips), PENDING, np.uint8)
        codes[: len(before)] = before
        mine = options.share.of(len(clips), size)
        rows = due(codes, clips, mine, run.plan.of if options.retry_failed else ())
        return cls(clips, rows, len({row // size for row in rows}), int(mine.sum()) - len(rows))


@dataclass(frozen=True)
class _Prober:
    """Extracts some clips to a place that goes.

    Attributes:
        run: on its first device alone.
        options: of the run, for that device and all shards.
        progress: shows how far it is.
    """

    run: Prepared
    options: ExtractOptions
    progress: Progress

    def probe(self, clips: Sequence[str]) -> Probe:
        """Time some of the clips, evenly spread, after others that warm everything up, if there are others."""
        workers = threads_of(self.options)
        warm = _spread(clips, workers)
        found = self._timed(warm, workers)
        others = sorted(set(clips) - set(warm))
        if not others:
            return found
        rounds = ceil(min(max(PROBE_SECONDS / max(found.seconds, 1e-3), 1.0), _MOST_ROUNDS))
        timed = self._timed(_spread(others, rounds * workers), workers)
        return timed if timed.clips else found

    def _timed(self, clips: Sequence[str], workers: int) -> Probe:
        facts = {name: value for name, value in self.run.kind.facts.items() if name not in _OF_FILES}
        with tempfile.TemporaryDirectory(prefix="av2a-probe-") as folder:
            place = Path(folder) / "probe.zarr"
            cache = open_or_create(place, clips, replace(self.run.kind, facts=facts), overwrite=False)
            with cache.writing("extract"):
                todo = {shard: list(cache.shard_rows(shard)) for shard in range(cache.n_shards)}
                work = work_of(
                    cache, todo, self.run.inputs, self.run.plan, self.run.encoders, self.options, wanted=self.run.heard
                )
                began = time.perf_counter()
                spent = on_threads(work, self.progress)
                seconds = time.perf_counter() - began
            done = int((cache.status() == DONE).sum())
            stored = sum(_chunk_bytes(place / name) for name in cache.arrays)
            raw = sum(prod(shape) for shape in cache.row_shapes.values()) * np.dtype(cache.dtype).itemsize
        return Probe(
            clips=done,
            failed=len(clips) - done,
            seconds=seconds,
            stages=spent.stages,
            clip_bytes=stored / done if done else raw,
            batch_size=spent.batch_size,
            workers=workers,
        )


def _chunk_bytes(array: Path) -> int:
    """What an array's values take."""
    return sum(file.stat().st_size for file in array.rglob("*") if file.is_file() and file.name != "zarr.json")


def _spread(clips: Sequence[str], count: int) -> list[str]:
    """As many of the clips, or all, evenly spread and in order."""
    places = np.unique(np.linspace(0, len(clips) - 1, min(count, len(clips))).astype(np.int64))
    return [clips[place] for place in places.tolist()]


def _free(output: PathLike[str] | str) -> int | None:
    """Bytes of room where a cache is, or is to be made."""
    folder = local_folder(output)
    if folder is None:
        return None
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free
