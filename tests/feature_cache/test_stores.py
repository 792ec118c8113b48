"""Caches that are no folder: an S3 server on this machine, memory, and URLs that cannot be used."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import LocalStore

from extract.media.clip import decode_clip
from extract.run import worker
from feature_cache import PENDING, CacheError, FeatureCache, verify
from feature_cache.storage import urls
from feature_cache.storage.durable import SafeStore, StoreError
from tests.command import av2a
from tests.extraction import GOOD, extract
from tests.feature_cache.test_verify import make
from tests.golden_scoring import GoldenSet
from tests.killing import finish, start
from tests.stores import contents

BUCKET = "clips"


class Server:
    """A server that speaks S3; what it holds outlives its being stopped."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        self._kind = ThreadedMotoServer
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server = self._kind(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    import boto3

    with pytest.MonkeyPatch.context() as patch:
        found = Server()
        endpoint = f"http://127.0.0.1:{found.port}"
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "someone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_REGION", "us-east-1")
        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=BUCKET)
        yield found
        found.stop()


@pytest.fixture(params=["s3", "memory"])
def place(request: pytest.FixtureRequest) -> str:
    """A URL where nothing is."""
    if request.param == "s3":
        request.getfixturevalue("server")
        return f"s3://{BUCKET}/{request.node.name}.zarr"
    return f"memory://{request.node.name}.zarr"


# --- every kind of store --------------------------------------------------------------------------------


def test_round_trip(place: str, tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="is not there"):
        FeatureCache.open(place)
    make(place)
    make(tmp_path / "c.zarr")
    assert contents(place) == contents(tmp_path / "c.zarr")
    assert FeatureCache.open(place).identity == FeatureCache.open(tmp_path / "c.zarr").identity
    with pytest.raises(CacheError, match="is there already"):
        make(place)
    assert verify(place).intact


def test_overwriting_leaves_nothing_behind(place: str, tmp_path: Path) -> None:
    make(place)
    more: dict[str, Any] = {"backbone": "b", "visual_dim": 3, "audio_dim": 3, "overwrite": True}
    FeatureCache.create(place, clip_ids=["one"], **more)
    FeatureCache.create(tmp_path / "c.zarr", clip_ids=["one"], **more)
    assert contents(place) == contents(tmp_path / "c.zarr")


def test_growing_and_pruning(place: str, tmp_path: Path) -> None:
    for path in (place, tmp_path / "c.zarr"):
        cache = make(path)
        cache.add_clips(["h", "i"])
        cache.drop_clips(["b", "h", "d"])
    assert contents(place) == contents(tmp_path / "c.zarr")
    assert verify(place).intact


def test_damage_is_found_and_repaired(place: str) -> None:
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    cache = make(place)
    store = urls.store_at(place, read_only=False)
    sync(store.set("video/c/1/0/0/0", default_buffer_prototype().buffer.from_bytes(b"not this")))
    assert [(each.array, each.shard) for each in verify(place).damage] == [("video", 1)]
    assert verify(place, repair=True).repaired
    assert verify(place).intact
    assert cache.status().tolist() == [1, 1, 1, 0, 0, 0, 1]


