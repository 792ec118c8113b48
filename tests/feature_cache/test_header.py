"""The header: a cache of before opens as it did; whatever is damaged in one is a line that says what."""

import copy
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from feature_cache import CacheError, FeatureCache, Header, export_hdf5, import_features, verify
from feature_cache.seals import attribute_digest, group_json

EMBEDDINGS: dict[str, Any] = {
    "format": "av2a-features", "format_version": 2, "kind": "embeddings", "backbone": "tiny", "segment_seconds": 1,
    "visual_dim": 2, "audio_dim": 3, "frames_per_window": 2, "shard_size": 2, "segments": 4,
    "windows": [[0, 4], [0, 2], [0, 3], [0, 4], [1, 3], [1, 4], [2, 4]],
    "arrays": {"image": [4, 2], "video": [7, 2, 2], "audio": [7, 3]}, "dtype": "float16",
    "attributes": {"files": {"a": "x/a.mkv"}, "clips_from": {"b": ["film", 1.5]}}, "clip_ids": ["a", "b", "\u00fc"],
    "seal": "51a70f4bbdcc7e71f87c5f7959a992d0",
}  # fmt: skip
PROBABILITIES: dict[str, Any] = {
    "format": "av2a-features", "format_version": 2, "kind": "probabilities", "backbone": "probabilities",
    "segment_seconds": 0.5, "visual_dim": 0, "audio_dim": 0, "frames_per_window": 1, "shard_size": 32, "segments": 3,
    "windows": [], "arrays": {"visual_probability": [3, 2], "audio_probability": [3, 2]}, "dtype": "float32",
    "attributes": {}, "clip_ids": ["a", "b"], "seal": "b9584c6546b206014b5f29df16885d18",
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "format": "av2a-features", "format_version": 2, "kind": "embeddings", "backbone": "q", "segment_seconds": 1.0,
    "visual_dim": 2, "audio_dim": 3, "frames_per_window": 1, "shard_size": 32, "segments": 3, "windows": [[0, 3]],
    "arrays": {"image": [3, 2], "video": [1, 1, 2], "audio_segments": [3, 3]}, "dtype": "float32",
    "attributes": {"k": [1, 2]}, "clip_ids": ["a", "b"], "seal": "69aafd24070a14345bfea08dbf90ec5a",
}  # fmt: skip
BEFORE = (EMBEDDINGS, PROBABILITIES, WHOLE)
"""As the first versions of format 2 wrote them."""


def ramp(*shape: int) -> NDArray[np.float16]:
    return (np.arange(int(np.prod(shape))) % 97 / 64).reshape(shape).astype(np.float16)


def embeddings(path: str | Path, **more: Any) -> FeatureCache:
    return FeatureCache.from_arrays(
        path, clip_ids=["a", "b", "\u00fc"], backbone="tiny", image=ramp(3, 4, 2), video=ramp(3, 7, 2, 2),
        audio=ramp(3, 7, 3), missing=[0, 2, 1], shard_size=2, segment_seconds=1,
        attributes=copy.deepcopy(EMBEDDINGS["attributes"]), **more,
    )  # fmt: skip


def memory() -> str:
    return f"memory://{uuid.uuid4()}"


def attributes_of(path: Path) -> Any:
    return json.loads((path / "zarr.json").read_text())["attributes"]


def change(path: Path, **changes: Any) -> None:
    """Other attributes of a cache, sealed as a stranger may do who knows how; None: left out."""
    said = {**attributes_of(path), **changes}
    gone = {name for name, value in changes.items() if value is None}
    raw = group_json({name: value for name, value in said.items() if name not in (*gone, "seal")})
    (path / "zarr.json").write_bytes(raw)


def in_format_2(path: Path, attributes: dict[str, Any]) -> None:
    """The zarr.json alone."""
    facts = {name: value for name, value in attributes.items() if name != "seal"}
    said = {"zarr_format": 3, "node_type": "group", "attributes": {**facts, "seal": attribute_digest(facts)}}
    (path / "zarr.json").write_text(json.dumps(said))


