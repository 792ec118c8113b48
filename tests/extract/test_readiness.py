"""What a run would lack; runs that take some of a folder's files."""

from pathlib import Path

import pytest

from extract import ExtractError, ExtractOptions, make_demo
from extract.demo import demo_there
from extract.readiness import readiness
from extract.run.inputs import find_videos


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(tmp_path_factory.mktemp("ready") / "demo", clips_per_split=1, workers=1).videos


def test_some_files(demo: Path, tmp_path: Path) -> None:
    """An id is what it is among all of the files."""
    assert list(find_videos(demo, only=["demo_val_000", "x"]).files) == ["demo_val_000"]
    with pytest.raises(ExtractError, match=r"none of the 1 files to take .* is in"):
        find_videos(demo, only=["x"])
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.mp4").write_bytes(b"?" * 2000)
    assert dict(find_videos(tmp_path, only=["b/x"]).paths) == {"b/x": "b/x.mp4"}
    with pytest.raises(ExtractError, match="`prune=True`"):
        ExtractOptions(prune=True, only=["x"])


def test_nothing_is_missing(demo: Path, tmp_path: Path) -> None:
    found = readiness(demo, tmp_path / "c.zarr", ExtractOptions(device="cpu"), usual=("unheard_of", "tiny"))
    assert (found.backbone, found.files, found.missing) == ("tiny", ("demo_test_000", "demo_val_000"), ())


def test_all_that_is_missing(tmp_path: Path) -> None:
    options = ExtractOptions(device="tpu", checkpoint=tmp_path / "none")
    found = readiness(tmp_path / "videos", tmp_path / "c.zarr", options)
    assert found.backbone == "clip_clap"
    assert [line.partition(":")[0] for line in found.missing] == ["videos", "device", "weights"]
    found = readiness(tmp_path / "videos", tmp_path / "c.zarr", ExtractOptions(backbone="none", device="cpu"))
    assert (found.backbone, [line.partition(":")[0] for line in found.missing]) == ("", ["backbone", "videos"])


def test_nothing_is_fetched_to_say_that_something_else_is_missing(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*words: object) -> None:
        raise AssertionError(words)

    monkeypatch.setattr("extract.readiness.load_backbone", refuse)
    options = ExtractOptions(backbone="clip_clap", device="cpu")
    assert readiness(demo, tmp_path / "c.zarr", options, others_missing=True).missing == ()
    assert len(readiness(tmp_path / "none", tmp_path / "c.zarr", options).missing) == 1


def test_a_demo_that_is_there(demo: Path, tmp_path: Path) -> None:
    found = demo_there(demo.parent)
    assert found is not None
    assert found.videos == demo
    assert demo_there(tmp_path) is None
