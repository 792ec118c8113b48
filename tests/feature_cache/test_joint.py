"""Joint embeddings, of picture and sound of a window at once: made, read, added to, imported, refused."""

import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_cache import DONE, NO_PICTURE, NO_SOUND, CacheError, FeatureCache, verify, window_count
from feature_cache.adding import begin_with_segments, is_put, put_with_segments, take_place
from feature_cache.exchange import export_hdf5, import_features
from tests.command import av2a, refusal
from tests.exchange_files import LABELS, T, arrays, assert_equal, assert_same_arrays, ids, normal, write_hdf5
from tests.feature_cache.test_verify import flip
from tests.stores import contents

WINDOWS, DJ = window_count(T), 7


def words(seed: int = 5) -> dict[str, Any]:
    return {
        "labels": LABELS, "visual": normal(3, 4, seed=seed), "audio": normal(3, 6, seed=seed + 1),
        "joint": normal(3, DJ, seed=seed + 2), "prompts": {"joint": ["A", "b", "c"]},
    }  # fmt: skip


def features(n: int = 5) -> dict[str, Any]:
    found: dict[str, Any] = {name: values for name, values in arrays(n).items() if not name.startswith("text")}
    return {**found, "joint": normal(n, WINDOWS, DJ, seed=9)}


def made(path: Path | str, n: int = 5, **more: Any) -> FeatureCache:
    cache = FeatureCache.from_arrays(
        path, **{"clip_ids": ids(n), "backbone": "b", "shard_size": 2, "dtype": "float32", **features(n), **more}
    )
    cache.add_text("llp", **words())
    return cache


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_written_and_read(data: st.DataObject) -> None:
    """Whatever windows are kept; a clip without picture or sound has zeros there, whatever is given."""
    windows = data.draw(st.sampled_from(["all", "whole"]))
    sound = data.draw(st.sampled_from(["all", "whole", "none"]))
    dtype: Any = data.draw(st.sampled_from(["float16", "float32"]))
    n = data.draw(st.integers(1, 5))
    missing = data.draw(st.lists(st.sampled_from([0, NO_PICTURE, NO_SOUND]), min_size=n, max_size=n))
    path = f"memory://{uuid.uuid4()}/c.zarr"
    cache = FeatureCache.create(
        path, clip_ids=ids(n), backbone="b", visual_dim=4, audio_dim=6, segments=T, windows=windows,
        audio_windows=sound, audio_per_segment=sound == "none", joint_dim=DJ, dtype=dtype, shard_size=2,
    )  # fmt: skip
    rows = 1 if windows == "whole" else WINDOWS
    assert (cache.joint_dim, cache.joint_windows, cache.row_shapes["joint"]) == (DJ, windows, (rows, DJ))
    given_rows = {name: normal(n, *shape) for name, shape in cache.row_shapes.items()}
    for shard in range(cache.n_shards):
        part = cache.shards.part(shard)
        inside = range(part.stop - part.start)
        tables = {name: values[part] for name, values in given_rows.items()}
        cache.write_rows(shard, inside, tables, [DONE] * len(inside), [""] * len(inside), missing[part])
    opened = FeatureCache.open(path)
    found = opened.read()
    expected = given_rows["joint"].astype(dtype)
    expected[np.array(missing) != 0] = 0
    assert found.joint is not None
    np.testing.assert_array_equal(found.joint, expected)
    np.testing.assert_array_equal(np.concatenate([each.joint for each in opened.iter_shards()]), expected)
    assert opened.describe()["joint_dim"] == DJ


def test_caches_without_say_nothing_of_it(tmp_path: Path) -> None:
    plain = {name: values for name, values in features().items() if name != "joint"}
    cache = FeatureCache.from_arrays(tmp_path / "c.zarr", clip_ids=ids(), backbone="b", **plain)
    cache.add_text("llp", labels=LABELS, visual=normal(3, 4), audio=normal(3, 6))
    assert (cache.joint_dim, cache.joint_windows, cache.read().joint, cache.text().joint) == (0, "none", None, None)
    assert not [file for file in tmp_path.rglob("zarr.json") if b"joint" in file.read_bytes()]
    assert sorted(cache.text().tables) == ["audio", "visual"]


