"""Verifying a cache: every flipped byte is found, named, repaired, and extracted again."""

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_cache import DONE, FAILED, PENDING, CacheError, FeatureCache, Verification, verify
from feature_cache.storage.urls import store_at
from feature_cache.stored_rows import StoredRows
from tests.command import av2a
from tests.extraction import extract
from tests.stores import contents


def make(path: Path | str) -> FeatureCache:
    """Seven clips in three shards, one failed, one without sound; two label sets."""
    rng = np.random.default_rng(3)
    cache = FeatureCache.create(
        path, clip_ids=list("abcdefg"), backbone="b", visual_dim=5, audio_dim=4, frames_per_window=2, shard_size=3
    )
    for shard in range(3):
        n = len(cache.shard_rows(shard))
        cache.write_shard(
            shard,
            rng.standard_normal((n, 10, 5)),
            rng.standard_normal((n, 46, 2, 5)),
            rng.standard_normal((n, 46, 4)),
            [DONE, FAILED, DONE][:n] if shard == 1 else [DONE] * n,
            ["", "no video stream", ""][:n] if shard == 1 else None,
            [2, 0, 0][:n] if shard == 0 else None,
        )
    table = rng.standard_normal((3, 5))
    cache.add_text("one", labels=["x", "y", "z"], visual=table, audio=table[:, :4])
    cache.add_text("two", labels=["p", "q", "r"], visual=table, audio=table[:, :4])
    return cache


def data_files(path: Path) -> list[Path]:
    """Chunks of arrays: neither metadata nor what is written as such."""
    found = (file for file in path.rglob("*") if file.is_file() and file.name != "zarr.json")
    return sorted(file for file in found if not file.relative_to(path).parts[0].startswith("clip_"))


def flip(file: Path, at: int, bit: int = 0) -> None:
    raw = bytearray(file.read_bytes())
    raw[at] ^= 1 << bit
    file.write_bytes(raw)


def rewrite(cache: FeatureCache, name: str, shard: int, inside: Any, values: Any) -> None:
    """Other values in some rows of a shard, as one writes them who knows the format but no digests."""
    rows = cache.shard_rows(shard)
    stored = StoredRows(store_at(cache.path, read_only=False), cache.header)
    changed = stored.values(name, rows.start, rows.stop).copy()
    changed[inside] = values
    stored.put_values(shard, name, changed)


def test_a_sound_cache(tmp_path: Path) -> None:
    make(tmp_path / "c.zarr")
    found = verify(tmp_path / "c.zarr")
    assert found.intact
    assert found.counts == {"pending": 0, "done": 6, "failed": 1}
    assert "c.zarr: nothing is damaged (0 pending, 6 done, 1 failed)" in av2a("verify", "c.zarr", cwd=tmp_path).out


