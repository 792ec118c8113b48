"""search(): try many settings on the clips of a split (docs/design.md 4, 4.8)."""

import hashlib
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, stopping
from score.datasets import Annotations, find_dataset
from score.datasets.base import Dataset
from score.errors import AnnotationError, ScoreError
from score.rules import find_rule
from score.tuning.held import HeldSplit
from score.tuning.memory import MEMORY, Needs, Room, parse_size, plan_room
from score.tuning.per_clip import SETTINGS_AT_ONCE, check_per_clip, per_clip_bytes, per_clip_report
from score.tuning.report import SearchReport, report_split
from score.tuning.rescorer import Rescorer
from score.tuning.result import SearchResult, check_objective
from score.tuning.samplers import SAMPLERS, Batches, count_settings, in_pieces, largest_batch
from score.tuning.space import Space
from score.tuning.store import SearchStore
from score.tuning.sweeper import Sweeper

Progress = Callable[[int, int, float], None]
"""Called with the settings tried, all of them, and the best objective so far."""


def search(
    cache: FeatureCache,
    annotations: Annotations,
    space: Space,
    *,
    text: str | None = None,
    objective: str | Sequence[str] | None = None,
    sampler: str = "grid",
    samples: int = 8192,
    seed: int = 0,
    threads: int | None = None,
    partial: bool = False,
    sample_clips: int | None = None,
    per_clip_ceiling: bool = False,
    per_clip: bool = False,
    output: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    report_on: Annotations | None = None,
    memory: int | str = MEMORY,
) -> SearchResult:
    """Find the settings whose events agree best with annotations.

    Args:
        cache: an open feature cache.
        annotations: of the split to tune on.
        space: what to try; what it leaves out is as published for the cache's backbone.
        text: name of the label set in the cache; None if there is one only.
        objective: a figure's name ("segment-type-av", ..., "accuracy"), or several; None: the data set's usual one.
        sampler: "grid", "sobol" or "tpe".
        samples: settings to draw, for samplers other than the grid.
        seed: equal seeds give equal results, whatever the number of threads.
        threads: threads to use, by default one a core.
        partial: accept that clips of the split are missing from the cache.
        sample_clips: tune on so many clips of the split, drawn from every class by its share
            (:meth:`score.Annotations.sample`, with ``seed``); the report is of whole splits. None: on all.
        per_clip_ceiling: find the best objective of each clip on its own, too.
        per_clip: learn to choose a setting for each clip, too, by features that need no annotations, and report what
            that is worth on ``report_on``, which has to be of other clips.
        output: folder in which figures are kept as they are found; the same search goes on from there.
        overwrite: replace another search in ``output``.
        progress: called after each batch.
        report_on: annotations of the split to report the best setting on, with 95 % intervals over clips, beside the
            one that was tuned on; the same annotations for that one alone. None: no report.
        memory: what the process may take, bytes or a text such as "2GiB" or "500MB"; the result does not depend on it.
            What does not fit lies beside ``output``, or in the folder for temporary files, until the search ends.

    Returns:
        All settings tried, with their figures. After Ctrl-C, those that were tried (``complete`` is False).

    Raises:
        ScoreError: an unknown objective or sampler, an output of another search, or too little memory or disk.
        AnnotationError: the annotations do not fit the cache.

    Example:
        >>> result = search(cache, val, Space(alpha="0:1:0.1", gamma="0.5:4:0.5"), report_on=test)
        >>> print(result.report)
    """
    dataset = find_dataset(annotations.kind)
    objectives = _objectives(dataset, objective)
    allowed = parse_size(memory)
    tuned_on = annotations if sample_clips is None else annotations.sample(sample_clips, seed)
    kind = Rescorer if dataset.from_sums is None else Sweeper
    held: HeldSplit = kind(cache, tuned_on, text, partial=partial, threads=threads)
    if per_clip_ceiling:
        held.check_ceiling()
    space = held.completed(space)
    total = count_settings(sampler, space, samples)
    held.check(space)
    reported = [held]
    if report_on is not None and report_on is not tuned_on:
        reported.append(kind(cache, report_on, text, partial=partial, threads=threads))
    if per_clip:
        check_per_clip(reported)
    for each in reported:
        each.prepare(space)
    needs = search_needs(cache, reported, space, sampler, total, report_on is not None, per_clip)
    _load(reported, plan_room(allowed, needs), output)
    names = held.metric_names
    for name in objectives:
        if name not in held.defined:
            can = ", ".join(held.defined[:5])
            raise AnnotationError(f"{name} is of what is not annotated here: choose an `objective` of {can}")
    store = None
    if output is not None:
        identity = search_identity(cache, held, space, sampler, samples if sampler != "grid" else total, seed)
        store = SearchStore(output, identity, _facts(held, objectives, space), overwrite=overwrite)
    began = time.perf_counter()
    tried = _try(
        held,
        space,
        in_pieces(SAMPLERS[sampler](space, samples, seed), held.at_once),
        store,
        names.index(objectives[0]),
        total,
        per_clip_ceiling,
        progress,
    )
    result = SearchResult(
        parameters=tried.settings[: tried.count],
        metrics=tried.metrics[: tried.count],
        metric_names=names,
        objectives=objectives,
        space=space,
        n_found=held.n_found,
        n_split=held.n_split,
        complete=tried.complete,
        ceiling=tried.ceiling,
        seconds=time.perf_counter() - began,
    )
    return result if report_on is None else _with_reports(result, reported, per_clip, seed)


