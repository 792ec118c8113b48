"""Files of segment scores: what is in them, whole or not at all."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_cache import NO_PICTURE, NO_SOUND, FeatureCache, window_count
from score import ScoreConfig, ScoreError, SegmentScores, segment_scores
from score.choices import STREAMS
from score.score_files import scores_output

CONFIG = ScoreConfig.published("language_bind").replace(threshold_stage1=0.6)
IDS = ("plain", "a/b", "..", "犬 #0", "x" * 400)
LABELS = ('say "hi"', "dog", "cat, big", "été", "e")
T = 5


def made(path: Path, ids: tuple[str, ...] = IDS, seconds: float = 0.96, shard_size: int = 2) -> FeatureCache:
    rng = np.random.default_rng(2)
    n, windows = len(ids), window_count(T)
    base = rng.standard_normal((n, 1, 8))
    cache = FeatureCache.from_arrays(
        path, clip_ids=ids, backbone="language_bind", shard_size=shard_size, segment_seconds=seconds,
        missing=[0, NO_SOUND, NO_PICTURE, *[0] * (n - 3)][:n],
        image=base + rng.standard_normal((n, T, 8)), video=base + rng.standard_normal((n, windows, 8)),
        audio=base + rng.standard_normal((n, windows, 8)),
    )  # fmt: skip
    text = rng.standard_normal((len(LABELS), 8))
    cache.add_text("t", labels=LABELS, visual=text, audio=text)
    return cache


def gathered(cache: FeatureCache, config: ScoreConfig = CONFIG) -> dict[str, Any]:
    blocks = list(segment_scores(cache, config))
    return {name: np.concatenate([getattr(block, name) for block in blocks]) for name in ("probability", "threshold")}


def read_tsv(file: Path) -> tuple[list[str], Any]:
    with file.open(encoding="utf-8", newline="") as text:
        header, *rows = csv.reader(text, delimiter="\t")
    return header, np.array(rows, dtype=np.float64)


def test_a_folder_of_tsv(tmp_path: Path) -> None:
    cache = made(tmp_path / "c.zarr")
    segment_scores(cache, CONFIG).write(tmp_path / "s")
    expected = gathered(cache)
    facts = json.loads((tmp_path / "s" / "scores.json").read_text(encoding="utf-8"))
    names = {clip: facts["file_names"].get(clip, f"{clip}.tsv") for clip in IDS}
    assert names["plain"] == "plain.tsv"
    assert names["犬 #0"] == "犬 #0.tsv"
    assert facts["config"] == CONFIG.to_dict()
    for stream in STREAMS:
        for kind in ("probability", "threshold"):
            folder = tmp_path / "s" / stream / kind
            assert {file.name for file in folder.iterdir()} == set(names.values())
    for number, clip in enumerate(IDS):
        for at, stream in enumerate(STREAMS):
            tables = {}
            for kind in ("probability", "threshold"):
                header, values = read_tsv(tmp_path / "s" / stream / kind / names[clip])
                assert header == ["onset", "offset", *LABELS]
                assert values[0, 0] == 0
                assert (values[1:, 0] == values[:-1, 1]).all()
                assert math.isclose(values[-1, 1], T * 0.96)
                tables[kind] = values[:, 2:]
                there = ~np.isnan(expected[kind][number, at])
                np.testing.assert_array_equal(tables[kind][there], expected[kind][number, at][there])
                assert not tables[kind][~there].any()
            with np.errstate(invalid="ignore"):
                positive = expected["probability"][number, at] > expected["threshold"][number, at]
            np.testing.assert_array_equal(tables["probability"] > tables["threshold"], positive)


def test_rows_without_spread_in_tsv(tmp_path: Path) -> None:
    """Behind such a segment there are probabilities and no thresholds: nothing may seem positive."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, T, 8))
    image[0, 2] = 0
    windows = rng.standard_normal((1, window_count(T), 8))
    cache = FeatureCache.from_arrays(
        tmp_path / "c.zarr", clip_ids=["a"], backbone="language_bind", image=image, video=windows, audio=windows
    )
    text = rng.standard_normal((5, 8))
    cache.add_text("t", labels=LABELS, visual=text, audio=text)
    config = CONFIG.replace(label_selection=False, threshold_stage1=0.1, method="bbse")
    segment_scores(cache, config).write(tmp_path / "s")
    [block] = segment_scores(cache, config)
    _, p = read_tsv(tmp_path / "s/visual/probability/a.tsv")
    _, theta = read_tsv(tmp_path / "s/visual/threshold/a.tsv")
    assert np.isnan(block.threshold[0, 1, 3:]).all()
    assert not np.isnan(block.probability[0, 1, 3:]).any()
    np.testing.assert_array_equal(p[:, 2:] > theta[:, 2:], block.positive[0, 1])
    assert block.positive[0, 1].any()


