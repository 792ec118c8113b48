"""The demo's clips: real files, known events, equal for equal seeds, careful with other people's files."""

import json
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from extract import ExtractError, resolve_labels
from extract.demo import DEMO_LABELS, make_demo
from extract.demo.clips import clip_frames, clip_sound
from extract.demo.script import FIRST_TRAINING_SEED, SECONDS, write_scripts
from extract.demo.synth import RATE
from extract.demo.things import THINGS, Thing
from extract.demo.training.seeds import training_rng
from tests.command import av2a, refusal

SMALL = (64, 64)


def test_labels() -> None:
    assert len(DEMO_LABELS) >= 8
    assert resolve_labels("demo")[1] == list(DEMO_LABELS)


def test_files_and_annotations(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    made = make_demo(tmp_path, clips_per_split=2, workers=1, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 4) for done in range(5)]
    names = sorted(path.name for path in made.videos.glob("*.mp4"))
    assert names == ["demo_test_000.mp4", "demo_test_001.mp4", "demo_val_000.mp4", "demo_val_001.mp4"]
    assert resolve_labels(made.labels)[0] == "demo"
    for name in names:
        with av.open(str(made.videos / name)) as file:
            video, audio = file.streams.video[0], file.streams.audio[0]
            assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
            assert video.frames == 100
            assert abs(float(video.duration * video.time_base) - SECONDS) < 0.01  # type: ignore[operator]
            assert abs(float(audio.duration * audio.time_base) - SECONDS) < 0.1  # type: ignore[operator]

    scripts = {script.clip_id: script for split in ("val", "test") for script in write_scripts(split, 2, 0)}
    for file_name, kind in (("AVVP_eval_audio.csv", "heard"), ("AVVP_eval_visual.csv", "seen")):
        header, *lines = (made.annotations / file_name).read_text().splitlines()
        assert header.split("\t") == ["filename", "onset", "offset", "event_labels"]
        told_events = [tuple(line.split("\t")) for line in lines]
        assert told_events == [
            (clip, str(onset), str(offset), happening.label)
            for clip, script in scripts.items()
            for happening in script.happenings
            for onset, offset in getattr(happening, kind)
        ]
    header, *lines = (made.annotations / "AVVP_test_pd.csv").read_text().splitlines()
    assert header.split("\t") == ["filename", "event_labels"]
    assert [line.split("\t")[0] for line in lines] == ["demo_test_000", "demo_test_001"]


def test_scripts() -> None:
    val, test = write_scripts("val", 48, 0), write_scripts("test", 48, 0)
    assert write_scripts("val", 48, 0) == val
    assert [s.happenings for s in val] != [s.happenings for s in test]
    assert [s.happenings for s in val] != [s.happenings for s in write_scripts("val", 48, 1)]
    for scripts in (val, test):
        counts = {label: sum(label in script.labels for script in scripts) for label in DEMO_LABELS}
        assert min(counts.values()) >= 4, counts
        happenings = [happening for script in scripts for happening in script.happenings]
        for kind in (lambda h: h.seen and h.heard, lambda h: not h.heard, lambda h: not h.seen):
            assert sum(bool(kind(h)) for h in happenings) >= 8
        for script in scripts:
            assert 1 <= len(script.labels) <= 3
            assert len(set(script.labels)) == len(script.labels)
        for spans in [h.seen for h in happenings] + [h.heard for h in happenings]:
            for onset, offset in spans:
                assert 0 <= onset < offset <= SECONDS
            for (_, end), (start, _) in pairwise(spans):
                assert end < start


def test_equal_seeds_give_equal_clips(tmp_path: Path) -> None:
    script, other = write_scripts("val", 2, 7)
    frames = np.stack(list(clip_frames(script)))
    assert frames.shape == (100, 120, 160, 3)
    assert np.array_equal(frames, np.stack(list(clip_frames(script))))
    assert not np.array_equal(frames, np.stack(list(clip_frames(other))))
    sound = clip_sound(script)
    assert sound.shape == (SECONDS * RATE,)
    assert np.array_equal(sound, clip_sound(script))
    first = make_demo(tmp_path / "first", clips_per_split=1, seed=7, size=SMALL, workers=1)
    second = make_demo(tmp_path / "second", clips_per_split=1, seed=7, size=SMALL)
    for path in sorted(first.videos.iterdir()) + sorted(first.annotations.iterdir()):
        twin = second.videos.parent / path.relative_to(first.videos.parent)
        assert twin.read_bytes() == path.read_bytes(), path.name


