"""av2a import: files of other kinds are explained, and values that would be lost are refused."""

import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_cache import CacheError, FeatureCache
from feature_cache.exchange import import_features
from tests.command import refusal
from tests.exchange_files import ids, normal, write_hdf5, write_lines
from tests.feature_cache.test_exchange_refusals import refused

T = 10


# --- files that are not read --------------------------------------------------------------------------


def _torch(file: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.ones(2, T, 4), file)


def _old_torch(file: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.ones(2, T, 4), file, _use_new_zipfile_serialization=False)


def _pickled(file: Path) -> None:
    file.write_bytes(pickle.dumps([[1.0] * 4] * T))


def _safetensors(file: Path) -> None:
    header = b'{"image":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))


def _matlab(file: Path) -> None:
    file.write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(128))


def _table(file: Path) -> None:
    file.write_text("0.5,0.25\n1,2\n")


def _zip(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "features")


def _gzip(file: Path) -> None:
    file.write_bytes(b"\x1f\x8b\x08" + bytes(20))


OTHER: list[tuple[str, Callable[[Path], None], str]] = [
    ("f.pt", _torch, "is a PyTorch file: HDF5, .npy and .npz are read; convert it: python -c \"import numpy, torch"),
    ("f.pth", _old_torch, "is a PyTorch file"),
    ("f.npz", _torch, "is a PyTorch file"),
    ("f.pkl", _pickled, "is a pickle, which may run anything when it is loaded: HDF5, .npy and .npz are read; convert"),
    ("f.safetensors", _safetensors, "is a safetensors file: HDF5"),
    ("f.mat", _matlab, "is a MATLAB file: HDF5"),
    ("f.csv", _table, "is a table of text: HDF5"),
    ("f.zip", _zip, "is a ZIP file without arrays of NumPy in it: unpack it"),
    ("f.npy.gz", _gzip, "is compressed by gzip, which is not read: gunzip it"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "write", "message"), OTHER)
