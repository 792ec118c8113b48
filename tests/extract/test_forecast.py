"""`av2a extract --dry-run`: what it says is what comes, and nothing is written."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from extract import ExtractError, extract_videos, forecast, make_demo
from feature_cache import FeatureCache
from tests.command import av2a

CLIPS = 12
NOTHING = "nothing was written: leave out --dry-run to begin"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(tmp_path_factory.mktemp("forecast"), clips_per_split=CLIPS // 2, workers=1).videos


def stored(cache: FeatureCache) -> int:
    files = (file for name in cache.arrays for file in (Path(cache.path) / name).rglob("*"))
    return sum(file.stat().st_size for file in files if file.is_file())


def test_what_it_says_is_what_comes(videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "f.zarr"
    seen: list[tuple[int, int]] = []
    found = forecast(videos, output, backbone="tiny", workers=2, progress=lambda *now: seen.append(now))
    assert not list(tmp_path.iterdir())
    assert (found.files, found.clips, found.todo, found.there, found.shards) == (CLIPS, CLIPS, CLIPS, 0, 1)
    assert found.refused == {}
    assert found.probe is not None
    assert found.seconds is not None
    assert found.probe.clips <= CLIPS - 2  # two warmed it up
    assert found.seconds >= found.probe.seconds
    assert seen[-1] == (found.probe.clips, found.probe.clips)
    summary = extract_videos(videos, output, backbone="tiny", workers=2)
    assert summary.done == CLIPS
    cache = FeatureCache.open(output)
    assert found.cache_bytes == pytest.approx(stored(cache), rel=0.15)
    before = cache.identity, sorted(output.rglob("*"))
    again = forecast(videos, output, backbone="tiny")
    assert (again.todo, again.there, again.clips, again.probe, again.seconds) == (0, CLIPS, CLIPS, None, None)
    assert (FeatureCache.open(output).identity, sorted(output.rglob("*"))) == before


def test_the_command(videos: Path, tmp_path: Path) -> None:
    few, folder = sorted(videos.glob("*.mp4"))[:3], tmp_path / "videos"
    folder.mkdir()
    for file in few:
        shutil.copy(file, folder)
    (folder / "bad.mp4").write_bytes(b"no video")
    words = "extract", "videos", "--backbone", "tiny", "--labels", "demo", "--dry-run"
    done = av2a(*words, cwd=tmp_path)
    assert done.code == 3
    assert "would fail: bad: it cannot be read" in done.err
    lines = done.out.splitlines()
    assert lines[0] == "4 clips of 4 files to extract in 1 shard"
    assert re.fullmatch(r"features.zarr: about [\d.]+ kB \([\d.]+ kB a clip\); [\d.,]+ [GT]B are free there", lines[1])
    assert re.fullmatch(r"time: about \d+ s at [\d.]+ clips/s, tiny on cpu", lines[2])
    shares = r"\(decode \d+%, prepare \d+%, encode \d+%, write \d+%\)"
    assert re.fullmatch(r"tried: \d clips? in \d+\.\d s, \d+ at once " + shares, lines[3])
    assert lines[4:] == [NOTHING]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["videos"]
    assert av2a(*words[:-1], cwd=tmp_path).code == 3
    done = av2a(*words, cwd=tmp_path)
    assert done.out.splitlines() == ["0 clips of 4 files to extract; 4 are in features.zarr already", NOTHING]
    assert done.code == 0
    done = av2a(*words, "--retry-failed", cwd=tmp_path)
    assert done.out.splitlines()[0] == "1 clip of 4 files to extract in 1 shard; 3 are in features.zarr already"
    shutil.copy(few[0], folder / "more.mp4")
    done = av2a(*words, cwd=tmp_path)
    assert done.out.splitlines()[0] == "1 clip of 5 files to extract in 1 shard; 4 are in features.zarr already"
    assert "kB more than now (" in done.out


def test_shares_add_up(videos: Path, tmp_path: Path) -> None:
    """Each worker's clips and shards, before a cache is there and when some of it is."""
    options: dict[str, Any] = {"backbone": "tiny", "shard_size": 2, "windows": "whole"}
    whole = forecast(videos, tmp_path / "f.zarr", **options)
    parts = [forecast(videos, tmp_path / "f.zarr", shard_range=f"{part}/3", **options) for part in range(3)]
    assert sum(part.todo for part in parts) == whole.todo == CLIPS
    assert sum(part.shards for part in parts) == whole.shards == CLIPS // 2
    assert {part.cache_bytes > part.more_bytes for part in parts} == {True}
    extract_videos(videos, tmp_path / "f.zarr", shard_range="0/3", **options)
    after = [forecast(videos, tmp_path / "f.zarr", shard_range=f"{part}/3", **options) for part in range(3)]
    assert [part.todo for part in after] == [0, parts[1].todo, parts[2].todo]
    assert [part.there for part in after] == [parts[0].todo, 0, 0]


def test_shards_are_those_of_the_cache(videos: Path, tmp_path: Path) -> None:
    """Whatever size is asked for: a cache that is there keeps its own."""
    options: dict[str, Any] = {"backbone": "tiny", "windows": "whole"}
    extract_videos(videos, tmp_path / "f.zarr", shard_range="0/3", shard_size=2, **options)
    found = forecast(videos, tmp_path / "f.zarr", **options)
    assert (found.todo, found.there) == (CLIPS - 4, 4)
    assert found.shards == 4


def test_all_that_are_tried_fail(tmp_path: Path, videos: Path) -> None:
    """Files that can be opened and hold no clip."""
    (tmp_path / "videos").mkdir()
    good = sorted(videos.glob("*.mp4"))[0].read_bytes()
    for number in range(3):
        spoilt = bytearray(good)
        begin, end = spoilt.index(b"mdat") + 4, spoilt.index(b"moov") - 4
        if end < begin:
            end = len(spoilt)
        spoilt[begin:end] = bytes(end - begin)
        (tmp_path / "videos" / f"{number}.mp4").write_bytes(spoilt)
    done = av2a("extract", "--backbone", "tiny", "--labels", "demo", "--dry-run", "--workers", 1, cwd=tmp_path)
    assert done.code == 0
    assert "time: not known: 1 clip tried, and none could be used" in done.out
    assert av2a("extract", "--backbone", "tiny", "--labels", "demo", cwd=tmp_path).code == 3


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"add": "audio-segments"}, "a dry run tells of whole clips"),
        ({"labels": "nope"}, "nope"),
        ({"backbone": "nope"}, "unknown backbone 'nope'"),
    ],
)
def test_what_would_not_begin(videos: Path, tmp_path: Path, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ExtractError, match=why):
        forecast(videos, tmp_path / "f.zarr", **({"backbone": "tiny"} | options))
    assert not list(tmp_path.iterdir())


def test_a_cache_made_differently(videos: Path, tmp_path: Path) -> None:
    extract_videos(videos, tmp_path / "f.zarr", backbone="tiny", windows="whole", shard_size=4)
    with pytest.raises(ExtractError, match=r"is there, made differently \(windows 'whole', now 'all'\)"):
        forecast(videos, tmp_path / "f.zarr", backbone="tiny")
