"""av2a import and export: every mistake in one line, nothing read that a file leads to, nothing half left."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from feature_cache import DONE, FAILED, CacheError, FeatureCache
from feature_cache.exchange import export_hdf5, import_features
from tests.command import refusal
from tests.exchange_files import LABELS, T, arrays, ids, names_in, normal, write_hdf5, write_lines
from tests.feature_cache.test_verify import rewrite


def refused(folder: Path, *files: Path, **options: Any) -> str:
    """The message; nothing is left of the cache."""
    with pytest.raises(CacheError) as caught:
        import_features(folder / "new.zarr", files, **options)
    assert not [name for name in names_in(folder) if "new.zarr" in name]
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "")


WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    # what differs from good arrays, options, message
    ({"image": normal(5, T)}, {}, "f.h5: dataset 'image' is (5, 3), expected image (N, T, Dv)"),
    ({"video": normal(5, 4, 2, 2, 4)}, {}, "f.h5: dataset 'video' is (5, 4, 2, 2, 4), expected video (N, W, F, Dv)"),
    ({"audio": normal(4, 4, 6)}, {}, "f.h5: dataset 'audio' is (4, 4, 6): 4 clips, expected 5 as in the clip ids"),
    ({"video": normal(5, 3, 4)}, {}, "f.h5: dataset 'video' is (5, 3, 4): 3 windows, expected 4 for 3 segments, or 1"),
    ({"video": normal(5, 4, 5)}, {}, "f.h5: dataset 'video' is (5, 4, 5): vectors of 5, expected 4 as f.h5: dataset"),
    ({"audio": normal(5, 6, 6)}, {}, "audio' is (5, 6, 6): 3 and 6 rows a clip, expected as many; of 3 segments, f.h5"),
    ({"audio": normal(5, 6, 6)}, {}, "f.h5: dataset 'audio' has 2 rows a segment: `pool=True` averages them"),
    ({"audio": normal(5, 5, 6)}, {}, "expected as many; sound has a row a segment, as pictures, or a window (4), or a"),
    ({"audio_segments": normal(5, 2, 6)}, {}, "dataset 'audio_segments' is (5, 2, 6): 3 and 2 rows a clip, expected"),
    ({"audio_segments": normal(5, 3, 7)}, {}, "dataset 'audio_segments' is (5, 3, 7): vectors of 7, expected 6"),
    ({"image": normal(5, 1, 4)}, {}, "f.h5: dataset 'image' is (5, 1, 4): a clip needs at least 2 segments"),
    ({"image": np.zeros((5, 3, 0))}, {}, "f.h5: dataset 'image' is (5, 3, 0): it holds nothing"),
    ({"image": np.full((5, 3, 4), "a", dtype="S1")}, {}, "f.h5: dataset 'image' holds |S1, expected numbers"),
    ({"image": None}, {}, "no image embeddings (N, T, Dv): name them with `image`; f.h5 has audio (5, 4, 6), clip_ids"),
    ({"audio": None}, {}, "no audio embeddings (N, W, Da), (N, T, Da) or (N, Da): name them with `audio`; f.h5 has"),
    ({"clip_ids": None}, {}, 'no clip ids: name a list of them with `clips="FILE"`'),
    ({"clip_ids": ["a", "b", "a", "c", "d"]}, {}, "the clip ids: clip id 'a' occurs twice"),
    ({"clip_ids": [b"\xff"] * 5}, {}, "f.h5: dataset 'clip_ids' is no UTF-8 text"),
    ({"labels": ["a", "A", "b"]}, {}, "labels: label 'A' occurs twice (as 'a' before)"),
    ({"labels": ["a", "b"]}, {}, "f.h5: dataset 'text_visual' is (3, 4), expected (2, 4) for 2 labels"),
    ({"text_audio": normal(3, 4)}, {}, "f.h5: dataset 'text_audio' is (3, 4), expected (3, 6) for 3 labels"),
    ({"text_audio": None}, {}, "text embeddings of the sound are needed, too: `text_audio` (3, 6)"),
    ({"text_visual": None}, {}, "labels of embeddings need their text embeddings: `text_visual`"),
    ({"text_visual": np.full((3, 4), np.nan)}, {}, "f.h5: dataset 'text_visual': a value of label 'dog' is not finite"),
    ({"missing": [0, 1]}, {}, "f.h5: dataset 'missing' is (2,), expected (5,)"),
    ({"missing": [0, 1, 2, 3, 4]}, {}, "f.h5: dataset 'missing': values other than 0, 1 (no picture) and 2"),
    ({"visual_probability": np.ones((5, 3, 3))}, {}, "a cache holds probabilities or embeddings, not both"),
    ({}, {"image": "x.npy"}, "`image`: x.npy is not there, as a file or as an array's name; f.h5 has audio (5, 4, 6)"),
    ({}, {"image": "f.h5:nothing"}, "`image`: f.h5 has no 'nothing'; it has audio, clip_ids, image"),
    ({}, {"shard_size": 0}, "shard_size must be at least 1"),
    ({}, {"dtype": "float64"}, "dtype 'float64': use one of float16, float32"),
    ({"image": 1e5 * normal(5, 3, 4)}, {}, "does not fit float16: store float32"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "options", "message"), WRONG)
def test_wrong_arrays(changes: dict[str, Any], options: dict[str, Any], message: str, tmp_path: Path) -> None:
    given = {**arrays(), "clip_ids": ids(), "labels": LABELS, **changes}
    file = write_hdf5(tmp_path / "f.h5", {name: values for name, values in given.items() if values is not None})
    if "image" in options:
        options = {**options, "image": options["image"].replace("f.h5", str(file))}
    assert message in refused(tmp_path, file, **options)


@pytest.mark.parametrize("kind", ["h5", "npz", "npy", "folder"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(kind: str, value: float, tmp_path: Path) -> None:
    given = arrays()
    given["audio"][3, 1, 2] = value
    options: dict[str, Any] = {}
    files = []
    if kind == "h5":
        files = [write_hdf5(tmp_path / "f.h5", {**given, "labels": LABELS, "clip_ids": ids()})]
    elif kind == "npz":
        pairs: dict[str, Any] = {**given, "labels": np.array(LABELS), "clip_ids": np.array(ids())}
        np.savez(tmp_path / "f.npz", **pairs)
        files = [tmp_path / "f.npz"]
    else:
        options = {"clips": str(write_lines(tmp_path / "ids.txt", ids()))}
        for name in ("image", "audio"):
            options[name] = str(tmp_path / (name if kind == "folder" else f"{name}.npy"))
            if kind == "npy":
                np.save(options[name], given[name])
                continue
            Path(options[name]).mkdir()
            for clip, row in zip(ids(), given[name], strict=True):
                np.save(Path(options[name]) / f"{clip}.npy", row)
    message = refused(tmp_path, *files, **options, shard_size=2)
    where = {"h5": "f.h5: dataset 'audio'", "npz": "f.npz: array 'audio'", "npy": "audio.npy", "folder": "audio"}[kind]
    assert message == f"{where}: audio embedding of clip clip 3 ä: a value is not finite"


@pytest.mark.parametrize(
    ("visual", "labels", "message"),
    [
        (np.full((5, 3, 3), 1.5), LABELS, "v.npy: visual probability of clip clip 0 ä: 1.5 does not lie in [0, 1]"),
        (np.full((5, 3, 3), -0.1), LABELS, "v.npy: visual probability of clip clip 0 ä: -0.1 does not lie in [0, 1]"),
        (np.full((5, 3, 3), np.nan), LABELS, "v.npy: visual probability of clip clip 0 ä: a value is not finite"),
        (np.ones((5, 3, 4)), LABELS, "v.npy is (5, 3, 4): 4 classes, expected 3, the labels"),
        (np.ones((5, 6, 3)), LABELS, "v.npy is (5, 6, 3) and a.npy is (5, 3, 3): 6 and 3 rows a clip"),
        (np.ones((5, 3)), LABELS, "v.npy is (5, 3), expected visual probability (N, T, C)"),
        (np.ones((4, 3, 3)), LABELS, "v.npy is (4, 3, 3): 4 clips, expected 5 as in ids.txt"),
        (np.ones((5, 3, 3)), None, "probabilities need the labels' names: `labels=\"FILE\"`, one a line"),
    ],
)  # fmt: skip
def test_wrong_probabilities(visual: Any, labels: Any, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", visual)
    np.save(tmp_path / "a.npy", np.ones((5, 3, 3)))
    words = str(write_lines(tmp_path / "words.txt", list(labels))) if labels else None
    found = refused(
        tmp_path,
        visual_probabilities=str(tmp_path / "v.npy"),
        audio_probabilities=str(tmp_path / "a.npy"),
        clips=str(write_lines(tmp_path / "ids.txt", ids())),
        labels=words,
    )
    assert found.startswith(message)


def _nothing(file: Path) -> None:
    file.unlink()


def _text(file: Path) -> None:
    file.write_text("image,audio\n1,2\n")


def _short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])


def _pickle(file: Path) -> None:
    objects: Any = np.array([{"a": 1}] * 5, dtype=object)
    if file.suffix == ".npz":
        np.savez(file, image=objects)
    else:
        np.save(file, objects)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("f.h5", _nothing, "f.h5 is not there"),
        ("f.h5", _text, "f.h5 is no HDF5 file"),
        ("f.h5", _short, "f.h5 is cut off (truncated HDF5): copy or download it again"),
        ("f.npz", _nothing, "f.npz is not there"),
        ("f.npz", _text, "f.npz is no .npz file"),
        ("f.npz", _short, "f.npz is no .npz file, or cut off"),
        ("f.npz", _pickle, "f.npz: array 'image' holds Python objects (a pickle), which av2a never loads"),
        ("image.npy", _nothing, "image.npy is not there"),
        ("image.npy", _text, "image.npy is no .npy file"),
        ("image.npy", _short, "image.npy is cut off: copy or download it again"),
        ("image.npy", _pickle, "image.npy holds Python objects (a pickle), which av2a never loads"),
    ],
)
def test_damaged_files(name: str, damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    file = tmp_path / name
    given: dict[str, Any] = arrays()
    if name == "f.h5":
        write_hdf5(file, given)
    elif name == "f.npz":
        np.savez(file, **given)
    else:
        np.save(file, given["image"])
    damage(file)
    audio = tmp_path / "sound.npy"
    np.save(audio, given["audio"])
    clips = write_lines(tmp_path / "ids.txt", ids())
    assert refused(tmp_path, file, audio=str(audio), clips=str(clips)).startswith(message)


def test_flipped_bytes_of_an_npz_are_found(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "image": normal(500, T, 4),
        "audio": normal(500, 9, seed=1),
        "clip_ids": np.array(ids(500)),
    }
    np.savez(tmp_path / "f.npz", **given)
    raw = bytearray((tmp_path / "f.npz").read_bytes())
    at = raw.find(given["audio"].tobytes())
    raw[at + 3] ^= 1
    (tmp_path / "f.npz").write_bytes(raw)
    message = refused(tmp_path, tmp_path / "f.npz")
    assert re.fullmatch(r"f.npz: array 'audio': rows \d+ to \d+ cannot be read \(Bad CRC-32 for file .*\)", message)


def test_an_array_that_declares_more_than_it_holds(tmp_path: Path) -> None:
    """Neither memory nor time is spent on what is only declared."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 3, 1000000000000), }"
    raw = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        archive.writestr("image.npy", raw)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("image", shape=(5, 3, 10**12), dtype="f4", chunks=(1, 1, 1024))
    np.save(tmp_path / "a.npy", normal(5, 6))
    clips = write_lines(tmp_path / "ids.txt", ids())
    for name in ("f.npz", "f.h5"):
        message = refused(tmp_path, tmp_path / name, audio=str(tmp_path / "a.npy"), clips=str(clips))
        assert ("5 rows take" in message and "GiB of memory" in message) or "less than its header says" in message


