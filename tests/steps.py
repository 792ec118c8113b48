"""What is done to small caches and searches while the process is killed: each step is the same command each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from feature_cache import DONE, FAILED, PENDING, FeatureCache, upgrade, verify
from feature_cache import place as at
from feature_cache.adding import begin_with_segments, is_put, put_with_segments, remove_left, take_place
from feature_cache.exchange import export_hdf5, import_features
from feature_cache.layout import OLD_VERSION
from feature_cache.place import is_there, put_back

CLIPS = ("a", "b", "c")
LABELS = ("x", "y")
SIZE: dict[str, Any] = {"backbone": "clip_clap", "visual_dim": 2, "audio_dim": 2, "segments": 3, "shard_size": 2}
SETTINGS = [0.2, 0.6]


def values(clip: str) -> dict[str, Any]:
    """The embeddings of a clip of three segments, and so four windows."""
    rng = np.random.default_rng(ord(clip[0]))
    shapes = {"image": (3, 2), "video": (4, 1, 2), "audio": (4, 2)}
    return {name: rng.standard_normal(shape).astype(np.float16) for name, shape in shapes.items()}


def tables(*clips: str) -> dict[str, Any]:
    return {name: np.stack([values(clip)[name] for clip in clips]) for name in ("image", "video", "audio")}


def words(seed: int) -> dict[str, Any]:
    table = np.random.default_rng(seed).standard_normal((2, 2)).astype(np.float32)
    return {"labels": LABELS, "visual": table, "audio": table + 1, "prompts": {"visual": list(LABELS)}}


def make(place: Path, clips: tuple[str, ...] = CLIPS) -> FeatureCache:
    """A whole cache: clip b failed; one label set."""
    cache = FeatureCache.create(place / "c.zarr", clip_ids=clips, **SIZE)
    fill(place)
    cache.add_text("t", **words(0))
    return cache


def make_in(place: str) -> None:
    verify(make(Path(place)).path)


def fill(place: str | Path, refused: str = "b") -> None:
    """What is pending is done, a shard at a time, as extraction does it."""
    cache = FeatureCache.open(Path(place) / "c.zarr", "r+")
    for shard in range(cache.n_shards):
        status = cache.status()
        rows = [row for row in cache.shard_rows(shard) if status[row] == PENDING]
        if not rows:
            continue
        names = [cache.clip_ids[row] for row in rows]
        bad = [name == refused for name in names]
        inside = [row - cache.shard_rows(shard).start for row in rows]
        found = tables(*names)
        for table in found.values():
            table[bad] = 0
        codes = [FAILED if each else DONE for each in bad]
        cache.write_rows(shard, inside, found, codes, ["no video" if each else "" for each in bad], [0] * len(rows))


def given_of(place: str) -> Path:
    """Where a test has put what is read."""
    return next(folder / "given" for folder in Path(place).parents if (folder / "given").exists())


@contextmanager
def folders_made() -> Iterator[None]:
    """As in an object store, folders need not be made, under local://."""
    import fsspec

    fsspec.config.conf["local"] = {"auto_mkdir": True}
    try:
        yield
    finally:
        del fsspec.config.conf["local"]


# --- steps ----------------------------------------------------------------------------------------------


def create(place: str) -> None:
    output = Path(place) / "c.zarr"
    if not is_there(output):
        FeatureCache.create(output, clip_ids=CLIPS, **SIZE)


def overwrite(place: str) -> None:
    FeatureCache.create(Path(place) / "c.zarr", clip_ids=("z",), overwrite=True, **SIZE)


def from_arrays(place: str) -> None:
    output = Path(place) / "c.zarr"
    if not is_there(output):  # declared whole, and killed before its lease was let go
        FeatureCache.from_arrays(output, clip_ids=CLIPS, backbone="b", **tables(*CLIPS))


def from_probabilities(place: str) -> None:
    heard = np.linspace(0, 1, 18).reshape(3, 3, 2)
    output = Path(place) / "c.zarr"
    if not is_there(output):
        FeatureCache.from_probabilities(output, clip_ids=CLIPS, labels=LABELS, visual=None, audio=heard)


def add_text(place: str) -> None:
    cache = FeatureCache.open(Path(place) / "c.zarr", "r+")
    if "new" not in cache.text_names:
        cache.add_text("new", **words(1))


def replace_text(place: str, seed: int = 2) -> None:
    FeatureCache.open(Path(place) / "c.zarr", "r+").add_text("t", overwrite=True, **words(seed))


def grow(place: str) -> None:
    cache = FeatureCache.open(Path(place) / "c.zarr", "r+")
    cache.update_attributes({"grown": True})
    if "d" not in cache.clip_ids:
        cache.add_clips(["d", "e"])


