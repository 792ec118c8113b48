"""Faults put into caches, seeded: verify finds each, and whoever reads gets what was written, or one line."""

import json
import math
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
from numcodecs.zstd import Zstd

from feature_cache import DONE, FAILED, Av2aError, CacheError, FeatureCache, verify
from feature_cache.chunks import ChunkError, pack, unpack
from feature_cache.seals import digest_of, group_json
from score import ScoreConfig, score
from tests.feature_cache.test_verify import flip
from tests.posix import most_memory

T, WINDOWS, DIM = 3, 4, 4
CONFIG = ScoreConfig.for_backbone(
    "clip_clap", {"threshold_stage1": 0.3, "threshold_stage2": 0.3, "filter_threshold": 0}
)
MOST_BYTES = 1 << 30

Parts = dict[str, Any]
Fault = Callable[[Path], None]


def normal(rng: np.random.Generator, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float16)


def make(path: Path, seed: int = 0, prefix: str = "") -> FeatureCache:
    """Seven clips in three shards, from two files, one failed, one without sound; two label sets, one replaced.

    With every array that a cache of embeddings may have.
    """
    rng = np.random.default_rng(seed)
    names = [f"{prefix}{letter}" for letter in "abcdefg"]
    cache = FeatureCache.create(
        path, clip_ids=names, backbone="clip_clap", visual_dim=DIM, audio_dim=DIM, segments=T, shard_size=3,
        audio_per_segment=True, joint_dim=DIM,
        attributes={"files": {"film": "x/film.mp4"}, "clips_from": {names[0]: ["film", 0.0]}, "note": "seed"},
    )  # fmt: skip
    for shard in range(3):
        n = len(cache.shard_rows(shard))
        cache.write_shard(
            shard, normal(rng, n, T, DIM), normal(rng, n, WINDOWS, 1, DIM), normal(rng, n, WINDOWS, DIM),
            [DONE, FAILED, DONE][:n] if shard == 1 else [DONE] * n, ["", "no video stream", ""][:n],
            [2, 0, 0][:n] if shard == 0 else None, normal(rng, n, T, DIM), normal(rng, n, WINDOWS, DIM),
        )  # fmt: skip
    for name, labels in (("one", "xyz"), ("two", "pqr"), ("two", "uvw")):
        cache.add_text(name, **words(rng, labels), overwrite=name in cache.text_names)
    return cache


def words(rng: np.random.Generator, labels: str) -> dict[str, Any]:
    table = rng.standard_normal((3, 3, DIM))
    return {"labels": list(labels), "visual": table[0], "audio": table[1], "joint": table[2]}


def read(path: Path) -> Parts:
    """All that is read of a cache, part by part; None where it is refused in one line."""
    found: Parts = {}

    def part(name: str, what: Callable[[], Any]) -> None:
        try:
            found[name] = what()
        except Av2aError as error:
            line = str(error)
            assert "\n" not in line
            assert 0 < len(line) < 2000
            found[name] = None

    part("open", lambda: FeatureCache.open(path) and True)
    if found["open"] is None:
        return found
    cache = FeatureCache.open(path)
    part("clips", lambda: (cache.clip_ids, cache.attributes))
    part("state", lambda: [column.tolist() for column in cache.shards.column("status", "missing")])
    part("reasons", cache.reasons)
    part("values", lambda: values_of(cache))
    part("identity", lambda: cache.identity)
    part("texts", lambda: cache.text_names)
    for name in ("one", "two"):
        part(f"text {name}", partial(text_of, cache, name))
        part(f"events {name}", partial(events_of, cache, name))
    return found


def values_of(cache: FeatureCache) -> dict[str, Any]:
    found = cache.read()
    names = [cache.clip_ids[row] for row in found.rows.tolist()]
    return {
        clip: [np.asarray(getattr(found, name)[at]).tobytes() for name in cache.arrays] for at, clip in enumerate(names)
    }


def text_of(cache: FeatureCache, name: str) -> Any:
    text = cache.text(name)
    return text.labels, {side: table.tobytes() for side, table in text.tables.items()}, dict(text.prompts)


