"""Extraction with nothing to do: the same command again on a finished cache, by the number of files.

    python -m benchmarks.resume                                # 1,000, 10,000 and 100,000 files
    python -m benchmarks.resume 1000000 --shard-size 2048      # larger shards are made sooner
    python -m benchmarks.resume --unstamped                    # a cache that says nothing of sizes and times of files

The files are links to a short sound, in folders of 10,000; the cache is made through `FeatureCache`, with the facts
that `av2a extract` records of one such file. A row a size: seconds, seconds of a core and most memory. `--again`
measures a second run, too, which finds what the first one recorded.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine, load, peak_memory
from feature_cache import DONE, FeatureCache

_SECONDS, _RATE = 10, 1000
_A_FOLDER, _LINKS = 10_000, 50_000


def command(videos: Path, cache: Path) -> list[str]:
    """What is measured."""
    words = ["extract", videos, "-o", cache, "--backbone", "tiny", "--windows", "whole", "--device", "cpu"]
    return [sys.executable, "-m", "av2a_cli", *map(str, words)]


def make_files(folder: Path, count: int) -> dict[str, Path]:
    """Files by their clips' ids; a file system takes no more than some ten thousand links to one."""
    found: dict[str, Path] = {}
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number // _A_FOLDER:04}" / f"clip{number:07}.mp4"
        if number % _A_FOLDER == 0:
            path.parent.mkdir()
        if number % _LINKS == 0:
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(1)
                file.setframerate(_RATE)
                file.writeframes(bytes(range(100, 150)) * (_SECONDS * _RATE // 50))
            source = path
        else:
            os.link(source, path)
        found[path.stem] = path
    return found


def make_cache(path: Path, videos: Path, files: dict[str, Path], shard_size: int, *, stamped: bool) -> None:
    """A finished cache of the files, as one that `av2a extract` has made of one of them."""
    one = path.with_name("one.zarr")
    first = next(iter(files.values()))
    subprocess.run(command(first, one), check=True, capture_output=True)
    like = FeatureCache.open(one)
    facts: dict[str, Any] = {
        **like.attributes,
        "files": {clip: file.relative_to(videos).as_posix() for clip, file in files.items()},
    }
    facts.pop("stamps", None)
    if stamped:
        facts["stamps"] = {clip: [(info := file.stat()).st_size, info.st_mtime_ns] for clip, file in files.items()}
    made = FeatureCache.create(
        path, clip_ids=list(files), backbone=like.backbone, visual_dim=like.visual_dim, audio_dim=like.audio_dim,
        frames_per_window=like.frames_per_window, segment_seconds=like.segment_seconds, dtype=like.dtype,
        shard_size=shard_size, windows="whole", attributes=facts,
    )  # fmt: skip
    rows: dict[str, Any] = {
        name: np.ones((shard_size, *shape), dtype=like.dtype) for name, shape in made.row_shapes.items()
    }
    with made.writing("fill"):
        for shard in range(made.n_shards):
            n = len(made.shard_rows(shard))
            made.write_shard(shard, **{name: table[:n] for name, table in rows.items()}, status=[DONE] * n)
        text = like.text()
        made.add_text(
            like.text_names[0], labels=text.labels, visual=text.visual, audio=text.audio, prompts=text.prompts
        )


def measured(words: list[str]) -> tuple[float, float, int, str]:
    """Seconds, seconds of a core, most bytes of memory, and what the process said."""
    began, before = time.perf_counter(), os.times()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    most = 0
    while process.poll() is None:
        most = max(most, peak_memory(process.pid))
        time.sleep(0.02)
    seconds, after = time.perf_counter() - began, os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    assert process.stdout is not None
    said = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}: {said}")
    return seconds, busy, most, said


def main() -> None:
    """Measure, a row a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=int, nargs="*", default=[1_000, 10_000, 100_000], help="numbers of files")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in (default: a temporary one)")
    parser.add_argument("--shard-size", type=int, default=32)
    parser.add_argument("--unstamped", action="store_true", help="as caches of earlier versions are")
    parser.add_argument("--again", action="store_true", help="and a second run")
    options = parser.parse_args()
    print(describe_machine())
    print(f"{'files':>9} {'seconds':>8} {'of a core':>9} {'MB':>7} {'load':>6}")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for count in options.files:
            videos, cache = Path(folder) / f"{count}", Path(folder) / f"{count}.zarr"
            files = make_files(videos, count)
            make_cache(cache, videos, files, options.shard_size, stamped=not options.unstamped)
            for _ in range(2 if options.again else 1):
                seconds, busy, most, said = measured(command(videos, cache))
                assert f"{count} of them were there before" in said, said
                print(f"{count:>9,} {seconds:>8.1f} {busy:>9.1f} {most / 1e6:>7.0f} {load():>6}", flush=True)


if __name__ == "__main__":
    main()
