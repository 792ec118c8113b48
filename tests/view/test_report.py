"""The report's file: what is in it, how large it is, and what the command says of bad input."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_cache import FeatureCache
from score import Annotations, Events, read_annotations
from score.errors import AnnotationError, ScoreError
from score.view.media import link
from score.view.report import USUAL_TITLE, in_script, write_report
from tests.command import av2a, refusal
from tests.made_events import Made, made_events, random_spans

LABELS = ("Dog", "</script><b>", "Cat\u2028")
CLIPS: Made = {
    "a": [("visual", "Dog", 0, 4), ("audio", "Dog", 2, 4)],
    "b c": [("audio", "</script><b>", 1, 2)],
    "d": [],
}
TRUTH: dict[str, dict[str, list[tuple[str, float, float]]]] = {
    "a": {"visual": [("Dog", 0, 4)], "audio": [("Dog", 0, 4)]},
    "b c": {"visual": [], "audio": []},
}


@pytest.fixture
def events() -> Events:
    return made_events(CLIPS, LABELS)


def data_of(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    assert text.count("<script") - text.count('<script type="text/plain"') == 2  # the data, and the page's own
    return json.loads(found[1])


def test_what_is_in_it(events: Events, tmp_path: Path) -> None:
    events = replace(events, missing={"d": "picture"}, left_out={"failed": 1, "pending": 0})
    folder = tmp_path / "my videos"
    folder.mkdir()
    for name in ("a.mp4", "b c.webm", "d.wav"):
        (folder / name).write_bytes(name.encode())
    report = tmp_path / "out.html"
    truth = Annotations.from_events(TRUTH)
    written = write_report(report, {"mine": events}, annotations=truth, videos=folder, title="<b>&\u202e")
    assert (written.clips, written.events, written.with_video, written.linked, written.embedded) == (3, 3, 3, 3, 0)
    assert written.bytes == report.stat().st_size
    assert "<title>&lt;b&gt;&amp;\\u202e</title>" in report.read_text(encoding="utf-8")
    data = data_of(report)
    assert data["labels"] == list(LABELS)
    assert data["urls"] == ["my%20videos/a.mp4", "my%20videos/b%20c.webm", "my%20videos/d.wav"]
    assert data["clips"]["place"] == [[0, 0.0, 10.0, 0], [1, 0.0, 10.0, 0], [2, 0.0, 10.0, 1]]
    assert data["clips"]["counts"] == [0, 1, 1, 0, 0, 1, 0, 0, 0]
    assert data["clips"]["missing"] == {"2": "picture"}
    assert data["clips"]["seconds"] == 10
    assert data["layers"] == [
        {"name": "mine", "events": [[1, 0, 0, 4, 1.0, 2, 0, 2, 4, 1.0], [2, 1, 1, 2, 1.0], []], "absent": []}
    ]
    assert data["truth"] == [[0, 0, 0, 4, 1, 0, 0, 4, 2, 0, 0, 4], [], None]
    assert data["clips"]["wrong"] == {"figure": "segment-type-av", "values": [44.4, 33.3, None]}
    [about] = data["about"]["systems"]
    assert (about["rule"], about["settings"]["alpha"], about["left_out"]) == ("av2a", 0.45, {"failed": 1})
    figures = {name: (values, ends) for name, values, ends in data["about"]["figures"]["rows"]}
    assert figures["segment-visual"][0] == [100.0]
    [low, high] = figures["segment-type-av"][1]
    assert low <= figures["segment-type-av"][0][0] <= high


def test_several(events: Events, tmp_path: Path) -> None:
    other = made_events({"a": [("visual", "Dog", 0, 2)], "b c": CLIPS["b c"]}, LABELS)
    truth = Annotations.from_events(TRUTH)
    write_report(tmp_path / "r.html", {"one": events, "two": other}, annotations=truth)
    data = data_of(tmp_path / "r.html")
    assert data["clips"]["differs"] == [66.7, 0.0, None]
    assert [layer["absent"] for layer in data["layers"]] == [[], [2]]
    rows = {name: (values, more) for name, values, more in data["about"]["figures"]["rows"]}
    values, [[difference, low, high, clear]] = rows["segment-visual"]
    assert difference == pytest.approx(values[1] - values[0], abs=0.01)
    assert low <= difference <= high
    assert isinstance(clear, bool)
    with pytest.raises(AnnotationError, match=r"two: .* not scored"):
        write_report(tmp_path / "r.html", {"one": events, "two": other}, annotations=three_clips(truth))
    write_report(tmp_path / "r.html", {"one": events, "two": other}, annotations=three_clips(truth), partial=True)


def three_clips(truth: Annotations) -> Annotations:
    return replace(truth, clip_ids=(*truth.clip_ids, "d"))


def test_embedding(events: Events, tmp_path: Path) -> None:
    """Small files come into it once, however many clips they have; what is large stays a link."""
    (tmp_path / "videos").mkdir()
    small, large = bytes(range(256)) * 4000, b"x" * 2_000_000
    (tmp_path / "videos" / "a.mp4").write_bytes(small)
    (tmp_path / "videos" / "d.mp4").write_bytes(large)
    places: dict[str, Any] = {"b c": ("a", 4.0, 6.0)}
    cut = replace(events, clips_from=places)
    told: list[tuple[int, int]] = []
    written = write_report(
        tmp_path / "r.html", {"mine": cut}, videos=tmp_path / "videos", embed=1_500_000,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert (written.with_video, written.embedded, written.linked, told) == (3, 1, 1, [(0, 1)])
    data = data_of(tmp_path / "r.html")
    assert data["urls"] == ["", "videos/d.mp4"]
    assert data["clips"]["place"][1] == [0, 4.0, 6.0, 0]
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    found = re.findall(r'<script type="text/plain" id="media-(\d+)" data-type="([\w/]+)">([\w+/=]+)</script>', text)
    assert [(number, kind, base64.b64decode(raw)) for number, kind, raw in found] == [("0", "video/mp4", small)]


def test_a_cache_names_failures(events: Events, tmp_path: Path) -> None:
    cache = FeatureCache.create(
        tmp_path / "c.zarr", clip_ids=["a", "bad"], backbone="clip_clap", visual_dim=2, audio_dim=2,
        attributes={"files": {"a": "deep/other.avi"}},
    )  # fmt: skip
    rows = np.ones((2, 10, 2)), np.ones((2, 46, 1, 2)), np.ones((2, 46, 2))
    cache.write_shard(0, *rows, status=[1, 2], reasons=["", "no <b>sound</b>\u202e: `retry_failed=True`"])
    (tmp_path / "videos" / "deep").mkdir(parents=True)
    (tmp_path / "videos" / "deep" / "other.avi").write_bytes(b"")
    cached = FeatureCache.open(tmp_path / "c.zarr")
    write_report(
        tmp_path / "r.html", {"mine": events}, cache=cached, videos=tmp_path / "videos",
        words=lambda text: text.replace("`retry_failed=True`", "--retry-failed"),
    )  # fmt: skip
    data = data_of(tmp_path / "r.html")
    assert data["about"]["failures"] == [["bad", "no <b>sound</b>\\u202e: --retry-failed"]]
    assert (data["about"]["cache"]["done"], data["about"]["cache"]["failed"]) == (1, 1)
    assert data["urls"] == ["videos/deep/other.avi"]
    known = replace(events, cache={"identity": "another"})
    write_report(tmp_path / "r.html", {"mine": known}, cache=cached)
    assert data_of(tmp_path / "r.html")["about"]["other_cache"]


def test_a_large_one_is_small(tmp_path: Path) -> None:
    """1,200 clips of ten events each, with as many true ones: under 3 MB."""
    rng, labels = np.random.default_rng(0), [f"Label number {n}" for n in range(25)]
    clips: dict[str, list[tuple[str, str, int, int]]] = {}
    truth: dict[str, Any] = {}
    for n in range(1200):
        spans = [random_spans(rng, labels, 10, 7) for _ in range(3)]
        streams = ("audiovisual", "visual", "audio")
        clips[f"clip_{n}_30_40"] = [
            (stream, *span) for stream, some in zip(streams, spans, strict=True) for span in some
        ]
        truth[f"clip_{n}_30_40"] = dict(zip(streams[1:], spans[:2], strict=True))
    made = made_events(clips, labels)
    assert len(made) > 11_000
    written = write_report(tmp_path / "r.html", {"a": made}, annotations=Annotations.from_events(truth))
    assert written.bytes < 3_000_000
    again = write_report(tmp_path / "s.html", {"a": made}, annotations=Annotations.from_events(truth))
    assert (tmp_path / "r.html").read_bytes() == (tmp_path / "s.html").read_bytes()
    assert again.bytes == written.bytes


def test_links() -> None:
    assert link(Path("out/videos/a b#1.mp4"), Path("out")) == "videos/a%20b%231.mp4"
    assert link(Path("videos/ü.mp4"), Path("out")) == "../videos/%C3%BC.mp4"
    assert link(Path("a:b/c.mp4"), Path()) == "a%3Ab/c.mp4"
    assert link(Path("x.mp4"), Path()) == "x.mp4"


def test_json_in_a_page() -> None:
    value = {"</script>": "<!-- & \u2028 \u202e \udc80"}
    text = in_script(value)
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == value
    with pytest.raises(ValueError, match="JSON"):
        in_script([float("nan")])


def test_bad_arguments(events: Events, tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="0 files of events"):
        write_report(tmp_path / "r.html", {})
    with pytest.raises(ScoreError, match=r"r\.html: No such file"):
        write_report(tmp_path / "no" / "r.html", {"a": events})
    with pytest.raises(ScoreError, match="nowhere is not there: name the folder of the videos"):
        write_report(tmp_path / "r.html", {"a": events}, videos=tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_the_command(events: Events, tmp_path: Path) -> None:
    events.write(tmp_path / "events.json")
    events.write(tmp_path / "list.csv")
    done = av2a("report", cwd=tmp_path)
    assert (done.code, done.err) == (0, "no videos: name their folder with --videos DIR to see and hear the clips\n")
    assert done.out == "3 events in 3 clips -> report.html (0.1 MB)\n"
    assert data_of(tmp_path / "report.html")["title"] == USUAL_TITLE
    (tmp_path / "clips.txt").write_text("a\nb c\nd\n")
    true = ("--dataset", "events", "--truth", "events.json", "--clips", "clips.txt")
    done = av2a("report", "events.json", "list.csv", "-o", "two.html", *true, cwd=tmp_path)
    assert done.code == 0, done.err
    data = data_of(tmp_path / "two.html")
    assert [each["rule"] for each in data["about"]["systems"]] == ["av2a", None]
    assert data["clips"]["differs"] == [0.0, 0.0, 0.0]
    truth = read_annotations("events", tmp_path / "events.json", clips=["d"])
    assert len(truth.clip_ids) == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nowhere.json",), 1, "nowhere.json is not there"),
        (("list.csv",), 1, "name what is true, too: --annotations"),
        (("events.json", "-o", "events.json"), 2, "is a file of events: name another --output"),
        (("--truth", "list.csv"), 2, "Missing option '--dataset'"),
        (("--split", "val"), 2, "Missing option '--dataset': whose annotations --split means"),
        (("events.json", "--embed", "much"), 2, "'much' is no size, as 500k or 2M"),
        (("events.json", "--videos", "gone"), 1, "gone is not there: name the folder of the videos: --videos"),
        (("events.json", "--dataset", "llp", "--annotations", "gone"), 1, "gone is not there"),
        (("events.json", "--cache", "gone.zarr"), 1, "gone.zarr"),
    ],
)
def test_bad_input(events: Events, tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    events.write(tmp_path / "events.json")
    events.write(tmp_path / "list.csv")
    assert said in refusal("report", *words, cwd=tmp_path, code=code)
    assert not list(tmp_path.glob("*.html"))
