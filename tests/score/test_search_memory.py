"""Searches in bounded memory: in blocks of clips they find what they find in one, to the last bit."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_cache import NO_PICTURE, NO_SOUND, FeatureCache
from score import Annotations, ScoreError, Space, search
from score.bootstrap import confidence_intervals
from score.tuning.clips import InMemory, Spilled, Table
from score.tuning.memory import PROGRAM, BatchNeeds, Needs, Room, SplitNeeds, parse_size, plan_room, size_text
from score.tuning.search import search_needs
from score.tuning.sweeper import Sweeper
from tests.command import AV2A, PATIENCE_SECONDS, refusal
from tests.posix import KILLED_CODE

LABELS = tuple(f"label {k}" for k in range(6))
T, W, D = 10, 46, 4
NUMBERS: dict[str, Any] = {
    "alpha": (0.0, 0.4, 1.0),
    "filter_threshold": (0.4, 0.55),
    "threshold_stage1": (0.5, 0.7),
    "threshold_stage2": (0.4, 0.6, 0.8),
    "gamma": (0.5, 2.0),
    "method": ("bbse", "naive"),
    "fusion": ("early", "late"),
}
KINDS: dict[str, dict[str, Any]] = {
    "windows": {},
    "frames": {"frames": 3},
    "whole": {"windows": 1, "fixed": {"pooled_windows": True}},
    "sound a segment": {"segments_sound": True},
    "probabilities": {"probabilities": True, "fixed": {"refinement": False}},
}


def make_cache(path: Path, kind: str, n: int, seed: int, shard_size: int = 7) -> FeatureCache:
    """n clips, of which some have no picture and some no sound."""
    rng = np.random.default_rng(seed)
    how = KINDS[kind]
    ids = [f"clip{i}" for i in range(n)]
    missing = rng.choice([0, 0, 0, NO_PICTURE, NO_SOUND], size=n).astype(np.uint8)
    if "probabilities" in how:
        seen, heard = rng.random((2, n, T, len(LABELS)))
        return FeatureCache.from_probabilities(
            path, clip_ids=ids, labels=LABELS, visual=seen, audio=heard, missing=missing, shard_size=shard_size
        )
    base = rng.standard_normal((n, 1, D))
    windows = how.get("windows", W)
    more: dict[str, Any] = {}
    if "segments_sound" in how:
        more["audio_segments"] = base + rng.standard_normal((n, T, D))
    cache = FeatureCache.from_arrays(
        path,
        clip_ids=ids,
        backbone="clip_clap",
        image=base + rng.standard_normal((n, T, D)),
        video=base[:, None] + rng.standard_normal((n, windows, how.get("frames", 1), D)),
        audio=base + rng.standard_normal((n, windows, D)),
        missing=missing,
        shard_size=shard_size,
        **more,
    )
    cache.add_text("t", labels=LABELS, visual=rng.standard_normal((6, D)), audio=rng.standard_normal((6, D)))
    return cache


def make_truth(cache: FeatureCache, data_set: str, seed: int, part: float = 1.0) -> Annotations:
    """Annotations of some of the clips, in an order of their own."""
    rng = np.random.default_rng(seed)
    names = list(cache.clip_ids)
    chosen = rng.permutation(len(names))[: max(1, int(part * len(names)))].tolist()
    events: dict[str, dict[str, list[tuple[str, float, float]]]] = {}
    for number in chosen:
        of_clip = events.setdefault(names[number], {"visual": [], "audio": []})
        for found in of_clip.values():
            for label in rng.choice(LABELS, size=int(rng.integers(0, 3))):
                start = int(rng.integers(0, T))
                found.append((str(label), start, int(rng.integers(start + 1, T + 1))))
    return Annotations.from_events(events, kind=data_set)


def space_of(kind: str) -> Space:
    return Space(**NUMBERS, **KINDS[kind].get("fixed", {}))


def figures(sweeper: Sweeper, space: Space) -> list[bytes]:
    """All that a search takes of a split, to the bit."""
    grid = space.grid()
    ceiling = np.full(sweeper.n_found, -np.inf)
    metrics = sweeper.metrics(grid, space)
    again = sweeper.metrics_and_ceiling(grid[::31], space, 0, ceiling)
    alone = np.column_stack(list(sweeper.measured(grid[5:6], space).by_clip.values()))
    return [each.tobytes() for each in (metrics, again, ceiling, alone)] + [sweeper.truth_digest.encode()]


@pytest.mark.parametrize("data_set", ["llp", "ave", "ov-avebench"])
@pytest.mark.parametrize("kind", KINDS)
def test_clips_read_back_are_the_clips_in_memory(kind: str, data_set: str, tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "c.zarr", kind, 100, 1)
    truth = make_truth(cache, data_set, 2, 0.9)
    expected = None
    for at_once, rows in ((512, 256), (3, 7), (1, 20)):
        for in_memory in (True, False):
            sweeper = Sweeper(cache, truth)
            space = sweeper.completed(space_of(kind))
            sweeper.prepare(space)
            sweeper.load(Room(2, 1 << 20, at_once, rows, 2), in_memory=in_memory, folder=tmp_path)
            found = figures(sweeper, space)
            expected = expected or found
            assert found == expected, (at_once, in_memory)
    assert [path.name for path in tmp_path.iterdir()] == ["c.zarr"]


@settings(max_examples=10)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(sorted(KINDS)),
    data_set=st.sampled_from(["llp", "ave"]),
    clips=st.integers(1, 80),
    at_once=st.integers(1, 5),
    shard_size=st.integers(1, 40),
    threads=st.integers(1, 3),
)
def test_any_blocks(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kind: str, data_set: str, clips: int, at_once: int,
    shard_size: int, threads: int,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("blocks")
    cache = make_cache(folder / "c.zarr", kind, clips, seed, shard_size)
    truth = make_truth(cache, data_set, seed, 0.7)
    space = Space(**{**NUMBERS, "alpha": (0.3,), "gamma": (1.0,)}, **KINDS[kind].get("fixed", {}))
    alone, apart = Sweeper(cache, truth), Sweeper(cache, truth)
    space = alone.completed(space)
    for each in (alone, apart):
        each.prepare(space)
    alone.load(Room(1))
    apart.load(Room(threads, 1, at_once, shard_size, 1), in_memory=False, folder=folder)
    assert figures(apart, space) == figures(alone, space)


def least_memory(*words: Any, **given: Any) -> str:
    """What a refusal for want of memory names."""
    with pytest.raises(ScoreError, match="is too little for") as caught:
        search(*words, **given, memory=1)
    named = re.search(r"`memory='(\w+)'` is the least", str(caught.value))
    assert named, str(caught.value)
    return named[1]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("sampler", ["grid", "sobol", pytest.param("tpe", marks=pytest.mark.slow)])
@pytest.mark.parametrize("data_set", ["llp", "ave", "ov-avebench"])
def test_the_least_memory_finds_the_same(data_set: str, sampler: str, tmp_path: Path) -> None:
    """Figures, the setting that is chosen, intervals, ceilings, and the folder, byte for byte."""
    cache = make_cache(tmp_path / "c.zarr", "frames", 700, 3, 64)
    val, test = (make_truth(cache, data_set, seed, 0.6) for seed in (4, 5))
    space = space_of("frames")
    given: dict[str, Any] = {"sampler": sampler, "samples": 100, "report_on": test, "per_clip_ceiling": True}
    least = least_memory(cache, val, space, **given)
    splits = [Sweeper(cache, truth) for truth in (val, test)]
    full = splits[0].completed(space)
    for split in splits:
        split.prepare(full)
    needs = search_needs(cache, splits, full, sampler, full.size if sampler == "grid" else 100, True)
    assert plan_room(parse_size(least), needs).in_memory == (False, False)
    assert plan_room(parse_size("2GiB"), needs).in_memory == (True, True)
    results: dict[str, Any] = {}
    for memory in ("2GiB", least):
        found = search(cache, val, space, output=tmp_path / memory / "s.zarr", memory=memory, **given)
        results[memory] = (
            found.parameters.tobytes(), found.metrics.tobytes(), repr(found.best), repr(found.report),
            None if found.ceiling is None else found.ceiling.tobytes(), files(tmp_path / memory),
        )  # fmt: skip
    assert results["2GiB"] == results[least]


def test_an_interrupted_search_goes_on_with_another_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("score.tuning.samplers.BATCH", 64)
    cache = make_cache(tmp_path / "c.zarr", "windows", 300, 6)
    truth, space = make_truth(cache, "llp", 7), space_of("windows")
    least = least_memory(cache, truth, space)
    seen: list[set[str]] = []

    def stop(tried: int, total: int, best: float) -> None:
        seen.append({path.name for path in tmp_path.iterdir()})
        raise KeyboardInterrupt

    part = search(cache, truth, space, output=tmp_path / "s.zarr", memory=least, progress=stop)
    assert (part.complete, seen) == (False, [{"c.zarr", "s.zarr"}])  # what is set aside has no name
    kept = files(tmp_path / "s.zarr" / "batch000000")
    whole = search(cache, truth, space, output=tmp_path / "s.zarr")
    assert files(tmp_path / "s.zarr" / "batch000000") == kept
    alone = search(cache, truth, space, memory=least)
    np.testing.assert_array_equal(whole.metrics, alone.metrics)
    assert (len(part), whole.complete) == (len(alone.metrics[: len(part)]), True)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed")
def test_a_killed_search_leaves_nothing_aside(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "c.zarr", "windows", 300, 6)
    truth = make_truth(cache, "llp", 7)
    least = least_memory(cache, truth, space_of("windows"))
    code = f"""
