"""search(): try many settings on the clips of a split (docs/design.md 4, 4.8)."""

import hashlib
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache
from score.datasets.annotations import Annotations
from score.errors import ScoreError
from score.tuning.result import SearchResult, check_objective
from score.tuning.samplers import SAMPLERS, count_settings
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
    objective: str | Sequence[str] = "segment-type-av",
    sampler: str = "grid",
    samples: int = 8192,
    seed: int = 0,
    threads: int | None = None,
    partial: bool = False,
    per_clip_ceiling: bool = False,
    output: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    sweeper: Sweeper | None = None,
) -> SearchResult:
    """Find the settings whose events agree best with annotations.

    Args:
        cache: an open feature cache.
        annotations: of the split to tune on.
        space: what to try.
        text: name of the label set in the cache; None if there is one only.
        objective: a figure's name ("segment-type-av", ..., "accuracy"), or several.
        sampler: "grid", "sobol" or "tpe".
        samples: settings to draw, for samplers other than the grid.
        seed: equal seeds give equal results, whatever the number of threads.
        threads: threads to use, by default one a core.
        partial: accept that clips of the split are missing from the cache.
        per_clip_ceiling: find the best objective of each clip on its own, too.
        output: folder in which figures are kept as they are found; the same search goes on from there.
        overwrite: replace another search in ``output``.
        progress: called after each batch.
        sweeper: a sweeper of this cache and these annotations, if there is one already.

    Returns:
        All settings tried, with their figures. After Ctrl-C, those that were tried (``complete`` is False).

    Raises:
        ScoreError: an unknown objective or sampler, or an output of another search.
        AnnotationError: the annotations do not fit the cache.
    """
    total = count_settings(sampler, space, samples)
    held = sweeper or Sweeper(cache, annotations, text, partial=partial, threads=threads)
    held.check(space)
    names = held.metric_names
    objectives = tuple(
        check_objective(name, names) for name in ([objective] if isinstance(objective, str) else list(objective))
    )
    if not objectives:
        raise ScoreError("no objective is named")
    store = None
    if output is not None:
        identity = search_identity(cache, held, space, sampler, samples if sampler != "grid" else total, seed)
        store = SearchStore(output, identity, overwrite=overwrite)
    leading = names.index(objectives[0])
    settings: list[NDArray[Any]] = []
    metrics: list[NDArray[np.float64]] = []
    ceiling = np.full(held.n_found, -np.inf) if per_clip_ceiling else None
    best, tried, complete = -np.inf, 0, True
    batches = SAMPLERS[sampler](space, samples, seed)
    try:
        batch = next(batches)
        while True:
            kept = store.read(len(settings), batch) if store is not None else None
            if ceiling is not None:
                found = held.metrics_and_ceiling(batch, space, leading, ceiling)
            else:
                found = held.metrics(batch, space) if kept is None else kept
            if store is not None and kept is None:
                store.write(len(settings), batch, found, names)
            settings.append(batch)
            metrics.append(found)
            tried += len(batch)
            best = max(best, float(found[:, leading].max()))
            if progress is not None:
                progress(tried, total, best)
            batch = batches.send(found[:, leading])
    except StopIteration:
        pass
    except KeyboardInterrupt:
        complete = False
        if not settings:
            raise
    return SearchResult(
        parameters=np.concatenate(settings),
        metrics=np.concatenate(metrics),
        metric_names=names,
        objectives=objectives,
        space=space,
        n_found=held.n_found,
        n_split=held.n_split,
        complete=complete,
        ceiling=ceiling,
    )


def search_identity(
    cache: FeatureCache, sweeper: Sweeper, space: Space, sampler: str, samples: int, seed: int
) -> dict[str, Any]:
    """What makes a search this one and no other, JSON-able."""
    truth = hashlib.sha256("\n".join([*sweeper.clip_ids, *sweeper.labels]).encode())
    truth.update(sweeper.true.tobytes())
    truth.update(sweeper.first.tobytes())
    return {
        "cache": cache.identity,
        "text": hashlib.sha256(sweeper.text_bytes).hexdigest()[:16],
        "annotations": truth.hexdigest()[:16],
        "dataset": sweeper.kind,
        "space": space.to_dict(),
        "sampler": sampler,
        "samples": samples,
        "seed": seed if sampler != "grid" else 0,
    }
