"""What is written in every format is what public readers find, and what av2a reads again."""

import html
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pympi
import pytest
import srt
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st
from praatio import textgrid as praat

from feature_cache.names import escaped
from score import EventBlocks, Events, ScoreConfig, ScoreError
from score.choices import STREAMS
from score.formats import FORMATS, LISTS, kind_of, read_listed
from score.formats.clip_names import file_names
from score.formats.cues import WORDS
from tests.made_events import EVENTS, made_events

Row = tuple[str, str, str, float, float]
"""Clip, stream, label, onset, offset."""
NASTY = [
    "a<b>c", "&amp; & <", "x --> y", 'the "x"', "''", "a\\b", "{\\an8}", "[heard] dog", " dog ", "dog + cat", "犬, é",
    "dog (2)", "audio: dog", "#3", "=1+1", "-", "NA", "<NA>", "a_b", "a b", "\u2028", "\uffff", "0", "NOTE x", ";;",
]  # fmt: skip
labels = st.sampled_from(NASTY) | st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u0085"), min_size=1, max_size=6
)
clip_ids = st.sampled_from(["a", "A", "a/b", "../x", "/x", "x_audio", "a.vtt/y", "n" * 300, "a:b", " ", "犬"]) | labels


def timed(rows: list[tuple[int, str, int, int, int]], clips: list[str], names: list[str]) -> Events:
    """Events on the timelines of files: clip, stream, label, onset and length in milliseconds."""
    rows = sorted(rows, key=lambda row: row[0])
    made = made_events({clip: [] for clip in clips}, names)
    columns: Any = list(zip(*rows, strict=True)) or [()] * 5
    onset, length = (np.array(columns[at], dtype=np.int64) for at in (3, 4))
    return replace(
        made,
        clip=np.array(columns[0], dtype=np.int32),
        stream_number=np.array([STREAMS.index(each) for each in columns[1]], dtype=np.int8),
        label=np.array(columns[2], dtype=np.int32),
        start=np.zeros(len(rows), dtype=np.int16),
        end=np.ones(len(rows), dtype=np.int16),
        score=np.linspace(0, 1, len(rows)),
        seconds=np.column_stack([onset, onset + length]) / 1000,
    )


@st.composite
def made(draw: st.DrawFn) -> Events:
    clips = draw(st.lists(clip_ids, min_size=1, max_size=4, unique=True))
    names = draw(st.lists(labels, min_size=2, max_size=4, unique=True))
    times = st.integers(0, 20_000) | st.integers(0, 400_000_000)
    row = st.tuples(
        st.integers(0, len(clips) - 1), st.sampled_from(STREAMS), st.integers(0, len(names) - 1), times,
        st.integers(1, 20_000),
    )  # fmt: skip
    return timed(draw(st.lists(row, max_size=12)), clips, names)


def rows_of(events: Events) -> list[Row]:
    return [(*row[:3], round(row[3], 3), round(row[4], 3)) for row in events.block.rows(events.facts.to_dict())]


def listed(path: Path, kind: str) -> tuple[list[Row], list[float], Any]:
    """Rows, scores and clips that are named."""
    found = read_listed(path, kind)
    rows: list[Row] = []
    scores: list[float] = []
    for block in found.events:
        for clip, stream, label, onset, offset, score in zip(*block, strict=True):
            rows.append((clip, stream, label, round(float(onset), 3), round(float(offset), 3)))
            scores.append(float(score))
    return rows, scores, found.clips


def xml(label: str) -> str:
    return escaped(label).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


SAID: dict[str, Callable[[str], str]] = {"audacity": escaped, "vtt": escaped, "srt": escaped, "eaf": xml}
"""How labels are read again where not as they are."""
EXACT = ["json", "jsonl", "csv", "tsv", "activitynet", "audacity", "vtt", "srt", "eaf", "label-studio"]


