"""Killed between any two changes of a file: nothing is declared whole before it is, and the same command goes on."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr

from feature_cache import DONE, FAILED, PENDING, CacheError, FeatureCache, verify
from feature_cache.exchange import export_hdf5, import_features
from feature_cache.place import is_there
from feature_cache.storage.durable import SafeStore
from feature_cache.storage.group import attributes_at
from feature_cache.storage.lease import LeaseError
from score import Events
from score.tuning.store import SearchStore
from tests import steps
from tests.feature_cache.test_verify import flip
from tests.killing import Ended, Nursery, kills
from tests.made_events import EVENTS
from tests.stores import contents

Made = Callable[[Path], object]


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    folder = tmp_path_factory.mktemp("nursery")
    with Nursery(folder / "log", ["zarr", "h5py", "tests.steps", "feature_cache.exchange", "score"]) as found:
        found.warm(steps.make_in, folder)
        yield found


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """What steps read: features, probabilities, a cache, its export."""
    folder = tmp_path / "given"
    folder.mkdir()
    features = steps.tables(*steps.CLIPS)
    text = {"labels": np.array(steps.LABELS), "text_visual": np.eye(2), "text_audio": np.eye(2) + 1}
    arrays: dict[str, Any] = {"clip_ids": np.array(steps.CLIPS), **features, **text}
    np.savez(folder / "features.npz", **arrays)
    heard = np.linspace(0, 1, 18).reshape(3, 3, 2)
    np.savez(
        folder / "heard.npz", clip_ids=np.array(steps.CLIPS), labels=np.array(steps.LABELS), audio_probabilities=heard
    )
    export_hdf5(steps.make(folder), folder / "c.h5")
    return folder


def sound_so_far(path: Path) -> bool:
    """Nothing there, a beginning that is known as one, or a cache that is as it was written."""
    try:
        return verify(path).intact
    except CacheError as error:
        return "is not there" in str(error) or "half written" in str(error) or "is no av2a cache" in str(error)


def stopped_everywhere(
    nursery: Nursery, folder: Path, step: Callable[..., object], made: Made | None = None, *words: int
) -> Iterator[Path]:
    """The folder as each kill left it; once it was looked at, the step is done again, and must end as at one go."""
    whole = folder / "whole" / "now"
    whole.mkdir(parents=True)
    if made is not None:
        made(whole)
    step(str(whole), *words)
    names = sorted(file.name for file in whole.iterdir())
    expected = contents(whole / "c.zarr") if "c.zarr" in names else None
    count = 0
    for place, number in kills(lambda watch: nursery.call(step, str(watch[0]), *words, watch=watch), folder, made):
        count += 1
        yield place
        if number:
            try:
                step(str(place), *words)
            except CacheError as error:  # killed after it was declared whole
                if "is there already" not in str(error) or not verify(place / "c.zarr").intact:
                    raise
        assert [file.name for file in sorted(place.iterdir()) if not file.name.startswith(".")] == names
        if expected is not None and files(place) != files(whole):  # the same rows may lie in another order
            assert contents(place / "c.zarr") == expected
            assert verify(place / "c.zarr").intact
    assert count > 2


def files(folder: Path) -> dict[str, bytes]:
    """Every file but those that were cut off."""
    found = (file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(".partial"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


# --- caches ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", [steps.create, steps.from_arrays, steps.from_probabilities], ids=lambda step: step.__name__
)
def test_making(step: Callable[..., object], nursery: Nursery, tmp_path: Path) -> None:
    states = set()
    for place in stopped_everywhere(nursery, tmp_path, step):
        assert sound_so_far(place / "c.zarr")
        try:
            cache = FeatureCache.open(place / "c.zarr")
        except CacheError as error:
            states.add(str(error).rpartition(" (")[0][-12:])
            continue
        assert step is steps.create or (cache.status() == DONE).all()  # declared whole is whole
        assert cache.kind == "embeddings" or cache.text_names == ["labels"]
        states.add("there")
    assert {"there", "half written"} <= states


@pytest.mark.slow
def test_replacing_a_cache(nursery: Nursery, tmp_path: Path) -> None:
    before = contents(steps.make(tmp_path).path)
    for place in stopped_everywhere(nursery, tmp_path, steps.overwrite, steps.make):
        assert sound_so_far(place / "c.zarr")
        if not is_there(place / "c.zarr"):
            continue
        found = contents(place / "c.zarr")
        assert found == before or "clip a" not in found


def test_filling(nursery: Nursery, tmp_path: Path) -> None:
    def empty(place: Path) -> None:
        FeatureCache.create(place / "c.zarr", clip_ids=("a", "b"), **steps.SIZE)

    for place in stopped_everywhere(nursery, tmp_path, steps.fill, empty):
        assert verify(place / "c.zarr").intact


def test_filling_what_is_partly_there(nursery: Nursery, tmp_path: Path) -> None:
    """One row of a shard after the other: rows that stay, done or failed, are declared so all the while."""
    for place in stopped_everywhere(nursery, tmp_path, steps.retry, steps.make):
        cache = FeatureCache.open(place / "c.zarr")
        assert verify(place / "c.zarr").intact
        assert cache.status()[0] == DONE
        np.testing.assert_array_equal(cache.read([0]).image[0], steps.values("a")["image"])


def test_a_failed_row_beside_another(nursery: Nursery, tmp_path: Path) -> None:
    """It stays failed all the while, with its reason."""

    def made(place: Path) -> None:
        cache = FeatureCache.create(place / "c.zarr", clip_ids=("b", "a"), **steps.SIZE)
        cache.write_rows(0, [0], steps.tables("b"), [FAILED], ["no video"], [0])

    for place in stopped_everywhere(nursery, tmp_path, steps.fill, made):
        assert FeatureCache.open(place / "c.zarr").reasons() == {"b": "no video"}
        assert verify(place / "c.zarr").intact


@pytest.mark.slow
def test_adding_labels(nursery: Nursery, tmp_path: Path) -> None:
    for place in stopped_everywhere(nursery, tmp_path, steps.add_text, steps.make):
        assert verify(place / "c.zarr").intact
        assert FeatureCache.open(place / "c.zarr").text("t").labels == steps.LABELS


@pytest.mark.parametrize(
    "earlier", [(5,), *(pytest.param(earlier, marks=pytest.mark.slow) for earlier in ((), (5, 6)))], ids=len
)
def test_replacing_labels(earlier: tuple[int, ...], nursery: Nursery, tmp_path: Path) -> None:
    """The old set is there until the new one is, however often it was replaced before."""

    def made(place: Path) -> None:
        steps.make(place)
        for seed in earlier:
            steps.replace_text(str(place), seed)

    seen = set()
    for place in stopped_everywhere(nursery, tmp_path, steps.replace_text, made):
        assert verify(place / "c.zarr").intact
        found = FeatureCache.open(place / "c.zarr").text("t")
        for seed in (*earlier[-1:], *([] if earlier else [0]), 2):
            if np.array_equal(found.visual, steps.words(seed)["visual"]):
                np.testing.assert_array_equal(found.audio, steps.words(seed)["audio"])
                seen.add(seed)
                break
        else:
            pytest.fail("neither the old set nor the new one")
        assert len(list((place / "c.zarr" / "text" / "t").glob("*/zarr.json"))) <= 4
    assert len(seen) == 2
    assert len(list((place / "c.zarr" / "text" / "t").glob("*/zarr.json"))) == 2


def test_growing(nursery: Nursery, tmp_path: Path) -> None:
    for place in stopped_everywhere(nursery, tmp_path, steps.grow, steps.make):
        assert verify(place / "c.zarr").intact
        cache = FeatureCache.open(place / "c.zarr")
        assert cache.clip_ids in (["a", "b", "c"], ["a", "b", "c", "d", "e"])
        assert cache.status().tolist() == [DONE, FAILED, DONE, PENDING, PENDING][: len(cache)]


@pytest.mark.slow
def test_pruning(nursery: Nursery, tmp_path: Path) -> None:
    def made(place: Path) -> None:
        steps.make(place, ("a", "b", "c", "d", "e"))

    again = 0
    for place in stopped_everywhere(nursery, tmp_path, steps.prune, made):
        assert verify(place / "c.zarr").intact
        cache = FeatureCache.open(place / "c.zarr")
        status = dict(zip(cache.clip_ids, cache.status().tolist(), strict=True))
        assert {"b", "c", "d"} <= status.keys()
        pending = [clip for clip, code in status.items() if code == PENDING and clip not in "ae"]
        again += bool(pending)
        assert len(pending) <= 1  # the one that moves
    assert again


@pytest.mark.parametrize(
    "step",
    [steps.add_segments, pytest.param(steps.add_segments_without_swapping, marks=pytest.mark.slow)],
    ids=lambda step: step.__name__,
)
def test_adding_segments(step: Callable[..., object], nursery: Nursery, tmp_path: Path) -> None:
    """The cache is the old one or the new one, at every moment where names can be swapped; nothing is left beside."""
    before = contents(steps.make(tmp_path).path)
    seen, put = [], []
    for place in stopped_everywhere(nursery, tmp_path, step, steps.make):
        if not (place / "c.zarr").exists():
            assert step is not steps.add_segments
            assert verify(place / ".c.zarr.replaced").intact
            seen.append("none")
            continue
        assert verify(place / "c.zarr").intact
        found = contents(place / "c.zarr")
        seen.append("old" if found == before else "new")
        assert seen[-1] == "old" or "audio_segments" in found["arrays"]
        if seen[-1] == "old" and is_there(place / ".c.zarr.adding"):
            assert verify(place / ".c.zarr.adding").intact
            put.append(int((FeatureCache.open(place / ".c.zarr.adding").status() != PENDING).sum()))
    assert seen == sorted(seen, key=("old", "none", "new").index)
    assert {"old", "new"} <= {*seen}
    assert put == sorted(put)
    assert {0, 2, 3} <= {*put}  # what a kill leaves is gone on with
    assert sorted(file.name for file in place.iterdir()) == ["c.zarr"]


@pytest.mark.slow
def test_repairing(nursery: Nursery, tmp_path: Path) -> None:
    """Whatever was repaired before the kill is; a second time repairs the rest."""

    def damaged(place: Path) -> None:
        cache = steps.make(place, ("a", "b", "c", "d", "e"))
        cache.add_text("bad", **steps.words(3))
        path = place / "c.zarr"
        flip(path / "video" / "c" / "0" / "0" / "0" / "0", 5)
        flip(path / "rows" / "c" / "1" / "0", 0)
        flip(path / "text" / "bad" / "visual" / "c" / "0" / "0", 5)
        (path / "audio" / "c" / "2" / "0" / "0").unlink()
        (path / "image" / "zarr.json").unlink()

    for place in stopped_everywhere(nursery, tmp_path, steps.repair, damaged):
        if (place / "c.zarr" / "image" / "zarr.json").exists():
            FeatureCache.open(place / "c.zarr").text("t")
    cache = FeatureCache.open(place / "c.zarr")
    assert (cache.status() == PENDING).all()
    assert cache.text_names == ["t"]


# --- two at once ----------------------------------------------------------------------------------------


def test_two_make_the_same_cache(tmp_path: Path) -> None:
    """Begun at the same moment: the one that is overtaken says so; the cache is whole."""
    path = tmp_path / "c.zarr"
    first, second = (FeatureCache.create(path, clip_ids=steps.CLIPS, finished=False, **steps.SIZE) for _ in range(2))
    with pytest.raises(CacheError, match="was begun by another process at the same moment: start again") as caught:
        first.finish()
    assert "\n" not in str(caught.value)
    second.finish()
    with pytest.raises(CacheError, match="by another process"):
        first.finish()
    assert verify(path).intact
    steps.fill(tmp_path)
    assert contents(path)["clip a"][0] == DONE


def test_two_write_the_same_label_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is told so at every moment of the first one's writing, and the set is that of the first."""
    path = steps.make(tmp_path).path
    cache, other = (FeatureCache.open(path, "r+") for _ in range(2))
    real, told = SafeStore.write, []

    def meanwhile(store: SafeStore, key: str, value: bytes) -> None:
        with ThreadPoolExecutor(1) as pool:
            error = pool.submit(other.add_text, "new", **steps.words(2)).exception()
        assert isinstance(error, LeaseError), error
        told.append(str(error))
        assert verify(path).intact
        real(store, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(SafeStore, "write", meanwhile)
        cache.add_text("new", **steps.words(1))
    assert len(told) > 4
    assert all("is being written by" in line and "\n" not in line for line in told)
    assert verify(path).intact
    np.testing.assert_array_equal(cache.text("new").visual, steps.words(1)["visual"])
    other.add_text("new", overwrite=True, **steps.words(2))
    np.testing.assert_array_equal(FeatureCache.open(path).text("new").visual, steps.words(2)["visual"])


# --- other people's files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", [steps.bring_in, steps.bring_in_probabilities, steps.bring_back], ids=lambda step: step.__name__
)
@pytest.mark.slow
def test_importing(step: Callable[..., object], given: Path, nursery: Nursery, tmp_path: Path) -> None:
    for place in stopped_everywhere(nursery, tmp_path, step):
        assert sound_so_far(place / "c.zarr")
        if (place / "c.zarr").exists():
            assert PENDING not in FeatureCache.open(place / "c.zarr").status()
    assert sorted(file.name for file in place.iterdir()) == ["c.zarr"]


