"""Search: figures of many settings over many clips, beside what a person would run otherwise.

    python -m benchmarks.search            # a minute or two
    python -m benchmarks.search --quick    # a small run
    python -m benchmarks.search --large    # 10,000 clips and a million settings as well
    python -m benchmarks.search --one-label       # one label a segment: OV-AVEBench's clips, labels and figures
    python -m benchmarks.search --joint           # the audiovisual stream of joint embeddings beside the mixed one
    python -m benchmarks.search --blocks 100000   # memory alone: so many clips, in memory and in blocks

In one run: our sweep; the plain NumPy reference with the metrics of one setting at a time; a person's NumPy, vectorised
over clips, of the visual, audio and audiovisual label shift alone (no refinement, no metrics: a lower bound).
"""

import argparse
import functools
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine, peak_memory
from feature_cache import FeatureCache
from score import Annotations, ScoreConfig, Space, evaluate, score, search
from score.reference.scoring import clip_logits, score_clip
from score.tuning.samplers import SAMPLERS
from score.tuning.sweeper import Sweeper

LABELS = tuple(f"label {k}" for k in range(25))


def make_clips(
    folder: Path, clips: int, seed: int = 0, *, joint: bool = False
) -> tuple[FeatureCache, Annotations]:  # fmt: skip
    """LanguageBind-sized embeddings in which one to three labels come and go, and annotations of when they do.

    With joint embeddings, which say what picture and sound do on average, where they are asked for.
    """
    rng = np.random.default_rng(seed)
    dims = 768
    text = rng.standard_normal((len(LABELS), dims)).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    bounds = [(0, 10)] + [(s, e) for s in range(9) for e in range(s + 2, 11)]
    arrays: dict[str, list[Any]] = {"image": [], "video": [], "audio": [], "joint": []}
    events: dict[str, dict[str, list[tuple[str, float, float]]]] = {}
    ids = [f"clip{i:06d}" for i in range(clips)]
    for clip in ids:
        found = events.setdefault(clip, {"visual": [], "audio": []})
        level = np.zeros((2, 10, len(LABELS)))
        for k in rng.choice(len(LABELS), size=int(rng.integers(1, 4)), replace=False):
            start = int(rng.integers(0, 9))
            end = int(rng.integers(start + 1, 11))
            for side, name in enumerate(("visual", "audio")):
                if rng.random() < 0.75:
                    level[side, start:end, k] = 1.0
                    found[name].append((LABELS[k], start, end))
        mean = np.stack([level[:, s:e].mean(axis=1) for s, e in bounds], axis=1)
        for name, strength, rows in (
            ("image", level[0], 10),
            ("video", mean[0], 46),
            ("audio", mean[1], 46),
            *([("joint", mean.mean(axis=0), 46)] if joint else []),
        ):
            values = strength @ text + 0.045 * rng.standard_normal((rows, dims))
            values /= np.linalg.norm(values, axis=1, keepdims=True)
            arrays[name].append(values.astype(np.float16))
    cache = FeatureCache.from_arrays(
        folder / f"clips{clips}_{seed}.zarr",
        clip_ids=ids,
        backbone="language_bind",
        image=np.stack(arrays["image"]),
        video=np.stack(arrays["video"]),
        audio=np.stack(arrays["audio"]),
        joint=np.stack(arrays["joint"]) if joint else None,
    )
    cache.add_text("made", labels=LABELS, visual=text, audio=text, joint=text if joint else None)
    return cache, Annotations.from_events(events)


def mixed_and_joint(folder: Path, clips: int, values: int, points: int) -> None:
    """Searches and scoring with both kinds of audiovisual stream, in turn, by one thread's processor time."""
    cache, truth = make_clips(folder, clips, joint=True)
    one = ScoreConfig.published("language_bind")
    for kind in ("mixed", "joint", "mixed", "joint"):
        sweeper = Sweeper(cache, truth, threads=1)
        for sampler, space, count in (("grid", grid_of(values), 0), ("sobol", grid_of(2), points)):
            space = Space(**{**space.given, "audiovisual": kind})
            sweep(sweeper, Space(**{**grid_of(1).given, "audiovisual": kind}), "grid", 0)
            total = space.size if sampler == "grid" else count
            seconds = processor_time(functools.partial(sweep, sweeper, space, sampler, count))
            report(f"av2a search, {kind}, {sampler}", total, clips, seconds)
        scoring = functools.partial(score, cache, one.replace(audiovisual=kind), threads=1)
        scoring()
        report(f"av2a score, {kind}", 1, clips, processor_time(scoring))