@pytest.mark.parametrize("flips", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_any_flipped_byte_of_the_data_is_found(flips: int, tmp_path: Path) -> None:
    """So many, one at a time, anywhere in any array: embeddings, status, reasons, digests, text tables."""
    path = tmp_path / "c.zarr"
    make(path)
    files, draw = data_files(path), random.Random(0)
    arrays = {file.relative_to(path).parts[0] for file in files}
    assert arrays == {"image", "video", "audio", "rows", "text"}
    found, hit = 0, set()
    for _ in range(flips):
        file = draw.choice(files)
        at, bit = draw.randrange(file.stat().st_size), draw.randrange(8)
        flip(file, at, bit)
        array = file.relative_to(path).parts[0]
        damage = verify(path).damage
        assert any(each.array.split("/")[0] == array for each in damage), (file, at)
        found += bool(damage)
        hit.add(array)
        flip(file, at, bit)
    assert (found, hit) == (flips, arrays)
    assert verify(path).intact


def test_any_flipped_byte_of_the_metadata_is_found(tmp_path: Path) -> None:
    """And nobody opens the cache, or reads the label set, until it is as it was."""
    path = tmp_path / "c.zarr"
    before = make(path).identity
    files, draw = sorted(set(path.rglob("*")) - set(data_files(path))), random.Random(1)
    files = [file for file in files if file.is_file()]
    for _ in range(60):
        file = draw.choice(files)
        raw = file.read_bytes()
        flip(file, draw.randrange(len(raw)), draw.randrange(8))
        intact = False
        with suppress(CacheError):
            intact = verify(path).intact
        assert not intact, file
        file.write_bytes(raw)
    assert verify(path).intact
    assert FeatureCache.open(path).identity == before


@pytest.mark.parametrize(
    ("file", "array", "clips"),
    [
        ("video/c/1/0/0/0", "video", ("d", "e", "f")),
        ("rows/c/0/0", "rows", ("a", "b", "c")),
        ("rows/c/1/0", "rows", ("d", "e", "f")),
        ("text/one/audio/c/0/0", "text/one", ()),
    ],
)
@pytest.mark.parametrize("how", ["flipped", "gone", "cut", "empty"])
def test_what_is_bad_is_named_and_repaired(
    file: str, array: str, clips: tuple[str, ...], how: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.zarr"
    make(path)
    bad = path / file
    if how == "flipped":
        flip(bad, 0)
    elif how == "gone":
        bad.unlink()
    else:
        bad.write_bytes(bad.read_bytes()[: 9 if how == "cut" else 0])
    if (array, how) == ("rows", "gone"):  # as if nothing had been declared yet
        assert verify(path).intact
        assert verify(path).counts["pending"] == 3
        return
    found = verify(path)
    assert [(each.array, each.clips) for each in found.damage] == [(array, clips)]
    assert not found.repaired
    repaired = verify(path, repair=True)
    assert repaired.damage
    assert repaired.repaired
    assert repaired.counts["pending"] == len(clips)
    assert verify(path).intact
    assert FeatureCache.open(path).text_names == (["two"] if array.startswith("text") else ["one", "two"])


def test_values_that_are_not_those_of_their_digest(tmp_path: Path) -> None:
    """A row that was replaced by another sound one: its checksum is right, its digest is not."""
    path = tmp_path / "c.zarr"
    cache = make(path)
    rewrite(cache, "audio", 1, slice(1, 3), cache.shards.values("audio", 1, 3))
    found = verify(path, repair=True)
    assert [(each.array, each.shard, each.clips) for each in found.damage] == [("rows", 1, ("e", "f"))]
    assert FeatureCache.open(path).status().tolist() == [1, 1, 1, 1, PENDING, PENDING, 1]


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    """It is no damage, and confuses nothing."""
    path = tmp_path / "c.zarr"
    before = make(path).identity
    for folder in (path, path / "video", path / "rows" / "c", path / "text", path / "text" / "one" / "audio"):
        (folder / ".zarr.json.0123.partial").write_bytes(b"{")
    assert verify(path).intact
    assert FeatureCache.open(path).text_names == ["one", "two"]
    FeatureCache.open(path, "r+").add_clips(["h"])
    FeatureCache.open(path, "r+").drop_clips(["h"])
    assert verify(path, repair=True).intact
    assert not list(path.rglob("*.partial"))
    assert FeatureCache.open(path).identity == before


def test_metadata_that_follows_from_the_rest_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "c.zarr"
    before = make(path).identity
    (path / "audio" / "zarr.json").write_text("{")
    (path / "rows" / "zarr.json").unlink()
    (path / "text" / "zarr.json").unlink()
    found = verify(path)
    assert {"audio/zarr.json", "rows/zarr.json", "text/zarr.json"} <= {each.array for each in found.damage}
    assert verify(path, repair=True).repaired
    assert verify(path).intact
    assert FeatureCache.open(path).identity == before


def test_changed_attributes_cannot_be_repaired(tmp_path: Path) -> None:
    path = tmp_path / "c.zarr"
    make(path)
    file = path / "zarr.json"
    file.write_text(file.read_text().replace('"backbone":"b"', '"backbone":"q"', 1))
    found = av2a("verify", "c.zarr", "--repair", "--json", cwd=tmp_path)
    assert found.code == 1
    assert found.json()["damage"][0]["array"] == "zarr.json"
    assert not found.json()["repaired"]


def test_extracting_again_makes_it_whole(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """The commands, on an extracted cache: damage in a clip's shard, in the reasons, in the labels."""
    path = tmp_path / "features.zarr"
    extract(videos, path, checkpoint, shard_size=2)
    expected = contents(path)
    flip(path / "video" / "c" / "0" / "0" / "0" / "0", 100)
    flip(path / "rows" / "c" / "1" / "0", 5)
    flip(path / "text" / "labels" / "visual" / "c" / "0" / "0", 30)
    done = av2a("verify", cwd=tmp_path)
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0].startswith("text/labels: ")
    assert lines[1].startswith("video, shard 0 (birds, cars): video/c/0/0/0/0: its checksum is wrong")
    assert lines[2].startswith("rows, shard 1 (dogs, trains): ")
    assert lines[3].startswith("features.zarr: 3 things are bad: --repair")
    done = av2a("verify", "--repair", cwd=tmp_path)
    assert done.code == 0
    assert "text/labels: " in done.out
    assert "add it with `av2a text`" in done.out
    assert "repaired: extract again to make it whole (4 pending, 1 done, 0 failed)" in done.out
    assert extract(videos, path, checkpoint, shard_size=2).skipped == 1
    assert contents(path) == expected
    assert isinstance(verify(path), Verification)
    assert av2a("verify", cwd=tmp_path).code == 0


def test_a_cache_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="is not there"):
        verify(tmp_path / "none.zarr")
