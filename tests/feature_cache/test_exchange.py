"""av2a export and import: HDF5 there and back, caches of HDF5 and NumPy files."""

import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_cache import DONE, FAILED, NO_PICTURE, NO_SOUND, PENDING, CacheError, FeatureCache, window_count
from feature_cache.exchange import COMPRESSIONS, export_hdf5, import_features
from score import ScoreConfig, score
from tests.command import av2a
from tests.exchange_files import (
    LABELS,
    T,
    arrays,
    assert_equal,
    assert_same_arrays,
    ids,
    names_in,
    normal,
    write_hdf5,
    write_lines,
)
from tests.golden_scoring import GoldenSet, golden_config

_WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def caches(draw: st.DrawFn, path: str) -> FeatureCache:
    """Caches of every kind, with rows in every state."""
    n, segments, shard = draw(st.integers(1, 7)), draw(st.integers(2, 4)), draw(st.integers(1, 4))
    names = [
        f"{k} {word}"
        for k, word in enumerate(draw(st.lists(st.sampled_from(["a", "ä", "雨#0"]), min_size=n, max_size=n)))
    ]
    common: dict[str, Any] = {
        "clip_ids": names,
        "dtype": draw(st.sampled_from(["float16", "float32"])),
        "segment_seconds": draw(st.sampled_from([1.0, 0.5])),
        "shard_size": shard,
        "attributes": draw(st.dictionaries(_WORDS, _JSON, max_size=3)),
    }
    seed = draw(st.integers(0, 99))
    if draw(st.integers(0, 3)) == 0:
        unit = np.random.default_rng(seed).random((2, n, segments, len(LABELS)))
        image = normal(n, segments, 3) if draw(st.booleans()) else None
        return FeatureCache.from_probabilities(
            path, labels=LABELS, visual=unit[0], audio=unit[1], image=image, **common
        )
    windows, audio_windows = (
        draw(st.sampled_from(["all", "whole", "none"])),
        draw(st.sampled_from(["all", "whole", "none"])),
    )
    audio_segments = audio_windows == "none" or draw(st.booleans())
    one_space = draw(st.booleans())
    joint = 0 if windows == "none" else draw(st.sampled_from([0, 4]))
    cache = FeatureCache.create(
        path, backbone="b", visual_dim=3, audio_dim=3 if one_space else 5, frames_per_window=2,
        segments=segments, windows=windows, audio_windows=audio_windows, audio_per_segment=audio_segments,
        joint_dim=joint, **common,
    )  # fmt: skip
    for number in range(cache.n_shards):
        if draw(st.integers(0, 3)) == 0:
            continue  # never written
        rows = len(cache.shard_rows(number))
        given_rows = {name: normal(rows, *shape, seed=seed + number) for name, shape in cache.row_shapes.items()}
        status = draw(st.lists(st.sampled_from([PENDING, DONE, FAILED]), min_size=rows, max_size=rows))
        reasons = [draw(_WORDS.filter(str.strip)) if code == FAILED else "" for code in status]
        missing = draw(st.lists(st.sampled_from([0, NO_PICTURE, NO_SOUND]), min_size=rows, max_size=rows))
        with cache.writing():
            cache.shards.write(number, given_rows, status, reasons, missing)
    for name in draw(st.sets(st.sampled_from(["llp", "x.y-1"]))):
        audio = None if one_space and draw(st.booleans()) else normal(3, cache.audio_dim, seed=9)
        cache.add_text(
            name, labels=LABELS, visual=normal(3, 3), audio=audio, joint=normal(3, joint, seed=8) if joint else None,
            prompts={"visual": [["A dog"], "b", "ü"]},
        )  # fmt: skip
    return cache


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_export_is_read_back_equal(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, memory = Path(name), f"memory://{uuid.uuid4()}"
        cache = data.draw(caches(f"{memory}/c.zarr"))
        export_hdf5(cache, folder / "c.h5", compression=data.draw(st.sampled_from(COMPRESSIONS)))
        again = import_features(f"{memory}/again.zarr", [folder / "c.h5"])
        assert_equal(again, cache)
        assert names_in(folder) == ["c.h5"]


def test_export_is_chunked_compressed_and_readable(tmp_path: Path) -> None:
    golden = GoldenSet.load("clip_clap_llp")
    cache = golden.make_cache(tmp_path / "c.zarr")
    export_hdf5(cache, tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5") as file:
        for name in ("image", "video", "audio", "status", "missing", "digest"):
            found = file[name]
            assert (found.compression, found.shuffle, found.fletcher32) == ("gzip", True, True)
            assert cache.shard_size % found.chunks[0] == 0
            assert found.chunks[1:] == found.shape[1:]
        np.testing.assert_array_equal(file["video"][:], cache.read().video)
        assert file["clip_ids"].asstr()[:].tolist() == cache.clip_ids
        assert file.attrs["backbone"] == "clip_clap"
        assert file.attrs["segments"] == 10
        assert file.attrs["identity"] == cache.identity
        assert [dim.label for dim in file["video"].dims] == ["clip", "window", "frame", "dim"]
        assert file["text/llp/labels"].asstr()[:].tolist() == golden.official["labels"]


@pytest.mark.parametrize("name", ["clip_clap_llp", "language_bind_ave"])
def test_imported_golden_features_give_the_same_events(name: str, tmp_path: Path) -> None:
    golden = GoldenSet.load(name)
    expected = golden.make_cache(tmp_path / "c.zarr")
    config = golden_config(name, golden.published()["config"])
    words = {"clip_ids": golden.official["videos"], "labels": golden.official["labels"]}
    write_hdf5(tmp_path / "f.h5", {**golden.features, **words})
    texts: dict[str, Any] = {key: np.array(value) for key, value in words.items()}
    np.savez_compressed(tmp_path / "f.npz", **golden.features, **texts)
    events = score(expected, config)
    for file in ("f.h5", "f.npz"):
        made = import_features(tmp_path / f"{file}.zarr", [tmp_path / file], backbone=expected.backbone)
        assert_same_arrays(made, expected)
        found = score(made, config)
        for field in ("clip", "stream_number", "label", "start", "end", "score"):
            np.testing.assert_array_equal(getattr(found, field), getattr(events, field))
        assert found.labels == events.labels


@pytest.mark.parametrize("windows", ["all", "whole", "none"])
@pytest.mark.parametrize("sound", ["windows", "clip", "clip, flat", "segments", "segments and clip"])
def test_windows_and_sound_of_every_kind(windows: str, sound: str, tmp_path: Path) -> None:
    given = arrays()
    names: dict[str, Any] = {"clip_ids": ids()}
    known: dict[str, Any] = {"image": given["image"]}
    if windows != "none":
        known["video"] = given["video"][:, : 1 if windows == "whole" else None]
    segments = normal(5, T, 6, seed=7)
    files: dict[str, Any] = {**known}
    if "segments" in sound:
        known["audio_segments"] = segments
        files["audio_segments" if "clip" in sound else "audio"] = segments
    if "clip" in sound or sound == "windows":
        whole = given["audio"][:, : None if sound == "windows" else 1]
        known["audio"] = whole
        files["audio"] = whole[:, 0] if "flat" in sound else whole
    memory = f"memory://{uuid.uuid4()}"
    expected = FeatureCache.from_arrays(f"{memory}/c.zarr", **names, backbone="b", **known, shard_size=16)
    write_hdf5(tmp_path / "f.h5", {**files, **names})
    made = import_features(f"{memory}/h.zarr", [tmp_path / "f.h5"], shard_size=16)
    assert_same_arrays(made, expected)
    assert made.windows_kept == expected.windows_kept
    assert made.backbone == "imported"


def test_one_vector_a_window(tmp_path: Path) -> None:
    given = {**arrays(), "video": normal(5, window_count(T), 4)}
    write_hdf5(tmp_path / "f.h5", {**given, "labels": LABELS, "clip_ids": ids()})
    made = import_features(tmp_path / "h.zarr", [tmp_path / "f.h5"], dtype="float32")
    assert made.frames_per_window == 1
    np.testing.assert_array_equal(made.read().video[:, :, 0], given["video"])


def test_numpy_files_of_every_order(tmp_path: Path) -> None:
    """C and Fortran order, doubles, big endian; compressed or not; several shards."""
    given: dict[str, Any] = {k: v for k, v in arrays(9).items() if not k.startswith("text")}
    clips = write_lines(tmp_path / "ids.txt", ids(9))
    expected = FeatureCache.from_arrays(tmp_path / "c.zarr", clip_ids=ids(9), backbone="b", **given)
    odd: dict[str, Any] = {
        "image": np.asfortranarray(given["image"]),
        "video": given["video"].astype(np.float64),
        "audio": given["audio"].astype(">f4"),
    }
    for name, values in odd.items():
        np.save(tmp_path / f"{name}.npy", values)
    np.savez(tmp_path / "plain.npz", **odd)
    np.savez_compressed(tmp_path / "small.npz", **odd)
    for k, files in enumerate((["image.npy", "video.npy", "audio.npy"], ["plain.npz"], ["small.npz"])):
        made = import_features(
            tmp_path / f"{k}.zarr", [tmp_path / file for file in files], clips=str(clips), shard_size=2
        )
        assert_same_arrays(made, expected)


def test_folders_with_a_file_a_clip(tmp_path: Path) -> None:
    image, audio = normal(3, T, 4), normal(3, T, 6)
    for side, table, there in (("image", image, (0, 1, 2)), ("audio", audio, (0, 2))):
        (tmp_path / side).mkdir()
        for row in there:
            np.save(tmp_path / side / f"-v{row}.npy", table[row])
    sides: dict[str, Any] = {"image": str(tmp_path / "image"), "audio": str(tmp_path / "audio")}
    with pytest.raises(CacheError, match=r"audio: no file for 1 of 3 clips, such as -v1"):
        import_features(tmp_path / "c.zarr", **sides)
    made = import_features(tmp_path / "c.zarr", **sides, allow_missing=True, dtype="float32")
    assert made.clip_ids == ["-v0", "-v1", "-v2"]
    assert made.missing().tolist() == [0, NO_SOUND, 0]
    np.testing.assert_array_equal(made.read().image, image)
    some = write_lines(tmp_path / "some.txt", ["-v2", "-v0"])
    made = import_features(tmp_path / "some.zarr", **sides, clips=str(some), dtype="float32")
    assert made.read().audio_segments is not None
    np.testing.assert_array_equal(made.read().audio_segments, audio[[2, 0]])


def test_missing_modalities(tmp_path: Path) -> None:
    given: dict[str, Any] = {**arrays(3), "labels": LABELS, "clip_ids": ids(3), "missing": [0, 2, 1]}
    given["audio"][1] = np.nan  # does not count
    write_hdf5(tmp_path / "f.h5", given)
    made = import_features(tmp_path / "c.zarr", [tmp_path / "f.h5"])
    assert made.missing().tolist() == [0, NO_SOUND, NO_PICTURE]
    assert not made.read().audio[1].any()


@pytest.mark.parametrize("sides", [("visual", "audio"), ("visual",), ("audio",)])
def test_probabilities(sides: tuple[str, ...], tmp_path: Path) -> None:
    unit = np.random.default_rng(0).random((2, 5, T, 3))
    given = {side: table for side, table in zip(("visual", "audio"), unit, strict=True) if side in sides}
    clips, labels = write_lines(tmp_path / "ids.txt", ids()), write_lines(tmp_path / "llp.txt", ["# three", *LABELS])
    for side, table in given.items():
        np.save(tmp_path / f"{side}.npy", table)
    options: dict[str, Any] = {f"{side}_probabilities": str(tmp_path / f"{side}.npy") for side in given}
    made = import_features(
        tmp_path / "c.zarr",
        clips=str(clips),
        labels=str(labels),
        backbone="mine",
        **options,
    )
    expected = FeatureCache.from_probabilities(
        tmp_path / "e.zarr", clip_ids=ids(), labels=LABELS, visual=given.get("visual"), audio=given.get("audio")
    )
    assert_same_arrays(made, expected)
    assert (made.kind, made.backbone, made.dtype, made.text_names) == ("probabilities", "mine", "float32", ["llp"])
    config = ScoreConfig(
        alpha=0.5, filter_threshold=0.3, threshold_stage1=0.6, threshold_stage2=0.5, gamma=1, method="bbse",
        refinement=False,
    )  # fmt: skip
    assert score(made, config).counts() == score(expected, config).counts()


def test_command_makes_an_equal_cache(tmp_path: Path) -> None:
    cache = GoldenSet.load("clip_clap_llp").make_cache(tmp_path / "c.zarr")
    done = av2a("export", "c.zarr", cwd=tmp_path)
    assert done.code == 0
    assert done.out.startswith("c.h5: 40 clips, ")
    done = av2a("import", "c.h5", "-o", "again.zarr", cwd=tmp_path)
    assert done.code == 0
    assert "image, video, audio; windows: all; label sets: llp" in done.out
    assert_equal(FeatureCache.open(tmp_path / "again.zarr"), cache)


def test_features_do_not_need_h5py() -> None:
    code = "import sys, feature_cache, score; sys.exit('h5py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


_KILLED = """
import os, sys
from feature_cache import FeatureCache
from feature_cache.exchange import export_hdf5, import_features
def stop(done, total):
    if done > total // 2:
        os._exit(9)  # at once, as killed: nothing is cleared up
if sys.argv[1] == "export":
    export_hdf5(FeatureCache.open("c.zarr"), "c.h5", progress=stop)
else:
    import_features("new.zarr", ["whole.h5"], progress=stop)
"""


@pytest.mark.parametrize("what", ["export", "import"])
def test_killed_runs_leave_nothing_half(what: str, tmp_path: Path) -> None:
    cache = FeatureCache.from_arrays(
        tmp_path / "c.zarr", clip_ids=ids(20), backbone="b", image=normal(20, T, 4), audio=normal(20, 6), shard_size=4
    )
    export_hdf5(cache, tmp_path / "whole.h5")
    code = subprocess.run([sys.executable, "-c", _KILLED, what], cwd=tmp_path, check=False).returncode
    assert code == 9
    assert not (tmp_path / "c.h5").exists()
    assert not (tmp_path / "new.zarr").exists()
    export_hdf5(cache, tmp_path / "c.h5")
    assert_equal(import_features(tmp_path / "new.zarr", [tmp_path / "c.h5"]), cache)
    assert names_in(tmp_path) == ["c.h5", "c.zarr", "new.zarr", "whole.h5"]


_MEASURED = """
from pathlib import Path
from feature_cache import FeatureCache
from feature_cache.exchange import export_hdf5, import_features
def peak():  # of this process since it began, in MB
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
def there_and_back(name):
    import_features(f"{name}.zarr", [f"{name}.npz"], shard_size=20)
    export_hdf5(FeatureCache.open(f"{name}.zarr"), f"{name}.h5", compression="lzf")
    import_features(f"{name}2.zarr", [f"{name}.h5"])
there_and_back("small")
before = peak()
there_and_back("large")
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's peak like that")
@pytest.mark.slow
def test_memory_does_not_grow_with_the_clips(tmp_path: Path) -> None:
    """Ten times the clips add less memory than half of what their values take."""
    block = {"image": normal(50, 10, 128), "video": normal(50, 46, 8, 128), "audio": normal(50, 46, 128)}
    size = 0
    for name, times in (("small", 1), ("large", 10)):
        found: dict[str, Any] = {side: np.concatenate([table.astype("f2")] * times) for side, table in block.items()}
        np.savez(tmp_path / f"{name}.npz", **found, clip_ids=np.array(ids(50 * times)))
        size = sum(table.nbytes for table in found.values()) // 2**20 - size
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}  # what threads leave free would count, too
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < size / 2, (done.stdout, size)
