"""Several devices of one machine: a process each, with encoders of its own."""

import multiprocessing
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from extract.backbones import load_backbone
from extract.device import resolve_device
from extract.errors import ExtractError
from extract.run.fill import Progress, fill
from extract.run.processes import away_from_here
from extract.run.worker import Job
from feature_cache import FeatureCache


@dataclass(frozen=True)
class Recipe:
    """What a process needs in order to make a :class:`Job` of its own.

    Attributes:
        cache: path or URL of the cache.
        backbone: name of the encoders.
        checkpoint: folder with local weights.
        clap_checkpoint: a .pt file of laion_clap for the sound.
        precision: arithmetic of the encoders.
        options: what else a :class:`Job` is made with, by name.
    """

    cache: str
    backbone: str
    checkpoint: Path | str | None
    clap_checkpoint: Path | str | None
    precision: str
    options: Mapping[str, Any]


def fill_on_devices(
    recipe: Recipe,
    devices: Sequence[str],
    todo: Sequence[Mapping[int, Sequence[int]]],
    workers: int,
    progress: Progress,
    finished: int,
    total: int,
) -> dict[str, float]:
    """Compute rows on several devices at once; each process writes shards that no other one writes.

    Args:
        recipe: how a process makes its job.
        devices: their names.
        todo: for each device rows by shard.
        workers: threads that decode, a device.
        progress: called with (clips finished, clips in all).
        finished: clips that are there already.
        total: clips in all.

    Returns:
        Seconds by stage, added up over devices.

    Raises:
        ExtractError: a process ended early; its own reason if it had one.
    """
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
            process = context.Process(target=_work, args=(recipe, device, rows, workers, theirs), name=f"av2a {device}")
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
    recipe: Recipe, device: str, todo: Mapping[int, Sequence[int]], workers: int, say: "Connection[Any, Any]"
) -> None:
    """A process: ints are clips finished, a dict the end, an exception the end before that."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        cache = FeatureCache.open(recipe.cache, "r+")
        where = resolve_device(device)
        encoders = load_backbone(
            recipe.backbone, recipe.checkpoint, str(where), recipe.precision, recipe.clap_checkpoint
        )
        job = Job(encoders=encoders, device=where, fed=where.type == "cuda", **recipe.options)
        fill(cache, job, todo, workers, lambda done, total: say.send(done))
        say.send(job.watch.seconds())
    except KeyboardInterrupt:
        say.close()
    except Exception as error:
        ours = {base.__module__ for base in type(error).__mro__} & {"extract.errors", "feature_cache.errors"}
        if not ours:
            raise
        say.send(ExtractError(str(error)))  # the message is what counts, and not every error can be pickled


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
