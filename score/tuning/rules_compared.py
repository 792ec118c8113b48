"""compare_rules(): decision rules on the same clips, each as it is or tuned alike, with paired intervals."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from feature_cache import DONE, FeatureCache, TextSet
from score.bootstrap import RESAMPLES, interval_ends
from score.comparison import is_clear, with_interval
from score.datasets import Annotations, find_dataset
from score.datasets.base import Table
from score.datasets.match import match_clips
from score.errors import ScoreError
from score.evaluation import as_json_numbers
from score.logits import part_of
from score.parameters import describe
from score.rules import RULES, USUAL, find_rule
from score.tuning.memory import MEMORY
from score.tuning.report import SplitReport, aligned, figure_text
from score.tuning.result import SUMMARY
from score.tuning.rule_entries import Entry
from score.tuning.search import search
from score.tuning.space import Space

SAMPLES = 1024
"""Settings that each rule is tuned over."""
MOST_FIGURES = 4
"""Of a table."""
_TIMED_CLIPS, _TIMED_BYTES, _TIMED_SECONDS = 512, 32 << 20, 0.1
_CLIPS_AT_ONCE = 32

Progress = Callable[[str, int, int, float], None]
"""Called with a row's name, the settings tried, all of them, and the row's best objective so far."""


@dataclass(frozen=True, eq=False)
class RuleRow:
    """One rule with one setting.

    Attributes:
        entry: what was given.
        config: the setting: as it is, or the best of those tried.
        tried: settings that were tried for it; 1 where none was chosen.
        tuned: its figures on the split that was tuned on; None if nothing was tuned.
        report: its figures on the split that is reported.
        seconds: processor time of one thread that scores a clip so, its embeddings in memory.
    """

    entry: Entry
    config: Any
    tried: int
    tuned: SplitReport | None
    report: SplitReport
    seconds: float

    @property
    def settings(self) -> str:
        """What was tuned, what was given, and what is not as usual, in short."""
        known, chosen = describe(type(self.config)), {*self.entry.given, *self.entry.ranges(), "sound"}
        return " ".join(
            f"{name}={f'{value:.4g}' if isinstance(value, float) else value}"
            for name, value in self.config.to_dict().items()
            if name in chosen or value != known[name].default
        )


@dataclass(frozen=True, eq=False)
class RulesCompared:
    """Rules side by side.

    Attributes:
        rows: of each rule; the first is the one that differences are from.
        dataset: name of the data set.
        objective: the figure that was tuned.
        left_out: by name, why a rule takes no part.
        tuned: whether settings were chosen on a split.
        samples: settings of each rule where they were.
        resamples: of the paired bootstrap over clips.
        seed: of settings and resamples.
    """

    rows: tuple[RuleRow, ...]
    dataset: str
    objective: str
    left_out: Mapping[str, str]
    tuned: bool
    samples: int
    resamples: int
    seed: int

    @property
    def baseline(self) -> RuleRow:
        """The row that differences are from."""
        return self.rows[0]

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures of tables: the objective, then what sums a data set up."""
        every = find_dataset(self.dataset).figures
        main = [name for name in SUMMARY if name in every] or every
        return tuple(dict.fromkeys([self.objective, *main]))[:MOST_FIGURES]

    def differences(self, row: RuleRow) -> dict[str, tuple[float, float, float]]:
        """By figure, how much more a row has than the baseline, and the ends of the paired 95 % interval of that."""
        base = self.baseline.report
        ends = interval_ends(row.report.resampled - base.resampled).tolist()
        return {
            name: (row.report.figures[name][0] - base.figures[name][0], *pair)
            for name, pair in zip(base.figures, ends, strict=True)
        }

    def table(self) -> Table:
        """For people: a row a rule with intervals, and below it how far it is from the baseline."""
        rows: list[tuple[Any, ...]] = []
        for row in self.rows:
            cells = (figure_text(*row.report.figures[name]) for name in self.figures)
            rows.append((row.entry.name, *cells, f"{1e6 * row.seconds:.1f}"))
            if row is not self.baseline:
                far = self.differences(row)
                rows.append((f"  - {self.baseline.entry.name}", *(with_interval(*far[n]) for n in self.figures), ""))
        return ("rule", *self.figures, "µs/clip"), rows

    def notes(self) -> list[str]:
        """What belongs below the table, a line each: settings, what is inferred or approximate, what is left out."""
        found = []
        for row in self.rows:
            how = ""
            if row.tuned is not None:
                best = row.tuned.figures[self.objective][0]
                how = f" ({row.tried:,} settings on {row.tuned.split or 'the truth'}: {best:.1f})"
                how = how if row.tried > 1 else " (nothing to tune)"
            found.append(f"{row.entry.name}: {row.settings}{how}")
        for row in self.rows:
            inferred, approximate = find_rule(row.entry.rule).inferred, row.config.approximation
            found += [f"note: {row.entry.name}: {inferred}"] if inferred else []
            found += [f"approximate: {row.entry.name}: {approximate}"] if approximate else []
        return found + [f"left out: {name}: {why}" for name, why in self.left_out.items()]

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        report = self.baseline.report
        return {
            "dataset": self.dataset,
            "split": report.split,
            "clips": report.n_found,
            "clips_in_split": report.n_split,
            "tuned_on": self.baseline.tuned.split if self.baseline.tuned is not None else None,
            "samples": self.samples if self.tuned else None,
            "objective": self.objective,
            "baseline": self.baseline.entry.name,
            "resamples": self.resamples,
            "seed": self.seed,
            "rules": [self._row(row) for row in self.rows],
            "left_out": dict(self.left_out),
        }

    def _row(self, row: RuleRow) -> dict[str, Any]:
        inferred, far = find_rule(row.entry.rule).inferred, {} if row is self.baseline else self.differences(row)
        return {
            "name": row.entry.name,
            "rule": row.entry.rule,
            "settings": row.config.to_dict(),
            "given": dict(row.entry.given),
            "settings_tried": row.tried,
            "figures_tuned": None if row.tuned is None else _figures(row.tuned),
            "figures": _figures(row.report),
            "differences": {
                name: {**_ends("difference", *each), "clear": is_clear(*each[1:])} for name, each in far.items()
            },
            "microseconds_a_clip": 1e6 * row.seconds,
            "inferred": inferred or None,
            "approximation": row.config.approximation or None,
        }

    def __str__(self) -> str:
        """The table and what belongs below it."""
        return "\n".join([aligned(*self.table()), *self.notes()])