def test_files_of_other_kinds(name: str, write: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    """Given by position, in an option, and in a folder: what it is, and how to convert it."""
    write(tmp_path / name)
    np.save(tmp_path / "audio.npy", normal(2, T, 6))
    common = {"audio": str(tmp_path / "audio.npy"), "clips": str(write_lines(tmp_path / "ids.txt", ["a", "b"]))}
    assert refused(tmp_path, tmp_path / name, **common).startswith(f"{name} {message}")
    assert refused(tmp_path, image=str(tmp_path / name), **common).startswith(f"{name} {message}")
    (tmp_path / "folder").mkdir()
    (tmp_path / name).rename(tmp_path / "folder" / name)
    found = refused(tmp_path, image=str(tmp_path / "folder"), **common)
    assert found.startswith(f"folder: no .npy file in this folder; folder/{name} {message}")


@pytest.mark.parametrize(
    ("name", "write", "shape"),
    [
        pytest.param("f.pt", _torch, (2, T, 4), marks=pytest.mark.slow),  # imports torch in a process of its own
        ("p.pkl", _pickled, (T, 4)),
        ("t.csv", _table, (1, 2, 2)),
    ],
)
def test_the_line_that_converts_works(
    name: str, write: Callable[[Path], None], shape: tuple[int, ...], tmp_path: Path
) -> None:
    write(tmp_path / name)
    with pytest.raises(CacheError) as caught:
        import_features(tmp_path / "c.zarr", image=str(tmp_path / name), audio="x.npy", clips="x.txt")
    code = str(caught.value).split('python -c "')[1].rstrip('"').replace("reshape(N, T, -1)", "reshape(1, 2, -1)")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert np.load(tmp_path / f"{Path(name).stem}.npy").shape == shape


def test_folders_of_files_of_which_one_is_read_alone(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for clip in "ab":
        np.savez(tmp_path / "f" / f"{clip}.npz", x=normal(T, 4))
    message = refused(tmp_path, image=str(tmp_path / "f"), audio="x.npy")
    assert message == "f: no .npy file in this folder; it has a.npz, b.npz"


def test_stores_of_zarr_are_no_folders(tmp_path: Path) -> None:
    cache = FeatureCache.from_arrays(
        tmp_path / "c.zarr", clip_ids=ids(), backbone="b", image=normal(5, T, 4), audio=normal(5, 6)
    )
    message = refused(tmp_path, image=cache.path, audio=cache.path)
    assert message == "c.zarr: no .npy file in this folder, which is a Zarr store: save its arrays as .npy"


# --- values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-9, 3e-7])
@pytest.mark.parametrize("rows", ["all", "one vector"])
def test_vectors_that_float16_loses(scale: float, rows: str, tmp_path: Path) -> None:
    image = normal(6, T, 4)
    image[slice(None) if rows == "all" else (4, 3)] *= scale
    given = {"image": image, "audio": normal(6, 6), "clip_ids": [f"v{k}" for k in range(6)]}
    file = write_hdf5(tmp_path / "f.h5", given)
    message = refused(tmp_path, file)
    clip = "v0" if rows == "all" else "v4"
    assert message.startswith(f"f.h5: dataset 'image': image embedding of clip {clip}: a vector of norm ")
    assert message.endswith('% of it: store float32 (`dtype="float32"`)')
    made = import_features(tmp_path / "c.zarr", [file], dtype="float32")
    np.testing.assert_array_equal(made.read().image, image)


def test_the_command_names_the_mend(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "f.h5", {"image": normal(3, T, 4) * 1e-9, "audio": normal(3, 6), "clip_ids": ids(3)})
    assert "(--dtype float32)" in refusal("import", "f.h5", cwd=tmp_path)


def test_tiny_values_that_do_no_harm(tmp_path: Path) -> None:
    """Zeros, tiny values among others, small vectors that float16 holds, bits and whole numbers."""
    image = normal(6, T, 4)
    image[0, :, 1:] *= 1e-9
    image[1] = 0
    image[2] = 2.0**-24
    image[3] *= 1e-3
    audio = (normal(6, T, 6) > 0, np.arange(6 * T * 6).reshape(6, T, 6).astype(np.int64))
    for number, sound in enumerate(audio):
        made = FeatureCache.from_arrays(
            tmp_path / f"{number}.zarr", clip_ids=ids(6), backbone="b", image=image, audio_segments=sound
        )
        np.testing.assert_array_equal(made.read().image, image.astype(np.float16))
        np.testing.assert_array_equal(made.read().audio_segments, sound.astype(np.float16))


@pytest.mark.parametrize(("dtype", "given"), [("float16", "f4"), ("float16", "f8"), ("float32", "f8")])
def test_vectors_that_a_cache_loses(dtype: str, given: str, tmp_path: Path) -> None:
    """The same however rows come in: all at once, by shard, or by row, as an extraction writes them."""
    tiny = normal(5, T, 4).astype(given) * (1e-9 if dtype == "float16" else 1e-60)
    message = rf"image embedding of clip clip 2 ä: a vector of norm \S+ is too small for {dtype}"
    image = normal(5, T, 4).astype(given)
    image[2] = tiny[2]
    with pytest.raises(CacheError, match=message):
        FeatureCache.from_arrays(
            tmp_path / "c.zarr", clip_ids=ids(), backbone="b", image=image, audio=normal(5, 6), dtype=dtype
        )
    cache = FeatureCache.create(
        tmp_path / "d.zarr", clip_ids=ids(), backbone="b", visual_dim=4, audio_dim=6, dtype=dtype, windows="none",
        audio_windows="whole",
    )  # fmt: skip
    with pytest.raises(CacheError, match=message):
        cache.write_shard(0, image, None, normal(5, 1, 6), [1] * 5)
    rows = {"image": image[2:4], "audio": normal(2, 1, 6)}
    with pytest.raises(CacheError, match=message):
        cache.write_rows(0, [2, 3], rows, [1, 1], ["", ""], [0, 0])
    cache.write_shard(0, image, None, normal(5, 1, 6), [1] * 5, missing=[0, 0, 1, 0, 0])  # is not stored
    assert not cache.read().image[2].any()


def test_flags_that_are_yes_and_no(tmp_path: Path) -> None:
    given = {"image": normal(3, T, 4), "audio": normal(3, 6), "clip_ids": ids(3), "missing": [False, True, False]}
    message = refused(tmp_path, write_hdf5(tmp_path / "f.h5", given))
    assert message == (
        "f.h5: dataset 'missing' holds bool: 0, 1 (no picture) or 2 (no sound) is needed, not yes and no"
    )


def test_labels_that_overflow(tmp_path: Path) -> None:
    given = {
        "image": normal(3, T, 4), "audio": normal(3, 4), "clip_ids": ids(3), "labels": ["a", "b"],
        "text_visual": np.array([[1.0] * 4, [1e300] * 4]),
    }  # fmt: skip
    message = refused(tmp_path, write_hdf5(tmp_path / "f.h5", given))
    assert "a value of label 'b' is not finite, or does not fit float32" in message


# --- the files after which the kinds are called -------------------------------------------------------

CASES = Path(__file__).parents[3] / "shared" / "cases" / "features"


@pytest.mark.skipif(not CASES.is_dir(), reason="the given files are not here")
@pytest.mark.parametrize(
    ("options", "mended"),
    [
        ({"image": "tiny.npy", "audio": "audio.npy", "clips": "ids.txt"}, {"dtype": "float32"}),
        ({"image": "image.npy", "audio": "audio.npy", "clips": "ave_ids.txt"}, {"repeated_clips": "number"}),
        ({"image": "llp_res152", "audio": "vggish"}, {"pool": True}),
        ({"image": "image.pt", "audio": "audio.npy", "clips": "ids.txt"}, {"image": str(CASES / "image.npy")}),
        ({"image": "perclip.h5", "audio": "audio.npy", "clips": "ids.txt"}, None),
    ],
)
def test_given_files(options: dict[str, str], mended: dict[str, Any] | None, tmp_path: Path) -> None:
    given: dict[str, Any] = {name: str(CASES / value) for name, value in options.items()}
    if mended is not None:
        refused(tmp_path, **given)
    made = import_features(tmp_path / "c.zarr", **{**given, **(mended or {})})
    assert (len(made), made.segments) == (6, 10)
    assert np.abs(made.read().image).max() > 0
