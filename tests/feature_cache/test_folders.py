"""Files of a folder are all there, or what was there before is, after errors, signals and kills."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_cache.storage import folders
from feature_cache.storage.folders import whole_folder

NEW = {"a": b"1", "b/c": b"2", "b/d/e": b"3", "z": b"4"}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }


def write(folder: Path) -> None:
    with whole_folder(folder) as files:
        for name, data in NEW.items():
            files.write(name, data)


def before(folder: Path) -> dict[str, bytes]:
    (folder / "b").mkdir(parents=True)
    for name, data in {"a": b"old", "b/c": b"old too", "mine": b"stays", "b/mine": b"stays"}.items():
        (folder / name).write_bytes(data)
    (folder / "a").chmod(0o640)
    return contents(folder)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "out")
    assert contents(tmp_path / "out") == NEW
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with whole_folder(tmp_path / "empty"):
        pass
    assert contents(tmp_path / "empty") == {}


def test_a_folder_that_is_there(tmp_path: Path) -> None:
    old = before(tmp_path / "out")
    write(tmp_path / "out")
    assert contents(tmp_path / "out") == {**old, **NEW}
    assert (tmp_path / "out" / "a").stat().st_mode & 0o777 == 0o640
    (tmp_path / "link").symlink_to("out")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()


def test_no_folder_and_no_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError):
        write(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "no" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("fails", ["open", "fsync", "replace", "link", "mkdir"])
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("room", range(4))
def test_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, there: bool, room: int) -> None:
    """Whatever fails, and when."""
    out = tmp_path / "out"
    old = before(out) if there else {}
    left = [room]

    def failing(real: Callable[..., object]) -> Callable[..., object]:
        def call(*words: object, **more: object) -> object:
            left[0] -= 1
            if left[0] == -1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*words, **more)

        return call

    place, name = (os, fails) if fails in ("fsync", "link") else (Path, fails)
    with monkeypatch.context() as patch:
        if name != "link":
            patch.setattr(place, name, failing(getattr(place, name)))
        else:
            patch.setattr(os, "link", lambda *_, **__: (tmp_path / "none").stat())  # a file system without links
        try:
            write(out)
            done = True
        except OSError:
            done = False
    if not done:
        assert contents(out) == old
        assert out.exists() == there
    else:
        assert contents(out) == {**old, **NEW}
    assert not list(tmp_path.rglob("*.partial"))
    write(out)
    assert contents(out) == {**old, **NEW}


def test_a_file_where_a_folder_has_to_be(tmp_path: Path) -> None:
    (tmp_path / "out" / "z").mkdir(parents=True)
    (tmp_path / "out" / "a").write_bytes(b"old")
    with pytest.raises(IsADirectoryError):
        write(tmp_path / "out")
    assert contents(tmp_path / "out") == {"a": b"old"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "z"]


def test_an_error_of_who_writes(tmp_path: Path) -> None:
    old = before(tmp_path / "out")

    def stopped() -> None:
        with whole_folder(tmp_path / "out") as files:
            files.write("a", b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert contents(tmp_path / "out") == old


def test_more_files_than_are_looked_at_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_ONE_BY_ONE", 2)
    write(tmp_path / "out")
    assert contents(tmp_path / "out") == NEW


KILLED = """
import os, signal, sys
from pathlib import Path
from feature_cache.storage.folders import whole_folder
with whole_folder(Path(sys.argv[1])) as files:
    files.write("a/b", b"x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
@pytest.mark.parametrize("there", [True, False])
def test_what_a_kill_left_goes_with_the_next(tmp_path: Path, there: bool) -> None:
    out = tmp_path / "out"
    old = before(out) if there else {}
    subprocess.run([sys.executable, "-c", KILLED, str(out)], check=False)
    assert list(tmp_path.rglob("*.partial"))
    assert {name: data for name, data in contents(out).items() if ".partial" not in name} == old
    write(out)
    assert not list(tmp_path.rglob("*.partial"))
    assert contents(out) == {**old, **NEW}
