"""Which backbone `av2a extract` takes by itself: the toy for what a demo made, a real one for everything else."""

import json
import shutil
import socket
from pathlib import Path

import pytest

from extract import ExtractError, extract_videos
from extract.backbones import weights
from extract.default_backbone import choose_backbone
from extract.demo import make_demo
from extract.demo.note import not_of_a_demo
from feature_cache import FeatureCache
from tests.command import av2a, refusal
from tests.media import make_video

TOY_NOTE = "`tiny` knows the demo's made clips only"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with videos/ and annotations/ of a demo; not to be changed."""
    folder = tmp_path_factory.mktemp("demo")
    make_demo(folder, clips_per_split=1, size=(64, 64), workers=1)
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No model hub, and nothing of it left here; for commands, too."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def chosen(folder: Path, **options: bool) -> str:
    return choose_backbone(None, sorted(folder.rglob("*.mp4")), None, **options).name


def test_what_a_demo_made(demo: Path, tmp_path: Path) -> None:
    note = json.loads((demo / "videos" / "demo.json").read_text())
    assert (note["made_by"], note["version"]) == ("av2a demo", 1)
    videos = Path(shutil.copytree(demo / "videos", tmp_path / "clips"))  # under another name, annotations left behind
    assert chosen(videos) == chosen(tmp_path) == chosen(demo) == "tiny"
    assert chosen(videos, weights_given=True) == "clip_clap"
    one = next(videos.glob("*.mp4"))
    shutil.copy(one, videos / "mine.mp4")
    assert chosen(videos) == "clip_clap"
    assert [path.name for path in not_of_a_demo(videos.glob("*.mp4"))] == ["mine.mp4"]
    (videos / "mine.mp4").unlink()
    shutil.copy(one, tmp_path)
    assert chosen(tmp_path) == "clip_clap"
    assert choose_backbone(None, [one], None).name == "tiny"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"made_by": "av2a demo", "version": 2}', '{"made_by": "you"}', '{"made_by": "av2a demo"}']
)
def test_other_notes(text: str, demo: Path, tmp_path: Path) -> None:
    videos = Path(shutil.copytree(demo / "videos", tmp_path / "videos"))
    files = json.loads((videos / "demo.json").read_text())["files"]
    (videos / "demo.json").write_text(text)
    assert chosen(videos) == "clip_clap"
    if "version" in text:
        (videos / "demo.json").write_text(json.dumps({**json.loads(text), "files": files}))
        assert chosen(videos) == "clip_clap"


def test_a_demo_of_an_early_av2a(demo: Path, tmp_path: Path) -> None:
    """Its note has no version and lies among the annotations; made again, it has one among the videos."""
    shutil.copytree(demo, tmp_path, dirs_exist_ok=True)
    note, early = tmp_path / "videos" / "demo.json", tmp_path / "annotations" / "demo.json"
    files = json.loads(note.read_text())["files"]
    note.unlink()
    early.write_text(json.dumps({"made_by": "av2a demo", "seed": 0, "files": files}))
    assert chosen(tmp_path / "videos") == "tiny"
    with pytest.raises(ExtractError, match="holds a demo already"):
        make_demo(tmp_path, clips_per_split=1)
    make_demo(tmp_path, clips_per_split=1, size=(64, 64), workers=1, overwrite=True)
    assert note.is_file()
    assert not early.exists()


@pytest.mark.slow
def test_a_demo_through_the_command(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").symlink_to(demo / "videos", target_is_directory=True)
    done = av2a("extract", cwd=tmp_path)
    assert done.code == 0, done.err
    assert TOY_NOTE not in done.err
    cache = FeatureCache.open(tmp_path / "features.zarr")
    assert (cache.backbone, cache.text_names) == ("tiny", ["demo"])


def test_other_videos_without_weights(tmp_path: Path, offline: None) -> None:
    """One line: how weights are placed, and what the toy is."""
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "a.mp4", frames=10, fps=1, size=(32, 32), with_sound=False)
    line = refusal("extract", cwd=tmp_path)
    for part in (
        "--checkpoint DIR",
        "docs/backbones.md",
        "DIR/clip/",
        "DIR/clap/",
        "--backbone tiny",
        "`av2a demo` only",
    ):
        assert part in line
    assert not (tmp_path / "features.zarr").exists()


def test_going_on_takes_what_is_there(checkpoint: Path, tmp_path: Path, offline: None) -> None:
    """A cache's own backbone goes on, and one asked for that is another is refused, as ever."""
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "a.mp4", frames=10, fps=1, size=(32, 32), with_sound=False)
    output = tmp_path / "f.zarr"
    asked = extract_videos(tmp_path / "videos", output, backbone="tiny", device="cpu")
    assert any(TOY_NOTE in note for note in asked.notes)
    again = extract_videos(tmp_path / "videos", output, device="cpu")
    assert again.skipped == 1
    assert any(TOY_NOTE in note for note in again.notes)
    with pytest.raises(ExtractError, match="no weights"):
        extract_videos(tmp_path / "videos", output, device="cpu", overwrite=True)
    with pytest.raises(ExtractError, match="backbone 'tiny', now 'clip_clap'"):
        extract_videos(tmp_path / "videos", output, backbone="clip_clap", checkpoint=checkpoint, device="cpu")
    usual = extract_videos(tmp_path / "videos", tmp_path / "g.zarr", checkpoint=checkpoint, device="cpu")
    assert FeatureCache.open(usual.path).backbone == "clip_clap"


def test_a_hub_that_never_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It takes the call and says nothing: that is no hub, after a while, and no error of the library's comes out."""
    from huggingface_hub import constants

    monkeypatch.setattr(weights, "_ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setenv("HF_ENDPOINT", address)
        assert weights.from_hub("laion/clap-htsat-unfused", ["model.safetensors"], ["config.json"]) is None
        silent.settimeout(10)
        silent.accept()[0].close()  # it was asked
