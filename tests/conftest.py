"""What several test files share."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from extract import Summary
    from feature_cache import FeatureCache

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell, which children inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's threads wait for each other while other tests run


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder with random small CLIP and CLAP models; not to be changed."""
    from tests.models import make_checkpoint

    return make_checkpoint(tmp_path_factory.mktemp("weights") / "random")


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five clips and a labels.txt; not to be changed."""
    from tests.extraction import make_videos

    return make_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="session")
def run(videos: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> "tuple[FeatureCache, Summary]":
    """The clips' cache in float32, two shards, and how its run ended; not to be changed."""
    from feature_cache import FeatureCache
    from tests.extraction import extract

    path = tmp_path_factory.mktemp("cache") / "features.zarr"
    summary = extract(videos, path, checkpoint, dtype="float32")
    return FeatureCache.open(path), summary
