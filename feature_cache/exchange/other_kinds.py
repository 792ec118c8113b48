"""Files that hold arrays in a way that is not read: what they are, and how to convert them."""

import zipfile
from os import PathLike
from pathlib import Path

_ZIP, _PICKLES = b"PK\x03\x04", tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_TORCH = (".pt", ".pth")


def other_kind(path: str | PathLike[str]) -> str | None:
    """What a file is, and a line that converts it, if its kind is known and not read; else None.

    Nothing in it is loaded: its first bytes and its name tell.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            start = stream.read(128)
    except OSError:
        return None
    ending = file.suffix.lower()
    npy, name = f"{file.stem}.npy", str(file)
    if (start.startswith(_ZIP) and (ending in _TORCH or _is_torch(file))) or (
        start.startswith(_PICKLES) and ending in _TORCH
    ):
        return _told(
            file, "a PyTorch file", "torch", npy, f"torch.load({name!r}, map_location='cpu').detach().float().numpy()"
        )
    if start.startswith(_PICKLES):
        read = f"pickle.load(open({name!r}, 'rb'))"
        return _told(file, "a pickle, which may run anything when it is loaded", "pickle", npy, f"numpy.array({read})")
    if ending == ".safetensors" or (start[8:10] == b'{"' and b'"dtype"' in start):
        command = f"numpy.savez({file.stem + '.npz'!r}, **safetensors.numpy.load_file({name!r}))"
        return _line(file, "a safetensors file", "numpy, safetensors.numpy", command)
    if start.startswith(b"MATLAB 5.0"):
        return _told(file, "a MATLAB file", "scipy.io", npy, f"scipy.io.loadmat({name!r})['NAME']")
    if start.startswith(b"PAR1"):
        return _told(
            file, "a Parquet table", "pandas", npy, f"pandas.read_parquet({name!r}).to_numpy().reshape(N, T, -1)"
        )
    if start.startswith(b"\x1f\x8b"):
        return f"{file} is compressed by gzip, which is not read: gunzip it"
    if start.startswith(_ZIP) and not _has_arrays(file):
        return f"{file} is a ZIP file without arrays of NumPy in it: unpack it"
    if ending in (".csv", ".tsv", ".txt", ".dat") and _is_text(start):
        comma = {".csv": ", delimiter=','"}.get(ending, "")
        return _told(file, "a table of text", "", npy, f"numpy.loadtxt({name!r}{comma}).reshape(N, T, -1)")
    if ending in (".json", ".jsonl") and _is_text(start):
        return _told(file, "a JSON file", "json", npy, f"numpy.array(json.load(open({name!r})))")
    return None


def _told(file: Path, kind: str, module: str, npy: str, read: str) -> str:
    modules = f"numpy, {module}" if module else "numpy"
    return _line(file, kind, modules, f"numpy.save({npy!r}, {read})")


def _line(file: Path, kind: str, modules: str, command: str) -> str:
    return f'{file} is {kind}: HDF5, .npy and .npz are read; convert it: python -c "import {modules}; {command}"'


def _members(file: Path) -> list[str]:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, NotImplementedError):
        return [".npy"]  # said when it is opened


def _is_torch(file: Path) -> bool:
    names = _members(file)
    return any(name == "data.pkl" or name.endswith("/data.pkl") for name in names)


def _has_arrays(file: Path) -> bool:
    return any(name.endswith(".npy") for name in _members(file))


def _is_text(start: bytes) -> bool:
    return b"\0" not in start
