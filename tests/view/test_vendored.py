"""What the pages take from others is what was published, with its licence."""

import hashlib
import io
import tarfile
from dataclasses import replace

import pytest

from score.view.vendored import PACKAGES, Package, unpacked


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_files_are_kept_as_they_were_published(package: Package) -> None:
    kept = dict(package.files.values())
    assert {file.name for file in package.folder.iterdir()} == set(kept)
    assert "LICENSE" in kept
    for name, digest in kept.items():
        assert hashlib.sha256((package.folder / name).read_bytes()).hexdigest() == digest


def test_another_archive_is_refused() -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz"):
        pass
    with pytest.raises(ValueError, match="SHA-512"):
        unpacked(replace(PACKAGES[0], integrity=""), content.getvalue())
