"""Published protocols: figures of the official code on real annotation files, and made files of the same form."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from score import AnnotationError, Annotations, evaluate, read_annotations
from score.datasets.ov_avebench import GROUPS, KINDS
from score.reference import metrics as reference
from tests.command import av2a, refusal
from tests.made_events import made_events

SHARED = Path(__file__).parents[3] / "shared" / "annotations"
GOLDEN = Path(__file__).parents[1] / "golden" / "protocols"
SEGMENTS = 10
Row = tuple[str, str, list[str]]
"""A row's clip, its class, and the class of each segment, "other" for none."""


def spans(clip_classes: list[str], nothing: str = "other") -> list[tuple[str, str, int, int]]:
    """Classes of segments as audiovisual events."""
    edges = [t for t in range(SEGMENTS) if t == 0 or clip_classes[t] != clip_classes[t - 1]]
    runs = zip(edges, [*edges[1:], SEGMENTS], strict=True)
    return [("audiovisual", clip_classes[a], a, b) for a, b in runs if clip_classes[a] != nothing]


def evaluated(rows: dict[str, list[str]], labels: list[str], folder: Path, *words: object) -> dict[str, float]:
    made_events({clip: spans(each) for clip, each in rows.items()}, labels).write(folder / "events.json")
    done = av2a("evaluate", "events.json", *words, "--json", cwd=folder)
    assert done.code == 0, done.err
    found: dict[str, float] = done.json()["metrics"]
    return found


# --- OV-AVEBench ----------------------------------------------------------------------------------------------

OV = SHARED / "ov_avebench"
Predicts = Callable[[int, str, list[str], list[str]], list[str]]
PREDICTORS: dict[str, Predicts] = {
    "all background": lambda number, name, true, labels: ["other"] * SEGMENTS,
    "true class of the clip in all ten segments (background clips: background)": lambda number, name, true, labels: (
        [name if any(each != "other" for each in true) else "other"] * SEGMENTS
    ),
    "cls_name of the meta file in all ten segments, background clips too": lambda number, name, true, labels: (
        [name] * SEGMENTS
    ),
    "truth moved one segment later (first segment background)": lambda number, name, true, labels: (
        ["other", *true[:-1]]
    ),
    "truth, but class (c+1)%67 for rows with index%3==0": lambda number, name, true, labels: [
        labels[(labels.index(each) + 1) % 67] if each != "other" and number % 3 == 0 else each for each in true
    ],
    "truth": lambda number, name, true, labels: true,
}


@pytest.fixture(scope="module")
def ov_rows() -> dict[str, list[Row]]:
    """The test rows in the order of the file, by subset."""
    if not OV.exists():
        pytest.skip("the real annotation files are not here")
    values = json.loads((OV / "released_ovavel_dataset_anno.json").read_text())
    found: dict[str, list[Row]] = {"total": [], "close": [], "open": []}
    for line in (OV / "ovave_dataset_meta.csv").read_text().splitlines()[1:]:
        split, name, kind, clip = line.split(",")
        if split == "test":
            row = (clip, name, [name if each else "other" for each in json.loads(values[clip]["label"])])
            found["total"].append(row)
            found[kind].append(row)
    return found


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_ov_avebench_gives_the_official_figures(predictor: str, ov_rows: dict[str, list[Row]], tmp_path: Path) -> None:
    labels = [line.strip() for line in (OV / "ovave_total_close_open_categories.csv").read_text().splitlines()]
    expected = json.loads((GOLDEN / "ovavebench_expected.json").read_text())["predictors"][predictor]
    subsets = ("total", "close", "open") if "index" in predictor else ("total",)  # it counts within the subset
    for counted in subsets:
        rows = {c: true for c, _, true in ov_rows["total"]}
        for number, (clip, name, true) in enumerate(ov_rows[counted]):
            rows[clip] = PREDICTORS[predictor](number, name, true, labels)
        found = evaluated(rows, labels[:-1], tmp_path, "--dataset", "ov-avebench", "--annotations", OV)
        for subset, ours in zip(("total", "close", "open"), ("total", *GROUPS), strict=True):
            if counted not in (subset, "total") or (subset != "total" and len(subsets) > 1 and counted != subset):
                continue
            figures = [found[f"{ours}-{kind}"] for kind in KINDS[:3]]
            np.testing.assert_allclose(figures, expected[subset], rtol=0, atol=5.1e-5)
            assert found[f"{ours}-average"] == pytest.approx(np.mean(figures))


