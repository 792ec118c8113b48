"""Who writes to a cache, so that nobody else does: real processes, killed ones, machines that stand still, stores."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from feature_cache import CacheError, FeatureCache, verify
from feature_cache.place import lease_at
from feature_cache.storage import lease as leases
from feature_cache.storage.lease import Lease, LeaseError
from feature_cache.storage.urls import store_at
from tests import leasing, steps
from tests.feature_cache.test_stores import Server, place, server  # noqa: F401
from tests.leasing import finish, start, wait_for, wait_until
from tests.posix import is_root

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are killed and asked about as POSIX does")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FeatureCache]:
    """A whole cache; afterwards nothing may be left of any lease."""
    made = steps.make(tmp_path)
    yield made
    assert not (Path(made.path) / "leases").exists()
    assert verify(made.path).intact


def lease_files(path: str) -> list[Path]:
    return sorted((Path(path) / "leases").glob("[!.]*"))


def change(file: Path, **facts: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))


def taken(path: str, scope: str = "whole") -> Lease:
    return Lease.take(store_at(path, read_only=False), scope, "take")


def in_thread(function: Any, *words: Any) -> Any:
    """As another thread of this process sees it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *words).result()


# --- processes ------------------------------------------------------------------------------------------


def test_of_two_one_writes_and_the_other_is_told_by_whom(cache: FeatureCache, tmp_path: Path) -> None:
    both = {name: start(leasing.write_once, cache.path, tmp_path, name) for name in ("one", "two")}
    for name in both:
        wait_for(tmp_path / f"ready.{name}")
    (tmp_path / "go").touch()
    wait_until(lambda: any((tmp_path / f"won.{name}").exists() for name in both))
    winner, loser = both if (tmp_path / "won.one").exists() else ("two", "one")
    wait_for(tmp_path / f"lost.{loser}")
    (tmp_path / "enough").touch()
    for process in both.values():
        finish(process)
    wait_until((tmp_path / f"lost.{loser}").read_text)
    line = (tmp_path / f"lost.{loser}").read_text()
    assert line.startswith(f"{cache.path} is being written by `write {winner}` of ")
    assert f"pid {both[winner].pid}," in line
    assert "(host " in line
    assert "\n" not in line
    assert FeatureCache.open(cache.path).attributes["by"] == winner
    assert not (tmp_path / f"won.{loser}").exists()


def test_one_that_was_killed_is_taken_over_at_once(cache: FeatureCache, tmp_path: Path) -> None:
    holder = start(leasing.hold, cache.path, tmp_path)
    wait_for(tmp_path / "held")
    with pytest.raises(LeaseError, match=f"is being written by `hold` of .* pid {holder.pid}, "):
        cache.update_attributes({"a": 1})
    with pytest.raises(LeaseError, match="is being written by"):
        FeatureCache.create(cache.path, clip_ids=["x"], overwrite=True, **steps.SIZE)
    with pytest.raises(LeaseError, match="is being written by"):
        verify(cache.path, repair=True)
    holder.kill()
    holder.communicate()
    with FeatureCache.open(cache.path, "r+").writing("next") as again:
        assert again.lease is not None
        assert len(again.lease.taken_over) == 1
        assert f"pid {holder.pid}" in again.lease.taken_over[0]
        again.update_attributes({"a": 1})
    assert FeatureCache.open(cache.path).attributes == {"a": 1}


def test_a_process_that_ended_and_that_nobody_asked_about(cache: FeatureCache, tmp_path: Path) -> None:
    parent = start(leasing.hold_and_leave_a_zombie, cache.path, tmp_path)
    wait_for(tmp_path / "held")
    FeatureCache.open(cache.path, "r+").update_attributes({"a": 1})
    (tmp_path / "enough").touch()
    finish(parent)


def test_a_number_that_another_process_has_by_now(cache: FeatureCache) -> None:
    with taken(cache.path):
        file = lease_files(cache.path)[0]
        said = file.read_text()
    file.parent.mkdir()
    file.write_text(said)
    change(file, pid=os.getppid(), started="1", token="0" * 32)
    with taken(cache.path) as lease:
        assert f"pid {os.getppid()}" in lease.taken_over[0]


