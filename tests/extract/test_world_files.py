"""Odd but whole files through the real command, with a backbone whose embeddings are the times it saw and heard."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extract import MediaError
from extract.media.clip import Views, decode_clip
from extract.media.frames import FrameTimes, Shown
from extract.run.clip_plan import Cut, plan_clips
from feature_cache import NO_PICTURE, FeatureCache
from tests import world_files as made
from tests.clock import QUIET, Times, installed, painted, picture, seen
from tests.command import AV2A
from tests.media import make_video, make_wav

SHARED = Path(__file__).parents[3] / "shared" / "cases" / "media"
PIPE_SIZES = {"none": 0, "most": 0xFFFFFFFF, "sox": 0x7FFFF024, "half": 0x80000000, "signed": 0x7FFFFFFF}


def extracted(source: Path, folder: Path, *options: object, code: int = 0) -> tuple[Times, str]:
    """What the command made of some files, and what it said."""
    words = ["extract", source, "-o", folder / "f.zarr", "--backbone", "clock", "--labels", "llp"]
    words += ["--dtype", "float32", "--device", "cpu", *options]
    done = subprocess.run(
        [str(AV2A), *map(str, words)], cwd=folder, env=installed(folder / "site"), capture_output=True, text=True,
        check=False, encoding="utf-8",
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    return Times(FeatureCache.open(folder / "f.zarr")), done.stderr


def assert_seen(times: Times, clip: str, start: float = 0.0, segments: slice = slice(None)) -> None:
    """Each segment's image is of its second."""
    begins = (start + np.arange(10))[segments]
    found = times.images(clip)[segments]
    assert np.all((found >= begins - 0.06) & (found < begins + 1.06)), (clip, found)


def assert_heard(times: Times, clip: str, start: float = 0.0, near: float = 0.13, windows: slice = slice(None)) -> None:
    """The middle of each window of two segments is heard there."""
    expected = (start + np.arange(1, 10))[windows]
    np.testing.assert_allclose(times.sounds(clip)[windows], expected, atol=near, err_msg=clip)


# --- ten seconds each -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> tuple[Times, str]:
    """Files of ten seconds, each odd in its own way, in one cache."""
    folder = tmp_path_factory.mktemp("ten")
    files = folder / "files"
    files.mkdir()
    # A
    made.soft_then_loud(files / "adts.aac")
    made.two_bit_rates(files / "guessed.mp3")
    for name, size in PIPE_SIZES.items():
        made.wav_of_unknown_length(files / f"pipe_{name}.wav", size)
    made.with_bytes_behind(files / "id3v1.mp4", b"TAG" + b"A song's name".ljust(125, b"\0"))
    made.with_bytes_behind(files / "zeros.mp4", bytes(50_000))
    made.with_bytes_behind(files / "noise_mp4.mp4", np.random.default_rng(1).bytes(5000))
    made.with_bytes_behind(files / "noise_flv.flv", np.random.default_rng(2).bytes(5000))
    made.with_long_subtitles(files / "subtitles.mkv")
    plain = made.clip(folder / "plain.mp4")
    for form, name in (("matroska", "pipe.mkv"), ("mpegts", "pipe.ts")):
        made.piped(plain, files / f"{form}_{name}", form)
    made.avi_of_unknown_length(files / "avi_pipe.avi")
    flac = made.sound_alone(folder / "a.flac", audio_codec="flac")
    made.piped(flac, files / "flac_pipe.flac", "flac")
    # B
    rng = np.random.default_rng(3)
    made.without(files / "lost.mkv", lambda at: rng.random() < 0.15)
    made.without(files / "hole_mkv.mkv", lambda at: 3 <= at < 6)
    made.without(files / "hole_ts.ts", lambda at: 3 <= at < 6)
    made.without(files / "bursts.mkv", lambda at: 1.4 < at % 2 < 1.8)
    # C
    made.with_hidden_frames(files / "hidden.webm")
    # D
    low: dict[str, Any] = {"rate": 22_050, "audio_codec": "mp3"}
    high: dict[str, Any] = {"rate": 44_100, "audio_codec": "mp3", "channels": 2}
    made.changing(files / "rates_up.mp3", low, high)
    made.changing(files / "rates_down.mp3", high, low)
    made.changing(files / "rates.aac", {"rate": 22_050}, {"rate": 48_000, "channels": 2})
    made.changing(files / "layouts.aac", {"rate": 48_000, "channels": 2}, {"rate": 48_000})
    # E
    parts = [made.clip(folder / f"{n}.ts", 5, 5 * n, rate=(44_100, 48_000)[n], channels=n + 1) for n in range(2)]
    made.joined(files / "halves.ts", parts)
    return extracted(files, folder)