@settings(max_examples=15, deadline=None)
@given(made())
def test_there_and_back(events: Events) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for kind in EXACT:
            said = SAID.get(kind, str)
            file = Path(folder) / f"out-{kind}"
            written = events.write(file, format=kind, score_column=kind in ("tsv", "csv"))
            assert all(Path(name).exists() for name in written)
            rows, scores, clips = listed(file, kind)
            # names that were cut, or that only case sets apart, are known by their file's
            names = file_names(events.clip_ids, FORMATS[kind].ending) if FORMATS[kind].write_clip else None
            known = {clip: names[at] for at, clip in enumerate(events.clip_ids)} if names else {}
            again = {
                clip: known[clip] if re.search("~[0-9a-f]{16}$", known.get(clip, "")) else clip
                for clip in events.clip_ids
            }
            expected = [(again[row[0]], row[1], said(row[2]), *row[3:]) for row in rows_of(events)]
            assert Counter(rows) == Counter(expected), kind
            if kind not in ("csv", "tsv"):
                assert sorted(clips) == sorted(again.values()), kind
            if kind in ("json", "csv", "tsv", "activitynet", "label-studio"):
                assert sorted(scores) == sorted(events.score.tolist())


def spans(rows: Iterator[Row] | list[Row]) -> dict[tuple[str, str, str], list[tuple[float, float]]]:
    """Where labels are, whatever is cut into how many pieces."""
    found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for *which, onset, offset in sorted(rows, key=lambda row: row[3:]):
        pieces = found.setdefault((which[0], which[1], which[2]), [])
        if pieces and onset <= pieces[-1][1]:
            pieces[-1] = (pieces[-1][0], max(offset, pieces[-1][1]))
        else:
            pieces.append((onset, offset))
    return found


def plain(label: str) -> str:
    """Nothing of it is what separates labels in an interval, or what praatio takes off."""
    return label.replace("+", "-").strip() or "x"


@settings(max_examples=12, deadline=None)
@given(made())
def test_textgrid(events: Events) -> None:
    """By praatio and by ourselves; labels of an interval are joined, and pieces of an event put together again."""
    names = tuple(f"{plain(label)}{at}" for at, label in enumerate(events.labels))
    events = replace(events, labels=names, clip_ids=tuple(f"c{at}" for at in range(len(events.clip_ids))))
    with tempfile.TemporaryDirectory() as folder:
        events.write(Path(folder) / "out", format="textgrid")
        rows, _, clips = listed(Path(folder) / "out", "textgrid")
        assert clips == list(events.clip_ids)
        assert spans(rows) == spans(rows_of(events))
        theirs: list[Row] = []
        for clip in events.clip_ids:
            grid = praat.openTextgrid(str(Path(folder) / "out" / f"{clip}.TextGrid"), includeEmptyIntervals=True)
            assert grid.tierNames == STREAMS
            for stream in STREAMS:
                entries = grid.getTier(stream).entries
                assert entries[0].start == 0
                assert all(one.end == two.start for one, two in pairwise(entries))
                theirs += [
                    (clip, stream, label, round(entry.start, 3), round(entry.end, 3))
                    for entry in entries
                    if entry.label
                    for label in entry.label.split(" + ")
                ]
        assert spans(theirs) == spans(rows_of(events))


def cues(events: Events, clip: str) -> list[tuple[float, float, str]]:
    """In the order in which players want them."""
    return sorted(
        (onset, offset, f"[{WORDS[stream]}] {escaped(label)}")
        for found, stream, label, onset, offset in rows_of(events)
        if found == clip
    )


