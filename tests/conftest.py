"""What several test files share."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's threads wait for each other while other tests run


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder with random small CLIP and CLAP models; not to be changed."""
    from tests.models import make_checkpoint

    return make_checkpoint(tmp_path_factory.mktemp("weights") / "random")
