"""Videos to a feature cache: files are decoded side by side, encoded clip by clip, written shard by shard."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from extract.adding import add_segments
from extract.label_embeddings import add_labels
from extract.label_notes import text_notes
from extract.options import ExtractOptions
from extract.run.engines import Progress, Work, engine_for
from extract.run.open_cache import has_clips, open_or_create, share_with_others, shared, wait_for
from extract.run.prepared import Prepared, prepare
from extract.run.preparing import work_of
from extract.run.shares import rows_to_do
from extract.run.stopwatch import Spent
from extract.summary import Summary, batch_notes, gone_notes, missing_notes, rows_of, segments_notes
from feature_cache import DONE, FeatureCache
from feature_cache.place import lease_at


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
    said, shown = notice or (lambda line: None), progress or (lambda done, total: None)
    if chosen.add is not None:
        return add_segments(Path(source), output, chosen, progress=shown, notice=said)
    run = prepare(Path(source), output, chosen)
    inputs, plan, heard = run.inputs, run.plan, run.heard
    with ExitStack() as held:
        cache, notes = _opened(output, run, chosen, held, said)
        gone = [clip for clip in cache.clip_ids if chosen.only is None and clip not in plan.of]
        if chosen.prune and gone:
            cache.drop_clips(gone)
        status, missing = cache.shards.column("status", "missing")
        todo = rows_to_do(cache, chosen.share, plan.of if chosen.retry_failed else (), status)
        work = work_of(cache, todo, inputs, plan, run.encoders, chosen, wanted=heard)
        spent = _computed(work, chosen, shown)
    if work.todo:
        status, missing = cache.shards.column("status", "missing")
    done, failed = rows_of(cache, status, chosen.share.rows(cache))
    return Summary(
        path=cache.path,
        done=done,
        failed=failed,
        skipped=work.finished,
        seconds=time.perf_counter() - began,
        text_name=run.text_name,
        stages=spent.stages,
        notes=(
            *inputs.chosen.notes,
            *(() if inputs.beside is None else (f"labels: the {len(run.labels.labels)} of {inputs.beside}",)),
            *inputs.found.notes,
            *plan.notes,
            *notes,
            *segments_notes(cache, chosen.audio_segments),
            *batch_notes(inputs.batch_size, spent.batch_size),
            *missing_notes(missing[status == DONE] if heard is None else missing[:0]),
            *gone_notes(len(gone), inputs.source, chosen.prune),
        ),
    )


def _opened(
    output: PathLike[str] | str,
    run: Prepared,
    options: ExtractOptions,
    held: ExitStack,
    notice: Callable[[str], None],
) -> tuple[FeatureCache, tuple[str, ...]]:
    """The cache, under a lease that ``held`` lets go, with its clips and labels; and notes."""
    share = options.share
    if share.index:
        cache = wait_for(output, run.clips, run.kind, notice)
        if run.heard is not None:
            run.heard.check(cache)
        share_with_others(cache, held, notice)
        return cache, ()
    notes: tuple[str, ...] = ()
    if share.whole or options.overwrite or options.prune or not has_clips(output, run.clips, run.text_name):
        lease = held.enter_context(lease_at(output, "extract", notice))
        notes = tuple(f"taken over from {who}, which has ended" for who in lease.taken_over)
        cache = open_or_create(output, run.clips, run.kind, overwrite=options.overwrite, there=run.inputs.there)
        held.enter_context(cache.writing("extract"))
        if notes:
            cache.remove_leftovers()
    else:
        cache = shared(output, run.kind)
    if run.heard is not None:
        run.heard.check(cache)
        notes = (f"{cache.backbone} hears only: its cache has no pictures and no refinement", *notes)
    else:
        found = run.labels
        prompts = found.visual_prompts, found.audio_prompts
        add_labels(cache, run.text_name, found.labels, run.encoders, *prompts)
        notes = (*text_notes(run.encoders, cache.text(run.text_name)), *notes)
    if not share.whole:
        held.close()
        share_with_others(cache, held, notice)
    return cache, notes


def _computed(work: Work, options: ExtractOptions, progress: Progress) -> Spent:
    """Compute all rows; those that another run has taken are waited for by nobody, but said."""
    spent = engine_for(options.devices)(work, progress)
    while not options.share.whole and (left := rows_to_do(work.cache, options.share)):
        work.cache.claim(next(iter(left))).release()  # raises where another has it
        spent = Spent.together([spent, engine_for(options.devices)(replace(work, todo=left), progress)])
    return spent
