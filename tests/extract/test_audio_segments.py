"""The sound of each segment: as extraction stores it, and added to a cache that is there without it."""

import re
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extract import ExtractError, load_backbone
from extract.media.clip import Views, decode_clip
from extract.media.sampling import sample_plan, segment_plan
from extract.run import worker
from extract.run.encode import prepare_clip
from extract.run.engines.threads import fill
from extract.run.inputs import find_videos
from extract.run.worker import Clips, Job
from extract.summary import Summary
from feature_cache import DONE, FAILED, NO_SOUND, PENDING, CacheError, FeatureCache, verify, windows
from feature_cache.adding import begin_with_segments
from tests.extraction import extract
from tests.feature_cache.test_format_2 import old
from tests.killing import HEAVY, Ended, Nursery, kills
from tests.media import make_video, make_wav, tone
from tests.posix import KILLED_CODE
from tests.stores import contents

WITHOUT: dict[str, Any] = {"audio_segments": False, "shard_size": 2, "labels": "ave"}
ADD: dict[str, Any] = {"add": "audio-segments"}


@pytest.fixture(scope="module")
def odd(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips: of a longer file, without picture, without sound, whose sound ends early, that cannot be read."""
    folder = tmp_path_factory.mktemp("odd")
    shutil.copy(videos / "cars.mkv", folder)
    make_wav(folder / "blind.wav", tone(10, 16_000), 16_000)
    make_video(folder / "early.mp4", frames=20, fps=2, sound=tone(3.5, 16_000))
    make_video(folder / "long.mp4", frames=40, fps=2, size=(32, 32), sound=tone(20, 8000), rate=8000)
    make_video(folder / "mute.mp4", frames=20, fps=2, with_sound=False)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def whole(odd: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureCache, Summary]:
    """Their cache with the sound of each segment; not to be changed."""
    path = tmp_path_factory.mktemp("whole") / "f.zarr"
    summary = extract(odd, path, checkpoint, **{**WITHOUT, "audio_segments": None})
    return FeatureCache.open(path), summary


@pytest.fixture(scope="module")
def without(odd: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without; not to be changed."""
    path = tmp_path_factory.mktemp("without") / "f.zarr"
    extract(odd, path, checkpoint, **WITHOUT)
    return path


@pytest.fixture
def plain(without: Path, tmp_path: Path) -> Path:
    """A cache without, of one's own."""
    return Path(shutil.copytree(without, tmp_path / "f.zarr"))


# --- stored ---------------------------------------------------------------------------------------------


def test_which_samples() -> None:
    """Those that a window as long would have."""
    assert segment_plan(8, 3, segments=3, segment_seconds=0.5).tolist() == [[0, 1], [1, 3], [3, 4]]
    assert segment_plan(100_000, 48_000)[1:4].tolist() == [[48_000, 96_000], [96_000, 100_000], [100_000, 100_000]]
    found = segment_plan(441_009, 44_100, segment_seconds=0.97)
    plan = sample_plan(441_009, 44_100, segment_seconds=0.97)
    for row, (start, end) in enumerate(windows(10).tolist()):
        if row:
            assert [found[start, 0], found[end - 1, 1]] == plan[row].tolist()


@pytest.mark.parametrize("name", ["cars", "early", "blind"])
def test_each_segment_by_itself(name: str, whole: tuple[FeatureCache, Summary], odd: Path, checkpoint: Path) -> None:
    """What the encoder gives for the segment's samples alone; past the end of the sound for silence."""
    backbone = load_backbone("clip_clap", checkpoint)
    media = decode_clip(find_videos(odd).files[name], views=Views(backbone.prepare_frames), sample_rate=48_000)
    assert media.windows is not None
    cache = whole[0]
    found = cache.read([cache.clip_ids.index(name)]).audio_segments
    assert found is not None
    for segment in range(10):
        cut = media.windows.wave[segment * 48_000 : (segment + 1) * 48_000]
        alone = backbone.encode_audio(backbone.prepare_audio([cut]))[0].numpy()
        np.testing.assert_allclose(found[0, segment], alone, atol=1e-3)
    assert (np.ptp(found[0, 4:], axis=0) < 1e-3).all() == (name == "early")
    assert np.ptp(found[0, :4], axis=0).max() > 1e-3


def test_windows_are_the_same_with_and_without(whole: tuple[FeatureCache, Summary], without: Path) -> None:
    """To the bit, and so is a cache of before."""
    found, plain = contents(whole[0].path), contents(without)
    assert plain["arrays"].keys() == {"image", "video", "audio"}
    assert found["arrays"] == {**plain["arrays"], "audio_segments": (10, 20)}
    assert "segment_samples" not in plain["attributes"]["sampling"]
    assert found["attributes"]["sampling"].pop("segment_samples")
    assert found["attributes"] == plain["attributes"]
    for name in whole[0].clip_ids:
        *before, values = plain[f"clip {name}"]
        assert found[f"clip {name}"][:2] == tuple(before)
        assert found[f"clip {name}"][2][: len(values)] == values


def test_without_sound(whole: tuple[FeatureCache, Summary]) -> None:
    cache = whole[0]
    row = cache.clip_ids.index("mute")
    assert cache.missing()[row] == NO_SOUND
    found = cache.read([row]).audio_segments
    assert found is not None
    assert not found.any()


def test_one_encoder_fed_by_decoders_adds_the_same(
    whole: tuple[FeatureCache, Summary], plain: Path, odd: Path, checkpoint: Path
) -> None:
    """The road that sounds take to a GPU, with the encoders on the CPU."""
    old = FeatureCache.open(plain, "r+")
    new = begin_with_segments(old, {"sampling": whole[0].attributes["sampling"]})
    names = ("blind", "cars", "early")
    clips = Clips({name: find_videos(odd).files[name] for name in names}, arrays=("audio_segments",))
    job = Job(load_backbone("clip_clap", checkpoint), torch.device("cpu"), clips, fed=True, before=old)
    rows = [old.clip_ids.index(name) for name in names]
    todo = {shard: [row for row in rows if row in old.shard_rows(shard)] for shard in range(old.n_shards)}
    fill(new, job, {shard: found for shard, found in todo.items() if found}, 2, lambda done, total: None)
    np.testing.assert_allclose(new.read(rows).audio_segments, whole[0].read(rows).audio_segments, atol=1e-3)  # type: ignore[arg-type]
    np.testing.assert_array_equal(new.read(rows).video, whole[0].read(rows).video)


# --- added ----------------------------------------------------------------------------------------------


def test_added_equals_at_once(
    whole: tuple[FeatureCache, Summary], plain: Path, odd: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file but the label set's order; no picture is decoded for it, nor a window prepared."""
    prepared: list[int] = []
    decoded: list[bool] = []

    def watched(path: Path, **options: Any) -> Any:
        media = decode_clip(path, **options)
        decoded.append(media.images is not None)
        return media

    def counted(*given: Any, **more: Any) -> Any:
        found = prepare_clip(*given, **more)
        prepared.append(0 if found.sounds is None else len(found.sounds))
        return found

    monkeypatch.setattr(worker, "decode_clip", watched)
    monkeypatch.setattr(worker, "prepare_clip", counted)
    summary = extract(odd, plain, checkpoint, **ADD)
    assert decoded == [False] * 5
    assert prepared == [0] * 5
    cache = FeatureCache.open(plain)
    assert (summary.done, list(summary.failed), summary.skipped) == (6, ["broken"], 2)
    assert summary.failed == whole[1].failed
    assert contents(plain) == contents(whole[0].path)
    assert cache.identity == whole[0].identity
    assert verify(plain).intact
    for file in Path(whole[0].path).rglob("*"):
        if file.is_file():
            assert (plain / file.relative_to(whole[0].path)).read_bytes() == file.read_bytes(), file
    assert [file.name for file in plain.parent.iterdir()] == ["f.zarr"]
    again = extract(odd, plain, checkpoint, **ADD)
    assert again.nothing == f"{plain} has the sound of each segment already: there is nothing to do"
    assert extract(odd, plain, checkpoint, labels="ave").skipped == 7  # and it is gone on with as any


def test_added_where_sound_is_cut_at_random(checkpoint: Path, tmp_path: Path) -> None:
    """Segments longer than the encoder's window: what is drawn does not depend on whether windows are drawn, too."""
    (tmp_path / "v").mkdir()
    make_wav(tmp_path / "v" / "a.wav", tone(120, 4000), 4000)
    how: dict[str, Any] = {"clip_seconds": 120, "official_randomness": 3, "labels": "ave", "windows": "whole"}
    extract(tmp_path / "v", tmp_path / "whole.zarr", checkpoint, **how)
    extract(tmp_path / "v", tmp_path / "f.zarr", checkpoint, audio_segments=False, **how)
    extract(tmp_path / "v", tmp_path / "f.zarr", checkpoint, **ADD, **how)
    assert contents(tmp_path / "f.zarr") == contents(tmp_path / "whole.zarr")
    extract(tmp_path / "v", tmp_path / "g.zarr", checkpoint, **{**how, "official_randomness": None})
    one, other = (FeatureCache.open(tmp_path / name).read().audio_segments for name in ("f.zarr", "g.zarr"))
    assert not np.array_equal(one, other)  # type: ignore[arg-type]


def test_added_to_an_extraction_that_was_cut_off(
    whole: tuple[FeatureCache, Summary], plain: Path, odd: Path, checkpoint: Path
) -> None:
    """What is pending stays so, and is extracted with everything."""
    cache = FeatureCache.open(plain, "r+")
    cache.drop_clips(["cars", "mute"])
    cache.add_clips(["cars", "mute"])
    extract(odd, plain, checkpoint, **ADD)
    cache = FeatureCache.open(plain)
    assert (cache.status() == PENDING).sum() == 2
    extract(odd, plain, checkpoint, labels="ave")
    assert contents(plain) == contents(whole[0].path)


def test_files_that_are_gone_or_damaged(plain: Path, odd: Path, checkpoint: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(odd, tmp_path / "odd"))
    (source / "early.mp4").unlink()
    make_video(source / "new.mp4", frames=20, fps=2)
    before = contents(plain)
    with pytest.raises(ExtractError, match=r"1 clips of .* are not in .* \(early\): put their files back, or `prune"):
        extract(source, plain, checkpoint, **ADD)
    assert contents(plain) == before
    (source / "cars.mkv").write_bytes((source / "cars.mkv").read_bytes()[:900])
    summary = extract(source, plain, checkpoint, prune=True, **ADD)
    assert summary.notes == (f"1 clips of {source} are not in {plain}: the same without `add` extracts them",)
    assert sorted(summary.failed) == ["broken", "cars"]
    cache = FeatureCache.open(plain)
    assert "early" not in cache.clip_ids
    assert cache.status()[cache.clip_ids.index("cars")] == FAILED
    assert verify(plain).intact
    shutil.copy(odd / "cars.mkv", source)
    extract(source, plain, checkpoint, retry_failed=True, labels="ave")
    assert contents(plain)["clip cars"][0] == DONE


# --- killed ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery") / "log", HEAVY) as found:
        yield found


@pytest.fixture(scope="module")
def small(odd: Path, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips, one a shard; caches of them with and without."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "v").mkdir()
    for name in ("blind.wav", "broken.mp4", "early.mp4", "mute.mp4"):
        shutil.copy(odd / name, folder / "v")
    for name, more in (("whole", ()), ("f", ("--no-audio-segments",))):
        (folder / name).mkdir()
        assert nursery.run([*adding(folder, folder / name)[:-2], *more]).code == 3
    return folder


def adding(small: Path, place: Path) -> list[object]:
    toy = ("--backbone", "tiny", "--device", "cpu", "--windows", "whole", "--shard-size", 1, "--workers", 1)
    return ["extract", small / "v", "-o", place / "f.zarr", *toy, "--add", "audio-segments"]


@pytest.mark.parametrize("step", [20, pytest.param(4, marks=pytest.mark.slow)])
def test_killed_before_any_change_of_a_file(step: int, small: Path, nursery: Nursery, tmp_path: Path) -> None:
    """The cache is there, whole, with or without; the same command goes on."""
    expected, before = contents(small / "whole" / "f.zarr"), contents(small / "f" / "f.zarr")
    seen = set()

    def made(place: Path) -> None:
        shutil.copytree(small / "f" / "f.zarr", place / "f.zarr")

    def run(watch: tuple[object, ...]) -> Ended:
        return nursery.run(adding(small, Path(str(watch[0]))), watch=watch)

    for place, number in kills(run, tmp_path / "killed", made, step):
        assert verify(place / "f.zarr").intact
        found = contents(place / "f.zarr")
        assert found in (before, expected)
        seen.add(found == before)
        if number:
            assert nursery.run(adding(small, place)).code in (0, 3)
        assert contents(place / "f.zarr") == expected
        assert verify(place / "f.zarr").intact
    assert seen == {True, False}
    assert [file.name for file in place.iterdir()] == ["f.zarr"]


@pytest.mark.parametrize("sent", [-KILLED_CODE, signal.SIGINT.value], ids=["killed", "SIGINT"])
def test_what_was_put_is_not_computed_again(
    sent: int, small: Path, nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small / "f" / "f.zarr", tmp_path / "f.zarr")
    ended = nursery.run(adding(small, tmp_path), watch=(tmp_path, 1, "audio_segments/c/2/0/0", sent))
    assert ended.code in (-sent, 130)
    if sent == signal.SIGINT:
        assert ended.err.strip() == "interrupted: whole shards are kept; the same command goes on from here"
    assert "audio_segments" not in FeatureCache.open(tmp_path / "f.zarr").arrays
    opened: list[str] = []

    def watched(path: Path, **options: Any) -> Any:
        opened.append(path.stem)
        return decode_clip(path, **options)

    monkeypatch.setattr(worker, "decode_clip", watched)
    toy: dict[str, Any] = {"backbone": "tiny", "windows": "whole", "workers": 1, "checkpoint": None}
    extract(small / "v", tmp_path / "f.zarr", **toy, **ADD)
    assert opened == (["early"] if sent == -KILLED_CODE else ["early"][: len(opened)])
    assert contents(tmp_path / "f.zarr") == contents(small / "whole" / "f.zarr")


# --- refused, and said ----------------------------------------------------------------------------------


def test_options_that_do_not_go_together(plain: Path, odd: Path, checkpoint: Path) -> None:
    for more, said in (
        ({"overwrite": True}, "leave out `overwrite=True`"),
        ({"retry_failed": True}, "leave out `retry_failed=True`"),
        ({"audio_segments": False}, "and `audio_segments=False` do not go together"),
        ({"shard_range": "0/2"}, "run it without `shard_range`"),
        ({"only": ["cars"]}, "run it without `only`"),
        ({"add": "video"}, "`add='video'`: use one of audio-segments"),
    ):
        with pytest.raises(ExtractError, match=said):
            extract(odd, plain, checkpoint, **{**ADD, **more})


def test_caches_that_nothing_can_be_added_to(plain: Path, odd: Path, checkpoint: Path, tmp_path: Path) -> None:
    heard = np.linspace(0, 1, 60).reshape(2, 10, 3)
    FeatureCache.from_probabilities(
        tmp_path / "p.zarr", clip_ids=["a", "b"], labels=["x", "y", "z"], visual=heard, audio=heard
    )
    features = FeatureCache.open(plain).read()
    FeatureCache.from_arrays(
        tmp_path / "i.zarr", clip_ids=list("abcdef"), backbone="clip_clap", image=features.image,
        video=features.video, audio=features.audio,
    )  # fmt: skip
    old(tmp_path).rename(tmp_path / "old.zarr")
    for name, said in (
        ("old.zarr", r"has cache format 2, .*: `upgrade\('.*old.zarr'\)` makes it the present one"),
        ("p.zarr", "holds probabilities of a detector: there is no sound of segments to add"),
        ("i.zarr", "holds features that were imported: import them again with their audio a segment"),
    ):
        with pytest.raises(ExtractError, match=said):
            extract(odd, tmp_path / name, checkpoint, **ADD)
    with pytest.raises(CacheError, match=r"nowhere\.zarr is not there: make it with `extract_videos"):
        extract(odd, tmp_path / "nowhere.zarr", checkpoint, **ADD)


def test_another_backbone_or_other_weights(plain: Path, odd: Path, checkpoint: Path, tmp_path: Path) -> None:
    from tests.models import make_checkpoint

    before = contents(plain)
    with pytest.raises(ExtractError, match=r"was made by clip_clap: leave out `backbone='tiny'`"):
        extract(odd, plain, None, backbone="tiny", **ADD)  # type: ignore[arg-type]
    other = make_checkpoint(tmp_path / "other", seed=1)
    for weights, more, said in (
        (other, {}, "clap.sha256"),
        (checkpoint, {"dtype": "float32"}, "dtype 'float16', now 'float32'"),
        (checkpoint, {"precision": "bfloat16"}, "precision"),
        (checkpoint, {"clip_seconds": 5}, "clips.seconds 10.0, now 5"),
    ):
        with pytest.raises(ExtractError, match=f"{said}.*: give the options and weights that it was made with"):
            extract(odd, plain, weights, **ADD, **more)
    assert contents(plain) == before


def test_while_another_writes(plain: Path, odd: Path, checkpoint: Path) -> None:
    with FeatureCache.open(plain, "r+").writing("relabel"), ThreadPoolExecutor(1) as pool:
        error = pool.submit(extract, odd, plain, checkpoint, **ADD).exception()
    assert isinstance(error, CacheError)
    assert re.search(r"is being written by `relabel` of .*: wait until that has ended", str(error))
    assert not (plain.parent / ".f.zarr.adding").exists()


def test_going_on_with_a_cache_as_it_is(
    whole: tuple[FeatureCache, Summary], plain: Path, odd: Path, checkpoint: Path
) -> None:
    """A cache without goes on without, and says so; with and without are not mixed."""
    FeatureCache.open(plain, "r+").drop_clips(["early"])
    note = f"{plain} is without the sound of each segment, as it was made: `add='audio-segments'` adds it"
    summary = extract(odd, plain, checkpoint, labels="ave")
    assert summary.notes.count(note) == 1
    assert FeatureCache.open(plain).arrays == ("image", "video", "audio")
    assert (FeatureCache.open(plain).status() == DONE).sum() == 6
    assert note not in extract(odd, plain, checkpoint, audio_segments=False, labels="ave").notes
    with pytest.raises(ExtractError, match=r"was made without the sound of each segment: `add='audio-segments'` adds"):
        extract(odd, plain, checkpoint, audio_segments=True, labels="ave")
    with pytest.raises(ExtractError, match=r"was made with the sound of each segment: leave out `audio_segments=False"):
        extract(odd, whole[0].path, checkpoint, audio_segments=False, labels="ave")  # type: ignore[arg-type]
    assert not any("segment" in note for note in whole[1].notes)


def test_command(small: Path, nursery: Nursery, tmp_path: Path) -> None:
    """Exit code, lines and options."""
    path = Path(shutil.copytree(small / "f" / "f.zarr", tmp_path / "f.zarr"))
    words = adding(small, tmp_path)
    done = nursery.run([*words[:-2], "--audio-segments"])
    assert (done.code, done.err) == (
        1,
        f"Error: {path} was made without the sound of each segment: --add audio-segments adds it, or use another "
        "--output, or --overwrite to make it anew\n",
    )
    done = nursery.run(words)
    assert (done.code, done.err.count("failed: broken: ")) == (3, 1)
    assert f"{path}: 3 clips done, 1 failed" in done.out
    done = nursery.run(words)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{path} has the sound of each segment already: there is nothing to do\n"
    assert nursery.run(["info", path, "--json"]).out.count('"audio_per_segment": true') == 1
