"""The `imagebind` backbone from video files to a cache: views encoded once, windows one by one, labels, the licence."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from extract import ExtractError, add_label_set, describe_backbone, load_backbone
from extract.backbones import licence_notes
from extract.backbones.base import SharedViews
from extract.backbones.imagebind.backbone import ImageBind
from extract.media.audio_windows import SoundWindows
from extract.media.clip import Views, decode_clip
from extract.run.encode import encode_clips, prepare_clip
from extract.summary import Summary
from feature_cache import NO_PICTURE, NO_SOUND, FeatureCache, windows
from tests.command import av2a, refusal
from tests.extraction import assert_equal, extract, make_odd_clips
from tests.imagebind_models import DIM, random_imagebind
from tests.media import make_video, tone

CPU = torch.device("cpu")
LICENCE = "imagebind's weights are under CC BY-NC 4.0"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_imagebind(tmp_path_factory.mktemp("weights") / "random")


@pytest.fixture(scope="module")
def backbone(weights: Path) -> ImageBind:
    found = load_backbone("imagebind", weights)
    assert isinstance(found, ImageBind)
    return found


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_odd_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def run(weights: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureCache, Summary]:
    path = tmp_path_factory.mktemp("cache") / "f.zarr"
    summary = extract(clips, path, weights, backbone="imagebind", labels="ov-avebench", dtype="float32")
    return FeatureCache.open(path), summary


class Counting:
    """A backbone's encoders, counting the rows that each is given."""

    def __init__(self, backbone: ImageBind) -> None:
        self.backbone, self.rows = backbone, dict[str, list[tuple[int, ...]]]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.backbone, name)
        if not name.startswith("encode_"):
            return found

        def counted(rows: Tensor) -> Tensor:
            self.rows.setdefault(name, []).append(tuple(rows.shape))
            result: Tensor = found(rows)
            return result

        return counted


def test_layout(run: tuple[FeatureCache, Summary]) -> None:
    cache, summary = run
    assert (summary.done, summary.failed) == (3, {})
    features = cache.read()
    assert features.image.shape == (3, 10, DIM)
    assert features.video.shape == (3, 46, 1, DIM)
    assert features.audio.shape == (3, 46, DIM)
    assert features.audio_segments is not None
    assert features.audio_segments.shape == (3, 10, DIM)
    assert features.missing is not None
    assert features.missing.tolist() == [0, NO_SOUND, NO_PICTURE]
    for name in ("image", "video", "audio", "audio_segments"):
        np.testing.assert_allclose(np.linalg.norm(getattr(features, name)[0], axis=-1), 1, rtol=1e-5)
    facts = cache.attributes
    assert facts["imagebind"]["not_used"] == {"depth": 1, "thermal": 1, "imu": 1}
    assert facts["sampling"]["window_frames"].startswith("five clips of 2 s")
    assert facts["sampling"]["window_0_frames"].startswith("five clips of 2 s")


def test_windows_one_at_a_time(run: tuple[FeatureCache, Summary], backbone: ImageBind, clips: Path) -> None:
    kept: list[Tensor] = []

    def keep(frames: Tensor) -> Tensor:
        kept.append(frames)
        return frames

    media = decode_clip(clips / "a.mp4", views=Views(keep), sample_rate=None, frames_per_window=10,
                        window_frames=backbone.window_frames)  # fmt: skip
    assert media.windows is not None
    assert media.windows.wave.shape[0] == 2
    frames = torch.cat(kept)
    features = run[0].read([0])
    found = backbone.encode_frames(backbone.prepare_frames(frames[media.image_index]))
    np.testing.assert_allclose(features.image[0], found.numpy(), atol=1e-5)
    pixels = backbone.prepare_video_frames(frames)
    for row in range(0, len(windows(10)), 5):
        found = backbone.encode_video(pixels[media.video_index[row]][None])
        np.testing.assert_allclose(features.video[0, row], found.numpy(), atol=1e-5)
        found = backbone.encode_audio(backbone.prepare_audio(media.windows[row : row + 1]))
        np.testing.assert_allclose(features.audio[0, row], found[0].numpy(), atol=1e-5)
    assert media.segments is not None
    assert features.audio_segments is not None
    for segment in range(10):
        found = backbone.encode_audio(backbone.prepare_audio(media.segments[segment : segment + 1]))
        np.testing.assert_allclose(features.audio_segments[0, segment], found[0].numpy(), atol=1e-5)
    assert np.abs(features.audio_segments[0] - features.audio[0, 1]).max() > 1e-3


