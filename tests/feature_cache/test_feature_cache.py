"""The cache on disk: round trips, shards, status, text sets, and every way of being given something wrong."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from feature_cache import (
    DONE,
    FAILED,
    PENDING,
    CacheError,
    FeatureCache,
    window_count,
    window_index,
    windows,
)


def arrays(n: int = 5, *, frames: int = 2, dims: tuple[int, int] = (8, 6), seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "image": rng.standard_normal((n, 10, dims[0])).astype(np.float16),
        "video": rng.standard_normal((n, 46, frames, dims[0])).astype(np.float16),
        "audio": rng.standard_normal((n, 46, dims[1])).astype(np.float16),
    }


def make(path: Path, n: int = 5, **more: Any) -> FeatureCache:
    given = {**arrays(n), **more}
    return FeatureCache.from_arrays(
        path, clip_ids=[f"clip{i}" for i in range(n)], backbone="clip_clap", shard_size=2, **given
    )


def test_windows_of_ten_segments() -> None:
    found = windows(10)
    assert found.shape == (46, 2)
    assert found[0].tolist() == [0, 10]
    assert found[1].tolist() == [0, 2]
    assert found[9].tolist() == [0, 10]
    assert found[-1].tolist() == [8, 10]


@given(st.integers(2, 64))
def test_window_index_inverts_windows(segments: int) -> None:
    found = windows(segments)
    assert len(found) == window_count(segments)
    for row in range(1, len(found)):
        assert window_index(int(found[row, 0]), int(found[row, 1]), segments) == row


def test_no_such_window() -> None:
    with pytest.raises(CacheError, match=r"no window \[3, 4\)"):
        window_index(3, 4, 10)
    with pytest.raises(CacheError, match="at least 2 segments"):
        windows(1)


def test_round_trip(tmp_path: Path) -> None:
    make(tmp_path / "c.zarr")
    cache = FeatureCache.open(tmp_path / "c.zarr")
    wanted = arrays()
    assert cache.clip_ids == [f"clip{i}" for i in range(5)]
    assert (cache.backbone, cache.segments, cache.frames_per_window) == ("clip_clap", 10, 2)
    assert cache.n_shards == 3
    assert list(cache.shard_rows(2)) == [4]
    found = cache.read()
    assert found.rows.tolist() == [0, 1, 2, 3, 4]
    for name, values in wanted.items():
        np.testing.assert_array_equal(getattr(found, name), values)
    some = cache.read([3, 0])
    np.testing.assert_array_equal(some.video, wanted["video"][[3, 0]])
    np.testing.assert_array_equal(cache.read(slice(1, 3)).audio, wanted["audio"][1:3])
    streamed = np.concatenate([part.image for part in cache.iter_shards()])
    np.testing.assert_array_equal(streamed, wanted["image"])


def test_video_without_frames_is_one_frame(tmp_path: Path) -> None:
    video = arrays()["video"][:, :, 0]
    cache = make(tmp_path / "c.zarr", video=video)
    assert cache.frames_per_window == 1
    np.testing.assert_array_equal(cache.read().video[:, :, 0], video)


def test_float32_keeps_every_bit(tmp_path: Path) -> None:
    image = np.random.default_rng(1).standard_normal((5, 10, 8)).astype(np.float32)
    cache = make(tmp_path / "c.zarr", image=image, dtype="float32")
    np.testing.assert_array_equal(cache.read().image, image)


def test_rows_are_written_shard_by_shard(tmp_path: Path) -> None:
    data = arrays()
    cache = FeatureCache.create(
        tmp_path / "c.zarr",
        clip_ids=list("abcde"),
        backbone="tiny",
        visual_dim=8,
        audio_dim=6,
        frames_per_window=2,
        shard_size=2,
        attributes={"checkpoint": "x"},
    )
    assert cache.status().tolist() == [PENDING] * 5
    reason = "no sound: " + "ä" * 600
    cache.write_shard(1, data["image"][2:4], data["video"][2:4], data["audio"][2:4], [DONE, FAILED], ["", reason])
    again = FeatureCache.open(tmp_path / "c.zarr")
    assert again.status().tolist() == [PENDING, PENDING, DONE, FAILED, PENDING]
    assert list(again.reasons()) == ["d"]
    assert reason.startswith(again.reasons()["d"])
    assert again.attributes == {"checkpoint": "x"}
    np.testing.assert_array_equal(again.read().image, data["image"][2:3])
    assert [part.rows.tolist() for part in again.iter_shards()] == [[2]]
    with pytest.raises(CacheError, match="clip d is failed, not done"):
        again.read([3])
    with pytest.raises(CacheError, match="failed without a reason"):
        cache.write_shard(2, data["image"][4:], data["video"][4:], data["audio"][4:], [FAILED])


def test_identity_follows_the_contents(tmp_path: Path) -> None:
    first = make(tmp_path / "a.zarr")
    second = make(tmp_path / "b.zarr")
    assert first.identity == second.identity == FeatureCache.open(tmp_path / "a.zarr").identity
    image = arrays()["image"]
    image[4, 9, 7] += 1
    assert make(tmp_path / "c.zarr", image=image).identity != first.identity


def test_text_sets(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr")
    rng = np.random.default_rng(2)
    visual, audio = rng.standard_normal((3, 8)), rng.standard_normal((3, 6))
    prompts = {"visual": ["A dog", "A cat", "A car"], "audio": ["dog", "cat", "car"]}
    cache.add_text("animals", labels=["Dog", "cat", "Car"], visual=visual, audio=audio, prompts=prompts)
    cache.add_text("two", labels=["x", "y"], visual=visual[:2], audio=audio[:2])
    opened = FeatureCache.open(tmp_path / "c.zarr")
    assert opened.text_names == ["animals", "two"]
    found = opened.text("animals")
    assert found.labels == ("Dog", "cat", "Car")
    assert found.prompts == prompts
    np.testing.assert_array_equal(found.visual, visual.astype(np.float32))
    np.testing.assert_array_equal(found.audio, audio.astype(np.float32))
    with pytest.raises(CacheError, match="holds text sets animals, two: say which"):
        opened.text()
    with pytest.raises(CacheError, match=r"no text set 'llp': it has animals, two"):
        opened.text("llp")
    with pytest.raises(CacheError, match="is there already"):
        cache.add_text("two", labels=["x", "y"], visual=visual[:2], audio=audio[:2])
    cache.add_text("two", labels=["p", "q"], visual=visual[:2], audio=audio[:2], overwrite=True)
    assert cache.text("two").labels == ("p", "q")


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("one", ["a"], "at least 2 labels, got 1"),
        ("double", ["Dog", "dog"], "'dog' occurs twice"),
        ("empty", ["a", " "], "is no label"),
        ("../up", ["a", "b"], "use letters, digits"),
        ("a/b", ["a", "b"], "use letters, digits"),
    ],
)
def test_bad_text_set(tmp_path: Path, name: str, labels: list[str], message: str) -> None:
    cache = make(tmp_path / "c.zarr")
    with pytest.raises(CacheError, match=message):
        cache.add_text(name, labels=labels, visual=np.ones((2, 8)), audio=np.ones((2, 6)))
    with pytest.raises(CacheError, match="holds no text set"):
        cache.text()


def test_bad_arrays(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"audio is \(5, 45, 6\), expected \(5, 46, 6\)"):
        make(tmp_path / "c.zarr", audio=arrays()["audio"][:, 1:])
    broken = arrays()["audio"]
    broken[3, 4, 5] = np.nan
    with pytest.raises(CacheError, match="audio embedding of clip clip3: a value is not finite"):
        make(tmp_path / "c.zarr", audio=broken)
    large = arrays()["image"].astype(np.float32)
    large[2, 0, 0] = 1e6
    with pytest.raises(CacheError, match=r"clip clip2: 1e\+06 does not fit float16: store float32"):
        make(tmp_path / "c.zarr", image=large)
    assert not (tmp_path / "c.zarr").exists()
    with pytest.raises(CacheError, match="'clip0' occurs twice"):
        FeatureCache.from_arrays(tmp_path / "c.zarr", clip_ids=["clip0"] * 5, backbone="x", **arrays())
    with pytest.raises(CacheError, match="dtype 'int8'"):
        make(tmp_path / "c.zarr", dtype="int8")


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    make(tmp_path / "c.zarr")
    with pytest.raises(CacheError, match="is there already"):
        make(tmp_path / "c.zarr")
    make(tmp_path / "c.zarr", n=3, overwrite=True)
    assert len(FeatureCache.open(tmp_path / "c.zarr")) == 3
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("words")
    with pytest.raises(CacheError, match="no av2a cache: choose another output"):
        make(other, overwrite=True)
    zarr.create_array(tmp_path / "array.zarr", data=np.ones(3))
    with pytest.raises(CacheError, match="no av2a cache: choose another output"):
        make(tmp_path / "array.zarr", overwrite=True)
    zarr.open_group(tmp_path / "foreign.zarr", mode="w", attributes={"made": "elsewhere"})
    with pytest.raises(CacheError, match="choose another output"):
        make(tmp_path / "foreign.zarr", overwrite=True)


def test_not_a_cache(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"is not there: make it with `extract_videos\(\.\.\.\)`"):
        FeatureCache.open(tmp_path / "none.zarr")
    (tmp_path / "file").write_text("x")
    with pytest.raises(CacheError, match="is no av2a cache"):
        FeatureCache.open(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CacheError, match="is no av2a cache"):
        FeatureCache.open(tmp_path / "empty")
    zarr.open_group(tmp_path / "half.zarr", mode="w")
    with pytest.raises(CacheError, match="half written"):
        FeatureCache.open(tmp_path / "half.zarr")
    make(tmp_path / "half.zarr", overwrite=True)  # and the mend works


def _edit(path: Path, **changes: Any) -> None:
    meta = json.loads((path / "zarr.json").read_text())
    for name, value in changes.items():
        if value is None:
            del meta["attributes"][name]
        else:
            meta["attributes"][name] = value
    (path / "zarr.json").write_text(json.dumps(meta))


def test_another_version(tmp_path: Path) -> None:
    make(tmp_path / "c.zarr")
    _edit(tmp_path / "c.zarr", format_version=99)
    with pytest.raises(CacheError, match="cache format 99, this av2a reads 2 and 3"):
        FeatureCache.open(tmp_path / "c.zarr")


def test_damaged_metadata(tmp_path: Path) -> None:
    make(tmp_path / "c.zarr")
    _edit(tmp_path / "c.zarr", clips=None)
    with pytest.raises(CacheError, match="no clips"):
        FeatureCache.open(tmp_path / "c.zarr")
    (tmp_path / "c.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node')
    with pytest.raises(CacheError, match=r"zarr\.json is damaged"):
        FeatureCache.open(tmp_path / "c.zarr")


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr")
    chunks = [f for f in (tmp_path / "c.zarr" / "video").rglob("*") if f.is_file() and f.name != "zarr.json"]
    raw = bytearray(chunks[0].read_bytes())
    raw[len(raw) // 2] ^= 1
    chunks[0].write_bytes(raw)
    with pytest.raises(CacheError, match="array 'video' is damaged or missing in rows"):
        cache.read()


def test_describe_is_json(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr")
    cache.add_text("two", labels=["x", "y"], visual=np.ones((2, 8)), audio=np.ones((2, 6)))
    found = json.loads(json.dumps(cache.describe()))
    assert found["done"] == 5
    assert found["text_sets"] == {"two": ["x", "y"]}


def test_no_torch_no_numba() -> None:
    code = "import sys, feature_cache; print(sorted({'torch', 'numba', 'av'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_text_space_is_stored_once(tmp_path: Path) -> None:
    cache = FeatureCache.create(tmp_path / "c.zarr", clip_ids=["a"], backbone="b", visual_dim=3, audio_dim=3)
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    cache.add_text("one", labels=["x", "y"], visual=table)
    found = FeatureCache.open(tmp_path / "c.zarr").text("one")
    np.testing.assert_array_equal(found.visual, table)
    np.testing.assert_array_equal(found.audio, table)
    assert not (tmp_path / "c.zarr" / "text" / "one" / "audio").exists()
    other = FeatureCache.create(tmp_path / "d.zarr", clip_ids=["a"], backbone="b", visual_dim=3, audio_dim=4)
    with pytest.raises(CacheError, match="has one table, but visual and audio embeddings differ in size"):
        other.add_text("one", labels=["x", "y"], visual=table)
