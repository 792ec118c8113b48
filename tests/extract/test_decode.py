"""Decoding real files: which frames come out, the sound, and what is said about files that are no good."""

import random
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from extract import MediaError
from extract.backbones.pixels import fit_frames
from extract.media.audio import read_sound
from extract.media.clip import Views, decode_clip
from extract.media.sampling import frame_plan
from tests.extraction import Both, both
from tests.media import make_video, make_wav, picture, tone

REAL_CLIP = Path(__file__).parents[3] / "shared" / "media" / "BjCEufrlXm4.mp4"


def decode(path: Path, sound: Path | None = None) -> Both:
    views = Views(partial(fit_frames, size=32))
    return both(decode_clip(path, views=views, sample_rate=48_000, sound_path=sound))


def loudness(wave: torch.Tensor) -> NDArray[np.float64]:
    """RMS of each second."""
    seconds = wave[: len(wave) // 48_000 * 48_000].reshape(-1, 48_000)
    return seconds.double().square().mean(1).sqrt().numpy()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with its index in front, so that a part of the file can be played."""
    return make_video(tmp_path_factory.mktemp("clips") / "streamed.mp4", options={"movflags": "faststart"})


def test_frames_are_the_right_ones(clip: Path) -> None:
    media = decode(clip)
    assert media.frame_count == 50
    numbers = frame_plan(50).frames
    assert media.images.shape == (len(numbers), 3, 32, 32)
    assert media.images.dtype == torch.uint8
    for number, found in zip(numbers.tolist(), media.images, strict=True):
        drawn = torch.from_numpy(picture(number, 64, 48)).permute(2, 0, 1)[None]
        difference = found.float() - fit_frames(drawn, 32)[0].float()
        assert difference.mean(dim=(1, 2)).abs().max() < 2.5, number
    assert media.video_index.max() < len(media.images)


def test_sound_is_there_at_the_right_time(clip: Path) -> None:
    media = decode(clip)
    assert abs(len(media.windows.wave) - 480_000) <= 1024 * 3
    assert media.windows.wave.dtype == torch.float32
    expected = loudness(torch.from_numpy(tone(10, 48_000)[0]))[:9]
    np.testing.assert_allclose(loudness(media.windows.wave)[:9], expected, rtol=0.1)


def test_twice_is_equal(clip: Path) -> None:
    first, second = decode(clip), decode(clip)
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.windows.wave, second.windows.wave)


@pytest.mark.parametrize(
    ("name", "codec", "audio_codec", "rate"),
    [
        ("a.mkv", "libx264", "aac", 44_100),
        ("a.mov", "libx264", "aac", 22_050),
        ("a.avi", "mpeg4", "mp3", 48_000),
        ("a.webm", "libvpx", "libopus", 48_000),
        ("a.mp4", "mpeg4", "aac", 8_000),
    ],
)
def test_other_formats(name: str, codec: str, audio_codec: str, rate: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / name, codec=codec, audio_codec=audio_codec, rate=rate, sound=tone(10, rate, 2))
    media = decode(path)
    assert media.frame_count == 50
    assert 475_000 < len(media.windows.wave) < 485_000
    last = torch.from_numpy(picture(49, 64, 48)).permute(2, 0, 1)[None]
    difference = media.images[-1].float() - fit_frames(last, 32)[0].float()
    assert difference.mean(dim=(1, 2)).abs().max() < 4
    expected = loudness(torch.from_numpy(tone(10, 48_000, 2).mean(0)))[:9]
    np.testing.assert_allclose(loudness(media.windows.wave)[:9], expected, rtol=0.2)


@pytest.mark.parametrize("size", [(66, 130), (318, 176), (64, 64)])
def test_other_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    media = decode(make_video(tmp_path / "a.mp4", size=size, frames=12, fps=2))
    assert media.images.shape[1:] == (3, 32, 32)
    assert media.frame_count == 12


def test_sound_of_a_short_clip(tmp_path: Path) -> None:
    media = decode(make_video(tmp_path / "a.mp4", frames=20, fps=5))
    assert [len(sound) for sound in media.windows][-1] == 0  # a window past the end
    assert len(media.windows[0]) == len(media.windows.wave)


# --- sound ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "tolerance"), [(8, 8e-3), (16, 4e-5), (24, 2e-7), (32, 2e-8)])
def test_wav_channels_are_averaged(bits: int, tolerance: float, tmp_path: Path) -> None:
    sound = tone(1, 48_000, 2)
    found = read_sound(make_wav(tmp_path / "a.wav", sound, 48_000, bits), 48_000)[0]
    np.testing.assert_allclose(found.numpy(), sound.astype(np.float64).mean(0), atol=tolerance)


def test_wav_is_resampled_like_soxr_hq(tmp_path: Path) -> None:
    import soxr

    path = make_wav(tmp_path / "a.wav", tone(2, 44_100), 44_100)
    found = read_sound(path, 48_000)[0]
    expected = soxr.resample(read_sound(path, 44_100)[0].numpy(), 44_100, 48_000, quality="HQ")
    assert len(found) == 96_000
    np.testing.assert_array_equal(found.numpy(), expected)


def test_sound_from_another_file(clip: Path, tmp_path: Path) -> None:
    silent = make_video(tmp_path / "silent.mp4", with_sound=False)
    sound = make_wav(tmp_path / "silent.wav", tone(10, 16_000, 1, 3000), 16_000)
    for path in (silent, clip):
        media = decode(path, sound)
        assert torch.equal(media.windows.wave, read_sound(sound, 48_000)[0])
        assert len(media.windows.wave) == 480_000


# --- files that are no good -----------------------------------------------------------------------------


def refusal(path: Path, sound: Path | None = None) -> str:
    with pytest.raises(MediaError) as caught:
        decode(path, sound)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith((sound or path).name + ": ")
    return caught.value.reason


def test_no_file(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "a.mp4")


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    assert "empty (0 bytes)" in refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize("content", [b"hello " * 1000, bytes(5000), b"\x00\x00\x00\x20ftypisom", b"RIFF"])
def test_no_media(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    said = refusal(tmp_path / "a.mp4")
    assert "cannot be read" in said or "cut off" in said


@pytest.mark.parametrize("frames", [1, 9, 10])
def test_few_frames(frames: int, tmp_path: Path) -> None:
    media = decode(make_video(tmp_path / "a.mp4", frames=frames))
    assert media.frame_count == frames
    assert media.video_index.max() < frames


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.avi", "a.mov"])
@pytest.mark.parametrize("part", [0.4, 0.7, 0.9])
def test_truncated(name: str, part: float, tmp_path: Path) -> None:
    codecs = {"webm": ("libvpx", "libopus"), "avi": ("mpeg4", "mp3")}
    codec, audio_codec = codecs.get(name[2:], ("libx264", "aac"))
    path = make_video(tmp_path / name, codec=codec, audio_codec=audio_codec, rate=48_000)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    assert "cut off" in refusal(path)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_truncated_behind_its_index(part: float, streamed: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(streamed.read_bytes()[: int(streamed.stat().st_size * part)])
    assert "cut off" in refusal(path)


def test_truncated_stream_without_lengths_in_bytes(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert "of 10.0 s are there" in refusal(path)


def test_truncated_wav(clip: Path, tmp_path: Path) -> None:
    path = make_wav(tmp_path / "a.wav", tone(10, 16_000), 16_000)
    path.write_bytes(path.read_bytes()[:200_000])
    assert "cut off: 200000 of 320044 bytes" in refusal(clip, path)
    assert "No such file" in refusal(clip, tmp_path / "b.wav")


def test_wav_of_unknown_length(clip: Path, tmp_path: Path) -> None:
    """As programs write it to a pipe."""
    path = make_wav(tmp_path / "a.wav", tone(10, 16_000), 16_000)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(decode(clip, path).windows.wave) == 480_000


def packet_places(path: Path, kind: str) -> list[tuple[int, int]]:
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [(packet.pos or 0, packet.size) for packet in container.demux(stream) if packet.size]


def damage(path: Path, places: list[tuple[int, int]], seed: int = 0) -> None:
    rng = random.Random(seed)
    content = bytearray(path.read_bytes())
    for begin, size in places:
        content[begin : begin + size] = rng.randbytes(size)
    path.write_bytes(content)


def copy(path: Path, to: Path) -> Path:
    to.write_bytes(path.read_bytes())
    return to


def test_a_few_damaged_packets_are_skipped(clip: Path, tmp_path: Path) -> None:
    path = copy(clip, tmp_path / "a.mp4")
    damage(path, packet_places(path, "video")[20:22])
    damage(path, packet_places(path, "audio")[30:34])
    media, whole = decode(path), decode(clip)
    assert 45 <= media.frame_count <= 50
    assert abs(len(media.windows.wave) - len(whole.windows.wave)) <= 5 * 1024 * 3
    np.testing.assert_allclose(loudness(media.windows.wave)[5:9], loudness(whole.windows.wave)[5:9], rtol=0.2)


def test_many_damaged_packets_are_not(clip: Path, tmp_path: Path) -> None:
    path = copy(clip, tmp_path / "a.mp4")
    damage(path, packet_places(path, "video")[5:40])
    assert "frames can be decoded" in refusal(path)
    path = copy(clip, tmp_path / "b.mp4")
    damage(path, packet_places(path, "audio")[10:90])
    assert "sound is damaged" in refusal(path)


def test_damaged_files_do_the_same_each_time(clip: Path, tmp_path: Path) -> None:
    """Whatever happens to 15 files with random bytes in them, it happens twice, and is no crash."""
    rng = random.Random(5)
    for number in range(15):
        content = bytearray(clip.read_bytes())
        for _ in range(rng.choice([1, 10, 100])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(content)
        outcomes: list[tuple[object, object]] = []
        for _ in range(2):
            try:
                media = decode_clip(path, views=Views(partial(fit_frames, size=32)), sample_rate=48_000)
                outcomes.append(
                    (
                        None if media.images is None else media.images.sum().item(),
                        None if media.windows is None else media.windows.wave.sum().item(),
                    )
                )
            except MediaError as error:
                outcomes.append((str(error), 0))
        assert outcomes[0] == outcomes[1]


@pytest.mark.skipif(not REAL_CLIP.exists(), reason="no copy of this LLP clip here")
def test_a_clip_of_llp() -> None:
    media = both(decode_clip(REAL_CLIP, views=Views(partial(fit_frames, size=224)), sample_rate=48_000))
    assert media.frame_count == 300
    assert media.images.shape == (110, 3, 224, 224)
    assert len(media.windows.wave) == 480_374