import os, signal
from pathlib import Path
from feature_cache import FeatureCache
from score import search
from tests.score.test_search_memory import make_truth, space_of
cache = FeatureCache.open("c.zarr")
held = lambda *_: (print(os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else "", flush=True),
                   os.kill(os.getpid(), signal.SIGKILL))
search(cache, make_truth(cache, "llp", 7), space_of("windows"), memory={least!r}, output="s.zarr", progress=held)
"""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == KILLED_CODE, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"c.zarr", "s.zarr"}


def test_a_disk_that_is_too_small(tmp_path: Path) -> None:
    like = {"true": np.zeros((0, 1 << 20), np.uint8)}
    with pytest.raises(ScoreError, match=r"the clips take .* GiB in .*more than is free there.*`memory`"):
        Spilled(1 << 40, like, tmp_path)
    with pytest.raises(ScoreError, match=r"is_no_folder: .*: search with an output elsewhere"):
        Spilled(1, like, tmp_path / "is_no_folder")


@given(st.data())
def test_tables_give_back_what_was_put_in(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """In any order, in any parts; arrays may be empty, of any type."""
    n = data.draw(st.integers(1, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    arrays: dict[str, Any] = {
        "a": rng.standard_normal((n, 2, 3)), "none": np.zeros((n, 0, 4)), "b": rng.integers(0, 9, n, dtype=np.uint8),
        "c": rng.integers(0, 2**63, (n, 5), dtype=np.uint64),
    }  # fmt: skip
    tables: list[Table] = [InMemory(n, arrays), Spilled(n, arrays, tmp_path_factory.getbasetemp())]
    order = np.array(data.draw(st.permutations(range(n))), dtype=np.int64)
    cuts = sorted(data.draw(st.sets(st.integers(0, n), max_size=4)) | {0, n})
    start = data.draw(st.integers(0, n - 1))
    end = data.draw(st.integers(start, n))
    for table in tables:
        for first, last in pairwise(cuts):
            rows = order[first:last]
            table.write(rows, {name: arrays[name][rows] for name in ("c", "a")})
            table.write(rows, {name: arrays[name][rows] for name in ("b", "none")})
        found = table.read(start, end)
        for name, values in arrays.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values[start:end])


def test_intervals_do_not_depend_on_threads() -> None:
    """A resample's rows are drawn one after another by splitmix64, resample after resample."""
    values = np.random.default_rng(1).random((7, 2))
    state = int(np.random.SeedSequence(5).generate_state(1, np.uint64)[0])
    means = np.zeros((250, 2))
    for mean in means:
        for _ in range(7):
            state = (state + 0x9E3779B97F4A7C15) % (1 << 64)
            z = state
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % (1 << 64)
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % (1 << 64)
            mean += values[((z ^ (z >> 31)) >> 11) % 7]
        mean /= 7
    expected = np.percentile(means, [2.5, 97.5], axis=0).T
    for threads in (1, 3):
        found = confidence_intervals(values, resamples=250, seed=5, threads=threads)
        np.testing.assert_allclose(found, expected, rtol=1e-15)