def test_npz(tmp_path: Path) -> None:
    cache = made(tmp_path / "c.zarr")
    segment_scores(cache, CONFIG).write(tmp_path / "s.npz")
    expected = gathered(cache)
    with np.load(tmp_path / "s.npz") as found:
        assert tuple(found["clips"]) == IDS
        assert tuple(found["labels"]) == LABELS
        assert tuple(found["streams"]) == STREAMS
        np.testing.assert_array_equal(found["onset"], 0.96 * np.arange(T))
        np.testing.assert_array_equal(found["offset"], 0.96 * np.arange(1, T + 1))
        for kind, values in expected.items():
            np.testing.assert_array_equal(found[kind], values)
        assert json.loads(found["facts"][0])["config"] == CONFIG.to_dict()
    first = (tmp_path / "s.npz").read_bytes()
    segment_scores(cache, CONFIG, threads=3).write(tmp_path / "s.npz")
    assert (tmp_path / "s.npz").read_bytes() == first


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("score.score_files._ROWS", 3 * T * len(LABELS))  # two clips a row group
    cache = made(tmp_path / "c.zarr")
    segment_scores(cache, CONFIG).write(tmp_path / "s.parquet")
    table = parquet.read_table(tmp_path / "s.parquet")
    assert parquet.ParquetFile(tmp_path / "s.parquet").num_row_groups == 3
    expected, rows = gathered(cache), table.to_pylist()
    assert len(rows) == len(IDS) * 3 * len(LABELS) * T
    at = 0
    for number, clip in enumerate(IDS):
        for s, stream in enumerate(STREAMS):
            for k, label in enumerate(LABELS):
                for t in range(T):
                    row = rows[at]
                    at += 1
                    assert (row["clip"], row["stream"], row["label"]) == (clip, stream, label)
                    assert (row["onset"], row["offset"]) == (0.96 * t, 0.96 * (t + 1))
                    for kind, values in expected.items():
                        value = values[number, s, t, k]
                        assert row[kind] == (None if np.isnan(value) else value)
    assert b"av2a-scores" in parquet.read_metadata(tmp_path / "s.parquet").metadata


def test_late_fusion(tmp_path: Path) -> None:
    cache = made(tmp_path / "c.zarr")
    segment_scores(cache, CONFIG.replace(fusion="late")).write(tmp_path / "s")
    assert {entry.name for entry in (tmp_path / "s").iterdir()} == {"visual", "audio", "scores.json"}


# --- whole or not, and where --------------------------------------------------------------------------------


def partials(folder: Path) -> list[str]:
    return [entry.name for entry in folder.rglob("*.partial")]