SOUND_ALONE = (
    "adts", "guessed", *(f"pipe_{name}" for name in PIPE_SIZES), "flac_pipe",
    "rates_up", "rates_down", "rates", "layouts",
)  # fmt: skip
JOINED = ("guessed", "rates_up", "rates_down", "rates", "layouts", "halves")
BOTH = (
    "id3v1", "zeros", "noise_mp4", "noise_flv", "subtitles", "matroska_pipe", "mpegts_pipe", "avi_pipe",
    "lost", "hole_mkv", "hole_ts", "bursts", "hidden", "halves",
)  # fmt: skip


def test_each_is_one_whole_clip(ten: tuple[Times, str]) -> None:
    times, said = ten
    assert sorted(times.cache.clip_ids) == sorted([*SOUND_ALONE, *BOTH])
    assert times.cache.attributes["clips_from"] == {}
    assert "files whose time stamps start again: 1 (halves), their parts laid end to end" in said
    missing = dict(zip(times.cache.clip_ids, times.cache.missing().tolist(), strict=True))
    assert missing == {**dict.fromkeys(SOUND_ALONE, NO_PICTURE), **dict.fromkeys(BOTH, 0)}


@pytest.mark.parametrize("clip", BOTH)
def test_its_pictures(clip: str, ten: tuple[Times, str]) -> None:
    assert_seen(ten[0], clip)


@pytest.mark.parametrize(
    "clip", [name for name in (*SOUND_ALONE, *BOTH) if name not in ("lost", "hole_mkv", "hole_ts")]
)
def test_its_sound(clip: str, ten: tuple[Times, str]) -> None:
    if clip in JOINED:  # an encoder's delay at each beginning
        assert_heard(ten[0], clip, windows=slice(0, 4))
        assert_heard(ten[0], clip, near=0.2, windows=slice(5, None))
    else:
        windows = slice(4, None) if clip == "adts" else slice(None)  # before, it is too soft for this clock
        assert_heard(ten[0], clip, windows=windows)


@pytest.mark.parametrize("clip", ["hole_mkv", "hole_ts"])
def test_holes_are_silent_and_the_rest_is_at_its_time(clip: str, ten: tuple[Times, str]) -> None:
    found = ten[0].sounds(clip)
    np.testing.assert_array_equal(found[3:5], QUIET)  # at seconds 4 and 5
    np.testing.assert_allclose(np.delete(found, [2, 3, 4, 5]), [1, 2, 7, 8, 9], atol=0.13)


def test_lost_packets_leave_the_others_at_their_times(ten: tuple[Times, str]) -> None:
    found = ten[0].sounds("lost")
    there = found != QUIET
    assert there.sum() >= 6
    np.testing.assert_allclose(found[there], np.arange(1, 10)[there], atol=0.2)


