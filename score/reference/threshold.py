"""The threshold rule in plain Python, on probabilities or cosines of segments (docs/rules.md)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feature_cache import NO_PICTURE, NO_SOUND
from score.reference.exchange import Event, events_of
from score.reference.runs import Segments, best_path, median_filter, run_rule
from score.rule_parameters import ThresholdConfig

Floats = NDArray[np.float64]


def decode(values: Sequence[float], config: ThresholdConfig) -> Segments:
    """Which segments of a label are on."""
    margins = [value - config.threshold for value in values]
    if config.smoothing == "penalty":
        return best_path(margins, config.run_penalty)
    on = [margin > 0 for margin in margins]
    if config.smoothing == "median":
        return median_filter(on, config.median)
    return run_rule(on) if config.smoothing == "runs" else on


def threshold_events(image: Floats, sound: Floats, missing: int, config: ThresholdConfig) -> list[Event]:
    """Events of a clip from values (T, C) of its images and (T, C) or (1, C) of its sound."""
    found: dict[str, Floats] = {}
    if not missing & NO_PICTURE:
        found["visual"] = image
    if not missing & NO_SOUND:
        found["audio"] = np.broadcast_to(sound, image.shape)
    paths = decode_streams(found, config)
    floor = 0.0 if config.compared == "probability" else -1.0
    scores = {stream: (values.T - floor) / (1.0 - floor) for stream, values in found.items()}
    return events_of(paths, scores, slope=0.0)


def decode_streams(found: dict[str, Floats], config: ThresholdConfig) -> dict[str, list[Segments]]:
    """Which segments are on, by stream and label, from values (T, C); the audiovisual ones are put beside them."""
    paths = {stream: [decode(row, config) for row in values.T.tolist()] for stream, values in found.items()}
    if len(found) == 1:
        [(stream, values)] = found.items()
        found["audiovisual"], paths["audiovisual"] = values, paths[stream]
    elif config.fusion == "late":
        found["audiovisual"] = np.minimum(found["visual"], found["audio"])
        pairs = zip(paths["visual"], paths["audio"], strict=True)
        paths["audiovisual"] = [[a and b for a, b in zip(*pair, strict=True)] for pair in pairs]
    else:
        found["audiovisual"] = config.alpha * found["audio"] + (1.0 - config.alpha) * found["visual"]
        if config.alpha in (0.0, 1.0):
            found["audiovisual"] = found["audio" if config.alpha else "visual"]
        paths["audiovisual"] = [decode(row, config) for row in found["audiovisual"].T.tolist()]
    return paths
