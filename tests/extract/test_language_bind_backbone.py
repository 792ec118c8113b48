"""The `language_bind` backbone from video files to a cache: contents, one text space, official randomness."""

from pathlib import Path

import numpy as np
import pytest
import torch

from extract import load_backbone
from extract.backbones.base import VideoBackbone
from extract.label_embeddings import encode_labels
from extract.media.audio_windows import SoundWindows
from extract.media.clip import Views, decode_clip
from feature_cache import FeatureCache, windows
from tests.command import av2a
from tests.extraction import assert_equal, extract
from tests.language_bind_models import DIM, make_language_bind
from tests.media import make_video, tone


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_language_bind(tmp_path_factory.mktemp("weights") / "random")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips: 10 s with stereo sound at 22,050 Hz, 10.45 s of sound at 16 kHz."""
    folder = tmp_path_factory.mktemp("clips")
    make_video(folder / "a.mp4", frames=40, fps=4, rate=22_050, sound=tone(10, 22_050, 2), size=(72, 64))
    make_video(folder / "b.mkv", frames=30, fps=3, rate=16_000, sound=tone(10.45, 16_000, 1, 300), size=(64, 90))
    return folder


@pytest.fixture(scope="module")
def cache(weights: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    path = tmp_path_factory.mktemp("cache") / "f.zarr"
    extract(clips, path, weights, backbone="language_bind", labels="llp", dtype="float32")
    return FeatureCache.open(path)


def test_layout(cache: FeatureCache) -> None:
    features = cache.read()
    assert features.image.shape == (2, 10, DIM)
    assert features.video.shape == (2, 46, 1, DIM)
    assert features.audio.shape == (2, 46, DIM)
    assert features.audio_segments is not None
    assert features.audio_segments.shape == (2, 10, DIM)
    for name in ("image", "video", "audio", "audio_segments"):
        np.testing.assert_allclose(np.linalg.norm(getattr(features, name), axis=-1), 1, rtol=1e-5)
    facts = cache.attributes
    assert len({facts[part]["sha256"] for part in ("image", "video", "audio")}) == 3
    assert facts["text"]["sha256"] == facts["image"]["sha256"]
    assert facts["official_randomness"] is None


def test_windows_one_at_a_time(cache: FeatureCache, weights: Path, clips: Path) -> None:
    backbone = load_backbone("language_bind", weights)
    assert isinstance(backbone, VideoBackbone)
    kept: list[torch.Tensor] = []

    def keep(frames: torch.Tensor) -> torch.Tensor:
        kept.append(frames)
        return frames

    media = decode_clip(clips / "a.mp4", views=Views(keep), sample_rate=None)
    assert media.windows is not None
    assert media.windows.wave.shape[0] == 2
    features = cache.read([0])
    everything = torch.cat(kept)
    frames = dict(zip(sorted({*media.image_index, *media.video_index.ravel()}), everything, strict=True))
    image = torch.stack([frames[row] for row in media.image_index])
    found = backbone.encode_frames(backbone.prepare_frames(image))
    np.testing.assert_allclose(features.image[0], found.numpy(), atol=1e-5)
    for row in range(0, len(windows(10)), 5):
        window = torch.stack([frames[place] for place in media.video_index[row]])
        found = backbone.encode_video(backbone.prepare_video_frames(window)[None])
        np.testing.assert_allclose(features.video[0, row], found.numpy(), atol=1e-5)
        found = backbone.encode_audio(backbone.prepare_audio(media.windows[row : row + 1]))
        np.testing.assert_allclose(features.audio[0, row], found[0].numpy(), atol=1e-5)
    assert features.audio_segments is not None
    for segment in range(10):
        cut = media.windows.wave[:, segment * 22_050 : (segment + 1) * 22_050]
        alone = SoundWindows(cut, np.array([[0, cut.shape[1]]]), 22_050)
        found = backbone.encode_audio(backbone.prepare_audio(alone))
        np.testing.assert_allclose(features.audio_segments[0, segment], found[0].numpy(), atol=1e-5)


def test_one_text_space(cache: FeatureCache, weights: Path) -> None:
    text = cache.text("llp")
    np.testing.assert_array_equal(text.visual, text.audio)
    assert not (Path(cache.path) / "text" / "llp" / "audio").exists()
    assert "A frying (food)" in text.prompts["visual"]
    backbone = load_backbone("language_bind", weights)
    averaged = encode_labels(backbone, ["Dog", "Cat"], ["a {label}", "the {label}"])
    np.testing.assert_allclose(np.linalg.norm(averaged.visual, axis=1), 1, rtol=1e-6)
    assert not averaged.one_table  # pictures are compared with other sentences than sounds
    assert not np.array_equal(averaged.visual, averaged.audio)


@pytest.mark.slow
def test_official_randomness(cache: FeatureCache, weights: Path, clips: Path, tmp_path: Path) -> None:
    def with_seed(seed: int, name: str, source: Path = clips) -> FeatureCache:
        path = tmp_path / name
        extract(
            source, path, weights, backbone="language_bind", labels="llp", dtype="float32", official_randomness=seed,
            workers=1 + seed % 2,
        )  # fmt: skip
        return FeatureCache.open(path)

    first, again, other = with_seed(1, "a.zarr"), with_seed(1, "b.zarr"), with_seed(2, "c.zarr")
    assert_equal(first.read(), again.read())
    plain = cache.read()
    np.testing.assert_array_equal(first.read().image, plain.image)
    changed = (np.abs(first.read().video - plain.video).max(axis=(2, 3)) > 1e-6).mean()
    assert 0.2 < changed < 0.8  # half of the windows are flipped
    assert not np.array_equal(first.read().video, other.read().video)
    np.testing.assert_array_equal(first.read([0]).audio, plain.audio[:1])  # 10 s: nothing is cut
    assert not np.array_equal(first.read([1]).audio[:, 0], plain.audio[1:, 0])
    alone = with_seed(1, "d.zarr", clips / "b.mkv")  # a clip's choices are its own
    np.testing.assert_array_equal(alone.read().video, first.read([1]).video)


@pytest.mark.slow
def test_from_the_command_line(weights: Path, clips: Path, tmp_path: Path) -> None:
    done = av2a("extract", clips, "--backbone", "language_bind", "--checkpoint", weights, cwd=tmp_path)
    assert done.code == 0, done.err
    done = av2a("score", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "published for language_bind" in done.out