def of_before(cache: FeatureCache) -> dict[str, Any]:
    """A header as format 2 wrote it."""
    return {**cache.header.to_dict(), "format_version": 2}


def without_seal(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if name != "seal"}


def test_identities_and_headers_are_those_of_before(tmp_path: Path) -> None:
    """Headers but for the format's version; identities since rows say whose they are."""
    one = embeddings(tmp_path / "c.zarr")
    assert one.identity == FeatureCache.open(tmp_path / "c.zarr").identity == "b5cd72ad8233bd05"
    assert of_before(FeatureCache.open(tmp_path / "c.zarr")) == without_seal(EMBEDDINGS)
    two = FeatureCache.from_probabilities(
        tmp_path / "d.zarr", clip_ids=["a", "b"], labels=["x", "y"], visual=ramp(2, 3, 2) % 1, audio=None,
        segment_seconds=0.5,
    )  # fmt: skip
    assert two.identity == "d4f73d09391b6a92"
    assert of_before(FeatureCache.open(tmp_path / "d.zarr")) == without_seal(PROBABILITIES)
    three = FeatureCache.create(
        tmp_path / "e.zarr", clip_ids=["a"], backbone="q", visual_dim=2, audio_dim=3, segments=3, windows="whole",
        audio_windows="none", audio_per_segment=True, dtype="float32",
    )  # fmt: skip
    three.update_attributes({"k": [1, 2]})
    three.add_clips(["b"])
    assert three.identity == FeatureCache.open(tmp_path / "e.zarr").identity == "48966bf59a83245b"
    assert of_before(FeatureCache.open(tmp_path / "e.zarr")) == without_seal(WHOLE)


@pytest.mark.parametrize("stored", BEFORE, ids=lambda stored: stored["backbone"])
def test_read_and_written_it_is_the_same(stored: dict[str, Any]) -> None:
    header = Header.from_dict(stored)
    assert json.dumps(header.to_dict()) == json.dumps(without_seal(stored))  # and its order, and 1 is not 1.0
    assert Header.from_dict(header.to_dict()) == header


def test_further_keys_are_kept_and_count(tmp_path: Path) -> None:
    """Those of another version; a list of windows need not be there."""
    path = tmp_path / "c.zarr"
    embeddings(path)
    before = FeatureCache.open(path).identity
    change(path, lease={"holder": "x"}, windows=None)
    opened = FeatureCache.open(path, "r+")
    assert opened.identity != before
    assert opened.arrays == ("image", "video", "audio")
    opened.update_attributes({"more": 1})
    opened.add_clips(["d"])
    again = FeatureCache.open(path)
    assert again.header.more == {"lease": {"holder": "x"}}
    assert again.header.windows is None
    assert verify(path).intact
    np.testing.assert_array_equal(again.read().audio[0], ramp(3, 7, 3)[0])


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 50)
    | st.sampled_from([10**400, -(10**400), 1 << 31, float("nan"), float("inf"), -0.5, 2.0])
    | st.text(max_size=3)
    | st.sampled_from(["embeddings", "probabilities", "float64", "\x1b[31m", "a", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["image", "a", "files"]), inner),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inside for found in places(each, (*path, key)))]


@given(st.data())
def test_a_damaged_header_is_one_clear_line_or_none(data: st.DataObject) -> None:
    """Any value anywhere replaced or gone: refused in one line, or a header that is whole and agrees with itself."""
    stored = copy.deepcopy(data.draw(st.sampled_from(BEFORE)))
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(stored)[1:]))
        inside = stored
        for key in path[:-1]:
            inside = inside[key]
        if data.draw(st.booleans()) and isinstance(inside, dict):
            del inside[path[-1]]
        else:
            inside[path[-1]] = data.draw(VALUES)
    said, header = "", None
    try:
        header = Header.from_dict(stored)
    except CacheError as error:
        said = str(error)
    if header is None:
        assert said.isprintable()
        assert 0 < len(said) < 1000
        return
    text = json.dumps(header.to_dict(), sort_keys=True)  # nan is not nan, and NaN is "NaN"
    assert json.dumps(Header.from_dict(json.loads(text)).to_dict(), sort_keys=True) == text
    try:
        cache = FeatureCache.begin(memory(), header.of_this_format()).finish()
    except CacheError as error:  # format 2 had no largest shard
        assert "makes shards of" in str(error)  # noqa: PT017
        return
    again = FeatureCache.open(cache.path).header.to_dict()
    assert json.dumps({**again, "format_version": 2}, sort_keys=True) == text
    assert cache.describe()["clips"] == len(header.clip_ids)