def _ends(name: str, value: float, low: float, high: float) -> dict[str, Any]:
    return as_json_numbers({name: value, "low": low, "high": high})


def _figures(report: SplitReport) -> dict[str, Any]:
    return {name: _ends("value", *each) for name, each in report.figures.items()}


def compare_rules(
    cache: FeatureCache,
    report_on: Annotations,
    rules: Sequence[Entry | str] | None = None,
    *,
    tuned_on: Annotations | None = None,
    samples: int = SAMPLES,
    baseline: str = USUAL,
    objective: str | None = None,
    text: str | None = None,
    partial: bool = False,
    seed: int = 0,
    threads: int | None = None,
    memory: int | str = MEMORY,
    progress: Progress | None = None,
) -> RulesCompared:
    """Put decision rules side by side on the same clips.

    Without ``tuned_on`` each rule has the settings that are given of it, else its defaults (AV²A's: the published).
    With it each is tuned there, over equally many settings drawn from its ranges, and the best stays as it is.

    Args:
        cache: an open feature cache.
        report_on: annotations of the split that figures are of.
        rules: names, or what :func:`score.tuning.rule_entries.make_entries` makes; None: all that the cache allows.
        tuned_on: annotations of the split to choose settings on.
        samples: settings of each rule, points of a Sobol sequence.
        baseline: row that differences are from: its name, or its rule's.
        objective: the figure to tune; None: the data set's usual one.
        text: name of the label set in the cache; None if there is one only.
        partial: accept that clips of a split are missing from the cache.
        seed: equal seeds give equal results, processor times aside, whatever the number of threads.
        threads: threads to use, by default one a core.
        memory: as of :func:`score.search`.
        progress: called after each batch of settings.

    Raises:
        ScoreError: an unknown rule or objective, or a cache that does not hold enough for a rule that is named.
        AnnotationError: annotations do not fit the cache.
        KeyboardInterrupt: Ctrl-C came while settings were tried.

    Example:
        >>> found = compare_rules(cache, test, ["av2a", "exchange"], tuned_on=val)
        >>> found.differences(found.rows[1])["segment-type-av"]  # exchange - av2a, and the ends of its 95 % interval
        (13.8, 10.4, 17.1)
    """
    dataset, tuned = find_dataset(report_on.kind), tuned_on is not None
    named = [Entry(name, name, required=False) for name in RULES] if rules is None else rules
    entries = [each if isinstance(each, Entry) else Entry(each, find_rule(each).name) for each in named]
    first = _baseline(entries, baseline)
    entries = [first, *(entry for entry in entries if entry is not first)]
    spaces, left_out = _spaces(cache, report_on, entries, tuned=tuned)
    if first not in [entry for entry, _ in spaces]:
        raise ScoreError(f"{first.name}, from which differences are counted, is left out: {left_out[first.name]}")
    label_set = cache.text(text)
    how: dict[str, Any] = {"text": text, "objective": objective, "samples": samples, "seed": seed, "threads": threads}
    how |= {"partial": partial, "memory": memory}
    counts = [samples if tuned and space.size > 1 else 1 for _, space in spaces]
    rows: list[RuleRow] = []
    wanted = objective
    for number, (entry, space) in enumerate(spaces):
        result = search(
            cache,
            tuned_on or report_on,
            space,
            sampler="grid" if counts[number] == 1 else "sobol",
            report_on=report_on,
            progress=progress and _part_of_all(progress, entry.name, sum(counts[:number]), sum(counts)),
            **how,
        )
        if not result.complete or result.report is None:
            raise KeyboardInterrupt
        wanted, splits, best = result.objectives[0], result.report.splits, result.best.config
        seconds = _seconds_a_clip(cache, best, find_rule(entry.rule).name, label_set, report_on)
        rows.append(RuleRow(entry, best, len(result), splits[0] if tuned else None, splits[-1], seconds))
    return RulesCompared(
        tuple(rows), dataset.name, str(wanted), left_out, tuned, samples, RESAMPLES, seed
    )  # fmt: skip


