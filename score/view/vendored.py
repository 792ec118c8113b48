"""What the pages take from others, kept in the package as it was published: versions, hashes, licences.

``python -m score.view.vendored`` fetches the packages again with npm, checks their hashes and writes the same files.
"""

import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_TESTS = _HERE.parents[1] / "tests" / "view"


@dataclass(frozen=True)
class Package:
    """A package of the npm registry of which files are kept.

    Attributes:
        name: in the registry.
        version: the one that is kept.
        integrity: SHA-512 of its archive, base64, as the registry says it.
        files: by name in the archive, the name here and the SHA-256 of what is in it.
        tests_only: whether tests alone take it; it is not in av2a's own packages then.
    """

    name: str
    version: str
    integrity: str
    files: dict[str, tuple[str, str]]
    tests_only: bool = False

    @property
    def folder(self) -> Path:
        """Where its files are kept."""
        return (_TESTS if self.tests_only else _HERE) / "vendor" / self.name.removesuffix(".js")


PACKAGES = (
    Package(
        "wavesurfer.js",
        "7.12.12",
        "fyKNuREQTliCl4b9w7pUzpFXQIkX5tcdYu1o6vBdH+NlUXvTxshvfbG2hj8OxDevzQNZlDTHzZGyAT3FhuutWw==",
        {
            "package/dist/wavesurfer.esm.js": (
                "wavesurfer.esm.js",
                "1bca765cc75bc4af079ecd1b2edd659b155e5d1715e75a29d68272d9f141f951",
            ),
            "package/dist/plugins/spectrogram.esm.js": (
                "spectrogram.esm.js",
                "f34aaea616999443dfb0c1153f5795c035c600d882d261229f57e2aeaf60e72d",
            ),
            "package/LICENSE": (
                "LICENSE",
                "0fc992dc27cc34dde78bfeb024b4cadff6320f0dcbee2f1228efaeb533ca1364",
            ),
        },
    ),
    Package(
        "uplot",
        "1.6.32",
        "KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
        {
            "package/dist/uPlot.esm.js": (
                "uPlot.esm.js",
                "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba",
            ),
            "package/dist/uPlot.min.css": (
                "uPlot.min.css",
                "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
            ),
            "package/LICENSE": (
                "LICENSE",
                "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
            ),
        },
    ),
    Package(
        "axe-core",
        "4.14.1",
        "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        {
            "package/axe.min.js": (
                "axe.min.js",
                "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
            ),
            "package/LICENSE": (
                "LICENSE",
                "af175b9d96ee93c21a036152e1b905b0b95304d4ae8c2c921c7609100ba8df7e",
            ),
            "package/LICENSE-3RD-PARTY.txt": (
                "LICENSE-3RD-PARTY.txt",
                "4f8563870d0fca38bbc3e00b6f670cb7fa9f380ba9f26a7f7d1184a6b18b1653",
            ),
        },
        tests_only=True,
    ),
)


def unpacked(package: Package, archive: bytes) -> dict[str, bytes]:
    """The files that are kept, by their names here.

    Raises:
        ValueError: the archive is another one than was looked at, or lacks a file.
    """
    found = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if found != package.integrity:
        raise ValueError(f"{package.name} {package.version}: the archive's SHA-512 is {found}, not {package.integrity}")
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for name, (kept, digest) in package.files.items():
            member = tar.extractfile(name)
            if member is None:
                raise ValueError(f"{package.name} {package.version} has no file {name}")
            files[kept] = member.read()
            if hashlib.sha256(files[kept]).hexdigest() != digest:
                raise ValueError(f"{package.name} {package.version}: {name} is another file than was looked at")
    return files


def fetch(package: Package) -> bytes:
    """A package's archive, from the registry that npm is set up for."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        [archive] = Path(folder).iterdir()
        return archive.read_bytes()


def main() -> None:
    """Fetch every package, check it, and write what is kept of it."""
    for package in PACKAGES:
        files = unpacked(package, fetch(package))
        package.folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            changed = not (package.folder / name).exists() or (package.folder / name).read_bytes() != content
            (package.folder / name).write_bytes(content)
            sys.stdout.write(f"{package.name} {package.version}: {name}{' (changed)' if changed else ''}\n")


if __name__ == "__main__":
    main()