@pytest.mark.slow
def test_importing_over_a_cache(given: Path, nursery: Nursery, tmp_path: Path) -> None:
    """What was there is there, or what is new; for a moment neither, and then the same command makes it."""
    before = contents(steps.make(tmp_path).path)
    seen = []
    for place in stopped_everywhere(nursery, tmp_path, steps.bring_in, steps.make):
        assert sound_so_far(place / "c.zarr")
        if not (place / "c.zarr").exists():
            seen.append("none")
            continue
        found = contents(place / "c.zarr")
        seen.append("old" if found == before else "new")
        assert seen[-1] == "old" or "text labels" in found
    assert seen == sorted(seen, key=("old", "none", "new").index)
    assert seen.count("none") <= 1
    assert sorted(file.name for file in place.iterdir()) == ["c.zarr"]


@pytest.mark.slow
@pytest.mark.parametrize("step", [steps.bring_in_far, steps.bring_back_far], ids=lambda step: step.__name__)
def test_importing_into_a_store_without_renaming(
    step: Callable[..., object], given: Path, nursery: Nursery, tmp_path: Path
) -> None:
    for place in stopped_everywhere(nursery, tmp_path, step):
        try:
            cache = FeatureCache.open(place / "c.zarr")
        except CacheError as error:
            if "zarr.json is damaged" in str(error):
                shutil.rmtree(place / "c.zarr")  # object stores have no such half files
            continue
        assert PENDING not in cache.status()
        assert cache.text_names
        assert verify(cache.path).intact


