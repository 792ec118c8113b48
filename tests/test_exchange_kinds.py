"""av2a import: features as data sets publish them and as people keep them, taken or explained."""

import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from feature_cache import NO_SOUND, CacheError, FeatureCache, window_count
from feature_cache.exchange import import_features
from tests.command import av2a, refusal
from tests.exchange_files import assert_same_arrays, ids, normal, write_hdf5, write_lines
from tests.test_exchange_refusals import refused

T = 10


def _kept(folder: Path, table: Any, clips: list[str]) -> dict[str, str]:
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


# --- an array a clip ------------------------------------------------------------------------------------


def test_one_table_in_every_way(tmp_path: Path) -> None:
    image, audio = normal(5, T, 4), normal(5, T, 6, seed=1)
    np.save(tmp_path / "audio.npy", audio)
    names = ["v0", "-v1", "v2", "ä 3", "v.4"]
    clips = str(write_lines(tmp_path / "ids.txt", names))
    expected = FeatureCache.from_arrays(
        tmp_path / "e.zarr", clip_ids=names, backbone="b", image=image, audio_segments=audio
    )
    for way, value in _kept(tmp_path, image, names).items():
        made = import_features(
            tmp_path / f"{way}.zarr", image=value, audio=str(tmp_path / "audio.npy"), clips=clips, shard_size=2
        )
        assert_same_arrays(made, expected)


@pytest.mark.parametrize("way", ["folder", "clips.npz", "clips.h5", "group.npz", "group.h5", "inside.h5"])
def test_clips_that_are_not_there(way: str, tmp_path: Path) -> None:
    """The names are the ids, and a clip without sound is an error or one without sound, wherever the arrays lie."""
    image, audio = normal(3, T, 4), normal(2, 6)
    (tmp_path / "audio").mkdir()
    picture = _kept(tmp_path, image, ["a", "b", "c"])[way]
    sound = _kept(tmp_path / "audio", audio, ["a", "c"])[way]
    assert "no " in refused(tmp_path, image=picture, audio=sound)
    made = import_features(tmp_path / "c.zarr", image=picture, audio=sound, allow_missing=True, dtype="float32")
    assert made.clip_ids == ["a", "b", "c"]
    assert made.missing().tolist() == [0, NO_SOUND, 0]
    np.testing.assert_array_equal(made.read().image, image)
    np.testing.assert_array_equal(made.read().audio[[0, 2], 0], audio)
    clips = str(write_lines(tmp_path / "other.txt", ["x", "y"]))
    assert "for any of 2 clips; there are a, b, c" in refused(tmp_path, image=picture, audio=sound, clips=clips)


def test_groups_of_a_file_are_found_by_their_names(tmp_path: Path) -> None:
    image, audio = normal(3, T, 4), normal(3, T, 6)
    sides = {"image": image, "audio": audio}
    by_clip = {f"{side}/v{k}": row for side, table in sides.items() for k, row in enumerate(table)}
    inside = {f"v{k}/{side}": row for side, table in sides.items() for k, row in enumerate(table)}
    expected = FeatureCache.from_arrays(
        tmp_path / "e.zarr", clip_ids=["v0", "v1", "v2"], backbone="b", image=image, audio_segments=audio
    )
    for name, arrays in (("groups", by_clip), ("clips", inside)):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        for file in (write_hdf5(tmp_path / f"{name}.h5", arrays), tmp_path / f"{name}.npz"):
            assert_same_arrays(import_features(tmp_path / f"{file.name}.zarr", [file]), expected)


def test_arrays_of_a_clip_that_differ_in_shape(tmp_path: Path) -> None:
    """The first one may be the odd one: neither is blamed."""
    image = write_hdf5(tmp_path / "i.h5", {"a": normal(9, 4), "b": normal(T, 4), "c": normal(T, 4)})
    audio = write_hdf5(tmp_path / "s.h5", {clip: normal(T, 6) for clip in "abc"})
    assert refused(tmp_path, image=str(image), audio=str(audio)) == (
        "i.h5: dataset 'b' is (10, 4) and i.h5: dataset 'a' is (9, 4): the clips' arrays need one shape"
    )