# --- longer ones, and parts of them ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Times, str]:
    """Files that are several clips, or a part of one."""
    folder = tmp_path_factory.mktemp("longer")
    files = folder / "files"
    files.mkdir()
    made.beginning_again(files / "again_ts.ts")
    made.beginning_again(files / "hour.ts", later=3600)
    made.beginning_again(files / "again_mpg.mpg", codec="mpeg2video", audio_codec="mp2", fps=25, frames=250,
                         paint=painted(25), rate=48_000)  # fmt: skip
    made.beginning_again(files / "again_mkv.mkv")
    for name, codec in (("opus.ogg", "libopus"), ("flac.oga", "flac")):
        parts = [made.sound_alone(folder / f"{n}.ogg", 10, 10 * n, audio_codec=codec, rate=48_000) for n in range(2)]
        made.joined(files / name, parts)
    made.without(files / "long_hole.mkv", lambda at: 6 <= at < 24, seconds=30)
    made.with_an_empty_edit(files / "late.mp4")
    made.cut_without_encoding(files / "cut.mp4")
    return extracted(files, folder)


@pytest.mark.parametrize("clip", ["again_ts", "hour", "again_mkv"])
def test_clocks_that_start_again_are_laid_end_to_end(clip: str, longer: tuple[Times, str]) -> None:
    times, said = longer
    for number in range(2):
        assert_seen(times, f"{clip}#{number}", 10 * number)
        assert_heard(times, f"{clip}#{number}", 10 * number)
    assert f"{clip}#2" not in times
    assert "files whose time stamps start again: 6 (" in said


@pytest.mark.parametrize("clip", ["opus", "flac"])
def test_chained_ogg(clip: str, longer: tuple[Times, str]) -> None:
    for number in range(2):
        assert_heard(longer[0], f"{clip}#{number}", 10 * number)


def test_joined_program_streams(longer: tuple[Times, str]) -> None:
    """Both show second 0 to 10; the first one lasts a frame longer than its ten seconds."""
    for number in range(2):
        assert_seen(longer[0], f"again_mpg#{number}", segments=slice(number, None))
        assert_heard(longer[0], f"again_mpg#{number}", 10 * number)


def test_a_clip_inside_a_hole_is_silent(longer: tuple[Times, str]) -> None:
    """It has sound, which is silence; the clips around it have theirs at its time."""
    times, _ = longer
    cache = times.cache
    assert not any(cache.missing()[cache.clip_ids.index(f"long_hole#{number}")] for number in range(3))
    assert_heard(times, "long_hole#0", windows=slice(0, 4))
    np.testing.assert_array_equal(times.sounds("long_hole#1"), QUIET)
    assert_heard(times, "long_hole#2", 20, windows=slice(5, None))
    for number in range(3):
        assert_seen(times, f"long_hole#{number}", 10 * number)


def test_nothing_before_the_content_counts(longer: tuple[Times, str]) -> None:
    """Eight seconds behind an empty edit are one padded clip of eight seconds."""
    times, _ = longer
    name, begin, end = times.cache.attributes["clips_from"]["late"]
    assert (name, begin) == ("late", 0.0)
    assert end == pytest.approx(8, abs=0.1)
    assert_seen(times, "late", segments=slice(0, 8))
    assert_heard(times, "late", windows=slice(0, 7))


def test_a_lossless_cut_begins_where_it_is_shown(longer: tuple[Times, str]) -> None:
    assert_seen(longer[0], "cut", 3.4)
    assert_heard(longer[0], "cut", 3.4)


# --- what is not whole -----------------------------------------------------------------------------------

