"""Clips without sound or without picture: done, flagged, zeros for what is not there."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from extract import MediaError, load_backbone
from extract.backbones.pixels import fit_frames
from extract.media.clip import Views, decode_clip
from extract.run.encode import encode_clips, prepare_clip
from extract.run.inputs import find_videos
from feature_cache import NO_PICTURE, NO_SOUND, FeatureCache
from tests.extraction import extract
from tests.media import make_video, make_wav, tone

VIEWS = Views(partial(fit_frames, size=32))


def test_no_sound(tmp_path: Path) -> None:
    media = decode_clip(make_video(tmp_path / "a.mp4", with_sound=False), views=VIEWS, sample_rate=48_000)
    assert media.windows is None
    assert media.images is not None
    assert media.frame_count == 50


@pytest.mark.parametrize("name", ["a.mp4", "a.wav", "a.mka"])
def test_no_picture(name: str, tmp_path: Path) -> None:
    if name.endswith("wav"):
        path = make_wav(tmp_path / name, tone(10, 16_000), 16_000)
    else:
        path = make_video(tmp_path / name, pictures=False)
    media = decode_clip(path, views=VIEWS, sample_rate=48_000)
    assert media.images is None
    assert media.windows is not None
    assert len(media.windows) == len(media.video_index) == 46
    assert abs(len(media.windows.wave) - 480_000) < 48_000 / 10


def test_sound_without_samples_is_none(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", sound=np.zeros((1, 0), dtype=np.float32))
    media = decode_clip(path, views=VIEWS, sample_rate=48_000)
    assert media.windows is None
    assert media.frame_count == 50


def test_neither(tmp_path: Path) -> None:
    path = make_wav(tmp_path / "a.wav", np.zeros((1, 0), dtype=np.float32), 16_000)
    with pytest.raises(MediaError, match="neither picture nor sound"):
        decode_clip(path, views=VIEWS, sample_rate=48_000)
    picture = make_video(tmp_path / "b.mp4", with_sound=False)
    with pytest.raises(MediaError, match=r"b\.mp4: it has no sound"):
        decode_clip(picture, views=VIEWS, sample_rate=48_000, sound_path=picture)


def test_in_the_cache(checkpoint: Path, videos: Path, tmp_path: Path) -> None:
    """Beside clips that have both, whose embeddings stay what they are."""
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(videos / "dogs.mp4", folder)
    make_video(folder / "mute.mp4", with_sound=False)
    make_wav(folder / "blind.wav", tone(10, 16_000), 16_000)
    summary = extract(folder, tmp_path / "f.zarr", checkpoint, labels="ave", dtype="float32")
    assert (summary.done, summary.failed) == (3, {})
    assert summary.notes == (
        "clips without picture: 1, scored on what they have",
        "clips without sound: 1, scored on what they have",
    )
    cache = FeatureCache.open(tmp_path / "f.zarr")
    assert cache.clip_ids == ["blind", "dogs", "mute"]
    assert cache.missing().tolist() == [NO_PICTURE, 0, NO_SOUND]
    found = cache.read()
    assert not found.image[0].any()
    assert not found.video[0].any()
    assert not found.audio[2].any()
    for part in (found.audio[0], found.audio[1], found.video[1], found.image[2], found.video[2]):
        assert np.abs(part).sum(axis=-1).min() > 0


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0], [0], [2], [1]])
def test_encoded_together_or_alone(order: list[int], checkpoint: Path, videos: Path, tmp_path: Path) -> None:
    backbone = load_backbone("clip_clap", checkpoint)
    paths = [make_video(tmp_path / "mute.mp4", with_sound=False), videos / "dogs.mp4"]
    paths.append(make_wav(tmp_path / "blind.wav", tone(10, 16_000), 16_000))
    views = Views(backbone.prepare_frames)
    clips = [prepare_clip(backbone, decode_clip(path, views=views, sample_rate=48_000)) for path in paths]
    found = encode_clips(backbone, [clips[number] for number in order], torch.device("cpu"), 16)
    for number, clip in zip(order, found, strict=True):
        assert clip.missing == [NO_SOUND, 0, NO_PICTURE][number]
        assert clip.image.shape == (10, 24)
        assert clip.video.shape == (46, 8, 24)
        assert clip.audio.shape == (46, 20)
        assert clip.audio_segments.shape == (10, 20)
        assert clip.audio_segments.any() == clip.audio.any()
        assert clip.image.any() == clip.video.any() == (number != 2)
        assert clip.audio.any() == (number != 0)


def test_damage_is_no_fact_of_a_clip(checkpoint: Path, tmp_path: Path) -> None:
    """A sound track that cannot be decoded beside a good picture is a failure."""
    folder = tmp_path / "videos"
    folder.mkdir()
    path = make_video(folder / "a.mkv")
    content = bytearray(path.read_bytes())
    at = content.find(b"A_AAC")
    content[at : at + 5] = b"A_XXX"
    path.write_bytes(content)
    summary = extract(folder, tmp_path / "f.zarr", checkpoint, labels="ave")
    assert "sound is in a codec that is not known" in summary.failed["a"]


def test_sound_files_beside_videos(tmp_path: Path) -> None:
    """A sound file is a clip of its own, unless it is a video's."""
    for name in ("a.mp4", "a.wav", "b.MP3", "c.flac", "d.txt", "d.m4a", "e.ogg"):
        (tmp_path / name).write_bytes(b"x")
    found = {clip: path.name for clip, path in find_videos(tmp_path).files.items()}
    assert found == {"a": "a.mp4", "b": "b.MP3", "c": "c.flac", "d": "d.m4a", "e": "e.ogg"}
