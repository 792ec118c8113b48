"""Files longer and shorter than a clip: which clips they become, and that a part is what it is in the whole."""

import math
import re
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from extract import ExtractError
from extract.backbones.pixels import fit_frames
from extract.errors import MediaError
from extract.media.clip import Views, decode_clip
from extract.media.sampling import frame_plan, is_regular, timed_frame_plan
from extract.run.clip_plan import Cut, plan_clips
from feature_cache import FeatureCache
from tests.extraction import Both, both, extract
from tests.media import make_video, make_wav, tone

VIEWS = Views(partial(fit_frames, size=32))


def part(path: Path, begin: float, **options: Any) -> Both:
    return both(decode_clip(path, views=VIEWS, sample_rate=16_000, begin=begin, **options))


def all_frames(path: Path) -> torch.Tensor:
    """Every frame of a file, decoded from its start."""
    with av.open(str(path)) as container:
        drawn = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return fit_frames(torch.stack(drawn).permute(0, 3, 1, 2), 32)


# --- frames by time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30_000, 1001), Fraction(30), Fraction(10), Fraction(60)])
@pytest.mark.parametrize("tick", [None, 0.001])
@pytest.mark.parametrize("whole_only", [False, True])
def test_by_time_is_by_number_at_a_constant_rate(fps: Fraction, tick: float | None, whole_only: bool) -> None:
    count = math.ceil(10 * fps)
    times = np.arange(count) / float(fps)
    if tick:
        times = np.round(times / tick) * tick
    found, expected = timed_frame_plan(times, whole_only=whole_only), frame_plan(count, whole_only=whole_only)
    for name in ("frames", "image", "video"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert is_regular(times)


def test_uneven_frames_by_time() -> None:
    """Five seconds with a frame a second, five with ten."""
    times = np.concatenate([np.arange(5.0), 5 + np.arange(50) / 10])
    plan = timed_frame_plan(times)
    assert not is_regular(times)
    assert plan.frames[plan.image][:5].tolist() == [0, 1, 2, 3, 4]
    seconds = times[plan.frames[plan.image]]
    np.testing.assert_array_equal(np.floor(seconds), np.arange(10))
    for row in plan.video:
        assert np.all(np.diff(plan.frames[row]) >= 0)
    assert plan.frames[plan.video[0]].tolist() == np.linspace(0, 54, 8).astype(int).tolist()


@pytest.mark.parametrize(
    ("times", "image"),
    [
        ([3.0], [0] * 10),  # held before and after
        ([-5.0], [0] * 10),  # still on display
        ([-1.0, 2.5, 8.0], [0, 0, 1, 1, 1, 1, 1, 1, 2, 2]),
        ([12.0], [0] * 10),
        ([0.0, 1.0, 2.0, 3.0], [0, 1, 2, 3, 3, 3, 3, 3, 3, 3]),
    ],
)
def test_segments_without_frames_have_what_is_on_display(times: list[float], image: list[int]) -> None:
    plan = timed_frame_plan(np.array(times))
    assert plan.frames[plan.image].tolist() == image
    assert plan.video.shape == (46, 8)
    assert plan.frames.max() < len(times)


def test_absurd_times_cost_nothing() -> None:
    plan = timed_frame_plan(np.array([0.0, 1e-9, 2e-9]))
    assert plan.frames[plan.image].max() == 2


# --- which clips ----------------------------------------------------------------------------------------


def cut(folder: Path, seconds: dict[str, float], **options: Any) -> Any:
    files = {}
    for name, length in seconds.items():
        files[name] = make_wav(folder / f"{name}.wav", np.zeros((1, round(length * 1000)), np.float32), 1000)
    return plan_clips(files, Cut(**options))


@pytest.mark.parametrize("seconds", [9.5, 10.0, 10.48])
def test_a_file_of_a_clips_length_is_one_clip(seconds: float, tmp_path: Path) -> None:
    plan = cut(tmp_path, {"a": seconds})
    assert list(plan.files) == ["a"]
    assert plan.begins == plan.cut_from == {}
    assert plan.notes == ()


@pytest.mark.parametrize(
    ("seconds", "options", "begins"),
    [
        (30.0, {}, [0, 10, 20]),
        (30.2, {}, [0, 10, 20]),
        (29.6, {}, [0, 10, 20]),
        (30.9, {}, [0, 10, 20]),
        (31.5, {}, [0, 10, 20, 30]),
        (31.5, {"tail": "drop"}, [0, 10, 20]),
        (25.0, {"stride": 5}, [0, 5, 10, 15]),
        (23.0, {"stride": 5}, [0, 5, 10, 15]),
        (23.0, {"stride": 5, "tail": "drop"}, [0, 5, 10]),
        (45.0, {"stride": 20}, [0, 20, 40]),
        (7.0, {"clip_seconds": 2}, [0, 2, 4, 6]),
        (7.3, {"clip_seconds": 2, "stride": 1.0}, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_a_longer_file_is_cut(seconds: float, options: dict[str, Any], begins: list[float], tmp_path: Path) -> None:
    plan = cut(tmp_path, {"film": seconds}, **options)
    assert list(plan.files) == [f"film#{number}" for number in range(len(begins))]
    assert list(plan.begins.values()) == begins
    assert [place[:2] for place in plan.cut_from.values()] == [["film", begin] for begin in begins]
    length = options.get("clip_seconds", 10)
    for place in plan.cut_from.values():
        assert place[2:] == ([seconds] if place[1] + length > seconds else [])
    assert f"cut into {len(begins)} clips" in plan.notes[0]


def test_shorter_files_and_tails_are_said(tmp_path: Path) -> None:
    lengths = {"a": 25.0, "b": 4.0, "c": 10.0, "d": 20.7}
    plan = cut(tmp_path, lengths)
    assert list(plan.files) == ["a#0", "a#1", "a#2", "b", "c", "d#0", "d#1"]
    assert plan.begins["b"] == 0.0
    assert plan.cut_from["b"] == ["b", 0.0, 4.0]
    assert "c" not in plan.cut_from
    assert plan.notes == (
        "files longer than 10 s: 2, cut into 5 clips",
        "files and ends of files shorter than 10 s: 2, padded with the last picture and silence",
        "ends of files shorter than a segment (1 s): 1, dropped",
    )
    plan = cut(tmp_path, lengths, tail="drop")
    assert list(plan.files) == ["a#0", "a#1", "c", "d#0", "d#1"]
    assert "2, dropped (`tail='drop'`)" in plan.notes[1]
    with pytest.raises(ExtractError, match="every file is shorter than 10 s"):
        cut(tmp_path, {"b": 4.0}, tail="drop")


def test_files_that_cannot_be_read_are_one_clip(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    plan = plan_clips({"a": tmp_path / "a.mp4"}, Cut())
    assert list(plan.files) == ["a"]
    assert "cannot be read" in plan.refused["a"]


def test_two_clips_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match=r"both have a clip a#0: rename one"):
        cut(tmp_path, {"a": 20.0, "a#0": 10.0})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"clip_seconds": 0}, "clip_seconds` must be from"), ({"stride": -1}, "stride` must be from"),
        ({"clip_seconds": float("nan")}, "clip_seconds"), ({"tail": "x"}, "tail 'x'"),
    ],
)  # fmt: skip
def test_wrong_cuts(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ExtractError, match=said):
        Cut(**options)