SIZES = st.integers(1, 1 << 34)


@given(
    memory=st.integers(1, 1 << 40),
    splits=st.lists(
        st.builds(SplitNeeds, st.integers(1, 10**7), st.integers(1, 10**6), st.integers(1, 10**7)),
        min_size=1, max_size=2,
    ),
    rows=st.integers(1, 1 << 20), row_bytes=st.integers(1, 1 << 20), batch=st.integers(1, 1 << 27),
    subsets=st.integers(1, 1 << 27), threads=st.integers(1, 256), tables=SIZES,
)  # fmt: skip
def test_plans_add_up(
    memory: int, splits: list[SplitNeeds], rows: int, row_bytes: int, batch: int, subsets: int, threads: int,
    tables: int,
) -> None:  # fmt: skip
    """What is planned fits; what is named as the least does, and a MiB less does not."""
    needs = Needs(splits, 5, 100, row_bytes, rows, tables, BatchNeeds(batch, batch // 8, subsets), threads)
    try:
        room = plan_room(memory, needs)
    except ScoreError as error:
        least = parse_size(re.search(r"memory='(\w+)'", str(error))[1])  # type: ignore[index]
        assert least > memory - (1 << 20)
        with pytest.raises(ScoreError):
            plan_room(least - (2 << 20), needs)
        memory, room = least, plan_room(least, needs)
    kept = sum(split.bytes for split, inside in zip(splits, room.in_memory, strict=True) if inside)
    largest = max(split.clip_bytes for split in splits)
    working = batch + room.threads * (batch // 8 + room.thread_bytes)
    if not all(room.in_memory):
        working += 3 * room.threads * room.clips * largest
    reading = room.reads * (room.rows + 2 * rows) * row_bytes
    assert PROGRAM + tables + kept + max(working, reading) <= memory
    assert 1 <= room.threads <= threads
    assert min(room.clips, room.rows, room.reads) >= 1


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2 << 30), ("500MB", 500_000_000), ("1.5 gib", 3 << 29), ("64kib", 65536), ("1000", 1000),
        (12345, 12345), ("7B", 7), ("1TB", 10**12), (" 3 MiB ", 3 << 20), ("0.5KB", 500), (np.int64(99), 99),
    ],
)  # fmt: skip
def test_sizes(text: Any, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GiB",
        "2 GiBs",
        "2Gi",
        "2G",
        "-1",
        "0",
        "1e9",
        "two",
        "2GiB 3",
        "0.1",
        "9" * 400,
        "1,5GiB",
        "nan",
        True,
        "²GB",
    ],
)
def test_what_is_no_size(text: Any) -> None:
    with pytest.raises(ScoreError, match=r"is no size: write it as 2GiB, 500MB or a number of bytes"):
        parse_size(text)


