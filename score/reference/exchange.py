"""The exchange rule in plain Python on cosines, sentence by sentence (docs/rules.md).

Sums run in a fixed order and exp is the C library's, as in the kernel, so that equality can be exact.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_cache import NO_PICTURE, NO_SOUND
from score.reference.runs import Segments, best_path, runs_of
from score.rule_parameters import ExchangeConfig

Floats = NDArray[np.float64]
Event = tuple[str, int, int, int, float]
"""Stream, label number, first segment, one past the last, score."""


@dataclass(frozen=True)
class ClipCosines:
    """One clip: cosines of T images and of T sounds (or of one for all) with C labels, and their Gram matrices."""

    image: Floats
    sound: Floats
    gram_visual: Floats
    gram_audio: Floats
    missing: int = 0


def given_to_labels(x: Floats, gram: Floats, cost: float) -> Floats:
    """P(c): how much of the clip a modality gives to each label, (C,), of rows (R, C)."""
    total = np.zeros(x.shape[1])
    products = gram.tolist()
    for row in x:
        w = np.maximum(0.0, row - 0.5 * cost)
        weights = [(c, each) for c, each in enumerate(w.tolist()) if each > 0]
        if not weights:
            continue
        along = square = 0.0
        for c, one in weights:
            along += one * float(row[c])
            for d, other in weights:
                square += one * products[c][d] * other
        q = min(1.0, max(0.0, along / math.sqrt(square))) if square > 0 else 0.0
        total += q * (w / w.max())
    return np.asarray(total / len(x))


def costs(given: Floats, cost: float, eta: float) -> Floats:
    """λ(c) of a modality from what the other one gives: their mean is ``cost``."""
    raw = [math.exp(-eta * p) for p in given.tolist()]
    return np.array([cost * each / (sum(raw) / len(raw)) for each in raw])


class Compared(NamedTuple):
    """What is compared in a modality that a clip has.

    Attributes:
        cosine: (T, C).
        given: (C,), what the other modality gives to each label.
        cost: (C,), of the labels: half of it is what cosines have to exceed.
    """

    cosine: Floats
    given: Floats
    cost: Floats


def compared(clip: ClipCosines, config: ExchangeConfig) -> dict[str, Compared]:
    """What is compared in picture and in sound; nothing of what a clip does not have."""
    nothing = np.zeros(clip.image.shape[1])
    seen, heard = not clip.missing & NO_PICTURE, not clip.missing & NO_SOUND
    by_picture = given_to_labels(clip.image, clip.gram_visual, config.cost) if seen else nothing
    by_sound = given_to_labels(clip.sound, clip.gram_audio, config.cost) if heard else nothing
    found = {}
    if seen:
        found["visual"] = Compared(clip.image, by_sound, costs(by_sound, config.cost, config.eta))
    if heard:
        rows = np.broadcast_to(clip.sound, clip.image.shape)
        found["audio"] = Compared(rows, by_picture, costs(by_picture, config.cost, config.eta))
    return found


def margins(clip: ClipCosines, config: ExchangeConfig) -> dict[str, Floats]:
    """Margins y(t, c) of picture and of sound, (T, C) each; nothing of what a clip does not have."""
    return {stream: each.cosine - 0.5 * each.cost for stream, each in compared(clip, config).items()}


def exchange_events(clip: ClipCosines, config: ExchangeConfig) -> list[Event]:
    """Events of a clip, in the order of docs/design.md 4.5."""
    found = margins(clip, config)
    paths = decode_margins(found, config)
    return events_of(paths, {stream: y.T for stream, y in found.items()}, slope=20.0)


def decode_margins(found: dict[str, Floats], config: ExchangeConfig) -> dict[str, list[Segments]]:
    """Which segments are on, by stream and label, from margins (T, C); the audiovisual ones are put beside them."""
    labels = next(iter(found.values())).shape[1]
    paths: dict[str, list[Segments]] = {
        stream: [best_path(y[:, c].tolist(), config.run_penalty) for c in range(labels)] for stream, y in found.items()
    }
    if len(found) == 1:
        [(stream, y)] = found.items()
        found["audiovisual"], paths["audiovisual"] = y, paths[stream]
    elif config.fusion == "late":
        found["audiovisual"] = np.minimum(found["visual"], found["audio"])
        paths["audiovisual"] = [
            [a and b for a, b in zip(*pair, strict=True)] for pair in zip(paths["visual"], paths["audio"], strict=True)
        ]
    else:
        y = config.alpha * found["audio"] + (1.0 - config.alpha) * found["visual"]
        found["audiovisual"] = y
        paths["audiovisual"] = [best_path(y[:, c].tolist(), config.run_penalty) for c in range(labels)]
    return paths


def events_of(paths: dict[str, list[Segments]], values: dict[str, Floats], slope: float) -> list[Event]:
    """Events from what is on: labels by their first segment, then by number; scores are means of values (C, T).

    ``slope``: of the sigmoid that the mean goes through; 0: none.
    """
    found: list[Event] = []
    for stream in ("audiovisual", "visual", "audio"):
        on = paths.get(stream, [])
        for c in sorted((c for c in range(len(on)) if any(on[c])), key=lambda c: (on[c].index(True), c)):
            for start, end in runs_of(on[c]):
                mean = sum(values[stream][c, start:end].tolist()) / (end - start)
                found.append((stream, c, start, end, 1.0 / (1.0 + math.exp(-slope * mean)) if slope else mean))
    return found
