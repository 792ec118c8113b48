"""av2a import: lists of clip ids as they are, some ids in them several times."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_cache import NO_SOUND
from feature_cache.exchange import import_features
from tests.command import av2a, refusal
from tests.exchange_files import kept, normal, write_hdf5, write_lines
from tests.feature_cache.test_exchange_refusals import refused

T = 10


# --- ids that occur more than once --------------------------------------------------------------------

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
    assert (
        "clip id 'a' occurs 3 times (rows 1 and 3; 6 rows, 3 ids): `repeated_clips=\"first\"` takes one row"
        in refused(tmp_path, *files, **options)
    )
    for shard_size in (1, 4, 32):
        message = refused(tmp_path, *files, **options, repeated_clips="first", shard_size=shard_size)
        assert message.endswith(
            "'audio': rows 1 and 6 of clip id 'a' differ: keep both with `repeated_clips=\"number\"`, or remove one"
        )


def test_repeated_ids_beside_folders_and_flags(tmp_path: Path) -> None:
    """A file a clip serves every row of its id; what is missing goes with the rows."""
    image, audio = normal(3, T, 4), normal(3, T, 6, seed=1)
    picture = kept(tmp_path, image, ["a", "b", "c"])["folder"]
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


# --- lists of ids -------------------------------------------------------------------------------------


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
    from feature_cache.exchange.ids_and_labels import clip_names
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