def test_extracting(place: str, videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Interrupted and gone on with."""
    real, left = decode_clip, [3]

    def interrupted(path: Path, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "decode_clip", interrupted)
        with pytest.raises(KeyboardInterrupt):
            extract(videos, place, checkpoint, shard_size=1, workers=1)  # type: ignore[arg-type]
    assert PENDING in FeatureCache.open(place).status()
    assert extract(videos, place, checkpoint).skipped > 0  # type: ignore[arg-type]
    extract(videos, tmp_path / "f.zarr", checkpoint)
    assert contents(place) == contents(tmp_path / "f.zarr")


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    make(f"file://{tmp_path}/c.zarr")
    assert verify(tmp_path / "c.zarr").intact


# --- the S3 server and the commands ---------------------------------------------------------------------


@pytest.mark.slow
def test_processes_on_one_bucket(server: Server, videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Three workers at once, then what reads: verify, info, score."""
    url = f"s3://{BUCKET}/shared.zarr"
    words = ["extract", videos, "-o", url, "--backbone", "clip_clap", "--checkpoint", checkpoint, "--device", "cpu"]
    running = [start([*words, "--shard-size", 1, "--shard-range", f"{i}/3"]) for i in range(3)]
    ended = [finish(process) for process in running]
    assert [code for code, _, _ in ended] == [0] * 3, ended
    extract(videos, tmp_path / "one.zarr", checkpoint)
    assert contents(url) == contents(tmp_path / "one.zarr")
    assert av2a("verify", url, cwd=tmp_path).code == 0
    assert "0/3" in av2a("info", url, "--workers", 3, cwd=tmp_path).out


def test_scoring_from_a_bucket(server: Server, tmp_path: Path) -> None:
    url = f"s3://{BUCKET}/golden.zarr"
    GoldenSet.load("language_bind_llp").make_cache(url)  # type: ignore[arg-type]
    GoldenSet.load("language_bind_llp").make_cache(tmp_path / "features.zarr")
    assert av2a("score", url, "-o", "far.csv", cwd=tmp_path).code == 0
    assert av2a("score", "-o", "near.csv", cwd=tmp_path).code == 0
    assert (tmp_path / "far.csv").read_text() == (tmp_path / "near.csv").read_text()


@pytest.mark.slow
def test_a_server_that_is_lost(server: Server, videos: Path, checkpoint: Path, tmp_path: Path) -> None:
    """One clear line; once the server is back the same run goes on."""
    url = f"s3://{BUCKET}/lost.zarr"
    real, left = decode_clip, [3]

    def lost(path: Path, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            server.stop()
        return real(path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "decode_clip", lost)
        try:
            with pytest.raises(StoreError, match=f"^{url}: cannot be ") as caught:
                extract(videos, url, checkpoint, shard_size=1, workers=1)  # type: ignore[arg-type]
        finally:
            server.start()
    assert "\n" not in str(caught.value)
    summary = extract(videos, url, checkpoint)  # type: ignore[arg-type]
    assert summary.done == len(GOOD)
    extract(videos, tmp_path / "f.zarr", checkpoint)
    assert contents(url) == contents(tmp_path / "f.zarr")


def test_no_such_bucket(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="is not there"):
        FeatureCache.open("s3://nobodys/c.zarr")
    with pytest.raises(StoreError, match=r"s3://nobodys/c\.zarr: cannot be ") as caught:
        make("s3://nobodys/c.zarr")
    assert "\n" not in str(caught.value)


def test_no_credentials() -> None:
    """Then obstore asks the machine that it believes to run on; the error should say what is missing."""
    asked = "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 3s - HTTP error"
    store = SafeStore(LocalStore("."), "s3://bucket/c.zarr")
    with (
        pytest.raises(StoreError, match="cannot be read: no credentials are set, as AWS_ACCESS_"),
        store._named("read"),
    ):
        raise RuntimeError(asked)


def test_something_else_in_the_bucket_is_kept(server: Server) -> None:
    import boto3

    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")
    client.put_object(Bucket=BUCKET, Key="thesis/chapter.txt", Body=b"words")
    with pytest.raises(CacheError, match="is there and no av2a cache"):
        make(f"s3://{BUCKET}/thesis")
    assert client.get_object(Bucket=BUCKET, Key="thesis/chapter.txt")["Body"].read() == b"words"


# --- URLs that cannot be used ---------------------------------------------------------------------------


def test_unknown_urls() -> None:
    with pytest.raises(CacheError, match="no kind of store is called nonsense://"):
        FeatureCache.open("nonsense://x/y")


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "find_spec", lambda name: None)
    for url in ("s3://bucket/c.zarr", "ftp://host/c.zarr"):
        with pytest.raises(CacheError, match=r"URLs need obstore .* pip install 'av2a\[cloud\]'"):
            FeatureCache.open(url)