@pytest.mark.parametrize(
    ("processes", "times"), [(4, 8), pytest.param(8, 50, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_never_two_at_once(processes: int, times: int, cache: FeatureCache, tmp_path: Path) -> None:
    running = [start(leasing.race, cache.path, tmp_path, name, times) for name in range(processes)]
    for name in range(processes):
        wait_for(tmp_path / f"ready.{name}")
    (tmp_path / "go").touch()
    for process in running:
        finish(process)
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert len(lines) == 2 * processes * times
    for begin, end in zip(lines[::2], lines[1::2], strict=True):
        assert (begin[0], end[0]) == ("begin", "end")
        assert begin[1:] == end[1:]


def test_shards_of_a_cache_that_is_shared(cache: FeatureCache, tmp_path: Path) -> None:
    """Several write, each its shards; the whole cache is nobody's meanwhile."""
    cache.add_clips([f"more {number}" for number in range(17)])
    both = [start(leasing.claim_all, cache.path, tmp_path, name, 10) for name in range(2)]
    for name in range(2):
        wait_for(tmp_path / f"ready.{name}")
    (tmp_path / "go").touch()
    for name in range(2):
        wait_for(tmp_path / f"got.{name}")
    got = []
    for name in range(2):
        file = tmp_path / f"got.{name}"
        wait_until(file.read_text)
        got += json.loads(file.read_text())
    assert sorted(got) == list(range(10))
    writes: tuple[Callable[[], object], ...] = (
        lambda: cache.update_attributes({"a": 1}),
        lambda: cache.add_clips(["z"]),
    )
    for write in writes:
        with pytest.raises(LeaseError, match="is being written by `extract` of "):
            write()
    with (
        cache.writing("extract", shared=True),
        pytest.raises(LeaseError, match=r"shard 3 of .* is being written by `extract` of "),
    ):
        cache.claim(3)
    (tmp_path / "enough").touch()
    for process in both:
        finish(process)


def test_shards_of_one_that_was_killed_are_free(cache: FeatureCache, tmp_path: Path) -> None:
    holder = start(leasing.claim_all, cache.path, tmp_path, 0, 2)
    (tmp_path / "go").touch()
    wait_for(tmp_path / "got.0")
    holder.kill()
    holder.communicate()
    with cache.writing("extract", shared=True):
        for each in [cache.claim(shard) for shard in range(2)]:
            each.release()
    cache.update_attributes({"a": 1})  # as does who needs the whole


# --- other machines -------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.02)


def test_one_of_another_machine_is_taken_over_when_it_stands_still(
    cache: FeatureCache, tmp_path: Path, impatient: None
) -> None:
    holder = start(leasing.hold, cache.path, tmp_path)
    wait_for(tmp_path / "held")
    holder.kill()
    holder.communicate()
    file = lease_files(cache.path)[0]
    change(file, system="elsewhere 1 2", host="elsewhere\x1b[31m")
    told: list[str] = []
    with FeatureCache.open(cache.path, "r+").writing("next", notice=told.append) as again:
        assert again.lease is not None
        assert "host elsewhere\\x1b[31m" in again.lease.taken_over[0]
    assert len(told) == 1
    assert "looking for 0.5 s whether it still is" in told[0]
    assert told[0].isprintable()


def test_one_of_another_machine_that_still_writes_is_not(cache: FeatureCache, impatient: None) -> None:
    lease = taken(cache.path)
    file = lease_files(cache.path)[0]
    token = json.loads(file.read_text())["token"]
    over = threading.Event()

    def beat() -> None:
        number = 0
        while not over.wait(0.02):
            number += 1
            _replace(file, number)

    vars(leases)["_held"].pop(token)  # as if it were a stranger's
    change(file, system="elsewhere")
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(LeaseError, match="is being written by `take` of "):
            in_thread(taken, cache.path)
    finally:
        over.set()
        thread.join()
        lease.release()


def _replace(file: Path, number: int) -> None:
    said = json.loads(file.read_text())
    new = file.with_name(".new")
    new.write_text(json.dumps({**said, "beat": number}))
    new.replace(file)


def test_who_was_taken_over_writes_nothing_more(cache: FeatureCache, impatient: None) -> None:
    """As after a laptop's lid was closed: the next one goes on, this one stops."""
    stood_still = FeatureCache.open(cache.path, "r+")
    with stood_still.writing("sleep"):
        file = lease_files(cache.path)[0]
        token = json.loads(file.read_text())["token"]
        held = vars(leases)["_held"].pop(token)
        change(file, system="elsewhere")
        before = json.loads(file.read_text())
        in_thread(cache.update_attributes, {"by": "the next"})
        vars(leases)["_held"][token] = held
        held.beat()
        assert not file.exists() or json.loads(file.read_text())["token"] != before["token"]
        raw = (Path(cache.path) / "zarr.json").read_bytes()
        writes: tuple[Callable[[], object], ...] = (
            lambda: stood_still.update_attributes({"by": "this one"}),
            lambda: stood_still.add_text("t", overwrite=True, **steps.words(9)),
            lambda: stood_still.write_rows(0, [0], steps.tables("a"), [2], ["no"], [0]),
        )
        for write in writes:
            with pytest.raises(LeaseError, match="another process has taken over while this one stood still"):
                write()
        assert (Path(cache.path) / "zarr.json").read_bytes() == raw
    assert FeatureCache.open(cache.path).attributes == {"by": "the next"}


# --- one process, other stores --------------------------------------------------------------------------


def test_whole_and_part(cache: FeatureCache) -> None:
    with taken(cache.path), pytest.raises(LeaseError):
        in_thread(taken, cache.path, "part")
    with taken(cache.path, "part"):
        with pytest.raises(LeaseError):
            in_thread(taken, cache.path)
        in_thread(taken, cache.path, "part").release()
    with taken(cache.path), taken(cache.path):  # within one thread the second is the first
        assert len(lease_files(cache.path)) == 1
    assert lease_files(cache.path) == []


def test_two_threads(cache: FeatureCache) -> None:
    with cache.writing("first"), pytest.raises(LeaseError, match="`first` of "):
        in_thread(FeatureCache.open(cache.path, "r+").update_attributes, {"a": 1})


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"pid": 1e400}', b'{"pid": true}'])
def test_a_lease_that_says_nothing(raw: bytes, cache: FeatureCache, impatient: None) -> None:
    """It is taken over when it stands still, as that of a machine that is not known."""
    folder = Path(cache.path) / "leases"
    folder.mkdir()
    (folder / "whole.1").write_bytes(raw)
    cache.update_attributes({"a": 1})
    assert FeatureCache.open(cache.path).attributes == {"a": 1}


def test_every_kind_of_store(place: str) -> None:  # noqa: F811
    """One alone makes the file; who comes second is told; nothing is left."""
    steps_cache = FeatureCache.create(place, clip_ids=steps.CLIPS, **steps.SIZE)
    store = store_at(place, read_only=False)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: store.create("leases/x", str(number).encode()), range(8)))
    assert sum(made) == 1
    assert store.read("leases/x") == str(made.index(True)).encode()
    store.discard("leases/x")
    with steps_cache.writing("first"):
        with pytest.raises(LeaseError, match="is being written by `first` of "):
            in_thread(FeatureCache.open(place, "r+").update_attributes, {"a": 1})
        steps_cache.update_attributes({"by": "first"})
    FeatureCache.open(place, "r+").add_clips(["d"])
    assert FeatureCache.open(place).attributes == {"by": "first"}
    assert store.names("leases") == []
    assert verify(place).intact


