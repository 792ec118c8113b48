"""From a folder of videos to a cache: contents, equality of runs, going on, files that are no good."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extract import ExtractError, extract_videos, load_backbone, pipeline
from extract.decode import decode_clip
from extract.pipeline import Summary
from extract.sources import find_videos
from feature_cache import CacheError, FeatureCache, Features, windows
from tests.command import av2a
from tests.media import make_video, make_wav, tone

GOOD = ("birds", "cars", "dogs", "trains", "yaks")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips with a labels.txt."""
    folder = tmp_path_factory.mktemp("videos")
    for number, name in enumerate(GOOD):
        ending = "mkv" if name == "cars" else "mp4"
        make_video(
            folder / f"{name}.{ending}", frames=20 + 10 * number, fps=2 + number,
            sound=tone(10, 16_000, 1, 300 * (number + 1)), size=(64, 48 + 16 * number),
        )  # fmt: skip
    (folder / "labels.txt").write_text("Dog\nTrain horn\nYak\n")
    return folder


@pytest.fixture(scope="module")
def run(videos: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureCache, Summary]:
    """A cache of them in float32, two shards."""
    path = tmp_path_factory.mktemp("cache") / "features.zarr"
    summary = extract(videos, path, checkpoint, dtype="float32")
    return FeatureCache.open(path), summary


def extract(source: Path, output: Path, checkpoint: Path, **options: Any) -> Summary:
    options = {"backbone": "clip_clap", "device": "cpu", "shard_size": 3, **options}
    return extract_videos(source, output, checkpoint=checkpoint, **options)


def assert_equal(first: Features, second: Features) -> None:
    for name in ("image", "video", "audio"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


# --- what is in the cache -------------------------------------------------------------------------------


def test_summary_and_layout(run: tuple[FeatureCache, Summary]) -> None:
    cache, summary = run
    assert (summary.done, summary.failed, summary.skipped) == (5, {}, 0)
    assert summary.path == cache.path
    assert summary.seconds > 0
    assert cache.clip_ids == list(GOOD)
    features = cache.read()
    assert features.image.shape == (5, 10, 24)
    assert features.video.shape == (5, 46, 8, 24)
    assert features.audio.shape == (5, 46, 20)
    np.testing.assert_allclose(np.linalg.norm(features.audio, axis=-1), 1, rtol=1e-5)


def test_embeddings_are_of_the_right_frames_and_sounds(
    run: tuple[FeatureCache, Summary], videos: Path, checkpoint: Path
) -> None:
    """One clip, window by window, the slow way."""
    backbone = load_backbone("clip_clap", checkpoint)
    features = run[0].read([2])
    media = decode_clip(videos / "dogs.mp4", image_size=32, sample_rate=48_000)
    frames = {int(number): frame for number, frame in zip(media.plan.frames, media.frames, strict=True)}
    count, step = 40, 4

    def visual(numbers: np.ndarray[Any, Any]) -> Any:
        return backbone.encode_frames(torch.stack([frames[int(number)] for number in numbers])).numpy()

    def assert_close(found: Any, expected: Any) -> None:
        np.testing.assert_allclose(found, expected, atol=2e-5, rtol=1e-4)

    assert_close(features.image[0], visual(np.linspace(0, count - 1, 10)))
    for row, (start, end) in enumerate(windows(10).tolist()):
        if row:
            numbers = np.linspace(0, (end - start) * step - 1, 8).astype(int) + start * step
            sound = media.windows.wave[start * 48_000 : end * 48_000]
        else:
            numbers, sound = np.linspace(0, count - 1, 8), media.windows.wave
        assert_close(features.video[0, row], visual(numbers))
        if row % 9 == 0:
            assert_close(features.audio[0, row], backbone.encode_audio([sound])[0])


def test_text_and_attributes(run: tuple[FeatureCache, Summary], checkpoint: Path, videos: Path) -> None:
    cache, summary = run
    assert summary.text_name == "labels"
    text = cache.text()
    assert text.labels == ("Dog", "Train horn", "Yak")
    assert list(text.prompts["audio"])[1] == "This is a sound of Train horn"
    expected = load_backbone("clip_clap", checkpoint).encode_text(text.labels)
    np.testing.assert_array_equal(text.visual, expected.visual)
    np.testing.assert_array_equal(text.audio, expected.audio)
    facts = cache.attributes
    assert (facts["precision"], facts["device"]) == ("float32", "cpu")
    assert {"torch", "transformers", "open_clip_torch", "av", "av2a"} <= facts["packages"].keys()
    assert len(facts["clip"]["sha256"]) == len(facts["clap"]["sha256"]) == 64
    assert "linspace" in facts["sampling"]["window_frames"]
    assert str(videos) not in str(facts)


# --- equal inputs, equal caches -------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_do_not_matter(
    workers: int, run: tuple[FeatureCache, Summary], videos: Path, checkpoint: Path, tmp_path: Path
) -> None:
    extract(videos, tmp_path / "f.zarr", checkpoint, dtype="float32", workers=workers, shard_size=2)
    assert_equal(FeatureCache.open(tmp_path / "f.zarr").read(), run[0].read())


