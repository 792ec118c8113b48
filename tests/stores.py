"""What a cache holds, to be compared: every array, status, reason and text set, in the order of the clips' names."""

from os import PathLike
from typing import Any

import numpy as np

from feature_cache import DONE, FeatureCache


def contents(path: str | PathLike[str]) -> dict[str, Any]:
    """Equal for caches that hold the same, whatever the order of their rows and the size of their shards."""
    cache = FeatureCache.open(path)
    status, reasons, missing = cache.status(), cache.reasons(), cache.missing()
    found: dict[str, Any] = {"backbone": cache.backbone, "dtype": cache.dtype, "arrays": cache.row_shapes}
    found["attributes"] = {name: fact for name, fact in cache.attributes.items() if name not in ("packages", "stamps")}
    for row, clip in sorted(enumerate(cache.clip_ids), key=lambda pair: pair[1]):
        rest: Any = reasons.get(clip, "")
        if status[row] == DONE:
            features = cache.read([row])
            rest = [np.asarray(getattr(features, name)).tobytes() for name in cache.arrays]
        found[f"clip {clip}"] = (int(status[row]), int(missing[row]), rest)
    for name in cache.text_names:
        text = cache.text(name)
        joint = () if text.joint is None else (text.joint.tobytes(),)
        tables = (text.visual.tobytes(), text.audio.tobytes())
        found[f"text {name}"] = (text.labels, *tables, dict(text.prompts), *joint)
    return found