def test_folders(tmp_path: Path) -> None:
    for side in ("image", "audio", "empty"):
        (tmp_path / side).mkdir()
    for clip in ("a", "b"):
        np.save(tmp_path / "image" / f"{clip}.npy", normal(T, 4))
        np.save(tmp_path / "audio" / f"{clip}.npy", normal(T if clip == "a" else 2, 6))
    sides = {side: str(tmp_path / side) for side in ("image", "audio")}
    assert (
        refused(tmp_path, **sides)
        == "audio/b.npy is (2, 6) and audio/a.npy is (3, 6): the clips' arrays need one shape"
    )
    assert refused(tmp_path, image=str(tmp_path / "empty"), audio=sides["audio"]).startswith("empty: no .npy file")
    clips = write_lines(tmp_path / "ids.txt", ["c", "d"])
    assert refused(tmp_path, **sides, clips=str(clips)) == "image: no file for any of 2 clips; there are a, b"
    assert "is a folder: name it as `image=" in refused(tmp_path, tmp_path / "image")


def test_names_in_two_files(tmp_path: Path) -> None:
    one, two = (write_hdf5(tmp_path / f"{k}.h5", {**arrays(), "clip_ids": ids(), "labels": LABELS}) for k in (1, 2))
    assert refused(tmp_path, one, two).startswith("`image`: 1.h5:image and 2.h5:image are both there: name one as")
    assert "name one as" in refused(tmp_path, image=str(write_hdf5(tmp_path / "3.h5", {"a": [1], "b": [2]})))


