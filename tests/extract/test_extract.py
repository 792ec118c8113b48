"""From a folder of videos to a cache: contents, equality of runs, files that are no good."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extract import load_backbone
from extract.label_embeddings import encode_labels
from extract.media.clip import Views, decode_clip
from extract.media.sampling import frame_plan
from extract.run import worker
from extract.run.encode import ClipInputs
from extract.run.engines.threads import fill
from extract.run.inputs import find_videos
from extract.run.shares import Share, rows_to_do
from extract.run.worker import Clips, Job
from extract.summary import Summary
from feature_cache import FeatureCache, windows
from tests.extraction import GOOD, assert_equal, both, extract, heard
from tests.media import make_wav, tone

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
    media = both(decode_clip(videos / "dogs.mp4", views=Views(backbone.prepare_frames), sample_rate=48_000))
    count, step = 40, 4
    frames = dict(zip(frame_plan(count).frames.tolist(), media.images, strict=True))

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
            assert_close(features.audio[0, row], heard(backbone, [sound])[0])


def test_text_and_attributes(run: tuple[FeatureCache, Summary], checkpoint: Path, videos: Path) -> None:
    cache, summary = run
    assert summary.text_name == "labels"
    text = cache.text()
    assert text.labels == ("Dog", "Train horn", "Yak")
    assert list(text.prompts["audio"])[1] == "This is a sound of Train horn"
    expected = encode_labels(load_backbone("clip_clap", checkpoint), text.labels)
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


def test_one_encoder_fed_by_decoders_gives_the_same(
    run: tuple[FeatureCache, Summary], videos: Path, checkpoint: Path, tmp_path: Path
) -> None:
    """The road that frames and sounds take to a GPU, with encoders on the CPU."""
    backbone = load_backbone("clip_clap", checkpoint)
    cache = FeatureCache.create(
        tmp_path / "f.zarr", clip_ids=GOOD, backbone="clip_clap", visual_dim=24, audio_dim=20,
        frames_per_window=8, dtype="float32", shard_size=2, audio_per_segment=True,
    )  # fmt: skip
    job = Job(backbone, torch.device("cpu"), Clips(find_videos(videos).files), fed=True)
    assert isinstance(job.work("birds"), ClipInputs)
    fill(cache, job, rows_to_do(cache, Share()), 2, lambda done, total: None)
    found, expected = cache.read(), run[0].read()
    for name in ("image", "video", "audio", "audio_segments"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("float16", 0.05), ("bfloat16", 0.2)])
def test_gpu(
    precision: str, tolerance: float, run: tuple[FeatureCache, Summary], videos: Path, checkpoint: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    caches = []
    for name in ("f.zarr", "g.zarr"):
        extract(videos, tmp_path / name, checkpoint, dtype="float32", device="cuda", precision=precision)
        caches.append(FeatureCache.open(tmp_path / name).read())
    assert_equal(*caches)
    for name in ("image", "video", "audio"):
        np.testing.assert_allclose(
            getattr(caches[0], name), getattr(run[0].read(), name), atol=tolerance, rtol=tolerance
        )


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
    make_wav(folder / "nothing.wav", np.zeros((1, 0), dtype=np.float32), 8000)
    seen: list[tuple[int, int]] = []
    summary = extract(
        folder, tmp_path / "f.zarr", checkpoint, dtype="float32",
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert summary.done == 5
    said = {
        "cut": "cut off", "empty": "0 bytes", "nothing": "neither picture nor sound", "text": "cannot be read",
    }  # fmt: skip
    assert summary.failed.keys() == said.keys()
    for clip, words in said.items():
        assert words in summary.failed[clip]
        assert clip in summary.failed[clip]
    assert seen == [(done, 9) for done in range(10)]
    cache = FeatureCache.open(tmp_path / "f.zarr")
    assert cache.reasons() == summary.failed
    assert_equal(cache.read(), run[0].read())
    again = extract(folder, tmp_path / "f.zarr", checkpoint, dtype="float32")
    assert (again.done, again.failed, again.skipped) == (5, summary.failed, 9)


def test_decoders_that_fail_otherwise(
    videos: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strange(path: Path, **_: Any) -> None:
        raise ValueError("no such pixel format")

    monkeypatch.setattr(worker, "decode_clip", strange)
    summary = extract(videos / "birds.mp4", tmp_path / "f.zarr", checkpoint, labels="ave")
    assert "cannot be decoded (ValueError: no such pixel format)" in summary.failed["birds"]


def test_sound_from_wav_files(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for name in GOOD[:-1]:
        make_wav(sounds / f"{name}.WAV", tone(10, 8000, 2, 700), 8000)
    summary = extract(videos, tmp_path / "f.zarr", checkpoint, audio_dir=sounds)
    assert summary.done == 4
    assert summary.failed == {"yaks": "yaks.mp4: no yaks.wav in `audio_dir`; put it there"}
    audio = FeatureCache.open(tmp_path / "f.zarr").read().audio
    np.testing.assert_array_equal(audio, audio[:1].repeat(4, axis=0))  # one sound in all
