"""Videos to a feature cache: files are decoded side by side, encoded clip by clip, written shard by shard."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from extract.adding import add_segments
from extract.backbones.base import Backbone
from extract.backbones.detector import Detector
from extract.errors import ExtractError
from extract.label_embeddings import add_labels
from extract.label_notes import text_notes
from extract.label_sets import LabelSet, find_label_set
from extract.options import POOLING, ExtractOptions
from extract.run.clip_plan import ClipPlan
from extract.run.detecting import Wanted
from extract.run.engines import Progress, Work, engine_for
from extract.run.open_cache import (
    CacheKind,
    check_joint,
    has_clips,
    has_joint,
    has_segments,
    open_or_create,
    share_with_others,
    shared,
    wait_for,
)
from extract.run.preparing import find_inputs, kind_of, load_encoders, planned, work_of
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
    inputs = find_inputs(Path(source), output, chosen)
    segments = has_segments(inputs.there, chosen.audio_segments)
    joint = has_joint(inputs.there, chosen.joint)
    encoders = load_encoders(inputs, chosen)
    check_joint(encoders, joint)
    labels = find_label_set(chosen.labels or inputs.beside or encoders.default_labels)
    plan = planned(inputs, chosen)
    kind = kind_of(inputs, plan, encoders, chosen, audio_segments=segments, joint=joint)
    heard = _heard(encoders, labels, chosen)
    if heard is not None and isinstance(encoders, Detector):
        kind = heard.kind(kind, encoders, chosen.dtype, chosen.clip_seconds)
    wanted = _Wanted(output, inputs.there, plan, kind, chosen, chosen.text_name or labels.name, labels, encoders, heard)
    with ExitStack() as held:
        cache, notes = _opened(wanted, held, said)
        gone = [clip for clip in cache.clip_ids if chosen.only is None and clip not in plan.of]
        if chosen.prune and gone:
            cache.drop_clips(gone)
        status, missing = cache.shards.column("status", "missing")
        todo = rows_to_do(cache, chosen.share, plan.of if chosen.retry_failed else (), status)
        work = work_of(cache, todo, inputs, plan, encoders, chosen, wanted=heard)
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
        text_name=wanted.text_name,
        stages=spent.stages,
        notes=(
            *inputs.chosen.notes,
            *(() if inputs.beside is None else (f"labels: the {len(labels.labels)} of {inputs.beside}",)),
            *inputs.found.notes,
            *plan.notes,
            *notes,
            *segments_notes(cache, chosen.audio_segments),
            *batch_notes(inputs.batch_size, spent.batch_size),
            *missing_notes(missing[status == DONE] if heard is None else missing[:0]),
            *gone_notes(len(gone), inputs.source, chosen.prune),
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
    heard: Wanted | None = None

    @property
    def clips(self) -> list[str]:
        return list(self.plan.of)


def _heard(encoders: Backbone, labels: LabelSet, options: ExtractOptions) -> Wanted | None:
    """What a detector listens for; None: the encoders are none.

    Raises:
        ExtractError: an option that has no meaning for these encoders.
    """
    if not isinstance(encoders, Detector):
        if options.pooling is not None:
            raise ExtractError(f"`pooling={options.pooling!r}`: {encoders.name} gives embeddings, no frames to pool")
        return None
    for name, value in (("windows", options.windows != "all"), ("audio_segments", options.audio_segments is not None),
                        ("official_randomness", options.official_randomness is not None)):  # fmt: skip
        if value:
            raise ExtractError(
                f"`{name}={getattr(options, name)!r}`: {encoders.name} hears a clip as one: leave it out"
            )
    return Wanted.of(encoders, labels, options.text_name or labels.name, options.pooling or POOLING[0])


def _opened(wanted: _Wanted, held: ExitStack, notice: Callable[[str], None]) -> tuple[FeatureCache, tuple[str, ...]]:
    """The cache, under a lease that ``held`` lets go, with its clips and labels; and notes."""
    options, output, share = wanted.options, wanted.output, wanted.options.share
    if share.index:
        cache = wait_for(output, wanted.clips, wanted.kind, notice)
        if wanted.heard is not None:
            wanted.heard.check(cache)
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
    if wanted.heard is not None:
        wanted.heard.check(cache)
        notes = (f"{cache.backbone} hears only: its cache has no pictures and no refinement", *notes)
    else:
        found = wanted.labels
        prompts = found.visual_prompts, found.audio_prompts
        add_labels(cache, wanted.text_name, found.labels, wanted.encoders, *prompts)
        notes = (*text_notes(wanted.encoders, cache.text(wanted.text_name)), *notes)
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
