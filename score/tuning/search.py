"""search(): try many settings on the clips of a split (docs/design.md 4, 4.8)."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, stopping
from score.datasets import Annotations, find_dataset
from score.errors import ScoreError
from score.tuning.report import SearchReport, report_split
from score.tuning.result import SearchResult, check_objective
from score.tuning.samplers import SAMPLERS, Batches, count_settings
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
    per_clip_ceiling: bool = False,
    output: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    report_on: Annotations | None = None,
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
        per_clip_ceiling: find the best objective of each clip on its own, too.
        output: folder in which figures are kept as they are found; the same search goes on from there.
        overwrite: replace another search in ``output``.
        progress: called after each batch.
        report_on: annotations of the split to report the best setting on, with 95 % intervals over clips, beside the
            one that was tuned on; the same annotations for that one alone. None: no report.

    Returns:
        All settings tried, with their figures. After Ctrl-C, those that were tried (``complete`` is False).

    Raises:
        ScoreError: an unknown objective or sampler, or an output of another search.
        AnnotationError: the annotations do not fit the cache.

    Example:
        >>> result = search(cache, val, Space(alpha="0:1:0.1", gamma="0.5:4:0.5"), report_on=test)
        >>> print(result.report)
    """
    dataset = find_dataset(annotations.kind)
    wanted = dataset.objective if objective is None else objective
    objectives = tuple(
        check_objective(name, dataset.figures) for name in ([wanted] if isinstance(wanted, str) else list(wanted))
    )
    if not objectives:
        raise ScoreError("no objective is named")
    held = Sweeper(cache, annotations, text, partial=partial, threads=threads)
    space = held.completed(space)
    total = count_settings(sampler, space, samples)
    held.check(space)
    reported = [held]
    if report_on is not None and report_on is not annotations:
        reported.append(Sweeper(cache, report_on, text, partial=partial, threads=threads))
    names = held.metric_names
    store = None
    if output is not None:
        identity = search_identity(cache, held, space, sampler, samples if sampler != "grid" else total, seed)
        facts = {
            "objectives": list(objectives),
            "clips_found": held.n_found,
            "clips_in_split": held.n_split,
            "split": annotations.split,
        }
        store = SearchStore(output, identity, facts, overwrite=overwrite)
    began = time.perf_counter()
    tried = _try(
        held,
        space,
        SAMPLERS[sampler](space, samples, seed),
        store,
        names.index(objectives[0]),
        total,
        per_clip_ceiling,
        progress,
    )
    result = SearchResult(
        parameters=np.concatenate(tried.settings),
        metrics=np.concatenate(tried.metrics),
        metric_names=names,
        objectives=objectives,
        space=space,
        n_found=held.n_found,
        n_split=held.n_split,
        complete=tried.complete,
        ceiling=tried.ceiling,
        seconds=time.perf_counter() - began,
    )
    if report_on is None:
        return result
    best = result.best.config
    report = SearchReport(
        tuple(report_split(each, each.annotations.split, best, space, seed=seed) for each in reported)
    )
    return replace(result, report=report)


@dataclass
class _Tried:
    """Batches tried so far."""

    settings: list[NDArray[Any]]
    metrics: list[NDArray[np.float64]]
    ceiling: NDArray[np.float64] | None
    complete: bool = True


def _try(
    held: Sweeper,
    space: Space,
    batches: Batches,
    store: SearchStore | None,
    leading: int,
    total: int,
    per_clip_ceiling: bool,
    progress: Progress | None,
) -> _Tried:
    """Figures of batch after batch, computed or as a store has them; Ctrl-C ends with those that are there."""
    found = _Tried([], [], np.full(held.n_found, -np.inf) if per_clip_ceiling else None)
    best, tried = -np.inf, 0
    try:
        batch = next(batches)
        while True:
            number = len(found.settings)
            kept = store.read(number, batch) if store is not None else None
            if found.ceiling is not None:
                metrics = held.metrics_and_ceiling(batch, space, leading, found.ceiling)
            else:
                metrics = held.metrics(batch, space) if kept is None else kept
            if store is not None and kept is None:
                store.write(number, batch, metrics, held.metric_names)
            found.settings.append(batch)
            found.metrics.append(metrics)
            tried += len(batch)
            best = max(best, float(metrics[:, leading].max()))
            if progress is not None:
                progress(tried, total, best)
            batch = batches.send(metrics[:, leading])
    except StopIteration:
        pass
    except (KeyboardInterrupt, stopping.Stopped):
        found.complete = False
        if not found.settings:
            raise
    return found


def search_identity(
    cache: FeatureCache, sweeper: Sweeper, space: Space, sampler: str, samples: int, seed: int
) -> dict[str, Any]:
    """What makes a search this one and no other, JSON-able."""
    truth = hashlib.sha256("\n".join([*sweeper.clip_ids, *sweeper.labels]).encode())
    truth.update(sweeper.split.true.tobytes())
    truth.update(sweeper.split.first.tobytes())
    return {
        "cache": cache.identity,
        "text": hashlib.sha256(sweeper.text_bytes).hexdigest()[:16],
        "annotations": truth.hexdigest()[:16],
        "dataset": sweeper.dataset.name,
        "space": space.to_dict(),
        "sampler": sampler,
        "samples": samples,
        "seed": seed if sampler != "grid" else 0,
    }