@pytest.mark.parametrize("name", ["s", "s.npz", "s.parquet"])
def test_whole_or_not_at_all(name: str, tmp_path: Path) -> None:
    cache = made(tmp_path / "c.zarr")
    target = tmp_path / "out" / name
    target.parent.mkdir()

    def half() -> None:
        with scores_output(target) as take:
            take(next(iter(segment_scores(cache, CONFIG))))
            assert partials(target.parent)
            raise KeyError("of the reader")

    with pytest.raises(KeyError):
        half()
    assert list(target.parent.iterdir()) == []
    segment_scores(cache, CONFIG).write(target)
    before = sorted((file, file.read_bytes()) for file in target.parent.rglob("*") if file.is_file())
    with pytest.raises(KeyError):
        half()
    assert sorted((file, file.read_bytes()) for file in target.parent.rglob("*") if file.is_file()) == before


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "s"
    target.mkdir()
    segment_scores(made(tmp_path / "a.zarr"), CONFIG).write(target)  # an empty one is taken
    segment_scores(made(tmp_path / "b.zarr", ("other", "clips", "here")), CONFIG).write(target)
    assert {file.name for file in (target / "audio" / "threshold").iterdir()} == {"other.tsv", "clips.tsv", "here.tsv"}
    assert partials(tmp_path) == []


def test_refused(tmp_path: Path) -> None:
    cache = made(tmp_path / "c.zarr")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "audio").mkdir()
    (tmp_path / "file").write_text("x")
    for name, said in (
        ("mine", "mine is there and holds other files: name another folder"),
        ("file", "file is a file: name another folder, or an ending"),
        ("s.csv", "ending '.csv' is not known: use one of .npz, .parquet, or none for a folder of TSV"),
        ("no/s.npz", "no/s.npz: cannot be written"),
        ("no/s", "no/s: cannot be written"),
    ):
        with pytest.raises(ScoreError, match=said):
            segment_scores(cache, CONFIG).write(tmp_path / name)
    assert (tmp_path / "mine" / "audio").is_dir()
    assert partials(tmp_path) == []
    empty = FeatureCache.create(
        tmp_path / "e.zarr", clip_ids=["a"], backbone="language_bind", visual_dim=2, audio_dim=2
    )
    empty.add_text("t", labels=LABELS, visual=np.ones((5, 2)), audio=np.ones((5, 2)))
    with pytest.raises(ScoreError, match="no clip whose scores could be written"):
        segment_scores(empty, CONFIG).write(tmp_path / "s")


def test_errors_of_the_source_stay_what_they_are(tmp_path: Path) -> None:
    def blocks() -> list[SegmentScores]:
        raise OSError(5, "of the source")

    with pytest.raises(OSError, match="of the source"), scores_output(tmp_path / "s.npz"):
        blocks()


def test_memory_does_not_grow_with_the_clips(tmp_path: Path) -> None:
    """Blocks are let go once they are taken."""
    import weakref

    cache = made(tmp_path / "c.zarr", tuple(f"c{number}" for number in range(60)))
    alive: list[weakref.ref[Any]] = []
    most = 0
    with scores_output(tmp_path / "s.npz") as take:
        for block in segment_scores(cache, CONFIG, threads=1):
            take(block)
            alive.append(weakref.ref(block))
            most = max(most, sum(each() is not None for each in alive))
    assert len(alive) == 30
    assert most <= 3


def test_sed_scores_eval_reads_them(tmp_path: Path) -> None:
    io = pytest.importorskip("sed_scores_eval.base_modules.io")
    cache = made(tmp_path / "c.zarr", ("a", "b", "c"), seconds=1.0)
    segment_scores(cache, CONFIG).write(tmp_path / "s")
    expected = gathered(cache)
    found = io.read_sed_scores(tmp_path / "s" / "audio" / "probability")
    assert sorted(found) == ["a", "b", "c"]
    table = found["c"]
    assert list(table.columns) == ["onset", "offset", *LABELS]
    values = np.nan_to_num(expected["probability"][2, STREAMS.index("audio")])
    np.testing.assert_allclose(table.to_numpy()[:, 2:], values, atol=1e-15)