def test_neighbours_do_not_matter(
    run: tuple[FeatureCache, Summary], videos: Path, checkpoint: Path, tmp_path: Path
) -> None:
    """Nor the order in which files were put there; a single file is a folder of one."""
    (tmp_path / "some").mkdir()
    for name in ("yaks.mp4", "birds.mp4"):
        shutil.copy(videos / name, tmp_path / "some")
    extract(tmp_path / "some", tmp_path / "f.zarr", checkpoint, dtype="float32", labels="ave")
    assert_equal(FeatureCache.open(tmp_path / "f.zarr").read(), run[0].read([0, 4]))
    extract(videos / "yaks.mp4", tmp_path / "g.zarr", checkpoint, dtype="float32", labels="ave")
    assert_equal(FeatureCache.open(tmp_path / "g.zarr").read(), run[0].read([4]))


@pytest.mark.parametrize("batch_size", [5, 64])
def test_batch_size_changes_rounding_only(
    batch_size: int, run: tuple[FeatureCache, Summary], videos: Path, checkpoint: Path, tmp_path: Path
) -> None:
    extract(videos / "dogs.mp4", tmp_path / "f.zarr", checkpoint, batch_size=batch_size, dtype="float16")
    found, expected = FeatureCache.open(tmp_path / "f.zarr").read(), run[0].read([2])
    for name in ("image", "video", "audio"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-3, rtol=2e-3)