def events_of(cache: FeatureCache, name: str) -> Any:
    found = score(cache, CONFIG, text=name)
    return [getattr(found, field).tolist() for field in ("clip", "stream_number", "label", "start", "end", "score")]


def is_found(path: Path) -> bool:
    try:
        found = verify(path)
    except CacheError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return True
    assert all("\n" not in each.what for each in found.damage)
    return not found.intact


def assert_right(found: Parts, sound: Parts, *, records: bool = True) -> None:
    """Equal or refused; ``records``: what is said without reading any value, too, which no digest covers alone."""
    for name, value in found.items():
        if records or name not in ("state", "reasons", "identity"):
            assert value is None or value == sound[name], name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Parts]:
    path = tmp_path_factory.mktemp("whole") / "c.zarr"
    make(path)
    sound = read(path)
    assert None not in sound.values()
    assert all(sound[f"events {name}"][0] for name in ("one", "two"))
    return path, sound


@pytest.fixture
def copy(whole: tuple[Path, Parts], tmp_path: Path) -> Path:
    shutil.copytree(whole[0], tmp_path / "c.zarr")
    return tmp_path / "c.zarr"


def files_of(path: Path, *, metadata: bool) -> list[Path]:
    found = []
    for file in sorted(path.rglob("*")):
        first = file.relative_to(path).parts[0]
        if file.is_file() and (file.name == "zarr.json" or first == "text" or first.startswith("clip_")) == metadata:
            found.append(file)
    return found


# --- flipped bits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "flips"),
    [
        (True, 60),
        (False, 60),
        pytest.param(True, 2000, marks=pytest.mark.slow),
        pytest.param(False, 1000, marks=pytest.mark.slow),
    ],
)
def test_every_flipped_bit_is_found(metadata: bool, flips: int, whole: tuple[Path, Parts], copy: Path) -> None:
    files, draw = files_of(copy, metadata=metadata), random.Random(flips)
    for _ in range(flips):
        file = draw.choice(files)
        at, bit = draw.randrange(file.stat().st_size), draw.randrange(8)
        flip(file, at, bit)
        assert is_found(copy), (file, at, bit)
        assert_right(read(copy), whole[1])
        flip(file, at, bit)
    assert not is_found(copy)


# --- whole files ----------------------------------------------------------------------------------------


def exchange(one: Path, other: Path) -> None:
    raw = one.read_bytes(), other.read_bytes()
    one.write_bytes(raw[1])
    other.write_bytes(raw[0])


def shards_swapped(path: Path) -> None:
    """Everything of two shards, values and records."""
    for chunk in sorted(path.glob("*/c/0")):
        if not chunk.parts[-3].startswith("clip_"):
            chunk.rename(chunk.with_name("x"))
            chunk.with_name("1").rename(chunk)
            chunk.with_name("x").rename(chunk.with_name("1"))


def clips_swapped(path: Path) -> None:
    """Two clips of a shard, values and records."""
    cache = FeatureCache.open(path)
    for name, shape, dtype in [*((n, s, "float16") for n, s in cache.row_shapes.items()), ("rows", (530,), "uint8")]:
        file = path / f"{name}/c/0/{'/'.join('0' * len(shape))}"
        values = unpack(file.read_bytes(), (3, *shape), dtype).copy()
        values[[0, 1]] = values[[1, 0]]
        file.write_bytes(pack(values))


def clips_renamed(path: Path) -> None:
    """The names of two clips, in the column that has them, and nothing else."""
    file = path / "clip_ids_1" / "c" / "0"
    file.write_bytes(pack(np.frombuffer(b"b\na\nc\nd\ne\nf\ng", dtype=np.uint8)))


def of_another(what: str) -> Fault:
    def change(path: Path) -> None:
        other = path.with_name("other.zarr")
        make(other, seed=7, prefix="z" if what == "clips" else "")
        for file in sorted(path.rglob("*")):
            name = str(file.relative_to(path))
            if file.is_file() and name.startswith(
                what if what != "clips" else (*(f"{name}/c" for name in FeatureCache.open(path).arrays), "rows/c")
            ):
                shutil.copyfile(other / name, file)

    return change


