"""Several devices of this machine: a process each, with encoders of its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from extract.run.engines.base import Progress, Recipe, Work
from extract.run.engines.threads import fill
from extract.run.processes import in_processes
from extract.run.stopwatch import Spent
from feature_cache import FeatureCache


def on_devices(work: Work, progress: Progress) -> Spent:
    """Compute rows on several devices at once; each process writes shards that no other one writes.

    See :class:`extract.run.engines.base.Engine`.

    Raises:
        ExtractError: a process ended early; its own reason if it had one.
    """
    todo = [
        {shard: rows for shard, rows in work.todo.items() if each.owns(shard)}
        for each in work.share.split(len(work.devices))
    ]
    workers = max(1, work.workers // len(work.devices))
    lease = work.cache.lease
    assert lease is not None  # of this process, under which the others write
    tasks = [
        (device, (work.cache.path, lease.token, work.recipe, device, rows, workers))
        for device, rows in zip(work.devices, todo, strict=True)
        if rows
    ]
    done = [0] * len(tasks)
    spent: list[Spent] = []
    progress(work.finished, work.total)

    def heard(number: int, said: int | Spent) -> None:
        if isinstance(said, int):
            done[number] = said
            progress(work.finished + sum(done), work.total)
        else:
            spent.append(said)

    in_processes(_fill, tasks, heard)
    return Spent.together(spent or [Spent({}, work.recipe.clips.batch_size)])


def _fill(
    cache: str,
    lease: str,
    recipe: Recipe,
    device: str,
    todo: Mapping[int, Sequence[int]],
    workers: int,
    say: Callable[[Any], None],
) -> None:
    """In a process: says how many clips are finished, and at the end what that took."""
    opened, job = FeatureCache.open(cache, "r+").join(lease), recipe.job(device)
    fill(opened, job, todo, workers, lambda done, total: say(done))
    say(job.spent)
