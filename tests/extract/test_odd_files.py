"""Files as cameras, phones and converters make them: uneven rates, turned pictures, many channels, late tracks."""

from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from extract import MediaError
from extract.backbones.pixels import fit_frames
from extract.media.clip import Views, decode_clip
from extract.media.sampling import frame_plan
from tests.extraction import Both, both
from tests.media import make_video, make_wav, tone


def decode(path: Path, size: int = 32, **options: Any) -> Both:
    views = Views(partial(fit_frames, size=size))
    return both(decode_clip(path, views=views, sample_rate=16_000, **options))


def grey(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A plain picture whose level is twice its number."""
    return np.full((height, width, 3), 2 * number % 250, dtype=np.uint8)


def quarters(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Red, green / blue, white."""
    drawn = np.zeros((height, width, 3), dtype=np.uint8)
    drawn[: height // 2, : width // 2, 0] = 255
    drawn[: height // 2, width // 2 :, 1] = 255
    drawn[height // 2 :, : width // 2, 2] = 255
    drawn[height // 2 :, width // 2 :] = 255
    return drawn


def levels(media: Both) -> NDArray[np.float64]:
    """The number that each segment's image tells."""
    return media.images[media.image_index].double().mean(dim=(1, 2, 3)).numpy() / 2


def loud(media: Both, parts: int = 10) -> NDArray[np.float64]:
    wave = media.windows.wave.double()
    return wave[: len(wave) // parts * parts].reshape(parts, -1).square().mean(1).sqrt().numpy()


# --- time -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_uneven_rate(name: str, tmp_path: Path) -> None:
    """Five seconds with two frames a second, then five with twenty: images are of their seconds."""
    times = [*np.arange(0, 5, 0.5), *np.arange(5, 10, 0.05)]
    path = make_video(tmp_path / name, frames=110, times=times, paint=grey, sound=tone(10, 16_000), fps=25)
    media = decode(path)
    assert media.frame_count == 110
    shown = np.round(levels(media)).astype(int)
    at = np.array(times)[shown]
    np.testing.assert_array_equal(np.floor(at + 1e-6), np.arange(10))
    even = make_video(tmp_path / f"b{name}", frames=110, paint=grey, sound=tone(10, 16_000), fps=11)
    expected = frame_plan(110).frames[frame_plan(110).image]
    np.testing.assert_allclose(levels(decode(even)), expected, atol=1.2)


def test_a_little_jitter_is_even(tmp_path: Path) -> None:
    """Frames a few milliseconds off their places are counted, as the official code does."""
    wobble = np.random.default_rng(1).uniform(-0.012, 0.012, 100)
    times = np.sort(np.maximum(0, np.arange(100) / 10 + wobble))
    path = make_video(tmp_path / "a.mkv", frames=100, times=times.tolist(), paint=grey, sound=tone(10, 16_000), fps=10)
    expected = frame_plan(100).frames[frame_plan(100).image]
    np.testing.assert_allclose(levels(decode(path)), expected, atol=1.2)


def test_a_still_picture_with_sound(tmp_path: Path) -> None:
    """Three frames in ten seconds: each is seen while it is on display."""
    path = make_video(
        tmp_path / "a.mkv", frames=3, times=[0, 4, 8], paint=lambda n, w, h: grey(10 + 40 * n, w, h),
        sound=tone(10, 16_000), fps=1,
    )  # fmt: skip
    media = decode(path, begin=0.0)
    np.testing.assert_allclose(levels(media), [10] * 4 + [50] * 4 + [90] * 2, atol=2)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("late", [0.03, 1.0])
def test_sound_that_begins_later(name: str, late: float, tmp_path: Path) -> None:
    """Silence in front of it; a shift as small as an encoder's delay is let alone."""
    sound = np.full((1, 16_000 * 9), 0.4, dtype=np.float32)
    sound *= np.sin(np.arange(sound.shape[1]) / 5)
    path = make_video(tmp_path / name, sound=sound, sound_at=late)
    media = decode(path)
    if late < 0.05:
        assert media.windows.wave[:1000].abs().max() > 0.1
        assert len(media.windows.wave) == pytest.approx(9 * 16_000, abs=2048)
    else:
        found = loud(media)
        assert found[0] < 0.02
        np.testing.assert_allclose(found[1:9], 0.283, atol=0.02)
    part = decode(path, begin=0.0)
    assert len(part.windows.wave) == 160_000
    if late > 0.05:
        assert loud(part)[0] < 0.02
        assert loud(part)[1] > 0.25


@pytest.mark.parametrize("begin", [None, 0.0])
def test_picture_that_begins_later(begin: float | None, tmp_path: Path) -> None:
    """The first frame is held until then; sound stays where it is."""
    times = np.arange(2, 10, 0.2)
    path = make_video(tmp_path / "a.mkv", frames=40, times=times.tolist(), paint=grey, sound=tone(10, 16_000), fps=5)
    media = decode(path, begin=begin)
    shown = levels(media)
    np.testing.assert_allclose(shown[:2], 0, atol=1)
    assert 0 < shown[3] <= 10.5
    np.testing.assert_allclose(shown[9], 39, atol=1.2)
    np.testing.assert_allclose(loud(media)[0], loud(decode(path, begin=0.0))[0], rtol=0.05)


def test_sound_with_a_hole(tmp_path: Path) -> None:
    """Where time stamps jump there is silence, and the rest stays in place."""
    import av

    whole = make_video(tmp_path / "a.mkv", sound=np.full((1, 160_000), 0.5, dtype=np.float32), audio_codec="pcm_s16le")
    with av.open(str(whole)) as source, av.open(str(tmp_path / "b.mkv"), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None and packet.pts is None:
                continue
            at = float((packet.pts or 0) * (packet.time_base or 0))
            if packet.stream.type == "audio" and 3 <= at < 6:
                continue
            packet.stream = streams[packet.stream_index]
            target.mux(packet)
    media = decode(tmp_path / "b.mkv")
    assert len(media.windows.wave) == pytest.approx(160_000, abs=2100)
    np.testing.assert_allclose(loud(media)[[0, 1, 2, 4, 7, 8]], [0.5, 0.5, 0.5, 0, 0.5, 0.5], atol=0.05)


# --- pictures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_turned_pictures_are_shown_as_meant(rotation: int, name: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / name, frames=10, fps=1, paint=quarters, rotation=rotation, size=(64, 64), gop=1)
    image = decode(path).images[0].float()
    expected = np.rot90(quarters(0, 32, 32), rotation // 90).copy()
    difference = (image - torch.from_numpy(expected).permute(2, 0, 1).float()).abs()
    assert difference.mean() < 12


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_fewer_frames_than_segments(name: str, tmp_path: Path) -> None:
    """A slide every two seconds: each segment shows what is on display in it."""
    path = make_video(
        tmp_path / name, codec="mpeg4", frames=5, fps=Fraction(1, 2), paint=lambda n, w, h: grey(10 * n, w, h),
        sound=tone(10, 16_000), audio_codec="mp3",
    )  # fmt: skip
    np.testing.assert_allclose(levels(decode(path)), [0, 0, 10, 10, 20, 20, 30, 30, 40, 40], atol=1)


@pytest.mark.parametrize("size", [(2, 2), (66, 34), (130, 2), (1280, 36), (322, 182)])
def test_odd_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    media = decode(make_video(tmp_path / "a.mp4", frames=10, fps=1, size=size, paint=grey))
    assert media.images.shape[1:] == (3, 32, 32)


@pytest.mark.parametrize(("size", "pixels"), [((65, 49), "yuv444p"), ((33, 47), "yuv420p")])
def test_odd_numbers_of_pixels(size: tuple[int, int], pixels: str, tmp_path: Path) -> None:
    media = decode(make_video(tmp_path / "a.mkv", codec="ffv1", frames=10, fps=1, size=size, pixels=pixels, paint=grey))
    np.testing.assert_allclose(levels(media), np.arange(10), atol=1)


def test_pixels_that_are_not_square_are_let_alone(tmp_path: Path) -> None:
    made = [
        decode(make_video(tmp_path / f"{n}.mp4", frames=10, fps=1, paint=quarters, aspect=aspect))
        for n, aspect in enumerate([None, Fraction(4, 3)])
    ]
    assert torch.equal(made[0].images, made[1].images)


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [
        ("libx264", "yuv444p"), ("libx264", "yuv420p10le"), ("ffv1", "gray"), ("ffv1", "yuva420p"),
        ("ffv1", "gray16le"), ("png", "rgba"), ("mjpeg", "yuvj420p"), ("mpeg4", "yuv420p"), ("libvpx-vp9", "yuva420p"),
    ],
)  # fmt: skip
def test_other_pixels(codec: str, pixels: str, tmp_path: Path) -> None:
    """10 bits, grey, full colour, alpha."""
    path = make_video(
        tmp_path / ("a.mov" if codec == "png" else "a.mkv"),
        codec=codec,
        pixels=pixels,
        frames=20,
        fps=2,
        paint=lambda n, w, h: grey(20 + 4 * n, w, h),
    )
    expected = 20 + 4 * frame_plan(20).frames[frame_plan(20).image]
    np.testing.assert_allclose(levels(decode(path)), expected, atol=2)


# --- sound ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["flac", "aac"])
@pytest.mark.parametrize(
    ("layout", "channels"), [("mono", 1), ("stereo", 2), ("3.0", 3), ("4.0", 4), ("5.1", 6), ("7.1", 8)]
)
def test_channels(codec: str, layout: str, channels: int, tmp_path: Path) -> None:
    """Interleaved and planar."""
    sound = tone(10, 48_000, channels, 50)
    path = make_video(tmp_path / "a.mkv", audio_codec=codec, layout=layout, sound=sound, rate=48_000)
    media = decode(path)
    expected = sound.astype(np.float64).mean(0)[:432_000].reshape(9, -1)
    wave = media.windows.wave.double()[:144_000].reshape(9, -1)
    tolerance = 0.02 if codec == "flac" else 0.15
    np.testing.assert_allclose(wave.square().mean(1).sqrt(), np.sqrt(np.square(expected).mean(1)), rtol=tolerance)
    kept = decode_clip(path, views=Views(partial(fit_frames, size=8)), sample_rate=None)
    assert kept.windows is not None
    assert kept.windows.rate == 48_000
    assert len(kept.windows.wave) == channels


def test_two_dozen_channels(tmp_path: Path) -> None:
    sound = np.arange(24, dtype=np.float32)[:, None].repeat(160_000, axis=1) / np.float32(50)
    path = make_video(tmp_path / "a.mkv", audio_codec="pcm_s16le", layout="24 channels", sound=sound)
    media = decode_clip(path, views=Views(partial(fit_frames, size=8)), sample_rate=None)
    assert media.windows is not None
    np.testing.assert_allclose(media.windows.wave.numpy()[:, 1000], sound[:, 1000], atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 32_000, 44_100, 96_000, 192_000])
def test_rates(rate: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", audio_codec="flac", sound=tone(10, rate), rate=rate)
    for begin in (None, 0.0):
        media = decode(path, begin=begin)
        assert len(media.windows.wave) == pytest.approx(160_000, abs=1024 * 16_000 / rate + 2)
        expected = loud(Both(media.images, decode_wav(tmp_path), media.image_index, media.video_index, 0))
        np.testing.assert_allclose(loud(media)[:9], expected[:9], rtol=0.05)


def decode_wav(folder: Path) -> Any:
    media = decode_clip(
        make_wav(folder / "tone.wav", tone(10, 16_000), 16_000),
        views=Views(partial(fit_frames, size=8)),
        sample_rate=16_000,
    )
    return media.windows


@pytest.mark.parametrize("seconds", [4.0, 12.5])
def test_sound_of_another_length(seconds: float, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", sound=tone(seconds, 16_000))
    media = decode(path)
    assert len(media.windows.wave) == pytest.approx(seconds * 16_000, abs=2100)
    part = decode(path, begin=0.0)
    assert len(part.windows.wave) == 160_000
    assert bool(part.windows.wave[100_000:].any()) == (seconds > 10)


@pytest.mark.parametrize(
    ("name", "codec", "audio_codec"),
    [
        ("a.mp4", "libx264", "aac"), ("a.m4v", "mpeg4", "aac"), ("a.mov", "libx264", "pcm_s16le"),
        ("a.mkv", "libvpx-vp9", "flac"), ("a.webm", "libvpx", "libopus"), ("a.avi", "mpeg4", "mp3"),
        ("a.avi", "mjpeg", "pcm_s16le"), ("a.ts", "mpeg2video", "mp2"), ("a.mpg", "mpeg1video", "mp2"),
        ("a.flv", "flv", "mp3"), ("a.mp4", "libx265", "ac3"),
    ],
)  # fmt: skip
def test_formats(name: str, codec: str, audio_codec: str, tmp_path: Path) -> None:
    rate = 48_000 if audio_codec == "libopus" else 44_100
    path = make_video(
        tmp_path / name, codec=codec, audio_codec=audio_codec, fps=25, frames=250, rate=rate, sound=tone(10, rate, 2),
        pixels="yuvj420p" if codec == "mjpeg" else "yuv420p", paint=lambda n, w, h: grey(n // 3, w, h),
    )  # fmt: skip
    for begin in (None, 0.0):
        media = decode(path, begin=begin)
        assert abs(media.frame_count - 250) <= 2
        plan = frame_plan(250)
        np.testing.assert_allclose(levels(media), plan.frames[plan.image] // 3, atol=4)
        assert len(media.windows.wave) == pytest.approx(160_000, abs=2500)


@pytest.mark.parametrize("begin", [None, 0.0, 10.0])
def test_sound_is_the_first_track(begin: float | None, tmp_path: Path) -> None:
    """The last frames come out of the decoder only after the file's end."""
    seconds = 10 if begin is None else 20
    options: dict[str, Any] = {
        "frames": 5 * seconds, "gop": 5 * seconds, "paint": grey, "sound": tone(seconds, 16_000),
    }  # fmt: skip
    plain = decode(make_video(tmp_path / "a.mp4", **options), begin=begin)
    turned = decode(make_video(tmp_path / "b.mp4", sound_first=True, **options), begin=begin)
    assert torch.equal(plain.images, turned.images)
    assert torch.equal(plain.windows.wave, turned.windows.wave)
    np.testing.assert_allclose(levels(turned)[-1], (5 * (begin or 0) + 49) % 125, atol=1)


def test_sound_of_no_rate_is_refused(tmp_path: Path) -> None:
    path = make_wav(tmp_path / "a.wav", tone(1, 16_000), 100)
    with pytest.raises(MediaError, match=r"a\.wav: its sound has 100 samples a second, not 1000 to 768000"):
        decode_clip(path, views=Views(partial(fit_frames, size=8)), sample_rate=16_000)