FORMATS: dict[str, dict[str, Any]] = {
    "a.mp4": {}, "front.mp4": {"options": {"movflags": "faststart"}},
    "pieces.mp4": {"options": {"movflags": "frag_keyframe+empty_moov"}}, "a.mov": {}, "a.mkv": {},
    "a.webm": {"codec": "libvpx", "audio_codec": "libopus", "rate": 48_000},
    "a.avi": {"codec": "mpeg4", "audio_codec": "mp3"}, "a.flv": {"codec": "flv", "audio_codec": "mp3", "rate": 44_100},
    "a.wav": {"audio_codec": "pcm_s16le", "pictures": False}, "a.flac": {"audio_codec": "flac", "pictures": False},
    "a.aiff": {"audio_codec": "pcm_s16be", "pictures": False}, "a.mp3": {"audio_codec": "mp3", "pictures": False},
    "a.m4a": {"pictures": False},
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_cut_off(name: str, tmp_path: Path) -> None:
    """Every format that says how long it is: whole it is taken, without its last third it is refused."""
    path = made.clip(tmp_path / name, **FORMATS[name])
    assert not plan_clips({"a": path}, Cut()).refused
    decode_clip(path, views=Views(seen), sample_rate=16_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert plan_clips({"a": path}, Cut()).refused["a"].startswith("it is cut off: ")
    with pytest.raises(MediaError, match="it is cut off: "):
        decode_clip(path, views=Views(seen), sample_rate=16_000)
    with pytest.raises(MediaError, match="it is cut off: "):
        decode_clip(path, views=Views(seen), sample_rate=16_000, begin=0.0)


def test_a_track_of_sound_that_cannot_be_decoded_is_no_missing_one(tmp_path: Path) -> None:
    path = made.clip(tmp_path / "a.mkv", audio_codec="flac")
    content = path.read_bytes()
    import av

    with av.open(str(path)) as container:
        places = [(packet.pos or 0, packet.size) for packet in container.demux(audio=0) if packet.size]
    damaged = bytearray(content)
    rng = np.random.default_rng(1)
    for begin, size in places:
        damaged[begin + 8 : begin + size] = rng.bytes(size - 8)
    path.write_bytes(damaged)
    with pytest.raises(MediaError, match=r"its sound is damaged: 0\.0 of"):
        decode_clip(path, views=Views(seen), sample_rate=16_000)


@pytest.mark.parametrize("name", ["picture.gif", "a.ac3", "a.wv", "a.au"])
def test_other_kinds_that_are_read(name: str, tmp_path: Path) -> None:
    codecs = {"a.ac3": "ac3", "a.wv": "wavpack", "a.au": "pcm_s16be"}
    if name in codecs:
        path = made.sound_alone(tmp_path / name, audio_codec=codecs[name], rate=48_000)
        media = decode_clip(path, views=Views(seen), sample_rate=16_000)
        assert media.windows is not None
        assert len(media.windows.wave) == pytest.approx(160_000, abs=4000)
        return
    path = make_video(tmp_path / name, codec="gif", with_sound=False, pixels="rgb8", frames=20, fps=2,
                      paint=painted(2))  # fmt: skip
    media = decode_clip(path, views=Views(seen), sample_rate=16_000)
    assert media.images is not None
    assert media.images[media.image_index][:, 0].tolist() == pytest.approx([0, 1, 2, 3, 4, 5, 6, 7, 8, 9.5], abs=0.51)


def test_kinds_that_are_not_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    refused = plan_clips({"a": tmp_path / "list.mp4"}, Cut()).refused["a"]
    assert "none of the kinds that av2a takes; convert it" in refused


# --- frames that are no packets --------------------------------------------------------------------------


class _Packet:
    """What of a packet counts for its frame's time."""

    size = 1
    is_discard = False
    duration = 20
    time_base = 0.001

    def __init__(self, ticks: int, *, key: bool = False) -> None:
        self.pts = self.dts = ticks
        self.is_keyframe = key
        self.stream = self.container = self.format = self
        self.name = "mpegts"


def checked(packets: list[int], frames: list[int], *, fields: bool = False, key: int = 0) -> str:
    times = FrameTimes()
    for number, ticks in enumerate(packets):
        times.add(_Packet(ticks, key=number == key))
    try:
        times.check(Shown(list(frames), fields), Path("a.ts"))
    except MediaError as error:
        return error.reason
    return ""


def test_a_frame_of_two_fields() -> None:
    """Every frame is two packets; of frames that are packets each, half would be missing."""
    packets, frames = list(range(0, 4000, 20)), list(range(0, 4000, 40))
    assert checked(packets, frames, fields=True) == ""
    assert "100 of 200 frames" in checked(packets, frames)
    assert "of 200 frames can be decoded" in checked(packets, frames[:40] + frames[60:], fields=True)


def test_packets_with_nothing_to_show() -> None:
    packets = [ticks for at in range(0, 4000, 40) for ticks in ([at, at + 1] if at % 400 == 0 else [at])]
    assert checked(packets, list(range(0, 4000, 40))) == ""
    assert "frames can be decoded" in checked(packets, list(range(0, 3000, 40)))


def test_what_comes_before_the_first_key_frame_is_not_missing() -> None:
    packets = list(range(0, 4000, 40))
    assert checked(packets, packets[30:], key=30) == ""
    assert "70 of 100" in checked(packets, packets[30:])


@pytest.mark.skipif(not (SHARED / "paff.MTS").exists(), reason="no copy of it here")
def test_field_coded_h264() -> None:
    media = decode_clip(SHARED / "paff.MTS", views=Views(seen), sample_rate=16_000)
    assert media.frame_count == 100
    assert media.images is not None
    np.testing.assert_allclose(media.images[media.image_index][:, 0], np.arange(10) * 1.1, atol=0.11)


# --- pictures as they are shown --------------------------------------------------------------------------


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("across", [1, -1])
@pytest.mark.parametrize("down", [1, -1])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_display_matrices(name: str, across: int, down: int, transposed: bool, tmp_path: Path) -> None:
    """All eight ways to turn and to mirror."""
    a, b, c, d = (0, down, across, 0) if transposed else (across, 0, 0, down)
    path = made.clip(
        tmp_path / name, matrix=[a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30], with_sound=False,
        paint=lambda number, width, height: made.mirrored(picture(number / made.FPS), (a, b, c, d)),
    )  # fmt: skip
    for begin in (None, 0.0):
        media = decode_clip(path, views=Views(seen), sample_rate=16_000, begin=begin)
        assert media.images is not None
        found = media.images[media.image_index][:, 0].numpy()
        assert np.all((found >= np.arange(10)) & (found < np.arange(1, 11))), found


# --- the files of others ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="no copy of these files here")
def test_files_after_public_reports(tmp_path: Path) -> None:
    times, said = extracted(SHARED, tmp_path)
    ids = times.cache.clip_ids
    assert not [clip for clip in ids if "#" in clip and clip.split("#")[0] not in ("join20", "hole60", "low2_el")]
    assert "their parts laid end to end" in said
    for number in range(2):
        assert_seen(times, f"join20#{number}", 10 * number)
        assert_heard(times, f"join20#{number}", 10 * number)
    for clip in ("clock10", "sublong", "tr_id3v1", "paff", "lost_0.15"):
        assert_seen(times, clip)
    for clip in ("clock10", "sublong", "tr_id3v1", "paff", "mixrate", "soxpipe"):
        assert_heard(times, clip)
    assert times.cache.attributes["clips_from"]["el_delay"][2] == pytest.approx(8, abs=0.1)
    for number in range(4):
        start = 17.2 + 10 * number
        assert_seen(times, f"low2_el#{number}", start, slice(0, 10 if number < 3 else 5))
        assert_heard(times, f"low2_el#{number}", start, windows=slice(0, 9 if number < 3 else 4))


def test_silence_stays_silence(tmp_path: Path) -> None:
    path = make_wav(tmp_path / "a.wav", np.zeros((2, 160_000), dtype=np.float32), 16_000)
    media = decode_clip(path, views=Views(seen), sample_rate=48_000)
    assert media.windows is not None
    assert len(media.windows.wave) == 480_000
    assert not torch.count_nonzero(media.windows.wave)