@pytest.mark.parametrize("file", ["features.npz", "heard.npz", "c.h5"])
def test_an_import_that_ends_early(file: str, given: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Where nothing can be renamed it is no cache until it is whole, and the same import goes on."""
    place = f"memory://{request.node.name}.zarr"

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    def full(*_: object) -> None:
        raise CacheError("the disk is full")

    patch = pytest.MonkeyPatch()
    if file == "heard.npz":  # it is written at once
        patch.setattr(FeatureCache, "finish", full)
    with patch.context(), pytest.raises((KeyboardInterrupt, CacheError)):
        import_features(place, [given / file], progress=stop)
    patch.undo()
    with pytest.raises(CacheError, match="half written"):
        FeatureCache.open(place)
    assert PENDING not in import_features(place, [given / file]).status()
    assert verify(place).intact


def test_exporting(given: Path, nursery: Nursery, tmp_path: Path) -> None:
    def made(place: Path) -> None:
        (place / "c.h5").write_bytes(b"before")

    seen = set()
    for place in stopped_everywhere(nursery, tmp_path, steps.take_out, made):
        if (place / "c.h5").read_bytes() != b"before":
            seen.add("new")
            with h5py.File(place / "c.h5") as file:
                assert set(file["clip_ids"].asstr()[:]) == set(steps.CLIPS)
    assert seen
    assert sorted(file.name for file in place.iterdir()) == ["c.h5"]


# --- events ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["tsv", pytest.param("json", marks=pytest.mark.slow)])
def test_events(ending: str, nursery: Nursery, tmp_path: Path) -> None:
    """What was there, or what is new, and nothing in between."""
    names = [Path(name).name for name in EVENTS.write(tmp_path / f"e.{ending}")]

    def made(place: Path) -> None:
        for name in names:
            (place / name).write_text("before")

    def run(watch: tuple[object, ...]) -> Ended:
        return nursery.call(steps.write_events, str(watch[0]), ending, watch=watch)

    kept = 0
    for place, number in kills(run, tmp_path / "killed", made):
        found = [(place / name).read_bytes() for name in names]
        whole = [(tmp_path / name).read_bytes() for name in names]
        assert all(one in (b"before", two) for one, two in zip(found, whole, strict=True))
        kept += b"before" in found
        assert number or found == whole
        assert nursery.call(steps.write_events, place, ending).code == 0
        assert [(place / name).read_bytes() for name in names] == whole
    assert kept == len(names)
    if ending == "json":
        assert Events.read(place / "e.json").clip_ids == EVENTS.clip_ids


# --- searches -------------------------------------------------------------------------------------------


def kept_batches(path: Path) -> dict[str, bytes]:
    """The figures of the batches that are declared whole."""
    found: dict[str, bytes] = {}
    if "unfinished" in (attributes_at(path) or {}):
        return found
    for batch in sorted(path.glob("batch*")):
        if (batch / "zarr.json").exists() and zarr.open_group(batch, mode="r").attrs.get("done"):
            found[batch.name] = np.asarray(zarr.open_array(batch / "metrics", mode="r")).tobytes()
    return found


def test_searching(given: Path, nursery: Nursery, tmp_path: Path) -> None:
    nursery.warm(steps.searched_in, given, tmp_path / "warm")
    steps.searched(given, tmp_path / "whole")
    whole = kept_batches(tmp_path / "whole")
    assert len(whole) == 2
    counts = set()
    for place in stopped_everywhere(nursery, tmp_path / "one", steps.search_in):
        found = kept_batches(place / "search.zarr")
        assert found.items() <= whole.items()
        counts.add(len(found))
    assert counts == {0, 1, 2}
    assert kept_batches(place / "search.zarr") == whole


@pytest.mark.slow
def test_searching_over_another_search(given: Path, nursery: Nursery, tmp_path: Path) -> None:
    """With --overwrite; then the same command goes on without it, too."""
    steps.searched(given, tmp_path / "whole")
    whole = kept_batches(tmp_path / "whole")

    def made(place: Path) -> None:
        settings = steps.search_of(given)[2].grid()[:3]
        space = steps.search_of(given)[2]
        SearchStore(place / "search.zarr", {"seed": 7, "space": space.to_dict()}, {}).write(
            5, settings, np.ones((3, 2)), ("one", "two")
        )

    def run(watch: tuple[object, ...]) -> Ended:
        return nursery.call(steps.search_in, str(watch[0]), 1, watch=watch)

    for place, number in kills(run, tmp_path / "one" / "killed", made):
        found = kept_batches(place / "search.zarr")
        assert found.items() <= whole.items() or list(found) == ["batch000005"]
        again = nursery.call(steps.search_in, place)
        if list(found) != ["batch000005"]:
            assert again.code == 0, again.err
        assert nursery.call(steps.search_in, place, 1).code == 0
        assert kept_batches(place / "search.zarr") == whole
        assert number or again.code == 0


def test_searching_again_for_the_ceiling(given: Path, nursery: Nursery, tmp_path: Path) -> None:
    """It computes everything again; what was kept stays kept."""
    steps.searched(given, tmp_path / "s")
    shutil.copytree(tmp_path / "s", tmp_path / "before")
    watched: dict[str, Any] = {"watch": (tmp_path / "s", 1, "", 9)}
    assert nursery.call(steps.search_again, given, tmp_path / "s", **watched).code == 0
    assert kept_batches(tmp_path / "s") == kept_batches(tmp_path / "before")
