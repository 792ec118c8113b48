"""How what lies here was made, by the last version that wrote format 2: ``python make.py`` with that one installed.

Never made again: it stands for caches that people have.
"""

import base64
import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from feature_cache import DONE, FAILED, NO_PICTURE, NO_SOUND, PENDING, FeatureCache
from feature_cache.exchange import export_hdf5
from score import ScoreConfig, score

T, WINDOWS, DIM = 4, 7, 6
CLIPS = ["film#0", "film#1", "Hund", "gone", "雨 1", "silent", "dark", "later"]


def normal(rng: np.random.Generator, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float16)


def words(rng: np.random.Generator, *labels: str) -> dict[str, Any]:
    table = rng.standard_normal((2, len(labels), DIM)).astype(np.float32)
    prompts = {"visual": [f"A photo of {label}" for label in labels], "audio": list(labels)}
    return {"labels": labels, "visual": table[0], "audio": table[1], "prompts": prompts}


def embeddings(path: Path) -> FeatureCache:
    """Every window; rows of every status; where clips come from; one set of labels replaced."""
    rng = np.random.default_rng(11)
    cache = FeatureCache.create(
        path, clip_ids=CLIPS, backbone="clip_clap", visual_dim=DIM, audio_dim=DIM, frames_per_window=2, segments=T,
        shard_size=3, attributes={
            "checkpoint": "x", "files": {"film": "a/film.mp4", "Hund": "Hund.mkv"},
            "clips_from": {"film#0": ["film", 0.0], "film#1": ["film", 4.0]}, "stamps": {"film": [1234, 5.5]},
        },
    )  # fmt: skip
    status = [DONE, DONE, DONE, FAILED, DONE, DONE, DONE, PENDING]
    missing = [0, 0, 0, 0, 0, NO_SOUND, NO_PICTURE, 0]
    reasons = ["", "", "", "gone.mp4: no video stream", "", "", "", ""]
    for shard in range(cache.n_shards):
        part = cache.shards.part(shard)
        n = len(status[part])
        cache.write_shard(
            shard, normal(rng, n, T, DIM), normal(rng, n, WINDOWS, 2, DIM), normal(rng, n, WINDOWS, DIM),
            status[part], reasons[part], missing[part],
        )  # fmt: skip
    cache.add_text("animals", **words(rng, "dog", "cat", "Vögel"))
    cache.add_text("other", **words(rng, "a", "b"))
    cache.add_text("other", overwrite=True, **words(rng, "car", "train", "rain"))
    return cache


def whole(path: Path) -> FeatureCache:
    """Window 0 alone, in float32, one table of labels for both sides."""
    rng = np.random.default_rng(12)
    cache = FeatureCache.from_arrays(
        path, clip_ids=["x", "y", "z"], backbone="mine", image=normal(rng, 3, T, DIM),
        video=normal(rng, 3, 1, DIM), audio=normal(rng, 3, DIM), dtype="float32", shard_size=2,
    )  # fmt: skip
    cache.add_text("llp", labels=["dog", "cat"], visual=rng.standard_normal((2, DIM)))
    return cache


def probabilities(path: Path) -> FeatureCache:
    """A detector's, with image embeddings."""
    rng = np.random.default_rng(13)
    return FeatureCache.from_probabilities(
        path, clip_ids=["x", "y", "z"], labels=["dog", "cat"], visual=rng.random((3, T, 2)), audio=rng.random((3, T, 2)),  # noqa: E501
        image=normal(rng, 3, T, DIM), missing=[0, NO_SOUND, 0], segment_seconds=0.5,
    )  # fmt: skip


def plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def events_of(cache: FeatureCache, text: str) -> dict[str, Any]:
    config = ScoreConfig.for_backbone(
        "clip_clap",
        {
            "refinement": cache.windows_kept == "all",
            "filter_threshold": 0.1,
            "threshold_stage1": 0.4,
            "threshold_stage2": 0.4,
        },
    )
    found = score(cache, config, text=text)
    fields = ("clip", "stream_number", "label", "start", "end", "score")
    return {name: getattr(found, name).tolist() for name in fields}


def main() -> None:
    sys.path.insert(0, str(Path.cwd()))
    from tests.stores import contents

    here = Path(__file__).parent
    expected = {}
    for make in (embeddings, whole, probabilities):
        path = here / f"{make.__name__}.zarr"
        made = make(path)
        text = made.text_names[0]
        cache = FeatureCache.open(path)
        expected[make.__name__] = plain(
            {
                "identity": cache.identity,
                "header": cache.header.to_dict(),
                "contents": contents(path),
                "text": text,
                "events": events_of(cache, text),
            }
        )
        with zipfile.ZipFile(here / f"{make.__name__}.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for each in sorted(path.rglob("*")):
                if each.is_file():
                    file.writestr(zipfile.ZipInfo(str(each.relative_to(path))), each.read_bytes())
        if make is embeddings:
            export_hdf5(cache, here / "embeddings.h5", overwrite=True)
        shutil.rmtree(path)
    (here / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