def test_torch_threads_are_left_as_they_were(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        extract(videos / "birds.mp4", tmp_path / "f.zarr", checkpoint, labels="ave")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# --- a batch with bad files -----------------------------------------------------------------------------


def test_bad_files_are_recorded_and_the_rest_done(
    run: tuple[FeatureCache, Summary], videos: Path, checkpoint: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(videos, tmp_path / "mixed"))
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "cut.mp4").write_bytes((videos / "dogs.mp4").read_bytes()[:9000])
    (folder / "text.avi").write_text("no video at all")
    make_video(folder / "mute.mp4", with_sound=False, frames=12)
    make_video(folder / "blind.mp4", pictures=False)
    make_video(folder / "brief.mp4", frames=9)
    seen: list[tuple[int, int]] = []
    summary = extract(
        folder, tmp_path / "f.zarr", checkpoint, dtype="float32",
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert summary.done == 5
    said = {
        "blind": "no picture", "brief": "9 frames", "cut": "cut off", "empty": "0 bytes",
        "mute": "no sound", "text": "cannot be read",
    }  # fmt: skip
    assert summary.failed.keys() == said.keys()
    for clip, words in said.items():
        assert words in summary.failed[clip]
        assert clip in summary.failed[clip]
    assert seen == [(done, 11) for done in range(12)]
    cache = FeatureCache.open(tmp_path / "f.zarr")
    assert cache.reasons() == summary.failed
    assert_equal(cache.read(), run[0].read())
    again = extract(folder, tmp_path / "f.zarr", checkpoint, dtype="float32")
    assert (again.done, again.failed, again.skipped) == (5, summary.failed, 11)


def test_sound_from_wav_files(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for name in GOOD[:-1]:
        make_wav(sounds / f"{name}.WAV", tone(10, 8000, 2, 700), 8000)
    summary = extract(videos, tmp_path / "f.zarr", checkpoint, audio_dir=sounds)
    assert summary.done == 4
    assert summary.failed == {"yaks": "yaks.mp4: no yaks.wav in --audio-dir; put it there"}
    audio = FeatureCache.open(tmp_path / "f.zarr").read().audio
    np.testing.assert_array_equal(audio, audio[:1].repeat(4, axis=0))  # one sound in all


# --- going on -------------------------------------------------------------------------------------------


def test_interrupted_run_is_gone_on_with(
    run: tuple[FeatureCache, Summary], videos: Path, checkpoint: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    calls: list[str] = []

    def counted(path: Path, **options: Any) -> Any:
        calls.append(path.stem)
        if path.stem == "yaks" and calls.count("yaks") == 1:
            raise KeyboardInterrupt
        return decode_clip(path, **options)

    monkeypatch.setattr(pipeline, "decode_clip", counted)
    with pytest.raises(KeyboardInterrupt):
        extract(videos, tmp_path / "f.zarr", checkpoint, dtype="float32")
    half = FeatureCache.open(tmp_path / "f.zarr")
    assert half.status().tolist() == [1, 1, 1, 0, 0]
    assert half.text().labels == ("Dog", "Train horn", "Yak")
    calls[:] = ["yaks"]
    summary = extract(videos, tmp_path / "f.zarr", checkpoint, dtype="float32", shard_size=7, workers=1)
    assert sorted(calls[1:]) == ["trains", "yaks"]
    assert (summary.done, summary.skipped) == (5, 3)
    assert_equal(FeatureCache.open(tmp_path / "f.zarr").read(), run[0].read())


def test_labels_are_added_without_opening_a_video(
    videos: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = videos / "birds.mp4"
    extract(source, tmp_path / "f.zarr", checkpoint, labels="llp")
    monkeypatch.setattr(pipeline, "decode_clip", None)
    assert extract(source, tmp_path / "f.zarr", checkpoint, labels="ave").text_name == "ave"
    assert extract(source, tmp_path / "f.zarr", checkpoint, labels="ave", text_name="mine").skipped == 1
    assert FeatureCache.open(tmp_path / "f.zarr").text_names == ["ave", "llp", "mine"]
    with pytest.raises(ExtractError, match="label set 'mine' with other labels: choose another --text-name"):
        extract(source, tmp_path / "f.zarr", checkpoint, labels="llp", text_name="mine")


def test_another_kind_of_run_is_refused(
    videos: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.models import make_checkpoint

    source = Path(shutil.copytree(videos, tmp_path / "few"))
    for name in GOOD[1:4]:
        next(source.glob(f"{name}.*")).unlink()
    extract(source, tmp_path / "f.zarr", checkpoint)
    before = FeatureCache.open(tmp_path / "f.zarr").identity

    def refused(said: str, **options: Any) -> None:
        with pytest.raises(ExtractError, match=said) as caught:
            extract(source, tmp_path / "f.zarr", options.pop("weights", checkpoint), **options)
        assert "--overwrite" in str(caught.value)
        assert "\n" not in str(caught.value)

    refused("dtype 'float16', now 'float32'", dtype="float32")
    refused("precision 'float32', now 'bfloat16'", precision="bfloat16")
    refused("backbone 'clip_clap', now 'tiny'", backbone="tiny")
    refused("clip.sha256", weights=make_checkpoint(tmp_path / "other", seed=1))
    moved = Path(shutil.copytree(checkpoint, tmp_path / "moved"))
    assert extract(source, tmp_path / "f.zarr", moved, batch_size=7).skipped == 2
    shutil.copy(videos / "dogs.mp4", source)
    (source / "yaks.mp4").unlink()
    refused(r"1 clips that are gone \(yaks\); 1 clips that are new \(dogs\)")
    assert FeatureCache.open(tmp_path / "f.zarr").identity == before
    assert extract(source, tmp_path / "f.zarr", checkpoint, overwrite=True).skipped == 0
    assert FeatureCache.open(tmp_path / "f.zarr").clip_ids == ["birds", "dogs"]


def test_outputs_that_are_something_else(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("mine")
    for name in ("file", "folder"):
        for overwrite in (False, True):
            with pytest.raises(CacheError):
                extract(videos, tmp_path / name, checkpoint, overwrite=overwrite)
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "thesis.tex").read_text() == "mine"


# --- nothing to do --------------------------------------------------------------------------------------


def test_nothing_to_read(tmp_path: Path, videos: Path, checkpoint: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "notes.txt").write_text("x")
    (tmp_path / "some" / ".hidden.mp4").write_text("x")
    for source, said in ((tmp_path / "nowhere", "no folder"), (tmp_path / "some", "no videos")):
        with pytest.raises(ExtractError, match=rf"{said}.*av2a demo"):
            extract(source, tmp_path / "f.zarr", checkpoint)
    with pytest.raises(ExtractError, match=r"no folder .*--audio-dir"):
        extract(videos, tmp_path / "f.zarr", checkpoint, audio_dir=tmp_path / "nowhere")
    with pytest.raises(ExtractError, match="no WAV files in"):
        extract(videos, tmp_path / "f.zarr", checkpoint, audio_dir=tmp_path / "some")
    assert not (tmp_path / "f.zarr").exists()


def test_one_name_twice(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mkv", "a.MP4"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ExtractError, match=r"a.MP4 and a.mkv in .* have one clip name"):
        find_videos(tmp_path)


@pytest.mark.parametrize("options", [{"labels": "nope"}, {"workers": 0}, {"batch_size": 0}, {"shard_size": -1}])
def test_refused_options(options: dict[str, Any], videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ExtractError):
        extract(videos, tmp_path / "f.zarr", checkpoint, **options)
    assert not (tmp_path / "f.zarr").exists()


def test_command(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """The whole command: a default folder, a bad file, exit code 3, then what it left."""
    (tmp_path / "videos").mkdir()
    shutil.copy(videos / "birds.mp4", tmp_path / "videos")
    (tmp_path / "videos" / "empty.mp4").write_bytes(b"")
    words = ("extract", "--backbone", "clip_clap", "--checkpoint", checkpoint, "--device", "cpu")
    done = av2a(*words, cwd=tmp_path)
    assert done.code == 3, done.err
    assert "failed: empty: empty.mp4: it is empty (0 bytes)" in done.err
    assert "1 clips done, 1 failed" in done.out
    assert FeatureCache.open(tmp_path / "features.zarr").text_names == ["llp"]
    assert "empty" in av2a("info", "--failed", cwd=tmp_path).out
