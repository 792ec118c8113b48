"""Lists of events by whomever: tables, folders of labels, other people's JSON; one clear line for what is none."""

import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score import ScoreError
from score.formats import kind_of, read_listed
from score.formats.json_members import members
from tests.made_events import EVENTS

GOLDEN = Path(__file__).parents[1] / "golden" / "protocols"
SHARED = Path(__file__).parents[3] / "shared" / "annotations"
Row = tuple[Any, ...]


def rows(path: Path, format: str | None = None) -> list[Row]:
    """Clip, stream, label, onset, offset and score, None for none."""
    found: list[Row] = []
    for block in read_listed(path, format).events:
        for *row, score in zip(*block, strict=True):
            found.append((*row, None if math.isnan(score) else score))
    return found


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# --- tables -------------------------------------------------------------------------------------------------------

TABLES = {
    "ours": ("e.csv",
     "clip,stream,label,onset,offset,score\na,audio,dog,0.0,2.5,0.5\n", ("a", "audio", "dog", 0, 2.5, 0.5)),
    "DCASE": ("e.tsv",
     "filename\tonset\toffset\tevent_label\na.wav\t0\t2.5\tdog\n", ("a.wav", "", "dog", 0, 2.5, None)),
    "without header": ("e.tsv", "a.wav\t0\t2.5\tdog\n", ("a.wav", "", "dog", 0, 2.5, None)),
    "with scores": ("e.tsv", "a.wav\t0\t2.5\tdog\t0.25\n", ("a.wav", "", "dog", 0, 2.5, 0.25)),
    "UnAV": ("e.csv", "video-id,t-start,t-end,label_id,score\na,0,2.5,7,3\n", ("a", "", "#7", 0, 2.5, 3)),
    "LLP": ("e_visual.csv",
     "filename\tonset\toffset\tevent_labels\na\t0\t2\tDog\n", ("a", "visual", "Dog", 0, 2, None)),
    "another order": ("e.csv", "End;Start;Class;File\n2,5;0;x;a\n".replace(",", "."), ("a", "", "x", 0, 2.5, None)),
    "spaces": ("e.csv", "clip, label, onset, offset\na, dog, 0, 2\n", ("a", "", "dog", 0, 2, None)),
    "a mark": ("e.csv", "\ufeffclip,label,onset,offset\r\na,dog,0,2\r\n", ("a", "", "dog", 0, 2, None)),
    "quotes": ("e.csv", 'clip,label,onset,offset\n"a,b","the ""x""",0,2\n', ("a,b", "", 'the "x"', 0, 2, None)),
    "words": ("e.csv", "clip,stream,label,onset,offset\na,Heard,dog,0,2\n", ("a", "audio", "dog", 0, 2, None)),
    "a stream of the file": ("e_audio.csv",
     "clip,stream,label,onset,offset\na,,dog,0,2\n", ("a", "audio", "dog", 0, 2, None)),
    "lines between": ("e.csv", "\n\nclip,label,onset,offset\n\na,dog,0,2\n\n", ("a", "", "dog", 0, 2, None)),
    "more columns": ("e.csv", "clip,x,label,onset,offset,y\na,1,dog,0,2\n", ("a", "", "dog", 0, 2, None)),
    "the wrong way round": ("e.csv", "clip,label,onset,offset\na,dog,9,0\n", ("a", "", "dog", 9, 0, None)),
    "no score": ("e.csv", "clip,label,onset,offset,score\na,dog,0,2, \n", ("a", "", "dog", 0, 2, None)),
    "a clip without events": ("e.tsv",
     "filename\tonset\toffset\tevent_label\nb\t\t\t\na\t0\t2\tdog\n", ("a", "", "dog", 0, 2, None)),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str, tmp_path: Path) -> None:
    file, text, row = TABLES[name]
    path = written(tmp_path, file, text)
    assert rows(path) == [row]
    assert read_listed(path).clips is None
    assert kind_of(path) == file[-3:]


