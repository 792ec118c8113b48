"""What several test files share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder with random small CLIP and CLAP models; not to be changed."""
    from tests.models import make_checkpoint

    return make_checkpoint(tmp_path_factory.mktemp("weights") / "random")
