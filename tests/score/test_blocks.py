"""Scoring a block at a time gives what scoring all at once does, to the bit; files are written as events come."""

import csv
import json
import random
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_cache import DONE, FAILED, NO_PICTURE, NO_SOUND, PENDING, FeatureCache
from score import EventBlocks, Events, ScoreConfig, ScoreError, evaluate, score, score_blocks, stitch
from score.formats import FORMATS
from score.formats.base import EventBlock
from score.stitching import stitch_blocks
from tests.command import av2a, refusal
from tests.made_events import annotations, made_events
from tests.plain_scoring import plain_score, plain_stitch

CONFIG = ScoreConfig.published("language_bind").replace(threshold_stage1=0.6, threshold_stage2=0.5)
READABLE = [name for name, each in FORMATS.items() if each.read is not None]


def same(ours: Events, theirs: Events) -> None:
    for field in fields(Events):
        one, other = getattr(ours, field.name), getattr(theirs, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype, field.name
            assert one.shape == other.shape, field.name
            assert one.tobytes() == other.tobytes(), field.name
        else:
            assert one == other, field.name


def made_cache(
    path: Path, clips: int, shard_size: int, seed: int, *, grown: int = 0, windows: int = 46
) -> FeatureCache:
    """Rows of every status, some without sound or picture, most of them cut from some files, not always in a row."""
    rng = np.random.default_rng(seed)
    ids = [f"clip {number}" for number in range(clips)]
    origins: dict[str, list[Any]] = {}
    files = [f"film {number}" for number in range(max(1, clips // 4))]
    for number, clip in enumerate(ids):
        if rng.random() < 0.8:
            begin = float(rng.choice([4.0, 9.7, 10.0])) * number
            file = str(rng.choice(files)) if rng.random() < 0.3 else files[min(number // 4, len(files) - 1)]
            origins[clip] = [file, begin] if rng.random() < 0.8 else [file, begin, begin + float(rng.uniform(0, 10))]
    cache = FeatureCache.create(
        path, clip_ids=ids[: clips - grown], backbone="language_bind", visual_dim=6, audio_dim=5, shard_size=shard_size,
        attributes={"clips_from": origins},
    )  # fmt: skip
    cache.add_clips(ids[clips - grown :])
    cache.add_text("some", labels=list("abcde"), visual=rng.standard_normal((5, 6)), audio=rng.standard_normal((5, 5)))
    for shard in range(cache.n_shards):
        n = len(cache.shard_rows(shard))
        status = rng.choice([DONE, DONE, DONE, FAILED, PENDING], n)
        cache.write_shard(
            shard,
            rng.standard_normal((n, 10, 6)).cumsum(axis=1),
            rng.standard_normal((n, windows, 1, 6)),
            rng.standard_normal((n, windows, 5)),
            status,
            ["broken"] * n,
            rng.choice([0, 0, 0, NO_PICTURE, NO_SOUND], n),
        )
    return cache


@pytest.mark.parametrize(("clips", "shard_size", "grown"), [(1, 1, 0), (23, 4, 0), (40, 7, 5), (31, 64, 3), (30, 1, 1)])
def test_blocks_are_the_whole(tmp_path: Path, clips: int, shard_size: int, grown: int) -> None:
    cache = made_cache(tmp_path / "c.zarr", clips, shard_size, seed=clips, grown=grown)
    whole = plain_score(cache, CONFIG)
    for threads in (1, 3):
        same(score(cache, CONFIG, stitched=False, threads=threads), whole)
    same(score(cache, CONFIG, stitched=True), plain_stitch(whole))
    by_clip = score_blocks(cache, CONFIG, stitched=False)
    for held in (0, 10):
        found = stitch_blocks(EventBlocks(by_clip.facts, _cut(whole, 1)), held=held)
        same(Events.gathered(found.facts, found), plain_stitch(whole))
    seen: list[tuple[int, int]] = []
    for _ in score_blocks(cache, CONFIG, progress=lambda done, total: seen.append((done, total))):
        pass
    assert seen == sorted(seen)
    assert seen[-1:] == ([(len(whole.clip_ids),) * 2] if whole.clip_ids else [])


def _cut(events: Events, size: int) -> Any:
    whole = events.block
    return (whole.part(slice(at, at + size)) for at in range(0, len(events), size))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([1.0, 0.96, 0.1, 1 / 3]), st.integers(0, 30))
def test_stitching_is_the_plain_one(seed: int, clips: int, seconds: float, held: int) -> None:
    rng = np.random.default_rng(seed)
    labels = ("dog", "cat")
    made: dict[str, Any] = {}
    origins: dict[str, Any] = {}
    for number in range(clips):
        spans = []
        for _ in range(int(rng.integers(0, 6))):
            start = int(rng.integers(0, 4))
            stream = str(rng.choice(["visual", "audio", "audiovisual"]))
            spans.append((stream, str(rng.choice(labels)), start, int(rng.integers(start + 1, 5))))
        made[f"c{number}"] = spans
        if rng.random() < 0.9:
            begin = float(rng.choice([0.0, 1.0, 3.0, 4.0])) * seconds * number + float(
                rng.choice([0, 1e-7, 5e-7, 2e-6])
            )
            end = None if rng.random() < 0.7 else begin + float(rng.uniform(0, 4 * seconds))
            origins[f"c{number}"] = (f"f{int(rng.integers(0, 3))}", begin, end)
    events = replace(made_events(made, labels, 4), clips_from=origins, segment_seconds=seconds)
    events = replace(events, score=rng.random(len(events)).round(1))
    expected = plain_stitch(events)
    same(stitch(events), expected)
    found = stitch_blocks(EventBlocks(events.facts, _cut(events, 3)), held=held)
    same(Events.gathered(found.facts, found), expected)


def test_files_of_complete_stories_go_on_early(tmp_path: Path) -> None:
    """No more is held than the events of files whose clips are still to come."""
    made = {f"{file}#{part}": [("visual", "dog", 0, 4)] for file in range(50) for part in range(2)}
    origins: dict[str, Any] = {clip: (clip.split("#")[0], 10.0 * int(clip[-1]), None) for clip in made}
    events = replace(made_events(made, ["dog", "cat"]), clips_from=origins)
    taken: list[int] = []

    def blocks() -> Any:
        for block in _cut(events, 2):
            taken.append(int(block.clip[-1]))
            yield block

    behind = [
        taken[-1] // 2 - int(block.clip[-1]) for block in stitch_blocks(EventBlocks(events.facts, blocks()), held=3)
    ]
    assert len(behind) > 10
    assert max(behind) <= 3


def test_what_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    cache = made_cache(tmp_path / "c.zarr", 12, 3, seed=1)
    full = np.flatnonzero(cache.status() == DONE)
    events = score_blocks(cache, CONFIG, stitched=False)
    shard = int(full[-1]) // 3
    n = len(cache.shard_rows(shard))
    none = (np.zeros((n, 10, 6)), np.zeros((n, 46, 1, 6)), np.zeros((n, 46, 5)))
    cache.write_shard(shard, *none, [PENDING] * n)
    before = (tmp_path / "e.json").write_text("before")
    assert before
    with pytest.raises(ScoreError, match=r"c\.zarr was changed while it was scored"):
        events.write(tmp_path / "e.json")
    assert (tmp_path / "e.json").read_text() == "before"
    assert [file.name for file in tmp_path.iterdir() if "partial" in file.name] == []


def test_rows_that_are_done_meanwhile_are_left_to_the_next_time(tmp_path: Path) -> None:
    cache = made_cache(tmp_path / "c.zarr", 12, 3, seed=4)
    whole = plain_score(cache, CONFIG)
    events = score_blocks(cache, CONFIG, stitched=False)
    pending = np.flatnonzero(cache.status() == PENDING)
    assert len(pending)
    for row in pending.tolist():
        rng = np.random.default_rng(row)
        shard, inside = divmod(row, 3)
        tables = {"image": (10, 6), "video": (46, 1, 6), "audio": (46, 5)}
        values = {name: rng.standard_normal((1, *shape)) for name, shape in tables.items()}
        cache.write_rows(shard, [inside], values, [DONE], [""], [0])
    same(Events.gathered(events.facts, events), whole)


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stitched", [False, True])
@pytest.mark.parametrize("ending", READABLE)
def test_there_and_back(tmp_path: Path, ending: str, stitched: bool) -> None:
    cache = made_cache(tmp_path / "c.zarr", 40, 7, seed=3)
    found = score_blocks(cache, CONFIG, stitched=stitched)
    file = tmp_path / f"e.{ending}"
    assert found.write(file) == [str(file)]
    whole = score(cache, CONFIG, stitched=stitched)
    assert found.counts.tolist() == [list(row) for row in whole.counts().values()]
    same(Events.read(file), whole)
    again = tmp_path / f"again.{ending}"
    EventBlocks.read(file).write(again)
    assert again.read_bytes() == file.read_bytes()


@pytest.mark.parametrize("ending", READABLE)
def test_no_events_there_and_back(tmp_path: Path, ending: str) -> None:
    none = made_events({"ä": [], "b": []}, ["x", "y"])
    none.write(tmp_path / f"e.{ending}")
    same(Events.read(tmp_path / f"e.{ending}"), none)


def test_json_is_what_json_dumps_makes(tmp_path: Path) -> None:
    """Records of blocks of any size, to the byte."""
    cache = made_cache(tmp_path / "c.zarr", 30, 4, seed=9)
    whole = plain_score(cache, CONFIG)
    found = whole.to_dict()
    head = {"format": "av2a-events", "version": 1, **{name: found[name] for name in found if name != "events"}}
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    records = ",\n".join(f"  {json.dumps(record)}" for record in found["events"])
    expected = "{\n" + "\n".join(lines) + '\n "events": [\n' + records + "\n ]\n}\n"
    for size in (1, 7, 10_000):
        EventBlocks(whole.facts, _cut(whole, size)).write(tmp_path / "e.json")
        assert (tmp_path / "e.json").read_text() == expected


def test_json_lines_are_for_any_reader(tmp_path: Path) -> None:
    events = made_events({"ä\\b": [("visual", "x", 0, 4), ("audio", "y", 1, 10)], "c": []}, ["x", "y"])
    events.write(tmp_path / "e.jsonl")
    first, *lines = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert first == {"format": "av2a-events", "version": 1, **events.facts.to_dict()}
    assert lines == list(events.records())


def test_parquet_is_a_table_for_any_reader(tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    events = made_events({"ä": [("visual", "x", 0, 4), ("audio", "y", 1, 10)], "c": [("audio", "x", 2, 3)]}, ["x", "y"])
    EventBlocks(events.facts, _cut(events, 1)).write(tmp_path / "e.parquet")
    table = parquet.read_table(tmp_path / "e.parquet")
    assert table.column_names == ["clip", "stream", "label", "onset", "offset", "score"]
    assert table.to_pylist() == list(events.records())
    columns: dict[str, Any] = {name: np.repeat(getattr(events, name), 60_000) for name in COLUMNS}
    many = replace(events, **columns)
    many.write(tmp_path / "many.parquet")
    assert parquet.ParquetFile(tmp_path / "many.parquet").num_row_groups >= 2
    same(Events.read(tmp_path / "many.parquet"), many)


COLUMNS = ("clip", "stream_number", "label", "start", "end", "score")


def test_parquet_without_pyarrow(tmp_path: Path) -> None:
    (tmp_path / "hidden" / "pyarrow").mkdir(parents=True)
    (tmp_path / "hidden" / "pyarrow" / "__init__.py").write_text("raise ImportError('not here')")
    made_cache(tmp_path / "features.zarr", 4, 2, seed=4)
    done = av2a("score", "-o", "e.parquet", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "hidden")})
    assert done.code == 1
    assert "Parquet files need pyarrow: pip install 'av2a[search]'" in done.err
    assert not list(tmp_path.glob("*e.parquet*"))


def test_csv_and_tsv_of_blocks(tmp_path: Path) -> None:
    events = score(made_cache(tmp_path / "c.zarr", 30, 4, seed=9), CONFIG, stitched=False)
    for size in (1, 10_000):
        EventBlocks(events.facts, _cut(events, size)).write(tmp_path / f"{size}.csv")
        EventBlocks(events.facts, _cut(events, size)).write(tmp_path / f"{size}.tsv")
    with (tmp_path / "1.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{name: str(value) for name, value in record.items()} for record in events.records()]
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "10000.csv").read_bytes()
    for stream in ("visual", "audio", "audiovisual"):
        assert (tmp_path / f"1_{stream}.tsv").read_bytes() == (tmp_path / f"10000_{stream}.tsv").read_bytes()


def test_pipes_and_links_and_modes(tmp_path: Path) -> None:
    events = made_events({"a": [("visual", "x", 0, 4)]}, ["x", "y"])
    (tmp_path / "real.json").write_text("")
    (tmp_path / "real.json").chmod(0o640)
    (tmp_path / "e.json").symlink_to("real.json")
    events.write(tmp_path / "e.json")
    assert (tmp_path / "e.json").is_symlink()
    assert (tmp_path / "real.json").stat().st_mode & 0o777 == 0o640
    same(Events.read(tmp_path / "real.json"), events)
    events.write("/dev/null", format="csv")
    assert not Path("/dev/null").is_file()


# --- evaluated --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["llp", "ave"])
def test_figures_of_blocks_are_those_of_all(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(kind)
    labels = ("dog", "cat", "bell")
    made: dict[str, Any] = {}
    truth: dict[str, Any] = {}
    for number in range(60):
        clip = f"c{number}"
        made[clip] = [
            (rng.choice(["visual", "audio", "audiovisual"]), rng.choice(labels), start, rng.randint(start + 1, 10))
            for start in (rng.randint(0, 9) for _ in range(rng.randint(0, 5)))
        ]
        if rng.random() < 0.7:
            truth[clip] = {"visual": [("dog", 0, rng.randint(1, 9))], "audio": [("cat", 2, 5)] * rng.randint(0, 1)}
    events = made_events(made, labels)
    order = list(range(len(events)))
    rng.shuffle(order)
    order.sort(key=lambda row: rng.random() if kind == "llp" else int(events.stream_number[row]))
    columns: dict[str, Any] = {name: getattr(events, name)[order] for name in COLUMNS}
    shuffled = replace(events, **columns)
    split = annotations(kind, **truth)
    whole = evaluate(events, split, partial=True)
    for blocks in (events.blocks(), EventBlocks(events.facts, _cut(events, 7))):
        found = evaluate(blocks, split, partial=True)
        assert found.to_dict() == whole.to_dict()
        assert found.clips == whole.clips
        for name, values in whole.by_clip.items():
            np.testing.assert_array_equal(found.by_clip[name], values)
    if kind == "llp":
        assert evaluate(shuffled, split, partial=True).to_dict() == whole.to_dict()
    monkeypatch.setattr("score.evaluation.CLIPS", 7)
    assert evaluate(events, split, partial=True).to_dict() == whole.to_dict()
    mixed = evaluate(shuffled, split, partial=True).to_dict()
    assert evaluate(shuffled.blocks(), split, partial=True).to_dict() == mixed


def test_the_command_writes_and_evaluates_every_readable_format(tmp_path: Path) -> None:
    cache = made_cache(tmp_path / "features.zarr", 20, 4, seed=2)
    folder = tmp_path / "truth"
    folder.mkdir()
    done = [clip for clip, status in zip(cache.clip_ids, cache.status(), strict=True) if status == DONE]
    (folder / "AVVP_test_pd.csv").write_text("filename\n" + "\n".join(done) + "\n")
    for side in ("visual", "audio"):
        rows = "".join(f"{clip}\t0\t5\ta\n" for clip in done)
        (folder / f"AVVP_eval_{side}.csv").write_text("filename\tonset\toffset\tevent_labels\n" + rows)
    printed = set()
    for ending in READABLE:
        scored = av2a("score", "--no-stitch", "-o", f"e.{ending}", cwd=tmp_path)
        assert scored.code == 0, scored
        assert f"{len(score(cache, ScoreConfig.published('language_bind'), stitched=False))} events in" in scored.out
        words = ("evaluate", f"e.{ending}", "--annotations", "truth", "--dataset", "llp", "--json")
        figures = av2a(*words, cwd=tmp_path)
        assert figures.code == 0, figures
        printed.add(figures.out)
    assert len(printed) == 1
    assert "a table of events has the columns" in refusal(
        "evaluate", "truth/AVVP_test_pd.csv", *words[2:], cwd=tmp_path
    )


def test_a_block_of_none() -> None:
    block = made_events({"a": []}, ["x", "y"]).block
    assert isinstance(block, EventBlock)
    assert len(block) == 0
