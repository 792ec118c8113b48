"""Which files a run takes, and what their clips are called: folders below, names, links, and what is no video."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from extract import ExtractError
from extract.run.file_ids import file_ids
from extract.run.inputs import SOUND_ENDINGS, VIDEO_ENDINGS, find_sounds, find_videos
from feature_cache import FeatureCache
from feature_cache.names import why_not_a_name
from tests.command import av2a, refusal
from tests.extraction import extract
from tests.media import make_video, make_wav, tone


def put(folder: Path, *names: str | bytes) -> Path:
    """Files that are there, whatever is in them."""
    for name in names:
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + os.fsencode(name)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def ids(folder: Path, known: Mapping[str, str | None] | None = None, **options: Any) -> dict[str, str]:
    """Paths by id; the ids are sorted."""
    found = find_videos(folder, known=known, **options)
    assert list(found.files) == sorted(found.files) == list(found.paths)
    return found.paths


def small(path: Path, pitch: float = 440) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_video(path, frames=10, fps=1, size=(32, 32), sound=tone(10, 8000, 1, pitch), rate=8000)


def make_pipe(path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("no pipes with names there")
    os.mkfifo(path)


# --- ids ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.mp4", "b.mkv"], {"a": "a.mp4", "b": "b.mkv"}),
        (["x/a.mp4", "y/z/b.mkv"], {"a": "x/a.mp4", "b": "y/z/b.mkv"}),
        (["x/a.mp4", "y/z/a.mp4", "y/b.mp4"], {"x/a": "x/a.mp4", "y/z/a": "y/z/a.mp4", "b": "y/b.mp4"}),
        (["a.mp4", "x/a.mp4"], {"a": "a.mp4", "x/a": "x/a.mp4"}),
        (["a.mp4", "a.mkv"], {"a.mp4": "a.mp4", "a.mkv": "a.mkv"}),
        (["a.MP4", "a.mkv", "A.mov"], {"a.MP4": "a.MP4", "a.mkv": "a.mkv", "A": "A.mov"}),
        (["a.wav", "a.flac"], {"a.wav": "a.wav", "a.flac": "a.flac"}),
        (["x/a.mp4", "x/a.mkv", "y/a.mp4"], {"x/a.mp4": "x/a.mp4", "x/a.mkv": "x/a.mkv", "y/a": "y/a.mp4"}),
        (["a.mp4", "a.wav", "b.WAV"], {"a": "a.mp4", "b": "b.WAV"}),
        (["a.mp4", "a.mkv", "a.wav"], {"a.mp4": "a.mp4", "a.mkv": "a.mkv"}),
        (["x/a.MP4", "x/a.WAV", "y/a.wav"], {"x/a": "x/a.MP4", "y/a": "y/a.wav"}),
        (["talk.mp4", "talk#1.mp4"], {"talk": "talk.mp4", "talk#1.mp4": "talk#1.mp4"}),
        (["talk.mp4", "x/talk#1.mp4"], {"talk": "talk.mp4", "x/talk#1": "x/talk#1.mp4"}),
        (["a#1.mp4", "b#x.mp4", "b.mp4"], {"a#1": "a#1.mp4", "b#x": "b#x.mp4", "b": "b.mp4"}),
        (["a.mp4", "a.mkv", "a.mp4.mkv"], {"a.mp4": "a.mp4", "a.mkv": "a.mkv", "a.mp4.mkv": "a.mp4.mkv"}),
        (["x/\u00e9.mp4", "y/e\u0301.mp4"], {"x/\u00e9": "x/\u00e9.mp4", "y/e\u0301": "y/e\u0301.mp4"}),
        (["a.b.mp4", "a.c.mp4", "x y/1.mp4"], {"a.b": "a.b.mp4", "a.c": "a.c.mp4", "1": "x y/1.mp4"}),
    ],
)  # fmt: skip
def test_ids(files: list[str], expected: dict[str, str], tmp_path: Path) -> None:
    assert ids(put(tmp_path, *files)) == dict(sorted(expected.items()))


@pytest.mark.parametrize(
    ("known", "later", "expected"),
    [
        ({"a": "x/a.mp4"}, ["x/a.mp4", "y/a.mp4"], {"a": "x/a.mp4", "y/a": "y/a.mp4"}),
        ({"a": "x/a.mp4"}, ["x/a.mp4", "a.mp4"], {"a": "x/a.mp4", "a.mp4": "a.mp4"}),
        ({"a": "a.mkv"}, ["a.mkv", "a.mp4"], {"a": "a.mkv", "a.mp4": "a.mp4"}),
        ({"a": "a.wav"}, ["a.wav", "a.mp4"], {"a": "a.wav", "a.mp4": "a.mp4"}),
        ({"x/a": "x/a.mp4", "y/a": "y/a.mp4"}, ["x/a.mp4"], {"x/a": "x/a.mp4"}),
        ({"x/a": "x/a.mp4", "y/a": "y/a.mp4"}, ["x/a.mp4", "z/a.mp4"], {"x/a": "x/a.mp4", "z/a": "z/a.mp4"}),
        ({"talk#1": "talk#1.mp4"}, ["talk#1.mp4", "talk.mp4"], {"talk#1": "talk#1.mp4", "talk.mp4": "talk.mp4"}),
        ({"talk": "talk.mp4"}, ["talk#1.mp4", "talk.mp4"], {"talk": "talk.mp4", "talk#1.mp4": "talk#1.mp4"}),
        ({"caf\u00e9": "caf\u00e9.mp4"}, ["cafe\u0301.mp4", "b.mp4"], {"caf\u00e9": "cafe\u0301.mp4", "b": "b.mp4"}),
        ({"a": "a.mp4"}, ["2024/a.mp4"], {"a": "2024/a.mp4"}),
        ({"a": "a.mp4"}, ["x/a.mp4", "y/a.mp4"], {"x/a": "x/a.mp4", "y/a": "y/a.mp4"}),
        ({"a": None, "b": None}, ["a.mkv", "b.wav", "x/a.mp4"], {"a": "a.mkv", "b": "b.wav", "x/a": "x/a.mp4"}),
        ({"a": None}, ["a.mp4", "a.wav"], {"a": "a.mp4"}),
        ({"a.mp4": "a.mp4.mkv"}, ["a.mp4", "a.mkv"], {"a.mp4~2": "a.mp4", "a.mkv": "a.mkv"}),
    ],
)
def test_files_that_come_later_rename_nothing(
    known: dict[str, str | None], later: list[str], expected: dict[str, str], tmp_path: Path
) -> None:
    assert ids(put(tmp_path, *later), known) == dict(sorted(expected.items()))


def test_whatever_comes_in_whatever_order() -> None:
    """Files come a few at a time: no id changes or is given twice, and what is known does not change the outcome."""
    draw = random.Random(1)
    names = ("a", "b", "a#1", "a.mp4", "caf\u00e9", "cafe\u0301")
    every = [
        f"{folder}{name}{ending}"
        for folder in ("", "x/", "y/", "x/y/")
        for name in names
        for ending in (".mp4", ".mkv")
    ]
    for _ in range(200):
        known: dict[str, str | None] = {}
        there: list[str] = []
        for _ in range(draw.randint(1, 5)):
            there = sorted({*there, *draw.sample(every, draw.randint(1, 6))})
            found = file_ids(there, known).by_path
            assert len(set(found.values())) == len(there)
            given: Iterable[str] = known
            assert {clip: path for path, clip in found.items() if clip in given} == known
            parts = {f"{clip}#{number}" for clip in found.values() for number in range(2)}
            assert not parts & {*found.values()}
            known = {clip: path for path, clip in found.items()}
            shuffled = draw.sample(there, len(there))
            assert file_ids(shuffled, known).by_path == found


@pytest.mark.slow
def test_folders_below_through_the_command(tmp_path: Path, checkpoint: Path) -> None:
    """Growth, a kill aside: what is in the cache keeps its name and is not computed again."""
    small(tmp_path / "talks" / "x" / "a.mp4")
    small(tmp_path / "talks" / "b.mp4", 880)
    words = ("extract", "talks", "--backbone", "clip_clap", "--checkpoint", checkpoint, "--device", "cpu")
    done = av2a(*words, cwd=tmp_path)
    assert done.code == 0, done.err
    cache = FeatureCache.open(tmp_path / "features.zarr")
    assert cache.clip_ids == ["a", "b"]
    assert cache.attributes["files"] == {"a": "x/a.mp4"}
    before = cache.read().audio[0]
    small(tmp_path / "talks" / "y" / "a.mp4", 220)
    small(tmp_path / "talks" / "a.mkv", 330)
    done = av2a(*words, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "called by path (y/a)" in done.err
    assert "4 clips done, 0 failed" in done.out
    assert "2 of them were there before" in done.out
    cache = FeatureCache.open(tmp_path / "features.zarr")
    assert cache.clip_ids == ["a", "b", "a.mkv", "y/a"]
    assert cache.attributes["files"] == {"a": "x/a.mp4", "a.mkv": "a.mkv"}
    assert (cache.read().audio[0] == before).all()
    done = av2a(*words, "--no-recursive", "-o", "flat.zarr", cwd=tmp_path)
    assert FeatureCache.open(tmp_path / "flat.zarr").clip_ids == ["a", "b"]
    assert "not looked into (--no-recursive): 2 (x, y)" in done.err


def test_long_files_of_one_name(tmp_path: Path, checkpoint: Path) -> None:
    """Parts are called by path, too."""
    for folder in ("x", "y"):
        (tmp_path / "talks" / folder).mkdir(parents=True)
        make_video(tmp_path / "talks" / folder / "a.mp4", frames=20, fps=1, size=(32, 32), rate=8000)
    summary = extract(tmp_path / "talks", tmp_path / "f.zarr", checkpoint)
    cache = FeatureCache.open(summary.path)
    assert cache.clip_ids == ["x/a#0", "x/a#1", "y/a#0", "y/a#1"]
    assert cache.attributes["clips_from"]["y/a#1"] == ["y/a", 10.0]
    assert extract(tmp_path / "talks", tmp_path / "f.zarr", checkpoint).skipped == 4
    small(tmp_path / "talks" / "a.mp4")
    extract(tmp_path / "talks", tmp_path / "f.zarr", checkpoint)
    assert FeatureCache.open(summary.path).clip_ids[4:] == ["a"]


# --- what is looked at ----------------------------------------------------------------------------------


def test_folders_and_links(tmp_path: Path) -> None:
    """Links to folders are followed once and never in a circle; what is hidden and what is a cache is let alone."""
    home, away = tmp_path / "home", tmp_path / "away"
    put(home, "b/one.mp4", ".hidden/two.mp4", "b/.three.mp4", "c.zarr/four.mp4", "d.mp4/five.mp4")
    put(away, "six.mp4", "deep/seven.mp4")
    (home / "a-link").symlink_to(home / "b", target_is_directory=True)
    (home / "b" / "up").symlink_to("..", target_is_directory=True)
    (home / "b" / "self").symlink_to("self")
    (home / "out").symlink_to(away, target_is_directory=True)
    (home / "zoo").symlink_to(away / "deep", target_is_directory=True)
    (home / "around").symlink_to(tmp_path, target_is_directory=True)
    (home / "eight.mkv").symlink_to(away / "six.mp4")
    found = find_videos(home)
    assert found.paths == {
        "eight": "eight.mkv", "five": "d.mp4/five.mp4", "one": "b/one.mp4", "seven": "out/deep/seven.mp4",
        "six": "out/six.mp4",
    }  # fmt: skip
    assert found.refused == {}
    assert any("around this one, not followed: 1 (around)" in note for note in found.notes)
    assert any("lead to nothing, left out: 1 (b/self)" in note for note in found.notes)
    assert ids(home, recursive=False) == {"eight": "eight.mkv"}


def test_notes(tmp_path: Path) -> None:
    put(tmp_path, "x/a.mp4", "y/a.mp4", "c.mp4", "c.mkv", "d.mp4", "d.wav", "x/e.gif", "f.mid", "g.txt")
    notes = find_videos(tmp_path).notes
    assert len(notes) == 4
    assert "names occur in several folders: 2, called by path (x/a, y/a)" in notes[0]
    assert "names are others', too: 2, called with their endings (c.mkv, c.mp4)" in notes[1]
    assert "sound files beside a video of their name: 1, left out" in notes[2]
    assert "kinds that are not read, left out: 2 (.gif, .mid)" in notes[3]
    assert find_videos(put(tmp_path / "plain", "a.mp4", "b/c.wav", "labels.txt")).notes == ()


def test_nothing_there(tmp_path: Path) -> None:
    """What is there instead is said, and what would be taken."""
    put(tmp_path / "v", "a.gif", "x/b.gif", "c.TXT", "noending")
    line = refusal("extract", "v", cwd=tmp_path)
    assert "no videos or sound files in v, only 4 of other kinds (.gif 2, .txt 1, no ending 1)" in line
    assert "av2a demo" in line
    assert "read are mp4, mkv, mov, avi, webm, wav, flac, mp3, ogg and 45 other kinds" in line
    kinds = (Path(__file__).parents[2] / "docs" / "media.md").read_text(encoding="utf-8")
    for ending in (*VIDEO_ENDINGS, *SOUND_ENDINGS):
        assert re.search(rf"\b{ending[1:]}\b", kinds), ending
    (tmp_path / "gone.mp4").symlink_to("nowhere")
    make_pipe(tmp_path / "pipe.mp4")
    for name, said in (("gone.mp4", "its link leads to nothing"), ("pipe.mp4", "no file and no folder")):
        with pytest.raises(ExtractError, match=rf"{name}.*{said}"):
            find_videos(tmp_path / name)
    put(tmp_path / "w", "x/a.mp4")
    with pytest.raises(ExtractError, match=r"1 folders below that are not looked into \(x\)"):
        find_videos(tmp_path / "w", recursive=False)


def test_files_that_cannot_be_taken(tmp_path: Path, checkpoint: Path) -> None:
    """Each is a failed clip with its reason, nothing waits for a pipe, and the rest is done."""
    videos = tmp_path / "videos"
    small(videos / "good.mp4")
    small(videos / "\u72ac\u3000sub" / "also good.mp4")
    key = "../.git/annex/objects/Xk/9p/SHA256E-s1--" + "0" * 200 + ".mp4"
    (videos / "annexed.mp4").symlink_to(key)
    (videos / "circle.mkv").symlink_to("circle.mkv")
    (videos / "lfs.mp4").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    (videos / "unlocked.webm").write_text("/annex/objects/SHA256E-s1--00.webm\n")
    make_pipe(videos / "pipe.mp4")
    (videos / "null.wav").symlink_to("/dev/null")
    shutil.copy(videos / "good.mp4", videos / "line\nbreak.mp4")
    shutil.copy(videos / "good.mp4", videos / "over\u202ertl.mp4")
    shutil.copy(videos / "good.mp4", videos / os.fsdecode(b"latin\xe9.mp4"))
    done = av2a("extract", "--backbone", "clip_clap", "--checkpoint", checkpoint, "--device", "cpu", cwd=tmp_path)
    assert done.code == 3, done.err
    assert "2 clips done, 9 failed" in done.out
    reasons = FeatureCache.open(tmp_path / "features.zarr").reasons()
    assert sorted(reasons) == [
        "annexed", "circle", "latin\\xe9", "lfs", "line\\x0abreak", "null", "over\\u202ertl", "pipe", "unlocked",
    ]  # fmt: skip
    for clip, said in (
        ("annexed", "its link leads to nothing ("), ("annexed", "`git annex get`"), ("circle", "leads to nothing"),
        ("lfs", "`git lfs pull`"), ("unlocked", "`git annex get`"), ("pipe", "no file but a named pipe"),
        ("null", "no file but a device"), ("line\\x0abreak", "rename it"), ("over\\u202ertl", "rename it"),
        ("latin\\xe9", "rename it"),
    ):  # fmt: skip
        assert said in reasons[clip], (clip, reasons[clip])
        assert f"failed: {clip}: " in done.err
    (videos / "pipe.mp4").unlink()
    small(videos / "pipe.mp4")
    again = extract(videos, tmp_path / "features.zarr", checkpoint, shard_size=32, retry_failed=True)
    assert (again.done, len(again.failed)) == (3, 8)


AS_NOBODY = """
import json, os, sys, tempfile
from pathlib import Path
from extract.run.inputs import find_videos

