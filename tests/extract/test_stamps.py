"""The same command again: files that are as they were are not opened, those that changed are looked at anew."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extract import ExtractError, extract_videos
from extract.media.timeline import timeline_of
from extract.run import clip_plan
from extract.summary import Summary
from feature_cache import DONE, FAILED, PENDING, FeatureCache
from tests.killing import HEAVY, Nursery
from tests.media import make_wav, tone
from tests.stores import contents

RATE = 1000
LONG = ("long#0", "long#1", "long#2")


def sound(path: Path, seconds: float, pitch: float = 220) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_wav(path, tone(seconds, RATE, 1, pitch), RATE)


def make_files(folder: Path) -> Path:
    """A clip, one in a folder below, one cut into three, one padded, one whose end is dropped, one that is no media."""
    sound(folder / "one.wav", 10)
    sound(folder / "below" / "other.wav", 10.2, 300)
    sound(folder / "long.wav", 25, 250)
    sound(folder / "short.wav", 4, 330)
    sound(folder / "rest.wav", 20.7, 350)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def again(folder: Path, cache: Path, **options: Any) -> Summary:
    return extract_videos(
        folder,
        cache,
        **{"backbone": "tiny", "device": "cpu", "windows": "whole", "shard_size": 2, "workers": 1, **options},
    )


def files_of(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def spoil(path: Path) -> None:
    """Nothing that can be read, of the same size and time."""
    info = path.stat()
    path.write_bytes(b"\xff" * info.st_size)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def touch(path: Path) -> None:
    info = path.stat()
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + 1_000_000_000))


def stamps(cache: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = FeatureCache.open(cache).attributes["stamps"]
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    make_files(place / "files")
    again(place / "files", place / "f.zarr")
    return place


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Files, times and all, and their cache beside them."""
    shutil.copytree(made / "f.zarr", tmp_path / "f.zarr")
    return Path(shutil.copytree(made / "files", tmp_path / "files"))


