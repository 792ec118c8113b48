"""Runs that are killed, run out of space or are interrupted, and go on; clips that are tried again."""

import errno
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extract import ExtractError, extract_videos
from extract.media.clip import decode_clip
from extract.run import worker
from feature_cache import DONE, PENDING, CacheError, FeatureCache, verify
from tests.command import av2a
from tests.extraction import extract
from tests.feature_cache.test_verify import make
from tests.killing import HEAVY, Ended, Nursery, finish, kills, start
from tests.media import make_video, tone
from tests.stores import contents

KILLED = -9
QUICK = ("--windows", "whole")
"""Little to compute: making, opening and writing the cache are most of a run's life."""


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small clips, one of which cannot be read."""
    folder = tmp_path_factory.mktemp("few")
    for number in range(5):
        make_video(
            folder / f"clip{number}.mp4", frames=10, fps=1, size=(32, 32), sound=tone(10, 8000, 1, 200 + 90 * number),
            rate=8000,
        )  # fmt: skip
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery") / "log", HEAVY) as found:
        yield found


def extracting(videos: Path, output: object, *more: object) -> list[object]:
    toy = ("--backbone", "tiny", "--device", "cpu")
    return ["extract", videos, "-o", output, "--shard-size", 2, "--workers", 1, *toy, *more]


# --- killed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_before_any_change_of_a_file(step: int, few: Path, nursery: Nursery, tmp_path: Path) -> None:
    """What is whole in the end equals one in one go. (`test_gaps.py` looks at every change, command by command.)"""
    source = tmp_path / "two"
    source.mkdir()
    for name in ("clip0.mp4", "broken.mp4"):
        shutil.copy(few / name, source)
    assert nursery.run(extracting(source, tmp_path / "whole.zarr", *QUICK)).code == 3
    expected, states = contents(tmp_path / "whole.zarr"), set()

    def run(watch: tuple[object, ...]) -> Ended:
        return nursery.run(extracting(source, Path(str(watch[0])) / "f.zarr", *QUICK), watch=watch)

    for place, number in kills(run, tmp_path / "killed", step=step):
        output = place / "f.zarr"
        states.add(state(output))
        assert sound_so_far(output)
        if number:
            assert nursery.run(extracting(source, output, *QUICK)).code == 3
        assert contents(output) == expected
    assert {"half written", "0", "2"} <= states


@pytest.mark.slow
def test_killed_at_a_random_moment(few: Path, nursery: Nursery, tmp_path: Path) -> None:
    """The installed command, killed from outside as it begins, extracts and ends; then gone on with."""
    assert nursery.run(extracting(few, tmp_path / "whole.zarr")).code == 3
    for wanted in (None, 0, 2):
        output = tmp_path / f"entry{wanted}.zarr"
        process = start(extracting(few, output))
        while process.poll() is None and not output.exists():
            time.sleep(0.01)
        while process.poll() is None and wanted is not None and done_rows(output) < wanted:
            time.sleep(0.01)
        process.kill()
        assert finish(process)[0] in (KILLED, 3)  # it may have come to its end
        assert sound_so_far(output)
        assert nursery.run(extracting(few, output)).code == 3
        assert contents(output) == contents(tmp_path / "whole.zarr")


def done_rows(output: Path) -> int:
    try:
        return int((FeatureCache.open(output).status() != PENDING).sum())
    except CacheError:
        return -1


def state(output: Path) -> str:
    try:
        return str((FeatureCache.open(output).status() != PENDING).sum())
    except CacheError as error:
        return "half written" if "half written" in str(error) else "none"


def sound_so_far(output: Path) -> bool:
    """Nothing there, a beginning, or a cache whose every declared row is as it was written."""
    try:
        return verify(output).intact
    except CacheError as error:
        return "is not there" in str(error) or "half written" in str(error) or "is no av2a cache" in str(error)


# --- out of space, interrupted --------------------------------------------------------------------------


@pytest.mark.slow
def test_no_room(few: Path, nursery: Nursery, tmp_path: Path) -> None:
    """A limit of the system on the size of files: one line, exit code 1, and the same command goes on."""
    if sys.platform == "win32":
        pytest.skip("Windows limits no process's files")
    import resource

    output = tmp_path / "f.zarr"
    limit = 6_000  # metadata and the first shard fit, the second one's sound does not
    process = start(extracting(few, output), preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    code, _, err = finish(process)
    assert code == 1
    assert err.splitlines()[-1].startswith(f"Error: {output}: cannot be written: a file would exceed the largest size")
    assert "Traceback" not in err
    assert "the same command goes on from here" in err
    assert sound_so_far(output)
    assert nursery.run(extracting(few, output)).code == 3
    assert nursery.run(extracting(few, tmp_path / "whole.zarr")).code == 3
    assert contents(output) == contents(tmp_path / "whole.zarr")


@pytest.mark.parametrize("room", [0, 24, 48, *(pytest.param(room, marks=pytest.mark.slow) for room in (12, 36))])
def test_a_full_disk_at_any_write(room: int, videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """The disk takes so many files and no more: nothing that was done is lost."""
    one = tmp_path / "one"
    one.mkdir()
    for name in ("birds.mp4", "yaks.mp4"):
        shutil.copy(videos / name, one)
    left = [room]
    real = os.fsync

    def full(handle: int) -> None:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        real(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        try:
            extract(one, tmp_path / "f.zarr", checkpoint, shard_size=1, labels="ave")
        except CacheError as error:
            assert "the disk is full (No space left on device); make room" in str(error)  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
    while list(tmp_path.rglob("*.partial")):  # writes that went on side by side end soon
        time.sleep(0.01)
    extract(one, tmp_path / "f.zarr", checkpoint, shard_size=1, labels="ave")
    extract(one, tmp_path / "g.zarr", checkpoint, shard_size=1, labels="ave")
    assert contents(tmp_path / "f.zarr") == contents(tmp_path / "g.zarr")
    assert verify(tmp_path / "f.zarr").intact


def test_a_folder_that_cannot_be_written(few: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CacheError, match=r"f\.zarr: cannot be "):
        extract_videos(few, tmp_path / "file" / "f.zarr", backbone="tiny", device="cpu")


def test_ctrl_c(few: Path, nursery: Nursery, tmp_path: Path) -> None:
    output = tmp_path / "f.zarr"
    ended = nursery.run(extracting(few, output), watch=(output, 1, "rows/c/0/0", signal.SIGINT.value))
    assert ended.code == 130
    assert ended.err.strip() == "interrupted: whole shards are kept; the same command goes on from here"
    assert "Traceback" not in ended.err
    assert PENDING in FeatureCache.open(output).status()
    assert nursery.run(extracting(few, output)).code == 3
    assert PENDING not in FeatureCache.open(output).status()


def test_ctrl_c_for_others(tmp_path: Path) -> None:
    """A shell starts what runs in its background with Ctrl-C ignored; then it stays ignored."""
    make(tmp_path / "features.zarr")
    process = start(["info"], preexec=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN), cwd=tmp_path)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert "features.zarr" in out


# --- failed clips ---------------------------------------------------------------------------------------


def test_failed_clips_are_tried_again(
    videos: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theirs are the only files opened; the rows beside them stay, bit for bit, done all the while."""
    source = Path(shutil.copytree(videos, tmp_path / "videos"))
    good = (source / "cars.mkv").read_bytes()
    (source / "cars.mkv").write_bytes(good[:900])
    (source / "zebras.mp4").write_bytes(b"")
    output = tmp_path / "f.zarr"
    first = extract(source, output, checkpoint, shard_size=3)
    assert (first.done, sorted(first.failed)) == (4, ["cars", "zebras"])
    assert extract(source, output, checkpoint).skipped == 6
    before = {clip: kept for clip, kept in contents(output).items() if "cars" not in clip}
    (source / "cars.mkv").write_bytes(good)
    opened, seen = [], []

    def watched(path: Path, **options: Any) -> Any:
        opened.append(path.stem)
        seen.append(FeatureCache.open(output).status().tolist())
        return decode_clip(path, **options)

    monkeypatch.setattr(worker, "decode_clip", watched)
    again = extract(source, output, checkpoint, retry_failed=True)
    assert (again.done, sorted(again.failed), again.skipped) == (5, ["zebras"], 4)
    assert {"cars"} <= set(opened) <= {"cars", "zebras"}
    assert all(status[0] == status[2] == DONE for status in seen)
    after = contents(output)
    assert {clip: kept for clip, kept in after.items() if "cars" not in clip} == before
    monkeypatch.setattr(worker, "decode_clip", decode_clip)
    extract(source, tmp_path / "g.zarr", checkpoint)
    assert contents(tmp_path / "g.zarr") == after


def test_failed_clips_are_listed(few: Path, nursery: Nursery, tmp_path: Path) -> None:
    assert nursery.run(extracting(few, tmp_path / "features.zarr")).code == 3
    assert av2a("info", "--failed", cwd=tmp_path).out.startswith("broken\tbroken.mp4: ")
    found = av2a("info", "--failed", "--json", cwd=tmp_path).json()
    assert list(found) == ["broken"]


@pytest.mark.parametrize("text", ["4/4", "1", "a/b", "-1/3", "1/0"])
def test_refused_shares(text: str, few: Path, tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match="write i/n, from 0/n"):
        extract_videos(few, tmp_path / "f.zarr", shard_range=text)
