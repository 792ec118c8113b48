"""Engines: who computes a cache's rows. An engine is one file here and a line in :func:`engine_for`."""

from collections.abc import Sequence

from extract.run.engines.base import Engine, Progress, Recipe, Work
from extract.run.engines.devices import on_devices
from extract.run.engines.threads import on_threads

__all__ = ["Engine", "Progress", "Recipe", "Work", "engine_for"]


def engine_for(devices: Sequence[str]) -> Engine:
    """The engine for these devices: threads of this process for one, a process each for several."""
    return on_threads if len(devices) == 1 else on_devices
