"""Decision rules: figures of a grid of settings of each over many clips, and one setting of each from embeddings.

    python -m benchmarks.rules            # a minute or two
    python -m benchmarks.rules --quick    # a small run

The clips of benchmarks.search: LanguageBind's sizes, 25 labels. Each grid is one that a person would choose; reading
and what is kept of a clip are not in its time. Beside it AV²A's plain NumPy reference with its metrics, a setting at a
time: what a person would run otherwise. Processor time says what a core does where others are at work.
"""

import argparse
import functools
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.machine import describe_machine, load
from benchmarks.score import timed, verdict
from benchmarks.search import make_clips, reference_rate, report, sweep
from feature_cache import FeatureCache
from score import Annotations, Space
from score.rules import RULES, Rule
from score.tuning.sweeper import Sweeper

THREADS = 2
GRIDS: dict[str, Mapping[str, str]] = {
    "av2a": {
        "alpha": "0:1:0.1",
        "filter_threshold": "0.4:0.7:0.05",
        "threshold_stage1": "0.6:0.9:0.05",
        "gamma": "1,2",
    },
    "exchange": {"cost": "0.3:0.7:0.1", "eta": "0:16:2", "run_penalty": "0:0.8:0.1"},
    "intervals": {"threshold": "0.5:0.95:0.05", "window_penalty": "0:2:0.25", "alpha": "0:1:0.25"},
    "scope": {"cost": "0.1:0.5:0.1", "eta_visual_to_audio": "0:16:4", "eta_audio_to_visual": "0:16:4"},
    "threshold": {"threshold": "0.5:0.95:0.025", "run_penalty": "0:0.8:0.1"},
}
AIMS = {"av2a": 1_000_000, "exchange": 1_000_000, "intervals": 1_000_000, "scope": 200_000, "threshold": 1_000_000}
"""Clip-settings a second."""


def seconds_of_one(rule: Rule, cache: FeatureCache, threads: int) -> float:
    """Seconds a clip of what score() does with embeddings in memory, under the rule's usual settings."""
    config = rule.fitting(cache, rule.settings(cache, {}))
    scorer, shards = rule.scorer(config, cache.text(), cache), list(cache.iter_shards())
    scorer.score(shards[0])
    with ThreadPoolExecutor(threads) as pool:
        return timed(lambda: list(pool.map(scorer.score, shards)), 5) / len(cache)


def rate_of_grid(rule: Rule, cache: FeatureCache, truth: Annotations, repeats: int) -> float:
    """Clip-settings a second of a core, by processor time, of a rule's grid."""
    held = Sweeper(cache, truth, threads=THREADS)
    space = held.completed(Space(rule=rule.name, **GRIDS.get(rule.name, {})))
    few = held.completed(Space(rule=rule.name))
    reading = timed(lambda: sweep(held, few, "grid", 0))
    print(f"{rule.name}: reading, and what is kept of a clip: {reading:.2f} s (compiling, where it is the first time)")
    began = time.process_time()
    seconds = timed(functools.partial(sweep, held, space, "grid", 0), repeats)
    processor = (time.process_time() - began) / repeats
    report(f"av2a search --rule {rule.name}, {THREADS} threads", space.size, len(cache), seconds)
    rate = space.size * len(cache) / processor
    print(f"    processor time {processor:.2f} s: {rate:,.0f} a second of one core")
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small run")
    parser.add_argument("--rule", choices=list(RULES), help="one alone")
    options = parser.parse_args()
    clips, repeats = (60, 1) if options.quick else (1200, 3)
    print(describe_machine())
    print(f"load before: {load()} (over 0.5 or so, others are at work, and the figures are theirs too)")
    with tempfile.TemporaryDirectory() as folder:
        cache, truth = make_clips(Path(folder), clips)
        slow = reference_rate(cache, truth, min(clips, 100), 4)
        for rule in RULES.values():
            if options.rule in (None, rule.name):
                rate = rate_of_grid(rule, cache, truth, repeats)
                aim = AIMS.get(rule.name, 0)
                met = verdict(rate * THREADS >= aim)
                print(f"    {rate / slow:,.0f} times AV²A's reference; at least {aim:,} on {THREADS} cores: {met}")
                one, more = (1e6 * seconds_of_one(rule, cache, threads) for threads in (1, THREADS))
                print(f"    one setting from embeddings: {one:.1f} us a clip on 1 thread, {more:.1f} on {THREADS}")
    print(f"load after: {load()}")


if __name__ == "__main__":
    main()
