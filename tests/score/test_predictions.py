"""Events that other systems list, compared as av2a's own: clips, labels, streams, times and scores of all kinds."""

import json
from pathlib import Path

import numpy as np
import pytest

from score import AnnotationError, Annotations, EventBlocks, ScoreError, evaluate, read_annotations, read_predictions
from score.datasets.clip_lists import read_clip_list
from tests.made_events import EVENTS, annotations

SHARED = Path(__file__).parents[3] / "shared" / "annotations"
REAL = Path(__file__).parents[1] / "golden" / "protocols" / "llp_real_predictions.json"
HEADER = "clip,stream,label,onset,offset,score"


def listed(folder: Path, *rows: str, name: str = "theirs.csv", header: str = HEADER) -> Path:
    file = folder / name
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def own(folder: Path) -> Path:
    """EVENTS as any other system may write them."""
    return listed(
        folder, "a_b,visual,dog,0,3.2,", "a_b,heard,Dog,0.4,10.3,0.5", "a_b,,dog,0,4,", "x/c.mp4,seen,CAT,2,5,3.5"
    )


def test_lists_are_worth_what_own_files_are(tmp_path: Path) -> None:
    truth = annotations()
    report = evaluate(read_predictions(own(tmp_path), truth), truth)
    expected = evaluate(EVENTS, truth)
    assert report.metrics == expected.metrics
    assert {name: values.tolist() for name, values in report.by_clip.items()} == {
        name: values.tolist() for name, values in expected.by_clip.items()
    }
    assert (report.config, report.approximation) == ({}, "")
    assert json.loads(json.dumps(report.to_dict()))["config"] == {}


def test_own_files_are_read_as_ever(tmp_path: Path) -> None:
    EVENTS.write(tmp_path / "events.json")
    found = read_predictions(tmp_path / "events.json", annotations(), partial=True, stream="audio", clips=("a_b",))
    same = EventBlocks.read(tmp_path / "events.json")
    assert found.facts.to_dict() == same.facts.to_dict()
    assert [column.tolist() for block in found for column in block.columns] == [
        column.tolist() for block in same for column in block.columns
    ]
    assert found.notes == ()


def test_which_clips_were_looked_at(tmp_path: Path) -> None:
    truth = annotations(d={"visual": [("dog", 0, 4)]}, e={})
    file = own(tmp_path)
    everything = evaluate(read_predictions(file, truth), truth)
    assert (everything.n_found, everything.by_clip["segment-visual"].tolist()[2:]) == (4, [0.0, 100.0])
    occurring = evaluate(read_predictions(file, truth, partial=True), truth, partial=True)
    assert occurring.clips == ("a_b_10_20", "c")
    named = tmp_path / "looked_at.txt"
    named.write_text("c\na_b\nd.mp4\nelsewhere\n")
    given = read_predictions(file, truth, clips=named)
    assert given.facts.clip_ids == ("a_b_10_20", "c", "d")
    assert evaluate(given, truth, partial=True).metrics["segment-visual"] < occurring.metrics["segment-visual"]
    with pytest.raises(AnnotationError, match="1 of 4 clips of the annotated split were not scored"):
        evaluate(read_predictions(file, truth, clips=["a_b", "c", "d"]), truth)
    with pytest.raises(AnnotationError, match=r"events of clip c, which is not among the clips .*`clips`"):
        read_predictions(file, truth, clips=["a_b"])


def test_clips_that_a_file_names(tmp_path: Path) -> None:
    """ActivityNet's form names clips that have no events."""
    truth = annotations(d={}, e={})
    results = {"a_b": [{"label": "dog", "segment": [0, 4], "score": 0.5}], "c": [], "d": []}
    (tmp_path / "theirs.json").write_text(json.dumps({"version": "1", "results": results}))
    assert read_predictions(tmp_path / "theirs.json", truth).facts.clip_ids == ("a_b_10_20", "c", "d")