BAD = {
    "clip,label,onset\na,dog,0\n": "line 1: a table of events has the columns clip, label, onset, offset .* clip, la",
    "": "is empty: a table has the columns clip",
    "clip,label,onset,offset\na,dog,0\n": "line 2: 3 columns instead of 4 at least: fill it",
    "clip,label,onset,offset\na,dog,0,2\n,dog,0,2\n": "line 3: no clip: name it",
    "clip,label,onset,offset\na,,0,2\n": "line 2: no label: name it",
    "clip,label,onset,offset\n\n\na,dog,x,2\n": "line 4: onset 'x' is no number: write seconds, as 2.5",
    'clip,label,onset,offset\na,dog,0,"1,5"\n': "line 2: offset '1,5' is no number",
    "clip,label,onset,offset\na,dog,nan,2\n": "line 2: an event from nan to 2.0 s: write its onset and offset",
    "clip,label,onset,offset,score\na,dog,1,2,inf\n": "line 2: score inf of an event is no number",
    "clip,label,onset,offset,score\na,dog,1,2,high\n": "line 2: score 'high' is no number: write one",
    "clip,stream,label,onset,offset\na,b\u202e,dog,0,2\n": r"line 2: stream 'b\\\\u202e' is none of audiovisual",
    "clip,label,label,onset,offset\na,dog,cat,0,2\n": "line 1: column 'label' is there twice: take one out",
    'clip,label,onset,offset\na,"dog,0,2\n' + "b,dog,0,2\n" * 20000: "look for a quote that is not closed",
    "clip,label,onset,offset\n" + "x" * 100_001: "line 2 has over 100,000 characters: break it",
}


@pytest.mark.parametrize("text", BAD)
def test_tables_that_are_none(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, "e.csv", text)
    with pytest.raises(ScoreError, match=BAD[text]) as caught:
        rows(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    head = b"clip,label,onset,offset\n"
    for data, message in (
        (head + b"a,d\xffg,0,2\n", "is not UTF-8 text"),
        (head.decode().encode("utf-16"), "UTF-16: save"),
    ):
        (tmp_path / "e.csv").write_bytes(data)
        with pytest.raises(ScoreError, match=message):
            rows(tmp_path / "e.csv")
    for path in (tmp_path / "none.csv", tmp_path / "none"):
        with pytest.raises(ScoreError, match="is not there: name a file or a folder of events"):
            rows(path)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9000), st.integers(1, 5))
def test_the_line_of_an_error_far_on(tmp_path_factory: pytest.TempPathFactory, before: int, blank: int) -> None:
    """Rows are read many at a time."""
    text = "clip,label,onset,offset\n" + "a,dog,0,2\n" * before + "\n" * blank + "a,dog,0,x\n"
    path = written(tmp_path_factory.mktemp("t"), "e.csv", text)
    with pytest.raises(ScoreError, match=f"line {before + blank + 2}: offset 'x'"):
        rows(path)


@pytest.mark.skipif(sys.platform == "win32", reason="no /dev/zero")
def test_what_has_no_end(tmp_path: Path) -> None:
    for name, message in (("e.csv", "line 1 has over 100,000 characters"), ("e.vtt", "take something out")):
        (tmp_path / name).symlink_to("/dev/zero")
        with pytest.raises(ScoreError, match=message):
            rows(tmp_path / name)
    with (tmp_path / "e.json").open("wb") as file:
        file.truncate(300 << 20)
    with pytest.raises(ScoreError, match="has over 268 MB, which is more JSON than is read: split it"):
        rows(tmp_path / "e.json", "activitynet")


def test_a_table_in_blocks(tmp_path: Path) -> None:
    text = io.StringIO()
    text.write("clip,label,onset,offset,score\n")
    for number in range(30_000):
        text.write(f"c{number // 7},dog,{number % 7},{number % 7 + 1},0.5\n")
    path = written(tmp_path, "e.csv", text.getvalue())
    seen: list[tuple[int, int]] = []
    found = list(read_listed(path, progress=lambda done, size: seen.append((done, size))).events)
    assert len(found) > 3
    assert [clip for block in found for clip in block.clip] == [f"c{number // 7}" for number in range(30_000)]
    assert seen[-1] == (path.stat().st_size,) * 2


