"""`av2a reproduce` as a process: small folders in each data set's form, the demo, what is missing, what fails."""

import json
import shutil
from pathlib import Path

import pytest

from extract.demo import make_demo
from extract.label_sets import resolve_labels
from feature_cache import FeatureCache
from tests.command import av2a, refusal

CLIPS = ("demo_test_000", "demo_test_001")
HEADER = "filename\tonset\toffset\tevent_labels\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo of two clips a split, and their annotations as every data set has them."""
    folder = tmp_path_factory.mktemp("experiments")
    made = make_demo(folder / "demo", clips_per_split=2, workers=1)
    shutil.copytree(made.videos, folder / "videos")
    write_llp(folder / "LLP", CLIPS)
    rows = "".join(f"{label}&{clip}&good&0&6\n" for label, clip in zip(("Bus", "Banjo"), CLIPS, strict=True))
    (folder / "AVE").mkdir()
    for name in ("Annotations.txt", "testSet.txt"):
        (folder / "AVE" / name).write_text("Category&VideoID&Quality&StartTime&EndTime\n" + rows)
    write_ov(folder / "OV")
    return folder


def write_llp(folder: Path, clips: tuple[str, ...]) -> None:
    folder.mkdir()
    for side in ("audio", "visual"):
        lines = "".join(f"{clip}\t0\t5\tDog\n" for clip in clips)
        (folder / f"AVVP_eval_{side}.csv").write_text(HEADER + lines)
    listed = "".join(f"{clip}\tDog\n" for clip in clips)
    (folder / "AVVP_test_pd.csv").write_text("filename\tevent_labels\n" + listed)


def write_ov(folder: Path) -> None:
    folder.mkdir()
    categories = [*resolve_labels("ov-avebench")[1], "other"]
    (folder / "ovave_total_close_open_categories.csv").write_text("\n".join(categories))
    rows = [
        f"test,{label},{kind},{clip}\n"
        for (label, kind), clip in zip((("helicopter", "open"), ("race car", "close")), CLIPS, strict=True)
    ]
    (folder / "ovave_dataset_meta.csv").write_text("split,cls_name,cls_type,vid_name\n" + "".join(rows))
    labels = {clip: {"category": "x", "label": str([1] * 5 + [0] * 5)} for clip in CLIPS}
    (folder / "released_ovavel_dataset_anno.json").write_text(json.dumps(labels))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "annotations", "title", "decision"),
    [
        ("llp", "LLP", "LLP", "threshold"),
        ("ave", "AVE", "AVE", "argmax"),
        ("ov-avebench", "OV", "OV-AVEBench", "threshold"),
    ],
)
def test_small_data_sets(
    experiment: str, annotations: str, title: str, decision: str, place: Path, tmp_path: Path
) -> None:
    words = ("reproduce", experiment, "--videos", "videos", "--annotations", annotations, "--backbone", "tiny")
    done = av2a(*words, "-o", tmp_path, cwd=place)
    assert done.code == 0, done.err
    assert f"{title}, test split, tiny: 2 of 2 clips\n" in done.out
    assert f"nothing is published with tiny on {title}'s test split, only with" in done.out
    assert f"decision={decision}" in done.out
    cache = FeatureCache.open(tmp_path / "features.zarr")
    assert sorted(cache.clip_ids) == list(CLIPS)  # the other split's clips are let alone
    assert cache.text_names == [experiment]
    facts = json.loads((tmp_path / "figures.json").read_text())
    assert facts["report"]["dataset"] == experiment
    alone = av2a(
        "evaluate", tmp_path / "events.json", "--annotations", annotations, "--dataset", experiment, "--json", cwd=place
    )
    assert facts["ours"] == alone.json()["metrics"]
    again = av2a(*words, "-o", tmp_path, "--json", cwd=place)
    assert again.json() == facts


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    """The recorded figures are reached, but for what another processor's last digits may change."""
    done = av2a("reproduce", "demo", cwd=tmp_path)
    assert done.code == 0, done.err
    facts = json.loads((tmp_path / "reproduce_demo" / "figures.json").read_text())
    assert len(facts["difference"]) == 10
    assert all(abs(difference) < 1 for difference in facts["difference"].values()), facts["difference"]
    assert facts["notes"] == []
    val = av2a("reproduce", "demo", "--split", "val", "--json", cwd=tmp_path)
    assert all(abs(difference) < 1 for difference in val.json()["difference"].values())


@pytest.mark.slow
def test_a_demo_that_is_there(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "demo", tmp_path / "here")
    done = av2a("reproduce", "demo", "-o", "here", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "note: published are figures of 48 clips, this split has 2" in done.out
    assert {file.name for file in (tmp_path / "here").iterdir()} == {
        "annotations", "videos", "features.zarr", "events.json", "figures.json"
    }  # fmt: skip


@pytest.mark.slow
def test_clips_that_are_missing_or_fail(place: Path, tmp_path: Path) -> None:
    """Some have no video, which has to be accepted; one fails, which is said at the end, with another exit code."""
    shutil.copytree(place / "videos", tmp_path / "videos")
    (tmp_path / "videos" / "broken.mp4").write_text("no video")
    write_llp(tmp_path / "LLP", (*CLIPS, "broken", "gone"))
    words = ("reproduce", "llp", "--videos", "videos", "--annotations", "LLP", "--backbone", "tiny")
    line = refusal(*words, cwd=tmp_path)
    assert line.endswith(
        "1 of the 4 clips of the test split have no file (gone): add them, or go on without them: --partial"
    )
    assert not (tmp_path / "reproduce_llp").exists()
    done = av2a(*words, "--partial", cwd=tmp_path)
    assert done.code == 3, done.err
    assert "failed: broken: " in done.err
    assert "2 clips done, 1 failed" in done.out
    assert "note: measured on 2 of the split's 4 clips" in done.out


def test_all_that_is_missing_is_said(tmp_path: Path) -> None:
    done = av2a("reproduce", "llp", "--videos", "v", "--annotations", "a", "--checkpoint", "w", cwd=tmp_path)
    assert done.code == 1
    *missing, last = done.err.splitlines()
    assert [line.split(": ")[:2] for line in missing] == [
        ["missing", "annotations"], ["missing", "videos"], ["missing", "weights"]
    ]  # fmt: skip
    assert missing[2] == "missing: weights: checkpoint folder w is not there"
    assert last == "Error: 3 things are missing, nothing was begun"
    assert not list(tmp_path.iterdir())


def test_refusals(tmp_path: Path) -> None:
    write_llp(tmp_path / "LLP", CLIPS)
    (tmp_path / "videos").mkdir()
    shutil.copyfile(__file__, tmp_path / "videos" / "x.mp4")
    words = ("reproduce", "llp", "--videos", "videos", "--annotations", "LLP")
    assert "--videos DIR and --annotations DIR are needed" in refusal("reproduce", "llp", cwd=tmp_path, code=2)
    assert "missing: backbone: unknown backbone 'none'" in av2a(*words, "--backbone", "none", cwd=tmp_path).err
    assert refusal(*words, "--backbone", "tiny", "--partial", cwd=tmp_path).endswith(
        "(demo_test_000, demo_test_001): is it the right folder?"
    )
    (tmp_path / "s.toml").write_text("alpha = 2\n")
    assert "alpha" in refusal(*words, "--config", "s.toml", cwd=tmp_path)
    assert not (tmp_path / "reproduce_llp").exists()
