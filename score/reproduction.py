"""Published experiments: their figures and settings, and what our events are worth beside them.

What is published, by whom and with which settings, is in published_figures.json alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec

from score.bootstrap import RESAMPLES
from score.comparison import signed
from score.config import ScoreConfig
from score.datasets import Annotations, find_dataset
from score.datasets.base import Dataset, Table
from score.datasets.match import match_clips
from score.errors import AnnotationError
from score.evaluation import Report, as_json_numbers, evaluate
from score.event_blocks import EventBlocks

RULE = "AV²A"
Interval = tuple[float, float]


@dataclass(frozen=True)
class Published:
    """Figures that somebody has published.

    Attributes:
        backbones: names of the encoders; several where they are the same ones, otherwise loaded.
        rule: "AV²A", or "naive", the baseline beside it.
        split: of the data set.
        clips: in that split.
        source: where they stand.
        figures: percent, by name.
        paper_protocol: they are by the official script, which takes visual predictions as the audio ones.
        settings: parameters of scoring that belong to them; those left out are the backbone's.
    """

    backbones: tuple[str, ...]
    rule: str
    split: str
    clips: int
    source: str
    figures: dict[str, float]
    paper_protocol: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A data set as it is published on.

    Attributes:
        name: as people write it.
        dataset: name of the data set.
        labels: name of its label set.
        rows: what is published.
    """

    name: str
    dataset: str
    labels: str
    rows: tuple[Published, ...]

    @property
    def measures(self) -> Dataset:
        """The data set."""
        return find_dataset(self.dataset)

    @property
    def backbones(self) -> tuple[str, ...]:
        """Names of encoders that figures are published with, the most usual first."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.backbones))

    def row(self, backbone: str, split: str) -> Published | None:
        """What is published with these encoders on a split; None: nothing is."""
        fits = (row for row in self.rows if backbone in row.backbones and (row.split, row.rule) == (split, RULE))
        return next(fits, None)

    def settings(self, backbone: str, split: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters to score with: those given, then those of the published figures, then the data set's decision.

        What is left out is the backbone's own.

        Raises:
            ScoreError: a parameter is in none of them, nor published for the backbone, or is out of range.
        """
        row = self.row(backbone, split)
        found = {"decision": self.measures.decision, **(row.settings if row else {}), **given}
        ScoreConfig.for_backbone(backbone, found)
        return found

    def files_of(
        self, annotations: Annotations, files: Sequence[str], *, partial: bool
    ) -> tuple[tuple[str, ...], list[str]]:
        """Which files are clips of a split.

        Args:
            annotations: of the split.
            files: ids of files.
            partial: accept that clips have none; not all of them, though.

        Returns:
            Ids of the split's files, and what is missing, a line each.
        """
        try:
            found = match_clips(annotations.clip_ids, files)
        except AnnotationError as error:
            return (), [str(error)]
        lacking = [clip for clip in annotations.clip_ids if clip not in found]
        lines = []
        if lacking and not (partial and found):
            some = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
            mend = "add them, or go on without them: `partial=True`" if found else "is it the right folder?"
            lines.append(
                f"{len(lacking):,} of the {len(annotations.clip_ids):,} clips of the {annotations.split} split have no "
                f"file ({some}): {mend}"
            )
        return tuple(files[number] for number in found.values()), lines

    def failed_of(self, annotations: Annotations, failed: Mapping[str, str]) -> dict[str, str]:
        """Those of the clips that failed which are of a split."""
        clips = list(failed)
        return {clips[number]: failed[clips[number]] for number in match_clips(annotations.clip_ids, clips).values()}


@cache
def experiments() -> Mapping[str, Experiment]:
    """The published experiments, by name."""
    from importlib import resources

    text = resources.files("score").joinpath("published_figures.json").read_bytes()
    found = msgspec.json.decode(text, type=dict[str, dict[str, Any]])
    return {name: msgspec.convert({"name": name, **facts}, Experiment) for name, facts in found.items()}


