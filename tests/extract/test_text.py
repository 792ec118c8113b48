"""Label sets added to a cache without its videos: prompts, averages, refusals."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from extract import ExtractError, load_backbone
from extract.backbones.base import BoundedText
from extract.label_embeddings import add_label_set, encode_labels
from extract.label_notes import text_notes
from feature_cache import CacheError, FeatureCache, TextSet
from tests.command import av2a, refusal
from tests.extraction import extract
from tests.media import make_video
from tests.models import make_checkpoint


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache whose video is gone, the weights that made it, and two label files."""
    folder = tmp_path_factory.mktemp("text")
    video = make_video(folder / "clip.mp4", frames=20, fps=2)
    extract(video, folder / "features.zarr", checkpoint, labels="ave")
    video.unlink()
    shutil.copytree(checkpoint, folder / "weights")
    (folder / "mine.txt").write_text("Dog\nTrain_horn\nYak\n")
    (folder / "one.txt").write_text("Dog\n")
    return folder


def unit(table: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = table / np.linalg.norm(table, axis=1, keepdims=True)
    return found


def test_a_set_is_added_and_scored(folder: Path) -> None:
    done = av2a("text", "--labels", "mine.txt", "--checkpoint", "weights", "--name", "mine", cwd=folder)
    assert (done.code, done.out) == (0, "features.zarr: label set 'mine', 3 labels\n")
    done = av2a("text", "--labels", "mine.txt", "--checkpoint", "weights", "--name", "mine", cwd=folder)
    assert (done.code, done.out) == (0, "features.zarr: label set 'mine', 3 labels, was there\n")
    found = FeatureCache.open(folder / "features.zarr").text("mine")
    expected = encode_labels(load_backbone("clip_clap", folder / "weights"), ["Dog", "Train_horn", "Yak"])
    assert found.labels == ("Dog", "Train_horn", "Yak")
    np.testing.assert_array_equal(found.visual, expected.visual)
    np.testing.assert_array_equal(found.audio, expected.audio)
    scored = av2a("score", "--text", "mine", "--filter-threshold", "0", cwd=folder)
    assert scored.code == 0, scored.err


@pytest.mark.slow
def test_own_prompts_and_averages(folder: Path) -> None:
    words = ["a noise of {label}", "{label}, heard from afar"]
    options = [option for word in words for option in ("--prompt-audio", word)]
    done = av2a(
        "text", "--labels", "mine.txt", "--name", "two", "--prompt-visual", "{label} on a photo", *options,
        "--checkpoint", "weights", cwd=folder,
    )  # fmt: skip
    assert done.code == 0, done.err
    found = FeatureCache.open(folder / "features.zarr").text("two")
    assert found.prompts["visual"][0] == "Dog on a photo"
    assert list(found.prompts["audio"][1]) == ["a noise of Train_horn", "Train_horn, heard from afar"]
    backbone = load_backbone("clip_clap", folder / "weights")
    each = [backbone.encode_audio_text([w.format(label=x) for x in found.labels]).double().numpy() for w in words]
    np.testing.assert_allclose(found.audio, unit(unit(each[0]) + unit(each[1])), atol=1e-6)
    one = backbone.encode_visual_text([f"{label} on a photo" for label in found.labels]).numpy()
    np.testing.assert_array_equal(found.visual, one)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"visual_prompts": ["a {label}", "the {label}"]}, "2 visual prompts: .* no unit vectors"),
        ({"audio_prompts": ["a sound"]}, r"audio prompt 'a sound' has no {label}: write it where the label goes"),
        ({"name": "ave"}, "a label set 'ave' with other labels: choose another name, or overwrite it"),
        ({"name": "../x"}, "text set name '../x': use letters"),
        ({"name": "Nul"}, "text set name 'Nul': a folder cannot be called that on every system; use another name"),
        ({"name": "mine."}, "text set name 'mine.': a folder cannot be called that on every system"),
        ({"labels": "one.txt"}, r"one.txt has 1 label\(s\): at least 2"),
        ({"labels": "none.txt"}, "no label set '.*none.txt'"),
    ],
)
def test_refusals(options: dict[str, Any], said: str, folder: Path) -> None:
    labels = folder / options.pop("labels", "mine.txt")
    with pytest.raises((ExtractError, CacheError), match=said) as caught:
        add_label_set(folder / "features.zarr", labels, checkpoint=folder / "weights", **options)
    assert "\n" not in str(caught.value)


