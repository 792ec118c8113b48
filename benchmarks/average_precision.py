"""Mean average precision of a million ranked events, beside a plain NumPy loop over them; searches on it.

    python -m benchmarks.average_precision            # two or three minutes
    python -m benchmarks.average_precision --quick    # a small run

In one run, on one core: matching at nine thresholds and average precisions of 100 classes of 10,000 predicted events
each in 1,000 files; the plain loop, one event after another, on some of the classes, with figures that must be equal;
resamples of the files, for intervals. Then a search over files of four clips of LanguageBind's size each, beside
score() and evaluate() of one setting after another. Seconds are of processor time.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine, load
from benchmarks.search import make_clips
from score import Annotations, Space, evaluate, score, search
from score.datasets.mean_ap import THRESHOLDS, measure_ranked
from score.timelines import Spans

SECONDS = 2.0
"""What is aimed at, for all of it."""


def make_events(classes: int, each: int, files: int, seed: int = 0) -> tuple[Spans, Annotations, tuple[str, ...]]:
    """Files of 40 s with some five true events each; one predicted event in four lies near a true one of its class."""
    rng = np.random.default_rng(seed)
    labels, clips = tuple(f"class {k}" for k in range(classes)), tuple(f"file {k}" for k in range(files))
    count = 5 * files
    true = np.column_stack([rng.integers(0, files, count), rng.integers(0, classes, count)])
    true[:classes, 1] = np.arange(classes)
    onset = rng.uniform(0, 35, count)
    offset = onset + rng.uniform(0.5, 20, count)
    audiovisual: dict[str, list[tuple[str, float, float]]] = {clip: [] for clip in clips}
    for (clip, label), begin, end in zip(true.tolist(), onset.tolist(), offset.tolist(), strict=True):
        audiovisual[clips[clip]].append((labels[label], begin, end))
    total = classes * each
    label = np.repeat(np.arange(classes), each)
    clip, start = rng.integers(0, files, total), rng.uniform(0, 35, total)
    end = start + rng.uniform(0.5, 20, total)
    near = np.flatnonzero(rng.random(total) < 0.25)
    order = np.argsort(true[:, 1], kind="stable")
    first = np.searchsorted(true[order, 1], np.arange(classes + 1))
    pick = order[(first[label[near]] + rng.random(len(near)) * np.diff(first)[label[near]]).astype(int)]
    clip[near] = true[pick, 0]
    start[near] = onset[pick] + rng.normal(0, 1, len(near))
    end[near] = np.maximum(offset[pick] + rng.normal(0, 1, len(near)), start[near] + 0.1)
    mixed = rng.permutation(total)
    spans = Spans(
        clips, clip[mixed].astype(np.int32), np.zeros(total, np.int8), label[mixed].astype(np.int32), start[mixed],
        end[mixed], rng.random(total),
    )  # fmt: skip
    return spans, Annotations("unav-100", "test", clips, audiovisual, audiovisual, audiovisual), labels


def plain_precisions(spans: Spans, truth: Annotations, labels: tuple[str, ...], number: int) -> NDArray[np.float64]:
    """Average precisions of a class as one would write them in NumPy: an event at a time, all its true ones at once."""
    mine = np.flatnonzero(spans.label == number)
    mine = mine[np.argsort(-spans.score[mine], kind="stable")]
    true = {
        clip: np.array([event[1:] for event in (truth.audiovisual or {})[clip] if event[0] == labels[number]])
        for clip in truth.clip_ids
    }
    taken = {clip: np.zeros((len(THRESHOLDS), len(events)), dtype=bool) for clip, events in true.items()}
    hits = np.zeros((len(THRESHOLDS), len(mine)))
    for at, row in enumerate(mine):
        clip, onset, offset = spans.clips[spans.clip[row]], spans.onset[row], spans.offset[row]
        events = true[clip]
        if not len(events):
            continue
        common = np.maximum(0, np.minimum(offset, events[:, 1]) - np.maximum(onset, events[:, 0]))
        iou = common / ((events[:, 1] - events[:, 0]) + (offset - onset) - common)
        order = np.argsort(-iou, kind="stable")
        for h, threshold in enumerate(THRESHOLDS):
            for m in order:
                if iou[m] < threshold:
                    break
                if not taken[clip][h, m]:
                    taken[clip][h, m] = hits[h, at] = True
                    break
    right = np.cumsum(hits, axis=1)
    precision = right / np.arange(1, len(mine) + 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    result: NDArray[np.float64] = (hits * best).sum(axis=1) / sum(map(len, true.values()))
    return result


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small run")
    quick = parser.parse_args().quick
    classes, each, files, some, resamples = (10, 1000, 100, 2, 100) if quick else (100, 10_000, 1000, 5, 1000)
    print(describe_machine())
    print(f"load before: {load()}")
    print(f"compiling, or loading what is compiled: {timed(lambda: measure_ranked(*make_events(2, 10, 5)))[0]:.2f} s")
    spans, truth, labels = make_events(classes, each, files)
    runs = [timed(lambda: measure_ranked(spans, truth, labels)) for _ in range(5)]
    best, measured = min(seconds for seconds, _ in runs), runs[0][1]
    events = len(spans.label)
    print(f"{events:,} events of {classes} classes in {files:,} files, mean AP {measured.metrics['map']:.2f} %")
    print(f"matching at {len(THRESHOLDS)} thresholds and all figures  {best:8.3f} s")
    plain, found = timed(lambda: [plain_precisions(spans, truth, labels, number) for number in range(some)])
    for number, values in enumerate(found):
        ours = [measured.per_class[labels[number]][f"ap-{threshold}"] for threshold in THRESHOLDS]
        np.testing.assert_allclose(ours, 100 * values, rtol=1e-9)
    print(f"the plain loop, {some} of the classes            {plain:8.3f} s, {plain * classes / some:.1f} s for all")
    again = timed(lambda: measured.resampled(resamples, 0, 1))[0]
    print(f"{resamples:,} resamples of the files, one thread  {again:8.3f} s")
    times = plain * classes / some / best
    met = "met" if best < SECONDS else "MISSED"
    print(f"under {SECONDS:g} s: {best:.2f} s, {met}; {times:.0f} times as fast as the plain loop")
    with tempfile.TemporaryDirectory() as folder:
        time_search(Path(folder), 64 if quick else 2000, 8 if quick else 64)


def time_search(folder: Path, clips: int, settings: int) -> None:
    """A search over files, and its settings one by one."""
    cache, truth = make_clips(folder, clips)
    files = {clip: (f"file {number // 4}", 10.0 * (number % 4)) for number, clip in enumerate(cache.clip_ids)}
    cache.update_attributes({"clips_from": {clip: list(place) for clip, place in files.items()}})
    found: dict[str, list[tuple[str, float, float]]] = {}
    for clip, (file, begin) in files.items():
        events = truth.visual.get(clip, ())
        found.setdefault(file, []).extend((label, begin + onset, begin + offset) for label, onset, offset in events)
    truth = Annotations("unav-100", "val", tuple(found), found, found, found)
    space = Space(alpha=np.linspace(0, 1, settings).tolist())
    search(cache, truth, Space(alpha=[0.5]))
    seconds, result = timed(lambda: search(cache, truth, space))
    print(f"search: {settings} settings on {clips:,} clips in {len(found):,} files   {seconds:8.3f} s", end="")
    print(f", {settings * clips / seconds:,.0f} clip-settings a second of a core")
    some = range(0, settings, 8)
    alone = timed(lambda: [evaluate(score(cache, result.space.config(result.parameters[row])), truth) for row in some])
    print(f"score() and evaluate(), {len(some)} of them   {alone[0]:8.3f} s", end="")
    print(f", {len(some) * clips / alone[0]:,.0f} clip-settings a second of a core")
    for row, report in zip(some, alone[1], strict=True):
        assert list(report.metrics.values()) == result.metrics[row].tolist()


if __name__ == "__main__":
    main()