def test_a_pipe() -> None:
    program = (
        "from score.formats import read_listed as read\n"
        "print(sum(len(block.clip) for block in read('/dev/stdin', 'csv').events))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input="clip,label,onset,offset\na,b,0,1\n", text=True, capture_output=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == "1\n"


def test_three_files_of_streams(tmp_path: Path) -> None:
    EVENTS.write(tmp_path / "e.tsv")
    EVENTS.write(tmp_path / "e.json", format="activitynet")
    for name, clips in (("e.tsv", None), ("e.json", ["a_b", "c"])):
        assert sorted({row[1] for row in rows(tmp_path / name)}) == ["audio", "audiovisual", "visual"]
        assert read_listed(tmp_path / name).clips == clips
    assert kind_of(tmp_path / "e.json") == "activitynet"
    (tmp_path / "e_audio.tsv").unlink()
    assert {row[1] for row in rows(tmp_path / "e.tsv")} == {"audiovisual", "visual"}


# --- JSON ---------------------------------------------------------------------------------------------------------


def test_activitynet_of_others(tmp_path: Path) -> None:
    """Results, UnAV's predictions, and annotations."""
    results = {"version": "1", "results": {"v": [{"label": "dog", "score": 0.5, "segment": [1, 2.5]}], "empty": []}}
    path = written(tmp_path, "r.json", json.dumps(results))
    assert rows(path) == [("v", "", "dog", 1, 2.5, 0.5)]
    assert read_listed(path).clips == ["v", "empty"]
    scores = {"database": {"v": [{"segment": [1, 2], "label_id": 3, "scores": 7}]}}
    assert rows(written(tmp_path, "p_visual.json", json.dumps(scores))) == [("v", "visual", "#3", 1, 2, 7)]
    event = {"segment": [1, 2], "label": "a", "label_id": 0}
    truth = {"v": {"subset": "test", "duration": 9, "annotations": [event]}, "w": {"subset": "test", "annotations": []}}
    path = written(tmp_path, "t.json", json.dumps({"database": truth}))
    assert rows(path) == [("v", "", "a", 1, 2, None)]
    assert read_listed(path).clips == ["v", "w"]


def test_ov_avebench(tmp_path: Path) -> None:
    found = {"a": {"category": "dog", "label": "[0, 1, 1, 0, 1]"}, "b": {"category": "x", "label": [0, 0]}}
    path = written(tmp_path, "o.json", json.dumps(found))
    assert kind_of(path) == "ov-avebench"
    assert rows(path) == [("a", "audiovisual", "dog", 1, 3, None), ("a", "audiovisual", "dog", 4, 5, None)]
    assert read_listed(path).clips == ["a", "b"]


def test_label_studio_of_others(tmp_path: Path) -> None:
    """Annotations before predictions; the clip by its file's name; what is no label of sound is passed over."""
    region = {
        "type": "labels",
        "from_name": "audio",
        "to_name": "x",
        "value": {"start": 1, "end": 2, "labels": ["a", "b"]},
    }
    tasks = [
        {"id": 1, "data": {"audio": "https://x.org/up/1%20a.wav?x=1"}, "annotations": [{"id": 3, "result": [region]}],
         "predictions": [{"result": [{**region, "value": {"start": 5, "end": 6, "labels": ["c"]}}]}]},
        {"data": {"video": "/data/local-files/?d=v/b.mp4"},
         "annotations": [{"was_cancelled": True, "result": [region]}],
         "predictions": [{"result": [{**region, "score": 0.5, "from_name": "mine"},
                                     {"type": "choices", "value": {"choices": ["x"]}}]}]},
    ]  # fmt: skip
    path = written(tmp_path, "l.json", json.dumps(tasks))
    assert kind_of(path) == "label-studio"
    assert rows(path) == [
        ("1 a", "audio", "a", 1, 2, None), ("1 a", "audio", "b", 1, 2, None),
        ("b", "", "a", 1, 2, 0.5), ("b", "", "b", 1, 2, 0.5),
    ]  # fmt: skip


BAD_JSON = [
    ("activitynet", '{"results": {"v": [{"segment": [1], "label": "a"}]}}', "clip 'v': .* an event is {\"segment\""),
    ("activitynet", '{"results": {"v": [{"segment": [1, 2]}]}}', "clip 'v': an event has no label: name what it is"),
    ("activitynet", '{"results": {"v": [{"segment": [3, 1e999], "label": "a"}]}}', "clip 'v': "),
    ("activitynet", '{"results": {"v": [{"segment":[1,2],"label":"a"}], "v": []}}', "'v' is there twice: put its"),
    ("activitynet", '{"results": {"v": 3}}', "clip 'v': Expected `array`, got `int`"),
    ("activitynet", '{"x": {}}', 'has no "results" or "database"'),
    ("activitynet", '{"results": {"v"', "is no JSON object of clips"),
    ("activitynet", "[]", "is no JSON object of clips"),
    ("ov-avebench", '{"v": {"category": "a", "label": "[0, 2]"}}', "clip 'v': its segments hold '2': write 0 or 1"),
    ("ov-avebench", '{"v": {"category": "a", "label": "[0,"}}', "clip 'v': .*: a clip is {\"category\""),
    ("ov-avebench", '{"v": {"category": "a"}}', "clip 'v': .* missing required field `label`"),
    ("label-studio", "{}", "is no JSON of Label Studio's tasks .*: export it as JSON"),
    ("label-studio", '[{"data": {}}]', 'task 1 names no clip: give its data a "clip"'),
    ("label-studio", '[{"data":{"clip":"a"},"predictions":[{"result":[{"type":"timelinelabels"}]}]}]',
     "in frames: label the"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "message"), BAD_JSON)
def test_json_that_is_something_else(kind: str, text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, "e.json", text)
    with pytest.raises(ScoreError, match=message) as caught:
        rows(path, kind)
    assert str(caught.value).startswith(str(path))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(), st.recursive(st.none() | st.text(), st.lists, max_leaves=4), max_size=5), st.data())
