"""Extraction that is gone on with, done again, refused, or has nothing to do."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from extract import ExtractError
from extract.media.clip import decode_clip
from extract.run import worker
from extract.summary import Summary
from feature_cache import CacheError, FeatureCache
from tests.command import av2a
from tests.extraction import GOOD, assert_equal, extract

# --- going on -------------------------------------------------------------------------------------------


def test_interrupted_run_is_gone_on_with(
    run: tuple[FeatureCache, Summary], videos: Path, checkpoint: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    calls: list[str] = []

    def counted(path: Path, **options: Any) -> Any:
        calls.append(path.stem)
        if path.stem == "yaks" and calls.count("yaks") == 1:
            raise KeyboardInterrupt
        return decode_clip(path, **options)

    monkeypatch.setattr(worker, "decode_clip", counted)
    with pytest.raises(KeyboardInterrupt):
        extract(videos, tmp_path / "f.zarr", checkpoint, dtype="float32")
    half = FeatureCache.open(tmp_path / "f.zarr")
    assert half.status().tolist() == [1, 1, 1, 0, 0]
    assert half.text().labels == ("Dog", "Train horn", "Yak")
    calls[:] = ["yaks"]
    summary = extract(videos, tmp_path / "f.zarr", checkpoint, dtype="float32", shard_size=7, workers=1)
    assert sorted(calls[1:]) == ["trains", "yaks"]
    assert (summary.done, summary.skipped) == (5, 3)
    assert_equal(FeatureCache.open(tmp_path / "f.zarr").read(), run[0].read())


def test_labels_are_added_without_opening_a_video(
    videos: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = videos / "birds.mp4"
    extract(source, tmp_path / "f.zarr", checkpoint, labels="llp")
    monkeypatch.setattr(worker, "decode_clip", None)
    assert extract(source, tmp_path / "f.zarr", checkpoint, labels="ave").text_name == "ave"
    assert extract(source, tmp_path / "f.zarr", checkpoint, labels="ave", text_name="mine").skipped == 1
    assert FeatureCache.open(tmp_path / "f.zarr").text_names == ["ave", "llp", "mine"]
    with pytest.raises(ExtractError, match="label set 'mine' with other labels: choose another name, or overwrite it"):
        extract(source, tmp_path / "f.zarr", checkpoint, labels="llp", text_name="mine")


def test_another_kind_of_run_is_refused(
    videos: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.models import make_checkpoint

    source = Path(shutil.copytree(videos, tmp_path / "few"))
    for name in GOOD[1:4]:
        next(source.glob(f"{name}.*")).unlink()
    extract(source, tmp_path / "f.zarr", checkpoint)
    before = FeatureCache.open(tmp_path / "f.zarr").identity

    def refused(said: str, **options: Any) -> None:
        with pytest.raises(ExtractError, match=said) as caught:
            extract(source, tmp_path / "f.zarr", options.pop("weights", checkpoint), **options)
        assert "`overwrite=True`" in str(caught.value)
        assert "\n" not in str(caught.value)

    refused("dtype 'float16', now 'float32'", dtype="float32")
    refused("precision 'float32', now 'bfloat16'", precision="bfloat16")
    refused("backbone 'clip_clap', now 'tiny'", backbone="tiny")
    refused("clip.sha256", weights=make_checkpoint(tmp_path / "other", seed=1))
    moved = Path(shutil.copytree(checkpoint, tmp_path / "moved"))
    assert extract(source, tmp_path / "f.zarr", moved, batch_size=7).skipped == 2
    shutil.copy(videos / "dogs.mp4", source)
    (source / "yaks.mp4").unlink()
    assert FeatureCache.open(tmp_path / "f.zarr").identity == before
    assert extract(source, tmp_path / "f.zarr", checkpoint, overwrite=True).skipped == 0
    assert FeatureCache.open(tmp_path / "f.zarr").clip_ids == ["birds", "dogs"]


def test_outputs_that_are_something_else(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("mine")
    for name in ("file", "folder"):
        for overwrite in (False, True):
            with pytest.raises(CacheError):
                extract(videos, tmp_path / name, checkpoint, overwrite=overwrite)
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "thesis.tex").read_text() == "mine"


# --- nothing to do --------------------------------------------------------------------------------------


def test_nothing_to_read(tmp_path: Path, videos: Path, checkpoint: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "notes.txt").write_text("x")
    (tmp_path / "some" / ".hidden.mp4").write_text("x")
    for source, said in ((tmp_path / "nowhere", "no folder"), (tmp_path / "some", "no videos")):
        with pytest.raises(ExtractError, match=rf"{said}.*`make_demo\(...\)`"):
            extract(source, tmp_path / "f.zarr", checkpoint)
    with pytest.raises(ExtractError, match=r"no folder .*`audio_dir`"):
        extract(videos, tmp_path / "f.zarr", checkpoint, audio_dir=tmp_path / "nowhere")
    with pytest.raises(ExtractError, match="no WAV files in"):
        extract(videos, tmp_path / "f.zarr", checkpoint, audio_dir=tmp_path / "some")
    assert not (tmp_path / "f.zarr").exists()


@pytest.mark.parametrize("options", [{"labels": "nope"}, {"workers": 0}, {"batch_size": 0}, {"shard_size": -1}])
def test_refused_options(options: dict[str, Any], videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ExtractError):
        extract(videos, tmp_path / "f.zarr", checkpoint, **options)
    assert not (tmp_path / "f.zarr").exists()


def test_command(videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """The whole command: a default folder, a bad file, exit code 3, then what it left."""
    (tmp_path / "videos").mkdir()
    shutil.copy(videos / "birds.mp4", tmp_path / "videos")
    (tmp_path / "videos" / "empty.mp4").write_bytes(b"")
    words = ("extract", "--backbone", "clip_clap", "--checkpoint", checkpoint, "--device", "cpu")
    done = av2a(*words, cwd=tmp_path)
    assert done.code == 3, done.err
    assert "failed: empty: empty.mp4: it is empty (0 bytes)" in done.err
    assert "1 clips done, 1 failed" in done.out
    assert FeatureCache.open(tmp_path / "features.zarr").text_names == ["llp"]
    assert "empty" in av2a("info", "--failed", cwd=tmp_path).out
