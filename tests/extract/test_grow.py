"""Collections that grow and shrink, and several workers on one cache."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extract import ExtractError
from extract.run import open_cache as run_cache
from extract.run.shares import Share
from feature_cache import PENDING, CacheError, FeatureCache, verify
from feature_cache.storage.atomic import write_durably
from tests.command import av2a
from tests.extraction import GOOD, extract
from tests.feature_cache.test_verify import make
from tests.killing import finish, start
from tests.stores import contents


def copies(videos: Path, folder: Path, names: tuple[str, ...]) -> Path:
    folder.mkdir(exist_ok=True)
    shutil.copy(videos / "labels.txt", folder)
    for name in names:
        shutil.copy(next(videos.glob(f"{name}.*")), folder)
    return folder


# --- growing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shard_size", [2, *(pytest.param(size, marks=pytest.mark.slow) for size in (1, 4))])
def test_new_files_are_added(shard_size: int, videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Whether the last shard was full or not; rows that were there are not computed again."""
    source, output = copies(videos, tmp_path / "some", ("yaks", "cars", "dogs")), tmp_path / "f.zarr"
    extract(source, output, checkpoint, shard_size=shard_size)
    before = FeatureCache.open(output)
    copies(videos, source, GOOD)
    summary = extract(source, output, checkpoint)
    assert (summary.done, summary.skipped, summary.notes[1:]) == (5, 3, ())
    cache = FeatureCache.open(output)
    assert cache.clip_ids == ["cars", "dogs", "yaks", "birds", "trains"]
    assert cache.identity != before.identity
    extract(source, tmp_path / "g.zarr", checkpoint)
    assert contents(output) == contents(tmp_path / "g.zarr")
    assert verify(output).intact
    assert extract(source, output, checkpoint).skipped == 5


