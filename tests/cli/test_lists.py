"""Other systems' results and annotations of one's own through the command: figures, notes, refusals."""

import json
import warnings
from pathlib import Path

import pytest

from score import evaluate as compare
from tests.command import av2a, refusal
from tests.made_events import EVENTS, annotations
from tests.score.test_predictions import listed, own

LLP = ("--dataset", "llp", "--annotations", "truth")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """LLP's files as `made_events.annotations` are, and its events as others write them."""
    folder = tmp_path / "truth"
    folder.mkdir()
    truth = annotations()
    (folder / "AVVP_test_pd.csv").write_text("\n".join(["filename", *truth.clip_ids]) + "\n")
    for side, events in (("visual", truth.visual), ("audio", truth.audio)):
        rows = [f"{clip}\t{on}\t{off}\t{label}" for clip, some in events.items() for label, on, off in some]
        (folder / f"AVVP_eval_{side}.csv").write_text(
            "\n".join(["filename\tonset\toffset\tevent_labels", *rows]) + "\n"
        )
    own(tmp_path)
    listed(tmp_path, "a_b,visual,dog,0,4", "a_b,audio,dog,0,5", "c,visual,cat,0.5,3.2", name="mine.csv",
           header="clip,stream,label,onset,offset")  # fmt: skip
    return tmp_path


def test_a_list_is_judged_as_own_events_are(here: Path) -> None:
    done = av2a("evaluate", "theirs.csv", *LLP, "--json", cwd=here)
    assert (done.code, done.err) == (0, "")
    found = done.json()
    assert found["metrics"] == compare(EVENTS, annotations()).to_dict()["metrics"]
    assert (found["config"], found["clips_found"]) == ({}, 2)


def test_which_clips_count(here: Path) -> None:
    (here / "theirs.csv").write_text("clip,label,onset,offset\nc,cat,2,5\nz,cat,2,5\n")
    every = av2a("evaluate", "theirs.csv", *LLP, "--stream", "visual", cwd=here)
    assert every.out.startswith("2 of 2 clips of the test split\n")
    assert every.err.split("\n")[:2] == [
        "note: theirs.csv: 1 event of 1 clip not in the test split passed over (z)",
        "note: theirs.csv: no audiovisual and no audio events are in it",
    ]
    some = av2a("evaluate", "theirs.csv", *LLP, "--stream", "visual", "--partial", cwd=here)
    assert some.out.startswith("1 of 2 clips of the test split\n")
    (here / "looked_at.txt").write_text("c\n")
    line = refusal("evaluate", "theirs.csv", *LLP, "--clips", "looked_at.txt", cwd=here)
    assert line.endswith("score them, or accept a partial split: --partial")
    (here / "looked_at.txt").write_text("a_b\n")
    line = refusal("evaluate", "theirs.csv", *LLP, "--clips", "looked_at.txt", cwd=here)
    assert line.endswith("which is not among the clips that were looked at (--clips): add it there, or remove them")


def test_your_own_annotations(here: Path) -> None:
    words = ("evaluate", "theirs.csv", "--dataset", "events", "--truth", "mine.csv")
    done = av2a(*words, cwd=here)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("2 of 2 clips of the truth\nF1 % ")
    assert "events within 0.2 s" in done.out
    found = av2a(*words, "--json", "--collar", "2", cwd=here).json()
    assert (found["dataset"], found["split"], found["metrics"]["sed-collar-seconds"]) == ("events", "", 2)
    llp = av2a("evaluate", "theirs.csv", *LLP, "--json", cwd=here).json()["metrics"]
    same = [name for name in llp if name.split("-")[1] in ("visual", "audiovisual")]
    assert len(same) == 4
    assert {name: found["metrics"][name] for name in same} == pytest.approx({name: llp[name] for name in same})
    assert found["metrics"]["sed-event-visual-f1"] == 100  # within a collar of 0.2 s it is 50


def test_the_same_file_on_both_sides(here: Path) -> None:
    for name in ("theirs.csv", "mine.csv"):
        done = av2a("evaluate", name, "--dataset", "events", "--truth", name, "--json", cwd=here)
        values = {value for figure, value in done.json()["metrics"].items() if figure.endswith("f1")}
        assert values - {None} == {100}, name


