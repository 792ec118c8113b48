"""av2a import: an array a clip and several vectors a segment, as data sets publish them."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from feature_cache import NO_SOUND, CacheError, FeatureCache, window_count
from feature_cache.exchange import import_features
from tests.command import av2a
from tests.exchange_files import assert_same_arrays, ids, kept, normal, write_hdf5, write_lines
from tests.feature_cache.test_exchange_refusals import refused

T = 10


# --- an array a clip ----------------------------------------------------------------------------------


def test_one_table_in_every_way(tmp_path: Path) -> None:
    image, audio = normal(5, T, 4), normal(5, T, 6, seed=1)
    np.save(tmp_path / "audio.npy", audio)
    names = ["v0", "-v1", "v2", "ä 3", "v.4"]
    clips = str(write_lines(tmp_path / "ids.txt", names))
    expected = FeatureCache.from_arrays(
        tmp_path / "e.zarr", clip_ids=names, backbone="b", image=image, audio_segments=audio
    )
    for way, value in kept(tmp_path, image, names).items():
        made = import_features(
            tmp_path / f"{way}.zarr", image=value, audio=str(tmp_path / "audio.npy"), clips=clips, shard_size=2
        )
        assert_same_arrays(made, expected)


@pytest.mark.parametrize("way", ["folder", "clips.npz", "clips.h5", "group.npz", "group.h5", "inside.h5"])
def test_clips_that_are_not_there(way: str, tmp_path: Path) -> None:
    """The names are the ids, and a clip without sound is an error or one without sound, wherever the arrays lie."""
    image, audio = normal(3, T, 4), normal(2, 6)
    (tmp_path / "audio").mkdir()
    picture = kept(tmp_path, image, ["a", "b", "c"])[way]
    sound = kept(tmp_path / "audio", audio, ["a", "c"])[way]
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
    assert refused(tmp_path, image=str(tables), **options) == "`image`: t.h5 has resnet, vit: name one as t.h5:NAME"
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


# --- several vectors a segment ------------------------------------------------------------------------


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
        "res152 has 8 rows a segment: `pool=True` averages them"
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
        image=kept(tmp_path, picture, ids(3))[way],
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
        ((80, 4), (10, 6), {"segments": 10}, "`segments=10`: it goes with `pool=True`, from 2 on"),
        ((10, 7, 7, 32), (10, 6), {}, "one vector a segment; `pool=True` averages the 7 × 7 vectors of each"),
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
        "not 46; of 10 segments, f.h5: dataset 'image' has 8 rows a segment: `pool=True` averages them"
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