def prune(place: str) -> None:
    cache = FeatureCache.open(Path(place) / "c.zarr", "r+")
    cache.drop_clips([clip for clip in ("a", "e") if clip in cache.clip_ids])
    fill(place)


def retry(place: str) -> None:
    cache = FeatureCache.open(Path(place) / "c.zarr", "r+")
    row = cache.clip_ids.index("b")
    if cache.status()[row] != DONE:
        cache.write_rows(row // 2, [row % 2], tables("b"), [DONE], [""], [0])


def heard(clip: str) -> Any:
    """The sound of a clip's segments."""
    return np.random.default_rng(ord(clip[0]) + 1000).standard_normal((3, 2)).astype(np.float16)


def put_segments(old: FeatureCache, new: FeatureCache, shard: int) -> None:
    rows = [row for row in old.shard_rows(shard) if old.status()[row] == DONE]
    inside = [row - old.shard_rows(shard).start for row in rows]
    found = [heard(old.clip_ids[row]) for row in rows]
    put_with_segments(old, new, shard, inside, found, [""] * len(rows))


def add_segments(place: str) -> None:
    path = Path(place) / "c.zarr"
    put_back(path)
    old = FeatureCache.open(path, "r+")
    if "audio_segments" in old.arrays:
        remove_left(old)
        return
    with old.writing("extract"):
        new = begin_with_segments(old, {})
        with new.writing("extract"):
            left = [shard for shard in range(old.n_shards) if not is_put(old, new, shard)]
            for shard in left:
                put_segments(old, new, shard)
            take_place(old, new)


def add_segments_without_swapping(place: str) -> None:
    """As on a system that gives names one after the other."""
    vars(at)["swap_names"] = lambda one, other: False
    add_segments(place)


def repair(place: str) -> None:
    verify(Path(place) / "c.zarr", repair=True)


def renew(place: str) -> None:
    """Upgrade in place, if it was not done."""
    path = Path(place) / "c.zarr"
    if not path.exists() or FeatureCache.open(path).header.version == OLD_VERSION:
        upgrade(path)


def bring_in(place: str) -> None:
    """Import embeddings with a label set."""
    source = given_of(place)
    import_features(Path(place) / "c.zarr", [source / "features.npz"], segment_seconds=2.0, overwrite=True)


def bring_in_far(place: str) -> None:
    """The same to a store that cannot be renamed."""
    with folders_made():
        import_features(f"local://{place}/c.zarr", [given_of(place) / "features.npz"])


def bring_in_probabilities(place: str) -> None:
    source = given_of(place)
    import_features(Path(place) / "c.zarr", [source / "heard.npz"], overwrite=True)


def bring_back(place: str) -> None:
    """Import an export."""
    import_features(Path(place) / "c.zarr", [given_of(place) / "c.h5"], overwrite=True)


def bring_back_far(place: str) -> None:
    with folders_made():
        import_features(f"local://{place}/c.zarr", [given_of(place) / "c.h5"])


def take_out(place: str) -> None:
    """Export."""
    cache = FeatureCache.open(given_of(place) / "c.zarr")
    export_hdf5(cache, Path(place) / "c.h5", overwrite=True)


def write_events(place: str, ending: str) -> None:
    from tests.made_events import EVENTS

    EVENTS.write(Path(place) / f"e.{ending}")


def search_in(place: str, overwrite: int = 0) -> None:
    searched(given_of(place), Path(place) / "search.zarr", overwrite=bool(overwrite))


def searched_in(given: str, output: str) -> None:
    searched(Path(given), Path(output))


def search_again(given: str, output: str) -> None:
    searched(Path(given), Path(output), per_clip_ceiling=True)


def searched(given: Path, output: Path, **options: Any) -> None:
    """Two batches of settings."""
    from unittest.mock import patch

    from score import search
    from score.tuning import samplers

    cache, truth, space = search_of(given)
    with patch.object(samplers, "BATCH", 8):
        search(cache, truth, space, output=output, threads=1, **options)


def search_of(given: Path) -> tuple[Any, Any, Any]:
    from score import Annotations, ScoreConfig, Space
    from score.parameters import describe

    cache = FeatureCache.open(given / "c.zarr")
    done = [clip for clip, code in zip(cache.clip_ids, cache.status().tolist(), strict=True) if code == DONE]
    truth = Annotations.from_events({clip: {"visual": [("x", 0, 2)], "audio": [("y", 1, 3)]} for clip in done})
    numbers: dict[str, Any] = dict.fromkeys(
        [n for n, each in describe(ScoreConfig).items() if each.kind == "number"], SETTINGS
    )
    return cache, truth, Space(**numbers)
