"""Figures of sed_eval 0.2.1 for random events, written to sed_eval.json beside this file.

In an environment of its own: pip install sed_eval==0.2.1 'setuptools<81', then python make.py. Figures over all events
are of the labels of truth and prediction, means over labels of those that are true somewhere.
"""

import json
import math
import random
from pathlib import Path
from typing import Any

import sed_eval

CASES = 40
RESOLUTION = 1.0
Row = tuple[str, str, float, float]
"""Clip, label, onset, offset."""


def events(
    rng: random.Random, labels: list[str], clips: list[str], most: int, true: list[Row] | None = None
) -> list[Row]:
    """Events of each clip: random ones, and true ones that are moved a little."""
    found: list[Row] = []
    for clip in clips:
        near = [each for each in true or [] if each[0] == clip and rng.random() < 0.7]
        for _, label, onset, offset in near:
            moved = [onset + rng.choice((0, 0.1, 0.2, -0.1, 0.3)), offset + rng.choice((0, 0.1, -0.4, 1.0))]
            if 0 <= moved[0] < moved[1]:
                said = label if rng.random() < 0.8 else rng.choice(labels)
                found.append((clip, said, round(moved[0], 3), round(moved[1], 3)))
        for _ in range(rng.randrange(most)):
            onset = round(rng.uniform(0, 9), rng.choice((0, 1, 3)))
            found.append((clip, rng.choice(labels), onset, round(onset + rng.choice((0.3, 1, 2.5, 7)), 3)))
    rng.shuffle(found)
    return found


def listed(rows: list[Row], clip: str) -> list[dict[str, Any]]:
    return [
        {"filename": clip, "event_label": label, "onset": onset, "offset": offset}
        for of, label, onset, offset in rows
        if of == clip
    ]


def figures(true: list[Row], found: list[Row], collar: float) -> dict[str, float | None]:
    """Overall figures over all labels; means over the labels that are true somewhere."""
    every = sorted({row[1] for row in [*true, *found]})
    there = sorted({row[1] for row in true})
    out: dict[str, float | None] = {}
    for level in ("event", "segment"):
        both: list[Any] = []
        for labels in (every, there):
            if level == "event":
                metric = sed_eval.sound_event.EventBasedMetrics(event_label_list=labels, t_collar=collar)
            else:
                metric = sed_eval.sound_event.SegmentBasedMetrics(event_label_list=labels, time_resolution=RESOLUTION)
            for clip in sorted({row[0] for row in [*true, *found]}):
                ours = [row for row in found if row[1] in labels]
                metric.evaluate(listed(true, clip), listed(ours, clip))
            both.append(metric)
        overall, mean = both[0].results_overall_metrics(), both[1].results_class_wise_average_metrics()
        for name, where in (("", overall), ("class-", mean)):
            flat = {**where["f_measure"], **where["error_rate"]}
            for key, value in flat.items():
                short = {"f_measure": "f1"}.get(key, key.replace("_", "-"))
                out[f"{level}-{name}{short}"] = None if math.isnan(value) else value
    return out


def main() -> None:
    cases = []
    for seed in range(CASES):
        rng = random.Random(seed)
        labels = ["dog", "cat", "speech", "rain"][: rng.randrange(1, 5)]
        clips = ["a", "b", "c"][: rng.randrange(1, 4)]
        true = events(rng, labels, clips, rng.choice((2, 4, 8, 12))) or [("a", "dog", 0, 1)]
        found = events(rng, labels, clips, rng.choice((1, 3, 8)), true)
        collar = rng.choice((0.2, 0.2, 0.5, 1.0))
        cases.append({"true": true, "found": found, "collar": collar, "figures": figures(true, found, collar)})
    text = "[\n" + ",\n".join(json.dumps(each) for each in cases) + "\n]\n"
    Path(__file__).with_name("sed_eval.json").write_text(text)


main()
