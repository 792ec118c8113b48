"""Cutting events out of videos: what is copied, what is encoded, how long it is, and what a table says of it."""

import csv
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from extract.cutting import COLUMNS, FoundEvent, Videos, cut_events
from extract.errors import ExtractError, MediaError
from extract.media.cut import Cut, cut_stretch
from tests.media import make_video, make_wav, tone

SHARED = Path(__file__).parents[3] / "shared" / "media"


def track(path: Path, kind: str) -> tuple[int, float, float]:
    """Frames of a track that can be decoded, when the first begins and the last ends."""
    with av.open(str(path)) as container:
        stream: Any = next(stream for stream in container.streams if stream.type == kind)
        frames: list[Any] = list(container.decode(stream))
        shown = [float(frame.pts * frame.time_base) for frame in frames]
        usual = float(np.median(np.diff(shown))) if len(shown) > 1 else 0.0
        last = frames[-1]
        length = last.samples / last.sample_rate if kind == "audio" else float(last.duration * last.time_base) or usual
    return len(frames), min(shown), max(shown) + length


def check(cut: Cut, seconds: float, frame: float, sound: float = 0.07) -> None:
    """It is as long as was asked for: to a frame of its picture, to a packet of its sound."""
    with av.open(str(cut.path)) as container:
        kinds = {stream.type for stream in container.streams}
    assert kinds == {kind for kind, how in (("video", cut.picture), ("audio", cut.sound)) if how}
    if cut.picture:
        count, begin, end = track(cut.path, "video")
        assert abs(begin) <= frame
        assert abs(end - seconds) <= frame + 1e-3
        assert count >= 1
    if cut.sound:
        _, begin, end = track(cut.path, "audio")
        assert begin <= 2 * sound
        assert abs(end - seconds) <= 2 * sound


CASES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "a key frame each second": ("a.mp4", {"frames": 250, "fps": 25, "gop": 25}, "copied", "copied"),
    "no key frame": ("a.mp4", {"frames": 250, "fps": 25, "gop": 250}, "encoded", "copied"),
    "NTSC": ("a.mp4", {"frames": 300, "fps": Fraction(30_000, 1001), "gop": 30}, "copied", "copied"),
    "Matroska": ("a.mkv", {"frames": 100, "fps": 10, "gop": 10}, "copied", "copied"),
    "WebM": (
        "a.webm",
        {"frames": 100, "codec": "libvpx-vp9", "audio_codec": "libopus", "rate": 48_000, "fps": 10, "gop": 10},
        "copied",
        "copied",
    ),
    "WebM without key frames": (
        "a.webm",
        {"frames": 100, "codec": "libvpx-vp9", "audio_codec": "libopus", "rate": 48_000, "fps": 10, "gop": 100},
        "encoded",
        "copied",
    ),
    "AVI": (
        "a.avi", {"frames": 100, "fps": 10, "codec": "mpeg4", "audio_codec": "libmp3lame", "rate": 44_100}, "encoded",
        "encoded",
    ),
    "MPEG-TS without sound": ("a.ts", {"frames": 250, "fps": 25, "gop": 25, "with_sound": False}, "copied", ""),
    "no sound": ("a.mp4", {"frames": 100, "fps": 10, "gop": 10, "with_sound": False}, "copied", ""),
    "no picture": ("a.m4a", {"frames": 100, "fps": 10, "pictures": False}, "", "copied"),
    "sound that MP4 does not take": (
        "a.mov", {"frames": 100, "fps": 10, "gop": 10, "audio_codec": "pcm_s16le"}, "copied", "encoded",
    ),
    "an odd size, 4:4:4": (
        "a.mp4", {"frames": 100, "fps": 10, "gop": 100, "size": (65, 49), "pixels": "yuv444p"}, "encoded", "copied",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_lengths(name: str, tmp_path: Path) -> None:
    file, given, picture, sound = CASES[name]
    rate = given.get("rate", 16_000)
    path = make_video(tmp_path / file, sound=tone(10, rate), **given)
    for begin, end in ((2, 5), (6, 10), (0, 2)):
        cut = cut_stretch(path, begin, end, tmp_path / f"cut {begin}")
        check(cut, end - begin, 1 / float(given.get("fps", 10)))
        if begin:
            assert (cut.picture, cut.sound) == (picture, sound)
            assert abs(cut.begin - begin) <= 1 / float(given.get("fps", 10))
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.suffix == ".partial") == []