@given(st.integers(1, 1 << 50))
def test_a_size_that_is_named_is_read(size: int) -> None:
    assert size <= parse_size(size_text(size)) < size + (1 << 20)


# --- the command ----------------------------------------------------------------------------------------


def write_annotations(folder: Path, ids: list[str], seed: int) -> None:
    """LLP's files, with val and test splits of the clips."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for side in ("visual", "audio"):
        spans = [(clip, *sorted(rng.choice(11, 2, replace=False).tolist()), rng.choice(LABELS)) for clip in ids]
        lines = ["filename\tonset\toffset\tevent_labels", *("\t".join(map(str, span)) for span in spans)]
        (folder / f"AVVP_eval_{side}.csv").write_text("\n".join(lines) + "\n")
    for split, part in (("val", ids[::2]), ("test", ids[1::2])):
        (folder / f"AVVP_{split}_pd.csv").write_text("\n".join(["filename", *part]) + "\n")


def test_the_command_says_what_it_needs(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "features.zarr", "windows", 20, 1)
    write_annotations(tmp_path / "a", list(cache.clip_ids), 2)
    words = ("search", "--annotations", "a", "--dataset", "llp", "--alpha", "0,1")
    assert "memory '2 Gigs' is no size: write it as 2GiB, 500MB" in refusal(*words, "--memory", "2 Gigs", cwd=tmp_path)
    line = refusal(*words, "--memory", "10MB", cwd=tmp_path)
    assert re.search(
        r"a memory of 10 MiB is too little for 2 settings on \d+ clips: --memory \d+MiB is the least", line
    )
    assert not (tmp_path / "search.zarr").exists()


MEASURED = """
import atexit, runpy, sys
def show():
    with open("/proc/self/status") as status:
        print("PEAK", next(line.split()[1] for line in status if line.startswith("VmHWM:")), file=sys.stderr)
