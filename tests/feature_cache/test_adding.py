"""The sound of each segment added to a cache that is there: what counts of an earlier try, and what takes its place."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from feature_cache import DONE, FAILED, CacheError, FeatureCache, verify
from feature_cache.adding import begin_with_segments, is_put, put_with_segments, take_place
from feature_cache.storage import swapping
from tests import steps
from tests.feature_cache.test_verify import flip
from tests.stores import contents

FIVE = ("a", "b", "c", "d", "e")


def added(place: Path, shards: int = 3) -> list[bool]:
    """Put so many shards that are not put yet, and, where none is left, swap; which were put before."""
    old = FeatureCache.open(place / "c.zarr", "r+")
    with old.writing("extract"):
        new = begin_with_segments(old, {"more": 1})
        with new.writing("extract"):
            before = [is_put(old, new, shard) for shard in range(old.n_shards)]
            for shard in [shard for shard, put in enumerate(before) if not put][:shards]:
                steps.put_segments(old, new, shard)
            if sum(before) + shards >= old.n_shards:
                take_place(old, new)
    return before


def test_equals_one_that_was_made_with_it(tmp_path: Path) -> None:
    steps.make(tmp_path, FIVE)
    for name in ("adds", "whole"):
        shutil.copytree(tmp_path / "c.zarr", tmp_path / name / "c.zarr")
    added(tmp_path / "adds")
    cache = FeatureCache.open(tmp_path / "adds" / "c.zarr")
    assert cache.arrays == ("image", "video", "audio", "audio_segments")
    assert cache.attributes["more"] == 1
    assert cache.status().tolist() == [DONE, FAILED, DONE, DONE, DONE]
    found = cache.read()
    np.testing.assert_array_equal(found.audio_segments, np.stack([steps.heard(clip) for clip in "acde"]))
    made = FeatureCache.create(
        tmp_path / "m.zarr", clip_ids=FIVE, audio_per_segment=True, attributes={"more": 1}, **steps.SIZE
    )
    tables = {**steps.tables(*FIVE), "audio_segments": np.stack([steps.heard(clip) for clip in FIVE])}
    for shard in range(3):
        part = made.shards.part(shard)
        status = [FAILED if clip == "b" else DONE for clip in FIVE[part]]
        rows = {name: values[part] for name, values in tables.items()}
        made.write_rows(
            shard,
            range(len(status)),
            rows,
            status,
            ["no video" if c == FAILED else "" for c in status],
            [0] * len(status),
        )
    made.add_text("t", **steps.words(0))
    assert contents(cache.path) == contents(made.path)
    assert cache.identity == made.identity
    assert verify(cache.path).intact
    assert [file.name for file in (tmp_path / "adds").iterdir()] == ["c.zarr"]


def another_embedding(cache: FeatureCache) -> None:
    rows = {name: values + 1 for name, values in steps.tables("c").items()}
    cache.write_rows(1, [0], rows, [DONE], [""], [0])


def another_reason(cache: FeatureCache) -> None:
    cache.write_rows(0, [1], steps.tables("b"), [FAILED], ["cut off"], [0])


def a_clip_more(cache: FeatureCache) -> None:
    cache.add_clips(["f"])


def a_fact(cache: FeatureCache) -> None:
    cache.update_attributes({"other": 1})


def labels(cache: FeatureCache) -> None:
    cache.add_text("t", overwrite=True, **steps.words(5))
    cache.add_text("new", **steps.words(6))


def stamps(cache: FeatureCache) -> None:
    cache.update_attributes({"stamps": {"a": [1, 2]}})


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (another_embedding, [True, False, False]), (another_reason, [False, True, False]),
        (a_clip_more, [False] * 3), (a_fact, [False] * 3), (labels, [True, True, False]),
        (stamps, [True, True, False]),
    ],
)  # fmt: skip
def test_the_old_cache_changed_meanwhile(
    change: Callable[[FeatureCache], None], counts: list[bool], tmp_path: Path
) -> None:
    """What was put of rows that are others now is put again; labels and stamps are those of the end."""
    steps.make(tmp_path, FIVE)
    assert added(tmp_path, 2) == [False] * 3
    change(FeatureCache.open(tmp_path / "c.zarr", "r+"))
    shutil.copytree(tmp_path / "c.zarr", tmp_path / "whole" / "c.zarr")
    assert added(tmp_path) == counts
    added(tmp_path / "whole")
    assert contents(tmp_path / "c.zarr") == contents(tmp_path / "whole" / "c.zarr")
    cache = FeatureCache.open(tmp_path / "c.zarr")
    assert cache.attributes.get("stamps") == FeatureCache.open(tmp_path / "whole" / "c.zarr").attributes.get("stamps")
    assert verify(tmp_path / "c.zarr").intact


def test_what_was_put_is_damaged(tmp_path: Path) -> None:
    steps.make(tmp_path, FIVE)
    added(tmp_path, 2)
    flip(tmp_path / ".c.zarr.adding" / "audio_segments" / "c" / "1" / "0" / "0", 9)
    assert added(tmp_path) == [True, False, False]
    assert verify(tmp_path / "c.zarr").intact


def test_a_damaged_row_is_not_sealed_anew(tmp_path: Path) -> None:
    cache = steps.make(tmp_path, FIVE)
    values = cache.shards.values("audio", 2, 4) + 1
    source = cache.shards.source
    source.put_values(1, "audio", values)  # type: ignore[attr-defined]
    with pytest.raises(CacheError, match="clip c is not what was written for it"):
        added(tmp_path)
    assert FeatureCache.open(tmp_path / "c.zarr").arrays == ("image", "video", "audio")


def test_values_that_cannot_be_stored(tmp_path: Path) -> None:
    old = steps.make(tmp_path, FIVE)
    new = begin_with_segments(old, {})
    with pytest.raises(CacheError, match=r"audio_segments.*clip a"):
        put_with_segments(old, new, 0, [0], [np.full((3, 2), np.nan)], [""])


def test_a_store_that_is_no_folder(request: pytest.FixtureRequest) -> None:
    place = f"memory://{request.node.name}.zarr"
    FeatureCache.create(place, clip_ids=FIVE, **steps.SIZE)
    with pytest.raises(CacheError, match="is no folder, which could change its name: copy it to a folder"):
        begin_with_segments(FeatureCache.open(place, "r+"), {})


@pytest.mark.parametrize("can", [True, False])
def test_names_are_swapped_or_given_one_after_the_other(
    can: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can:
        monkeypatch.setattr("feature_cache.place.swap_names", lambda one, other: False)
    steps.make(tmp_path, FIVE)
    added(tmp_path)
    assert "audio_segments" in FeatureCache.open(tmp_path / "c.zarr").arrays
    assert [file.name for file in tmp_path.iterdir()] == ["c.zarr"]
    FeatureCache.open(tmp_path / "c.zarr", "r+").add_clips(["g"])  # its lease was let go


def test_swapping(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert not swapping.swap_names(tmp_path / "one", tmp_path / "nowhere")
    done = swapping.swap_names(tmp_path / "one", tmp_path / "other")
    assert done or sys.platform != "linux"
    assert (tmp_path / "one" / ("other" if done else "one")).exists()
    assert (tmp_path / "other" / ("one" if done else "other")).exists()