def _objectives(dataset: Dataset, named: str | Sequence[str] | None) -> tuple[str, ...]:
    """The figures that are named, or the data set's usual one."""
    wanted = dataset.objective if named is None else named
    found = tuple(
        check_objective(name, dataset.figures) for name in ([wanted] if isinstance(wanted, str) else list(wanted))
    )
    if not found:
        raise ScoreError("no objective is named")
    return found


def _with_reports(result: SearchResult, reported: Sequence[HeldSplit], per_clip: bool, seed: int) -> SearchResult:
    space, best, objective = result.space, result.best.config, result.objectives[0]
    splits = (report_split(each, each.annotations.split, best, space, seed=seed) for each in reported)
    chosen = (
        per_clip_report(reported, result.parameters, result.column(objective), space, objective, seed)
        if per_clip
        else None
    )
    return replace(result, report=SearchReport(tuple(splits)), per_clip=chosen)


def _facts(held: HeldSplit, objectives: Sequence[str], space: Space) -> dict[str, Any]:
    """What a search's folder says beside its identity."""
    return {
        "objectives": list(objectives),
        "clips_found": held.n_found,
        "clips_in_split": held.n_split,
        "split": held.annotations.split,
        **({"inferred": inferred} if (inferred := find_rule(space.rule).inferred) else {}),
    }


@dataclass
class _Tried:
    """What was tried so far: the first ``count`` rows."""

    settings: NDArray[Any]
    metrics: NDArray[np.float64]
    ceiling: NDArray[np.float64] | None
    count: int = 0
    complete: bool = True


def _try(
    held: HeldSplit,
    space: Space,
    batches: Batches,
    store: SearchStore | None,
    leading: int,
    total: int,
    per_clip_ceiling: bool,
    progress: Progress | None,
) -> _Tried:
    """Figures of batch after batch, computed or as a store has them; Ctrl-C ends with those that are there."""
    found = _Tried(
        np.zeros(total, space.dtype),
        np.zeros((total, len(held.metric_names))),
        np.full(held.n_found, -np.inf) if per_clip_ceiling else None,
    )
    best = -np.inf
    try:
        batch = next(batches)
        for number in count():
            kept = store.read(number, batch) if store is not None else None
            if found.ceiling is not None:
                metrics = held.metrics_and_ceiling(batch, space, leading, found.ceiling)
            else:
                metrics = held.metrics(batch, space) if kept is None else kept
            if store is not None and kept is None:
                store.write(number, batch, metrics, held.metric_names)
            rows = slice(found.count, found.count + len(batch))
            found.settings[rows], found.metrics[rows] = batch, metrics
            found.count = rows.stop
            best = max(best, float(metrics[:, leading].max()))
            if progress is not None:
                progress(found.count, total, best)
            batch = batches.send(metrics[:, leading])
    except StopIteration:
        pass
    except (KeyboardInterrupt, stopping.Stopped):
        found.complete = False
        if not found.count:
            raise
    return found


def _load(splits: Sequence[HeldSplit], room: Room, output: str | PathLike[str] | None) -> None:
    """Read the clips of all splits; what does not stay in memory lies beside the output."""
    folder = Path(tempfile.gettempdir())
    if output is not None:
        folder = next((parent for parent in Path(output).absolute().parents if parent.is_dir()), folder)
    kept: dict[str, Any] = {}
    for each, in_memory in zip(splits, room.in_memory, strict=True):
        each.load(room, in_memory=in_memory, folder=folder, kept=kept)


def search_needs(
    cache: FeatureCache,
    splits: Sequence[HeldSplit],
    space: Space,
    sampler: str,
    settings: int,
    report: bool,
    per_clip: bool = False,
) -> Needs:
    """What memory a search takes: its splits, so many settings, and reports at its end."""
    held = splits[0]
    figures, setting = len(held.metric_names), space.dtype.itemsize
    # the table of all settings, what sorts it; Sobol points are all drawn at first; ceilings, a report's figures
    tables = settings * (setting + 8 * figures + 32 + (setting + 112 if sampler == "sobol" else 0))
    tables += 8 * held.n_found + (24 * figures * max(each.n_found for each in splits) if report else 0)
    batch = largest_batch(sampler, space, settings)
    if per_clip:
        tables += per_clip_bytes(settings, splits[0].n_found, splits[-1].n_found)
        batch = max(batch, min(settings, SETTINGS_AT_ONCE))
    return Needs(
        splits=[each.needs for each in splits],
        settings=settings,
        cache_rows=len(cache),
        row_bytes=sum(math.prod(shape) for shape in cache.row_shapes.values()) * np.dtype(cache.dtype).itemsize,
        shard_rows=min(cache.shard_size, len(cache)),
        tables=tables,
        batch=held.batch_needs(batch, space),
        threads=held.threads,
    )


def search_identity(
    cache: FeatureCache, held: HeldSplit, space: Space, sampler: str, samples: int, seed: int
) -> dict[str, Any]:
    """What makes a search this one and no other, JSON-able."""
    return {
        "cache": cache.identity,
        "text": hashlib.sha256(held.text_bytes).hexdigest()[:16],
        "annotations": held.truth_digest[:16],
        "dataset": held.dataset.name,
        "space": space.to_dict(),
        "sampler": sampler,
        "samples": samples,
        "seed": seed if sampler != "grid" else 0,
    }