def _baseline(entries: Sequence[Entry], name: str) -> Entry:
    for known in ({entry.name: entry for entry in entries}, {entry.rule: entry for entry in reversed(entries)}):
        if name in known:
            return known[name]
    raise ScoreError(
        f"no {name!r} to count differences from: `baseline` is one of {', '.join(e.name for e in entries)}"
    )


def _spaces(
    cache: FeatureCache, truth: Annotations, entries: Sequence[Entry], *, tuned: bool
) -> tuple[list[tuple[Entry, Space]], dict[str, str]]:
    """What is tried of each that the cache holds enough for, and why of the others nothing is."""
    found, left_out = [], {}
    for entry in entries:
        try:
            found.append((entry, entry.space(cache, find_dataset(truth.kind), tuned=tuned)))
        except ScoreError as error:
            if entry.required:
                raise ScoreError(f"{entry.name}: {error}") from error
            left_out[entry.name] = str(error)
    return found, left_out


def _part_of_all(progress: Progress, name: str, before: int, total: int) -> Callable[[int, int, float], None]:
    return lambda tried, _, best: progress(name, before + tried, total, best)


def _seconds_a_clip(cache: FeatureCache, config: Any, rule: str, text: TextSet, truth: Annotations) -> float:
    """Processor time of a thread for a clip: the split's clips, or some of them, again and again for a moment."""
    done, names = np.flatnonzero(cache.status() == DONE), cache.clip_ids
    mine = list(match_clips(truth.clip_ids, [names[row] for row in done.tolist()]).values())
    row_bytes = sum(math.prod(shape) for shape in cache.row_shapes.values()) * np.dtype(cache.dtype).itemsize
    rows = (done[mine] if mine else done)[: max(1, min(_TIMED_CLIPS, _TIMED_BYTES // row_bytes))]
    features = cache.read(np.sort(rows))
    parts = [part_of(features, slice(at, at + _CLIPS_AT_ONCE)) for at in range(0, len(features), _CLIPS_AT_ONCE)]
    scorer = find_rule(rule).scorer(find_rule(rule).fitting(cache, config), text, cache)
    scorer.score(parts[0])  # compiled and warm
    passes, began = 0, time.thread_time()
    while not passes or time.thread_time() - began < _TIMED_SECONDS:
        for part in parts:
            scorer.score(part)
        passes += 1
    return (time.thread_time() - began) / (passes * len(features))
