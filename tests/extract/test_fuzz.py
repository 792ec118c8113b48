"""Broken files by the hundred through the real command: it neither crashes nor hangs, nor fills memory or disk.

The test of 2,000 files is one of the slow ones (`make test-slow`).
"""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.machine import peak_memory
from feature_cache import FeatureCache
from feature_cache.layout import DONE, PENDING
from feature_cache.verification import verify
from tests.command import AV2A, PATIENCE_SECONDS
from tests.mutations import base_files, mutated

MOST_MEMORY = 2.5 * 2**30
MOST_DISK_A_FILE = 40_000


def make_broken(folder: Path, count: int, seed: int, sources: list[Path]) -> list[str]:
    """``count`` broken files and one that is whole; their names without ending."""
    folder.mkdir()
    rng = random.Random(seed)
    content = {path: path.read_bytes() for path in sources}
    for number in range(count):
        path, other = rng.choice(sources), rng.choice(sources)
        (folder / f"{number:04d}{path.suffix}").write_bytes(mutated(content[path], content[other], rng))
    (folder / "whole.mp4").write_bytes(content[sources[0]])
    return [f"{number:04d}" for number in range(count)] + ["whole"]


@pytest.mark.parametrize(("count", "seed"), [(150, 1), pytest.param(2000, 2, marks=pytest.mark.slow)])
def test_each_ends_done_or_failed(count: int, seed: int, checkpoint: Path, tmp_path: Path) -> None:
    names = make_broken(tmp_path / "broken", count, seed, base_files(tmp_path / "sources"))
    words = ["extract", "broken", "--backbone", "clip_clap", "--checkpoint", str(checkpoint), "--device", "cpu"]
    words += ["--windows", "whole", "--clip-timeout", "600", "--workers", "2", "--labels", "llp", "-o", "f.zarr"]
    with (tmp_path / "err").open("wb") as err, (tmp_path / "out").open("wb") as out:
        command = [sys.executable, "-X", "faulthandler", str(AV2A), *words]  # where a library crashes, it is said where
        process = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=err)
        end = time.monotonic() + PATIENCE_SECONDS
        most = 0
        while process.poll() is None:
            most = max(most, peak_memory(process.pid))
            if time.monotonic() > end:
                process.kill()
                pytest.fail("it hangs")
            time.sleep(0.05)
    said = (tmp_path / "err").read_text()
    assert process.returncode == 3, said[-8000:]
    assert "Traceback" not in said
    assert most < MOST_MEMORY
    used = sum(file.stat().st_size for file in (tmp_path / "f.zarr").rglob("*") if file.is_file())
    assert used < (count + 50) * MOST_DISK_A_FILE
    cache = FeatureCache.open(tmp_path / "f.zarr")
    assert {clip.split("#")[0] for clip in cache.clip_ids} == set(names)
    status = dict(zip(cache.clip_ids, cache.status().tolist(), strict=True))
    assert PENDING not in status.values()
    assert status["whole"] == DONE
    for clip, reason in cache.reasons().items():
        assert reason.isprintable(), (clip, reason)
        assert 10 < len(reason) < 300, (clip, reason)
        assert ";" in reason, (clip, reason)  # what is wrong; what mends it
    assert verify(tmp_path / "f.zarr").intact
    done = {clip.split("#")[0] for clip, code in status.items() if code == DONE}
    assert 0.1 * count < len(done) < 0.9 * count, len(done)  # else the damage is too great, or too small, to show much