def test_a_label_that_means_background(ov_rows: dict[str, list[Row]], tmp_path: Path) -> None:
    """A scorer that was given all 68 texts says "other" itself."""
    labels = [line.strip() for line in (OV / "ovave_total_close_open_categories.csv").read_text().splitlines()]
    events = made_events({c: spans(true, nothing="") for c, _, true in ov_rows["total"]}, labels)
    report = evaluate(events, read_annotations("ov-avebench", OV))
    assert report.metrics["total-average"] == 100
    assert "other" not in report.per_class


def write_ov(folder: Path, rows: list[tuple[str, str, str, str]], values: dict[str, Any], **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["split,cls_name,cls_type,vid_name", *(",".join(row) for row in rows)]
    texts = {
        "ovave_dataset_meta.csv": "\r\n".join(lines),
        "released_ovavel_dataset_anno.json": json.dumps(values),
        "ovave_total_close_open_categories.csv": "dog bark\r\ncat, meowing\r\nother",
        **files,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


MADE_ROWS = [
    ("train", "dog bark", "close", "a"),
    ("test", "dog bark", "close", "b"),
    ("test", '"cat, meowing"', "open", "c"),
    ("test", "dog bark", "close", "d"),
]
MADE_VALUES: dict[str, Any] = {
    "a": {"category": "dog bark", "label": "[1]"},
    "b": {"category": "dog bark", "label": "[0, 1, 1, 0, 1, 0, 0, 0, 0, 0]"},
    "c": {"category": "cat, meowing", "label": [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]},
    "d": {"category": "dog bark", "label": "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"},
}


def test_ov_avebench_of_made_files(tmp_path: Path) -> None:
    folder = write_ov(tmp_path / "ov", MADE_ROWS, MADE_VALUES)
    truth = read_annotations("ov-avebench", folder)
    assert truth.clip_ids == ("b", "c", "d")
    assert truth.labels == ("dog bark", "cat, meowing", "other")
    assert truth.visual["b"] == [("dog bark", 1.0, 3.0), ("dog bark", 4.0, 5.0)]
    assert [truth.category(clip) for clip in truth.clip_ids] == ["dog bark", "cat, meowing", "dog bark"]
    said = {
        "b": ["other"] * 3 + ["dog bark"] * 3 + ["cat, meowing"] * 4,
        "c": ["other"] * 6 + ["cat, meowing"] * 4,
        "d": ["dog bark"] + ["other"] * 9,
    }
    found = evaluated(said, ["dog bark", "cat, meowing"], tmp_path, "--dataset", "ov-avebench", "--annotations", folder)
    true = {c: ["other"] * SEGMENTS for c in said}
    true["b"][1] = true["b"][2] = true["b"][4] = "dog bark"
    true["c"][8:] = ["cat, meowing"] * 2
    each = {c: reference.one_label_figures(said[c], true[c]) for c in said}
    for name, clips in (("total", "bcd"), ("seen", "bd"), ("unseen", "c")):
        expected = 100 * np.mean([each[c] for c in clips], axis=0)
        np.testing.assert_allclose([found[f"{name}-{kind}"] for kind in KINDS[:3]], expected)
    done = av2a(
        "evaluate", "events.json", "--dataset", "ov-avebench", "--annotations", folder, "--per-class", cwd=tmp_path
    )
    assert "unseen" in done.out
    assert "cat, meowing" in done.out


def test_a_split_without_unseen_clips(tmp_path: Path) -> None:
    folder = write_ov(tmp_path / "ov", MADE_ROWS[:1], {"a": {"category": "dog bark", "label": [1] * 10}})
    made_events({"a": spans(["dog bark"] * 10)}, ["dog bark", "x"]).write(tmp_path / "e.json")
    words = ("evaluate", "e.json", "--dataset", "ov-avebench", "--annotations", folder, "--split", "train")
    assert av2a(*words, "--json", cwd=tmp_path).json()["metrics"]["unseen-average"] is None
    row = next(line for line in av2a(*words, cwd=tmp_path).out.splitlines() if line.startswith("unseen"))
    assert row.split()[1:] == ["-"] * 4


@pytest.mark.parametrize(
    ("rows", "values", "files", "said"),
    [
        ([("test", "horse", "close", "b")], {}, {}, "cls_name 'horse' is no line of ovave_total"),
        ([("test", "dog bark", "ajar", "b")], {}, {}, "cls_type 'ajar' is neither close nor open"),
        ([("test", "dog bark", "close", "z")], {}, {}, "z is not in"),
        ([MADE_ROWS[1]] * 2, {}, {}, "line 3: b is there already"),
        ([], {"b": {"category": "x", "label": "[0, 2]"}}, {}, "b: label '[0, 2]' is no list of zeros and ones"),
        ([], {"b": {"category": "x", "label": "no"}}, {}, "b: label 'no' is no list"),
        ([], {"b": {"category": "x", "label": [True]}}, {}, "is not OV-AVEBench's annotations"),
        ([], {"b": ["x"]}, {}, "is not OV-AVEBench's annotations"),
        ([], {}, {"released_ovavel_dataset_anno.json": "{"}, "is not OV-AVEBench's annotations"),
        ([], {}, {"ovave_total_close_open_categories.csv": "dog bark\ncat"}, "the last one 'other'"),
        ([], {}, {"ovave_total_close_open_categories.csv": "dog bark\ndog bark\nother"}, "each category once"),
        ([], {}, {"ovave_dataset_meta.csv": "a,b\n1,2"}, "columns 'a,b', expected split,cls_name,cls_type,vid_name"),
        ([], {}, {"ovave_dataset_meta.csv": ""}, "columns '', expected split"),
        ([], {}, {"ovave_dataset_meta.csv": "split,cls_name,cls_type,vid_name\ntest,b"}, "line 2: 2 columns"),
        ([MADE_ROWS[0]], {}, {}, "the test split has no clips"),
    ],
)
def test_what_is_wrong_in_ov_avebench(
    rows: list[Any], values: dict[str, Any], files: dict[str, str], said: str, tmp_path: Path
) -> None:
    folder = write_ov(tmp_path / "ov", rows or MADE_ROWS, {**MADE_VALUES, **values}, **files)
    with pytest.raises(AnnotationError) as error:
        read_annotations("ov-avebench", folder)
    assert said in str(error.value)
    assert str(folder) in str(error.value)


def test_missing_files_of_ov_avebench(tmp_path: Path) -> None:
    folder = write_ov(tmp_path / "ov", MADE_ROWS, MADE_VALUES)
    (folder / "released_ovavel_dataset_anno.json").rename(folder / "ovavel_dataset_anno.json")
    assert len(read_annotations("ov-avebench", folder).clip_ids) == 3
    (folder / "ovavel_dataset_anno.json").unlink()
    with pytest.raises(AnnotationError, match=r"OV-AVEBench needs ovave_dataset_meta\.csv, released_ovavel"):
        read_annotations("ov-avebench", folder)
    with pytest.raises(AnnotationError, match="name the folder that holds OV-AVEBench's three"):
        read_annotations("ov-avebench", folder / "ovave_dataset_meta.csv")
    made_events({"b": []}, ["dog bark", "x"]).write(tmp_path / "e.json")
    said = refusal("evaluate", "e.json", "--dataset", "ov-avebench", "--annotations", folder, cwd=tmp_path)
    assert "released_ovavel_dataset_anno.json" in said


def test_drawing_clips_of_every_class(ov_rows: dict[str, list[Row]]) -> None:
    """As the published comparison: 200 of the 5,798, every class at least once, about as many seen as by share."""
    val = read_annotations("ov-avebench", OV, split="val")
    assert len(val.clip_ids) == 5798
    drawn = val.sample(200, seed=42)
    assert drawn == val.sample(200, seed=42)
    assert drawn.clip_ids != val.sample(200, seed=43).clip_ids
    assert len(drawn.clip_ids) == 200
    assert {val.category(c) for c in drawn.clip_ids} == {val.category(c) for c in val.clip_ids}
    assert sum(val.groups[c] == 0 for c in drawn.clip_ids) == 61
    assert val.sample(10**6).clip_ids == val.clip_ids
    with pytest.raises(AnnotationError, match=r"`sample_clips=66`: the val split has 67 classes"):
        val.sample(66)


# --- AVE ------------------------------------------------------------------------------------------------------

AVE_COLUMNS = "Category&VideoID&Quality&StartTime&EndTime\n"


def test_ave_gives_the_official_figures_by_row_and_by_video(tmp_path: Path) -> None:
    if not SHARED.exists():
        pytest.skip("the real annotation files are not here")
    lines = [line.split("&") for line in (SHARED / "ave" / "testSet.txt").read_text().splitlines()]
    rows = {clip: (name, int(start), int(end)) for name, clip, _, start, end in lines}
    labels = sorted({name for name, _, _ in rows.values()})
    true = {c: [n if a <= t < b else "other" for t in range(SEGMENTS)] for c, (n, a, b) in rows.items()}
    expected = json.loads((GOLDEN / "ave_expected.json").read_text())["predictors"]
    said = {
        "all background": {c: ["other"] * SEGMENTS for c in rows},
        "class of the test row in all ten segments": {c: [rows[c][0]] * SEGMENTS for c in rows},
        "truth of the test row, one segment later (first segment background)": {
            c: ["other", *each[:-1]] for c, each in true.items()
        },
        "truth of the test row": true,
    }
    assert said.keys() == expected.keys()
    for predictor, classes in said.items():
        found = evaluated(classes, labels, tmp_path, "--dataset", "ave", "--annotations", SHARED / "ave")
        by_row, by_video = expected[predictor].values()
        assert found["accuracy-by-row"] == pytest.approx(by_row, abs=5.1e-5)
        assert found["accuracy"] == pytest.approx(by_video, abs=5.1e-5)
    done = av2a("evaluate", "events.json", "--dataset", "ave", "--annotations", SHARED / "ave", cwd=tmp_path)
    assert "by video" in done.out
    assert "by row" in done.out


def write_ave(folder: Path, rows: list[str], split: list[str] | None, header: str = AVE_COLUMNS) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "Annotations.txt").write_text(header + "".join(f"{row}\n" for row in rows))
    if split is not None:
        (folder / "testSet.txt").write_text("".join(f"{row}\n" for row in split))
    return folder


ROWS = ["Bark&a&good&0&4", "Bell&a&good&2&10", "Horn&b&good&5&5", "Bell&c&good&1&3", "Bark&d&bad&0&10"]


@pytest.mark.parametrize("header", [AVE_COLUMNS, ""])
def test_ave_by_row_numbers(header: str, tmp_path: Path) -> None:
    """<split>_order.h5 holds numbers of rows; a row without length is background."""
    listed = read_annotations("ave", write_ave(tmp_path / "lists", ROWS, [ROWS[1], ROWS[0], ROWS[2]], header))
    folder = write_ave(tmp_path / "numbers", ROWS, None, header)
    with h5py.File(folder / "test_order.h5", "w") as file:
        file["order"] = np.array([1, 0, 2])
    by_number = read_annotations("ave", folder)
    for found in (listed, by_number):
        assert found.clip_ids == ("a", "b")
        assert found.listed == {"a": [[("Bell", 2.0, 10.0)], [("Bark", 0.0, 4.0)]], "b": [[]]}
        assert found.visual["a"] == [("Bark", 0.0, 4.0), ("Bell", 2.0, 10.0)]
        assert found.labels == ("Bark", "Bell", "Horn")
        assert found.ignored == 1
        said = {"a": ["Bell"] * 5 + ["Bark"] * 5, "b": ["other"] * 10}
        figures = evaluate(made_events({c: spans(x) for c, x in said.items()}, ["Bark", "Bell", "Horn"]), found).metrics
        right = [3, 0, 10]  # against the rows Bell from 2, Bark to 4, nothing
        assert figures["accuracy-by-row"] == pytest.approx(100 * sum(right) / 30)
        assert figures["accuracy"] == pytest.approx(
            100 * (5 + 10) / 20
        )  # the first event alone: nothing where it is not


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ([9], "row 9 is none of the 5 in"),
        ([-1], "'order' is empty, or holds a negative row"),
        ([], "'order' is empty"),
        ([0.5], "has no whole numbers under 'order'"),
        ([[0]], "has no whole numbers under 'order'"),
        (None, "cannot be read as HDF5"),
    ],
)
def test_wrong_numbers_of_rows(order: Any, said: str, tmp_path: Path) -> None:
    folder = write_ave(tmp_path / "ave", ROWS, None)
    if order is None:
        (folder / "test_order.h5").write_bytes(b"no")
    else:
        with h5py.File(folder / "test_order.h5", "w") as file:
            file["order"] = np.array(order, dtype=float if order == [0.5] else int)
    with pytest.raises(AnnotationError) as error:
        read_annotations("ave", folder)
    assert said in str(error.value)


def test_annotations_from_python_have_rows() -> None:
    """An event each for AVE, all of a clip in one for OV-AVEBench."""
    events = {"a": {"visual": [("x", 0, 2), ("y", 4, 6)]}, "b": {}}
    assert Annotations.from_events(events, kind="ave").listed == {"a": [[("x", 0, 2)], [("y", 4, 6)]], "b": [[]]}
    assert Annotations.from_events(events, kind="ov-avebench").listed == {"a": [[("x", 0, 2), ("y", 4, 6)]], "b": [[]]}
    assert Annotations.from_events(events).listed == {}
