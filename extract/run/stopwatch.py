"""Where the time of a run goes, and what it takes."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

STAGES = ("decode", "prepare", "encode", "write")
"""What a clip goes through."""


@dataclass(frozen=True)
class Spent:
    """What work has taken: picklable.

    Attributes:
        stages: seconds by stage, added up over hands.
        batch_size: frames or sounds in one pass of an encoder, as they were at the end.
    """

    stages: Mapping[str, float]
    batch_size: int

    @classmethod
    def together(cls, parts: Iterable[Self]) -> Self:
        """Of several hands, at least one: seconds are added up, the smallest size is told."""
        stages, sizes = Counter[str](), list[int]()
        for part in parts:
            stages.update(part.stages)
            sizes.append(part.batch_size)
        return cls(dict(stages), min(sizes))


class Stopwatch:
    """Seconds by stage, added up over threads; a stage inside another one counts for itself alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here = threading.local()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time spent inside."""
        outer: list[float] | None = getattr(self._here, "inner", None)
        self._here.inner = inner = [0.0]
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            with self._lock:
                self._seconds[name] = self._seconds.get(name, 0.0) + spent - inner[0]
            self._here.inner = outer
            if outer is not None:
                outer[0] += spent

    def seconds(self) -> dict[str, float]:
        """So far, by stage."""
        with self._lock:
            return dict(self._seconds)