def clock(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return round(3600 * int(hours) + 60 * int(minutes) + float(seconds), 3)


@settings(max_examples=12, deadline=None)
@given(made())
def test_subtitles(events: Events) -> None:
    """By webvtt-py and srt, which take spaces off the ends."""
    events = replace(events, clip_ids=tuple(f"c{at}" for at in range(len(events.clip_ids))))
    with tempfile.TemporaryDirectory() as folder:
        events.write(Path(folder) / "out", format="vtt")
        events.write(Path(folder) / "out.srt")
        for clip in events.clip_ids:
            expected = [(onset, offset, text.strip()) for onset, offset, text in cues(events, clip)]
            found = [
                (clock(cue.start), clock(cue.end), html.unescape(cue.raw_text).strip())
                for cue in webvtt.read(Path(folder) / "out" / f"{clip}.vtt")
            ]
            assert sorted(found) == expected
            assert [cue[:2] for cue in found] == [cue[:2] for cue in expected]
            text = (Path(folder) / "out" / f"{clip}.srt").read_text(encoding="utf-8")
            subtitles = list(srt.parse(text))
            assert [each.index for each in subtitles] == list(range(1, len(expected) + 1))
            assert expected == sorted(
                (round(each.start.total_seconds(), 3), round(each.end.total_seconds(), 3), each.content.strip())
                for each in subtitles
            )


@settings(max_examples=12, deadline=None)
@given(made())
def test_elan(events: Events) -> None:
    """By pympi: nothing is lost, and no tier's annotations overlap."""
    events = replace(events, clip_ids=tuple(f"c{at}" for at in range(len(events.clip_ids))))
    with tempfile.TemporaryDirectory() as folder:
        events.write(Path(folder) / "out", format="eaf")
        found: list[Row] = []
        for clip in events.clip_ids:
            eaf = pympi.Elan.Eaf(str(Path(folder) / "out" / f"{clip}.eaf"))
            for tier in eaf.get_tier_names():
                annotations = sorted(eaf.get_annotation_data_for_tier(tier))
                assert all(one[1] <= two[0] for one, two in pairwise(annotations))
                stream = tier.split(":")[0]
                found += [(clip, stream, value, start / 1000, end / 1000) for start, end, value in annotations]
        assert Counter(found) == Counter((*row[:2], xml(row[2]), *row[3:]) for row in rows_of(events))


@settings(max_examples=15, deadline=None)
@given(made())
def test_rttm(events: Events) -> None:
    """Ten fields a line (NIST's RT-09 plan, appendix A), and what pyannote reads where it is installed."""
    short = {what: {name: re.sub(r"\s", "_", name) for name in names} for what, names in
             (("clips", events.clip_ids), ("labels", events.labels))}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "out.rttm"
        if any(len(set(names.values())) < len(names) for names in short.values()):
            with pytest.raises(ScoreError, match=r"are one in RTTM, which has _ for spaces: rename one"):
                events.write(file)
            assert not list(Path(folder).iterdir())
            return
        for name in events.write(file):
            for line in Path(name).read_text(encoding="utf-8").split("\n")[:-1]:
                kind, _, channel, onset, duration, first, second, _, score, last = line.split(" ")
                assert (kind, channel, first, second, last) == ("SPEAKER", "1", "<NA>", "<NA>", "<NA>")
                assert min(float(onset), float(duration), float(score)) >= 0
        rows, scores, clips = listed(file, "rttm")
        assert clips is None
        assert Counter(rows) == Counter(
            (short["clips"][row[0]], row[1], short["labels"][row[2]], *row[3:]) for row in rows_of(events)
        )
        assert sorted(scores) == sorted(events.score.tolist())


def test_pyannote_reads_rttm(tmp_path: Path) -> None:
    util = pytest.importorskip("pyannote.database.util")
    EVENTS.write(tmp_path / "e.rttm")
    found = util.load_rttm(tmp_path / "e_visual.rttm")
    assert [(uri, [(s.start, s.end, label) for s, _, label in each.itertracks(yield_label=True)]) for uri, each in
            found.items()] == [("a_b", [(0, 4, "Dog")]), ("c", [(2, 5, "cat")])]  # fmt: skip


# --- to the letter ------------------------------------------------------------------------------------------------

TWO = made_events(
    {"a b": [("audio", "dog & cat", 0, 4), ("visual", 'the "x"', 2, 5), ("audio", 'the "x"', 2, 10)], "none": []},
    ["dog & cat", 'the "x"'],
)
SHOWN = {
    "audacity": ("a b_audio.txt", '0.000000\t4.000000\tdog & cat\n2.000000\t10.000000\tthe "x"\n'),
    "vtt": (
        "a b.vtt",
        "WEBVTT\n\n00:00:00.000 --> 00:00:04.000\n[heard] dog &amp; cat\n\n00:00:02.000 --> 00:00:05.000\n"
        '[seen] the "x"\n\n00:00:02.000 --> 00:00:10.000\n[heard] the "x"\n',
    ),
    "srt": (
        "a b.srt",
        '1\n00:00:00,000 --> 00:00:04,000\n[heard] dog & cat\n\n2\n00:00:02,000 --> 00:00:05,000\n[seen] the "x"\n\n'
        '3\n00:00:02,000 --> 00:00:10,000\n[heard] the "x"\n\n',
    ),
}


@pytest.mark.parametrize("kind", SHOWN)
def test_to_the_letter(kind: str, tmp_path: Path) -> None:
    TWO.write(tmp_path / "out", format=kind)
    name, text = SHOWN[kind]
    assert (tmp_path / "out" / name).read_text() == text


def test_intervals_of_a_tier_are_cut_and_joined(tmp_path: Path) -> None:
    TWO.write(tmp_path / "out.TextGrid")
    text = (tmp_path / "out" / "a b.TextGrid").read_text()
    tier = text[text.index('name = "audio"') :]
    assert re.findall(r'xmin = (\S+)\s+xmax = (\S+)\s+text = "(.*)"', tier) == [
        ("0.0", "2.0", "dog & cat"), ("2.0", "4.0", 'dog & cat + the ""x""'), ("4.0", "10.0", 'the ""x""')
    ]  # fmt: skip


def test_activitynet(tmp_path: Path) -> None:
    written = TWO.write(tmp_path / "out.json", format="activitynet")
    assert [Path(name).name for name in written] == ["out_audiovisual.json", "out_visual.json", "out_audio.json"]
    found = json.loads((tmp_path / "out_visual.json").read_text())
    assert set(found) == {"version", "results", "external_data"}
    assert found["results"] == {"a b": [{"label": 'the "x"', "score": 1.0, "segment": [2.0, 5.0]}], "none": []}


def test_label_studio(tmp_path: Path) -> None:
    """Ids and the model's version are those of the same events in another file."""
    TWO.write(tmp_path / "one", format="label-studio")
    TWO.write(tmp_path / "two", format="label-studio")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    first, second = json.loads((tmp_path / "one").read_text())
    assert first["data"]["video"] == "/data/local-files/?d=videos/a%20b.mp4"
    (prediction,) = first["predictions"]
    assert re.fullmatch("av2a [0-9a-f]{8}", prediction["model_version"])
    regions = prediction["result"]
    assert len({region["id"] for region in regions}) == 3
    assert {region["from_name"] for region in regions} == {"audio", "visual"}
    assert regions[0]["value"] == {"start": 0.0, "end": 4.0, "channel": 0, "labels": ["dog & cat"]}
    assert second["predictions"][0]["result"] == []
    other = replace(TWO, config=ScoreConfig.published("clip_clap").replace(alpha=0.9))
    other.write(tmp_path / "three", format="label-studio")
    assert (
        json.loads((tmp_path / "three").read_text())[0]["predictions"][0]["model_version"]
        != prediction["model_version"]
    )


def test_what_is_approximate_is_said(tmp_path: Path) -> None:
    config = ScoreConfig.published("clip_clap").replace(pooled_windows=True)
    events, said = replace(TWO, config=config), config.approximation
    assert said
    for kind, name in (("vtt", "vtt/a b.vtt"), ("eaf", "eaf/a b.eaf"), ("label-studio", "label-studio"),
                       ("activitynet", "activitynet_audio.json"), ("tsv", "tsv_audio.tsv")):  # fmt: skip
        events.write(tmp_path / kind, format=kind)
        file = tmp_path / name
        text = (file if file.exists() else file.with_name("tsv_audio.tsv")).read_text()
        assert html.escape(said, quote=False) in html.escape(html.unescape(text), quote=False), kind


def test_scores_in_tsv_on_demand(tmp_path: Path) -> None:
    EVENTS.write(tmp_path / "e.tsv", score_column=True)
    assert (
        tmp_path / "e_audio.tsv"
    ).read_text() == "filename\tonset\toffset\tevent_label\tscore\na_b\t0.000\t10.000\tDog\t1.0\n"
    EVENTS.write(tmp_path / "e.csv", score_column=True)  # they are there in any case
    for kind in ("vtt", "srt", "audacity", "textgrid", "eaf"):
        with pytest.raises(ScoreError, match=rf"{kind} has no room for scores .*: use one of json, jsonl, csv, tsv"):
            EVENTS.write(tmp_path / "x", format=kind, score_column=True)


# --- where it goes ------------------------------------------------------------------------------------------------


def test_folders(tmp_path: Path) -> None:
    """A path less its ending; a folder that is there, whatever its name; other endings stay."""
    assert EVENTS.write(tmp_path / "subs.vtt") == [str(tmp_path / "subs")]
    assert EVENTS.write(tmp_path / "my.videos", format="vtt") == [str(tmp_path / "my.videos")]
    (tmp_path / "there.vtt").mkdir()
    assert EVENTS.write(tmp_path / "there.vtt") == [str(tmp_path / "there.vtt")]
    for folder in ("subs", "my.videos", "there.vtt"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == ["a_b.vtt", "c.vtt"]
    assert kind_of(tmp_path / "subs") == "vtt"
    (tmp_path / "file").write_text("x")
    with pytest.raises(ScoreError, match=r"file: cannot be written \(Not a directory\)"):
        EVENTS.write(tmp_path / "file", format="vtt")


def test_lengths_are_those_of_files(tmp_path: Path) -> None:
    """Of stitched events: to the end of the last clip that was cut from a file."""
    events = timed([(0, "audio", 0, 1000, 2000)], ["film", "clip"], ["a", "b"])
    origins: Any = {"x": ("film", 0.0, None), "y": ("film", 10.0, 13.5)}
    replace(events, clips_from=origins).write(tmp_path / "out", format="textgrid")
    for clip, length in (("film", "13.5"), ("clip", "10.0")):
        assert f"\nxmax = {length}\n" in (tmp_path / "out" / f"{clip}.TextGrid").read_text()


def test_events_in_another_order(tmp_path: Path) -> None:
    """In memory they are sorted; what comes from a file a block at a time is not."""
    events = replace(EVENTS, clip=EVENTS.clip[::-1].copy())
    events.write(tmp_path / "out", format="vtt")
    assert (tmp_path / "out" / "a_b.vtt").read_text().count("-->") == 3
    blocks = EventBlocks(events.facts, iter([events.block]))
    with pytest.raises(ScoreError, match=r"events of clip a_b come after those of later ones: `Events.write` sorts"):
        blocks.write(tmp_path / "other", "vtt")
    blocks = EventBlocks(events.facts, iter([events.block.part(slice(at, at + 1)) for at in range(4)]))
    with pytest.raises(ScoreError, match="come after those of later ones"):
        blocks.write(tmp_path / "other", "activitynet")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_blocks_cut_anywhere(tmp_path: Path) -> None:
    TWO.write(tmp_path / "whole", format="vtt")
    for size in (1, 2):
        cut = [TWO.block.part(slice(at, at + size)) for at in range(0, len(TWO), size)]
        EventBlocks(TWO.facts, iter([TWO.block.part(slice(0, 0)), *cut])).write(tmp_path / f"{size}", "vtt")
        for name in ("a b.vtt", "none.vtt"):
            assert (tmp_path / f"{size}" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_every_format_is_read_again_but_none_that_cannot_be() -> None:
    assert set(LISTS) == {*FORMATS, "ov-avebench"} - {"json", "jsonl", "parquet"}
    assert {each.name for each in FORMATS.values() if each.read is not None} == {"json", "jsonl", "parquet"}
