"""av2a import of files made to fill memory or time: one line, soon, in little memory; odd but whole ones are taken."""

import copy
import io
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from feature_cache.exchange import import_features
from tests.exchange_files import T, arrays, assert_same_arrays, ids, names_in, normal, write_lines
from tests.posix import make_pipe

MOST_MEGABYTES = 800
_COMMAND = """
import atexit, sys
from pathlib import Path
def told():
    status = Path("/proc/self/status")
    if status.exists():
        Path("peak").write_text(status.read_text().split("VmHWM:")[1].split()[0])
atexit.register(told)
from av2a_cli import main
main()
"""
Make = Callable[[Path], list[str]]


def npy(header: bytes, values: bytes = b"", version: int = 1) -> bytes:
    length = (len(header) + 1).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes((version, 0)) + length + header + b"\n" + values


def header(shape: str, kind: str = "'<f4'", fortran: object = False) -> bytes:
    return f"{{'descr': {kind}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()


def saved(values: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def beside(folder: Path) -> list[str]:
    np.save(folder / "a.npy", arrays()["audio"])
    write_lines(folder / "ids.txt", ids())
    return ["--audio", "a.npy", "--clips", "ids.txt"]


def as_npy(raw: bytes) -> Make:
    def make(folder: Path) -> list[str]:
        (folder / "f.npy").write_bytes(raw)
        return ["--image", "f.npy", *beside(folder)]

    return make


def as_npz(raw: bytes, name: str = "image", zeros: int = 0) -> Make:
    """Beside good arrays, one of these bytes and so many zeros, deflated."""

    def make(folder: Path) -> list[str]:
        good = {"image": arrays()["image"], "audio": arrays()["audio"], "clip_ids": np.array(ids())}
        with zipfile.ZipFile(folder / "f.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for each in good.keys() - {name}:
                archive.writestr(f"{each}.npy", saved(good[each]))
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                stream.write(raw)
                for start in range(0, zeros, 1 << 24):
                    stream.write(bytes(min(1 << 24, zeros - start)))
        return ["f.npz"]

    return make


def changed_npz(place: int, size: int, value: int) -> Make:
    """A good file of which the directory's first entry says something else."""

    def make(folder: Path) -> list[str]:
        np.savez(folder / "f.npz", image=arrays()["image"], audio=arrays()["audio"])
        raw = bytearray((folder / "f.npz").read_bytes())
        at = raw.find(b"PK\x01\x02") + place
        raw[at : at + size] = value.to_bytes(size, "little")
        (folder / "f.npz").write_bytes(raw)
        return ["f.npz", *beside(folder)[2:]]

    return make


def as_hdf5(change: Callable[[h5py.File], object]) -> Make:
    def make(folder: Path) -> list[str]:
        with h5py.File(folder / "f.h5", "w") as file:
            for name in ("image", "audio"):
                file[name] = arrays()[name]
            file["clip_ids"] = ids()
            change(file)
        return ["f.h5"]

    return make


def instead(name: str, **options: Any) -> Make:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **options)

    return as_hdf5(change)


def lying_chunk(file: h5py.File) -> None:
    """240 bytes by the header, 3 GiB by the deflated stream."""
    del file["image"]
    found = file.create_dataset("image", shape=(5, T, 4), dtype="f4", chunks=(5, T, 4), compression="gzip")
    packed = zlib.compressobj(1)
    raw = b"".join(packed.compress(bytes(1 << 24)) for _ in range(192)) + packed.flush()
    found.id.write_direct_chunk((0, 0, 0), raw)


def lying_large_chunk(file: h5py.File) -> None:
    """The same, of a chunk that is as large as what is stored of it."""
    del file["image"]
    found = file.create_dataset("image", shape=(5, T, 1 << 18), dtype="f4", chunks=(5, T, 1 << 18), compression="gzip")
    packed = zlib.compressobj(1)
    raw = b"".join(packed.compress(bytes(1 << 24)) for _ in range(192)) + packed.flush()
    found.id.write_direct_chunk((0, 0, 0), raw)


def twice_deflated(file: h5py.File) -> None:
    del file["image"]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((5, T, 4))
    plan.set_deflate(1)
    plan.set_deflate(1)
    h5py.h5d.create(file.id, b"image", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((5, T, 4)), plan)


def large_chunk(file: h5py.File) -> None:
    del file["image"]
    options: dict[str, Any] = {"maxshape": (None, None, None), "chunks": (300, 1000, 1000), "compression": "gzip"}
    file.create_dataset("image", data=arrays()["image"], **options)


def huge_type(file: h5py.File) -> None:
    del file["image"]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    kind = h5py.h5t.array_create(h5py.h5t.IEEE_F32LE, (1_000_000, 1000))
    h5py.h5d.create(file.id, b"image", kind, h5py.h5s.create_simple((5, T, 4)), plan)


def many_links(file: h5py.File, count: int = 200_000) -> None:
    del file["image"]
    for number in range(count):
        file.id.links.create_hard(f"l{number}".encode(), file.id, b"audio")


def strange_name(file: h5py.File) -> None:
    del file["image"]
    h5py.h5d.create(file.id, b"\xff\x1b[2J", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((5, T, 4)))


def soft_circle(file: h5py.File) -> None:
    del file["image"]
    file["image"], file["a"] = h5py.SoftLink("/a"), h5py.SoftLink("/image")


def empty_of_2_gib(folder: Path) -> list[str]:
    with h5py.File(folder / "f.h5", "w") as file:
        file["clip_ids"] = [f"c{row}" for row in range(32)]
        for name in ("image", "audio"):
            file.create_dataset(name, shape=(32, T, 5_500_000), dtype="f4", chunks=(1, 1, 1024))
    return ["f.h5"]


def holes(folder: Path) -> list[str]:
    """Files of 2 GiB that take none."""
    raw = npy(header("(32, 3, 5500000)"))
    for name in ("f.npy", "a.npy"):
        with (folder / name).open("wb") as stream:
            stream.write(raw)
            stream.truncate(len(raw) + 32 * 3 * 5_500_000 * 4)
    write_lines(folder / "ids.txt", [f"c{row}" for row in range(32)])
    return ["--image", "f.npy", "--audio", "a.npy", "--clips", "ids.txt"]


def lines(text: bytes, times: int) -> Make:
    def make(folder: Path) -> list[str]:
        np.save(folder / "f.npy", arrays()["image"])
        words = beside(folder)
        (folder / "ids.txt").write_bytes(text * times)
        return ["--image", "f.npy", *words]

    return make


def pipe(folder: Path) -> list[str]:
    make_pipe(folder / "f.h5")
    return ["f.h5"]


def pipe_in_a_folder(folder: Path) -> list[str]:
    (folder / "image").mkdir()
    for clip, row in zip(ids(), arrays()["image"], strict=True):
        np.save(folder / "image" / f"{clip}.npy", row)
    (folder / "image" / "clip 0 ä.npy").unlink()
    make_pipe(folder / "image" / "clip 0 ä.npy")
    return ["--image", "image", *beside(folder)]


def two_of_a_name(folder: Path) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(folder / "f.npz", "w") as archive:
            for times in (1, 2):
                archive.writestr("image.npy", saved(times * arrays()["image"]))
    return ["f.npz", *beside(folder)]


def upon_each_other(folder: Path) -> list[str]:
    """Entries of a directory that all lie in one place."""
    with zipfile.ZipFile(folder / "f.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", saved(arrays()["image"]))
        for name in ("audio.npy", "clip_ids.npy", *(f"x{number}.npy" for number in range(2000))):
            entry = copy.copy(archive.filelist[0])
            entry.filename = entry.orig_filename = name
            archive.filelist.append(entry)
    return ["f.npz"]


GIB = 1 << 30
FORTRAN = npy(header("(5, 3, 33000000)", fortran=True))
HEADERS: dict[str, tuple[bytes, str]] = {
    "negative": (npy(header("(-5, 3, 4)")), "an axis of length -5"),
    "yes and no": (npy(header("(True, 3, 4)")), "an axis of length True"),
    "no whole number": (npy(header("(5.0, 3, 4)")), "shape is not valid"),
    "1e15": (npy(header("(5, 3, 1000000000000000)")), ""),
    "wraps around": (npy(header("(5, 4294967296, 4294967296)")), "more numbers than a file can hold"),
    "1e28": (npy(header("(5, 3, 10000000000000000000000000000)")), "more numbers than a file can hold"),
    "many axes": (npy(header(f"({'1,' * 500})")), "500 axes, more than 32"),
    "wide texts": (npy(header("(5,)", "'<U500000000'")), ""),
    "10 MB": (npy(header("(5, 3, 4)") + b" " * (10 << 20), version=2), "more than 10000"),
    "100,000 deep": (npy(b"(" * 100_000 + b")" * 100_000, version=3), "more than 10000"),
    "4,000 deep": (npy(b"[" * 4000 + b"]" * 4000), "cannot be read"),
    "minus minus": (npy(b"-" * 9000 + b"1"), "no description of an array"),
    "objects": (npy(header("(5, 3, 4)", "'|O'")), "which av2a never loads"),
    "objects inside": (npy(header("(5, 3, 4)", "[('a', '|O')]")), "which av2a never loads"),
    "fields": (npy(header("(5, 3, 4)", "[('a', '<f4')]"), bytes(240)), "expected numbers"),
    "void": (npy(header("(5, 3, 4)", "'|V4'"), bytes(240)), "expected numbers"),
    "times": (npy(header("(5, 3, 4)", "'<M8[s]'"), bytes(480)), "expected numbers"),
    "2,000 fields": (npy(header("(5, 3, 4)", f"'{'<f4,' * 2000}<f4'")), ""),
    "version 9": (npy(header("(5, 3, 4)"), version=9), "cannot be read"),
}
BOMBS: dict[str, tuple[Make, str]] = {
    **{f"{name}, npy": (as_npy(raw), message) for name, (raw, message) in HEADERS.items()},
    **{f"{name}, npz": (as_npz(raw), message) for name, (raw, message) in HEADERS.items()},
    "no numbers": (as_npy(npy(header("(5, 3, 4)"))), "f.npy is cut off"),
    "no numbers, npz": (as_npz(npy(header("(5, 3, 4)"))), "less than its header says"),
    "a header of 4 GiB": (as_npz(b"\x93NUMPY\x02\0\xff\xff\xff\xff", zeros=1 << 26), "a header of 4294967295 bytes"),
    "zeros behind": (as_npz(npy(header("(5, 3, 4)")), zeros=1 << 28), "more than its header says"),
    "a ZIP in a ZIP": (as_npz(b"PK\x03\x04" + bytes(100)), "cannot be read"),
    "wrong checksum": (changed_npz(16, 4, 7), "Bad CRC-32"),
    "ZIP64 without": (changed_npz(20, 8, (1 << 64) - 1), "cannot be read"),
    "longer by the directory": (changed_npz(24, 4, 1 << 30), "cannot be read"),
    "elsewhere by the directory": (changed_npz(42, 4, 1 << 30), "cannot be read"),
    "encrypted": (changed_npz(8, 1, 1), "cannot be read"),
    "packed by nobody knows what": (changed_npz(10, 2, 99), "cannot be read"),
    "two of a name": (two_of_a_name, "two arrays of the name 'image'"),
    "upon each other": (upon_each_other, "cannot be read"),
    "1e15 clips": (instead("image", shape=(10**15, T, 4), dtype="f4", chunks=(1, T, 4)), "1000000000000000 clips"),
    "1e15 dimensions": (instead("image", shape=(5, T, 10**15), dtype="f4", chunks=(1, 1, 64)), "5 rows take"),
    "1e15 ids": (instead("clip_ids", shape=(10**15,), dtype="S1", chunks=(1,)), "more than 2000000"),
    "1e7 ids": (instead("clip_ids", shape=(10**7,), dtype=h5py.string_dtype(), chunks=(99,)), "more than 2000000"),
    "ids of 1 GB": (instead("clip_ids", shape=(5,), dtype=f"S{10**9}", chunks=(1,)), "room for texts of 1000000000"),
    "an id of 1 MB": (instead("clip_ids", data=["a" * 10**6, *ids()[1:]]), "text 1 has 1000000 characters"),
    "nothing stored": (empty_of_2_gib, "damaged, or made to fill memory"),
    "holes": (holes, "damaged, or made to fill memory"),
    "twice deflated": (as_hdf5(twice_deflated), "compressed 2 times over"),
    "chunks of 1e-9": (instead("image", shape=(5, T, 10**7), dtype="f4", chunks=(1, 1, 1), compression="gzip"), ""),
    "a type of 4 GB": (as_hdf5(huge_type), "cannot be read"),
    "references": (instead("image", shape=(5, T, 4), dtype=h5py.ref_dtype), "expected numbers"),
    "of any length": (instead("image", shape=(5, T, 4), dtype=h5py.vlen_dtype("f4")), "expected numbers"),
    "a circle of links": (as_hdf5(soft_circle), "is a link in a circle"),
    "no UTF-8": (as_hdf5(strange_name), "no image embeddings"),
    "virtual": (instead("image", shape=(5, T, 4), dtype="f4", external=[("/etc/passwd", 0, 240)]), "external storage"),
    "100 MB in a line": (lines(b"a", 10**8), "has over 100,000 characters"),
    "5,000,000 lines": (lines(b"a\n", 5 * 10**6), "has 5,000,000 lines, at most 2,000,000 are read"),
}  # fmt: skip
SLOW: dict[str, tuple[Make, str]] = {
    "Fortran order": (as_npz(FORTRAN, zeros=1_980_000_000), "made to fill memory"),
    "rows": (as_npz(npy(header("(5, 3, 33000000)")), zeros=1_980_000_000), "made to fill memory"),
    "Fortran order, 12 GB": (as_npz(FORTRAN.replace(b" 33000000", b"200000000"), zeros=12 * 10**9), "fill memory"),
    "texts": (as_npz(npy(header("(60000000,)", "'<U1'")), "clip_ids", zeros=240_000_000), "more than 2000000"),
    "zeros behind": (as_npz(npy(header("(5,)", "'<U1'")), "clip_ids", zeros=8 * GIB), "more than its header says"),
    "a chunk that is longer": (as_hdf5(lying_chunk), "holds more than that"),
    "a chunk that is longer by far": (as_hdf5(lying_large_chunk), "holds more than that"),
    "a chunk of 1 GiB": (as_hdf5(large_chunk), "made to fill memory"),
    "200,000 links": (as_hdf5(many_links), "no image embeddings"),
    "pipe": (pipe, "is no regular file"),
    "pipe in a folder": (pipe_in_a_folder, "is no regular file"),
}


def refused_soon(make: Make, folder: Path) -> str:
    words = make(folder)
    before = names_in(folder)
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, "import", *words, "-o", "new.zarr"], cwd=folder, capture_output=True,
        text=True, check=False, timeout=600, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert done.stderr.startswith("Error: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert len(done.stderr) < 700, done.stderr
    assert set(names_in(folder)) - {"peak"} == set(before)
    if (folder / "peak").exists():
        assert int((folder / "peak").read_text()) // 1024 < MOST_MEGABYTES
    return done.stderr


@pytest.mark.parametrize("name", ["negative, npy", "100,000 deep, npy", "zeros behind", "holes", "nothing stored"])
def test_the_command_ends_in_a_line(name: str, tmp_path: Path) -> None:
    make, message = BOMBS[name]
    assert message in refused_soon(make, tmp_path)


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.slow
def test_every_bomb(name: str, tmp_path: Path) -> None:
    make, message = BOMBS[name]
    assert message in refused_soon(make, tmp_path)


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.slow
def test_large_bombs(name: str, tmp_path: Path) -> None:
    make, message = SLOW[name]
    assert message in refused_soon(make, tmp_path)


# --- odd but whole ------------------------------------------------------------------------------------------


def _version(values: Any, version: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, values, version=version)
    return stream.getvalue()


def _of_python_2(values: Any) -> bytes:
    shape = ", ".join(f"{length}L" for length in values.shape)
    return npy(header(f"({shape},)"), values.astype("<f4").tobytes())


WHOLE: dict[str, Callable[[Any], bytes]] = {
    "version 2": lambda values: _version(values, (2, 0)),
    "version 3": lambda values: _version(values, (3, 0)),
    "Fortran order": lambda values: saved(np.asfortranarray(values)),
    "big-endian": lambda values: saved(values.astype(">f4")),
    "float64": lambda values: saved(values.astype("<f8")),
    "Python 2": _of_python_2,
}


@pytest.mark.parametrize("kind", ["npy", "npz", "deflated npz"])
@pytest.mark.parametrize("how", WHOLE)
def test_odd_files_that_are_whole(how: str, kind: str, tmp_path: Path) -> None:
    given = arrays()
    clips = str(write_lines(tmp_path / "ids.txt", ids()))
    plain: dict[str, Any] = {side: str(tmp_path / f"{side}.plain.npy") for side in ("image", "audio")}
    for side, path in plain.items():
        np.save(path, given[side])
    expected = import_features(tmp_path / "plain.zarr", **plain, clips=clips)
    raw = {side: WHOLE[how](given[side]) for side in plain}
    if kind == "npy":
        for side, content in raw.items():
            (tmp_path / f"{side}.npy").write_bytes(content)
        odd: dict[str, Any] = {side: str(tmp_path / f"{side}.npy") for side in raw}
        found = import_features(tmp_path / "odd.zarr", **odd, clips=clips, shard_size=2)
    else:
        how_packed = zipfile.ZIP_STORED if kind == "npz" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(tmp_path / "f.npz", "w", how_packed) as archive:
            for side, content in raw.items():
                archive.writestr(f"{side}.npy", content)
        found = import_features(tmp_path / "odd.zarr", [tmp_path / "f.npz"], clips=clips, shard_size=2)
    assert_same_arrays(found, expected)


def test_odd_hdf5_files_that_are_whole(tmp_path: Path) -> None:
    """Big-endian, in chunks of one and of all rows, written by several (SWMR), with groups of nothing, of one clip."""
    given = arrays(1)
    clips = write_lines(tmp_path / "ids.txt", ids(1))
    np.savez(tmp_path / "f.npz", image=given["image"], audio=given["audio"])
    expected = import_features(tmp_path / "plain.zarr", [tmp_path / "f.npz"], clips=str(clips))
    with h5py.File(tmp_path / "f.h5", "w", libver="latest") as file:
        file.create_group("nothing/in it")
        options: dict[str, Any] = {"compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("image", data=given["image"].astype(">f4"), chunks=(1, 1, 4), **options)
        file.create_dataset("audio", data=given["audio"].astype("<f8"), maxshape=(None, None, 6), **options)
        file.swmr_mode = True
    found = import_features(tmp_path / "odd.zarr", [tmp_path / "f.h5"], clips=str(clips))
    assert_same_arrays(found, expected)


def test_large_chunks_that_are_whole(tmp_path: Path) -> None:
    """A chunk in which a bomb could be hidden is looked into, and taken where there is none."""
    image = normal(4, T, 50_000)
    clips = write_lines(tmp_path / "ids.txt", ids(4))
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("image", data=image, chunks=image.shape, compression="gzip", shuffle=True, fletcher32=True)
        file["audio"] = normal(4, T, 6)
    found = import_features(tmp_path / "new.zarr", [tmp_path / "f.h5"], clips=str(clips), dtype="float32")
    np.testing.assert_array_equal(found.shards.values("image", 0, 4), image)
