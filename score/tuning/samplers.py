"""Samplers: in which settings a search looks, batch by batch.

A sampler is a generator of batches, structured arrays of dtype ``Space.dtype``; it is sent each batch's objective
values, float64 (S,), larger being better.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.errors import ScoreError
from score.rules import find_rule
from score.tuning.space import Space

Batches = Generator[NDArray[Any], NDArray[np.float64], None]
BATCH = 8192
TPE_BATCH = 64


def grid(space: Space, samples: int, seed: int) -> Batches:
    """Every combination; ``samples`` and ``seed`` do not matter."""
    step = grid_batch(space)
    for start in range(0, space.size, step):
        yield space.grid(start, start + step)


def grid_batch(space: Space) -> int:
    """Settings a batch: whole subtrees of the grid, about ``BATCH`` in all."""
    size = 1
    for name in reversed([name for name in find_rule(space.rule).slowest_first if name in space.numbers]):
        longer = size * len(getattr(space, name))
        if longer > 2 * BATCH:
            break
        size = longer
    return size * max(1, BATCH // size)


def largest_batch(sampler: str, space: Space, settings: int) -> int:
    """Settings a batch, at most."""
    return min(settings, {"grid": grid_batch(space), "sobol": BATCH // 4, "tpe": TPE_BATCH}[sampler])


def sobol(space: Space, samples: int, seed: int) -> Batches:
    """Points of a scrambled Sobol sequence (scipy.stats.qmc)."""
    try:
        from scipy.stats import qmc
    except ModuleNotFoundError as error:
        raise ScoreError("the sobol sampler needs scipy: pip install 'av2a[search]'") from error

    points = qmc.Sobol(len(space.numbers) + len(space.choices), rng=np.random.default_rng(seed))
    units = points.random(1 << max(0, samples - 1).bit_length())[:samples]
    settings = space.spread(units)
    step = BATCH // 4
    for start in range(0, len(settings), step):
        yield settings[start : start + step]


def tpe(space: Space, samples: int, seed: int) -> Batches:
    """Tree-structured Parzen estimator (Optuna), asked for a batch at a time."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ScoreError("the tpe sampler needs optuna: pip install 'av2a[search]'") from error

    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=TPE_BATCH)
    with _quiet(optuna):
        study = optuna.create_study(direction="maximize", sampler=sampler)
    for start in range(0, samples, TPE_BATCH):
        trials = [study.ask() for _ in range(min(TPE_BATCH, samples - start))]
        batch = np.zeros(len(trials), dtype=space.dtype)
        for row, trial in enumerate(trials):
            for name in space.numbers:
                low, high = min(getattr(space, name)), max(getattr(space, name))
                batch[name][row] = trial.suggest_float(name, low, high)
            for name in space.choices:
                batch[name][row] = trial.suggest_categorical(name, list(getattr(space, name)))
        values = yield batch
        with _quiet(optuna):
            for trial, value in zip(trials, values, strict=True):
                study.tell(trial, float(value))


def in_pieces(batches: Batches, size: int | None) -> Batches:
    """The same settings in batches of at most ``size``; the sampler is sent the values of each of its own batches."""
    if size is None:
        return (yield from batches)
    try:
        batch = next(batches)
        while True:
            values = []
            for start in range(0, len(batch), size):
                values.append((yield batch[start : start + size]))
            batch = batches.send(np.concatenate(values))
    except StopIteration:
        return


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Optuna without its line a trial; whoever uses it besides keeps their own verbosity."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


SAMPLERS: dict[str, Callable[[Space, int, int], Batches]] = {"grid": grid, "sobol": sobol, "tpe": tpe}


def count_settings(sampler: str, space: Space, samples: int) -> int:
    """How many settings a sampler will try.

    Raises:
        ScoreError: no such sampler, a number of samples out of range, or a grid with too many settings.
    """
    if sampler not in SAMPLERS:
        raise ScoreError(f"no sampler {sampler!r}: there are {', '.join(SAMPLERS)}")
    if sampler == "grid":
        return space.checked_size()
    if not 1 <= samples <= 20_000_000:
        raise ScoreError(f"samples must lie in [1, 20000000], got {samples}")
    return samples
