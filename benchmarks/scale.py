"""Every command on caches of more and more clips, each as a process of its own: its seconds and its memory.

    python -m benchmarks.scale [1000 10000 100000] [--folder DIR] [--only score,evaluate]

A demo is extracted with the `tiny` backbone and `--windows whole` (D = 64); a cache of N clips is made with the same
attributes and labels and random embeddings, and annotations in the form of LLP's for every clip. Memory is the largest
resident set of the process itself. Extraction with nothing to do is measured by `benchmarks.resume`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine, load, peak_memory
from extract import extract_videos
from extract.demo import make_demo
from feature_cache import DONE, FeatureCache, Header

AV2A = Path(sys.executable).with_name("av2a")
SEARCH = ("--alpha", "0.3,0.5,0.7", "--threshold-stage1", "0.6,0.75,0.9")
PARTS = ("make", "open", "info", "score", "score .jsonl", "score .parquet", "evaluate", "search")


def measured(words: list[object], folder: Path) -> str:
    """Seconds and MiB of a process, as a cell of the table; what it said, where it failed."""
    log = folder / "log.txt"
    began, peak = time.perf_counter(), 0
    with log.open("wb") as out, subprocess.Popen(list(map(str, words)), cwd=folder, stdout=out, stderr=out) as process:
        while process.poll() is None:
            peak = max(peak, peak_memory(process.pid))
            time.sleep(0.02)
    seconds = time.perf_counter() - began
    if process.returncode:
        return f"exit {process.returncode}: {log.read_text(errors='replace').strip()[-200:]}"
    return f"{seconds:.1f} s, {peak / 2**20:.0f} MiB"


def model(folder: Path) -> FeatureCache:
    """A cache of two clips a split, whose attributes and labels the large ones take."""
    made = make_demo(folder / "demo", clips_per_split=2)
    extract_videos(made.videos, folder / "demo.zarr", windows="whole", audio_segments=False)
    return FeatureCache.open(folder / "demo.zarr")


def make_cache(like: FeatureCache, path: Path, clips: int, shard_size: int) -> None:
    """N clips that are done, with rows drawn once and turned for each shard."""
    names = [f"clip_{number:07d}" for number in range(clips)]
    kept = like.header.to_dict()
    header = Header.from_dict({**kept, "clip_ids": names, "shard_size": shard_size})
    cache = FeatureCache.begin(path, header, overwrite=True)
    text = like.text()
    cache.add_text(text.name, labels=list(text.labels), visual=text.visual, audio=text.audio, prompts=text.prompts)
    rng = np.random.default_rng(0)
    rows = {name: rng.standard_normal((shard_size, *shape)) for name, shape in like.row_shapes.items()}
    for shard in range(cache.n_shards):
        n = len(cache.shard_rows(shard))
        turned = {name: np.roll(values, shard, axis=-1)[:n] for name, values in rows.items()}
        cache.write_shard(shard, turned["image"], turned["video"], turned["audio"], np.full(n, DONE))
    cache.finish()


def make_annotations(folder: Path, clips: int, labels: tuple[str, ...]) -> None:
    """Two events a clip, one seen and one heard."""
    folder.mkdir()
    names = [f"clip_{number:07d}" for number in range(clips)]
    (folder / "AVVP_val_pd.csv").write_text("filename\n" + "\n".join(names) + "\n")
    rng = np.random.default_rng(1)
    for side in ("visual", "audio"):
        with (folder / f"AVVP_eval_{side}.csv").open("w") as file:
            file.write("filename\tonset\toffset\tevent_labels\n")
            for name, begin, label in zip(
                names, rng.integers(0, 6, clips), rng.integers(0, len(labels), clips), strict=True
            ):
                file.write(f"{name}\t{begin}\t{begin + 4}\t{labels[label]}\n")


def measure(like: FeatureCache, folder: Path, clips: int, shard_size: int, only: list[str]) -> dict[str, str]:
    """A row of the table."""
    folder.mkdir(parents=True)
    began = time.perf_counter()
    make_cache(like, folder / "features.zarr", clips, shard_size)
    made = f"{time.perf_counter() - began:.1f} s"
    truth = ["--annotations", "truth", "--dataset", "llp", "--split", "val"]
    score = [AV2A, "score", "features.zarr", "--no-refinement"]
    search = [
        AV2A,
        "search",
        "features.zarr",
        *truth,
        "--no-refinement",
        *SEARCH,
        "-o",
        "found.zarr",
        "--best",
        "best.toml",
    ]
    commands: dict[str, list[object]] = {
        "open": [sys.executable, "-c", "from feature_cache import FeatureCache; FeatureCache.open('features.zarr')"],
        "info": [AV2A, "info", "features.zarr"],
        "score": [*score, "-o", "events.json"],
        "score .jsonl": [*score, "-o", "events.jsonl"],
        "score .parquet": [*score, "-o", "events.parquet"],
        "evaluate": [AV2A, "evaluate", "events.json", *truth],
        "search": search,
    }  # fmt: skip
    make_annotations(folder / "truth", clips, like.text().labels)
    (folder / "labels.txt").write_text("\n".join(like.text().labels) + "\n")
    wanted = {name: words for name, words in commands.items() if not only or name in only}
    return {"make": made, **{name: measured(words, folder) for name, words in wanted.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path, help="where all is made [default: a temporary folder]")
    parser.add_argument("--shard-size", type=int, default=256)
    parser.add_argument("--only", default="", help=f"some of {', '.join(PARTS[1:])}")
    options = parser.parse_args()
    only = [name for name in options.only.split(",") if name]
    print(describe_machine(), flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as kept:
        like = model(Path(kept))
        names = [name for name in PARTS if name == "make" or not only or name in only]
        print(f"| clips | load | {' | '.join(names)} |\n|{'---|' * (len(names) + 2)}", flush=True)
        for clips in options.clips:
            row = measure(like, Path(kept) / str(clips), clips, options.shard_size, only)
            print(f"| {clips:,} | {load()} | {' | '.join(row.get(name, '') for name in names)} |", flush=True)


if __name__ == "__main__":
    main()
