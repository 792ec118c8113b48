"""Caches and files that the tests of import and export share."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, window_count

T, WINDOWS = 3, window_count(3)
LABELS = ("dog", "Gitarre", "雨")


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def arrays(n: int = 5, *, segments: int = T) -> dict[str, NDArray[Any]]:
    """Embeddings of n clips with every window, and a label set."""
    w = window_count(segments)
    return {
        "image": normal(n, segments, 4),
        "video": normal(n, w, 2, 4, seed=1),
        "audio": normal(n, w, 6, seed=2),
        "text_visual": normal(len(LABELS), 4, seed=3),
        "text_audio": normal(len(LABELS), 6, seed=4),
    }


def ids(n: int = 5) -> list[str]:
    return [f"clip {k} ä" for k in range(n)]


def write_hdf5(path: Path, found: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in found.items():
            file[name] = values
    return path


def write_lines(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def stored(cache: FeatureCache, name: str) -> NDArray[Any]:
    """All rows of an array as they are stored, done or not."""
    return cache.shards.values(name, 0, len(cache))


def assert_equal(found: FeatureCache, expected: FeatureCache) -> None:
    """Equal in everything that a cache holds, identity included."""
    assert found.identity == expected.identity
    told = [{**cache.describe(), "path": ""} for cache in (found, expected)]
    assert told[0] == told[1]
    assert found.clip_ids == expected.clip_ids
    assert found.reasons() == expected.reasons()
    for name in expected.arrays:
        both = [stored(cache, name) for cache in (found, expected)]
        assert both[0].dtype == both[1].dtype
        np.testing.assert_array_equal(both[0], both[1], err_msg=name)
    states = [cache.shards.state(0, len(cache)).records() for cache in (found, expected)]
    np.testing.assert_array_equal(states[0], states[1])
    for name in expected.text_names:
        ours, theirs = found.text(name), expected.text(name)
        assert (ours.labels, ours.prompts) == (theirs.labels, theirs.prompts)
        assert ours.tables.keys() == theirs.tables.keys()
        for side, table in ours.tables.items():
            np.testing.assert_array_equal(table, theirs.tables[side], err_msg=side)


def assert_same_arrays(found: FeatureCache, expected: FeatureCache) -> None:
    """Equal features of equal clips, whatever they are said to be from."""
    assert (found.arrays, found.clip_ids, found.dtype) == (expected.arrays, expected.clip_ids, expected.dtype)
    for name in expected.arrays:
        np.testing.assert_array_equal(stored(found, name), stored(expected, name), err_msg=name)
    states = [cache.shards.state(0, len(cache)).records() for cache in (found, expected)]
    np.testing.assert_array_equal(states[0], states[1])


def kept(folder: Path, table: Any, clips: list[str]) -> dict[str, str]:
    """One table in every way that is read, by the way: what an option says."""
    (folder / "folder").mkdir()
    for clip, row in zip(clips, table, strict=True):
        np.save(folder / "folder" / f"{clip}.npy", row)
    by_clip: dict[str, Any] = dict(zip(clips, table, strict=True))
    np.save(folder / "one.npy", table)
    np.savez(folder / "one.npz", features=table)
    np.savez(folder / "clips.npz", **by_clip, note=np.array(["of clips"]))
    np.savez_compressed(folder / "group.npz", **{f"image/{clip}": row for clip, row in by_clip.items()}, other=1)
    write_hdf5(folder / "one.h5", {"features": table})
    write_hdf5(folder / "clips.h5", {**by_clip, "note": ["of clips"]})
    write_hdf5(folder / "group.h5", {**{f"a/image/{clip}": row for clip, row in by_clip.items()}, "other": [1.0]})
    write_hdf5(folder / "inside.h5", {f"{clip}/{name}": row for clip, row in by_clip.items() for name in ("x", "y")})
    named = {"one.npz": ":features", "one.h5": "", "group.npz": ":image", "group.h5": ":a/image", "inside.h5": ":y"}
    ways = ("folder", "one.npy", "one.npz", "one.h5", "clips.npz", "clips.h5", "group.npz", "group.h5", "inside.h5")
    return {way: f"{folder / way}{named.get(way, '')}" for way in ways}