def test_tables_are_not_taken_for_clips(tmp_path: Path) -> None:
    tables = write_hdf5(tmp_path / "t.h5", {"resnet": normal(5, T, 4), "vit": normal(5, T, 8)})
    sounds = write_hdf5(tmp_path / "s.h5", {"mfcc": normal(5, 6), "vggish": normal(5, 6)})
    np.save(tmp_path / "image.npy", normal(5, T, 4))
    options = {"audio": str(sounds), "clips": str(write_lines(tmp_path / "ids.txt", ids()))}
    assert refused(tmp_path, image=str(tables), **options) == "--image: t.h5 has resnet, vit: name one as t.h5:NAME"
    assert refused(tmp_path, image=str(tmp_path / "image.npy"), **options) == (
        "s.h5: no array for any of 5 clips; there are mfcc, vggish; or name one as s.h5:NAME"
    )


def test_an_array_a_clip_that_leads_elsewhere(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["image/c"] = h5py.SoftLink("/image/a")
        file["image/a"] = normal(T, 4)
        file["image/b"] = h5py.ExternalLink("secret.h5", "/x")
    np.save(tmp_path / "a.npy", normal(2, T, 6))
    clips = str(write_lines(tmp_path / "ids.txt", ["a", "b"]))
    message = refused(tmp_path, image=f"{tmp_path / 'f.h5'}:image", audio=str(tmp_path / "a.npy"), clips=clips)
    assert "is a link into another file (secret.h5), which is not read" in message


# --- several vectors a segment --------------------------------------------------------------------------


def _llp(folder: Path, rows: int = 80, sound_rows: int = T) -> dict[str, str]:
    """LLP's features as published, smaller: a folder a kind, frames of pictures."""
    for name, table in (("res152", normal(4, rows, 8)), ("vggish", normal(4, sound_rows, 6, seed=1))):
        (folder / name).mkdir()
        for clip, row in enumerate(table):
            np.save(folder / name / f"v{clip}.npy", row)
    return {"image": str(folder / "res152"), "audio": str(folder / "vggish")}


def test_pooled_frames(tmp_path: Path) -> None:
    sides = _llp(tmp_path)
    assert refused(tmp_path, **sides) == (
        "res152 is (4, 80, 8) and vggish is (4, 10, 6): 80 and 10 rows a clip, expected as many; of 10 segments, "
        "res152 has 8 rows a segment: --pool averages them"
    )
    done = av2a("import", "--image", "res152", "--audio", "vggish", "--pool", "-o", "c.zarr", cwd=tmp_path)
    assert done.code == 0
    assert "note: image: the mean of 8 vectors a segment" in done.err
    made = FeatureCache.open(tmp_path / "c.zarr")
    expected = FeatureCache.from_arrays(
        tmp_path / "e.zarr",
        clip_ids=["v0", "v1", "v2", "v3"],
        backbone="b",
        image=normal(4, 80, 8).reshape(4, T, 8, 8).astype(np.float64).mean(axis=2),
        audio_segments=normal(4, T, 6, seed=1),
    )
    assert_same_arrays(made, expected)
    assert made.attributes["pooled"] == {"image": 8}


@pytest.mark.parametrize(
    ("image", "audio", "segments", "expected", "pooled"),
    [
        ((160, 4), (160, 6), None, 10, {"image": 16, "audio": 16}),
        ((160, 4), (6,), None, 10, {"image": 16}),
        ((10, 4), (20, 6), None, 10, {"audio": 2}),
        ((40, 4), (5, 6), None, 5, {"image": 8}),
        ((40, 4), (20, 6), 20, 20, {"image": 2}),
        ((80, 4), (window_count(10), 6), None, 10, {"image": 8}),
        ((10, 7, 7, 32), (10, 6), None, 10, {"image": 49}),
        ((20, 3, 2, 4), (1, 6), None, 10, {"image": 12}),
        ((10, 8, 16), (10, 6), None, 10, {"image": 8}),
        ((10, 4), (10, 6), None, 10, {}),
    ],
)
@pytest.mark.parametrize("way", ["one.npy", "group.h5"])
def test_pooled_rows_of_every_number(
    way: str, image: Any, audio: Any, segments: int | None, expected: int, pooled: Any, tmp_path: Path
) -> None:
    picture, sound = normal(3, *image), normal(3, *audio, seed=1)
    np.save(tmp_path / "sound.npy", sound)
    made = import_features(
        tmp_path / "c.zarr",
        image=_kept(tmp_path, picture, ids(3))[way],
        audio=str(tmp_path / "sound.npy"),
        clips=str(write_lines(tmp_path / "ids.txt", ids(3))),
        pool=True,
        segments=segments,
        dtype="float32",
        shard_size=2,
    )
    assert made.segments == expected
    assert made.attributes.get("pooled", {}) == pooled
    found = made.read()
    means = picture.reshape(3, expected, -1, image[-1]).astype(np.float64).mean(axis=2).astype(np.float32)
    np.testing.assert_array_equal(found.image, means)
    if len(audio) == 2 and audio[0] % expected == 0:
        means = sound.reshape(3, expected, -1, 6).astype(np.float64).mean(axis=2).astype(np.float32)
        np.testing.assert_array_equal(found.audio_segments, means)
    else:
        np.testing.assert_array_equal(found.audio, sound.reshape(3, -1, 6))


def test_pooled_probabilities_and_missing_clips(tmp_path: Path) -> None:
    unit = np.random.default_rng(0).random((3, 40, 2))
    (tmp_path / "seen").mkdir()
    for clip in (0, 2):
        np.save(tmp_path / "seen" / f"v{clip}.npy", unit[clip])
    np.save(tmp_path / "heard.npy", unit[:, :T])
    made = import_features(
        tmp_path / "c.zarr",
        visual_probabilities=str(tmp_path / "seen"),
        audio_probabilities=str(tmp_path / "heard.npy"),
        clips=str(write_lines(tmp_path / "ids.txt", ["v0", "v1", "v2"])),
        labels=str(write_lines(tmp_path / "labels.txt", ["dog", "cat"])),
        allow_missing=True,
        pool=True,
    )
    assert made.missing().tolist() == [0, 1, 0]
    expected = unit.reshape(3, T, 4, 2).mean(axis=2).astype(np.float32)
    found = made.read().visual_probability
    assert found is not None
    np.testing.assert_array_equal(found[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize(
    ("image", "audio", "options", "message"),
    [
        ((80, 4), (12, 6), {}, "i.npy is (3, 80, 4) and s.npy is (3, 12, 6): 80 and 12 rows a clip, expected as many"),
        ((83, 4), (10, 6), {"pool": True}, "rows of a clip that cannot be cut into 10 segments, nor into the fewest"),
        ((80, 4), (10, 6), {"pool": True, "segments": 7}, "rows of a clip that cannot be cut into 7 segments: i"),
        ((80, 4), (10, 6), {"segments": 10}, "--segments 10: it goes with --pool, from 2 on"),
        ((10, 7, 7, 32), (10, 6), {}, "one vector a segment; --pool averages the 7 × 7 vectors of each"),
        ((10, 32, 7, 7), (10, 6), {"pool": True}, "vectors of 7 on a grid of 32 × 7? Move the axis of the vectors to"),
        ((64, 10), (10, 6), {}, "i.npy seems to have vectors before rows: turn it by numpy.swapaxes(values, 1, 2)"),
        ((10, 4), (64, 10), {}, "s.npy seems to have vectors before rows: turn it by numpy.swapaxes(values, 1, 2)"),
        ((4,), (10, 6), {}, "one vector a segment; with one vector a clip alone, segments cannot be told apart"),
        ((1, 4), (10, 6), {}, "i.npy is (3, 1, 4): a clip needs at least 2 segments"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_taken(image: Any, audio: Any, options: Any, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "i.npy", normal(3, *image))
    np.save(tmp_path / "s.npy", normal(3, *audio))
    clips = str(write_lines(tmp_path / "ids.txt", ids(3)))
    sides = {"image": str(tmp_path / "i.npy"), "audio": str(tmp_path / "s.npy")}
    assert message in refused(tmp_path, **sides, clips=clips, **options)


def test_frames_beside_windows(tmp_path: Path) -> None:
    given = {"image": normal(3, 80, 4), "video": normal(3, 46, 4), "audio": normal(3, 46, 6), "clip_ids": ids(3)}
    file = write_hdf5(tmp_path / "f.h5", given)
    assert refused(tmp_path, file) == (
        "f.h5: dataset 'image' is (3, 80, 4) and f.h5: dataset 'video' is (3, 46, 4): 80 segments have 3161 windows, "
        "not 46; of 10 segments, f.h5: dataset 'image' has 8 rows a segment: --pool averages them"
    )
    made = import_features(tmp_path / "c.zarr", [file], pool=True)
    assert (made.segments, made.windows_kept) == (10, "all")


def test_many_segments_are_noted(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "f.h5", {"image": normal(3, 80, 4), "audio": normal(3, 80, 6), "clip_ids": ids(3)})
    note = "note: 80 segments of 1 s a clip"
    assert note in av2a("import", "f.h5", "-o", "c.zarr", cwd=tmp_path).err
    assert note not in av2a("import", "f.h5", "-o", "d.zarr", "--segment-seconds", "0.125", cwd=tmp_path).err


def test_arrays_of_python_that_differ(tmp_path: Path) -> None:
    frames, sound = normal(3, 80, 4), normal(3, T, 6)
    common: dict[str, Any] = {"clip_ids": ids(3), "backbone": "b"}
    with pytest.raises(CacheError, match=r"image \(3, 80, 4\) has 8 rows for each of it: average them first"):
        FeatureCache.from_arrays(tmp_path / "c.zarr", **common, image=frames, audio_segments=sound)
    with pytest.raises(CacheError, match="average the 8 rows of each segment first"):
        FeatureCache.from_arrays(tmp_path / "c.zarr", **common, image=sound, audio_segments=frames)


# --- ids that occur more than once ----------------------------------------------------------------------

AVE = ["a", "b", "a", "c", "b", "a"]


def _ave(folder: Path, way: str, *, same: bool = True) -> tuple[list[Path], dict[str, Any], Any, Any]:
    """Features with a row for each line of a list in which clips occur several times."""
    image, audio = (normal(3, T, width, seed=width)[["abc".index(clip) for clip in AVE]] for width in (4, 6))
    image = image * (1 + 1e-4 * np.arange(6)[:, None, None]).astype(np.float32)  # of a GPU that adds in any order
    if not same:
        audio[5, 3] += 1
    if way == "h5":
        return [write_hdf5(folder / "f.h5", {"image": image, "audio": audio, "clip_ids": AVE})], {}, image, audio
    np.savez(folder / "f.npz", image=image, audio=audio)
    lines = ["Category&VideoID&Quality&StartTime&EndTime", *(f"Bark&{clip}&good&0&{k}" for k, clip in enumerate(AVE))]
    return [folder / "f.npz"], {"clips": str(write_lines(folder / "Annotations.txt", lines))}, image, audio


@pytest.mark.parametrize("way", ["h5", "npz"])
@pytest.mark.parametrize("shard_size", [1, 2, 32])
def test_repeated_ids_are_taken_once(way: str, shard_size: int, tmp_path: Path) -> None:
    files, options, image, audio = _ave(tmp_path, way)
    made = import_features(
        tmp_path / "c.zarr", files, **options, repeated_clips="first", dtype="float32", shard_size=shard_size
    )
    assert made.clip_ids == ["a", "b", "c"]
    np.testing.assert_array_equal(made.read().image, image[[0, 1, 3]])
    np.testing.assert_array_equal(made.read().audio_segments, audio[[0, 1, 3]])
    assert made.attributes["repeated_clips"] == {"kept": "first", "rows": 6, "ids": 3}


def test_repeated_ids_are_numbered(tmp_path: Path) -> None:
    files, options, image, _ = _ave(tmp_path, "npz", same=False)
    made = import_features(tmp_path / "c.zarr", files, **options, repeated_clips="number", dtype="float32")
    assert made.clip_ids == ["a", "b", "a~2", "c", "b~2", "a~3"]
    np.testing.assert_array_equal(made.read().image, image)


def test_numbers_that_are_taken(tmp_path: Path) -> None:
    given = {"image": normal(4, T, 4), "audio": normal(4, 6), "clip_ids": ["a", "a~2", "a", "a"]}
    made = import_features(tmp_path / "c.zarr", [write_hdf5(tmp_path / "f.h5", given)], repeated_clips="number")
    assert made.clip_ids == ["a", "a~2", "a~3", "a~4"]


@pytest.mark.parametrize("way", ["h5", "npz"])
def test_repeated_ids_of_different_rows(way: str, tmp_path: Path) -> None:
    files, options, _, _ = _ave(tmp_path, way, same=False)
    assert "clip id 'a' occurs 3 times (rows 1 and 3; 6 rows, 3 ids): --repeated-clips first takes one row" in refused(
        tmp_path, *files, **options
    )
    for shard_size in (1, 4, 32):
        message = refused(tmp_path, *files, **options, repeated_clips="first", shard_size=shard_size)
        assert message.endswith(
            "'audio': rows 1 and 6 of clip id 'a' differ: keep both with --repeated-clips number, or remove one"
        )


def test_repeated_ids_beside_folders_and_flags(tmp_path: Path) -> None:
    """A file a clip serves every row of its id; what is missing goes with the rows."""
    image, audio = normal(3, T, 4), normal(3, T, 6, seed=1)
    picture = _kept(tmp_path, image, ["a", "b", "c"])["folder"]
    audio = audio[["abc".index(clip) for clip in AVE]]
    file = write_hdf5(tmp_path / "s.h5", {"audio": audio, "clip_ids": AVE, "missing": [0, 2, 0, 0, 2, 0]})
    made = import_features(tmp_path / "f.zarr", [file], image=picture, repeated_clips="first", dtype="float32")
    assert made.missing().tolist() == [0, NO_SOUND, 0]
    np.testing.assert_array_equal(made.read().image, image)
    made = import_features(tmp_path / "n.zarr", [file], image=picture, repeated_clips="number", dtype="float32")
    assert made.missing().tolist() == [0, NO_SOUND, 0, 0, NO_SOUND, 0]
    np.testing.assert_array_equal(made.read().image, image[["abc".index(clip) for clip in AVE]])


def test_repeated_ids_by_the_command(tmp_path: Path) -> None:
    _ave(tmp_path, "h5")
    assert "--repeated-clips first" in refusal("import", "f.h5", cwd=tmp_path)
    done = av2a("import", "f.h5", "--repeated-clips", "first", cwd=tmp_path)
    assert done.code == 0
    assert "note: 6 rows of 3 clip ids: equal rows of an id are one clip" in done.err


# --- lists of ids ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\xef\xbb\xbfa\r\nb\r\n\r\nc\r\n", ["a", "b", "c"]),
        (b"a\n\n  b\nc", ["a", "b", "c"]),
        ("a.mp4\nb\u3000c.mp4\nd\u2028e\x85\n".encode(), None),
        ("a.mp4\nb\u3000c.mp4\n犬.mp4\n".encode(), ["a.mp4", "b\u3000c.mp4", "犬.mp4"]),
        (b"Bark&a&good&0&10\nBark&b&bad&1&2\nBark&c&good&0&10\n", ["a", "b", "c"]),
        (b"x&a&good&0&10\nBark&b&bad&1&2\nBark&c&good&rainy&10\n", ["x&a&good&0&10", "Bark&b&bad&1&2", ""]),
    ],
)  # fmt: skip
def test_lists_of_ids(raw: bytes, expected: list[str] | None, tmp_path: Path) -> None:
    from feature_cache.exchange.side_tables import clip_names
    from feature_cache.exchange.sources import Sources

    (tmp_path / "ids.txt").write_bytes(raw)
    with Sources([]) as sources:
        found, _ = clip_names(sources, str(tmp_path / "ids.txt"), {})
    if expected is None:
        assert len(found) == 3
    else:
        assert found[:2] == expected[:2]
        assert len(found) == 3


def test_ids_of_another_number(tmp_path: Path) -> None:
    given = write_hdf5(tmp_path / "f.h5", {"image": normal(3, T, 4), "audio": normal(3, 6)})
    clips = write_lines(tmp_path / "ids.csv", ["clip", "a", "b", "c"])
    assert refused(tmp_path, given, clips=str(clips)) == (
        "ids.csv: 4 clip ids, expected 3 as all arrays have rows, such as f.h5: dataset 'image' (3, 10, 4): is 'clip', "
        "the first, a heading?"
    )
    turned = write_hdf5(tmp_path / "m.h5", {"image": normal(4, T, 3), "audio": normal(3, 6)})
    message = refused(tmp_path, turned, clips=str(write_lines(tmp_path / "ids.txt", ["a", "b", "c"])))
    assert message.endswith("4 clips, expected 3 as in ids.txt: are its axes in reverse order, as MATLAB writes them? "
                            "Turn them round: values.T")  # fmt: skip


# --- files that are not read ----------------------------------------------------------------------------


def _torch(file: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.ones(2, T, 4), file)


def _old_torch(file: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.ones(2, T, 4), file, _use_new_zipfile_serialization=False)


def _pickled(file: Path) -> None:
    file.write_bytes(pickle.dumps([[1.0] * 4] * T))


def _safetensors(file: Path) -> None:
    header = b'{"image":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))


def _matlab(file: Path) -> None:
    file.write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(128))


def _table(file: Path) -> None:
    file.write_text("0.5,0.25\n1,2\n")


def _zip(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "features")


def _gzip(file: Path) -> None:
    file.write_bytes(b"\x1f\x8b\x08" + bytes(20))


OTHER: list[tuple[str, Callable[[Path], None], str]] = [
    ("f.pt", _torch, "is a PyTorch file: HDF5, .npy and .npz are read; convert it: python -c \"import numpy, torch"),
    ("f.pth", _old_torch, "is a PyTorch file"),
    ("f.npz", _torch, "is a PyTorch file"),
    ("f.pkl", _pickled, "is a pickle, which may run anything when it is loaded: HDF5, .npy and .npz are read; convert"),
    ("f.safetensors", _safetensors, "is a safetensors file: HDF5"),
    ("f.mat", _matlab, "is a MATLAB file: HDF5"),
    ("f.csv", _table, "is a table of text: HDF5"),
    ("f.zip", _zip, "is a ZIP file without arrays of NumPy in it: unpack it"),
    ("f.npy.gz", _gzip, "is compressed by gzip, which is not read: gunzip it"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "write", "message"), OTHER)
def test_files_of_other_kinds(name: str, write: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    """Given by position, in an option, and in a folder: what it is, and how to convert it."""
    write(tmp_path / name)
    np.save(tmp_path / "audio.npy", normal(2, T, 6))
    common = {"audio": str(tmp_path / "audio.npy"), "clips": str(write_lines(tmp_path / "ids.txt", ["a", "b"]))}
    assert refused(tmp_path, tmp_path / name, **common).startswith(f"{name} {message}")
    assert refused(tmp_path, image=str(tmp_path / name), **common).startswith(f"{name} {message}")
    (tmp_path / "folder").mkdir()
    (tmp_path / name).rename(tmp_path / "folder" / name)
    found = refused(tmp_path, image=str(tmp_path / "folder"), **common)
    assert found.startswith(f"folder: no .npy file in this folder; folder/{name} {message}")


@pytest.mark.parametrize(
    ("name", "write", "shape"),
    [
        pytest.param("f.pt", _torch, (2, T, 4), marks=pytest.mark.slow),  # imports torch in a process of its own
        ("p.pkl", _pickled, (T, 4)),
        ("t.csv", _table, (1, 2, 2)),
    ],
)
def test_the_line_that_converts_works(
    name: str, write: Callable[[Path], None], shape: tuple[int, ...], tmp_path: Path
) -> None:
    write(tmp_path / name)
    with pytest.raises(CacheError) as caught:
        import_features(tmp_path / "c.zarr", image=str(tmp_path / name), audio="x.npy", clips="x.txt")
    code = str(caught.value).split('python -c "')[1].rstrip('"').replace("reshape(N, T, -1)", "reshape(1, 2, -1)")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert np.load(tmp_path / f"{Path(name).stem}.npy").shape == shape


def test_folders_of_files_of_which_one_is_read_alone(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for clip in "ab":
        np.savez(tmp_path / "f" / f"{clip}.npz", x=normal(T, 4))
    message = refused(tmp_path, image=str(tmp_path / "f"), audio="x.npy")
    assert message == "f: no .npy file in this folder; it has a.npz, b.npz"


def test_stores_of_zarr_are_no_folders(tmp_path: Path) -> None:
    cache = FeatureCache.from_arrays(
        tmp_path / "c.zarr", clip_ids=ids(), backbone="b", image=normal(5, T, 4), audio=normal(5, 6)
    )
    message = refused(tmp_path, image=cache.path, audio=cache.path)
    assert message == "c.zarr: no .npy file in this folder, which is a Zarr store: save its arrays as .npy"


# --- values ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-9, 3e-7])
@pytest.mark.parametrize("rows", ["all", "one vector"])
def test_vectors_that_float16_loses(scale: float, rows: str, tmp_path: Path) -> None:
    image = normal(6, T, 4)
    image[slice(None) if rows == "all" else (4, 3)] *= scale
    given = {"image": image, "audio": normal(6, 6), "clip_ids": [f"v{k}" for k in range(6)]}
    file = write_hdf5(tmp_path / "f.h5", given)
    message = refused(tmp_path, file)
    clip = "v0" if rows == "all" else "v4"
    assert message.startswith(f"f.h5: dataset 'image': image embedding of clip {clip}: a vector of norm ")
    assert message.endswith("% of it: store float32 (--dtype float32)")
    made = import_features(tmp_path / "c.zarr", [file], dtype="float32")
    np.testing.assert_array_equal(made.read().image, image)


def test_the_command_names_the_mend(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "f.h5", {"image": normal(3, T, 4) * 1e-9, "audio": normal(3, 6), "clip_ids": ids(3)})
    assert "(--dtype float32)" in refusal("import", "f.h5", cwd=tmp_path)
    assert av2a("import", "f.h5", "--dtype", "float32", cwd=tmp_path).code == 0


def test_tiny_values_that_do_no_harm(tmp_path: Path) -> None:
    """Zeros, tiny values among others, small vectors that float16 holds, bits and whole numbers."""
    image = normal(6, T, 4)
    image[0, :, 1:] *= 1e-9
    image[1] = 0
    image[2] = 2.0**-24
    image[3] *= 1e-3
    audio = (normal(6, T, 6) > 0, np.arange(6 * T * 6).reshape(6, T, 6).astype(np.int64))
    for number, sound in enumerate(audio):
        made = FeatureCache.from_arrays(
            tmp_path / f"{number}.zarr", clip_ids=ids(6), backbone="b", image=image, audio_segments=sound
        )
        np.testing.assert_array_equal(made.read().image, image.astype(np.float16))
        np.testing.assert_array_equal(made.read().audio_segments, sound.astype(np.float16))


@pytest.mark.parametrize(("dtype", "given"), [("float16", "f4"), ("float16", "f8"), ("float32", "f8")])
def test_vectors_that_a_cache_loses(dtype: str, given: str, tmp_path: Path) -> None:
    """The same however rows come in: all at once, by shard, or by row, as an extraction writes them."""
    tiny = normal(5, T, 4).astype(given) * (1e-9 if dtype == "float16" else 1e-60)
    message = rf"image embedding of clip clip 2 ä: a vector of norm \S+ is too small for {dtype}"
    image = normal(5, T, 4).astype(given)
    image[2] = tiny[2]
    with pytest.raises(CacheError, match=message):
        FeatureCache.from_arrays(
            tmp_path / "c.zarr", clip_ids=ids(), backbone="b", image=image, audio=normal(5, 6), dtype=dtype
        )
    cache = FeatureCache.create(
        tmp_path / "d.zarr", clip_ids=ids(), backbone="b", visual_dim=4, audio_dim=6, dtype=dtype, windows="none",
        audio_windows="whole",
    )  # fmt: skip
    with pytest.raises(CacheError, match=message):
        cache.write_shard(0, image, None, normal(5, 1, 6), [1] * 5)
    rows = {"image": image[2:4], "audio": normal(2, 1, 6)}
    with pytest.raises(CacheError, match=message):
        cache.write_rows(0, [2, 3], rows, [1, 1], ["", ""], [0, 0])
    cache.write_shard(0, image, None, normal(5, 1, 6), [1] * 5, missing=[0, 0, 1, 0, 0])  # is not stored
    assert not cache.read().image[2].any()


def test_flags_that_are_yes_and_no(tmp_path: Path) -> None:
    given = {"image": normal(3, T, 4), "audio": normal(3, 6), "clip_ids": ids(3), "missing": [False, True, False]}
    message = refused(tmp_path, write_hdf5(tmp_path / "f.h5", given))
    assert message == (
        "f.h5: dataset 'missing' holds bool: 0, 1 (no picture) or 2 (no sound) is needed, not yes and no"
    )


def test_labels_that_overflow(tmp_path: Path) -> None:
    given = {
        "image": normal(3, T, 4), "audio": normal(3, 4), "clip_ids": ids(3), "labels": ["a", "b"],
        "text_visual": np.array([[1.0] * 4, [1e300] * 4]),
    }  # fmt: skip
    message = refused(tmp_path, write_hdf5(tmp_path / "f.h5", given))
    assert "a value of label 'b' is not finite, or does not fit float32" in message


# --- the files after which the kinds are called ---------------------------------------------------------

CASES = Path(__file__).parents[2] / "shared" / "cases" / "features"


@pytest.mark.skipif(not CASES.is_dir(), reason="the given files are not here")
@pytest.mark.parametrize(
    ("options", "mended"),
    [
        ({"image": "tiny.npy", "audio": "audio.npy", "clips": "ids.txt"}, {"dtype": "float32"}),
        ({"image": "image.npy", "audio": "audio.npy", "clips": "ave_ids.txt"}, {"repeated_clips": "number"}),
        ({"image": "llp_res152", "audio": "vggish"}, {"pool": True}),
        ({"image": "image.pt", "audio": "audio.npy", "clips": "ids.txt"}, {"image": str(CASES / "image.npy")}),
        ({"image": "perclip.h5", "audio": "audio.npy", "clips": "ids.txt"}, None),
    ],
)
def test_given_files(options: dict[str, str], mended: dict[str, Any] | None, tmp_path: Path) -> None:
    given: dict[str, Any] = {name: str(CASES / value) for name, value in options.items()}
    if mended is not None:
        refused(tmp_path, **given)
    made = import_features(tmp_path / "c.zarr", **{**given, **(mended or {})})
    assert (len(made), made.segments) == (6, 10)
    assert np.abs(made.read().image).max() > 0
