"""Runs that are killed, run out of space or are interrupted, and go on; clips that are tried again."""

import errno
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extract import ExtractError, extract_videos, worker
from extract.decode import decode_clip
from feature_cache import DONE, FAILED, PENDING, CacheError, FeatureCache, safe_store, verify
from tests.command import av2a
from tests.extraction import extract
from tests.killing import Nursery, finish, start
from tests.media import make_video, tone
from tests.stores import contents

KILLED = -9
QUICK = ("--windows", "whole")
"""Little to compute: making, opening and writing the cache are most of a run's life."""
KILLS, THROUGH_THE_ENTRY_POINT = 17, 3


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
    with Nursery(tmp_path_factory.mktemp("nursery") / "log") as found:
        yield found


def words(videos: Path, output: object, *more: object) -> list[object]:
    toy = ("--backbone", "tiny", "--device", "cpu")
    return ["extract", videos, "-o", output, "--shard-size", 2, "--workers", 1, *toy, *more]


# --- killed ---------------------------------------------------------------------------------------------


def test_killed_at_any_moment(few: Path, nursery: Nursery, tmp_path: Path) -> None:
    """20 kills at random moments of a run's life or of its going on; what is whole in the end equals one in one go."""
    assert nursery.run(words(few, tmp_path / "whole.zarr", *QUICK))[0] == 3
    code, life = nursery.run(words(few, tmp_path / "again.zarr", *QUICK))
    expected = contents(tmp_path / "whole.zarr")
    assert contents(tmp_path / "again.zarr") == expected
    draw, states, kills = random.Random(5), set(), 0
    while kills < KILLS:
        output = tmp_path / f"killed{kills}.zarr"
        while (code := nursery.run(words(few, output, *QUICK), kill_after=draw.uniform(0, life))[0]) == KILLED:
            kills += 1
            states.add(state(output))
            assert sound_so_far(output)
        assert code == 3, nursery.log.read_text()[-2000:]
        assert contents(output) == expected
    assert len(states) > 3, states  # kills that all hit the same moment would show little


@pytest.mark.slow
def test_killed_through_the_entry_point(few: Path, nursery: Nursery, tmp_path: Path) -> None:
    """The installed command, killed while it begins, extracts and ends; then gone on with."""
    outputs = [tmp_path / f"entry{number}.zarr" for number in range(THROUGH_THE_ENTRY_POINT)]
    running = [start(words(few, output)) for output in outputs]
    for wanted, output, process in zip((None, 0, 2), outputs, running, strict=True):
        while process.poll() is None and (wanted is None or done_rows(output) < wanted):
            time.sleep(0.02)
            if wanted is None and output.exists():
                break
        process.kill()
        assert finish(process)[0] == KILLED
        assert sound_so_far(output)
    assert nursery.run(words(few, tmp_path / "whole.zarr"))[0] == 3
    for output in outputs:
        assert nursery.run(words(few, output))[0] == 3
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
        return str(error).split(str(output))[-1]


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
    process = start(words(few, output), preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    code, _, err = finish(process)
    assert code == 1
    assert err.splitlines()[-1].startswith(f"Error: {output}: cannot be written: a file would exceed the largest size")
    assert "Traceback" not in err
    assert "the same command goes on from here" in err
    assert sound_so_far(output)
    assert nursery.run(words(few, output))[0] == 3
    assert nursery.run(words(few, tmp_path / "whole.zarr"))[0] == 3
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
    for _ in range(100):
        if not list(tmp_path.rglob("*.partial")):  # writes that went on side by side end soon
            break
        time.sleep(0.01)
    assert not list(tmp_path.rglob("*.partial"))
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
    process = start(words(few, output))
    while done_rows(output) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    assert err.strip().splitlines()[-1] == "interrupted: the same command goes on from here"
    assert "Traceback" not in err
    assert PENDING in FeatureCache.open(output).status()
    assert nursery.run(words(few, output))[0] == 3
    assert PENDING not in FeatureCache.open(output).status()


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


def test_rows_that_stay_are_declared_while_others_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the writing of a shard is cut off, its rows that were done before are done and readable."""
    from tests.test_verify import make

    for room in range(0, 24):
        path = tmp_path / f"{room}.zarr"
        cache = make(path)
        before = cache.read([3, 5])
        tables = {name: before_row[:1] for name in cache.arrays if (before_row := getattr(before, name)) is not None}
        left = [room]
        real = safe_store.write_durably

        def cut(target: Path, data: bytes, left: list[int] = left, real: Any = real) -> None:
            if left[0] == 0:
                raise OSError(errno.EIO, "cut off")
            left[0] -= 1
            real(target, data)

        with monkeypatch.context() as patch:
            patch.setattr(safe_store, "write_durably", cut)
            try:
                cache.write_rows(1, [1], tables, [DONE], [""], [0])
                ended = True
            except CacheError:
                ended = False
        status = FeatureCache.open(path).status()[3:6].tolist()
        assert status in ([DONE, DONE, DONE],) if ended else status in ([DONE, PENDING, DONE], [DONE, FAILED, DONE])
        kept = FeatureCache.open(path).read([3, 5])
        assert kept.video.tobytes() == before.video.tobytes()
        assert verify(path).intact
        if ended:
            return
    pytest.fail("it never ended")


def test_failed_clips_are_listed(few: Path, nursery: Nursery, tmp_path: Path) -> None:
    assert nursery.run(words(few, tmp_path / "features.zarr"))[0] == 3
    assert av2a("info", "--failed", cwd=tmp_path).out.startswith("broken\tbroken.mp4: ")
    found = av2a("info", "--failed", "--json", cwd=tmp_path).json()
    assert list(found) == ["broken"]


@pytest.mark.parametrize("text", ["4/4", "1", "a/b", "-1/3", "1/0"])
def test_refused_shares(text: str, few: Path, tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match="write i/n, from 0/n"):
        extract_videos(few, tmp_path / "f.zarr", shard_range=text)