def test_each_distinct_view_is_encoded_once(backbone: ImageBind, tmp_path: Path) -> None:
    """33 clips of pictures and 17 of sound a file of ten seconds; two files in one pass have twice as many."""
    sound, rate = tone(10, 25_600), 25_600  # whole blocks of 1,024 samples, so that none are lost
    video = make_video(
        tmp_path / "a.mkv", frames=300, fps=30, sound=sound, rate=rate, audio_codec="pcm_s16le", size=(64, 48)
    )
    assert isinstance(backbone, SharedViews)
    views = Views(backbone.prepare_frames, backbone.prepare_video_frames)
    media = decode_clip(video, views=views, sample_rate=None, frames_per_window=10,
                        window_frames=backbone.window_frames)  # fmt: skip
    clip = prepare_clip(backbone, media)
    counting = Counting(backbone)
    alone = encode_clips(counting, [clip], CPU, 16)[0]
    assert [shape[0] for shape in counting.rows["encode_video"]] == [16, 16, 1]
    assert {shape[1:] for shape in counting.rows["encode_video"]} == {(2, 3, 224, 224)}
    assert sum(shape[0] for shape in counting.rows["encode_audio"]) == 10 + 17
    assert sum(shape[0] for shape in counting.rows["encode_frames"]) == 10
    assert media.videos is not None
    assert len(media.videos) == 66
    both = encode_clips(backbone, [clip, clip], CPU, 16)
    for name, values in asdict(alone).items():
        for each in both:
            np.testing.assert_allclose(asdict(each)[name], values, atol=1e-5)


def test_equal_whoever_encodes(run: tuple[FeatureCache, Summary], weights: Path, clips: Path, tmp_path: Path) -> None:
    """Other workers, without the sound of segments, and then with it."""
    path = tmp_path / "f.zarr"
    options = {"backbone": "imagebind", "labels": "ov-avebench", "dtype": "float32", "workers": 1}
    extract(clips, path, weights, **options, audio_segments=False)
    features, expected = FeatureCache.open(path).read(), run[0].read()
    for name in ("image", "video", "audio"):
        np.testing.assert_array_equal(getattr(features, name), getattr(expected, name))
    extract(clips, path, weights, **options, add="audio-segments")
    assert_equal(FeatureCache.open(path).read(), expected)


def test_a_part_of_a_file(weights: Path, tmp_path: Path) -> None:
    """Frames chosen by their times: a clip that is cut from a longer file is the clip by itself."""
    long = make_video(tmp_path / "long.mp4", frames=240, fps=12, sound=tone(20, 16_000), size=(64, 48))
    extract(long, tmp_path / "f.zarr", weights, backbone="imagebind", labels="llp", dtype="float32")
    cache = FeatureCache.open(tmp_path / "f.zarr")
    assert list(cache.clip_ids) == ["long#0", "long#1"]
    features = cache.read()
    np.testing.assert_allclose(np.linalg.norm(features.video, axis=-1), 1, rtol=1e-5)
    assert not np.allclose(features.video[0], features.video[1])


