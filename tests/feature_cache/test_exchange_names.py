"""Import: clips named in one Unicode form, files in the other, as macOS hands them out."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_cache import CacheError
from feature_cache.exchange import import_features
from tests.exchange_files import T, normal, write_lines

NFC, NFD = (unicodedata.normalize(form, "été à la ガラス") for form in ("NFC", "NFD"))


def write_clips(folder: Path, names: list[str], width: int) -> tuple[str, Any]:
    table = normal(len(names), T, width)
    folder.mkdir()
    for name, row in zip(names, table, strict=True):
        np.save(folder / f"{name}.npy", row)
    return str(folder), table


def test_lists_and_folders_in_two_forms(tmp_path: Path) -> None:
    image, seen = write_clips(tmp_path / "image", ["犬\u3000の声", NFD], 4)
    audio, heard = write_clips(tmp_path / "audio", ["犬\u3000の声", NFC], 6)
    made = import_features(tmp_path / "a.zarr", image=image, audio=audio, dtype="float32")
    assert made.clip_ids == [NFD, "犬\u3000の声"]
    clips = str(write_lines(tmp_path / "clips.txt", [NFC, "犬\u3000の声"]))
    listed = import_features(tmp_path / "b.zarr", image=image, audio=audio, clips=clips, dtype="float32")
    assert listed.clip_ids == [NFC, "犬\u3000の声"]
    for cache in (made, listed):
        found = cache.read()
        np.testing.assert_array_equal(found.image, seen[::-1])
        np.testing.assert_array_equal(found.audio_segments, heard[::-1])


def test_both_forms_in_one_folder_are_two_clips(tmp_path: Path) -> None:
    image, seen = write_clips(tmp_path / "image", [NFC, NFD], 4)
    if len(list((tmp_path / "image").iterdir())) < 2:
        pytest.skip("this file system knows one form only")
    audio, _ = write_clips(tmp_path / "audio", [NFC, NFD], 6)
    made = import_features(tmp_path / "a.zarr", image=image, audio=audio, dtype="float32")
    assert made.clip_ids == sorted([NFC, NFD])
    np.testing.assert_array_equal(made.read([made.clip_ids.index(NFD)]).image[0], seen[1])


def test_a_name_that_is_none(tmp_path: Path) -> None:
    image, _ = write_clips(tmp_path / "image", ["a\u202eb", "c"], 4)
    audio, _ = write_clips(tmp_path / "audio", ["a\u202eb", "c"], 6)
    with pytest.raises(CacheError, match=r"'a\\u202eb' is no clip id: it holds U\+202E"):
        import_features(tmp_path / "a.zarr", image=image, audio=audio)
