"""The rules on the demo: each tuned on 48 validation clips, then frozen, on its test clips and on clips of other seeds.

    python -m benchmarks.rules_on_demo [--demos DIR] [--samples N]

Makes and extracts the demos of five seeds unless DIR holds them already: minutes. Every rule is tuned over equally many
settings. Figures are Type@AV by segment and by event, of the validation and the test clips of seed 0, and of the 96
clips of each other seed; the last column is the paired difference from AV²A over the clips of all other seeds.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from extract import ExtractOptions, extract_videos
from extract.demo import make_demo
from feature_cache import FeatureCache
from score import Annotations, ScoreConfig, ScoreError, compare_rules, evaluate, read_annotations, score
from score.bootstrap import RESAMPLES, interval_ends, resample_means
from score.comparison import with_interval
from score.rules import RULES
from score.tuning.rule_entries import Entry
from score.tuning.rules_compared import RuleRow

TUNED, OTHERS = 0, (11, 21, 31, 41)
PUBLISHED = ScoreConfig.published("tiny").to_dict()
FIGURES = ("segment-type-av", "event-type-av")
ROWS: Sequence[tuple[str, str, Mapping[str, Any]]] = (
    ("AV²A, sound of the clip (the paper's)", "av2a", {"sound": "clip"}),
    ("AV²A, settings published for tiny", "av2a", PUBLISHED),
    ("AV²A, sound of windows", "av2a", {"sound": "windows"}),
    ("threshold, probability", "threshold", {"sound": "windows"}),
    (
        "threshold, cosine, AV²A's run rule",
        "threshold",
        {"sound": "windows", "compared": "cosine", "smoothing": "runs"},
    ),
    ("threshold, cosine, penalty", "threshold", {"sound": "windows", "compared": "cosine"}),
    ("intervals", "intervals", {}),
    ("scope", "scope", {}),
    ("scope, nothing taken off", "scope", {"center": "none", "center_labels": False}),
    ("exchange, sound of the clip", "exchange", {"sound": "clip"}),
    ("exchange, sound of windows (w2)", "exchange", {"sound": "windows"}),
    ("exchange, sound of segments", "exchange", {"sound": "segments"}),
    ("exchange, w2, the cache's mean taken off", "exchange", {"sound": "windows", "center": "cache"}),
    (
        "exchange, w2, default settings",
        "exchange",
        {"sound": "windows", "cost": 0.5, "eta": 4.0, "run_penalty": 0.3},
    ),
)


def demo(folder: Path, seed: int) -> tuple[FeatureCache, dict[str, Annotations]]:
    """The clips of a seed, made and extracted where they are not there."""
    place = folder / f"seed{seed}"
    if not (place / "features.zarr").exists():
        began = time.perf_counter()
        make_demo(place, seed=seed)
        known = {each.name for each in fields(ExtractOptions)}
        more: dict[str, Any] = {"audio_segments": True} if "audio_segments" in known else {}
        options = ExtractOptions(backbone="tiny", **more)
        done = extract_videos(place / "videos", place / "features.zarr", options).done
        print(f"seed {seed}: {done} clips made and extracted in {time.perf_counter() - began:.0f} s")
    truth = {split: read_annotations("llp", place / "annotations", split=split) for split in ("val", "test")}
    return FeatureCache.open(place / "features.zarr"), truth


def figures_by_clip(row: RuleRow, cache: FeatureCache, truth: Mapping[str, Annotations]) -> Any:
    """Figures of the clips of both splits, float64 (96, 2), in percent."""
    events = score(cache, row.config)
    found = []
    for each in truth.values():
        by_clip = evaluate(events, each).measured.by_clip
        found.append(np.column_stack([by_clip[name] for name in FIGURES]))
    return np.concatenate(found)


def pair(values: Sequence[float]) -> str:
    return "/".join(f"{value:.1f}" for value in values)


def tune(cache: FeatureCache, truth: Mapping[str, Annotations], samples: int) -> list[RuleRow]:
    """Every row that the cache holds enough for, tuned on validation clips and measured on test clips."""
    rows: list[RuleRow] = []
    for name, rule, given in ROWS:
        if rule not in RULES:
            continue
        began = time.perf_counter()
        try:
            entry = Entry(name, rule, given)
            found = compare_rules(
                cache, truth["test"], [entry], tuned_on=truth["val"], samples=samples, baseline=rule
            ).baseline
        except ScoreError as error:
            print(f"left out: {error}")
            continue
        print(f"{found.settings}  ({found.tried:,} settings, {time.perf_counter() - began:.1f} s)  {name}")
        rows.append(found)
    return rows


def compare(folder: Path, samples: int) -> None:
    cache, truth = demo(folder, TUNED)
    others = [demo(folder, seed) for seed in OTHERS]
    rows = tune(cache, truth, samples)
    elsewhere = [[figures_by_clip(row, *each) for each in others] for row in rows]
    heads = ["rule", "val", "test", *(f"seed {seed}" for seed in OTHERS), "from AV²A, segment", "from AV²A, event"]
    print(f"\n| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    for row, found in zip(rows, elsewhere, strict=True):
        assert row.tuned is not None
        own = [pair([report.figures[name][0] for name in FIGURES]) for report in (row.tuned, row.report)]
        own += [pair(np.mean(each, axis=0).tolist()) for each in found]
        far = np.concatenate(found) - np.concatenate(elsewhere[0])
        ends = interval_ends(resample_means(far, RESAMPLES))
        more = [with_interval(float(mean), *map(float, end)) for mean, end in zip(far.mean(axis=0), ends, strict=True)]
        print("| " + " | ".join([row.entry.name, *own, *(more if found is not elsewhere[0] else ("", ""))]) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demos", type=Path, help="folder for demos and features [default: a temporary one]")
    parser.add_argument("--samples", type=int, default=1024, help="settings of each rule [default: 1024]")
    options = parser.parse_args()
    if options.demos is not None:
        compare(options.demos, options.samples)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options.samples)


if __name__ == "__main__":
    main()
