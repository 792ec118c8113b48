"""compare(): several systems' events against the same annotations, with intervals of their differences."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.bootstrap import RESAMPLES, interval_ends
from score.datasets import Annotations, find_dataset
from score.datasets.base import Table
from score.datasets.match import match_clips
from score.errors import AnnotationError, ScoreError
from score.evaluation import Report, as_json_numbers, check_coverage, evaluate
from score.event_blocks import EventBlocks
from score.events import Events


@dataclass(frozen=True, eq=False)
class Comparison:
    """Reports of systems on the same clips, and how far each is from the first.

    Attributes:
        reports: by the systems' names; the first is the base of the differences.
        intervals: by name of every other system, float64 (figures, 2): ends of the 95 % intervals of how far its
            figures are from the first's, paired percentile bootstraps over clips. NaN where a figure is not defined.
        clips_in_split: clips of the split, of which those that every system has were compared.
        resamples: their number.
        seed: that of the resamples.
    """

    reports: Mapping[str, Report]
    intervals: Mapping[str, NDArray[np.float64]]
    clips_in_split: int
    resamples: int
    seed: int

    @property
    def base(self) -> str:
        """Name of the first system."""
        return next(iter(self.reports))

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the figures."""
        return find_dataset(self.reports[self.base].kind).figures

    @property
    def clips(self) -> int:
        """Clips that were compared."""
        return self.reports[self.base].n_found

    def differences(self, name: str) -> dict[str, tuple[float, float, float]]:
        """By figure, how much more a system has than the first, and the ends of the interval of that."""
        ours, base = self.reports[name].metrics, self.reports[self.base].metrics
        ends = self.intervals[name].tolist()
        return {figure: (ours[figure] - base[figure], *pair) for figure, pair in zip(self.figures, ends, strict=True)}

    def tables(self) -> list[Table]:
        """For people, one of every system beside the first; a difference is marked whose interval does not hold 0."""
        base, found = self.reports[self.base].metrics, list[Table]()
        for name in self.intervals:
            ours = self.reports[name].metrics
            rows: list[tuple[Any, ...]] = [
                (figure, base[figure], ours[figure], with_interval(*difference))
                for figure, difference in self.differences(name).items()
            ]
            found.append((("figure", self.base, name, f"{name} - {self.base} [95 %]"), rows))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        first = self.reports[self.base]
        differences = {
            name: {
                figure: {
                    **as_json_numbers({"difference": difference, "low": low, "high": high}),
                    "clear": is_clear(low, high),
                }
                for figure, (difference, low, high) in self.differences(name).items()
            }
            for name in self.intervals
        }
        return {
            "dataset": first.kind,
            "split": first.split,
            "clips_compared": self.clips,
            "clips_in_split": self.clips_in_split,
            "paper_protocol": first.paper_protocol,
            "base": self.base,
            "resamples": self.resamples,
            "seed": self.seed,
            "systems": {name: report.to_dict() for name, report in self.reports.items()},
            "differences": differences,
        }


def is_clear(low: float, high: float) -> bool:
    """Whether an interval does not hold 0."""
    return low > 0 or high < 0


def signed(value: float) -> str:
    """A difference with one digit and its sign; no "-0.0"."""
    return f"{round(value, 1) + 0.0:+.1f}"


def with_interval(difference: float, low: float, high: float) -> str:
    """A difference with its interval, for people; marked where that does not hold 0."""
    if difference != difference:
        return "-"
    return f"{signed(difference)} [{signed(low)}, {signed(high)}] {'*' if is_clear(low, high) else ' '}"


def compare(
    events: Mapping[str, Events | EventBlocks],
    annotations: Annotations,
    *,
    partial: bool = False,
    paper_protocol: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
    threads: int | None = None,
) -> Comparison:
    """Measure several systems on the same clips.

    Resamples draw the same clips for all, so that what is hard for both does not widen the interval of a difference.

    Args:
        events: what each system found, by its name; the first is the base of the differences.
        annotations: what is there.
        partial: accept that a system has no events of some clips of the split; those that all have are compared.
        paper_protocol: as the official script, take visual predictions as the audio ones (LLP).
        resamples: number of the bootstrap's resamples.
        seed: equal seeds give equal intervals.
        threads: threads to use, by default one a core; the result does not depend on them.

    Raises:
        AnnotationError: a system does not have all clips of the split and ``partial`` is not set, they have none in
            common, or annotations do not fit the events.
        ScoreError: fewer than two systems, or events that cannot be measured.

    Example:
        >>> found = compare({"a": Events.read("a.json"), "b": Events.read("b.json")}, truth)
        >>> found.differences("b")["segment-type-av"]  # b - a, and the ends of its 95 % interval
        (1.9, 0.7, 3.2)
    """
    if len(events) < 2:
        raise ScoreError(f"{len(events)} system(s) to compare: give two or more")
    have: list[set[str]] = []
    for name, found in events.items():
        with _named(name):
            have.append(set(match_clips(annotations.clip_ids, found.facts.clip_ids)))
            check_coverage([clip for clip in annotations.clip_ids if clip not in have[-1]], annotations, partial)
    common = tuple(clip for clip in annotations.clip_ids if all(clip in clips for clips in have))
    if not common:
        raise AnnotationError(f"no clip of the {annotations.split or 'annotated'} split is in all of {_listed(events)}")
    truth = annotations if len(common) == len(annotations.clip_ids) else replace(annotations, clip_ids=common)
    reports: dict[str, Report] = {}
    resampled: dict[str, NDArray[np.float64]] = {}
    for name, found in events.items():
        with _named(name):
            reports[name] = evaluate(found, truth, paper_protocol=paper_protocol)
        resampled[name] = reports[name].measured.resampled(resamples, seed, threads)
    first, *others = resampled
    return Comparison(
        reports=reports,
        intervals={name: interval_ends(resampled[name] - resampled[first]) for name in others},
        clips_in_split=len(annotations.clip_ids),
        resamples=resamples,
        seed=seed,
    )


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors say whose events they are of."""
    try:
        yield
    except (AnnotationError, ScoreError) as error:
        raise type(error)(f"{name}: {error}") from error


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(list(names)[:4]) + (", ..." if len(names) > 4 else "")


def short_names(paths: Sequence[PurePath]) -> list[str]:
    """Names of files for a table: the file's without its ending; with it, or with folders, where several are the same.

    Equal paths are numbered.

    Example:
        >>> short_names([Path("runs/1/events.json"), Path("runs/2/events.json"), Path("theirs.csv")])
        ['1/events', '2/events', 'theirs']
    """
    most = max((len(path.parts) for path in paths), default=1)
    ways = [_name(path, parts, ending) for parts in range(1, most + 1) for ending in (False, True) for path in paths]
    found = [""] * len(paths)
    for at in range(0, len(ways), len(paths)):
        names = ways[at : at + len(paths)]
        often = Counter(names)
        for number, name in enumerate(names):
            if not found[number] and often[name] == 1 and name not in found:
                found[number] = name
    return [name or f"{path} ({number})" for number, (name, path) in enumerate(zip(found, paths, strict=True), 1)]


def _name(path: PurePath, parts: int, ending: bool) -> str:
    name = "/".join(path.parts[-parts:])
    return name if ending else name.removesuffix(path.suffix)