def test_files_that_are_gone_are_kept_unless_pruned(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    source, output = copies(videos, tmp_path / "all", GOOD), tmp_path / "f.zarr"
    extract(source, output, checkpoint, shard_size=2)
    for name in ("birds.mp4", "dogs.mp4", "yaks.mp4"):
        (source / name).unlink()
    before = contents(output)
    summary = extract(source, output, checkpoint)
    assert summary.notes[1:] == (f"3 clips of the cache are not in {source} any more: kept; `prune=True` removes them",)
    assert contents(output) == before
    summary = extract(source, output, checkpoint, prune=True)
    assert summary.notes[1:] == (f"3 clips removed that are not in {source} any more",)
    assert (summary.done, summary.skipped) == (2, 2)
    extract(source, tmp_path / "g.zarr", checkpoint)
    assert contents(output) == contents(tmp_path / "g.zarr")
    assert verify(output).intact
    copies(videos, source, GOOD)  # and they come back, computed anew
    assert extract(source, output, checkpoint).skipped == 2
    assert contents(output) == before


def test_a_pending_clip_without_its_file_fails(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Nothing stays undone silently, and rows beside it stay."""
    source, output = copies(videos, tmp_path / "some", ("birds", "dogs")), tmp_path / "f.zarr"
    extract(source, output, checkpoint)
    FeatureCache.open(output, "r+").add_clips(["ghost"])
    summary = extract(source, output, checkpoint)
    assert summary.done == 2
    assert "its file is not among the videos any more; put it back" in summary.failed["ghost"]


def cut_after(room: int, run: Callable[[], None]) -> bool:
    """Run until so many files were written, then every write fails; whether it ended by itself."""
    left, real = [room], write_durably

    def cut(target: Path, data: bytes) -> None:
        if left[0] == 0:
            raise OSError("cut off")
        left[0] -= 1
        real(target, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("feature_cache.storage.durable.write_durably", cut)
        try:
            run()
        except CacheError:
            return False
    return True


@pytest.mark.parametrize(
    "gone", ["efg", *(pytest.param(g, marks=pytest.mark.slow) for g in ("g", "bdf", "a", "cd", "fg", "abcdef"))]
)
def test_pruning_is_cut_off_anywhere(gone: str, tmp_path: Path) -> None:
    """Rows that stay are there as they were, but for those of one shard, which may be pending."""
    make(tmp_path / "whole.zarr")
    before = contents(tmp_path / "whole.zarr")
    for room in range(0, 80, 3 if len(gone) > 2 else 1):
        path = tmp_path / f"{room}.zarr"
        shutil.copytree(tmp_path / "whole.zarr", path)
        ended = cut_after(room, lambda path=path: FeatureCache.open(path, "r+").drop_clips(list(gone)))  # type: ignore[misc]
        assert verify(path).intact
        after = contents(path)
        if not ended:
            redone = [clip for clip in "abcdefg" if clip not in gone and after[f"clip {clip}"][0] == PENDING]
            assert len(redone) <= 3
            after.update({f"clip {clip}": before[f"clip {clip}"] for clip in redone})
            cache = FeatureCache.open(path, "r+")
            cache.drop_clips([clip for clip in cache.clip_ids if clip in gone])  # the same command again
            after = {name: kept for name, kept in after.items() if name[5:] not in gone or not name.startswith("clip ")}
            assert verify(path).intact
        expected = {name: kept for name, kept in before.items() if name not in {f"clip {clip}" for clip in gone}}
        assert after == expected
        cache = FeatureCache.open(path, "r+")
        assert sorted(cache.clip_ids) == sorted(set("abcdefg") - set(gone))
        cache.add_clips(list(gone))  # old rows do not come back from under the new ones
        again = contents(path)
        assert all(again[f"clip {clip}"] == (PENDING, 0, "") for clip in gone)
        if ended:
            return
    pytest.fail("it never ended")


def test_refused_changes(tmp_path: Path) -> None:
    cache = make(tmp_path / "c.zarr")
    with pytest.raises(CacheError, match="'a' occurs twice"):
        cache.add_clips(["a"])
    with pytest.raises(CacheError, match="no clip 'z'"):
        cache.drop_clips(["a", "z"])
    with pytest.raises(CacheError, match="every clip would be removed"):
        cache.drop_clips(list("abcdefg"))


# --- several workers ------------------------------------------------------------------------------------


def test_shares_cover_every_shard_once() -> None:
    shares = [Share.parse(f"{i}/3") for i in range(3)]
    for shard in range(20):
        assert sum(share.owns(shard) for share in shares) == 1
        owner = next(share for share in shares if share.owns(shard))
        assert sum(part.owns(shard) for part in owner.split(4)) == 1
        assert sum(part.owns(shard) for share in shares for part in share.split(4)) == 1


@pytest.mark.slow
def test_four_processes_fill_one_cache(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Started at the same moment on an empty place; what they made equals what one makes."""
    output = tmp_path / "features.zarr"
    words = ["extract", videos, "-o", output, "--backbone", "clip_clap", "--checkpoint", checkpoint, "--device", "cpu"]
    words += ["--shard-size", 1, "--workers", 1]
    running = [start([*words, "--shard-range", f"{i}/4"]) for i in range(4)]
    ended = [finish(process) for process in running]
    assert [code for code, _, _ in ended] == [0] * 4, ended
    assert [int(out.split(" clips done")[0].split()[-1]) for _, out, _ in ended] == [2, 1, 1, 1]
    extract(videos, tmp_path / "one.zarr", checkpoint)
    assert contents(output) == contents(tmp_path / "one.zarr")
    assert verify(output).intact
    found = av2a("info", "--workers", 4, "--json", cwd=tmp_path).json()
    assert [(each["name"], each["done"], each["pending"]) for each in found] == [
        ("0/4", 2, 0), ("1/4", 1, 0), ("2/4", 1, 0), ("3/4", 1, 0),
    ]  # fmt: skip
    assert "pending" in av2a("info", "--shards", cwd=tmp_path).out


@pytest.mark.slow
def test_the_same_run_twice_at_once(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Both end well, or one of them in one line; what is there is whole."""
    output = tmp_path / "features.zarr"
    words = ["extract", videos, "-o", output, "--backbone", "clip_clap", "--checkpoint", checkpoint, "--device", "cpu"]
    ended = [finish(process) for process in [start([*words, "--workers", 1]) for _ in range(2)]]
    assert 0 in [code for code, _, _ in ended]
    for code, _, err in ended:
        assert "Traceback" not in err
        assert code == 0 or err.count("Error: ") == 1
    extract(videos, tmp_path / "one.zarr", checkpoint)
    assert contents(output) == contents(tmp_path / "one.zarr")
    assert verify(output).intact


def test_the_same_labels_added_meanwhile(
    run: tuple[FeatureCache, Any], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an equal run: no error. By another one: the message that there are others."""
    from extract import label_embeddings as text
    from extract.backbones import load_backbone

    real = text._encode
    for labels, name in ((["p", "q"], "same"), (["r", "s"], "other")):
        shutil.copytree(run[0].path, tmp_path / name)
        cache = FeatureCache.open(tmp_path / name, "r+")
        backbone = load_backbone("clip_clap", checkpoint)

        def meanwhile(backbone: Any, sentences: Any, cache: Any = cache, labels: list[str] = labels) -> Any:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(text, "_encode", real)
                assert text.add_labels(cache, "new", labels, backbone)
            return real(backbone, sentences)

        with monkeypatch.context() as patch:
            patch.setattr(text, "_encode", meanwhile)
            if name == "same":
                assert not text.add_labels(cache, "new", ["p", "q"], backbone)
            else:
                with pytest.raises(ExtractError, match="has a label set 'new' with other labels"):
                    text.add_labels(cache, "new", ["p", "q"], backbone)
        assert cache.text("new").labels == tuple(labels)


def test_a_worker_waits_for_the_first_one(
    videos: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_cache, "WAIT_SECONDS", 1)
    said: list[str] = []
    with pytest.raises(ExtractError, match="after 1 s: start the worker with `shard_range='0/n'`"):
        extract(videos, tmp_path / "f.zarr", checkpoint, shard_range="1/2", notice=said.append)
    assert said == [f"waiting for the worker with `shard_range='0/n'`, which makes {tmp_path / 'f.zarr'}"]
    assert not (tmp_path / "f.zarr").exists()
    source = copies(videos, tmp_path / "some", ("birds", "dogs"))
    summary = extract(source, tmp_path / "f.zarr", checkpoint, shard_size=1, shard_range="0/2")
    assert (summary.done, summary.failed) == (1, {})
    copies(videos, source, GOOD)
    with pytest.raises(ExtractError, match="without some of these clips"):
        extract(source, tmp_path / "f.zarr", checkpoint, shard_range="1/2")
    assert extract(source, tmp_path / "f.zarr", checkpoint, shard_range="0/2").done == 3
    assert extract(source, tmp_path / "f.zarr", checkpoint, shard_range="1/2").done == 2


@pytest.mark.parametrize("option", ["overwrite", "prune"])
def test_what_no_share_may_do(option: str, videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {option: True}
    with pytest.raises(
        ExtractError, match=f"`{option}=True` changes the whole cache: run it once without `shard_range`"
    ):
        extract(videos, tmp_path / "f.zarr", checkpoint, shard_range="0/2", **options)


@pytest.mark.slow
def test_a_process_a_device(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    source = copies(videos, tmp_path / "some", GOOD)
    (source / "broken.mp4").write_bytes(b"x")
    seen: list[tuple[int, int]] = []
    summary = extract(
        source, tmp_path / "f.zarr", checkpoint, shard_size=2, device="cpu,cpu", workers=2,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert (summary.done, list(summary.failed)) == (5, ["broken"])
    assert seen[-1] == (6, 6)
    assert {"encode", "write"} <= summary.stages.keys()
    extract(source, tmp_path / "g.zarr", checkpoint)
    assert contents(tmp_path / "f.zarr") == contents(tmp_path / "g.zarr")
    with pytest.raises(ExtractError, match="device 'gpu': use auto, cpu, cuda or cuda:i"):
        extract(source, tmp_path / "h.zarr", checkpoint, device="cpu,gpu")


def test_a_device_whose_process_ends(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """The others end, too; the command says which one it was, and goes on when it is called again."""
    import multiprocessing
    import threading

    def kill_one() -> None:
        while not (children := multiprocessing.active_children()):
            pass
        children[0].kill()

    thread = threading.Thread(target=kill_one)
    thread.start()
    with pytest.raises(ExtractError, match=r"the process of cpu ended early \(exit code -[0-9]+\)"):
        extract(videos, tmp_path / "f.zarr", checkpoint, shard_size=2, device="cpu,cpu")
    thread.join()
    assert not multiprocessing.active_children()
    assert extract(videos, tmp_path / "f.zarr", checkpoint).done == 5


def test_info_of_workers_is_json(tmp_path: Path) -> None:
    make(tmp_path / "features.zarr")
    found = av2a("info", "--shards", "--json", cwd=tmp_path)
    assert json.loads(found.out)[1] == {"name": "1", "shards": 1, "rows": 3, "done": 2, "failed": 1, "pending": 0}