def grey_of(path: Path) -> list[float]:
    """Of each picture of a file, the mean of its red, which tells its number (tests/media.py)."""
    with av.open(str(path)) as container:
        return [float(frame.to_ndarray(format="rgb24")[..., 0].mean()) for frame in container.decode(video=0)]


@pytest.mark.parametrize("gop", [10, 100])
def test_it_is_the_right_stretch(gop: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=100, fps=10, gop=gop, with_sound=False)
    cut = cut_stretch(path, 4, 6, tmp_path / "c")
    assert cut.picture == ("copied" if gop == 10 else "encoded")
    np.testing.assert_allclose(grey_of(cut.path), grey_of(path)[40:60], atol=2.5)


def test_sound_is_the_right_stretch_to_the_sample(tmp_path: Path) -> None:
    sound = tone(10, 8000, 2)
    path = make_wav(tmp_path / "a.wav", sound, 8000)
    cut = cut_stretch(path, 3.25, 7.5, tmp_path / "c")
    assert (cut.path.name, cut.picture, cut.sound) == ("c.wav", "", "encoded")
    with av.open(str(cut.path)) as container:
        found = np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)])
    np.testing.assert_allclose(found / 32_768, sound[:, 26_000:60_000].T, atol=1e-4)


def test_an_uneven_rate(tmp_path: Path) -> None:
    """Frames keep their times; the one on display at the begin is the first."""
    times = [0, 0.5, 0.6, 1.9, 3.3, 3.4, 5.2, 7.0, 9.1]
    path = make_video(tmp_path / "a.mkv", frames=len(times), times=times, gop=100, with_sound=False)
    cut = cut_stretch(path, 2, 6, tmp_path / "c")
    with av.open(str(cut.path)) as container:
        shown = [round(frame.time or 0.0, 3) for frame in container.decode(video=0)]
    assert shown == pytest.approx([0, 1.3, 1.4, 3.2], abs=0.002)
    assert track(cut.path, "video")[2] == pytest.approx(4, abs=0.01)


def test_a_clock_that_starts_again(tmp_path: Path) -> None:
    parts = [
        make_video(tmp_path / f"{number}.ts", frames=100, fps=10, sound=tone(10, 16_000)).read_bytes()
        for number in range(2)
    ]
    (tmp_path / "a.ts").write_bytes(b"".join(parts))
    cut = cut_stretch(tmp_path / "a.ts", 8, 12, tmp_path / "c")
    assert (cut.picture, cut.sound) == ("encoded", "encoded")
    check(cut, 4, 0.1)


def test_turned_pictures_stay_upright(tmp_path: Path) -> None:
    for gop, how in ((10, "copied"), (100, "encoded")):
        path = make_video(tmp_path / f"{gop}.mp4", frames=100, fps=10, gop=gop, size=(64, 32), rotation=90)
        cut = cut_stretch(path, 2, 4, tmp_path / "c")
        assert cut.picture == how
        with av.open(str(cut.path)) as container:
            frame = next(container.decode(video=0))
            upright = (frame.height, frame.width) if frame.rotation % 180 else (frame.width, frame.height)
            assert upright == (32, 64)


def test_behind_the_end(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=100, fps=10, gop=10)
    check(cut_stretch(path, 9, 15, tmp_path / "over"), 1, 0.1)
    with pytest.raises(MediaError, match=r"it ends at 10\.\d s, before second 12"):
        cut_stretch(path, 12, 14, tmp_path / "c")
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 99)
    with pytest.raises(MediaError, match="cannot be read"):
        cut_stretch(tmp_path / "bad.mp4", 0, 1, tmp_path / "c")
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.mp4", "bad.mp4", "over.mp4"}


@pytest.mark.skipif(not SHARED.is_dir(), reason="recordings of the world are not there")
@pytest.mark.parametrize("name", ["BjCEufrlXm4.mp4", "train.mp4", "languagebind_0_silent.mp4", "languagebind_0.wav"])
def test_recordings(name: str, tmp_path: Path) -> None:
    for begin, end in ((0, 2), (5, 7)):
        check(cut_stretch(SHARED / name, begin, end, tmp_path / "c"), end - begin, 0.05)


# --- many of them ---------------------------------------------------------------------------------------------