def test_options_that_do_not_go_together(here: Path) -> None:
    events = ("evaluate", "theirs.csv", "--dataset", "events")
    for words, said in (
        (
            (*events, "--annotations", "truth"),
            "--dataset events compares with a file of events: name it as --truth FILE",
        ),
        (events, "--dataset events compares with a file of events: name it as --truth FILE"),
        ((*events, "--truth", "mine.csv", "--split", "test"), "--split: a file of events has no splits"),
        (
            ("evaluate", "theirs.csv", *LLP, "--truth", "mine.csv"),
            "--truth is for --dataset events: the files of llp are",
        ),
        (
            ("evaluate", "theirs.csv", *LLP, "--collar", "1"),
            "--collar is for --dataset events: figures of llp have none",
        ),
        (("evaluate", "theirs.csv", *LLP, "--scores", "truth"), "--scores is for --dataset events"),
        (("evaluate", "theirs.csv", "--dataset", "llp"), "Missing option '--annotations'"),
        (
            ("search", "--dataset", "events", "--truth", "mine.csv", "--report-split", "val"),
            "--report-split: a file of",
        ),
    ):
        if words[0] == "search":
            from tests.golden_scoring import GoldenSet

            GoldenSet.load("clip_clap_llp").make_cache(here / "features.zarr")
        assert said in refusal(*words, cwd=here, code=2), words
    assert "mine2.csv is not there" in refusal(*events, "--truth", "mine2.csv", cwd=here)


def test_nothing_is_written_in_part(here: Path) -> None:
    (here / "out.json").write_text("before")
    words = ("evaluate", "theirs.csv", *LLP, "-o", "out.json")
    with (here / "theirs.csv").open("a") as file:
        file.write("x/c.mp4,seen,zebra,0,4,\n")
    assert "label 'zebra' is none of the 2 of the LLP annotations" in refusal(*words, cwd=here)
    assert (here / "out.json").read_text() == "before"
    assert not list(here.rglob("*.partial"))


def works() -> bool:
    """Whether sed_scores_eval is here, with versions of what it needs that it works with."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pandas
            import sed_scores_eval  # noqa: F401
    except ImportError:
        return False
    return int(pandas.__version__.split(".")[0]) < 3


def test_psds(here: Path) -> None:
    folder = here / "scores" / "audio" / "probability"
    folder.mkdir(parents=True)
    header = "onset\toffset\tdog\tcat\n"
    for clip, active in (("a_b", range(5)), ("c", range(0))):
        rows = [f"{t}.0\t{t + 1}.0\t{0.9 if t in active else 0.1}\t0.2\n" for t in range(10)]
        (folder / f"{clip}.tsv").write_text(header + "".join(rows))
    words = ("evaluate", "theirs.csv", "--dataset", "events", "--truth", "mine.csv", "--scores", "scores")
    if not works():
        assert "pip install 'av2a[sed]'" in refusal(*words, cwd=here)
        return
    done = av2a(*words, cwd=here)
    assert done.code == 0, done.err
    assert done.out.split("\n")[-4:-1] == [
        "─" * 42, "scenario 1                100.0      100.0", "scenario 2                100.0      100.0"
    ]  # fmt: skip
    found = json.loads(av2a(*words, "--json", cwd=here).out)["scores"]
    assert (found["stream"], found["clips"], found["labels_nowhere_true"]) == ("audio", 2, ["cat"])
    (folder / "c.tsv").unlink()
    assert "1 of 2 clips of the annotated split were not scored (first: c)" in refusal(*words, cwd=here)
    assert "has no scores of the visual stream" in refusal(*words, "--stream", "visual", cwd=here)
    (folder / "a_b.tsv").write_text(header + "0\t1\t0.5\t0.5\n2\t3\t0.5\t0.5\n")
    assert "a_b.tsv line 3: 2 to 3 s, but windows follow each other" in refusal(*words, "--partial", cwd=here)
