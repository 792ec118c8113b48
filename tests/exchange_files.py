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


def assert_equal(found: FeatureCache, expected: FeatureCache) -> None:
    """Equal in everything that a cache holds, identity included."""
    assert found.identity == expected.identity
    told = [{**cache.describe(), "path": ""} for cache in (found, expected)]
    assert told[0] == told[1]
    assert found.clip_ids == expected.clip_ids
    assert found.reasons() == expected.reasons()
    for name in (*expected.arrays, "status", "missing", "digest", "reason"):
        both = [cache._read(name, slice(None)) for cache in (found, expected)]
        assert both[0].dtype == both[1].dtype
        np.testing.assert_array_equal(both[0], both[1], err_msg=name)
    for name in expected.text_names:
        ours, theirs = found.text(name), expected.text(name)
        assert (ours.labels, ours.prompts) == (theirs.labels, theirs.prompts)
        np.testing.assert_array_equal(ours.visual, theirs.visual)
        np.testing.assert_array_equal(ours.audio, theirs.audio)
        assert (ours.audio is ours.visual) == (theirs.audio is theirs.visual)


def assert_same_arrays(found: FeatureCache, expected: FeatureCache) -> None:
    """Equal features of equal clips, whatever they are said to be from."""
    assert (found.arrays, found.clip_ids, found.dtype) == (expected.arrays, expected.clip_ids, expected.dtype)
    for name in (*expected.arrays, "status", "missing", "digest"):
        np.testing.assert_array_equal(found._read(name, slice(None)), expected._read(name, slice(None)), err_msg=name)