LONG = "somebody plays an old accordion " * 16
FAR = ["Dog", f"{LONG}slowly", f"{LONG}fast", "Yak"]


@pytest.mark.slow
def test_labels_that_are_cut_or_equal_are_named(folder: Path, tmp_path: Path) -> None:
    """Beyond 77 tokens no encoder reads: what differs there alone cannot be told apart, and that is said."""
    (tmp_path / "long.txt").write_text("\n".join(FAR))
    done = av2a(
        "text", str(folder / "features.zarr"), "--labels", "long.txt", "--checkpoint", folder / "weights", cwd=tmp_path
    )
    assert done.code == 0, done.err
    notes = done.err.splitlines()
    assert len(notes) == 2
    assert notes[0].startswith("note: longer than clip_clap reads, for pictures and sound, so that the end makes ")
    assert notes[1].startswith("note: clip_clap cannot tell apart in pictures and sound (equal embeddings): 'somebody")
    for note in notes:
        assert note.count("'somebody plays an old accord … ") == 2
        assert "n slowly'" in note
        assert "n fast'" in note
        assert "Yak" not in note
    again = av2a(
        "text", str(folder / "features.zarr"), "--labels", "long.txt", "--checkpoint", folder / "weights", cwd=tmp_path
    )
    assert again.err == done.err
    summary = extract(
        make_video(tmp_path / "v.mp4"), tmp_path / "f.zarr", folder / "weights", labels=tmp_path / "long.txt"
    )
    assert [f"note: {note}" for note in summary.notes[:2]] == notes


@pytest.mark.parametrize(("words", "cut"), [(72, False), (73, False), (74, True)])
def test_the_last_word_that_is_read(words: int, cut: bool, checkpoint: Path) -> None:
    """77 tokens are start, "a", the label's and the end."""
    backbone = load_backbone("clip_clap", checkpoint)
    assert isinstance(backbone, BoundedText)
    line = "A " + " ".join(["dog"] * (words + 1))
    assert backbone.sentences_cut("visual", ["A cat", line]) == [False, cut]
    one, other = backbone.encode_visual_text([line, f"{line} cat"]).double().numpy()
    assert np.allclose(one, other, rtol=0, atol=1e-6 * np.linalg.norm(one)) == (words > 72)


def test_no_cache(folder: Path) -> None:
    assert "nothing.zarr is not there" in refusal("text", "nothing.zarr", "--labels", "ave", cwd=folder)


def test_other_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "other", seed=1)
    with pytest.raises(ExtractError, match=r"made with other weights \(clip.sha256 .*give the same `checkpoint`"):
        add_label_set(folder / "features.zarr", "llp", checkpoint=tmp_path / "other")
    assert "llp" not in FeatureCache.open(folder / "features.zarr").text_names


def test_overwriting(folder: Path, tmp_path: Path) -> None:
    cache = Path(shutil.copytree(folder / "features.zarr", tmp_path / "f.zarr"))
    added = add_label_set(cache, folder / "mine.txt", "ave", checkpoint=folder / "weights", overwrite=True)
    assert added == ("ave", 3, True, ())
    assert FeatureCache.open(cache).text("ave").labels == ("Dog", "Train_horn", "Yak")


# --- many labels ------------------------------------------------------------------------------------------

