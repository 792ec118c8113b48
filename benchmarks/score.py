"""score(): 1,200 LanguageBind-sized clips (D = 768, 25 labels, float16), one setting, beside the plain NumPy reference.

    python -m benchmarks.score            # under a minute
    python -m benchmarks.score --quick    # a small run

In one run: reading alone; score() with the files dropped from the page cache, and again; score() beyond reading, on
embeddings in memory; the reference with its logits by `@` (as fast as plain NumPy goes) and in the kernels' order.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import cores, describe_machine, load
from benchmarks.search import make_clips
from feature_cache import FeatureCache, Features, TextSet
from score import ScoreConfig, score
from score.kernels.scorer import Scorer
from score.reference.scoring import ClipLogits, clip_logits, score_clip

CONFIG = ScoreConfig.published("language_bind")
SECONDS, TIMES = 2.0, 100.0
"""What is aimed at: seconds for all, and times the reference beyond reading."""


def timed(work: Callable[[], Any], repeats: int = 1) -> float:
    """Seconds of the fastest of some runs."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def drop_pages(folder: Path) -> None:
    """Write a folder's files to disk and drop them from the page cache, where the system can."""
    for file in folder.rglob("*"):
        if file.is_file() and sys.platform == "linux":
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def plain_logits(features: Features, i: int, text: TextSet) -> ClipLogits:
    """Logits as anyone would write them: matrix products, in float64."""
    image, video, audio = (values[i].astype(np.float64) for values in (features.image, features.video, features.audio))
    norms = np.maximum(np.linalg.norm(image, axis=1), 1e-8)
    cosine = (image[:-1] * image[1:]).sum(axis=1) / (norms[:-1] * norms[1:])
    visual, sound = text.visual.astype(np.float64).T, text.audio.astype(np.float64).T
    return ClipLogits(image @ visual, video @ visual, audio @ sound, cosine)


def reference_seconds(cache: FeatureCache, clips: int, ordered: bool) -> float:
    """Seconds a clip of the plain NumPy reference, from embeddings in memory."""
    features, text = cache.read(range(clips)), cache.text()

    def work() -> None:
        for i in range(clips):
            if ordered:
                clip = clip_logits(features.image[i], features.video[i], features.audio[i], text.visual, text.audio)
            else:
                clip = plain_logits(features, i, text)
            score_clip(clip, text.labels, CONFIG)

    return timed(work, 3) / clips


def kernel_seconds(cache: FeatureCache, threads: int) -> float:
    """Seconds a clip of what score() does with embeddings in memory."""
    shards = list(cache.iter_shards())
    scorer = Scorer(CONFIG, cache.text(), cache.segments)
    with ThreadPoolExecutor(threads) as pool:
        return timed(lambda: list(pool.map(scorer.score, shards)), 10) / len(cache)


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small run")
    clips, repeats, sample = (64, 1, 8) if parser.parse_args().quick else (1200, 5, 50)
    threads = cores()
    print(describe_machine())
    print(f"load before: {load()} (over 0.5 or so, others are at work, and the figures are theirs too)")
    with tempfile.TemporaryDirectory() as folder:
        cache, _ = make_clips(Path(folder), clips)
        print(f"compiling, or loading what is compiled: {timed(lambda: score(cache, CONFIG)):.2f} s")
        drop_pages(Path(folder))
        cold = timed(lambda: score(FeatureCache.open(cache.path), CONFIG))
        warm = timed(lambda: score(FeatureCache.open(cache.path), CONFIG), repeats)
        read = timed(lambda: sum(map(len, FeatureCache.open(cache.path).iter_shards())), repeats)
        alone, all_cores = kernel_seconds(cache, 1), kernel_seconds(cache, threads)
        plain, ordered = reference_seconds(cache, sample, False), reference_seconds(cache, sample, True)
        events = len(score(cache, CONFIG))
    print(f"{clips:,} clips, {events:,} events")
    print(f"reading alone                       {read:8.3f} s   {1e6 * read / clips:9.1f} us a clip")
    print(f"score(), files in the page cache    {warm:8.3f} s   {1e6 * warm / clips:9.1f} us a clip")
    print(f"score(), files dropped from it      {cold:8.3f} s   {1e6 * cold / clips:9.1f} us a clip")
    print(f"beyond reading, 1 thread            {alone * clips:8.3f} s   {1e6 * alone:9.1f} us a clip")
    print(f"beyond reading, {threads} threads           {all_cores * clips:8.3f} s   {1e6 * all_cores:9.1f} us a clip")
    print(f"plain NumPy, logits by @                         {1e6 * plain:9.1f} us a clip")
    print(f"plain NumPy, logits in the kernels' order        {1e6 * ordered:9.1f} us a clip")
    print(f"under {SECONDS:g} s, reading included: {max(cold, warm):.2f} s, {verdict(max(cold, warm) < SECONDS)}")
    print(
        f"at least {TIMES:g} times plain NumPy beyond reading: {plain / all_cores:.0f} times on {threads} threads "
        f"({plain / alone:.0f} on one), {verdict(plain >= TIMES * all_cores)}"
    )


if __name__ == "__main__":
    main()