@pytest.fixture
def cache(folder: Path) -> Path:
    return folder.with_name("f.zarr")


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that planning looks at."""
    names: list[str] = []

    def watched(path: Path, *rest: Any) -> Any:
        names.append(path.name)
        return timeline_of(path, *rest)

    monkeypatch.setattr(clip_plan, "timeline_of", watched)
    return names


# --- nothing to do --------------------------------------------------------------------------------------


def test_files_as_they_were_are_not_opened(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """By the command: the second run finds, says and leaves what the first one did, whatever is in the files now."""
    folder, store = make_files(tmp_path / "files"), tmp_path / "f.zarr"
    words = ["extract", folder, "-o", store, "--backbone", "tiny", "--device", "cpu", "--windows", "whole"]
    with Nursery(tmp_path_factory.mktemp("nursery") / "log", HEAVY) as nursery:
        first = nursery.run(words)
        before = files_of(store)
        second = nursery.run(words)
        for name in ("one.wav", "below/other.wav", "long.wav", "short.wav", "rest.wav"):
            spoil(folder / name)
        third = nursery.run(words)
        assert files_of(store) == before
        touch(folder / "long.wav")
        touched = nursery.run(words)
    assert [ended.code for ended in (first, second, third, touched)] == [3] * 4
    said = [
        [line for line in ended.err.splitlines() if line.startswith(("note", "failed"))] for ended in (first, second)
    ]
    assert said[0] == said[1]
    assert any("longer than 10 s: 2, cut into 5 clips" in line for line in said[0]), said
    assert any("shorter than 10 s: 2, padded" in line for line in said[0]), said
    assert any("shorter than a segment (1 s): 1, dropped" in line for line in said[0]), said
    assert "8 clips done, 1 failed" in third.out
    assert "failed: broken: " in third.err
    assert "failed: long: long.wav: " in touched.err
    assert "3 clips of the cache are not in" in touched.err
    after = contents(store)
    assert all(after[f"clip {clip}"][0] == DONE for clip in LONG)


def test_only_what_is_refused_is_looked_at(folder: Path, cache: Path, looked: list[str]) -> None:
    before = files_of(cache)
    assert sorted(stamps(cache)) == ["long", "one", "other", "rest", "short"]
    summary = again(folder, cache)
    assert looked == ["broken.mp4"]
    assert (summary.done, list(summary.failed), summary.skipped) == (8, ["broken"], 9)
    assert files_of(cache) == before


def test_several_workers(folder: Path, cache: Path, looked: list[str]) -> None:
    before = files_of(cache)
    touch(folder / "one.wav")
    for index in range(2):
        assert again(folder, cache, shard_range=f"{index}/2").skipped in (4, 5)
    assert looked == ["broken.mp4", "one.wav"] * 2  # nobody has the whole cache: what is new is not recorded
    assert files_of(cache) == before


@pytest.mark.parametrize("rows", [range(9), range(2, 5)])
def test_pending_clips_are_what_they_would_have_been(rows: range, folder: Path, cache: Path, looked: list[str]) -> None:
    """Where they begin and end is known without a look; the files are opened to be decoded."""
    before, opened = contents(cache), FeatureCache.open(cache, "r+")
    none = {name: np.zeros((1, *shape), opened.dtype) for name, shape in opened.row_shapes.items()}
    with opened.writing():
        for row in rows:
            opened.write_rows(row // 2, [row % 2], none, [PENDING], [""], [0])
    assert contents(cache) != before
    assert again(folder, cache).skipped == 9 - len(rows)
    assert looked == ["broken.mp4"]
    assert contents(cache) == before


def test_a_cache_without_stamps(folder: Path, cache: Path, looked: list[str]) -> None:
    """As an earlier av2a made it: everything is looked at, once."""
    expected, identity = stamps(cache), FeatureCache.open(cache).identity
    FeatureCache.open(cache, "r+").update_attributes({"stamps": {}})
    again(folder, cache)
    assert len(looked) == 6
    assert stamps(cache) == expected
    assert FeatureCache.open(cache).identity == identity
    again(folder, cache)
    assert looked[6:] == ["broken.mp4"]


@pytest.mark.parametrize(
    "wrong",
    [[], [0], [0, 0], ["size", None], [0, 0, 0, 0], [[], {}], [1e400, 0], [True, False]],
    ids=str,
)  # fmt: skip
def test_wrong_stamps(wrong: list[Any], folder: Path, cache: Path, looked: list[str]) -> None:
    expected = stamps(cache)
    FeatureCache.open(cache, "r+").update_attributes({"stamps": {**expected, "one": wrong, "nobody": wrong}})
    again(folder, cache)
    assert looked == ["broken.mp4", "one.wav"]
    assert stamps(cache) == {**expected, "nobody": wrong}


@pytest.mark.parametrize("more", [[0], [8], [-1], ["x"], [None], [1, 1], [True]], ids=str)
def test_stamps_that_say_too_much(more: list[Any], folder: Path, cache: Path, looked: list[str]) -> None:
    expected = stamps(cache)
    FeatureCache.open(cache, "r+").update_attributes({"stamps": {**expected, "one": [*expected["one"], *more]}})
    again(folder, cache)
    assert looked == ["broken.mp4", "one.wav"]
    assert stamps(cache) == expected


# --- something else -------------------------------------------------------------------------------------


def test_a_touched_file_is_looked_at_once(folder: Path, cache: Path, looked: list[str]) -> None:
    before = contents(cache)
    touch(folder / "long.wav")
    assert again(folder, cache).skipped == 9
    again(folder, cache)
    assert looked == ["broken.mp4", "long.wav", "broken.mp4"]
    assert contents(cache) == before


def test_another_file_of_that_name(folder: Path, cache: Path, looked: list[str]) -> None:
    """Cut into other clips: those are added, and those that are gone are named in every run until the file is back."""
    kept = folder.with_name("kept.wav")
    shutil.move(folder / "long.wav", kept)
    sound(folder / "long.wav", 10)
    for _ in range(2):
        summary = again(folder, cache)
        assert (summary.done, summary.skipped) == (9, 9 if not looked[2:] else 10)
        assert any("3 clips of the cache are not in" in note for note in summary.notes)
    assert looked == ["broken.mp4", "long.wav"] * 2
    shutil.copy2(kept, folder / "long.wav")
    assert any("1 clips of the cache are not in" in note for note in again(folder, cache).notes)
    assert again(folder, cache, prune=True).done == 8
    looked.clear()
    again(folder, cache)
    again(folder, cache)
    assert FeatureCache.open(cache).clip_ids.count("long") == 0
    assert looked.count("long.wav") <= 1


def test_a_moved_file_is_looked_at(folder: Path, cache: Path, looked: list[str]) -> None:
    before = files_of(cache)
    shutil.move(folder / "one.wav", folder / "below" / "one.wav")
    assert any("lie elsewhere than when their clips were made: 1" in note for note in again(folder, cache).notes)
    assert looked == ["one.wav", "broken.mp4"] or looked == ["broken.mp4", "one.wav"]
    assert {name: raw for name, raw in files_of(cache).items() if not name.startswith(("clip_", "zarr"))} == {
        name: raw for name, raw in before.items() if not name.startswith(("clip_", "zarr"))
    }


def test_new_files_are_looked_at(folder: Path, cache: Path, looked: list[str]) -> None:
    sound(folder / "new.wav", 12, 500)
    again(folder, cache)
    assert looked == ["broken.mp4", "new.wav"]
    looked.clear()
    again(folder, cache)
    assert looked == ["broken.mp4"]
    again(folder, folder.with_name("g.zarr"))
    assert contents(cache) == contents(folder.with_name("g.zarr"))
    assert stamps(cache) == stamps(folder.with_name("g.zarr"))


@pytest.mark.parametrize("clip", ["long#1", "long#0", "one", "short"])
def test_a_clip_that_was_dropped_comes_back(clip: str, folder: Path, cache: Path, looked: list[str]) -> None:
    before = contents(cache)
    FeatureCache.open(cache, "r+").drop_clips([clip])
    assert again(folder, cache).skipped == 8
    assert looked == sorted(["broken.mp4", f"{clip.partition('#')[0]}.wav"])
    assert contents(cache) == before


def test_files_that_go_and_come_back(folder: Path, cache: Path, looked: list[str]) -> None:
    before = contents(cache)
    away = Path(shutil.move(folder / "long.wav", folder.with_name("long.wav")))
    assert again(folder, cache).skipped == 9
    shutil.move(away, folder / "long.wav")
    assert again(folder, cache).skipped == 9
    assert looked == ["broken.mp4"] * 2
    shutil.move(folder / "long.wav", away)
    assert again(folder, cache, prune=True).skipped == 6
    shutil.move(away, folder / "long.wav")
    assert again(folder, cache).skipped == 6
    assert looked == ["broken.mp4"] * 3 + ["broken.mp4", "long.wav"]
    assert contents(cache) == before


def test_failed_clips_are_looked_at_anew(folder: Path, cache: Path, looked: list[str]) -> None:
    before, opened = contents(cache), FeatureCache.open(cache, "r+")
    row = opened.clip_ids.index("long#1")
    none = {name: np.zeros((1, *shape), opened.dtype) for name, shape in opened.row_shapes.items()}
    opened.write_rows(row // 2, [row % 2], none, [FAILED], ["as it was"], [0])
    assert sorted(again(folder, cache).failed) == ["broken", "long#1"]
    assert looked == ["broken.mp4"]
    assert sorted(again(folder, cache, retry_failed=True).failed) == ["broken"]
    assert looked[1:] == ["broken.mp4", "long.wav"]
    assert contents(cache) == before


def test_other_rules_for_clips_are_refused(folder: Path, cache: Path) -> None:
    before = files_of(cache)
    for options in ({"clip_seconds": 5}, {"stride": 5}, {"tail": "drop"}):
        with pytest.raises(ExtractError, match=r"made differently \(clips\."):
            again(folder, cache, **options)
    assert files_of(cache) == before
    again(folder, cache, overwrite=True)
    assert contents(cache)["clip one"][0] == DONE