# --- files that lead elsewhere --------------------------------------------------------------------------


def _external_link(file: h5py.File, secret: Path) -> None:
    file["image"] = h5py.ExternalLink(str(secret), "/image")


def _soft_link_through_an_external_one(file: h5py.File, secret: Path) -> None:
    file["group"] = h5py.ExternalLink(str(secret), "/")
    file["image"] = h5py.SoftLink("/group/image")


def _external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("image", shape=(5, T, 4), dtype="f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout(shape=(5, T, 4), dtype="f4")
    layout[:] = h5py.VirtualSource(str(secret), "image", shape=(5, T, 4))
    file.create_virtual_dataset("image", layout)


def _growing_virtual(file: h5py.File, secret: Path) -> None:
    """Its shape depends on the other file, which the library opens to tell it."""
    layout = h5py.VirtualLayout(shape=(5, T, 4), dtype="f4", maxshape=(None, T, 4))
    source = h5py.VirtualSource(str(secret), "image", shape=(5, T, 4), maxshape=(None, T, 4))
    layout[0 : h5py.UNLIMITED] = source[0 : h5py.UNLIMITED]
    file.create_virtual_dataset("image", layout)


def _circle(file: h5py.File, secret: Path) -> None:
    file["image"] = h5py.SoftLink("/other")
    file["other"] = h5py.SoftLink("/image")


LEADS: list[tuple[Callable[[h5py.File, Path], None], str]] = [
    (_external_link, "'image' is a link into another file"),
    (_soft_link_through_an_external_one, "'/group/image' is a link into another file"),
    (_external_storage, "dataset 'image' lies in external storage"),
    (_virtual, "dataset 'image' is a virtual dataset"),
    (_growing_virtual, "dataset 'image' is a virtual dataset"),
    (_circle, "is a link in a circle"),
]
_IMPORTS = """
import sys
from feature_cache import CacheError
from feature_cache.exchange import import_features
for name in sys.argv[1:]:
    for options in ({}, {"image": "image"}, {"image": name + ":image"}):
        try:
            import_features("new.zarr", [name], **options)
        except CacheError as error:
            print(error)
"""


def test_no_other_file_is_read(tmp_path: Path) -> None:
    """The other file is a pipe without a writer: whoever opens it waits for ever."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pipes among its files")
    os.mkfifo(tmp_path / "secret.h5")
    names = [f"f{k}.h5" for k in range(len(LEADS))]
    for name, (lead, _) in zip(names, LEADS, strict=True):
        with h5py.File(tmp_path / name, "w") as file:
            lead(file, tmp_path / "secret.h5")
            file["audio"] = normal(5, 6)
            file["clip_ids"] = ids()
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS, *names], cwd=tmp_path, capture_output=True, text=True, timeout=3600, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3 * len(LEADS)
    for k, line in enumerate(lines):
        assert line.startswith(f"{names[k // 3]}: "), line
        assert LEADS[k // 3][1] in line
    assert not (tmp_path / "new.zarr").exists()


def test_links_inside_a_file_are_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["deep/inside"] = normal(5, T, 4)
        file["image"] = h5py.SoftLink("deep/inside")
        file["deep/audio"] = h5py.SoftLink("/sound")
        file["sound"] = normal(5, 6)
        file["clip_ids"] = ids()
    made = import_features(tmp_path / "c.zarr", [tmp_path / "f.h5"], audio="deep/audio", dtype="float32")
    np.testing.assert_array_equal(made.read().image, normal(5, T, 4))


# --- exports --------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    """Six clips, one failed; two shards; a label set."""
    made = FeatureCache.create(
        tmp_path / "c.zarr", clip_ids=ids(6), backbone="b", visual_dim=4, audio_dim=6, segments=T, shard_size=4,
        windows="none", audio_windows="whole",
    )  # fmt: skip
    for shard in range(2):
        rows = len(made.shard_rows(shard))
        status = [FAILED, *[DONE] * (rows - 1)]
        made.write_shard(shard, normal(rows, T, 4), None, normal(rows, 1, 6), status, ["no file", *[""] * (rows - 1)])
    made.add_text("llp", labels=LABELS, visual=normal(3, 4), audio=normal(3, 6), prompts={"visual": ["A dog"]})
    return made


def _set(name: str, index: Any, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][index] = value

    return change


def _attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.attrs[name] = value

    return change


def _remove(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("image", (2, 1, 1), 9.0), "e.h5: array data of clip clip 2 ä differ from their digest (damaged)"),
        (_set("missing", 1, 2), "e.h5: array data of clip clip 1 ä differ from their digest (damaged)"),
        (_set("status", 0, 1), "e.h5: array data of clip clip 0 ä differ from their digest (damaged)"),
        (_set("status", 1, 7), "e.h5: dataset 'status': 7 is no status"),
        (_set("status", 1, 0), "e.h5 does not give the cache that was exported (identity"),
        (_set("clip_ids", 1, "other"), "e.h5: dataset 'clip_ids' differs from its digest (damaged)"),
        (_set("reason", 0, "other"), "e.h5: dataset 'reason' differs from its digest (damaged)"),
        (_set("facts", 0, "{}"), "e.h5: dataset 'facts' differs from its digest (damaged)"),
        (_set("text/llp/labels", 0, "other"), "e.h5: dataset 'text/llp/labels' differs from its digest (damaged)"),
        (_set("text/llp/visual", (0, 0), np.nan), "e.h5: text set 'llp': text set 'llp': visual embeddings hold"),
        (_remove("audio"), "e.h5 has no dataset 'audio': export it again"),
        (_remove("facts"), "e.h5 has no dataset 'facts': export it again"),
        (_attribute("identity", "0" * 16), "e.h5 does not give the cache that was exported"),
        (_attribute("hdf5_version", 2), "e.h5 has HDF5 export version 2, this av2a reads 1: use the av2a that made it"),
        (_attribute("format_version", 99), "e.h5 has cache format 99, this av2a reads"),
    ],
)  # fmt: skip
def test_changed_exports(
    change: Callable[[h5py.File], None], message: str, cache: FeatureCache, tmp_path: Path
) -> None:
    export_hdf5(cache, tmp_path / "e.h5")
    with h5py.File(tmp_path / "e.h5", "r+") as file:
        change(file)
    assert refused(tmp_path, tmp_path / "e.h5").startswith(message)


def test_flipped_bytes_of_an_export(cache: FeatureCache, tmp_path: Path) -> None:
    """Wherever a byte is flipped, the cache is refused or equal."""
    export_hdf5(cache, tmp_path / "e.h5", compression="none")
    raw = (tmp_path / "e.h5").read_bytes()
    values = cache.shards.values("image", 0, 4)
    random = np.random.default_rng(0)
    with h5py.File(tmp_path / "e.h5") as file:
        chunk = file["image"].id.get_chunk_info(0)
    assert chunk.size == values.nbytes + 4
    for at in random.integers(chunk.byte_offset, chunk.byte_offset + chunk.size, size=20).tolist():
        flipped = bytearray(raw)
        flipped[at] ^= 1 << int(random.integers(8))
        (tmp_path / "f.h5").write_bytes(flipped)
        message = refused(tmp_path, tmp_path / "f.h5")
        assert "f.h5: dataset 'image': rows 0 to 3 are damaged (" in message


def test_exports_take_no_options(cache: FeatureCache, tmp_path: Path) -> None:
    export_hdf5(cache, tmp_path / "e.h5")
    message = refused(tmp_path, tmp_path / "e.h5", backbone="clip_clap")
    assert message == "e.h5 is an export and has all of its own: leave `backbone` out"
    for options in ({"pool": True}, {"repeated_clips": "first"}):
        assert "has all of its own: leave `" in refused(tmp_path, tmp_path / "e.h5", **options)


def test_a_damaged_cache_is_not_exported(cache: FeatureCache, tmp_path: Path) -> None:
    rewrite(cache, "image", 1, 1, 1)
    with pytest.raises(CacheError, match="clip 5 ä"):
        export_hdf5(cache, tmp_path / "e.h5")
    assert names_in(tmp_path) == ["c.zarr"]


def test_a_cache_that_changes_is_not_exported(cache: FeatureCache, tmp_path: Path) -> None:
    writable = FeatureCache.open(cache.path, "r+")

    def change(done: int, total: int) -> None:
        writable.write_shard(0, normal(4, T, 4, seed=5), None, normal(4, 1, 6), [DONE] * 4)

    with pytest.raises(CacheError, match="was changed while it was exported"):
        export_hdf5(cache, tmp_path / "e.h5", progress=change)
    assert names_in(tmp_path) == ["c.zarr"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no process's files")
def test_a_full_disk_leaves_nothing(cache: FeatureCache, tmp_path: Path) -> None:
    code = (
        "import resource\nfrom feature_cache import FeatureCache\nfrom feature_cache.exchange import export_hdf5\n"
        "cache = FeatureCache.open('c.zarr')\nresource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "try:\n    export_hdf5(cache, 'e.h5')\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("CacheError e.h5 cannot be written (File too large)"), (done.stdout, done.stderr)
    assert names_in(tmp_path) == ["c.zarr"]


def test_what_is_there_is_kept(cache: FeatureCache, tmp_path: Path) -> None:
    """Nothing is replaced unasked, nothing else than a cache ever, and a failed run leaves the old one."""
    good = write_hdf5(tmp_path / "f.h5", {"image": normal(5, T, 4), "audio": normal(5, 6), "clip_ids": ids()})
    bad = write_hdf5(tmp_path / "g.h5", {"image": normal(5, T, 4) * np.nan, "audio": normal(5, 6), "clip_ids": ids()})
    identity = cache.identity
    with pytest.raises(CacheError, match=r"c\.zarr is there already: choose another output or overwrite it"):
        import_features(cache.path, [good])
    with pytest.raises(CacheError, match="not finite"):
        import_features(cache.path, [bad], overwrite=True)
    assert FeatureCache.open(cache.path).identity == identity
    import_features(cache.path, [good], overwrite=True)
    assert FeatureCache.open(cache.path).clip_ids == ids()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(CacheError, match="notes is there and no av2a cache: choose another output"):
        import_features(tmp_path / "notes", [good], overwrite=True)
    with pytest.raises(CacheError, match=r"f\.h5 is there already: choose another output or overwrite it"):
        export_hdf5(cache, good)
    with pytest.raises(CacheError, match="no folder"):
        export_hdf5(cache, tmp_path / "nowhere" / "e.h5")
    export_hdf5(FeatureCache.open(cache.path), good, overwrite=True)
    assert names_in(tmp_path) == ["c.zarr", "f.h5", "g.h5", "notes"]


def test_command_says_it_in_one_line(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "f.h5", {"avadataset": normal(5, T, 4)})
    assert refusal("import", "f.h5", "-o", "c.zarr", cwd=tmp_path) == (
        "Error: no image embeddings (N, T, Dv): name them with --image; f.h5 has avadataset (5, 3, 4)"
    )
    assert "features.zarr is not there" in refusal("export", cwd=tmp_path)
    assert "No such option" in refusal("import", "--picture", "x", cwd=tmp_path, code=2)