def table_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "cuts.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def event(clip: str, onset: float, offset: float, label: str = "dog", stream: str = "visual") -> FoundEvent:
    return FoundEvent(clip, stream, label, onset, offset, 0.75)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    (folder / "below").mkdir()
    make_video(folder / "a.mp4", frames=100, fps=10, gop=10, with_sound=False)
    make_video(folder / "below" / "long.mkv", frames=250, fps=10, gop=10, with_sound=False)
    (folder / "bad.mp4").write_bytes(b"no video" * 99)
    return folder


def test_a_batch(videos: Path, tmp_path: Path) -> None:
    """A file that is bad or gone is a line of the table; clips of a longer file are cut at the file's seconds."""
    clips = ["a", "long#0", "long#1", "bad", "gone"]
    origins: dict[str, Any] = {"long#0": ["long", 0.0], "long#1": ["long", 20.0, 25.0]}
    sources = Videos(videos, clips, origins, {"long": "below/long.mkv"})
    events = [
        event("a", 2, 5),
        event("a", 2, 5, "Dog"),
        event("a", 2, 5, "cat/dog", "audio"),
        event("long#1", 1, 9),
        event("bad", 0, 2),
        event("gone", 0, 2),
        event("long#1", 7, 9),
    ]
    made = cut_events(events, sources, tmp_path / "cuts")
    rows = table_of(tmp_path / "cuts")
    assert tuple(rows[0]) == COLUMNS
    assert [row["clip"] for row in rows] == [each.clip for each in events]
    names = [row["file"] for row in rows]
    assert names[0] == "a_0002.00-0005.00_visual_dog.mp4"
    assert names[1] == "a_0002.00-0005.00_visual_Dog~2.mp4"
    assert names[2].startswith("a_0002.00-0005.00_audio_cat_dog~")
    assert names[3] == "long#1_0001.00-0009.00_visual_dog.mkv"
    assert names[4:] == ["", "", ""]
    assert {entry.name for entry in (tmp_path / "cuts").iterdir()} == {"cuts.csv", *names[:4]}
    assert [(row["begin"], row["end"]) for row in rows[:4]] == [("2.0", "5.0")] * 3 + [("21.0", "25.0")]
    assert [row["source"] for row in rows] == [*["a.mp4"] * 3, "below/long.mkv", "bad.mp4", "", "below/long.mkv"]
    assert [bool(row["reason"]) for row in rows] == [False] * 4 + [True] * 3
    assert rows[3]["picture"] == "copied"
    assert rows[3]["score"] == "0.75"
    assert made.counts == Counter(copied=4)
    assert sum(made.failed.values()) == 3
    check(Cut(tmp_path / "cuts" / names[3], "copied", "", 21, 25), 4, 0.1)


def test_stitched_events_are_of_files(videos: Path, tmp_path: Path) -> None:
    sources = Videos(videos, ["long#0"], {"long#0": ["long", 0.0]}, {"long": "below/long.mkv"})
    seen: list[tuple[int, int]] = []
    cut_events(
        [event("long", 8, 12)], sources, tmp_path, stitched=True,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    [row] = table_of(tmp_path)
    assert (row["begin"], row["end"], row["picture"]) == ("8.0", "12.0", "copied")
    assert seen == [(0, 1), (1, 1)]


def test_cut_again(videos: Path, tmp_path: Path) -> None:
    sources = Videos(videos, ["a"], {}, {})
    cut_events([event("a", 2, 5)], sources, tmp_path)
    [name] = [entry.name for entry in tmp_path.iterdir() if entry.suffix == ".mp4"]
    (tmp_path / name).write_bytes(b"half")
    cut_events([event("a", 2, 5)], sources, tmp_path)
    assert track(tmp_path / name, "video")[0] == 30
    assert cut_events([], sources, tmp_path).counts == Counter()
    assert table_of(tmp_path) == []


def test_a_stopped_run_leaves_no_half_file(videos: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_events([event("a", 2, 5), event("a", 5, 6)], Videos(videos, ["a"], {}, {}), tmp_path, progress=stop)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a_0002.00-0005.00_visual_dog.mp4"]


def test_wrong_folders(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match=r"has none of the cache's files, such as x\.mp4"):
        Videos(videos, ["x", "y"], {}, {})
    sources = Videos(videos, ["a"], {}, {})
    for folder in (videos, videos / "cuts"):
        with pytest.raises(ExtractError, match="lies in the folder of the videos"):
            cut_events([], sources, folder)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExtractError, match="cannot be made"):
        cut_events([], sources, tmp_path / "file")