def test_lists_of_clips(tmp_path: Path) -> None:
    for name, text in (
        ("a.txt", "\ufeffb\r\n\r\n a, b\nb\n"),
        ("b.csv", 'filename,other\nb,1\n"a, b",2\n'),
        ("c.csv", "filename\tx\nb\t0\na, b\t1\n"),
        ("d.tsv", "b\n\na, b\n"),
    ):
        (tmp_path / name).write_bytes(text.encode())
        assert read_clip_list(tmp_path / name) == ("b", "a, b"), name
    for text, message in (("", "names no clips"), ("filename\n", "names no clips"), ("a\nb\x1bc\n", "line 2: clip")):
        (tmp_path / "bad.txt").write_text(text)
        with pytest.raises(AnnotationError, match=message):
            read_clip_list(tmp_path / "bad.txt")
    with pytest.raises(AnnotationError, match="is not there"):
        read_clip_list(tmp_path / "none.txt")


def test_clips_of_no_split_are_counted(tmp_path: Path) -> None:
    truth = annotations()
    file = listed(tmp_path, "c,seen,cat,2,5,", "z,seen,cat,2,5,", "z,seen,bird,2,99,", "y,heard,cat,2,5,")
    found = read_predictions(file, truth)
    notes = [note.removeprefix(f"{file}: ") for note in found.notes]
    assert (
        notes[0] == "3 events of 2 clips not in the truth passed over (z; name all clips that are annotated: `clips`)"
    )
    assert sum(map(len, found)) == 1


def test_streams(tmp_path: Path) -> None:
    truth = annotations()
    rows, header = ["a_b,dog,0,4", "c,cat,2,5"], "clip,label,onset,offset"
    for name, stream, expected in (
        ("theirs.csv", None, [0, 0]),
        ("theirs.csv", "audio", [2, 2]),
        ("theirs_visual.csv", None, [1, 1]),
    ):
        found = read_predictions(listed(tmp_path, *rows, name=name, header=header), truth, stream=stream)
        assert [block.stream.tolist() for block in found] == [expected], name
        assert len(found.notes) == 1
    assert found.notes[0].endswith("no audiovisual and no audio events are in it")
    with pytest.raises(ScoreError, match="stream 'smelled' is none of audiovisual, visual, audio"):
        read_predictions(listed(tmp_path, "c,smelled,cat,2,5,"), truth)


def test_times_become_segments(tmp_path: Path) -> None:
    truth = Annotations.from_events({"c": {"visual": [("cat", 0, 9)]}})
    rows = [f"c,seen,cat,{onset},{offset}," for onset, offset in ((2.999999999999, 5.2), (3, 5), (9.2, 11), (0.2, 0.4))]
    found = read_predictions(listed(tmp_path, *rows, "c,seen,cat,4,4,"), truth)
    (block,) = found
    assert np.column_stack([block.onset, block.offset]).tolist() == [[3, 6], [3, 5], [9, 10], [0, 1]]
    assert "1 event without length passed over" in found.notes[0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c,seen,cat,10,10.5,0.1", "'cat' from 10 to 10.5 s in clip c begins after the clip's end at 10 s"),
        ("c,seen,cat,3,11.5,0.1", "'cat' from 3 to 11.5 s in clip c lasts until long after the clip's end"),
        ("c,seen,cat,-1,5,0.1", "'cat' in clip c from -1 to 5 s: write seconds from 0 up"),
        ("c,seen,cat,nan,5,0.1", "line 2"),
        ("c,seen,cat,6,5,0.1", "'cat' in clip c from 6 to 5 s"),
        ("c,seen,cat,2,5,inf", "line 2"),
        ("c,seen,catt,2,5,", r"label 'catt' is none of the 2 of the LLP annotations \(nearest: 'cat'\): correct it"),
        ("c,seen,zebra,2,5,", "label 'zebra' is none of the 2 of the LLP annotations: correct it"),
        ("c,seen,c\x1bt,2,5,", "label 'c.*' is none that can be used"),
        ("c\x1b,seen,cat,2,5,", "clip 'c.*' is none that can be used"),
        ("z,seen,cat,2,5,", r"none of its 1 clips \(first: z\) is one of the truth's 2 \(first: a_b_10_20\)"),
        ("c,seen,cat,2,5,\nc.mp4,seen,cat,2,5,", "clip c is named in two ways, 'c' and 'c.mp4': write one of them"),
        ("a_b,seen,dog,2,5,\na_b_10_20,seen,dog,2,5,", "clip a_b_10_20 is named in two ways"),
    ],
)
def test_one_line_with_the_mend(row: str, message: str, tmp_path: Path) -> None:
    file = listed(tmp_path, row)
    with pytest.raises(ScoreError, match=message) as caught:
        read_predictions(file, annotations())
    assert str(caught.value).startswith(str(file))
    assert len(str(caught.value)) <= 300 + len(str(file))