def test_what_is_there_twice_is_found(found: dict[str, Any], data: st.DataObject) -> None:
    """And nothing else is, whatever names and values hold."""
    text = json.dumps(found, ensure_ascii=data.draw(st.booleans()))
    assert list(members(Path("x"), text.encode("utf-8", "surrogatepass"))) == list(found)
    name = data.draw(st.sampled_from(sorted(found) or ["a"]))
    text = json.dumps(found, ensure_ascii=False).replace("{", f"{{{json.dumps(name, ensure_ascii=False)}: 1,", 1)
    if name in found:
        with pytest.raises(ScoreError, match="is there twice"):
            members(Path("x"), text.encode())


# --- folders ------------------------------------------------------------------------------------------------------


def test_audacity_of_people(tmp_path: Path) -> None:
    """Labels of a moment are no events, frequencies stand in lines of their own."""
    text = "0.5\t2.5\tdog\n\\\t100.0\t2000.0\n3\t3\tmoment\n1,5\t2,5\ta\tb\n"
    path = written(tmp_path, "labels/day 1/a_audio.txt", text)
    written(tmp_path, "labels/b.txt", "")
    written(tmp_path, "labels/.hidden.txt", "x")
    expected = [("day 1/a", "audio", "dog", 0.5, 2.5, None), ("day 1/a", "audio", "a\tb", 1.5, 2.5, None)]
    assert rows(tmp_path / "labels") == expected
    assert read_listed(tmp_path / "labels").clips == ["b", "day 1/a"]
    assert rows(path) == [("a", *row[1:]) for row in expected]
    assert (kind_of(path), kind_of(tmp_path / "labels")) == ("audacity", "audacity")


def test_other_peoples_subtitles(tmp_path: Path) -> None:
    written(
        tmp_path,
        "s/a.vtt",
        "WEBVTT - x\n\nSTYLE\n::cue{}\n\n1\n01:02.500 --> 01:03.000 align:left\n<b>dog</b>\nbarks &amp; runs\n",
    )
    assert rows(tmp_path / "s") == [("a", "", "dog\nbarks & runs", 62.5, 63, None)]
    written(tmp_path, "r/a.srt", "1\n00:00:01,5 --> 00:00:02,500\n[seen] cat\n")
    assert rows(tmp_path / "r") == [("a", "visual", "cat", 1.5, 2.5, None)]


def test_other_peoples_textgrids(tmp_path: Path) -> None:
    """The short form, points, names of one's own."""
    short = '"ooTextFile"\n"TextGrid"\n0\n2\n<exists>\n2\n'
    short += '"IntervalTier"\n"words"\n0\n2\n2\n0\n1.5\n"a + ""b"""\n1.5\n2\n""\n'
    short += '"TextTier"\n"points"\n0\n2\n1\n1\n"x"\n'
    written(tmp_path, "a.TextGrid", f"File type = {short}")
    assert rows(tmp_path) == [("a", "", 'a + "b"', 0, 1.5, None)]