# --- a part is what it is in the whole ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "audio_codec"),
    [
        ("a.mp4", "libx264", "aac"),
        ("a.mkv", "libx264", "flac"),
        ("a.webm", "libvpx", "libopus"),
        ("a.ts", "libx264", "aac"),
        ("a.avi", "mpeg4", "mp3"),
        ("b.avi", "libx264", "mp3"),
        ("a.flv", "libx264", "aac"),
    ],
)
def test_parts_equal_decoding_from_the_start(name: str, codec: str, audio_codec: str, tmp_path: Path) -> None:
    rate = 44_100 if name.endswith("flv") else 48_000
    path = make_video(
        tmp_path / name, frames=350, fps=10, gop=12, codec=codec, audio_codec=audio_codec, rate=rate,
        sound=tone(35, rate),
    )  # fmt: skip
    frames = all_frames(path)
    for begin in (0.0, 10.0, 17.3, 25.0):
        media = part(path, begin)
        assert media.frame_count == 100
        assert torch.equal(media.images, frames[frame_plan(100).frames + round(begin * 10)])
        assert media.windows.wave.shape == (160_000,)
        drawn = torch.from_numpy(tone(35, 16_000)[0])[round(begin * 16_000) :][:160_000]
        loud = media.windows.wave.reshape(10, -1).square().mean(1).sqrt()
        torch.testing.assert_close(loud[:9], drawn.reshape(10, -1).square().mean(1).sqrt()[:9], rtol=0.05, atol=0.002)


