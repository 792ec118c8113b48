"""Caches that the version before wrote (tests/golden/format_2): read as they are, not written, made new by upgrade."""

import base64
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from feature_cache import PENDING, CacheError, FeatureCache, export_hdf5, import_features, upgrade, verify
from score import ScoreConfig, score
from tests import steps
from tests.feature_cache.test_verify import flip
from tests.killing import Nursery, kills
from tests.stores import contents

GOLDEN = Path(__file__).parent.parent / "golden" / "format_2"
NAMES = ("embeddings", "whole", "probabilities")
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
for each in EXPECTED.values():
    each["contents"]["attributes"].pop("stamps", None)  # `contents` leaves them out; the header has them


def old(folder: Path, name: str = "embeddings") -> Path:
    path = folder / "c.zarr"
    with zipfile.ZipFile(GOLDEN / f"{name}.zip") as file:
        file.extractall(path)
    return path


def plain(value: Any) -> Any:
    """As JSON has it, bytes in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def events_of(cache: FeatureCache, text: str) -> dict[str, Any]:
    given = {
        "refinement": cache.windows_kept == "all", "filter_threshold": 0.1, "threshold_stage1": 0.4,
        "threshold_stage2": 0.4,
    }  # fmt: skip
    found = score(cache, ScoreConfig.for_backbone("clip_clap", given), text=text)
    fields = ("clip", "stream_number", "label", "start", "end", "score")
    return {name: getattr(found, name).tolist() for name in fields}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_read_as_the_version_before_read_it(name: str, tmp_path: Path) -> None:
    path, expected = old(tmp_path, name), EXPECTED[name]
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    cache = FeatureCache.open(path)
    assert cache.identity == expected["identity"]
    assert plain(cache.header.to_dict()) == expected["header"]
    assert plain(contents(path)) == expected["contents"]
    assert events_of(cache, expected["text"]) == expected["events"]
    assert expected["events"]["clip"]
    assert verify(path).intact
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["in place", "elsewhere"])
def test_upgraded_it_holds_the_same(where: str, name: str, tmp_path: Path) -> None:
    path = old(tmp_path, name)
    output = None if where == "in place" else tmp_path / "new.zarr"
    told: list[tuple[int, int]] = []
    done = upgrade(path, output, progress=lambda *now: told.append(now))
    assert (done.left_out, done.lost_texts) == ((), ())
    cache = FeatureCache.open(output or path, "r+")
    assert done.clips == len(cache) == told[-1][0] == told[-1][1]
    assert cache.header.version == 3
    assert {**cache.header.to_dict(), "format_version": 2} == EXPECTED[name]["header"]
    assert plain(contents(cache.path)) == EXPECTED[name]["contents"]
    assert events_of(cache, EXPECTED[name]["text"]) == EXPECTED[name]["events"]
    assert verify(cache.path).intact
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.zarr", *(["new.zarr"] if output else [])]
    cache.update_attributes({"more": 1})
    if output is not None:
        assert FeatureCache.open(path).identity == EXPECTED[name]["identity"]
        with pytest.raises(CacheError, match="is there already"):
            upgrade(path, output)
        assert upgrade(path, output, overwrite=True).clips == done.clips
    with pytest.raises(CacheError, match="has cache format 3, the present one: there is nothing to do"):
        upgrade(output or path)


def test_its_export_is_brought_back(tmp_path: Path) -> None:
    """One that the version before made, and one made of such a cache now."""
    made = import_features(tmp_path / "a.zarr", [GOLDEN / "embeddings.h5"])
    assert plain(contents(made.path)) == EXPECTED["embeddings"]["contents"]
    assert verify(made.path).intact
    for name in NAMES:
        path = old(tmp_path / name, name)
        export_hdf5(FeatureCache.open(path), tmp_path / f"{name}.h5")
        again = import_features(tmp_path / f"{name}.zarr", [tmp_path / f"{name}.h5"])
        assert plain(contents(again.path)) == EXPECTED[name]["contents"]
        assert verify(again.path).intact


def test_what_is_damaged_is_found_and_left_out(tmp_path: Path) -> None:
    """A chunk, a row with a right checksum, a label set; the rest is there after the upgrade."""
    path = old(tmp_path)
    expected = contents(path)
    flip(path / "video" / "c" / "1" / "0" / "0" / "0", 30)
    array = zarr.open_array(path / "audio", mode="r+")
    array[0] = np.asarray(array[1])  # another clip's
    said = json.loads((path / "text" / "other" / "zarr.json").read_text())["attributes"]
    flip(path / "text" / "other" / said["tables"]["visual"] / "c" / "0" / "0", 30)
    found = verify(path)
    assert {each.array for each in found.damage} == {"text/other", "video", "rows"}
    assert {clip for each in found.damage for clip in each.clips} == {"film#0", "gone", "雨 1", "silent"}
    with pytest.raises(CacheError, match="clip film#0 is not what was written for it"):
        FeatureCache.open(path).read([0])
    with pytest.raises(CacheError, match=r"has cache format 2, which is not written any more: `upgrade\("):
        verify(path, repair=True)
    done = upgrade(path)
    assert set(done.left_out) == {"film#0", "gone", "雨 1", "silent"}
    assert done.lost_texts == ("other",)
    assert verify(path).intact
    now = contents(path)
    pending = {f"clip {clip}" for clip in done.left_out}
    assert {name for name in expected if now.get(name) != expected[name]} == {*pending, "text other"}
    assert {now[name][0] for name in pending} == {PENDING}


def test_a_changed_letter_of_its_metadata(tmp_path: Path) -> None:
    path = old(tmp_path)
    file = path / "zarr.json"
    raw = file.read_text()
    file.write_text(raw.replace('"film#0"', '"film#9"'))
    with pytest.raises(CacheError, match=r"is damaged \(zarr\.json is not as it was written\)"):
        FeatureCache.open(path)
    with pytest.raises(CacheError, match="is damaged"):
        upgrade(path)
    assert verify(path).damage[0].array == "zarr.json"


def test_it_is_not_written(tmp_path: Path) -> None:
    path = old(tmp_path)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    cache = FeatureCache.open(path, "r+")
    writes: tuple[Callable[[], object], ...] = (
        lambda: cache.add_clips(["new"]),
        lambda: cache.drop_clips(["gone"]),
        lambda: cache.update_attributes({"a": 1}),
        lambda: cache.add_text("t", labels=["x", "y"], visual=np.ones((2, 6)), audio=np.ones((2, 6))),
        lambda: cache.write_rows(0, [0], cache_rows(cache), [1], [""], [0]),
    )
    for write in writes:
        with pytest.raises(CacheError, match=r"has cache format 2, .*: `upgrade\('.*'\)` makes it") as caught:
            write()
        assert "\n" not in str(caught.value)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    assert not (path / "leases").exists()


def cache_rows(cache: FeatureCache) -> dict[str, Any]:
    return {name: np.ones((1, *shape), cache.dtype) for name, shape in cache.row_shapes.items()}


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    folder = tmp_path_factory.mktemp("nursery")
    with Nursery(folder / "log", ["zarr", "tests.steps", "feature_cache.upgrading"]) as found:
        found.warm(steps.make_in, folder)
        yield found


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_an_upgrade_that_is_killed(step: int, nursery: Nursery, tmp_path: Path) -> None:
    """The old cache or the new one, for a moment neither; then the same command ends as at one go."""
    expected, seen = EXPECTED["embeddings"]["contents"], set()

    def made(place: Path) -> None:
        old(place)

    for place, number in kills(
        lambda watch: nursery.call(steps.renew, str(watch[0]), watch=watch), tmp_path / "killed", made, step
    ):
        path = place / "c.zarr"
        if path.exists():
            assert plain(contents(path)) == expected
            assert verify(path).intact
            seen.add(FeatureCache.open(path).header.version)
        steps.renew(str(place))
        assert FeatureCache.open(path).header.version == 3
        assert plain(contents(path)) == expected
        assert verify(path).intact
        assert number or sorted(file.name for file in place.iterdir()) == ["c.zarr"]
    assert seen == {2, 3}