def test_text_of_three_tables(tmp_path: Path) -> None:
    cache = made(tmp_path / "c.zarr")
    cache.add_text("one", labels=LABELS, visual=normal(3, 4), audio=normal(3, 6, seed=3), joint=normal(3, DJ, seed=4))
    cache.add_text("llp", **words(20), overwrite=True)
    text = FeatureCache.open(tmp_path / "c.zarr").text("llp")
    for side in ("visual", "audio", "joint"):
        np.testing.assert_array_equal(text.tables[side], words(20)[side])
    assert text.prompts == {"joint": ["A", "b", "c"]}
    assert verify(tmp_path / "c.zarr").intact
    tables = words()
    with pytest.raises(CacheError, match=r"the cache has joint embeddings: `joint` \(3, 7\) is needed"):
        cache.add_text("x", **{**tables, "joint": None})
    with pytest.raises(CacheError, match=r"joint embeddings are \(3, 6\), expected \(3, 7\)"):
        cache.add_text("x", **{**tables, "joint": tables["audio"]})
    plain = FeatureCache.from_arrays(tmp_path / "p.zarr", clip_ids=ids(), backbone="b", **{**features(), "joint": None})
    with pytest.raises(CacheError, match="the cache has no joint embeddings: leave out `joint`"):
        plain.add_text("x", **tables)


def test_one_table_of_text_stays_one(tmp_path: Path) -> None:
    cache = FeatureCache.from_arrays(
        tmp_path / "c.zarr", clip_ids=ids(), backbone="b", **{**features(), "audio": normal(5, WINDOWS, 4)}
    )
    cache.add_text("llp", labels=LABELS, visual=normal(3, 4), joint=normal(3, DJ))
    text = FeatureCache.open(tmp_path / "c.zarr").text()
    assert text.audio is text.visual
    assert sorted(text.tables) == ["joint", "visual"]


def test_refused(tmp_path: Path) -> None:
    common: dict[str, Any] = {"clip_ids": ids(), "backbone": "b", "visual_dim": 4, "audio_dim": 6, "segments": T}
    with pytest.raises(CacheError, match="joint_dim 7: joint embeddings are of windows, and none are kept"):
        FeatureCache.create(tmp_path / "c.zarr", **common, windows="none", audio_per_segment=True, joint_dim=DJ)
    with pytest.raises(CacheError, match=r"joint is \(5, 3, 7\), expected \(5, 4, 7\)"):
        made(tmp_path / "c.zarr", joint=normal(5, T, DJ))
    with pytest.raises(CacheError, match="joint embedding of clip clip 3 ä: a value is not finite"):
        made(tmp_path / "c.zarr", joint=np.where(np.arange(5)[:, None, None] == 3, np.nan, features()["joint"]))
    cache = made(tmp_path / "c.zarr")
    one = {name: values[:2] for name, values in features().items()}
    with pytest.raises(CacheError, match="joint is needed"):
        cache.write_shard(0, one["image"], one["video"], one["audio"], [DONE, DONE])


def test_clips_added_and_dropped(tmp_path: Path) -> None:
    cache = made(tmp_path / "c.zarr")
    cache.add_clips(["new"])
    cache.write_rows(2, [1], {n: v[:1] for n, v in features(1).items()}, [DONE], [""], [0])
    cache.drop_clips([ids()[0], ids()[3]])
    assert verify(tmp_path / "c.zarr").intact
    found = FeatureCache.open(tmp_path / "c.zarr").read()
    kept = {clip: row for row, clip in enumerate(ids())}
    for clip, values in zip(cache.clip_ids, found.joint, strict=True):  # type: ignore[arg-type]
        expected = features(1)["joint"][0] if clip == "new" else features()["joint"][kept[clip]]
        np.testing.assert_array_equal(values, expected)


def test_damage_is_found_and_repaired(tmp_path: Path) -> None:
    made(tmp_path / "c.zarr")
    for name in ("joint/c/1/0/0", "text/llp/joint/c/0/0"):
        shutil.copytree(tmp_path / "c.zarr", tmp_path / "d.zarr")
        flip(tmp_path / "d.zarr" / name, 20)
        found = verify(tmp_path / "d.zarr", repair=True)
        assert [each.array for each in found.damage] == [name.split("/c/")[0].replace("/joint", "")]
        assert found.repaired
        assert verify(tmp_path / "d.zarr").intact
        pending = FeatureCache.open(tmp_path / "d.zarr").status() != DONE
        assert pending.tolist() == ([False, False, True, True, False] if name.startswith("joint") else [False] * 5)
        shutil.rmtree(tmp_path / "d.zarr")


def test_segments_are_added_beside_it(tmp_path: Path) -> None:
    cache = made(tmp_path / "c.zarr")
    sound = normal(5, T, 6, seed=30)
    with cache.writing("extract"):
        new = begin_with_segments(cache, {})
        with new.writing("extract"):
            for shard in range(3):
                part = cache.shards.part(shard)
                inside = range(part.stop - part.start)
                put_with_segments(cache, new, shard, inside, list(sound[part]), [""] * len(inside))
                assert is_put(cache, new, shard)
            take_place(cache, new)
    whole = made(tmp_path / "m.zarr", audio_segments=sound)
    assert FeatureCache.open(tmp_path / "c.zarr").arrays == ("image", "video", "audio", "audio_segments", "joint")
    assert contents(tmp_path / "c.zarr") == contents(whole.path)


