"""Several devices of this machine: a process each, with encoders of its own."""

import multiprocessing
import os
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from extract.errors import ExtractError
from extract.run.engines.base import Progress, Recipe, Work
from extract.run.engines.threads import fill
from extract.run.processes import away_from_here
from feature_cache import FeatureCache
from feature_cache.errors import Av2aError


def on_devices(work: Work, progress: Progress) -> Mapping[str, float]:
    """Compute rows on several devices at once; each process writes shards that no other one writes.

    See :class:`extract.run.engines.base.Engine`.

    Raises:
        ExtractError: a process ended early; its own reason if it had one.
    """
    devices, finished, total = work.devices, work.finished, work.total
    todo = [
        {shard: rows for shard, rows in work.todo.items() if each.owns(shard)}
        for each in work.share.split(len(devices))
    ]
    workers = max(1, work.workers // len(devices))
    context = multiprocessing.get_context("spawn")
    done = [0] * len(devices)
    stages: dict[str, float] = {}
    running: dict[Any, tuple[int, Any]] = {}  # by pipe, which has a class of its own on each system
    progress(finished, total)
    try:
        for number, (device, rows) in enumerate(zip(devices, todo, strict=True)):
            if not rows:
                continue
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_work, args=(work.cache.path, work.recipe, device, rows, workers, theirs), name=f"av2a {device}"
            )
            with away_from_here():
                process.start()
            theirs.close()
            running[ours] = number, process
        while running:
            ready: list[Any] = wait(list(running))
            for pipe in ready:
                number, process = running[pipe]
                try:
                    said = pipe.recv()
                except EOFError:
                    process.join()
                    raise ExtractError(
                        f"the process of {devices[number]} ended early (exit code {process.exitcode}): "
                        "the same command goes on from here"
                    ) from None
                if isinstance(said, int):
                    done[number] = said
                    progress(finished + sum(done), total)
                elif isinstance(said, dict):
                    for stage, seconds in said.items():
                        stages[stage] = stages.get(stage, 0.0) + seconds
                    del running[pipe]
                    process.join()
                else:
                    raise said
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()
    return stages


def _work(
    cache: str,
    recipe: Recipe,
    device: str,
    todo: Mapping[int, Sequence[int]],
    workers: int,
    say: "Connection[Any, Any]",
) -> None:
    """A process: ints are clips finished, a dict the end, an exception the end before that."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        opened, job = FeatureCache.open(cache, "r+"), recipe.job(device)
        fill(opened, job, todo, workers, lambda done, total: say.send(done))
        say.send(job.watch.seconds())
    except KeyboardInterrupt:
        say.close()
    except Av2aError as error:
        say.send(ExtractError(str(error)))  # the message is what counts, and not every error can be pickled


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