def make_one_label(folder: Path, clips: int, labels: int, seed: int = 0) -> tuple[FeatureCache, Annotations]:
    """A cache of OV-AVEBench's kind: one event a clip, seen and heard at once, or none in a quarter of them."""
    rng = np.random.default_rng(seed)
    dims = 96
    names = tuple(f"label {k}" for k in range(labels))
    text = rng.standard_normal((labels, dims)).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    bounds = [(0, 10)] + [(s, e) for s in range(9) for e in range(s + 2, 11)]
    label, start = rng.integers(0, labels, clips), rng.integers(0, 9, clips)
    end = start + 1 + (rng.random(clips) * (10 - start)).astype(np.int64)
    end[rng.random(clips) < 0.25] = 0
    there = (np.arange(10) >= start[:, None]) & (np.arange(10) < end[:, None])
    share = np.stack([there[:, s:e].mean(axis=1) for s, e in bounds], axis=1)

    def embedded(strength: Any) -> Any:
        values = strength[..., None] * text[label][:, None] + 0.1 * rng.standard_normal((*strength.shape, dims))
        return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float16)

    ids = [f"clip{i:06d}" for i in range(clips)]
    cache = FeatureCache.from_arrays(
        folder / f"one_label{clips}.zarr", clip_ids=ids, backbone="language_bind", shard_size=256,
        image=embedded(there.astype(float)), video=embedded(share), audio=embedded(share),
    )  # fmt: skip
    cache.add_text("made", labels=names, visual=text, audio=text)
    events: dict[str, list[tuple[str, float, float]]] = {
        clip: [(names[label[i]], float(start[i]), float(end[i]))] if end[i] else [] for i, clip in enumerate(ids)
    }
    rows = {clip: [found] for clip, found in events.items()}
    groups = {clip: int(label[i] >= labels * 2 // 3) for i, clip in enumerate(ids)}
    return cache, Annotations("ov-avebench", "val", tuple(ids), events, events, listed=rows, groups=groups)


def one_label(folder: Path, clips: int, values: int, points: int) -> None:
    """The figures of one label a segment, on as many clips and labels as OV-AVEBench's validation split has."""
    cache, truth = make_one_label(folder, clips, 67)
    sweeper = Sweeper(cache, truth)
    print(
        f"{clips:,} clips, 67 labels, reading and logits: {timed(lambda: sweep(sweeper, grid_of(1), 'grid', 0)):.2f} s"
    )
    for sampler, space, count in (("grid", grid_of(values), 0), ("sobol", grid_of(2), points)):
        space = (
            Space(**{**{name: getattr(space, name) for name in space.numbers}, "threshold_stage1": [0.5, 0.96]})
            if (sampler == "sobol")
            else space
        )
        total = space.size if sampler == "grid" else count
        seconds = timed(functools.partial(sweep, sweeper, space, sampler, count))
        report(f"av2a search, one label a segment, {sampler}", total, clips, seconds)
    one = ScoreConfig.published("language_bind")
    seconds = timed(lambda: evaluate(score(cache, one), truth))
    report("av2a score, then evaluate, a setting", 1, clips, seconds)


def grid_of(values: int) -> Space:
    """The same number of values in each of the five parameters."""

    def spread(low: float, high: float) -> list[float]:
        return [float(value) for value in np.linspace(low, high, values)]

    return Space(
        alpha=spread(0, 1),
        filter_threshold=spread(0.4, 0.7),
        threshold_stage1=spread(0.6, 0.9),
        threshold_stage2=spread(0.5, 0.9),
        gamma=spread(0.5, 4),
    )


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def processor_time(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def sweep(sweeper: Sweeper, space: Space, sampler: str, samples: int) -> int:
    """All settings of a sampler; returns how many."""
    count = 0
    for batch in SAMPLERS[sampler](space, samples, 0):
        sweeper.metrics(batch, space)
        count += len(batch)
    return count


def report(name: str, settings: int, clips: int, seconds: float) -> float:
    rate = settings * clips / seconds
    print(f"{name:52s} {settings:>9,} settings x {clips:>6,} clips {seconds:9.2f} s {rate:>14,.0f} clip-settings/s")
    return rate


def reference_rate(cache: FeatureCache, truth: Annotations, clips: int, settings: int) -> float:
    """The plain NumPy reference, clip by clip, and the metrics of each setting."""
    features, text = cache.read(range(clips)), cache.text()
    logits = [
        clip_logits(features.image[i], features.video[i], features.audio[i], text.visual, text.audio)
        for i in range(clips)
    ]
    configs = [ScoreConfig.published("language_bind").replace(alpha=a) for a in np.linspace(0, 1, settings).tolist()]
    events = score(cache, configs[0])
    part = Annotations(
        truth.kind, truth.split, truth.clip_ids[:clips],
        {c: truth.visual.get(c, ()) for c in truth.clip_ids[:clips]},
        {c: truth.audio.get(c, ()) for c in truth.clip_ids[:clips]},
    )  # fmt: skip
    evaluate(events, part)

    def work() -> None:
        for config in configs:
            for clip in logits:
                score_clip(clip, LABELS, config)
            evaluate(events, part)

    return report("plain NumPy reference, one core", settings, clips, timed(work))


def vectorised_rate(cache: FeatureCache, clips: int, settings: int) -> float:
    """NumPy over all clips at once: probabilities and label shift of the three streams, nothing after that."""
    features, text = cache.read(range(clips)), cache.text()
    image = features.image.astype(np.float32) @ text.visual.T
    sound = features.audio[:, 0].astype(np.float32) @ text.audio.T
    whole = features.video[:, 0, 0].astype(np.float32) @ text.visual.T
    unit = features.image.astype(np.float32)
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    cosine = (unit[:, :-1] * unit[:, 1:]).sum(axis=-1)

    def probability(logits: Any, kept: Any) -> Any:
        count = kept.sum(axis=-1, keepdims=True)
        mean = np.where(kept, logits, 0).sum(axis=-1, keepdims=True) / count
        off = np.where(kept, logits - mean, 0)
        std = np.sqrt((off**2).sum(axis=-1, keepdims=True) / np.maximum(count - 1, 1))
        return np.where(kept, 1 / (1 + np.exp(-off / std)), 0)

    everything = np.ones_like(whole, dtype=bool)
    identity = np.eye(len(LABELS), dtype=np.float32)

    def one(alpha: float, tauf: float, tau1: float, gamma: float) -> None:
        seen, heard = probability(whole, everything), probability(sound, everything)
        for stream in range(3):
            kept = (seen, heard, (1 - alpha) * seen + alpha * heard)[stream] > tauf
            p = probability(image, kept[:, None])
            q = np.repeat(probability(sound, kept)[:, None], 10, axis=1)
            p = (p, q, (1 - alpha) * p + alpha * q)[stream]
            theta = np.full_like(p, tau1)
            n = np.zeros_like(whole)
            for t in range(9):
                n += p[:, t] > theta[:, t]
                positive = (p[:, : t + 1] > theta[:, : t + 1]).astype(np.float32)
                m = p[:, : t + 1].transpose(0, 2, 1).astype(np.float32) @ positive / (t + 1)
                turned = m.transpose(0, 2, 1)
                w = np.linalg.solve(turned @ m + identity, turned @ p[:, t + 1, :, None].astype(np.float32))[..., 0]
                factor = cosine[:, t : t + 1] if stream != 1 else 1.0
                theta[:, t + 1] = theta[:, t] - tau1 * np.exp(-gamma * n) * factor * w * p[:, t + 1]

    def work() -> None:
        for a in np.linspace(0, 1, settings):
            one(a, 0.55, 0.6 + 0.3 * a, 0.5 + a)

    with np.errstate(all="ignore"):
        seconds = timed(work)
    return report("vectorised NumPy, label shift alone (BLAS threads)", settings, clips, seconds)


def make_many(folder: Path, clips: int) -> tuple[FeatureCache, Annotations]:
    """Clips of CLIP's kind, 8 frames a window, embeddings of noise as short as may be: what counts are logits."""
    rng = np.random.default_rng(0)
    dims, ids = 8, [f"clip{i:07d}" for i in range(clips)]
    text = rng.standard_normal((len(LABELS), dims)).astype(np.float32)
    shapes = {"image": (10,), "video": (46, 8), "audio": (46,)}
    arrays: dict[str, Any] = {
        name: rng.standard_normal((clips, *shape, dims), dtype=np.float32).astype(np.float16)
        for name, shape in shapes.items()
    }
    path = folder / f"many{clips}.zarr"
    cache = FeatureCache.from_arrays(path, clip_ids=ids, backbone="clip_clap", shard_size=256, **arrays)
    cache.add_text("made", labels=LABELS, visual=text, audio=text)
    events = {
        clip: {side: [(LABELS[int(rng.integers(25))], 2.0, 7.0)] for side in ("visual", "audio")} for clip in ids
    }  # fmt: skip
    return cache, Annotations.from_events(events)


def in_a_process(
    path: str, truth: Annotations, space: Space, memory: str, folder: str
) -> tuple[float, float, float, int, str]:
    """Seconds to read and to try settings, the processor's for both, most memory in use, a digest of what was found."""
    cache = FeatureCache.open(path)
    began = time.perf_counter()
    result = search(cache, truth, space, memory=memory, output=Path(folder) / f"{memory}.zarr")
    whole = time.perf_counter() - began
    digest = hashlib.sha256(np.ascontiguousarray(result.metrics).tobytes()).hexdigest()[:16]
    return whole - result.seconds, result.seconds, time.process_time(), peak_memory(os.getpid()), digest


def blocks(folder: Path, clips: int, budgets: Sequence[str], values: int) -> None:
    """The same search with much memory and with little, each in a process of its own, the annotations in it."""
    cache, truth = make_many(folder, clips)
    space = grid_of(values)
    sweeper = Sweeper(cache, truth)
    sweeper.prepare(sweeper.completed(space))
    print(f"{sweeper.needs.clip_bytes:,} bytes a clip are kept, {sweeper.needs.bytes / 2**30:.2f} GiB in all")
    path = cache.path
    del cache, sweeper
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for memory in ("64GiB", *budgets):
            got = pool.submit(in_a_process, path, truth, space, memory, str(folder)).result()
            read, tried, processor, peak, digest = got
            name = "in memory" if memory == "64GiB" else f"in blocks (budget {memory})"
            print(
                f"av2a search, grid, {name:30s} {space.size:>7,} settings x {clips:>8,} clips: read {read:7.2f} s, "
                f"tried {tried:8.2f} s, "
                f"{processor:8.2f} s of processor time, {peak / 2**20:7,.0f} MiB at most, figures {digest}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small run")
    parser.add_argument("--large", action="store_true", help="10,000 clips and 1,000,000 settings as well")
    parser.add_argument("--blocks", type=int, metavar="CLIPS", help="memory alone: so many clips in blocks")
    parser.add_argument("--one-label", action="store_true", help="OV-AVEBench's clips, labels and figures alone")
    parser.add_argument("--joint", action="store_true", help="the audiovisual stream of joint embeddings, and mixed")
    parser.add_argument("--budgets", default="2GiB", help="for --blocks, with commas")
    options = parser.parse_args()
    print(describe_machine())
    if options.blocks:
        with tempfile.TemporaryDirectory() as folder:
            blocks(Path(folder), options.blocks, options.budgets.split(","), 5)
        return
    if options.one_label:
        with tempfile.TemporaryDirectory() as folder:
            one_label(Path(folder), 600 if options.quick else 5798, 3 if options.quick else 5, 512)
        return
    clips, values, points = (60, 4, 512) if options.quick else (1200, 10, 8192)
    if options.joint:
        with tempfile.TemporaryDirectory() as folder:
            mixed_and_joint(Path(folder), clips // 4, values, points // 4)
        return
    with tempfile.TemporaryDirectory() as folder:
        cache, truth = make_clips(Path(folder), clips)
        print(f"reading and logits: {timed(lambda: Sweeper(cache, truth)):.2f} s")
        sweeper = Sweeper(cache, truth)
        small = grid_of(1)
        print(f"compiling, or loading what is compiled: {timed(lambda: sweep(sweeper, small, 'grid', 0)):.2f} s")
        slow = reference_rate(cache, truth, min(clips, 100), 4)
        vectorised = vectorised_rate(cache, clips, 3)
        for sampler, space, count in (("grid", grid_of(values), 0), ("sobol", grid_of(2), points)):
            total = space.size if sampler == "grid" else count
            seconds = timed(functools.partial(sweep, sweeper, space, sampler, count))
            rate = report(f"av2a search, {sampler}, {sweeper.threads} threads", total, clips, seconds)
            print(f"    {rate / slow:,.0f} times the reference, {rate / vectorised:,.0f} times vectorised NumPy")
        if options.large:
            for count, number in ((120, 10), (120, 16), (1200, 5), (10_000, 5)):
                held = Sweeper(*make_clips(Path(folder), count, seed=number))
                space = grid_of(number)
                report("av2a search, grid", space.size, count, timed(functools.partial(sweep, held, space, "grid", 0)))
        blocks(Path(folder), clips * (1 if options.quick else 5), ["320MiB"], 3 if options.quick else 5)
    if most := peak_memory(os.getpid()):
        print(f"most memory in use: {most / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