_MEASURED = """
from pathlib import Path
import extract.label_embeddings as embeddings
from extract.backbones import load_backbone
from extract.label_notes import text_notes
from feature_cache import TextSet
def peak():  # of this process since it began, in MB
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
def embedded(count):
    labels = [f"thing {number}" for number in range(count)]
    found = embeddings.encode_labels(backbone, labels)
    text_notes(backbone, TextSet("x", tuple(labels), found.visual, found.audio, found.prompts))
    return peak()
backbone = load_backbone("clip_clap", Path("weights"))
print(embedded(128), embedded(4000))
"""


def test_batches_of_labels_are_the_same_labels(folder: Path) -> None:
    """A set that fits one pass is embedded in one; the rows of a longer one are those of its labels."""
    backbone = load_backbone("clip_clap", folder / "weights")
    labels = [f"thing {number}" for number in range(300)]
    whole = encode_labels(backbone, labels)
    assert whole.visual.shape[0] == whole.audio.shape[0] == 300
    for first in (0, 128, 256):
        part = encode_labels(backbone, labels[first : first + 128])
        np.testing.assert_array_equal(whole.visual[first : first + 128], part.visual)
        np.testing.assert_array_equal(whole.audio[first : first + 128], part.audio)
    one_pass = backbone.encode_visual_text([f"A {label}" for label in labels[:100]])
    np.testing.assert_array_equal(encode_labels(backbone, labels[:100]).visual, one_pass.numpy())


def test_equal_labels_among_many() -> None:
    """As comparing each with each, without a table of all pairs."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((3000, 16)).astype(np.float32)
    table[[5, 900, 2999]] = table[3]
    table[1700] = 2 * table[40]
    table[[7, 8]] = 0
    prompts: dict[str, list[str]] = {"visual": [""] * 3000, "audio": [""] * 3000}
    labels = tuple(f"l{row}" for row in range(3000))
    backbone: Any = type("Named", (), {"name": "some"})()
    notes = text_notes(backbone, TextSet("x", labels, table, table, prompts))
    assert [note.partition(": ")[2] for note in notes] == ["'l3', 'l5', 'l900', 'l2999'", "'l40', 'l1700'"]
    same = np.ones((3000, 16), dtype=np.float32)
    assert text_notes(backbone, TextSet("x", labels, same, same, prompts))[0].endswith("and 2996 more")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's peak like that")
@pytest.mark.slow
def test_memory_does_not_grow_with_the_labels(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _MEASURED], cwd=folder, capture_output=True, text=True, check=True)
    few, many = map(int, done.stdout.split())
    assert many - few < 60, (few, many)


# --- sets that bring prompts ------------------------------------------------------------------------------


def test_prompts_that_a_set_brings(folder: Path, tmp_path: Path) -> None:
    """By extraction and afterwards alike; what is given goes first, and other prompts are another set."""
    video = make_video(tmp_path / "clip.mp4", frames=20, fps=2)
    extract(video, tmp_path / "c.zarr", folder / "weights", labels="ov-avebench")
    cache = FeatureCache.open(tmp_path / "c.zarr")
    assert cache.text_names == ["ov-avebench"]
    there = cache.text("ov-avebench")
    assert list(there.prompts["visual"]) == list(there.prompts["audio"]) == list(there.labels)
    added = add_label_set(tmp_path / "c.zarr", "ov-avebench", checkpoint=folder / "weights")
    assert (added.name, added.labels, added.new) == ("ov-avebench", 67, False)
    with pytest.raises(ExtractError, match="a label set 'ov-avebench' with other prompts"):
        add_label_set(tmp_path / "c.zarr", "ov-avebench", None, ["A {label}"], checkpoint=folder / "weights")
    add_label_set(tmp_path / "c.zarr", "ov-avebench", "mine", ["A {label}"], checkpoint=folder / "weights")
    mine = FeatureCache.open(tmp_path / "c.zarr").text("mine")
    assert (mine.prompts["visual"][0], mine.prompts["audio"][0]) == ("A airplane flyby", "airplane flyby")