WRONG: list[tuple[dict[str, Any], str]] = [
    # what is changed (None: left out), what is said
    ({"kind": None}, "no kind"),
    ({"kind": None, "dtype": None}, "no dtype, kind"),
    ({"kind": "pictures"}, "kind 'pictures': use one of embeddings, probabilities"),
    ({"kind": "probabilities"}, "audio_dim must be 0 in a cache of probabilities, got 3"),
    ({"kind": "probabilities", "audio_dim": 0}, "arrays are {'image': (4, 2), 'video'"),
    ({"backbone": "\x1b[31m"}, "backbone '\\x1b[31m' is no name: it holds the control character U+001B"),
    ({"backbone": 3}, "backbone 3 is no text"),
    ({"dtype": "int8"}, "dtype 'int8': use one of float16, float32"),
    ({"segment_seconds": "1"}, "segment_seconds must be a number of seconds above 0, got '1'"),
    ({"segment_seconds": 0}, "segment_seconds must be a number of seconds above 0, got 0"),
    ({"segment_seconds": float("nan")}, "segment_seconds must be a number of seconds above 0, got nan"),
    ({"segments": True}, "segments must be a whole number, got True"),
    ({"segments": 1}, "segments must be at least 2, got 1"),
    ({"segments": 1 << 40}, "segments must be below 2147483648, got 1099511627776"),
    ({"segments": 1 << 30}, "arrays are {'image': (4, 2)"),
    ({"shard_size": 0}, "shard_size must be at least 1, got 0"),
    ({"visual_dim": 3}, "arrays are {'image': (4, 2), 'video': (7, 2, 2), 'audio': (7, 3)}, expected {'image': (4, 3)"),
    ({"frames_per_window": 2.0}, "frames_per_window must be a whole number, got 2.0"),
    ({"arrays": []}, "arrays must give shapes of image, video"),
    ({"arrays": {"image": [4, 2], "smell": [4, 2]}}, "arrays must give shapes of image, video"),
    ({"arrays": {"image": [4, 2]}}, "a cache needs sound"),
    ({"arrays": {"image": [4, -2]}}, "arrays: a size of image must be at least 1, got -2"),
    ({"arrays": {"image": []}}, "arrays: image must have a shape, got []"),
    ({"arrays": {"image": [4, 2], "audio": [5, 3]}}, "arrays are {'image': (4, 2), 'audio': (5, 3)}, expected"),
    ({"windows": [[0, 4]]}, "windows are not the 7 that the array video has"),
    ({"windows": 7}, "windows are not the 7 that the array video has"),
    ({"clip_ids": {"a": 1}}, "clip_ids must be a list of texts"),
    ({"clip_ids": ["a", 5, "b"]}, "clip_ids must be a list of texts"),
    ({"clip_ids": ["a", "a"]}, "clip id 'a' occurs twice"),
    ({"clip_ids": []}, "a cache needs at least one clip"),
    ({"attributes": ["x"]}, "attributes must be a table of facts by name"),
    ({"attributes": {"files": ["a.mp4"]}}, "attributes: files must give a path by file id"),
    ({"attributes": {"files": {"a": 5}}}, "attributes: files of 'a' is 5: expected a path"),
    ({"attributes": {"clips_from": "film"}}, "attributes: clips_from must give a file and the second at which"),
    ({"attributes": {"clips_from": {"a": ["film"]}}}, "attributes: clips_from of clip 'a' is ['film']: expected"),
    ({"attributes": {"clips_from": {"a": ["film", -1]}}}, "attributes: clips_from of clip 'a' is ['film', -1]:"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_is_wrong_is_said(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.zarr"
    embeddings(path)
    if not changes.keys() & {"clip_ids", "attributes"}:  # which are kept elsewhere
        change(path, **changes)
        assert wrong_at(path).startswith(f"{path} is damaged ({message}")
    in_format_2(path, {name: value for name, value in {**EMBEDDINGS, **changes}.items() if value is not None})
    assert wrong_at(path).startswith(f"{path} is damaged ({message}")


def wrong_at(path: Path) -> str:
    with pytest.raises(CacheError) as caught:
        FeatureCache.open(path)
    assert str(caught.value).endswith("): extract again, overwriting it")
    return str(caught.value)


def test_nothing_wrong_is_made() -> None:
    facts: dict[str, Any] = {"clip_ids": ["a"], "backbone": "b", "visual_dim": 2, "audio_dim": 3}
    for wrong, message in (
        ({"visual_dim": 0}, "visual_dim must be at least 1, got 0"),
        ({"segments": 1}, "segments must be at least 2, got 1"),
        ({"segment_seconds": -1.0}, "segment_seconds must be a number of seconds above 0"),
        ({"shard_size": 0}, "shard_size must be at least 1, got 0"),
        ({"attributes": {"files": {"a": None}}}, "attributes: files of 'a' is None: expected a path"),
        ({"attributes": {"x": object()}}, "attributes cannot be written as JSON"),
    ):
        with pytest.raises(CacheError, match=message):
            FeatureCache.create(memory(), **{**facts, **wrong})
    cache = FeatureCache.create(memory(), **facts)
    with pytest.raises(CacheError, match="clips_from of clip 'a' is 3: expected"):
        cache.update_attributes({"clips_from": {"a": 3}})
    assert cache.attributes == {}


def test_arrays_that_are_not_as_the_header_says(tmp_path: Path) -> None:
    """Nothing is allocated for what a header says alone."""
    path = tmp_path / "c.zarr"
    embeddings(path)
    for dim in (1 << 30, 1 << 24):
        change(path, visual_dim=dim, arrays={"image": [4, dim], "video": [7, 2, dim], "audio": [7, 3]})
        if dim == 1 << 30:
            assert "shard_size 2 makes shards of" in wrong_at(path)
    opened = FeatureCache.open(path)
    for read in (opened.read, lambda: list(opened.iter_shards())):
        with pytest.raises(CacheError, match=r"array 'image' is damaged or missing .* does not unpack to"):
            read()
    assert not verify(path).intact


def test_exports_carry_further_keys(tmp_path: Path) -> None:
    path = tmp_path / "c.zarr"
    embeddings(path)
    change(path, lease="x")
    cache = FeatureCache.open(path)
    export_hdf5(cache, tmp_path / "c.h5")
    again = import_features(tmp_path / "d.zarr", [tmp_path / "c.h5"])
    assert again.identity == cache.identity
    assert again.header == cache.header


def test_an_unfinished_cache_has_its_header_when_it_is_whole() -> None:
    path = memory()
    cache = FeatureCache.create(path, clip_ids=["a"], backbone="b", visual_dim=2, audio_dim=3, finished=False)
    cache.update_attributes({"x": 1})
    with pytest.raises(CacheError, match="half written"):
        FeatureCache.open(path)
    cache.finish()
    assert FeatureCache.open(path).attributes == {"x": 1}


def test_importing_the_package_is_light() -> None:
    code = """
import sys, feature_cache
from feature_cache import CacheError, Av2aError, NO_PICTURE, windows
assert not {"zarr", "h5py", "torch", "numba"} & sys.modules.keys()
assert {"FeatureCache", "import_features", "export_hdf5", "verify", "Av2aError"} <= set(dir(feature_cache))
assert all(getattr(feature_cache, name) is not None for name in feature_cache.__all__)
assert callable(feature_cache.windows) and callable(feature_cache.import_features)
from feature_cache.exchange import import_features
assert import_features is feature_cache.import_features
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