def test_labels(run: tuple[FeatureCache, Summary], weights: Path, tmp_path: Path) -> None:
    """Bare names in one space, as they are written; another set by `add_label_set`."""
    cache, _ = run
    text = cache.text("ov-avebench")
    np.testing.assert_array_equal(text.visual, text.audio)
    assert not (Path(cache.path) / "text" / "ov-avebench" / "audio").exists()
    (tmp_path / "mine.txt").write_text("Dog\nTrain_horn\n")
    added = add_label_set(cache.path, tmp_path / "mine.txt", "mine", checkpoint=weights)
    assert added.notes == licence_notes("imagebind")
    again = FeatureCache.open(cache.path).text("mine")
    assert list(again.prompts["visual"]) == ["Dog", "Train_horn"]
    found = load_backbone("imagebind", weights).encode_visual_text(["Dog", "Train_horn"])
    np.testing.assert_array_equal(again.visual, found.numpy())


def test_the_process_that_embeds_labels(run: tuple[FeatureCache, Summary], weights: Path, tmp_path: Path) -> None:
    """It says what the licence forbids with the first set, and no more."""
    words = [sys.executable, "-P", "-m", "extract.label_worker", run[0].path, "--checkpoint", str(weights)]
    asked = "".join(json.dumps({"labels": ["Dog", "Yak"], "name": name}) + "\n" for name in ("one", "two"))
    with Popen(words, cwd=tmp_path, stdin=PIPE, stdout=PIPE, text=True, encoding="utf-8") as process:
        out, _ = process.communicate(asked, timeout=600)
    ready, one, two = map(json.loads, out.splitlines())
    assert ready == {"ready": True}
    assert one["notes"][0].startswith(LICENCE)
    assert (two["labels"], two["notes"]) == (2, [])


def test_the_licence_is_said_once(run: tuple[FeatureCache, Summary]) -> None:
    assert [note for note in run[1].notes if LICENCE in note] == list(licence_notes("imagebind"))
    assert "non-commercial" in describe_backbone("imagebind").about
    assert licence_notes("clip_clap") == licence_notes("nobody") == ()


def test_other_weights(run: tuple[FeatureCache, Summary], tmp_path: Path) -> None:
    other = random_imagebind(tmp_path / "other", seed=1)
    (tmp_path / "mine.txt").write_text("Dog\nYak\n")
    with pytest.raises(ExtractError, match=r"was made with other weights \(imagebind\.sha256"):
        add_label_set(run[0].path, tmp_path / "mine.txt", "other", checkpoint=other)


def test_window_0_alone(run: tuple[FeatureCache, Summary], weights: Path, clips: Path, tmp_path: Path) -> None:
    """It is that of a cache with all; what the official code of others draws at random is not drawn here."""
    extract(
        clips / "a.mp4", tmp_path / "f.zarr", weights, backbone="imagebind", labels="llp", dtype="float32",
        windows="whole", official_randomness=1,
    )  # fmt: skip
    features, expected = FeatureCache.open(tmp_path / "f.zarr").read(), run[0].read([0])
    np.testing.assert_allclose(features.video, expected.video[:, :1], atol=1e-5)
    np.testing.assert_allclose(features.audio, expected.audio[:, :1], atol=1e-5)
    np.testing.assert_array_equal(features.image, expected.image)


def test_sound_without_a_rate(backbone: ImageBind) -> None:
    for waves in ([torch.zeros(16_000)], SoundWindows(torch.zeros(16_000), np.array([[0, 16_000]]))):
        with pytest.raises(TypeError, match="imagebind needs SoundWindows with a rate"):
            backbone.prepare_audio(waves)


def test_from_the_command_line(weights: Path, clips: Path, tmp_path: Path) -> None:
    line = refusal("extract", clips, "--backbone", "imagebind", cwd=tmp_path)
    assert "https://dl.fbaipublicfiles.com/imagebind/imagebind_huge.pth" in line
    assert "--checkpoint DIR" in line
    words = ("--backbone", "imagebind", "--checkpoint", weights, "--labels", "ov-avebench", "--device", "cpu")
    done = av2a("extract", clips / "a.mp4", *words, cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.err.count(LICENCE) == 1
    listed = av2a("backbones", "--json", cwd=tmp_path).json()["imagebind"]
    assert (listed["visual_dim"], listed["audio_dim"], listed["installed"]) == (1024, 1024, True)
    assert listed["licence"].startswith(LICENCE)
