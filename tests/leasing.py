"""What processes do that share a cache, for the tests of leases: each is a process of its own, with words."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from feature_cache import FeatureCache
from feature_cache.storage.lease import Lease, LeaseError
from feature_cache.storage.urls import store_at
from tests.command import PATIENCE_SECONDS


def hold(path: str, folder: str, what: str = "hold") -> None:
    """Hold a cache until a file says that it is enough."""
    with FeatureCache.open(path, "r+").writing(what):
        (Path(folder) / "held").touch()
        wait_for(Path(folder) / "enough")


def hold_and_leave_a_zombie(path: str, folder: str) -> None:
    """A child holds the cache and dies; this one, its parent, never asks how it ended."""
    if sys.platform == "win32":
        return
    if os.fork() == 0:
        Lease.take(store_at(path, read_only=False), "whole", "zombie")
        os._exit(0)
    wait_until(lambda: any(path_of_lease.exists() for path_of_lease in [Path(path) / "leases"]))
    time.sleep(0.2)
    (Path(folder) / "held").touch()
    wait_for(Path(folder) / "enough")


def race(path: str, folder: str, name: str, times: str) -> None:
    """Take the cache so many times; what is done under it is told in one file that all write to."""
    (Path(folder) / f"ready.{name}").touch()
    wait_for(Path(folder) / "go")
    store = store_at(path, read_only=False)
    done = 0
    while done < int(times):
        try:
            lease = Lease.take(store, "whole", f"race {name}")
        except LeaseError as error:
            assert "\n" not in str(error)  # noqa: PT017
            time.sleep(0.002)
            continue
        with lease, (Path(folder) / "log").open("a") as log:
            for word in ("begin", "end"):
                lease.check()
                log.write(f"{word} {name} {done}\n")
                log.flush()
                time.sleep(0.001)
        done += 1


def claim_all(path: str, folder: str, name: str, shards: str) -> None:
    """Share a cache: claim each shard that nobody has, one after the other, and say which."""
    cache = FeatureCache.open(path, "r+")
    (Path(folder) / f"ready.{name}").touch()
    wait_for(Path(folder) / "go")
    got = []
    with cache.writing("extract", shared=True):
        for shard in range(int(shards)):
            with suppress(LeaseError):
                got.append((shard, cache.claim(shard)))
        (Path(folder) / f"got.{name}").write_text(json.dumps([shard for shard, _ in got]))
        wait_for(Path(folder) / "enough")
        for _, lease in got:
            lease.release()


def write_once(path: str, folder: str, name: str) -> None:
    """Write a fact at the same moment as others; say how it went."""
    cache = FeatureCache.open(path, "r+")
    (Path(folder) / f"ready.{name}").touch()
    wait_for(Path(folder) / "go")
    try:
        with cache.writing(f"write {name}"):
            cache.update_attributes({"by": name})
            (Path(folder) / f"won.{name}").touch()
            wait_for(Path(folder) / "enough")
    except LeaseError as error:
        (Path(folder) / f"lost.{name}").write_text(str(error))


# --- outside --------------------------------------------------------------------------------------------


def start(function: Callable[..., None], *words: object) -> "subprocess.Popen[str]":
    """A process that calls a function of this module."""
    code = f"import sys, tests.leasing as here; here.{function.__name__}(*sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], cwd=Path(__file__).parent.parent, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> None:
    """Wait for one that ends well."""
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err


def wait_for(file: Path) -> None:
    """Wait for a file."""
    wait_until(file.exists)


def wait_until(true: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)