atexit.register(show)
runpy.run_module("av2a_cli", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
def test_the_memory_of_a_process(tmp_path: Path) -> None:
    """Clips of 0.6 GiB in a process of 0.32 GiB, and the same is found."""
    n, labels = 6000, [f"label {k}" for k in range(25)]
    rng = np.random.default_rng(0)

    def values(*shape: int) -> Any:
        return rng.standard_normal((n, *shape, D), dtype=np.float32).astype(np.float16)

    ids = [f"clip{i}" for i in range(n)]
    cache = FeatureCache.from_arrays(
        tmp_path / "features.zarr", clip_ids=ids, backbone="clip_clap", image=values(T), video=values(W, 8),
        audio=values(W),
    )  # fmt: skip
    text = rng.standard_normal((25, D))
    cache.add_text("t", labels=labels, visual=text, audio=text)
    write_annotations(tmp_path / "a", ids, 1)
    words = ["search", "--annotations", "a", "--dataset", "llp", "--alpha", "0:1:0.25", "--gamma", "0.5,2"]
    peaks, found = {}, {}
    for memory in ("4GiB", "340MiB"):
        more = ["--report-split", "test", "--memory", memory, "-o", f"{memory}.zarr", "--best", f"{memory}.toml"]
        for _ in range(2):  # the first may compile
            done = subprocess.run(
                [sys.executable, "-c", MEASURED, *words, *more], cwd=tmp_path, capture_output=True, check=False,
                timeout=PATIENCE_SECONDS, encoding="utf-8", env={**os.environ, "PYTHONPATH": str(AV2A.parents[2])},
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        peaks[memory] = 1024 * int(re.findall(r"PEAK (\d+)", done.stderr)[-1])
        found[memory] = files(tmp_path / f"{memory}.zarr")
    assert peaks["4GiB"] > parse_size("600MiB")
    assert peaks["340MiB"] <= parse_size("340MiB")
    assert found["4GiB"] == found["340MiB"]