@pytest.mark.parametrize("missing", [None, [0, 2, 1, 0, 0]])
def test_there_and_back_by_hdf5(missing: list[int] | None, tmp_path: Path) -> None:
    cache = made(tmp_path / "c.zarr", missing=missing)
    export_hdf5(cache, tmp_path / "c.h5")
    assert_equal(import_features(tmp_path / "again.zarr", [tmp_path / "c.h5"]), cache)


@pytest.mark.parametrize("flat", [True, False])
def test_imported(flat: bool, tmp_path: Path) -> None:
    """By name, or of a file of its own; (N, Dj) are whole clips'."""
    expected = made(tmp_path / "e.zarr", joint=features()["joint"][:, :1] if flat else features()["joint"])
    joint = features()["joint"][:, 0] if flat else features()["joint"]
    text = {f"text_{side}": words()[side] for side in ("visual", "audio", "joint")}
    given_arrays = {**features(), **text, "joint": joint, "clip_ids": ids(), "labels": LABELS}
    write_hdf5(tmp_path / "f.h5", given_arrays)
    named = import_features(tmp_path / "n.zarr", [tmp_path / "f.h5"], shard_size=2, dtype="float32")
    assert_same_arrays(named, expected)
    np.testing.assert_array_equal(named.text().joint, words()["joint"])
    np.save(tmp_path / "joint.npy", joint)
    np.save(tmp_path / "words.npy", text["text_joint"])
    write_hdf5(tmp_path / "g.h5", {n: v for n, v in given_arrays.items() if "joint" not in n})
    done = av2a(
        "import", "g.h5", "--joint", "joint.npy", "--text-joint", "words.npy", "-o", "o.zarr", "--shard-size", "2",
        "--dtype", "float32", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert_same_arrays(FeatureCache.open(tmp_path / "o.zarr"), expected)
    assert "video, audio, joint" in done.out


def test_an_array_a_clip(tmp_path: Path) -> None:
    """A clip without picture or sound needs no joint array; another does."""
    for side in ("image", "audio", "joint"):
        (tmp_path / side).mkdir()
    table = features(3)
    there = {"image": (0, 1, 2), "audio": (0, 2), "joint": (0, 2)}
    for side, rows in there.items():
        for row in rows:
            np.save(tmp_path / side / f"v{row}.npy", table[side][row])
    sides: dict[str, Any] = {side: str(tmp_path / side) for side in there}
    cache = import_features(tmp_path / "c.zarr", **sides, allow_missing=True, dtype="float32")
    assert cache.missing().tolist() == [0, NO_SOUND, 0]
    np.testing.assert_array_equal(cache.read([0, 2]).joint, table["joint"][[0, 2]])
    (tmp_path / "joint" / "v2.npy").unlink()
    with pytest.raises(CacheError, match=r"joint: nothing for clip v2, of which there are other arrays: add it"):
        import_features(tmp_path / "d.zarr", **sides, allow_missing=True)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"joint": normal(5, T, DJ)}, "expected as many; joint embeddings have a row a window (4), or a clip"),
    ({"joint": normal(5, WINDOWS, 1, DJ)}, "dataset 'joint' is (5, 4, 1, 7), expected joint (N, W, Dj)"),
    ({"text_joint": None}, "to compare joint embeddings with are needed, too: `text_joint` (3, 7)"),
    ({"text_joint": normal(3, 6)}, "dataset 'text_joint' is (3, 6), expected (3, 7) for 3 labels"),
    ({"joint": None}, "dataset 'text_joint': `text_joint` goes with joint embeddings: name them with `joint`"),
    ({"audio": None, "text_audio": None}, "no audio embeddings"),
    ({"visual_probability": np.ones((5, 3, 3))}, "a cache holds probabilities or embeddings, not both"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_does_not_fit(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    text = {f"text_{side}": words()[side] for side in ("visual", "audio", "joint")}
    found = {**features(), **text, "clip_ids": ids(), "labels": LABELS, **changes}
    write_hdf5(tmp_path / "f.h5", {name: values for name, values in found.items() if values is not None})
    line = refusal("import", "f.h5", cwd=tmp_path)
    assert message.replace("`text_joint`", "--text-joint").replace("`joint`", "--joint") in line
