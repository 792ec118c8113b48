"""Outputs are written whole or not at all, as UTF-8, to what the person named."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from feature_cache.storage.atomic import whole_file, write_durably, write_outputs


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def full_after(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left, real = [room], os.fsync

    def full(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)


@pytest.mark.parametrize("room", [0, 1, 2])
def test_all_or_none(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes one of three files, or two, takes none; the error names the one that was asked for."""
    files = {tmp_path / name: f"new {name}" for name in "abc"}
    for file in files:
        file.write_text("before")
    with monkeypatch.context() as patch:
        full_after(room, patch)
        with pytest.raises(OSError, match="No space left") as caught:
            write_outputs(files)
    assert caught.value.filename == str(tmp_path / "abc"[room])
    assert [file.read_text() for file in files] == ["before"] * 3
    assert names(tmp_path) == ["a", "b", "c"]
    write_outputs(files)
    assert [file.read_text() for file in files] == list(files.values())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_outputs({tmp_path / "no" / "a": "x"})
    assert caught.value.filename == str(tmp_path / "no" / "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_outputs({tmp_path / "folder": "x"})
    write_durably(tmp_path / "new" / "deep" / "a", b"x")  # a store makes its folders
    assert (tmp_path / "new" / "deep" / "a").read_bytes() == b"x"


def test_links_are_followed_by_people_and_not_by_stores(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    for link in ("one", "two"):
        (tmp_path / link).symlink_to("real")
    write_outputs({tmp_path / "one": "after"})
    assert ((tmp_path / "real").read_text(), (tmp_path / "one").is_symlink()) == ("after", True)
    write_durably(tmp_path / "two", b"other")
    assert ((tmp_path / "real").read_text(), (tmp_path / "two").is_symlink()) == ("after", False)


def test_pipes_and_devices(tmp_path: Path) -> None:
    write_outputs({Path(os.devnull): "x"})
    assert not Path(os.devnull).is_file()
    if sys.platform == "win32":
        return
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_outputs({tmp_path / "pipe": "through"})
    reader.join()
    assert read == ["through"]
    assert names(tmp_path) == ["pipe"]


def test_long_names_and_rights(tmp_path: Path) -> None:
    """The longest name that the system takes; and who may read a file stays as it was."""
    for name in ("n" * 250 + ".json", "犬" * 85):
        write_outputs({tmp_path / name: "x"})
        (tmp_path / name).chmod(0o600)
        write_outputs({tmp_path / name: "y"})
        assert (tmp_path / name).read_text() == "y"
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        with whole_file(tmp_path / name) as partial:
            partial.write_text("z")
        assert (tmp_path / name).read_text() == "z"


def test_a_file_that_a_library_writes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    with (
        pytest.raises(UnicodeEncodeError),
        whole_file(tmp_path / "a") as partial,
        partial.open("w", encoding="ascii") as file,
    ):
        file.write("half a ä")
    assert (tmp_path / "a").read_text() == "before"
    assert names(tmp_path) == ["a"]


def test_texts_are_utf8_in_any_locale(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom tests.made_events import made_events\n"
        "events = made_events({'a': [('audio', 'Gebell\\u00e4', 0, 4)]}, ['Gebell\\u00e4', '\\u72ac'])\n"
        f"for ending in ('csv', 'tsv', 'json'): events.write(Path({str(tmp_path)!r}) / f'e.{{ending}}')\n"
    )
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", code], check=True, env=plain, cwd=Path(__file__).parents[2])
    assert "Gebellä" in (tmp_path / "e.csv").read_bytes().decode("utf-8")
    assert "Gebellä" in (tmp_path / "e_audio.tsv").read_bytes().decode("utf-8")
    assert all(b"\r" not in file.read_bytes() for file in tmp_path.iterdir())