@dataclass(frozen=True)
class Reproduction:
    """Our figures beside published ones.

    Attributes:
        experiment: which one.
        backbone: the encoders.
        row: what is published with them; None: nothing is.
        report: ours, by the protocol of what is published.
        correct: ours without the paper protocol; the same one where that is not what is published.
        intervals: 95 % intervals over clips of the figures of ``report``.
    """

    experiment: Experiment
    backbone: str
    row: Published | None
    report: Report
    correct: Report
    intervals: Mapping[str, Interval]

    @property
    def notes(self) -> list[str]:
        """What keeps the figures from being comparable, a line each."""
        found = []
        title, split = self.experiment.measures.title, self.report.split
        if self.row is None:
            rows = (row for row in self.experiment.rows if row.rule == RULE)
            known = ", ".join(f"{row.backbones[0]} ({row.split})" for row in rows)
            found.append(f"nothing is published with {self.backbone} on {title}'s {split} split, only with {known}")
        elif self.row.clips != self.report.n_split:
            found.append(f"published are figures of {self.row.clips:,} clips, this split has {self.report.n_split:,}")
        if self.report.n_found < self.report.n_split:
            found.append(f"measured on {self.report.n_found:,} of the split's {self.report.n_split:,} clips")
        if self.row is not None and self.row.paper_protocol:
            found.append(
                "published by the official script, which takes visual predictions as the audio ones, and so are ours "
                "beside them; the last column has the correct ones"
            )
        if self.report.approximation:
            found.append(f"approximate: {self.report.approximation}")
        return found

    def table(self) -> Table:
        """Published, ours with intervals, the difference; and the correct figures where those are others."""
        both = self.correct is not self.report
        header = ("figure", "published", "ours [95 %]", "difference", *(("ours, correct",) if both else ()))
        rows: list[tuple[Any, ...]] = []
        for name, value in self.report.metrics.items():
            theirs = self.row.figures.get(name) if self.row else None
            known = value == value
            ours = "{:.1f} [{:.1f}, {:.1f}]".format(value, *self.intervals[name]) if known else "-"
            further = signed(value - theirs) if known and theirs is not None else "-"
            cells = ("-" if theirs is None else theirs, ours, further)
            rows.append((name, *cells, *((self.correct.metrics[name],) if both else ())))
        return header, rows

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        published = self.row.figures if self.row else {}
        metrics = self.report.metrics
        return {
            "experiment": self.experiment.name,
            "backbone": self.backbone,
            "published": published,
            "source": self.row.source if self.row else None,
            "ours": as_json_numbers(metrics),
            "intervals": {name: [None if end != end else end for end in ends] for name, ends in self.intervals.items()},
            "difference": as_json_numbers({name: metrics[name] - value for name, value in published.items()}),
            "notes": self.notes,
            "report": self.report.to_dict(),
            "correct": self.correct.to_dict(),
        }


def measure(
    experiment: Experiment,
    backbone: str,
    read: Callable[[], EventBlocks],
    annotations: Annotations,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    threads: int | None = None,
) -> Reproduction:
    """Measure events as a published experiment did, and correctly where that did not.

    Args:
        experiment: which one.
        backbone: the encoders whose events these are.
        read: gives the events, each time it is called.
        annotations: of the split; clips of it that were not scored are left out.
        resamples: number of the bootstrap's resamples.
        seed: equal seeds give equal intervals.
        threads: threads to use, by default one a core; the result does not depend on them.

    Raises:
        AnnotationError: none of the clips was scored, or annotations do not fit the events.
        ScoreError: the events cannot be measured.
    """
    row = experiment.row(backbone, annotations.split)
    correct = report = evaluate(read(), annotations, partial=True)
    if row is not None and row.paper_protocol:
        report = evaluate(read(), annotations, partial=True, paper_protocol=True)
    return Reproduction(experiment, backbone, row, report, correct, report.intervals(resamples, seed, threads))