def test_a_folder_that_cannot_be_written(cache: FeatureCache) -> None:
    """To read needs no lease; to write says so in one line."""
    if is_root():
        pytest.skip("root writes everywhere")
    folder = Path(cache.path)
    folder.chmod(0o555)
    try:
        assert len(FeatureCache.open(folder).read()) == 2
        assert verify(folder).intact
        with pytest.raises(CacheError, match="cannot be written: Permission denied") as caught:
            FeatureCache.open(folder, "r+").update_attributes({"a": 1})
        assert "\n" not in str(caught.value)
    finally:
        folder.chmod(0o755)


def test_what_was_opened_to_read(cache: FeatureCache) -> None:
    with pytest.raises(CacheError, match="was opened to read: open it with 'r\\+'"):
        FeatureCache.open(cache.path).update_attributes({"a": 1})


def test_a_place_where_nothing_came_of_it(tmp_path: Path) -> None:
    with lease_at(tmp_path / "new.zarr", "make"):
        assert (tmp_path / "new.zarr" / "leases").exists()
    assert not (tmp_path / "new.zarr").exists()


def test_ctrl_c_lets_go(cache: FeatureCache, tmp_path: Path) -> None:
    holder = start(leasing.hold, cache.path, tmp_path)
    wait_for(tmp_path / "held")
    holder.send_signal(signal.SIGINT)
    holder.communicate()
    assert holder.returncode != 0
    assert lease_files(cache.path) == []
