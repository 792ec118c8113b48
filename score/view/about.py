"""What a report says of whole files of events: settings, cache, counts, failures, figures, as JSON."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from feature_cache import FeatureCache
from feature_cache.names import escaped
from score.choices import STREAMS
from score.comparison import Comparison, is_clear
from score.datasets import find_dataset
from score.evaluation import Report
from score.event_facts import EventFacts
from score.formats.base import EventBlock
from score.rules import USUAL, rule_of

Words = Callable[[str], str]
_OF_CACHE = (
    "path", "identity", "kind", "backbone", "clips", "done", "failed", "pending", "without_picture", "without_sound",
    "segments", "segment_seconds", "windows_kept", "audio_per_segment", "dtype",
)  # fmt: skip


def about_system(name: str, facts: EventFacts, events: EventBlock, labels: int, notes: Sequence[str]) -> dict[str, Any]:
    """Of one system: its rule and settings, its cache, numbers of clips and of events.

    Args:
        name: the system's.
        facts: of its events.
        events: under the report's numbers.
        labels: number of the report's labels.
        notes: what is to be said of its file.
    """
    counts = np.zeros((labels, len(STREAMS)), dtype=np.int64)
    np.add.at(counts, (events.label, events.stream), 1)
    rule = None if facts.config is None else rule_of(facts.config)
    remarks = [f"approximate: {facts.approximation}"] if facts.approximation else []
    remarks += [facts.inferred] if facts.inferred else []
    missing = list(facts.missing.values())
    return {
        "name": name,
        "rule": None if rule is None else rule.name,
        "about": "" if rule is None or rule.name == USUAL else rule.about,
        "settings": {**facts.settings, **facts.after_processing},
        "cache": facts.cache,
        "clips": len(facts.clip_ids),
        "events": len(events),
        "counts": counts.ravel().tolist(),
        "left_out": {status: count for status, count in facts.left_out.items() if count},
        "without": {what: count for what in ("picture", "sound") if (count := missing.count(what))},
        "notes": [*remarks, *notes],
    }


def about_cache(cache: FeatureCache, words: Words) -> tuple[dict[str, Any], list[list[str]]]:
    """Of a cache: what it holds, and the clips that failed, each with its reason.

    Args:
        cache: the cache.
        words: how a reason is worded.
    """
    facts = cache.describe()
    shown = {name.replace("_", " "): facts[name] for name in _OF_CACHE if name in facts}
    shown["path"] = escaped(str(shown["path"]))
    shown["label sets"] = ", ".join(f"{name} ({len(labels)})" for name, labels in facts["text_sets"].items())
    return shown, [[clip, escaped(words(reason))] for clip, reason in cache.reasons().items()]


def about_report(name: str, report: Report) -> dict[str, Any]:
    """Figures of one system with their 95 % intervals, and its tables by label."""
    intervals = report.intervals()
    rows = [
        [figure, [_number(report.metrics[figure])], [_number(low), _number(high)]]
        for figure, (low, high) in intervals.items()
        if not math.isnan(report.metrics[figure])
    ]
    tables = [
        {"header": list(header), "rows": [[_cell(value) for value in row] for row in found]}
        for header, found in report.tables(per_class=True)[1:]
    ]
    return {**_about(report, report.n_split), "systems": [name], "rows": rows, "tables": tables}


def about_comparison(found: Comparison) -> dict[str, Any]:
    """Figures of several systems, and how far each is from the first, with paired 95 % intervals."""
    reports = found.reports
    differences = {name: found.differences(name) for name in found.intervals}
    rows = []
    for figure in found.figures:
        values = [_number(each.metrics[figure]) for each in reports.values()]
        if any(value is not None for value in values):
            more = [[*map(_number, of[figure]), is_clear(*of[figure][1:])] for of in differences.values()]
            rows.append([figure, values, more])
    about = _about(reports[found.base], found.clips_in_split)
    return {**about, "systems": list(reports), "rows": rows, "tables": [], "resamples": found.resamples}


def _about(report: Report, in_split: int) -> dict[str, Any]:
    notes = [f"{report.ignored} {report.left_out} were left out"] if report.ignored else []
    dataset = find_dataset(report.kind)
    return {
        "dataset": dataset.title,
        "objective": dataset.objective,
        "split": report.split,
        "clips": report.n_found,
        "in_split": in_split,
        "notes": [*notes, *report.notes],
    }


def _number(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _cell(value: object) -> Any:
    if isinstance(value, float):
        return _number(value)
    return value if isinstance(value, int) else str(value)