@pytest.mark.slow
def test_processes_make_the_same(tmp_path: Path) -> None:
    one = make_demo(tmp_path / "one", clips_per_split=2, seed=3, size=SMALL, workers=1)
    two = make_demo(tmp_path / "two", clips_per_split=2, seed=3, size=SMALL, workers=2)
    for path in one.videos.glob("*.mp4"):
        assert (two.videos / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.label)
def test_sounds_are_sound(thing: Thing) -> None:
    sound = thing.sound(np.random.default_rng(1), 3 * RATE)
    assert sound.dtype == np.float32
    assert sound.shape == (3 * RATE,)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() > 0.01


def test_training_is_apart_from_the_demo() -> None:
    with pytest.raises(ValueError, match="seed must be from 0 to 4294967295"):
        write_scripts("val", 1, FIRST_TRAINING_SEED)
    with pytest.raises(ValueError, match="0 or more"):
        training_rng(-1)
    assert training_rng(0).random() == np.random.default_rng((FIRST_TRAINING_SEED,)).random()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clips_per_split": 0}, "1 to 999"),
        ({"seed": -1}, "0 to 4294967295"),
        ({"seed": FIRST_TRAINING_SEED}, "0 to 4294967295"),
        ({"size": (161, 120)}, "even"),
        ({"size": (32, 32)}, "64 to 1024"),
        ({"workers": 0}, "1 or more"),
    ],
)
def test_wrong_values(tmp_path: Path, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ExtractError, match=message):
        make_demo(tmp_path / "demo", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "demo").exists()


def test_earlier_demo(tmp_path: Path) -> None:
    made = make_demo(tmp_path, clips_per_split=2, size=SMALL, workers=1)
    (made.videos / "mine.mp4").write_bytes(b"mine")
    with pytest.raises(ExtractError, match="holds a demo already: use it, or make it again with `overwrite=True`"):
        make_demo(tmp_path, clips_per_split=1)
    make_demo(tmp_path, clips_per_split=1, seed=5, size=SMALL, overwrite=True)
    names = sorted(path.name for path in made.videos.glob("*.mp4"))
    assert names == ["demo_test_000.mp4", "demo_val_000.mp4", "mine.mp4"]
    assert json.loads(made.note.read_text())["seed"] == 5


@pytest.mark.parametrize("name", ["videos/demo_val_000.mp4", "videos/labels.txt", "annotations/AVVP_eval_audio.csv"])
def test_others_files_stay(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir()
    path.write_bytes(b"mine")
    with pytest.raises(ExtractError, match="was not made by `av2a demo`"):
        make_demo(tmp_path, clips_per_split=1, overwrite=True)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("note", ["", "{}", '{"made_by": "av2a demo", "files": 3}', '["x"]'])
def test_strange_note(tmp_path: Path, note: str) -> None:
    path = tmp_path / "annotations" / "demo.json"
    path.parent.mkdir()
    path.write_text(note)
    with pytest.raises(ExtractError, match="was not made by `av2a demo`"):
        make_demo(tmp_path, clips_per_split=1, overwrite=True)
    assert path.read_text() == note


def test_note_reaches_nothing_outside(tmp_path: Path) -> None:
    outside = tmp_path / "keep.mp4"
    outside.write_bytes(b"mine")
    note = tmp_path / "demo" / "annotations" / "demo.json"
    note.parent.mkdir(parents=True)
    files = ["../keep.mp4", "videos/../../keep.mp4", str(outside), "videos/a.mp4"]
    note.write_text(json.dumps({"made_by": "av2a demo", "files": files}))
    make_demo(tmp_path / "demo", clips_per_split=1, size=SMALL, overwrite=True)
    assert outside.read_bytes() == b"mine"


def test_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "videos").write_text("a file")
    with pytest.raises(ExtractError, match="is a file: the demo needs a folder there"):
        make_demo(tmp_path, clips_per_split=1)


def test_command(tmp_path: Path) -> None:
    done = av2a("demo", "--clips", 1, cwd=tmp_path)
    assert done.code == 0
    assert "2 clips in videos" in done.out
    assert "holds a demo already" in refusal("demo", cwd=tmp_path)
