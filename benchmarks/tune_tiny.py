"""Settings of the `tiny` backbone: chosen on the demo's validation clips, then looked at once on its test clips.

    python -m benchmarks.tune_tiny [--demo DIR] [--weights DIR] [--write]

Makes and extracts the demo unless DIR holds it already. A setting is judged by the mean segment-level Type@AV of
itself and its neighbours in the grid, so that the one chosen does not owe its place to chance. With --write it goes
into score/published.json.
"""

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from extract import extract_videos
from extract.demo import make_demo
from extract.demo.note import notes_beside
from feature_cache import FeatureCache
from feature_cache.storage.atomic import write_outputs
from score import ScoreConfig, SearchResult, Space, evaluate, read_annotations, score, search

PUBLISHED = Path(__file__).parents[1] / "score" / "published.json"
SPACE = Space(
    alpha=np.arange(0.30, 0.701, 0.05).round(3).tolist(),
    filter_threshold=np.arange(0.20, 0.551, 0.05).round(3).tolist(),
    threshold_stage1=np.arange(0.60, 0.901, 0.025).round(3).tolist(),
    threshold_stage2=np.arange(0.50, 0.851, 0.025).round(3).tolist(),
    gamma=[0.5, 1.0, 1.5, 2.0, 2.5, 3.0],
)


def chosen(result: SearchResult) -> ScoreConfig:
    """The setting whose neighbourhood (itself twice, and one step to either side in each number) is best."""
    values = [np.unique(result.parameters[name]) for name in SPACE.numbers]
    place = tuple(np.searchsorted(v, result.parameters[name]) for v, name in zip(values, SPACE.numbers, strict=True))
    rows = np.zeros([len(v) for v in values], dtype=np.int64)
    rows[place] = np.arange(len(result.metrics))
    figures = result.metrics[rows, result.metric_names.index("segment-type-av")]
    wide = np.pad(figures, 1, mode="edge")
    centre = (slice(1, -1),) * len(values)
    total = wide[centre] * 2.0
    for axis, step in itertools.product(range(len(values)), (-1, 1)):
        total += np.roll(wide, step, axis)[centre]
    chosen: ScoreConfig = result.space.config(result.parameters[rows.flat[int(np.argmax(total))]])
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, help="folder for demo and features [default: a temporary one]")
    parser.add_argument("--weights", type=Path, help="other weights than the package's")
    parser.add_argument("--validation-only", action="store_true", help="leave the test clips alone")
    parser.add_argument("--write", action="store_true", help="put the settings into score/published.json")
    options = parser.parse_args()
    if options.demo is not None:
        tune(options.demo, options.weights, options.validation_only, options.write)
        return
    with tempfile.TemporaryDirectory() as folder:
        tune(Path(folder), options.weights, options.validation_only, options.write)


def tune(folder: Path, weights: Path | None, validation_only: bool, write: bool) -> None:
    began = time.perf_counter()
    if not any(note.is_file() for note in notes_beside(folder / "videos")):
        make_demo(folder)
        print(f"demo made in {time.perf_counter() - began:.1f} s")
    cache_path = folder / "features.zarr"
    if not cache_path.exists():
        summary = extract_videos(folder / "videos", cache_path, backbone="tiny", checkpoint=weights)
        print(f"{summary.done} clips extracted in {summary.seconds:.1f} s")
    cache = FeatureCache.open(cache_path)
    truth = {split: read_annotations("llp", folder / "annotations", split) for split in ("val", "test")}

    began = time.perf_counter()
    result = search(cache, truth["val"], SPACE)
    config = chosen(result)
    print(f"{len(result.metrics):,} settings tried in {time.perf_counter() - began:.1f} s")
    print(f"best single figure {result.metrics[:, result.metric_names.index('segment-type-av')].max():.2f}")
    print("chosen:", ", ".join(f"{name} {getattr(config, name):g}" for name in SPACE.numbers))
    splits = ("val",) if validation_only else ("val", "test")
    for split, alpha in itertools.product(splits, dict.fromkeys((config.alpha, 0.5))):
        report = evaluate(score(cache, config.replace(alpha=alpha)), truth[split])
        print(f"{split}, alpha {alpha:g}:", ", ".join(f"{k} {v:.1f}" for k, v in report.metrics.items()))
    if write:
        published = json.loads(PUBLISHED.read_text())
        published["tiny"] = {name: getattr(config, name) for name in SPACE.numbers}
        write_outputs({PUBLISHED: json.dumps(published, indent=2) + "\n"})


if __name__ == "__main__":
    main()