def of_before(what: str) -> Fault:
    """A file from a time before the cache was changed."""

    def change(path: Path) -> None:
        raw = (path / what).read_bytes()
        cache = FeatureCache.open(path, "r+")
        n = len(cache.shard_rows(0))
        rng = np.random.default_rng(5)
        cache.write_shard(
            0, normal(rng, n, T, DIM), normal(rng, n, WINDOWS, 1, DIM), normal(rng, n, WINDOWS, DIM), [DONE] * n,
            None, None, normal(rng, n, T, DIM), normal(rng, n, WINDOWS, DIM),
        )  # fmt: skip
        cache.add_text("one", **words(rng, "klm"), overwrite=True)
        sound = read(path)
        (path / what).parent.mkdir(parents=True, exist_ok=True)
        assert (path / what).read_bytes() != raw if (path / what).exists() else True
        (path / what).write_bytes(raw)
        assert is_found(path)
        assert_right(read(path), sound, records=False)

    return change


def cut(name: str, left: int | None) -> Fault:
    def change(path: Path) -> None:
        file = path / name
        if left is None:
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:left])

    return change


def edited(name: str, before: str, after: str) -> Fault:
    def change(path: Path) -> None:
        text = (path / name).read_text()
        assert before in text
        (path / name).write_text(text.replace(before, after, 1))

    return change


def resealed(name: str, **facts: Any) -> Fault:
    """Other facts in a group, whose own digest is right."""

    def change(path: Path) -> None:
        said = json.loads((path / name).read_text())["attributes"]
        del said["seal"]
        (path / name).write_bytes(group_json({**said, **facts}))

    return change


def table_changed(path: Path) -> None:
    """A value of a label set's table, with the right checksum."""
    file = next(path.glob("text/one/visual*/c/0/0"))
    values = unpack(file.read_bytes(), (3, DIM), "float32").copy()
    values[0, 0] += 1
    file.write_bytes(pack(values))