def test_sound_of_parts_equals_the_whole(tmp_path: Path) -> None:
    """To the sample, where the codec has no memory; without seeking to a key frame of any picture."""
    sound = tone(35, 16_000)
    video = make_video(tmp_path / "a.mkv", frames=70, fps=2, audio_codec="pcm_s16le", sound=sound)
    wav = make_wav(tmp_path / "b.wav", sound, 16_000)
    for begin in (0.0, 10.0, 21.5):
        expected = torch.from_numpy(sound[0, round(begin * 16_000) :][:160_000])
        for found in (part(video, begin).windows.wave, part(video, begin, sound_path=wav).windows.wave):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    alone = decode_clip(wav, views=VIEWS, sample_rate=16_000, begin=21.5)
    assert alone.images is None
    assert alone.windows is not None
    torch.testing.assert_close(alone.windows.wave, expected, atol=1e-4, rtol=0)


def test_a_tail_is_padded(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", frames=70, fps=5, gop=5, audio_codec="pcm_s16le", sound=tone(14, 16_000))
    media = part(path, 10.0)
    frames = all_frames(path)
    assert media.frame_count == 20
    images = media.images[media.image_index]
    assert torch.equal(images[4:], frames[69:].expand(6, -1, -1, -1))
    assert not torch.equal(images[0], images[3])
    assert len(media.windows.wave) == 160_000
    assert media.windows.wave[:63_000].abs().max() > 0.1
    assert not media.windows.wave[64_000:].any()
    assert media.video_index[-1].tolist() == [media.image_index[-1]] * 8


def test_a_part_reads_that_part_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few of the packets of a longer file are looked at."""
    from extract.media.clock import packet_time

    path = make_video(tmp_path / "a.mp4", frames=600, fps=5, gop=10, sound=tone(120, 16_000))
    seen: list[float] = []

    def noted(packet: Any) -> float | None:
        seen.append(packet_time(packet) or 60.0)
        return packet_time(packet)

    monkeypatch.setattr("extract.media.container.packet_time", noted)
    media = part(path, 60.0)
    assert media.frame_count == 50
    assert min(seen) > 55
    assert max(seen) < 75
    assert len(seen) < 1200


@pytest.mark.parametrize("whole_only", [False, True])
def test_window_0_alone(whole_only: bool, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=100, fps=10)
    for begin in (None, 0.0):
        media = both(decode_clip(path, views=VIEWS, sample_rate=16_000, begin=begin, whole_only=whole_only))
        assert len(media.video_index) == len(media.windows) == (1 if whole_only else 46)
        assert len(media.images) == len(frame_plan(100, whole_only=whole_only).frames)
        every = both(decode_clip(path, views=VIEWS, sample_rate=16_000, begin=begin))
        assert torch.equal(media.images[media.video_index[0]], every.images[every.video_index[0]])
        assert torch.equal(media.images[media.image_index], every.images[every.image_index])


@pytest.mark.parametrize("part_there", [0.3, 0.7, 0.95])
def test_long_files_that_are_cut_off(part_there: float, tmp_path: Path) -> None:
    """Matroska: its packets are looked at; whoever decodes a part of it all the same hears of it too."""
    path = make_video(tmp_path / "a.mkv", frames=200, fps=5, gop=5)
    assert len(plan_clips({"a": path}, Cut()).files) == 4
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part_there)])
    plan = plan_clips({"a": path}, Cut())
    assert list(plan.files) == ["a"]
    assert re.fullmatch(r"it is cut off: \d+\.\d of 40\.[01] s are there; get it again", plan.refused["a"])
    with pytest.raises(MediaError, match=r"a\.mkv: it is cut off: .* of 40\.[01] s are there"):
        part(path, 30.0)


def test_a_picture_shorter_than_the_sound(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=75, fps=5, sound=tone(30, 16_000))
    assert list(plan_clips({"a": path}, Cut()).files) == ["a#0", "a#1", "a#2"]
    held = part(path, 10.0)
    assert held.frame_count == 25
    later = decode_clip(path, views=VIEWS, sample_rate=16_000, begin=20.0)
    assert later.images is None
    assert later.windows is not None


def test_a_sound_shorter_than_the_picture(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=150, fps=5, sound=tone(13, 16_000))
    media = part(path, 10.0)
    assert media.windows.wave[:40_000].abs().max() > 0.1
    assert not media.windows.wave[52_000:].any()
    later = decode_clip(path, views=VIEWS, sample_rate=16_000, begin=20.0)
    assert later.windows is None
    assert later.frame_count == 50


# --- in the cache ---------------------------------------------------------------------------------------


def test_a_long_file_in_a_cache(checkpoint: Path, tmp_path: Path) -> None:
    """Its clips say where they come from; a file that comes later is added with its places."""
    folder = tmp_path / "videos"
    folder.mkdir()
    make_video(folder / "film.mkv", frames=125, fps=5, gop=10, audio_codec="flac")
    options = {"labels": "ave", "dtype": "float32"}
    summary = extract(folder, tmp_path / "f.zarr", checkpoint, **options)
    assert (summary.done, summary.failed) == (3, {})
    assert "files longer than 10 s: 1, cut into 3 clips" in summary.notes
    cache = FeatureCache.open(tmp_path / "f.zarr")
    assert cache.clip_ids == ["film#0", "film#1", "film#2"]
    places = {"film#0": ["film", 0.0], "film#1": ["film", 10.0], "film#2": ["film", 20.0, 25.0]}
    assert cache.attributes["clips_from"] == places
    assert cache.attributes["clips"] == {"seconds": 10.0, "stride": 10.0, "tail": "pad"}
    assert cache.segment_seconds == 1.0
    found = cache.read()
    np.testing.assert_array_equal(found.image[2, 5:], found.image[2, 5:6].repeat(5, axis=0))
    assert not np.array_equal(found.image[0], found.image[1])

    make_video(folder / "more.mp4", frames=100, fps=5)
    summary = extract(folder, tmp_path / "f.zarr", checkpoint, **options)
    assert (summary.done, summary.skipped) == (5, 3)
    cache = FeatureCache.open(tmp_path / "f.zarr")
    assert cache.clip_ids[3:] == ["more#0", "more#1"]
    assert cache.attributes["clips_from"] == {**places, "more#0": ["more", 0.0], "more#1": ["more", 10.0]}
    with pytest.raises(ExtractError, match=r"made differently \(clips.stride 10.0, now 5.0\)"):
        extract(folder, tmp_path / "f.zarr", checkpoint, stride=5.0, **options)


def test_other_lengths_and_the_whole_clip_alone(checkpoint: Path, tmp_path: Path) -> None:
    path = make_video(tmp_path / "film.mp4", frames=60, fps=10, gop=5)
    caches = []
    for name, windows in (("all", "all"), ("whole", "whole")):
        extract(
            path,
            tmp_path / f"{name}.zarr",
            checkpoint,
            labels="ave",
            dtype="float32",
            clip_seconds=3.0,
            windows=windows,
        )
        caches.append(FeatureCache.open(tmp_path / f"{name}.zarr"))
    every, whole = (cache.read() for cache in caches)
    assert caches[0].clip_ids == caches[1].clip_ids == ["film#0", "film#1"]
    assert caches[0].segment_seconds == pytest.approx(0.3)
    assert (caches[0].windows_kept, caches[1].windows_kept) == ("all", "whole")
    assert whole.video.shape == (2, 1, 8, 24)
    assert whole.audio.shape == (2, 1, 20)
    for name in ("image", "video", "audio"):
        expected = getattr(every, name)[:, : getattr(whole, name).shape[1]]
        np.testing.assert_allclose(getattr(whole, name), expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(ExtractError, match=r"made differently \(windows 'whole', now 'all'\)"):
        extract(path, tmp_path / "whole.zarr", checkpoint, labels="ave", dtype="float32", clip_seconds=3.0)
    with pytest.raises(ExtractError, match="windows 'some': use all or whole"):
        extract(path, tmp_path / "g.zarr", checkpoint, windows="some")


def test_damaged_long_files_fail_with_their_reason(checkpoint: Path, videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "dogs.mp4").write_bytes((videos / "dogs.mp4").read_bytes())
    path = make_video(folder / "film.mkv", frames=200, fps=5, gop=5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    summary = extract(folder, tmp_path / "f.zarr", checkpoint, labels="ave")
    assert summary.done == 1
    assert summary.failed["film"].startswith("film.mkv: it is cut off")
