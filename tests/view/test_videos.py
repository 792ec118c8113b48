"""Which file of a folder is which clip's."""

from pathlib import Path

import pytest

from score.errors import ScoreError
from score.view.videos import ClipVideos, is_sound, media_type
from tests.posix import make_pipe


def folder_of(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"")
    return path


def found(folder: Path, clip: str, files: dict[str, str] | None = None) -> str | None:
    path = ClipVideos(folder, [clip], {}, files or {}).path(clip)
    return None if path is None else path.relative_to(folder).as_posix()


def test_by_name(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, "a.mp4", "a.wav", "below/b.webm", "c.txt", "one/d.mp4", "two/d.mp4", "e.MOV", "f/g.mkv",
        "cafe\u0301.mp4",
    )  # fmt: skip
    assert found(folder, "a") == "a.mp4"
    assert found(folder, "b") == "below/b.webm"
    assert found(folder, "c") is None  # no media
    assert found(folder, "d") is None  # one of two
    assert found(folder, "one/d") == "one/d.mp4"
    assert found(folder, "e") == "e.MOV"
    assert found(folder, "f/g") == "f/g.mkv"
    assert found(folder, "nobody") is None
    assert found(folder, "caf\u00e9") == "cafe\u0301.mp4"


def test_what_a_cache_says_goes_first(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a.mp4", "other/a.avi", "x.mp4")
    assert found(folder, "a", {"a": "other/a.avi"}) == "other/a.avi"
    assert found(folder, "a", {"a": "gone.mp4"}) == "a.mp4"


OUTSIDE = ("../secret.mp4", "sub/../../secret.mp4", "{outside}/secret.mp4", "C:\\secret.mp4", "..\\secret.mp4")


@pytest.mark.parametrize("name", [*OUTSIDE, "a\0b", "x" * 5000])
def test_nothing_outside_the_folder(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path / "videos", "other.mp4", "sub/other.mp4")
    folder_of(tmp_path, "secret.mp4")
    name = name.format(outside=tmp_path)
    assert found(folder, "clip", {"clip": name}) is None
    assert found(folder, name.removesuffix(".mp4")) is None


def test_places(tmp_path: Path) -> None:
    folder_of(tmp_path, "long.mp4", "a.mp4")
    origins = {"long#0": ("long", 0.0, None), "long#1": ("long", 10.0, 14.5), "gone#0": ("gone", 0.0, None)}
    videos = ClipVideos(tmp_path, ["long#0", "long#1", "gone#0", "a"], origins, {}, seconds=10.0)
    assert videos.path("long#1") == tmp_path / "long.mp4"
    assert [videos.place(clip) for clip in ("long#0", "long#1", "a")] == [(0, 10), (10, 14.5), (0, 10)]
    assert videos.found == 3
    assert ClipVideos(tmp_path, ["a"], {}, {}).place("a") == (0, None)


def test_one_file_and_links(tmp_path: Path) -> None:
    folder_of(tmp_path, "a.mp4", "b.mp4", "far/c.mp4")
    alone = ClipVideos(tmp_path / "a.mp4", ["a", "b"], {}, {})
    assert (alone.path("a"), alone.path("b"), alone.found) == (tmp_path / "a.mp4", None, 1)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "near").symlink_to(tmp_path / "far", target_is_directory=True)
    assert found(tmp_path / "videos", "c", {"c": "near/c.mp4"}) == "near/c.mp4"
    with pytest.raises(ScoreError, match="not there"):
        ClipVideos(tmp_path / "nowhere", ["a"], {}, {})


def test_kinds() -> None:
    assert media_type(Path("a.MP4")) == "video/mp4"
    assert is_sound(Path("a.flac"))
    assert not is_sound(Path("a.mp4"))
    assert media_type(Path("a.txt")) == ""


def test_other_clips_in_its_place(tmp_path: Path) -> None:
    """As where a cache is opened again: their files are looked for anew."""
    folder = folder_of(tmp_path, "a.mp4", "talk.mov")
    videos = ClipVideos(folder, ("a",), {}, {}, 10.0)
    assert videos.found == 1
    folder_of(tmp_path, "new.mov")
    clips = ("new", "talk#3")
    videos.follow(clips, {"talk#3": ("talk", 30.0, 35.0)}, {})
    assert videos.found == 2
    assert [videos.path(clip) for clip in clips] == [folder / "new.mov", folder / "talk.mov"]
    assert videos.place("talk#3") == (30.0, 35.0)


def test_what_is_no_file(tmp_path: Path) -> None:
    """A page that links to a pipe has a browser wait for it, and for all others."""
    folder = folder_of(tmp_path, "a.mp4")
    make_pipe(folder / "pipe.mp4")
    (folder / "folder.mp4").mkdir()
    (folder / "nowhere.mp4").symlink_to(folder / "nothing")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    (folder / "link.mp4").symlink_to(folder / "a.mp4")
    (folder / "around").symlink_to(folder)
    for clip in ("pipe", "folder", "nowhere", "loop"):
        assert found(folder, clip) is None
    assert (found(folder, "a"), found(folder, "link")) == ("a.mp4", "link.mp4")