FAULTS: dict[str, Fault] = {
    "two shards swapped": shards_swapped,
    "two clips swapped": clips_swapped,
    "two clips renamed": clips_renamed,
    "all rows of another cache": of_another("clips"),
    "one array of another cache": of_another("audio/c"),
    "joint embeddings of another cache": of_another("joint/c"),
    "records of another cache": of_another("rows/c"),
    "labels of another cache": of_another("text/"),
    "clip ids gone": cut("clip_ids_1/c/0", None),
    "clip places gone": cut("clip_places_1/c/0", None),
    "places cut": cut("clip_places_1/c/0", 30),
    "values gone": cut("video/c/1/0/0/0", None),
    "values cut": cut("video/c/1/0/0/0", 40),
    "values empty": cut("audio/c/0/0/0", 0),
    "joint embeddings gone": cut("joint/c/1/0/0", None),
    "joint text embeddings gone": cut("text/one/joint/c/0/0", None),
    "records cut": cut("rows/c/0/0", 40),
    "root cut": cut("zarr.json", 300),
    "an array's metadata gone": cut("rows/zarr.json", None),
    "labels' metadata gone": cut("text/one/zarr.json", None),
    "joint and sound exchanged": lambda path: exchange(path / "joint/c/0/0/0", path / "audio/c/0/0/0"),
    "tables of text exchanged": lambda path: exchange(path / "text/one/joint/c/0/0", path / "text/one/audio/c/0/0"),
    "arrays exchanged": lambda path: exchange(path / "video/c/0/0/0/0", path / "audio/c/0/0/0"),
    "shards of one array exchanged": lambda path: exchange(path / "video/c/0/0/0/0", path / "video/c/1/0/0/0"),
    "metadata exchanged": lambda path: exchange(path / "video/zarr.json", path / "audio/zarr.json"),
    "label sets exchanged": lambda path: exchange(path / "text/one/zarr.json", path / "text/two/zarr.json"),
    "a letter of a label": edited("text/one/zarr.json", '"x"', '"k"'),
    "a label, sealed": resealed("text/one/zarr.json", labels=["x", "y", "k"]),
    "prompts, sealed": resealed("text/one/zarr.json", prompts={"visual": ["no"]}),
    "a key of a label set, sealed": resealed("text/one/zarr.json", unknown=1),
    "a table": table_changed,
    "an unknown key": edited("zarr.json", '"attributes":{', '"attributes":{"a":1,'),
    "an unknown key outside": edited("zarr.json", '{"attributes"', '{"a":1,"attributes"'),
    "a blank": edited("zarr.json", ":", ": "),
    "a key of an array": edited("rows/zarr.json", "{", '{"a":1,'),
    "an array's attributes": edited("video/zarr.json", '"attributes"', '"attributed"'),
    "a fact": edited("zarr.json", '"note":"seed"', '"note":"feed"'),
    "file of a row before": of_before("audio/c/0/0/0"),
    "record before": of_before("rows/c/0/0"),
    "labels before": of_before("text/one/zarr.json"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_exchanged_file_is_found(fault: str, whole: tuple[Path, Parts], copy: Path) -> None:
    FAULTS[fault](copy)
    if "before" in fault:
        return  # compared with what was there then
    assert is_found(copy)
    assert_right(read(copy), whole[1], records=False)


def test_the_root_of_another_cache(whole: tuple[Path, Parts], copy: Path, tmp_path: Path) -> None:
    make(tmp_path / "other.zarr", seed=3, prefix="z")
    shutil.copyfile(tmp_path / "other.zarr" / "zarr.json", copy / "zarr.json")
    assert is_found(copy)
    found = read(copy)
    assert [found.get(name) for name in ("clips", "values", "text one", "events one")] == [None] * 4


def test_records_that_are_gone_are_of_clips_that_are_pending(whole: tuple[Path, Parts], copy: Path) -> None:
    """As a kill between values and records leaves them: the others are what they were."""
    (copy / "rows" / "c" / "1" / "0").unlink()
    found, sound = read(copy), whole[1]
    assert found["state"][0] == [1, 1, 1, 0, 0, 0, 1]
    assert found["values"] == {clip: values for clip, values in sound["values"].items() if clip in "abcg"}


# --- bombs ----------------------------------------------------------------------------------------------


def sealed_chunk(packed: bytes) -> bytes:
    return packed + int(google_crc32c.value(packed)).to_bytes(4, "little")


def frame(real: int, claimed: int) -> bytes:
    """A frame of so many zeros that claims to hold so many."""
    packed = bytearray(Zstd(level=1).encode(np.zeros(real, dtype=np.uint8)))
    flag, single = packed[4] >> 6, packed[4] >> 5 & 1
    width, at = (1 if single else 0, 2, 4, 8)[flag], 5 + (0 if single else 1)
    packed[at : at + width] = (claimed - (256 if flag == 1 else 0)).to_bytes(width, "little")
    return bytes(packed)


@pytest.mark.parametrize(
    "packed",
    [
        frame(60_000, 40_000),
        frame(40_000, 50_000),
        frame(1 << 28, 1 << 28),
        frame(50_000, 50_000) + frame(50_000, 50_000),
        frame(50_000, 50_000)[:-1],
        frame(50_000, 50_000) + b"\0",
        frame(400, 400) + frame(600, 600),
        b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8,
        b"\x28\xb5\x2f\xfd",
        b"\x50\x2a\x4d\x18\x04\0\0\0aaaa" + frame(50_000, 50_000),
        b"",
    ],
    ids=range(11),
)
def test_chunks_that_are_not_what_they_claim(packed: bytes) -> None:
    for size in (40_000, 50_000, 1_000):
        try:
            found = unpack(sealed_chunk(packed), (size,), "uint8")
        except ChunkError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert not found.any()
            pytest.fail("it was taken")


def test_a_good_chunk_is_taken() -> None:
    for size in (1, 255, 256, 257, 65_535, 65_536, 65_791, 65_792, 1 << 20):
        values = (np.arange(size) % 251).astype(np.uint8)
        np.testing.assert_array_equal(unpack(pack(values), (size,), "uint8"), values)


def root_of(path: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((path / "zarr.json").read_text())["attributes"]
    del said["seal"]
    return said


HUGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "segments": lambda said: said.update(segments=10**15),
    "shard": lambda said: said.update(shard_size=10**12),
    "large shard": lambda said: said.update(shard_size=(1 << 31) - 1),
    "shapes": lambda said: said["arrays"].update(image=[T, 10**15]),
    "dims": lambda said: said.update(visual_dim=10**15),
    "frames": lambda said: said.update(frames_per_window=(1 << 31) - 1),
    "clips": lambda said: said["clips"].update(count=10**15),
    "many clips": lambda said: said["clips"].update(count=(1 << 31) - 1),
    "many bytes": lambda said: said["clips"]["ids"].update(bytes=(1 << 40) - 1),
    "clips of bytes": lambda said: said["clips"].update(
        count=1 << 30, ids={**said["clips"]["ids"], "bytes": (1 << 40) - 1}
    ),
    "places of bytes": lambda said: said["clips"]["places"].update(bytes=(1 << 40) - 1),
    "windows": lambda said: said.update(windows=[[0, 10**15]] * 4),
    "negative": lambda said: said["arrays"].update(image=[T, -DIM]),
    "number of digits": lambda said: said.update(segment_seconds=10**400),
    "files elsewhere": lambda said: said["files"].update({"/proc/kcore": ["0" * 32]}),
    "files above": lambda said: said["files"].update({"../../zarr.json": ["0" * 32]}),
    "label sets elsewhere": lambda said: said["label_sets"].update({"../../x": ["0" * 32]}),
    "moved": lambda said: said.update(moved=[10**15]),
}


@pytest.mark.parametrize("huge", HUGE)
def test_sizes_that_nothing_has_are_refused(huge: str, whole: tuple[Path, Parts], copy: Path) -> None:
    """Sealed as it should be: nothing is allocated for it."""
    before = most_memory()
    said = root_of(copy)
    HUGE[huge](said)
    (copy / "zarr.json").write_bytes(group_json(said))
    assert is_found(copy)
    found = read(copy)
    assert found.get("clips") is None
    assert found.get("values") in (None, whole[1]["values"])
    assert most_memory() - before < MOST_BYTES


@pytest.mark.parametrize("depth", [300, 700, 900, 950, 990, 100_000])
@pytest.mark.parametrize("where", ["root", "labels", "lease"])
def test_nesting(where: str, depth: int, whole: tuple[Path, Parts], copy: Path) -> None:
    nested = b"[" * depth + b"]" * depth
    if where == "lease":
        (copy / "leases").mkdir()
        (copy / "leases" / "whole.1").write_bytes(nested)
        assert read(copy) == whole[1]
        return
    name = "zarr.json" if where == "root" else "text/one/zarr.json"
    said = json.loads((copy / name).read_text())["attributes"]
    del said["seal"]
    raw = group_json({**said, "zz": "HERE"}).replace(b'"HERE"', nested)
    (copy / name).write_bytes(raw)
    if where == "labels":
        root = root_of(copy)
        root["label_sets"]["one"] = [digest_of(raw)]
        (copy / "zarr.json").write_bytes(group_json(root))
    assert is_found(copy)
    found = read(copy)
    assert found["open"] is None if where == "root" else found["text one"] is None


# --- a stranger who knows how to seal -------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 7, 10**15, -(10**15), 1 << 31, 1 << 63, 10**400, 0.5, -0.0, 1e308, math.inf, math.nan,  # noqa: E501
    "", "a", "embeddings", "probabilities", "float32", "\x1b[31m", "\ud800", "a\nb", "x" * 5000, "../x", "/dev/zero", [],  # noqa: E501
    {}, [[]], [None], {"": None}, [0] * 1000, ["a", "a"], {"files": 1}, "clip_ids_1", "rows",
)  # fmt: skip


def mutated(value: Any, draw: random.Random) -> Any:
    """The same with one thing inside replaced, gone, doubled or added."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(sorted(value))
        way = draw.randrange(8)
        found = dict(value)
        if way == 0:
            del found[key]
        elif way == 1:
            found[str(draw.choice(ODD))[:40]] = draw.choice(ODD)
        elif way == 2:
            found[key] = found[draw.choice(sorted(value))]
        else:
            found[key] = mutated(value[key], draw)
        return found
    if isinstance(value, list) and value and draw.random() < 0.8:
        at = draw.randrange(len(value))
        way = draw.randrange(5)
        if way == 0:
            return value[:at] + value[at + 1 :]
        if way == 1:
            return [*value, value[at]]
        if way == 2:
            return [*value[at:], *value[:at]]
        return [*value[:at], mutated(value[at], draw), *value[at + 1 :]]
    if isinstance(value, int) and not isinstance(value, bool) and draw.random() < 0.5:
        return value + draw.choice((-1, 1, 2, 10, 10**6))
    return draw.choice(ODD)


def seal(path: Path, name: str, said: dict[str, Any]) -> bool:
    try:
        raw = group_json(said)
    except (ValueError, RecursionError):
        return False
    (path / name).write_bytes(raw)
    return True


def mutate(path: Path, draw: random.Random) -> None:
    """One group's attributes or one column, everything above it sealed again."""
    root = root_of(path)
    what = draw.choice(("root", "root", "root", "labels", "column"))
    if what == "labels":
        said = json.loads((path / "text/one/zarr.json").read_text())["attributes"]
        del said["seal"]
        changed = mutated(said, draw)
        if isinstance(changed, dict) and seal(path, "text/one/zarr.json", changed):
            root["label_sets"]["one"] = [digest_of((path / "text/one/zarr.json").read_bytes())]
    elif what == "column":
        name = draw.choice(("ids", "places"))
        column = root["clips"][name]
        file = path / column["array"] / "c" / "0"
        raw = unpack(file.read_bytes(), (column["bytes"],), "uint8").tobytes()
        if name == "places":
            raw = json.dumps(mutated(json.loads(raw), draw)).encode()
        else:
            at = draw.randrange(len(raw))
            raw = raw[:at] + draw.choice((b"", b"\n", b"a", b"\xff", b"\x1b", b"a\n")) + raw[at + draw.randrange(2) :]
        file.write_bytes(pack(np.frombuffer(raw, dtype=np.uint8)))
        root["clips"][name] = {**column, "bytes": len(raw), "digest": digest_of(raw)}
    for _ in range(draw.choice((1, 1, 2)) if what == "root" else 0):
        changed = mutated(root, draw)
        root = changed if isinstance(changed, dict) else root
    seal(path, "zarr.json", root)


@pytest.mark.parametrize("rounds", [60, pytest.param(3000, marks=pytest.mark.slow)])
def test_sealed_mutants(rounds: int, whole: tuple[Path, Parts], tmp_path: Path) -> None:
    """Whatever a stranger writes there: one line, or a cache in which each clip that is done has its own values."""
    before, opened = most_memory(), 0
    path = tmp_path / "c.zarr"
    shutil.copytree(whole[0], path)
    as_it_was = {file: file.read_bytes() for file in files_of(path, metadata=True)}
    for seed in range(rounds):
        for file, raw in as_it_was.items():
            file.write_bytes(raw)
        mutate(path, random.Random(seed))
        is_found(path)
        try:
            found = read(path)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        opened += found["open"] is not None
        for clip, values in (found.get("values") or {}).items():
            assert values == whole[1]["values"][clip], seed
        if found["open"] is not None:
            cache = FeatureCache.open(path)
            try:
                json.dumps(cache.describe())
            except CacheError as error:
                assert "\n" not in str(error)  # noqa: PT017
    assert 0 < opened < rounds
    assert most_memory() - before < MOST_BYTES
