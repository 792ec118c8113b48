"""Annotations: files right and wrong, from Python, and how they are laid beside scored clips."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from score import AnnotationError, Annotations, evaluate, read_annotations
from tests.made_events import EVENTS, made_events

SHARED = Path(__file__).parents[3] / "shared" / "annotations"
HEAD = "filename\tonset\toffset\tevent_labels\n"


def write_llp(folder: Path, **texts: str) -> Path:
    files = {
        "eval_audio": f"{HEAD}a_b_10_20\t0\t5\tDog\nother_0_10\t0\t5\tUnknown\n",
        "eval_visual": "filename\tonset\toffset\tevent_labels\r\na_b_10_20\t0\t4\tDog\r\nc_0_10\t9\t9\tcat\r\n",
        "test_pd": "filename\tevent_labels\na_b_10_20\tDog\nc_0_10\tcat\n\n",
    }
    folder.mkdir(exist_ok=True)
    for name, text in (files | texts).items():
        (folder / f"AVVP_{name}.csv").write_text(text, newline="")
    return folder


def test_llp_files(tmp_path: Path) -> None:
    found = read_annotations("llp", write_llp(tmp_path))
    assert found.clip_ids == ("a_b_10_20", "c_0_10")
    assert found.visual == {"a_b_10_20": [("Dog", 0.0, 4.0)]}
    assert found.audio == {"a_b_10_20": [("Dog", 0.0, 5.0)]}
    assert found.ignored == 1
    report = evaluate(EVENTS, found)
    assert (report.n_found, report.ignored) == (2, 1)


def test_rows_without_length_say_nothing(tmp_path: Path) -> None:
    text = f"{HEAD}a_b_10_20\t9\t0\tDog\nc_0_10\t3\t3\tUnknown\n"
    found = read_annotations("llp", write_llp(tmp_path, eval_audio=text, eval_visual=HEAD))
    assert (found.audio, found.ignored) == ({}, 2)
    assert evaluate(EVENTS, found).to_dict()["annotation_rows_without_length"] == 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("eval_audio", "filename\tonset\toffset\na\t0\t1\n", r"AVVP_eval_audio\.csv line 1: no column 'event_labels'"),
        ("eval_audio", "", "line 1: no column 'filename'"),
        (
            "eval_audio",
            "filename,onset,offset,event_labels\n",
            "no column 'filename' in 'filename,onset.* tab-separated",
        ),
        ("eval_audio", f"{HEAD}a_b_10_20\tx\t5\tDog\n", "line 2: onset 'x' is not a time .* write a number"),
        ("eval_audio", f"{HEAD}a_b_10_20\t0\tnan\tDog\n", "line 2: offset 'nan' is not a time"),
        ("eval_audio", f"{HEAD}\na_b_10_20\t-1\t5\tDog\n", "line 3: onset '-1' is not a time"),
        ("eval_visual", f"{HEAD}a_b_10_20\t0\n", "line 2: 2 columns, expected 4: separate them by tabs"),
        ("eval_visual", f"{HEAD}a_b_10_20\t0\t3\t\n", "line 2: no label: write one"),
        ("test_pd", "name\nx\n", r"AVVP_test_pd\.csv line 1: no column 'filename'"),
        ("test_pd", "filename\n", "test split has no clips"),
        ("test_pd", "filename\na\nb\na\n", "line 4: a is there already in line 2: remove one"),
        ("test_pd", "filename\tevent_labels\n\tDog\n", "line 2: no filename"),
    ],
)
def test_wrong_llp_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    write_llp(tmp_path, **{name: text})
    with pytest.raises(AnnotationError, match=message) as caught:
        read_annotations("llp", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "a_b_10_20\t0\t5\tHorse",
            "line 2: label 'Horse' is not among the 3 labels .*: extract with the data set's labels",
        ),
        ('a_b_10_20\t0\t5\t"Dog', "line 2: label '\"Dog' is not among"),
        ("a_b_10_20\t0\t10.5\tDog", r"line 2: offset 10\.5 is after the clip's end at 10 s: correct it"),
    ],
)
def test_what_does_not_fit_the_events_names_its_line(tmp_path: Path, row: str, message: str) -> None:
    found = read_annotations("llp", write_llp(tmp_path, eval_audio=f"{HEAD}{row}\na_b_10_20\t0\t5\tDog\n"))
    with pytest.raises(AnnotationError, match=rf"AVVP_eval_audio\.csv {message}"):
        evaluate(EVENTS, found)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="is not there: name the folder"):
        read_annotations("llp", tmp_path / "none")
    with pytest.raises(AnnotationError, match=r"AVVP_test_pd\.csv is not there: LLP's"):
        read_annotations("llp", tmp_path)
    with pytest.raises(AnnotationError, match=r"testSet\.txt is not there: AVE needs"):
        read_annotations("ave", tmp_path)
    with pytest.raises(AnnotationError, match="no data set 'vgg': there are llp, ave"):
        read_annotations("vgg", tmp_path)
    with pytest.raises(AnnotationError, match="no split 'dev': there are train, val, test"):
        read_annotations("llp", tmp_path, split="dev")
    (tmp_path / "testSet.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AnnotationError, match=r"testSet\.txt is not UTF-8 text"):
        read_annotations("ave", tmp_path)
    (tmp_path / "testSet.txt").unlink()
    (tmp_path / "testSet.txt").mkdir()
    with pytest.raises(AnnotationError, match=r"testSet\.txt cannot be read: Is a directory"):
        read_annotations("ave", tmp_path)


def test_a_file_for_a_folder(tmp_path: Path) -> None:
    write_llp(tmp_path)
    with pytest.raises(AnnotationError, match="is one file: name the folder"):
        read_annotations("llp", tmp_path / "AVVP_test_pd.csv")
    with pytest.raises(AnnotationError, match=r"neither Annotations\.txt nor a \.json file"):
        read_annotations("ave", tmp_path / "AVVP_test_pd.csv")


# --- AVE ------------------------------------------------------------------------------------------------

AVE_HEAD = "Category&VideoID&Quality&StartTime&EndTime\n"
AVE_TABLE = f"{AVE_HEAD}Dog&a_b&good&2&6\ncat&a_b&good&0&9\ncat&c&good&0&10\nHorse&d&good&0&0\n"
AVE_LIST = "Dog&a_b&good&2&6\r\ncat&a_b&good&0&9\r\ncat&c&good&0&10\r\n"


@pytest.mark.parametrize("head", ["", AVE_HEAD])
def test_ave_files_in_both_forms(tmp_path: Path, head: str) -> None:
    (tmp_path / "Annotations.txt").write_text(AVE_TABLE)
    (tmp_path / "testSet.txt").write_text(head + AVE_LIST, newline="")
    (tmp_path / "json").mkdir()
    records = {
        "a_b": [{"class": "dog", "start": 2, "end": 6}, {"class": "cat", "start": 0, "end": 9}],
        "c": [{"class": "cat", "start": 0, "end": 10}],
    }
    (tmp_path / "json" / "test_AVE.json").write_text(json.dumps(records))
    places = (tmp_path, tmp_path / "Annotations.txt", tmp_path / "json", tmp_path / "json" / "test_AVE.json")
    for place in places:
        found = read_annotations("ave", place)
        assert found.clip_ids == ("a_b", "c")
        assert evaluate(EVENTS, found).metrics["accuracy"] == pytest.approx(30)


def test_an_ave_event_without_length_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "Annotations.txt").write_text("Dog&a_b&good&0&4\ncat&c&good&0&0\n")
    (tmp_path / "valSet.txt").write_text("Dog&a_b&good&0&4\ncat&c&good&0&0\n")
    found = read_annotations("ave", tmp_path, split="val")
    assert (found.clip_ids, found.ignored, found.visual["c"]) == (("a_b", "c"), 1, [])
    assert evaluate(EVENTS, found).metrics["accuracy"] == 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"c": [{"class": "cat", "start": 0}]}', "c: an event has no 'end': write it as in"),
        ('{"c": [["cat", 0, 3]]}', "c: an event has no 'class'"),
        ('{"c": [{"class": "cat", "start": 0, "end": "x"}]}', "c: end 'x' is not a time"),
        ('{"c": [{"class": "cat", "start": 0, "end": true}]}', "c: end True is not a time"),
        ('{"c": [{"class": 3, "start": 0, "end": 1}]}', "c: class 3 is no label"),
        ('{"c": 3}', "c: a list of events is expected"),
        ('{"c": {"class": "cat"}}', "c: a list of events is expected"),
        ('{"c": [], "c": []}', "c: the clip is there twice"),
        ("[]", "clip names with lists of events are expected"),
        ("{}", "the test split has no clips"),
        ("{", "is not JSON"),
    ],
)
def test_wrong_ave_json(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "test_AVE.json").write_text(text)
    with pytest.raises(AnnotationError, match=rf"test_AVE\.json.*{message}|{message}") as caught:
        read_annotations("ave", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "listing", "message"),
    [
        ("Dog&a&good&2\n", "Dog&a&good&2&6\n", r"Annotations\.txt line 1: 4 columns"),
        ("Dog&a&good&x&6\n", "Dog&a&good&2&6\n", r"Annotations\.txt line 1: start 'x'"),
        ("&a&good&2&6\n", "Dog&a&good&2&6\n", r"Annotations\.txt line 1: class '' is no label"),
        ("Dog&a&good&2&6\n", "Dog&b&good&2&6\n", r"testSet\.txt line 1: b is not in"),
        ("Dog&a&good&2&6\n", "Dog&&good&2&6\n", r"testSet\.txt line 1: no VideoID"),
        ("Dog&a&good&2&6\n", AVE_HEAD, "the test split has no clips"),
    ],
)
def test_wrong_ave_lists(tmp_path: Path, table: str, listing: str, message: str) -> None:
    (tmp_path / "Annotations.txt").write_text(table)
    (tmp_path / "testSet.txt").write_text(listing)
    with pytest.raises(AnnotationError, match=message):
        read_annotations("ave", tmp_path)


# --- from Python, and beside scored clips -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ({"a": {"visual": [("dog", 3, 3)]}}, "clip a: dog from 3 to 3 s has no length"),
        ({"a": {"visual": [("dog", 4, 3)]}}, "clip a: dog from 4 to 3 s has no length"),
        ({"a": {"visual": [("dog", "x", 3)]}}, "clip a: onset 'x' is not a time"),
        ({"a": {"visual": [("dog", 0, float("inf"))]}}, "clip a: offset inf is not a time"),
        ({"a": {"visual": [("dog", 3)]}}, r"clip a: \('dog', 3\) is not \(label, onset, offset\)"),
        ({"a": {"visual": [(None, 0, 3)]}}, "clip a: None is no label"),
        ({"a": {"visual": 5}}, "clip a: visual is 5, not a list"),
        ({"a": {"video": []}}, "clip a: 'video' is neither 'visual' nor 'audio'"),
        ({"a": [("dog", 0, 3)]}, "clip a: give lists of"),
        ({}, "no clips"),
    ],
)
def test_wrong_python_annotations(events: Any, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        Annotations.from_events(events)


def test_python_annotations_are_held_to_labels_and_length() -> None:
    dog: dict[str, Any] = {"a_b": {"audio": [("dog", 1, 12)]}, "c": {}}
    with pytest.raises(AnnotationError, match="clip a_b: label 'dog' is not among the 1 labels"):
        Annotations.from_events(dog, labels=["cat"])
    found = Annotations.from_events(dog, labels=["Dog"])
    with pytest.raises(AnnotationError, match="clip a_b: offset 12 is after the clip's end at 10 s"):
        evaluate(EVENTS, found)
    with pytest.raises(AnnotationError, match="no data set 'x'"):
        Annotations.from_events(dog, kind="x")


def test_labels_match_exactly_first_then_with_case_and_underscores_aside() -> None:
    truth = Annotations.from_events(
        {"a": {"visual": [("DOG", 0, 1), ("Dog bark", 1, 2), ("dog_bark", 2, 3), ("Frying (food)", 3, 4)]}}
    )
    found = truth.align(["a"], ["dog_bark", "dog", "Frying_(food)"])
    assert found.visual.tolist() == [[0b0110, 0b0001, 0b1000]]
    exact = Annotations.from_events({"a": {"visual": [("dog", 0, 1), ("Dog", 4, 5)]}})
    assert exact.align(["a"], ["Dog", "dog"]).visual.tolist() == [[0b10000, 0b00001]]
    either = Annotations.from_events({"a": {"visual": [("DOG", 0, 1)]}})
    with pytest.raises(AnnotationError, match="label 'DOG' may be 'Dog' and 'dog'"):
        either.align(["a"], ["Dog", "dog"])


def clip_numbers(annotated: list[str], scored: list[str]) -> tuple[list[int], list[str]]:
    truth = Annotations.from_events({clip: {} for clip in annotated})
    return truth.align(scored, ["x"]).rows.tolist(), truth.missing(scored)


def test_clips_match_exactly_first_then_without_their_times() -> None:
    assert clip_numbers(["b_0_10", "a_0_10"], ["a", "b_0_10"]) == ([1, 0], [])
    assert clip_numbers(["-X_1_2_30_40"], ["-X", "-X_1_2"]) == ([1], [])  # only the last two numbers are times
    assert clip_numbers(["a_x_10", "a_1"], ["a"]) == ([], ["a_x_10", "a_1"])
    assert clip_numbers(["a", "a_30_40"], ["a"]) == ([0], ["a_30_40"])  # the video is the first, not the second
    with pytest.raises(AnnotationError, match="clips a_0_10 and a_30_40 are both a among the scored clips"):
        clip_numbers(["a_0_10", "a_30_40"], ["a"])


NFC, NFD = (unicodedata.normalize(form, "été à la ガラス") for form in ("NFC", "NFD"))


def test_clips_match_in_any_unicode_form_and_equal_ones_first() -> None:
    assert clip_numbers([NFC], ["other", NFD]) == ([1], [])
    assert clip_numbers([NFD], ["other", NFC]) == ([1], [])
    assert clip_numbers([f"{NFD}_0_10"], [NFC]) == ([0], [])
    assert clip_numbers([NFD, NFC], [NFC, NFD]) == ([1, 0], [])
    assert clip_numbers([NFC], [NFD, NFC]) == ([1], [])
    assert clip_numbers([NFC, NFD], [NFC]) == ([0], [NFD])
    with pytest.raises(AnnotationError, match=r"clips .* and .* are both"):
        clip_numbers([f"{NFC}_0_10", f"{NFD}_5_15"], [NFC])


def test_clips_match_without_media_endings_and_folders() -> None:
    assert clip_numbers(["a.mp4", "b.MKV", "c.ts", "d.m2ts", "e.3gp", "f_0_10.webm"], list("abcdef")) == (
        list(range(6)), [],
    )  # fmt: skip
    assert clip_numbers(["a.mp4"], ["a", "a.mp4"]) == ([1], [])
    assert clip_numbers(["v1.5", "v1", "a.mp4x5"], ["v1", "a"]) == ([0], ["v1.5", "a.mp4x5"])
    assert clip_numbers(["name", "x"], ["a/b/name", "c/x"]) == ([0, 1], [])
    assert clip_numbers(["b/name_10_20.mp4"], ["a/b/name", "a/c/name"]) == ([0], [])
    assert clip_numbers(["videos/a/name.mp4"], ["name"]) == ([0], [])
    assert clip_numbers(["name", "a/name"], ["a/name"]) == ([0], ["name"])
    assert clip_numbers(["ame", "b"], ["a/name", "b/x"]) == ([], ["ame", "b"])  # whole parts only
    with pytest.raises(AnnotationError, match="clip name may be a/name and b/name among the scored clips"):
        clip_numbers(["name"], ["a/name", "b/name"])
    assert clip_numbers(["a", "b.mp4"], ["x/a.mkv", "b.mkv"]) == ([0, 1], [])
    with pytest.raises(AnnotationError, match=r"clip a may be a\.mp4 and a\.mkv among"):
        clip_numbers(["a"], ["a.mp4", "a.mkv"])
    with pytest.raises(AnnotationError, match=r"clips a\.mp4 and a\.mkv are both a among"):
        clip_numbers(["a.mp4", "a.mkv"], ["a"])


def test_labels_match_in_any_unicode_form() -> None:
    truth = Annotations.from_events({"a": {"visual": [(NFD.upper(), 0, 1), ("STRASSE", 1, 2), ("犬 吠える", 2, 3)]}})
    found = truth.align(["a"], [NFC, "straße", "犬\u3000吠える"])
    assert found.visual.tolist() == [[1, 2, 4]]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quoted_files_with_or_without_a_mark(mark: str, end: str, tmp_path: Path) -> None:
    def quoted(text: str) -> str:
        rows = ["\t".join(f'"{cell}"' for cell in row.split("\t")) for row in text.splitlines()]
        return mark + end.join(rows) + end

    texts = {
        "eval_audio": quoted(f'{HEAD}a_b_10_20.mp4\t0\t5\tDog\n{NFD}.mp4\t0\t5\t12"" record'),
        "eval_visual": quoted(f"{HEAD}a_b_10_20.mp4\t0\t4\tDog\nother.mp4\t0\t4\tCat"),
        "test_pd": quoted(f"filename\tevent_labels\na_b_10_20\tDog\n{NFC}\tRecord"),
    }
    found = read_annotations("llp", write_llp(tmp_path, **texts))
    assert found.clip_ids == ("a_b_10_20", NFC)
    assert found.visual == {"a_b_10_20": [("Dog", 0.0, 4.0)]}
    assert found.audio == {"a_b_10_20": [("Dog", 0.0, 5.0)], NFC: [('12" record', 0.0, 5.0)]}


def test_a_cell_over_two_lines_keeps_the_lines_numbers(tmp_path: Path) -> None:
    text = f'{HEAD.rstrip()}\tnote\na_b_10_20\t0\t5\tDog\t"two\nlines"\na_b_10_20\tx\t5\tDog\tnone\n'
    write_llp(tmp_path, eval_audio=text)
    with pytest.raises(AnnotationError, match="line 4: onset 'x'"):
        read_annotations("llp", tmp_path)


def test_a_listed_clip_that_may_be_two(tmp_path: Path) -> None:
    write_llp(tmp_path, test_pd="filename\na_b_10_20.mp4\na_b_10_20.mkv\n")
    with pytest.raises(AnnotationError, match=r"eval_visual\.csv line 2: clip a_b_10_20 may be a_b_10_20\.mp4 and"):
        read_annotations("llp", tmp_path)


def test_ave_files_with_endings_and_other_forms(tmp_path: Path) -> None:
    (tmp_path / "Annotations.txt").write_text(f'\ufeffDog&{NFD}.mp4&good&2&6\n"cat"&"c"&good&0&9\n', encoding="utf-8")
    (tmp_path / "testSet.txt").write_text(f"\ufeff{AVE_HEAD}Dog&{NFC}&good&2&6\ncat&c.mp4&good&0&9\n", encoding="utf-8")
    found = read_annotations("ave", tmp_path)
    assert found.visual == {NFC: [("Dog", 2.0, 6.0)], "c.mp4": [("cat", 0.0, 9.0)]}
    assert found.align([NFD, "c"], ["dog", "Cat"]).rows.tolist() == [0, 1]


def test_segments_that_an_event_touches() -> None:
    truth = Annotations.from_events({"a": {"visual": [("x", 0.5, 2.0)], "audio": [("x", 63, 64)]}})
    found = truth.align(["a"], ["x"], segments=64)
    assert found.visual.tolist() == [[0b11]]
    assert found.audio.tolist() == [[1 << 63]]
    assert found.first.tolist() == [[0, 0, 2]]
    half = Annotations.from_events({"a": {"visual": [("x", 0.3, 0.6)]}}).align(["a"], ["x"], 64, 0.1)
    assert half.visual.tolist() == [[0b111000]]  # 0.3 s is the start of segment 3, whatever binary fractions say
    whole = Annotations.from_events({"a": {"visual": [("x", 0, 64)]}}).align(["a"], ["x"], 64)
    assert whole.visual[0, 0] == np.uint64(2**64 - 1)


@pytest.mark.skipif(not SHARED.exists(), reason="the data sets' own files are not here")
def test_the_data_sets_own_files() -> None:
    for split, clips, ignored in (("test", 1200, 4), ("val", 649, 1)):
        found = read_annotations("llp", SHARED, split=split)
        assert (len(found.clip_ids), found.ignored) == (clips, ignored)
        labels = sorted({label for side in (found.visual, found.audio) for of in side.values() for label, *_ in of})
        assert len(labels) == 25
        events = made_events({clip.rsplit("_", 2)[0]: [] for clip in found.clip_ids}, labels)
        report = evaluate(events, found)
        assert report.n_found == clips
        assert sum(report.per_class[label]["segment-visual-fn"] for label in labels) > clips
    found = read_annotations("ave", SHARED, split="test")
    assert len(found.clip_ids) == 402
    classes = sorted({label for of in found.visual.values() for label, *_ in of})
    report = evaluate(made_events({clip: [] for clip in found.clip_ids}, classes), found)
    assert len(report.per_class) == 28
    assert report.metrics["accuracy"] == pytest.approx(
        100 * np.mean([1 - (of[0][2] - of[0][1]) / 10 for of in found.visual.values()])
    )
