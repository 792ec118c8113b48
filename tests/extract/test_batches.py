"""Batches become smaller where memory is full, if nobody asked for a size, and the run goes on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from extract import make_demo
from extract.run.batches import BatchSize, MemoryFullError, is_full
from extract.run.stopwatch import Spent
from feature_cache import FeatureCache
from tests.command import Done, av2a

NO_ROOM = 1 << 50
"""Bytes that no machine has."""
GREEDY = '''
"""The `tiny` backbone on a device with room for MOST frames or sounds a pass, as it asks for more than there is."""

import os

import torch

from extract import load_backbone
from extract.backbones import BackboneInfo


class Greedy:
    name = "greedy"

    def __init__(self):
        self._tiny = load_backbone("tiny")

    def __getattr__(self, name):
        return getattr(self._tiny, name)

    def encode_frames(self, frames):
        return self._tiny.encode_frames(self._within(frames))

    def encode_audio(self, sounds):
        return self._tiny.encode_audio(self._within(sounds))

    def _within(self, batch):
        if len(batch) > int(os.environ["MOST"]):
            torch.empty(1 << 50, dtype=torch.uint8)
        return batch


def load(checkpoint, device, precision):
    return Greedy()


load.info = BackboneInfo(64, 64)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of the demo, and a folder of packages with the backbone."""
    folder = tmp_path_factory.mktemp("batches")
    make_demo(folder, clips_per_split=2, workers=1)
    facts = folder / "site" / "greedy-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Name: greedy\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[av2a.backbones]\ngreedy = greedy:load\n")
    (folder / "site" / "greedy.py").write_text(GREEDY)
    return folder


def extract(folder: Path, output: str, most: int, *words: object) -> Done:
    env = {"PYTHONPATH": str(folder / "site"), "MOST": str(most)}
    command = "extract", "videos", "-o", output, "--backbone", "greedy", "--dtype", "float32", "--device", "cpu"
    return av2a(*command, *words, cwd=folder, env=env)


def test_a_run_goes_on_with_smaller_batches(folder: Path) -> None:
    done = extract(folder, "roomy.zarr", 16)
    assert (done.code, "memory was full" in done.err) == (0, False)
    done = extract(folder, "narrow.zarr", 5)
    assert done.code == 0, done.err
    assert "memory was full with batches of 16, the rest went in batches of 4: --batch-size 4 begins so" in done.err
    roomy, narrow = (FeatureCache.open(folder / f"{name}.zarr").read() for name in ("roomy", "narrow"))
    for name in ("image", "video", "audio", "audio_segments"):
        np.testing.assert_allclose(getattr(narrow, name), getattr(roomy, name), atol=1e-5, err_msg=name)


def test_a_size_that_is_asked_for_stays(folder: Path) -> None:
    done = extract(folder, "asked.zarr", 5, "--batch-size", 8)
    assert done.code == 1
    assert done.err.strip().splitlines()[-1] == (
        "Error: memory is full with batches of 8: give a smaller --batch-size, or leave it out: it adapts"
    )
    assert extract(folder, "asked.zarr", 5, "--batch-size", "auto").code == 0  # goes on


def test_no_room_for_one(folder: Path) -> None:
    done = extract(folder, "none.zarr", 0)
    assert done.code == 1
    assert "memory is full with a single frame or sound a pass: use a lower --precision" in done.err


@pytest.mark.parametrize("size", ["0", "-3", "many", "1.5", ""])
def test_sizes_that_are_none(folder: Path, size: str) -> None:
    done = extract(folder, "no.zarr", 16, "--batch-size", size)
    assert done.code == 2
    assert f"{size!r} is neither auto nor a number from 1 on" in done.err


def test_what_says_that_memory_is_full() -> None:
    with pytest.raises(RuntimeError) as full:
        torch.empty(NO_ROOM, dtype=torch.uint8)
    assert is_full(full.value)
    assert is_full(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_full(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    with pytest.raises(RuntimeError) as other:
        torch.zeros(2) @ torch.zeros(3)
    assert not is_full(other.value)
    with pytest.raises(RuntimeError, match=r"size mismatch|inconsistent"):
        BatchSize(16, adapts=True).fitting(lambda size: torch.zeros(2) @ torch.zeros(3))


def test_it_halves_down_to_one_and_stays_there() -> None:
    batches, tried = BatchSize(12, adapts=True), []

    def encode(size: int) -> int:
        tried.append(size)
        if size > 1:
            raise torch.OutOfMemoryError("full")
        return size

    assert [batches.fitting(encode), batches.fitting(encode)] == [1, 1]
    assert tried == [12, 6, 3, 1, 1]

    def never(size: int) -> int:
        raise torch.OutOfMemoryError("full")

    with pytest.raises(MemoryFullError):
        batches.fitting(never)


def test_what_several_hands_took() -> None:
    found = Spent.together([Spent({"encode": 1.0, "write": 2.0}, 64), Spent({"encode": 0.5}, 16)])
    assert found == Spent({"encode": 1.5, "write": 2.0}, 16)