def test_labels_that_may_be_several(tmp_path: Path) -> None:
    truth = Annotations.from_events({"c": {"visual": [("Frying_(food)", 0, 9), ("frying (food)", 0, 9), ("b", 0, 1)]}})
    with pytest.raises(AnnotationError, match=r"label 'FRYING_.food.' may be 'Frying_.food.' and 'frying .food.'"):
        read_predictions(listed(tmp_path, "c,seen,FRYING_(food),2,5,"), truth)


def test_ranking_needs_scores(tmp_path: Path) -> None:
    truth = annotations(kind="ave")
    alone = ["a_b,both,dog,0,4,", "a_b,both,dog,2,5,", "a_b,both,cat,5,7,", "c,both,cat,0,4,0.2", "c,both,dog,2,5,0.1"]
    assert evaluate(read_predictions(listed(tmp_path, *alone), truth), truth).metrics["accuracy"] > 0
    for row in ("a_b,both,cat,4,6,0.5", "c,both,dog,3,4,"):
        with pytest.raises(
            AnnotationError, match=r"has no score and is not alone there: AVE reads one label a segment"
        ):
            read_predictions(listed(tmp_path, *alone, row), truth)


def test_what_nothing_is_known_of_is_not_written_as_if_it_were(tmp_path: Path) -> None:
    truth = annotations()
    found = read_predictions(own(tmp_path), truth)
    with pytest.raises(ScoreError, match="json keeps the settings of events, and nothing says those of these"):
        found.write(tmp_path / "events.json")
    found.write(tmp_path / "again.csv")
    again = read_predictions(tmp_path / "again.csv", truth)
    assert evaluate(again, truth).metrics == evaluate(EVENTS, truth).metrics


def test_a_list_without_events(tmp_path: Path) -> None:
    truth = annotations()
    report = evaluate(read_predictions(listed(tmp_path), truth), truth)
    assert report.metrics["segment-visual"] == 0
    with pytest.raises(AnnotationError, match="none of the 2 clips"):
        evaluate(read_predictions(listed(tmp_path), truth, partial=True), truth, partial=True)


@pytest.mark.skipif(not SHARED.exists(), reason="LLP's own annotation files are not here")
def test_real_predictions_clip_by_clip(tmp_path: Path) -> None:
    """F of 554 clips of LLP's test split, as those who made the predictions stored them."""
    stored = {each["clip"]: each for each in json.loads(REAL.read_text())["clips"]}
    rows = [
        f"{clip},audiovisual,{label},{start},{end},"
        for clip, each in stored.items()
        for label, start, end in each["audiovisual"]
    ]
    truth = read_annotations("llp", SHARED, split="test")
    report = evaluate(read_predictions(listed(tmp_path, *rows), truth, clips=list(stored)), truth, partial=True)
    assert set(report.clips) == set(stored)
    assert len(stored) == 554
    for ours, theirs in (("segment-audiovisual", "segment_f"), ("event-audiovisual", "event_f")):
        expected = [100 * stored[clip][theirs] for clip in report.clips]
        assert report.by_clip[ours].tolist() == pytest.approx(expected, abs=1e-9)