if os.geteuid() == 0:  # who may read everything
    os.setuid(65534)
with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    for path in ("a.mp4", "b.mp4", "x/c.mp4", "y/d.mp4"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(b"x")
    for path, mode in (("b.mp4", 0), ("x", 0), ("y", 0o400)):
        (folder / path).chmod(mode)
    found = find_videos(folder)
    for path in ("x", "y"):
        (folder / path).chmod(0o700)
print(json.dumps([list(found.files), found.refused, found.notes, found.incomplete]))
"""


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
def test_no_permission() -> None:
    """A file that may not be read fails, one in a folder that may not be entered too; a folder not listed is said."""
    done = subprocess.run([sys.executable, "-c", AS_NOBODY], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    files, refused, notes, incomplete = json.loads(done.stdout)
    assert files == ["a", "b", "d"]
    assert set(refused) == {"b", "d"}
    assert all("no permission" in reason for reason in refused.values())
    assert notes == ["folders that cannot be listed, so that what is in them is left out: 1 (x)"]
    assert incomplete == ["x"]


def test_nothing_is_pruned_where_not_all_can_be_seen(tmp_path: Path, checkpoint: Path) -> None:
    """A link to a folder whose disk is away leads to nothing: its clips are not gone."""
    small(tmp_path / "v" / "a.mp4")
    small(tmp_path / "disk" / "b.mp4")
    (tmp_path / "v" / "more").symlink_to(tmp_path / "disk", target_is_directory=True)
    extract(tmp_path / "v", tmp_path / "f.zarr", checkpoint)
    (tmp_path / "disk").rename(tmp_path / "away")
    with pytest.raises(ExtractError, match="`prune=True`: more cannot be looked into"):
        extract(tmp_path / "v", tmp_path / "f.zarr", checkpoint, prune=True)
    summary = extract(tmp_path / "v", tmp_path / "f.zarr", checkpoint)
    assert any("links that lead to nothing, left out: 1 (more)" in note for note in summary.notes)
    assert FeatureCache.open(tmp_path / "f.zarr").clip_ids == ["a", "b"]


def test_a_single_file_of_another_kind(tmp_path: Path, checkpoint: Path) -> None:
    """It goes to FFmpeg as it is: done if that reads it, else the line says what is read."""
    small(tmp_path / "a.mp4").rename(tmp_path / "a.video")
    summary = extract(tmp_path / "a.video", tmp_path / "f.zarr", checkpoint)
    assert (summary.done, summary.failed) == (1, {})
    make_video(tmp_path / "b.gif", frames=10, fps=1, size=(32, 32), codec="gif", pixels="rgb8", with_sound=False)
    summary = extract(tmp_path / "b.gif", tmp_path / "g.zarr", checkpoint)
    assert (summary.done, summary.failed) == (1, {})
    (tmp_path / "c.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\na.mp4\n#EXT-X-ENDLIST\n")
    summary = extract(tmp_path / "c.m3u8", tmp_path / "h.zarr", checkpoint)
    assert "cannot be read" in summary.failed["c"]
    assert "read are mp4, mkv, " in summary.failed["c"]
    assert summary.failed["c"].endswith("other kinds")


# --- what lies beside -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_labels_beside_a_single_file(tmp_path: Path, checkpoint: Path) -> None:
    small(tmp_path / "talk.mp4")
    (tmp_path / "labels.txt").write_text("Dog\nYak\nCello\n")
    words = ("--backbone", "clip_clap", "--checkpoint", checkpoint, "--device", "cpu")
    done = av2a("extract", "talk.mp4", *words, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "note: labels: the 3 of labels.txt" in done.err
    assert FeatureCache.open(tmp_path / "features.zarr").text("labels").labels == ("Dog", "Yak", "Cello")
    (tmp_path / "labels.txt").unlink()
    (tmp_path / "labels.txt").symlink_to("nowhere")
    with pytest.raises(ExtractError, match=r"labels\.txt is no file that can be read"):
        extract(tmp_path / "talk.mp4", tmp_path / "f.zarr", checkpoint)


def test_sound_from_another_folder(tmp_path: Path) -> None:
    """By id, by path, or by a name that is one on both sides; what may be another's is not taken."""
    sounds = put(tmp_path / "s", "x/a.wav", "deep/b.WAV", "c.wav", "e.mp4.wav", "f.wav", "1/g.wav", "2/g.wav", "k.mp3")
    videos = {
        "x/a": "x/a.mp4", "y/a": "y/a.mp4", "b": "b.mp4", "c": "some/c.mp4", "d": "d.mp4", "e.mp4": "e.mp4",
        "e.mkv": "e.mkv", "f.mp4": "f.mp4", "f.mkv": "f.mkv", "g": "g.mp4",
    }  # fmt: skip
    found = find_sounds(sounds, videos)
    assert {clip: sound for clip, sound in found.items() if isinstance(sound, Path)} == {
        "x/a": sounds / "x/a.wav", "b": sounds / "deep/b.WAV", "c": sounds / "c.wav", "e.mp4": sounds / "e.mp4.wav",
    }  # fmt: skip
    assert found["d"] == "no d.wav in `audio_dir`; put it there"
    assert "no y/a.wav in `audio_dir`" in str(found["y/a"])
    assert "no f.mkv.wav in `audio_dir`, and f.wav may be another's" in str(found["f.mkv"])
    assert "1/g.wav, 2/g.wav in `audio_dir` are all called so" in str(found["g"])
    (sounds / "d.wav").symlink_to("nowhere")
    assert "d.wav in `audio_dir`: its link leads to nothing" in str(find_sounds(sounds, videos)["d"])


def test_sound_from_another_folder_is_heard(tmp_path: Path, checkpoint: Path) -> None:
    for folder, pitch in (("x", 300), ("y", 900)):
        small(tmp_path / "v" / folder / "a.mp4")
        (tmp_path / "s" / folder).mkdir(parents=True)
        make_wav(tmp_path / "s" / folder / "a.wav", tone(10, 8000, 1, pitch), 8000)
    extract(tmp_path / "v", tmp_path / "f.zarr", checkpoint, audio_dir=tmp_path / "s")
    audio = FeatureCache.open(tmp_path / "f.zarr").read().audio
    assert not (audio[0] == audio[1]).all()


def test_ids_of_paths_many_folders_deep() -> None:
    """A path that is too long for an id is cut in its middle, is no other's, and leaves room for a number."""
    deep = "/".join(["d" * 200] * 8)
    paths = [f"{folder}/{deep}/{name}.mp4" for folder in "ab" for name in ("x", "y")]
    found = file_ids(paths, {}).by_path
    assert len(set(found.values())) == 4
    assert all(why_not_a_name(f"{clip}#123456789") is None for clip in found.values())
    assert found == file_ids(paths[::-1], {}).by_path
    assert file_ids(paths, {clip: path for path, clip in found.items()}).by_path == found
    assert file_ids([f"{deep}/z.mp4"], {}).by_path == {f"{deep}/z.mp4": "z"}