BAD_FILES = [
    ("a.txt", "0\t1\n", "line 1: a label without a text"),
    ("a.txt", "hello\n", "line 1: 'hello' is no onset, offset and label"),
    ("a.txt", "1\tinf\tx\n", "an event from 1.0 to inf s"),
    ("a.vtt", "1\n00:00 --> 00:01\nx", "does not begin with WEBVTT"),
    ("a.srt", "1\n00:00:00,0 -> 00:01\n00:0 --> 1\nx", "line 3: '00:0 --> 1' are no times"),
    ("a.srt", "1\n00:00:00,0 --> 00:00:01,0\n\n", "an event has no label"),
    ("a.TextGrid", "x", "does not begin as a TextGrid does"),
    ("a.TextGrid", '"ooTextFile" "TextGrid" 0 1 <exists> 1 "IntervalTier" "a" 0 1 9999999999 0 1 "x"',
     "ends in the middle"),
    ("a.TextGrid", '"ooTextFile" "TextGrid" 0 1 <exists> 1 "IntervalTier" 3 0 1', "'3' stands where a text in quotes"),
    ("a.TextGrid", '"ooTextFile" "TextGrid" 0 1 <exists> 1 "IntervalTier" "a" 0 1 1 0 "a" "x"',
     "where a number has to"),
    ("a.eaf", "<a>", "it is no XML"),
    ("a.eaf", "<a/>", "it is XML of 'a', no EAF"),
    ("a.eaf", '<!DOCTYPE a [<!ENTITY b "c">]><a/>', "it defines entities"),
    ("a.eaf", '<ANNOTATION_DOCUMENT><TIER TIER_ID="t"><ALIGNABLE_ANNOTATION><ANNOTATION_VALUE>x</ANNOTATION_VALUE>'
     "</ALIGNABLE_ANNOTATION></TIER></ANNOTATION_DOCUMENT>", "annotation 'x' in tier 't' has no times"),
    ("a.rttm", "SPEAKER a 1 0 x <NA> <NA> b <NA> <NA>\n", "line 1: 'x' is no number"),
    ("a.rttm", ";; x\n\nSPKR-INFO a\nwhat\n", "line 4: 'what' is no `SPEAKER clip 1 onset"),
    ("a.rttm", "SPEAKER a 1 0 nan <NA> <NA> b <NA> <NA>\n", "line 1: an event from 0.0 to nan s"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), BAD_FILES)
def test_files_that_are_none(name: str, text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(ScoreError, match=message) as caught:
        rows(path, {".txt": "audacity"}.get(path.suffix))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="is a folder without files of events: one a clip, as audacity, vtt"):
        kind_of(tmp_path)
    with pytest.raises(ScoreError, match=r"has no \.vtt file: name the folder"):
        rows(tmp_path, "vtt")
    with pytest.raises(ScoreError, match="format 'xml' is none that lists events: use one of csv, tsv, activitynet"):
        rows(tmp_path, "xml")


def test_kinds(tmp_path: Path) -> None:
    """By the ending, and where that says nothing by what is there."""
    for name, text, kind in [
        ("e.json", '{"format": "av2a-events", "events": []}', "json"),
        ("e.jsonl", "x", "jsonl"),
        ("e.parquet", "x", "parquet"),
        ("e.json", '{"version": "x", "results": {}}', "activitynet"),
        ("e.json", '{"what": 1', "json"),
        ("e.json", "hello", "json"),
        ("e.txt", "filename\tonset\toffset\tevent_label\n", "tsv"),
        ("e.txt", "a.wav\t0\t1\tdog\n", "tsv"),
        ("e.txt", "0.5\t1\tdog\n", "audacity"),
        ("e.txt", "", "audacity"),
        ("e.txt", '{"database": {}}', "activitynet"),
        ("e.lab", "SPEAKER a 1 0 1 <NA> <NA> b <NA> <NA>\n", "rttm"),
        ("e.lab", "clip,label,onset,offset\n", "csv"),
        ("e.RTTM", "", "rttm"),
    ]:
        assert kind_of(written(tmp_path, name, text)) == kind, (name, text)


# --- what others have made ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.is_dir(), reason="no annotation files of the data sets")
def test_annotations_of_data_sets() -> None:
    found = read_listed(SHARED / "ov_avebench" / "released_ovavel_dataset_anno.json")
    assert found.clips is not None
    assert len(found.clips) == 24_800
    assert len({clip for block in found.events for clip in block.clip}) == 24_800 - 3211 - 428 - 974 - 418 - 988
    for name, stream in (("AVVP_eval_audio.csv", "audio"), ("AVVP_eval_visual.csv", "visual")):
        assert {row[1] for row in rows(SHARED / name)} == {stream}


def test_predictions_of_a_test() -> None:
    """UnAV's form: 30 predictions of 10 videos, some without any."""
    found = read_listed(GOLDEN / "unav_pred.json")
    assert found.clips is not None
    assert len(found.clips) == 10
    assert sum(len(block.clip) for block in found.events) == 30
    assert {row[2] for row in rows(GOLDEN / "unav_pred.json")} <= {f"#{number}" for number in range(9)}
    truth = rows(GOLDEN / "unav_gt.json")
    assert all(re.match("[a-z]", row[2]) and row[5] is None for row in truth)
